#include "authority/ca_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"

struct loading {
    struct ca_keys keys;
    void (*complain)(void *context, const struct fault *fault);
    void *context;
    size_t complaints;
};

static void complain(struct loading *loading, const char *path, const char *reason) {
    struct fault fault;
    (void)snprintf(fault.field, sizeof fault.field, "%s", path);
    (void)snprintf(fault.reason, sizeof fault.reason, "%s", reason);
    loading->complaints++;
    loading->complain(loading->context, &fault);
}

static bool is_key_name(const char *name, enum cert_type *type) {
    size_t len = strlen(name);
    if (len <= 9 || strcmp(name + len - 4, ".key") != 0) {
        return false;
    }
    *type = strncmp(name, "user_", 5) == 0 ? CERT_USER : CERT_HOST;
    return *type == CERT_USER || strncmp(name, "host_", 5) == 0;
}

static void load_key(struct loading *loading, const char *path, const char *name,
                     enum cert_type type) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct stat status;
    err_t err = file_read(path, &text);
    if (failed(err) || stat(path, &status) != 0) {
        complain(loading, path, err_text(err));
        return;
    }
    if ((status.st_mode & 077) != 0) {
        complain(loading, path, "can be read by other users; run: chmod 600 on it");
        return;
    }
    if (loading->keys.count == CA_KEYS_COUNT) {
        complain(loading, path, "is one CA key too many; remove those that are no longer needed");
        return;
    }
    struct ca_key *ca = &loading->keys.keys[loading->keys.count];
    err = private_key_load(buf_span(&text), NULL, &ca->key, NULL);
    if (failed(err)) {
        complain(loading, path,
                 err.code == ERR_ENCRYPTED
                     ? "is encrypted; a CA key whose passphrase must be typed belongs in an "
                       "ssh-agent (signer.agent)"
                     : err_text(err));
        return;
    }
    ca->type = type;
    ca->changed_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    (void)snprintf(ca->name, sizeof ca->name, "%s", name);
    loading->keys.count++;
}

static int compare(const void *a, const void *b) {
    const struct ca_key *left = a, *right = b;
    if (left->type != right->type) {
        return left->type < right->type ? -1 : 1;
    }
    if (left->changed_ns != right->changed_ns) {
        return left->changed_ns > right->changed_ns ? -1 : 1;
    }
    return strcmp(right->name, left->name);
}

static void check_kinds(struct loading *loading, const char *folder) {
    bool user = false, host = false;
    for (size_t i = 0; i < loading->keys.count; i++) {
        user |= loading->keys.keys[i].type == CERT_USER;
        host |= loading->keys.keys[i].type == CERT_HOST;
    }
    if (!user && loading->complaints == 0) {
        complain(loading, folder,
                 "has no CA key for users; run: ssh-keygen -t ed25519 -N '' -f user_1.key in it");
    }
    if (!host && loading->complaints == 0) {
        complain(loading, folder,
                 "has no CA key for hosts; run: ssh-keygen -t ed25519 -N '' -f host_1.key in it");
    }
}

static void close_folder(DIR **folder) {
    if (*folder != NULL) {
        (void)closedir(*folder);
    }
}

static void load_folder(struct loading *loading, const char *path) {
    DIR *folder CLEANUP(close_folder) = opendir(path);
    struct stat status;
    if (folder == NULL || fstat(dirfd(folder), &status) != 0) {
        complain(loading, path, err_text(err_from_errno(errno)));
        return;
    }
    if ((status.st_mode & 077) != 0) {
        complain(loading, path, "can be entered by other users; run: chmod 700 on it");
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        enum cert_type type;
        char *file CLEANUP(freep) = NULL;
        if (is_key_name(entry->d_name, &type) && !failed(path_join(path, entry->d_name, &file))) {
            load_key(loading, file, entry->d_name, type);
        }
    }
    check_kinds(loading, path);
}

err_t ca_files_load(const char *folder, void (*tell)(void *context, const struct fault *fault),
                    void *context, struct ca_keys *out) {
    struct loading loading = {.complain = tell, .context = context};
    load_folder(&loading, folder);
    if (loading.complaints > 0) {
        ca_files_done(&loading.keys);
        return FAIL(ERR_REFUSED);
    }
    qsort(loading.keys.keys, loading.keys.count, sizeof loading.keys.keys[0], compare);
    *out = loading.keys;
    return OK;
}

void ca_files_done(struct ca_keys *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        private_key_free(keys->keys[i].key);
    }
    keys->count = 0;
}
