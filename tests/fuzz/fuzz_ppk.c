/* The input is a PuTTY key file. What loads is written, in both versions and with its certificate,
 * to what loads to the same; inspecting agrees with loading. */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/cert.h"
#include "ssh/private_key.h"

/* The seeds' passphrase. */
static char passphrase_text[] = "x";
static const secret_t passphrase = {passphrase_text, 1};

/* Work that a file may ask for within the limits, and yet too much for a fuzzer. */
enum { PASSES_MAX = 4, ARGON2_FILE_MEMORY_DIGITS = 4 };

/* The number of KiB is the file's own; the seeds have 8. */
static bool is_cheap(span_t file, const struct private_key_info *info) {
    static const char name[] = "Argon2-Memory: ";
    const uint8_t *at = memmem(file.data, file.len, name, sizeof name - 1);
    if (at == NULL) {
        return true;
    }
    at += sizeof name - 1;
    size_t left = file.len - (size_t)(at - file.data);
    return info->kdf_rounds <= PASSES_MAX &&
           memchr(at, '\n', left < ARGON2_FILE_MEMORY_DIGITS ? left : ARGON2_FILE_MEMORY_DIGITS) !=
               NULL;
}

static void check_written(const struct private_key *key, unsigned version, const char *comment,
                          const struct cert *cert) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key *again CLEANUP(private_key_freep) = NULL;
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    char *told CLEANUP(freep) = NULL;
    if (failed(private_key_write_ppk(key, version, comment, cert, NULL, &file))) {
        return; /* a bare CR in the comment */
    }
    must(private_key_load(buf_span(&file), NULL, &again, &told));
    must(private_key_inspect(buf_span(&file), &info));
    INVARIANT(key_equal(private_key_public(again), private_key_public(key)));
    INVARIANT(strcmp(told, comment) == 0);
    INVARIANT((info.cert == NULL) == (cert == NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t file = span_of(data, size);
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    char *comment CLEANUP(freep) = NULL;
    if (failed(private_key_inspect(file, &info))) {
        return 0;
    }
    bool ppk = info.format == PRIVATE_KEY_PPK || info.format == PRIVATE_KEY_PPK_2;
    if (!ppk || !is_cheap(file, &info)) {
        return 0;
    }
    if (!failed(private_key_load(file, info.encrypted ? &passphrase : NULL, &key, &comment))) {
        INVARIANT(key_equal(info.public_key, private_key_public(key)));
        check_written(key, 2, comment, info.cert);
        check_written(key, 3, comment, info.cert);
    }
    return 0;
}
