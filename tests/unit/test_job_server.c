/* The socket for users of a frontend: who gets a place, how long, and for what length of question.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "fixture.h"
#include "host/jobs/job_server.h"
#include "net/job_socket.h"
#include "replica_fixture.h"

enum { PATIENCE_MS = 20000, UID_FIRST = 42001 };

struct served {
    char folder[128], socket[160];
    struct config config;
    struct identity identity;
    struct job_server *server;
};

static int setup(void **state) {
    static struct served served;
    struct fault fault = {0};
    if (fixture_setup(state) != 0 || chmod(fixture_folder, 0755) != 0) {
        return -1;
    }
    served = (struct served){.identity = {.url = (char *)(uintptr_t) "https://127.0.0.1:1"}};
    (void)snprintf(served.folder, sizeof served.folder, "%s/state", fixture_folder);
    (void)snprintf(served.socket, sizeof served.socket, "%s/run/jobs.sock", fixture_folder);
    served.config = (struct config){
        .state_dir = served.folder, .job_socket = served.socket, .min_uid = UID_FIRST};
    assert_ok(secret_copy(SPAN_LITERAL("pgh_x"), 16, &served.identity.token));
    assert_ok(job_server_start(&served.config, &served.identity, &served.server, &fault));
    *state = &served;
    return 0;
}

static int teardown(void **state) {
    struct served *served = *state;
    job_server_free(served->server);
    secret_done(&served->identity.token);
    return fixture_teardown(state);
}

static int connect_to(const struct served *served) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_in_range(strlen(served->socket), 1, sizeof address.sun_path - 1);
    memcpy(address.sun_path, served->socket, strlen(served->socket));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Whether something comes, or the end, within the time. */
static bool hears(int fd, int timeout_ms) {
    struct pollfd watched = {fd, POLLIN, 0};
    return poll(&watched, 1, timeout_ms) > 0;
}

/* All that comes until the end. */
static void assert_answer(int fd, const char *part) {
    char text[4096] = "";
    size_t len = 0;
    for (;;) {
        assert_true(hears(fd, PATIENCE_MS));
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        text[len] = '\0';
    }
    if (strstr(text, part) == NULL) {
        print_error("not %s: %s\n", part, text);
    }
    assert_non_null(strstr(text, part));
    (void)close(fd);
}

static void gives_a_user_so_many_places(void **state) {
    const struct served *served = *state;
    int held[LIMIT_JOB_ASKERS_PER_USER_COUNT];
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        held[i] = connect_to(served);
    }
    assert_answer(connect_to(served), "\"busy\"");
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        assert_false(hears(held[i], 0));
    }
    (void)close(held[0]); /* makes room */
    int64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (bool silent = false; !silent;) {
        assert_true(clock_monotonic_ms() < until_ms);
        int fd = connect_to(served);
        silent = !hears(fd, 200);
        (void)close(fd);
    }
    for (size_t i = 1; i < COUNT_OF(held); i++) {
        (void)close(held[i]);
    }
}

static void gives_all_so_many_places(void **state) {
    const struct served *served = *state;
    int held[LIMIT_JOB_ASKERS_COUNT];
    if (geteuid() != 0) {
        print_message("# skipped: needs root: many users ask\n");
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        assert_int_equal(seteuid(UID_FIRST + (uid_t)(i / LIMIT_JOB_ASKERS_PER_USER_COUNT)), 0);
        held[i] = connect_to(served);
        assert_int_equal(seteuid(0), 0);
    }
    assert_answer(connect_to(served), "\"busy\"");
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        assert_false(hears(held[i], 0));
        (void)close(held[i]);
    }
}

static void bounds_a_question(void **state) {
    const struct served *served = *state;
    for (int over = 0; over < 2; over++) {
        char question[LIMIT_JOB_QUESTION_BYTES + 1];
        size_t len = LIMIT_JOB_QUESTION_BYTES + (size_t)over;
        memset(question, ' ', len);
        question[len - 1] = '\n';
        int fd = connect_to(served);
        assert_int_equal(send(fd, question, len, MSG_NOSIGNAL), (ssize_t)len);
        /* Nobody here is an account, and that is as far as a question of fair length gets. */
        assert_answer(fd, over ? "\"too_long\"" : "\"no_account\"");
    }
}

static void takes_a_question_in_pieces(void **state) {
    const struct served *served = *state;
    static const char question[] = "{\"call\":\"jobs\"}\n";
    int fd = connect_to(served);
    for (size_t i = 0; i + 1 < sizeof question; i++) {
        assert_int_equal(send(fd, question + i, 1, MSG_NOSIGNAL), 1);
    }
    assert_answer(fd, "\"no_account\"");
}

static void cuts_off_who_is_late(void **state) {
    const struct served *served = *state;
    int64_t before_ms = clock_monotonic_ms();
    int silent = connect_to(served), slow = connect_to(served);
    while (!hears(slow, 500)) { /* a byte now and then gains no time */
        assert_true(clock_monotonic_ms() - before_ms < PATIENCE_MS);
        (void)send(slow, " ", 1, MSG_NOSIGNAL);
    }
    assert_in_range(clock_monotonic_ms() - before_ms, LIMIT_JOB_ASKER_S * 1000 - 100,
                    LIMIT_JOB_ASKER_S * 1000 + 3000);
    assert_answer(silent, "");
    (void)close(slow);
}

/* What earlier tests took is little, and what is earned meanwhile as well. */
static void bounds_how_often_one_asks(void **state) {
    const struct served *served = *state;
    enum { SLACK = 16 };
    size_t answered = 0;
    for (;;) {
        struct buf answer CLEANUP(buf_done) = BUF(LIMIT_JOB_ANSWER_BYTES);
        assert_ok(job_socket_ask(served->socket, SPAN_LITERAL("{}"), PATIENCE_MS, &answer));
        assert_ok(buf_add_byte(&answer, '\0'));
        if (strstr((const char *)answer.data, "\"too_many_requests\"") != NULL) {
            break;
        }
        assert_non_null(strstr((const char *)answer.data, "\"no_account\""));
        assert_true(++answered < LIMIT_JOB_ASKS_PER_MINUTE_COUNT + SLACK);
    }
    assert_true(answered > LIMIT_JOB_ASKS_PER_MINUTE_COUNT - SLACK);
}

static void tells_what_is_wrong_with_a_socket(void **state) {
    const struct served *served = *state;
    struct buf answer CLEANUP(buf_done) = BUF(LIMIT_JOB_ANSWER_BYTES);
    static char question[LIMIT_JOB_QUESTION_BYTES];
    assert_int_equal(job_socket_ask("absent.sock", SPAN_LITERAL("{}"), 1000, &answer).code,
                     ERR_NOT_FOUND);
    assert_int_equal(fixture_run("touch dead.sock"), 0);
    assert_int_equal(job_socket_ask("dead.sock", SPAN_LITERAL("{}"), 1000, &answer).code,
                     ERR_CONNECT);
    assert_int_equal(
        job_socket_ask(served->socket, span_of(question, sizeof question), 1000, &answer).code,
        ERR_TOO_LONG);
    assert_ok(
        job_socket_ask(served->socket, SPAN_LITERAL("{\"call\":\"jobs\"}"), PATIENCE_MS, &answer));
    assert_true(answer.len > 0 && answer.data[answer.len - 1] == '}');
}

/* --- answers --- */

#define JOB_SITE                                                                                   \
    "{\"revision\":\"1\",\"snapshot\":true,\"changes\":["                                          \
    "{\"revision\":\"1\",\"kind\":\"job\",\"key\":\"7@nancy\",\"state\":{\"account\":\"alice\","   \
    "\"cluster\":\"nancy\",\"user\":\"alice\",\"type\":\"shared\",\"nodes\":[\"n1\",\"n2\"],"      \
    "\"startTime\":\"2020-01-01T00:00:00Z\"}}]}"

/* Whatever a user says, what is wrong with it is the answer; it is no failure, which is logged. */
static void says_which_node_is_none(void **state) {
    (void)state;
    static const struct {
        const char *node, *code;
    } asked[] = {
        {"n3", "\"no_node\""},
        {"", "\"no_node\""},
        {"-oProxyCommand=id", "\"no_node\""},
        {"n1\\u001b[2J", "\"no_node\""},
        /* a letter of two bytes, that a message of a hundred cuts in two */
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxx\u00e9",
         "\"no_node\""},
        {"n1", "\"away\""}};
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    place_make(&place);
    assert_ok(replica_open_write(place.path, (gid_t)-1, &replica));
    apply(replica, JOB_SITE);
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        const struct job_asker asker = {.username = "alice", .state_dir = place.dir};
        struct buf out CLEANUP(buf_done) = BUF(LIMIT_JOB_ANSWER_BYTES);
        char question[512];
        bool reached = true;
        (void)snprintf(
            question, sizeof question,
            "{\"call\":\"certificate\",\"job\":\"7\",\"publicKey\":\"k\",\"node\":\"%s\"}",
            asked[i].node);
        assert_ok(job_answer(&asker, span_str(question), &out, &reached));
        assert_ok(buf_add_byte(&out, '\0'));
        if (strstr((const char *)out.data, asked[i].code) == NULL) {
            print_error("%s: %s\n", asked[i].node, (const char *)out.data);
        }
        assert_non_null(strstr((const char *)out.data, asked[i].code));
    }
    replica_closep(&replica);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_a_user_so_many_places),
        cmocka_unit_test(bounds_a_question),
        cmocka_unit_test(takes_a_question_in_pieces),
        cmocka_unit_test(cuts_off_who_is_late),
        cmocka_unit_test(tells_what_is_wrong_with_a_socket),
        cmocka_unit_test(gives_all_so_many_places),
        cmocka_unit_test(says_which_node_is_none),
        cmocka_unit_test(bounds_how_often_one_asks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
