/* The persistent keyring of this user in the Linux kernel: keyrings(7), persistent-keyring(7). */
#include <errno.h>
#include <string.h>

#include "cli/credentials/keyring_place.h"

#ifdef __linux__

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEYS_MAX = 256, DESCRIPTION_BYTES_MAX = 512 };

static long keyctl(int operation, long a, long b, long c, long d) {
    return syscall(SYS_keyctl, operation, a, b, c, d);
}

static err_t err_of(int errnum) {
    switch (errnum) {
    case ENOKEY:
    case EKEYEXPIRED:
    case EKEYREVOKED:
        return FAIL(ERR_NOT_FOUND);
    case ENOSYS:
    case EPERM: /* as containers refuse it */
    case EOPNOTSUPP:
        return FAIL(ERR_UNSUPPORTED);
    default:
        return err_from_errno(errnum);
    }
}

/*
 * What is in a keyring may be read by who possesses it, that is, reaches it from a keyring of his
 * own. So it is linked into this process's, which ends with the process. A kernel without
 * persistent keyrings has the user's, which lasts while anything of the user runs.
 */
static err_t open_keyring(long *out) {
    long keyring = keyctl(KEYCTL_GET_PERSISTENT, -1, KEY_SPEC_PROCESS_KEYRING, 0, 0);
    if (keyring < 0 && errno == EOPNOTSUPP) {
        keyring = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1, 0, 0);
        if (keyring >= 0 && keyctl(KEYCTL_LINK, keyring, KEY_SPEC_PROCESS_KEYRING, 0, 0) < 0) {
            keyring = -1;
        }
    }
    if (keyring < 0) {
        return err_of(errno);
    }
    *out = keyring;
    return OK;
}

static err_t find(const struct keyring_name *name, long *keyring, long *key) {
    char description[KEYRING_DESCRIPTION_CHARS];
    TRY(keyring_describe(name, description));
    TRY(open_keyring(keyring));
    long found = keyctl(KEYCTL_SEARCH, *keyring, (long)"user", (long)description, 0);
    if (found < 0) {
        return err_of(errno);
    }
    *key = found;
    return OK;
}

static err_t kernel_store(const struct keyring_name *name, const secret_t *secret,
                          struct fault *fault) {
    char description[KEYRING_DESCRIPTION_CHARS];
    long keyring = -1;
    err_t err = keyring_describe(name, description);
    err = failed(err) ? err : open_keyring(&keyring);
    /* Replaces what has this description. */
    if (!failed(err) &&
        syscall(SYS_add_key, "user", description, secret->text, secret->len, keyring) < 0) {
        err = err_of(errno);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, "kernel", "the kernel's keyring: %s%s", err_text(err),
                         err.code == ERR_UNSUPPORTED ? " here, as in most containers" : "");
    }
    return OK;
}

static err_t kernel_lookup(const struct keyring_name *name, secret_t *out) {
    char secret[LIMIT_KEYRING_SECRET_BYTES];
    long keyring = -1;
    long key = -1;
    TRY(find(name, &keyring, &key));
    long len = keyctl(KEYCTL_READ, key, (long)secret, sizeof secret, 0);
    err_t err = len < 0 ? err_of(errno)
                : (size_t)len > sizeof secret
                    ? FAIL(ERR_TOO_LONG)
                    : secret_copy(span_of(secret, (size_t)len), sizeof secret, out);
    secret_wipe(secret, sizeof secret);
    return err;
}

static err_t kernel_remove(const struct keyring_name *name) {
    long keyring = -1;
    long key = -1;
    TRY(find(name, &keyring, &key));
    return keyctl(KEYCTL_UNLINK, key, keyring, 0, 0) < 0 ? err_of(errno) : OK;
}

/* "user;UID;GID;PERM;DESCRIPTION" */
static void take_key(int32_t key, const char *site, struct keyring_list *out) {
    char described[DESCRIPTION_BYTES_MAX];
    struct keyring_entry entry = {.place = KEYRING_KERNEL};
    long len = keyctl(KEYCTL_DESCRIBE, key, (long)described, sizeof described, 0);
    if (len < 1 || (size_t)len > sizeof described || out->count == COUNT_OF(out->entries)) {
        return;
    }
    span_t text = span_of(described, (size_t)len - 1); /* without its NUL */
    for (int i = 0; i < 4; i++) {
        (void)span_until(&text, ';');
    }
    if (!failed(keyring_entry_parse(text, &entry)) &&
        (site == NULL || strcmp(entry.site, site) == 0)) {
        out->entries[out->count++] = entry;
    }
}

static void kernel_list(const char *site, struct keyring_list *out) {
    int32_t keys[KEYS_MAX];
    long keyring = -1;
    if (failed(open_keyring(&keyring))) {
        return;
    }
    long len = keyctl(KEYCTL_READ, keyring, (long)keys, sizeof keys, 0);
    for (long i = 0; i < KEYS_MAX && (i + 1) * (long)sizeof *keys <= len; i++) {
        take_key(keys[i], site, out);
    }
}

#else /* macOS and the BSDs have none */

static err_t kernel_store(const struct keyring_name *name, const secret_t *secret,
                          struct fault *fault) {
    (void)name;
    (void)secret;
    return fault_set(fault, ERR_UNSUPPORTED, "kernel", "this system's kernel keeps no keys");
}

static err_t kernel_lookup(const struct keyring_name *name, secret_t *out) {
    (void)name;
    (void)out;
    return FAIL(ERR_UNSUPPORTED);
}

static err_t kernel_remove(const struct keyring_name *name) {
    (void)name;
    return FAIL(ERR_UNSUPPORTED);
}

static void kernel_list(const char *site, struct keyring_list *out) {
    (void)site;
    (void)out;
}

#endif

const struct keyring_keeper keyring_kernel = {
    .store = kernel_store,
    .lookup = kernel_lookup,
    .remove = kernel_remove,
    .list = kernel_list,
};
