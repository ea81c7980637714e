/* postern list: one's certificates. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/site.h"

static err_t add_row(struct table *table, const json_t *ssh_key, int64_t now) {
    static const struct {
        const char *status;
        const char *mark;
        const char *shown;
    } statuses[] = {
        {"valid", "✅", "VALID"}, {"expired", "❌", "EXPIRED"}, {"revoked", "🚫", "REVOKED"}};
    const char *status = member_text(ssh_key, "status");
    const char *mark = NULL;
    const char *shown = status;
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        if (strcmp(status, statuses[i].status) == 0) {
            mark = statuses[i].mark;
            shown = statuses[i].shown;
        }
    }
    const char *expires = member_text(ssh_key, "expireTime");
    char distance[DURATION_CHARS] = "";
    char time[TIME_CHARS];
    int64_t when = 0;
    if (!failed(time_parse(span_str(expires), &when))) {
        duration_print_relative(when, now, distance);
    }
    print_time_cell(expires, time);
    TRY(table_add(table, member_text(ssh_key, "serialNumber")));
    TRY(table_add_marked(table, mark, shown));
    TRY(table_add(table, distance));
    return table_add(table, time);
}

static err_t show(struct cli *cli, const json_t *answer, bool all) {
    static const char *const columns[] = {"Serial Number", "Valid", "Expiration", "Expire Time",
                                          NULL};
    const json_t *ssh_keys = NULL;
    TRY(answer_array(cli, answer, "sshKeys", &ssh_keys));
    if (json_array_size(ssh_keys) == 0) {
        (void)fprintf(stderr, all ? "There are no certificates.\n"
                                  : "There are no valid certificates; --all shows the others.\n");
    }
    struct table *table CLEANUP(table_freep) = NULL;
    TRY(table_new(columns, &table));
    int64_t now = clock_now_s();
    size_t index;
    json_t *ssh_key;
    json_array_foreach(ssh_keys, index, ssh_key) { TRY(add_row(table, ssh_key, now)); }
    return print_table(table);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    bool all = arguments_has(arguments, "all");
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_pages(api,
                  all ? "/api/v1/ssh-keys?include_expired=true&include_revoked=true"
                      : "/api/v1/ssh-keys",
                  "sshKeys", "before", "serialNumber", &answer));
    return cli->json ? print_json(answer) : show(cli, answer, all);
}

static const struct option options[] = {
    {'a', "all", NULL, "also those that expired or were revoked", .many = true},
    {.name = NULL},
};

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .summary = "List your certificates",
    .options = options,
    .run = list_run,
};
