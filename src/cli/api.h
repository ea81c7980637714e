/*
 * Calls to the authority. Whatever goes wrong (network, TLS, a problem document, an answer that is
 * not understood) ends as trouble with the exit code for it. Strings of an answer are sanitised
 * before anybody sees them.
 */
#ifndef POSTERN_CLI_API_H
#define POSTERN_CLI_API_H

#include <jansson.h>

#include "base/err.h"
#include "cli/cli.h"
#include "cli/site.h"
#include "net/http_client.h"

struct api;

/* How a call proves who calls. */
enum api_auth {
    API_ANYONE,
    API_SIGNED_IN, /* $POSTERN_API_KEY when set, else the token of `postern login` */
};

/* The site is borrowed. With API_SIGNED_IN and no token: trouble says `postern login`. */
err_t api_open(struct cli *cli, const struct site *site, enum api_auth auth, struct api **out);
/*
 * By one credential alone, which is copied: an API key, or with NULL the token of `postern login`;
 * ERR_NOT_FOUND, and trouble left alone, when there is none.
 */
err_t api_open_as(struct cli *cli, const struct site *site, const char *api_key, struct api **out);
void api_closep(struct api **api);

/* answer may be NULL; else it is an object. path starts at the site's URL: "/api/v1/…". */
err_t api_call(struct api *api, enum http_method method, const char *path, json_t **answer);
/* With a body, whose reference the call takes, also on failure. json_pack() gives NULL for text
 * that is not UTF-8, and that is refused here. */
err_t api_send(struct api *api, enum http_method method, const char *path, json_t *body,
               json_t **answer);
/*
 * All pages of a listing, as one answer: rows are under `member`, and the next page is asked for by
 * `parameter`, the last row's `key`. path may hold a query already.
 */
err_t api_pages(struct api *api, const char *path, const char *member, const char *parameter,
                const char *key, json_t **answer);
/* The problem's "code" of the last call that was refused; "" otherwise. */
const char *api_problem_code(const struct api *api);
/* For a proof of its own: the value of Authorization from now on; WWW-Authenticate of the last
 * answer, "" without; and what binds to the connection (http_client_tls_binding()). */
err_t api_set_authorization(struct api *api, const char *value);
const char *api_challenge(const struct api *api);
err_t api_tls_binding(const struct api *api, struct buf *out);
/* Who is signed in, as far as is known; NULL when not. */
const char *api_username(const struct api *api);

/* Keeps what /auth/login and its like answered, and the user name in site.json. */
err_t api_keep_token(struct cli *cli, struct site *site, const char *api_key, const json_t *answer);

/* Fetches and checks the document of a site. */
err_t api_fetch_document(struct cli *cli, const struct site *site, json_t **out);
/*
 * Keeps a document (whose reference it takes) as the site's. CA keys that changed are told, and
 * refused unless `accept`.
 */
err_t api_take_document(struct cli *cli, struct site *site, json_t *document, bool accept);
/*
 * Fetches it and keeps it. Changed CA keys are accepted only where the TLS CA is pinned: otherwise
 * whoever can get a certificate of any public CA could add an SSH CA.
 */
err_t api_refresh_document(struct cli *cli, struct site *site);

/* Appends to a path: what is not unreserved (RFC 3986 section 2.3) is percent-encoded. */
err_t path_add_escaped(struct buf *path, const char *text);
/* "/api/v1/a/NAME/b": NULL-terminated parts, every second one a name, which is escaped. The caller
 * frees *out. */
err_t api_path(struct cli *cli, char **out, ...) __attribute__((sentinel));

/* From an http_client fault: the reason as trouble, exit code by err. */
err_t network_trouble(struct cli *cli, const struct site *site, err_t err,
                      const struct fault *fault);

#endif
