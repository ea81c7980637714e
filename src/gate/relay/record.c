#include "gate/relay/relay.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

enum {
    NUMBER_CHARS = 24,
    PLACE_CHARS = INET_CHARS + 8,
    DETAIL_CHARS = LIMIT_HOST_NAME_CHARS + 64,
};

static void print_number(uint64_t number, char out[NUMBER_CHARS]) {
    (void)snprintf(out, NUMBER_CHARS, "%" PRIu64, number);
}

static void print_place(const struct inet_address *address, uint16_t port, char out[PLACE_CHARS]) {
    char text[INET_CHARS];
    inet_address_print(address, text);
    (void)snprintf(out, PLACE_CHARS, address->family_bits == 32 ? "%s:%u" : "[%s]:%u", text, port);
}

static void print_seconds(int64_t ms, char out[NUMBER_CHARS]) {
    (void)snprintf(out, NUMBER_CHARS, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
}

/* False: this one is only counted. Else *untold gets how many were, since the last that was told;
 * "" when none. */
static bool may_tell(struct thinned *lines, uint32_t most, int64_t now_ms,
                     char untold[NUMBER_CHARS]) {
    if (now_ms - lines->began_ms >= 1000) {
        lines->began_ms = now_ms;
        lines->told = 0;
    }
    if (lines->told >= most) {
        lines->untold++;
        return false;
    }
    lines->told++;
    untold[0] = '\0';
    if (lines->untold > 0) {
        print_number(lines->untold, untold);
        lines->untold = 0;
    }
    return true;
}

static const char *if_any(const char *text) { return text[0] == '\0' ? NULL : text; }

/* For the authority's audit log, which is told of the same things as the log. */
static void tell(const struct relay_session *session, const char *action, const char *account,
                 bool allowed, const char *code, const char *detail) {
    ask_uplink_tell(session->worker, &(struct uplink_event){.action = action,
                                                            .actor = account,
                                                            .allowed = allowed,
                                                            .code = code,
                                                            .detail = detail,
                                                            .source = &session->from,
                                                            .at = session->worker->now_s});
}

/* Fewer than in the log, as their rows stay: a flood must not fill the authority's disk. */
static void tell_refused(const struct relay_session *session, const char *action,
                         const char *account, const char *code, const char *detail) {
    char untold[NUMBER_CHARS], text[2 * DETAIL_CHARS];
    struct relay_worker *worker = session->worker;
    if (!may_tell(&worker->events, RELAY_EVENTS_COUNT, worker->now_ms, untold)) {
        return;
    }
    (void)snprintf(text, sizeof text, "%s%s%s%s", detail, untold[0] == '\0' ? "" : "; before it ",
                   untold, untold[0] == '\0' ? "" : " refusals more");
    tell(session, action, account, false, code, text);
}

/* What somebody came with: "certificate 17 of SHA256:…". A serial of 0: a registered key. */
static void print_credential(uint64_t serial, const char *fingerprint, char out[DETAIL_CHARS]) {
    if (serial != 0) {
        (void)snprintf(out, DETAIL_CHARS, "certificate %" PRIu64 " of %s", serial, fingerprint);
    } else {
        (void)snprintf(out, DETAIL_CHARS, "key %s", fingerprint);
    }
}

static void tell_opened(const struct relay_session *session) {
    const struct identity *who = session->who;
    char detail[DETAIL_CHARS] = "password";
    if (!who->by_window) {
        print_credential(who->serial, who->fingerprint, detail);
    }
    tell(session, "gate.login", who->user, true, "ok", detail);
}

void record_opened(const struct relay_session *session) {
    const struct identity *who = session->who;
    char from[PLACE_CHARS], serial[NUMBER_CHARS];
    struct transport_facts facts = {0};
    print_place(&session->from, session->from_port, from);
    print_number(who->serial, serial);
    transport_facts(server_transport(session->server), &facts);
    log_event(LOG_LEVEL_INFO, "session_opened", "account", who->user, "from", from, "key",
              who->by_window ? NULL : who->fingerprint, "window", who->by_window ? "true" : NULL,
              "serial", who->serial != 0 ? serial : NULL, "keyId", who->key_id, "kex", facts.kex,
              "cipher", facts.cipher_in, "client", facts.peer_version, "stale",
              who->stale ? "true" : NULL, NULL);
    tell_opened(session);
}

void record_closed(const struct relay_session *session) {
    char from[PLACE_CHARS], in[NUMBER_CHARS], out[NUMBER_CHARS], lasted[NUMBER_CHARS];
    print_place(&session->from, session->from_port, from);
    print_number(session->bytes_in, in);
    print_number(session->bytes_out, out);
    print_seconds(session->worker->now_ms - session->began_ms, lasted);
    log_event(LOG_LEVEL_INFO, "session_closed", "account", session->who->user, "from", from, "why",
              session->why, "bytesIn", in, "bytesOut", out, "seconds", lasted, NULL);
    if (session->cut) {
        tell(session, "gate.session", session->who->user, false, "cut", session->why);
    }
}

void record_login_refused(const struct relay_session *session, const char *user,
                          const struct key *key, const struct cert *cert, const char *why) {
    char from[PLACE_CHARS], serial[NUMBER_CHARS], fingerprint[FINGERPRINT_CHARS];
    char untold[NUMBER_CHARS];
    struct relay_worker *worker = session->worker;
    if (!may_tell(&worker->logins_refused, RELAY_REFUSALS_COUNT, worker->now_ms, untold)) {
        return;
    }
    print_place(&session->from, session->from_port, from);
    print_number(cert == NULL ? 0 : cert->serial, serial);
    if (key != NULL) {
        key_fingerprint(key, fingerprint);
    }
    log_event(LOG_LEVEL_WARN, "login_refused", "account", user, "from", from, "key",
              key == NULL ? NULL : fingerprint, "serial", cert == NULL ? NULL : serial, "keyId",
              cert == NULL ? NULL : cert->key_id, "why", why, "untold", if_any(untold), NULL);
    char credential[DETAIL_CHARS] = "";
    if (key != NULL) {
        print_credential(cert == NULL ? 0 : cert->serial, fingerprint, credential);
    }
    tell_refused(session, "gate.login", user == NULL ? "" : user, why, credential);
}

void record_arrival_refused(struct relay_worker *worker, const struct inet_address *from,
                            const char *why) {
    char text[INET_CHARS], untold[NUMBER_CHARS];
    if (!may_tell(&worker->arrivals_refused, RELAY_REFUSALS_COUNT, worker->now_ms, untold)) {
        return;
    }
    inet_address_print(from, text);
    log_event(LOG_LEVEL_WARN, "connection_refused", "from", text, "why", why, "untold",
              if_any(untold), NULL);
}

static void print_target(span_t host, uint16_t port, char out[LIMIT_HOST_NAME_CHARS + 16]) {
    (void)snprintf(out, LIMIT_HOST_NAME_CHARS + 16, "%.*s:%u", (int)host.len,
                   (const char *)host.data, port);
}

void record_channel_opened(const struct forward *forward) {
    const struct relay_session *session = forward->session;
    char from[PLACE_CHARS], to[LIMIT_HOST_NAME_CHARS + 16], address[INET_CHARS];
    print_place(&session->from, session->from_port, from);
    print_target(span_str(forward->host), forward->port, to);
    inet_address_print(&forward->address, address);
    log_event(LOG_LEVEL_INFO, "channel_opened", "account", session->who->user, "from", from, "to",
              to, "address", address, "cluster", forward->cluster, NULL);
}

void record_channel_refused(const struct relay_session *session, span_t host, uint16_t port,
                            const char *why) {
    char from[PLACE_CHARS], to[LIMIT_HOST_NAME_CHARS + 16], untold[NUMBER_CHARS];
    struct relay_worker *worker = session->worker;
    if (!may_tell(&worker->channels_refused, RELAY_REFUSALS_COUNT, worker->now_ms, untold)) {
        return;
    }
    print_place(&session->from, session->from_port, from);
    print_target(host, port, to);
    log_event(LOG_LEVEL_INFO, "channel_refused", "account", session->who->user, "from", from, "to",
              host.len == 0 ? NULL : to, "why", why, "untold", if_any(untold), NULL);
    tell_refused(session, "gate.channel", session->who->user, why, host.len == 0 ? "" : to);
}

void record_channel_closed(const struct forward *forward, const char *why) {
    const struct relay_session *session = forward->session;
    char from[PLACE_CHARS], to[LIMIT_HOST_NAME_CHARS + 16], in[NUMBER_CHARS], out[NUMBER_CHARS];
    char lasted[NUMBER_CHARS];
    print_place(&session->from, session->from_port, from);
    print_target(span_str(forward->host), forward->port, to);
    print_number(forward->bytes_in, in);
    print_number(forward->bytes_out, out);
    print_seconds(session->worker->now_ms - forward->began_ms, lasted);
    log_event(LOG_LEVEL_INFO, "channel_closed", "account", session->who->user, "from", from, "to",
              to, "why", why, "bytesIn", in, "bytesOut", out, "seconds", lasted, NULL);
}
