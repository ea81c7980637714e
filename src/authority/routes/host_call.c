/*
 * What hosts ask for themselves: to be enrolled with a one-time token, and certificates for the
 * host keys they were enrolled with.
 *
 * A host certificate names nothing but what the administrators wrote down for that host; what the
 * host says about itself (but its keys, at enrolment) is not asked.
 */
#include <stdio.h>

#include "authority/authority.h"
#include "authority/rate.h"
#include "authority/routes/host_admin.h"
#include "authority/routes/host_call.h"
#include "authority/routes/login.h"
#include "authority/routes/publish.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"

enum {
    TOKEN_TEXT_CHARS = 2 * TOKEN_CHARS, /* of what may be no token */
    CERT_LINE_CHARS = 2 * LIMIT_CERT_BLOB_BYTES,
};

struct host_request {
    char enrol_hash[HASH_CHARS]; /* "" when the text is no enrolment token */
    struct key *keys[LIMIT_HOST_KEYS_COUNT];
    struct cert *certs[LIMIT_HOST_KEYS_COUNT];
    size_t count;
};

static void release(void *own) {
    struct host_request *request = own;
    for (size_t i = 0; i < LIMIT_HOST_KEYS_COUNT; i++) {
        key_free(request->keys[i]);
        cert_free(request->certs[i]);
    }
}

static err_t refuse_key(struct call *call, err_t err) {
    bool private = err.code == ERR_KEY_PRIVATE;
    call_problem(call, 422, err_name(err), "hostKeys", "%s%s", err_text(err),
                 private ? "; it has now been sent over the network: delete it and make a new one"
                         : "");
    return err;
}

static err_t read_key(struct call *call, const char *line, struct host_request *own) {
    struct key *key CLEANUP(key_freep) = NULL;
    err_t err = key_parse_line(span_str(line), &key, NULL);
    if (!failed(err) && (key_type(key) == KEY_UNKNOWN || key_is_security_key(key))) {
        err = FAIL(ERR_KEY_TYPE);
    }
    if (failed(err)) {
        return refuse_key(call, err);
    }
    for (size_t i = 0; i < own->count; i++) {
        if (key_equal(own->keys[i], key)) {
            return refuse_key(call, FAIL(ERR_DUPLICATE));
        }
    }
    own->keys[own->count++] = TAKE(key);
    return OK;
}

static err_t read_keys(struct call *call, struct host_request *own) {
    const json_t *lines = NULL;
    TRY(call_read_strings(call, "hostKeys", CALL_REQUIRED, LIMIT_HOST_KEYS_COUNT,
                          LIMIT_KEY_LINE_CHARS, &lines));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        TRY(read_key(call, json_string_value(json_array_get(lines, i)), own));
    }
    if (own->count == 0) {
        call_problem(call, 422, "missing_field", "hostKeys", "send at least one public host key");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

/* The one-time token must not be used up for an answer that cannot be given. */
static err_t require_signer(struct call *call) {
    if (signer_client_count(call->authority->signer).up) {
        return OK;
    }
    call_problem(call, 503, "signer_unavailable", NULL,
                 "the signer is not available at the moment; nothing was signed");
    call_retry_after(call, 2);
    return FAIL(ERR_CLOSED);
}

static err_t enrol_read(struct call *call) {
    struct host_request *own = call_own(call, sizeof *own, release);
    const char *token = NULL;
    TRY(login_guard_admit_token(call));
    TRY(call_read_string(call, "token", CALL_REQUIRED, TOKEN_TEXT_CHARS, &token));
    /* A malformed one is refused like an unknown one, in run(), and leaves the same trace. */
    ignore_err(token_hash(TOKEN_ENROL, span_str(token), own->enrol_hash));
    TRY(read_keys(call, own));
    return require_signer(call);
}

static err_t certificates_read(struct call *call) {
    struct host_request *own = call_own(call, sizeof *own, release);
    TRY(read_keys(call, own));
    return require_signer(call);
}

/* One line for each key; ERR_TOO_LONG when they do not fit. */
static err_t print_keys(const struct host_request *own, char out[LIMIT_KEY_BLOB_BYTES]) {
    struct buf lines CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES - 1);
    for (size_t i = 0; i < own->count; i++) {
        if (i != 0) {
            TRY(buf_add_byte(&lines, '\n'));
        }
        TRY(key_print_line(own->keys[i], NULL, &lines));
    }
    memcpy(out, lines.data, lines.len);
    out[lines.len] = '\0';
    return OK;
}

static err_t holds_key(const char *lines, const struct key *key, bool *out) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    TRY(key_print_line(key, NULL, &line));
    bool held = false;
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        held = held || span_equal(span_of(lines, len), buf_span(&line));
        lines += len + (lines[len] == '\n');
    }
    *out = held;
    return OK;
}

static err_t add_name(struct cert *cert, const char *name) {
    if (name[0] == '\0') {
        return OK;
    }
    err_t err = cert_add_principal(cert, name);
    return err.code == ERR_DUPLICATE ? OK : err; /* the address is often the name */
}

/* The host's name and address, and the cluster's where clients reach the cluster at this host. */
static err_t add_principals(struct cert *cert, const struct host *host,
                            const struct cluster *cluster) {
    TRY(add_name(cert, host->name));
    TRY(add_name(cert, host->address));
    bool is_door =
        host->role == HOST_LOGIN && cluster->address[0] != '\0' &&
        (strcmp(cluster->address, host->address) == 0 || strcmp(cluster->address, host->name) == 0);
    if (is_door) {
        TRY(add_name(cert, cluster->name));
        TRY(add_name(cert, cluster->address));
    }
    return OK;
}

static err_t make_cert(struct call *call, const struct host *host, const struct cluster *cluster,
                       const struct key *key, struct cert **out) {
    const struct policy *policy = &call->authority->policy;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    char key_id[LIMIT_HOST_NAME_CHARS + 8];
    (void)snprintf(key_id, sizeof key_id, "host:%s", host->name);
    TRY(cert_new(&cert));
    TRY(key_copy(key, &cert->key));
    TRY(cert_set_key_id(cert, key_id));
    TRY(add_principals(cert, host, cluster));
    cert->type = CERT_HOST;
    cert->serial = serial_next(&call->authority->serials, clock_now_ms());
    cert->valid_after = (uint64_t)(call->now - policy->backdate_s);
    cert->valid_before = (uint64_t)(call->now + policy->host_duration_s);
    *out = TAKE(cert);
    return OK;
}

static err_t record(struct call *call, const struct host *host, const struct cert *cert) {
    struct issued issued = {.serial = cert->serial,
                            .host_id = host->id,
                            .issued_at = call->now,
                            .valid_after = (int64_t)cert->valid_after,
                            .valid_before = (int64_t)cert->valid_before};
    (void)snprintf(issued.key_id, sizeof issued.key_id, "%.*s", (int)sizeof issued.key_id - 1,
                   cert->key_id);
    key_fingerprint(cert->key, issued.fingerprint);
    (void)snprintf(issued.ca_fingerprint, sizeof issued.ca_fingerprint, "%s",
                   signer_client_fingerprint(call->authority->signer, CERT_HOST));
    (void)snprintf(issued.source, sizeof issued.source, "%s", call->source_text);
    return store_issued_add(call_store(call), &issued);
}

static bool make_certs(struct call *call, const struct host *host, const struct cluster *cluster,
                       struct host_request *own) {
    for (size_t i = 0; i < own->count; i++) {
        err_t err = make_cert(call, host, cluster, own->keys[i], &own->certs[i]);
        err = failed(err) ? err : record(call, host, own->certs[i]);
        if (!call_ok(call, err, "the host's certificate")) {
            return false;
        }
    }
    return true;
}

bool host_call_require(struct call *call, enum host_role role, struct host *out) {
    if (!call_ok(call, store_host_get(call_store(call), call->caller.host_id, out), "the host")) {
        return false;
    }
    if (out->role != role) {
        call_problem(call, 403, "not_permitted", NULL,
                     "only hosts of the role %s may do this; %s is of the role %s",
                     host_role_name(role), out->name, host_role_name(out->role));
    }
    return out->role == role;
}

static bool find_cluster(struct call *call, const struct host *host, struct cluster *out) {
    *out = (struct cluster){0};
    return host->cluster_id == 0 ||
           call_ok(call, store_cluster_get(call_store(call), host->cluster_id, out),
                   "the host's cluster");
}

/* Takes the token off the host: whatever happens later in this transaction, it was used. */
static bool find_enrolling(struct call *call, const struct host_request *own, struct host *host) {
    err_t err = own->enrol_hash[0] == '\0'
                    ? FAIL(ERR_NOT_FOUND)
                    : store_host_find_enrol(call_store(call), own->enrol_hash, host);
    const char *reason = err.code == ERR_NOT_FOUND ? "no such enrolment token" : NULL;
    if (reason == NULL && !call_ok(call, err, "the host")) {
        return false;
    }
    if (reason == NULL && host->enrol_expires_at <= call->now) {
        reason = "the enrolment token has expired";
    }
    if (reason != NULL) {
        call_audit(call, failed(err) ? "" : host->name, false, "invalid_enrolment", reason);
        call_problem(call, 401, "invalid_enrolment", "token",
                     "this enrolment token is not valid (any more); it works once and for 24 "
                     "hours; ask an administrator for a new one");
        return false;
    }
    host->enrol_hash[0] = '\0';
    host->enrol_expires_at = 0;
    return true;
}

static void enrol_run(struct call *call) {
    struct host_request *own = call_own(call, sizeof *own, release);
    struct host host = {0};
    struct cluster cluster;
    if (!find_enrolling(call, own, &host) || !find_cluster(call, &host, &cluster)) {
        return;
    }
    char actor[64];
    (void)snprintf(actor, sizeof actor, "host:%.42s", host.name);
    call_actor(call, actor);
    call_audit(call, host.name, true, "ok", NULL);
    if (failed(print_keys(own, host.key_line))) {
        call_problem(call, 422, "too_long", "hostKeys", "these keys are too long together");
        return;
    }
    uint8_t random[TOKEN_RANDOM_BYTES];
    char token[TOKEN_CHARS] = "";
    random_bytes(random, sizeof random);
    err_t err = token_make(TOKEN_HOST, random, token, host.token_hash);
    secret_wipe(random, sizeof random);
    host.enrolled_at = host.seen_at = call->now;
    if (call_ok(call, err, "the host's token") &&
        call_ok(call, store_host_update(call_store(call), &host), "the host") &&
        make_certs(call, &host, &cluster, own)) {
        call_forget_bearers(call);
        call_answer(call, 200,
                    json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "name", host.name, "role",
                              host_role_name(host.role), "cluster", cluster.name, "hostToken",
                              token, "userCaKeys", publish_ca_lines(call->authority, CERT_USER),
                              "hostCaKeys", publish_ca_lines(call->authority, CERT_HOST)));
    }
    secret_wipe(token, sizeof token);
}

static void certificates_run(struct call *call) {
    struct host_request *own = call_own(call, sizeof *own, release);
    struct host host;
    struct cluster cluster;
    struct store *store = call_store(call);
    call_audit(call, call->caller.host_name, true, "ok", NULL);
    if (!rate_spend(call, RATE_HOST_CERTIFICATES) ||
        !call_ok(call, store_host_get(store, call->caller.host_id, &host), "the host") ||
        !find_cluster(call, &host, &cluster)) {
        return;
    }
    for (size_t i = 0; i < own->count; i++) {
        bool held = false;
        if (!call_ok(call, holds_key(host.key_line, own->keys[i], &held), "the host key")) {
            return;
        }
        if (!held) {
            call_problem(call, 403, "not_permitted", "hostKeys",
                         "host key %zu is not one this host was enrolled with; enrol it again "
                         "after its keys changed",
                         i + 1);
            return;
        }
    }
    host.seen_at = call->now;
    if (call_ok(call, store_host_update(store, &host), "the host") &&
        make_certs(call, &host, &cluster, own)) {
        call_answer(call, 200, json_object());
    }
}

static void on_certified(struct call *call) {
    const struct host_request *own = call_own(call, sizeof *own, release);
    json_t *list = json_array();
    err_t err = OK;
    for (size_t i = 0; i < own->count && !failed(err); i++) {
        struct buf line CLEANUP(buf_done) = BUF(CERT_LINE_CHARS);
        err = cert_print_line(own->certs[i], NULL, &line);
        if (!failed(err) &&
            json_array_append_new(list, json_stringn((const char *)line.data, line.len)) != 0) {
            err = FAIL(ERR_MEMORY);
        }
    }
    int set = json_object_set_new(call->answer, "certificates", list);
    (void)call_ok(call, set == 0 ? err : FAIL(ERR_MEMORY), "the certificates");
    call_send(call);
}

static void certify(struct call *call) {
    struct host_request *own = call_own(call, sizeof *own, release);
    if (call->route->access == ACCESS_PUBLIC) {
        login_guard_credit_token(call);
    }
    call_certify(call, own->certs, own->count, on_certified);
}

const struct route host_call_routes[] = {
    {HTTP_POST, "/api/v1/host/enrol", ACCESS_PUBLIC, "host.enrol", enrol_read, enrol_run, certify},
    {HTTP_POST, "/api/v1/host/certificates", ACCESS_HOST, "host.certify", certificates_read,
     certificates_run, certify},
    {0},
};
