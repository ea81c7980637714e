/* The table of all commands: what is run, shown by --help, completed by the shell and held against
 * the manual is read from here. */
#ifndef POSTERN_CLI_COMMANDS_H
#define POSTERN_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct command command_root;
/* Options of every command; ended by a NULL name. */
extern const struct option command_shared_options[];

/* What --help prints of it. path: "postern key add". */
void command_print_help(const struct command *command, const char *path);

#endif
