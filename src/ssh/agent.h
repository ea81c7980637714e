/*
 * The SSH agent protocol (RFC 9987, OpenSSH PROTOCOL.agent): messages encoded and decoded side by
 * side, without I/O, for the client and the server side; and, at the end, a small blocking client
 * over a Unix socket.
 */
#ifndef POSTERN_SSH_AGENT_H
#define POSTERN_SSH_AGENT_H

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"
#include "ssh/cert.h"
#include "ssh/key.h"
#include "ssh/private_key.h"

enum agent_message {
    AGENT_FAILURE = 5,
    AGENT_SUCCESS = 6,
    AGENT_REQUEST_IDENTITIES = 11,
    AGENT_IDENTITIES_ANSWER = 12,
    AGENT_SIGN_REQUEST = 13,
    AGENT_SIGN_RESPONSE = 14,
    AGENT_ADD_IDENTITY = 17,
    AGENT_REMOVE_IDENTITY = 18,
    AGENT_REMOVE_ALL_IDENTITIES = 19,
    AGENT_LOCK = 22,
    AGENT_UNLOCK = 23,
    AGENT_ADD_ID_CONSTRAINED = 25,
    AGENT_EXTENSION = 27,
    AGENT_EXTENSION_FAILURE = 28,
};

enum agent_sign_flags { AGENT_RSA_SHA2_256 = 2, AGENT_RSA_SHA2_512 = 4 };

/*
 * Framing: takes one whole message (without its length) off the front of *stream. ERR_TRUNCATED:
 * wait for more bytes. ERR_TOO_LONG beyond LIMIT_AGENT_MESSAGE_BYTES and ERR_MALFORMED for an empty
 * one: close the connection.
 */
err_t agent_get_frame(span_t *stream, span_t *message);

struct agent_request {
    enum agent_message type;
    span_t key_blob;    /* SIGN_REQUEST, REMOVE_IDENTITY: key or certificate blob; borrowed, as all
                           spans here */
    span_t data;        /* SIGN_REQUEST */
    uint32_t flags;     /* SIGN_REQUEST */
    span_t private_key; /* ADD_*: the key's wire form (private_key_get_wire reads it, or a
                           certificate form) */
    span_t comment;     /* ADD_* */
    bool has_lifetime;
    uint32_t lifetime_s; /* ADD_ID_CONSTRAINED */
    bool confirm;
    span_t extension_name; /* EXTENSION */
    span_t extension_body;
    span_t passphrase; /* LOCK, UNLOCK */
};

/* The server's side. An unknown message type is ERR_UNSUPPORTED, an unknown constraint
 * ERR_OPTION_UNKNOWN: answer FAILURE. */
err_t agent_get_request(span_t message, struct agent_request *out);
/* For what is refused, and for extensions not known ("session-bind@openssh.com" may be: ssh goes on
 * without). */
err_t agent_put_failure(struct buf *out);
err_t agent_put_success(struct buf *out);
struct agent_identity {
    span_t blob;
    span_t comment;
};
err_t agent_put_identities(struct buf *out, const struct agent_identity *identities, size_t count);
err_t agent_put_sign_response(struct buf *out, span_t signature);

/* The client's side: each appends one framed message. */
err_t agent_put_request_identities(struct buf *out);
err_t agent_put_sign_request(struct buf *out, span_t key_blob, span_t data, uint32_t flags);
/* lifetime_s 0: no constraint. With a certificate the identity added is the certificate;
 * ERR_CONFLICT when it is another key's. */
err_t agent_put_add_identity(struct buf *out, const struct private_key *key,
                             const struct cert *cert, const char *comment, uint32_t lifetime_s);
err_t agent_put_remove_identity(struct buf *out, span_t blob);
/*
 * ERR_REFUSED for FAILURE; ERR_PROTOCOL for an answer of another type. each() is called for every
 * identity once the whole answer has been found well-formed; spans borrow from the message.
 */
err_t agent_get_identities(span_t message,
                           err_t (*each)(void *context, span_t blob, span_t comment),
                           void *context);
err_t agent_get_sign_response(span_t message, span_t *signature);
err_t agent_get_success(span_t message);

/*
 * A blocking client. path NULL: $SSH_AUTH_SOCK; ERR_NOT_FOUND when there is none, ERR_CONNECT when
 * nobody answers, ERR_PERMISSION when it is neither this user nor root: at the place of a forwarded
 * agent that has gone, in /tmp, anybody can listen for the keys that are added.
 */
struct agent_client;
err_t agent_client_open(const char *path, struct agent_client **out);
void agent_client_close(struct agent_client *client);
void agent_client_closep(struct agent_client **client);
/* For one whole exchange; AGENT_TIMEOUT_MS at first, since a person may have to confirm. */
enum { AGENT_TIMEOUT_MS = 60 * 1000 };
void agent_client_set_timeout(struct agent_client *client, int timeout_ms);
/*
 * Sends what `request` holds (one framed message) and gives the answer; *message borrows until the
 * next call. ERR_TIMEOUT, ERR_CLOSED, ERR_TOO_LONG, ERR_MALFORMED and ERR_IO end the connection:
 * every later call is ERR_CLOSED.
 */
err_t agent_client_call(struct agent_client *client, const struct buf *request, span_t *message);

#endif
