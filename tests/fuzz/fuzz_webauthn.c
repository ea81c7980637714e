/* Any bytes as an authenticator's answer: no signature is accepted that nobody made, and what is
 * read of a registration lies within it. */
#include "fuzz.h"

#include "base/limits.h"
#include "identity/cbor.h"
#include "identity/webauthn.h"

/* {"type":…,"challenge":"AQID"…}: the challenge is the bytes 1, 2, 3. */
#define CLIENT_DATA(type)                                                                          \
    SPAN_LITERAL("{\"type\":\"webauthn." type "\",\"challenge\":\"AQID\","                         \
                 "\"origin\":\"https://authority.example\"}")

static const struct webauthn_expected expected = {"https://authority.example",
                                                  "authority.example",
                                                  {(const uint8_t *)"\1\2\3", 3},
                                                  false,
                                                  1800000000};

static bool within(span_t part, span_t whole) {
    return part.data >= whole.data && part.data + part.len <= whole.data + whole.len;
}

static void read_registration(span_t bytes) {
    struct webauthn_registration from = {CLIENT_DATA("create"), bytes};
    struct webauthn_credential out;
    struct fault fault;
    if (failed(webauthn_register(&expected, &from, &out, &fault))) {
        return;
    }
    INVARIANT(within(out.id, bytes) && within(out.public_key, bytes));
    INVARIANT(out.id.len > 0 && out.id.len <= LIMIT_PASSKEY_ID_BYTES);
    INVARIANT(out.public_key.len <= LIMIT_PASSKEY_KEY_BYTES);
    struct webauthn_expected other = expected;
    other.challenge = SPAN_LITERAL("\1\2\4");
    INVARIANT(failed(webauthn_register(&other, &from, &out, &fault)));
}

/* The key of RFC 7517 appendix A.1, whose secret the search cannot use. */
static const uint8_t key[] = {
    0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20, 0x30, 0xa0, 0x42, 0x4c, 0xd2, 0x1c,
    0x29, 0x44, 0x83, 0x8a, 0x2d, 0x75, 0xc9, 0x2b, 0x37, 0xe7, 0x6e, 0xa2, 0x0d, 0x9f, 0x00, 0x89,
    0x3a, 0x3b, 0x4e, 0xee, 0x8a, 0x3c, 0x0a, 0xaf, 0xec, 0x3e, 0x22, 0x58, 0x20, 0xe0, 0x4b, 0x65,
    0xe9, 0x24, 0x56, 0xd9, 0x88, 0x8b, 0x52, 0xb3, 0x79, 0xbd, 0xfb, 0xd5, 0x1e, 0xe8, 0x69, 0xef,
    0x1f, 0x0f, 0xc6, 0x5b, 0x66, 0x59, 0x69, 0x5b, 0x6c, 0xce, 0x08, 0x17, 0x23};

static void read_assertion(span_t bytes) {
    size_t half = bytes.len / 2 < 37 ? bytes.len : 37;
    struct webauthn_assertion from = {CLIENT_DATA("get"), span_of(bytes.data, half),
                                      span_of(bytes.data + half, bytes.len - half)};
    struct webauthn_proof proof;
    struct fault fault;
    INVARIANT(failed(webauthn_verify(&expected, span_of(key, sizeof key), &from, &proof, &fault)));
    from.client_data = bytes;
    INVARIANT(failed(webauthn_verify(&expected, bytes, &from, &proof, &fault)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t rest = span_of(data, size);
    read_registration(rest);
    read_assertion(rest);
    if (!failed(cbor_skip(&rest))) {
        INVARIANT(rest.data > data && rest.len < size);
    }
    return 0;
}
