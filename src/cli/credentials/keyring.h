/*
 * Secrets that stay on this machine for programs to sign in with, never in a file that can be read
 * as it is:
 *
 *   desktop  the session's secret service (GNOME Keyring, KWallet, KeePassXC), through libsecret's
 *            secret-tool: encrypted on disk, open while the person is signed in
 *   kernel   the persistent keyring of this user (persistent-keyring(7)), which every process of
 *            the user finds, cron jobs and daemons too; it is memory: it ends with a reboot, and
 *            when nobody asked for three days
 *
 * A secret never stands in the arguments or the environment of a process: secret-tool gets and
 * gives it by a pipe.
 */
#ifndef POSTERN_CLI_KEYRING_H
#define POSTERN_CLI_KEYRING_H

#include "base/limits.h"
#include "base/secret.h"
#include "base/span.h"
#include "cli/trouble.h"

enum keyring_kind { KEYRING_PASSWORD, KEYRING_TOTP, KEYRING_API_KEY, KEYRING_KINDS };
/* "password", "totp", "api-key" */
const char *keyring_kind_name(enum keyring_kind kind);
/* ERR_NOT_FOUND. */
err_t keyring_kind_parse(span_t text, enum keyring_kind *out);

enum keyring_place { KEYRING_ANY, KEYRING_DESKTOP, KEYRING_KERNEL, KEYRING_PLACES };
/* "desktop", "kernel" */
const char *keyring_place_name(enum keyring_place place);

/* What a secret is of; borrowed. */
struct keyring_name {
    const char *site;
    enum keyring_kind kind;
    const char *account; /* KEYRING_NO_ACCOUNT of an API key, which is an account's by itself */
};
#define KEYRING_NO_ACCOUNT "-" /* no account can be called so */

struct keyring_entry {
    char site[LIMIT_CLUSTER_NAME_CHARS + 1];
    enum keyring_kind kind;
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1];
    enum keyring_place place;
};

enum { KEYRING_DESCRIPTION_CHARS = 128 };

/*
 * "posterngate:SITE:KIND:ACCOUNT": what the kernel calls it. ERR_MALFORMED for names that no site
 * or account has, so that the description of one is never that of another.
 */
err_t keyring_describe(const struct keyring_name *name, char out[KEYRING_DESCRIPTION_CHARS]);
/* The other way round; `place` is left. ERR_MALFORMED for what is not ours. */
err_t keyring_entry_parse(span_t description, struct keyring_entry *out);

/*
 * Replaces what is there under the name, everywhere else too. With KEYRING_ANY the desktop's where
 * there is one, else the kernel's; *used tells which.
 */
err_t keyring_store(struct trouble *trouble, const struct keyring_name *name,
                    const secret_t *secret, enum keyring_place place, enum keyring_place *used);
/* Wherever it is; never asks anybody to unlock anything. ERR_NOT_FOUND. */
err_t keyring_lookup(const struct keyring_name *name, secret_t *out);
/* Everywhere. ERR_NOT_FOUND when it was nowhere. */
err_t keyring_remove(struct trouble *trouble, const struct keyring_name *name);
/* Of `site`, or of all with NULL: at most LIMIT_KEYRING_ENTRIES_COUNT. */
struct keyring_list {
    struct keyring_entry entries[LIMIT_KEYRING_ENTRIES_COUNT];
    size_t count;
};
void keyring_list(const char *site, struct keyring_list *out);

#endif
