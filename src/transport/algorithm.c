#include "transport/algorithm.h"

#include "base/text.h"
#include "ssh/wire.h"

/* What NULL in a configuration means. */
const char transport_default_kex[] = "mlkem768x25519-sha256,curve25519-sha256,"
                                     "curve25519-sha256@libssh.org,ecdh-sha2-nistp256";
const char transport_default_ciphers[] = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
                                         "chacha20-poly1305@openssh.com,aes256-ctr";
const char transport_default_macs[] = "hmac-sha2-256-etm@openssh.com";
static const char default_host_key_algorithms[] =
    "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,"
    "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256";
static const char compressions[] = "none";

const char algorithm_signatures[] =
    "ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,"
    "ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";

static const struct kex_name {
    const char *name;
    enum kex_id id;
} kex_names[] = {
    {"mlkem768x25519-sha256", KEX_MLKEM768_X25519},
    {"curve25519-sha256", KEX_CURVE25519},
    {"curve25519-sha256@libssh.org", KEX_CURVE25519},
    {"ecdh-sha2-nistp256", KEX_ECDH_NISTP256},
};

static const struct cipher_name {
    const char *name;
    enum cipher_id id; /* CIPHER_NONE: the MAC says, which of AEAD ciphers is not agreed on */
} cipher_names[] = {
    {"aes128-gcm@openssh.com", CIPHER_AES128_GCM},
    {"aes256-gcm@openssh.com", CIPHER_AES256_GCM},
    {"chacha20-poly1305@openssh.com", CIPHER_CHACHA20_POLY1305},
    {"aes256-ctr", CIPHER_NONE},
};

static const struct mac_name {
    const char *name;
    enum cipher_id with_aes256_ctr;
} mac_names[] = {
    {"hmac-sha2-256-etm@openssh.com", CIPHER_AES256_CTR_ETM},
    {"hmac-sha2-256", CIPHER_AES256_CTR_HMAC},
};

static const struct host_key_algorithm host_key_algorithms[] = {
    {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", KEY_ED25519, true},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", KEY_ECDSA_256, true},
    {"rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512", KEY_RSA, true},
    {"rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256", KEY_RSA, true},
    {"ssh-ed25519", "ssh-ed25519", KEY_ED25519, false},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", KEY_ECDSA_256, false},
    {"rsa-sha2-512", "rsa-sha2-512", KEY_RSA, false},
    {"rsa-sha2-256", "rsa-sha2-256", KEY_RSA, false},
};

/* --- name-lists --- */

/* Cuts the next name off; false at the end of the list. */
static bool next_name(span_t *list, span_t *name) {
    if (list->len == 0) {
        return false;
    }
    const uint8_t *comma = memchr(list->data, ',', list->len);
    size_t len = comma == NULL ? list->len : (size_t)(comma - list->data);
    size_t cut = comma == NULL ? len : len + 1;
    *name = span_of(list->data, len);
    *list = span_of(list->data + cut, list->len - cut);
    return true;
}

static bool list_has(span_t list, span_t name) {
    span_t other;
    while (next_name(&list, &other)) {
        if (span_equal(name, other)) {
            return true;
        }
    }
    return false;
}

bool algorithm_list_has(span_t list, const char *name) { return list_has(list, span_str(name)); }

/* RFC 4251 sections 5 and 6, which know no empty names. But libssh 0.10 ends its lists of ciphers
 * in a comma, and a name that nothing is called harms nobody. */
static err_t get_list(span_t *from, span_t *out) {
    enum { NAME_CHARS_MAX = 64 };
    span_t list;
    TRY(wire_get_string(from, &list));
    span_t rest = list;
    span_t name;
    while (next_name(&rest, &name)) {
        if (name.len > NAME_CHARS_MAX || !text_is_printable(name)) {
            return FAIL(ERR_MALFORMED);
        }
    }
    *out = list;
    return OK;
}

static const struct kex_name *kex_named(span_t name) {
    for (size_t i = 0; i < COUNT_OF(kex_names); i++) {
        if (span_equal_str(name, kex_names[i].name)) {
            return &kex_names[i];
        }
    }
    return NULL;
}

static const struct cipher_name *cipher_named(span_t name) {
    for (size_t i = 0; i < COUNT_OF(cipher_names); i++) {
        if (span_equal_str(name, cipher_names[i].name)) {
            return &cipher_names[i];
        }
    }
    return NULL;
}

static const struct mac_name *mac_named(span_t name) {
    for (size_t i = 0; i < COUNT_OF(mac_names); i++) {
        if (span_equal_str(name, mac_names[i].name)) {
            return &mac_names[i];
        }
    }
    return NULL;
}

static const struct host_key_algorithm *host_key_algorithm_named(span_t name) {
    for (size_t i = 0; i < COUNT_OF(host_key_algorithms); i++) {
        if (span_equal_str(name, host_key_algorithms[i].name)) {
            return &host_key_algorithms[i];
        }
    }
    return NULL;
}

/* --- the configuration --- */

static span_t kex_of(const struct transport_config *config) {
    return span_str(config->kex != NULL ? config->kex : transport_default_kex);
}

static span_t ciphers_of(const struct transport_config *config) {
    return span_str(config->ciphers != NULL ? config->ciphers : transport_default_ciphers);
}

static span_t macs_of(const struct transport_config *config) {
    return span_str(config->macs != NULL ? config->macs : transport_default_macs);
}

static span_t host_key_algorithms_of(const struct transport_config *config) {
    return span_str(config->host_key_algorithms != NULL ? config->host_key_algorithms
                                                        : default_host_key_algorithms);
}

/* The server's first key that serves the algorithm, or NULL. */
static const struct transport_host_key *find_host_key(const struct transport_config *config,
                                                      const struct host_key_algorithm *algorithm) {
    for (size_t i = 0; i < config->host_key_count; i++) {
        const struct transport_host_key *host_key = &config->host_keys[i];
        if (key_type(host_key->key) == algorithm->type &&
            (!algorithm->certificate || host_key->cert != NULL)) {
            return host_key;
        }
    }
    return NULL;
}

static bool offers_host_key(const struct transport_config *config, span_t name) {
    const struct host_key_algorithm *algorithm = host_key_algorithm_named(name);
    return algorithm != NULL &&
           (config->role == TRANSPORT_CLIENT || find_host_key(config, algorithm) != NULL);
}

static bool is_kex(const struct transport_config *config, span_t name) {
    (void)config;
    return kex_named(name) != NULL;
}

static bool is_cipher(const struct transport_config *config, span_t name) {
    (void)config;
    return cipher_named(name) != NULL;
}

static bool is_mac(const struct transport_config *config, span_t name) {
    (void)config;
    return mac_named(name) != NULL;
}

static err_t check_list(const struct transport_config *config, const char *field, span_t list,
                        bool (*serves)(const struct transport_config *, span_t),
                        struct fault *fault) {
    span_t name;
    if (list.len == 0 || list.data[list.len - 1] == ',') {
        return fault_set(fault, ERR_UNSUPPORTED, field, "ends without a name");
    }
    while (next_name(&list, &name)) {
        if (!serves(config, name)) {
            return fault_set(fault, ERR_UNSUPPORTED, field, "\"%.*s\" %s", (int)name.len,
                             (const char *)name.data,
                             serves == offers_host_key ? "is not known, or no host key is for it"
                                                       : "is not known");
        }
    }
    return OK;
}

err_t transport_config_check(const struct transport_config *config, struct fault *fault) {
    TRY(check_list(config, "kex", kex_of(config), is_kex, fault));
    TRY(check_list(config, "ciphers", ciphers_of(config), is_cipher, fault));
    TRY(check_list(config, "macs", macs_of(config), is_mac, fault));
    if (config->host_key_algorithms != NULL) {
        return check_list(config, "host_key_algorithms", host_key_algorithms_of(config),
                          offers_host_key, fault);
    }
    for (size_t i = 0; i < COUNT_OF(host_key_algorithms); i++) {
        if (offers_host_key(config, span_str(host_key_algorithms[i].name))) {
            return OK;
        }
    }
    return fault_set(fault, ERR_UNSUPPORTED, "host_key_algorithms",
                     "no host key is of a type that can be offered");
}

/* --- KEXINIT --- */

static err_t put_kex_list(const struct transport_config *config, bool is_first, struct buf *to) {
    bool is_client = config->role == TRANSPORT_CLIENT;
    size_t mark;
    TRY(wire_string_begin(to, &mark));
    TRY(buf_add(to, kex_of(config)));
    if (is_first && is_client) {
        TRY(buf_add_str(to, "," ALGORITHM_EXT_INFO_CLIENT "," ALGORITHM_STRICT_CLIENT));
    } else if (is_first) {
        TRY(buf_add_str(to, "," ALGORITHM_STRICT_SERVER));
    }
    wire_string_end(to, mark);
    return OK;
}

static err_t put_host_key_list(const struct transport_config *config, struct buf *to) {
    span_t list = host_key_algorithms_of(config);
    span_t name;
    size_t mark;
    TRY(wire_string_begin(to, &mark));
    while (next_name(&list, &name)) {
        if (offers_host_key(config, name)) {
            if (to->len > mark) {
                TRY(buf_add_byte(to, ','));
            }
            TRY(buf_add(to, name));
        }
    }
    wire_string_end(to, mark);
    return OK;
}

err_t algorithm_put_kexinit(const struct transport_config *config, bool is_first, struct buf *to) {
    uint8_t *cookie;
    TRY(wire_put_u8(to, MSG_KEXINIT));
    TRY(buf_extend(to, KEXINIT_COOKIE_BYTES, &cookie));
    config->random.fill(config->random.context, cookie, KEXINIT_COOKIE_BYTES);
    TRY(put_kex_list(config, is_first, to));
    TRY(put_host_key_list(config, to));
    TRY(wire_put_string(to, ciphers_of(config)));
    TRY(wire_put_string(to, ciphers_of(config)));
    TRY(wire_put_string(to, macs_of(config)));
    TRY(wire_put_string(to, macs_of(config)));
    TRY(wire_put_text(to, compressions));
    TRY(wire_put_text(to, compressions));
    TRY(wire_put_text(to, ""));
    TRY(wire_put_text(to, ""));
    TRY(wire_put_bool(to, false));
    return wire_put_u32(to, 0);
}

err_t algorithm_get_kexinit(span_t message, struct kexinit *out) {
    struct kexinit kexinit = {0};
    span_t cookie;
    uint8_t number;
    uint32_t reserved;
    if (message.len > LIMIT_KEXINIT_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(wire_get_u8(&message, &number));
    TRY(wire_get_bytes(&message, KEXINIT_COOKIE_BYTES, &cookie));
    for (size_t i = 0; i < KEXINIT_LISTS_COUNT; i++) {
        TRY(get_list(&message, &kexinit.lists[i]));
    }
    TRY(wire_get_bool(&message, &kexinit.first_packet_follows));
    TRY(wire_get_u32(&message, &reserved));
    TRY(wire_expect_end(message));
    *out = kexinit;
    return OK;
}

/* --- what two of them agree on --- */

struct pair {
    const struct kexinit *client, *server;
};

/* The client's first name that the server has as well. One of the two lists is ours, but what
 * stands in ours need not be an algorithm: the callers look it up. */
static span_t agree_on(const struct pair *pair, enum kexinit_list which) {
    span_t list = pair->client->lists[which];
    span_t name;
    while (next_name(&list, &name)) {
        if (list_has(pair->server->lists[which], name)) {
            return name;
        }
    }
    return span_of(NULL, 0);
}

static bool same_first(const struct pair *pair, enum kexinit_list which) {
    span_t client = pair->client->lists[which];
    span_t server = pair->server->lists[which];
    span_t a;
    span_t b;
    return next_name(&client, &a) && next_name(&server, &b) && span_equal(a, b);
}

struct agreed_cipher {
    enum cipher_id id;
    const char *name;
};

static err_t agree_on_cipher(const struct pair *pair, bool from_client, struct agreed_cipher *out,
                             const char **lacking) {
    const struct cipher_name *cipher =
        cipher_named(agree_on(pair, from_client ? LIST_CIPHER_C2S : LIST_CIPHER_S2C));
    if (cipher == NULL) {
        *lacking = "no matching cipher";
        return FAIL(ERR_UNSUPPORTED);
    }
    enum cipher_id id = cipher->id;
    if (id == CIPHER_NONE) {
        const struct mac_name *mac =
            mac_named(agree_on(pair, from_client ? LIST_MAC_C2S : LIST_MAC_S2C));
        if (mac == NULL) {
            *lacking = "no matching MAC";
            return FAIL(ERR_UNSUPPORTED);
        }
        id = mac->with_aes256_ctr;
    }
    if (agree_on(pair, from_client ? LIST_COMPRESSION_C2S : LIST_COMPRESSION_S2C).len == 0) {
        *lacking = "no matching compression method";
        return FAIL(ERR_UNSUPPORTED);
    }
    *out = (struct agreed_cipher){id, cipher->name};
    return OK;
}

err_t algorithm_agree(const struct transport_config *config, const struct kexinit *client,
                      const struct kexinit *server, struct agreement *out, const char **lacking) {
    struct pair pair = {client, server};
    const struct kex_name *kex = kex_named(agree_on(&pair, LIST_KEX));
    const struct host_key_algorithm *host_key =
        host_key_algorithm_named(agree_on(&pair, LIST_HOST_KEY));
    struct agreed_cipher c2s;
    struct agreed_cipher s2c;
    if (kex == NULL || host_key == NULL) {
        *lacking =
            kex == NULL ? "no matching key exchange method" : "no matching host key algorithm";
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(agree_on_cipher(&pair, true, &c2s, lacking));
    TRY(agree_on_cipher(&pair, false, &s2c, lacking));
    *out = (struct agreement){
        .kex = kex->id,
        .kex_name = kex->name,
        .cipher_c2s = c2s.id,
        .cipher_c2s_name = c2s.name,
        .cipher_s2c = s2c.id,
        .cipher_s2c_name = s2c.name,
        .host_key_algorithm = host_key,
        .host_key = config->role == TRANSPORT_SERVER ? find_host_key(config, host_key) : NULL,
        .guess_is_right = same_first(&pair, LIST_KEX) && same_first(&pair, LIST_HOST_KEY),
    };
    return OK;
}
