#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/span.h"

enum { LINE_BYTES_MAX = 16 * 1024, VALUE_BYTES_MAX = 1024 };

static enum log_level level_min = LOG_LEVEL_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level) { level_min = level; }

err_t log_level_parse(const char *text, enum log_level *out) {
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return OK;
        }
    }
    return FAIL(ERR_MALFORMED);
}

static bool is_plain(unsigned char c) { return c >= 0x20 && c != 0x7f && c != '"' && c != '\\'; }

static err_t add_escaped(struct buf *line, const char *value) {
    size_t len = strnlen(value, VALUE_BYTES_MAX), done = 0;
    TRY(buf_add_byte(line, '"'));
    while (done < len) {
        size_t plain = done;
        while (plain < len && is_plain((unsigned char)value[plain])) {
            plain++;
        }
        TRY(buf_add(line, span_of(value + done, plain - done)));
        done = plain;
        if (done < len) {
            unsigned char c = (unsigned char)value[done++];
            TRY(buf_add_format(line, c == '"' || c == '\\' ? "\\%c" : "\\u%04x", c));
        }
    }
    return buf_add_byte(line, '"');
}

static err_t add_pair(struct buf *line, const char *name, const char *value) {
    TRY(buf_add_byte(line, ','));
    TRY(add_escaped(line, name));
    TRY(buf_add_byte(line, ':'));
    return add_escaped(line, value);
}

static err_t line_build(struct buf *line, enum log_level level, const char *event,
                        const err_t *error, va_list pairs) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct tm tm;
    char stamp[32];
    (void)gmtime_r(&now.tv_sec, &tm);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    TRY(buf_add_format(line, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":", stamp,
                       now.tv_nsec / 1000000, level_names[level]));
    TRY(add_escaped(line, event));
    if (error != NULL) {
        TRY(add_pair(line, "error", err_name(*error)));
        TRY(add_pair(line, "detail", err_text(*error)));
    }
    for (const char *name = va_arg(pairs, const char *); name != NULL;
         name = va_arg(pairs, const char *)) {
        const char *value = va_arg(pairs, const char *);
        if (value != NULL) {
            TRY(add_pair(line, name, value));
        }
    }
    return buf_add_str(line, "}\n");
}

static void line_write(enum log_level level, const char *event, const err_t *error, va_list pairs) {
    struct buf line CLEANUP(buf_done) = BUF(LINE_BYTES_MAX);
    if (!failed(line_build(&line, level, event, error, pairs))) {
        /* One write, so that lines of several processes do not mix. A log that cannot be written
         * stops nobody. */
        ssize_t put = write(STDERR_FILENO, line.data, line.len);
        (void)put;
    }
}

void log_event(enum log_level level, const char *event, ...) {
    if (level < level_min) {
        return;
    }
    va_list pairs;
    va_start(pairs, event);
    line_write(level, event, NULL, pairs);
    va_end(pairs);
}

void log_error(const char *event, err_t err, ...) {
    va_list pairs;
    va_start(pairs, err);
    line_write(LOG_LEVEL_ERROR, event, &err, pairs);
    va_end(pairs);
}
