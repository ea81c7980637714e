#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "authority/signer.h"
#include "authority/signer_client.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "ssh/agent.h"
#include "ssh/wire.h"

static char folder[] = "/tmp/test_signer.XXXXXX";
static struct ca_keys keys;
static struct private_key *subject;

static void on_fault(void *context, const struct fault *fault) {
    (void)context;
    print_error("%s: %s\n", fault->field, fault->reason);
}

static void write_key(const char *name, const struct private_key *key, mode_t mode) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    char *path CLEANUP(freep) = NULL;
    assert_ok(private_key_write(key, name, NULL, 0, &text));
    assert_ok(path_join(folder, name, &path));
    assert_ok(file_replace(path, buf_span(&text), mode, 0));
}

static void make_ca(const char *name) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    assert_ok(private_key_generate(KEY_ED25519, 256, &key));
    write_key(name, key, 0600);
}

static int set_up(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    make_ca("user_1.key");
    make_ca("host_1.key");
    assert_ok(ca_files_load(folder, on_fault, NULL, &keys));
    assert_ok(private_key_generate(KEY_ED25519, 256, &subject));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"user_1.key", "host_1.key", "user_2.key"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *path CLEANUP(freep) = NULL;
        assert_ok(path_join(folder, names[i], &path));
        (void)unlink(path);
    }
    ca_files_done(&keys);
    private_key_free(subject);
    return rmdir(folder);
}

/* What a certificate says, written by hand so that it can be wrong. */
struct tbs {
    const char *principal; /* NULL: none */
    uint64_t serial;
    uint32_t type;
    uint64_t valid_after, valid_before;
    size_t ca; /* which of our keys it names */
    bool trailing;
};

static void put_tbs(const struct tbs *tbs, struct buf *out) {
    span_t blob = key_blob(private_key_public(subject)), name, public_key;
    uint8_t nonce[32] = {1};
    size_t mark;
    assert_ok(wire_get_string(&blob, &name));
    assert_ok(wire_get_string(&blob, &public_key));
    assert_ok(wire_put_text(out, "ssh-ed25519-cert-v01@openssh.com"));
    assert_ok(wire_put_string(out, span_of(nonce, sizeof nonce)));
    assert_ok(wire_put_string(out, public_key));
    assert_ok(wire_put_u64(out, tbs->serial));
    assert_ok(wire_put_u32(out, tbs->type));
    assert_ok(wire_put_text(out, "alice@test"));
    assert_ok(wire_string_begin(out, &mark));
    if (tbs->principal != NULL) {
        assert_ok(wire_put_text(out, tbs->principal));
    }
    wire_string_end(out, mark);
    assert_ok(wire_put_u64(out, tbs->valid_after));
    assert_ok(wire_put_u64(out, tbs->valid_before));
    assert_ok(wire_put_text(out, ""));
    assert_ok(wire_put_text(out, ""));
    assert_ok(wire_put_text(out, ""));
    assert_ok(wire_put_string(out, key_blob(private_key_public(keys.keys[tbs->ca].key))));
    if (tbs->trailing) {
        assert_ok(wire_put_u8(out, 0));
    }
}

/* Asks for a signature by key `with`; gives the type of the answer. */
static uint8_t ask(size_t with, span_t data) {
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    struct buf answers CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t blob = key_blob(private_key_public(keys.keys[with].key));
    assert_ok(agent_put_sign_request(&request, blob, data, 0));
    span_t stream = buf_span(&request), message;
    assert_ok(agent_get_frame(&stream, &message));
    assert_ok(signer_answer(&keys, message, &answers));
    stream = buf_span(&answers);
    assert_ok(agent_get_frame(&stream, &message));
    assert_int_equal(stream.len, 0);
    span_t signature;
    if (message.data[0] == AGENT_SIGN_RESPONSE) {
        assert_ok(agent_get_sign_response(message, &signature));
        assert_ok(key_verify(private_key_public(keys.keys[with].key), data, signature, NULL));
    }
    return message.data[0];
}

/* NOW is past, so that these are about what they say; LATER is not. */
enum { USER = 0, HOST = 1, NOW = 1750000000 };
#define LATER 4000000000U
#define DAY   (24 * 3600)

static const struct {
    const char *what;
    struct tbs tbs;
    size_t with;
} unsignable[] = {
    {"no principals", {NULL, 7, CERT_USER, NOW, NOW + DAY, USER, false}, USER},
    {"an empty principal", {"", 7, CERT_USER, NOW, NOW + DAY, USER, false}, USER},
    {"a comma in a principal", {"a,root", 7, CERT_USER, NOW, NOW + DAY, USER, false}, USER},
    {"serial 0", {"alice", 0, CERT_USER, NOW, NOW + DAY, USER, false}, USER},
    {"a day too long",
     {"alice", 7, CERT_USER, NOW, NOW + LIMIT_SIGNER_USER_S + 1, USER, false},
     USER},
    {"no end", {"alice", 7, CERT_USER, NOW, CERT_FOREVER, USER, false}, USER},
    {"a beginning in years to come",
     {"alice", 7, CERT_USER, LATER, LATER + DAY, USER, false},
     USER},
    {"a host's in years to come", {"a", 7, CERT_HOST, LATER, LATER + DAY, HOST, false}, HOST},
    {"a user wildcard", {"*", 7, CERT_USER, NOW, NOW + DAY, USER, false}, USER},
    {"every host", {"*", 7, CERT_HOST, NOW, NOW + DAY, HOST, false}, HOST},
    {"every host of a domain", {"*.example.org", 7, CERT_HOST, NOW, NOW + DAY, HOST, false}, HOST},
    {"any letter", {"h?", 7, CERT_HOST, NOW, NOW + DAY, HOST, false}, HOST},
    {"valid for ever", {"alice", 7, CERT_USER, 0, CERT_FOREVER, USER, false}, USER},
    {"end before beginning", {"alice", 7, CERT_USER, NOW, NOW - 1, USER, false}, USER},
    {"no time at all", {"alice", 7, CERT_USER, NOW, NOW, USER, false}, USER},
    {"a host certificate by the user CA", {"a", 7, CERT_HOST, NOW, NOW + DAY, USER, false}, USER},
    {"a user certificate by the host CA", {"a", 7, CERT_USER, NOW, NOW + DAY, HOST, false}, HOST},
    {"an unknown type", {"alice", 7, 3, NOW, NOW + DAY, USER, false}, USER},
    {"another CA inside", {"alice", 7, CERT_USER, NOW, NOW + DAY, HOST, false}, USER},
    {"bytes after the end", {"alice", 7, CERT_USER, NOW, NOW + DAY, USER, true}, USER},
    {"a host for longer than a year",
     {"a", 7, CERT_HOST, NOW, NOW + LIMIT_SIGNER_HOST_S + 1, HOST, false},
     HOST},
};

static void refuses_certificates(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(unsignable); i++) {
        struct buf tbs CLEANUP(buf_done) = BUF(LIMIT_CERT_BLOB_BYTES);
        put_tbs(&unsignable[i].tbs, &tbs);
        if (ask(unsignable[i].with, buf_span(&tbs)) != AGENT_FAILURE) {
            fail_msg("signed: %s", unsignable[i].what);
        }
    }
}

/* Each limit is met, and exceeded by a second; the beginning with room for a slow test. */
static void keeps_its_limits(void **state) {
    (void)state;
    uint64_t now = (uint64_t)clock_now_s(), slack = 60;
    const struct {
        struct tbs tbs;
        size_t with;
        uint8_t answer;
    } cases[] = {
        {{"a", 7, CERT_USER, NOW, NOW + LIMIT_SIGNER_USER_S, USER, false},
         USER,
         AGENT_SIGN_RESPONSE},
        {{"a", 7, CERT_USER, NOW, NOW + LIMIT_SIGNER_USER_S + 1, USER, false}, USER, AGENT_FAILURE},
        {{"a", 7, CERT_HOST, NOW, NOW + LIMIT_SIGNER_HOST_S, HOST, false},
         HOST,
         AGENT_SIGN_RESPONSE},
        {{"a", 7, CERT_HOST, NOW, NOW + LIMIT_SIGNER_HOST_S + 1, HOST, false}, HOST, AGENT_FAILURE},
        {{"a", 7, CERT_USER, now + LIMIT_SIGNER_AHEAD_S, now + 2 * DAY, USER, false},
         USER,
         AGENT_SIGN_RESPONSE},
        {{"a", 7, CERT_USER, now + LIMIT_SIGNER_AHEAD_S + slack, now + 2 * DAY, USER, false},
         USER,
         AGENT_FAILURE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf tbs CLEANUP(buf_done) = BUF(LIMIT_CERT_BLOB_BYTES);
        put_tbs(&cases[i].tbs, &tbs);
        if (ask(cases[i].with, buf_span(&tbs)) != cases[i].answer) {
            fail_msg("case %zu was judged otherwise", i);
        }
    }
}

static void refuses_what_is_no_certificate(void **state) {
    (void)state;
    assert_int_equal(ask(USER, SPAN_LITERAL("")), AGENT_FAILURE);
    assert_int_equal(ask(USER, SPAN_LITERAL("SSH-2.0 a session to be signed for a login")),
                     AGENT_FAILURE);
    struct buf tbs CLEANUP(buf_done) = BUF(LIMIT_CERT_BLOB_BYTES);
    put_tbs(&(struct tbs){"alice", 7, CERT_USER, NOW, NOW + DAY, USER, false}, &tbs);
    for (size_t len = 0; len < tbs.len; len++) {
        assert_int_equal(ask(USER, span_of(tbs.data, len)), AGENT_FAILURE);
    }
}

static void refuses_a_key_that_it_lacks(void **state) {
    (void)state;
    struct buf tbs CLEANUP(buf_done) = BUF(LIMIT_CERT_BLOB_BYTES);
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    struct buf answers CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    put_tbs(&(struct tbs){"alice", 7, CERT_USER, NOW, NOW + DAY, USER, false}, &tbs);
    assert_ok(
        agent_put_sign_request(&request, key_blob(private_key_public(subject)), buf_span(&tbs), 0));
    assert_ok(signer_answer(&keys, span_of(request.data + 4, request.len - 4), &answers));
    assert_int_equal(answers.data[4], AGENT_FAILURE);
}

static void ends_on_hostile_messages(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } hostile[] = {
        {"", 0},
        {"\xff garbage", 9},
        {"\x0b\x00", 2}, /* REQUEST_IDENTITIES with a byte left over */
        {"\x0d", 1},     /* SIGN_REQUEST without a body */
        {"\x0d\xff\xff\xff\xff", 5},
        {"\x13", 1},                 /* REMOVE_ALL_IDENTITIES */
        {"\x16\x00\x00\x00\x00", 5}, /* LOCK */
        {"\x06", 1},                 /* an answer */
    };
    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        struct buf answers CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
        assert_true(
            failed(signer_answer(&keys, span_of(hostile[i].bytes, hostile[i].len), &answers)));
    }
    /* A good request with a byte left over. */
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    struct buf answers CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    assert_ok(agent_put_sign_request(&request, SPAN_LITERAL("k"), SPAN_LITERAL("d"), 0));
    assert_ok(buf_add_byte(&request, 0));
    assert_true(failed(signer_answer(&keys, span_of(request.data + 4, request.len - 4), &answers)));
}

static void signs(void **state) {
    (void)state;
    static const struct tbs good[] = {
        {"alice", 1, CERT_USER, NOW, NOW + DAY, USER, false},
        {"alice", UINT64_MAX, CERT_USER, NOW, NOW + LIMIT_SIGNER_USER_S, USER, false},
        {"node1.example", 7, CERT_HOST, NOW, NOW + LIMIT_SIGNER_HOST_S, HOST, false},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct buf tbs CLEANUP(buf_done) = BUF(LIMIT_CERT_BLOB_BYTES);
        put_tbs(&good[i], &tbs);
        assert_int_equal(ask(good[i].ca, buf_span(&tbs)), AGENT_SIGN_RESPONSE);
    }
}

/* ---- files ------------------------------------------------------------------------------- */

static void count_fault(void *context, const struct fault *fault) {
    (void)fault;
    ++*(size_t *)context;
}

static void refuses_readable_keys(void **state) {
    (void)state;
    struct ca_keys loaded = {.count = 0};
    size_t faults = 0;
    write_key("user_2.key", subject, 0640);
    assert_fails(ca_files_load(folder, count_fault, &faults, &loaded), ERR_REFUSED);
    assert_int_equal(faults, 1);
    assert_int_equal(chmod(folder, 0750), 0);
    assert_fails(ca_files_load(folder, count_fault, &faults, &loaded), ERR_REFUSED);
    assert_int_equal(faults, 3);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(loaded.count, 0);
}

static void rotates(void **state) {
    (void)state;
    struct ca_keys loaded = {.count = 0};
    write_key("user_2.key", subject, 0600);
    assert_ok(ca_files_load(folder, on_fault, NULL, &loaded));
    assert_int_equal(loaded.count, 3);
    assert_string_equal(loaded.keys[0].name, "user_2.key");
    assert_string_equal(loaded.keys[1].name, "user_1.key");
    assert_string_equal(loaded.keys[2].name, "host_1.key");
    ca_files_done(&loaded);
}

/* ---- the process ------------------------------------------------------------------------- */

struct run {
    struct loop *loop;
    struct signer_client *client;
    struct timer *look;
    struct buf tbs;
    int answers;
    int first_pid;
    err_t in_flight;
    int64_t asked_ms, lost_ms;
};

static void on_second(void *context, err_t err, span_t signature) {
    struct run *run = context;
    assert_ok(err);
    assert_ok(key_verify(signer_client_keys(run->client, CERT_USER).keys[0], buf_span(&run->tbs),
                         signature, NULL));
    run->answers++;
    loop_stop(run->loop);
}

static void look_for_restart(void *context) {
    struct run *run = context;
    if (signer_client_count(run->client).up) {
        timer_stop(TAKE(run->look));
        assert_int_not_equal(signer_client_pid(run->client), run->first_pid);
        signer_client_sign(run->client, CERT_USER, buf_span(&run->tbs), on_second, run);
    }
}

static void on_lost(void *context, err_t err, span_t signature) {
    struct run *run = context;
    (void)signature;
    run->in_flight = err;
    run->lost_ms = clock_monotonic_ms();
    if (++run->answers > 2) {
        return; /* it looks already */
    }
    assert_ok(timer_start(run->loop, 1, 5, look_for_restart, run, &run->look));
}

/* The process is stopped, so that the request is surely unanswered when it dies. */
static void on_first(void *context, err_t err, span_t signature) {
    struct run *run = context;
    (void)signature;
    assert_ok(err);
    run->answers++;
    run->first_pid = signer_client_pid(run->client);
    assert_int_equal(kill(run->first_pid, SIGSTOP), 0);
    signer_client_sign(run->client, CERT_USER, buf_span(&run->tbs), on_lost, run);
    assert_int_equal(kill(run->first_pid, SIGKILL), 0);
}

static void run_begin(struct run *run, int answer_ms) {
    struct fault fault = {.reason = ""};
    struct ca_keys now = {.count = 0};
    buf_init(&run->tbs, LIMIT_CERT_BLOB_BYTES);
    assert_ok(ca_files_load(folder, on_fault, NULL, &now));
    struct ca_keys before = keys;
    keys = now;
    put_tbs(&(struct tbs){"alice", 7, CERT_USER, NOW, NOW + DAY, USER, false}, &run->tbs);
    keys = before;
    ca_files_done(&now);
    const struct signer_client_config config = {.directory = folder, .answer_ms = answer_ms};
    assert_ok(loop_new(&run->loop));
    assert_ok(signer_client_start(run->loop, &config, &run->client, &fault));
}

static void run_end(struct run *run) {
    assert_int_equal(run->in_flight.code, ERR_CLOSED);
    assert_int_equal(signer_client_count(run->client).restarts, 1);
    assert_int_equal(signer_client_count(run->client).signatures, 2);
    assert_int_equal(signer_client_count(run->client).pending, 0);
    signer_client_free(run->client);
    loop_free(run->loop);
    buf_done(&run->tbs);
}

static void comes_back_after_a_kill(void **state) {
    (void)state;
    struct run run = {.answers = 0};
    run_begin(&run, 0);
    signer_client_sign(run.client, CERT_USER, buf_span(&run.tbs), on_first, &run);
    assert_ok(loop_run(run.loop));
    assert_int_equal(run.answers, 3);
    run_end(&run);
}

enum { ANSWER_MS = 300 }; /* in the place of LIMIT_SIGNER_ANSWER_S */

/* It stays stopped: nothing but the client's own clock ends it. */
static void on_first_of_a_hang(void *context, err_t err, span_t signature) {
    struct run *run = context;
    (void)signature;
    assert_ok(err);
    run->answers++;
    run->first_pid = signer_client_pid(run->client);
    assert_int_equal(kill(run->first_pid, SIGSTOP), 0);
    run->asked_ms = clock_monotonic_ms();
    signer_client_sign(run->client, CERT_USER, buf_span(&run->tbs), on_lost, run);
    signer_client_sign(run->client, CERT_USER, buf_span(&run->tbs), on_lost, run);
}

static void comes_back_after_a_hang(void **state) {
    (void)state;
    struct run run = {.answers = 0};
    run_begin(&run, ANSWER_MS);
    signer_client_sign(run.client, CERT_USER, buf_span(&run.tbs), on_first_of_a_hang, &run);
    assert_ok(loop_run(run.loop));
    assert_int_equal(run.answers, 4);
    assert_true(run.lost_ms - run.asked_ms >= ANSWER_MS);
    assert_int_equal(kill(run.first_pid, 0), -1); /* ended, and waited for */
    run_end(&run);
}

static void wake_signer(void *context) {
    struct run *run = context;
    timer_stop(TAKE(run->look));
    assert_int_equal(kill(run->first_pid, SIGCONT), 0);
}

/* Asked when the client's clock runs already, and answered late, but in time. */
static void on_first_of_a_pause(void *context, err_t err, span_t signature) {
    struct run *run = context;
    (void)signature;
    assert_ok(err);
    run->first_pid = signer_client_pid(run->client);
    assert_int_equal(kill(run->first_pid, SIGSTOP), 0);
    signer_client_sign(run->client, CERT_USER, buf_span(&run->tbs), on_second, run);
    assert_ok(timer_start(run->loop, ANSWER_MS / 3, 0, wake_signer, run, &run->look));
}

static void waits_out_a_pause(void **state) {
    (void)state;
    struct run run = {.in_flight = FAIL(ERR_CLOSED)};
    run_begin(&run, 20 * ANSWER_MS);
    signer_client_sign(run.client, CERT_USER, buf_span(&run.tbs), on_first_of_a_pause, &run);
    assert_ok(loop_run(run.loop));
    assert_int_equal(run.answers, 1);
    assert_int_equal(signer_client_count(run.client).restarts, 0);
    assert_int_equal(signer_client_pid(run.client), run.first_pid);
    signer_client_free(run.client);
    loop_free(run.loop);
    buf_done(&run.tbs);
}

/* An agent that never accepts: the backlog takes the connection, nobody the requests. */
static void is_not_held_up_by_a_silent_agent(void **state) {
    (void)state;
    struct loop *loop CLEANUP(loop_freep) = NULL;
    struct signer_client *client = NULL;
    char *path CLEANUP(freep) = NULL;
    struct fault fault = {.reason = ""};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_ok(loop_new(&loop));
    assert_ok(path_join(folder, "agent", &path));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int listener CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int filler CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(connect(filler, (const struct sockaddr *)&address, sizeof address), 0);
    /* Its queue is full, so that a connect() that waits would wait for ever. */
    const struct signer_client_config config = {.agent_socket = path};
    assert_fails(signer_client_start(loop, &config, &client, &fault), ERR_CONNECT);
    assert_null(client);
    assert_int_equal(unlink(path), 0);
}

static void does_not_start_without_keys(void **state) {
    (void)state;
    struct loop *loop CLEANUP(loop_freep) = NULL;
    struct signer_client *client = NULL;
    struct fault fault = {.reason = ""};
    assert_ok(loop_new(&loop));
    const struct signer_client_config no_folder = {.directory = "/nonexistent"};
    const struct signer_client_config no_agent = {.agent_socket = "/nonexistent/agent"};
    assert_true(failed(signer_client_start(loop, &no_folder, &client, &fault)));
    assert_non_null(strstr(fault.reason, "/nonexistent"));
    assert_true(failed(signer_client_start(loop, &no_agent, &client, &fault)));
    assert_null(client);
}

int main(int argc, char **argv) {
    /* The client starts /proc/self/exe, which is this test. */
    if (argc == 3 && strcmp(argv[1], "signer") == 0) {
        return signer_main(argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_certificates),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(refuses_what_is_no_certificate),
        cmocka_unit_test(refuses_a_key_that_it_lacks),
        cmocka_unit_test(ends_on_hostile_messages),
        cmocka_unit_test(signs),
        cmocka_unit_test(refuses_readable_keys),
        cmocka_unit_test(rotates),
        cmocka_unit_test(comes_back_after_a_kill),
        cmocka_unit_test(comes_back_after_a_hang),
        cmocka_unit_test(waits_out_a_pause),
        cmocka_unit_test(is_not_held_up_by_a_silent_agent),
        cmocka_unit_test(does_not_start_without_keys),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
