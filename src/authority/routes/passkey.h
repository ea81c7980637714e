/* Passkeys and security keys: registering them, and signing in with one (identity/webauthn.h). */
#ifndef POSTERN_AUTHORITY_PASSKEY_H
#define POSTERN_AUTHORITY_PASSKEY_H

#include "authority/call.h"
#include "identity/webauthn_challenge.h"

/* Whether browsers take passkeys here at all: the authority has a name and HTTPS, or is localhost.
 */
bool passkey_site(const struct authority *authority);

/* Any thread: a new challenge for an asker (a form token, a session's hash). With an account it is
 * for the passkeys of that account, whose password was right. */
void passkey_challenge_make(struct call *call, const char *asker, entity_id account_id,
                            struct webauthn_challenge *out);

/* ---- signing in ---- */

/* What a browser answered. Texts borrow from the body; credential is NULL when there is no answer.
 */
struct passkey_answer {
    const char *credential, *client_data, *authenticator_data, *signature, *user;
};
err_t passkey_answer_read(struct call *call, struct passkey_answer *out);

/*
 * Store thread: whose passkey this is, when everything is right; its counter moves on and the
 * methods (RFC 8176) are told. False with a problem and an audit row. The answer must be to a
 * challenge of this asker. One with an account takes that account's passkeys alone; one without
 * takes those that verified their user, which are two factors in one.
 */
bool passkey_sign_in(struct call *call, const struct passkey_answer *answer, const char *asker,
                     struct account *account, char methods[SESSION_METHODS_CHARS]);

/* What the browser is asked for, as PublicKeyCredentialRequestOptionsJSON; NULL: out of memory.
 * With an account its passkeys alone. */
json_t *passkey_request_options(struct call *call, const struct webauthn_challenge *challenge);
/* Store thread: how many an account can sign in with. False with a problem. */
bool passkey_count(struct call *call, entity_id account_id, size_t *out);

/* ---- registering ---- */

/* Store thread: PublicKeyCredentialCreationOptionsJSON; NULL with a problem. */
json_t *passkey_creation_options(struct call *call, const struct account *account,
                                 const struct webauthn_challenge *challenge);

struct passkey_creation {
    const char *name, *client_data, *attestation; /* borrow from the body */
};
/* Store thread: registers it, with the audit row; the answer must be to a challenge of this asker.
 * False with a problem. */
bool passkey_register(struct call *call, const struct account *account,
                      const struct passkey_creation *from, const char *asker, struct passkey *out);

json_t *passkey_json(const struct passkey *passkey);

#endif
