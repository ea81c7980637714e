#include "host/job_client.h"

#include <jansson.h>

/* Names of jobs and clusters need no escaping in a path, but for '+'. */
enum { PATH_CHARS = 64 + LIMIT_CLUSTER_NAME_CHARS + 3 * LIMIT_JOB_NAME_CHARS, PAGES_MAX = 10000 };

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

static void make_path(const struct job_client *client, const char *query, const char *job,
                      char out[PATH_CHARS]) {
    char escaped[3 * LIMIT_JOB_NAME_CHARS + 1];
    size_t len = 0;
    for (const char *at = job; *at != '\0' && len + 3 < sizeof escaped; at++) {
        len +=
            (size_t)snprintf(escaped + len, sizeof escaped - len, *at == '+' ? "%%2B" : "%c", *at);
    }
    escaped[len] = '\0';
    (void)snprintf(out, PATH_CHARS, "/api/v1/clusters/%s/jobs%s%s", client->cluster, query,
                   escaped);
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
    make_path(client, "/", job->name, path);
    buf_clear(&client->body);
    TRY(job_put_json(&client->body, job));
    TRY(http_client_call(client->http, HTTP_PUT, path, buf_span(&client->body), client->timeout_ms,
                         &client->response, fault));
    return judge(&client->response, fault);
}

err_t job_client_delete(struct job_client *client, const char *job, struct fault *fault) {
    char path[PATH_CHARS];
    make_path(client, "/", job, path);
    TRY(http_client_call(client->http, HTTP_DELETE, path, span_of(NULL, 0), client->timeout_ms,
                         &client->response, fault));
    return client->response.status == 404 ? OK : judge(&client->response, fault);
}

/* Adds a page; *more when there may be another, after the job whose name is in `last`. */
static err_t take_page(const struct http_response *response, struct job_table *table,
                       char last[LIMIT_JOB_NAME_CHARS + 1], bool *more) {
    json_t *root CLEANUP(json_freep) = json_loadb((const char *)response->body.data,
                                                  response->body.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *jobs = json_object_get(root, "jobs");
    size_t count = json_array_size(jobs);
    if (!json_is_array(jobs)) {
        return FAIL(ERR_MALFORMED);
    }
    for (size_t i = 0; i < count; i++) {
        struct job_row row = {0};
        TRY(job_row_from_json(json_array_get(jobs, i), &row));
        TRY(job_table_add(table, &row));
        memcpy(last, row.name, sizeof row.name);
    }
    *more = count > 0;
    return OK;
}

err_t job_client_list(struct job_client *client, struct job_table *out, struct fault *fault) {
    struct job_table table CLEANUP(job_table_done) = {0};
    char last[LIMIT_JOB_NAME_CHARS + 1] = "";
    bool more = true;
    for (int pages = 0; more && pages < PAGES_MAX; pages++) {
        char path[PATH_CHARS];
        make_path(client, last[0] == '\0' ? "" : "?after=", last, path);
        TRY(http_client_call(client->http, HTTP_GET, path, span_of(NULL, 0), client->timeout_ms,
                             &client->response, fault));
        TRY(judge(&client->response, fault));
        err_t err = take_page(&client->response, &table, last, &more);
        if (failed(err)) {
            return fault_set(fault, ERR_PROTOCOL, "jobs", "the authority's list: %s",
                             err_text(err));
        }
    }
    job_table_sort(&table);
    job_table_done(out);
    *out = table;
    table = (struct job_table){0};
    return OK;
}
