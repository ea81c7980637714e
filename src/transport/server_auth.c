/*
 * The server's side of RFC 4252. Every request is judged by itself: what it offered or proved, for
 * whatever user name, is forgotten with the answer to it.
 */
#include "server_internal.h"

#include "base/limits.h"
#include "base/text.h"
#include "ssh/wire.h"

enum { AUTH_MESSAGE_BYTES_MAX = LIMIT_CERT_BLOB_BYTES + 1024 };

void server_auth_forget(struct server_auth *auth) {
    key_free(auth->key);
    cert_free(auth->cert);
    auth->key = NULL;
    auth->cert = NULL;
    secret_done(&auth->password);
    auth->algorithm = NULL;
    auth->answer = ANSWER_FAILURE;
    auth->costs_nothing = false;
}

bool server_is_authenticated(const struct server *server) {
    return server->state == SERVER_AUTHENTICATED;
}

/* --- requests --- */

err_t server_auth_on_service(struct server *server, struct server_turn *turn) {
    span_t rest = turn->message;
    uint8_t number;
    span_t name;
    TRY(wire_get_u8(&rest, &number));
    TRY(wire_get_string(&rest, &name));
    TRY(wire_expect_end(rest));
    if (!span_equal_str(name, USERAUTH_SERVICE)) {
        server_disconnect(server, DISCONNECT_SERVICE_NOT_AVAILABLE, "no such service", turn->out);
        return FAIL(ERR_PROTOCOL);
    }
    struct buf message CLEANUP(buf_done) = BUF(64);
    TRY(wire_put_u8(&message, MSG_SERVICE_ACCEPT));
    TRY(wire_put_text(&message, USERAUTH_SERVICE));
    TRY(transport_send(server->transport, buf_span(&message), turn->now_ms, turn->out));
    server->state = SERVER_AUTHENTICATING;
    return OK;
}

/* A name that somebody could have, and that can stand in a log. */
static bool is_name(span_t name) {
    return name.len > 0 && name.len <= LIMIT_PRINCIPAL_CHARS && text_is_utf8(name);
}

/* The blob must be just of the kind that the algorithm's name says. */
static err_t read_key(struct server_auth *auth, const struct userauth_publickey *request) {
    const struct userauth_algorithm *algorithm = userauth_algorithm_named(request->algorithm);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct key *key CLEANUP(key_freep) = NULL;
    if (algorithm == NULL) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (algorithm->certificate) {
        TRY(cert_parse(request->blob, &cert));
    } else {
        TRY(key_parse(request->blob, &key));
    }
    if (key_type(cert != NULL ? cert->key : key) != algorithm->type) {
        return FAIL(ERR_KEY_TYPE);
    }
    auth->algorithm = algorithm;
    auth->key = TAKE(key);
    auth->cert = TAKE(cert);
    return OK;
}

static span_t offered_blob(const struct server_auth *auth) {
    return auth->cert != NULL ? buf_span(&auth->cert->blob) : key_blob(auth->key);
}

static const struct key *offered_key(const struct server_auth *auth) {
    return auth->cert != NULL ? auth->cert->key : auth->key;
}

/* Over what was parsed, not over what was sent. */
static err_t verify(const struct server *server, span_t user, span_t signature, uint8_t *sk_flags) {
    const struct server_auth *auth = &server->auth;
    struct buf data CLEANUP(buf_done) = BUF(AUTH_MESSAGE_BYTES_MAX);
    TRY(userauth_check_signature_name(signature, auth->algorithm));
    TRY(userauth_put_signed_data(&data, transport_session_id(server->transport), user,
                                 auth->algorithm, offered_blob(auth)));
    return key_verify(offered_key(auth), buf_span(&data), signature, sk_flags);
}

static err_t judge_publickey(struct server *server, const struct userauth_publickey *request,
                             struct server_event *event) {
    struct server_auth *auth = &server->auth;
    TRY(read_key(auth, request));
    if (request->is_signed) {
        TRY(verify(server, event->user, request->signature, &event->sk_flags));
    }
    auth->answer = request->is_signed ? ANSWER_SUCCESS : ANSWER_PK_OK;
    event->type = request->is_signed ? SERVER_AUTH_PROVED : SERVER_AUTH_OFFERED;
    event->algorithm = auth->algorithm->name;
    event->key = offered_key(auth);
    event->cert = auth->cert;
    return OK;
}

static err_t take_publickey(struct server *server, span_t rest, struct server_event *event) {
    struct userauth_publickey request;
    TRY(userauth_get_publickey(rest, &request));
    if (event->user.len == 0) {
        return OK;
    }
    /* A key that cannot be read and a signature that does not verify are tries that failed. */
    err_t err = judge_publickey(server, &request, event);
    if (failed(err)) {
        server_auth_forget(&server->auth);
    }
    return err.code == ERR_MEMORY ? err : OK;
}

/* A new password is not ours to take, and one that could not be set is wrong: tries that failed. */
static err_t take_password(struct server *server, span_t rest, struct server_event *event) {
    struct server_auth *auth = &server->auth;
    struct userauth_password request;
    TRY(userauth_get_password(rest, &request));
    if (!server->config->takes_passwords || request.is_change || event->user.len == 0 ||
        request.password.len == 0 || !text_is_utf8(request.password)) {
        return OK;
    }
    err_t err = secret_copy(request.password, LIMIT_PASSWORD_CHARS_MAX, &auth->password);
    if (failed(err)) {
        return err.code == ERR_MEMORY ? err : OK;
    }
    auth->answer = ANSWER_SUCCESS;
    event->type = SERVER_AUTH_PASSWORD;
    event->password = &auth->password;
    return OK;
}

static err_t take_method(struct server *server, const struct userauth_request *request,
                         struct server_event *event) {
    if (span_equal_str(request->method, "publickey")) {
        return take_publickey(server, request->rest, event);
    }
    if (!span_equal_str(request->method, "password")) {
        return OK;
    }
    err_t err = take_password(server, request->rest, event);
    /* The driver's input, in which it was decrypted. */
    secret_wipe((void *)(uintptr_t)request->rest.data, request->rest.len);
    return err;
}

err_t server_auth_on_request(struct server *server, struct server_turn *turn) {
    struct server_auth *auth = &server->auth;
    struct server_event *event = turn->event;
    struct userauth_request request;
    TRY(userauth_get_request(turn->message, &request));
    if (!span_equal_str(request.service, CONNECTION_SERVICE)) {
        server_disconnect(server, DISCONNECT_SERVICE_NOT_AVAILABLE, "no such service", turn->out);
        return FAIL(ERR_PROTOCOL);
    }
    if (!is_name(request.method)) {
        return FAIL(ERR_MALFORMED);
    }
    auth->requests++;
    if (auth->requests > LIMIT_AUTH_REQUESTS_COUNT) {
        server_disconnect(server, DISCONNECT_NO_MORE_AUTH_METHODS,
                          "too many authentication requests", turn->out);
        return FAIL(ERR_PROTOCOL);
    }
    event->type = SERVER_AUTH_METHOD;
    event->user = is_name(request.user) ? request.user : span_of(NULL, 0);
    event->method = request.method;
    TRY(take_method(server, &request, event));
    auth->costs_nothing = auth->requests == 1 && span_equal_str(request.method, "none");
    server->state = SERVER_ANSWER_DUE;
    return OK;
}

err_t server_auth_on_late_request(struct server *server, struct server_turn *turn) {
    (void)server;
    (void)turn;
    return OK;
}

/* --- answers --- */

err_t server_auth_banner(struct server *server, const char *text, int64_t now_ms, struct buf *out) {
    INVARIANT(server->state == SERVER_ANSWER_DUE);
    struct buf message CLEANUP(buf_done) = BUF(LIMIT_SESSION_TEXT_BYTES);
    size_t mark;
    TRY(wire_put_u8(&message, MSG_USERAUTH_BANNER));
    TRY(wire_string_begin(&message, &mark));
    TRY(buf_add_str(&message, text));
    TRY(buf_add_str(&message, "\r\n"));
    wire_string_end(&message, mark);
    TRY(wire_put_text(&message, "")); /* language tag */
    return transport_send(server->transport, buf_span(&message), now_ms, out);
}

err_t server_auth_pk_ok(struct server *server, int64_t now_ms, struct buf *out) {
    struct server_auth *auth = &server->auth;
    INVARIANT(server->state == SERVER_ANSWER_DUE && auth->answer == ANSWER_PK_OK);
    struct buf message CLEANUP(buf_done) = BUF(AUTH_MESSAGE_BYTES_MAX);
    TRY(wire_put_u8(&message, MSG_USERAUTH_PK_OK));
    TRY(wire_put_text(&message, auth->algorithm->name));
    TRY(wire_put_string(&message, offered_blob(auth)));
    TRY(transport_send(server->transport, buf_span(&message), now_ms, out));
    server_auth_forget(auth);
    server->state = SERVER_AUTHENTICATING;
    return OK;
}

err_t server_auth_accept(struct server *server, int64_t now_ms, struct buf *out) {
    INVARIANT(server->state == SERVER_ANSWER_DUE && server->auth.answer == ANSWER_SUCCESS);
    static const uint8_t message[] = {MSG_USERAUTH_SUCCESS};
    TRY(transport_send(server->transport, span_of(message, sizeof message), now_ms, out));
    server_auth_forget(&server->auth);
    transport_set_stranger(server->transport, false);
    server->state = SERVER_AUTHENTICATED;
    return server_global_send_host_keys(server, now_ms, out);
}

err_t server_auth_fail(struct server *server, int64_t now_ms, struct buf *out) {
    struct server_auth *auth = &server->auth;
    INVARIANT(server->state == SERVER_ANSWER_DUE);
    auth->failures += auth->costs_nothing ? 0 : 1;
    if (auth->failures >= server->config->auth_tries_max && !auth->costs_nothing) {
        server_disconnect(server, DISCONNECT_NO_MORE_AUTH_METHODS,
                          "too many authentication failures", out);
        return FAIL(ERR_REFUSED);
    }
    struct buf message CLEANUP(buf_done) = BUF(64);
    TRY(wire_put_u8(&message, MSG_USERAUTH_FAILURE));
    TRY(wire_put_text(&message,
                      server->config->takes_passwords ? "publickey,password" : "publickey"));
    TRY(wire_put_bool(&message, false)); /* no partial success */
    TRY(transport_send(server->transport, buf_span(&message), now_ms, out));
    server_auth_forget(auth);
    server->state = SERVER_AUTHENTICATING;
    return OK;
}
