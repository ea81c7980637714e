/*
 * Every operation of a store, once: READ_LIST, WRITE_LIST and CHECKED_LIST make the table of
 * functions that a store implements (backend.h) and the public functions that call through it
 * (store.c). The contract of each stands in store.h.
 */
#ifndef POSTERN_STORE_OPERATIONS_H
#define POSTERN_STORE_OPERATIONS_H

#define EACH(type) err_t (*each)(void *context, const struct type *type), void *context

/* X(name, parameters, arguments) */
#define READ_LIST(X)                                                                               \
    X(account_get, (struct store * store, entity_id id, struct account * out), (store, id, out))   \
    X(account_find, (struct store * store, const char *name, struct account *out),                 \
      (store, name, out))                                                                          \
    X(account_list, (struct store * store, const char *after_name, size_t max, EACH(account)),     \
      (store, after_name, max, each, context))                                                     \
    X(login_get, (struct store * store, entity_id account_id, struct login * out),                 \
      (store, account_id, out))                                                                    \
    X(login_find_invitation, (struct store * store, const char *hash, struct login *out),          \
      (store, hash, out))                                                                          \
    X(project_get, (struct store * store, entity_id id, struct project * out), (store, id, out))   \
    X(project_find, (struct store * store, const char *name, struct project *out),                 \
      (store, name, out))                                                                          \
    X(project_list, (struct store * store, const char *after_name, size_t max, EACH(project)),     \
      (store, after_name, max, each, context))                                                     \
    X(member_get,                                                                                  \
      (struct store * store, entity_id project_id, entity_id account_id, struct membership * out), \
      (store, project_id, account_id, out))                                                        \
    X(member_list,                                                                                 \
      (struct store * store, entity_id project_id, entity_id account_id, EACH(membership)),        \
      (store, project_id, account_id, each, context))                                              \
    X(project_cluster_list, (struct store * store, entity_id project_id, EACH(cluster)),           \
      (store, project_id, each, context))                                                          \
    X(reach_list, (struct store * store, entity_id account_id, EACH(cluster)),                     \
      (store, account_id, each, context))                                                          \
    X(cluster_get, (struct store * store, entity_id id, struct cluster * out), (store, id, out))   \
    X(cluster_find, (struct store * store, const char *name, struct cluster *out),                 \
      (store, name, out))                                                                          \
    X(cluster_list, (struct store * store, const char *after_name, size_t max, EACH(cluster)),     \
      (store, after_name, max, each, context))                                                     \
    X(host_get, (struct store * store, entity_id id, struct host * out), (store, id, out))         \
    X(host_find, (struct store * store, const char *name, struct host *out), (store, name, out))   \
    X(host_find_enrol, (struct store * store, const char *enrol_hash, struct host *out),           \
      (store, enrol_hash, out))                                                                    \
    X(host_find_token, (struct store * store, const char *token_hash, struct host *out),           \
      (store, token_hash, out))                                                                    \
    X(host_list, (struct store * store, const char *after_name, size_t max, EACH(host)),           \
      (store, after_name, max, each, context))                                                     \
    X(host_list_by_job, (struct store * store, entity_id job_id, EACH(host)),                      \
      (store, job_id, each, context))                                                              \
    X(host_list_by_role, (struct store * store, enum host_role role, EACH(host)),                  \
      (store, role, each, context))                                                                \
    X(issued_get, (struct store * store, uint64_t serial, struct issued * out),                    \
      (store, serial, out))                                                                        \
    X(issued_facts,                                                                                \
      (struct store * store, entity_id account_id, const char *fingerprint, int64_t since,         \
       int64_t now, uint32_t *count, bool *key_has_valid),                                         \
      (store, account_id, fingerprint, since, now, count, key_has_valid))                          \
    X(issued_oldest,                                                                               \
      (struct store * store, entity_id account_id, int64_t since, int64_t * issued_at),            \
      (store, account_id, since, issued_at))                                                       \
    X(issued_list, (struct store * store, const struct issued_filter *filter, EACH(issued)),       \
      (store, filter, each, context))                                                              \
    X(revoked_list,                                                                                \
      (struct store * store, int64_t now, uint64_t after_serial, size_t max, EACH(issued)),        \
      (store, now, after_serial, max, each, context))                                              \
    X(api_key_get, (struct store * store, entity_id id, struct api_key * out), (store, id, out))   \
    X(api_key_find, (struct store * store, const char *hash, struct api_key *out),                 \
      (store, hash, out))                                                                          \
    X(api_key_list, (struct store * store, entity_id account_id, EACH(api_key)),                   \
      (store, account_id, each, context))                                                          \
    X(session_find, (struct store * store, const char *hash, struct session *out),                 \
      (store, hash, out))                                                                          \
    X(session_list, (struct store * store, entity_id account_id, EACH(session)),                   \
      (store, account_id, each, context))                                                          \
    X(authorization_find, (struct store * store, const char *hash, struct authorization *out),     \
      (store, hash, out))                                                                          \
    X(authorization_find_user_code,                                                                \
      (struct store * store, const char *user_code_hash, struct authorization *out),               \
      (store, user_code_hash, out))                                                                \
    X(authorization_count, (struct store * store, entity_id account_id, size_t * out),             \
      (store, account_id, out))                                                                    \
    X(registered_key_get, (struct store * store, entity_id id, struct registered_key * out),       \
      (store, id, out))                                                                            \
    X(registered_key_find,                                                                         \
      (struct store * store, const char *fingerprint, struct registered_key *out),                 \
      (store, fingerprint, out))                                                                   \
    X(registered_key_list, (struct store * store, entity_id account_id, EACH(registered_key)),     \
      (store, account_id, each, context))                                                          \
    X(grant_get, (struct store * store, entity_id id, struct grant * out), (store, id, out))       \
    X(grant_list, (struct store * store, entity_id account_id, EACH(grant)),                       \
      (store, account_id, each, context))                                                          \
    X(grant_list_by_key, (struct store * store, const char *fingerprint, EACH(grant)),             \
      (store, fingerprint, each, context))                                                         \
    X(identity_get,                                                                                \
      (struct store * store, entity_id account_id, const char *issuer,                             \
       struct external_identity *out),                                                             \
      (store, account_id, issuer, out))                                                            \
    X(passkey_get, (struct store * store, entity_id id, struct passkey * out), (store, id, out))   \
    X(passkey_find, (struct store * store, const char *credential, struct passkey *out),           \
      (store, credential, out))                                                                    \
    X(passkey_list, (struct store * store, entity_id account_id, EACH(passkey)),                   \
      (store, account_id, each, context))                                                          \
    X(recovery_code_count, (struct store * store, entity_id account_id, size_t * out),             \
      (store, account_id, out))                                                                    \
    X(ticket_find, (struct store * store, const char *hash, struct ticket *out),                   \
      (store, hash, out))                                                                          \
    X(job_get, (struct store * store, entity_id id, struct job * out), (store, id, out))           \
    X(job_find, (struct store * store, entity_id cluster_id, const char *name, struct job *out),   \
      (store, cluster_id, name, out))                                                              \
    X(job_node_list,                                                                               \
      (struct store * store, entity_id id, err_t(*each)(void *context, const char *node),          \
       void *context),                                                                             \
      (store, id, each, context))                                                                  \
    X(job_list, (struct store * store, const struct job_filter *filter, EACH(job)),                \
      (store, filter, each, context))                                                              \
    X(job_count, (struct store * store, entity_id cluster_id, size_t * out),                       \
      (store, cluster_id, out))                                                                    \
    X(job_list_due, (struct store * store, int64_t at, size_t max, EACH(job)),                     \
      (store, at, max, each, context))                                                             \
    X(event_revision, (struct store * store, uint64_t * newest, uint64_t * oldest),                \
      (store, newest, oldest))                                                                     \
    X(event_list, (struct store * store, uint64_t since, size_t max, EACH(event)),                 \
      (store, since, max, each, context))                                                          \
    X(audit_list, (struct store * store, const struct audit_filter *filter, EACH(audit)),          \
      (store, filter, each, context))                                                              \
    X(tally_list, (struct store * store, int64_t step_s, int64_t since, EACH(tally)),              \
      (store, step_s, since, each, context))                                                       \
    X(meta_get, (struct store * store, const char *name, char **value), (store, name, value))

#define WRITE_LIST(X)                                                                              \
    X(account_add, (struct store * store, struct account * account), (store, account))             \
    X(account_update, (struct store * store, const struct account *account), (store, account))     \
    X(login_put, (struct store * store, const struct login *login), (store, login))                \
    X(project_add, (struct store * store, struct project * project), (store, project))             \
    X(member_put, (struct store * store, const struct membership *membership),                     \
      (store, membership))                                                                         \
    X(member_remove, (struct store * store, entity_id project_id, entity_id account_id),           \
      (store, project_id, account_id))                                                             \
    X(project_cluster_put, (struct store * store, entity_id project_id, entity_id cluster_id),     \
      (store, project_id, cluster_id))                                                             \
    X(project_cluster_remove, (struct store * store, entity_id project_id, entity_id cluster_id),  \
      (store, project_id, cluster_id))                                                             \
    X(cluster_add, (struct store * store, struct cluster * cluster), (store, cluster))             \
    X(cluster_update, (struct store * store, const struct cluster *cluster), (store, cluster))     \
    X(host_add, (struct store * store, struct host * host), (store, host))                         \
    X(host_update, (struct store * store, const struct host *host), (store, host))                 \
    X(host_remove, (struct store * store, entity_id id), (store, id))                              \
    X(api_key_add, (struct store * store, struct api_key * key), (store, key))                     \
    X(api_key_update, (struct store * store, const struct api_key *key), (store, key))             \
    X(session_add, (struct store * store, const struct session *session), (store, session))        \
    X(session_update, (struct store * store, const struct session *session), (store, session))     \
    X(session_remove_family, (struct store * store, const char *family), (store, family))          \
    X(session_remove, (struct store * store, const char *hash), (store, hash))                     \
    X(session_remove_all,                                                                          \
      (struct store * store, entity_id account_id, entity_id api_key_id, int64_t now),             \
      (store, account_id, api_key_id, now))                                                        \
    X(session_sweep, (struct store * store, int64_t now), (store, now))                            \
    X(authorization_add, (struct store * store, const struct authorization *authorization),        \
      (store, authorization))                                                                      \
    X(authorization_update, (struct store * store, const struct authorization *authorization),     \
      (store, authorization))                                                                      \
    X(authorization_remove, (struct store * store, const char *hash), (store, hash))               \
    X(authorization_remove_oldest, (struct store * store), (store))                                \
    X(authorization_remove_all, (struct store * store, entity_id account_id), (store, account_id)) \
    X(authorization_sweep, (struct store * store, int64_t ended_at), (store, ended_at))            \
    X(registered_key_add, (struct store * store, struct registered_key * key), (store, key))       \
    X(registered_key_remove, (struct store * store, entity_id id), (store, id))                    \
    X(grant_add, (struct store * store, struct grant * grant), (store, grant))                     \
    X(grant_update, (struct store * store, const struct grant *grant), (store, grant))             \
    X(identity_add, (struct store * store, const struct external_identity *identity),              \
      (store, identity))                                                                           \
    X(identity_remove_all, (struct store * store, entity_id account_id), (store, account_id))      \
    X(passkey_add, (struct store * store, struct passkey * passkey), (store, passkey))             \
    X(passkey_update, (struct store * store, const struct passkey *passkey), (store, passkey))     \
    X(passkey_remove, (struct store * store, entity_id id), (store, id))                           \
    X(passkey_remove_all, (struct store * store, entity_id account_id), (store, account_id))       \
    X(answered_challenge_add, (struct store * store, const struct answered_challenge *challenge),  \
      (store, challenge))                                                                          \
    X(answered_challenge_sweep, (struct store * store, int64_t now), (store, now))                 \
    X(recovery_code_put, (struct store * store, const struct recovery_code *code), (store, code))  \
    X(recovery_code_take, (struct store * store, entity_id account_id, const char *hash),          \
      (store, account_id, hash))                                                                   \
    X(recovery_code_remove_all, (struct store * store, entity_id account_id), (store, account_id)) \
    X(ticket_add, (struct store * store, const struct ticket *ticket), (store, ticket))            \
    X(ticket_remove, (struct store * store, const char *hash), (store, hash))                      \
    X(ticket_sweep, (struct store * store, int64_t now), (store, now))                             \
    X(job_prune, (struct store * store, int64_t before, size_t max), (store, before, max))         \
    X(event_prune, (struct store * store, uint64_t up_to), (store, up_to))                         \
    X(audit_append, (struct store * store, struct audit * audit), (store, audit))                  \
    X(tally_add, (struct store * store, const struct tally *tally), (store, tally))                \
    X(meta_put, (struct store * store, const char *name, const char *value), (store, name, value))

/* Writers whose arguments store.c checks first. */
#define CHECKED_LIST(X)                                                                            \
    X(event_skip, (struct store * store, uint64_t revision), (store, revision))                    \
    X(issued_add, (struct store * store, const struct issued *issued), (store, issued))            \
    X(issued_revoke, (struct store * store, uint64_t serial, int64_t at, const char *reason),      \
      (store, serial, at, reason))                                                                 \
    X(job_put,                                                                                     \
      (struct store * store, struct job * job, const char *const *nodes, size_t node_count),       \
      (store, job, nodes, node_count))                                                             \
    X(job_end, (struct store * store, entity_id id, int64_t at), (store, id, at))                  \
    X(event_append,                                                                                \
      (struct store * store, const char *kind, const char *key, const char *state, int64_t at,     \
       uint64_t *revision),                                                                        \
      (store, kind, key, state, at, revision))

#endif
