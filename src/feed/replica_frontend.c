/* What a frontend asks of its replica. */
#include "feed/replica_db.h"

/* Those that reach the cluster of this host, when it is a login host; their internal keys beside
 * them, each account at least once. */
static const char internal_sql[] =
    "SELECT account.name, coalesce(key.public_key, '') FROM account"
    " LEFT JOIN key ON key.account = account.name AND key.use = ?1"
    "  AND (key.expires_at = 0 OR key.expires_at > ?2)"
    " WHERE account.enabled = 1 AND instr(account.clusters, ',' ||"
    "  (SELECT host.cluster FROM host, meta WHERE meta.name = 'self' AND host.name = meta.value"
    "   AND host.role = ?3) || ',') > 0"
    " ORDER BY account.name, key.id";

err_t replica_internal_list(struct replica *replica, int64_t now,
                            err_t (*each)(void *context, const char *account,
                                          const char *public_key),
                            void *context) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, internal_sql, &statement));
    TRY(replica_db_err(sqlite3_bind_int(statement, 1, KEY_USE_INTERNAL)));
    TRY(replica_db_err(sqlite3_bind_int64(statement, 2, now)));
    TRY(replica_db_err(sqlite3_bind_int(statement, 3, HOST_LOGIN)));
    for (bool row = false;;) {
        TRY(replica_db_step(statement, &row));
        if (!row) {
            return OK;
        }
        TRY(each(context, replica_db_text(statement, 0), replica_db_text(statement, 1)));
    }
}
