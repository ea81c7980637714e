/* postern key …: key files, and keys that are registered with the account. */
#include "cli/keys/key.h"

static const struct command *const children[] = {&command_key_add,     &command_key_list,
                                                 &command_key_remove,  &command_key_inspect,
                                                 &command_key_convert, NULL};

const struct command command_key = {
    .name = "key",
    .arguments = "COMMAND",
    .summary = "Register keys with your account, look at and convert key files",
    .children = children,
};
