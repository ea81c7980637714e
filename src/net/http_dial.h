/* How the client gets a connection: addresses, proxy, TLS. Everything keeps one deadline. */
#ifndef POSTERN_NET_HTTP_DIAL_H
#define POSTERN_NET_HTTP_DIAL_H

#include <stdint.h>

#include "net/http_url.h"
#include "net/stream.h"

struct http_dial {
    const struct http_url *server;
    const struct http_url *proxy; /* NULL: none */
    SSL_CTX *tls;                 /* NULL for http:// */
    const uint8_t *pin; /* SHA-256 of the certificate's SubjectPublicKeyInfo; NULL: none */
    bool unverified;    /* takes any certificate: http_client_fetch_chain() */
    int64_t deadline_ms;
};

/*
 * Tries every address of the server (or its proxy), CONNECTs, shakes hands and verifies. *out is
 * open on success. ERR_CONNECT, ERR_TIMEOUT, ERR_TLS, ERR_PROTOCOL with a fault that says why.
 */
err_t http_dial(const struct http_dial *dial, struct stream *out, struct fault *fault);

/* Waits until the stream can go on; ERR_TIMEOUT. */
err_t http_dial_wait(const struct stream *stream, enum stream_result want, int64_t deadline_ms);

/* strerror() as it stands behind a colon: "connection refused". out has 96 characters. */
const char *http_dial_errno_text(int errnum, char out[96]);

#endif
