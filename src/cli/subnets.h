/* Options that say from where something is good: subnets, "mine" or "everywhere". */
#ifndef POSTERN_CLI_SUBNETS_H
#define POSTERN_CLI_SUBNETS_H

#include "cli/cli.h"

/* Sets body's ipSubnets to the option's values, each an address or a subnet; nothing without one.
 */
err_t subnets_put(struct cli *cli, const struct arguments *arguments, const char *option,
                  json_t *body);
/*
 * The same for --from, which may instead be "mine" (the address that the authority sees the caller
 * at: body's "from") or "everywhere".
 */
err_t subnets_put_from(struct cli *cli, const struct arguments *arguments, json_t *body);
/* "10.0.0.0/8, 192.0.2.7", or "everywhere"; the caller frees *out. */
err_t subnets_text(const json_t *object, char **out);

#endif
