/* postern admin statistics. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/admin/admin.h"
#include "cli/terminal.h"

enum { LEVELS_COUNT = 8, LINE_BYTES = 4 * 1024 };

static const struct {
    const char *title, *member;
} kinds[] = {
    {"Logins at gates", "gateLogins"}, {"Refused at gates", "gateRefusals"},
    {"Sign-ins", "signIns"},           {"Certificates signed", "signings"},
    {"Refused calls", "refusals"},
};

static json_int_t most_of(const json_t *counts) {
    json_int_t most = 0;
    for (size_t i = 0; i < json_array_size(counts); i++) {
        json_int_t count = json_integer_value(json_array_get(counts, i));
        most = count > most ? count : most;
    }
    return most;
}

static json_int_t sum_of(const json_t *counts) {
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(counts); i++) {
        sum += json_integer_value(json_array_get(counts, i));
    }
    return sum;
}

/* A mark for each step, as high as its part of the most; the lowest is for none at all. */
static err_t print_line(const json_t *counts, json_int_t most, struct buf *out) {
    static const char *const bars[] = {"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {".", "1", "2", "3", "4", "5", "6", "7", "8"};
    const char *const *marks = terminal_is_rich(stdout) ? bars : plain;
    for (size_t i = 0; i < json_array_size(counts); i++) {
        json_int_t count = json_integer_value(json_array_get(counts, i));
        json_int_t level = count <= 0 ? 0 : 1 + (count - 1) * (LEVELS_COUNT - 1) / most;
        TRY(buf_add_str(out, marks[level]));
    }
    return OK;
}

static err_t add_row(struct table *table, const char *title, const json_t *counts) {
    char number[32];
    char *text CLEANUP(freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(LINE_BYTES);
    json_int_t most = most_of(counts);
    TRY(print_line(counts, most, &line));
    TRY(buf_to_str(&line, &text));
    TRY(table_add(table, title));
    (void)snprintf(number, sizeof number, "%lld", (long long)sum_of(counts));
    TRY(table_add(table, number));
    (void)snprintf(number, sizeof number, "%lld", (long long)most);
    TRY(table_add(table, number));
    return table_add(table, text);
}

static err_t show(const json_t *answer, const json_t *counts) {
    static const char *const titles[] = {"What", "Total", "Most", "Over Time", NULL};
    struct table *table CLEANUP(table_freep) = NULL;
    char since[TIME_CHARS], step[DURATION_CHARS];
    TRY(table_new(titles, &table));
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        TRY(add_row(table, kinds[i].title, json_object_get(counts, kinds[i].member)));
    }
    print_time_cell(member_text(answer, "sinceTime"), since);
    duration_print(member_number(answer, "stepSeconds"), step);
    (void)printf("Since %s, in steps of %s:\n", since, step);
    return print_table(table);
}

static err_t statistics_run(struct cli *cli, const struct arguments *arguments) {
    static const char *const names[] = {"since", "step"};
    char *path CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *counts = NULL;
    TRY(admin_path("/api/v1/statistics", names, COUNT_OF(names), arguments, &path));
    TRY(authority_call(cli, HTTP_GET, path, &answer));
    TRY(answer_object(cli, answer, "counts", &counts));
    return cli->json ? print_json(answer) : show(answer, counts);
}

static const struct option options[] = {
    {0, "since", "TIME", "RFC 3339, or how long ago: 7d; else a day"},
    {0, "step", "DURATION", "a multiple of five minutes; else an hour"},
    {.name = NULL},
};

const struct command command_admin_statistics = {
    .name = "statistics",
    .arguments = "",
    .summary = "How many logins, sign-ins, certificates and refusals, over time",
    .options = options,
    .run = statistics_run,
};
