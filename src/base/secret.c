#include "base/secret.h"

#include <string.h>

void secret_wipe(void *data, size_t len) {
    if (len != 0) {
        explicit_bzero(data, len);
    }
}

err_t secret_copy(span_t from, size_t len_max, secret_t *out) {
    if (from.len > len_max) {
        return FAIL(ERR_TOO_LONG);
    }
    char *text;
    TRY(span_to_str(from, &text));
    *out = (secret_t){text, from.len};
    return OK;
}

void secret_done(secret_t *secret) {
    if (secret->text != NULL) {
        secret_wipe(secret->text, secret->len);
        free(secret->text);
    }
    *secret = (secret_t){0};
}

span_t secret_span(const secret_t *secret) { return span_of(secret->text, secret->len); }
