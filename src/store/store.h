/*
 * Durable truth: one interface, several stores (SQLite, memory; PostgreSQL later), one conformance
 * suite.
 *
 * A store belongs to one thread at a time. All reads and writes happen between store_begin() and
 * store_commit(), and what they see and do is serialisable. store_commit() returns when the
 * transaction is on disk. A part of a transaction is undone by store_mark() and store_undo(), which
 * is how many requests share one commit and yet fail alone.
 *
 * Getters, updaters and removers return ERR_NOT_FOUND, and so does a writer that refers to an
 * account, project, cluster or API key that is not there; adders and updaters return ERR_EXISTS for
 * a name or hash (not an empty one) that is there. These refusals change nothing. After any other
 * failure of a writer or of store_commit() (ERR_DISK_FULL, ERR_IO, ERR_MEMORY, …) the transaction
 * can only be rolled back, and until then every call fails with that error.
 *
 * Listings call each() in the stated order, at most `max` times, and stop at its first error.
 * each() may read, other listings included, but not write. after_name may be NULL: from the first.
 */
#ifndef POSTERN_STORE_STORE_H
#define POSTERN_STORE_STORE_H

#include "model/entity.h"

struct store;

/* Opens, migrates to the newest schema, and refuses (ERR_UNSUPPORTED) a schema newer than this
 * program. */
err_t store_open_sqlite(const char *path, struct store **out);
err_t store_open_memory(struct store **out);
void store_close(struct store *store);
void store_closep(struct store **store);

err_t store_begin(struct store *store);
err_t store_commit(struct store *store);
/* Also takes a store without a transaction, so that it can stand in clean-up paths. */
void store_rollback(struct store *store);
/* A mark inside a transaction; undo goes back to it, keep forgets it. Marks do not nest. */
err_t store_mark(struct store *store);
err_t store_undo(struct store *store);
err_t store_keep(struct store *store);

/* Accounts; listings by name. */
err_t store_account_add(struct store *store, struct account *account); /* sets id */
err_t store_account_get(struct store *store, entity_id id, struct account *out);
err_t store_account_find(struct store *store, const char *name, struct account *out);
err_t store_account_update(struct store *store, const struct account *account);
err_t store_account_list(struct store *store, const char *after_name, size_t max,
                         err_t (*each)(void *context, const struct account *account),
                         void *context);

err_t store_login_get(struct store *store, entity_id account_id, struct login *out);
err_t store_login_find_invitation(struct store *store, const char *hash, struct login *out);
err_t store_login_put(struct store *store, const struct login *login);

/* Projects, who belongs to them, and which clusters they reach. */
err_t store_project_add(struct store *store, struct project *project);
err_t store_project_get(struct store *store, entity_id id, struct project *out);
err_t store_project_find(struct store *store, const char *name, struct project *out);
err_t store_project_list(struct store *store, const char *after_name, size_t max,
                         err_t (*each)(void *context, const struct project *project),
                         void *context);
err_t store_member_put(struct store *store, const struct membership *membership);
err_t store_member_get(struct store *store, entity_id project_id, entity_id account_id,
                       struct membership *out);
err_t store_member_remove(struct store *store, entity_id project_id, entity_id account_id);
/* project_id or account_id 0: of all. In the order of project, then account id. */
err_t store_member_list(struct store *store, entity_id project_id, entity_id account_id,
                        err_t (*each)(void *context, const struct membership *membership),
                        void *context);
err_t store_project_cluster_put(struct store *store, entity_id project_id, entity_id cluster_id);
err_t store_project_cluster_remove(struct store *store, entity_id project_id, entity_id cluster_id);
err_t store_project_cluster_list(struct store *store, entity_id project_id,
                                 err_t (*each)(void *context, const struct cluster *cluster),
                                 void *context);
/* The clusters that an account's projects reach (a service account's: of its project), by name,
 * each once. */
err_t store_reach_list(struct store *store, entity_id account_id,
                       err_t (*each)(void *context, const struct cluster *cluster), void *context);

err_t store_cluster_add(struct store *store, struct cluster *cluster);
err_t store_cluster_get(struct store *store, entity_id id, struct cluster *out);
err_t store_cluster_find(struct store *store, const char *name, struct cluster *out);
err_t store_cluster_update(struct store *store, const struct cluster *cluster);
err_t store_cluster_list(struct store *store, const char *after_name, size_t max,
                         err_t (*each)(void *context, const struct cluster *cluster),
                         void *context);

err_t store_host_add(struct store *store, struct host *host);
err_t store_host_get(struct store *store, entity_id id, struct host *out);
err_t store_host_find(struct store *store, const char *name, struct host *out);
err_t store_host_find_enrol(struct store *store, const char *enrol_hash, struct host *out);
err_t store_host_find_token(struct store *store, const char *token_hash, struct host *out);
err_t store_host_update(struct store *store, const struct host *host);
err_t store_host_remove(struct store *store, entity_id id);
err_t store_host_list(struct store *store, const char *after_name, size_t max,
                      err_t (*each)(void *context, const struct host *host), void *context);
/* The hosts that came with a job (HOST_JOB), by name. */
err_t store_host_list_by_job(struct store *store, entity_id job_id,
                             err_t (*each)(void *context, const struct host *host), void *context);
/* By name. */
err_t store_host_list_by_role(struct store *store, enum host_role role,
                              err_t (*each)(void *context, const struct host *host), void *context);

/* Issued certificates. */
err_t store_issued_add(struct store *store,
                       const struct issued *issued); /* ERR_EXISTS for a serial that is there */
err_t store_issued_get(struct store *store, uint64_t serial, struct issued *out);
/* What policy needs, in one call: how many that count were issued at or after `since`, and whether
 * a certificate of this key, other than for a job, is valid (valid_before > now) and not revoked.
 */
err_t store_issued_facts(struct store *store, entity_id account_id, const char *fingerprint,
                         int64_t since, int64_t now, uint32_t *count, bool *key_has_valid);
/* When the oldest of those that facts counted was issued: a day later the quota has room again. */
err_t store_issued_oldest(struct store *store, entity_id account_id, int64_t since,
                          int64_t *issued_at);
struct issued_filter {
    entity_id account_id; /* 0: of whichever */
    entity_id host_id;    /* 0: of whichever */
    entity_id api_key_id; /* 0: of whichever; only its account's rows are looked at when that is set
                             as well */
    entity_id grant_id;   /* the same */
    entity_id by_id;      /* 0: whoever asked; else those that this service account asked for in the
                             place of others */
    int64_t now;
    bool include_expired;
    bool include_revoked;
    uint64_t before_serial; /* 0: from the newest; else older than this one (paging) */
    size_t max;
};
/* Newest first. */
err_t store_issued_list(struct store *store, const struct issued_filter *filter,
                        err_t (*each)(void *context, const struct issued *issued), void *context);
/* ERR_CONFLICT when it is revoked already. */
err_t store_issued_revoke(struct store *store, uint64_t serial, int64_t at, const char *reason);
/* Every certificate that is revoked and not expired at now, by serial: those after `after_serial`
 * (paging; 0: from the first). */
err_t store_revoked_list(struct store *store, int64_t now, uint64_t after_serial, size_t max,
                         err_t (*each)(void *context, const struct issued *issued), void *context);

/* account_id 0 lists those of all accounts; in the order of ids. */
err_t store_api_key_add(struct store *store, struct api_key *key);
err_t store_api_key_get(struct store *store, entity_id id, struct api_key *out);
err_t store_api_key_find(struct store *store, const char *hash, struct api_key *out);
err_t store_api_key_update(struct store *store, const struct api_key *key);
err_t store_api_key_list(struct store *store, entity_id account_id,
                         err_t (*each)(void *context, const struct api_key *key), void *context);

err_t store_session_add(struct store *store, const struct session *session);
err_t store_session_find(struct store *store, const char *hash, struct session *out);
/* In the order of hashes. */
err_t store_session_list(struct store *store, entity_id account_id,
                         err_t (*each)(void *context, const struct session *session),
                         void *context);
err_t store_session_update(struct store *store, const struct session *session);
err_t store_session_remove(struct store *store, const char *hash);
/* All that came of one sign-in; the empty family has none. */
err_t store_session_remove_family(struct store *store, const char *family);
/* account_id and api_key_id 0: any (so with both 0 everybody is logged out); removes those that
 * match and those expired at now. What a spent token of another issuer left stays. */
err_t store_session_remove_all(struct store *store, entity_id account_id, entity_id api_key_id,
                               int64_t now);
/* Removes those expired at now. */
err_t store_session_sweep(struct store *store, int64_t now);

/* Sign-ins that clients wait for; ERR_EXISTS for a user code that another has. */
err_t store_authorization_add(struct store *store, const struct authorization *authorization);
err_t store_authorization_find(struct store *store, const char *hash, struct authorization *out);
err_t store_authorization_find_user_code(struct store *store, const char *user_code_hash,
                                         struct authorization *out);
err_t store_authorization_update(struct store *store, const struct authorization *authorization);
err_t store_authorization_remove(struct store *store, const char *hash);
/* Of the devices that nobody approved, the one that ends first. */
err_t store_authorization_remove_oldest(struct store *store);
/* What the account approved and nobody has used. */
err_t store_authorization_remove_all(struct store *store, entity_id account_id);
/* account_id 0: all, else what the account approved. */
err_t store_authorization_count(struct store *store, entity_id account_id, size_t *out);
/* Removes those that expired at that time or before. */
err_t store_authorization_sweep(struct store *store, int64_t ended_at);

/* account_id 0 lists those of all accounts; in the order of ids. ERR_EXISTS for a fingerprint that
 * is registered, for whichever account. A person's key has no cluster, an internal one has. */
err_t store_registered_key_add(struct store *store, struct registered_key *key);
err_t store_registered_key_remove(struct store *store, entity_id id);
err_t store_registered_key_get(struct store *store, entity_id id, struct registered_key *out);
err_t store_registered_key_find(struct store *store, const char *fingerprint,
                                struct registered_key *out);
err_t store_registered_key_list(struct store *store, entity_id account_id,
                                err_t (*each)(void *context, const struct registered_key *key),
                                void *context);

/* account_id 0 lists those of all accounts; in the order of ids, revoked and expired ones too. */
err_t store_grant_add(struct store *store, struct grant *grant);
err_t store_grant_get(struct store *store, entity_id id, struct grant *out);
err_t store_grant_update(struct store *store, const struct grant *grant);
err_t store_grant_list(struct store *store, entity_id account_id,
                       err_t (*each)(void *context, const struct grant *grant), void *context);
/* Those of a key, of whichever accounts. */
err_t store_grant_list_by_key(struct store *store, const char *fingerprint,
                              err_t (*each)(void *context, const struct grant *grant),
                              void *context);

/* Who an account is at external issuers: one person at each. ERR_EXISTS when the account is another
 * there already, or when that one is another account. */
err_t store_identity_add(struct store *store, const struct external_identity *identity);
err_t store_identity_get(struct store *store, entity_id account_id, const char *issuer,
                         struct external_identity *out);
err_t store_identity_remove_all(struct store *store, entity_id account_id);

/* Passkeys, by account in the order of ids; ERR_EXISTS for a credential that is registered, for
 * whichever account. */
err_t store_passkey_add(struct store *store, struct passkey *passkey); /* sets id */
err_t store_passkey_get(struct store *store, entity_id id, struct passkey *out);
err_t store_passkey_find(struct store *store, const char *credential, struct passkey *out);
err_t store_passkey_update(struct store *store, const struct passkey *passkey);
err_t store_passkey_remove(struct store *store, entity_id id);
err_t store_passkey_remove_all(struct store *store, entity_id account_id);
err_t store_passkey_list(struct store *store, entity_id account_id,
                         err_t (*each)(void *context, const struct passkey *passkey),
                         void *context);

/* ERR_EXISTS for a challenge that was answered already. */
err_t store_answered_challenge_add(struct store *store, const struct answered_challenge *challenge);
/* Removes those expired at now. */
err_t store_answered_challenge_sweep(struct store *store, int64_t now);

/* Recovery codes: taking one removes it, so that it is good once. */
err_t store_recovery_code_put(struct store *store, const struct recovery_code *code);
err_t store_recovery_code_take(struct store *store, entity_id account_id, const char *hash);
err_t store_recovery_code_count(struct store *store, entity_id account_id, size_t *out);
err_t store_recovery_code_remove_all(struct store *store, entity_id account_id);

err_t store_ticket_add(struct store *store, const struct ticket *ticket);
err_t store_ticket_find(struct store *store, const char *hash, struct ticket *out);
err_t store_ticket_remove(struct store *store, const char *hash);
/* Removes those expired at now. */
err_t store_ticket_sweep(struct store *store, int64_t now);

/*
 * Jobs. One that ended stays on record, with its nodes, until it is pruned.
 *
 * Puts a job with its nodes, at most LIMIT_JOB_NODES_COUNT (ERR_TOO_LONG, as for a node's name):
 * adds it and sets id when that is 0, else changes it and replaces its nodes. A node that is told
 * twice counts once; node_count is set. ERR_EXISTS when another job that runs on this cluster has
 * the name; ERR_CONFLICT for a job that has ended.
 */
err_t store_job_put(struct store *store, struct job *job, const char *const *nodes,
                    size_t node_count);
err_t store_job_get(struct store *store, entity_id id, struct job *out);
/* The one of that name that runs. */
err_t store_job_find(struct store *store, entity_id cluster_id, const char *name, struct job *out);
/* ERR_CONFLICT when it ended already. */
err_t store_job_end(struct store *store, entity_id id, int64_t at);
/* In the order in which they were put. */
err_t store_job_node_list(struct store *store, entity_id id,
                          err_t (*each)(void *context, const char *node), void *context);
struct job_filter {
    entity_id account_id; /* 0: of whichever */
    entity_id cluster_id; /* 0: of whichever */
    const char *node;     /* that has this one among its nodes; NULL: whichever it has */
    bool include_ended;
    entity_id after_id; /* 0: from the first (paging) */
    size_t max;
};
/* In the order of ids, which is that in which they were added. */
err_t store_job_list(struct store *store, const struct job_filter *filter,
                     err_t (*each)(void *context, const struct job *job), void *context);
/* How many run on a cluster. */
err_t store_job_count(struct store *store, entity_id cluster_id, size_t *out);
/* Those that run although their limit of time has come, the earliest first. */
err_t store_job_list_due(struct store *store, int64_t at, size_t max,
                         err_t (*each)(void *context, const struct job *job), void *context);
/* Forgets at most `max` of those that ended before, but none that hosts still belong to. */
err_t store_job_prune(struct store *store, int64_t before, size_t max);

/* Appends with the next revision, which is strictly increasing and without gaps. */
err_t store_event_append(struct store *store, const char *kind, const char *key, const char *state,
                         int64_t at, uint64_t *revision);
/* newest: the last that was given, 0 before the first; oldest: the oldest that is kept, newest + 1
 * when none is. */
err_t store_event_revision(struct store *store, uint64_t *newest, uint64_t *oldest);
/* Events after `since`, oldest first. */
err_t store_event_list(struct store *store, uint64_t since, size_t max,
                       err_t (*each)(void *context, const struct event *event), void *context);
/* Forgets events up to and including a revision; who is behind that gets a snapshot. */
err_t store_event_prune(struct store *store, uint64_t up_to);
/* Forgets all events, and goes on as if the last one had had this revision. ERR_RANGE when it is
 * not after the newest. */
err_t store_event_skip(struct store *store, uint64_t revision);

/* Append-only: the schema itself refuses updates and deletions. sequence is set. */
err_t store_audit_append(struct store *store, struct audit *audit);
struct audit_filter {
    const char *actor;        /* NULL: all */
    const char *action;       /* NULL: all; "certificate." is a prefix when it ends in a dot */
    int64_t since;            /* at or after; 0: all */
    uint64_t before_sequence; /* 0: from the newest */
    size_t max;
    uint64_t after_sequence; /* none of this one or before is looked at */
};
/* Newest first. */
err_t store_audit_list(struct store *store, const struct audit_filter *filter,
                       err_t (*each)(void *context, const struct audit *audit), void *context);

/* Adds to the count of that kind and stretch. */
err_t store_tally_add(struct store *store, const struct tally *tally);
/* The counts of stretches of that length, from one that began at `since` on: by time, then kind. */
err_t store_tally_list(struct store *store, int64_t step_s, int64_t since,
                       err_t (*each)(void *context, const struct tally *tally), void *context);

/* Small values by name ("site_id"); the caller frees *value. */
err_t store_meta_get(struct store *store, const char *name, char **value);
err_t store_meta_put(struct store *store, const char *name, const char *value);

#endif
