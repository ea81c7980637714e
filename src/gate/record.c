#include "gate/relay.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

enum { NUMBER_CHARS = 24, PLACE_CHARS = INET_CHARS + 8 };

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
static bool may_tell(struct thinned *lines, int64_t now_ms, char untold[NUMBER_CHARS]) {
    if (now_ms - lines->began_ms >= 1000) {
        lines->began_ms = now_ms;
        lines->told = 0;
    }
    if (lines->told == RELAY_REFUSALS_COUNT) {
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

void record_opened(const struct relay_session *session) {
    const struct identity *who = session->who;
    char from[PLACE_CHARS], serial[NUMBER_CHARS];
    struct transport_facts facts = {0};
    print_place(&session->from, session->from_port, from);
    print_number(who->serial, serial);
    transport_facts(server_transport(session->server), &facts);
    log_event(LOG_LEVEL_INFO, "session_opened", "account", who->user, "from", from, "key",
              who->fingerprint, "serial", who->serial != 0 ? serial : NULL, "keyId", who->key_id,
              "kex", facts.kex, "cipher", facts.cipher_in, "client", facts.peer_version, "stale",
              who->stale ? "true" : NULL, NULL);
}

void record_closed(const struct relay_session *session) {
    char from[PLACE_CHARS], in[NUMBER_CHARS], out[NUMBER_CHARS], lasted[NUMBER_CHARS];
    print_place(&session->from, session->from_port, from);
    print_number(session->bytes_in, in);
    print_number(session->bytes_out, out);
    print_seconds(session->worker->now_ms - session->began_ms, lasted);
    log_event(LOG_LEVEL_INFO, "session_closed", "account", session->who->user, "from", from, "why",
              session->why, "bytesIn", in, "bytesOut", out, "seconds", lasted, NULL);
}

void record_login_refused(const struct relay_session *session, const char *user,
                          const struct key *key, const struct cert *cert, const char *why) {
    char from[PLACE_CHARS], serial[NUMBER_CHARS], fingerprint[FINGERPRINT_CHARS];
    char untold[NUMBER_CHARS];
    struct relay_worker *worker = session->worker;
    if (!may_tell(&worker->logins_refused, worker->now_ms, untold)) {
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
}

void record_arrival_refused(struct relay_worker *worker, const struct inet_address *from,
                            const char *why) {
    char text[INET_CHARS], untold[NUMBER_CHARS];
    if (!may_tell(&worker->arrivals_refused, worker->now_ms, untold)) {
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
    if (!may_tell(&worker->channels_refused, worker->now_ms, untold)) {
        return;
    }
    print_place(&session->from, session->from_port, from);
    print_target(host, port, to);
    log_event(LOG_LEVEL_INFO, "channel_refused", "account", session->who->user, "from", from, "to",
              host.len == 0 ? NULL : to, "why", why, "untold", if_any(untold), NULL);
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
