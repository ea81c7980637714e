/*
 * The authority's side of the signer: a child process (or an external ssh-agent) that holds the CA
 * keys and speaks the SSH agent protocol. Asynchronous on the loop, first in first out; what was
 * asked during one turn of the loop leaves in one write.
 */
#ifndef POSTERN_AUTHORITY_SIGNER_CLIENT_H
#define POSTERN_AUTHORITY_SIGNER_CLIENT_H

#include "base/err.h"
#include "net/loop.h"
#include "ssh/cert.h"
#include "ssh/key.h"

struct signer_client;

struct signer_client_config {
    const char *directory;    /* of CA keys, for a child; or NULL */
    const char *agent_socket; /* of an agent, when there is no directory */
    int answer_ms;            /* 0: LIMIT_SIGNER_ANSWER_S */
};

/* A CA's public keys for one type of certificates; the first one signs, all of them are trusted. */
struct signer_keys {
    const struct key *const *keys;
    size_t count;
};

/*
 * Starts the child for a folder of CA keys, or connects to an agent's socket. Blocks until the keys
 * are known, so that what follows can rely on them: they are fixed while the program runs. The
 * fault says what is wrong with the folder.
 */
err_t signer_client_start(struct loop *loop, const struct signer_client_config *config,
                          struct signer_client **out, struct fault *fault);
/* Pending requests fail with ERR_CLOSED. */
void signer_client_free(struct signer_client *client);
void signer_client_freep(struct signer_client **client);

/* Safe from any thread. */
struct signer_keys signer_client_keys(const struct signer_client *client, enum cert_type type);
/* "SHA256:…" of the key that signs. */
const char *signer_client_fingerprint(const struct signer_client *client, enum cert_type type);

/*
 * On the loop's thread. done() is called there later: with the signature blob (borrowed), or
 * ERR_REFUSED (the signer would not), ERR_CLOSED (it died or hung, or is not back yet). It hangs
 * when it answers nothing for the configured time; it is then ended like one that died.
 */
void signer_client_sign(struct signer_client *client, enum cert_type type, span_t tbs,
                        void (*done)(void *context, err_t err, span_t signature), void *context);

struct signer_counts {
    bool up;
    uint64_t signatures, refusals, restarts;
    size_t pending;
};
struct signer_counts signer_client_count(const struct signer_client *client);
/* 0 for an external agent or while there is no child. */
int signer_client_pid(const struct signer_client *client);

#endif
