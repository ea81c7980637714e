/* All routes, gathered from their files. */
#ifndef POSTERN_AUTHORITY_ROUTES_H
#define POSTERN_AUTHORITY_ROUTES_H

#include <stdio.h>

#include "authority/call.h"

/* The tables; each ends with a row whose path is NULL, the list with NULL. */
extern const struct route *const route_tables[];

struct route_match {
    const struct route *route; /* NULL when none has this path and method */
    size_t index;              /* of the route among all, for counting */
    bool path_known;           /* a route has the path with another method */
    size_t count;
    const char *names[CALL_PATH_PARAMETERS_COUNT]; /* point into route->path */
    size_t name_chars[CALL_PATH_PARAMETERS_COUNT];
    const char *values[CALL_PATH_PARAMETERS_COUNT]; /* point into `path`, NUL-terminated there */
};

/* Finds the route of a decoded path; '/' after parameter values are overwritten with NUL in `path`
 * when it matches. */
struct route_match routes_find(enum http_method method, char *path);

/* One line a route, "POST /api/v1/accounts administrator account.create": what docs/openapi.yaml is
 * held against. */
void routes_print(FILE *out);

#endif
