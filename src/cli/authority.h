/* One call of the authority and what is told of it, as most commands want it. Who makes more than
 * one finds the rest in api.h. */
#ifndef POSTERN_CLI_AUTHORITY_H
#define POSTERN_CLI_AUTHORITY_H

#include "cli/api.h"
#include "cli/cli.h"

/* Opens the site, signed in, and makes one call: api_call(), api_send(). What the authority warns
 * of in its answer to authority_send() is shown on standard error. */
err_t authority_call(struct cli *cli, enum http_method method, const char *path, json_t **answer);
err_t authority_send(struct cli *cli, enum http_method method, const char *path, json_t *body,
                     json_t **answer);

/* --json prints the answer; else the sentence. */
err_t authority_done(struct cli *cli, const json_t *answer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
