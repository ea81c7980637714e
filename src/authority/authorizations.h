/*
 * Where sign-ins wait that clients have asked for (identity/authorization.h): in the store, so that
 * a restart loses none and whichever authority serves the store can go on with them. Each call is a
 * part of a transaction.
 *
 * Whoever asks without being signed in (device grants) drives out others like it, waiting or
 * refused, and nothing that an account approved; there are LIMIT_AUTHORIZATIONS_COUNT at most.
 */
#ifndef POSTERN_AUTHORITY_AUTHORIZATIONS_H
#define POSTERN_AUTHORITY_AUTHORIZATIONS_H

#include "identity/authorization.h"
#include "store/store.h"

/* ERR_BUSY when an account has approved LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT of these and those
 * below, or there is room for no more than such. */
err_t authorizations_add_code(struct store *store, const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                              const struct authorization_request *request,
                              const struct authorization_approval *approval, int64_t now,
                              char code[TOKEN_CHARS]);

/*
 * ERR_NOT_FOUND for a code that is unknown or over; ERR_REFUSED for one that is not for this
 * client, redirect URI or verifier; ERR_DUPLICATE for one that was redeemed before: *out says then
 * which tokens it became, and whoever has them may have stolen it. What this writes must be kept
 * with each of these: a wrong try ends a code.
 */
err_t authorizations_redeem(struct store *store, span_t code, const char *client,
                            const char *redirect_uri, const char *verifier, int64_t now,
                            struct authorization *out);

err_t authorizations_add_device(struct store *store,
                                const uint8_t random[AUTHORIZATION_RANDOM_BYTES],
                                const struct authorization_request *request, int64_t now,
                                char device_code[TOKEN_CHARS],
                                char user_code[AUTHORIZATION_USER_CODE_CHARS]);
/* A user code as people type it. ERR_NOT_FOUND for one that is unknown, over or decided already. */
err_t authorizations_find_user_code(struct store *store, const char *typed, int64_t now,
                                    struct authorization *out);
/* approval NULL: denied. The same errors, and ERR_BUSY as above. */
err_t authorizations_decide(struct store *store, const char *typed,
                            const struct authorization_approval *approval, int64_t now);
/* *out with POLL_APPROVED alone. What this writes must be kept, whatever the poll is: when a device
 * asked last is part of it. */
err_t authorizations_poll(struct store *store, span_t device_code, const char *client, int64_t now,
                          enum authorization_poll *poll, struct authorization *out);

/* The account's access ended: what it approved and nobody has fetched yet ends as well. */
err_t authorizations_forget(struct store *store, entity_id account_id);
/* Removes what is over. */
err_t authorizations_sweep(struct store *store, int64_t now);

#endif
