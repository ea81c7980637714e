/* The input is a public key file of RFC 4716, or a PEM one. What is read is written to what reads
 * to the same key and comment, and neither reader takes a private key. */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/key.h"

static void check_ssh2(const struct key *key, const char *comment) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct key *again CLEANUP(key_freep) = NULL;
    char *told CLEANUP(freep) = NULL;
    err_t err = key_print_ssh2(key, comment, &file);
    INVARIANT(!failed(err) || (err.code == ERR_TOO_LONG && strlen(comment) > 1022));
    if (failed(err)) {
        return;
    }
    must(key_parse_ssh2(buf_span(&file), &again, &told));
    INVARIANT(key_equal(key, again));
    INVARIANT(strcmp(told, comment) == 0);
}

static void check_pem(const struct key *key) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct key *again CLEANUP(key_freep) = NULL;
    must(key_print_pem(key, KEY_PEM_SPKI, &file));
    must(key_parse_pem(buf_span(&file), &again));
    INVARIANT(key_equal(key, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t file = span_of(data, size);
    struct key *key CLEANUP(key_freep) = NULL;
    char *comment CLEANUP(freep) = NULL;
    if (key_is_ssh2(file)) {
        if (!failed(key_parse_ssh2(file, &key, &comment))) {
            check_ssh2(key, comment);
        }
    } else if (!failed(key_parse_pem(file, &key))) {
        static const char mark[] = "PRIVATE KEY-----";
        INVARIANT(memmem(data, size, mark, sizeof mark - 1) == NULL);
        check_pem(key);
        check_ssh2(key, "");
    }
    return 0;
}
