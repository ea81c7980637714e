#include "authority/tls_files.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/secret.h"
#include "net/tls.h"

bool tls_files_end_soon(const struct config *config, int64_t now, int64_t *ends_at) {
    struct buf chain CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    int64_t not_after;
    if (config->tls_certificate == NULL || failed(file_read(config->tls_certificate, &chain)) ||
        failed(tls_chain_expiry(buf_span(&chain), &not_after)) || not_after > now + TLS_WARN_S) {
        return false;
    }
    *ends_at = not_after;
    return true;
}

static void wiped_done(struct buf *buf) {
    secret_wipe(buf->data, buf->len);
    buf_done(buf);
}

static int complain(const char *path, const char *reason) {
    (void)fprintf(stderr, "posternd renew-tls: %s: %s\n", path, reason);
    return 2;
}

/* What is replaced keeps its owner and mode; only root could give a new file to another user, and
 * then in a folder where that user may have put anything. */
static int check_owner(const char *path, mode_t *mode) {
    struct stat status;
    if (stat(path, &status) != 0) {
        return complain(path, err_text(err_from_errno(errno)));
    }
    if (status.st_uid != geteuid()) {
        return complain(path, "belongs to another user; run this as that one: runuser -u USER -- "
                              "posternd renew-tls");
    }
    *mode = status.st_mode & 0777;
    return 0;
}

struct renewal {
    const struct config *config;
    char *ca_path, *ca_key_path;
    mode_t certificate_mode, key_mode;
};

static void renewal_done(struct renewal *renewal) {
    free(renewal->ca_path);
    free(renewal->ca_key_path);
}

static int read_one(const char *path, struct buf *out) {
    err_t err = file_read(path, out);
    if (err.code == ERR_NOT_FOUND) {
        return complain(path, "is not there; put the CA that posternd init made beside the "
                              "certificate, or renew the certificate where it came from");
    }
    return failed(err) ? complain(path, err_text(err)) : 0;
}

static int issue(const struct renewal *renewal, struct tls_made *made) {
    const char *certificate = renewal->config->tls_certificate;
    struct buf ca CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    struct buf ca_key CLEANUP(wiped_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    struct buf chain CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    if (read_one(renewal->ca_path, &ca) != 0 || read_one(renewal->ca_key_path, &ca_key) != 0 ||
        read_one(certificate, &chain) != 0) {
        return 2;
    }
    err_t err =
        tls_renew_chain(buf_span(&ca), buf_span(&ca_key), buf_span(&chain), clock_now_s(), made);
    switch (err.code) {
    case ERR_NONE:
        return 0;
    case ERR_REFUSED:
        return complain(certificate, "is not of the CA beside it; renew it where it came from");
    case ERR_CONFLICT:
        return complain(renewal->ca_key_path, "is not the key of ca.pem");
    case ERR_UNSUPPORTED:
        return complain(certificate, "names nothing that could be kept: no host and no address, or "
                                     "more than 64, or others");
    default:
        return complain(certificate, err_text(err));
    }
}

static int replace(const struct renewal *renewal, const struct tls_made *made) {
    const struct config *config = renewal->config;
    err_t err =
        file_replace(config->tls_key, buf_span(&made->key_pem), renewal->key_mode, FILE_DURABLE);
    const char *path = config->tls_key;
    if (!failed(err)) {
        path = config->tls_certificate;
        err =
            file_replace(path, buf_span(&made->chain_pem), renewal->certificate_mode, FILE_DURABLE);
    }
    if (failed(err)) {
        (void)complain(path, err_text(err));
        return 1;
    }
    return 0;
}

static err_t set_paths(struct renewal *renewal) {
    char *copy CLEANUP(freep) = strdup(renewal->config->tls_certificate);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    const char *folder = dirname(copy);
    TRY(path_join(folder, "ca.pem", &renewal->ca_path));
    return path_join(folder, "ca.key", &renewal->ca_key_path);
}

int tls_files_renew(const struct config *config) {
    struct renewal renewal CLEANUP(renewal_done) = {.config = config};
    struct tls_made made CLEANUP(tls_made_done) = {.key_pem = {.len = 0}};
    int64_t ends_at = 0;
    char until[TIME_CHARS];
    if (config->tls_certificate == NULL) {
        return complain("tls", "is not in the configuration: this authority speaks plain HTTP");
    }
    if (failed(set_paths(&renewal))) {
        return 1;
    }
    int status = check_owner(config->tls_certificate, &renewal.certificate_mode);
    status = status != 0 ? status : check_owner(config->tls_key, &renewal.key_mode);
    status = status != 0 ? status : issue(&renewal, &made);
    status = status != 0 ? status : replace(&renewal, &made);
    if (status != 0) {
        return status;
    }
    ignore_err(tls_chain_expiry(buf_span(&made.chain_pem), &ends_at)); /* it was made just now */
    time_print_utc(ends_at, until);
    (void)printf("%s: good until %s. Tell posternd, if it runs: systemctl reload posternd\n",
                 config->tls_certificate, until);
    return 0;
}
