/* What the command line shows: tables, sanitised text, troubles and their exit codes, QR codes. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include <qrcodegen/qrcodegen.h>

#include "check.h"
#include "cli/sanitise.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/trouble.h"

static const char *const columns[] = {"Serial", "Valid", "Expiration", NULL};

static void fill(struct table *table) {
    assert_ok(table_add(table, "202800351141013664"));
    assert_ok(table_add_marked(table, "✅", "VALID"));
    assert_ok(table_add(table, "in a day"));
    assert_ok(table_add(table, "7"));
    assert_ok(table_add_marked(table, "🚫", "REVOKED"));
    assert_ok(table_add(table, ""));
}

static void check_render(bool boxed, bool rows, const char *expected) {
    struct table *table CLEANUP(table_freep) = NULL;
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    char *text CLEANUP(freep) = NULL;
    assert_ok(table_new(columns, &table));
    if (rows) {
        fill(table);
    }
    assert_ok(table_render(table, &(struct table_style){boxed, boxed, 0}, &out));
    assert_ok(buf_to_str(&out, &text));
    assert_string_equal(text, expected);
}

static void tables(void **state) {
    (void)state;
    check_render(true, true,
                 "╭────────────────────┬────────────┬────────────╮\n"
                 "│ Serial             │ Valid      │ Expiration │\n"
                 "╞════════════════════╪════════════╪════════════╡\n"
                 "│ 202800351141013664 │ ✅ VALID   │ in a day   │\n"
                 "├────────────────────┼────────────┼────────────┤\n"
                 "│ 7                  │ 🚫 REVOKED │            │\n"
                 "╰────────────────────┴────────────┴────────────╯\n");
    check_render(false, true,
                 "Serial              Valid    Expiration\n"
                 "202800351141013664  VALID    in a day\n"
                 "7                   REVOKED  -\n");
    check_render(false, false, "Serial  Valid  Expiration\n");
    check_render(true, false,
                 "╭────────┬───────┬────────────╮\n"
                 "│ Serial │ Valid │ Expiration │\n"
                 "╰────────┴───────┴────────────╯\n");
}

static void table_bounds(void **state) {
    (void)state;
    struct table *table CLEANUP(table_freep) = NULL;
    struct buf out CLEANUP(buf_done) = BUF(16);
    assert_ok(table_new(columns, &table));
    fill(table);
    assert_fails(table_render(table, &(struct table_style){.boxed = true}, &out), ERR_TOO_LONG);
}

static void check_cut(const struct table_style *style, const char *expected) {
    static const char *const two[] = {"Job", "Where", NULL};
    struct table *table CLEANUP(table_freep) = NULL;
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    char *text CLEANUP(freep) = NULL;
    assert_ok(table_new(two, &table));
    assert_ok(table_add(table, "4711"));
    assert_ok(table_add_marked(table, "✅", "Zürich 日本語"));
    assert_ok(table_render(table, style, &out));
    assert_ok(buf_to_str(&out, &text));
    assert_string_equal(text, expected);
}

static void table_cut(void **state) {
    (void)state;
    check_cut(&(struct table_style){.boxed = true, .width_max = 24}, "╭──────┬───────────────╮\n"
                                                                     "│ Job  │ Where         │\n"
                                                                     "╞══════╪═══════════════╡\n"
                                                                     "│ 4711 │ Zürich 日本語 │\n"
                                                                     "╰──────┴───────────────╯\n");
    /* A character of two columns is shown whole or not at all. */
    check_cut(&(struct table_style){.boxed = true, .width_max = 23}, "╭──────┬──────────────╮\n"
                                                                     "│ Job  │ Where        │\n"
                                                                     "╞══════╪══════════════╡\n"
                                                                     "│ 4711 │ Zürich 日本… │\n"
                                                                     "╰──────┴──────────────╯\n");
    check_cut(&(struct table_style){.boxed = true, .width_max = 22}, "╭──────┬─────────────╮\n"
                                                                     "│ Job  │ Where       │\n"
                                                                     "╞══════╪═════════════╡\n"
                                                                     "│ 4711 │ Zürich 日…  │\n"
                                                                     "╰──────┴─────────────╯\n");
    check_cut(&(struct table_style){.boxed = true, .marks = true, .width_max = 22},
              "╭──────┬─────────────╮\n"
              "│ Job  │ Where       │\n"
              "╞══════╪═════════════╡\n"
              "│ 4711 │ ✅ Zürich … │\n"
              "╰──────┴─────────────╯\n");
    check_cut(&(struct table_style){.width_max = 16}, "Job   Where\n4711  Zürich ...\n");
    /* No narrower than this, whatever the terminal. */
    check_cut(&(struct table_style){.boxed = true, .width_max = 3}, "╭──────┬──────╮\n"
                                                                    "│ Job  │ Whe… │\n"
                                                                    "╞══════╪══════╡\n"
                                                                    "│ 4711 │ Zür… │\n"
                                                                    "╰──────┴──────╯\n");
}

static void widths(void **state) {
    (void)state;
    assert_int_equal(text_width(""), 0);
    assert_int_equal(text_width("VALID"), 5);
    assert_int_equal(text_width("✅"), 2);
    assert_int_equal(text_width("Zürich"), 6);
    assert_int_equal(text_width("Zu\xcc\x88rich"), 6); /* a combining mark */
    assert_int_equal(text_width("日本"), 4);
    assert_int_equal(text_width("\xff\xfe"), 2);
}

static void sanitised(void **state) {
    (void)state;
    static const struct {
        const char *from;
        bool newlines;
        const char *to;
    } cases[] = {
        {"\033[2J\033]0;owned\007", false, "?[2J?]0;owned?"},
        {"a\nb\r\n", false, "a?b??"},
        {"a\nb\r\n", true, "a\nb?\n"},
        {"\xc2\x9b"
         "31m",
         false, "?31m"}, /* CSI as one C1 character */
        {"\x9b"
         "31m",
         false, "?31m"},
        {"\x7f\x08\x09", false, "???"},
        {"abc\xe2\x80\xae"
         "def",
         false, "abc?def"}, /* right-to-left override */
        {"\xe2\x81\xa6\xe2\x81\xa9\xe2\x80\xa8\xd8\x9c\xef\xbb\xbf", true, "?????"},
        {"\xc0\x80", false, "??"},           /* overlong */
        {"\xed\xa0\x80", false, "???"},      /* a surrogate */
        {"\xf4\x90\x80\x80", false, "????"}, /* beyond U+10FFFF */
        {"\xe2\x82", false, "??"},           /* cut short */
        {"Zürich ✅ 日本 🚫", false, "Zürich ✅ 日本 🚫"},
        {"", false, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out CLEANUP(buf_done) = BUF(256);
        char *text CLEANUP(freep) = NULL;
        assert_ok(text_sanitise(span_str(cases[i].from), cases[i].newlines, &out));
        assert_ok(buf_to_str(&out, &text));
        assert_string_equal(text, cases[i].to);
    }
    struct buf small CLEANUP(buf_done) = BUF(2);
    assert_fails(text_sanitise(span_str("abc"), false, &small), ERR_TOO_LONG);
}

static void sanitised_json(void **state) {
    (void)state;
    json_t *json = json_pack("{s:s, s:[s, {s:s}], s:s}", "message", "a\033b", "list", "x\ny",
                             "inner", "\x07", "privateKey", "one\ntwo\033\n");
    assert_ok(json_sanitise(json));
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"list\":[\"x?y\",{\"inner\":\"?\"}],\"message\":\"a?b\","
                              "\"privateKey\":\"one\\ntwo?\\n\"}");
    free(text);
    json_decref(json);
    json = json_pack("{s:i}", "a\033", 1);
    assert_fails(json_sanitise(json), ERR_PROTOCOL);
    json_decref(json);
}

static void exit_codes(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        enum exit_code exit;
    } statuses[] = {
        {400, EXIT_USAGE},     {401, EXIT_LOGIN},     {403, EXIT_REFUSED},   {404, EXIT_MISSING},
        {405, EXIT_AUTHORITY}, {409, EXIT_CONFLICT},  {413, EXIT_USAGE},     {415, EXIT_USAGE},
        {422, EXIT_REFUSED},   {429, EXIT_QUOTA},     {500, EXIT_AUTHORITY}, {503, EXIT_AUTHORITY},
        {507, EXIT_AUTHORITY}, {302, EXIT_AUTHORITY}, {0, EXIT_AUTHORITY},
    };
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        assert_int_equal(exit_of_status(statuses[i].status), statuses[i].exit);
    }
    static const struct {
        enum err_code code;
        enum exit_code exit;
    } errors[] = {
        {ERR_NONE, EXIT_DONE},          {ERR_MEMORY, EXIT_INTERNAL},
        {ERR_DISK_FULL, EXIT_INTERNAL}, {ERR_CONNECT, EXIT_NETWORK},
        {ERR_TLS, EXIT_NETWORK},        {ERR_TIMEOUT, EXIT_NETWORK},
        {ERR_PROTOCOL, EXIT_AUTHORITY}, {ERR_NOT_FOUND, EXIT_MISSING},
        {ERR_EXISTS, EXIT_CONFLICT},    {ERR_PERMISSION, EXIT_REFUSED},
        {ERR_MALFORMED, EXIT_USAGE},    {ERR_KEY_DSA, EXIT_USAGE},
    };
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        assert_int_equal(exit_of_err(FAIL(errors[i].code)), errors[i].exit);
    }
}

static void troubles(void **state) {
    (void)state;
    struct trouble trouble = {0};
    trouble_next(&trouble, "postern %s\nsecond\n", "login");
    assert_fails(trouble_set(&trouble, EXIT_LOGIN, "no \033[31m%s", "token\n"), ERR_REFUSED);
    assert_int_equal(trouble.exit, EXIT_LOGIN);
    char *text = NULL;
    size_t len = 0;
    FILE *file = tmpfile();
    assert_non_null(file);
    trouble_print(&trouble, file);
    rewind(file);
    assert_true(getdelim(&text, &len, '\0', file) > 0);
    assert_string_equal(text, "postern: no ?[31mtoken?\n  postern login\n  second\n");
    free(text);
    (void)fclose(file);

    trouble = (struct trouble){0};
    assert_fails(trouble_of(&trouble, FAIL(ERR_NOT_FOUND), "cannot read %s", "x"), ERR_NOT_FOUND);
    assert_string_equal(trouble.what, "cannot read x: not found");
    assert_int_equal(trouble.exit, EXIT_MISSING);
}

static void qr_codes(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(128 * 1024);
    assert_ok(qr_render("A", false, &out)); /* version 1: 21 modules and 2 of quiet on each side */
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++) {
        lines += out.data[i] == '\n';
        assert_int_not_equal(out.data[i], '\033');
    }
    assert_int_equal(lines, 13);
    /* Read back: ink is a light module, and a light margin of two surrounds the code. */
    uint8_t code[qrcodegen_BUFFER_LEN_MAX];
    uint8_t scratch[qrcodegen_BUFFER_LEN_MAX];
    assert_true(qrcodegen_encodeText("A", scratch, code, qrcodegen_Ecc_LOW, 1, 20,
                                     qrcodegen_Mask_AUTO, true));
    int size = qrcodegen_getSize(code);
    size_t at = 0;
    for (int y = -2; y < size + 2; y += 2) {
        for (int x = -2; x < size + 2; x++) {
            bool space = out.data[at] == ' ';
            bool full = !space && memcmp(out.data + at, "█", 3) == 0;
            bool upper = full || (!space && memcmp(out.data + at, "▀", 3) == 0);
            bool lower = full || (!space && memcmp(out.data + at, "▄", 3) == 0);
            assert_int_equal(upper, !qrcodegen_getModule(code, x, y)); /* outside: light */
            if (y + 1 < size + 2) {
                assert_int_equal(lower, !qrcodegen_getModule(code, x, y + 1));
            }
            at += space ? 1 : 3;
        }
        assert_int_equal(out.data[at++], '\n');
    }
    assert_int_equal(at, out.len);
    char *longer = calloc(1, 2000);
    memset(longer, 'a', 1999);
    assert_fails(qr_render(longer, false, &out), ERR_TOO_LONG);
    free(longer);
}

int main(void) {
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        print_error("the locale C.UTF-8 is missing\n");
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),     cmocka_unit_test(table_bounds),
        cmocka_unit_test(table_cut),  cmocka_unit_test(widths),
        cmocka_unit_test(sanitised),  cmocka_unit_test(sanitised_json),
        cmocka_unit_test(exit_codes), cmocka_unit_test(troubles),
        cmocka_unit_test(qr_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
