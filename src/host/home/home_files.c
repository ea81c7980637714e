/*
 * ~/.ssh is opened once, part by part, none of which may be a link; all that follows goes by that
 * descriptor. Whoever moves it away meanwhile has what is written with it: it is theirs.
 */
#include "host/home/home_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/random.h"
#include "ssh/private_key.h"

enum { FILE_NAME_CHARS = LIMIT_HOME_FILE_CHARS + 32, MODE_BITS = 07777 };

#define PUBLIC_COMMENT "kept by postern-host: from inside this site alone"

static void public_name(const struct home *home, char out[FILE_NAME_CHARS]) {
    (void)snprintf(out, FILE_NAME_CHARS, "%s.pub", home->file);
}

/* --- ~/.ssh --- */

static err_t fail_at(struct fault *fault, const char *what, const char *why) {
    return fault_set(fault, ERR_PERMISSION, what, "%s", why);
}

static err_t open_home(const struct home *home, int *out, struct fault *fault) {
    int fd CLEANUP(fd_closep) = open(home->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        err_t err = err_from_errno(errno);
        return fault_set(fault, err.code, home->dir, "%s", err_text(err));
    }
    if (status.st_uid != home->uid) {
        return fail_at(fault, home->dir, "is not its user's own");
    }
    *out = fd;
    fd = -1;
    return OK;
}

/* Nobody but the user may change what is in it. */
static err_t own_folder(const struct home *home, int fd, struct fault *fault) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return err_from_errno(errno);
    }
    if (status.st_uid != home->uid) {
        return fail_at(fault, "~/.ssh", "is not its user's own");
    }
    mode_t kept = status.st_mode & MODE_BITS & (mode_t) ~(S_IWGRP | S_IWOTH);
    return kept == (status.st_mode & MODE_BITS) || fchmod(fd, kept) == 0 ? OK
                                                                         : err_from_errno(errno);
}

/* Absent, it is made, or else *out is -1. */
static err_t open_ssh(const struct home *home, bool make, int *out, struct fault *fault) {
    int folder CLEANUP(fd_closep) = -1;
    TRY(open_home(home, &folder, fault));
    if (make && mkdirat(folder, ".ssh", 0700) != 0 && errno != EEXIST) {
        err_t err = err_from_errno(errno);
        return fault_set(fault, err.code, "~/.ssh", "cannot be made: %s", err_text(err));
    }
    int fd CLEANUP(fd_closep) =
        openat(folder, ".ssh", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !make) {
        *out = -1;
        return OK;
    }
    if (fd < 0) {
        bool link = errno == ELOOP || errno == ENOTDIR;
        err_t err = link ? FAIL(ERR_PERMISSION) : err_from_errno(errno);
        return fault_set(fault, err.code, "~/.ssh", "%s",
                         link ? "is a symbolic link or no directory" : err_text(err));
    }
    TRY(own_folder(home, fd, fault));
    *out = fd;
    fd = -1;
    return OK;
}

/* --- reading --- */

/* The file's bytes when it is a plain file of the user's; *exact: with the mode, and no other name.
 * Anything else is as good as no file. */
static err_t read_own(const struct home *home, int ssh, const char *name, mode_t mode,
                      struct buf *out, bool *exact) {
    int fd CLEANUP(fd_closep) =
        openat(ssh, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    uint8_t *to = NULL;
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != home->uid || status.st_size <= 0 ||
        status.st_size > LIMIT_HOME_FILE_BYTES) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(buf_extend(out, (size_t)status.st_size, &to));
    if (read(fd, to, out->len) != (ssize_t)out->len) {
        return FAIL(ERR_NOT_FOUND);
    }
    *exact = (status.st_mode & MODE_BITS) == mode && status.st_nlink == 1;
    return OK;
}

static err_t public_of(span_t private_text, const char *comment, struct buf *out) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    TRY(private_key_load(private_text, NULL, &key, NULL));
    if (key_type(private_key_public(key)) != KEY_ED25519) {
        return FAIL(ERR_KEY_TYPE);
    }
    return key_print_line(private_key_public(key), comment, out);
}

/* --- writing --- */

static err_t write_new(int ssh, const char *name, span_t bytes, mode_t mode) {
    int fd CLEANUP(fd_closep) =
        openat(ssh, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    ssize_t put = write(fd, bytes.data, bytes.len);
    bool whole = put == (ssize_t)bytes.len && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    return whole ? OK : err_from_errno(put < 0 || errno != 0 ? errno : ENOSPC);
}

/* Under a new name, and then over whatever bears the right one: a link, a pipe, somebody's file. */
static err_t replace(int ssh, const char *name, span_t bytes, mode_t mode, struct fault *fault) {
    char made[FILE_NAME_CHARS];
    (void)snprintf(made, sizeof made, ".%.*s.%08x", LIMIT_HOME_FILE_CHARS + 4, name,
                   (unsigned)random_u64());
    errno = 0;
    err_t err = write_new(ssh, made, bytes, mode);
    if (!failed(err) && renameat(ssh, made, ssh, name) != 0) {
        err = errno == EISDIR ? FAIL(ERR_CONFLICT) : err_from_errno(errno);
    }
    if (failed(err)) {
        (void)unlinkat(ssh, made, 0);
        return fault_set(fault, err.code, name, "%s",
                         err.code == ERR_CONFLICT ? "is a directory; its user must move it away"
                                                  : err_text(err));
    }
    return OK;
}

static err_t put_pair(const struct home *home, int ssh, span_t private_text, struct fault *fault) {
    char name[FILE_NAME_CHARS];
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_HOME_FILE_BYTES);
    public_name(home, name);
    TRY(public_of(private_text, PUBLIC_COMMENT, &line));
    TRY(buf_add_byte(&line, '\n'));
    TRY(replace(ssh, home->file, private_text, 0600, fault));
    return replace(ssh, name, buf_span(&line), 0644, fault);
}

/* --- the three --- */

/* Whether NAME.pub is as it was written. */
static bool has_public(const struct home *home, int ssh, span_t private_text) {
    char name[FILE_NAME_CHARS];
    bool exact = false;
    struct buf found CLEANUP(buf_done) = BUF(LIMIT_HOME_FILE_BYTES);
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_HOME_FILE_BYTES);
    public_name(home, name);
    return !failed(read_own(home, ssh, name, 0644, &found, &exact)) && exact &&
           !failed(public_of(private_text, PUBLIC_COMMENT, &line)) &&
           !failed(buf_add_byte(&line, '\n')) && span_equal(buf_span(&found), buf_span(&line));
}

err_t home_files_look(const struct home *home, char out[HOME_PUBLIC_CHARS], struct fault *fault) {
    int ssh CLEANUP(fd_closep) = -1;
    bool exact = false;
    char none[HOME_PUBLIC_CHARS] = "";
    struct buf found CLEANUP(buf_done) = BUF(LIMIT_HOME_FILE_BYTES);
    struct buf line CLEANUP(buf_done) = BUF(HOME_PUBLIC_CHARS - 1);
    TRY(open_ssh(home, false, &ssh, fault));
    memcpy(out, none, sizeof none);
    if (ssh < 0 || failed(read_own(home, ssh, home->file, 0600, &found, &exact)) ||
        failed(public_of(buf_span(&found), NULL, &line))) {
        return OK;
    }
    if (!exact || !has_public(home, ssh, buf_span(&found))) {
        TRY(put_pair(home, ssh, buf_span(&found), fault));
    }
    memcpy(out, line.data, line.len);
    return OK;
}

err_t home_files_put(const struct home *home, span_t private_text, struct fault *fault) {
    int ssh CLEANUP(fd_closep) = -1;
    TRY(open_ssh(home, true, &ssh, fault));
    return put_pair(home, ssh, private_text, fault);
}

err_t home_files_remove(const struct home *home, const char *public_line, struct fault *fault) {
    int ssh CLEANUP(fd_closep) = -1;
    bool exact = false;
    char name[FILE_NAME_CHARS];
    struct buf found CLEANUP(buf_done) = BUF(LIMIT_HOME_FILE_BYTES);
    struct buf line CLEANUP(buf_done) = BUF(HOME_PUBLIC_CHARS - 1);
    TRY(open_ssh(home, false, &ssh, fault));
    if (ssh < 0 || failed(read_own(home, ssh, home->file, 0600, &found, &exact)) ||
        failed(public_of(buf_span(&found), NULL, &line)) ||
        !span_equal_str(buf_span(&line), public_line)) {
        return OK;
    }
    public_name(home, name);
    if ((unlinkat(ssh, home->file, 0) != 0 || unlinkat(ssh, name, 0) != 0) && errno != ENOENT) {
        err_t err = err_from_errno(errno);
        return fault_set(fault, err.code, home->file, "%s", err_text(err));
    }
    return OK;
}
