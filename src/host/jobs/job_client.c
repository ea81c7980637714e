#include "host/jobs/job_client.h"

#include <jansson.h>

#include "base/text.h"

/* Names of jobs and clusters need no escaping in a path, but for '+'. */
enum { PATH_CHARS = 64 + LIMIT_CLUSTER_NAME_CHARS + 3 * LIMIT_JOB_NAME_CHARS };

static void json_freep(json_t **json) { json_decref(*json); }

err_t job_client_new(const struct identity *identity, struct job_client *out, struct fault *fault) {
    struct job_client client CLEANUP(job_client_done) = {
        .body = BUF(LIMIT_JOB_NODES_COUNT * (LIMIT_HOST_NAME_CHARS + 4))};
    http_response_init(&client.response);
    if (identity->cluster == NULL) {
        return fault_set(fault, ERR_NOT_FOUND, "cluster",
                         "this host is of no cluster, or was enrolled by an older release; "
                         "run: postern-host enrol");
    }
    client.cluster = strdup(identity->cluster);
    if (client.cluster == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(identity_client(identity, &client.http, fault));
    *out = client;
    client = (struct job_client){0};
    return OK;
}

void job_client_done(struct job_client *client) {
    http_client_free(client->http);
    free(client->cluster);
    http_response_done(&client->response);
    buf_done(&client->body);
}

static void make_path(const struct job_client *client, const char *job, char out[PATH_CHARS]) {
    char escaped[3 * LIMIT_JOB_NAME_CHARS + 1];
    size_t len = 0;
    for (const char *at = job; *at != '\0' && len + 3 < sizeof escaped; at++) {
        len +=
            (size_t)snprintf(escaped + len, sizeof escaped - len, *at == '+' ? "%%2B" : "%c", *at);
    }
    escaped[len] = '\0';
    (void)snprintf(out, PATH_CHARS, "/api/v1/clusters/%s/jobs/%s", client->cluster, escaped);
}

/* What a refusal of this call says of the next. */
static err_t judge(const struct http_response *response, struct fault *fault) {
    if (response->status / 100 == 2) {
        return OK;
    }
    err_t err = answer_problem(response, fault);
    switch (response->status) {
    case 400:
    case 404:
    case 409:
    case 413:
    case 422:
        return FAIL(ERR_CONFLICT);
    default:
        return err;
    }
}

err_t job_client_put(struct job_client *client, const struct scheduler_job *job,
                     struct fault *fault) {
    char path[PATH_CHARS];
    make_path(client, job->name, path);
    buf_clear(&client->body);
    TRY(job_put_json(&client->body, job));
    TRY(http_client_call(client->http, HTTP_PUT, path, buf_span(&client->body), client->timeout_ms,
                         &client->response, fault));
    return judge(&client->response, fault);
}

err_t job_client_delete(struct job_client *client, const char *job, struct fault *fault) {
    char path[PATH_CHARS];
    make_path(client, job, path);
    TRY(http_client_call(client->http, HTTP_DELETE, path, span_of(NULL, 0), client->timeout_ms,
                         &client->response, fault));
    return client->response.status == 404 ? OK : judge(&client->response, fault);
}

/* Adds a page; *last is the id of its last job, 0 when there was none. */
static err_t take_page(const struct http_response *response, struct job_table *table,
                       uint64_t *last) {
    json_t *root CLEANUP(json_freep) = json_loadb((const char *)response->body.data,
                                                  response->body.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *jobs = json_object_get(root, "jobs");
    if (!json_is_array(jobs)) {
        return FAIL(ERR_MALFORMED);
    }
    *last = 0;
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const json_t *job = json_array_get(jobs, i);
        const char *id = json_string_value(json_object_get(job, "id"));
        struct job_row row = {0};
        TRY(job_row_from_json(job, &row));
        TRY(job_table_add(table, &row));
        TRY(u64_parse(span_str(id != NULL ? id : ""), last));
    }
    return OK;
}

err_t job_client_list(struct job_client *client, struct job_table *out, struct fault *fault) {
    struct job_table table CLEANUP(job_table_done) = {0};
    uint64_t last = 0;
    do {
        char path[PATH_CHARS];
        (void)snprintf(path, sizeof path, "/api/v1/clusters/%s/jobs?after=%llu", client->cluster,
                       (unsigned long long)last);
        TRY(http_client_call(client->http, HTTP_GET, path, span_of(NULL, 0), client->timeout_ms,
                             &client->response, fault));
        TRY(judge(&client->response, fault));
        err_t err = take_page(&client->response, &table, &last);
        if (failed(err) || table.count > 2 * LIMIT_JOBS_COUNT) {
            return fault_set(fault, ERR_PROTOCOL, "jobs", "the authority's list: %s",
                             err_text(failed(err) ? err : FAIL(ERR_TOO_LONG)));
        }
    } while (last != 0);
    job_table_sort(&table);
    job_table_done(out);
    *out = table;
    table = (struct job_table){0};
    return OK;
}
