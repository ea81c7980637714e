/*
 * A site that this person uses, and where its state lives:
 *
 *   $XDG_CONFIG_HOME/posterngate/SITE/site.json    what `postern init` learnt
 *   $XDG_CONFIG_HOME/posterngate/SITE/tls-ca.pem   the TLS CA it pinned, when there is one
 *   $XDG_CONFIG_HOME/posterngate/SITE/known_hosts  its host CA keys, for ssh's UserKnownHostsFile
 *   …/known_hosts.plain                            host keys, for clients without certificates
 *   $XDG_STATE_HOME/posterngate/SITE/token         the bearer token of `postern login`
 *   $XDG_STATE_HOME/posterngate/SITE/token-HASH    of an API key, by the key's SHA-256
 *
 * Everything is replaced by rename. Tokens are 0600 in a folder of 0700 and refused otherwise.
 */
#ifndef POSTERN_CLI_SITE_H
#define POSTERN_CLI_SITE_H

#include <sys/types.h>

#include <jansson.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"
#include "cli/trouble.h"

struct site {
    char *name;
    char *url;
    char *username;   /* of the last login; NULL before */
    char *ca_pem;     /* pinned; NULL: the system's trust store */
    json_t *document; /* see document.h */
};

void site_freep(struct site **site);

enum { SITES_MAX = 64 };

/* Those that are set up, by name. */
struct site_names {
    char *names[SITES_MAX];
    size_t count;
};
void site_names_done(struct site_names *list);
err_t site_names_list(struct site_names *out);

/* The one called `name`, or with NULL the only one. Trouble says what to type when there is none or
 * more than one. */
err_t site_open(struct trouble *trouble, const char *name, struct site **out);
/* The site initialised from this URL; ERR_NOT_FOUND leaves trouble alone. */
err_t site_open_url(struct trouble *trouble, const char *url, struct site **out);
err_t site_save(struct trouble *trouble, const struct site *site);

struct token {
    secret_t text;
    int64_t expires_at;
    secret_t refresh; /* what renews it, once; empty without */
    int64_t ends_at;  /* when it can no longer be renewed; 0 without */
    char *username;   /* NULL when not known */
};
void token_done(struct token *token);
/* api_key NULL: the login's. ERR_NOT_FOUND (absent or past its time) leaves trouble alone. */
err_t token_load(struct trouble *trouble, const struct site *site, const char *api_key,
                 struct token *out);
/* The same of one that can be renewed, past its time or not; else ERR_NOT_FOUND. */
err_t token_load_renewable(struct trouble *trouble, const struct site *site, struct token *out);
err_t token_save(struct trouble *trouble, const struct site *site, const char *api_key,
                 const struct token *token);
/* Absent is fine. */
err_t token_remove(struct trouble *trouble, const struct site *site, const char *api_key);

/* Whoever renews a token holds this: two that did so at once would end the sign-in. Closing *fd
 * unlocks. */
err_t token_lock(struct trouble *trouble, const struct site *site, int *fd);

/* A file among what is known of a site; the caller frees *out. */
err_t site_config_path(const char *name, const char *file, char **out);
/* The folder that holds a site's tokens, or (file not NULL) a file in it; the caller frees *out. */
err_t site_state_path(const char *name, const char *file, char **out);

/* "~/" is the home directory; the caller frees *out. */
err_t path_expand(const char *path, char **out);
/* Before a person's own files are changed: refuses root with another's $HOME (sudo), who would
 * follow whatever links that one has made there, and leave files that are root's. */
err_t home_demand_own(struct trouble *trouble);
/* file_replace() that a signal cannot interrupt half-way, so that no temporary file stays. */
err_t file_put(const char *path, span_t bytes, mode_t mode, unsigned flags);

#endif
