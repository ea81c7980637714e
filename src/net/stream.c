#include "net/stream.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* OpenSSL's own socket BIO uses write(), which raises SIGPIPE; this one uses send(). */

static int bio_fd(BIO *bio) { return (int)(intptr_t)BIO_get_data(bio); }

static int bio_done(BIO *bio, ssize_t returned, int retry, size_t *done) {
    BIO_clear_retry_flags(bio);
    if (returned > 0) {
        *done = (size_t)returned;
        return 1;
    }
    if (returned < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    } else if (returned == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return 0;
}

static int bio_send(BIO *bio, const char *data, size_t len, size_t *done) {
    return bio_done(bio, send(bio_fd(bio), data, len, MSG_NOSIGNAL), BIO_FLAGS_WRITE, done);
}

static int bio_receive(BIO *bio, char *out, size_t size, size_t *done) {
    return bio_done(bio, recv(bio_fd(bio), out, size, 0), BIO_FLAGS_READ, done);
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method;

__attribute__((constructor)) static void bio_method_init(void) {
    bio_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket");
    INVARIANT(bio_method != NULL && BIO_meth_set_write_ex(bio_method, bio_send) == 1 &&
              BIO_meth_set_read_ex(bio_method, bio_receive) == 1 &&
              BIO_meth_set_ctrl(bio_method, bio_control) == 1);
}

__attribute__((destructor)) static void bio_method_done(void) { BIO_meth_free(bio_method); }

err_t stream_attach_tls(struct stream *stream, SSL_CTX *context) {
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(bio_method);
    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        (void)BIO_free(bio);
        return FAIL(ERR_MEMORY);
    }
    BIO_set_data(bio, (void *)(intptr_t)stream->fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    stream->ssl = ssl;
    return OK;
}

static enum stream_result ssl_result(SSL *ssl, int returned) {
    switch (SSL_get_error(ssl, returned)) {
    case SSL_ERROR_WANT_READ:
        return STREAM_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return STREAM_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_END;
    default:
        return STREAM_FAILED;
    }
}

enum stream_result stream_handshake(struct stream *stream) {
    if (stream->ssl == NULL) {
        return STREAM_OK;
    }
    ERR_clear_error();
    int returned = SSL_do_handshake(stream->ssl);
    return returned == 1 ? STREAM_OK : ssl_result(stream->ssl, returned);
}

static enum stream_result plain_result(ssize_t returned, enum stream_result again, size_t *done) {
    if (returned > 0) {
        *done = (size_t)returned;
        return STREAM_OK;
    }
    if (returned == 0) {
        return STREAM_END;
    }
    return errno == EAGAIN || errno == EINTR ? again : STREAM_FAILED;
}

enum stream_result stream_read(struct stream *stream, void *out, size_t size, size_t *done) {
    *done = 0;
    if (stream->ssl == NULL) {
        return plain_result(recv(stream->fd, out, size, 0), STREAM_WANT_READ, done);
    }
    ERR_clear_error();
    int returned = SSL_read_ex(stream->ssl, out, size, done);
    return returned == 1 ? STREAM_OK : ssl_result(stream->ssl, returned);
}

enum stream_result stream_write(struct stream *stream, const void *data, size_t len, size_t *done) {
    *done = 0;
    if (stream->ssl == NULL) {
        return plain_result(send(stream->fd, data, len, MSG_NOSIGNAL), STREAM_WANT_WRITE, done);
    }
    ERR_clear_error();
    int returned = SSL_write_ex(stream->ssl, data, len, done);
    return returned == 1 ? STREAM_OK : ssl_result(stream->ssl, returned);
}

bool stream_pending(const struct stream *stream) {
    return stream->ssl != NULL && SSL_has_pending(stream->ssl) == 1;
}

void stream_shutdown(struct stream *stream) {
    if (stream->ssl != NULL && SSL_is_init_finished(stream->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(stream->ssl);
    }
    (void)shutdown(stream->fd, SHUT_WR);
}

void stream_close(struct stream *stream) {
    SSL_free(stream->ssl);
    stream->ssl = NULL;
    if (stream->fd >= 0) {
        (void)close(stream->fd);
        stream->fd = -1;
    }
}
