/* The certificates of the gate's host keys, which postern-host keeps beside them. */
#ifndef POSTERN_GATE_HOST_CERT_H
#define POSTERN_GATE_HOST_CERT_H

#include "ssh/cert.h"

/* NULL when it may be shown; else why not: of another key, a user's, not valid now. */
const char *host_cert_objection(const struct cert *cert, const struct key *key, int64_t now);

/*
 * KEY-cert.pub beside the private key file KEY. NULL, and OK, when there is none; an error, and the
 * fault says why, when there is one that is not to be shown.
 */
err_t host_cert_load(const char *key_path, const struct key *key, int64_t now, struct cert **out,
                     struct fault *fault);

#endif
