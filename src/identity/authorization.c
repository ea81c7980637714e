#include "identity/authorization.h"

#include <sodium.h>

#include "base/text.h"

enum { FAMILY_BYTES = 16, VERIFIER_CHARS_MIN = 43, VERIFIER_CHARS_MAX = 128 };

/* RFC 8628 section 6.1: consonants without Y, so that no word comes of them. 20^8 of them, and who
 * tries is throttled. */
static const char user_code_letters[] = "BCDFGHJKLMNPQRSTVWXZ";
enum { USER_CODE_LETTERS = 8 };

static void set_family(struct authorization *authorization, const uint8_t *random) {
    (void)sodium_bin2hex(authorization->family, sizeof authorization->family, random, FAMILY_BYTES);
}

/* What expired is kept for a moment, for its device to be told so. */
bool authorization_is_gone(const struct authorization *authorization, int64_t now) {
    return authorization->expires_at + AUTHORIZATION_KEPT_S <= now;
}

bool authorization_waits(const struct authorization *authorization, int64_t now) {
    return authorization->state == AUTHORIZATION_WAITING && authorization->expires_at > now;
}

/* ---- codes --------------------------------------------------------------------------------- */

err_t authorization_make_code(const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                              const struct authorization_request *request,
                              const struct authorization_approval *approval, int64_t now,
                              char code[TOKEN_CHARS], struct authorization *out) {
    struct authorization made = {.kind = AUTHORIZATION_CODE,
                                 .state = AUTHORIZATION_APPROVED,
                                 .request = *request,
                                 .approval = *approval,
                                 .created_at = now,
                                 .expires_at = now + AUTHORIZATION_CODE_S};
    TRY(token_make(TOKEN_CODE, random, code, made.hash));
    set_family(&made, random + TOKEN_RANDOM_BYTES);
    *out = made;
    return OK;
}

static bool same(const char *a, const char *b) {
    return span_equal_secret(span_str(a), span_str(b));
}

err_t authorization_redeem(struct authorization *authorization, const char *client,
                           const char *redirect_uri, const char *verifier, int64_t now) {
    const struct authorization_request *request = &authorization->request;
    char challenge[AUTHORIZATION_CHALLENGE_CHARS];
    if (authorization->kind != AUTHORIZATION_CODE) {
        return FAIL(ERR_NOT_FOUND);
    }
    if (authorization->state == AUTHORIZATION_USED) {
        return FAIL(ERR_DUPLICATE);
    }
    if (strcmp(request->client, client) != 0 || strcmp(request->redirect_uri, redirect_uri) != 0 ||
        failed(authorization_challenge(verifier, challenge)) ||
        !same(challenge, request->challenge)) {
        return FAIL(ERR_REFUSED);
    }
    if (authorization->expires_at <= now) {
        return FAIL(ERR_NOT_FOUND);
    }
    authorization->state = AUTHORIZATION_USED;
    /* Remembered beyond its own end: a thief may come late. */
    authorization->expires_at = now + AUTHORIZATION_DEVICE_S;
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

err_t authorization_print_user_code(const char *typed, char out[AUTHORIZATION_USER_CODE_CHARS]) {
    char code[AUTHORIZATION_USER_CODE_CHARS];
    size_t at = 0;
    for (; *typed != '\0'; typed++) {
        char c = *typed >= 'a' && *typed <= 'z' ? (char)(*typed - 'a' + 'A') : *typed;
        if (c == '-' || c == ' ') {
            continue;
        }
        if (at == AUTHORIZATION_USER_CODE_CHARS - 1 || strchr(user_code_letters, c) == NULL) {
            return FAIL(ERR_MALFORMED);
        }
        code[at++] = c;
        if (at == USER_CODE_LETTERS / 2) {
            code[at++] = '-';
        }
    }
    if (at != AUTHORIZATION_USER_CODE_CHARS - 1) {
        return FAIL(ERR_MALFORMED);
    }
    code[at] = '\0';
    memcpy(out, code, sizeof code);
    return OK;
}

err_t authorization_hash_user_code(const char *typed, char hash[HASH_CHARS]) {
    char code[AUTHORIZATION_USER_CODE_CHARS];
    uint8_t bytes[crypto_hash_sha256_BYTES];
    TRY(authorization_print_user_code(typed, code));
    (void)crypto_hash_sha256(bytes, (const uint8_t *)code, strlen(code)); /* always succeeds */
    (void)sodium_bin2hex(hash, HASH_CHARS, bytes, sizeof bytes);
    return OK;
}

err_t authorization_make_device(const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                                const struct authorization_request *request, int64_t now,
                                char device_code[TOKEN_CHARS],
                                char user_code[AUTHORIZATION_USER_CODE_CHARS],
                                struct authorization *out) {
    struct authorization made = {.kind = AUTHORIZATION_DEVICE,
                                 .state = AUTHORIZATION_WAITING,
                                 .request = *request,
                                 .created_at = now,
                                 .expires_at = now + AUTHORIZATION_DEVICE_S,
                                 .interval_s = AUTHORIZATION_INTERVAL_S};
    make_user_code(random + TOKEN_RANDOM_BYTES + FAMILY_BYTES, user_code);
    TRY(authorization_hash_user_code(user_code, made.user_code_hash));
    TRY(token_make(TOKEN_DEVICE, random, device_code, made.hash));
    set_family(&made, random + TOKEN_RANDOM_BYTES);
    *out = made;
    return OK;
}

void authorization_decide(struct authorization *authorization,
                          const struct authorization_approval *approval) {
    authorization->state = approval != NULL ? AUTHORIZATION_APPROVED : AUTHORIZATION_DENIED;
    if (approval != NULL) {
        authorization->approval = *approval;
    }
}

enum authorization_poll authorization_poll(struct authorization *authorization, const char *client,
                                           int64_t now) {
    if (authorization->kind != AUTHORIZATION_DEVICE || authorization->state == AUTHORIZATION_USED ||
        strcmp(authorization->request.client, client) != 0) {
        return POLL_UNKNOWN;
    }
    if (authorization->expires_at <= now) {
        return POLL_EXPIRED;
    }
    bool early =
        authorization->polled_at != 0 && now < authorization->polled_at + authorization->interval_s;
    authorization->polled_at = now;
    if (early) {
        authorization->interval_s += AUTHORIZATION_INTERVAL_S;
        return POLL_SLOW_DOWN;
    }
    if (authorization->state == AUTHORIZATION_APPROVED) {
        authorization->state = AUTHORIZATION_USED;
        return POLL_APPROVED;
    }
    return authorization->state == AUTHORIZATION_DENIED ? POLL_DENIED : POLL_PENDING;
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
