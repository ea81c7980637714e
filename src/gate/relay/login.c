#include "gate/relay/relay.h"

#include <stdio.h>

#include "model/scope.h"

/* Bit 2 of a security key's flags (OpenSSH PROTOCOL.u2f): it has verified its user. */
enum { SK_USER_VERIFIED = 4, ADVICE_CHARS = 256 };

/* Zero denies. */
struct decision {
    bool allowed;
    bool proves;     /* worth a proof: what is wrong, if anything, is told after it */
    const char *why; /* for the log */
    char advice[ADVICE_CHARS];
    int64_t expires_at;
    bool stale;
};

/* --- judging --- */

static struct decision judge_cert(const struct relay_session *session,
                                  const struct server_event *event, const char *user) {
    struct relay *relay = session->worker->relay;
    bool proved = event->type == SERVER_AUTH_PROVED;
    struct decision decision = {0};
    const struct view_login login = {.user = user,
                                     .source = &session->from,
                                     .now = session->worker->now_s,
                                     .verify_ca = proved,
                                     .memo = session->worker->memo};
    (void)pthread_rwlock_rdlock(&relay->policy);
    struct view_cert_verdict verdict =
        view_cert(relay->view, &session->setup->rules, event->cert, &login);
    (void)pthread_rwlock_unlock(&relay->policy);
    bool refused_itself =
        verdict.cert_why != CERT_ALLOWED && verdict.cert_why != CERT_REFUSED_UNCHECKED;
    decision.why = refused_itself ? cert_refusal_text(verdict.cert_why)
                                  : replica_why_text(verdict.replica_why);
    /* Who only shows a certificate learns nothing of accounts and revocations. */
    decision.proves = verdict.plausible || !refused_itself;
    decision.allowed = proved && verdict.allowed;
    decision.stale = verdict.stale;
    view_cert_advice(&verdict, event->cert, session->worker->now_s, decision.advice);
    if (event->cert->valid_before <= INT64_MAX) {
        decision.expires_at = (int64_t)event->cert->valid_before;
    }
    if (decision.allowed && verdict.verify_required && (event->sk_flags & SK_USER_VERIFIED) == 0) {
        decision.allowed = false;
        decision.why = "verify-required";
        (void)snprintf(decision.advice, sizeof decision.advice,
                       "your certificate asks for the security key's PIN or fingerprint; make the "
                       "key with: ssh-keygen -O verify-required");
    }
    return decision;
}

static struct decision judge_key(const struct relay_session *session,
                                 const struct server_event *event, const char *user) {
    struct relay *relay = session->worker->relay;
    struct decision decision = {0};
    (void)pthread_rwlock_rdlock(&relay->policy);
    struct replica_verdict verdict =
        view_key(relay->view, &session->setup->rules, event->key, user, &session->from,
                 session->worker->now_s, &decision.expires_at);
    (void)pthread_rwlock_unlock(&relay->policy);
    decision.why = replica_why_text(verdict.why);
    decision.proves = verdict.why != REPLICA_NO_KEY;
    decision.allowed = verdict.allowed && event->type == SERVER_AUTH_PROVED;
    decision.stale = verdict.stale;
    if (verdict.why == REPLICA_NO_KEY) {
        char fingerprint[FINGERPRINT_CHARS];
        key_fingerprint(event->key, fingerprint);
        (void)snprintf(decision.advice, sizeof decision.advice,
                       "the key %s is not registered here; get a certificate for it: "
                       "postern sign, or register it: postern key add",
                       fingerprint);
    } else if (!verdict.allowed) {
        (void)snprintf(decision.advice, sizeof decision.advice, "%s",
                       replica_why_text(verdict.why));
    }
    return decision;
}

/* --- refusing --- */

static void count_failure(struct relay_session *session, const char *user, int64_t *wait_ms) {
    struct relay_worker *worker = session->worker;
    session->failure_counted = true;
    COUNT(worker, login_failures_total, 1);
    *wait_ms = quota_failed(worker->relay->quota, &session->setup->limits, &session->from,
                            user[0] == '\0' ? NULL : user, worker->now_ms);
}

static err_t fail(struct relay_session *session) {
    struct relay_worker *worker = session->worker;
    err_t err = server_auth_fail(session->server, worker->now_ms, &worker->output);
    if (err.code == ERR_REFUSED) {
        session_end(session, DISCONNECT_NO_MORE_AUTH_METHODS, "auth_tries",
                    "too many authentication failures");
        return OK;
    }
    return err;
}

static err_t advise(struct relay_session *session, const char *advice) {
    char line[ADVICE_CHARS + 16];
    struct relay_worker *worker = session->worker;
    (void)snprintf(line, sizeof line, "posterngate: %s", advice);
    session->told = true;
    return server_auth_banner(session->server, line, worker->now_ms, &worker->output);
}

err_t login_refuse_now(struct relay_session *session) {
    session->answer_ms = 0;
    session->waits = false;
    session->input_due = true;
    const char *advice = TAKE(session->advice);
    if (advice != NULL) {
        TRY(advise(session, advice));
    }
    return fail(session);
}

/* Somebody who proved what he has, and may not: he hears why, and those who go on and on wait. */
static err_t refuse_proved(struct relay_session *session, const struct server_event *event,
                           const char *user, const struct decision *decision) {
    int64_t wait_ms;
    record_login_refused(session, user, event->key, event->cert, decision->why);
    count_failure(session, user, &wait_ms);
    session->refusals++;
    TRY(advise(session, decision->advice));
    if (wait_ms == 0) {
        return fail(session);
    }
    session->waits = true;
    session->answer_ms = session->worker->now_ms + wait_ms;
    return OK;
}

/* An agent offers one key after the other, so this is no failure yet, and one line is enough. Where
 * a key has a certificate, some clients offer it before that and some after: neither needs to hear
 * more. */
static err_t refuse_offered(struct relay_session *session, const struct server_event *event,
                            const char *user, const struct decision *decision) {
    session->refusals++;
    (void)snprintf(session->tried, sizeof session->tried, "%s", user);
    if (event->cert != NULL) {
        record_login_refused(session, user, event->key, event->cert, decision->why);
    }
    struct relay_worker *worker = session->worker;
    bool needless =
        session->told || certified_knows(worker->relay->certified, user, event->key, worker->now_s);
    if (event->cert != NULL || !needless) {
        TRY(advise(session, decision->advice));
    }
    session->alone |= event->cert == NULL;
    return fail(session);
}

void login_given_up(struct relay_session *session) {
    int64_t wait_ms;
    if (session->refusals > 0 && !session->failure_counted) {
        count_failure(session, session->tried, &wait_ms);
        record_login_refused(session, session->tried[0] == '\0' ? NULL : session->tried, NULL, NULL,
                             session->why);
    }
}

/* --- letting in --- */

void identity_free(struct identity *who) {
    if (who != NULL) {
        free(who->key_id);
        free(who->within);
        free(who->key_blob);
        secret_done(&who->token);
        free(who);
    }
}

static void identity_freep(struct identity **who) { identity_free(*who); }

static err_t fill_from_cert(struct identity *who, const struct cert *cert) {
    who->serial = cert->serial;
    key_fingerprint(cert->ca_key, who->ca_fingerprint);
    who->restricted = cert->critical_option_count > 0;
    for (size_t i = 0; i < cert->extension_count; i++) {
        who->may_forward |= strcmp(cert->extensions[i].name, "permit-port-forwarding") == 0;
    }
    who->key_id = strdup(cert->key_id);
    const struct scope scope = scope_of(cert, who->user);
    if (scope.clusters.count > 0) {
        who->restricted = true;
        who->within = malloc(sizeof *who->within);
        TRY(who->within == NULL ? FAIL(ERR_MEMORY) : OK);
        *who->within = scope.clusters;
    }
    return who->key_id == NULL ? FAIL(ERR_MEMORY) : OK;
}

static err_t fill_from_key(struct identity *who, const struct key *key) {
    span_t blob = key_blob(key);
    who->may_forward = true;
    who->key_blob = malloc(blob.len);
    if (who->key_blob == NULL) {
        return FAIL(ERR_MEMORY);
    }
    memcpy(who->key_blob, blob.data, blob.len);
    who->key_blob_len = blob.len;
    return OK;
}

static err_t identify(const struct server_event *event, const char *user,
                      const struct decision *decision, struct identity **out) {
    struct identity *who CLEANUP(identity_freep) = calloc(1, sizeof *who);
    if (who == NULL) {
        return FAIL(ERR_MEMORY);
    }
    (void)snprintf(who->user, sizeof who->user, "%s", user);
    key_fingerprint(event->key, who->fingerprint);
    who->expires_at = decision->expires_at;
    who->stale = decision->stale;
    TRY(event->cert != NULL ? fill_from_cert(who, event->cert) : fill_from_key(who, event->key));
    *out = TAKE(who);
    return OK;
}

/* By a limit, for nothing they did wrong: what else their agent offered is no failure either. */
static err_t turn_away(struct relay_session *session, const struct server_event *event,
                       const char *user, const char *why, const char *text) {
    record_login_refused(session, user, event->key, event->cert, why);
    COUNT(session->worker, login_failures_total, 1);
    session->refusals = 0;
    session_end(session, DISCONNECT_TOO_MANY_CONNECTIONS, why, text);
    return OK;
}

static err_t refuse_quota(struct relay_session *session, const struct server_event *event,
                          const char *user, enum quota_verdict verdict) {
    const struct quota_limits *limits = &session->setup->limits;
    char text[ADVICE_CHARS];
    switch (verdict) {
    case QUOTA_SESSIONS:
        (void)snprintf(
            text, sizeof text,
            "posterngate: %s has %u sessions here, which is as many as may be; close one", user,
            limits->sessions_per_account);
        return turn_away(session, event, user, "sessions_per_account_max", text);
    case QUOTA_RATE:
        (void)snprintf(text, sizeof text,
                       "posterngate: %s has logged in %u times in the last minute, which is as "
                       "often as may be; wait a little, or use ControlMaster",
                       user, limits->logins_per_minute);
        return turn_away(session, event, user, "logins_per_minute_max", text);
    default:
        return FAIL(ERR_MEMORY);
    }
}

/* `who` is handed over. */
static err_t let_in(struct relay_session *session, const struct server_event *event,
                    struct identity *who) {
    struct relay_worker *worker = session->worker;
    struct relay *relay = worker->relay;
    enum quota_verdict quota =
        quota_login(relay->quota, &session->setup->limits, who->user, worker->now_ms);
    if (quota != QUOTA_ALLOWED) {
        err_t err = refuse_quota(session, event, who->user, quota);
        identity_free(who);
        return err;
    }
    session->who = who;
    session->phase = SESSION_OPEN;
    atomic_fetch_sub(&relay->logins, 1);
    session->active_ms = worker->now_ms;
    session->quick = RELAY_QUICK_COUNT;
    if (event->cert != NULL && session->alone) {
        certified_note(relay->certified, who->user, event->key, who->expires_at);
    }
    COUNT(worker, logins_total, 1);
    COUNT(worker, sessions_authenticated, 1);
    tell_later(session);
    record_opened(session);
    return server_auth_accept(session->server, worker->now_ms, &worker->output);
}

/* --- passwords: only the authority can judge them --- */

/*
 * Whatever is wrong, the answer is the same, and takes this long at least: neither tells whether
 * there is such an account, nor whether its window is open.
 */
enum { PASSWORD_REFUSAL_MS = 1000 };

static const char not_by_password[] =
    "the user name or the password is wrong, or it may not register a key (any more); who has a "
    "key or a certificate needs no password here";
static const char not_now[] = "the authority cannot be asked at the moment; try again later";
static const char not_so_often[] = "too many passwords were tried; try again in a few minutes";

static err_t refuse_password(struct relay_session *session, const char *why, const char *advice) {
    int64_t now_ms = session->worker->now_ms, wait_ms = 0;
    record_login_refused(session, session->tried, NULL, NULL, why);
    if (advice == not_by_password) {
        count_failure(session, session->tried, &wait_ms);
    }
    session->refusals++;
    session->advice = advice;
    session->answer_ms = session->asked_ms + PASSWORD_REFUSAL_MS;
    if (session->answer_ms < now_ms + wait_ms) {
        session->answer_ms = now_ms + wait_ms;
    }
    return OK;
}

static err_t ask_password(struct relay_session *session, const struct server_event *event,
                          const char *user) {
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES - 16);
    (void)snprintf(session->tried, sizeof session->tried, "%s", user);
    session->waits = true;
    session->asked_ms = session->worker->now_ms;
    err_t err = uplink_put_window(&body, event->user, event->password, &session->from);
    err = failed(err) ? err : ask_uplink(session->worker, UPLINK_WINDOW, &body, session, NULL);
    return failed(err) ? refuse_password(session, "authority_away", not_now) : OK;
}

static err_t let_in_by_window(struct relay_session *session, secret_t *token) {
    static const struct server_event nothing = {0}; /* no key, no certificate */
    struct identity *who = calloc(1, sizeof *who);
    if (who == NULL) {
        return FAIL(ERR_MEMORY);
    }
    (void)snprintf(who->user, sizeof who->user, "%s", session->tried);
    who->by_window = true;
    who->token = *token;
    *token = (secret_t){0};
    session->waits = false;
    session->input_due = true;
    return let_in(session, &nothing, who);
}

err_t login_answered(struct relay_session *session, unsigned status, span_t body) {
    secret_t token CLEANUP(secret_done) = {0};
    if (status == 200 && !failed(uplink_get_token(body, &token))) {
        return let_in_by_window(session, &token);
    }
    if (status == 429) {
        return refuse_password(session, "too_many_requests", not_so_often);
    }
    bool refused = status == 401 || status == 403;
    return refuse_password(session, refused ? "password" : "authority_away",
                           refused ? not_by_password : not_now);
}

/* --- */

err_t login_event(struct relay_session *session, const struct server_event *event) {
    char user[LIMIT_ACCOUNT_NAME_CHARS + 1];
    bool is_name = event->user.len > 0 && event->user.len < sizeof user;
    (void)snprintf(user, sizeof user, "%.*s", is_name ? (int)event->user.len : 0,
                   (const char *)event->user.data);
    if (event->type == SERVER_AUTH_METHOD || !is_name) {
        session->refusals += span_equal_str(event->method, "none") ? 0 : 1;
        return fail(session);
    }
    if (event->type == SERVER_AUTH_PASSWORD) {
        return ask_password(session, event, user);
    }
    struct decision decision =
        event->cert != NULL ? judge_cert(session, event, user) : judge_key(session, event, user);
    if (event->type == SERVER_AUTH_PROVED) {
        if (!decision.allowed) {
            return refuse_proved(session, event, user, &decision);
        }
        struct identity *who;
        TRY(identify(event, user, &decision, &who));
        return let_in(session, event, who);
    }
    if (!decision.proves) {
        return refuse_offered(session, event, user, &decision);
    }
    struct relay_worker *worker = session->worker;
    return server_auth_pk_ok(session->server, worker->now_ms, &worker->output);
}
