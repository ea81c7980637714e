/* What time alone brings about: timeouts, keep-alives, credentials that end. */
#include "gate/relay/relay.h"

/* While others wait for a place to log in at, who says nothing gives his up; one whose words we
 * have not read yet is not silent. */
static bool is_in_the_way(const struct relay_session *session) {
    const struct relay_worker *worker = session->worker;
    return worker->now_ms - atomic_load(&worker->relay->crowded_ms) < 2 * RELAY_SWEEP_MS &&
           !session->waits && !session->source.readable &&
           worker->now_ms - session->heard_ms >= RELAY_SILENT_MS;
}

static void sweep_login(struct relay_session *session) {
    int64_t now_ms = session->worker->now_ms;
    if (session->answer_ms != 0 && now_ms >= session->answer_ms) {
        session_settle(session, login_refuse_now(session));
        session_schedule(session);
    }
    if (session->phase < SESSION_ENDING &&
        (now_ms >= session->deadline_ms || is_in_the_way(session))) {
        session->refusals++; /* who only holds a place counts as one who failed */
        session_end(session, DISCONNECT_BY_APPLICATION, "login_timeout",
                    "posterngate: the login took too long");
        session_settle(session, OK);
    }
}

static err_t sweep_silence(struct relay_session *session) {
    const struct gate_config *config = &session->setup->config;
    int64_t now_ms = session->worker->now_ms;
    int64_t last_ms =
        session->heard_ms > session->pinged_ms ? session->heard_ms : session->pinged_ms;
    if (config->keepalive_s == 0 || now_ms - last_ms < config->keepalive_s * 1000) {
        return OK;
    }
    if (session->pings > 0 && server_ping_answered(session->server)) {
        session->pings = 0;
    }
    if (session->pings >= config->keepalive_max) {
        session_end(session, DISCONNECT_CONNECTION_LOST, "silent",
                    "posterngate: no sign of life from you");
        return OK;
    }
    session->pings++;
    session->pinged_ms = now_ms;
    return server_ping(session->server, now_ms, &session->worker->output);
}

static void sweep_time(struct relay_session *session) {
    const struct gate_config *config = &session->setup->config;
    int64_t now_ms = session->worker->now_ms;
    if (session->channel_count > 0) {
        session->active_ms = now_ms;
    }
    if (config->idle_s > 0 && now_ms - session->active_ms >= config->idle_s * 1000) {
        session_end(session, DISCONNECT_BY_APPLICATION, "idle",
                    "posterngate: the session was idle for as long as this site allows");
    } else if (config->session_s > 0 && now_ms - session->began_ms >= config->session_s * 1000) {
        session_end(session, DISCONNECT_BY_APPLICATION, "session_time",
                    "posterngate: the session lasted as long as this site allows");
    } else if (session->who->by_window &&
               now_ms - session->began_ms >= (int64_t)LIMIT_ENROLMENT_S * 1000) {
        session_end(session, DISCONNECT_BY_APPLICATION, "window_time",
                    "posterngate: a session to register a key lasts two minutes; run ssh-copy-id "
                    "again");
    } else if (config->cut_expired && session->who->expires_at != 0 &&
               session->worker->now_s >= session->who->expires_at) {
        judge_session(session);
    }
}

void session_sweep(struct relay_session *session) {
    switch (session->phase) {
    case SESSION_PROXY:
    case SESSION_LOGIN:
        sweep_login(session);
        break;
    case SESSION_OPEN: {
        sweep_time(session);
        err_t err = session->phase == SESSION_OPEN ? sweep_silence(session) : OK;
        if (!failed(err) && session->phase == SESSION_OPEN) {
            err = judge_ended_channels(session);
        }
        if (!failed(err) && session->phase == SESSION_OPEN) {
            err = forward_sweep(session);
        }
        session_settle(session, err);
        if (session->phase == SESSION_OPEN) {
            tell_sweep(session);
        }
        break;
    }
    case SESSION_ENDING:
        if (session->worker->now_ms >= session->deadline_ms) {
            session_abandon(session, session->why);
        }
        break;
    case SESSION_DEAD:
        break;
    }
}
