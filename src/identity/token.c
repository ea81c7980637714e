#include "identity/token.h"

#include <sodium.h>
#include <strings.h>

#include "base/text.h"

_Static_assert(HASH_BYTES == crypto_hash_sha256_BYTES, "tokens are kept as SHA-256");

enum { TOKEN_PREFIX_CHARS = 4, TOKEN_BODY_CHARS = TOKEN_CHARS - TOKEN_PREFIX_CHARS - 1 };

static const char *prefix_of(enum token_kind kind) {
    static const char *const prefixes[] = {
        [TOKEN_SESSION] = "pgs_", [TOKEN_API_KEY] = "pgk_",    [TOKEN_HOST] = "pgh_",
        [TOKEN_ENROL] = "pge_",   [TOKEN_INVITATION] = "pgi_", [TOKEN_WINDOW] = "pgw_",
        [TOKEN_TICKET] = "pgt_",  [TOKEN_REFRESH] = "pgr_",    [TOKEN_BROWSER] = "pgb_",
        [TOKEN_CODE] = "pgc_",    [TOKEN_DEVICE] = "pgd_",
    };
    INVARIANT((size_t)kind < COUNT_OF(prefixes));
    return prefixes[kind];
}

static void hash_of(span_t token, char out[HASH_CHARS]) {
    uint8_t hash[HASH_BYTES];
    (void)crypto_hash_sha256(hash, token.data, token.len); /* documented to always succeed */
    (void)sodium_bin2hex(out, HASH_CHARS, hash, sizeof hash);
}

err_t token_make(enum token_kind kind, const uint8_t random[TOKEN_RANDOM_BYTES],
                 char out[TOKEN_CHARS], char hash[HASH_CHARS]) {
    struct buf text CLEANUP(buf_done) = BUF(TOKEN_CHARS);
    TRY(buf_add_str(&text, prefix_of(kind)));
    TRY(base64_encode(span_of(random, TOKEN_RANDOM_BYTES), BASE64_URL, &text));
    INVARIANT(text.len == TOKEN_CHARS - 1);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    hash_of(buf_span(&text), hash);
    return OK;
}

err_t token_hash(enum token_kind kind, span_t token, char hash[HASH_CHARS]) {
    if (token.len != TOKEN_CHARS - 1 ||
        memcmp(token.data, prefix_of(kind), TOKEN_PREFIX_CHARS) != 0) {
        return FAIL(ERR_MALFORMED);
    }
    struct buf random CLEANUP(buf_done) = BUF(TOKEN_RANDOM_BYTES);
    TRY(base64_decode(span_of(token.data + TOKEN_PREFIX_CHARS, TOKEN_BODY_CHARS), BASE64_URL,
                      &random));
    hash_of(token, hash);
    return OK;
}

/* RFC 6750 section 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */
static bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~+/=", c) != NULL);
}

err_t token_from_header(const char *authorization, span_t *token) {
    static const char scheme[] = "Bearer "; /* RFC 9110 section 11.1: case does not matter */
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) {
        return FAIL(ERR_MALFORMED);
    }
    const char *start = authorization + sizeof scheme - 1;
    while (*start == ' ') {
        start++;
    }
    size_t len = 0;
    while (is_token_char(start[len])) {
        len++;
    }
    if (len == 0 || start[len] != '\0') {
        return FAIL(ERR_MALFORMED);
    }
    *token = span_of(start, len);
    return OK;
}
