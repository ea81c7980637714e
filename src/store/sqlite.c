#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum {
    BUSY_TIMEOUT_MS = 5000,
    CACHE_KIB = 64 * 1024,
    /* Pages of the log before a commit moves them into the file: 32 MiB. A page that many
     * certificates touch is then moved once. */
    CHECKPOINT_PAGES = 8000,
};

/* EFBIG: the file meets a limit of its own (RLIMIT_FSIZE, the file system's largest file). */
static bool is_full(int errnum) { return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG; }

/* SQLite keeps the errno of most failures, but not of a write that fails inside COMMIT: for that
 * one errno itself is still what the write set. */
static err_t error_of_io(sqlite3 *db) {
    return is_full(sqlite3_system_errno(db)) || is_full(errno) ? FAIL(ERR_DISK_FULL) : FAIL(ERR_IO);
}

static err_t error_of_constraint(int result) {
    switch (result) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return FAIL(ERR_EXISTS);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return FAIL(ERR_NOT_FOUND);
    case SQLITE_CONSTRAINT_CHECK:
        return FAIL(ERR_RANGE);
    default:
        return FAIL(ERR_CONFLICT);
    }
}

err_t sqlite_error(sqlite3 *db, int result) {
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_FULL:
        return FAIL(ERR_DISK_FULL);
    case SQLITE_IOERR:
        return result == SQLITE_IOERR_NOMEM ? FAIL(ERR_MEMORY) : error_of_io(db);
    case SQLITE_CONSTRAINT:
        return error_of_constraint(result);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FAIL(ERR_BUSY);
    case SQLITE_NOMEM:
        return FAIL(ERR_MEMORY);
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return FAIL(ERR_PERMISSION);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FAIL(ERR_MALFORMED);
    case SQLITE_CANTOPEN:
        return err_from_errno(sqlite3_system_errno(db) == 0 ? EIO : sqlite3_system_errno(db));
    default:
        return FAIL(ERR_IO);
    }
}

static err_t run_sql(sqlite3 *db, const char *sql) {
    errno = 0; /* for error_of_io() */
    return sqlite_error(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* ---- migrations ---- */

static err_t read_version(sqlite3 *db, size_t *out) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    int version = result == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
    (void)sqlite3_finalize(statement); /* repeats the step's error, which is in `result` */
    TRY(sqlite_error(db, result));
    if (version < 0) {
        return FAIL(ERR_UNSUPPORTED);
    }
    *out = (size_t)version;
    return OK;
}

/* Inside a transaction: the version is read again, since another process may have been faster. */
static err_t migrate_step(sqlite3 *db, const char *const *migrations, size_t count, bool *done) {
    size_t version;
    TRY(read_version(db, &version));
    if (version > count) {
        return FAIL(ERR_UNSUPPORTED);
    }
    *done = version == count;
    if (*done) {
        return OK;
    }
    char sql[64];
    TRY(run_sql(db, migrations[version]));
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %zu", version + 1);
    return run_sql(db, sql);
}

err_t sqlite_migrate(sqlite3 *db, const char *const *migrations, size_t count) {
    for (bool done = false; !done;) {
        TRY(run_sql(db, "BEGIN IMMEDIATE"));
        err_t err = migrate_step(db, migrations, count, &done);
        if (!failed(err)) {
            err = run_sql(db, "COMMIT");
        }
        if (failed(err)) {
            (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return err;
        }
    }
    return OK;
}

/* ---- opening ---- */

/*
 * The database holds hashes of passwords and tokens: 0600, and SQLite gives -wal and -shm the mode
 * of the file itself. An existing file is not opened here, because closing a descriptor of it would
 * drop the locks that another store of this process has on it.
 */
static err_t make_private(const char *path) {
    int fd CLEANUP(fd_closep) = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        return OK;
    }
    struct stat status;
    if (errno != EEXIST || stat(path, &status) != 0) {
        return err_from_errno(errno);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0 && chmod(path, 0600) != 0) {
        return err_from_errno(errno);
    }
    return OK;
}

static err_t prepare_all(struct sqlite_store *self) {
    static const char *const texts[] = {
#define STATEMENT_TEXT(name, sql) [STATEMENT_##name] = (sql),
        STATEMENT_LIST(STATEMENT_TEXT)
#undef STATEMENT_TEXT
    };
    for (size_t i = 0; i < STATEMENTS_COUNT; i++) {
        TRY(sqlite_error(self->db,
                         sqlite3_prepare_v3(self->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                            &self->statements[i], NULL)));
    }
    return OK;
}

static err_t configure(sqlite3 *db) {
    char sql[512];
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA journal_mode = WAL;"
                   "PRAGMA synchronous = FULL;"
                   "PRAGMA foreign_keys = ON;"
                   "PRAGMA trusted_schema = OFF;"
                   "PRAGMA cell_size_check = ON;"
                   "PRAGMA temp_store = MEMORY;"
                   "PRAGMA cache_size = -%d;"
                   "PRAGMA wal_autocheckpoint = %d;",
                   CACHE_KIB, CHECKPOINT_PAGES);
    return run_sql(db, sql);
}

static size_t migration_count(void) {
    size_t count = 0;
    while (sqlite_migrations[count] != NULL) {
        count++;
    }
    return count;
}

static err_t open_db(const char *path, sqlite3 **out) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(path, out, flags, NULL);
    if (result == SQLITE_OK) {
        return OK;
    }
    err_t err = *out == NULL ? FAIL(ERR_MEMORY) : sqlite_error(*out, result);
    (void)sqlite3_close(*out);
    *out = NULL;
    return err;
}

err_t store_open_sqlite(const char *path, struct store **out) {
    struct store *store CLEANUP(store_closep) = NULL;
    TRY(make_private(path));
    struct sqlite_store *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return FAIL(ERR_MEMORY);
    }
    self->store.operations = &sqlite_operations;
    sqlite_issued_init(&self->issued);
    store = &self->store;
    TRY(open_db(path, &self->db));
    TRY(configure(self->db));
    TRY(sqlite_migrate(self->db, sqlite_migrations, migration_count()));
    TRY(prepare_all(self));
    *out = TAKE(store);
    return OK;
}
