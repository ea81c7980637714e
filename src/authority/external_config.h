/*
 * An OpenID provider of others, as its file describes it (examples/issuer.yaml), and what that
 * makes of the claims of its tokens. No network: asking it is external_issuer.h's.
 */
#ifndef POSTERN_AUTHORITY_EXTERNAL_CONFIG_H
#define POSTERN_AUTHORITY_EXTERNAL_CONFIG_H

#include <jansson.h>

#include "base/secret.h"
#include "config/settings.h"
#include "model/entity.h"

enum { EXTERNAL_WORDS_COUNT = 8, EXTERNAL_ID_CHARS = 64 };

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
    secret_t dashboard_secret;   /* what is in it */
    char *ca_file, *ca_pem;      /* and what is in it; NULL: the system's trust store */
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

/* Into an empty one, which is to be passed to external_config_done() in any case. Errors are told,
 * as config_load() does. */
err_t external_config_load(struct external_config *config, const char *path,
                           settings_complain *complain, void *context);
void external_config_done(struct external_config *config);

/* An address that an issuer may have: https, or of this machine. */
bool external_config_is_url(const char *text);
/* The account's name that a claim says; ERR_REFUSED with a fault. Pure. */
err_t external_config_account(const struct external_config *config, const char *claim,
                              const json_t *claims, char out[LIMIT_ACCOUNT_NAME_CHARS + 1],
                              struct fault *fault);
/* The project that an item of the claim means; false: none. Pure. */
bool external_config_project(const struct external_config *config, const char *item,
                             const char **project);

#endif
