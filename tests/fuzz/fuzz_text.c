/* The text forms of src/base: what is read, printed and read again, is the same; base64 and
 * hexadecimal have one text for each value. */
#include "fuzz.h"

#include "base/clock.h"
#include "base/inet.h"
#include "base/text.h"

enum { OUTPUT_BYTES_MAX = 8 * 1024 * 1024 };

static void check_base64(span_t text, enum base64_alphabet alphabet) {
    struct buf bytes CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    struct buf again CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    if (!failed(base64_decode(text, alphabet, &bytes))) {
        must(base64_encode(buf_span(&bytes), alphabet, &again));
        INVARIANT(span_equal(buf_span(&again), text));
    }
    buf_clear(&bytes);
    buf_clear(&again);
    must(base64_encode(text, alphabet, &again));
    must(base64_decode(buf_span(&again), alphabet, &bytes));
    INVARIANT(span_equal(buf_span(&bytes), text));
}

static void check_hex(span_t text) {
    struct buf bytes CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    struct buf again CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    must(hex_encode(text, &again));
    must(hex_decode(buf_span(&again), &bytes));
    INVARIANT(span_equal(buf_span(&bytes), text));
    buf_clear(&bytes);
    /* Upper case may be read; nothing else has two forms. */
    if (!failed(hex_decode(text, &bytes))) {
        INVARIANT(bytes.len * 2 == text.len);
    }
}

static void check_duration(span_t text) {
    int64_t seconds;
    int64_t again;
    char printed[DURATION_CHARS];
    if (!failed(duration_parse(text, &seconds))) {
        INVARIANT(seconds > 0);
        duration_print(seconds, printed);
        must(duration_parse(span_str(printed), &again));
        INVARIANT(again == seconds);
    }
}

static void check_time(span_t text) {
    int64_t when;
    int64_t again;
    char printed[TIME_CHARS];
    if (!failed(time_parse(text, &when))) {
        time_print_utc(when, printed);
        must(time_parse(span_str(printed), &again));
        INVARIANT(again == when);
    }
}

static void check_inet(span_t text) {
    struct inet_address address;
    struct inet_address address_again;
    struct inet_subnet subnet;
    struct inet_subnet subnet_again;
    char printed[INET_CHARS];
    if (!failed(inet_address_parse(text, &address))) {
        inet_address_print(&address, printed);
        must(inet_address_parse(span_str(printed), &address_again));
        INVARIANT(memcmp(&address, &address_again, sizeof(address)) == 0);
    }
    if (!failed(inet_subnet_parse(text, &subnet))) {
        inet_subnet_print(&subnet, printed);
        must(inet_subnet_parse(span_str(printed), &subnet_again));
        INVARIANT(memcmp(&subnet, &subnet_again, sizeof(subnet)) == 0);
        INVARIANT(inet_subnet_contains(&subnet, &subnet.address));
        INVARIANT(inet_subnet_covers(&subnet, &subnet_again));
    }
}

static void check_number(span_t text) {
    uint64_t number;
    struct buf again CLEANUP(buf_done) = BUF(64);
    if (!failed(u64_parse(text, &number))) {
        must(buf_add_format(&again, "%llu", (unsigned long long)number));
        INVARIANT(span_equal(buf_span(&again), text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t text = span_of(data, size);
    check_base64(text, BASE64_STANDARD);
    check_base64(text, BASE64_STANDARD_BARE);
    check_base64(text, BASE64_URL);
    check_hex(text);
    check_duration(text);
    check_time(text);
    check_inet(text);
    check_number(text);
    INVARIANT(!text_is_printable(text) || text_is_utf8(text));
    return 0;
}
