/* What is logged is one line of JSON, whatever the values are. */
#include <fcntl.h>

#include "base/log.h"
#include "fixture.h"

/* What write() puts on standard error, without the time, which it must begin with. */
static const char *logged(void (*write_it)(const char *value), const char *value) {
    static char line[20 * 1024];
    struct buf text CLEANUP(buf_done) = BUF(sizeof line);
    int before = dup(STDERR_FILENO);
    int file = open("log", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(before >= 0 && file >= 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    write_it(value);
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    (void)close(before);
    (void)close(file);
    fixture_read("log", &text);
    (void)snprintf(line, sizeof line, "%.*s", (int)text.len, (const char *)text.data);
    if (line[0] == '\0') {
        return line;
    }
    static const char form[] = "{\"time\":\"0000-00-00T00:00:00.000Z\",";
    for (size_t i = 0; i + 1 < sizeof form; i++) {
        bool digit = line[i] >= '0' && line[i] <= '9';
        assert_true(form[i] == '0' ? digit : line[i] == form[i]);
    }
    return line + sizeof form - 1;
}

static void write_value(const char *value) {
    log_event(LOG_LEVEL_WARN, "tried", "value", value, "last", "x", NULL);
}

static void write_debug(const char *value) {
    log_event(LOG_LEVEL_DEBUG, "tried", "value", value, NULL);
}

static void write_error(const char *value) {
    log_error("tried", FAIL(ERR_CLOSED), "value", value, NULL);
}

static void test_escapes(void **state) {
    (void)state;
    static const struct {
        const char *value, *written;
    } cases[] = {
        {"\n", "\\u000a"},
        {"a\nb", "a\\u000ab"},
        {"\x1b[2J", "\\u001b[2J"},
        {"\x7f\x01", "\\u007f\\u0001"},
        {"\"", "\\\""},
        {"\\", "\\\\"},
        {"\\\"\\", "\\\\\\\"\\\\"},
        {"say \"%s\"", "say \\\"%s\\\""},
        {"J\xc3\xbcrg", "J\xc3\xbcrg"},
        {"", ""},
        {"plain", "plain"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char expected[256];
        (void)snprintf(expected, sizeof expected,
                       "\"level\":\"warn\",\"event\":\"tried\",\"value\":\"%s\",\"last\":\"x\"}\n",
                       cases[i].written);
        assert_string_equal(logged(write_value, cases[i].value), expected);
    }
}

static void test_cuts_values(void **state) {
    (void)state;
    char value[1026] = {0}, expected[1200];
    for (size_t len = 1023; len <= 1025; len++) {
        memset(value, 'v', len);
        (void)snprintf(
            expected, sizeof expected,
            "\"level\":\"warn\",\"event\":\"tried\",\"value\":\"%.1024s\",\"last\":\"x\"}\n",
            value);
        assert_string_equal(logged(write_value, value), expected);
    }
}

static void test_levels_and_errors(void **state) {
    (void)state;
    assert_string_equal(logged(write_debug, "x"), "");
    log_set_level(LOG_LEVEL_DEBUG);
    assert_string_equal(logged(write_debug, "x"),
                        "\"level\":\"debug\",\"event\":\"tried\",\"value\":\"x\"}\n");
    log_set_level(LOG_LEVEL_INFO);
    char expected[256];
    (void)snprintf(expected, sizeof expected,
                   "\"level\":\"error\",\"event\":\"tried\",\"error\":\"%s\",\"detail\":\"%s\"}\n",
                   err_name(FAIL(ERR_CLOSED)), err_text(FAIL(ERR_CLOSED)));
    assert_string_equal(logged(write_error, NULL), expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_cuts_values),
        cmocka_unit_test(test_levels_and_errors),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
