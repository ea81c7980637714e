/*
 * How a gate asks the authority, and tells it: through `postern-host sync` on the same machine,
 * which has the host's token and the network. A Unix stream socket in sync's state directory
 * (UPLINK_SOCKET, mode 0600: root's, or of whoever runs sync). Frames of a gate:
 *
 *   uint32  length of what follows
 *   uint32  id, the gate's to choose
 *   byte    enum uplink_call
 *   bytes   a JSON object: the body of the authority's call (docs/openapi.yaml)
 *
 * and of sync, in any order:
 *
 *   uint32  length of what follows
 *   uint32  id of the question
 *   uint32  the authority's HTTP status; 0: it cannot be asked now, and what came of the question
 *           is not known. That is said at once while the authority is known to be away, and when
 *           LIMIT_UPLINK_QUESTIONS_COUNT others wait
 *   bytes   the body of its answer
 *
 * A session is told soon after it was let in, when it changes and when it ends; a gate that goes
 * has none. One that cannot tell an end tells all anew. These have no answer, and no event has one.
 * Sync keeps the last LIMIT_UPLINK_EVENTS_COUNT until the authority takes them, and tells it how
 * many older ones it had to drop.
 *
 * Who breaks the rules is cut off. Passwords travel here: what holds a frame is wiped.
 */
#ifndef POSTERN_FEED_UPLINK_H
#define POSTERN_FEED_UPLINK_H

#include "base/inet.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/span.h"

#define UPLINK_SOCKET "uplink.sock"

enum uplink_call {
    UPLINK_WINDOW = 1,  /* POST /api/v1/host/enrolment */
    UPLINK_KEYS = 2,    /* POST /api/v1/host/enrolment/keys */
    UPLINK_EVENT = 3,   /* one of POST /api/v1/host/audit's "events" */
    UPLINK_SESSION = 4, /* one of POST /api/v1/host/gate-sessions' "sessions" */
    UPLINK_ENDED = 5,   /* {"id"}: such a one has ended */
    UPLINK_ANEW = 6,    /* {}: what was told of sessions counts no more */
};

/* --- frames --- */

struct uplink_question {
    uint32_t id;
    enum uplink_call call;
    span_t body;
};
/* Takes a whole frame off the front: ERR_TRUNCATED to wait for more, ERR_TOO_LONG beyond
 * LIMIT_UPLINK_FRAME_BYTES, ERR_MALFORMED. Spans borrow from the stream. */
err_t uplink_get_question(span_t *stream, struct uplink_question *out);
err_t uplink_put_question(struct buf *out, uint32_t id, enum uplink_call call, span_t body);

struct uplink_answer {
    uint32_t id;
    unsigned status;
    span_t body;
};
err_t uplink_get_answer(span_t *stream, struct uplink_answer *out);
err_t uplink_put_answer(struct buf *out, uint32_t id, unsigned status, span_t body);

/* --- bodies, written; ERR_MALFORMED for a text that is not UTF-8 without control characters --- */

err_t uplink_put_window(struct buf *out, span_t username, const secret_t *password,
                        const struct inet_address *source);

/* Who brings keys: let in by the window (token), by a certificate (serial), or by a registered key
 * (fingerprint); just one of the three. */
struct uplink_bearer {
    const char *username;
    const char *token;       /* or NULL */
    uint64_t serial;         /* or 0 */
    const char *fingerprint; /* or NULL */
};
/* `lines`: of an authorized_keys file, parted at line ends; blank lines and comments are left out.
 * *count is how many there are: beyond LIMIT_ENROLMENT_KEYS_COUNT ERR_RANGE, none ERR_NOT_FOUND. */
err_t uplink_put_keys(struct buf *out, const struct uplink_bearer *bearer, span_t lines,
                      const struct inet_address *source, size_t *count);

struct uplink_event {
    const char *action; /* "gate.login" */
    const char *actor;  /* the account, as it was claimed */
    bool allowed;
    const char *code;   /* one word */
    const char *detail; /* "" for none */
    const struct inet_address *source;
    int64_t at;
};
err_t uplink_put_event(struct buf *out, const struct uplink_event *event);

enum { UPLINK_SESSION_ID_CHARS = 24 };
struct uplink_session {
    const char *id; /* lower-case hexadecimal, in the order of opening; no other session has it */
    const char *account;
    uint64_t serial;         /* 0: no certificate */
    const char *fingerprint; /* of the key; "": a password let it in */
    const struct inet_address *source;
    int64_t since;
    const char *const *destinations; /* "daint:22" */
    size_t destination_count;        /* those that are too many to fit are left out */
    uint64_t bytes_in, bytes_out;
};
err_t uplink_put_session(struct buf *out, const struct uplink_session *session);
err_t uplink_put_ended(struct buf *out, const char *id);

/* --- bodies, read --- */

/* Of either; ERR_MALFORMED, ERR_TOO_LONG beyond LIMIT_GATE_SESSION_BYTES. */
err_t uplink_get_session_id(span_t body, char out[UPLINK_SESSION_ID_CHARS + 1]);

/* {"token"}; ERR_MALFORMED. */
err_t uplink_get_token(span_t body, secret_t *token);

/* {"keys":[…]}: calls for each, in order. `text` is for people: "registered SHA256:… as …", or why
 * not. */
err_t uplink_get_keys(span_t body, err_t (*each)(void *context, bool registered, const char *text),
                      void *context);
/* The message of a problem document; "" when there is none. Cut to what `out` holds. */
void uplink_get_message(span_t body, char *out, size_t size);

#endif
