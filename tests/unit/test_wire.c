#include "check.h"

#include "base/limits.h"
#include "ssh/wire.h"

static void test_mpint_refuses(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum err_code code;
    } cases[] = {
        {"\0\0\0\1\x80", 5, ERR_RANGE},       /* negative */
        {"\0\0\0\1\0", 5, ERR_MALFORMED},     /* zero must be empty */
        {"\0\0\0\2\0\x7f", 6, ERR_MALFORMED}, /* needless zero */
        {"\0\0\0\2\x7f", 5, ERR_TRUNCATED},   {"\0\0\0", 3, ERR_TRUNCATED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        span_t from = span_of(cases[i].bytes, cases[i].len);
        span_t out;
        assert_fails(wire_get_mpint(&from, &out), cases[i].code);
        assert_int_equal(from.len, cases[i].len);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF(4096);
    assert_ok(wire_put_u8(&buf, 200));
    assert_ok(wire_put_bool(&buf, true));
    assert_ok(wire_put_u32(&buf, 0xfedcba98));
    assert_ok(wire_put_u64(&buf, 0xfedcba9876543210));
    assert_ok(wire_put_text(&buf, "posterngate"));
    assert_ok(wire_put_mpint(&buf, SPAN_LITERAL("\0\0\x80\1")));
    assert_ok(wire_put_mpint(&buf, span_of(NULL, 0)));
    size_t mark;
    assert_ok(wire_string_begin(&buf, &mark));
    assert_ok(wire_put_u8(&buf, 7));
    wire_string_end(&buf, mark);

    span_t from = buf_span(&buf);
    uint8_t u8;
    bool flag;
    uint32_t u32;
    uint64_t u64;
    span_t text;
    assert_ok(wire_get_u8(&from, &u8));
    assert_int_equal(u8, 200);
    assert_ok(wire_get_bool(&from, &flag));
    assert_true(flag);
    assert_ok(wire_get_u32(&from, &u32));
    assert_int_equal(u32, 0xfedcba98);
    assert_ok(wire_get_u64(&from, &u64));
    assert_true(u64 == 0xfedcba9876543210);
    assert_ok(wire_get_text(&from, &text));
    assert_true(span_equal_str(text, "posterngate"));
    assert_ok(wire_get_mpint(&from, &text));
    assert_true(span_equal(text, SPAN_LITERAL("\x80\1")));
    assert_ok(wire_get_mpint(&from, &text));
    assert_int_equal(text.len, 0);
    assert_ok(wire_get_string(&from, &text));
    assert_true(span_equal(text, SPAN_LITERAL("\7")));
    assert_ok(wire_expect_end(from));
}

static void test_every_truncation_is_refused(void **state) {
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF(64);
    assert_ok(wire_put_text(&buf, "abc"));
    for (size_t len = 0; len < buf.len; len++) {
        span_t from = span_of(buf.data, len);
        span_t out;
        assert_fails(wire_get_string(&from, &out), ERR_TRUNCATED);
    }
    span_t longer = span_of(buf.data, buf.len - 1);
    assert_fails(wire_expect_end(longer), ERR_TRAILING);
}

static void test_string_limit(void **state) {
    (void)state;
    struct buf buf CLEANUP(buf_done) = BUF(LIMIT_WIRE_STRING_BYTES + 16);
    for (size_t len = LIMIT_WIRE_STRING_BYTES; len <= LIMIT_WIRE_STRING_BYTES + 1; len++) {
        uint8_t *body;
        buf_clear(&buf);
        assert_ok(wire_put_u32(&buf, (uint32_t)len));
        assert_ok(buf_extend(&buf, len, &body));
        memset(body, 'x', len);
        span_t from = buf_span(&buf);
        span_t out;
        enum err_code expected = len > LIMIT_WIRE_STRING_BYTES ? ERR_TOO_LONG : ERR_NONE;
        assert_fails(wire_get_string(&from, &out), expected);
    }
}

static void test_text_refuses_nul(void **state) {
    (void)state;
    span_t from = SPAN_LITERAL("\0\0\0\3a\0b");
    span_t out;
    assert_fails(wire_get_text(&from, &out), ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mpint_refuses),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_string_limit),
        cmocka_unit_test(test_text_refuses_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
