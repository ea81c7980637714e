#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/host.h"
#include "host/jobs/job_server.h"

enum {
    CALL_MS = 8 * 1000,
    NODES_TOLD = 16,
    JOB_CHARS = LIMIT_JOB_NAME_CHARS + 1 + LIMIT_CLUSTER_NAME_CHARS
};

static void json_freep(json_t **json) { json_decref(*json); }

static const char *type_name(enum job_type type) {
    static const char *const names[] = {[JOB_SHARED] = "shared",
                                        [JOB_WHOLE] = "whole",
                                        [JOB_DEPLOY] = "deploy",
                                        [JOB_CLUSTER] = "cluster"};
    return (size_t)type < COUNT_OF(names) && names[type] != NULL ? names[type] : "";
}

/* Takes the reference. */
static err_t put(json_t *json, struct buf *out) {
    char *text CLEANUP(freep) = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text == NULL ? FAIL(ERR_MEMORY) : buf_add_str(out, text);
}

err_t job_answer_error(const char *code, const char *message, struct buf *out) {
    return put(json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message), out);
}

/* --- the jobs of one account --- */

struct gathering {
    struct replica *replica;
    json_t *jobs;
};

struct nodes {
    json_t *list;
    size_t count;
};

static err_t add_node(void *context, const char *node) {
    struct nodes *nodes = context;
    return nodes->count++ >= NODES_TOLD ||
                   json_array_append_new(nodes->list, json_string(node)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static json_t *time_json(int64_t when) {
    char text[TIME_CHARS];
    if (when == 0) {
        return NULL;
    }
    time_print_utc(when, text);
    return json_string(text);
}

static err_t add_job(void *context, const struct replica_job *job) {
    struct gathering *gathering = context;
    size_t bare = strcspn(job->name, "@");
    struct nodes nodes = {json_array(), 0};
    err_t err = replica_job_node_list(gathering->replica, job->name, add_node, &nodes);
    json_t *row =
        json_pack("{s:s#, s:s, s:s, s:s, s:o, s:o*, s:o*, s:s*, s:i}", "job", job->name, (int)bare,
                  "cluster", job->name + bare + (job->name[bare] == '@'), "type",
                  type_name(job->type), "user", job->user, "nodes", nodes.list, "startTime",
                  time_json(job->started_at), "endTime", time_json(job->ends_at), "address",
                  job->address[0] != '\0' ? job->address : NULL, "port", (int)job->port);
    if (failed(err)) {
        json_decref(row);
        return err;
    }
    return json_array_append_new(gathering->jobs, row) == 0 ? OK : FAIL(ERR_MEMORY);
}

static err_t answer_jobs(const struct job_asker *asker, struct replica *replica, struct buf *out) {
    json_t *jobs CLEANUP(json_freep) = json_array();
    struct gathering gathering = {replica, jobs};
    TRY(replica_job_list(replica, asker->username, clock_now_s(), add_job, &gathering));
    return put(json_pack("{s:O}", "jobs", jobs), out);
}

/* --- one of them --- */

struct wanted {
    const char *job;  /* "1234", "1234@nancy" */
    const char *node; /* NULL: the first */
    struct replica *replica;
    /* what was found */
    bool found;
    enum job_type type;
    uint16_t port;
    char name[JOB_CHARS + 1];
    char user[LIMIT_ACCOUNT_NAME_CHARS + 1];
    char address[LIMIT_HOST_NAME_CHARS + 1];
    char place[LIMIT_HOST_NAME_CHARS + 1]; /* the node */
    size_t matches;                        /* how many nodes may be meant */
    bool exact;
};

static err_t copy(const char *from, char *to, size_t size) {
    size_t len = strlen(from);
    if (len >= size) {
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(to, from, len + 1);
    return OK;
}

static bool is_named(const char *name, const char *said) {
    size_t len = strlen(said);
    return strncmp(name, said, len) == 0 && (name[len] == '\0' || name[len] == '@');
}

static err_t look_at_job(void *context, const struct replica_job *job) {
    struct wanted *wanted = context;
    if (wanted->found || !is_named(job->name, wanted->job)) {
        return OK;
    }
    TRY(copy(job->name, wanted->name, sizeof wanted->name));
    TRY(copy(job->user, wanted->user, sizeof wanted->user));
    TRY(copy(job->address, wanted->address, sizeof wanted->address));
    wanted->found = true;
    wanted->type = job->type;
    wanted->port = job->port;
    return OK;
}

/* The node of that name, else those whose first label it is; without a name the first. */
static err_t look_at_node(void *context, const char *node) {
    struct wanted *wanted = context;
    size_t label = strcspn(node, ".");
    const char *said = wanted->node;
    bool exact = said == NULL ? wanted->matches == 0 : strcmp(node, said) == 0;
    bool close = said != NULL && strlen(said) == label && memcmp(node, said, label) == 0;
    if (wanted->exact || (!exact && !close)) {
        return OK;
    }
    wanted->exact = exact;
    wanted->matches = exact ? 1 : wanted->matches + 1;
    return copy(node, wanted->place, sizeof wanted->place);
}

/* What a user said and is no name is not said again: a part of it need not even be text. */
static const char *node_said(const char *node) {
    if (node == NULL) {
        return "(any)";
    }
    return failed(host_name_check(span_str(node), "node", NULL)) ? "of that name" : node;
}

/* False, and the answer is an error, when there is nowhere to go. */
static err_t find_place(struct wanted *wanted, struct buf *out, bool *found) {
    char message[512];
    TRY(replica_job_node_list(wanted->replica, wanted->name, look_at_node, wanted));
    if (wanted->matches == 0 && wanted->node == NULL && wanted->address[0] != '\0') {
        TRY(copy(wanted->address, wanted->place, sizeof wanted->place));
        *found = true;
        return OK;
    }
    if (wanted->matches != 1) {
        (void)snprintf(message, sizeof message, "%s node %.100s in the job %s; see: postern jobs",
                       wanted->matches == 0 ? "there is no" : "there is more than one",
                       node_said(wanted->node), wanted->name);
        *found = false;
        return job_answer_error("no_node", message, out);
    }
    *found = true;
    return OK;
}

/* The authority's refusal, as it said it. */
static err_t pass_refusal(const struct http_response *response, struct buf *out) {
    json_t *problem CLEANUP(json_freep) = json_loadb(
        (const char *)response->body.data, response->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *code = json_string_value(json_object_get(problem, "code"));
    const char *message = json_string_value(json_object_get(problem, "message"));
    return job_answer_error(code != NULL ? code : "authority",
                            message != NULL ? message : "the authority gave no certificate", out);
}

/* A job's own address goes before that of the node. */
static err_t put_certificate(const struct job_asker *asker, const struct wanted *wanted,
                             const struct http_response *response, struct buf *out) {
    json_t *answer CLEANUP(json_freep) = json_loadb(
        (const char *)response->body.data, response->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *certificate = json_string_value(json_object_get(answer, "certificate"));
    const char *expires = json_string_value(json_object_get(answer, "expireTime"));
    const char *address = json_string_value(json_object_get(answer, "address"));
    json_int_t port = json_integer_value(json_object_get(answer, "port"));
    if (certificate == NULL || expires == NULL || address == NULL) {
        return pass_refusal(response, out);
    }
    if (wanted->address[0] != '\0') {
        address = wanted->address;
        port = wanted->port;
    }
    return put(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "job", wanted->name,
                         "type", type_name(wanted->type), "certificate", certificate, "expireTime",
                         expires, "user", wanted->user, "node", wanted->place, "address", address,
                         "port", port != 0 ? port : 22, "knownHosts", asker->known_hosts),
               out);
}

static err_t ask_authority(const struct job_asker *asker, const struct wanted *wanted,
                           const char *public_key, struct buf *out, bool *reached) {
    struct fault fault = {0};
    struct http_response response CLEANUP(http_response_done);
    struct buf body CLEANUP(buf_done) = BUF(2 * LIMIT_JOB_QUESTION_BYTES);
    http_response_init(&response);
    TRY(put(json_pack("{s:s, s:s, s:s, s:s}", "username", asker->username, "job", wanted->name,
                      "node", wanted->place, "publicKey", public_key),
            &body));
    err_t err = asker->client == NULL
                    ? FAIL(ERR_CONNECT)
                    : http_client_call(asker->client, HTTP_POST, "/api/v1/host/job-certificates",
                                       buf_span(&body), CALL_MS, &response, &fault);
    *reached = !failed(err);
    if (failed(err)) {
        return job_answer_error(
            "away", "the authority cannot be asked at the moment; try again in a minute", out);
    }
    return response.status == 200 ? put_certificate(asker, wanted, &response, out)
                                  : pass_refusal(&response, out);
}

static err_t answer_certificate(const struct job_asker *asker, struct replica *replica,
                                const json_t *question, struct buf *out, bool *reached) {
    struct wanted wanted = {.job = json_string_value(json_object_get(question, "job")),
                            .node = json_string_value(json_object_get(question, "node")),
                            .replica = replica};
    const char *public_key = json_string_value(json_object_get(question, "publicKey"));
    bool found = false;
    if (wanted.job == NULL || public_key == NULL) {
        return job_answer_error("malformed", "job and publicKey are texts, and both needed", out);
    }
    TRY(replica_job_list(replica, asker->username, clock_now_s(), look_at_job, &wanted));
    if (!wanted.found) {
        return job_answer_error("no_job",
                                "you have no such job that runs on this cluster; see: "
                                "postern job shell",
                                out);
    }
    TRY(find_place(&wanted, out, &found));
    return found ? ask_authority(asker, &wanted, public_key, out, reached) : OK;
}

err_t job_answer(const struct job_asker *asker, span_t question, struct buf *out, bool *reached) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    char *path CLEANUP(freep) = NULL;
    json_t *json CLEANUP(json_freep) =
        json_loadb((const char *)question.data, question.len, JSON_REJECT_DUPLICATES, NULL);
    const char *call = json_string_value(json_object_get(json, "call"));
    if (call == NULL) {
        return job_answer_error("malformed", "a question is one JSON object, with a call", out);
    }
    TRY(path_join(asker->state_dir, HOST_REPLICA_FILE, &path));
    TRY(replica_open_read(path, &replica));
    if (strcmp(call, "jobs") == 0) {
        return answer_jobs(asker, replica, out);
    }
    if (strcmp(call, "certificate") == 0) {
        return answer_certificate(asker, replica, json, out, reached);
    }
    return job_answer_error("malformed", "the calls are jobs and certificate", out);
}
