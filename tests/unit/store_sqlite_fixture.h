/* A store over SQLite in a directory of its own, and its database beside it. */
#ifndef POSTERN_TESTS_UNIT_STORE_SQLITE_FIXTURE_H
#define POSTERN_TESTS_UNIT_STORE_SQLITE_FIXTURE_H

#include <unistd.h>

#include "store/sqlite.h"
#include "store_fixture.h"

static char directory[64];
static char path[128];

static inline int set_up(void **state) {
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/db", directory);
    return 0;
}

static inline int tear_down(void **state) {
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        char file[160];
        (void)snprintf(file, sizeof file, "%s%s", path, endings[i]);
        (void)unlink(file); /* those that are there */
    }
    assert_int_equal(rmdir(directory), 0);
    return 0;
}

static inline struct store *opened(void) {
    struct store *store;
    assert_ok(store_open_sqlite(path, &store));
    return store;
}

static inline sqlite3 *db_of(struct store *store) { return ((struct sqlite_store *)store)->db; }

static inline int sql(sqlite3 *db, const char *text) {
    return sqlite3_exec(db, text, NULL, NULL, NULL);
}

static inline int number_of(sqlite3 *db, const char *text) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int number = sqlite3_column_int(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    return number;
}

#endif
