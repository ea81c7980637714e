#include "net/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>

/* AEAD with forward secrecy alone; TLS 1.3 has nothing else. */
static const char tls12_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

static void ssl_ctx_freep(SSL_CTX **context) { SSL_CTX_free(*context); }
static void bio_freep(BIO **bio) { (void)BIO_free(*bio); }
static void x509_freep(X509 **x509) { X509_free(*x509); }

static err_t context_new(const SSL_METHOD *method, SSL_CTX **out) {
    SSL_CTX *context CLEANUP(ssl_ctx_freep) = SSL_CTX_new(method);
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, tls12_ciphers) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    /* One read() a record instead of one for its header and one for the rest. */
    SSL_CTX_set_read_ahead(context, 1);
    *out = TAKE(context);
    return OK;
}

/* OpenSSL's latest reason, or errno's when it was the system that refused. */
static err_t file_fault(const char *path, struct fault *fault) {
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);
    if (ERR_SYSTEM_ERROR(code)) {
        int errnum = ERR_GET_REASON(code);
        ERR_clear_error();
        return fault_set(fault, err_from_errno(errnum).code, path, "cannot read %s: %s", path,
                         strerror(errnum));
    }
    ERR_clear_error();
    return fault_set(fault, ERR_MALFORMED, path, "cannot use %s: %s", path,
                     reason == NULL ? "it is not PEM" : reason);
}

err_t tls_server_context(const char *cert_file, const char *key_file, struct ssl_ctx_st **out,
                         struct fault *fault) {
    SSL_CTX *context CLEANUP(ssl_ctx_freep) = NULL;
    TRY(context_new(TLS_server_method(), &context));
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1) {
        return file_fault(cert_file, fault);
    }
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return file_fault(key_file, fault);
    }
    (void)SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Resumption by tickets alone: nothing is kept here for clients that may never come back. */
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(context, 1) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    *out = TAKE(context);
    return OK;
}

static err_t add_trusted(SSL_CTX *context, const char *ca_pem, struct fault *fault) {
    BIO *bio CLEANUP(bio_freep) = BIO_new_mem_buf(ca_pem, -1);
    if (bio == NULL) {
        return FAIL(ERR_MEMORY);
    }
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t count = 0;
    for (;; count++) {
        X509 *x509 CLEANUP(x509_freep) = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (x509 == NULL) {
            break;
        }
        if (X509_STORE_add_cert(store, x509) != 1) {
            return FAIL(ERR_MEMORY);
        }
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (count == 0 || !at_end) {
        return fault_set(fault, ERR_MALFORMED, "ca", "the CA certificates are not PEM");
    }
    /* The certificate given is trusted as it is, also when it is a server's own. */
    (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return OK;
}

err_t tls_client_context(const char *ca_pem, struct ssl_ctx_st **out, struct fault *fault) {
    SSL_CTX *context CLEANUP(ssl_ctx_freep) = NULL;
    TRY(context_new(TLS_client_method(), &context));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (ca_pem != NULL) {
        TRY(add_trusted(context, ca_pem, fault));
    } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
        return fault_set(fault, ERR_CRYPTO, "ca", "the system's trusted CAs cannot be loaded");
    }
    *out = TAKE(context);
    return OK;
}

err_t tls_binding(struct ssl_st *ssl, enum tls_side side, struct buf *out) {
    X509 *x509 = side == TLS_SERVER ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int digest = NID_undef;
    if (x509 == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    /* The hash of the certificate's own signature; SHA-256 in place of MD5 and SHA-1. Of signatures
     * that have none (Ed25519) the RFC says nothing; others take SHA-256 there as well. */
    (void)X509_get_signature_info(x509, &digest, NULL, NULL, NULL);
    bool weak = digest == NID_undef || digest == NID_md5 || digest == NID_sha1;
    const EVP_MD *kind = weak ? EVP_sha256() : EVP_get_digestbynid(digest);
    if (kind == NULL || X509_digest(x509, kind, hash, &len) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    TRY(buf_add_str(out, "tls-server-end-point:"));
    return buf_add(out, span_of(hash, len));
}
