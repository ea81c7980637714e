#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "cli/standing.h"
#include "cli/table.h"

/* A line each, so that a new one is one line. */
/* clang-format off */
static const struct command *const commands[] = {
    &command_init,
    &command_login,
    &command_logout,
    &command_whoami,
    &command_access,
    &command_account,
    &command_credentials,
    &command_grant,

    &command_sign,
    &command_refresh,
    &command_list,
    &command_status,
    &command_revoke,
    &command_revoke_all,
    &command_gen,

    &command_keygen,
    &command_key,
    &command_agent,

    &command_config,
    &command_ssh,
    &command_tunnel,
    &command_socks,
    &command_mount,
    &command_umount,
    &command_jobs,
    &command_job,
    &command_known_hosts,
    &command_doctor,

    &command_completion,
    &command_complete,

    &command_project,
    &command_admin,
    NULL,
};

/* Each stands above its first command in --help. */
static const struct {
    const struct command *first;
    const char *text;
} headings[] = {
    {&command_init, "Signing in"},
    {&command_sign, "Certificates"},
    {&command_keygen, "Keys"},
    {&command_config, "Connecting"},
    {&command_completion, "This program"},
    {&command_project, "For managers and operators"},
};
/* clang-format on */

const struct command command_root = {
    .name = "postern",
    .arguments = "[COMMAND]",
    .summary =
        "Secure SSH access to computing clusters: signs in, gets certificates, revokes them.",
    .details = "Alone, it says where you stand and what to type next.\n"
               "Start with: postern init https://AUTHORITY, postern login, postern sign.\n"
               "The manual is postern(1).",
    .children = commands,
    .run = standing_run,
};

const struct option command_shared_options[] = {
    {'h', "help", NULL, "say what this command does", .many = true},
    {0, "json", NULL, "print JSON, with the member names of the API", .many = true},
    {0, "site", "SITE", "which site, when several are set up"},
    {'V', "version", NULL, "print the version", .many = true},
    {.name = NULL},
};

enum { COMMAND_COLUMNS = 20, OPTION_COLUMNS = 30 };

/* Where what is on the left is too long for its column, what is on the right begins a line. */
static void print_row(const char *left, size_t columns, const char *right) {
    size_t width = text_width(left);
    bool fits = width <= columns;
    (void)printf("  %s%s%*s %s\n", left, fits ? "" : "\n  ",
                 (int)(fits ? columns - width : columns), "", right);
}

static void print_options(const struct option *option) {
    for (; option != NULL && option->name != NULL; option++) {
        char left[64];
        (void)snprintf(left, sizeof left, "%c%c%s --%s%s%s", option->letter != 0 ? '-' : ' ',
                       option->letter != 0 ? option->letter : ' ', option->letter != 0 ? "," : " ",
                       option->name, option->value != NULL ? " " : "",
                       option->value != NULL ? option->value : "");
        print_row(left, OPTION_COLUMNS, option->help);
    }
}

static void print_children(const struct command *const *child) {
    for (; *child != NULL; child++) {
        for (size_t i = 0; i < COUNT_OF(headings); i++) {
            if (headings[i].first == *child) {
                (void)printf("%s%s:\n", i == 0 ? "" : "\n", headings[i].text);
            }
        }
        if (!(*child)->hidden) {
            print_row((*child)->name, COMMAND_COLUMNS, (*child)->summary);
        }
    }
}

void command_print_help(const struct command *command, const char *path) {
    (void)printf("%s\n\nUsage: %s%s%s%s\n\n", command->summary, path,
                 command->options != NULL ? " [OPTION]…" : "",
                 command->arguments[0] != '\0' ? " " : "", command->arguments);
    if (command->children != NULL) {
        (void)printf("%s", command == &command_root ? "" : "Commands:\n");
        print_children(command->children);
        (void)printf("\n");
    }
    (void)printf("Options:\n");
    print_options(command->options);
    print_options(command_shared_options);
    if (command->details != NULL) {
        (void)printf("\n%s\n", command->details);
    }
}
