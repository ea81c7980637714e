/*
 * Policy over sessions that live. The lock is held for one judgement at a time, so that a thousand
 * disconnects do not keep the feed waiting.
 */
#include "gate/relay/relay.h"

#include <inttypes.h>
#include <stdio.h>

static struct view_session question_of(const struct relay_session *session) {
    const struct identity *who = session->who;
    return (struct view_session){
        .user = who->user,
        .source = &session->from,
        .serial = who->serial,
        .ca_fingerprint = who->ca_fingerprint[0] == '\0' ? NULL : who->ca_fingerprint,
        .key_blob = span_of(who->key_blob, who->key_blob_len),
        .expires_at = who->expires_at,
        .cut_expired = session->setup->config.cut_expired,
        .within = who->within,
    };
}

static void explain(const struct relay_session *session, enum replica_why why, char *out,
                    size_t size) {
    const struct identity *who = session->who;
    switch (why) {
    case REPLICA_REVOKED:
        (void)snprintf(out, size, "posterngate: your certificate %" PRIu64 " was revoked",
                       who->serial);
        return;
    case REPLICA_DISABLED:
    case REPLICA_NO_ACCOUNT:
        (void)snprintf(out, size, "posterngate: the account %s was disabled", who->user);
        return;
    case REPLICA_NO_REACH:
        (void)snprintf(out, size, "posterngate: your projects reach no cluster any more");
        return;
    case REPLICA_EXPIRED:
        (void)snprintf(out, size, "posterngate: your %s expired; get a new one: postern sign",
                       who->serial != 0 ? "certificate" : "key");
        return;
    case REPLICA_NO_KEY:
        (void)snprintf(out, size, "posterngate: your key was taken out");
        return;
    case REPLICA_SOURCE:
        (void)snprintf(out, size,
                       "posterngate: %s may no longer come from your address; see: postern access",
                       who->user);
        return;
    case REPLICA_NO_CREDENTIAL:
        (void)snprintf(out, size, "posterngate: none of the clusters you reach takes %s any more",
                       who->serial != 0 ? "certificates" : "registered keys");
        return;
    default:
        (void)snprintf(out, size, "posterngate: %s", replica_why_text(why));
        return;
    }
}

void judge_session(struct relay_session *session) {
    if (session->who->by_window) {
        return; /* the authority judges whatever it asks for; and it lasts two minutes */
    }
    struct relay_worker *worker = session->worker;
    struct relay *relay = worker->relay;
    struct view_session question = question_of(session);
    (void)pthread_rwlock_rdlock(&relay->policy);
    struct replica_verdict verdict =
        view_session(relay->view, &session->setup->rules, &question, worker->now_s);
    (void)pthread_rwlock_unlock(&relay->policy);
    if (verdict.allowed) {
        return;
    }
    char text[256];
    explain(session, verdict.why, text, sizeof text);
    COUNT(worker, sessions_cut_total, 1);
    session->cut = true;
    session_end(session, DISCONNECT_BY_APPLICATION, replica_why_text(verdict.why), text);
}

struct view_asked judge_asked(const struct relay_session *session, span_t host, uint16_t port) {
    return (struct view_asked){
        .user = session->who->user,
        .by = session->who->ca_fingerprint[0] == '\0' ? CREDENTIALS_KEYS : CREDENTIALS_CERTIFICATES,
        .host = host,
        .port = port,
        .now = session->worker->now_s,
        .within = session->who->within,
    };
}

/* To the same entry, which has not moved; a job's ends with the job. */
static bool still_leads_there(const struct relay_session *session, struct forward *forward) {
    struct relay *relay = session->worker->relay;
    const struct view_asked asked =
        judge_asked(session, span_str(forward->host), forward->asked_port);
    (void)pthread_rwlock_rdlock(&relay->policy);
    struct view_destination to = view_destination(relay->view, &asked);
    bool leads = to.allowed && to.port == forward->port && strcmp(to.address, forward->entry) == 0;
    (void)pthread_rwlock_unlock(&relay->policy);
    forward->ends_at = to.ends_at;
    return leads;
}

static err_t judge_channel(struct relay_session *session, struct forward *forward) {
    if (forward->host == NULL || forward->state == FORWARD_CLOSED ||
        still_leads_there(session, forward)) {
        return OK;
    }
    return forward->opening != NULL ? open_forbid(forward) : forward_close(forward, "policy");
}

static err_t judge_channels(struct relay_session *session) {
    for (size_t i = 0; i < session->channel_slots; i++) {
        TRY(session->channels[i] == NULL ? OK : judge_channel(session, session->channels[i]));
    }
    return OK;
}

err_t judge_ended_channels(struct relay_session *session) {
    for (size_t i = 0; i < session->channel_slots; i++) {
        struct forward *forward = session->channels[i];
        bool ended =
            forward != NULL && forward->ends_at != 0 && session->worker->now_s >= forward->ends_at;
        TRY(ended ? judge_channel(session, forward) : OK);
    }
    return OK;
}

void judge_all(struct relay_worker *worker) {
    struct relay_session *next;
    for (struct relay_session *session = TAILQ_FIRST(&worker->sessions); session != NULL;
         session = next) {
        next = TAILQ_NEXT(session, of_worker);
        if (session->phase != SESSION_OPEN) {
            continue;
        }
        judge_session(session);
        session_settle(session, session->phase == SESSION_OPEN ? judge_channels(session) : OK);
    }
}
