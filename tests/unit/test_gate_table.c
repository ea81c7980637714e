/* What of the gates' sessions the authority has yet to hear: nothing twice, nothing that is over,
 * and no end of what nobody heard of. */
#include "host/gate_table.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

enum { ONE = 1, OTHER = 2 };

static int set_up(void **state) {
    struct gate_table *table = NULL;
    err_t err = gate_table_new(&table);
    *state = table;
    return failed(err) ? -1 : 0;
}

static int tear_down(void **state) {
    gate_table_free(*state);
    return 0;
}

static err_t put(struct gate_table *table, uint64_t peer, unsigned number, int bytes) {
    char text[64];
    (void)snprintf(text, sizeof text, "{\"id\":\"%024x\",\"n\":%d}", number, bytes);
    return gate_table_put(table, peer, span_str(text));
}

static err_t end(struct gate_table *table, uint64_t peer, unsigned number) {
    char text[64];
    (void)snprintf(text, sizeof text, "{\"id\":\"%024x\"}", number);
    return gate_table_end(table, peer, span_str(text));
}

/* Of "\"sessions\":[{\"id\":\"0…1\",\"n\":5}],\"ended\":[\"0…2\"]": "1=5 -2 ". No number but an id
 * may have a zero in it. */
static void expect_batch(struct gate_table *table, const char *expected) {
    struct buf batch CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES);
    char *text CLEANUP(freep) = NULL;
    char got[256] = "";
    assert_ok(gate_table_begin_batch(table, &batch));
    assert_ok(buf_to_str(&batch, &text));
    char *ended = strstr(text, "\"ended\"");
    assert_non_null(ended);
    for (char *at = text; (at = strchr(at, '0')) != NULL; at += UPLINK_SESSION_ID_CHARS) {
        unsigned number;
        int bytes = 0;
        assert_int_equal(sscanf(at, "%24x", &number), 1);
        size_t len = strlen(got);
        if (at < ended) {
            assert_int_equal(sscanf(at + UPLINK_SESSION_ID_CHARS, "\",\"n\":%d", &bytes), 1);
            (void)snprintf(got + len, sizeof got - len, "%u=%d ", number, bytes);
        } else {
            (void)snprintf(got + len, sizeof got - len, "-%u ", number);
        }
    }
    assert_string_equal(got, expected);
}

static void test_refused(void **state) {
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"id\":17}",
        "{\"id\":\"00000000000000000000001\"}",
        "{\"id\":\"0000000000000000000000001\"}",
        "{\"id\":\"00000000000000000000000A\"}",
        "{\"id\":\"000000000000000000000001\",\"id\":\"000000000000000000000002\"}",
    };
    struct gate_table *table = *state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_fails(gate_table_put(table, ONE, span_str(bad[i])), ERR_MALFORMED);
        assert_fails(gate_table_end(table, ONE, span_str(bad[i])), ERR_MALFORMED);
    }
    for (int extra = 0; extra <= 1; extra++) {
        char text[LIMIT_GATE_SESSION_BYTES + 2];
        int len = snprintf(text, sizeof text, "{\"id\":\"%024x\",\"x\":\"", 1);
        (void)snprintf(text + len, sizeof text - (size_t)len, "%0*d\"}",
                       LIMIT_GATE_SESSION_BYTES + extra - len - 2, 0);
        assert_fails(gate_table_put(table, ONE, span_str(text)),
                     extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
    assert_int_equal(gate_table_count(table), 1);
}

static void test_changes(void **state) {
    struct gate_table *table = *state;
    assert_false(gate_table_has_news(table));
    assert_ok(put(table, ONE, 1, 4));
    assert_ok(put(table, ONE, 1, 5));
    assert_ok(put(table, ONE, 2, 4));
    assert_ok(end(table, ONE, 2)); /* nobody heard of it */
    expect_batch(table, "1=5 ");
    gate_table_end_batch(table, false);
    expect_batch(table, "1=5 ");
    gate_table_end_batch(table, true);
    assert_false(gate_table_has_news(table));
    expect_batch(table, "");
    assert_ok(put(table, ONE, 1, 6)); /* while a batch is under way */
    gate_table_end_batch(table, true);
    expect_batch(table, "1=6 ");
    gate_table_end_batch(table, true);
    assert_ok(end(table, ONE, 1));
    assert_ok(end(table, ONE, 1));
    assert_int_equal(gate_table_count(table), 0);
    expect_batch(table, "-1 ");
    gate_table_end_batch(table, true);
    assert_false(gate_table_has_news(table));
}

/* One that ends while it is told of for the first time may be known: its end is told. */
static void test_end_under_way(void **state) {
    struct gate_table *table = *state;
    assert_ok(put(table, ONE, 1, 4));
    expect_batch(table, "1=4 ");
    assert_ok(end(table, ONE, 1));
    gate_table_end_batch(table, true);
    expect_batch(table, "-1 ");
    assert_ok(put(table, ONE, 1, 7)); /* and comes again while that is told */
    gate_table_end_batch(table, true);
    expect_batch(table, "1=7 ");
    gate_table_end_batch(table, true);
    assert_int_equal(gate_table_count(table), 1);
}

static void test_peers(void **state) {
    struct gate_table *table = *state;
    assert_ok(put(table, ONE, 1, 4));
    assert_ok(put(table, OTHER, 2, 4));
    assert_ok(end(table, OTHER, 1)); /* not its own */
    expect_batch(table, "1=4 2=4 ");
    gate_table_end_batch(table, true);
    assert_ok(put(table, ONE, 3, 4));
    gate_table_drop_peer(table, ONE);
    assert_int_equal(gate_table_count(table), 1);
    expect_batch(table, "-1 ");
    gate_table_end_batch(table, false);
    gate_table_tell_anew(table);
    expect_batch(table, "2=4 ");
    gate_table_end_batch(table, true);
    assert_false(gate_table_has_news(table));
}

static void test_bounds(void **state) {
    struct gate_table *table = *state;
    for (unsigned i = 1; i <= LIMIT_GATE_SESSIONS_COUNT; i++) {
        assert_ok(put(table, ONE, i, 4));
    }
    assert_fails(put(table, ONE, LIMIT_GATE_SESSIONS_COUNT + 1, 4), ERR_RANGE);
    assert_ok(put(table, ONE, 1, 4));
    size_t batches = 0;
    for (; gate_table_has_news(table); batches++) {
        struct buf batch CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES);
        assert_ok(gate_table_begin_batch(table, &batch));
        gate_table_end_batch(table, true);
    }
    assert_int_equal(batches, (LIMIT_GATE_SESSIONS_COUNT + LIMIT_GATE_SESSIONS_TOLD_COUNT - 1) /
                                  LIMIT_GATE_SESSIONS_TOLD_COUNT);
    gate_table_drop_peer(table, ONE);
    assert_int_equal(gate_table_count(table), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_refused), TEST(test_changes),
                                       TEST(test_end_under_way), TEST(test_peers),
                                       TEST(test_bounds)};
    return cmocka_run_group_tests_name("gate_table", tests, NULL, NULL);
}
