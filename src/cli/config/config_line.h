/* The words of one line of ssh_config(5). Pure. */
#ifndef POSTERN_CLI_CONFIG_LINE_H
#define POSTERN_CLI_CONFIG_LINE_H

#include <stdbool.h>

#include "base/span.h"

/* Takes the keyword off the front, and the '=' that may follow it; empty on a blank line. */
span_t config_line_keyword(span_t *line);
/* Takes the next argument off the front, out of its quotes; empty when there is none. */
span_t config_line_word(span_t *line);
/* In any case of letters. */
bool config_line_is(span_t keyword, const char *name);

#endif
