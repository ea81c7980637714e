/* The lines of `postern agent` in a shell's start file: marked, once, and nothing else is touched.
 */
#include <string.h>

#include "check.h"
#include "cli/agent/start_file.h"

#define BEGIN "# >>> posterngate agent >>>\n"
#define END   "# <<< posterngate agent <<<\n"
#define LINE  "eval \"$('/usr/bin/postern' agent --shell sh 2>/dev/null)\"\n"

static void check_with(const char *before, const char *expected) {
    struct buf once CLEANUP(buf_done) = BUF(4096);
    struct buf twice CLEANUP(buf_done) = BUF(4096);
    const struct shell *bash = shell_find("bash");
    assert_ok(start_file_with(span_str(before), bash, "/usr/bin/postern", &once));
    assert_true(span_equal_str(buf_span(&once), expected));
    assert_ok(start_file_with(buf_span(&once), bash, "/usr/bin/postern", &twice));
    assert_true(span_equal(buf_span(&once), buf_span(&twice)));
}

static void check_without(const char *before, const char *expected) {
    struct buf out CLEANUP(buf_done) = BUF(4096);
    assert_ok(start_file_without(span_str(before), &out));
    assert_true(span_equal_str(buf_span(&out), expected));
}

static void half_marked(void **state) {
    (void)state;
    static const char *const damaged[] = {BEGIN LINE, LINE END, END LINE BEGIN, "a\n" BEGIN "b\n"};
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        struct buf out CLEANUP(buf_done) = BUF(4096);
        assert_fails(start_file_with(span_str(damaged[i]), shell_find("sh"), "/p", &out),
                     ERR_CONFLICT);
        assert_fails(start_file_without(span_str(damaged[i]), &out), ERR_CONFLICT);
        assert_int_equal(out.len, 0);
    }
}

static void quoting(void **state) {
    (void)state;
    static const char *const refused[] = {"it's", "a\\b", "a!b", "a\nb", "\x7f"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct buf out CLEANUP(buf_done) = BUF(4096);
        assert_fails(shell_quote(refused[i], &out), ERR_UNSUPPORTED);
        assert_int_equal(out.len, 0);
        assert_fails(shell_set_lines(shell_find("fish"), refused[i], &out), ERR_UNSUPPORTED);
    }
    struct buf out CLEANUP(buf_done) = BUF(4096);
    assert_ok(shell_quote("/home/Zoë/$(id) `x` \"y\"", &out));
    assert_true(span_equal_str(buf_span(&out), "'/home/Zoë/$(id) `x` \"y\"'"));
}

static void written(void **state) {
    (void)state;
    check_with("", BEGIN LINE END);
    check_with("a\n", "a\n" BEGIN LINE END);
    check_with("a", "a\n" BEGIN LINE END);
    check_with("a\n" BEGIN "old\nlines\n" END "b\n", "a\n" BEGIN LINE END "b\n");
    /* A marker inside another line is the user's text. */
    check_with("echo " BEGIN, "echo " BEGIN BEGIN LINE END);
}

static void removed(void **state) {
    (void)state;
    check_without("", "");
    check_without("a\nb", "a\nb");
    check_without(BEGIN LINE END, "");
    check_without("a\n" BEGIN LINE END "b", "a\nb");
}

static void shells(void **state) {
    (void)state;
    assert_null(shell_find("nu"));
    assert_null(shell_find(""));
    assert_string_equal(shell_find("/usr/bin/zsh")->file, ".zshrc");
    struct buf out CLEANUP(buf_done) = BUF(4096);
    assert_ok(shell_set_lines(shell_find("csh"), "/run/a b", &out));
    assert_true(span_equal_str(buf_span(&out), "setenv SSH_AUTH_SOCK '/run/a b';\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_marked), cmocka_unit_test(quoting), cmocka_unit_test(written),
        cmocka_unit_test(removed),     cmocka_unit_test(shells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
