/* postern admin job …: the registry of jobs by hand, where no scheduler keeps it. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/admin/admin.h"
#include "cli/jobs/jobs.h"

enum { PORT_MAX = 65535 };

static err_t put_list(const struct arguments *arguments, const char *option, const char *member,
                      json_t *body) {
    json_t *list CLEANUP(json_freep) = json_array();
    size_t at = 0;
    for (const char *text; (text = arguments_next(arguments, option, &at)) != NULL;) {
        if (json_array_append_new(list, json_string(text)) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    return json_array_size(list) == 0 || json_object_set(body, member, list) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static err_t show_enrolments(const json_t *answer) {
    size_t index;
    json_t *enrolment;
    json_array_foreach(json_object_get(answer, "enrolments"), index, enrolment) {
        (void)printf("%s enrols itself, once, by the token\n  %s\n", member_text(enrolment, "host"),
                     member_text(enrolment, "enrolmentToken"));
    }
    return OK;
}

static err_t start_run(struct cli *cli, const struct arguments *arguments) {
    json_t *port CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    const char *account = arguments_value(arguments, "account");
    const char *type = arguments_value(arguments, "type");
    if (account == NULL) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "--account is missing: whose job it is");
    }
    TRY(admin_number(cli, "port", arguments_value(arguments, "port"), PORT_MAX, &port));
    json_t *body CLEANUP(json_freep) =
        json_pack("{s:s, s:s, s:s*, s:s*, s:O*, s:s*}", "username", account, "type",
                  type != NULL ? type : "shared", "user", arguments_value(arguments, "user"),
                  "address", arguments_value(arguments, "address"), "port", port, "duration",
                  arguments_value(arguments, "duration"));
    TRY(body == NULL ? FAIL(ERR_MEMORY) : put_list(arguments, "node", "nodes", body));
    TRY(put_list(arguments, "host-key", "hostKeys", body));
    if (arguments_has(arguments, "enrol") && json_object_set_new(body, "enrol", json_true()) != 0) {
        return FAIL(ERR_MEMORY);
    }
    TRY(api_path(cli, &path, "/api/v1/clusters/", arguments->words[0], "/jobs/",
                 arguments->words[1], NULL));
    TRY(authority_send(cli, HTTP_PUT, path, TAKE(body), &answer));
    TRY(authority_done(cli, answer, "Job %s of %s runs on %s.", arguments->words[1], account,
                       arguments->words[0]));
    return cli->json ? OK : show_enrolments(answer);
}

static err_t end_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/clusters/", arguments->words[0], "/jobs/",
                 arguments->words[1], NULL));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    return authority_done(cli, answer,
                          "Job %s on %s has ended; sessions that came in for it end now.",
                          arguments->words[1], arguments->words[0]);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_path(cli, &path, "/api/v1/clusters/", arguments->words[0], "/jobs", NULL));
    TRY(api_pages(api, path, "jobs", "after", "id", &answer));
    return jobs_show(cli, answer);
}

static const struct option start_options[] = {
    {0, "account", "NAME", "whose job it is"},
    {0, "type", "shared|whole|deploy|cluster", "shared otherwise"},
    {0, "node", "NAME", "a node of it; may be given again", .many = true},
    {'d', "duration", "TIME", "when it ends by itself: 2h"},
    {0, "user", "USER", "of a job cluster: the Unix user to log in as"},
    {0, "address", "ADDRESS", "of a job cluster: as clients dial it"},
    {0, "port", "NUMBER", "of a job cluster: of its sshd"},
    {0, "host-key", "LINE", "of a job cluster: its public host key"},
    {0, "enrol", NULL, "of a job cluster: make one-time enrolment tokens for its nodes",
     .many = true},
    {.name = NULL},
};

static const struct command start = {.name = "start",
                                     .arguments = "CLUSTER JOB",
                                     .summary = "Say that a job runs, or that it changed",
                                     .options = start_options,
                                     .words_min = 2,
                                     .words_max = 2,
                                     .run = start_run},
                            end = {.name = "end",
                                   .arguments = "CLUSTER JOB",
                                   .summary = "Say that a job has ended",
                                   .words_min = 2,
                                   .words_max = 2,
                                   .run = end_run},
                            list = {.name = "list",
                                    .arguments = "CLUSTER",
                                    .summary = "List the jobs that run on a cluster",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .run = list_run};

static const struct command *const children[] = {&start, &end, &list, NULL};

const struct command command_admin_job = {
    .name = "job",
    .arguments = "COMMAND",
    .summary = "Jobs, where no scheduler tells of them",
    .children = children,
};
