/* What an SSH agent holds, and what does not belong there any more. */
#ifndef POSTERN_CLI_AGENT_CONTENTS_H
#define POSTERN_CLI_AGENT_CONTENTS_H

#include "base/err.h"
#include "base/span.h"
#include "ssh/agent.h"
#include "ssh/cert.h"

struct agent_entry {
    struct buf blob;   /* what the agent calls it */
    char *comment;     /* as the agent tells it: not for a terminal before text_sanitise() */
    struct key *key;   /* the plain key, also of a certificate; NULL where it is not known here */
    struct cert *cert; /* NULL for a plain key */
};

struct agent_contents {
    struct agent_entry *entries;
    size_t count;
};
void agent_contents_done(struct agent_contents *contents);

err_t agent_contents_read(struct agent_client *agent, struct agent_contents *out);
/* True when `blob`, a key's or a certificate's, is among them. */
bool agent_contents_has(const struct agent_contents *contents, span_t blob);

/* An expired certificate: no server takes it, and each counts it as a failed attempt. */
bool agent_entry_is_expired(const struct agent_entry *entry, int64_t now);

/* ERR_REFUSED when the agent does not want to. */
err_t agent_contents_remove(struct agent_client *agent, const struct agent_entry *entry);

/*
 * Adds the key with its certificate, to be dropped when that ends, in place of earlier
 * certificates of the same key by the same CA; and, as ssh-add does, the plain key for as long,
 * unless it is there: with CertificateFile, ssh asks the agent to sign by that alone. cert NULL:
 * the plain key, until it is removed.
 */
err_t agent_contents_add(struct agent_client *agent, const struct private_key *key,
                         const struct cert *cert, const char *comment, int64_t now);

#endif
