#include "authority/store_file.h"

#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"

enum { PATH_CHARS_MAX = 4096, SECRET_BYTES_MAX = 64 };

err_t store_file_path(const struct config *config, const char *name, char **out) {
    struct buf path CLEANUP(buf_done) = BUF(PATH_CHARS_MAX);
    TRY(buf_add_format(&path, "%s.%s", config->store_path, name));
    return buf_to_str(&path, out);
}

static err_t read_secret(const char *path, uint8_t *out, size_t bytes) {
    struct buf text CLEANUP(buf_done) = BUF(2 * bytes + 1), secret CLEANUP(buf_done) = BUF(bytes);
    TRY(file_read(path, &text));
    if (text.len != 2 * bytes + 1 || text.data[2 * bytes] != '\n') {
        return FAIL(ERR_MALFORMED);
    }
    TRY(hex_decode(span_of(text.data, 2 * bytes), &secret));
    memcpy(out, secret.data, bytes);
    return OK;
}

static err_t make_secret(const char *path, size_t bytes) {
    struct buf text CLEANUP(buf_done) = BUF(2 * bytes + 1);
    uint8_t secret[SECRET_BYTES_MAX];
    INVARIANT(bytes <= sizeof secret);
    random_bytes(secret, bytes);
    err_t err = hex_encode(span_of(secret, bytes), &text);
    secret_wipe(secret, sizeof secret);
    TRY(err);
    TRY(buf_add_byte(&text, '\n'));
    err = file_replace(path, buf_span(&text), 0600, FILE_DURABLE | FILE_EXCLUSIVE);
    return err.code == ERR_EXISTS ? OK : err; /* another process was faster */
}

err_t store_file_secret(const struct config *config, const char *name, uint8_t *out, size_t bytes) {
    char *path CLEANUP(freep) = NULL;
    TRY(store_file_path(config, name, &path));
    err_t err = read_secret(path, out, bytes);
    if (err.code == ERR_NOT_FOUND) {
        TRY(make_secret(path, bytes));
        err = read_secret(path, out, bytes);
    }
    return err;
}
