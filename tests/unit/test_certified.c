/* Which keys came in with a certificate, so that their owners are spared a line. */
#include "gate/relay/certified.h"

#include <string.h>

#include "base/limits.h"
#include "check.h"

enum { NOW = 1800000000 };

/* One of 2^32 keys. */
static struct key *make(uint32_t number) {
    uint8_t blob[] = {0,   0,   0,   11,  's', 's', 'h', '-', 'e', 'd',
                      '2', '5', '5', '1', '9', 0,   0,   0,   32,  [19 + 31] = 0};
    struct key *key = NULL;
    memset(blob + 19, 7, 32);
    memcpy(blob + 19, &number, sizeof number);
    assert_ok(key_parse((span_t){blob, sizeof blob}, &key));
    return key;
}

static void note(struct certified *table, const char *user, uint32_t number, int64_t until) {
    struct key *key CLEANUP(key_freep) = make(number);
    certified_note(table, user, key, until);
}

static bool knows(struct certified *table, const char *user, uint32_t number, int64_t now) {
    struct key *key CLEANUP(key_freep) = make(number);
    return certified_knows(table, user, key, now);
}

static void test_while_it_is_good(void **state) {
    (void)state;
    struct certified *table = NULL;
    assert_ok(certified_new(&table));
    assert_false(knows(table, "alice", 1, 0));
    note(table, "alice", 1, NOW);
    assert_true(knows(table, "alice", 1, NOW - 1));
    assert_false(knows(table, "alice", 1, NOW));
    assert_false(knows(table, "alice", 2, NOW - 1));
    assert_false(knows(table, "bob", 1, NOW - 1));
    note(table, "alice", 1, NOW + 60);
    assert_true(knows(table, "alice", 1, NOW));
    certified_free(table);
}

static void test_no_more_than_there_is_room_for(void **state) {
    (void)state;
    struct certified *table = NULL;
    size_t known = 0;
    assert_ok(certified_new(&table));
    for (uint32_t i = 0; i <= LIMIT_CERTIFIED_COUNT; i++) {
        note(table, "alice", i, NOW);
        assert_true(knows(table, "alice", i, 0));
    }
    for (uint32_t i = 0; i <= LIMIT_CERTIFIED_COUNT; i++) {
        known += knows(table, "alice", i, 0) ? 1 : 0;
    }
    assert_in_range(known, LIMIT_CERTIFIED_COUNT / 2, LIMIT_CERTIFIED_COUNT);
    certified_free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_it_is_good),
        cmocka_unit_test(test_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
