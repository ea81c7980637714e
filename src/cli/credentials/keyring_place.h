/* One place where secrets are kept, as keyring.c sees it. */
#ifndef POSTERN_CLI_KEYRING_PLACE_H
#define POSTERN_CLI_KEYRING_PLACE_H

#include "cli/credentials/keyring.h"

struct keyring_keeper {
    /* ERR_UNSUPPORTED where this machine or session has no such place. */
    err_t (*store)(const struct keyring_name *name, const secret_t *secret, struct fault *fault);
    /* ERR_NOT_FOUND; any other error when it cannot be known. */
    err_t (*lookup)(const struct keyring_name *name, secret_t *out);
    err_t (*remove)(const struct keyring_name *name);
    /* Appends those of `site` (NULL: all), as far as there is room. */
    void (*list)(const char *site, struct keyring_list *out);
};

extern const struct keyring_keeper keyring_desktop;
extern const struct keyring_keeper keyring_kernel;

#endif
