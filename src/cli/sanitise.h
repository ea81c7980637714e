/*
 * Text from elsewhere (the authority, key files) before it reaches a terminal. What could move the
 * cursor, set a title, answer back or reorder what is shown becomes '?': C0 and C1 controls, DEL,
 * bytes that are not UTF-8, and Unicode's directional controls and line separators.
 */
#ifndef POSTERN_CLI_SANITISE_H
#define POSTERN_CLI_SANITISE_H

#include <jansson.h>

#include "base/err.h"
#include "base/span.h"

/* Appends. A newline stays when keep_newlines says so. */
err_t text_sanitise(span_t text, bool keep_newlines, struct buf *out);

/* Every string and member name inside, in place. Newlines stay in the values of "privateKey", which
 * is written to a file and never shown. */
err_t json_sanitise(json_t *json);

#endif
