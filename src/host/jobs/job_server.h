/*
 * The users' side of sync on a frontend: serves net/job_socket.h in a thread of its own.
 *
 * Nobody who asks is trusted with anything but being who the kernel says. A user has
 * LIMIT_JOB_ASKERS_PER_USER_COUNT connections at most, all together LIMIT_JOB_ASKERS_COUNT; who
 * does not get a question out, or does not take the answer, within LIMIT_JOB_ASKER_S is cut off.
 * Questions are answered one after the other, in the order in which they are whole.
 */
#ifndef POSTERN_HOST_JOB_SERVER_H
#define POSTERN_HOST_JOB_SERVER_H

#include "host/sync_host.h"

struct job_server;
err_t job_server_start(const struct config *config, const struct identity *identity,
                       struct job_server **out, struct fault *fault);
/* Waits for the question under way; the socket stays behind. Takes NULL. */
void job_server_free(struct job_server *server);
void job_server_freep(struct job_server **server);

/* The known-hosts file beside the socket, for everybody to read: the CAs of hosts. Written when it
 * is not so already. */
err_t job_server_write_known_hosts(const struct config *config, struct replica *replica);

/* --- job_answer.c: one question; what has no answer is an error of the answer --- */

struct job_asker {
    const char *username;
    const char *state_dir;
    const char *known_hosts;
    struct http_client *client; /* NULL: the authority cannot be asked now */
};
/* Appends the answer's JSON. False in *reached: the authority could not be asked. */
err_t job_answer(const struct job_asker *asker, span_t question, struct buf *out, bool *reached);
err_t job_answer_error(const char *code, const char *message, struct buf *out);

#endif
