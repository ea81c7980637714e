/* What every command gets, and what it is to main(). */
#ifndef POSTERN_CLI_CLI_H
#define POSTERN_CLI_CLI_H

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/options.h"
#include "cli/table.h"
#include "cli/trouble.h"

struct cli {
    bool json;
    const char *site; /* --site; NULL: the only one */
    struct trouble trouble;
    enum exit_code exit; /* of a command that did its work and has a bad tale to tell (status) */
};

struct command {
    const char *name;
    const char *arguments; /* "SERIAL | --all"; "" for none */
    const char *summary;
    const char *details; /* further lines of --help; may be NULL */
    const struct option *options;
    size_t words_min;
    size_t words_max;
    bool takes_command;                    /* after "--": arguments->command */
    bool hidden;                           /* for programs: neither shown nor guessed */
    const struct command *const *children; /* ended by NULL; a group has these, and
                                              run() only where its name alone says something */
    err_t (*run)(struct cli *cli, const struct arguments *arguments);
};

extern const struct command command_init;
extern const struct command command_login;
extern const struct command command_logout;
extern const struct command command_whoami;
extern const struct command command_sign;
extern const struct command command_refresh;
extern const struct command command_credentials;
extern const struct command command_grant;
extern const struct command command_project;
extern const struct command command_gen;
extern const struct command command_list;
extern const struct command command_revoke;
extern const struct command command_revoke_all;
extern const struct command command_status;
extern const struct command command_key;
extern const struct command command_keygen;
extern const struct command command_access;
extern const struct command command_account;
extern const struct command command_ssh;
extern const struct command command_tunnel;
extern const struct command command_socks;
extern const struct command command_mount;
extern const struct command command_umount;
extern const struct command command_jobs;
extern const struct command command_job;
extern const struct command command_config;
extern const struct command command_known_hosts;
extern const struct command command_agent;
extern const struct command command_doctor;
extern const struct command command_completion;
extern const struct command command_complete;
extern const struct command command_admin;
extern const struct command command_admin_account;
extern const struct command command_admin_project;
extern const struct command command_admin_cluster;
extern const struct command command_admin_host;
extern const struct command command_admin_job;
extern const struct command command_admin_service_account;
extern const struct command command_admin_issuer;
extern const struct command command_admin_audit;
extern const struct command command_admin_session;
extern const struct command command_admin_statistics;

static inline void json_freep(json_t **json) {
    json_decref(*json);
    *json = NULL;
}

/* --json: the answer as it is, ASCII only. */
err_t print_json(const json_t *json);
/* On a terminal as wide as it is, boxed where it can show that; elsewhere plain and whole. */
err_t print_table(const struct table *table);
/* "Label:       value" lines, one under the other. Nothing for an empty value. */
void print_field(const char *label, const char *value);
/* A warning on standard error, sanitised, in one line. */
void print_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* RFC 3339 from an answer, in local time with zone; the text itself when it is no time. */
void print_time_cell(const char *rfc3339, char out[TIME_CHARS]);
/* "2026-04-01 16:15:20 +02:00 (in a day)" */
void time_and_distance(int64_t when, char out[80]);

/* Members of an answer. answer_text() and its like refuse an answer that lacks the member. */
err_t answer_text(struct cli *cli, const json_t *answer, const char *name, const char **out);
err_t answer_array(struct cli *cli, const json_t *answer, const char *name, const json_t **out);
err_t answer_object(struct cli *cli, const json_t *answer, const char *name, const json_t **out);
err_t answer_time(struct cli *cli, const json_t *answer, const char *name, int64_t *out);
/* "" when absent or no string. */
const char *member_text(const json_t *object, const char *name);
bool member_true(const json_t *object, const char *name);
/* 0 when absent or no number. */
long long member_number(const json_t *object, const char *name);
/* The strings of an array member (or a member of each object in it), joined by ", ". */
err_t member_join(const json_t *object, const char *name, const char *inner, char **out);

#endif
