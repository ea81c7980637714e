#include "cli/jobs/job_name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "cli/cli.h"

/* What follows the job's name in the text: "" or ".n7"; NULL when it is of another job. */
static const char *after(const char *text, const char *name) {
    size_t len = strlen(name);
    bool fits =
        len > 0 && strncasecmp(text, name, len) == 0 && (text[len] == '\0' || text[len] == '.');
    return fits ? text + len : NULL;
}

static const char *after_job(const char *text, const json_t *job) {
    char whole[LIMIT_JOB_NAME_CHARS + LIMIT_CLUSTER_NAME_CHARS + 2];
    (void)snprintf(whole, sizeof whole, "%s@%s", member_text(job, "job"),
                   member_text(job, "cluster"));
    const char *rest = after(text, whole);
    return rest != NULL ? rest : after(text, member_text(job, "job"));
}

/* By its name, or by the first labels of it; the first node for "". */
static const char *find_node(const json_t *job, const char *called) {
    size_t len = strlen(called);
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(job, "nodes"), index, item) {
        const char *node = json_is_string(item) ? json_string_value(item) : "";
        if (len == 0 ||
            (strncasecmp(node, called, len) == 0 && (node[len] == '\0' || node[len] == '.'))) {
            return node;
        }
    }
    return NULL;
}

/* RFC 3339 in UTC sorts as text. */
static bool is_newer(const json_t *a, const json_t *b) {
    return strcmp(member_text(a, "startTime"), member_text(b, "startTime")) > 0;
}

err_t job_name_find(const json_t *jobs, const char *name, const json_t **job, const char **node) {
    const json_t *best = NULL;
    const char *best_rest = NULL;
    size_t index;
    json_t *row;
    if (strncasecmp(name, "job-", 4) != 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    json_array_foreach(jobs, index, row) {
        const char *rest = after_job(name + 4, row);
        if (rest != NULL &&
            (best == NULL || rest > best_rest || (rest == best_rest && is_newer(row, best)))) {
            best = row;
            best_rest = rest;
        }
    }
    if (best == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    bool by_address = best_rest[0] == '\0' && member_text(best, "address")[0] != '\0';
    const char *found = by_address ? NULL : find_node(best, best_rest + (best_rest[0] == '.'));
    if (!by_address && found == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    *job = best;
    *node = found;
    return OK;
}
