#include "host/jobs/job_table.h"

#include <jansson.h>

#include "base/clock.h"

static const char *const type_names[] = {"", "shared", "whole", "deploy", "cluster"};

void job_table_done(struct job_table *table) {
    free(table->rows);
    *table = (struct job_table){0};
}

void job_table_clear(struct job_table *table) { table->count = 0; }

err_t job_table_add(struct job_table *table, const struct job_row *row) {
    if (table->count == table->room) {
        size_t room = table->room == 0 ? 64 : table->room * 2;
        struct job_row *rows = reallocarray(table->rows, room, sizeof *rows);
        if (rows == NULL) {
            return FAIL(ERR_MEMORY);
        }
        table->rows = rows;
        table->room = room;
    }
    table->rows[table->count++] = *row;
    return OK;
}

static int compare_rows(const void *a, const void *b) {
    return strcmp(((const struct job_row *)a)->name, ((const struct job_row *)b)->name);
}

void job_table_sort(struct job_table *table) {
    size_t kept = 0;
    if (table->count == 0) {
        return;
    }
    qsort(table->rows, table->count, sizeof *table->rows, compare_rows);
    for (size_t i = 1; i < table->count; i++) {
        if (compare_rows(&table->rows[kept], &table->rows[i]) != 0) {
            table->rows[++kept] = table->rows[i];
        }
    }
    table->count = kept + 1;
}

static int compare_name(const void *name, const void *row) {
    return strcmp(name, ((const struct job_row *)row)->name);
}

struct job_row *job_table_find(const struct job_table *table, const char *name) {
    return table->count == 0
               ? NULL
               : bsearch(name, table->rows, table->count, sizeof *table->rows, compare_name);
}

void job_table_filter(struct job_table *table,
                      bool (*keep)(void *context, const struct job_row *row), void *context) {
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (keep(context, &table->rows[i])) {
            table->rows[kept++] = table->rows[i];
        }
    }
    table->count = kept;
}

/* --- what is told of a job, in short --- */

/* FNV-1a, and the finaliser of SplitMix64, so that sums of it say something. */
static uint64_t hash(uint64_t seed, const void *data, size_t len) {
    const uint8_t *bytes = data;
    uint64_t value = 0xcbf29ce484222325 ^ seed;
    for (size_t i = 0; i < len; i++) {
        value = (value ^ bytes[i]) * 0x100000001b3;
    }
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

/* The first label of a name, an address whole. */
static size_t label_len(const char *node) {
    bool is_address = strchr(node, ':') != NULL || strspn(node, "0123456789.") == strlen(node);
    return is_address ? strlen(node) : strcspn(node, ".");
}

uint64_t job_print(const struct scheduler_job *job) {
    const int64_t numbers[] = {job->type, job->started_at, job->ends_at};
    uint64_t nodes = 0;
    const char *node = job->nodes;
    for (size_t i = 0; i < job->node_count; i++, node += strlen(node) + 1) {
        nodes += hash(1, node, label_len(node));
    }
    return hash(hash(nodes, numbers, sizeof numbers), job->user, strlen(job->user));
}

static err_t put_time(struct buf *out, const char *lead, int64_t when) {
    char text[TIME_CHARS];
    time_print_utc(when, text);
    return buf_add_format(out, "%s\"%s\"", lead, text);
}

static err_t put_nodes(struct buf *out, const struct scheduler_job *job, bool in_short) {
    const char *node = job->nodes;
    if (in_short) {
        return buf_add_format(out, "\"%.*s\"", (int)job->hostlist.len,
                              (const char *)job->hostlist.data);
    }
    for (size_t i = 0; i < job->node_count; i++, node += strlen(node) + 1) {
        TRY(buf_add_format(out, "%s\"%s\"", i > 0 ? "," : "", node));
    }
    return OK;
}

/* No name that was checked needs escaping, and no list of them. */
static err_t put_job(struct buf *out, const struct scheduler_job *job, bool in_short) {
    TRY(buf_add_format(out, "{\"username\":\"%s\"", job->user));
    TRY(job->type == 0 ? OK : buf_add_format(out, ",\"type\":\"%s\"", type_names[job->type]));
    TRY(buf_add_str(out, ",\"nodes\":["));
    TRY(put_nodes(out, job, in_short));
    TRY(put_time(out, "],\"startTime\":", job->started_at));
    TRY(job->ends_at == 0 ? OK : put_time(out, ",\"endTime\":", job->ends_at));
    return buf_add_byte(out, '}');
}

err_t job_put_json(struct buf *out, const struct scheduler_job *job) {
    size_t before = out->len;
    TRY(put_job(out, job, false));
    if (out->len - before <= LIMIT_HTTP_BODY_BYTES) {
        return OK;
    }
    out->len = before;
    return put_job(out, job, true);
}

/* --- and as the authority tells it --- */

static err_t take_text(const json_t *json, const char *member, char *out, size_t size) {
    const char *text = json_string_value(json_object_get(json, member));
    if (text == NULL || strlen(text) >= size) {
        return FAIL(text == NULL ? ERR_MALFORMED : ERR_TOO_LONG);
    }
    memcpy(out, text, strlen(text) + 1);
    return OK;
}

static err_t take_time(const json_t *json, const char *member, int64_t *out) {
    const char *text = json_string_value(json_object_get(json, member));
    return text == NULL ? OK : time_parse(span_str(text), out);
}

static enum job_type type_of(const char *name) {
    for (size_t i = 1; i < COUNT_OF(type_names); i++) {
        if (name != NULL && strcmp(type_names[i], name) == 0) {
            return (enum job_type)i;
        }
    }
    return 0;
}

err_t job_row_from_json(const json_t *json, struct job_row *out) {
    struct buf nodes CLEANUP(buf_done) = BUF(LIMIT_SCHEDULER_LIST_BYTES);
    struct scheduler_job job = {0};
    struct job_row row = {0};
    const json_t *list = json_object_get(json, "nodes");
    TRY(take_text(json, "job", row.name, sizeof row.name));
    TRY(take_text(json, "username", job.user, sizeof job.user));
    TRY(take_time(json, "startTime", &job.started_at));
    TRY(take_time(json, "endTime", &job.ends_at));
    job.type = type_of(json_string_value(json_object_get(json, "type")));
    for (; job.node_count < json_array_size(list); job.node_count++) {
        const char *node = json_string_value(json_array_get(list, job.node_count));
        TRY(node == NULL ? FAIL(ERR_MALFORMED) : buf_add(&nodes, span_of(node, strlen(node) + 1)));
    }
    job.nodes = (const char *)nodes.data;
    row.print = job_print(&job);
    *out = row;
    return OK;
}
