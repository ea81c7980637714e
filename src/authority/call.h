/*
 * The plumbing that every API route uses: from a request to its answer.
 *
 *   loop thread   the route is found, the body parsed, route->read() takes what it needs from it
 *   store thread  the bearer is resolved, access is judged, route->run() decides, writes and
 *                 prepares the answer; many calls share one transaction and one commit
 *   loop thread   after the commit: route->finish(), or what run() prepared is sent
 *
 * Invariants:
 *   1. Nothing is sent as a success before the commit of everything run() wrote.
 *   2. A call with a problem leaves no writes (unless it said call_keep_writes()), but
 *      its audit row.
 *   3. A call that is not a plain read leaves one audit row, in the transaction of its effect; but
 *      for one that is refused for being beyond a bound (too_many_requests): a flood of those would
 *      fill the disk.
 *   4. run() is called only when the caller has the route's access.
 */
#ifndef POSTERN_AUTHORITY_CALL_H
#define POSTERN_AUTHORITY_CALL_H

#include <jansson.h>

#include "base/err.h"
#include "identity/token.h"
#include "model/entity.h"
#include "model/policy.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "ssh/cert.h"

struct authority;
struct call;
struct feed_event;
struct store;

enum access {
    ACCESS_NONE = 0,        /* a row that forgot to say it: nobody gets in */
    ACCESS_PUBLIC,          /* no bearer is looked at */
    ACCESS_ACCOUNT,         /* any signed-in account that is not disabled */
    ACCESS_ADMINISTRATOR,   /* an account with the administrator flag */
    ACCESS_HOST,            /* an enrolled host */
    ACCESS_ACCOUNT_OR_HOST, /* either; run() judges which of them may */
};

enum body_form {
    BODY_JSON = 0,
    BODY_FORM, /* application/x-www-form-urlencoded; members that nobody read are ignored, as RFC
                  6749 section 3.1 wants it */
};

struct route {
    enum http_method method;
    const char *path; /* "/api/v1/accounts/{name}" */
    enum access access;
    const char *action; /* what the audit log calls it: "account.create" */
    /* Loop thread; may be NULL. Reads body and query into call_own(); on failure a problem is set
     * and any error returned. Members of the body that nobody read are refused afterwards. */
    err_t (*read)(struct call *call);
    /* Store thread, inside the shared transaction; NULL for routes that need no store. */
    void (*run)(struct call *call);
    /* Loop thread, after the commit and only when there is no problem. NULL: the answer that run()
     * prepared is sent. Otherwise it must lead to call_send(), now or later. */
    void (*finish)(struct call *call);
    enum body_form body;
    /* Loop thread: writes the answer to a refused call, from call->problem, where that is not a
     * problem document: into call->text by call_answer_text(). */
    void (*refuse)(struct call *call);
    const char *challenge; /* of its 401 (WWW-Authenticate); NULL: a bearer */
};

/* Who calls; filled on the store thread before run(). */
struct caller {
    bool is_account;
    bool is_host;
    struct account account;
    size_t project_count; /* it belongs to; for a service account its project counts */
    char session_hash[HASH_CHARS];
    enum session_use session_use; /* SESSION_BROWSER: by a cookie */
    int64_t session_expires_at;
    entity_id api_key_id; /* 0: a person's session */
    struct bounds bounds; /* of the credential */
    /* When a person showed a second factor to get in; 0: a program, or one that is not known to
     * have. What lasts is approved by a recent one alone. */
    int64_t signed_in_at;
    entity_id host_id;
    char host_name[LIMIT_HOST_NAME_CHARS + 1];
};

enum {
    CALL_REQUEST_ID_CHARS = 24,
    CALL_PATH_PARAMETERS_COUNT = 3,
    CALL_OWN_BYTES = 4096,
    CALL_MEMBERS_COUNT = 24
};

struct problem {
    unsigned status; /* 0: none */
    char code[48];
    char field[96];
    char message[512];
    int retry_after_s; /* 0: no Retry-After */
};

/* Fields below "private" belong to the files of plumbing.h. */
struct call {
    struct work work;
    struct authority *authority;
    const struct route *route;
    struct http_request *request;
    char request_id[CALL_REQUEST_ID_CHARS];
    const struct inet_address *source;
    char source_text[INET_CHARS];
    int64_t now; /* seconds, when the request came; a later run() of the same call sees a new one */
    json_t *body; /* an object; NULL when there is none */
    struct caller caller;
    struct problem problem;
    unsigned status; /* of the prepared answer; 0: none yet */
    json_t *answer;
    struct buf text; /* the answer when it is not JSON, or JSON written by hand */

    /* private */
    const char *text_type;
    char path[512];
    const char *path_names[CALL_PATH_PARAMETERS_COUNT];
    size_t path_name_chars[CALL_PATH_PARAMETERS_COUNT];
    const char *path_values[CALL_PATH_PARAMETERS_COUNT];
    size_t path_count;
    const char *members[CALL_MEMBERS_COUNT]; /* of the body, that were read */
    size_t member_count;
    size_t route_index;
    struct call *batch_next;
    char bearer_hash[HASH_CHARS]; /* "" when there is no well-formed bearer */
    bool bearer_is_host;
    enum session_use bearer_use;
    bool forged; /* a browser's session came with a request that no page of ours made */
    bool keep_writes;
    bool published;
    struct feed_event *events, *last_event; /* that were */
    bool unrecorded;                        /* no audit row: the flood would fill the disk */
    bool audited;                           /* call_audit() was called */
    struct audit audit;
    struct worker *worker; /* whose next_work is */
    void (*next_work)(struct call *call);
    void (*next_run)(struct call *call);
    void (*release)(void *own);
    bool own_used;
    size_t own_size;
    bool refused_before; /* its last run(): by read(), or by a worker */
    bool wrote_audit;    /* not a plain read */
    int64_t started_us;
    struct cert **certs;
    size_t cert_count, cert_pending;
    err_t cert_err;
    void (*certified)(struct call *call);
    struct call *next_free;
    _Alignas(16) uint8_t own[CALL_OWN_BYTES];
};

/* The store; on the store thread only. */
struct store *call_store(struct call *call);

/* The value of {name} in the route's path, decoded; aborts for a name the path does not have. */
const char *call_path(const struct call *call, const char *name);

/* Zeroed memory for the route's parsed request, the same on every call of one struct call; at most
 * CALL_OWN_BYTES. release (may be NULL) is called when the call ends. */
void *call_own(struct call *call, size_t size, void (*release)(void *own));

/*
 * Reading the body. A member of the wrong type, too long, or absent though required sets a problem
 * that names the field, and gives ERR_MALFORMED. An optional member that is absent or null leaves
 * *out alone. Texts borrow from the body and hold no NUL or control characters.
 */
enum call_presence { CALL_OPTIONAL, CALL_REQUIRED };
err_t call_read_string(struct call *call, const char *field, enum call_presence presence,
                       size_t chars_max, const char **out);
/* The same, but line breaks and other control characters are let through: for what has a parser of
 * its own. */
err_t call_read_text(struct call *call, const char *field, enum call_presence presence,
                     size_t chars_max, span_t *out);
err_t call_read_int(struct call *call, const char *field, enum call_presence presence, int64_t min,
                    int64_t max, int64_t *out);
/* *out keeps its value when absent; *given (may be NULL) tells. */
err_t call_read_bool(struct call *call, const char *field, enum call_presence presence, bool *out,
                     bool *given);
/* An array of texts; *out borrows the array, whose items were all checked to be strings. */
err_t call_read_strings(struct call *call, const char *field, enum call_presence presence,
                        size_t count_max, size_t chars_max, const json_t **out);
/* One of the words: *out is its index. The first stands for none and is not taken. */
err_t call_read_word(struct call *call, const char *field, enum call_presence presence,
                     const char *const *words, size_t count, unsigned *out);
/* An array of objects; *out borrows it. What is in them is the caller's to judge. */
err_t call_read_objects(struct call *call, const char *field, enum call_presence presence,
                        size_t count_max, const json_t **out);
/* An address: whom a host calls for. call_on_behalf() makes it the audit row's source. */
err_t call_read_address(struct call *call, const char *field, struct inet_address *out);
/* A duration ("90d", "1min") in seconds. */
err_t call_read_duration(struct call *call, const char *field, enum call_presence presence,
                         int64_t *out);
/* RFC 3339 ("2026-04-01T14:15:20Z"). */
err_t call_read_time(struct call *call, const char *field, enum call_presence presence,
                     int64_t *out);
/* An array of CIDR subnets or addresses; an empty one is refused, for it could mean "everywhere" as
 * well as "nowhere". */
err_t call_read_subnets(struct call *call, const char *field, enum call_presence presence,
                        struct subnet_list *out);
/* An array of clusters' names; an empty one is refused, as that of subnets. */
err_t call_read_clusters(struct call *call, const char *field, enum call_presence presence,
                         struct cluster_list *out);
/* From where something is good: "ipSubnets", or "from": "mine" for the caller's present address or
 * "everywhere" (an empty list). *given tells whether either was there. */
err_t call_read_sources(struct call *call, struct subnet_list *out, bool *given);
/* The line of a public key file, of whichever kind of key; *comment (may be NULL) borrows from the
 * body. Whoever sends a private key is told that it is burnt. The caller frees *out. */
err_t call_read_public_key(struct call *call, const char *field, struct key **out, span_t *comment);
/* A text that is a decimal 64-bit number ("serialNumber"); a JSON number is refused. */
err_t call_read_u64(struct call *call, const char *field, enum call_presence presence,
                    uint64_t *out);

/* Copies a text of the field that was read; one that does not fit is a 400. */
err_t call_copy_text(struct call *call, const char *field, const char *from, char *to,
                     size_t to_size);
/* "name" of something that is to be, held to its rule: 422 name_refused. */
err_t call_read_name(struct call *call, err_t (*check)(span_t name, struct fault *fault), char *to,
                     size_t to_size);
/* "displayName"; absent leaves *to alone. */
err_t call_read_display_name(struct call *call, char *to, size_t to_size);

/* Loop thread, from finish() or refuse(): a header of the answer; one that cannot be set is left
 * out, which is logged. */
void call_header(struct call *call, const char *name, const char *value);

/* The query string. Absent: *out is left alone. */
err_t call_query_string(struct call *call, const char *name, size_t chars_max, const char **out);
err_t call_query_bool(struct call *call, const char *name, bool *out); /* true false 1 0 */
err_t call_query_u64(struct call *call, const char *name, uint64_t max, uint64_t *out);
/* "limit": 1 to LIMIT_LIST_ROWS_COUNT; the maximum when absent. */
err_t call_query_limit(struct call *call, size_t *out);

/* Refusals; the first one counts. field may be NULL. */
void call_problem(struct call *call, unsigned status, const char *code, const char *field,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
void call_retry_after(struct call *call, int seconds);
/* From a fault: status 422, its field and reason. */
void call_fault(struct call *call, const char *code, const struct fault *fault);
/* From a decision that refuses; an allowing one does nothing. */
void call_decision(struct call *call, const struct decision *decision);
/*
 * True for OK. Else a problem: 507 disk_full, 500 internal (logged), and for ERR_NOT_FOUND 404
 * not_found, for ERR_EXISTS 409 exists, with `what` ("the account alice") in the message. A store
 * that failed takes the whole batch with it.
 */
bool call_ok(struct call *call, err_t err, const char *what);
static inline bool call_refused(const struct call *call) { return call->problem.status != 0; }

/* The answer; json is taken over (NULL: out of memory, a 500). */
void call_answer(struct call *call, unsigned status, json_t *json);
/* What was appended to call->text is the answer. */
void call_answer_text(struct call *call, unsigned status, const char *content_type);
/* Sends the prepared answer or the problem, and ends the call. Loop thread. */
void call_send(struct call *call);

/*
 * The audit row of this call. Without it one is written from route->action: allowed and "ok", or
 * refused with the problem's code; GET routes leave none when they are allowed. A later problem
 * turns an allowed row into a refused one. detail is a sentence without secrets; NULL for none.
 */
void call_audit(struct call *call, const char *target, bool allowed, const char *code,
                const char *detail);
/* Who acted, where there is no bearer (a login's user name): cut to what is printable. */
void call_actor(struct call *call, const char *actor);
/* Store thread: whom a host calls for, in place of the host's own address. */
void call_on_behalf(struct call *call, const struct inet_address *source);
/* No row, for what turned out to be nothing. */
void call_unrecorded(struct call *call);
/* The writes so far stand although the call gets refused (failed logins are counted). */
void call_keep_writes(struct call *call);

/*
 * Loop thread: a call that nobody made, for what happens by itself: run() on the store thread, with
 * a row of the actor "system" when it called call_audit(), and finish() (not NULL) on the loop
 * thread, after the commit or with a problem. The route has no path; ERR_BUSY, ERR_MEMORY.
 */
err_t call_system(struct authority *authority, const struct route *route);

/*
 * Store thread: appends an event for gates and hosts (state is taken over; NULL: the thing is gone)
 * and wakes, after the commit, those whom it concerns: feed_filter.h, which says also what the
 * audience is (taken over; may be NULL).
 */
void call_publish(struct call *call, const char *kind, const char *key, json_t *state,
                  json_t *audience);
/* Store thread: accounts, memberships, sessions, API keys or host tokens changed: what was cached
 * of bearers is forgotten. Every route that writes one of these must call it. */
void call_forget_bearers(struct call *call);

/*
 * Work that blocks or computes for long. From read(), run(), `then` or finish(): after the commit,
 * work() runs on the hash worker, then `then` on the store thread as another run() (its own
 * transaction), and finish() after that. `then` may be NULL: finish() or the answer follows.
 */
void call_defer(struct call *call, void (*work)(struct call *call),
                void (*then)(struct call *call));
/* The same for work that may wait for an external issuer: on threads of its own, so that an issuer
 * that answers slowly holds up nobody who signs in here. */
void call_defer_to_issuer(struct call *call, void (*work)(struct call *call),
                          void (*then)(struct call *call));
/* Loop thread, from finish() or later: runs `run` on the store thread once more (a feed that was
 * woken). The bearer is judged again. */
void call_again(struct call *call, void (*run)(struct call *call));

/*
 * Loop thread, from finish(): has the certificates signed by the CA for their type and then calls
 * then(), with the signatures attached. The certificates stay the route's. When the signer is away
 * the call ends with 503 signer_unavailable. Their issued rows must have been committed before.
 */
void call_certify(struct call *call, struct cert **certs, size_t count,
                  void (*then)(struct call *call));

/* "2026-04-01T14:15:20Z", a 64-bit number as a text. */
json_t *call_json_time(int64_t when);
json_t *call_json_u64(uint64_t value);
/* ["10.0.0.0/8",…]; NULL: out of memory, as for the others. */
json_t *call_json_subnets(const struct subnet_list *subnets);
json_t *call_json_clusters(const struct cluster_list *clusters);
/* An item for each line of the text. */
json_t *call_json_lines(const char *lines);
/* {"k":v,…} is json_pack(); a member that is absent when the text is empty: */
void call_json_set_text(json_t *object, const char *name, const char *text);

#endif
