#include "authority/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "authority/authority.h"
#include "base/log.h"

enum { STORE_BUSY_RETRY_S = 5 };

static const struct {
    unsigned status;
    const char *title;
} titles[] = {
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {507, "Insufficient Storage"},
};

const char *problem_title(unsigned status) {
    for (size_t i = 0; i < COUNT_OF(titles); i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return "Error";
}

void call_problem(struct call *call, unsigned status, const char *code, const char *field,
                  const char *format, ...) {
    struct problem *problem = &call->problem;
    if (problem->status != 0) {
        return;
    }
    problem->status = status;
    problem->retry_after_s = 0;
    (void)snprintf(problem->code, sizeof problem->code, "%s", code);
    (void)snprintf(problem->field, sizeof problem->field, "%s", field != NULL ? field : "");
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
}

void call_retry_after(struct call *call, int seconds) { call->problem.retry_after_s = seconds; }

void call_fault(struct call *call, const char *code, const struct fault *fault) {
    call_problem(call, 422, code, fault->field[0] != '\0' ? fault->field : NULL, "%s",
                 fault->reason);
}

void call_decision(struct call *call, const struct decision *decision) {
    if (decision->allowed) {
        return;
    }
    call_problem(call, decision_code_status(decision->code), decision_code_name(decision->code),
                 decision->field, "%s", decision->reason);
}

void problem_from_err(struct call *call, err_t err) {
    log_error("request_failed", err, "request", call->request_id, "action", call->route->action,
              NULL);
    if (err.code == ERR_DISK_FULL) {
        call_problem(call, 507, "disk_full", NULL,
                     "the authority's disk is full, so nothing can be recorded and nothing was "
                     "done; tell your site's administrators");
    } else if (err.code == ERR_BUSY) {
        call_problem(call, 503, "store_unavailable", NULL,
                     "another program has locked the authority's store, so nothing was done; try "
                     "again in a moment");
        call_retry_after(call, STORE_BUSY_RETRY_S);
    } else {
        call_problem(call, 500, "internal", NULL,
                     "the authority could not do this (%s); its log has request %s", err_name(err),
                     call->request_id);
    }
}

bool call_ok(struct call *call, err_t err, const char *what) {
    if (!failed(err)) {
        return true;
    }
    if (err.code == ERR_NOT_FOUND && what != NULL) {
        call_problem(call, 404, "not_found", NULL, "%s does not exist", what);
    } else if (err.code == ERR_EXISTS && what != NULL) {
        call_problem(call, 409, "exists", NULL, "%s exists already", what);
    } else {
        problem_from_err(call, err);
    }
    return false;
}

bool problem_add_header(struct call *call, const char *name, const char *value) {
    err_t err = http_answer_header(call->request, name, value);
    if (failed(err)) {
        log_error("header_left_out", err, "name", name, NULL);
        return false;
    }
    return true;
}

static int dump_to_buf(const char *bytes, size_t len, void *context) {
    return failed(buf_add(context, span_of(bytes, len))) ? -1 : 0;
}

void problem_write(struct call *call) {
    const struct problem *problem = &call->problem;
    buf_clear(&call->text);
    call->status = problem->status;
    if (problem->retry_after_s > 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%d", problem->retry_after_s);
        call_header(call, "Retry-After", seconds);
    }
    if (call->route->refuse != NULL) {
        call->route->refuse(call);
        return;
    }
    call->text_type = "application/problem+json";
    json_t *document =
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", "about:blank", "title",
                  problem_title(problem->status), "status", (int)problem->status, "code",
                  problem->code, "message", problem->message, "requestId", call->request_id);
    /* A text that is not UTF-8, or no memory: the status line still tells. */
    if (document != NULL) {
        call_json_set_text(document, "field", problem->field);
        if (json_dump_callback(document, dump_to_buf, &call->text, JSON_COMPACT) != 0) {
            buf_clear(&call->text);
        }
        json_decref(document);
    }
    if (problem->status == 401) {
        const char *challenge = call->route->challenge;
        (void)problem_add_header(call, "WWW-Authenticate",
                                 challenge != NULL ? challenge : "Bearer realm=\"posterngate\"");
    }
}

void call_header(struct call *call, const char *name, const char *value) {
    (void)problem_add_header(call, name, value);
}
