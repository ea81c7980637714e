/*
 * Signatures over messages by SSH keys, as `ssh-keygen -Y sign` makes them (OpenSSH
 * PROTOCOL.sshsig): the namespace says what one was made for, so that a signature for one purpose
 * proves nothing for another, and none can be passed off as one of the SSH protocol itself.
 */
#ifndef POSTERN_SSH_SSHSIG_H
#define POSTERN_SSH_SSHSIG_H

#include "base/err.h"
#include "base/span.h"
#include "ssh/key.h"

/* What the key signs: appended to *out. The message is hashed with SHA-512. */
err_t sshsig_put_data(const char *namespace, span_t message, struct buf *out);

/* The signature file ("-----BEGIN SSH SIGNATURE-----") of an SSH signature blob that
 * private_key_sign() or an agent made over that. */
err_t sshsig_print(const struct key *key, const char *namespace, span_t signature, struct buf *out);

/*
 * Verifies a signature file over the message; *out, which the caller frees, is the key that made
 * it: whether that key counts is the caller's to judge. ERR_MALFORMED, ERR_TRUNCATED, ERR_TRAILING,
 * ERR_UNSUPPORTED for another version or hash, ERR_CONFLICT for another namespace, ERR_SIGNATURE;
 * for the key as key_parse().
 */
err_t sshsig_verify(span_t file, const char *namespace, span_t message, struct key **out);

#endif
