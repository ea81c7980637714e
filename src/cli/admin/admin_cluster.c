/* postern admin cluster … */
#include "cli/admin/admin.h"

enum { PORT_MAX = 65535 };

static err_t create_run(struct cli *cli, const struct arguments *arguments) {
    json_t *port CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(admin_number(cli, "port", arguments_value(arguments, "port"), PORT_MAX, &port));
    TRY(authority_send(cli, HTTP_POST, "/api/v1/clusters",
                       json_pack("{s:s, s:s*, s:O*, s:s*, s:s*}", "name", arguments->words[0],
                                 "address", arguments_value(arguments, "address"), "port", port,
                                 "nodeAccess", arguments_value(arguments, "node-access"),
                                 "credentials", arguments_value(arguments, "credentials")),
                       &answer));
    return authority_done(cli, answer, "Cluster %s is created.", arguments->words[0]);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    static const struct admin_column columns[] = {
        {"Name", "name", CELL_TEXT, NULL},
        {"Address", "address", CELL_TEXT, NULL},
        {"Port", "port", CELL_NUMBER, NULL},
        {"Nodes", "nodeAccess", CELL_TEXT, NULL},
        {"Credentials", "credentials", CELL_TEXT, NULL},
        {"Hosts", "hosts", CELL_LIST, "name"},
        {.title = NULL},
    };
    return admin_list(cli, "/api/v1/clusters", "clusters", columns);
}

static err_t set_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *port CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(admin_number(cli, "port", arguments_value(arguments, "port"), PORT_MAX, &port));
    json_t *body CLEANUP(json_freep) =
        json_pack("{s:s*, s:O*, s:s*, s:s*}", "address", arguments_value(arguments, "address"),
                  "port", port, "nodeAccess", arguments_value(arguments, "node-access"),
                  "credentials", arguments_value(arguments, "credentials"));
    if (body != NULL && json_object_size(body) == 0) {
        trouble_next(&cli->trouble, "postern admin cluster set --help");
        return trouble_set(&cli->trouble, EXIT_USAGE, "nothing to set was given");
    }
    TRY(api_path(cli, &path, "/api/v1/clusters/", arguments->words[0], NULL));
    TRY(authority_send(cli, HTTP_PUT, path, TAKE(body), &answer));
    return authority_done(cli, answer, "Cluster %s is changed.", arguments->words[0]);
}

static const struct option options[] = {
    {0, "address", "ADDRESS", "of its login host, as clients dial it"},
    {0, "port", "NUMBER", "of its login host"},
    {0, "node-access", "job|open",
     "job: who has a job there logs in on a node; open: every account"},
    {0, "credentials", "certificates|keys|both", "what its hosts take"},
    {.name = NULL},
};

static const struct command create = {.name = "create",
                                      .arguments = "NAME",
                                      .summary = "Create a cluster",
                                      .options = options,
                                      .words_min = 1,
                                      .words_max = 1,
                                      .run = create_run},
                            list = {.name = "list",
                                    .arguments = "",
                                    .summary = "List clusters",
                                    .run = list_run},
                            set = {.name = "set",
                                   .arguments = "NAME",
                                   .summary = "Change a cluster",
                                   .options = options,
                                   .words_min = 1,
                                   .words_max = 1,
                                   .run = set_run};

static const struct command *const children[] = {&create, &list, &set, NULL};

const struct command command_admin_cluster = {
    .name = "cluster",
    .arguments = "COMMAND",
    .summary = "Clusters",
    .children = children,
};
