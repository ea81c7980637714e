/* Telling what still lets an account in after its password is another ("left" of the answers). */
#ifndef POSTERN_CLI_LEFT_H
#define POSTERN_CLI_LEFT_H

#include <jansson.h>

/* A line for each kind that there is, with the command to type. name: another's account, as
 * administrators see it; NULL: one's own. */
void left_print(const json_t *left, const char *name);

#endif
