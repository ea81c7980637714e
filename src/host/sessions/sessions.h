/*
 * The sessions that sshd opened here by a certificate or a registered key, and their end when the
 * right to them ends: for `postern-host sync`, which judges them anew after each answer of the
 * feed, and when time ends something.
 */
#ifndef POSTERN_HOST_SESSIONS_H
#define POSTERN_HOST_SESSIONS_H

#include "host/sync_host.h"

/*
 * A thread of its own takes over login records as they come, and those that are there already; it
 * forgets a connection that ended by itself, and ends those whose right has ended. It takes no
 * signals and never waits for a terminal.
 */
struct sessions;
err_t sessions_start(const struct config *config, struct sessions **out, struct fault *fault);
/* The replica has changed: judges all of them anew, on that thread. Takes NULL and does nothing. */
void sessions_judge(struct sessions *sessions);
/* How many connections are open. Takes NULL, which has none. */
size_t sessions_count(const struct sessions *sessions);
/* Sessions go on, records stay. Takes NULL. */
void sessions_free(struct sessions *sessions);
void sessions_freep(struct sessions **sessions);

/* session_list.c: those that are open, as a JSON array of objects: pid, user, account, job,
 * serialNumber, keyFingerprint, sinceTime. */
struct json_t;
err_t sessions_json(const char *state_dir, struct json_t **out);

#endif
