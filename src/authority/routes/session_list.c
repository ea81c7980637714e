/* The caller's sessions: what is signed in, and a way to end it. Tokens of one sign-in are one. */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/authorizations.h"
#include "authority/routes/session.h"

enum { ID_CHARS = SESSION_FAMILY_CHARS };
_Static_assert((size_t)HASH_CHARS >= (size_t)ID_CHARS, "a part of a hash is an id");

/* The family, or for a session without one so many characters of its hash: neither lets anyone in.
 */
static void id_of(const struct session *session, char out[ID_CHARS]) {
    (void)snprintf(out, ID_CHARS, "%.*s", ID_CHARS - 1,
                   session->family[0] != '\0' ? session->family : session->hash);
}

struct listing {
    struct call *call;
    json_t *by_id;
};

static json_t *new_row(const char *id, const struct session *session) {
    json_t *row = json_pack("{s:s, s:s, s:o, s:s, s:b}", "id", id, "use",
                            session->use == SESSION_BROWSER ? "browser" : "program", "createTime",
                            call_json_time(session->created_at), "methods", session->methods,
                            "current", false);
    if (row != NULL && session->authenticated_at != 0) {
        (void)json_object_set_new(row, "signInTime", call_json_time(session->authenticated_at));
    }
    return row;
}

static err_t add_session(void *context, const struct session *session) {
    const struct listing *listing = context;
    char id[ID_CHARS];
    if (session->use == SESSION_SPENT || session->used_at != 0 ||
        session->expires_at <= listing->call->now) {
        return OK;
    }
    id_of(session, id);
    json_t *row = json_object_get(listing->by_id, id);
    if (row == NULL) {
        row = new_row(id, session);
        if (row == NULL || json_object_set_new(listing->by_id, id, row) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    json_t *end = call_json_time(session->expires_at);
    const char *known = json_string_value(json_object_get(row, "expireTime"));
    if (known != NULL && strcmp(known, json_string_value(end)) >= 0) {
        json_decref(end);
    } else if (json_object_set_new(row, "expireTime", end) != 0) {
        return FAIL(ERR_MEMORY);
    }
    call_json_set_text(row, "client", session->client);
    if (strcmp(session->hash, listing->call->caller.session_hash) == 0) {
        return json_object_set_new(row, "current", json_true()) == 0 ? OK : FAIL(ERR_MEMORY);
    }
    return OK;
}

static void run_list(struct call *call) {
    json_t *by_id CLEANUP(json_decrefp) = json_object();
    json_t *sessions = json_array();
    struct listing listing = {call, by_id};
    err_t err =
        store_session_list(call_store(call), call->caller.account.id, add_session, &listing);
    const char *id;
    json_t *row;
    json_object_foreach(by_id, id, row) { (void)json_array_append(sessions, row); }
    if (call_ok(call, err, "the sessions")) {
        call_answer(call, 200, json_pack("{s:o}", "sessions", sessions));
    } else {
        json_decref(sessions);
    }
}

struct search {
    const char *id;
    bool found;
    struct session session;
};

static err_t compare(void *context, const struct session *session) {
    struct search *search = context;
    char id[ID_CHARS];
    id_of(session, id);
    if (!search->found && session->use != SESSION_SPENT && strcmp(id, search->id) == 0) {
        search->found = true;
        search->session = *session;
    }
    return OK;
}

static void run_end(struct call *call) {
    struct search search = {.id = call_path(call, "id")};
    err_t err = store_session_list(call_store(call), call->caller.account.id, compare, &search);
    err = !failed(err) && !search.found ? FAIL(ERR_NOT_FOUND) : err;
    call_audit(call, call->caller.account.name, true, "ok", NULL);
    /* What was allowed and nobody has fetched yet is in no list, so it could not be ended. */
    if (call_ok(call, err, "the session") && session_end(call, &search.session) &&
        call_ok(call, authorizations_forget(call_store(call), call->caller.account.id),
                "the waiting sign-ins")) {
        call_answer(call, 200, json_object());
    }
}

const struct route session_list_routes[] = {
    {HTTP_GET, "/api/v1/sessions", ACCESS_ACCOUNT, "session.list", NULL, run_list, NULL},
    {HTTP_DELETE, "/api/v1/sessions/{id}", ACCESS_ACCOUNT, "session.end", NULL, run_end, NULL},
    {.path = NULL},
};
