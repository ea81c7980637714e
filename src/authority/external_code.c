#include "authority/external_code.h"

#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "identity/authorization.h"

enum { FORM_CHARS_MAX = 16 * 1024 };

static void derive(const char *purpose, const char *issuer_id, span_t secret,
                   char out[EXTERNAL_CODE_CHARS]) {
    uint8_t hash[32];
    crypto_generichash_state state;
    /* Documented to fail for lengths alone, which are constant. */
    (void)crypto_generichash_init(&state, secret.data, secret.len, sizeof hash);
    (void)crypto_generichash_update(&state, (const uint8_t *)purpose, strlen(purpose) + 1);
    (void)crypto_generichash_update(&state, (const uint8_t *)issuer_id, strlen(issuer_id));
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    (void)sodium_bin2base64(out, EXTERNAL_CODE_CHARS, hash, sizeof hash,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void external_code_derive(const char *issuer_id, span_t secret, struct external_code *out) {
    INVARIANT(secret.len == EXTERNAL_CODE_CHARS - 1);
    derive("state", issuer_id, secret, out->state);
    derive("nonce", issuer_id, secret, out->nonce);
    derive("verifier", issuer_id, secret, out->verifier);
}

static err_t add(struct buf *form, const char *name, const char *value) {
    TRY(buf_add_format(form, "%s%s=", form->len > 0 ? "&" : "", name));
    return percent_encode(span_str(value), form);
}

err_t external_code_url(struct external_issuer *issuer, const struct external_code *code,
                        const char *redirect_uri, int64_t now, struct buf *out,
                        struct fault *fault) {
    const struct external_config *config = external_issuer_config(issuer);
    struct external_metadata metadata;
    struct buf query CLEANUP(buf_done) = BUF(FORM_CHARS_MAX);
    char challenge[AUTHORIZATION_CHALLENGE_CHARS];
    TRY(external_issuer_metadata(issuer, now, &metadata, fault));
    if (metadata.authorization_url[0] == '\0' || metadata.token_url[0] == '\0') {
        return fault_set(fault, ERR_UNSUPPORTED, "issuer", "%s offers no sign-in to browsers",
                         config->title);
    }
    TRY(authorization_challenge(code->verifier, challenge));
    TRY(add(&query, "response_type", "code"));
    TRY(add(&query, "client_id", config->dashboard_client));
    TRY(add(&query, "redirect_uri", redirect_uri));
    TRY(add(&query, "scope", config->scope));
    TRY(add(&query, "state", code->state));
    TRY(add(&query, "nonce", code->nonce));
    TRY(add(&query, "code_challenge", challenge));
    TRY(add(&query, "code_challenge_method", "S256"));
    TRY(buf_add_format(out, "%s?", metadata.authorization_url));
    return buf_add(out, buf_span(&query));
}

/* RFC 6749 section 2.3.1. */
static err_t write_basic(const char *client, const secret_t *secret, struct buf *out) {
    struct buf pair CLEANUP(buf_done) = BUF(FORM_CHARS_MAX);
    TRY(percent_encode(span_str(client), &pair));
    TRY(buf_add_byte(&pair, ':'));
    TRY(percent_encode(secret_span(secret), &pair));
    TRY(buf_add_str(out, "Basic "));
    TRY(base64_encode(buf_span(&pair), BASE64_STANDARD, out));
    return buf_add_byte(out, '\0');
}

err_t external_code_trade(struct external_issuer *issuer, const struct external_code *code,
                          const char *redirect_uri, const char *brought, int64_t now,
                          json_t **tokens, struct fault *fault) {
    const struct external_config *config = external_issuer_config(issuer);
    bool is_public = config->dashboard_secret_file == NULL;
    struct external_metadata metadata;
    struct buf form CLEANUP(buf_done) = BUF(FORM_CHARS_MAX);
    struct buf basic CLEANUP(buf_done) = BUF(FORM_CHARS_MAX);
    TRY(external_issuer_metadata(issuer, now, &metadata, fault));
    TRY(add(&form, "grant_type", "authorization_code"));
    TRY(add(&form, "code", brought));
    TRY(add(&form, "redirect_uri", redirect_uri));
    TRY(add(&form, "code_verifier", code->verifier));
    if (is_public) {
        TRY(add(&form, "client_id", config->dashboard_client));
    } else {
        TRY(write_basic(config->dashboard_client, &config->dashboard_secret, &basic));
    }
    return external_issuer_post(issuer, metadata.token_url, buf_span(&form),
                                is_public ? NULL : (const char *)basic.data, tokens, fault);
}
