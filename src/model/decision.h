/* What a policy says: allowed, or why not and what to do. The zero value denies. */
#ifndef POSTERN_MODEL_DECISION_H
#define POSTERN_MODEL_DECISION_H

#include "base/err.h"

/* X(code, HTTP status): the stable codes of refusals, as problem documents, the audit log and exit
 * codes carry them. */
#define DECISION_LIST(X)                                                                           \
    X(undecided, 500)                                                                              \
    X(allowed, 200)                                                                                \
    X(account_disabled, 403)                                                                       \
    X(no_project, 403)                                                                             \
    X(not_permitted, 403)                                                                          \
    X(key_type_refused, 422)                                                                       \
    X(key_size_refused, 422)                                                                       \
    X(duration_refused, 422)                                                                       \
    X(quota_exceeded, 429)                                                                         \
    X(subnets_refused, 422)                                                                        \
    X(clusters_refused, 422)                                                                       \
    X(source_refused, 403)                                                                         \
    X(force_command_refused, 422)                                                                  \
    X(keys_refused, 403)                                                                           \
    X(expiry_refused, 422)                                                                         \
    X(no_job, 404)                                                                                 \
    X(sign_in_needed, 403)                                                                         \
    X(grants_refused, 403)                                                                         \
    X(grant_ended, 403)                                                                            \
    X(proof_refused, 401)                                                                          \
    X(impersonation_refused, 403)

enum decision_code {
#define DECISION_ENUM(code, status) DECISION_##code,
    DECISION_LIST(DECISION_ENUM)
#undef DECISION_ENUM
};

struct decision {
    bool allowed;
    enum decision_code code;
    char field[32];   /* of the request; "" when it is not about one */
    char reason[416]; /* for the user: what is wrong and what to do */
};

struct decision decision_refuse(enum decision_code code, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *decision_code_name(enum decision_code code);
unsigned decision_code_status(enum decision_code code);

#endif
