#include "check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/inet.h"
#include "config/settings.h"

struct target {
    char *text;
    char *path;
    bool yes;
    uint16_t small;
    uint32_t middle;
    uint64_t large;
    int64_t duration;
    struct inet_subnet subnets[3];
    size_t subnet_count;
    char *texts[2];
    size_t text_count;
    unsigned colours;
    char *left;
    char *right;
};

static err_t take_colour(void *target, const char *text) {
    struct target *into = target;
    if (strcmp(text, "red") != 0 && strcmp(text, "blue") != 0) {
        return FAIL(ERR_MALFORMED);
    }
    into->colours |= text[0] == 'r' ? 1 : 2;
    return OK;
}

static err_t check_short(const char *text) { return strlen(text) < 9 ? OK : FAIL(ERR_TOO_LONG); }

#define AT(member) SETTING_AT(struct target, member)
static const struct setting table[] = {
    {"text", SETTING_TEXT, AT(text), .check = check_short, .reason = "is longer than 8"},
    {"files.path", SETTING_PATH, .required = true, AT(path)},
    {"yes", SETTING_BOOL, AT(yes)},
    {"sizes.small", SETTING_NUMBER, AT(small), .min = 2, .max = 9},
    {"sizes.middle", SETTING_NUMBER, AT(middle), .max = UINT32_MAX},
    {"sizes.deep.large", SETTING_NUMBER, AT(large), .max = INT64_MAX},
    {"max_age", SETTING_DURATION, AT(duration), .max = 3600, .range_reason = "is beyond an hour"},
    {"subnets", SETTING_SUBNET, SETTING_LIST_AT(struct target, subnets, subnet_count)},
    {"host_keys", SETTING_PATH, SETTING_LIST_AT(struct target, texts, text_count)},
    {"colours", SETTING_WORD, .list = true, AT(colours), .items_max = 3, .take = take_colour,
     .reason = "is neither red nor blue"},
    {"side.left", SETTING_TEXT, AT(left)},
    {"side.right", SETTING_TEXT, AT(right)},
};
#undef AT

static void judge(struct settings_reader *reader, void *target) {
    (void)target;
    if (settings_is_set(settings_of(reader), "side.left") &&
        settings_is_set(settings_of(reader), "side.right")) {
        settings_tell(reader, "side.right", "side", "has both left and right");
    }
}

static const struct settings_plan plan = {table, COUNT_OF(table), "examples/it.yaml", judge};

struct told {
    size_t count;
    char text[16384]; /* "where|field|reason\n" of each */
};

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    struct told *told = context;
    size_t len = strlen(told->text);
    told->count++;
    (void)snprintf(told->text + len, sizeof told->text - len, "%s|%s|%s\n", complaint->where,
                   complaint->field, complaint->reason);
}

static err_t parse(const char *text, struct told *told, struct settings *settings,
                   struct target *target) {
    *told = (struct told){.count = 0};
    return settings_parse(&plan, span_str(text), "it.yaml", "/etc/it", on_complaint, told, settings,
                          target);
}

static void release(struct settings *settings, struct target *target) {
    settings_free_texts(&plan, target);
    settings_done(settings);
}

#define GOOD "files: {path: p}\n"

struct refused {
    const char *text;
    const char *expected; /* must be in what was told */
};

static const struct refused refused[] = {
    /* shape */
    {"", "it.yaml|files.path|is missing; examples/it.yaml shows it"},
    {"a: [\n", "|(file)|is not YAML"},
    {"a: \"\\x\"\n", "it.yaml:1|(file)|is not YAML"},
    {"\xff\xfe\n", "|(file)|is not YAML"},
    {"- a\n", "it.yaml:1|(file)|must be a mapping"},
    {"text\n", "it.yaml:1|(file)|must be a mapping"},
    {GOOD "---\n" GOOD, "it.yaml:2|(file)|has a second document"},
    {GOOD "---\n{\n", "it.yaml:2|(file)|has a second document"},
    {"text: &a b\n" GOOD, "it.yaml:1|(file)|has an anchor"},
    {GOOD "\ntext: *a\n", "it.yaml:3|(file)|has an anchor"},
    {GOOD "side: &a {left: b}\n", "it.yaml:2|(file)|has an anchor"},
    {GOOD "<<: *a\n", "it.yaml:2|(file)|has an anchor"},
    {GOOD "text: !!binary YQ==\n", "it.yaml:2|(file)|has an anchor"},
    {GOOD "text: !secret x\n", "it.yaml:2|(file)|has an anchor"},
    /* LIMIT_CONFIG_DEPTH */
    {GOOD "colours: [[[[[[[[red]]]]]]]]\n", "it.yaml:2|(file)|is nested deeper than 8"},
    {GOOD "colours: [[[[[[[red]]]]]]]\n", "it.yaml:2|colours|"},
    /* names */
    {GOOD "colour: red\n", "it.yaml:2|colour|is not known here; did you mean colours?"},
    {GOOD "host-keys: [a]\n", "it.yaml:2|host-keys|is not known here; did you mean host_keys?"},
    {GOOD "Max_Age: 1h\n", "did you mean max_age?"},
    {GOOD "path: x\n", "it.yaml:2|path|is not known here; did you mean files.path?"},
    {GOOD "left: x\n", "did you mean side.left?"},
    {GOOD "sizes: {smal: 3}\n",
     "it.yaml:2|sizes.smal|is not known here; did you mean sizes.small?"},
    {GOOD "sizes: {large: 3}\n", "did you mean sizes.deep.large?"},
    {GOOD "size: {small: 3}\n", "it.yaml:2|size|is not known here; did you mean sizes?"},
    {GOOD "bread: x\n", "it.yaml:2|bread|is not known; examples/it.yaml shows all that is"},
    {GOOD "files.path: x\n", "it.yaml:2|files.path|"},
    {GOOD "text: a\ntext: b\n", "it.yaml:3|text|is set twice, first in line 2"},
    {GOOD "files: {path: q}\n", "it.yaml:2|files|is set twice, first in line 1"},
    {"files: {path: p, path: q}\n", "|files.path|is set twice"},
    {GOOD "? [a]\n: b\n", "|(file)|must be a single value, not a list"},
    {GOOD "\"a\\0b\": c\n", "|(file)|has a control character"},
    {GOOD "sizes: 7\n", "it.yaml:2|sizes|must be a mapping"},
    {GOOD "sizes: {deep: [a]}\n", "it.yaml:2|sizes.deep|must be a mapping"},
    /* values */
    {GOOD "text:\n", "it.yaml:2|text|is empty"},
    {GOOD "text: ~\n", "it.yaml:2|text|is empty"},
    {GOOD "text: null\n", "it.yaml:2|text|is empty"},
    {GOOD "text: ''\n", "it.yaml:2|text|is empty"},
    {GOOD "text: \"a\\x07b\"\n", "|text|has a control character"},
    {GOOD "text: \"a\\0b\"\n", "|text|has a control character"},
    {GOOD "text: {a: b}\n", "|text|must be a single value, not a mapping"},
    {GOOD "text: 123456789\n", "|text|\"123456789\" is longer than 8"},
    {"files: {path: ''}\n", "|files.path|is empty"},
    {GOOD "yes: yes\n", "|yes|\"yes\" is neither true nor false"},
    {GOOD "yes: True\n", "|yes|"},
    {GOOD "yes: [true]\n", "|yes|must be a single value, not a list"},
    {GOOD "sizes: {small: 1}\n", "|sizes.small|\"1\" is not a whole number from 2 to 9"},
    {GOOD "sizes: {small: 10}\n", "|sizes.small|"},
    {GOOD "sizes: {small: -3}\n", "|sizes.small|"},
    {GOOD "sizes: {small: 0x3}\n", "|sizes.small|"},
    {GOOD "sizes: {small: 3.0}\n", "|sizes.small|"},
    {GOOD "sizes: {middle: 4294967296}\n", "|sizes.middle|"},
    {GOOD "sizes: {deep: {large: 9223372036854775808}}\n", "|sizes.deep.large|"},
    {GOOD "sizes: {deep: {large: 18446744073709551616}}\n", "|sizes.deep.large|"},
    {GOOD "max_age: 12\n", "|max_age|\"12\" is not a duration"},
    {GOOD "max_age: 0s\n", "|max_age|\"0s\" is zero or longer"},
    {GOOD "max_age: 3601s\n", "|max_age|\"3601s\" is beyond an hour"},
    {GOOD "subnets: everywhere\n", "|subnets|\"everywhere\" is not a subnet"},
    {GOOD "subnets: [10.1.2.3/8]\n", "bits set beyond its prefix"},
    {GOOD "subnets:\n", "|subnets|is empty"},
    {GOOD "subnets: {a: b}\n", "|subnets|must be a list"},
    {GOOD "subnets: [[10.0.0.0/8]]\n", "|subnets|must be a single value, not a list"},
    {GOOD "subnets: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4]\n", "|subnets|has more than 3 items"},
    {GOOD "host_keys: [a, b, c]\n", "|host_keys|has more than 2 items"},
    {GOOD "colours: [red, blue, red, blue]\n", "|colours|has more than 3 items"},
    {GOOD "colours: [red, green]\n", "|colours|\"green\" is neither red nor blue"},
    {GOOD "side:\n  left: a\n  right: b\n", "it.yaml:4|side|has both left and right"},
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct told told;
        struct settings settings = {.path = NULL};
        struct target target = {.text = NULL};
        assert_fails(parse(refused[i].text, &told, &settings, &target), ERR_MALFORMED);
        bool just = told.count == 1 || strncmp(refused[i].text, GOOD, strlen(GOOD)) != 0;
        if (strstr(told.text, refused[i].expected) == NULL || !just) {
            print_error("%s\nexpected just: %s\ntold: %s\n", refused[i].text, refused[i].expected,
                        told.text);
            fail();
        }
        release(&settings, &target);
    }
}

static void tells_every_error(void **state) {
    (void)state;
    struct told told;
    struct settings settings = {.path = NULL};
    struct target target = {.text = NULL};
    assert_fails(parse("text: 123456789\nyes: 1\nsizes:\n  small: x\n  tiny: 2\n"
                       "subnets: [a, 10.0.0.0/8, b]\nbread: y\nside: {left: a, right: b}\n",
                       &told, &settings, &target),
                 ERR_MALFORMED);
    static const char *const places[] = {
        ":1|text|",       ":2|yes|",          ":4|sizes.small|",
        ":5|sizes.tiny|", ":6|subnets|\"a\"", ":6|subnets|\"b\"",
        ":7|bread|",      ":8|side|",         "it.yaml|files.path|"};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        if (strstr(told.text, places[i]) == NULL) {
            print_error("%s is not in:\n%s", places[i], told.text);
            fail();
        }
    }
    assert_int_equal(told.count, COUNT_OF(places));
    release(&settings, &target);
}

static void reads(void **state) {
    (void)state;
    struct told told;
    struct settings settings = {.path = NULL};
    struct target target = {.text = strdup("before"), .colours = 2};
    assert_ok(parse("%YAML 1.1\n---\nfiles: {path: sub/p}\ntext: 'null'\nyes: true\n"
                    "sizes:\n  small: 9\n  middle: 4294967295\n  deep: {large: 0}\nmax_age: 1h\n"
                    "subnets: [10.0.0.0/8, \"2001:db8::/32\"]\nhost_keys:\n- /abs\n- rel\n"
                    "colours: red\nside:\n...\n",
                    &told, &settings, &target));
    assert_string_equal(target.path, "/etc/it/sub/p");
    assert_string_equal(target.text, "null");
    assert_true(target.yes && target.small == 9 && target.middle == UINT32_MAX);
    assert_true(target.large == 0 && target.duration == 3600);
    assert_int_equal(target.subnet_count, 2);
    assert_int_equal(target.text_count, 2);
    assert_string_equal(target.texts[0], "/abs");
    assert_string_equal(target.texts[1], "/etc/it/rel");
    assert_int_equal(target.colours, 1); /* what it held before is dropped */
    assert_true(settings_is_set(&settings, "max_age"));
    assert_false(settings_is_set(&settings, "side.left") || settings_is_set(&settings, "none"));
    release(&settings, &target);
    assert_null(target.path);
}

/* As many as the limit lets through are all fine; one more is not. */
static void stays_within_limits(void **state) {
    (void)state;
    struct told told;
    struct settings settings = {.path = NULL};
    struct target target = {.text = NULL};
    assert_fails(parse(GOOD "colours: [[[[[[[red]]]]]]]\n", &told, &settings, &target),
                 ERR_MALFORMED);
    assert_non_null(strstr(told.text, "|colours|must be a single value"));
    release(&settings, &target);

    for (int more = -1; more <= 1; more++) {
        struct buf text CLEANUP(buf_done) = BUF(1 << 20);
        assert_ok(buf_add_str(&text, GOOD));
        for (int i = 0; i < LIMIT_CONFIG_COMPLAINTS_COUNT + more; i++) {
            assert_ok(buf_add_format(&text, "x%dxxxxxxxx: y\n", i));
        }
        char *whole CLEANUP(freep) = NULL;
        assert_ok(buf_to_str(&text, &whole));
        assert_fails(parse(whole, &told, &settings, &target), ERR_MALFORMED);
        assert_int_equal(told.count, LIMIT_CONFIG_COMPLAINTS_COUNT + (more < 0 ? -1 : 0));
        assert_int_equal(strstr(told.text, "more errors than are told") != NULL, more >= 0);
        release(&settings, &target);
    }
}

/* Nine lines that stand for a billion values. */
static void is_not_laughed_at(void **state) {
    (void)state;
    struct told told;
    struct settings settings = {.path = NULL};
    struct target target = {.text = NULL};
    assert_fails(parse("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                       "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                       "colours: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
                       &told, &settings, &target),
                 ERR_MALFORMED);
    assert_int_equal(told.count, 4 + 4 * 9);
    assert_non_null(strstr(told.text, "it.yaml:5|(file)|has an anchor"));
    release(&settings, &target);
}

static void bounds_the_file(void **state) {
    (void)state;
    char path[] = "/tmp/test_settings.XXXXXX";
    int fd CLEANUP(fd_closep) = mkstemp(path);
    assert_true(fd >= 0);
    for (int more = 0; more <= 1; more++) {
        struct told told = {.count = 0};
        struct settings settings = {.path = NULL};
        struct target target = {.text = NULL};
        struct buf text CLEANUP(buf_done) = BUF(2 * LIMIT_CONFIG_FILE_BYTES);
        assert_ok(buf_add_str(&text, GOOD "#"));
        while (text.len < (size_t)LIMIT_CONFIG_FILE_BYTES + (size_t)more) {
            assert_ok(buf_add_byte(&text, 'x'));
        }
        assert_ok(file_replace(path, buf_span(&text), 0600, 0));
        err_t err = settings_load(&plan, path, on_complaint, &told, &settings, &target);
        assert_int_equal(err.code, more ? ERR_TOO_LONG : ERR_NONE);
        assert_int_equal(told.count, more);
        char where[64];
        settings_where(&settings, "files.path", where, sizeof where);
        assert_int_equal(strstr(where, ":1") != NULL, !more);
        release(&settings, &target);
    }
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(tells_every_error),
        cmocka_unit_test(reads),
        cmocka_unit_test(stays_within_limits),
        cmocka_unit_test(is_not_laughed_at),
        cmocka_unit_test(bounds_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
