/* The first byte says what the rest is: a blob (even) or a line (odd). No certificate is allowed
 * but the one that our CA has signed; what parses holds cert.h's invariants, prints to what parses
 * to the same, and never passes for a plain key. */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/cert.h"
#include "ssh/wire.h"

/* The public half of a CA whose private key is 32 bytes 0x42; `ours` in the corpus is the one thing
 * that it signed. */
static const uint8_t ca_point[32] = {
    0x21, 0x52, 0xf8, 0xd1, 0x9b, 0x79, 0x1d, 0x24, 0x45, 0x32, 0x42, 0xe1, 0x5f, 0x2e, 0xab, 0x6c,
    0xb7, 0xcf, 0xfa, 0x7b, 0x6a, 0x5e, 0xd3, 0x00, 0x97, 0x96, 0x0e, 0x06, 0x98, 0x81, 0xdb, 0x12};
static const uint8_t signed_nonce_byte = 7; /* 32 times */

static void make_ca(struct key **out) {
    struct buf blob CLEANUP(buf_done) = BUF(256);
    must(wire_put_text(&blob, "ssh-ed25519"));
    must(wire_put_string(&blob, span_of(ca_point, sizeof ca_point)));
    must(key_parse(buf_span(&blob), out));
}

/* What `ours` says; a certificate that is allowed must say just this. */
static bool is_ours(const struct cert *cert) {
    for (size_t i = 0; i < sizeof cert->nonce; i++) {
        if (cert->nonce[i] != signed_nonce_byte) {
            return false;
        }
    }
    return cert->serial == 1 && cert->type == CERT_USER && strcmp(cert->key_id, "fuzz") == 0 &&
           cert->principal_count == 1 && strcmp(cert->principals[0], "alice") == 0 &&
           cert->valid_after == 0 && cert->valid_before == CERT_FOREVER &&
           cert->critical_option_count == 0 && cert->extension_count == 0;
}

static void check_verdicts(const struct cert *cert) {
    struct key *ca CLEANUP(key_freep) = NULL;
    make_ca(&ca);
    const struct key *trusted = ca;
    struct cert_check check = {.type = cert->type, .ca_keys = &trusted, .ca_key_count = 1};
    check.now = cert->valid_after;
    for (size_t i = 0; i < cert->principal_count; i++) {
        check.principal = cert->principals[i];
        struct cert_verdict verdict = cert_verify(cert, &check);
        INVARIANT(verdict.allowed == (verdict.why == CERT_ALLOWED));
        INVARIANT(!verdict.allowed || is_ours(cert));
    }
    /* Without a CA that is trusted, without a name, and after the end, nothing is allowed. */
    check.now = cert->valid_before;
    INVARIANT(!cert_verify(cert, &check).allowed);
    check.now = cert->valid_after;
    check.principal = NULL;
    INVARIANT(!cert_verify(cert, &check).allowed);
    check.principal = "*";
    INVARIANT(!cert_verify(cert, &check).allowed);
    check.principal = cert->principal_count == 0 ? "alice" : cert->principals[0];
    check.ca_key_count = 0;
    INVARIANT(!cert_verify(cert, &check).allowed);
}

static void check_order(const struct cert_option *options, size_t count) {
    for (size_t i = 1; i < count; i++) {
        INVARIANT(strcmp(options[i - 1].name, options[i].name) < 0);
    }
}

static void check_cert(const struct cert *cert) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    struct buf shown CLEANUP(buf_done) = BUF(1024 * 1024);
    struct buf shown_again CLEANUP(buf_done) = BUF(1024 * 1024);
    struct cert *again CLEANUP(cert_freep) = NULL;
    struct cert *unsigned_cert CLEANUP(cert_freep) = NULL;
    struct key *none = NULL;
    INVARIANT(cert->valid_after <= cert->valid_before);
    INVARIANT(key_type(cert->key) != KEY_UNKNOWN && key_type(cert->ca_key) != KEY_UNKNOWN);
    check_order(cert->critical_options, cert->critical_option_count);
    check_order(cert->extensions, cert->extension_count);

    must(cert_print_line(cert, NULL, &line));
    must(cert_parse_line(buf_span(&line), &again, NULL));
    INVARIANT(span_equal(buf_span(&cert->blob), buf_span(&again->blob)));
    must(cert_print_long(cert, &shown));
    must(cert_print_long(again, &shown_again));
    INVARIANT(span_equal(buf_span(&shown), buf_span(&shown_again)));

    must(cert_parse_tbs(cert_tbs(cert), &unsigned_cert));
    INVARIANT(cert_is_blob(buf_span(&cert->blob)) && cert_is_blob(buf_span(&line)));
    INVARIANT(failed(key_parse(buf_span(&cert->blob), &none)));
    INVARIANT(failed(key_parse_line(buf_span(&line), &none, NULL)));
    check_verdicts(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    if (size == 0) {
        return 0;
    }
    span_t rest = span_of(data + 1, size - 1);
    (void)cert_is_blob(rest);
    err_t err = data[0] % 2 == 0 ? cert_parse(rest, &cert) : cert_parse_line(rest, &cert, NULL);
    if (!failed(err)) {
        check_cert(cert);
    }
    return 0;
}
