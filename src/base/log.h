/*
 * Structured log lines on standard error, one JSON object a line:
 *   {"time":"2026-04-01T14:15:20.123Z","level":"info","event":"certificate_signed","account":"alice","serial":"42"}
 * Only programs log; libraries return errors. No function here takes a secret_t.
 */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines below the level are dropped. The default is info. */
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error"; ERR_MALFORMED. */
err_t log_level_parse(const char *text, enum log_level *out);

/*
 * Pairs of names and values, both `const char *`, ended by NULL; a NULL value is left out. Values
 * are escaped, and cut at 1 KiB. log_event(LOG_LEVEL_INFO, "session_opened", "account", name,
 * "from", address, NULL);
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
/* The same for an err_t: adds "error":"key_dsa" and "detail":its text. */
void log_error(const char *event, err_t err, ...);

#endif
