/*
 * Key exchange methods: mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex),
 * curve25519-sha256 (RFC 8731), ecdh-sha2-nistp256 (RFC 5656), and the derivation of keys
 * (RFC 4253 section 7.2). The exchange of messages is exchange.c's.
 */
#ifndef POSTERN_TRANSPORT_KEX_H
#define POSTERN_TRANSPORT_KEX_H

#include "base/err.h"
#include "base/span.h"
#include "ssh/crypto.h"

enum kex_id {
    KEX_NONE,
    KEX_MLKEM768_X25519,
    KEX_CURVE25519, /* also under its older name curve25519-sha256@libssh.org */
    KEX_ECDH_NISTP256,
};

/* Where random bytes come from: the kernel in programs, a seeded stream in tests and fuzzers. */
struct randomness {
    void (*fill)(void *context, void *out, size_t len);
    void *context;
};
/* base/random.h as a struct randomness. */
extern const struct randomness randomness_of_kernel;

enum { KEX_SHARE_BYTES_MAX = 1184 + 32, KEX_SECRET_BYTES_MAX = 40 };

/* The shared secret K as it goes into the exchange hash and the derivation: an mpint, or for the
 * hybrid a string. Wiped by whoever holds it. */
struct kex_secret {
    uint8_t encoded[KEX_SECRET_BYTES_MAX];
    size_t len;
};

/* SHA-256 for all of them today. */
enum crypto_hash kex_hash(enum kex_id id);

/* The client's first step: its share (Q_C, or C_INIT for the hybrid) is appended to *share. */
struct kex_client;
err_t kex_client_begin(enum kex_id id, const struct randomness *random, struct kex_client **out,
                       struct buf *share);
/* ERR_KEY_INVALID for a share of the wrong length, a point not on the curve, or an all-zero X25519
 * result (RFC 8731 section 3). */
err_t kex_client_finish(const struct kex_client *client, span_t server_share,
                        struct kex_secret *secret);
void kex_client_free(struct kex_client *client); /* wipes; takes NULL */
void kex_client_freep(struct kex_client **client);

/* The server's only step. Errors as kex_client_finish(); an ML-KEM encapsulation key is checked as
 * FIPS 203 section 7.2 demands. */
err_t kex_server(enum kex_id id, const struct randomness *random, span_t client_share,
                 struct buf *share, struct kex_secret *secret);

/*
 * HASH(K || H || letter || session_id), extended until `len` bytes are there. letter is 'A'–'F' of
 * RFC 4253 section 7.2.
 */
void kex_derive(enum crypto_hash hash, const struct kex_secret *secret, span_t exchange_hash,
                char letter, span_t session_id, uint8_t *out, size_t len);

#endif
