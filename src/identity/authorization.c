#include "identity/authorization.h"

#include <sodium.h>
#include <stdio.h>

#include "base/text.h"

enum { FAMILY_BYTES = 16, EXPIRED_KEPT_S = 60, VERIFIER_CHARS_MIN = 43, VERIFIER_CHARS_MAX = 128 };

/* RFC 8628 section 6.1: consonants without Y, so that no word comes of them. 20^8 of them, and who
 * tries is throttled. */
static const char user_code_letters[] = "BCDFGHJKLMNPQRSTVWXZ";
enum { USER_CODE_LETTERS = 8 };

enum kind { KIND_FREE, KIND_CODE, KIND_DEVICE };
enum state { STATE_WAITING, STATE_APPROVED, STATE_DENIED, STATE_USED };

struct entry {
    enum kind kind;
    enum state state;
    char hash[HASH_CHARS];
    char user_code[AUTHORIZATION_USER_CODE_CHARS];
    int64_t expires_at;
    int64_t interval_s, polled_at;
    struct authorization authorization;
};

struct authorizations {
    struct entry entries[LIMIT_AUTHORIZATIONS_COUNT];
};

err_t authorizations_new(struct authorizations **out) {
    *out = calloc(1, sizeof **out);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

void authorizations_free(struct authorizations *table) { free(table); }

/* What expired is kept for a moment, for its device to be told so. */
static bool is_gone(const struct entry *entry, int64_t now) {
    return entry->kind == KIND_FREE || entry->expires_at + EXPIRED_KEPT_S <= now;
}

/* A free place, else the oldest grant that nobody has approved. */
static struct entry *place(struct authorizations *table, int64_t now) {
    struct entry *oldest = NULL;
    for (size_t i = 0; i < COUNT_OF(table->entries); i++) {
        struct entry *entry = &table->entries[i];
        if (is_gone(entry, now)) {
            return entry;
        }
        if (entry->kind == KIND_DEVICE && entry->state == STATE_WAITING &&
            (oldest == NULL || entry->expires_at < oldest->expires_at)) {
            oldest = entry;
        }
    }
    return oldest;
}

static struct entry *find_hash(struct authorizations *table, enum kind kind, const char *hash,
                               int64_t now) {
    for (size_t i = 0; i < COUNT_OF(table->entries); i++) {
        struct entry *entry = &table->entries[i];
        if (entry->kind == kind && !is_gone(entry, now) && strcmp(entry->hash, hash) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void set_family(struct entry *entry, const uint8_t *random) {
    (void)sodium_bin2hex(entry->authorization.family, sizeof entry->authorization.family, random,
                         FAMILY_BYTES);
}

/* What stands here by its approval; what became tokens counts, as it is remembered. */
static size_t count_of(const struct authorizations *table, entity_id account_id, int64_t now) {
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(table->entries); i++) {
        const struct entry *entry = &table->entries[i];
        count += !is_gone(entry, now) && entry->authorization.approval.account_id == account_id;
    }
    return count;
}

void authorizations_forget(struct authorizations *table, entity_id account_id) {
    for (size_t i = 0; i < COUNT_OF(table->entries); i++) {
        struct entry *entry = &table->entries[i];
        if (entry->authorization.approval.account_id == account_id) {
            entry->kind = KIND_FREE;
        }
    }
}

/* ---- codes --------------------------------------------------------------------------------- */

err_t authorizations_add_code(struct authorizations *table,
                              const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                              const struct authorization_request *request,
                              const struct authorization_approval *approval, int64_t now,
                              char code[TOKEN_CHARS]) {
    struct entry *at = place(table, now);
    if (at == NULL ||
        count_of(table, approval->account_id, now) >= LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT) {
        return FAIL(ERR_BUSY);
    }
    struct entry entry = {.kind = KIND_CODE,
                          .state = STATE_APPROVED,
                          .expires_at = now + AUTHORIZATION_CODE_S,
                          .authorization = {*request, *approval, ""}};
    TRY(token_make(TOKEN_CODE, random, code, entry.hash));
    set_family(&entry, random + TOKEN_RANDOM_BYTES);
    *at = entry;
    return OK;
}

static bool same(const char *a, const char *b) {
    return span_equal_secret(span_str(a), span_str(b));
}

err_t authorizations_redeem(struct authorizations *table, span_t code, const char *client,
                            const char *redirect_uri, const char *verifier, int64_t now,
                            struct authorization *out) {
    char hash[HASH_CHARS], challenge[AUTHORIZATION_CHALLENGE_CHARS];
    if (failed(token_hash(TOKEN_CODE, code, hash))) {
        return FAIL(ERR_NOT_FOUND);
    }
    struct entry *entry = find_hash(table, KIND_CODE, hash, now);
    if (entry == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    if (entry->state == STATE_USED) {
        *out = entry->authorization;
        return FAIL(ERR_DUPLICATE);
    }
    const struct authorization_request *request = &entry->authorization.request;
    bool right = strcmp(request->client, client) == 0 &&
                 strcmp(request->redirect_uri, redirect_uri) == 0 &&
                 !failed(authorization_challenge(verifier, challenge)) &&
                 same(challenge, request->challenge);
    if (!right || entry->expires_at <= now) {
        entry->kind = KIND_FREE;
        return right ? FAIL(ERR_NOT_FOUND) : FAIL(ERR_REFUSED);
    }
    entry->state = STATE_USED;
    /* Remembered beyond its own end: a thief may come late. */
    entry->expires_at = now + AUTHORIZATION_DEVICE_S;
    *out = entry->authorization;
    return OK;
}

/* ---- devices ------------------------------------------------------------------------------- */

static void make_user_code(const uint8_t *random, char out[AUTHORIZATION_USER_CODE_CHARS]) {
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++) {
        number = number << 8 | random[i];
    }
    size_t at = 0;
    for (size_t i = 0; i < USER_CODE_LETTERS; i++) {
        if (i == USER_CODE_LETTERS / 2) {
            out[at++] = '-';
        }
        out[at++] = user_code_letters[number % (sizeof user_code_letters - 1)];
        number /= sizeof user_code_letters - 1;
    }
    out[at] = '\0';
}

/* ERR_MALFORMED unless it could be one. */
static err_t read_user_code(const char *typed, char out[AUTHORIZATION_USER_CODE_CHARS]) {
    size_t at = 0;
    for (; *typed != '\0'; typed++) {
        char c = *typed >= 'a' && *typed <= 'z' ? (char)(*typed - 'a' + 'A') : *typed;
        if (c == '-' || c == ' ') {
            continue;
        }
        if (at == AUTHORIZATION_USER_CODE_CHARS - 1 || strchr(user_code_letters, c) == NULL) {
            return FAIL(ERR_MALFORMED);
        }
        out[at++] = c;
        if (at == USER_CODE_LETTERS / 2) {
            out[at++] = '-';
        }
    }
    out[at] = '\0';
    return at == AUTHORIZATION_USER_CODE_CHARS - 1 ? OK : FAIL(ERR_MALFORMED);
}

static struct entry *find_user_code(struct authorizations *table, const char *typed, int64_t now) {
    char code[AUTHORIZATION_USER_CODE_CHARS];
    if (failed(read_user_code(typed, code))) {
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(table->entries); i++) {
        struct entry *entry = &table->entries[i];
        if (entry->kind == KIND_DEVICE && entry->state == STATE_WAITING &&
            entry->expires_at > now && strcmp(entry->user_code, code) == 0) {
            return entry;
        }
    }
    return NULL;
}

err_t authorizations_add_device(struct authorizations *table,
                                const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                                const struct authorization_request *request, int64_t now,
                                char device_code[TOKEN_CHARS],
                                char user_code[AUTHORIZATION_USER_CODE_CHARS]) {
    struct entry entry = {.kind = KIND_DEVICE,
                          .state = STATE_WAITING,
                          .expires_at = now + AUTHORIZATION_DEVICE_S,
                          .interval_s = AUTHORIZATION_INTERVAL_S,
                          .authorization = {.request = *request}};
    make_user_code(random + TOKEN_RANDOM_BYTES + FAMILY_BYTES, entry.user_code);
    struct entry *at = place(table, now);
    if (at == NULL || find_user_code(table, entry.user_code, now) != NULL) {
        return FAIL(ERR_BUSY);
    }
    TRY(token_make(TOKEN_DEVICE, random, device_code, entry.hash));
    set_family(&entry, random + TOKEN_RANDOM_BYTES);
    memcpy(user_code, entry.user_code, sizeof entry.user_code);
    *at = entry;
    return OK;
}

err_t authorizations_find_user_code(const struct authorizations *table, const char *typed,
                                    int64_t now, struct authorization_request *out) {
    const struct entry *entry =
        find_user_code((struct authorizations *)(uintptr_t)table, typed, now);
    if (entry == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = entry->authorization.request;
    return OK;
}

err_t authorizations_decide(struct authorizations *table, const char *typed,
                            const struct authorization_approval *approval, int64_t now) {
    struct entry *entry = find_user_code(table, typed, now);
    if (entry == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    if (approval != NULL &&
        count_of(table, approval->account_id, now) >= LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT) {
        return FAIL(ERR_BUSY);
    }
    entry->state = approval != NULL ? STATE_APPROVED : STATE_DENIED;
    if (approval != NULL) {
        entry->authorization.approval = *approval;
    }
    return OK;
}

enum authorization_poll authorizations_poll(struct authorizations *table, span_t device_code,
                                            const char *client, int64_t now,
                                            struct authorization *out) {
    char hash[HASH_CHARS];
    struct entry *entry = failed(token_hash(TOKEN_DEVICE, device_code, hash))
                              ? NULL
                              : find_hash(table, KIND_DEVICE, hash, now);
    if (entry == NULL || entry->state == STATE_USED ||
        strcmp(entry->authorization.request.client, client) != 0) {
        return POLL_UNKNOWN;
    }
    if (entry->expires_at <= now) {
        return POLL_EXPIRED;
    }
    bool early = entry->polled_at != 0 && now < entry->polled_at + entry->interval_s;
    entry->polled_at = now;
    if (early) {
        entry->interval_s += AUTHORIZATION_INTERVAL_S;
        return POLL_SLOW_DOWN;
    }
    if (entry->state == STATE_APPROVED) {
        *out = entry->authorization;
        entry->state = STATE_USED;
        return POLL_APPROVED;
    }
    return entry->state == STATE_DENIED ? POLL_DENIED : POLL_PENDING;
}

/* ---- what stands by itself ----------------------------------------------------------------- */

err_t authorization_challenge(const char *verifier, char out[AUTHORIZATION_CHALLENGE_CHARS]) {
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t chars = strlen(verifier);
    if (chars < VERIFIER_CHARS_MIN || chars > VERIFIER_CHARS_MAX ||
        strspn(verifier, unreserved) != chars) {
        return FAIL(ERR_MALFORMED);
    }
    uint8_t hash[crypto_hash_sha256_BYTES];
    struct buf text CLEANUP(buf_done) = BUF(AUTHORIZATION_CHALLENGE_CHARS);
    (void)crypto_hash_sha256(hash, (const uint8_t *)verifier, chars); /* always succeeds */
    TRY(base64_encode(span_of(hash, sizeof hash), BASE64_URL, &text));
    INVARIANT(text.len == AUTHORIZATION_CHALLENGE_CHARS - 1);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return OK;
}

bool authorization_is_loopback(const char *uri) {
    static const char *const places[] = {"http://127.0.0.1", "http://[::1]"};
    const char *at = NULL;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        size_t chars = strlen(places[i]);
        at = strncmp(uri, places[i], chars) == 0 ? uri + chars : at;
    }
    if (at == NULL || !text_is_printable(span_str(uri)) || strpbrk(at, " \"'<>\\#@;,") != NULL) {
        return false;
    }
    if (*at == ':') {
        size_t digits = strspn(at + 1, "0123456789");
        uint64_t port = 0;
        if (failed(u64_parse(span_of(at + 1, digits), &port)) || port == 0 || port > UINT16_MAX) {
            return false;
        }
        at += 1 + digits;
    }
    return *at == '\0' || *at == '/' || *at == '?';
}
