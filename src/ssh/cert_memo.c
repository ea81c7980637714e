#include "ssh/cert_memo.h"

#include "base/limits.h"
#include "ssh/cert_internal.h"
#include "ssh/crypto.h"

struct place {
    bool taken;
    uint8_t digest[CRYPTO_SHA256_BYTES];
};

struct cert_memo {
    struct place places[LIMIT_CERT_MEMO_COUNT];
};

err_t cert_memo_new(struct cert_memo **out) {
    struct cert_memo *memo = calloc(1, sizeof *memo);
    if (memo == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = memo;
    return OK;
}

void cert_memo_free(struct cert_memo *memo) { free(memo); }

void cert_memo_freep(struct cert_memo **memo) { cert_memo_free(*memo); }

/* Where the certificate stands, or would. */
static size_t find(const struct cert *cert, uint8_t digest[CRYPTO_SHA256_BYTES]) {
    crypto_sha256(buf_span(&cert->blob), digest);
    return ((size_t)digest[0] << 8 | digest[1]) % LIMIT_CERT_MEMO_COUNT;
}

static bool is_there(const struct place *place, const uint8_t digest[CRYPTO_SHA256_BYTES]) {
    return place->taken && memcmp(place->digest, digest, CRYPTO_SHA256_BYTES) == 0;
}

bool cert_memo_knows(const struct cert_memo *memo, const struct cert *cert) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    const struct place *place = &memo->places[find(cert, digest)];
    return is_there(place, digest);
}

err_t cert_memo_verify(struct cert_memo *memo, const struct cert *cert) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct place *place = &memo->places[find(cert, digest)];
    if (is_there(place, digest)) {
        return OK;
    }
    TRY(key_verify(cert->ca_key, cert_tbs(cert), cert_signature(cert), NULL));
    place->taken = true;
    memcpy(place->digest, digest, sizeof digest);
    return OK;
}
