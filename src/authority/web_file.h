/* The files of the dashboard, made of web/ at build time (tools/embed_web.py). */
#ifndef POSTERN_AUTHORITY_WEB_FILE_H
#define POSTERN_AUTHORITY_WEB_FILE_H

#include "base/span.h"

struct web_file {
    const char *name; /* NULL ends the list */
    const char *type;
    span_t plain;
    span_t gzip; /* the same, compressed */
};

extern const struct web_file web_files[];
extern const char web_version[]; /* changes with every one of them */

#endif
