#include "check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/inet.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/text.h"

static void test_durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
        int64_t seconds;
    } cases[] = {
        {"", ERR_MALFORMED, 0},
        {"5", ERR_MALFORMED, 0},
        {"d", ERR_MALFORMED, 0},
        {"1 d", ERR_MALFORMED, 0},
        {"-1d", ERR_MALFORMED, 0},
        {"1y", ERR_MALFORMED, 0},
        {"0s", ERR_RANGE, 0},
        {"367d", ERR_RANGE, 0},
        {"366d1s", ERR_RANGE, 0},
        {"99999999999999999999s", ERR_RANGE, 0},
        {"366d", ERR_NONE, LIMIT_DURATION_S},
        {"1d", ERR_NONE, 86400},
        {"1min", ERR_NONE, 60},
        {"1h30min", ERR_NONE, 5400},
        {"2w", ERR_NONE, 1209600},
        {"90s", ERR_NONE, 90},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t seconds = 0;
        assert_fails(duration_parse(span_str(cases[i].text), &seconds), cases[i].code);
        assert_int_equal(seconds, cases[i].seconds);
    }
    char out[DURATION_CHARS];
    duration_print(86400, out);
    assert_string_equal(out, "1d");
    duration_print(90061, out);
    assert_string_equal(out, "1d1h1min1s");
    duration_print(60, out);
    assert_string_equal(out, "1min");
    duration_print_relative(1000000 + 86400 - 300, 1000000, out);
    assert_string_equal(out, "in a day");
    duration_print_relative(1000000 + 7200, 1000000, out);
    assert_string_equal(out, "in 2 hours");
    duration_print_relative(1000000 - 90, 1000000, out);
    assert_string_equal(out, "2 minutes ago");
    duration_print_relative(1000000 + 3 * 86400, 1000000, out);
    assert_string_equal(out, "in 3 days");
}

static void test_times(void **state) {
    (void)state;
    int64_t when = 0;
    assert_ok(time_parse(span_str("2026-04-01T16:15:20+02:00"), &when));
    char out[TIME_CHARS];
    time_print_utc(when, out);
    assert_string_equal(out, "2026-04-01T14:15:20Z");
    assert_ok(time_parse(span_str(out), &when));
    assert_fails(time_parse(span_str("2026-04-01 14:15"), &when), ERR_MALFORMED);
    assert_fails(time_parse(span_str("2026-13-01T14:15:20Z"), &when), ERR_RANGE);
    assert_fails(time_parse(span_str("2026-04-01T14:15:20"), &when), ERR_MALFORMED);
    assert_fails(time_parse(span_str("2026- 4-01T14:15:20Z"), &when), ERR_MALFORMED);
    assert_fails(time_parse(span_str("2026-+4-01T14:15:20Z"), &when), ERR_MALFORMED);
    assert_fails(time_parse(span_str("2026-04-01T14:15:20.Z"), &when), ERR_MALFORMED);
    assert_fails(time_parse(span_str("2026-04-01T14:15:20+2:00"), &when), ERR_MALFORMED);
    assert_fails(time_parse(span_str("2026-04-01T14:15:20+24:00"), &when), ERR_MALFORMED);
    assert_fails(time_parse(span_str("2026-02-30T14:15:20Z"), &when), ERR_RANGE);
    assert_fails(time_parse(span_str("2026-02-00T14:15:20Z"), &when), ERR_RANGE);
    assert_fails(time_parse(span_str("0026-02-01T14:15:20Z"), &when), ERR_RANGE);
    assert_ok(time_parse(span_str("2024-02-29t23:59:60.25z"), &when));
    assert_int_equal(when, 1709251200);
}

static void test_base64(void **state) {
    (void)state;
    static const char *const refused[] = {
        "A", "AA", "AAA", "AB==", "AAB=", "A===", "AA=A", "AA A", "AAA\n", "=AAA"};
    struct buf out CLEANUP(buf_done) = BUF(1024);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_fails(base64_decode(span_str(refused[i]), BASE64_STANDARD, &out), ERR_MALFORMED);
        assert_int_equal(out.len, 0);
    }
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37 + 200);
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        for (int alphabet = BASE64_STANDARD; alphabet <= BASE64_URL; alphabet++) {
            if (alphabet == BASE64_STANDARD_BARE) {
                continue; /* written for fingerprints, read with BASE64_STANDARD's letters below */
            }
            struct buf text CLEANUP(buf_done) = BUF(1024);
            struct buf back CLEANUP(buf_done) = BUF(1024);
            assert_ok(base64_encode(span_of(bytes, len), (enum base64_alphabet)alphabet, &text));
            assert_ok(base64_decode(buf_span(&text), (enum base64_alphabet)alphabet, &back));
            assert_true(span_equal(buf_span(&back), span_of(bytes, len)));
        }
    }
    struct buf bare CLEANUP(buf_done) = BUF(16);
    assert_ok(base64_encode(SPAN_LITERAL("\xff"), BASE64_STANDARD_BARE, &bare));
    assert_true(span_equal_str(buf_span(&bare), "/w"));
}

static void test_numbers_and_text(void **state) {
    (void)state;
    uint64_t number = 7;
    assert_fails(u64_parse(span_str(""), &number), ERR_MALFORMED);
    assert_fails(u64_parse(span_str("01"), &number), ERR_MALFORMED);
    assert_fails(u64_parse(span_str("-1"), &number), ERR_MALFORMED);
    assert_fails(u64_parse(span_str("18446744073709551616"), &number), ERR_RANGE);
    assert_ok(u64_parse(span_str("18446744073709551615"), &number));
    assert_true(number == UINT64_MAX);
    assert_true(text_is_utf8(span_str("Zürich ✅")));
    assert_false(text_is_utf8(span_str("a\x1b[31m")));
    assert_false(text_is_utf8(span_str("\xc0\xaf")));
    assert_false(text_is_utf8(span_str("\xed\xa0\x80")));
    assert_false(text_is_utf8(span_str("\xc2\x9b")));
    assert_false(text_is_utf8(span_str("\xe2\x9c")));
    assert_false(text_is_printable(span_str("ü")));
}

static void test_subnets(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
    } refused[] = {
        {"", ERR_MALFORMED},
        {"10.0.0.0/", ERR_MALFORMED},
        {"10.0.0.0/33", ERR_RANGE},
        {"10.1.2.3/8", ERR_RANGE},
        {"300.0.0.0/8", ERR_MALFORMED},
        {"10.0.0.0/08", ERR_MALFORMED},
        {"::ffff:10.0.0.0/104", ERR_RANGE},
        {"2001:db8::/129", ERR_RANGE},
    };
    struct inet_subnet subnet;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_fails(inet_subnet_parse(span_str(refused[i].text), &subnet), refused[i].code);
    }
    struct inet_address inside;
    struct inet_address mapped;
    struct inet_address outside;
    assert_ok(inet_address_parse(span_str("10.255.0.1"), &inside));
    assert_ok(inet_address_parse(span_str("::ffff:10.9.9.9"), &mapped));
    assert_ok(inet_address_parse(span_str("11.0.0.1"), &outside));
    struct inet_address read = {0};
    assert_fails(inet_address_from_bytes(SPAN_LITERAL("\x0a\xff\0"), &read), ERR_MALFORMED);
    assert_fails(inet_address_from_bytes(span_of(NULL, 0), &read), ERR_MALFORMED);
    assert_int_equal(read.family_bits, 0);
    assert_ok(inet_address_from_bytes(SPAN_LITERAL("\x0a\xff\0\1"), &read));
    assert_memory_equal(&read, &inside, sizeof read);
    assert_ok(inet_address_from_bytes(SPAN_LITERAL("\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x09\x09\x09"),
                                      &read));
    assert_memory_equal(&read, &mapped, sizeof read);
    assert_ok(inet_subnet_parse(span_str("10.0.0.0/8"), &subnet));
    assert_true(inet_subnet_contains(&subnet, &inside));
    assert_true(inet_subnet_contains(&subnet, &mapped));
    assert_false(inet_subnet_contains(&subnet, &outside));
    struct inet_subnet everything;
    assert_ok(inet_subnet_parse(span_str("0.0.0.0/0"), &everything));
    assert_true(inet_subnet_covers(&everything, &subnet));
    assert_false(inet_subnet_covers(&subnet, &everything));
    struct inet_subnet every_v6;
    assert_ok(inet_subnet_parse(span_str("::/0"), &every_v6));
    assert_false(inet_subnet_contains(&every_v6, &inside));
    struct inet_address none = {0};
    assert_false(inet_subnet_contains(&everything, &none));
    char out[INET_CHARS];
    inet_subnet_print(&subnet, out);
    assert_string_equal(out, "10.0.0.0/8");
}

static void test_buffer_maximum(void **state) {
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF(4);
    assert_ok(buf_add_str(&buf, "abcd"));
    assert_fails(buf_add_byte(&buf, 'e'), ERR_TOO_LONG);
    assert_true(span_equal_str(buf_span(&buf), "abcd"));
}

static void test_secret_comparison(void **state) {
    (void)state;
    assert_true(span_equal_secret(SPAN_LITERAL("abc"), SPAN_LITERAL("abc")));
    assert_false(span_equal_secret(SPAN_LITERAL("abc"), SPAN_LITERAL("abd")));
    assert_false(span_equal_secret(SPAN_LITERAL("abc"), SPAN_LITERAL("ab")));
    secret_t secret;
    assert_fails(secret_copy(SPAN_LITERAL("four"), 3, &secret), ERR_TOO_LONG);
}

static void test_files(void **state) {
    (void)state;
    char dir[] = "/tmp/postern-test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path CLEANUP(freep) = NULL;
    char *deep CLEANUP(freep) = NULL;
    assert_ok(path_join(dir, "file", &path));
    assert_ok(path_join(dir, "a/b/c", &deep));
    struct buf out CLEANUP(buf_done) = BUF(8);
    assert_fails(file_read(path, &out), ERR_NOT_FOUND);
    assert_fails(file_read(dir, &out), ERR_UNSUPPORTED);
    assert_ok(file_replace(path, SPAN_LITERAL("12345678"), 0600, FILE_DURABLE));
    assert_ok(file_read(path, &out));
    assert_true(span_equal_str(buf_span(&out), "12345678"));
    assert_fails(file_replace(path, SPAN_LITERAL("x"), 0600, FILE_EXCLUSIVE), ERR_EXISTS);
    assert_ok(file_replace(path, SPAN_LITERAL("123456789"), 0640, 0));
    buf_clear(&out);
    assert_fails(file_read(path, &out), ERR_TOO_LONG);
    assert_int_equal(out.len, 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_ok(file_make_dirs(deep, 0700));
    assert_ok(file_make_dirs(deep, 0700));
    assert_fails(file_make_dirs(path, 0700), ERR_EXISTS);
    char *lock CLEANUP(freep) = NULL;
    assert_ok(path_join(dir, "lock", &lock));
    int first CLEANUP(fd_closep) = -1;
    int second CLEANUP(fd_closep) = -1;
    assert_ok(file_lock(lock, 0, &first));
    assert_fails(file_lock(lock, 10, &second), ERR_BUSY);
    fd_closep(&first);
    assert_ok(file_lock(lock, 0, &second));
    char command[256];
    (void)snprintf(command, sizeof command, "%s/a/b/c", dir);
    while (strlen(command) > strlen(dir)) {
        (void)rmdir(command);
        *strrchr(command, '/') = '\0';
    }
    (void)unlink(path);
    (void)unlink(lock);
    assert_int_equal(rmdir(dir), 0); /* and no temporary file was left behind */
}

static void test_error_names(void **state) {
    (void)state;
    assert_string_equal(err_name(FAIL(ERR_KEY_DSA)), "key_dsa");
    struct fault fault = {0};
    assert_fails(fault_set(&fault, ERR_RANGE, "duration", "must be at most %s", "1d"), ERR_RANGE);
    assert_string_equal(fault.field, "duration");
    assert_string_equal(fault.reason, "must be at most 1d");
}

static void test_percent(void **state) {
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF(64);
    assert_ok(percent_encode(span_of("aZ09-._~ /%&=+\xc3\xa9\0", 17), &text));
    assert_true(span_equal_str(buf_span(&text), "aZ09-._~%20%2F%25%26%3D%2B%C3%A9%00"));
    assert_fails(percent_encode(SPAN_LITERAL("////////////"), &text), ERR_TOO_LONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_numbers_and_text),
        cmocka_unit_test(test_subnets),
        cmocka_unit_test(test_buffer_maximum),
        cmocka_unit_test(test_secret_comparison),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
