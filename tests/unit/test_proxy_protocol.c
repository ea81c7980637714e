/* Headers are written out in hexadecimal, as the specification's section 2.2 lays them out. */
#include "base/limits.h"
#include "base/text.h"
#include "check.h"
#include "net/proxy_protocol.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"
#define V4        "c6336407" /* 198.51.100.7 */
#define GATE4     "c0000201"
#define V6        "20010db8000000000000000000000007"
#define GATE6     "20010db8000000000000000000000001"
#define PORTS     "c0010016" /* 49153 to 22 */

static const struct {
    const char *hex;
    enum proxy_result result;
    const char *source; /* for CLIENT; with any result, bytes after the header are added */
} cases[] = {
    {"", PROXY_MORE, NULL},
    {"0d", PROXY_MORE, NULL},
    {SIGNATURE, PROXY_MORE, NULL},
    {SIGNATURE "21", PROXY_MORE, NULL},
    {SIGNATURE "2111000c" V4 GATE4, PROXY_MORE, NULL},
    {SIGNATURE "20000001", PROXY_MORE, NULL},
    {"5353482d322e302d", PROXY_REFUSED, NULL},                     /* "SSH-2.0-" */
    {"50524f58592054435034203139382e", PROXY_REFUSED, NULL},       /* "PROXY TCP4 198." */
    {"0d0a0d0a000d0a515549540b", PROXY_REFUSED, NULL},             /* one bit off */
    {SIGNATURE "11", PROXY_REFUSED, NULL},                         /* version 1 in binary */
    {SIGNATURE "31", PROXY_REFUSED, NULL},                         /* version 3 */
    {SIGNATURE "22", PROXY_REFUSED, NULL},                         /* no such command */
    {SIGNATURE "2100000c" V4 GATE4 PORTS, PROXY_REFUSED, NULL},    /* a client not known */
    {SIGNATURE "21000000", PROXY_REFUSED, NULL},                   /* the same */
    {SIGNATURE "2112000c" V4 GATE4 PORTS, PROXY_REFUSED, NULL},    /* UDP */
    {SIGNATURE "2122000c" V4 GATE4 PORTS, PROXY_REFUSED, NULL},    /* UDP over IPv6 */
    {SIGNATURE "2110000c" V4 GATE4 PORTS, PROXY_REFUSED, NULL},    /* no transport */
    {SIGNATURE "2131000c" V4 GATE4 PORTS, PROXY_REFUSED, NULL},    /* a Unix socket */
    {SIGNATURE "2111000b" V4 GATE4 "c00100", PROXY_REFUSED, NULL}, /* too short for IPv4 */
    {SIGNATURE "2121000c" V4 GATE4 PORTS, PROXY_REFUSED, NULL},    /* too short for IPv6 */
    {SIGNATURE "2111000d" V4 GATE4 PORTS "04", PROXY_REFUSED, NULL},
    {SIGNATURE "2111000f" V4 GATE4 PORTS "040001", PROXY_REFUSED, NULL}, /* runs past the end */
    {SIGNATURE "21110209", PROXY_REFUSED, NULL}, /* beyond the limit: at once */
    {SIGNATURE "2111ffff", PROXY_REFUSED, NULL},
    {SIGNATURE "20000000", PROXY_LOCAL, NULL},
    {SIGNATURE "2011000c" V4 GATE4 PORTS, PROXY_LOCAL, NULL}, /* what it says is not for us */
    {SIGNATURE "20000001ff", PROXY_LOCAL, NULL},
    {SIGNATURE "2111000c" V4 GATE4 PORTS, PROXY_CLIENT, "198.51.100.7"},
    {SIGNATURE "21210024" V6 GATE6 PORTS, PROXY_CLIENT, "2001:db8::7"},
    /* IPv4 in IPv6 is the IPv4 address it is, for every rule that asks. */
    {SIGNATURE "21210024"
               "00000000000000000000ffff" V4 GATE6 PORTS,
     PROXY_CLIENT, "198.51.100.7"},
    /* A no-operation, an empty one, and a checksum. */
    {SIGNATURE "2111001a" V4 GATE4 PORTS "0400010004000003000411223344", PROXY_CLIENT,
     "198.51.100.7"},
};

/* Reads from an allocation of just that size, so that the sanitizers see a byte too far. */
static struct proxy_header read_exactly(span_t bytes) {
    uint8_t *exact = malloc(bytes.len > 0 ? bytes.len : 1);
    assert_non_null(exact);
    if (bytes.len > 0) {
        memcpy(exact, bytes.data, bytes.len);
    }
    struct proxy_header header = proxy_protocol_read(span_of(exact, bytes.len));
    free(exact);
    return header;
}

static void assert_client(const struct proxy_header *header, const char *source) {
    char text[INET_CHARS];
    inet_address_print(&header->source, text);
    assert_string_equal(text, source);
    assert_int_equal(header->source_port, 49153);
}

static void test_headers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf bytes CLEANUP(buf_done) = BUF(4096);
        assert_ok(hex_decode(span_str(cases[i].hex), &bytes));
        size_t len = bytes.len;
        bool whole = cases[i].result == PROXY_LOCAL || cases[i].result == PROXY_CLIENT;
        if (whole) {
            assert_ok(buf_add_str(&bytes, "SSH-2.0-client\r\n"));
        }
        struct proxy_header header = read_exactly(buf_span(&bytes));
        if (header.result != cases[i].result) {
            print_error("case %zu: %s\n", i, cases[i].hex);
        }
        assert_int_equal(header.result, cases[i].result);
        assert_int_equal(header.len, whole ? len : 0);
        if (cases[i].source != NULL) {
            assert_client(&header, cases[i].source);
        } else {
            assert_int_equal(header.source.family_bits, 0);
        }
        /* Byte by byte nothing else comes of it, and nothing before the last byte. */
        for (size_t part = 0; whole && part < len; part++) {
            assert_int_equal(read_exactly(span_of(bytes.data, part)).result, PROXY_MORE);
        }
    }
}

static void test_limit(void **state) {
    (void)state;
    struct buf bytes CLEANUP(buf_done) = BUF(4096);
    assert_ok(hex_decode(SPAN_LITERAL(SIGNATURE "21110208" V4 GATE4 PORTS "0401f9"), &bytes));
    assert_int_equal(read_exactly(buf_span(&bytes)).result, PROXY_MORE);
    uint8_t *rest = NULL;
    assert_ok(buf_extend(&bytes, LIMIT_PROXY_HEADER_BYTES - bytes.len, &rest));
    memset(rest, 0, LIMIT_PROXY_HEADER_BYTES - 31);
    struct proxy_header header = read_exactly(buf_span(&bytes));
    assert_int_equal(header.result, PROXY_CLIENT);
    assert_int_equal(header.len, LIMIT_PROXY_HEADER_BYTES);
    assert_client(&header, "198.51.100.7");
    bytes.data[15]++; /* one more */
    assert_ok(buf_add_byte(&bytes, 0));
    assert_int_equal(read_exactly(buf_span(&bytes)).result, PROXY_REFUSED);
    assert_int_equal((struct proxy_header){0}.result, PROXY_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests_name("proxy_protocol", tests, NULL, NULL);
}
