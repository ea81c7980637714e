/*
 * The folder of CA keys: user_NAME.key and host_NAME.key, private keys without passphrase, that
 * nobody but their owner can read. Of each kind the one whose file is newest signs; all are
 * published and trusted. Rotation: put a new key beside the old one, restart, and remove the old
 * one when its last certificate has expired.
 */
#ifndef POSTERN_AUTHORITY_CA_FILES_H
#define POSTERN_AUTHORITY_CA_FILES_H

#include "base/err.h"
#include "ssh/cert.h"
#include "ssh/private_key.h"

enum { CA_KEYS_COUNT = 16 };

struct ca_key {
    enum cert_type type;
    struct private_key *key;
    int64_t changed_ns; /* when its file was last written */
    char name[128];     /* of the file */
};

struct ca_keys {
    struct ca_key keys[CA_KEYS_COUNT]; /* user keys first, in each kind the newest first */
    size_t count;
};

/* Reads the folder. Each fault is told to complain(), with the file's path as its field; the result
 * is complete or not there. ERR_REFUSED when there was a fault. */
err_t ca_files_load(const char *folder, void (*complain)(void *context, const struct fault *fault),
                    void *context, struct ca_keys *out);
void ca_files_done(struct ca_keys *keys);

#endif
