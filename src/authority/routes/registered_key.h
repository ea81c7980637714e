/* Registered keys, for whoever adds them: the account itself, and gates on behalf of ssh-copy-id.
 */
#ifndef POSTERN_AUTHORITY_REGISTERED_KEY_H
#define POSTERN_AUTHORITY_REGISTERED_KEY_H

#include "authority/call.h"

/* What is asked for. */
struct key_registration {
    const struct key *key;
    char name[LIMIT_DISPLAY_NAME_CHARS + 1]; /* "": made from the comment, and unlike the others */
    span_t comment;
    struct subnet_list subnets; /* empty: everywhere */
    int64_t expires_at;         /* 0: not asked for; else the duration is not, and the other way */
    int64_t duration_s;
};

/*
 * Store thread: registers a person's key for the account by the site's rules, and publishes it.
 * What of the account's keys has expired is dropped, and an enrolment window that is open closes.
 * False with a problem: the policy's; 409 "exists" for a key that is registered (for whom is told
 * to nobody else) or a name that the account has given, 409 "too_many" at
 * LIMIT_REGISTERED_KEYS_COUNT.
 */
bool registered_key_add(struct call *call, const struct account *account,
                        const struct key_registration *asked, struct registered_key *out);

/* Store thread: forgets all that a person registered, and publishes it. False with a problem. */
bool registered_key_drop_all(struct call *call, entity_id account_id, size_t *count);

/* NULL: out of memory. */
json_t *registered_key_json(const struct registered_key *key);

#endif
