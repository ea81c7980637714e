/*
 * Text for strangers: a support team gets what helps it, and nothing that lets anybody in. Pure.
 *
 * Taken out: private keys of every form; tokens, API keys and invitations of this system, JSON web
 * tokens; what follows "password", "token" and their like; passwords in URLs and of sshpass;
 * environment that ssh is told to set; and any long run of base64, base32 or hexadecimal, whatever
 * it is for. Public keys become their fingerprints, and the home directory becomes "~".
 */
#ifndef POSTERN_CLI_REDACT_H
#define POSTERN_CLI_REDACT_H

#include "base/err.h"
#include "base/span.h"

struct redaction {
    const char *home;           /* "/home/alice"; NULL: left as it is */
    const char *const *secrets; /* taken out wherever they stand; those of under 8 bytes are not */
    size_t secret_count;
};

/* Appends; control characters become '?', as anything here may come from elsewhere. */
err_t redact(span_t text, const struct redaction *how, struct buf *out);

#endif
