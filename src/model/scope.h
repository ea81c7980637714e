/*
 * Where a user certificate is good, by its principals: "alice" wherever the account alice may log
 * in, "alice@daint" on the cluster daint alone. A certificate that is bound to clusters has one of
 * the latter for each, and not the former, so that a host or gate that knows nothing of scopes
 * refuses it.
 */
#ifndef POSTERN_MODEL_SCOPE_H
#define POSTERN_MODEL_SCOPE_H

#include "model/entity.h"
#include "ssh/cert.h"

enum { SCOPE_PRINCIPAL_CHARS = LIMIT_ACCOUNT_NAME_CHARS + 1 + LIMIT_CLUSTER_NAME_CHARS + 1 };

/* Zero: the certificate is not the account's. */
struct scope {
    bool everywhere;
    struct cluster_list clusters; /* that it is bound to; none where it is good everywhere */
};

/* Adds what one more principal gives the account, if anything. */
void scope_add(struct scope *scope, const char *account, span_t principal);
struct scope scope_of(const struct cert *cert, const char *account);
static inline bool scope_is_given(const struct scope *scope) {
    return scope->everywhere || scope->clusters.count > 0;
}

/* "alice@daint"; "alice" for no cluster (""). */
void scope_principal(const char *account, const char *cluster, char out[SCOPE_PRINCIPAL_CHARS]);
/* That principal of the certificate by which it is the account's; "alice" when none is. */
void scope_principal_of(const struct cert *cert, const char *account,
                        char out[SCOPE_PRINCIPAL_CHARS]);

#endif
