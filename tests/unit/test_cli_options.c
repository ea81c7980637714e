/* The command line's grammar. */
#include "cli/options.h"

#include <string.h>

#include "check.h"

static const struct option own[] = {
    {'f', "file", "KEY", "", .many = false},
    {'a', "all", NULL, "", .many = true},
    {'y', "yes", NULL, "", .many = true},
    {0, "ip-subnet", "CIDR", "", .many = true},
    {.name = NULL},
};
static const struct option shared[] = {
    {'h', "help", NULL, "", .many = true}, {0, "site", "NAME", ""}, {.name = NULL}};

static err_t parse(struct arguments *out, struct fault *fault, bool stop, int *used,
                   const char *const *words) {
    char *argv[80];
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        argv[argc] = strdup(words[argc]);
    }
    *out = (struct arguments){.own = own, .shared = shared};
    err_t err = arguments_parse(out, argc, argv, stop, used, fault);
    /* Values borrow from argv: moved to the caller's words, which have the same text. */
    for (size_t i = 0; i < out->given_count; i++) {
        for (int j = 0; j < argc && out->given[i].value != NULL; j++) {
            if (out->given[i].value >= argv[j] &&
                out->given[i].value <= argv[j] + strlen(argv[j])) {
                out->given[i].value = words[j] + (out->given[i].value - argv[j]);
                break;
            }
        }
    }
    for (size_t i = 0; i < out->word_count; i++) {
        for (int j = 0; j < argc; j++) {
            out->words[i] = out->words[i] == argv[j] ? words[j] : out->words[i];
        }
    }
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    return err;
}

static void refused(void **state) {
    (void)state;
    static const struct {
        const char *words[4];
        enum err_code code;
        const char *reason; /* the fault has this */
    } cases[] = {
        {{"--fil", "x"}, ERR_MALFORMED, "did you mean --file?"},
        {{"--frobnicate"}, ERR_MALFORMED, "no option --frobnicate"},
        {{"-z"}, ERR_MALFORMED, "no option -z"},
        {{"-az"}, ERR_MALFORMED, "no option -z"},
        {{"--file"}, ERR_MALFORMED, "--file KEY"},
        {{"-f"}, ERR_MALFORMED, "-f KEY"},
        {{"-af"}, ERR_MALFORMED, "-f KEY"},
        {{"--all=yes"}, ERR_MALFORMED, "takes no value"},
        {{"-fx", "--file=y"}, ERR_DUPLICATE, "twice"},
        {{"--site", "a", "--site=b"}, ERR_DUPLICATE, "twice"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arguments arguments;
        struct fault fault = {0};
        int used = 0;
        assert_fails(parse(&arguments, &fault, false, &used, cases[i].words), cases[i].code);
        assert_non_null(strstr(fault.reason, cases[i].reason));
    }
}

static void too_many(void **state) {
    (void)state;
    const char *words[ARGUMENTS_GIVEN_MAX + 2] = {NULL};
    for (int i = 0; i < ARGUMENTS_GIVEN_MAX; i++) {
        words[i] = "-a";
    }
    struct arguments arguments;
    int used = 0;
    assert_ok(parse(&arguments, NULL, false, &used, words));
    assert_int_equal(arguments.given_count, ARGUMENTS_GIVEN_MAX);
    words[ARGUMENTS_GIVEN_MAX] = "-a";
    assert_fails(parse(&arguments, NULL, false, &used, words), ERR_TOO_LONG);

    memset(words, 0, sizeof words);
    for (int i = 0; i < ARGUMENTS_WORDS_MAX; i++) {
        words[i] = "w";
    }
    assert_ok(parse(&arguments, NULL, false, &used, words));
    words[ARGUMENTS_WORDS_MAX] = "w";
    assert_fails(parse(&arguments, NULL, false, &used, words), ERR_TOO_LONG);
}

static void accepted(void **state) {
    (void)state;
    static const struct {
        const char *words[6];
        const char *file;
        bool all;
        const char *word;
    } cases[] = {
        {{"--file", "k"}, "k", false, NULL},
        {{"--file=k"}, "k", false, NULL},
        {{"--file="}, "", false, NULL},
        {{"-f", "k"}, "k", false, NULL},
        {{"-fk"}, "k", false, NULL},
        {{"-afk"}, "k", true, NULL},
        {{"-ay", "w"}, NULL, true, "w"},
        {{"w", "-f", "-a"}, "-a", false, "w"},
        {{"--", "-a"}, NULL, false, "-a"},
        {{"-"}, NULL, false, "-"},
        {{"-a", "--", "--"}, NULL, true, "--"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arguments arguments;
        int used = 0;
        assert_ok(parse(&arguments, NULL, false, &used, cases[i].words));
        const char *file = arguments_value(&arguments, "file");
        assert_true((file == NULL) == (cases[i].file == NULL));
        if (file != NULL) {
            assert_string_equal(file, cases[i].file);
        }
        assert_int_equal(arguments_has(&arguments, "all"), cases[i].all);
        assert_int_equal(arguments.word_count, cases[i].word != NULL);
        if (cases[i].word != NULL) {
            assert_string_equal(arguments.words[0], cases[i].word);
        }
    }
}

static void many_and_stop(void **state) {
    (void)state;
    struct arguments arguments;
    int used = 0;
    const char *const many[] = {"--ip-subnet", "10.0.0.0/8", "--ip-subnet=192.0.2.1", NULL};
    assert_ok(parse(&arguments, NULL, false, &used, many));
    size_t at = 0;
    assert_string_equal(arguments_next(&arguments, "ip-subnet", &at), "10.0.0.0/8");
    assert_string_equal(arguments_next(&arguments, "ip-subnet", &at), "192.0.2.1");
    assert_null(arguments_next(&arguments, "ip-subnet", &at));

    const char *const group[] = {"--site", "cscs", "list", "-x", NULL};
    assert_ok(parse(&arguments, NULL, true, &used, group));
    assert_int_equal(used, 2);
    assert_int_equal(arguments.word_count, 0);
    assert_string_equal(arguments_value(&arguments, "site"), "cscs");
}

static void nearest(void **state) {
    (void)state;
    static const char *const names[] = {"sign", "status", "list", "revoke", "revoke-all", "gen"};
    static const struct {
        const char *word;
        const char *name;
    } cases[] = {
        {"", NULL},
        {"frobnicate", NULL},
        {"x", NULL},
        {"sing", "sign"},
        {"stauts", "status"},
        {"lsit", "list"},
        {"revokeall", "revoke-all"},
        {"ge", "gen"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *near = nearest_name(cases[i].word, names, COUNT_OF(names));
        assert_true((near == NULL) == (cases[i].name == NULL));
        if (near != NULL) {
            assert_string_equal(near, cases[i].name);
        }
    }
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("ab", "ba"), 1);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    char longer[80];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(text_distance(longer, "a"), 79);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),       cmocka_unit_test(too_many), cmocka_unit_test(accepted),
        cmocka_unit_test(many_and_stop), cmocka_unit_test(nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
