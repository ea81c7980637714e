/* Calls on the store thread whose batch was lost: which run once more, by themselves. */
#include "authority/authority.h"
#include "authority/plumbing.h"
#include "check.h"

static unsigned ran;

static void read_run(struct call *call) {
    ran++;
    call_answer(call, 200, json_object());
}

static void write_run(struct call *call) {
    ran++;
    call_audit(call, "alice", true, "ok", NULL);
    call_publish(call, "account", "alice", json_object(), NULL);
    call_answer(call, 200, json_object());
}

static const struct route reads = {HTTP_GET, "/r", ACCESS_PUBLIC, "r", NULL, read_run, NULL};
static const struct route writes = {HTTP_GET, "/w", ACCESS_PUBLIC, "w", NULL, write_run, NULL};
static const struct route posts = {HTTP_POST, "/p", ACCESS_PUBLIC, "p", NULL, read_run, NULL};

struct lost {
    const struct route *route;
    unsigned refused; /* by read(): the status */
    bool alone;       /* what call_run_alone() gives */
    unsigned ran, status;
};

/* In a batch that was lost before it came to this call. */
static void lose(const struct lost *lost) {
    static struct call call;
    struct authority authority = {.batch_err = FAIL(ERR_IO)};
    memset(&call, 0, sizeof call);
    call.authority = &authority;
    call.route = lost->route;
    call.next_run = lost->route->run;
    buf_init(&call.text, 64);
    if (lost->refused != 0) {
        call_problem(&call, lost->refused, "refused", NULL, "before it ran");
    }
    assert_ok(store_open_memory(&authority.store));
    ran = 0;
    call_run(&call.work);
    assert_int_equal(ran, 0);
    authority.batch_err = store_begin(authority.store);
    assert_ok(authority.batch_err);
    bool alone = call_run_alone(&call);
    assert_ok(authority.batch_err);
    if (!alone) {
        call_lost(&call, FAIL(ERR_IO));
        assert_true(call.problem.status >= 500);
        assert_null(call.events);
        assert_false(call.published);
    }
    assert_int_equal(alone, lost->alone);
    assert_int_equal(ran, lost->ran);
    assert_int_equal(call_refused(&call) ? 0 : call.status, lost->status);
    if (lost->refused != 0 && alone) {
        assert_int_equal(call.problem.status, lost->refused);
    }
    store_rollback(authority.store);
    store_close(authority.store);
    json_decref(call.answer);
    buf_done(&call.text);
}

static void test_lost(void **state) {
    (void)state;
    static const struct lost calls[] = {
        {&posts, 0, false, 0, 0},
        {&reads, 400, true, 0, 0}, /* it must not run on what read() refused */
        {&reads, 503, true, 0, 0},
        {&writes, 400, true, 0, 0},
        {&writes, 0, false, 1, 0}, /* what it did is undone */
        {&reads, 0, true, 1, 200},
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        lose(&calls[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lost)};
    return cmocka_run_group_tests_name("call_run", tests, NULL, NULL);
}
