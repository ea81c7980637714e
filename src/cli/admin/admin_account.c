/* postern admin account … */
#include <stdio.h>

#include "base/clock.h"
#include "cli/account/left.h"
#include "cli/admin/admin.h"

enum { QUOTA_MAX = 100000 };

static err_t show_invitation(const json_t *answer, const char *name) {
    char until[TIME_CHARS];
    print_time_cell(member_text(answer, "invitationExpireTime"), until);
    (void)printf("Give this to %s, over a channel you trust; it works once, until %s:\n"
                 "  %s\n"
                 "or, at a terminal:\n"
                 "  postern login --invitation %s\n",
                 name, until, member_text(answer, "invitationUrl"),
                 member_text(answer, "invitation"));
    return OK;
}

static void show_window(const json_t *answer, const char *name) {
    char until[TIME_CHARS];
    print_time_cell(member_text(answer, "windowExpireTime"), until);
    (void)printf("Until %s %s may register a key at the gate, by this password and once:\n"
                 "  %s\n"
                 "with: ssh-copy-id -i KEY.pub %s@GATE\n",
                 until, name, member_text(answer, "windowPassword"), name);
}

static err_t create_run(struct cli *cli, const struct arguments *arguments) {
    const char *name = arguments->words[0];
    json_t *answer CLEANUP(json_freep) = NULL;
    bool window = arguments_has(arguments, "password-window");
    json_t *body = json_pack("{s:s, s:s*, s:s*, s:o*, s:o*}", "name", name, "displayName",
                             arguments_value(arguments, "display-name"), "email",
                             arguments_value(arguments, "email"), "administrator",
                             arguments_has(arguments, "administrator") ? json_true() : NULL,
                             "passwordWindow", window ? json_true() : NULL);
    TRY(authority_send(cli, HTTP_POST, "/api/v1/accounts", body, &answer));
    if (cli->json) {
        return print_json(answer);
    }
    (void)printf("Account %s is created.\n", name);
    if (window) {
        show_window(answer, name);
    }
    return show_invitation(answer, name);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    static const struct admin_column columns[] = {
        {"Name", "name", CELL_TEXT, NULL},
        {"Kind", "kind", CELL_TEXT, NULL},
        {"Display Name", "displayName", CELL_TEXT, NULL},
        {"Projects", "projects", CELL_LIST, "name"},
        {"Enrolled", "enrolled", CELL_YES_NO, NULL},
        {"Disabled", "disabled", CELL_YES_NO, NULL},
        {"Administrator", "administrator", CELL_YES_NO, NULL},
        {.title = NULL},
    };
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_pages(api, "/api/v1/accounts", "accounts", "after", "name", &answer));
    return admin_show_list(cli, answer, "accounts", columns);
}

static err_t show_account(const json_t *account) {
    char created[TIME_CHARS];
    char window[TIME_CHARS];
    char quota[32] = "";
    char *projects CLEANUP(freep) = NULL;
    TRY(member_join(account, "projects", "name", &projects));
    print_time_cell(member_text(account, "createdTime"), created);
    print_time_cell(member_text(account, "windowExpireTime"), window);
    long long per_day = json_integer_value(json_object_get(account, "quotaPerDay"));
    if (per_day > 0) {
        (void)snprintf(quota, sizeof quota, "%lld a day", per_day);
    }
    print_field("Name", member_text(account, "name"));
    print_field("Kind", member_text(account, "kind"));
    print_field("Display name", member_text(account, "displayName"));
    print_field("Email", member_text(account, "email"));
    print_field("Projects", projects);
    print_field("Enrolled", member_true(account, "enrolled") ? "yes" : "no");
    print_field("Disabled", member_true(account, "disabled") ? "yes" : "no");
    print_field("Administrator", member_true(account, "administrator") ? "yes" : "no");
    print_field("Quota", quota);
    print_field("Window until", window);
    print_field("Created", created);
    return OK;
}

static err_t show_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/accounts/", arguments->words[0], NULL));
    TRY(authority_call(cli, HTTP_GET, path, &answer));
    const json_t *account = NULL;
    TRY(answer_object(cli, answer, "account", &account));
    return cli->json ? print_json(answer) : show_account(account);
}

static err_t put(struct cli *cli, const char *name, json_t *body, json_t **answer) {
    json_t *owned CLEANUP(json_freep) = body;
    char *path CLEANUP(freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/accounts/", name, NULL));
    return authority_send(cli, HTTP_PUT, path, TAKE(owned), answer);
}

static err_t disable_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(put(cli, arguments->words[0], json_pack("{s:b}", "disabled", true), &answer));
    return authority_done(cli, answer, "%s is disabled; its sessions and certificates are ended.",
                          arguments->words[0]);
}

static err_t enable_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(put(cli, arguments->words[0], json_pack("{s:b}", "disabled", false), &answer));
    return authority_done(cli, answer, "%s is enabled.", arguments->words[0]);
}

static err_t invite_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/accounts/", arguments->words[0], "/invitation", NULL));
    TRY(authority_call(cli, HTTP_POST, path, &answer));
    return cli->json ? print_json(answer) : show_invitation(answer, arguments->words[0]);
}

static void show_reset(const json_t *answer, const char *name) {
    const json_t *ended = json_object_get(answer, "ended");
    (void)printf("Every sign-in of %s has ended.\n", name);
    if (member_number(ended, "grants") > 0) {
        (void)printf("Automation grants have ended: %lld, with %lld certificates.\n",
                     member_number(ended, "grants"), member_number(ended, "certificates"));
    }
    left_print(json_object_get(answer, "left"), name);
}

static err_t reset_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/accounts/", arguments->words[0], "/reset-factors", NULL));
    TRY(authority_call(cli, HTTP_POST, path, &answer));
    if (cli->json) {
        return print_json(answer);
    }
    show_reset(answer, arguments->words[0]);
    return show_invitation(answer, arguments->words[0]);
}

static err_t forget_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/accounts/", arguments->words[0], "/forget-identity", NULL));
    TRY(authority_call(cli, HTTP_POST, path, &answer));
    return authority_done(
        cli, answer,
        "Sessions, certificates, grants and keys of %s have ended; it belongs to whoever next "
        "signs in by its name. A password of it at this site stays: postern admin account "
        "reset-factors %s",
        arguments->words[0], arguments->words[0]);
}

static err_t window_run(struct cli *cli, const struct arguments *arguments) {
    const char *name = arguments->words[0];
    bool close = arguments_has(arguments, "close");
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/accounts/", name, "/window", NULL));
    TRY(authority_call(cli, close ? HTTP_DELETE : HTTP_POST, path, &answer));
    if (close || cli->json) {
        return authority_done(cli, answer, "The enrolment window of %s is closed.", name);
    }
    show_window(answer, name);
    return OK;
}

static err_t rotate_run(struct cli *cli, const struct arguments *arguments) {
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(api_path(cli, &path, "/api/v1/accounts/", arguments->words[0], "/internal-keys/rotate",
                 NULL));
    TRY(authority_call(cli, HTTP_POST, path, &answer));
    return authority_done(
        cli, answer,
        "The internal keys of %s are good no more (%lld); the frontends make new ones.",
        arguments->words[0], member_number(answer, "removed"));
}

static err_t set_run(struct cli *cli, const struct arguments *arguments) {
    json_t *administrator CLEANUP(json_freep) = NULL;
    json_t *quota CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(admin_yes_no(cli, "administrator", arguments_value(arguments, "administrator"),
                     &administrator));
    TRY(admin_number(cli, "quota", arguments_value(arguments, "quota"), QUOTA_MAX, &quota));
    json_t *body CLEANUP(json_freep) = json_pack(
        "{s:s*, s:s*, s:O*, s:O*}", "displayName", arguments_value(arguments, "display-name"),
        "email", arguments_value(arguments, "email"), "administrator", administrator, "quotaPerDay",
        quota);
    if (body != NULL && json_object_size(body) == 0) {
        trouble_next(&cli->trouble, "postern admin account set --help");
        return trouble_set(&cli->trouble, EXIT_USAGE, "nothing to set was given");
    }
    TRY(put(cli, arguments->words[0], TAKE(body), &answer));
    return authority_done(cli, answer, "%s is changed.", arguments->words[0]);
}

static const struct option create_options[] = {
    {0, "display-name", "TEXT", "the person's name"},
    {0, "email", "ADDRESS", "where to reach them"},
    {0, "administrator", NULL, "may administer the site", .many = true},
    {0, "password-window", NULL, "opens the enrolment window, and makes an initial password",
     .many = true},
    {.name = NULL},
};
static const struct option window_options[] = {
    {0, "close", NULL, "closes it instead", .many = true},
    {.name = NULL},
};
static const struct option set_options[] = {
    {0, "display-name", "TEXT", "the person's name"},
    {0, "email", "ADDRESS", "where to reach them"},
    {0, "quota", "NUMBER", "certificates a day; 0: the site's"},
    {0, "administrator", "yes|no", "may administer the site"},
    {.name = NULL},
};

static const struct command
    create = {.name = "create",
              .arguments = "NAME",
              .summary = "Create an account and its invitation",
              .options = create_options,
              .words_min = 1,
              .words_max = 1,
              .run = create_run},
    list = {.name = "list", .arguments = "", .summary = "List accounts", .run = list_run},
    show = {.name = "show",
            .arguments = "NAME",
            .summary = "Show an account",
            .words_min = 1,
            .words_max = 1,
            .run = show_run},
    disable = {.name = "disable",
               .arguments = "NAME",
               .summary = "Shut an account out, its certificates and sessions included",
               .words_min = 1,
               .words_max = 1,
               .run = disable_run},
    enable = {.name = "enable",
              .arguments = "NAME",
              .summary = "Let an account in again",
              .words_min = 1,
              .words_max = 1,
              .run = enable_run},
    invite = {.name = "invite",
              .arguments = "NAME",
              .summary = "A new invitation: password and authenticator are chosen anew",
              .words_min = 1,
              .words_max = 1,
              .run = invite_run},
    reset = {.name = "reset-factors",
             .arguments = "NAME",
             .summary = "Take password, passkeys and codes away, end sessions, and invite anew",
             .words_min = 1,
             .words_max = 1,
             .run = reset_run},
    forget = {.name = "forget-identity",
              .arguments = "NAME",
              .summary =
                  "Let another person of an external issuer have an account, and end sessions",
              .words_min = 1,
              .words_max = 1,
              .run = forget_run},
    window = {.name = "window",
              .arguments = "NAME",
              .summary = "Let an account register a key at a gate, by a new initial password",
              .options = window_options,
              .words_min = 1,
              .words_max = 1,
              .run = window_run},
    rotate = {.name = "rotate-internal-key",
              .arguments = "NAME",
              .summary = "End an account's internal keys; frontends make new ones",
              .words_min = 1,
              .words_max = 1,
              .run = rotate_run},
    set = {.name = "set",
           .arguments = "NAME",
           .summary = "Change an account",
           .options = set_options,
           .words_min = 1,
           .words_max = 1,
           .run = set_run};

static const struct command *const children[] = {&create, &list,   &show,   &disable,
                                                 &enable, &invite, &reset,  &forget,
                                                 &window, &set,    &rotate, NULL};

const struct command command_admin_account = {
    .name = "account",
    .arguments = "COMMAND",
    .summary = "Accounts of people",
    .children = children,
};
