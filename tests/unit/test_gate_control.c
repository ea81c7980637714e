#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "gate/control.h"
#include "gate/listen.h"
#include "ssh/wire.h"

/* ---- frames -------------------------------------------------------------------------------- */

static void refuses_frames(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum err_code code;
    } bad[] = {
        {"", 0, ERR_TRUNCATED},
        {"\0\0\0", 3, ERR_TRUNCATED},
        {"\0\0\0\0", 4, ERR_MALFORMED}, /* no room for a type */
        {"\0\0\0\1\1", 5, ERR_MALFORMED},
        {"\0\0\0\2", 4, ERR_TRUNCATED},
        {"\0\0\0\2\0\0", 6, ERR_MALFORMED},  /* type 0 */
        {"\0\0\0\2\xe\0", 6, ERR_MALFORMED}, /* past the last type */
        {"\0\0\0\2\xff\0", 6, ERR_MALFORMED},
        {"\0\0\0\2\1\x41", 6, ERR_RANGE}, /* 65 descriptors */
        {"\0\0\0\2\1\xff", 6, ERR_RANGE},
        {"\xff\xff\xff\xff\1\0", 6, ERR_TOO_LONG},
        {"\0\0\0\x67\1\0", 6, ERR_TOO_LONG},  /* a body of 101 bytes */
        {"\0\0\0\x66\1\0", 6, ERR_TRUNCATED}, /* of 100: wait for it */
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct control_frame frame = {.fd_count = 77};
        span_t stream = span_of(bad[i].bytes, bad[i].len);
        err_t err = control_get(&stream, 100, &frame);
        if (err.code != bad[i].code || stream.len != bad[i].len || frame.fd_count != 77) {
            fail_msg("case %zu: %s", i, err_name(err));
        }
    }
}

static void goes_round(void **state) {
    (void)state;
    struct buf bytes CLEANUP(buf_done) = BUF(4096);
    struct control_frame frame;
    assert_ok(control_put(&bytes, CONTROL_KEYS, CONTROL_FDS_MAX, SPAN_LITERAL("body")));
    assert_ok(control_put(&bytes, CONTROL_SETUP_REFUSED, 0, SPAN_LITERAL("")));
    for (size_t len = 0; len < bytes.len - 6; len++) {
        span_t cut = span_of(bytes.data, len);
        assert_fails(control_get(&cut, 4, &frame), ERR_TRUNCATED);
    }
    span_t stream = buf_span(&bytes);
    assert_ok(control_get(&stream, 4, &frame));
    assert_int_equal(frame.type, CONTROL_KEYS);
    assert_int_equal(frame.fd_count, CONTROL_FDS_MAX);
    assert_true(span_equal_str(frame.body, "body"));
    assert_ok(control_get(&stream, 4, &frame));
    assert_int_equal(frame.type, CONTROL_SETUP_REFUSED);
    assert_int_equal(stream.len, 0);
}

/* ---- setup --------------------------------------------------------------------------------- */

static void refuses_setups(void **state) {
    (void)state;
    struct control_setup setup = {.config = SPAN_LITERAL("user: x"), .count = 2}, out;
    struct buf bytes CLEANUP(buf_done) = BUF(CONTROL_BODY_BYTES_MAX);
    setup.host_keys[0].key = SPAN_LITERAL("key 1");
    setup.host_keys[1].key = SPAN_LITERAL("key 2");
    setup.host_keys[1].cert = SPAN_LITERAL("certificate 2");
    assert_ok(control_put_setup(&bytes, &setup));
    for (size_t len = 0; len < bytes.len; len++) {
        assert_fails(control_get_setup(span_of(bytes.data, len), &out), ERR_TRUNCATED);
    }
    assert_ok(control_get_setup(buf_span(&bytes), &out));
    assert_int_equal(out.count, 2);
    assert_int_equal(out.host_keys[0].cert.len, 0);
    assert_true(span_equal_str(out.host_keys[1].cert, "certificate 2"));
    assert_ok(buf_add_byte(&bytes, 0));
    assert_fails(control_get_setup(buf_span(&bytes), &out), ERR_TRAILING);
}

static void bounds_host_keys(void **state) {
    (void)state;
    for (uint32_t count = 0; count <= GATE_HOST_KEYS_MAX + 1; count++) {
        struct buf bytes CLEANUP(buf_done) = BUF(4096);
        struct control_setup out;
        assert_ok(wire_put_text(&bytes, ""));
        assert_ok(wire_put_u32(&bytes, count));
        for (uint32_t i = 0; i < 2 * count; i++) {
            assert_ok(wire_put_text(&bytes, "x"));
        }
        err_t err = control_get_setup(buf_span(&bytes), &out);
        bool good = count > 0 && count <= GATE_HOST_KEYS_MAX;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_RANGE);
    }
}

/* ---- the socket ---------------------------------------------------------------------------- */

struct ends {
    struct control ours;
    int theirs;
};

static void open_ends(struct ends *ends, size_t body_max) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    control_init(&ends->ours, pair[0], body_max);
    ends->theirs = pair[1];
}

static void close_ends(struct ends *ends) {
    control_done(&ends->ours);
    fd_closep(&ends->theirs);
}

static size_t open_descriptors(void) {
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

/* Sends bytes with so many descriptors of /dev/null beside them. */
static void send_raw(int fd, const char *bytes, size_t len, size_t fd_count) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(100 * sizeof(int))];
    } ancillary = {.bytes = {0}};
    int fds[100];
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    assert_true(fd_count <= COUNT_OF(fds));
    for (size_t i = 0; i < fd_count; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (fd_count > 0) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *item = CMSG_FIRSTHDR(&message);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(item), fds, fd_count * sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &message, 0), len);
    for (size_t i = 0; i < fd_count; i++) {
        (void)close(fds[i]);
    }
}

static void ends_on_hostile_frames(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len, fd_count;
        enum err_code code;
    } hostile[] = {
        {"\0\0\0\2\3\1", 6, 0, ERR_PROTOCOL}, /* a descriptor that did not come */
        {"\0\0\0\2\3\2", 6, 1, ERR_PROTOCOL},  {"\0\0\0\1\3", 5, 3, ERR_MALFORMED},
        {"\0\0\1\0\3\0", 6, 0, ERR_TOO_LONG},  {"\0\0\0\2\x63\0", 6, 1, ERR_MALFORMED},
        {"\0\0\0\2\3\0", 6, 90, ERR_PROTOCOL}, /* more than a frame may bring */
    };
    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        size_t before = open_descriptors();
        struct ends ends;
        struct control_frame frame;
        open_ends(&ends, 100);
        send_raw(ends.theirs, hostile[i].bytes, hostile[i].len, hostile[i].fd_count);
        assert_fails(control_receive(&ends.ours, &frame), hostile[i].code);
        close_ends(&ends);
        assert_int_equal(open_descriptors(), before); /* none of theirs is kept */
    }
}

/* Descriptors that no frame claims pile up, and then it is over. */
static void bounds_unclaimed_descriptors(void **state) {
    (void)state;
    size_t before = open_descriptors();
    struct ends ends;
    struct control_frame frame;
    err_t err = OK;
    open_ends(&ends, 100);
    for (size_t i = 0; i < 10 && !failed(err); i++) {
        send_raw(ends.theirs, "\0\0\0\2\3\0", 6, 30);
        err = control_receive(&ends.ours, &frame);
    }
    assert_int_equal(err.code, ERR_PROTOCOL);
    close_ends(&ends);
    assert_int_equal(open_descriptors(), before);
}

static void receives_piecemeal(void **state) {
    (void)state;
    static const char bytes[] = "\0\0\0\4\3\1hi\0\0\0\2\x9\0";
    struct ends ends;
    struct control_frame frame;
    struct stat status;
    open_ends(&ends, 100);
    assert_fails(control_receive(&ends.ours, &frame), ERR_TRUNCATED);
    send_raw(ends.theirs, bytes, 1, 1);
    for (size_t i = 1; i < 8; i++) {
        assert_fails(control_receive(&ends.ours, &frame), ERR_TRUNCATED);
        send_raw(ends.theirs, bytes + i, 1, 0);
    }
    send_raw(ends.theirs, bytes + 8, 6, 0);
    assert_ok(control_receive(&ends.ours, &frame));
    assert_int_equal(frame.type, CONTROL_KEYS);
    assert_int_equal(frame.fd_count, 1);
    assert_int_equal(fstat(frame.fds[0], &status), 0);
    assert_true(span_equal_str(frame.body, "hi"));
    control_frame_close(&frame);
    assert_ok(control_receive(&ends.ours, &frame));
    assert_int_equal(frame.type, CONTROL_DRAIN);
    fd_closep(&ends.theirs);
    assert_fails(control_receive(&ends.ours, &frame), ERR_CLOSED);
    close_ends(&ends);
}

/* The longest body there is, and as many descriptors as may be, from one end to the other. */
static void sends_the_most(void **state) {
    (void)state;
    struct ends ends;
    struct control sender;
    struct control_frame frame;
    struct buf body CLEANUP(buf_done) = BUF(CONTROL_BODY_BYTES_MAX);
    uint8_t *place;
    int fds[CONTROL_FDS_MAX];
    open_ends(&ends, CONTROL_BODY_BYTES_MAX);
    control_init(&sender, ends.theirs, 100);
    ends.theirs = -1;
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = sender.fd;
    }
    assert_ok(buf_extend(&body, CONTROL_BODY_BYTES_MAX, &place));
    memset(place, 'x', CONTROL_BODY_BYTES_MAX);
    pid_t pid = fork();
    if (pid == 0) { /* for it does not fit into the socket at once */
        _exit(failed(control_send(&sender, CONTROL_NAMES, fds, COUNT_OF(fds), buf_span(&body))));
    }
    err_t err;
    while ((err = control_receive(&ends.ours, &frame)).code == ERR_TRUNCATED) {
    }
    assert_ok(err);
    assert_int_equal(frame.fd_count, CONTROL_FDS_MAX);
    assert_true(span_equal(frame.body, buf_span(&body)));
    control_frame_close(&frame);
    control_done(&sender);
    close_ends(&ends);
}

/* ---- inherited sockets ---------------------------------------------------------------------- */

static void parses_addresses(void **state) {
    (void)state;
    struct listen_address a, b;
    assert_ok(listen_parse("127.0.0.1:22", &a));
    assert_ok(listen_parse("127.0.0.1:23", &b));
    assert_false(listen_equal(&a, &b));
    assert_ok(listen_parse("[::ffff:127.0.0.1]:22", &b));
    assert_false(listen_equal(&a, &b));
    assert_ok(listen_parse("[::]:65535", &a));
    assert_ok(listen_parse("[0::0]:65535", &b));
    assert_true(listen_equal(&a, &b));
}

/* Variables that are for another process are removed and not obeyed. */
static void inherits_nothing_of_others(void **state) {
    (void)state;
    struct listen_inherited inherited;
    assert_int_equal(setenv("LISTEN_FDS", "3", 1), 0);
    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
    listen_inherit(&inherited);
    assert_int_equal(inherited.count, 0);
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_PID"));
    assert_int_equal(setenv("LISTEN_FDS", "18446744073709551616", 1), 0);
    listen_inherit(&inherited);
    assert_int_equal(inherited.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_frames),         cmocka_unit_test(goes_round),
        cmocka_unit_test(refuses_setups),         cmocka_unit_test(bounds_host_keys),
        cmocka_unit_test(ends_on_hostile_frames), cmocka_unit_test(bounds_unclaimed_descriptors),
        cmocka_unit_test(receives_piecemeal),     cmocka_unit_test(sends_the_most),
        cmocka_unit_test(parses_addresses),       cmocka_unit_test(inherits_nothing_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
