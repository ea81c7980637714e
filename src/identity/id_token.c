#include "identity/id_token.h"

#include <openssl/evp.h>

#include "base/text.h"

static const char *text_of(const json_t *claims, const char *name) {
    return json_string_value(json_object_get(claims, name));
}

/* A NumericDate; providers write fractions as well. False when absent or no number. */
static bool time_of(const json_t *claims, const char *name, int64_t *out) {
    const json_t *value = json_object_get(claims, name);
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 0 && number < 253402300800.0)) { /* year 10000 */
        return false;
    }
    *out = (int64_t)number;
    return true;
}

static bool is_one_of(const char *text, const char *const *words, size_t count) {
    bool found = false;
    for (size_t i = 0; i < count && text != NULL; i++) {
        found |= strcmp(text, words[i]) == 0;
    }
    return found;
}

/* Section 3.1.3.7, steps 2 to 5. */
static err_t judge_parties(const json_t *claims, const struct id_token_rules *rules,
                           struct fault *fault) {
    const char *issuer = text_of(claims, "iss"), *azp = text_of(claims, "azp");
    const json_t *audience = json_object_get(claims, "aud"), *item;
    if (issuer == NULL || strcmp(issuer, rules->issuer) != 0) {
        return fault_set(fault, ERR_REFUSED, "iss", "the token is not from %s", rules->issuer);
    }
    bool meant = is_one_of(json_string_value(audience), &rules->audience, 1);
    size_t i;
    json_array_foreach(audience, i, item) {
        meant |= is_one_of(json_string_value(item), &rules->audience, 1);
    }
    if (!meant) {
        return fault_set(fault, ERR_REFUSED, "aud", "the token is not meant for %s",
                         rules->audience);
    }
    bool others = json_array_size(audience) > 1;
    bool named = json_object_get(claims, "azp") != NULL;
    if ((others || named) && !is_one_of(azp, &rules->audience, 1)) {
        return fault_set(fault, ERR_REFUSED, "azp", "the token was made for another client than %s",
                         rules->audience);
    }
    return OK;
}

static err_t judge_times(const json_t *claims, const struct id_token_rules *rules, int64_t now,
                         struct id_token *out, struct fault *fault) {
    int64_t issued_at, not_before = 0;
    if (!time_of(claims, "exp", &out->expires_at) || !time_of(claims, "iat", &issued_at)) {
        return fault_set(fault, ERR_REFUSED, "exp", "the token has no times");
    }
    if (json_object_get(claims, "nbf") != NULL && !time_of(claims, "nbf", &not_before)) {
        return fault_set(fault, ERR_REFUSED, "nbf", "is not a time");
    }
    if (json_object_get(claims, "auth_time") != NULL &&
        !time_of(claims, "auth_time", &out->authenticated_at)) {
        return fault_set(fault, ERR_REFUSED, "auth_time", "is not a time");
    }
    if (issued_at > now + rules->skew_s || not_before > now + rules->skew_s ||
        out->authenticated_at > now + rules->skew_s) {
        return fault_set(fault, ERR_REFUSED, "iat",
                         "the token is from the future; do the clocks "
                         "of this machine and of the issuer agree?");
    }
    if (out->expires_at <= now - rules->skew_s) {
        return fault_set(fault, ERR_EXPIRED, "exp", "the token has expired");
    }
    out->authenticated_at = out->authenticated_at < now ? out->authenticated_at : now;
    if (issued_at < now - rules->age_max_s - rules->skew_s) {
        return fault_set(fault, ERR_EXPIRED, "iat", "the token is too old");
    }
    return OK;
}

static err_t judge_nonce(const json_t *claims, const struct id_token_rules *rules,
                         struct fault *fault) {
    const json_t *nonce = json_object_get(claims, "nonce");
    bool same = rules->nonce == NULL ? nonce == NULL
                                     : is_one_of(json_string_value(nonce), &rules->nonce, 1);
    return same ? OK : fault_set(fault, ERR_REFUSED, "nonce", "the token is of another sign-in");
}

static err_t judge_hash(const json_t *claims, enum jws_algorithm algorithm,
                        const struct id_token_rules *rules, struct fault *fault) {
    const json_t *hash = json_object_get(claims, "at_hash");
    if (hash == NULL || rules->access_token == NULL) {
        return OK; /* optional at the token endpoint: section 3.1.3.6 */
    }
    struct buf ours CLEANUP(buf_done) = BUF(64);
    TRY(id_token_half_hash(algorithm, span_str(rules->access_token), &ours));
    const char *theirs = json_string_value(hash);
    if (theirs == NULL || !span_equal_str(buf_span(&ours), theirs)) {
        return fault_set(fault, ERR_REFUSED, "at_hash", "belongs to another access token");
    }
    return OK;
}

static err_t judge_factors(const json_t *claims, const struct id_token_rules *rules,
                           struct fault *fault) {
    const json_t *methods = json_object_get(claims, "amr"), *method;
    bool right = rules->amr_count == 0;
    size_t i;
    json_array_foreach(methods, i, method) {
        right |= is_one_of(json_string_value(method), rules->amr, rules->amr_count);
    }
    if (!right) {
        return fault_set(fault, ERR_REFUSED, "amr",
                         "the issuer does not say that you used a second factor; sign in with one");
    }
    if (rules->acr_count > 0 && !is_one_of(text_of(claims, "acr"), rules->acr, rules->acr_count)) {
        return fault_set(fault, ERR_REFUSED, "acr",
                         "the sign-in was not as strong as this site requires");
    }
    return OK;
}

err_t id_token_judge(const json_t *claims, enum jws_algorithm algorithm,
                     const struct id_token_rules *rules, int64_t now, struct id_token *out,
                     struct fault *fault) {
    struct id_token token = {.subject = ""};
    const char *subject = text_of(claims, "sub");
    TRY(judge_parties(claims, rules, fault));
    if (subject == NULL || subject[0] == '\0' || strlen(subject) >= sizeof token.subject) {
        return fault_set(fault, ERR_REFUSED, "sub", "the token does not say who it is");
    }
    memcpy(token.subject, subject, strlen(subject) + 1);
    TRY(judge_nonce(claims, rules, fault));
    TRY(judge_hash(claims, algorithm, rules, fault));
    TRY(judge_factors(claims, rules, fault));
    TRY(judge_times(claims, rules, now, &token, fault));
    *out = token;
    return OK;
}

err_t id_token_half_hash(enum jws_algorithm algorithm, span_t text, struct buf *out) {
    const char *name = jws_algorithm_name(algorithm);
    const char *bits = name + strcspn(name, "0123456789"); /* "RS256", "ES384", "EdDSA" */
    const EVP_MD *digest = strcmp(bits, "256") == 0   ? EVP_sha256()
                           : strcmp(bits, "384") == 0 ? EVP_sha384()
                                                      : EVP_sha512();
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (EVP_Digest(text.data, text.len, hash, &bytes, digest, NULL) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    return base64_encode(span_of(hash, bytes / 2), BASE64_URL, out);
}
