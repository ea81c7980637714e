/* postern admin session … */
#include <stdio.h>

#include "base/clock.h"
#include "cli/admin/admin.h"

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    static const struct admin_column columns[] = {
        {"Session", "id", CELL_TEXT, NULL},
        {"Account", "account", CELL_TEXT, NULL},
        {"Certificate", "serialNumber", CELL_TEXT, NULL},
        {"From", "source", CELL_TEXT, NULL},
        {"Since", "sinceTime", CELL_TIME, NULL},
        {"To", "destinations", CELL_LIST, NULL},
        {"Bytes In", "bytesIn", CELL_NUMBER, NULL},
        {"Bytes Out", "bytesOut", CELL_NUMBER, NULL},
        {.title = NULL},
    };
    static const char *const names[] = {"account", "gate"};
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(admin_path("/api/v1/gate-sessions", names, COUNT_OF(names), arguments, &path));
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_pages(api, path, "sessions", "before", "id", &answer));
    return admin_show_list(cli, answer, "sessions", columns);
}

static err_t cut_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *session = NULL;
    TRY(api_path(cli, &path, "/api/v1/gate-sessions/", arguments->words[0], NULL));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    TRY(answer_object(cli, answer, "session", &session));
    return authority_done(cli, answer, "The gate %s was told to end the session of %s from %s.",
                          member_text(session, "gate"), member_text(session, "account"),
                          member_text(session, "source"));
}

static const struct option list_options[] = {
    {0, "account", "NAME", "those of one account"},
    {0, "gate", "NAME", "those at the gates of one host"},
    {.name = NULL},
};

static const struct command list = {.name = "list",
                                    .arguments = "",
                                    .summary = "The sessions that live at the gates, newest first",
                                    .options = list_options,
                                    .run = list_run},
                            cut = {.name = "cut",
                                   .arguments = "SESSION",
                                   .summary = "End one of them, as it is listed",
                                   .words_min = 1,
                                   .words_max = 1,
                                   .run = cut_run};

static const struct command *const children[] = {&list, &cut, NULL};

const struct command command_admin_session = {
    .name = "session",
    .arguments = "COMMAND",
    .summary = "Live sessions at the gates",
    .children = children,
};
