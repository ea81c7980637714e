#include "net/proxy_protocol.h"

#include "base/limits.h"

enum {
    SIGNATURE_BYTES = 12,
    FIXED_BYTES = 16,
    VERSION_AND_LOCAL = 0x20,
    VERSION_AND_PROXY = 0x21,
    TCP_OVER_V4 = 0x11,
    TCP_OVER_V6 = 0x21,
    V4_BYTES = 2 * 4 + 2 * 2, /* source, destination, their ports */
    V6_BYTES = 2 * 16 + 2 * 2,
    TLV_HEAD_BYTES = 3,
};

static const uint8_t signature[SIGNATURE_BYTES] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                   0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static uint16_t read_u16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

/* What may follow the addresses: type, length, value. None of them changes who the client is. */
static bool tlvs_fit(span_t rest) {
    while (rest.len > 0) {
        if (rest.len < TLV_HEAD_BYTES) {
            return false;
        }
        size_t whole = TLV_HEAD_BYTES + (size_t)read_u16(rest.data + 1);
        if (whole > rest.len) {
            return false;
        }
        rest = span_of(rest.data + whole, rest.len - whole);
    }
    return true;
}

static struct proxy_header read_client(uint8_t family, span_t body) {
    const struct proxy_header refused = {.result = PROXY_REFUSED};
    uint8_t bits = family == TCP_OVER_V4 ? 32 : 128;
    size_t address_bytes = bits / 8U;
    size_t need = bits == 32 ? V4_BYTES : V6_BYTES;
    if ((family != TCP_OVER_V4 && family != TCP_OVER_V6) || body.len < need ||
        !tlvs_fit(span_of(body.data + need, body.len - need))) {
        return refused;
    }
    struct proxy_header header = {.result = PROXY_CLIENT, .len = FIXED_BYTES + body.len};
    err_t err = inet_address_from_bytes(span_of(body.data, address_bytes), &header.source);
    INVARIANT(!failed(err));
    header.source_port = read_u16(body.data + 2 * address_bytes);
    return header;
}

struct proxy_header proxy_protocol_read(span_t bytes) {
    const struct proxy_header refused = {.result = PROXY_REFUSED};
    const struct proxy_header more = {.result = PROXY_MORE};
    size_t known = bytes.len < SIGNATURE_BYTES ? bytes.len : SIGNATURE_BYTES;
    if (known > 0 && memcmp(bytes.data, signature, known) != 0) {
        return refused;
    }
    if (bytes.len > SIGNATURE_BYTES && bytes.data[SIGNATURE_BYTES] != VERSION_AND_LOCAL &&
        bytes.data[SIGNATURE_BYTES] != VERSION_AND_PROXY) {
        return refused;
    }
    if (bytes.len < FIXED_BYTES) {
        return more;
    }
    size_t len = FIXED_BYTES + (size_t)read_u16(bytes.data + FIXED_BYTES - 2);
    if (len > LIMIT_PROXY_HEADER_BYTES) {
        return refused;
    }
    if (bytes.len < len) {
        return more;
    }
    if (bytes.data[SIGNATURE_BYTES] == VERSION_AND_LOCAL) {
        return (struct proxy_header){.result = PROXY_LOCAL, .len = len};
    }
    return read_client(bytes.data[SIGNATURE_BYTES + 1],
                       span_of(bytes.data + FIXED_BYTES, len - FIXED_BYTES));
}
