/* TLS contexts, and the self-made CA of a fresh installation. */
#ifndef POSTERN_NET_TLS_H
#define POSTERN_NET_TLS_H

#include "base/err.h"
#include "base/span.h"

struct ssl_ctx_st;
struct ssl_st;

/* TLS 1.2 and later, no renegotiation, no compression, session tickets on. The fault names the
 * file. */
err_t tls_server_context(const char *cert_file, const char *key_file, struct ssl_ctx_st **out,
                         struct fault *fault);
/* ca_pem NULL: the system's trust store. */
err_t tls_client_context(const char *ca_pem, struct ssl_ctx_st **out, struct fault *fault);

/*
 * Makes a CA (P-256, ten years) and a server certificate (P-256, one year) for the names and
 * addresses given; both as PEM. The chain holds the server's certificate, then the CA's.
 */
struct tls_made {
    struct buf ca_pem;
    struct buf ca_key_pem;
    struct buf chain_pem;
    struct buf key_pem;
};
err_t tls_make(const char *common_name, const char *const *names, size_t name_count, int64_t now,
               struct tls_made *out);
/* A new server certificate from a CA made before. */
err_t tls_renew(span_t ca_pem, span_t ca_key_pem, const char *const *names, size_t name_count,
                int64_t now, struct tls_made *out);
/* The same for the names of the certificate that leads chain_pem. ERR_REFUSED when it is not of
 * this CA, ERR_UNSUPPORTED when it names what is neither a host nor an address, or nothing. */
err_t tls_renew_chain(span_t ca_pem, span_t ca_key_pem, span_t chain_pem, int64_t now,
                      struct tls_made *out);
void tls_made_done(struct tls_made *made);
/*
 * Channel binding "tls-server-end-point" (RFC 5929 section 4) of a connection, as GSSAPI takes it:
 * the name, a colon and the hash of the server's certificate. Appends; ERR_NOT_FOUND without one.
 */
enum tls_side { TLS_SERVER, TLS_CLIENT };
enum { TLS_BINDING_BYTES_MAX = 21 + 64 };
err_t tls_binding(struct ssl_st *ssl, enum tls_side side, struct buf *out);
/* When the first certificate of a chain ends; ERR_MALFORMED. */
err_t tls_chain_expiry(span_t chain_pem, int64_t *not_after);

#endif
