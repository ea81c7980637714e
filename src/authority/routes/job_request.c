#include "authority/routes/job_request.h"

#include "feed/change_names.h"
#include "model/hostlist.h"

/* ---- names of nodes ---------------------------------------------------------------------- */

void node_names_init(struct node_names *names) {
    *names = (struct node_names){.count = 0};
    buf_init(&names->text, (size_t)LIMIT_JOB_NODES_COUNT * (LIMIT_HOST_NAME_CHARS + 1));
}

void node_names_done(struct node_names *names) { buf_done(&names->text); }

err_t node_names_add(struct node_names *names, const char *name) {
    if (names->count == LIMIT_JOB_NODES_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(buf_add(&names->text, span_of(name, strlen(name) + 1)));
    names->count++;
    return OK;
}

const char *node_names_next(const struct node_names *names, const char *name) {
    const char *begin = (const char *)names->text.data;
    const char *next = name == NULL ? begin : name + strlen(name) + 1;
    return names->count > 0 && next < begin + names->text.len ? next : NULL;
}

bool node_names_have(const struct node_names *names, const char *name) {
    const char *at = node_names_next(names, NULL);
    while (at != NULL && strcmp(at, name) != 0) {
        at = node_names_next(names, at);
    }
    return at != NULL;
}

bool node_names_equal(const struct node_names *a, const struct node_names *b) {
    return a->count == b->count && span_equal(buf_span(&a->text), buf_span(&b->text));
}

/* ---- reading ----------------------------------------------------------------------------- */

static err_t refuse_nodes(struct call *call, err_t err, const char *text) {
    if (err.code == ERR_TOO_LONG) {
        call_problem(call, 422, "too_long", "nodes", "a job has at most %d nodes",
                     LIMIT_JOB_NODES_COUNT);
    } else {
        call_problem(call, 422, "name_refused", "nodes",
                     "%.80s names no nodes; write a host's name, or several as Slurm does: "
                     "n[001-128]",
                     text);
    }
    return err;
}

static err_t read_nodes(struct call *call, struct node_names *out) {
    const json_t *list = NULL;
    TRY(call_read_strings(call, "nodes", CALL_OPTIONAL, LIMIT_JOB_NODES_COUNT,
                          LIMIT_HTTP_BODY_BYTES, &list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        size_t count = 0;
        err_t err = hostlist_expand(span_str(text), &out->text, &count);
        out->count += count;
        if (!failed(err) && out->count > LIMIT_JOB_NODES_COUNT) {
            err = FAIL(ERR_TOO_LONG);
        }
        if (failed(err)) {
            return refuse_nodes(call, err, text);
        }
    }
    return OK;
}

static err_t add_host_key(const char *line, struct buf *out) {
    struct key *key CLEANUP(key_freep) = NULL;
    TRY(key_parse_line(span_str(line), &key, NULL));
    TRY(out->len == 0 ? OK : buf_add_byte(out, '\n'));
    return key_print_line(key, NULL, out);
}

static err_t read_host_keys(struct call *call, struct buf *out) {
    const json_t *lines = NULL;
    TRY(call_read_strings(call, "hostKeys", CALL_OPTIONAL, LIMIT_HOST_KEYS_COUNT,
                          LIMIT_KEY_LINE_CHARS, &lines));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        err_t err = add_host_key(json_string_value(json_array_get(lines, i)), out);
        if (failed(err)) {
            call_problem(call, 422, err_name(err), "hostKeys", "host key %zu: %s", i + 1,
                         err_text(err));
            return err;
        }
    }
    return OK;
}

static err_t check(struct call *call, err_t err, const struct fault *fault) {
    if (failed(err)) {
        call_fault(call, "name_refused", fault);
    }
    return err;
}

/* Where a job has an address of its own. */
static err_t read_place(struct call *call, struct job_request *request) {
    struct fault fault = {0};
    TRY(call_read_string(call, "user", CALL_OPTIONAL, LIMIT_ACCOUNT_NAME_CHARS, &request->user));
    TRY(call_read_string(call, "address", CALL_OPTIONAL, LIMIT_HOST_NAME_CHARS, &request->address));
    TRY(call_read_int(call, "port", CALL_OPTIONAL, 1, UINT16_MAX, &request->port));
    TRY(read_host_keys(call, &request->host_keys));
    TRY(call_read_bool(call, "enrol", CALL_OPTIONAL, &request->enrol, NULL));
    if (request->user != NULL) {
        TRY(check(call, user_name_check(span_str(request->user), &fault), &fault));
    }
    return request->address == NULL
               ? OK
               : check(call, host_name_check(span_str(request->address), "address", &fault),
                       &fault);
}

err_t job_request_read(struct call *call, struct job_request *request) {
    unsigned type = 0;
    struct fault fault = {0};
    node_names_init(&request->nodes);
    buf_init(&request->host_keys, LIMIT_KEY_BLOB_BYTES - 1);
    TRY(check(call, job_name_check(span_str(call_path(call, "job")), &fault), &fault));
    TRY(call_read_string(call, "username", CALL_REQUIRED, LIMIT_DISPLAY_NAME_CHARS,
                         &request->username));
    TRY(call_read_word(call, "type", CALL_OPTIONAL, change_job_type_names, CHANGE_JOB_TYPES_COUNT,
                       &type));
    TRY(read_nodes(call, &request->nodes));
    TRY(call_read_time(call, "startTime", CALL_OPTIONAL, &request->started_at));
    TRY(call_read_time(call, "endTime", CALL_OPTIONAL, &request->ends_at));
    TRY(call_read_duration(call, "duration", CALL_OPTIONAL, &request->duration_s));
    TRY(read_place(call, request));
    request->type = type;
    if (request->ends_at != 0 && request->duration_s != 0) {
        call_problem(call, 422, "job_refused", "endTime", "give endTime or duration, not both");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

void job_request_done(struct job_request *request) {
    node_names_done(&request->nodes);
    buf_done(&request->host_keys);
}
