/* The chain that a server presents, for people to judge. */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/http_client.h"
#include "net/http_dial.h"

static err_t chain_last(SSL *ssl, X509 **out) {
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl); /* the server's own first */
    int count = sk_X509_num(chain);
    if (count < 1) {
        return FAIL(ERR_TLS);
    }
    *out = sk_X509_value(chain, count - 1);
    return OK;
}

static err_t print_cert(X509 *x509, char **pem, char sha256[65]) {
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;
    struct buf hex CLEANUP(buf_done) = BUF(64);
    if (X509_digest(x509, EVP_sha256(), hash, &hash_len) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    TRY(hex_encode(span_of(hash, hash_len), &hex));
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    err_t err = FAIL(ERR_CRYPTO);
    if (bio != NULL && PEM_write_bio_X509(bio, x509) == 1) {
        long len = BIO_get_mem_data(bio, &data);
        err = span_to_str(span_of(data, (size_t)len), pem);
    }
    (void)BIO_free(bio);
    TRY(err);
    memcpy(sha256, hex.data, 64);
    sha256[64] = '\0';
    return OK;
}

static void ssl_ctx_freep(SSL_CTX **context) { SSL_CTX_free(*context); }
static void stream_closep(struct stream *stream) { stream_close(stream); }

err_t http_client_fetch_chain(const char *url, int timeout_ms, char **ca_pem, char sha256[65],
                              struct fault *fault) {
    struct http_url server;
    struct http_url proxy;
    bool has_proxy;
    SSL_CTX *context CLEANUP(ssl_ctx_freep) = SSL_CTX_new(TLS_client_method());
    struct stream stream CLEANUP(stream_closep) = {.fd = -1};
    TRY(http_url_parse(url, &server, fault));
    TRY(http_url_proxy(&server, &has_proxy, &proxy, fault));
    if (context == NULL) {
        return FAIL(ERR_CRYPTO);
    }
    if (!server.tls) {
        return fault_set(fault, ERR_MALFORMED, "url", "%s has no certificate", url);
    }
    struct http_dial dial = {
        .server = &server,
        .proxy = has_proxy ? &proxy : NULL,
        .tls = context,
        .unverified = true,
        .deadline_ms =
            clock_monotonic_ms() + (timeout_ms > 0 ? timeout_ms : HTTP_CLIENT_TIMEOUT_MS),
    };
    TRY(http_dial(&dial, &stream, fault));
    X509 *last;
    TRY(chain_last(stream.ssl, &last));
    return print_cert(last, ca_pem, sha256);
}
