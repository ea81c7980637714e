/* postern admin host … */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/admin/admin.h"

enum { PORT_MAX = 65535 };

static err_t show_token(const json_t *answer, const char *name) {
    char until[TIME_CHARS];
    print_time_cell(member_text(answer, "enrolmentExpireTime"), until);
    (void)printf("Enrolment token for %s; it works once, on that host, until %s:\n  %s\n", name,
                 until, member_text(answer, "enrolmentToken"));
    return OK;
}

static err_t add_run(struct cli *cli, const struct arguments *arguments) {
    const char *role = arguments_value(arguments, "role");
    const char *cluster = arguments_value(arguments, "cluster");
    json_t *port CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    if (role == NULL) {
        trouble_next(&cli->trouble, "postern admin host add %s --role login --cluster CLUSTER",
                     arguments->words[0]);
        return trouble_set(&cli->trouble, EXIT_USAGE, "--role is missing: jump, login or compute");
    }
    TRY(admin_number(cli, "port", arguments_value(arguments, "port"), PORT_MAX, &port));
    TRY(authority_send(cli, HTTP_POST, "/api/v1/hosts",
                       json_pack("{s:s, s:s, s:s*, s:s*, s:O*, s:o*}", "name", arguments->words[0],
                                 "role", role, "cluster", cluster, "address",
                                 arguments_value(arguments, "address"), "port", port, "scheduler",
                                 arguments_has(arguments, "scheduler") ? json_true() : NULL),
                       &answer));
    if (cli->json) {
        return print_json(answer);
    }
    (void)printf("Host %s is added.\n", arguments->words[0]);
    return show_token(answer, arguments->words[0]);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    static const struct admin_column columns[] = {
        {"Name", "name", CELL_TEXT, NULL},
        {"Role", "role", CELL_TEXT, NULL},
        {"Cluster", "cluster", CELL_TEXT, NULL},
        {"Address", "address", CELL_TEXT, NULL},
        {"Port", "port", CELL_NUMBER, NULL},
        {"Enrolled", "enrolled", CELL_YES_NO, NULL},
        {"Seen", "seenTime", CELL_TIME, NULL},
        {"Version", "version", CELL_TEXT, NULL},
        {"Replica Age", "replicaAge", CELL_NUMBER, NULL},
        {"Sessions", "sessions", CELL_NUMBER, NULL},
        {.title = NULL},
    };
    return admin_list(cli, "/api/v1/hosts", "hosts", columns);
}

static err_t remove_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/hosts/", arguments->words[0], NULL));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    return authority_done(cli, answer, "Host %s is removed. Certificates revoked with it: %lld",
                          arguments->words[0], member_number(answer, "certificatesRevoked"));
}

static err_t enrol_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/hosts/", arguments->words[0], "/enrolment", NULL));
    TRY(authority_call(cli, HTTP_POST, path, &answer));
    return cli->json ? print_json(answer) : show_token(answer, arguments->words[0]);
}

static const struct option add_options[] = {
    {0, "role", "jump|login|compute", "what it is for"},
    {0, "cluster", "NAME", "its cluster; a jump host has none"},
    {0, "address", "ADDRESS", "as clients dial it"},
    {0, "port", "NUMBER", "of its sshd or gate"},
    {0, "scheduler", NULL, "it may say which jobs run on its cluster", .many = true},
    {.name = NULL},
};

static const struct command add = {.name = "add",
                                   .arguments = "NAME",
                                   .summary = "Add a host and make its enrolment token",
                                   .options = add_options,
                                   .words_min = 1,
                                   .words_max = 1,
                                   .run = add_run},
                            list = {.name = "list",
                                    .arguments = "",
                                    .summary = "List hosts",
                                    .run = list_run},
                            remove_host = {.name = "remove",
                                           .arguments = "NAME",
                                           .summary = "Remove a host",
                                           .words_min = 1,
                                           .words_max = 1,
                                           .run = remove_run},
                            enrol = {.name = "enrol",
                                     .arguments = "NAME",
                                     .summary =
                                         "A new enrolment token, for a host that was set up anew",
                                     .words_min = 1,
                                     .words_max = 1,
                                     .run = enrol_run};

static const struct command *const children[] = {&add, &list, &remove_host, &enrol, NULL};

const struct command command_admin_host = {
    .name = "host",
    .arguments = "COMMAND",
    .summary = "Jump, login and compute hosts",
    .children = children,
};
