/* postern admin project … */
#include <stdio.h>

#include "cli/admin/admin.h"

static err_t create_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(authority_send(cli, HTTP_POST, "/api/v1/projects",
                       json_pack("{s:s, s:s*}", "name", arguments->words[0], "displayName",
                                 arguments_value(arguments, "display-name")),
                       &answer));
    return authority_done(cli, answer, "Project %s is created.", arguments->words[0]);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    static const struct admin_column columns[] = {
        {"Name", "name", CELL_TEXT, NULL},
        {"Display Name", "displayName", CELL_TEXT, NULL},
        {"Members", "members", CELL_LIST, "username"},
        {"Clusters", "clusters", CELL_LIST, NULL},
        {.title = NULL},
    };
    return admin_list(cli, "/api/v1/projects", "projects", columns);
}

static err_t show_project(const json_t *project) {
    char *clusters CLEANUP(freep) = NULL;
    TRY(member_join(project, "clusters", NULL, &clusters));
    print_field("Name", member_text(project, "name"));
    print_field("Display name", member_text(project, "displayName"));
    print_field("Clusters", clusters);
    size_t index;
    json_t *member;
    json_array_foreach(json_object_get(project, "members"), index, member) {
        (void)printf("Member:         %s (%s)\n", member_text(member, "username"),
                     member_text(member, "role"));
    }
    return OK;
}

static err_t show_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/projects/", arguments->words[0], NULL));
    TRY(authority_call(cli, HTTP_GET, path, &answer));
    const json_t *project = NULL;
    TRY(answer_object(cli, answer, "project", &project));
    return cli->json ? print_json(answer) : show_project(project);
}

static err_t add_member_run(struct cli *cli, const struct arguments *arguments) {
    const char *role = arguments_value(arguments, "role");
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/projects/", arguments->words[0], "/members/",
                 arguments->words[1], NULL));
    TRY(authority_send(cli, HTTP_PUT, path,
                       json_pack("{s:s}", "role", role != NULL ? role : "member"), &answer));
    return authority_done(cli, answer, "%s is a %s of %s.", arguments->words[1],
                          role != NULL ? role : "member", arguments->words[0]);
}

static err_t remove_member_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/projects/", arguments->words[0], "/members/",
                 arguments->words[1], NULL));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    return authority_done(cli, answer, "%s is no longer in %s.", arguments->words[1],
                          arguments->words[0]);
}

static err_t invite_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    const char *invitation = NULL;
    TRY(api_path(cli, &path, "/api/v1/projects/", arguments->words[0], "/invitations", NULL));
    TRY(authority_send(cli, HTTP_POST, path,
                       json_pack("{s:s, s:s*}", "name", arguments->words[1], "displayName",
                                 arguments_value(arguments, "display-name")),
                       &answer));
    if (cli->json) {
        return print_json(answer);
    }
    TRY(answer_text(cli, answer, "invitation", &invitation));
    char until[TIME_CHARS];
    const char *page = member_text(answer, "invitationUrl");
    print_time_cell(member_text(answer, "invitationExpireTime"), until);
    (void)fprintf(stderr,
                  "%s is a member of %s, and signs in first, until %s, by:\n"
                  "  %.*s#…\n"
                  "or, at a terminal: postern login --invitation …\n",
                  arguments->words[1], arguments->words[0], until, (int)strcspn(page, "#"), page);
    (void)printf("%s\n", invitation);
    return OK;
}

static err_t certificates_run(struct cli *cli, const struct arguments *arguments) {
    static const struct admin_column columns[] = {
        {"Account", "username", CELL_TEXT, NULL},
        {"Serial", "serialNumber", CELL_TEXT, NULL},
        {"Key", "fingerprint", CELL_TEXT, NULL},
        {"Obtained By", "obtainedBy", CELL_TEXT, NULL},
        {"Since", "createTime", CELL_TIME, NULL},
        {"Until", "expireTime", CELL_TIME, NULL},
        {.title = NULL},
    };
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/projects/", arguments->words[0], "/certificates", NULL));
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_pages(api, path, "certificates", "before", "serialNumber", &answer));
    (void)json_object_set_new(answer, "complete", json_true()); /* as all pages are together */
    return admin_show_list(cli, answer, "certificates", columns);
}

static err_t cluster_call(struct cli *cli, const struct arguments *arguments,
                          enum http_method method, json_t **answer) {
    char *path CLEANUP(freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/projects/", arguments->words[0], "/clusters/",
                 arguments->words[1], NULL));
    return authority_call(cli, method, path, answer);
}

static err_t add_cluster_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(cluster_call(cli, arguments, HTTP_PUT, &answer));
    return authority_done(cli, answer, "%s reaches %s.", arguments->words[0], arguments->words[1]);
}

static err_t remove_cluster_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(cluster_call(cli, arguments, HTTP_DELETE, &answer));
    return authority_done(cli, answer, "%s no longer reaches %s.", arguments->words[0],
                          arguments->words[1]);
}

static const struct option create_options[] = {
    {0, "display-name", "TEXT", "what the project is about"},
    {.name = NULL},
};
static const struct option member_options[] = {
    {0, "role", "member|manager", "managers add and remove members"},
    {.name = NULL},
};

static const struct command create = {.name = "create",
                                      .arguments = "NAME",
                                      .summary = "Create a project",
                                      .options = create_options,
                                      .words_min = 1,
                                      .words_max = 1,
                                      .run = create_run},
                            list = {.name = "list",
                                    .arguments = "",
                                    .summary = "List projects",
                                    .run = list_run},
                            show = {.name = "show",
                                    .arguments = "NAME",
                                    .summary = "Show a project, its members and clusters",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .run = show_run},
                            add_member = {.name = "add-member",
                                          .arguments = "PROJECT ACCOUNT",
                                          .summary = "Take an account in, or change its role",
                                          .options = member_options,
                                          .words_min = 2,
                                          .words_max = 2,
                                          .run = add_member_run},
                            remove_member = {.name = "remove-member",
                                             .arguments = "PROJECT ACCOUNT",
                                             .summary = "Take an account out",
                                             .words_min = 2,
                                             .words_max = 2,
                                             .run = remove_member_run},
                            add_cluster = {.name = "add-cluster",
                                           .arguments = "PROJECT CLUSTER",
                                           .summary = "Let the project's members reach a cluster",
                                           .words_min = 2,
                                           .words_max = 2,
                                           .run = add_cluster_run},
                            remove_cluster = {.name = "remove-cluster",
                                              .arguments = "PROJECT CLUSTER",
                                              .summary = "No longer let them",
                                              .words_min = 2,
                                              .words_max = 2,
                                              .run = remove_cluster_run};

static const struct option invite_options[] = {
    {0, "display-name", "TEXT", "the person's name"},
    {.name = NULL},
};
static const struct command invite = {.name = "invite",
                                      .arguments = "PROJECT ACCOUNT",
                                      .summary = "Make an account for somebody new, and take it in",
                                      .details = "Again for a member who did not come while the "
                                                 "invitation was good: makes another.",
                                      .options = invite_options,
                                      .words_min = 2,
                                      .words_max = 2,
                                      .run = invite_run},
                            certificates = {.name = "certificates",
                                            .arguments = "PROJECT",
                                            .summary = "Show who has which certificates",
                                            .words_min = 1,
                                            .words_max = 1,
                                            .run = certificates_run};

/* The same commands for those who manage a project, without what is the administrators'. */
static const struct command *const manager_children[] = {
    &list, &show, &invite, &add_member, &remove_member, &certificates, NULL};

const struct command command_project = {
    .name = "project",
    .arguments = "COMMAND",
    .summary = "Your projects: who is in them, and who has certificates",
    .details = "Managers invite and remove; their service accounts: postern admin service-account.",
    .children = manager_children,
};

static const struct command *const children[] = {
    &create, &list, &show, &add_member, &remove_member, &add_cluster, &remove_cluster, NULL};

const struct command command_admin_project = {
    .name = "project",
    .arguments = "COMMAND",
    .summary = "Projects: who belongs to them, what they reach",
    .children = children,
};
