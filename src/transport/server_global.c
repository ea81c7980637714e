/*
 * Global requests (RFC 4254 section 4), and OpenSSH's way to tell a client of all host keys
 * (draft-miller-sshm-hostkey-update): we name them, and prove those that the client asks about.
 */
#include "server_internal.h"

#include "base/limits.h"
#include "ssh/wire.h"

#define PROVE_REQUEST "hostkeys-prove-00@openssh.com"

enum { HOST_KEYS_BYTES_MAX = 64 * 1024 };

/* --- ours --- */

static bool is_shown_before(const struct transport_config *config, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (key_equal(config->host_keys[i].key, config->host_keys[at].key)) {
            return true;
        }
    }
    return false;
}

err_t server_global_send_host_keys(struct server *server, int64_t now_ms, struct buf *out) {
    const struct transport_config *config = &server->config->transport;
    struct buf message CLEANUP(buf_done) = BUF(HOST_KEYS_BYTES_MAX);
    TRY(wire_put_u8(&message, MSG_GLOBAL_REQUEST));
    TRY(wire_put_text(&message, "hostkeys-00@openssh.com"));
    TRY(wire_put_bool(&message, false));
    for (size_t i = 0; i < config->host_key_count; i++) {
        if (!is_shown_before(config, i)) {
            TRY(wire_put_string(&message, key_blob(config->host_keys[i].key)));
        }
    }
    return transport_send(server->transport, buf_span(&message), now_ms, out);
}

err_t server_ping(struct server *server, int64_t now_ms, struct buf *out) {
    INVARIANT(server->state == SERVER_AUTHENTICATED);
    struct buf message CLEANUP(buf_done) = BUF(64);
    TRY(wire_put_u8(&message, MSG_GLOBAL_REQUEST));
    TRY(wire_put_text(&message, "keepalive@openssh.com"));
    TRY(wire_put_bool(&message, true));
    TRY(transport_send(server->transport, buf_span(&message), now_ms, out));
    server->ping_due = true;
    return OK;
}

bool server_ping_answered(const struct server *server) { return !server->ping_due; }

/* To a ping, or to nothing at all: any message has answered the ping already. */
err_t server_global_on_reply(struct server *server, struct server_turn *turn) {
    (void)server;
    (void)turn;
    return OK;
}

/* --- the peer's --- */

static err_t reply(struct server *server, bool success, int64_t now_ms, struct buf *out) {
    const uint8_t message[] = {success ? MSG_REQUEST_SUCCESS : MSG_REQUEST_FAILURE};
    return transport_send(server->transport, span_of(message, sizeof message), now_ms, out);
}

static const struct transport_host_key *host_key(const struct transport_config *config,
                                                 span_t blob) {
    for (size_t i = 0; i < config->host_key_count; i++) {
        if (span_equal(key_blob(config->host_keys[i].key), blob)) {
            return &config->host_keys[i];
        }
    }
    return NULL;
}

/* Each key is one of ours, and there are no more of them than we have: a request is no way to get
 * any number of signatures. */
static err_t check_keys(const struct transport_config *config, span_t keys) {
    for (size_t count = 0; keys.len > 0; count++) {
        span_t blob;
        TRY(wire_get_string(&keys, &blob));
        if (count == config->host_key_count || host_key(config, blob) == NULL) {
            return FAIL(ERR_NOT_FOUND);
        }
    }
    return OK;
}

static err_t begin_proof(struct server *server, span_t keys) {
    struct server_prove *prove = calloc(1, sizeof *prove);
    if (prove == NULL) {
        return FAIL(ERR_MEMORY);
    }
    server->prove = prove;
    buf_init(&prove->keys, HOST_KEYS_BYTES_MAX);
    buf_init(&prove->data, HOST_KEYS_BYTES_MAX);
    buf_init(&prove->answer, HOST_KEYS_BYTES_MAX);
    TRY(buf_add(&prove->keys, keys));
    prove->rest = buf_span(&prove->keys);
    return wire_put_u8(&prove->answer, MSG_REQUEST_SUCCESS);
}

void server_global_forget(struct server *server) {
    struct server_prove *prove = TAKE(server->prove);
    if (prove != NULL) {
        buf_done(&prove->keys);
        buf_done(&prove->data);
        buf_done(&prove->answer);
        free(prove);
    }
}

err_t server_global_on_request(struct server *server, struct server_turn *turn) {
    span_t rest = turn->message;
    uint8_t number;
    span_t name;
    bool want_reply;
    TRY(wire_get_u8(&rest, &number));
    TRY(wire_get_string(&rest, &name));
    TRY(wire_get_bool(&rest, &want_reply));
    bool granted = false;
    if (span_equal_str(name, "no-more-sessions@openssh.com")) {
        server->no_more_sessions = true;
        granted = true;
    } else if (span_equal_str(name, PROVE_REQUEST) && want_reply && rest.len > 0 &&
               !failed(check_keys(&server->config->transport, rest))) {
        return begin_proof(server, rest);
    }
    return want_reply ? reply(server, granted, turn->now_ms, turn->out) : OK;
}

/* The client expects of RSA what the key exchange used where that was RSA too; else the better. */
static const char *proof_algorithm(const struct server *server, const struct key *key) {
    struct transport_facts facts = {0};
    if (key_type(key) != KEY_RSA) {
        return key_type_name(key);
    }
    transport_facts(server->transport, &facts);
    const char *used = facts.host_key_algorithm;
    return used != NULL && strncmp(used, "rsa-sha2-256", strlen("rsa-sha2-256")) == 0
               ? "rsa-sha2-256"
               : "rsa-sha2-512";
}

err_t server_global_next_proof(struct server *server, struct server_event *event) {
    struct server_prove *prove = server->prove;
    span_t blob;
    if (prove->is_due) {
        return OK;
    }
    TRY(wire_get_string(&prove->rest, &blob));
    const struct transport_host_key *key = host_key(&server->config->transport, blob);
    INVARIANT(key != NULL);
    buf_clear(&prove->data);
    TRY(wire_put_text(&prove->data, PROVE_REQUEST));
    TRY(wire_put_string(&prove->data, transport_session_id(server->transport)));
    TRY(wire_put_string(&prove->data, blob));
    prove->is_due = true;
    *event = (struct server_event){.type = SERVER_SIGN,
                                   .data = buf_span(&prove->data),
                                   .host_key = key,
                                   .algorithm = proof_algorithm(server, key->key)};
    return OK;
}

err_t server_global_signed(struct server *server, span_t signature, int64_t now_ms,
                           struct buf *out) {
    struct server_prove *prove = server->prove;
    INVARIANT(prove->is_due);
    prove->is_due = false;
    if (signature.len == 0) {
        server_global_forget(server);
        return reply(server, false, now_ms, out);
    }
    TRY(wire_put_string(&prove->answer, signature));
    if (prove->rest.len > 0) {
        return OK;
    }
    err_t err = transport_send(server->transport, buf_span(&prove->answer), now_ms, out);
    server_global_forget(server);
    return err;
}
