/* What gates and hosts are told of an entity: one encoding for events and for snapshots. */
#ifndef POSTERN_AUTHORITY_PUBLISH_H
#define POSTERN_AUTHORITY_PUBLISH_H

#include <jansson.h>

#include "authority/routes/job_request.h"
#include "ssh/key.h"

/* The states of src/feed/change.h. NULL: out of memory, or the store failed. */
json_t *publish_account_state(struct store *store, const struct account *account);
json_t *publish_cluster_state(const struct cluster *cluster);
json_t *publish_host_state(struct store *store, const struct host *host);
json_t *publish_revocation_state(struct store *store, const struct issued *issued);
json_t *publish_registered_key_state(const char *account, const struct registered_key *key);
/* Of one that runs; its nodes are named as the store has them. */
json_t *publish_job_state(struct store *store, const struct job *job);
/* "1234@daint", as the feed calls it; the caller frees *out. */
err_t publish_job_key(struct store *store, const struct job *job, char **out);
json_t *publish_ca_state(const struct key *key, enum cert_type type);

/* The public key lines of all CA keys of a kind, the signing one first; NULL: out of memory. */
json_t *publish_ca_lines(const struct authority *authority, enum cert_type type);

/* Store thread: publish an entity as it now is; a failure becomes the call's problem. */
void publish_account(struct call *call, const struct account *account);
void publish_cluster(struct call *call, const struct cluster *cluster);
void publish_host(struct call *call, const struct host *host);
void publish_host_gone(struct call *call, const struct host *host);
void publish_registered_key(struct call *call, const struct registered_key *key);
void publish_registered_key_gone(struct call *call, const struct registered_key *key);
/* An account that gained or lost clusters, and its keys, which are known where it is. */
void publish_reach(struct call *call, const struct account *account);
/* As it now runs, or as gone when it has ended; `were` are the nodes that it had before. */
void publish_job(struct call *call, const struct job *job, const struct node_names *were);

#endif
