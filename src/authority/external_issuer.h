/*
 * OpenID providers of others that this authority takes sign-ins from: what the configuration says
 * of each, what it says of itself, its keys, and whether a token is good. A token becomes a bearer
 * of ours at once (routes/oidc_exchange.c); nothing else here knows of it.
 *
 * Keys are fetched when a token comes that they do not fit, or when they are old, but no more than
 * one fetch in EXTERNAL_FETCH_S: who makes up key ids does not make us flood the issuer. While it
 * is away, the keys that are known go on being good.
 */
#ifndef POSTERN_AUTHORITY_EXTERNAL_ISSUER_H
#define POSTERN_AUTHORITY_EXTERNAL_ISSUER_H

#include "base/secret.h"
#include "config/settings.h"
#include "identity/id_token.h"
#include "model/entity.h"

enum {
    EXTERNAL_FETCH_S = 30,
    EXTERNAL_KEYS_FRESH_S = 3600,
    EXTERNAL_AWAY_S = 5,
    EXTERNAL_WORDS_COUNT = 8,
    EXTERNAL_ID_CHARS = 64,
    EXTERNAL_URL_CHARS = 2048,
};

/* One file of posternd.yaml's list "issuers". */
struct external_config {
    struct settings settings;
    char id[EXTERNAL_ID_CHARS]; /* the file's name without ".yaml", in addresses of ours */
    char *title;                /* "HPC single sign-on"; the host's name where the file has none */
    char *url;                  /* "https://sso.example/realms/hpc", just as its tokens say it */
    char *client_id;            /* ours there; the audience of its tokens */
    char *scope;
    uint16_t redirect_port; /* that people's machines listen on; 0: any (RFC 8252 section 7.3) */
    char *dashboard_client; /* that of browsers which sign in for the dashboard */
    char *dashboard_secret_file; /* NULL: it is a public client */
    char *ca_file;               /* NULL: the system's trust store */
    uint32_t algorithms;         /* JWS_BIT() of each that is taken */
    int64_t skew_s, age_max_s;
    char *amr[EXTERNAL_WORDS_COUNT], *acr[EXTERNAL_WORDS_COUNT];
    size_t amr_count, acr_count;
    char *account_claim;        /* whose text is the account's name … */
    char *account_suffix;       /* … once this is off its end, which must be there; NULL: none */
    bool account_create;        /* whether one that is not there is made */
    bool account_administrator; /* whether administrators may come this way */
    char *one_time_audience;    /* whose tokens are taken at POST /sign; NULL: none */
    char *one_time_claim;       /* account_claim of those */
    int64_t one_time_age_max_s;
    char *project_claim;  /* a list of names of projects; NULL: it says nothing of them */
    char *project_prefix; /* that those have which are meant, and that is taken off; or NULL */
    bool project_follow;  /* whether membership elsewhere ends */
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

/* Of the client dashboard_client; NULL for a public one. */
const secret_t *external_issuer_secret(const struct external_issuer *issuer);

/* The account's name that a claim says; ERR_REFUSED with a fault. Pure. */
err_t external_issuer_account(const struct external_config *config, const char *claim,
                              const json_t *claims, char out[LIMIT_ACCOUNT_NAME_CHARS + 1],
                              struct fault *fault);
/* The project that an item of the claim means; false: none. Pure. */
bool external_issuer_project(const struct external_config *config, const char *item,
                             const char **project);

#endif
