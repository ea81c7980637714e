#include "cli/completion/candidates.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/reach.h"
#include "cli/sanitise.h"
#include "cli/site.h"

enum { ANSWER_S = 1, ABOUT_CHARS = 160 };

bool candidate_is_safe(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        bool digit = *at >= '0' && *at <= '9';
        if (!letter && !digit && strchr("._:@/+-", *at) == NULL) {
            return false;
        }
    }
    return text[0] != '\0' && text[0] != '-' && text[0] != ':';
}

static void print(const struct want *want, const char *word, const char *about) {
    if (strncmp(word, want->prefix, strlen(want->prefix)) == 0) {
        (void)printf("%.*s%s\t%s\n", (int)want->before.len, (const char *)want->before.data, word,
                     about);
    }
}

/* What came from elsewhere. */
static void print_foreign(const struct want *want, const char *word, const char *about) {
    char clean[ABOUT_CHARS] = "";
    struct buf text CLEANUP(buf_done) = BUF(sizeof clean - 1);
    if (!failed(text_sanitise(span_str(about), false, &text))) {
        (void)snprintf(clean, sizeof clean, "%.*s", (int)text.len, (const char *)text.data);
    }
    if (candidate_is_safe(word)) {
        print(want, word, clean);
    }
}

static void print_commands(const struct want *want) {
    for (const struct command *const *child = want->command->children; *child != NULL; child++) {
        if (!(*child)->hidden) {
            print(want, (*child)->name, (*child)->summary);
        }
    }
}

static void print_options(const struct want *want, const struct option *option) {
    for (; option != NULL && option->name != NULL; option++) {
        char word[64];
        (void)snprintf(word, sizeof word, "--%s", option->name);
        print(want, word, option->help);
    }
}

static void print_alternatives(const struct want *want, span_t values) {
    while (values.len > 0) {
        char word[64];
        span_t value = span_until(&values, '|');
        (void)snprintf(word, sizeof word, "%.*s", (int)value.len, (const char *)value.data);
        print(want, word, "");
    }
}

static err_t print_sites(struct cli *cli, const struct want *want) {
    (void)cli;
    struct site_names names CLEANUP(site_names_done) = {0};
    TRY(site_names_list(&names));
    for (size_t i = 0; i < names.count; i++) {
        print_foreign(want, names.names[i], "");
    }
    return OK;
}

static void on_alarm(int number) {
    (void)number;
    _exit(EXIT_DONE);
}

/* Whoever waits at a prompt waits a second at most, whatever this process waits for. So no sign-in
 * is renewed here: the authority takes a token that renews once, and might have given the next one
 * to a process that has ended. */
static err_t ask(struct cli *cli, const char *path, json_t **answer) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct token token CLEANUP(token_done) = {0};
    struct api *api CLEANUP(api_closep) = NULL;
    (void)fflush(stdout);
    (void)signal(SIGALRM, on_alarm);
    (void)alarm(ANSWER_S);
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(getenv("POSTERN_API_KEY") != NULL ? OK : token_load(&cli->trouble, site, NULL, &token));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_call(api, HTTP_GET, path, answer));
    (void)alarm(0);
    return OK;
}

static err_t print_serials(struct cli *cli, const struct want *want) {
    json_t *answer CLEANUP(json_freep) = NULL;
    size_t index;
    json_t *row;
    TRY(ask(cli, "/api/v1/ssh-keys", &answer));
    json_array_foreach(json_object_get(answer, "sshKeys"), index, row) {
        char until[TIME_CHARS] = "";
        print_time_cell(member_text(row, "expireTime"), until);
        print_foreign(want, member_text(row, "serialNumber"), until);
    }
    return OK;
}

static err_t print_jobs(struct cli *cli, const struct want *want) {
    json_t *answer CLEANUP(json_freep) = NULL;
    size_t index;
    json_t *row;
    TRY(ask(cli, "/api/v1/jobs", &answer));
    json_array_foreach(json_object_get(answer, "jobs"), index, row) {
        char *nodes CLEANUP(freep) = NULL;
        char about[ABOUT_CHARS];
        TRY(member_join(row, "nodes", NULL, &nodes));
        (void)snprintf(about, sizeof about, "%s %s", member_text(row, "cluster"), nodes);
        print_foreign(want, member_text(row, "job"), about);
    }
    return OK;
}

static err_t open_reach(struct cli *cli, struct reach **out) {
    struct site *site CLEANUP(site_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    return reach_open(cli, site, REACH_OFFLINE_S, out);
}

static err_t print_clusters(struct cli *cli, const struct want *want) {
    struct reach *reach CLEANUP(reach_freep) = NULL;
    TRY(open_reach(cli, &reach));
    for (size_t i = 0; i < reach->cluster_count; i++) {
        print_foreign(want, reach->clusters[i].name, reach->clusters[i].address);
    }
    return OK;
}

static err_t print_nodes(struct cli *cli, const struct want *want) {
    struct reach *reach CLEANUP(reach_freep) = NULL;
    TRY(open_reach(cli, &reach));
    for (size_t i = 0; i < reach->host_count; i++) {
        print_foreign(want, reach->hosts[i].name, reach->hosts[i].cluster);
    }
    return OK;
}

/* Whatever ssh can be told to go to. */
static err_t print_hosts(struct cli *cli, const struct want *want) {
    struct reach *reach CLEANUP(reach_freep) = NULL;
    TRY(open_reach(cli, &reach));
    for (size_t i = 0; i < reach->jump_count; i++) {
        print_foreign(want, reach->jumps[i].name, reach->jumps[i].address);
    }
    TRY(print_clusters(cli, want));
    return print_nodes(cli, want);
}

static err_t print_files(struct cli *cli, const struct want *want) {
    (void)cli;
    (void)want;
    (void)printf(":files\n");
    return OK;
}

/* By what --help calls a value. */
static const struct {
    const char *value;
    err_t (*print)(struct cli *cli, const struct want *want);
} sources[] = {
    {"FILE", print_files},   {"KEY", print_files},        {"PATH", print_files},
    {"FOLDER", print_files}, {"SERIAL", print_serials},   {"JOB", print_jobs},
    {"SITE", print_sites},   {"CLUSTER", print_clusters}, {"NODE", print_nodes},
    {"HOST", print_hosts},
};

static err_t print_values(struct cli *cli, const struct want *want, span_t value) {
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        if (span_equal_str(value, sources[i].value)) {
            return sources[i].print(cli, want);
        }
    }
    if (memchr(value.data, '|', value.len) != NULL) {
        print_alternatives(want, value);
    }
    return OK;
}

err_t candidates_print(struct cli *cli, const struct want *want) {
    switch (want->kind) {
    case WANT_NOTHING:
        break;
    case WANT_COMMAND:
        print_commands(want);
        break;
    case WANT_OPTION:
        print_options(want, want->command->options);
        print_options(want, command_shared_options);
        break;
    case WANT_VALUE:
        for (size_t i = 0; i < want->value_count; i++) {
            TRY(print_values(cli, want, want->values[i]));
        }
        break;
    }
    return OK;
}
