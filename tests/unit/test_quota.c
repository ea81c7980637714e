/* Counts of sessions, rates and failures, and the windows of channels: the relay's arithmetic. */
#include "base/rate.h"
#include "gate/relay/held.h"
#include "gate/relay/quota.h"
#include "gate/relay/window.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

static const uint8_t secret[QUOTA_SECRET_BYTES] = {1, 2, 3};
static const struct quota_limits limits = {
    .sessions_per_account = 3, .sessions_per_address = 2, .failures = 4};

static struct inet_address address(const char *text) {
    struct inet_address parsed;
    assert_ok(inet_address_parse(span_str(text), &parsed));
    return parsed;
}

static void test_sessions_of_an_address(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct inet_address one = address("192.0.2.1"), other = address("192.0.2.2");
    assert_ok(quota_new(secret, &quota));
    assert_int_equal(quota_enter(quota, &limits, &one, 0), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &limits, &one, 0), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &limits, &one, 0), QUOTA_SESSIONS);
    assert_int_equal(quota_enter(quota, &limits, &other, 0), QUOTA_ALLOWED);
    quota_leave(quota, &one);
    assert_int_equal(quota_enter(quota, &limits, &one, 0), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &limits, &one, 0), QUOTA_SESSIONS);
    quota_free(quota);
}

static void test_networks_of_ipv6(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct inet_address here = address("2001:db8:0:1::1"), there = address("2001:db8:0:1:ffff::9");
    struct inet_address elsewhere = address("2001:db8:0:2::1");
    assert_ok(quota_new(secret, &quota));
    assert_int_equal(quota_enter(quota, &limits, &here, 0), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &limits, &there, 0), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &limits, &here, 0), QUOTA_SESSIONS);
    assert_int_equal(quota_enter(quota, &limits, &elsewhere, 0), QUOTA_ALLOWED);
    quota_free(quota);
}

static void test_sessions_of_an_account(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct quota_limits none = limits;
    none.sessions_per_account = 0;
    assert_ok(quota_new(secret, &quota));
    assert_int_equal(quota_login(quota, &none, "alice", 0), QUOTA_SESSIONS);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(quota_login(quota, &limits, "alice", 0), QUOTA_ALLOWED);
    }
    assert_int_equal(quota_login(quota, &limits, "alice", 0), QUOTA_SESSIONS);
    assert_int_equal(quota_login(quota, &limits, "bob", 0), QUOTA_ALLOWED);
    quota_logout(quota, "alice");
    assert_int_equal(quota_login(quota, &limits, "alice", 0), QUOTA_ALLOWED);
    quota_free(quota);
}

static void test_failures_of_an_address(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct inet_address from = address("192.0.2.1");
    static const int64_t delays[] = {0, 0, 0, 0, 1000, 2000, 4000, 8000};
    assert_ok(quota_new(secret, &quota));
    for (size_t i = 0; i < COUNT_OF(delays); i++) {
        assert_int_equal(quota_enter(quota, &limits, &from, 5), QUOTA_ALLOWED);
        quota_leave(quota, &from);
        assert_int_equal(quota_failed(quota, &limits, &from, NULL, 5), delays[i]);
    }
    assert_int_equal(quota_enter(quota, &limits, &from, 5), QUOTA_FAILURES);
    assert_int_equal(quota_failed(quota, &limits, &from, NULL, 5), QUOTA_DELAY_MS_MAX);
    int64_t over_ms = 5 + QUOTA_FAILURES_S * INT64_C(1000);
    assert_int_equal(quota_enter(quota, &limits, &from, over_ms - 1), QUOTA_FAILURES);
    assert_int_equal(quota_enter(quota, &limits, &from, over_ms), QUOTA_ALLOWED);
    assert_int_equal(quota_failed(quota, &limits, &from, NULL, over_ms), 0);
    quota_free(quota);
}

/* An account's failures delay failures, wherever they come from, and refuse nobody. */
static void test_failures_of_an_account(void **state) {
    (void)state;
    struct quota *quota = NULL;
    assert_ok(quota_new(secret, &quota));
    int64_t last = 0;
    for (int i = 0; i < 100; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "192.0.2.%d", i);
        struct inet_address from = address(text);
        last = quota_failed(quota, &limits, &from, "alice", 0);
        assert_int_equal(quota_enter(quota, &limits, &from, 0), QUOTA_ALLOWED);
    }
    assert_int_equal(last, QUOTA_DELAY_MS_MAX);
    assert_int_equal(quota_login(quota, &limits, "alice", 0), QUOTA_ALLOWED);
    quota_free(quota);
}

/* A flood of other addresses takes no memory and washes no count away. */
static void test_flood(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct inet_address known = address("192.0.2.1"), from = {.family_bits = 32};
    assert_ok(quota_new(secret, &quota));
    for (int i = 0; i < 8; i++) {
        (void)quota_failed(quota, &limits, &known, NULL, 0);
    }
    for (uint32_t i = 0; i < 4 * QUOTA_FAILURES_COUNT; i++) {
        uint32_t number = 0x0b000000 + i;
        memcpy(from.bytes, &number, sizeof number);
        (void)quota_failed(quota, &limits, &from, NULL, 0);
    }
    assert_int_equal(quota_enter(quota, &limits, &known, 1), QUOTA_FAILURES);
    quota_free(quota);
}

/* --- rates --- */

static unsigned take_all(struct rate *rate, uint32_t per_minute, int64_t now_ms) {
    unsigned count = 0;
    while (rate_take(rate, per_minute, now_ms)) {
        count++;
    }
    return count;
}

static void test_rate(void **state) {
    (void)state;
    static const uint32_t limits_of_rates[] = {1, 7, 600, 7001, 999999, RATE_PER_MINUTE_MAX};
    for (size_t i = 0; i < COUNT_OF(limits_of_rates); i++) {
        struct rate rate = {0};
        uint32_t most = limits_of_rates[i];
        assert_int_equal(take_all(&rate, most, 5), most);
        assert_false(rate_take(&rate, most, 5));
        /* As refusals take nothing, a minute later it is full again, and no fuller after an hour.
         */
        assert_in_range(take_all(&rate, most, 5 + 60 * 1000), most - (most > 60000 ? 20 : 1), most);
        assert_int_equal(take_all(&rate, most, 5 + 3600 * 1000), most);
    }
}

static void test_rate_fills_evenly(void **state) {
    (void)state;
    struct rate rate = {0};
    assert_int_equal(take_all(&rate, 60, 0), 60);
    assert_false(rate_take(&rate, 60, 999));
    assert_true(rate_take(&rate, 60, 1000));
    assert_false(rate_take(&rate, 60, 1000));
    assert_int_equal(take_all(&rate, 60, 31 * 1000), 30);
    /* What is used up stays so when the limit is another. */
    assert_false(rate_take(&rate, 6, 31 * 1000));
    assert_true(rate_take(&rate, 6, 41 * 1000));
    for (int i = 0; i < 100000; i++) {
        assert_true(rate_take(&rate, 0, 41 * 1000));
    }
}

static void test_connections_in_a_minute(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct quota_limits often = limits;
    struct inet_address here = address("2001:db8:0:1::1"), there = address("2001:db8:0:1:ffff::9");
    struct inet_address elsewhere = address("2001:db8:0:2::1");
    often.connections_per_minute = 3;
    assert_ok(quota_new(secret, &quota));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(quota_enter(quota, &often, &here, 0), QUOTA_ALLOWED);
        quota_leave(quota, &here);
    }
    /* One that is refused is no session: none is left behind. */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(quota_enter(quota, &often, &there, 19999), QUOTA_RATE);
    }
    assert_int_equal(quota_enter(quota, &often, &elsewhere, 19999), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &often, &there, 20000), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &often, &there, 20000), QUOTA_RATE);
    assert_int_equal(quota_enter(quota, &often, &here, 60000), QUOTA_ALLOWED);
    /* One that is refused for other reasons takes nothing. */
    assert_int_equal(quota_enter(quota, &often, &here, 60000), QUOTA_SESSIONS);
    quota_leave(quota, &here);
    assert_int_equal(quota_enter(quota, &often, &here, 60000), QUOTA_ALLOWED);
    quota_free(quota);
}

static void test_logins_in_a_minute(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct quota_limits often = limits;
    often.logins_per_minute = 2;
    assert_ok(quota_new(secret, &quota));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(quota_login(quota, &often, "alice", 0), QUOTA_ALLOWED);
        quota_logout(quota, "alice");
    }
    assert_int_equal(quota_login(quota, &often, "alice", 0), QUOTA_RATE);
    assert_int_equal(quota_login(quota, &often, "bob", 0), QUOTA_ALLOWED);
    assert_int_equal(quota_login(quota, &often, "alice", 29999), QUOTA_RATE);
    assert_int_equal(quota_login(quota, &often, "alice", 30000), QUOTA_ALLOWED);
    /* An account that is named as an address is written is another name. */
    struct inet_address from = {.family_bits = 32, .bytes = "bob2"};
    often.connections_per_minute = 2;
    assert_int_equal(quota_enter(quota, &often, &from, 0), QUOTA_ALLOWED);
    assert_int_equal(quota_enter(quota, &often, &from, 0), QUOTA_ALLOWED);
    assert_int_equal(quota_login(quota, &often, "bob2", 0), QUOTA_ALLOWED);
    quota_free(quota);
}

/* As with failures: others do not wash away what one address used. */
static void test_flood_of_rates(void **state) {
    (void)state;
    struct quota *quota = NULL;
    struct quota_limits often = limits;
    struct inet_address known = address("192.0.2.1"), from = {.family_bits = 32};
    often.connections_per_minute = 8;
    assert_ok(quota_new(secret, &quota));
    for (int i = 0; i < 8; i++) {
        assert_int_equal(quota_enter(quota, &often, &known, 0), QUOTA_ALLOWED);
        quota_leave(quota, &known);
    }
    for (uint32_t i = 0; i < 4 * QUOTA_RATES_COUNT; i++) {
        uint32_t number = 0x0b000000 + i;
        memcpy(from.bytes, &number, sizeof number);
        assert_int_equal(quota_enter(quota, &often, &from, 0), QUOTA_ALLOWED);
        quota_leave(quota, &from);
    }
    assert_int_equal(quota_enter(quota, &often, &known, 1), QUOTA_RATE);
    quota_free(quota);
}

/* --- windows --- */

static void test_budget(void **state) {
    (void)state;
    struct window_budget budget = {.bytes_max = 2 * WINDOW_MIN_BYTES};
    struct window windows[2], more;
    assert_true(window_open(&windows[0], &budget));
    assert_true(window_open(&windows[1], &budget));
    assert_int_equal(windows[1].size, WINDOW_MIN_BYTES);
    assert_false(window_open(&more, &budget));
    window_close(&windows[1], &budget);
    budget.bytes_max--;
    assert_false(window_open(&more, &budget)); /* a byte less than the least */
    budget.bytes_max++;
    assert_true(window_open(&more, &budget));
}

/* As many channels as a session may have by default, in the memory that it may have by default. */
static void test_room_for_many(void **state) {
    (void)state;
    struct window_budget budget = {.bytes_max = 8 * 1024 * 1024};
    struct window window;
    assert_true(window_open(&window, &budget));
    assert_int_equal(window.size, WINDOW_FIRST_BYTES);
    for (int i = 1; i < 256; i++) {
        uint32_t before = window.size;
        assert_true(window_open(&window, &budget));
        assert_true(window.size <= before);
    }
}

/* What the client may send, is held, or is owed to it, is always the size. */
static uint32_t drain(struct window *window, struct window_budget *budget, uint32_t *room,
                      uint32_t bytes, bool idle) {
    assert_true(bytes <= *room);
    *room -= bytes;
    *room += window_drained(window, budget, bytes, idle);
    assert_int_equal(*room + window->owed, window->size);
    assert_true(budget->used <= budget->bytes_max);
    return *room;
}

static void test_growth(void **state) {
    (void)state;
    struct window_budget budget = {.bytes_max = 64 * 1024 * 1024};
    struct window window;
    assert_true(window_open(&window, &budget));
    uint32_t room = window.size;
    /* Each byte costs no message. */
    assert_int_equal(drain(&window, &budget, &room, 1, true), window.size - 1);
    for (int i = 0; i < 1000; i++) {
        (void)drain(&window, &budget, &room, room, true);
    }
    assert_int_equal(window.size, WINDOW_MAX_BYTES);
    assert_int_equal(budget.used, WINDOW_MAX_BYTES);
    window_close(&window, &budget);
    assert_int_equal(budget.used, 0);
}

static void test_no_growth_when_slow(void **state) {
    (void)state;
    struct window_budget budget = {.bytes_max = 64 * 1024 * 1024};
    struct window window;
    assert_true(window_open(&window, &budget));
    uint32_t room = window.size;
    for (int i = 0; i < 1000; i++) {
        (void)drain(&window, &budget, &room, room, false);
    }
    assert_int_equal(window.size, WINDOW_FIRST_BYTES);
}

/* What grew while there was room gives it back when others come. */
static void test_shrinking(void **state) {
    (void)state;
    struct window_budget budget = {.bytes_max = 1024 * 1024};
    struct window bulk, other;
    assert_true(window_open(&bulk, &budget));
    uint32_t room = bulk.size;
    for (int i = 0; i < 1000; i++) {
        (void)drain(&bulk, &budget, &room, room, true);
    }
    uint32_t grown = bulk.size;
    assert_int_equal(grown, 768 * 1024); /* a quarter is left */
    while (window_open(&other, &budget)) {
    }
    for (int i = 0; i < 1000; i++) {
        (void)drain(&bulk, &budget, &room, room, true);
    }
    assert_true(bulk.size >= WINDOW_FIRST_BYTES && bulk.size < grown);
    assert_true(window_open(&other, &budget));
}

/* --- held bytes --- */

static void test_held(void **state) {
    (void)state;
    struct held held = {0};
    size_t total = 0;
    uint8_t bytes[1000];
    uint8_t next_in = 0, next_out = 0;
    for (int round = 0; round < 200; round++) {
        size_t len = (size_t)(round * 37 % 1000);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = next_in++;
        }
        assert_ok(held_add(&held, span_of(bytes, len), &total));
        size_t take = held.len / 2;
        for (size_t i = 0; i < take; i++) {
            assert_int_equal(held_span(&held).data[i], next_out++);
        }
        held_drop(&held, take, &total);
        assert_int_equal(total, held.size);
        assert_true(total <= 4096);
    }
    held_drop(&held, held.len, &total);
    assert_null(held.data);
    assert_int_equal(total, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_of_an_address),
        cmocka_unit_test(test_networks_of_ipv6),
        cmocka_unit_test(test_sessions_of_an_account),
        cmocka_unit_test(test_failures_of_an_address),
        cmocka_unit_test(test_failures_of_an_account),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_fills_evenly),
        cmocka_unit_test(test_connections_in_a_minute),
        cmocka_unit_test(test_logins_in_a_minute),
        cmocka_unit_test(test_flood_of_rates),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_room_for_many),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_no_growth_when_slow),
        cmocka_unit_test(test_shrinking),
        cmocka_unit_test(test_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
