/*
 * A connected, non-blocking socket, with or without TLS. Server and client read and write by it.
 * Writing never raises SIGPIPE.
 */
#ifndef POSTERN_NET_STREAM_H
#define POSTERN_NET_STREAM_H

#include <openssl/types.h>
#include <stddef.h>

#include "base/err.h"

enum stream_result {
    STREAM_OK,
    STREAM_WANT_READ,
    STREAM_WANT_WRITE,
    STREAM_END,   /* the peer has finished sending */
    STREAM_FAILED /* errno, or OpenSSL's error queue, tells why */
};

struct stream {
    int fd;   /* -1 when closed */
    SSL *ssl; /* NULL: plain */
};

/* Puts TLS on a connected stream; the caller says which side it is. ERR_MEMORY. */
err_t stream_attach_tls(struct stream *stream, SSL_CTX *context);
enum stream_result stream_handshake(struct stream *stream);
/* STREAM_OK with *done > 0, else *done is 0. */
enum stream_result stream_read(struct stream *stream, void *out, size_t size, size_t *done);
enum stream_result stream_write(struct stream *stream, const void *data, size_t len, size_t *done);
/* True when bytes wait inside TLS, which poll() and epoll do not see. */
bool stream_pending(const struct stream *stream);
/* Ends our direction: close_notify and FIN, as far as that goes without waiting. */
void stream_shutdown(struct stream *stream);
void stream_close(struct stream *stream);

#endif
