/* How gates ask the authority: the frames and bodies, and what postern-host makes of them with an
 * authority that answers, is slow, or is away. */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "feed/uplink.h"
#include "fixture.h"
#include "host/host.h"
#include "host/sync_host.h"

enum { PATIENCE_MS = 20000 };

static const struct inet_address source = {.family_bits = 32, .bytes = {192, 0, 2, 7}};

/* --- frames --- */

static void refuses_frames(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum err_code code;
    } bad[] = {
        {"", 0, ERR_TRUNCATED},
        {"\0\0\0\5", 4, ERR_TRUNCATED},
        {"\0\0\0\4\0\0\0\1", 8, ERR_MALFORMED},   /* no room for a call */
        {"\0\0\0\5\0\0\0\1\0", 9, ERR_MALFORMED}, /* call 0 */
        {"\0\0\0\5\0\0\0\1\7", 9, ERR_MALFORMED}, /* past the last */
        {"\0\0\xf0\1", 4, ERR_TOO_LONG},          /* 60 KiB and one */
        {"\0\0\xf0\0", 4, ERR_TRUNCATED},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct uplink_question question = {.id = 77};
        span_t stream = span_of(bad[i].bytes, bad[i].len);
        err_t err = uplink_get_question(&stream, &question);
        if (err.code != bad[i].code || stream.len != bad[i].len || question.id != 77) {
            fail_msg("case %zu: %s", i, err_name(err));
        }
    }
}

static void bounds_bodies(void **state) {
    (void)state;
    static uint8_t much[LIMIT_UPLINK_ANSWER_BYTES + 1];
    struct buf out CLEANUP(buf_done) = BUF(2 * sizeof much);
    assert_ok(
        uplink_put_question(&out, 1, UPLINK_KEYS, span_of(much, LIMIT_UPLINK_FRAME_BYTES - 5)));
    size_t len = out.len;
    assert_fails(uplink_put_question(&out, 1, UPLINK_KEYS, span_of(much, LIMIT_UPLINK_FRAME_BYTES)),
                 ERR_TOO_LONG);
    assert_int_equal(out.len, len);
    buf_clear(&out);
    assert_ok(uplink_put_answer(&out, 1, 200, span_of(much, LIMIT_UPLINK_ANSWER_BYTES)));
    assert_fails(uplink_put_answer(&out, 1, 200, span_of(much, sizeof much)), ERR_TOO_LONG);
}

/* --- bodies --- */

static void assert_text(const struct buf *body, const char *expected) {
    char *text CLEANUP(freep) = NULL;
    assert_ok(buf_to_str(body, &text));
    assert_string_equal(text, expected);
}

/* --- sessions --- */

static void writes_a_session(void **state) {
    (void)state;
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_GATE_SESSION_BYTES);
    static char far[LIMIT_HOST_NAME_CHARS + 7];
    const char *const to[] = {"daint:22", far, far, "santis:22"};
    struct uplink_session session = {.id = "0123456789abcdef01234567",
                                     .account = "alice",
                                     .fingerprint = "",
                                     .source = &source,
                                     .since = 1775052920,
                                     .bytes_in = 5,
                                     .bytes_out = 7};
    char id[UPLINK_SESSION_ID_CHARS + 1] = "";
    memset(far, 'x', sizeof far - 1);
    assert_ok(uplink_put_session(&body, &session));
    assert_text(&body, "{\"id\":\"0123456789abcdef01234567\",\"account\":\"alice\",\"source\":"
                       "\"192.0.2.7\",\"sinceTime\":\"2026-04-01T14:15:20Z\",\"destinations\":[],"
                       "\"bytesIn\":5,\"bytesOut\":7}");
    buf_clear(&body);
    session.serial = UINT64_MAX;
    session.fingerprint = "SHA256:x";
    session.destinations = to;
    session.destination_count = COUNT_OF(to); /* more than fit */
    session.bytes_in = session.bytes_out = INT64_MAX;
    assert_ok(uplink_put_session(&body, &session));
    assert_ok(uplink_get_session_id(buf_span(&body), id));
    assert_string_equal(id, session.id);
    buf_clear(&body);
    assert_ok(uplink_put_ended(&body, session.id));
    assert_ok(uplink_get_session_id(buf_span(&body), id));
    session.account = "al\nice";
    assert_fails(uplink_put_session(&body, &session), ERR_MALFORMED);
}

static void writes_a_password(void **state) {
    (void)state;
    struct buf body CLEANUP(buf_done) = BUF(4096);
    secret_t password CLEANUP(secret_done) = {0};
    assert_ok(secret_copy(SPAN_LITERAL("a\"b\\c"), 64, &password));
    assert_ok(uplink_put_window(&body, SPAN_LITERAL("alice"), &password, &source));
    assert_text(&body,
                "{\"username\":\"alice\",\"password\":\"a\\\"b\\\\c\",\"source\":\"192.0.2.7\"}");
    assert_fails(uplink_put_window(&body, SPAN_LITERAL("al\nice"), &password, &source),
                 ERR_MALFORMED);
}

static void writes_keys(void **state) {
    (void)state;
    static const struct uplink_bearer by_token = {.username = "alice", .token = "pgw_x"};
    static const struct uplink_bearer by_serial = {.username = "alice", .serial = 17};
    static const struct uplink_bearer by_key = {.username = "alice", .fingerprint = "SHA256:x"};
    struct buf body CLEANUP(buf_done) = BUF(8192);
    size_t count = 0;
    assert_ok(uplink_put_keys(&body, &by_token,
                              SPAN_LITERAL("\n# mine\n  ssh-ed25519 AAAA me \r\nssh-rsa BBBB"),
                              &source, &count));
    assert_int_equal(count, 2);
    assert_text(&body, "{\"username\":\"alice\",\"token\":\"pgw_x\",\"source\":\"192.0.2.7\","
                       "\"publicKeys\":[\"ssh-ed25519 AAAA me\",\"ssh-rsa BBBB\"]}");
    buf_clear(&body);
    assert_ok(uplink_put_keys(&body, &by_serial, SPAN_LITERAL("k"), &source, &count));
    assert_text(&body, "{\"username\":\"alice\",\"serialNumber\":\"17\",\"source\":\"192.0.2.7\","
                       "\"publicKeys\":[\"k\"]}");
    buf_clear(&body);
    assert_ok(uplink_put_keys(&body, &by_key, SPAN_LITERAL("k"), &source, &count));
    assert_text(&body,
                "{\"username\":\"alice\",\"fingerprint\":\"SHA256:x\",\"source\":\"192.0.2.7\","
                "\"publicKeys\":[\"k\"]}");
}

static void refuses_what_are_no_keys(void **state) {
    (void)state;
    static const struct uplink_bearer bearer = {.username = "alice", .serial = 1};
    char many[2 * (LIMIT_ENROLMENT_KEYS_COUNT + 1)];
    struct buf body CLEANUP(buf_done) = BUF(8192);
    size_t count = 77;
    assert_fails(uplink_put_keys(&body, &bearer, SPAN_LITERAL(" \n#\n\n"), &source, &count),
                 ERR_NOT_FOUND);
    assert_fails(uplink_put_keys(&body, &bearer, SPAN_LITERAL("a\0b"), &source, &count),
                 ERR_MALFORMED);
    assert_fails(uplink_put_keys(&body, &bearer, SPAN_LITERAL("\xff\xfe"), &source, &count),
                 ERR_MALFORMED);
    for (size_t i = 0; i < sizeof many; i++) {
        many[i] = i % 2 == 0 ? 'k' : '\n';
    }
    buf_clear(&body);
    assert_ok(uplink_put_keys(&body, &bearer, span_of(many, sizeof many - 2), &source, &count));
    assert_int_equal(count, LIMIT_ENROLMENT_KEYS_COUNT);
    assert_fails(uplink_put_keys(&body, &bearer, span_of(many, sizeof many), &source, &count),
                 ERR_RANGE);
}

static void reads_answers(void **state) {
    (void)state;
    secret_t token CLEANUP(secret_done) = {0};
    char message[8];
    assert_fails(uplink_get_token(SPAN_LITERAL("{\"token\":\"\"}"), &token), ERR_MALFORMED);
    assert_fails(uplink_get_token(SPAN_LITERAL("{\"token\":7}"), &token), ERR_MALFORMED);
    assert_fails(uplink_get_token(SPAN_LITERAL("[]"), &token), ERR_MALFORMED);
    assert_ok(uplink_get_token(SPAN_LITERAL("{\"token\":\"pgw_x\"}"), &token));
    assert_string_equal(token.text, "pgw_x");
    uplink_get_message(SPAN_LITERAL("{\"message\":\"too long for it\"}"), message, sizeof message);
    assert_string_equal(message, "too lon");
    uplink_get_message(SPAN_LITERAL("<html>"), message, sizeof message);
    assert_string_equal(message, "");
}

/* --- postern-host in between --- */

/* An authority of one connection at a time, in plain HTTP on loopback. */
struct rig {
    int listener;
    uint16_t port;
    char url[64];
    struct config config;
    struct identity identity;
    struct uplink_server *server;
    int gate;
};

static int listen_somewhere(uint16_t *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int connect_gate(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "state/" UPLINK_SOCKET};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void rig_start(struct rig *rig) {
    struct fault fault = {0};
    *rig = (struct rig){
        .config = {.state_dir = (char *)(uintptr_t) "state", .command_group = getegid()}};
    rig->listener = listen_somewhere(&rig->port);
    (void)snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u", rig->port);
    rig->identity.url = rig->url;
    rig->identity.name = (char *)(uintptr_t) "ela";
    assert_ok(secret_copy(SPAN_LITERAL("pgh_token"), 64, &rig->identity.token));
    assert_int_equal(mkdir("state", 0750), 0);
    err_t err = uplink_server_start(&rig->config, &rig->identity, &rig->server, &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
    rig->gate = connect_gate();
}

static void rig_done(struct rig *rig) {
    (void)close(rig->gate);
    (void)close(rig->listener);
    uplink_server_free(rig->server);
    secret_done(&rig->identity.token);
    assert_int_equal(fixture_run("rm -rf state"), 0);
}

static void ask(struct rig *rig, uint32_t id, enum uplink_call call, const char *body) {
    struct buf frame CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES + 4);
    assert_ok(uplink_put_question(&frame, id, call, span_str(body)));
    assert_int_equal(send(rig->gate, frame.data, frame.len, 0), (ssize_t)frame.len);
}

/* The next answer's body, in `input`; false at the end of the stream. */
static bool next_answer(struct rig *rig, struct buf *input, struct uplink_answer *out) {
    for (;;) {
        uint8_t piece[4096];
        span_t stream = buf_span(input);
        if (!failed(uplink_get_answer(&stream, out))) {
            return true;
        }
        struct pollfd ready = {rig->gate, POLLIN, 0};
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        ssize_t got = recv(rig->gate, piece, sizeof piece, 0);
        if (got <= 0) {
            return false;
        }
        assert_ok(buf_add(input, span_of(piece, (size_t)got)));
    }
}

static int accept_call(struct rig *rig, char request[4096]) {
    struct pollfd ready = {rig->listener, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    int fd = accept(rig->listener, NULL, NULL);
    assert_true(fd >= 0);
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(fd, request + len, 4095 - len, 0);
        assert_true(got > 0);
        len += (size_t)got;
        request[len] = '\0';
        const char *body = strstr(request, "\r\n\r\n");
        if (body != NULL && strchr("}]", request[len - 1]) != NULL) {
            return fd;
        }
    }
}

static void reply(int fd, unsigned status, const char *body) {
    char text[512];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s",
                       status, strlen(body), body);
    assert_int_equal(send(fd, text, (size_t)len, 0), len);
    (void)close(fd);
}

static void carries_questions(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct buf input CLEANUP(buf_done) = BUF(65536);
    struct uplink_answer answer;
    char request[4096];
    struct stat status;
    rig_start(&rig);
    assert_int_equal(stat("state/" UPLINK_SOCKET, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    ask(&rig, 5, UPLINK_WINDOW, "{\"username\":\"alice\"}");
    int fd = accept_call(&rig, request);
    assert_non_null(strstr(request, "POST /api/v1/host/enrolment HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\nAuthorization: Bearer pgh_token\r\n"));
    assert_non_null(strstr(request, "\r\n\r\n{\"username\":\"alice\"}"));
    reply(fd, 401, "{\"code\":\"x\"}");
    assert_true(next_answer(&rig, &input, &answer));
    assert_int_equal(answer.id, 5);
    assert_int_equal(answer.status, 401);
    assert_true(span_equal_str(answer.body, "{\"code\":\"x\"}"));
}

/* What failed is answered with nothing, and the next one at once. */
static void says_that_nobody_is_there(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct buf input CLEANUP(buf_done) = BUF(65536);
    struct uplink_answer answer;
    rig_start(&rig);
    (void)close(rig.listener);
    rig.listener = -1;
    for (uint32_t id = 1; id <= 100; id++) {
        ask(&rig, id, UPLINK_KEYS, "{}");
        buf_clear(&input);
        assert_true(next_answer(&rig, &input, &answer));
        assert_int_equal(answer.id, id);
        assert_int_equal(answer.status, 0);
        assert_int_equal(answer.body.len, 0);
    }
}

/* LIMIT_UPLINK_QUESTIONS_COUNT wait while one is asked; the next is told to come again. */
static void bounds_the_queue(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct buf input CLEANUP(buf_done) = BUF(65536);
    struct uplink_answer answer;
    char request[4096];
    rig_start(&rig);
    ask(&rig, 1, UPLINK_WINDOW, "{}");
    int fd = accept_call(&rig, request); /* and leaves it waiting */
    for (uint32_t id = 2; id <= LIMIT_UPLINK_QUESTIONS_COUNT + 2; id++) {
        ask(&rig, id, UPLINK_WINDOW, "{}");
    }
    assert_true(next_answer(&rig, &input, &answer));
    assert_int_equal(answer.id, LIMIT_UPLINK_QUESTIONS_COUNT + 2);
    assert_int_equal(answer.status, 0);
    (void)close(fd);
}

static void tells_events_in_batches(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    char request[4096];
    rig_start(&rig);
    ask(&rig, 0, UPLINK_EVENT, "{\"n\":1}");
    int fd = accept_call(&rig, request);
    assert_non_null(strstr(request, "POST /api/v1/host/audit HTTP/1.1\r\n"));
    assert_non_null(strstr(request, "\r\n\r\n{\"dropped\":0,\"events\":[{\"n\":1}]}"));
    ask(&rig, 0, UPLINK_EVENT, "{\"n\":2}");
    ask(&rig, 0, UPLINK_EVENT, "{\"n\":3}");
    reply(fd, 503, "{}"); /* it is told again, with what came meanwhile */
    fd = accept_call(&rig, request);
    assert_non_null(strstr(request, "{\"dropped\":0,\"events\":[{\"n\":1},{\"n\":2},{\"n\":3}]}"));
    reply(fd, 200, "{}");
    ask(&rig, 0, UPLINK_EVENT, "{\"n\":4}");
    fd = accept_call(&rig, request);
    assert_non_null(strstr(request, "{\"dropped\":0,\"events\":[{\"n\":4}]}"));
    reply(fd, 200, "{}");
}

/* Strangers can keep questions coming: what they do must show all the same. */
static void tells_events_between_questions(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    struct buf input CLEANUP(buf_done) = BUF(65536);
    struct uplink_answer answer;
    char request[4096];
    rig_start(&rig);
    ask(&rig, 1, UPLINK_WINDOW, "{}");
    int fd = accept_call(&rig, request);
    ask(&rig, 0, UPLINK_EVENT, "{\"n\":1}");
    for (uint32_t id = 2; id <= LIMIT_UPLINK_QUESTIONS_COUNT + 2; id++) {
        ask(&rig, id, UPLINK_WINDOW, "{}");
    }
    assert_true(next_answer(&rig, &input, &answer)); /* one too many: all of them were read */
    reply(fd, 401, "{}");
    fd = accept_call(&rig, request);
    assert_non_null(strstr(request, "{\"dropped\":0,\"events\":[{\"n\":1}]}"));
    reply(fd, 200, "{}");
    fd = accept_call(&rig, request);
    assert_non_null(strstr(request, "POST /api/v1/host/enrolment HTTP/1.1\r\n"));
    (void)close(fd);
}

/* The oldest go first when there are too many, and are counted. */
static void drops_the_oldest_events(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    char request[4096], event[32];
    rig_start(&rig);
    ask(&rig, 0, UPLINK_EVENT, "{\"n\":0}");
    int fd = accept_call(&rig, request); /* which holds the rest up */
    for (unsigned i = 1; i < LIMIT_UPLINK_EVENTS_COUNT + 3; i++) {
        (void)snprintf(event, sizeof event, "{\"n\":%u}", i);
        ask(&rig, 0, UPLINK_EVENT, event);
    }
    /* A question shows that all of them were read. */
    struct buf input CLEANUP(buf_done) = BUF(65536);
    struct uplink_answer answer;
    ask(&rig, 9, UPLINK_KEYS, "{}");
    reply(fd, 503, "{}");
    fd = accept_call(&rig, request);
    reply(fd, 200, "{}");
    assert_true(next_answer(&rig, &input, &answer));
    fd = accept_call(&rig, request);
    assert_non_null(strstr(request, "{\"dropped\":3,\"events\":[{\"n\":3},{\"n\":4},"));
    assert_null(strstr(request, "{\"n\":53}")); /* LIMIT_AUDIT_EVENTS_COUNT of them */
    reply(fd, 200, "{}");
}

/* Whoever breaks the rules is cut off, and others are served. */
static void cuts_who_breaks_the_rules(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\0\0\0\5\0\0\0\1\7", 9},
        {"\xff\xff\xff\xff", 4},
        {"\0\0\0\6\0\0\0\0\3{", 10}, /* an event that is no JSON */
    };
    struct rig rig CLEANUP(rig_done);
    struct buf input CLEANUP(buf_done) = BUF(65536);
    struct uplink_answer answer;
    rig_start(&rig);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(send(rig.gate, bad[i].bytes, bad[i].len, 0), (ssize_t)bad[i].len);
        assert_false(next_answer(&rig, &input, &answer));
        (void)close(rig.gate);
        rig.gate = connect_gate();
    }
    (void)close(rig.listener);
    rig.listener = -1;
    ask(&rig, 3, UPLINK_KEYS, "{}");
    assert_true(next_answer(&rig, &input, &answer));
}

/* True when the peer was cut off. */
static bool sends_event(struct rig *rig, size_t len) {
    char event[LIMIT_UPLINK_EVENT_BYTES + 2];
    struct pollfd ready = {rig->gate, POLLIN, 0};
    (void)snprintf(event, sizeof event, "{\"n\":\"%0*d\"}", (int)len - 8, 0);
    assert_int_equal(strlen(event), len);
    ask(rig, 0, UPLINK_EVENT, event);
    return poll(&ready, 1, len > LIMIT_UPLINK_EVENT_BYTES ? PATIENCE_MS : 0) != 0;
}

static void bounds_events(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    char request[4096];
    rig_start(&rig);
    assert_false(sends_event(&rig, LIMIT_UPLINK_EVENT_BYTES));
    reply(accept_call(&rig, request), 200, "{}"); /* so it was taken */
    assert_true(sends_event(&rig, LIMIT_UPLINK_EVENT_BYTES + 1));
}

static void bounds_peers(void **state) {
    (void)state;
    struct rig rig CLEANUP(rig_done);
    static int peers[LIMIT_UPLINK_PEERS_COUNT];
    struct buf input CLEANUP(buf_done) = BUF(65536);
    struct uplink_answer answer;
    char request[4096];
    rig_start(&rig);
    for (size_t i = 1; i < COUNT_OF(peers); i++) { /* with the rig's own */
        peers[i] = connect_gate();
    }
    ask(&rig, 1, UPLINK_KEYS, "{}");
    reply(accept_call(&rig, request), 200, "{}");
    assert_true(next_answer(&rig, &input, &answer));
    struct pollfd one_more = {connect_gate(), POLLIN, 0};
    assert_int_equal(poll(&one_more, 1, PATIENCE_MS), 1);
    assert_int_equal(recv(one_more.fd, request, 1, 0), 0);
    (void)close(one_more.fd);
    struct pollfd last = {peers[COUNT_OF(peers) - 1], POLLIN, 0};
    assert_int_equal(poll(&last, 1, 0), 0);
    for (size_t i = 1; i < COUNT_OF(peers); i++) {
        (void)close(peers[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_frames),
        cmocka_unit_test(bounds_bodies),
        cmocka_unit_test(writes_a_session),
        cmocka_unit_test(writes_a_password),
        cmocka_unit_test(writes_keys),
        cmocka_unit_test(refuses_what_are_no_keys),
        cmocka_unit_test(reads_answers),
        cmocka_unit_test(carries_questions),
        cmocka_unit_test(says_that_nobody_is_there),
        cmocka_unit_test(bounds_the_queue),
        cmocka_unit_test(tells_events_in_batches),
        cmocka_unit_test(tells_events_between_questions),
        cmocka_unit_test(drops_the_oldest_events),
        cmocka_unit_test(cuts_who_breaks_the_rules),
        cmocka_unit_test(bounds_events),
        cmocka_unit_test(bounds_peers),
    };
    return cmocka_run_group_tests_name("uplink", tests, fixture_setup, fixture_teardown);
}
