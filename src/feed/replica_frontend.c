/* What a frontend asks of its replica. */
#include <string.h>

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

err_t replica_address(struct replica *replica, const char *name,
                      char address[LIMIT_HOST_NAME_CHARS + 1], uint16_t *port) {
    sqlite3_stmt *statement CLEANUP(replica_db_finalizep) = NULL;
    TRY(replica_db_prepare(replica, "SELECT address, port FROM host WHERE name = ?", &statement));
    TRY(replica_db_bind_text(statement, 1, name));
    bool row = false;
    TRY(replica_db_step(statement, &row));
    if (!row) {
        return FAIL(ERR_NOT_FOUND);
    }
    const char *text = replica_db_text(statement, 0);
    size_t len = strlen(text);
    if (len > LIMIT_HOST_NAME_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(address, text, len + 1);
    *port = (uint16_t)sqlite3_column_int(statement, 1);
    return OK;
}
