/*
 * Files beside the store, named after it ("posternd.db.issuer"): secrets, which a backup of the
 * store must not have in it, and notes that must not go back when the store does.
 */
#ifndef POSTERN_AUTHORITY_STORE_FILE_H
#define POSTERN_AUTHORITY_STORE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "authority/config.h"
#include "base/err.h"

#define STORE_FILE_ISSUER     "issuer"     /* the issuer's private keys */
#define STORE_FILE_CHALLENGES "challenges" /* what makes challenges for passkeys */
#define STORE_FILE_REVISION   "revision"   /* what hosts were told */

/* The caller frees *out. */
err_t store_file_path(const struct config *config, const char *name, char **out);
/* The secret of that many bytes that is kept there, in hexadecimal; made at random, 0600, when it
 * is not there yet. ERR_MALFORMED. */
err_t store_file_secret(const struct config *config, const char *name, uint8_t *out, size_t bytes);

#endif
