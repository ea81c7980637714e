/* postern admin audit. */
#include "base/clock.h"
#include "cli/admin/admin.h"

enum { AUDIT_ROWS_MAX = 1000 };

static err_t audit_run(struct cli *cli, const struct arguments *arguments) {
    static const struct admin_column columns[] = {
        {"Time", "time", CELL_TIME, NULL},
        {"Actor", "actor", CELL_TEXT, NULL},
        {"Action", "action", CELL_TEXT, NULL},
        {"Target", "target", CELL_TEXT, NULL},
        {"Allowed", "allowed", CELL_YES_NO, NULL},
        {"Code", "code", CELL_TEXT, NULL},
        {"Source", "source", CELL_TEXT, NULL},
        {"Detail", "detail", CELL_TEXT, NULL},
        {.title = NULL},
    };
    static const char *const names[] = {"actor", "action", "since", "limit"};
    json_t *limit CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(admin_number(cli, "limit", arguments_value(arguments, "limit"), AUDIT_ROWS_MAX, &limit));
    TRY(admin_path("/api/v1/audit", names, COUNT_OF(names), arguments, &path));
    return admin_list(cli, path, "audit", columns);
}

static const struct option options[] = {
    {0, "actor", "NAME", "what this account did"},
    {0, "action", "ACTION", "one kind of action: certificate.sign"},
    {0, "since", "TIME", "RFC 3339, or how long ago: 1h"},
    {0, "limit", "NUMBER", "at most so many rows, newest first"},
    {.name = NULL},
};

const struct command command_admin_audit = {
    .name = "audit",
    .arguments = "",
    .summary = "Who did what, and what was refused",
    .options = options,
    .run = audit_run,
};
