#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "gate/names.h"
#include "gate/process.h"
#include "ssh/wire.h"

/* ---- the wire ------------------------------------------------------------------------------ */

static void put_request(struct buf *out, uint32_t id, span_t name) {
    size_t mark;
    assert_ok(wire_string_begin(out, &mark));
    assert_ok(wire_put_u32(out, id));
    assert_ok(wire_put_string(out, name));
    wire_string_end(out, mark);
}

static void refuses_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t len;
    } bad[] = {{"", 0},    {".", 1},        {"a b", 3}, {"a\0b", 3},
               {"a\n", 2}, {"\xc3\xa4", 2}, {"\x7f", 1}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf bytes CLEANUP(buf_done) = BUF(1024);
        struct names_request request;
        put_request(&bytes, 1, span_of(bad[i].name, bad[i].len));
        span_t stream = buf_span(&bytes);
        assert_fails(names_get_request(&stream, &request), ERR_MALFORMED);
        assert_int_equal(stream.len, bytes.len);
    }
}

static void bounds_names(void **state) {
    (void)state;
    char name[LIMIT_HOST_NAME_CHARS + 2];
    memset(name, 'a', sizeof name);
    for (size_t len = LIMIT_HOST_NAME_CHARS; len <= LIMIT_HOST_NAME_CHARS + 1; len++) {
        struct buf bytes CLEANUP(buf_done) = BUF(1024);
        struct names_request request;
        put_request(&bytes, 1, span_of(name, len));
        span_t stream = buf_span(&bytes);
        err_t err = names_get_request(&stream, &request);
        assert_int_equal(err.code, len == LIMIT_HOST_NAME_CHARS ? ERR_NONE : ERR_MALFORMED);
    }
}

static void bounds_messages(void **state) {
    (void)state;
    struct names_request request;
    struct buf most CLEANUP(buf_done) = BUF(1024), more CLEANUP(buf_done) = BUF(1024);
    assert_ok(wire_put_u32(&most, GATE_NAMES_MESSAGE_BYTES));
    assert_ok(wire_put_u32(&more, GATE_NAMES_MESSAGE_BYTES + 1));
    span_t stream = buf_span(&most);
    assert_fails(names_get_request(&stream, &request), ERR_TRUNCATED);
    stream = buf_span(&more);
    assert_fails(names_get_request(&stream, &request), ERR_TOO_LONG);
}

static void waits_for_the_rest(void **state) {
    (void)state;
    struct buf bytes CLEANUP(buf_done) = BUF(1024);
    struct names_request request = {.id = 9};
    put_request(&bytes, 0xdeadbeef, SPAN_LITERAL("Host.Example."));
    for (size_t len = 0; len < bytes.len; len++) {
        span_t stream = span_of(bytes.data, len);
        assert_fails(names_get_request(&stream, &request), ERR_TRUNCATED);
        assert_int_equal(stream.len, len);
        assert_int_equal(request.id, 9);
    }
    put_request(&bytes, 5, SPAN_LITERAL("b"));
    span_t stream = buf_span(&bytes);
    assert_ok(names_get_request(&stream, &request));
    assert_int_equal(request.id, 0xdeadbeef);
    assert_string_equal(request.name, "host.example");
    assert_ok(names_get_request(&stream, &request));
    assert_string_equal(request.name, "b");
    assert_int_equal(stream.len, 0);
}

static void refuses_bad_bodies(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\0\0\0\0", 4},
        {"\0\0\0\3\0\0\0", 7},
        {"\0\0\0\x8\0\0\0\1\0\0\0\1", 12},   /* the name ends after the message */
        {"\0\0\0\xa\0\0\0\1\0\0\0\1ab", 14}, /* a byte is left over */
        {"\0\0\0\x9\0\0\0\1\xff\xff\xff\xff.", 13},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct names_request request;
        span_t stream = span_of(bad[i].bytes, bad[i].len);
        assert_fails(names_get_request(&stream, &request), ERR_MALFORMED);
    }
}

static void writes_answers(void **state) {
    (void)state;
    struct names_answer answer = {.status = GATE_NAMES_FOUND};
    struct buf out CLEANUP(buf_done) = BUF(4096);
    assert_ok(inet_address_parse(SPAN_LITERAL("192.0.2.7"), &answer.addresses[answer.count++]));
    assert_ok(inet_address_parse(SPAN_LITERAL("2001:db8::7"), &answer.addresses[answer.count++]));
    assert_ok(names_put_answer(&out, 0x01020304, &answer));
    static const char expected[] = "\0\0\0\x1b\1\2\3\4\0\4\xc0\0\2\7\6\x20\1\xd\xb8\0\0\0\0\0\0\0\0"
                                   "\0\0\0\7";
    assert_true(span_equal(buf_span(&out), span_of(expected, sizeof expected - 1)));
    buf_clear(&out);
    assert_ok(names_put_answer(&out, 1, &(struct names_answer){.status = GATE_NAMES_TRY_AGAIN}));
    assert_true(span_equal(buf_span(&out), SPAN_LITERAL("\0\0\0\5\0\0\0\1\2")));
    for (answer.count = 0; answer.count < GATE_ADDRESSES_MAX; answer.count++) {
        answer.addresses[answer.count] = answer.addresses[1];
    }
    buf_clear(&out);
    assert_ok(names_put_answer(&out, 1, &answer));
    assert_true(out.len <= GATE_NAMES_MESSAGE_BYTES);
}

/* ---- the cache ----------------------------------------------------------------------------- */

static void forgets_in_time(void **state) {
    (void)state;
    struct names_cache *cache;
    struct names_answer found = {.status = GATE_NAMES_FOUND, .count = 1};
    struct names_answer none = {.status = GATE_NAMES_NOT_FOUND};
    struct names_answer again = {.status = GATE_NAMES_TRY_AGAIN};
    assert_ok(names_cache_new(&cache));
    assert_null(names_cache_get(cache, "a", 0));
    names_cache_put(cache, "a", &found, 1000);
    names_cache_put(cache, "b", &none, 1000);
    names_cache_put(cache, "c", &again, 1000);
    assert_int_equal(names_cache_get(cache, "a", 1000 + NAMES_FOUND_S * 1000 - 1)->count, 1);
    assert_null(names_cache_get(cache, "a", 1000 + NAMES_FOUND_S * 1000));
    assert_non_null(names_cache_get(cache, "b", 1000 + NAMES_NOT_FOUND_S * 1000 - 1));
    assert_null(names_cache_get(cache, "b", 1000 + NAMES_NOT_FOUND_S * 1000));
    assert_null(names_cache_get(cache, "c", 1000));
    names_cache_free(cache);
}

/* Ever so many names: each answer is the name's own, or none. */
static void stays_bounded(void **state) {
    (void)state;
    struct names_cache *cache;
    size_t kept = 0;
    assert_ok(names_cache_new(&cache));
    for (uint32_t i = 0; i < 4 * NAMES_CACHE_COUNT; i++) {
        char name[32];
        struct names_answer answer = {.status = GATE_NAMES_FOUND, .count = 1};
        (void)snprintf(name, sizeof name, "host-%u", i);
        memcpy(answer.addresses[0].bytes, &i, sizeof i);
        names_cache_put(cache, name, &answer, 0);
    }
    for (uint32_t i = 0; i < 4 * NAMES_CACHE_COUNT; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "host-%u", i);
        const struct names_answer *answer = names_cache_get(cache, name, 1);
        kept += answer != NULL;
        assert_true(answer == NULL || memcmp(answer->addresses[0].bytes, &i, sizeof i) == 0);
    }
    assert_true(kept > NAMES_CACHE_COUNT / 2 && kept <= NAMES_CACHE_COUNT);
    names_cache_free(cache);
}

/* ---- the process --------------------------------------------------------------------------- */

struct process {
    pid_t pid;
    int socket;
};

/* names_main() of this very program, as the master starts it. */
static void begin(struct process *process) {
    int pair[2], shared = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_ok(process_share(&shared));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const int fds[] = {shared, null, pair[1]};
    const char *const argv[] = {"test", "names", "65534", "65534", "1", NULL};
    assert_ok(process_spawn(&(struct process_start){"/proc/self/exe", argv, fds, 3, false},
                            &process->pid));
    process->socket = pair[0];
    (void)close(pair[1]);
    (void)close(shared);
    (void)close(null);
}

static int end(struct process *process) {
    int status = -1;
    (void)close(process->socket);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    return status;
}

static bool read_all(int fd, void *out, size_t len) {
    for (size_t done = 0; done < len;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&ready, 1, 30000) == 1 ? read(fd, (char *)out + done, len - done) : -1;
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

/* The id and status of the next answer, and how many bytes of addresses it has. */
static bool next_answer(int fd, uint32_t *id, uint8_t *status, size_t *len) {
    uint8_t bytes[GATE_NAMES_MESSAGE_BYTES + 4];
    uint32_t size = 0;
    if (!read_all(fd, bytes, 4)) {
        return false;
    }
    span_t span = span_of(bytes, 4);
    assert_ok(wire_get_u32(&span, &size));
    assert_in_range(size, 5, GATE_NAMES_MESSAGE_BYTES);
    assert_true(read_all(fd, bytes, size));
    span = span_of(bytes, size);
    assert_ok(wire_get_u32(&span, id));
    assert_ok(wire_get_u8(&span, status));
    *len = span.len;
    return true;
}

static void resolves(void **state) {
    (void)state;
    struct process process;
    struct buf bytes CLEANUP(buf_done) = BUF(65536);
    bool seen[40] = {false};
    begin(&process);
    for (uint32_t i = 0; i < COUNT_OF(seen); i++) {
        put_request(&bytes, i, i % 2 == 0 ? SPAN_LITERAL("::1") : SPAN_LITERAL("127.0.0.9"));
    }
    put_request(&bytes, 99, SPAN_LITERAL("nothing.invalid"));
    assert_int_equal(write(process.socket, bytes.data, bytes.len), bytes.len);
    for (size_t i = 0; i <= COUNT_OF(seen); i++) {
        uint32_t id;
        uint8_t status;
        size_t len;
        assert_true(next_answer(process.socket, &id, &status, &len));
        if (id == 99) {
            assert_int_not_equal(status, GATE_NAMES_FOUND);
            assert_int_equal(len, 0);
            continue;
        }
        assert_true(id < COUNT_OF(seen) && !seen[id]);
        seen[id] = true;
        assert_int_equal(status, GATE_NAMES_FOUND);
        assert_int_equal(len, id % 2 == 0 ? 17 : 5);
    }
    assert_int_equal(end(&process), 0);
}

static void ends_with_who_breaks_the_wire(void **state) {
    (void)state;
    static const char hostile[] = "\xff\xff\xff\xff";
    struct process process;
    uint8_t byte;
    begin(&process);
    assert_int_equal(write(process.socket, hostile, 4), 4);
    assert_false(read_all(process.socket, &byte, 1)); /* it was closed */
    assert_int_equal(end(&process), 0);
}

/* ---- metrics ------------------------------------------------------------------------------- */

static void prints_metrics(void **state) {
    (void)state;
    struct gate_shared *shared = aligned_alloc(_Alignof(struct gate_shared), sizeof *shared);
    struct buf out CLEANUP(buf_done) = BUF(65536);
    char *text CLEANUP(freep) = NULL;
    memset(shared, 0, sizeof *shared);
    shared->workers[0].sessions = 3;
    shared->workers[GATE_WORKERS_MAX - 1].sessions = 4;
    shared->workers[0].loop_lag_us = 1500;
    shared->workers[1].loop_lag_us = 250000;
    shared->feed_revision = 42;
    assert_ok(gate_metrics_print(shared, &out));
    assert_ok(buf_to_str(&out, &text));
    assert_non_null(strstr(text, "\npostern_gate_sessions 7\n"));
    assert_non_null(strstr(text, "\npostern_gate_loop_lag_seconds 0.25\n"));
    assert_non_null(strstr(text, "\npostern_gate_feed_revision 42\n"));
    assert_non_null(strstr(text, "# TYPE postern_gate_logins_total counter\n"));
    free(shared);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "names") == 0) {
        return names_main(argc - 1, argv + 1);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_names),      cmocka_unit_test(bounds_names),
        cmocka_unit_test(bounds_messages),    cmocka_unit_test(waits_for_the_rest),
        cmocka_unit_test(refuses_bad_bodies), cmocka_unit_test(writes_answers),
        cmocka_unit_test(forgets_in_time),    cmocka_unit_test(stays_bounded),
        cmocka_unit_test(resolves),           cmocka_unit_test(ends_with_who_breaks_the_wire),
        cmocka_unit_test(prints_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
