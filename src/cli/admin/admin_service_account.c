/* postern admin service-account … and the API keys of these accounts. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/admin/admin.h"

static err_t create_run(struct cli *cli, const struct arguments *arguments) {
    const char *project = arguments_value(arguments, "project");
    json_t *answer CLEANUP(json_freep) = NULL;
    if (project == NULL) {
        trouble_next(&cli->trouble, "postern admin service-account create %s --project PROJECT",
                     arguments->words[0]);
        return trouble_set(&cli->trouble, EXIT_USAGE, "--project is missing");
    }
    TRY(authority_send(cli, HTTP_POST, "/api/v1/service-accounts",
                       json_pack("{s:s, s:s}", "name", arguments->words[0], "project", project),
                       &answer));
    return authority_done(cli, answer, "Service account %s is created.", arguments->words[0]);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    static const struct admin_column columns[] = {
        {"Name", "name", CELL_TEXT, NULL},
        {"Projects", "projects", CELL_LIST, "name"},
        {"Disabled", "disabled", CELL_YES_NO, NULL},
        {"Created", "createdTime", CELL_TIME, NULL},
        {.title = NULL},
    };
    const char *project = arguments_value(arguments, "project");
    char *path CLEANUP(freep) = NULL;
    TRY(project == NULL ? api_path(cli, &path, "/api/v1/service-accounts", NULL)
                        : api_path(cli, &path, "/api/v1/service-accounts?project=", project, NULL));
    return admin_list(cli, path, "accounts", columns);
}

static err_t set_run(struct cli *cli, const struct arguments *arguments) {
    const char *name = arguments->words[0];
    json_t *impersonates = NULL;
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(admin_yes_no(cli, "impersonates", arguments_value(arguments, "impersonates"),
                     &impersonates));
    TRY(api_path(cli, &path, "/api/v1/accounts/", name, NULL));
    TRY(authority_send(cli, HTTP_PUT, path, json_pack("{s:o*}", "impersonates", impersonates),
                       &answer));
    return authority_done(cli, answer, "Service account %s is changed.", name);
}

/* NULL without the option. */
static err_t option_array(const struct arguments *arguments, const char *option, json_t **out) {
    json_t *list CLEANUP(json_freep) = NULL;
    size_t at = 0;
    for (const char *text; (text = arguments_next(arguments, option, &at)) != NULL;) {
        list = list != NULL ? list : json_array();
        if (json_array_append_new(list, json_string(text)) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    *out = TAKE(list);
    return OK;
}

/* Made here and shown once: it goes to standard output, its story to standard error. */
static err_t key_create_run(struct cli *cli, const struct arguments *arguments) {
    const char *name = arguments->words[0];
    const char *label = arguments_value(arguments, "name");
    json_t *subnets CLEANUP(json_freep) = NULL;
    json_t *clusters CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(option_array(arguments, "ip-subnet", &subnets));
    TRY(option_array(arguments, "cluster", &clusters));
    TRY(api_path(cli, &path, "/api/v1/service-accounts/", name, "/api-keys", NULL));
    TRY(authority_send(
        cli, HTTP_POST, path,
        json_pack("{s:s, s:s*, s:O*, s:O*, s:s*}", "name", label != NULL ? label : name,
                  "expiresIn", arguments_value(arguments, "expires"), "ipSubnets", subnets,
                  "clusters", clusters, "maxDuration", arguments_value(arguments, "max-duration")),
        &answer));
    if (cli->json) {
        return print_json(answer);
    }
    const char *api_key = NULL;
    TRY(answer_text(cli, answer, "apiKey", &api_key));
    char until[TIME_CHARS];
    print_time_cell(member_text(answer, "expireTime"), until);
    (void)fprintf(stderr,
                  "API key %s of %s, good until %s. It is shown this once; the service gets it as\n"
                  "POSTERN_API_KEY.\n",
                  member_text(answer, "id"), name, until);
    (void)printf("%s\n", api_key);
    return OK;
}

static err_t key_list_run(struct cli *cli, const struct arguments *arguments) {
    static const struct admin_column columns[] = {
        {"Id", "id", CELL_TEXT, NULL},
        {"Name", "name", CELL_TEXT, NULL},
        {"Begins With", "hint", CELL_TEXT, NULL},
        {"Subnets", "ipSubnets", CELL_LIST, NULL},
        {"Clusters", "clusters", CELL_LIST, NULL},
        {"Each Lasts", "maxDuration", CELL_TEXT, NULL},
        {"Expires", "expireTime", CELL_TIME, NULL},
        {"Last Used", "lastUsedTime", CELL_TIME, NULL},
        {"Revoked", "revoked", CELL_YES_NO, NULL},
        {.title = NULL},
    };
    char *path CLEANUP(freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/service-accounts/", arguments->words[0], "/api-keys", NULL));
    return admin_list(cli, path, "apiKeys", columns);
}

static err_t key_revoke_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/service-accounts/", arguments->words[0], "/api-keys/",
                 arguments->words[1], NULL));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    return authority_done(
        cli, answer, "API key %s of %s is revoked. Certificates revoked with it: %lld",
        arguments->words[1], arguments->words[0], member_number(answer, "certificatesRevoked"));
}

static const struct option create_options[] = {
    {0, "project", "NAME", "the project that owns it"},
    {.name = NULL},
};
static const struct option list_options[] = {
    {0, "project", "NAME", "just those of one project"},
    {.name = NULL},
};
static const struct option key_create_options[] = {
    {0, "name", "TEXT", "what the key is for"},
    {0, "expires", "TIME", "how long it is good: 90d"},
    {0, "ip-subnet", "CIDR", "only good from there; may be given again", .many = true},
    {0, "cluster", "NAME", "only for this cluster; may be given again", .many = true},
    {0, "max-duration", "TIME", "the longest of its certificates: 1min"},
    {.name = NULL},
};

static const struct option set_options[] = {
    {0, "impersonates", "yes|no", "it gets certificates of its project's members, as portals do"},
    {.name = NULL},
};

static const struct command key_create = {.name = "create",
                                          .arguments = "ACCOUNT",
                                          .summary = "Make an API key; it is shown once",
                                          .options = key_create_options,
                                          .words_min = 1,
                                          .words_max = 1,
                                          .run = key_create_run},
                            key_list = {.name = "list",
                                        .arguments = "ACCOUNT",
                                        .summary = "List an account's API keys",
                                        .words_min = 1,
                                        .words_max = 1,
                                        .run = key_list_run},
                            key_revoke = {.name = "revoke",
                                          .arguments = "ACCOUNT ID",
                                          .summary = "End an API key now",
                                          .words_min = 2,
                                          .words_max = 2,
                                          .run = key_revoke_run};

static const struct command *const key_children[] = {&key_create, &key_list, &key_revoke, NULL};

static const struct command create = {.name = "create",
                                      .arguments = "NAME",
                                      .summary = "Create a service account",
                                      .options = create_options,
                                      .words_min = 1,
                                      .words_max = 1,
                                      .run = create_run},
                            list = {.name = "list",
                                    .arguments = "",
                                    .summary = "List service accounts",
                                    .options = list_options,
                                    .run = list_run},
                            set = {.name = "set",
                                   .arguments = "NAME",
                                   .summary = "Change what a service account may do",
                                   .options = set_options,
                                   .words_min = 1,
                                   .words_max = 1,
                                   .run = set_run},
                            key = {.name = "key",
                                   .arguments = "COMMAND",
                                   .summary = "API keys of a service account",
                                   .children = key_children};

static const struct command *const children[] = {&create, &list, &set, &key, NULL};

const struct command command_admin_service_account = {
    .name = "service-account",
    .arguments = "COMMAND",
    .summary = "Accounts of services, and their API keys",
    .children = children,
};
