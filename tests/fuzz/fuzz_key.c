/* The first byte says what the rest is: a blob (even) or a line (odd). A key that parses prints to
 * what parses to the same key; no line that parses has a private key in it; nothing that was not
 * signed verifies. */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/key.h"

static void check_key(const struct key *key, span_t bytes) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct key *from_blob CLEANUP(key_freep) = NULL;
    struct key *from_line CLEANUP(key_freep) = NULL;
    span_t comment;
    must(key_parse(key_blob(key), &from_blob));
    INVARIANT(key_equal(key, from_blob) && key_type(key) == key_type(from_blob));
    INVARIANT(key_bits(key) == key_bits(from_blob));
    must(key_print_line(key, "a comment", &line));
    err_t err = key_parse_line(buf_span(&line), &from_line, &comment);
    if (key_type(key) == KEY_UNKNOWN && (err.code == ERR_KEY_PRIVATE || err.code == ERR_KEY_PPK)) {
        return; /* a type of any name, with any bytes, may look like one */
    }
    must(err);
    INVARIANT(key_equal(key, from_line) && span_equal_str(comment, "a comment"));

    char one[FINGERPRINT_CHARS];
    char other[FINGERPRINT_CHARS];
    key_fingerprint(key, one);
    key_fingerprint(from_line, other);
    INVARIANT(strcmp(one, other) == 0);
    INVARIANT(failed(key_verify(key, SPAN_LITERAL("not signed by anybody"), bytes, NULL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct key *key CLEANUP(key_freep) = NULL;
    if (size == 0) {
        return 0;
    }
    span_t rest = span_of(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        if (!failed(key_parse(rest, &key))) {
            INVARIANT(span_equal(key_blob(key), rest));
            check_key(key, rest);
        }
    } else if (!failed(key_parse_line(rest, &key, NULL))) {
        static const char mark[] = "PRIVATE KEY-----";
        INVARIANT(memmem(rest.data, rest.len, mark, sizeof mark - 1) == NULL);
        check_key(key, rest);
    }
    return 0;
}
