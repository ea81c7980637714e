/* postern jobs: one's jobs, and how to log in to them. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/api.h"
#include "cli/jobs/jobs.h"

/* "uprod_00Grm@203.0.113.7 port 32100" where the job has an address of its own, else its nodes. */
static err_t where_text(const json_t *job, char **out) {
    long long port = member_number(job, "port");
    if (member_text(job, "address")[0] == '\0') {
        return member_join(job, "nodes", NULL, out);
    }
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    TRY(buf_add_format(&text, "%s@%s", member_text(job, "user"), member_text(job, "address")));
    TRY(port > 0 && port != 22 ? buf_add_format(&text, " port %lld", port) : OK);
    return buf_to_str(&text, out);
}

static err_t add_row(struct table *table, const json_t *job) {
    char *where CLEANUP(freep) = NULL;
    char started[TIME_CHARS] = "", ends[TIME_CHARS] = "";
    const char *ended = member_text(job, "endedTime");
    TRY(where_text(job, &where));
    print_time_cell(member_text(job, "startTime"), started);
    const char *end = ended[0] != '\0' ? ended : member_text(job, "endTime");
    if (end[0] != '\0') {
        print_time_cell(end, ends);
    }
    TRY(table_add(table, member_text(job, "job")));
    TRY(table_add(table, member_text(job, "cluster")));
    TRY(table_add(table, ended[0] != '\0' ? "ended" : member_text(job, "type")));
    TRY(table_add(table, where));
    TRY(table_add(table, started));
    return table_add(table, ends);
}

err_t jobs_show(struct cli *cli, const json_t *answer) {
    static const char *const columns[] = {"Job", "Cluster", "Type", "Where", "Start", "End", NULL};
    const json_t *jobs = NULL;
    if (cli->json) {
        return print_json(answer);
    }
    TRY(answer_array(cli, answer, "jobs", &jobs));
    if (json_array_size(jobs) == 0) {
        (void)fprintf(stderr, "There are no jobs.\n");
    }
    struct table *table CLEANUP(table_freep) = NULL;
    TRY(table_new(columns, &table));
    size_t index;
    json_t *job;
    json_array_foreach(jobs, index, job) { TRY(add_row(table, job)); }
    return print_table(table);
}

static err_t jobs_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_pages(
        api, arguments_has(arguments, "all") ? "/api/v1/jobs?include_ended=true" : "/api/v1/jobs",
        "jobs", "after", "id", &answer));
    return jobs_show(cli, answer);
}

static const struct option options[] = {
    {'a', "all", NULL, "also those that have ended", .many = true},
    {.name = NULL},
};

const struct command command_jobs = {
    .name = "jobs",
    .arguments = "",
    .summary = "List your running jobs, and where to log in to them",
    .options = options,
    .run = jobs_run,
};
