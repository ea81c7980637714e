/* Runs tests over every store: each gets a new one, of either kind. */
#ifndef POSTERN_TESTS_UNIT_STORE_SUITE_H
#define POSTERN_TESTS_UNIT_STORE_SUITE_H

#include <unistd.h>

#include "store_fixture.h"

struct backend {
    const char *name;
    struct store *store;
    char directory[64];
};

static inline int set_up(void **state) {
    struct backend *backend = *state;
    char path[128];
    if (strcmp(backend->name, "memory") == 0) {
        assert_ok(store_open_memory(&backend->store));
        return 0;
    }
    (void)snprintf(backend->directory, sizeof backend->directory, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(backend->directory));
    (void)snprintf(path, sizeof path, "%s/db", backend->directory);
    assert_ok(store_open_sqlite(path, &backend->store));
    return 0;
}

static inline int tear_down(void **state) {
    struct backend *backend = *state;
    char path[128];
    store_closep(&backend->store);
    if (backend->directory[0] != '\0') {
        (void)snprintf(path, sizeof path, "%s/db", backend->directory);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(backend->directory), 0); /* closing took -wal and -shm away */
        backend->directory[0] = '\0';
    }
    return 0;
}

static inline struct store *store_of(void **state) { return ((struct backend *)*state)->store; }

static inline struct store *begun(void **state) {
    assert_ok(store_begin(store_of(state)));
    return store_of(state);
}

struct store_test {
    const char *name;
    void (*run)(void **state);
};

#define TEST(function)                                                                             \
    { #function, function }

enum { STORE_TESTS_COUNT = 64 };

static inline int run_over_stores(const struct store_test *tests, size_t count) {
    static struct backend backends[] = {{.name = "memory"}, {.name = "sqlite"}};
    int failures = 0;
    assert_true(count <= STORE_TESTS_COUNT);
    for (size_t i = 0; i < COUNT_OF(backends); i++) {
        struct CMUnitTest table[STORE_TESTS_COUNT];
        for (size_t j = 0; j < count; j++) {
            table[j] =
                (struct CMUnitTest){tests[j].name, tests[j].run, set_up, tear_down, &backends[i]};
        }
        failures += _cmocka_run_group_tests(backends[i].name, table, count, NULL, NULL);
    }
    return failures;
}

#endif
