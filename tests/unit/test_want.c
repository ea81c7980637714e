/* What a shell's completion is offered: by the table of commands, and nothing that a shell reads.
 */
#include <string.h>

#include "check.h"
#include "cli/completion/candidates.h"
#include "cli/completion/want.h"

static const struct option shared[] = {
    {'h', "help", NULL, ""}, {0, "site", "SITE", ""}, {.name = NULL}};
static const struct option options[] = {
    {'f', "file", "KEY", ""}, {'q', "quiet", NULL, ""}, {0, "to", "a|b", ""}, {.name = NULL}};

static const struct command leaf = {
    .name = "leaf", .arguments = "CLUSTER [NODE] | --job ID", .options = options};
static const struct command either = {
    .name = "either", .arguments = "ID | NAME | --all | FILE PORT", .options = options};
static const struct command runs = {
    .name = "runs", .arguments = "[JOB] -- COMMAND…", .takes_command = true};
static const struct command named = {.name = "named", .arguments = "yes|no"};
static const struct command *const children[] = {&leaf, &either, &runs, &named, NULL};
static const struct command root = {
    .name = "postern", .arguments = "COMMAND", .children = children};

enum { WORDS_MAX = 8 };

/* words: separated by single spaces; a space at the end starts an empty one. */
static struct want want(const char *line, char text[128]) {
    char *words[WORDS_MAX];
    size_t count = 0;
    (void)snprintf(text, 128, "%s", line);
    for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL;) {
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    return want_of(&root, shared, words, count);
}

static void unsafe(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",      "-rf",  "--all", ":files", "a b",  "$(id)", "`id`", "a;b",   "a|b", "a&b",
        "a>b",   "a\tb", "a\nb",  "a'b",    "a\"b", "a\\b",  "a*",   "a?",    "[a]", "{a,b}",
        "~root", "a!b",  "a#b",   "a%b",    "a^b",  "a=b",   "a,b",  "a\x1b", "é",   "a\x7f"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_false(candidate_is_safe(refused[i]));
    }
    assert_true(candidate_is_safe("nid001234"));
    assert_true(candidate_is_safe("1234@daint"));
    assert_true(candidate_is_safe("ela.cscs.ch:2222"));
}

static void lost(void **state) {
    (void)state;
    char text[128];
    static const char *const lines[] = {
        "nothing ",  "leaf --unknown ", "leaf -x ",       "leaf -qx ",
        "leaf a b ", "leaf --quiet=",   "leaf --unknown="};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_int_equal(want(lines[i], text).kind, WANT_NOTHING);
    }
}

static void commands(void **state) {
    (void)state;
    char text[128];
    struct want found = want("le", text);
    assert_int_equal(found.kind, WANT_COMMAND);
    assert_ptr_equal(found.command, &root);
    assert_string_equal(found.prefix, "le");
    assert_int_equal(want("", text).kind, WANT_COMMAND);
    assert_int_equal(want("--site x ", text).kind, WANT_COMMAND);
    found = want("leaf --q", text);
    assert_int_equal(found.kind, WANT_OPTION);
    assert_ptr_equal(found.command, &leaf);
}

static void check_value(const char *line, const char *value, const char *before,
                        const char *prefix) {
    char text[128];
    struct want found = want(line, text);
    assert_int_equal(found.kind, WANT_VALUE);
    assert_true(span_equal_str(found.values[0], value));
    assert_true(span_equal_str(found.before, before));
    assert_string_equal(found.prefix, prefix);
}

static void values(void **state) {
    (void)state;
    check_value("leaf --file x", "KEY", "", "x");
    check_value("leaf -f ", "KEY", "", "");
    check_value("leaf -qf ", "KEY", "", "");
    check_value("leaf --to=b", "a|b", "--to=", "b");
    check_value("leaf --file x d", "CLUSTER", "", "d");
    check_value("leaf -fx d", "CLUSTER", "", "d");
    check_value("leaf daint ", "NODE", "", "");
    check_value("leaf -- -x", "CLUSTER", "", "-x");
    check_value("runs ", "JOB", "", "");
    check_value("runs -- l", "FILE", "", "l");
    check_value("named ", "yes|no", "", "");
    check_value("--site ", "SITE", "", "");
}

static void alternatives(void **state) {
    (void)state;
    char text[128];
    struct want found = want("either ", text);
    assert_int_equal(found.value_count, 3);
    assert_true(span_equal_str(found.values[1], "NAME"));
    assert_true(span_equal_str(found.values[2], "FILE"));
    assert_int_equal(want("either x ", text).kind, WANT_NOTHING);
}

static void sites(void **state) {
    (void)state;
    char text[128];
    assert_null(want("leaf ", text).site);
    assert_string_equal(want("--site cscs leaf ", text).site, "cscs");
    assert_string_equal(want("leaf --site=cscs ", text).site, "cscs");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsafe), cmocka_unit_test(lost),         cmocka_unit_test(commands),
        cmocka_unit_test(values), cmocka_unit_test(alternatives), cmocka_unit_test(sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
