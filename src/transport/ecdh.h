/*
 * Diffie-Hellman on the two curves that key exchange uses: X25519 (RFC 7748) and P-256 (SEC 1).
 * Both have private keys and results of 32 bytes.
 */
#ifndef POSTERN_TRANSPORT_ECDH_H
#define POSTERN_TRANSPORT_ECDH_H

#include "transport/kex.h"

enum { ECDH_BYTES = 32, ECDH_SHARE_BYTES_MAX = 65 };

struct ecdh {
    size_t share_len; /* X25519: 32 bytes; P-256: an uncompressed point */
    err_t (*generate)(const struct randomness *random, uint8_t private_key[ECDH_BYTES],
                      uint8_t share[ECDH_SHARE_BYTES_MAX]);
    /* ERR_KEY_INVALID for a share of the wrong length, a point not on the curve, an all-zero
     * result of X25519. */
    err_t (*agree)(const uint8_t private_key[ECDH_BYTES], span_t share, uint8_t result[ECDH_BYTES]);
};

extern const struct ecdh ecdh_x25519, ecdh_p256;

#endif
