#include "gate/host_cert.h"

#include "base/file.h"
#include "base/limits.h"

const char *host_cert_objection(const struct cert *cert, const struct key *key, int64_t now) {
    if (cert->type != CERT_HOST) {
        return "is a user's certificate, not a host's";
    }
    if (!key_equal(cert->key, key)) {
        return "is the certificate of another key";
    }
    if (now < 0 || (uint64_t)now < cert->valid_after) {
        return "is not valid yet";
    }
    if ((uint64_t)now >= cert->valid_before) {
        return "has expired; is postern-host sync running?";
    }
    return NULL;
}

err_t host_cert_load(const char *key_path, const struct key *key, int64_t now, struct cert **out,
                     struct fault *fault) {
    struct buf path_text CLEANUP(buf_done) = BUF(8192);
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(buf_add_format(&path_text, "%s-cert.pub", key_path));
    TRY(buf_to_str(&path_text, &path));
    err_t err = file_read(path, &text);
    if (err.code == ERR_NOT_FOUND) {
        *out = NULL;
        return OK;
    }
    if (!failed(err)) {
        err = cert_parse_line(buf_span(&text), &cert, NULL);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, path, "%s", err_text(err));
    }
    const char *objection = host_cert_objection(cert, key, now);
    if (objection != NULL) {
        return fault_set(fault, ERR_CONFLICT, path, "%s", objection);
    }
    *out = TAKE(cert);
    return OK;
}
