#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "host/sessions/session_record.h"
#include "ssh/krl.h"

enum { PERMIT_OPEN_BYTES_MAX = 4 * 1024 * 1024 };

err_t sshd_files_make_dir(const struct config *config) {
    TRY(file_make_dirs(config->state_dir, 0755));
    /* Only root may give a file away; an unprivileged trial run keeps its own group. */
    if (geteuid() == 0 && chown(config->state_dir, 0, config->command_group) != 0) {
        return err_from_errno(errno);
    }
    if (chmod(config->state_dir, 0750) != 0) {
        return err_from_errno(errno);
    }
    return session_record_make_dirs(config);
}

static err_t write_file(const char *state_dir, const char *name, span_t bytes) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, name, &path));
    return file_replace(path, bytes, 0644, FILE_DURABLE);
}

static err_t put_destination(void *context, const char *name, uint16_t port) {
    return strchr(name, ':') != NULL ? buf_add_format(context, " [%s]:%u", name, (unsigned)port)
                                     : buf_add_format(context, " %s:%u", name, (unsigned)port);
}

err_t sshd_files_write_permit_open(const char *state_dir, struct replica *replica) {
    char *path CLEANUP(freep) = NULL;
    struct buf now CLEANUP(buf_done) = BUF(PERMIT_OPEN_BYTES_MAX);
    struct buf before CLEANUP(buf_done) = BUF(PERMIT_OPEN_BYTES_MAX);
    enum host_role role = HOST_LOGIN;
    TRY(path_join(state_dir, FILE_PERMIT_OPEN, &path));
    err_t err = replica_role(replica, &role);
    if (failed(err) && err.code != ERR_NOT_FOUND) {
        return err;
    }
    bool jumps = !failed(err) && role == HOST_JUMP;
    bool exists = !failed(file_read(path, &before));
    if (!jumps && !exists) {
        return OK;
    }
    TRY(buf_add_str(&now, "# Written by postern-host sync.\nPermitOpen"));
    size_t empty = now.len;
    if (jumps) {
        TRY(replica_destination_list(replica, NULL, 0, NULL, 0, put_destination, &now));
    }
    TRY(buf_add_str(&now, now.len > empty ? "\n" : " none\n"));
    if (exists && span_equal(buf_span(&now), buf_span(&before))) {
        return OK;
    }
    TRY(reload_mark(state_dir));
    return write_file(state_dir, FILE_PERMIT_OPEN, buf_span(&now));
}

static err_t revoke_serial(void *context, uint64_t serial) {
    /* For every CA: a serial of ours is of no other CA, and a CA that was dropped stays covered. */
    return krl_revoke_serials(context, NULL, serial, serial);
}

err_t sshd_files_write_krl(const char *state_dir, struct replica *replica, uint64_t revision,
                           int64_t now) {
    struct krl *krl CLEANUP(krl_freep) = NULL;
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    TRY(krl_new(&krl));
    krl_set_header(krl, revision, (uint64_t)now);
    TRY(replica_revoked_list(replica, revoke_serial, krl));
    TRY(krl_write(krl, &bytes));
    return write_file(state_dir, FILE_KRL, buf_span(&bytes));
}

static err_t add_line(void *context, const char *public_key) {
    return buf_add_format(context, "%s\n", public_key);
}

err_t sshd_files_write_lines(const char *state_dir, const char *file, span_t lines) {
    return write_file(state_dir, file, lines);
}

err_t sshd_files_write_cas(const char *state_dir, struct replica *replica) {
    struct buf users CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct buf hosts CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    TRY(replica_ca_list(replica, CA_USE_USER, add_line, &users));
    TRY(replica_ca_list(replica, CA_USE_HOST, add_line, &hosts));
    if (users.len == 0) {
        return FAIL(ERR_CONFLICT);
    }
    TRY(write_file(state_dir, FILE_HOST_CA, buf_span(&hosts)));
    return write_file(state_dir, FILE_USER_CA, buf_span(&users));
}
