#include "identity/jws.h"

#include <strings.h>

#include "base/text.h"

struct parts {
    span_t header, claims, signature;
    span_t signed_text; /* header and claims, as they stand in the token */
};

static err_t split(span_t token, struct parts *out) {
    if (token.len > LIMIT_JWS_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    span_t rest = token;
    struct parts parts;
    parts.header = span_until(&rest, '.');
    parts.claims = span_until(&rest, '.');
    parts.signature = rest;
    if (parts.header.len == 0 || parts.claims.len == 0 || parts.signature.len == 0 ||
        memchr(rest.data, '.', rest.len) != NULL) {
        return FAIL(ERR_MALFORMED);
    }
    parts.signed_text = span_of(token.data, parts.header.len + 1 + parts.claims.len);
    *out = parts;
    return OK;
}

static void free_json(json_t **json) { json_decref(*json); }

static err_t read_object(span_t part, json_t **out) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JWS_CHARS);
    TRY(base64_decode(part, BASE64_URL, &text));
    json_t *json CLEANUP(free_json) =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        return FAIL(ERR_MALFORMED);
    }
    *out = TAKE(json);
    return OK;
}

static err_t read_header(span_t part, struct jws_header *out) {
    static const char *const refused[] = {"jwk", "jku", "x5c", "x5u", "crit", "b64", "zip", "enc"};
    json_t *json CLEANUP(free_json) = NULL;
    struct jws_header header = {.key_id = ""};
    TRY(read_object(part, &json));
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (json_object_get(json, refused[i]) != NULL) {
            return FAIL(ERR_MALFORMED);
        }
    }
    const json_t *type = json_object_get(json, "typ");
    if (type != NULL &&
        (!json_is_string(type) || strcasecmp(json_string_value(type), "JWT") != 0)) {
        return FAIL(ERR_MALFORMED);
    }
    const json_t *id = json_object_get(json, "kid");
    const char *algorithm = json_string_value(json_object_get(json, "alg"));
    if (algorithm == NULL || (id != NULL && (json_string_length(id) == 0 ||
                                             json_string_length(id) >= sizeof header.key_id))) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(jws_algorithm_parse(algorithm, &header.algorithm));
    if (id != NULL) {
        memcpy(header.key_id, json_string_value(id), json_string_length(id) + 1);
    }
    *out = header;
    return OK;
}

err_t jws_verify(span_t token, const struct jwk_set *keys, uint32_t algorithms,
                 struct jws_header *header, json_t **claims) {
    struct parts parts;
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_JWS_CHARS);
    TRY(split(token, &parts));
    TRY(read_header(parts.header, header));
    if ((algorithms & JWS_BIT(header->algorithm)) == 0) {
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(base64_decode(parts.signature, BASE64_URL, &signature));
    TRY(jwk_set_verify(keys, header->key_id, header->algorithm, parts.signed_text,
                       buf_span(&signature)));
    return read_object(parts.claims, claims);
}
