/*
 * The process of the host keys. It holds the private halves and answers the agent protocol's
 * SIGN_REQUEST (ssh/agent.h) on a socket for each worker; it signs what an SSH server signs, and
 * nothing else: every other question is FAILURE.
 */
#ifndef POSTERN_GATE_KEYS_H
#define POSTERN_GATE_KEYS_H

#include "base/span.h"
#include "gate/gate.h"
#include "ssh/private_key.h"

struct host_keys {
    struct private_key *keys[GATE_HOST_KEYS_MAX];
    size_t count;
};

/*
 * Loads the files. ERR_ENCRYPTED, ERR_UNSUPPORTED for a security key, ERR_PERMISSION for a file
 * that others may read (as sshd), ERR_DUPLICATE, …; the fault's field is the file.
 */
err_t host_keys_load(const char *const *paths, size_t count, struct host_keys *out,
                     struct fault *fault);
void host_keys_done(struct host_keys *keys);

/* What is signed: 32, 48 or 64 bytes, which is an exchange hash, or what
 * hostkeys-prove-00@openssh.com asks for (OpenSSH PROTOCOL section 2.5) with that very key. */
bool keys_may_sign(const struct key *key, span_t data);

/* One message (without its length); its framed answer is appended to *answers. An error: end. */
err_t keys_answer(const struct host_keys *keys, span_t message, struct buf *answers);

enum { KEYS_MESSAGE_BYTES = 16 * 1024 }; /* of a request; longer ones end the connection */

/* What the process tells the master once: uint32 count, string blobs. */
enum { KEYS_REPORT_BYTES = GATE_HOST_KEYS_MAX * (LIMIT_KEY_BLOB_BYTES + 4) + 4 };
err_t keys_put_report(const struct host_keys *keys, struct buf *out);
/* ERR_TRUNCATED, ERR_RANGE, ERR_KEY_…; the keys are the caller's to free. */
err_t keys_get_report(span_t report, struct key *keys[GATE_HOST_KEYS_MAX], size_t *count);

#endif
