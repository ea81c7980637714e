/*
 * The sessions that live at the gates, as the gates tell it through their hosts. In memory alone:
 * who begins to tell tells all, so nothing is lost but until then. A gate tells of its own and of
 * no other's, and what a gate that fell silent told is forgotten. No clock, no randomness; store
 * thread only.
 */
#ifndef POSTERN_AUTHORITY_GATE_SESSIONS_H
#define POSTERN_AUTHORITY_GATE_SESSIONS_H

#include "base/inet.h"
#include "feed/uplink.h"
#include "model/entity.h"
#include "ssh/key.h"

enum { GATE_SESSION_ID_CHARS = UPLINK_SESSION_ID_CHARS };

/* Ordered by id, which gates begin with the time of its opening, then by gate. */
struct gate_session {
    char id[GATE_SESSION_ID_CHARS + 1];   /* hexadecimal, the gate's to choose */
    char gate[LIMIT_HOST_NAME_CHARS + 1]; /* set by gate_sessions_put() */
    entity_id gate_id;                    /* the same */
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1];
    uint64_t serial;                     /* of its certificate; 0: by another credential */
    char fingerprint[FINGERPRINT_CHARS]; /* of its key; "": by a password */
    char source[INET_CHARS];
    int64_t since;
    uint64_t bytes_in, bytes_out; /* from and to the client */
    char *destinations;           /* "daint:22", a line each; NULL: none. Owned */
};
/* For CLEANUP(): what it owns. */
void gate_session_done(struct gate_session *session);

struct gate_sessions;
err_t gate_sessions_new(struct gate_sessions **out);
/* Takes NULL. */
void gate_sessions_free(struct gate_sessions *sessions);

/* A gate begins to tell: what it told before is forgotten, and what it tells from now on names this
 * epoch, which is not 0. ERR_MEMORY. */
err_t gate_sessions_begin(struct gate_sessions *sessions, entity_id gate_id, const char *gate,
                          uint64_t epoch, int64_t now);
/* The gate goes on in that epoch. ERR_CONFLICT: that is not known here, and it must begin anew. */
err_t gate_sessions_heard(struct gate_sessions *sessions, entity_id gate_id, uint64_t epoch,
                          int64_t now);
/* As it now is, of a gate that has begun: *session's destinations are taken over on success.
 * ERR_TOO_LONG beyond LIMIT_GATE_SESSIONS_COUNT of a gate, or four times that of all. */
err_t gate_sessions_put(struct gate_sessions *sessions, entity_id gate_id,
                        struct gate_session *session);
/* It has ended; nothing happens when it is not known. */
void gate_sessions_end(struct gate_sessions *sessions, entity_id gate_id, const char *id);
/* A gate is gone, with all its sessions. */
void gate_sessions_forget(struct gate_sessions *sessions, entity_id gate_id);
/* The same for those that were not heard for LIMIT_GATE_SILENT_S. */
void gate_sessions_expire(struct gate_sessions *sessions, int64_t now);

/* NULL: not known. Good until the next change. */
const struct gate_session *gate_sessions_find(const struct gate_sessions *sessions,
                                              const char *gate, const char *id);
size_t gate_sessions_count(const struct gate_sessions *sessions, entity_id gate_id);

struct gate_session_filter {
    const char *account;     /* NULL: all */
    const char *gate;        /* NULL: all */
    const char *before_id;   /* paging: those that stand before this one … */
    const char *before_gate; /* … of that gate; NULL: from the newest */
    size_t max;
};
/* The newest first. */
err_t gate_sessions_list(const struct gate_sessions *sessions,
                         const struct gate_session_filter *filter,
                         err_t (*each)(void *context, const struct gate_session *session),
                         void *context);

#endif
