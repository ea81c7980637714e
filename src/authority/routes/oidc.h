/* What the routes of the embedded issuer share. */
#ifndef POSTERN_AUTHORITY_OIDC_H
#define POSTERN_AUTHORITY_OIDC_H

#include "authority/call.h"
#include "identity/authorization.h"

/* A parameter of OAuth: of the query of a GET, else of the form. Absent: *out is left alone. */
err_t oidc_read(struct call *call, const char *name, size_t chars_max, const char **out);
/* Copied; "" when absent. Longer than `size` lets is refused. */
err_t oidc_read_text(struct call *call, const char *name, char *out, size_t size);
/* A client that is known here; else 400 (or 401 at the token endpoint) invalid_client. */
err_t oidc_read_client(struct call *call, char out[CLIENT_CHARS]);
/* scope: "openid" must be in it (400 invalid_scope); offline says whether "offline_access" is. */
err_t oidc_read_scope(struct call *call, bool *offline);
/* A route's refuse(): {"error":…,"error_description":…} of RFC 6749 section 5.2. */
void oidc_refuse(struct call *call);
/* Whether a word is in a text of words with blanks between. */
bool oidc_has_word(const char *words, const char *word);

/* Store thread: with 16 random bytes in hexadecimal. */
void oidc_new_family(char out[SESSION_FAMILY_CHARS]);
/* From a login_attempt's succeed(): a browser's session, as long as a login; token is for its
 * cookie. False with a problem. */
bool oidc_open_browser(struct call *call, const struct account *account, char token[TOKEN_CHARS],
                       struct session *out);

#endif
