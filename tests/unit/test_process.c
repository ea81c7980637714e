/* Programs that are run for an answer, and in the foreground. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "check.h"
#include "cli/process/process.h"

static const struct process_terms plain = {.timeout_ms = 20 * 1000};

static err_t ask_sh(const char *script, const struct process_terms *terms, struct buf *answer,
                    int *status) {
    struct command_line line CLEANUP(command_line_done) = {0};
    TRY(command_line_add_words(&line, (const char *const[]){"sh", "-c", script, NULL}));
    return process_ask(&line, terms, answer, status);
}

/* What it says, and that it ends well. */
static void expect(const char *script, const struct process_terms *terms, const char *answer) {
    struct buf said CLEANUP(buf_done) = BUF(4096);
    char *text CLEANUP(freep) = NULL;
    int status = -1;
    assert_ok(ask_sh(script, terms, &said, &status));
    assert_ok(buf_to_str(&said, &text));
    assert_string_equal(text, answer);
    assert_int_equal(status, 0);
}

static bool lives(pid_t pid) { return kill(pid, 0) == 0 || errno != ESRCH; }

static void takes_too_long(void **state) {
    (void)state;
    struct process_terms terms = {.timeout_ms = 200};
    struct buf said CLEANUP(buf_done) = BUF(4096);
    char *text CLEANUP(freep) = NULL;
    int status = -1;
    int64_t begin = clock_monotonic_ms();
    assert_fails(ask_sh("sleep 600 & echo $!; wait", &terms, &said, &status), ERR_TIMEOUT);
    assert_true(clock_monotonic_ms() - begin < 10 * 1000);
    assert_int_equal(status, -1);
    assert_ok(buf_to_str(&said, &text));
    pid_t child = (pid_t)strtol(text, NULL, 10); /* what it had started has ended with it */
    assert_true(child > 1);
    while (lives(child)) {
        assert_true(clock_monotonic_ms() - begin < 20 * 1000);
    }
    buf_clear(&said);
    assert_fails(ask_sh("while :; do echo on and on; done",
                        &(struct process_terms){200, .cut = true}, &said, &status),
                 ERR_TIMEOUT);
}

static void is_told_to_stop(void **state) {
    (void)state;
    int ends[2];
    struct buf said CLEANUP(buf_done) = BUF(16);
    int status = -1;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "", 1), 1);
    assert_fails(
        ask_sh("exec sleep 600", &(struct process_terms){.stop_fd = ends[0]}, &said, &status),
        ERR_CLOSED);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void says_too_much(void **state) {
    (void)state;
    struct process_terms cut = {.timeout_ms = plain.timeout_ms, .cut = true};
    struct buf said CLEANUP(buf_done) = BUF(8);
    int status = -1;
    assert_ok(ask_sh("printf 12345678", &plain, &said, &status));
    assert_int_equal(status, 0);
    buf_clear(&said);
    assert_fails(ask_sh("printf 123456789", &plain, &said, &status), ERR_TOO_LONG);
    buf_clear(&said);
    assert_ok(ask_sh("printf 123456789; exit 3", &cut, &said, &status));
    assert_int_equal(status, 3);
    assert_memory_equal(said.data, "12345678", 8);
}

static void cannot_be_run(void **state) {
    (void)state;
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf said CLEANUP(buf_done) = BUF(4096);
    struct process_terms both = {.timeout_ms = plain.timeout_ms, .both = true};
    int status = -1;
    assert_ok(command_line_add(&line, "/there/is/no/such/program"));
    assert_ok(process_ask(&line, &both, &said, &status));
    assert_int_equal(status, PROCESS_NOT_FOUND);
    assert_int_equal(said.len, 0);
    assert_ok(ask_sh("kill -s TERM $$", &plain, &said, &status));
    assert_int_equal(status, 128 + SIGTERM);
}

static void answers(void **state) {
    (void)state;
    struct process_terms both = plain;
    struct process_terms reads = plain;
    both.both = true;
    reads.input = span_str("a word");
    expect("echo one; echo two >&2; echo three", &plain, "one\nthree\n");
    expect("echo one; echo two >&2; echo three", &both, "one\ntwo\nthree\n");
    expect("cat; cat", &reads, "a word");
    expect("cat", &plain, ""); /* nothing to read: it does not wait for any */
    /* What it leaves in the background holds nobody up, although the pipe is open there. */
    int64_t begin = clock_monotonic_ms();
    struct buf said CLEANUP(buf_done) = BUF(64);
    char *text CLEANUP(freep) = NULL;
    int status = -1;
    assert_ok(ask_sh("sleep 600 & echo $!", &plain, &said, &status));
    assert_true(clock_monotonic_ms() - begin < 10 * 1000);
    assert_ok(buf_to_str(&said, &text));
    assert_int_equal(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
}

static void can_ask_nobody(void **state) {
    (void)state;
    struct process_terms stranger = plain;
    stranger.stranger = true;
    assert_int_equal(setenv("DISPLAY", ":0", 1), 0);
    assert_int_equal(setenv("POSTERN_API_KEY", "a secret", 1), 0);
    assert_int_equal(setenv("POSTERN_SITE", "cscs", 1), 0);
    expect("echo \"${DISPLAY-none} $SSH_ASKPASS_REQUIRE\"; (: </dev/tty) 2>/dev/null || echo alone",
           &plain, "none never\nalone\n");
    expect("echo \"$POSTERN_API_KEY, $POSTERN_SITE\"", &plain, "a secret, cscs\n");
    expect("env | grep -c ^POSTERN_ || :", &stranger, "0\n");
    assert_int_equal(unsetenv("POSTERN_API_KEY"), 0);
    assert_int_equal(unsetenv("POSTERN_SITE"), 0);
    assert_int_equal(unsetenv("DISPLAY"), 0);
}

/* Afterwards signals do what they did before. */
static void has_the_foreground(void **state) {
    (void)state;
    struct command_line line CLEANUP(command_line_done) = {0};
    struct cli cli = {0};
    int by_signal = -1;
    /* Whatever this program was started with: a shell's job in the background ignores SIGINT. */
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    assert_ok(command_line_add_words(&line, (const char *const[]){"sh", "-c", "exit 7", NULL}));
    assert_ok(process_run(&cli, &line, false, &by_signal));
    assert_int_equal(cli.exit, 7);
    assert_int_equal(by_signal, 0);
    free(line.words[2]);
    line.words[2] = strdup("kill -s HUP $$");
    assert_non_null(line.words[2]);
    assert_ok(process_run(&cli, &line, true, &by_signal));
    assert_int_equal(cli.exit, EXIT_INTERNAL);
    assert_int_equal(by_signal, SIGHUP);
    struct sigaction now;
    assert_int_equal(sigaction(SIGINT, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
    assert_int_equal(sigaction(SIGHUP, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_too_long),
        cmocka_unit_test(is_told_to_stop),
        cmocka_unit_test(says_too_much),
        cmocka_unit_test(cannot_be_run),
        cmocka_unit_test(answers),
        cmocka_unit_test(can_ask_nobody),
        cmocka_unit_test(has_the_foreground),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
