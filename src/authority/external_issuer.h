/*
 * OpenID providers of others that this authority takes sign-ins from: what each says of itself, its
 * keys, and whether a token is good. A token becomes a bearer of ours at once
 * (routes/oidc_exchange.c); nothing else here knows of it.
 *
 * Keys are fetched when a token comes that they do not fit, or when they are old, but no more than
 * one fetch in EXTERNAL_FETCH_S: who makes up key ids does not make us flood the issuer. While it
 * is away, the keys that are known go on being good.
 */
#ifndef POSTERN_AUTHORITY_EXTERNAL_ISSUER_H
#define POSTERN_AUTHORITY_EXTERNAL_ISSUER_H

#include "authority/external_config.h"
#include "identity/id_token.h"

enum {
    EXTERNAL_FETCH_S = 30,
    EXTERNAL_KEYS_FRESH_S = 3600,
    EXTERNAL_AWAY_S = 5,
    EXTERNAL_URL_CHARS = 2048,
};

struct external_issuer;

/* Reads the file. Errors are told, as config_load() does. */
err_t external_issuer_new(const char *path, settings_complain *complain, void *context,
                          struct external_issuer **out);
void external_issuer_free(struct external_issuer *issuer);
const struct external_config *external_issuer_config(const struct external_issuer *issuer);

/* What it says of itself. */
struct external_metadata {
    char authorization_url[EXTERNAL_URL_CHARS], token_url[EXTERNAL_URL_CHARS]; /* "": it has none */
    bool tells_issuer; /* answers to browsers say whose they are (RFC 9207) */
};

/*
 * All of these on any thread but the loop's and the store's: they may ask the issuer, and wait.
 * ERR_CONNECT with a fault when it cannot be asked.
 */
err_t external_issuer_metadata(struct external_issuer *issuer, int64_t now,
                               struct external_metadata *out, struct fault *fault);
/* A form, to its token endpoint, with the text of an Authorization header or NULL. What it refuses
 * is ERR_REFUSED. The caller frees *answer, an object. */
err_t external_issuer_post(struct external_issuer *issuer, const char *url, span_t form,
                           const char *authorization, json_t **answer, struct fault *fault);

/* What a token must be besides good. */
struct external_expected {
    const char *client;
    const char *nonce;        /* NULL: it must have none */
    const char *access_token; /* that came with it; NULL: none */
    int64_t age_max_s;
};
/* The caller frees *claims. ERR_REFUSED or ERR_EXPIRED with a fault; ERR_CONNECT when the keys are
 * not known and cannot be had. */
err_t external_issuer_verify(struct external_issuer *issuer, span_t id_token,
                             const struct external_expected *expected, int64_t now,
                             struct id_token *out, json_t **claims, struct fault *fault);

#endif
