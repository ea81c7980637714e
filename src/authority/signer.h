/*
 * The signer: a process that holds the CA keys and nothing else. It answers two messages of the
 * SSH agent protocol, REQUEST_IDENTITIES and SIGN_REQUEST, on one socket; every other message, and
 * bytes left over in one, end it.
 */
#ifndef POSTERN_AUTHORITY_SIGNER_H
#define POSTERN_AUTHORITY_SIGNER_H

#include "authority/ca_files.h"
#include "base/span.h"

enum { SIGNER_FD = 3 };

/*
 * One message (without its length), and the framed answer appended to *answers. A certificate that
 * is not to be signed is answered with FAILURE, and OK is returned; any error means: end.
 *
 * What is signed must be a certificate of the type that the key is for, naming that key as its CA,
 * with principals, a serial that is not zero, and a lifetime within LIMIT_SIGNER_*_S.
 */
err_t signer_answer(const struct ca_keys *keys, span_t message, struct buf *answers);

/* The process: loads the folder, locks itself in, serves SIGNER_FD until it is closed. Returns the
 * exit status. */
int signer_main(const char *folder);

/* Gives up everything but reading, writing and memory. sandbox.c. */
void sandbox_enter(void);

#endif
