/* What the administration commands share. Each answers with the API's own object under --json. */
#ifndef POSTERN_CLI_ADMIN_H
#define POSTERN_CLI_ADMIN_H

#include "cli/authority.h"

/* One column after the other from members of each row; a time is shown in local time. */
struct admin_column {
    const char *title; /* NULL ends the list */
    const char *member;
    enum { CELL_TEXT, CELL_YES_NO, CELL_TIME, CELL_NUMBER, CELL_LIST } kind;
    const char *inner; /* of CELL_LIST: the member of each object that is shown */
};
/* A listing and its rows under `member`: the answer itself with --json, else a table. */
err_t admin_list(struct cli *cli, const char *path, const char *member,
                 const struct admin_column *columns);
err_t admin_show_list(struct cli *cli, const json_t *answer, const char *member,
                      const struct admin_column *columns);

/* The path with the options of these names that were given as its query; the caller frees *out. */
err_t admin_path(const char *path, const char *const *names, size_t count,
                 const struct arguments *arguments, char **out);

/* A decimal number within bounds from an option's value, NULL staying absent (*out NULL). */
err_t admin_number(struct cli *cli, const char *option, const char *text, uint64_t max,
                   json_t **out);
/* "yes" or "no". */
err_t admin_yes_no(struct cli *cli, const char *option, const char *text, json_t **out);

#endif
