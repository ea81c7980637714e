#include "transport/exchange.h"

#include "base/secret.h"
#include "ssh/wire.h"

enum {
    /* Room for what is usual, so that the buffers do not grow step by step. */
    KEXINIT_BYTES_USUAL = 1024,
    TRANSCRIPT_BYTES_USUAL = 8 * 1024,
    TRANSCRIPT_BYTES_MAX = 2 * LIMIT_KEXINIT_BYTES + 2 * LIMIT_CERT_BLOB_BYTES,
};

static err_t reserve(struct buf *buf, size_t len) {
    uint8_t *ignored;
    TRY(buf_extend(buf, len, &ignored));
    buf_clear(buf);
    return OK;
}

err_t exchange_new(const struct transport_config *config, bool is_first, struct exchange **out) {
    struct exchange *exchange CLEANUP(exchange_freep) = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return FAIL(ERR_MEMORY);
    }
    exchange->config = config;
    exchange->is_first = is_first;
    buf_init(&exchange->kexinit, LIMIT_KEXINIT_BYTES);
    buf_init(&exchange->transcript, TRANSCRIPT_BYTES_MAX);
    buf_init(&exchange->share, KEX_SHARE_BYTES_MAX);
    TRY(reserve(&exchange->kexinit, KEXINIT_BYTES_USUAL));
    TRY(algorithm_put_kexinit(config, is_first, &exchange->kexinit));
    *out = TAKE(exchange);
    return OK;
}

void exchange_free(struct exchange *exchange) {
    if (exchange != NULL) {
        buf_done(&exchange->kexinit);
        buf_done(&exchange->transcript);
        buf_done(&exchange->share);
        kex_client_free(exchange->kex);
        cipher_free(exchange->in);
        cipher_free(exchange->out);
        key_free(exchange->key);
        cert_free(exchange->cert);
        secret_wipe(exchange, sizeof *exchange);
        free(exchange);
    }
}

void exchange_freep(struct exchange **exchange) { exchange_free(*exchange); }

static bool is_client(const struct exchange *exchange) {
    return exchange->config->role == TRANSPORT_CLIENT;
}

/* --- KEXINIT --- */

static err_t put_our_version(struct exchange *exchange) {
    size_t mark;
    TRY(wire_string_begin(&exchange->transcript, &mark));
    TRY(buf_add_str(&exchange->transcript, EXCHANGE_VERSION_PREFIX));
    TRY(buf_add_str(&exchange->transcript, exchange->config->software));
    wire_string_end(&exchange->transcript, mark);
    return OK;
}

/* What is known by now of what will be hashed. */
static err_t begin_transcript(struct exchange *exchange, span_t peer_kexinit,
                              const char *peer_version) {
    struct buf *transcript = &exchange->transcript;
    TRY(reserve(transcript, TRANSCRIPT_BYTES_USUAL));
    if (is_client(exchange)) {
        TRY(put_our_version(exchange));
        TRY(wire_put_text(transcript, peer_version));
        TRY(wire_put_string(transcript, buf_span(&exchange->kexinit)));
        return wire_put_string(transcript, peer_kexinit);
    }
    TRY(wire_put_text(transcript, peer_version));
    TRY(put_our_version(exchange));
    TRY(wire_put_string(transcript, peer_kexinit));
    return wire_put_string(transcript, buf_span(&exchange->kexinit));
}

err_t exchange_agree(struct exchange *exchange, span_t message, const char *peer_version,
                     const char **lacking) {
    struct kexinit ours;
    struct kexinit peers;
    TRY(algorithm_get_kexinit(message, &peers));
    TRY(algorithm_get_kexinit(buf_span(&exchange->kexinit), &ours));
    bool client = is_client(exchange);
    TRY(algorithm_agree(exchange->config, client ? &ours : &peers, client ? &peers : &ours,
                        &exchange->agreed, lacking));
    TRY(begin_transcript(exchange, message, peer_version));
    span_t list = peers.lists[LIST_KEX];
    exchange->drops_next = peers.first_packet_follows && !exchange->agreed.guess_is_right;
    exchange->peer_is_strict =
        algorithm_list_has(list, client ? ALGORITHM_STRICT_SERVER : ALGORITHM_STRICT_CLIENT);
    exchange->peer_takes_ext_info = !client && algorithm_list_has(list, ALGORITHM_EXT_INFO_CLIENT);
    exchange->has_agreed = true;
    buf_done(&exchange->kexinit);
    return OK;
}

/* --- the hash and the keys --- */

static err_t finish_hash(struct exchange *exchange, span_t host_key, span_t client_share,
                         span_t server_share, const struct kex_secret *secret) {
    struct buf *transcript = &exchange->transcript;
    TRY(wire_put_string(transcript, host_key));
    TRY(wire_put_string(transcript, client_share));
    TRY(wire_put_string(transcript, server_share));
    TRY(buf_add(transcript, span_of(secret->encoded, secret->len)));
    unsigned len = 0;
    if (EVP_Digest(transcript->data, transcript->len, exchange->hash, &len,
                   crypto_md(kex_hash(exchange->agreed.kex)), NULL) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    exchange->hash_len = len;
    buf_done(transcript);
    return OK;
}

/* RFC 4253 section 7.2: letters for IV, key and MAC key of each direction. */
static err_t derive(const struct exchange *exchange, const struct kex_secret *secret,
                    span_t session_id, bool from_client, struct cipher **out) {
    const char *letters = from_client ? "ACE" : "BDF";
    enum cipher_id id = from_client ? exchange->agreed.cipher_c2s : exchange->agreed.cipher_s2c;
    enum crypto_hash md = kex_hash(exchange->agreed.kex);
    span_t hash = span_of(exchange->hash, exchange->hash_len);
    struct {
        uint8_t iv[CIPHER_IV_BYTES_MAX], key[CIPHER_KEY_BYTES_MAX], mac[CIPHER_MAC_KEY_BYTES_MAX];
    } secrets;
    kex_derive(md, secret, hash, letters[0], session_id, secrets.iv, cipher_iv_bytes(id));
    kex_derive(md, secret, hash, letters[1], session_id, secrets.key, cipher_key_bytes(id));
    kex_derive(md, secret, hash, letters[2], session_id, secrets.mac, cipher_mac_key_bytes(id));
    err_t err = cipher_new(id, from_client == is_client(exchange), secrets.key, secrets.iv,
                           secrets.mac, out);
    secret_wipe(&secrets, sizeof secrets);
    return err;
}

static err_t derive_both(struct exchange *exchange, const struct kex_secret *secret,
                         span_t session_id) {
    if (exchange->is_first) {
        session_id = span_of(exchange->hash, exchange->hash_len);
    }
    bool client = is_client(exchange);
    TRY(derive(exchange, secret, session_id, client, &exchange->out));
    return derive(exchange, secret, session_id, !client, &exchange->in);
}

static void wipe_secret(struct kex_secret *secret) { secret_wipe(secret, sizeof *secret); }

/* --- the server --- */

/* K_S */
static span_t shown_host_key(const struct exchange *exchange) {
    const struct transport_host_key *host_key = exchange->agreed.host_key;
    return exchange->agreed.host_key_algorithm->certificate ? buf_span(&host_key->cert->blob)
                                                            : key_blob(host_key->key);
}

err_t exchange_take_init(struct exchange *exchange, span_t message, span_t session_id) {
    struct kex_secret secret CLEANUP(wipe_secret) = {0};
    uint8_t number;
    span_t client_share;
    TRY(wire_get_u8(&message, &number));
    TRY(wire_get_string(&message, &client_share));
    TRY(wire_expect_end(message));
    TRY(kex_server(exchange->agreed.kex, &exchange->config->random, client_share, &exchange->share,
                   &secret));
    TRY(finish_hash(exchange, shown_host_key(exchange), client_share, buf_span(&exchange->share),
                    &secret));
    return derive_both(exchange, &secret, session_id);
}

/* The name that the signature bears must be what was agreed on. */
static err_t check_signature_name(const struct exchange *exchange, span_t signature) {
    span_t name;
    return !failed(wire_get_string(&signature, &name)) &&
                   span_equal_str(name, exchange->agreed.host_key_algorithm->signature)
               ? OK
               : FAIL(ERR_SIGNATURE);
}

err_t exchange_put_reply(const struct exchange *exchange, span_t signature, struct buf *message) {
    TRY(check_signature_name(exchange, signature));
    TRY(wire_put_u8(message, MSG_KEX_REPLY));
    TRY(wire_put_string(message, shown_host_key(exchange)));
    TRY(wire_put_string(message, buf_span(&exchange->share)));
    return wire_put_string(message, signature);
}

/* --- the client --- */

err_t exchange_put_init(struct exchange *exchange, struct buf *message) {
    TRY(kex_client_begin(exchange->agreed.kex, &exchange->config->random, &exchange->kex,
                         &exchange->share));
    TRY(wire_put_u8(message, MSG_KEX_INIT));
    return wire_put_string(message, buf_span(&exchange->share));
}

/* Just of the kind that was agreed on. */
static err_t take_host_key(struct exchange *exchange, span_t blob) {
    const struct host_key_algorithm *algorithm = exchange->agreed.host_key_algorithm;
    if (algorithm->certificate) {
        TRY(cert_parse(blob, &exchange->cert));
    } else {
        TRY(key_parse(blob, &exchange->key));
    }
    const struct key *key = exchange->cert != NULL ? exchange->cert->key : exchange->key;
    return key_type(key) == algorithm->type ? OK : FAIL(ERR_KEY_TYPE);
}

err_t exchange_take_reply(struct exchange *exchange, span_t message, span_t session_id) {
    struct kex_secret secret CLEANUP(wipe_secret) = {0};
    uint8_t number;
    span_t host_key;
    span_t server_share;
    span_t signature;
    TRY(wire_get_u8(&message, &number));
    TRY(wire_get_string(&message, &host_key));
    TRY(wire_get_string(&message, &server_share));
    TRY(wire_get_string(&message, &signature));
    TRY(wire_expect_end(message));
    TRY(take_host_key(exchange, host_key));
    TRY(check_signature_name(exchange, signature));
    TRY(kex_client_finish(exchange->kex, server_share, &secret));
    TRY(finish_hash(exchange, host_key, buf_span(&exchange->share), server_share, &secret));
    const struct key *key = exchange->cert != NULL ? exchange->cert->key : exchange->key;
    TRY(key_verify(key, span_of(exchange->hash, exchange->hash_len), signature, NULL));
    return derive_both(exchange, &secret, session_id);
}
