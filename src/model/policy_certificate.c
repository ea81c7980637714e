/* What was granted, as a certificate says it. */
#include "model/policy.h"
#include "model/scope.h"

static err_t add_source_address(const struct subnet_list *subnets, struct cert *cert) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SUBNETS_COUNT * INET_CHARS + 1);
    char *value CLEANUP(freep) = NULL;
    TRY(subnet_list_print(subnets, &text));
    TRY(buf_to_str(&text, &value));
    return cert_add_critical_option(cert, "source-address", value);
}

static err_t add_principals(const struct cluster_list *clusters, const char *principal,
                            struct cert *cert) {
    for (size_t i = 0; i < clusters->count; i++) {
        char bound[SCOPE_PRINCIPAL_CHARS];
        scope_principal(principal, clusters->names[i], bound);
        TRY(cert_add_principal(cert, bound));
    }
    return clusters->count == 0 ? cert_add_principal(cert, principal) : OK;
}

err_t policy_fill_cert(const struct policy *policy, const struct sign_grant *grant,
                       const char *principal, const char *key_id, const struct key *key,
                       struct cert *cert) {
    INVARIANT(grant->valid_after >= 0 && grant->valid_after < grant->valid_before);
    struct key *copy CLEANUP(key_freep) = NULL;
    TRY(key_copy(key, &copy));
    TRY(cert_set_key_id(cert, key_id));
    TRY(add_principals(&grant->clusters, principal, cert));
    if (grant->force_command != NULL) {
        TRY(cert_add_critical_option(cert, "force-command", grant->force_command));
    }
    if (grant->subnets.count != 0) {
        TRY(add_source_address(&grant->subnets, cert));
    }
    for (size_t i = 0; i < policy->extension_count; i++) {
        TRY(cert_add_extension(cert, policy->extensions[i], NULL));
    }
    cert->type = CERT_USER;
    cert->valid_after = (uint64_t)grant->valid_after;
    cert->valid_before = (uint64_t)grant->valid_before;
    key_free(cert->key);
    cert->key = TAKE(copy);
    return OK;
}
