#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[] = {
#define ERR_TEXT(code, text) [code] = text,
    ERR_LIST(ERR_TEXT)
#undef ERR_TEXT
};

static const char *const codes[] = {
#define ERR_CODE_NAME(code, text) [code] = #code,
    ERR_LIST(ERR_CODE_NAME)
#undef ERR_CODE_NAME
};

static char names[COUNT_OF(codes)][32];

const char *err_text(err_t err) {
    INVARIANT((size_t)err.code < COUNT_OF(texts));
    return texts[err.code];
}

/* Lower-cases "ERR_KEY_DSA" into "key_dsa" once, before main(), so that threads only ever read. */
__attribute__((constructor)) static void names_init(void) {
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        const char *from = codes[i] + strlen("ERR_");
        for (size_t j = 0; from[j] != '\0' && j + 1 < sizeof names[i]; j++) {
            names[i][j] = (char)tolower((unsigned char)from[j]);
        }
    }
}

const char *err_name(err_t err) {
    INVARIANT((size_t)err.code < COUNT_OF(names));
    return names[err.code];
}

err_t err_from_errno(int errnum) {
    switch (errnum) {
    case 0:
        return OK;
    case ENOENT:
    case ENOTDIR:
        return FAIL(ERR_NOT_FOUND);
    case EEXIST:
        return FAIL(ERR_EXISTS);
    case ENOSPC:
    case EDQUOT:
        return FAIL(ERR_DISK_FULL);
    case EACCES:
    case EPERM:
    case EROFS:
        return FAIL(ERR_PERMISSION);
    case ENOMEM:
        return FAIL(ERR_MEMORY);
    case EWOULDBLOCK:
    case EBUSY:
        return FAIL(ERR_BUSY);
    case ETIMEDOUT:
        return FAIL(ERR_TIMEOUT);
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return FAIL(ERR_CONNECT);
    case EPIPE:
    case ECONNRESET:
        return FAIL(ERR_CLOSED);
    default:
        return FAIL(ERR_IO);
    }
}

err_t fault_set(struct fault *fault, enum err_code code, const char *field, const char *format,
                ...) {
    if (fault != NULL) {
        va_list args;
        va_start(args, format);
        (void)snprintf(fault->field, sizeof fault->field, "%s", field);
        (void)vsnprintf(fault->reason, sizeof fault->reason, format, args);
        va_end(args);
    }
    return FAIL(code);
}

_Noreturn void invariant_broken(const char *condition, const char *file, int line) {
    (void)fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
    abort();
}
