/*
 * The client's side of OpenID Connect: what an issuer says of itself, forms to its endpoints, and
 * the secrets of one sign-in.
 */
#ifndef POSTERN_CLI_OAUTH_H
#define POSTERN_CLI_OAUTH_H

#include <jansson.h>

#include "base/span.h"
#include "cli/cli.h"
#include "cli/site.h"

/* An issuer that a site's document names: the authority itself, or another. */
struct oauth {
    struct cli *cli;
    const struct site *site;
    bool embedded; /* the authority itself */
    char *issuer;
    char *client;
    char *scope;
    uint16_t redirect_port; /* 0: any */
    json_t *metadata;
};
void oauth_done(struct oauth *oauth);

/* url NULL: the first of the document's "issuers", else the authority. Fetches the metadata, which
 * must be that issuer's own (OpenID Connect Discovery 1.0 section 4.3). */
err_t oauth_open(struct cli *cli, const struct site *site, const char *url, struct oauth *out);
/* A URL of the metadata; trouble when it is not there, or is none of the web: the machine would
 * open whatever else it says, a program included, when asked to show it. */
err_t oauth_endpoint(struct oauth *oauth, const char *member, const char **out);

/* Appends "name=value", escaped, with "&" before it unless it is the first. */
err_t form_add(struct buf *form, const char *name, const char *value);

/*
 * Sends a form. An answer other than 200 is no failure here: *error is then OAuth's word for it
 * ("invalid_grant"), else "".
 */
enum { OAUTH_ERROR_CHARS = 64 };
err_t oauth_post(struct oauth *oauth, const char *url, const struct buf *form,
                 char error[OAUTH_ERROR_CHARS], json_t **answer);
/* The same to the authority, at a path. */
err_t oauth_post_authority(struct cli *cli, const struct site *site, const char *path,
                           const struct buf *form, char error[OAUTH_ERROR_CHARS], json_t **answer);
/* What an answer with an error says, as trouble. */
err_t oauth_trouble(struct cli *cli, const char *who, const char *error, const json_t *answer);

/* 32 random bytes, and what S256 makes of a text (RFC 7636 section 4.2). */
enum { OAUTH_SECRET_CHARS = 43 + 1 };
err_t oauth_secret(char out[OAUTH_SECRET_CHARS]);
err_t oauth_challenge(const char *verifier, char out[OAUTH_SECRET_CHARS]);

/* The two ways to sign in; both keep the token that they get. *answer is the authority's. */
err_t oauth_by_browser(struct oauth *oauth, struct site *site, const char *hint, json_t **answer);
err_t oauth_by_device(struct oauth *oauth, struct site *site, json_t **answer);
/* Keeps the tokens of the embedded issuer; those of another are traded at the authority first. */
err_t oauth_keep(struct oauth *oauth, struct site *site, const char *nonce, json_t *tokens,
                 json_t **answer);

#endif
