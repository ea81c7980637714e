#include "cli/trouble.h"

#include <stdarg.h>
#include <string.h>

#include "base/span.h"
#include "cli/sanitise.h"
#include "cli/terminal.h"

err_t trouble_set(struct trouble *trouble, enum exit_code exit, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(trouble->what, sizeof trouble->what, format, args);
    va_end(args);
    trouble->exit = exit;
    return FAIL(ERR_REFUSED);
}

err_t trouble_of(struct trouble *trouble, err_t err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(trouble->what, sizeof trouble->what, format, args);
    va_end(args);
    size_t len = strlen(trouble->what);
    (void)snprintf(trouble->what + len, sizeof trouble->what - len, ": %s", err_text(err));
    trouble->exit = exit_of_err(err);
    return err;
}

void trouble_next(struct trouble *trouble, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(trouble->next, sizeof trouble->next, format, args);
    va_end(args);
}

enum exit_code exit_of_err(err_t err) {
    switch (err.code) {
    case ERR_NONE:
        return EXIT_DONE;
    case ERR_MEMORY:
    case ERR_IO:
    case ERR_DISK_FULL:
    case ERR_CRYPTO:
        return EXIT_INTERNAL;
    case ERR_CONNECT:
    case ERR_TLS:
    case ERR_TIMEOUT:
    case ERR_CLOSED:
        return EXIT_NETWORK;
    case ERR_PROTOCOL:
        return EXIT_AUTHORITY;
    case ERR_PERMISSION:
    case ERR_REFUSED:
    case ERR_PASSPHRASE:
    case ERR_ENCRYPTED:
    case ERR_SIGNATURE:
        return EXIT_REFUSED;
    case ERR_NOT_FOUND:
        return EXIT_MISSING;
    case ERR_EXISTS:
    case ERR_CONFLICT:
    case ERR_BUSY:
        return EXIT_CONFLICT;
    default:
        return EXIT_USAGE; /* the rest tell of input in a form that cannot be taken */
    }
}

enum exit_code exit_of_status(unsigned status) {
    switch (status) {
    case 400:
    case 413:
    case 415:
        return EXIT_USAGE;
    case 401:
        return EXIT_LOGIN;
    case 403:
    case 422:
        return EXIT_REFUSED;
    case 404:
        return EXIT_MISSING;
    case 409:
        return EXIT_CONFLICT;
    case 429:
        return EXIT_QUOTA;
    default:
        return EXIT_AUTHORITY;
    }
}

void trouble_print(const struct trouble *trouble, FILE *to) {
    struct buf what CLEANUP(buf_done) = BUF(4 * sizeof trouble->what);
    struct buf next CLEANUP(buf_done) = BUF(4 * sizeof trouble->next);
    if (failed(text_sanitise(span_str(trouble->what), false, &what)) ||
        failed(text_sanitise(span_str(trouble->next), true, &next))) {
        (void)fputs("postern: out of memory\n", to);
        return;
    }
    (void)fprintf(to, "%spostern:%s %.*s\n", terminal_colour(to, COLOUR_RED),
                  terminal_colour(to, COLOUR_NONE), (int)what.len, (const char *)what.data);
    const uint8_t *line = next.data;
    const uint8_t *end = next.len == 0 ? line : line + next.len;
    while (line < end) {
        const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop == NULL ? end : stop;
        (void)fprintf(to, "  %.*s\n", (int)(stop - line), (const char *)line);
        line = stop < end ? stop + 1 : end;
    }
}
