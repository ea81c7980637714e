#include "model/scope.h"

#include <stdio.h>
#include <string.h>

void scope_add(struct scope *scope, const char *account, span_t principal) {
    size_t len = strlen(account);
    if (len == 0 || principal.len < len || memcmp(principal.data, account, len) != 0) {
        return;
    }
    if (principal.len == len) {
        scope->everywhere = true;
        scope->clusters.count = 0;
    } else if (principal.data[len] == '@' && !scope->everywhere) {
        /* What is no cluster's name, or one too many, gives nothing. */
        ignore_err(cluster_list_add(&scope->clusters,
                                    span_of(principal.data + len + 1, principal.len - len - 1)));
    }
}

struct scope scope_of(const struct cert *cert, const char *account) {
    struct scope scope = {.everywhere = false};
    for (size_t i = 0; i < cert->principal_count; i++) {
        scope_add(&scope, account, span_str(cert->principals[i]));
    }
    return scope;
}

void scope_principal(const char *account, const char *cluster, char out[SCOPE_PRINCIPAL_CHARS]) {
    (void)snprintf(out, SCOPE_PRINCIPAL_CHARS, "%s%s%s", account, cluster[0] == '\0' ? "" : "@",
                   cluster);
}

void scope_principal_of(const struct cert *cert, const char *account,
                        char out[SCOPE_PRINCIPAL_CHARS]) {
    struct scope scope = scope_of(cert, account);
    scope_principal(account, scope.clusters.count > 0 ? scope.clusters.names[0] : "", out);
}
