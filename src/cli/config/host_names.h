/*
 * The names of Host lines. An authority chooses those of its site's hosts, and one that was taken
 * over could call a host github.com, or as the person's own: whoever writes its configuration says
 * which names may be somebody else's. Pure.
 */
#ifndef POSTERN_CLI_HOST_NAMES_H
#define POSTERN_CLI_HOST_NAMES_H

#include "base/err.h"
#include "base/span.h"

/* The next name in the text, patterns included; false when there are no more. *line is empty at
 * first. */
bool host_names_next(span_t *text, span_t *line, span_t *name);
bool host_names_have(span_t text, span_t name);

/*
 * Whether a name with a dot is outside of the domain that the authority itself is in: that of
 * "sshservice.cscs.ch" is cscs.ch, and that of a host right below a top-level domain, or of an
 * address, is itself.
 */
bool host_names_are_outside(span_t name, const char *authority);

/* Appends what the first text has, the second has not, and is outside, with commas between: up to
 * HOST_NAMES_SHOWN of them and an ellipsis. */
enum { HOST_NAMES_SHOWN = 5 };
err_t host_names_list_outside(span_t text, span_t before, const char *authority, struct buf *out);
/* The same of those without wildcards that both have. */
err_t host_names_list_shared(span_t text, span_t own, struct buf *out);

#endif
