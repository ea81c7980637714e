#include "transport/kex.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/random.h"
#include "base/secret.h"
#include "ssh/wire.h"
#include "transport/ecdh.h"
#include "transport/mlkem.h"

static void fill_from_kernel(void *context, void *out, size_t len) {
    (void)context;
    random_bytes(out, len);
}

const struct randomness randomness_of_kernel = {fill_from_kernel, NULL};

enum crypto_hash kex_hash(enum kex_id id) {
    INVARIANT(id != KEX_NONE);
    return CRYPTO_SHA256;
}

static const struct ecdh *ecdh_of(enum kex_id id) {
    INVARIANT(id != KEX_NONE);
    return id == KEX_ECDH_NISTP256 ? &ecdh_p256 : &ecdh_x25519;
}

static void set_secret(const struct buf *encoded, struct kex_secret *secret) {
    memcpy(secret->encoded, encoded->data, encoded->len);
    secret->len = encoded->len;
}

/* K is the number, big-endian (RFC 8731 section 3.1, RFC 5656 section 4). */
static err_t encode_number(const uint8_t number[ECDH_BYTES], struct kex_secret *secret) {
    struct buf encoded CLEANUP(buf_done) = BUF(KEX_SECRET_BYTES_MAX);
    TRY(wire_put_mpint(&encoded, span_of(number, ECDH_BYTES)));
    set_secret(&encoded, secret);
    return OK;
}

/* What a side of the hybrid comes to: K is HASH(K_PQ || K_CL) as a string. */
struct hybrid {
    uint8_t pq[MLKEM768_SECRET_BYTES];
    uint8_t classical[ECDH_BYTES];
};

static err_t encode_hybrid(const struct hybrid *hybrid, struct kex_secret *secret) {
    static_assert(sizeof *hybrid == MLKEM768_SECRET_BYTES + ECDH_BYTES, "one after the other");
    uint8_t hash[CRYPTO_SHA256_BYTES];
    crypto_sha256(span_of(hybrid, sizeof *hybrid), hash);
    struct buf encoded CLEANUP(buf_done) = BUF(KEX_SECRET_BYTES_MAX);
    err_t err = wire_put_string(&encoded, span_of(hash, sizeof hash));
    secret_wipe(hash, sizeof hash);
    TRY(err);
    set_secret(&encoded, secret);
    return OK;
}

static void hybrid_wipe(struct hybrid *hybrid) { secret_wipe(hybrid, sizeof *hybrid); }

/* The shares of the hybrid: ML-KEM's part and, behind it, X25519's. */
static err_t split_share(span_t share, size_t pq_len, span_t *pq, span_t *classical) {
    if (share.len != pq_len + ecdh_x25519.share_len) {
        return FAIL(ERR_KEY_INVALID);
    }
    *pq = span_of(share.data, pq_len);
    *classical = span_of(share.data + pq_len, ecdh_x25519.share_len);
    return OK;
}

/* --- the client --- */

struct kex_client {
    enum kex_id id;
    uint8_t ecdh[ECDH_BYTES];
    uint8_t mlkem[MLKEM768_PRIVATE_BYTES]; /* of the hybrid */
};

static err_t client_mlkem(const struct randomness *random, struct kex_client *client,
                          struct buf *share) {
    uint8_t seed[MLKEM768_KEYGEN_SEED_BYTES];
    uint8_t public_key[MLKEM768_PUBLIC_BYTES];
    random->fill(random->context, seed, sizeof seed);
    err_t err = mlkem768_keygen(seed, public_key, client->mlkem);
    secret_wipe(seed, sizeof seed);
    TRY(err);
    return buf_add(share, span_of(public_key, sizeof public_key));
}

err_t kex_client_begin(enum kex_id id, const struct randomness *random, struct kex_client **out,
                       struct buf *share) {
    struct kex_client *client CLEANUP(kex_client_freep) = calloc(1, sizeof *client);
    if (client == NULL) {
        return FAIL(ERR_MEMORY);
    }
    client->id = id;
    struct buf made CLEANUP(buf_done) = BUF(KEX_SHARE_BYTES_MAX);
    if (id == KEX_MLKEM768_X25519) {
        TRY(client_mlkem(random, client, &made));
    }
    uint8_t point[ECDH_SHARE_BYTES_MAX];
    TRY(ecdh_of(id)->generate(random, client->ecdh, point));
    TRY(buf_add(&made, span_of(point, ecdh_of(id)->share_len)));
    TRY(buf_add(share, buf_span(&made)));
    *out = TAKE(client);
    return OK;
}

static err_t finish_hybrid(const struct kex_client *client, span_t server_share,
                           struct kex_secret *secret) {
    span_t ciphertext;
    span_t point;
    TRY(split_share(server_share, MLKEM768_CIPHERTEXT_BYTES, &ciphertext, &point));
    struct hybrid hybrid CLEANUP(hybrid_wipe);
    TRY(ecdh_x25519.agree(client->ecdh, point, hybrid.classical));
    TRY(mlkem768_decaps(client->mlkem, ciphertext.data, hybrid.pq));
    return encode_hybrid(&hybrid, secret);
}

err_t kex_client_finish(const struct kex_client *client, span_t server_share,
                        struct kex_secret *secret) {
    if (client->id == KEX_MLKEM768_X25519) {
        return finish_hybrid(client, server_share, secret);
    }
    uint8_t number[ECDH_BYTES];
    TRY(ecdh_of(client->id)->agree(client->ecdh, server_share, number));
    err_t err = encode_number(number, secret);
    secret_wipe(number, sizeof number);
    return err;
}

void kex_client_free(struct kex_client *client) {
    if (client != NULL) {
        secret_wipe(client, sizeof *client);
        free(client);
    }
}

void kex_client_freep(struct kex_client **client) { kex_client_free(*client); }

/* --- the server --- */

/* Our point, and what it and the client's come to. */
static err_t server_ecdh(const struct ecdh *ecdh, const struct randomness *random, span_t peer,
                         uint8_t point[ECDH_SHARE_BYTES_MAX], uint8_t number[ECDH_BYTES]) {
    uint8_t private_key[ECDH_BYTES];
    err_t err = ecdh->generate(random, private_key, point);
    if (!failed(err)) {
        err = ecdh->agree(private_key, peer, number);
    }
    secret_wipe(private_key, sizeof private_key);
    return err;
}

static err_t server_hybrid(const struct randomness *random, span_t client_share, struct buf *share,
                           struct kex_secret *secret) {
    span_t public_key;
    span_t peer;
    TRY(split_share(client_share, MLKEM768_PUBLIC_BYTES, &public_key, &peer));
    struct hybrid hybrid CLEANUP(hybrid_wipe);
    uint8_t reply[MLKEM768_CIPHERTEXT_BYTES + ECDH_SHARE_BYTES_MAX];
    TRY(server_ecdh(&ecdh_x25519, random, peer, reply + MLKEM768_CIPHERTEXT_BYTES,
                    hybrid.classical));
    uint8_t seed[MLKEM768_ENCAPS_SEED_BYTES];
    random->fill(random->context, seed, sizeof seed);
    err_t err = mlkem768_encaps(public_key.data, seed, reply, hybrid.pq);
    secret_wipe(seed, sizeof seed);
    TRY(err);
    struct kex_secret made;
    TRY(encode_hybrid(&hybrid, &made));
    err = buf_add(share, span_of(reply, MLKEM768_CIPHERTEXT_BYTES + ecdh_x25519.share_len));
    if (!failed(err)) {
        *secret = made;
    }
    secret_wipe(&made, sizeof made);
    return err;
}

static err_t server_plain(const struct ecdh *ecdh, const struct randomness *random,
                          span_t client_share, struct buf *share, struct kex_secret *secret) {
    uint8_t point[ECDH_SHARE_BYTES_MAX];
    uint8_t number[ECDH_BYTES];
    TRY(server_ecdh(ecdh, random, client_share, point, number));
    struct kex_secret made;
    err_t err = encode_number(number, &made);
    secret_wipe(number, sizeof number);
    TRY(err);
    err = buf_add(share, span_of(point, ecdh->share_len));
    if (!failed(err)) {
        *secret = made;
    }
    secret_wipe(&made, sizeof made);
    return err;
}

err_t kex_server(enum kex_id id, const struct randomness *random, span_t client_share,
                 struct buf *share, struct kex_secret *secret) {
    if (id == KEX_MLKEM768_X25519) {
        return server_hybrid(random, client_share, share, secret);
    }
    return server_plain(ecdh_of(id), random, client_share, share, secret);
}

/* --- keys --- */

/* HASH(K || H || more), where `more` is the letter and the session id, or what was derived before.
 */
static void derive_block(enum crypto_hash hash, const struct kex_secret *secret,
                         span_t exchange_hash, span_t first, span_t second,
                         uint8_t out[EVP_MAX_MD_SIZE]) {
    EVP_MD_CTX *context CLEANUP(crypto_md_ctx_freep) = EVP_MD_CTX_new();
    INVARIANT(context != NULL && EVP_DigestInit_ex2(context, crypto_md(hash), NULL) == 1 &&
              EVP_DigestUpdate(context, secret->encoded, secret->len) == 1 &&
              EVP_DigestUpdate(context, exchange_hash.data, exchange_hash.len) == 1 &&
              EVP_DigestUpdate(context, first.data, first.len) == 1 &&
              EVP_DigestUpdate(context, second.data, second.len) == 1 &&
              EVP_DigestFinal_ex(context, out, NULL) == 1);
}

void kex_derive(enum crypto_hash hash, const struct kex_secret *secret, span_t exchange_hash,
                char letter, span_t session_id, uint8_t *out, size_t len) {
    size_t step = (size_t)EVP_MD_get_size(crypto_md(hash));
    uint8_t block[EVP_MAX_MD_SIZE];
    for (size_t done = 0; done < len; done += step) {
        span_t first = done == 0 ? span_of(&letter, 1) : span_of(out, done);
        derive_block(hash, secret, exchange_hash, first, done == 0 ? session_id : (span_t){0},
                     block);
        memcpy(out + done, block, len - done < step ? len - done : step);
    }
    secret_wipe(block, sizeof block);
}
