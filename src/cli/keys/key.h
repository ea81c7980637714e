/* The commands of `postern key`. */
#ifndef POSTERN_CLI_KEY_H
#define POSTERN_CLI_KEY_H

#include "cli/cli.h"

extern const struct command command_key_add, command_key_list, command_key_remove,
    command_key_inspect, command_key_convert;

#endif
