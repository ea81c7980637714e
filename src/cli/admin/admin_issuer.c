/* postern admin issuer: the keys that sign ID tokens. */
#include <stdio.h>

#include "cli/admin/admin.h"

static const struct admin_column columns[] = {
    {"Key", "kid", CELL_TEXT, NULL},
    {"Created", "createdTime", CELL_TIME, NULL},
    {"Retired", "retiredTime", CELL_TIME, NULL},
    {.title = NULL},
};

static err_t keys_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    return admin_list(cli, "/api/v1/issuer/keys", "keys", columns);
}

static err_t rotate_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    (void)arguments;
    TRY(authority_call(cli, HTTP_POST, "/api/v1/issuer/keys", &answer));
    if (cli->json) {
        return print_json(answer);
    }
    const json_t *newest = json_array_get(json_object_get(answer, "keys"), 0);
    (void)printf("The key %s signs ID tokens from now on.\n", member_text(newest, "kid"));
    return OK;
}

static const struct command command_keys = {
    .name = "keys",
    .arguments = "",
    .summary = "The keys that sign ID tokens, and those whose tokens still hold",
    .run = keys_run,
};

static const struct command command_rotate = {
    .name = "rotate",
    .arguments = "",
    .summary = "Sign with a new key; what the older one signed holds until it ends",
    .run = rotate_run,
};

static const struct command *const children[] = {&command_keys, &command_rotate, NULL};

const struct command command_admin_issuer = {
    .name = "issuer",
    .arguments = "",
    .summary = "The keys of the embedded issuer",
    .children = children,
};
