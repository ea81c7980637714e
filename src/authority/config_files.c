/* Whether the files that a configuration names will do. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authority/ca_files.h"
#include "authority/config.h"
#include "authority/store_file.h"
#include "base/clock.h"
#include "base/file.h"
#include "net/tls.h"

struct checking {
    const struct config *config;
    const char *setting;
    settings_complain *complain;
    void *context;
    size_t complaints;
};

static void complain(struct checking *checking, const char *setting, const char *path,
                     const char *reason) {
    char where[320], text[600];
    settings_where(&checking->config->settings, setting, where, sizeof where);
    (void)snprintf(text, sizeof text, "%s: %s", path, reason);
    checking->complaints++;
    checking->complain(checking->context, &(struct settings_complaint){where, setting, text});
}

static void check_tls(struct checking *checking) {
    const struct config *config = checking->config;
    struct buf chain CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    struct stat status;
    int64_t not_after;
    err_t err = file_read(config->tls_certificate, &chain);
    if (failed(err)) {
        complain(checking, "tls.certificate", config->tls_certificate, err_text(err));
    } else if (failed(tls_chain_expiry(buf_span(&chain), &not_after))) {
        complain(checking, "tls.certificate", config->tls_certificate,
                 "holds no certificate in PEM form");
    } else if (not_after <= clock_now_s()) {
        complain(checking, "tls.certificate", config->tls_certificate,
                 "has expired; put a new one in its place, then run: systemctl reload posternd");
    }
    if (stat(config->tls_key, &status) != 0) {
        complain(checking, "tls.key", config->tls_key, err_text(err_from_errno(errno)));
    } else if ((status.st_mode & 037) != 0) {
        complain(checking, "tls.key", config->tls_key,
                 "can be read by other users; run: chmod 600 on it");
    } else if (access(config->tls_key, R_OK) != 0) {
        complain(checking, "tls.key", config->tls_key, err_text(err_from_errno(errno)));
    }
}

static void on_ca_fault(void *context, const struct fault *fault) {
    struct checking *checking = context;
    complain(checking, "signer.directory", fault->field, fault->reason);
}

/* Where it is there already. */
static void check_private(struct checking *checking, const char *path) {
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & 077) != 0) {
        complain(checking, "store.path", path, "can be read by other users; run: chmod 600 on it");
    }
}

static void check_store(struct checking *checking) {
    static const char *const beside[] = {STORE_FILE_ISSUER, STORE_FILE_CHALLENGES};
    const char *path = checking->config->store_path;
    char *copy CLEANUP(freep) = strdup(path);
    struct stat status;
    if (copy == NULL) {
        return;
    }
    const char *folder = dirname(copy);
    if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
        complain(checking, "store.path", folder, "is not a folder; make it, with mode 0700");
    } else if (access(folder, W_OK | X_OK) != 0) {
        complain(checking, "store.path", folder, "cannot be written to by this user");
    }
    check_private(checking, path);
    for (size_t i = 0; i < COUNT_OF(beside); i++) {
        char *file CLEANUP(freep) = NULL;
        if (!failed(store_file_path(checking->config, beside[i], &file))) {
            check_private(checking, file);
        }
    }
}

static void check_keytab(struct checking *checking) {
    const char *path = checking->config->kerberos.keytab;
    struct stat status;
    if (stat(path, &status) != 0) {
        complain(checking, "kerberos.keytab", path, err_text(err_from_errno(errno)));
    } else if ((status.st_mode & 037) != 0) {
        complain(checking, "kerberos.keytab", path,
                 "can be read by other users; run: chmod 600 on it");
    } else if (access(path, R_OK) != 0) {
        complain(checking, "kerberos.keytab", path, err_text(err_from_errno(errno)));
    }
}

err_t config_check_files(const struct config *config, enum config_keys with,
                         settings_complain *tell, void *context) {
    struct checking checking = {.config = config, .complain = tell, .context = context};
    if (config->tls_certificate != NULL) {
        check_tls(&checking);
    }
    if (config->signer_directory != NULL && with == CONFIG_WITH_KEYS) {
        struct ca_keys keys = {.count = 0};
        /* The complaints say it all. */
        ignore_err(ca_files_load(config->signer_directory, on_ca_fault, &checking, &keys));
        ca_files_done(&keys);
    } else if (config->signer_agent != NULL) {
        struct stat status;
        if (stat(config->signer_agent, &status) != 0 || !S_ISSOCK(status.st_mode)) {
            complain(&checking, "signer.agent", config->signer_agent,
                     "is not a socket; start the agent first: ssh-agent -a PATH");
        }
    }
    if (config->kerberos.keytab != NULL) {
        check_keytab(&checking);
    }
    check_store(&checking);
    return checking.complaints > 0 ? FAIL(ERR_REFUSED) : OK;
}
