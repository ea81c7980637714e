#include "net/stream.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

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
