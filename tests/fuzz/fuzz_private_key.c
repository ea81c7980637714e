/* The input is a private key file, and an agent's form of one. What loads signs for its own public
 * key, is written to what loads to the same, and inspecting agrees with loading. */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/private_key.h"

/* The seeds' passphrase. */
static char passphrase_text[] = "x";
static const secret_t passphrase = {passphrase_text, 1};

/* Work that a file may ask for within the limits, and yet too much for a fuzzer. */
enum { ROUNDS_MAX = 4, ITERATIONS_MAX = 4096 };

static void check_key(const struct private_key *key) {
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct buf wire CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct buf again CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key *back CLEANUP(private_key_freep) = NULL;
    const struct key *public_key = private_key_public(key);
    err_t err = private_key_sign(key, SPAN_LITERAL("data"), RSA_SHA256, &signature);
    INVARIANT(err.code == (key_is_security_key(public_key) ? ERR_UNSUPPORTED : ERR_NONE));
    if (!failed(err)) {
        must(key_verify(public_key, SPAN_LITERAL("data"), buf_span(&signature), NULL));
    }
    must(private_key_put_wire(key, &wire));
    span_t from = buf_span(&wire);
    must(private_key_get_wire(&from, &back));
    INVARIANT(from.len == 0);
    must(private_key_put_wire(back, &again));
    INVARIANT(span_equal(buf_span(&wire), buf_span(&again)));
    /* A key at the edge of what a file may hold does not fit once it is armoured. */
    if (wire.len < LIMIT_KEY_FILE_BYTES / 2) {
        struct private_key *loaded CLEANUP(private_key_freep) = NULL;
        must(private_key_write(key, "c", NULL, 0, &file));
        must(private_key_load(buf_span(&file), NULL, &loaded, NULL));
        INVARIANT(key_equal(private_key_public(loaded), public_key));
    }
}

static void try_file(span_t file) {
    struct private_key_info info;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    char *comment CLEANUP(freep) = NULL;
    if (failed(private_key_inspect(file, &info))) {
        INVARIANT(failed(private_key_load(file, NULL, &key, NULL)));
        return;
    }
    if (info.kdf_rounds <= (strcmp(info.kdf, "bcrypt") == 0 ? ROUNDS_MAX : ITERATIONS_MAX) &&
        strcmp(info.kdf, "scrypt") != 0 && strncmp(info.kdf, "argon2", 6) != 0) {
        err_t err = private_key_load(file, info.encrypted ? &passphrase : NULL, &key, &comment);
        if (!failed(err)) {
            INVARIANT(info.public_key == NULL ||
                      key_equal(info.public_key, private_key_public(key)));
            check_key(key);
        }
    }
    private_key_info_done(&info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    span_t from = span_of(data, size);
    try_file(from);
    if (!failed(private_key_get_wire(&from, &key))) {
        check_key(key);
    }
    return 0;
}
