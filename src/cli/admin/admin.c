#include "cli/admin/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

static err_t add_cell(struct table *table, const json_t *row, const struct admin_column *column) {
    const json_t *value = json_object_get(row, column->member);
    char text[TIME_CHARS] = "";
    char *joined CLEANUP(freep) = NULL;
    switch (column->kind) {
    case CELL_YES_NO:
        return table_add(table, json_is_true(value) ? "yes" : "no");
    case CELL_TIME:
        if (json_is_string(value)) {
            print_time_cell(json_string_value(value), text);
        }
        return table_add(table, text);
    case CELL_NUMBER:
        if (json_is_integer(value)) {
            (void)snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        }
        return table_add(table, text);
    case CELL_LIST:
        TRY(member_join(row, column->member, column->inner, &joined));
        return table_add(table, joined);
    case CELL_TEXT:
    default:
        return table_add(table, member_text(row, column->member));
    }
}

static err_t show_table(const json_t *rows, const struct admin_column *columns) {
    const char *titles[17] = {NULL};
    size_t count = 0;
    for (; columns[count].title != NULL; count++) {
        INVARIANT(count + 1 < COUNT_OF(titles));
        titles[count] = columns[count].title;
    }
    struct table *table CLEANUP(table_freep) = NULL;
    TRY(table_new(titles, &table));
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        for (size_t i = 0; i < count; i++) {
            TRY(add_cell(table, row, &columns[i]));
        }
    }
    return print_table(table);
}

err_t admin_list(struct cli *cli, const char *path, const char *member,
                 const struct admin_column *columns) {
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(authority_call(cli, HTTP_GET, path, &answer));
    return admin_show_list(cli, answer, member, columns);
}

err_t admin_show_list(struct cli *cli, const json_t *answer, const char *member,
                      const struct admin_column *columns) {
    const json_t *rows = NULL;
    if (cli->json) {
        return print_json(answer);
    }
    TRY(answer_array(cli, answer, member, &rows));
    return show_table(rows, columns);
}

err_t admin_path(const char *path, const char *const *names, size_t count,
                 const struct arguments *arguments, char **out) {
    struct buf whole CLEANUP(buf_done) = BUF(4096);
    char separator = '?';
    TRY(buf_add_str(&whole, path));
    for (size_t i = 0; i < count; i++) {
        const char *value = arguments_value(arguments, names[i]);
        if (value != NULL) {
            TRY(buf_add_format(&whole, "%c%s=", separator, names[i]));
            TRY(path_add_escaped(&whole, value));
            separator = '&';
        }
    }
    return buf_to_str(&whole, out);
}

err_t admin_number(struct cli *cli, const char *option, const char *text, uint64_t max,
                   json_t **out) {
    uint64_t number = 0;
    if (text == NULL) {
        *out = NULL;
        return OK;
    }
    if (failed(u64_parse(span_str(text), &number)) || number > max) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "--%s takes a number up to %llu, not %s",
                           option, (unsigned long long)max, text);
    }
    *out = json_integer((json_int_t)number);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

err_t admin_yes_no(struct cli *cli, const char *option, const char *text, json_t **out) {
    if (text == NULL) {
        *out = NULL;
        return OK;
    }
    bool yes = strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "no") != 0) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "--%s takes yes or no, not %s", option, text);
    }
    *out = json_boolean(yes);
    return OK;
}

static const struct command *const children[] = {
    &command_admin_account,
    &command_admin_project,
    &command_admin_cluster,
    &command_admin_host,
    &command_admin_job,
    &command_admin_service_account,
    &command_admin_issuer,
    &command_admin_session,
    &command_admin_audit,
    &command_admin_statistics,
    NULL,
};

const struct command command_admin = {
    .name = "admin",
    .arguments = "COMMAND",
    .summary = "Administration: accounts, projects, clusters, hosts, jobs, audit",
    .children = children,
};
