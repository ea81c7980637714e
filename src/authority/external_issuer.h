/*
 * OpenID providers of others that this authority takes sign-ins from: what the configuration says
 * of each, its keys, and whether a token is good. A token becomes a bearer of ours at once
 * (routes/oidc_exchange.c); nothing else here knows of it.
 *
 * Keys are fetched when a token comes that they do not fit, or when they are old, but no more than
 * one fetch in EXTERNAL_FETCH_S: who makes up key ids does not make us flood the issuer. While it
 * is away, the keys that are known go on being good.
 */
#ifndef POSTERN_AUTHORITY_EXTERNAL_ISSUER_H
#define POSTERN_AUTHORITY_EXTERNAL_ISSUER_H

#include "config/settings.h"
#include "identity/id_token.h"
#include "model/entity.h"

enum {
    EXTERNAL_FETCH_S = 30,
    EXTERNAL_KEYS_FRESH_S = 3600,
    EXTERNAL_WORDS_COUNT = 8,
};

/* One file of posternd.yaml's list "issuers". */
struct external_config {
    struct settings settings;
    char *url;       /* "https://sso.example/realms/hpc", just as its tokens say it */
    char *client_id; /* ours there; the audience of its tokens */
    char *scope;
    uint16_t redirect_port; /* that people's machines listen on; 0: any (RFC 8252 section 7.3) */
    char *ca_file;          /* NULL: the system's trust store */
    uint32_t algorithms;    /* JWS_BIT() of each that is taken */
    int64_t skew_s, age_max_s;
    char *amr[EXTERNAL_WORDS_COUNT], *acr[EXTERNAL_WORDS_COUNT];
    size_t amr_count, acr_count;
    char *account_claim;        /* whose text is the account's name … */
    char *account_suffix;       /* … once this is off its end, which must be there; NULL: none */
    bool account_create;        /* whether one that is not there is made */
    bool account_administrator; /* whether administrators may come this way */
    char *project_claim;        /* a list of names of projects; NULL: it says nothing of them */
    char *project_prefix; /* that those have which are meant, and that is taken off; or NULL */
    bool project_follow;  /* whether membership elsewhere ends */
};

struct external_issuer;

/* Reads the file. Errors are told, as config_load() does. */
err_t external_issuer_new(const char *path, settings_complain *complain, void *context,
                          struct external_issuer **out);
void external_issuer_free(struct external_issuer *issuer);
const struct external_config *external_issuer_config(const struct external_issuer *issuer);

/*
 * Any thread but the loop's and the store's: it may ask the issuer for its keys, and wait. The
 * caller frees *claims. ERR_REFUSED or ERR_EXPIRED with a fault; ERR_CONNECT when the keys are not
 * known and cannot be had.
 */
err_t external_issuer_verify(struct external_issuer *issuer, span_t id_token, const char *nonce,
                             const char *access_token, int64_t now, struct id_token *out,
                             json_t **claims, struct fault *fault);

/* The account's name that the claims say; ERR_REFUSED with a fault. Pure. */
err_t external_issuer_account(const struct external_config *config, const json_t *claims,
                              char out[LIMIT_ACCOUNT_NAME_CHARS + 1], struct fault *fault);
/* The project that an item of the claim means; false: none. Pure. */
bool external_issuer_project(const struct external_config *config, const char *item,
                             const char **project);

#endif
