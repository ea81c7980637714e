/*
 * Where this person's SSH agent is. One that lives at $SSH_AUTH_SOCK is theirs, whatever started it
 * (the desktop, a forwarding sshd) as this user or root; otherwise it is the one that `postern
 * agent` keeps, which every shell and daemon of the user finds at the same place:
 *
 *   $XDG_RUNTIME_DIR/posterngate/agent.sock   or /run/user/UID/…, where the system made one
 *   ~/.ssh/posterngate-HOST/agent.sock        otherwise; by host, since homes are shared
 */
#ifndef POSTERN_CLI_AGENT_FIND_H
#define POSTERN_CLI_AGENT_FIND_H

#include "base/err.h"
#include "ssh/agent.h"

enum agent_origin { AGENT_NONE, AGENT_OF_ENVIRONMENT, AGENT_OF_POSTERN };

struct agent_place {
    enum agent_origin origin; /* AGENT_NONE: none lives */
    char *socket;             /* of the one that lives; NULL when none does */
    char *dead;               /* what $SSH_AUTH_SOCK names when nobody answers there; else NULL */
    bool is_foreign;          /* another user's listens there: it is as good as dead */
};
void agent_place_done(struct agent_place *place);

/* Looks without changing anything. That none lives is no error. */
err_t agent_find(struct agent_place *out);

/* A connection to the one that agent_find() finds; ERR_NOT_FOUND when none lives. */
err_t agent_find_open(struct agent_client **out);

/* The socket of postern's own agent, whether or not it is there; the caller frees *out. */
err_t agent_find_own_path(char **out);

/* Whether an agent answers there: OK, ERR_CONNECT when nobody listens, ERR_PERMISSION when
 * another user does, ERR_TIMEOUT and the like when somebody does who gives no answer. */
err_t agent_find_try(const char *socket);

#endif
