/* What is told of a job, and names of nodes. */
#ifndef POSTERN_AUTHORITY_JOB_REQUEST_H
#define POSTERN_AUTHORITY_JOB_REQUEST_H

#include "authority/call.h"

/* Each name ended by NUL, one after the other. */
struct node_names {
    struct buf text;
    size_t count;
};

void node_names_init(struct node_names *names);
void node_names_done(struct node_names *names);
err_t node_names_add(struct node_names *names, const char *name);
/* The name after `name`; the first for NULL; NULL after the last. Borrowed. */
const char *node_names_next(const struct node_names *names, const char *name);
bool node_names_have(const struct node_names *names, const char *name);
bool node_names_equal(const struct node_names *a, const struct node_names *b);

/* Texts are borrowed from the body; 0, NULL and no names: not told. */
struct job_request {
    const char *username; /* of the account */
    const char *user;     /* on the nodes */
    enum job_type type;
    struct node_names nodes; /* expanded */
    int64_t started_at;
    int64_t ends_at;
    int64_t duration_s;
    const char *address;
    int64_t port;
    struct buf host_keys; /* a line each */
    bool enrol;
};

/* Loop thread: a zeroed request; what is wrong by itself is refused here. */
err_t job_request_read(struct call *call, struct job_request *request);
void job_request_done(struct job_request *request);

#endif
