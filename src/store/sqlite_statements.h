/*
 * Every statement that the SQLite store runs. All are prepared when the store opens, so a statement
 * that does not fit the schema is found at once.
 *
 * The column lists stand in the order of the shapes in sqlite_row.c; those that an INSERT takes
 * are numbered from ?1 in that order, as are those of an UPDATE, which leaves the id alone (setting
 * it to itself would make SQLite look up every row that refers to it).
 */
#ifndef POSTERN_STORE_SQLITE_STATEMENTS_H
#define POSTERN_STORE_SQLITE_STATEMENTS_H

#define ACCOUNT_COLUMNS "id, " ACCOUNT_FIELDS
#define ACCOUNT_FIELDS                                                                             \
    "name, kind, display_name, email, administrator, disabled, project_id, quota_per_day, "        \
    "created_at, subnets, impersonates"
#define LOGIN_COLUMNS                                                                              \
    "account_id, password_hash, totp_secret, totp_last_step, invitation_hash, "                    \
    "invitation_expires_at, pending_password_hash, pending_totp_hex, failures, locked_until, "     \
    "window_until"
#define PROJECT_COLUMNS "id, name, display_name, created_at"
#define MEMBER_COLUMNS  "project_id, account_id, role, since"
#define CLUSTER_COLUMNS "id, " CLUSTER_FIELDS
#define CLUSTER_FIELDS  "name, address, port, created_at, node_access, credentials"
#define HOST_COLUMNS    "id, " HOST_FIELDS
#define HOST_FIELDS                                                                                \
    "cluster_id, name, address, port, role, scheduler, job_id, enrol_hash, "                       \
    "enrol_expires_at, token_hash, key_line, enrolled_at, seen_at"
#define ISSUED_COLUMNS                                                                             \
    "serial, account_id, host_id, key_id, fingerprint, ca_fingerprint, issued_at, valid_after, "   \
    "valid_before, counts, source, revoked_at, revoked_reason, api_key_id, grant_id, "             \
    "by_id"
#define ISSUED_COLUMNS_OF_I                                                                        \
    "i.serial, i.account_id, i.host_id, i.key_id, i.fingerprint, i.ca_fingerprint, "               \
    "i.issued_at, i.valid_after, i.valid_before, i.counts, i.source, i.revoked_at, "               \
    "i.revoked_reason, i.api_key_id, i.grant_id, i.by_id"
#define API_KEY_COLUMNS "id, " API_KEY_FIELDS
#define API_KEY_FIELDS                                                                             \
    "account_id, name, hash, hint, subnets, created_at, expires_at, last_used_at, revoked_at, "    \
    "clusters, duration_max_s"
#define SESSION_COLUMNS "hash, " SESSION_FIELDS
#define SESSION_FIELDS                                                                             \
    "account_id, api_key_id, subnets, created_at, expires_at, use, family, client,"                \
    " authenticated_at, methods, used_at, issuer"
#define AUTHORIZATION_COLUMNS "hash, " AUTHORIZATION_FIELDS
#define AUTHORIZATION_FIELDS                                                                       \
    "kind, state, user_code_hash, client, redirect_uri, challenge, nonce, offline, source,"        \
    " account_id, authenticated_at, methods, family, created_at, expires_at, interval_s,"          \
    " polled_at, issuer"
#define REGISTERED_KEY_COLUMNS                                                                     \
    "id, account_id, name, key_line, fingerprint, subnets, created_at, expires_at, use, "          \
    "cluster_id"
#define GRANT_COLUMNS "id, " GRANT_FIELDS
#define GRANT_FIELDS                                                                               \
    "account_id, name, key_line, fingerprint, clusters, subnets, force_command, duration_s, "      \
    "created_at, expires_at, last_used_at, last_source, last_proof_ms, revoked_at"
#define PASSKEY_COLUMNS "id, " PASSKEY_FIELDS
#define PASSKEY_FIELDS                                                                             \
    "account_id, credential, public_key, name, counter, may_be_copied, created_at, "               \
    "last_used_at, locked_at"
#define TICKET_COLUMNS "hash, account_id, api_key_id, expires_at"
#define JOB_COLUMNS    "id, " JOB_FIELDS
#define JOB_FIELDS                                                                                 \
    "cluster_id, name, account_id, user, type, node_count, address, port, host_key_line, "         \
    "started_at, ends_at, ended_at"
#define EVENT_COLUMNS "revision, kind, key, state, at"
#define AUDIT_COLUMNS                                                                              \
    "sequence, at, actor, action, target, allowed, code, detail, source, request_id"
#define TALLY_COLUMNS "step_s, at, kind, count"

/*
 * The jobs of all, of a cluster, an account or a node after id ?1, at most ?2; cluster ?3 and
 * account ?4 may be 0 where they are not what is looked for.
 */
#define JOBS_OF_ALL     "job WHERE true"
#define JOBS_OF_CLUSTER "job WHERE cluster_id = ?3"
#define JOBS_OF_ACCOUNT "job WHERE account_id = ?4 AND (?3 = 0 OR cluster_id = ?3)"
#define JOBS_OF_NODE                                                                               \
    "job_node AS n CROSS JOIN job ON id = n.job_id WHERE n.node = ?5"                              \
    " AND (?4 = 0 OR account_id = ?4) AND (?3 = 0 OR cluster_id = ?3)"
#define JOB_LIST(jobs, state, id)                                                                  \
    "SELECT " JOB_COLUMNS " FROM " jobs " AND " state " AND " id " > ?1 ORDER BY " id " LIMIT ?2"

/* X(name, SQL) */
#define STATEMENT_LIST(X)                                                                          \
    X(begin, "BEGIN IMMEDIATE")                                                                    \
    X(commit, "COMMIT")                                                                            \
    X(rollback, "ROLLBACK")                                                                        \
    X(savepoint, "SAVEPOINT mark")                                                                 \
    X(savepoint_undo, "ROLLBACK TO mark")                                                          \
    X(savepoint_release, "RELEASE mark")                                                           \
                                                                                                   \
    X(account_add, "INSERT INTO account (" ACCOUNT_COLUMNS                                         \
                   ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                 \
    X(account_get, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE id = ?1")                        \
    X(account_find, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE name = ?1")                     \
    X(account_update, "UPDATE account SET (" ACCOUNT_FIELDS                                        \
                      ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) WHERE id = ?1")         \
    X(account_list,                                                                                \
      "SELECT " ACCOUNT_COLUMNS " FROM account WHERE name > ?1 ORDER BY name LIMIT ?2")            \
                                                                                                   \
    X(login_get, "SELECT " LOGIN_COLUMNS " FROM login WHERE account_id = ?1")                      \
    X(login_find_invitation,                                                                       \
      "SELECT " LOGIN_COLUMNS " FROM login WHERE invitation_hash = ?1 AND invitation_hash <> ''")  \
    X(login_put, "INSERT OR REPLACE INTO login (" LOGIN_COLUMNS                                    \
                 ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                        \
                                                                                                   \
    X(project_add, "INSERT INTO project (" PROJECT_COLUMNS ") VALUES (?1, ?2, ?3, ?4)")            \
    X(project_get, "SELECT " PROJECT_COLUMNS " FROM project WHERE id = ?1")                        \
    X(project_find, "SELECT " PROJECT_COLUMNS " FROM project WHERE name = ?1")                     \
    X(project_list,                                                                                \
      "SELECT " PROJECT_COLUMNS " FROM project WHERE name > ?1 ORDER BY name LIMIT ?2")            \
                                                                                                   \
    X(member_put, "INSERT OR REPLACE INTO member (" MEMBER_COLUMNS ") VALUES (?1, ?2, ?3, ?4)")    \
    X(member_get,                                                                                  \
      "SELECT " MEMBER_COLUMNS " FROM member WHERE project_id = ?1 AND account_id = ?2")           \
    X(member_remove, "DELETE FROM member WHERE project_id = ?1 AND account_id = ?2")               \
    X(member_list, "SELECT " MEMBER_COLUMNS " FROM member ORDER BY project_id, account_id")        \
    X(member_list_project,                                                                         \
      "SELECT " MEMBER_COLUMNS " FROM member WHERE project_id = ?1 ORDER BY account_id")           \
    X(member_list_account,                                                                         \
      "SELECT " MEMBER_COLUMNS " FROM member WHERE account_id = ?1 ORDER BY project_id")           \
                                                                                                   \
    X(project_cluster_put,                                                                         \
      "INSERT OR IGNORE INTO project_cluster (project_id, cluster_id) VALUES (?1, ?2)")            \
    X(project_cluster_remove,                                                                      \
      "DELETE FROM project_cluster WHERE project_id = ?1 AND cluster_id = ?2")                     \
    X(project_cluster_list,                                                                        \
      "SELECT " CLUSTER_COLUMNS " FROM cluster WHERE id IN"                                        \
      " (SELECT cluster_id FROM project_cluster WHERE project_id = ?1) ORDER BY name")             \
    X(reach_list, "SELECT " CLUSTER_COLUMNS " FROM cluster WHERE id IN"                            \
                  " (SELECT cluster_id FROM project_cluster WHERE project_id IN"                   \
                  "  (SELECT project_id FROM member WHERE account_id = ?1)) ORDER BY name")        \
                                                                                                   \
    X(cluster_add,                                                                                 \
      "INSERT INTO cluster (" CLUSTER_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")             \
    X(cluster_get, "SELECT " CLUSTER_COLUMNS " FROM cluster WHERE id = ?1")                        \
    X(cluster_find, "SELECT " CLUSTER_COLUMNS " FROM cluster WHERE name = ?1")                     \
    X(cluster_update,                                                                              \
      "UPDATE cluster SET (" CLUSTER_FIELDS ") = (?2, ?3, ?4, ?5, ?6, ?7) WHERE id = ?1")          \
    X(cluster_list,                                                                                \
      "SELECT " CLUSTER_COLUMNS " FROM cluster WHERE name > ?1 ORDER BY name LIMIT ?2")            \
                                                                                                   \
    X(host_add, "INSERT INTO host (" HOST_COLUMNS                                                  \
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)")          \
    X(host_get, "SELECT " HOST_COLUMNS " FROM host WHERE id = ?1")                                 \
    X(host_find, "SELECT " HOST_COLUMNS " FROM host WHERE name = ?1")                              \
    X(host_find_enrol,                                                                             \
      "SELECT " HOST_COLUMNS " FROM host WHERE enrol_hash = ?1 AND enrol_hash <> ''")              \
    X(host_find_token,                                                                             \
      "SELECT " HOST_COLUMNS " FROM host WHERE token_hash = ?1 AND token_hash <> ''")              \
    X(host_update, "UPDATE host SET (" HOST_FIELDS                                                 \
                   ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) WHERE id = ?1")  \
    X(host_remove, "DELETE FROM host WHERE id = ?1")                                               \
    X(host_list, "SELECT " HOST_COLUMNS " FROM host WHERE name > ?1 ORDER BY name LIMIT ?2")       \
    X(host_list_by_job, "SELECT " HOST_COLUMNS " FROM host WHERE job_id = ?1 ORDER BY name")       \
    X(host_list_by_role, "SELECT " HOST_COLUMNS " FROM host WHERE role = ?1 ORDER BY name")        \
                                                                                                   \
    X(issued_add, "INSERT INTO issued (" ISSUED_COLUMNS                                            \
                  ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "   \
                  "?16)")                                                                          \
    X(issued_get, "SELECT " ISSUED_COLUMNS " FROM issued WHERE serial = ?1")                       \
    X(issued_facts, "SELECT " ISSUED_COLUMNS " FROM issued WHERE serial IN"                        \
                    " (SELECT serial FROM issued_by_account"                                       \
                    "  WHERE account_id = ?1 AND (counted_at >= ?2 OR valid_before > ?3))")        \
    X(issued_undo, "DELETE FROM issued WHERE serial = ?1")                                         \
    X(issued_tail, "SELECT account_id, serial, valid_before, issued_at * counts FROM issued"       \
                   " WHERE serial > ?1 AND account_id IS NOT NULL ORDER BY serial")                \
    X(issued_index_add,                                                                            \
      "INSERT INTO issued_by_account (account_id, serial, valid_before, counted_at)"               \
      " VALUES (?1, ?2, ?3, ?4)")                                                                  \
    X(issued_indexed, "SELECT up_to FROM issued_indexed")                                          \
    X(issued_indexed_set, "UPDATE issued_indexed SET up_to = ?1")                                  \
    X(data_version, "PRAGMA data_version")                                                         \
    X(issued_list,                                                                                 \
      "SELECT " ISSUED_COLUMNS " FROM issued WHERE serial < ?2 AND (?3 OR valid_before > ?5)"      \
      " AND (?4 OR revoked_at = 0) AND (?8 = 0 OR api_key_id = ?8)"                                \
      " AND (?9 = 0 OR grant_id = ?9) AND (?10 = 0 OR by_id = ?10) ORDER BY serial DESC LIMIT ?6") \
    X(issued_list_other,                                                                           \
      "SELECT " ISSUED_COLUMNS " FROM issued INDEXED BY issued_by_other WHERE by_id = ?10"         \
      " AND by_id <> 0 AND (?1 = 0 OR account_id = ?1) AND serial < ?2"                            \
      " AND (?3 OR valid_before > ?5) AND (?4 OR revoked_at = 0)"                                  \
      " AND (?8 = 0 OR api_key_id = ?8) ORDER BY serial DESC LIMIT ?6")                            \
    X(issued_list_host,                                                                            \
      "SELECT " ISSUED_COLUMNS " FROM issued INDEXED BY issued_by_host WHERE host_id = ?7"         \
      " AND host_id <> 0 AND (?1 = 0 OR account_id = ?1) AND serial < ?2"                          \
      " AND (?3 OR valid_before > ?5) AND (?4 OR revoked_at = 0)"                                  \
      " AND (?8 = 0 OR api_key_id = ?8) AND (?10 = 0 OR by_id = ?10)"                              \
      " ORDER BY serial DESC LIMIT ?6")                                                            \
    X(issued_list_account,                                                                         \
      "SELECT " ISSUED_COLUMNS_OF_I " FROM issued_by_account AS a CROSS JOIN issued AS i"          \
      " ON i.serial = a.serial WHERE a.account_id = ?1 AND a.serial < ?2"                          \
      " AND (?3 OR a.valid_before > ?5) AND (?4 OR i.revoked_at = 0)"                              \
      " AND (?8 = 0 OR i.api_key_id = ?8) AND (?9 = 0 OR i.grant_id = ?9)"                         \
      " AND (?10 = 0 OR i.by_id = ?10)"                                                            \
      " ORDER BY a.serial DESC LIMIT ?6")                                                          \
    X(issued_revoke,                                                                               \
      "UPDATE issued SET revoked_at = ?2, revoked_reason = ?3 WHERE serial = ?1 AND "              \
      "revoked_at = 0")                                                                            \
    X(revoked_list,                                                                                \
      "SELECT " ISSUED_COLUMNS " FROM issued INDEXED BY issued_revoked"                            \
      " WHERE revoked_at <> 0 AND valid_before > ?1 AND serial > ?2 ORDER BY serial LIMIT ?3")     \
                                                                                                   \
    X(api_key_add, "INSERT INTO api_key (" API_KEY_COLUMNS                                         \
                   ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                 \
    X(api_key_get, "SELECT " API_KEY_COLUMNS " FROM api_key WHERE id = ?1")                        \
    X(api_key_find, "SELECT " API_KEY_COLUMNS " FROM api_key WHERE hash = ?1")                     \
    X(api_key_update, "UPDATE api_key SET (" API_KEY_FIELDS                                        \
                      ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) WHERE id = ?1")         \
    X(api_key_list, "SELECT " API_KEY_COLUMNS " FROM api_key ORDER BY id")                         \
    X(api_key_list_account,                                                                        \
      "SELECT " API_KEY_COLUMNS " FROM api_key WHERE account_id = ?1 ORDER BY id")                 \
                                                                                                   \
    X(session_add, "INSERT INTO session (" SESSION_COLUMNS                                         \
                   ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")            \
    X(session_update, "UPDATE session SET (" SESSION_FIELDS                                        \
                      ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) WHERE hash = ?1")  \
    X(session_find, "SELECT " SESSION_COLUMNS " FROM session WHERE hash = ?1")                     \
    X(session_list, "SELECT " SESSION_COLUMNS " FROM session WHERE account_id = ?1 ORDER BY hash") \
    X(session_remove, "DELETE FROM session WHERE hash = ?1")                                       \
    X(session_remove_family, "DELETE FROM session WHERE family <> '' AND family = ?1")             \
    X(session_remove_all,                                                                          \
      "DELETE FROM session WHERE (expires_at <> 0 AND expires_at <= ?3)"                           \
      " OR (use <> 4 AND (?1 = 0 OR account_id = ?1) AND (?2 = 0 OR api_key_id = ?2))")            \
    X(session_sweep, "DELETE FROM session WHERE expires_at <> 0 AND expires_at <= ?1")             \
                                                                                                   \
    X(authorization_add,                                                                           \
      "INSERT INTO authorization (" AUTHORIZATION_COLUMNS                                          \
      ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"      \
      " ?18, ?19)")                                                                                \
    X(authorization_update,                                                                        \
      "UPDATE authorization SET (" AUTHORIZATION_FIELDS                                            \
      ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"     \
      " WHERE hash = ?1")                                                                          \
    X(authorization_find, "SELECT " AUTHORIZATION_COLUMNS " FROM authorization WHERE hash = ?1")   \
    X(authorization_find_user_code,                                                                \
      "SELECT " AUTHORIZATION_COLUMNS " FROM authorization WHERE user_code_hash = ?1"              \
      " AND user_code_hash <> ''")                                                                 \
    X(authorization_remove, "DELETE FROM authorization WHERE hash = ?1")                           \
    X(authorization_remove_oldest,                                                                 \
      "DELETE FROM authorization WHERE hash = (SELECT hash FROM authorization"                     \
      " WHERE account_id IS NULL ORDER BY expires_at LIMIT 1)")                                    \
    X(authorization_remove_all, "DELETE FROM authorization WHERE account_id = ?1 AND state <> 4")  \
    X(authorization_count, "SELECT (SELECT count(*) FROM authorization) WHERE ?1 = 0")             \
    X(authorization_count_account, "SELECT count(*) FROM authorization WHERE account_id = ?1")     \
    X(authorization_sweep, "DELETE FROM authorization WHERE expires_at <= ?1")                     \
                                                                                                   \
    X(registered_key_add, "INSERT INTO registered_key (" REGISTERED_KEY_COLUMNS                    \
                          ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                    \
    X(registered_key_remove, "DELETE FROM registered_key WHERE id = ?1")                           \
    X(registered_key_get, "SELECT " REGISTERED_KEY_COLUMNS " FROM registered_key WHERE id = ?1")   \
    X(registered_key_find,                                                                         \
      "SELECT " REGISTERED_KEY_COLUMNS " FROM registered_key WHERE fingerprint = ?1")              \
    X(registered_key_list, "SELECT " REGISTERED_KEY_COLUMNS " FROM registered_key ORDER BY id")    \
    X(registered_key_list_account,                                                                 \
      "SELECT " REGISTERED_KEY_COLUMNS " FROM registered_key WHERE account_id = ?1 ORDER BY id")   \
                                                                                                   \
    X(grant_add, "INSERT INTO automation_grant (" GRANT_COLUMNS                                    \
                 ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")    \
    X(grant_get, "SELECT " GRANT_COLUMNS " FROM automation_grant WHERE id = ?1")                   \
    X(grant_update, "UPDATE automation_grant SET (" GRANT_FIELDS                                   \
                    ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"           \
                    " WHERE id = ?1")                                                              \
    X(grant_list, "SELECT " GRANT_COLUMNS " FROM automation_grant ORDER BY id")                    \
    X(grant_list_account,                                                                          \
      "SELECT " GRANT_COLUMNS " FROM automation_grant WHERE account_id = ?1 ORDER BY id")          \
    X(grant_list_by_key,                                                                           \
      "SELECT " GRANT_COLUMNS " FROM automation_grant WHERE fingerprint = ?1 ORDER BY id")         \
    X(identity_add,                                                                                \
      "INSERT INTO identity (account_id, issuer, subject, since) VALUES (?1, ?2, ?3, ?4)")         \
    X(identity_get, "SELECT account_id, issuer, subject, since FROM identity"                      \
                    " WHERE account_id = ?1 AND issuer = ?2")                                      \
    X(identity_remove_all, "DELETE FROM identity WHERE account_id = ?1")                           \
    X(passkey_add, "INSERT INTO passkey (" PASSKEY_COLUMNS                                         \
                   ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                           \
    X(passkey_get, "SELECT " PASSKEY_COLUMNS " FROM passkey WHERE id = ?1")                        \
    X(passkey_find, "SELECT " PASSKEY_COLUMNS " FROM passkey WHERE credential = ?1")               \
    X(passkey_update, "UPDATE passkey SET (" PASSKEY_FIELDS                                        \
                      ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) WHERE id = ?1")                   \
    X(passkey_remove, "DELETE FROM passkey WHERE id = ?1")                                         \
    X(passkey_remove_all, "DELETE FROM passkey WHERE account_id = ?1")                             \
    X(passkey_list, "SELECT " PASSKEY_COLUMNS " FROM passkey WHERE account_id = ?1 ORDER BY id")   \
    X(answered_challenge_add,                                                                      \
      "INSERT INTO answered_challenge (challenge, expires_at) VALUES (?1, ?2)")                    \
    X(answered_challenge_sweep, "DELETE FROM answered_challenge WHERE expires_at <= ?1")           \
    X(recovery_code_put,                                                                           \
      "INSERT OR REPLACE INTO recovery_code (account_id, hash) VALUES (?1, ?2)")                   \
    X(recovery_code_take, "DELETE FROM recovery_code WHERE account_id = ?1 AND hash = ?2")         \
    X(recovery_code_count, "SELECT count(*) FROM recovery_code WHERE account_id = ?1")             \
    X(recovery_code_remove_all, "DELETE FROM recovery_code WHERE account_id = ?1")                 \
    X(ticket_add, "INSERT INTO ticket (" TICKET_COLUMNS ") VALUES (?1, ?2, ?3, ?4)")               \
    X(ticket_find, "SELECT " TICKET_COLUMNS " FROM ticket WHERE hash = ?1")                        \
    X(ticket_remove, "DELETE FROM ticket WHERE hash = ?1")                                         \
    X(ticket_sweep, "DELETE FROM ticket WHERE expires_at <= ?1")                                   \
                                                                                                   \
    X(job_add, "INSERT INTO job (" JOB_COLUMNS                                                     \
               ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")                \
    X(job_update,                                                                                  \
      "UPDATE job SET (" JOB_FIELDS                                                                \
      ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) WHERE id = ?1 AND ended_at = 0")   \
    X(job_get, "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1")                                    \
    X(job_find,                                                                                    \
      "SELECT " JOB_COLUMNS " FROM job WHERE cluster_id = ?1 AND name = ?2 AND ended_at = 0")      \
    X(job_end, "UPDATE job SET ended_at = ?2 WHERE id = ?1 AND ended_at = 0")                      \
    X(job_prune,                                                                                   \
      "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE ended_at > 0 AND ended_at < ?1"       \
      " AND NOT EXISTS (SELECT 1 FROM host WHERE host.job_id = job.id) LIMIT ?2)")                 \
    X(job_list, JOB_LIST(JOBS_OF_ALL, "ended_at = 0", "id"))                                       \
    X(job_list_all, JOB_LIST(JOBS_OF_ALL, "true", "id"))                                           \
    X(job_list_cluster, JOB_LIST(JOBS_OF_CLUSTER, "ended_at = 0", "id"))                           \
    X(job_list_cluster_all, JOB_LIST(JOBS_OF_CLUSTER, "true", "id"))                               \
    X(job_list_account, JOB_LIST(JOBS_OF_ACCOUNT, "ended_at = 0", "id"))                           \
    X(job_list_account_all, JOB_LIST(JOBS_OF_ACCOUNT, "true", "id"))                               \
    X(job_list_node, JOB_LIST(JOBS_OF_NODE, "n.ended = 0", "n.job_id"))                            \
    X(job_list_node_all, JOB_LIST(JOBS_OF_NODE, "true", "n.job_id"))                               \
    X(job_count, "SELECT count(*) FROM job WHERE cluster_id = ?1 AND ended_at = 0")                \
    X(job_list_due, "SELECT " JOB_COLUMNS " FROM job WHERE ended_at = 0 AND ends_at <> 0"          \
                    " AND ends_at <= ?1 ORDER BY ends_at, id LIMIT ?2")                            \
    X(job_node_add, "INSERT INTO job_node (job_id, position, node, ended)"                         \
                    " VALUES (?1, ?2, ?3, 0)")                                                     \
    X(job_node_remove, "DELETE FROM job_node WHERE job_id = ?1")                                   \
    X(job_node_end, "UPDATE job_node SET ended = 1 WHERE job_id = ?1")                             \
    X(job_node_list, "SELECT node FROM job_node WHERE job_id = ?1 ORDER BY position")              \
                                                                                                   \
    X(event_append, "INSERT INTO event (kind, key, state, at) VALUES (?1, ?2, ?3, ?4)")            \
    X(event_revision,                                                                              \
      "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0),"                \
      " coalesce((SELECT min(revision) FROM event), 0)")                                           \
    X(event_list,                                                                                  \
      "SELECT " EVENT_COLUMNS " FROM event WHERE revision > ?1 ORDER BY revision LIMIT ?2")        \
    X(event_prune, "DELETE FROM event WHERE revision <= ?1")                                       \
    X(event_skip, "INSERT INTO event (revision, kind, key, state, at) VALUES (?1, '', '', '', 0)") \
                                                                                                   \
    X(audit_append,                                                                                \
      "INSERT INTO audit (" AUDIT_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")    \
    X(audit_list,                                                                                  \
      "SELECT " AUDIT_COLUMNS " FROM audit WHERE sequence < ?1 AND sequence > ?6 AND at >= ?2"     \
      " AND (?3 IS NULL OR actor = ?3)"                                                            \
      " AND (?4 IS NULL OR action = ?4"                                                            \
      "  OR (substr(?4, -1) = '.' AND substr(action, 1, length(?4)) = ?4))"                        \
      " ORDER BY sequence DESC LIMIT ?5")                                                          \
                                                                                                   \
    X(tally_add, "INSERT INTO tally (" TALLY_COLUMNS ") VALUES (?1, ?2, ?3, ?4)"                   \
                 " ON CONFLICT DO UPDATE SET count = count + ?4")                                  \
    X(tally_list, "SELECT " TALLY_COLUMNS " FROM tally WHERE step_s = ?1 AND at >= ?2"             \
                  " ORDER BY at, kind")                                                            \
                                                                                                   \
    X(meta_get, "SELECT value FROM meta WHERE name = ?1")                                          \
    X(meta_put, "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")

enum statement {
#define STATEMENT_ENUM(name, sql) STATEMENT_##name,
    STATEMENT_LIST(STATEMENT_ENUM)
#undef STATEMENT_ENUM
        STATEMENTS_COUNT
};

#endif
