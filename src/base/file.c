#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOCK_POLL_MS = 5, READ_CHUNK_BYTES = 64 * 1024 };

void fd_closep(int *fd) {
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

err_t file_read(const char *path, struct buf *out) {
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return err_from_errno(errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return FAIL(ERR_UNSUPPORTED);
    }
    size_t before = out->len;
    for (;;) {
        size_t room = out->len_max - out->len;
        size_t want = room < READ_CHUNK_BYTES ? room : READ_CHUNK_BYTES;
        uint8_t probe;
        uint8_t *to = &probe;
        err_t err = want == 0 ? OK : buf_extend(out, want, &to);
        if (failed(err)) {
            out->len = before;
            return err;
        }
        ssize_t got = read(fd, to, want == 0 ? 1 : want);
        out->len -= want;
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got == 0) {
            return OK;
        }
        if (got < 0 || want == 0) {
            out->len = before;
            return got < 0 ? err_from_errno(errno) : FAIL(ERR_TOO_LONG);
        }
        out->len += (size_t)got;
    }
}

static err_t write_all(int fd, span_t bytes) {
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.data, bytes.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return err_from_errno(errno);
        }
        bytes.data += put;
        bytes.len -= (size_t)put;
    }
    return OK;
}

static err_t sync_dir_of(const char *path) {
    char *copy CLEANUP(freep) = strdup(path);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    int fd CLEANUP(fd_closep) = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return err_from_errno(errno);
    }
    return OK;
}

static err_t fill_and_rename(int fd, const char *temporary, const char *path, span_t bytes,
                             mode_t mode, unsigned flags) {
    if (fchmod(fd, mode) != 0) {
        return err_from_errno(errno);
    }
    TRY(write_all(fd, bytes));
    if ((flags & FILE_DURABLE) != 0 && fsync(fd) != 0) {
        return err_from_errno(errno);
    }
    if ((flags & FILE_EXCLUSIVE) != 0) {
        /* link() refuses an existing name, where rename() would replace it. */
        if (link(temporary, path) != 0) {
            return err_from_errno(errno);
        }
        (void)unlink(temporary);
    } else if (rename(temporary, path) != 0) {
        return err_from_errno(errno);
    }
    return (flags & FILE_DURABLE) != 0 ? sync_dir_of(path) : OK;
}

err_t file_replace(const char *path, span_t bytes, mode_t mode, unsigned flags) {
    char *temporary CLEANUP(freep) = NULL;
    const char *slash = strrchr(path, '/');
    int folder_chars = slash == NULL ? 0 : (int)(slash - path) + 1;
    if (asprintf(&temporary, "%.*s%s%s.XXXXXX", folder_chars, path,
                 (flags & FILE_HIDDEN) != 0 ? "." : "", path + folder_chars) < 0) {
        temporary = NULL;
        return FAIL(ERR_MEMORY);
    }
    int fd CLEANUP(fd_closep) = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    err_t err = fill_and_rename(fd, temporary, path, bytes, mode, flags);
    if (failed(err)) {
        (void)unlink(temporary);
    }
    return err;
}

err_t file_make_dirs(const char *path, mode_t mode) {
    char *copy CLEANUP(freep) = strdup(path);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (char *at = copy + 1; at[-1] != '\0'; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        char kept = *at;
        *at = '\0';
        if (mkdir(copy, mode) != 0 && errno != EEXIST) {
            return err_from_errno(errno);
        }
        *at = kept;
    }
    struct stat status;
    if (stat(path, &status) != 0) {
        return err_from_errno(errno);
    }
    return S_ISDIR(status.st_mode) ? OK : FAIL(ERR_EXISTS);
}

err_t file_lock(const char *path, int wait_ms, int *fd) {
    int lock CLEANUP(fd_closep) = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        return err_from_errno(errno);
    }
    int64_t deadline = clock_monotonic_ms() + wait_ms;
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return err_from_errno(errno);
        }
        if (clock_monotonic_ms() >= deadline) {
            return FAIL(ERR_BUSY);
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
    *fd = lock;
    lock = -1;
    return OK;
}

err_t path_join(const char *dir, const char *name, char **out) {
    size_t len = strlen(dir);
    char *joined = NULL;
    if (asprintf(&joined, "%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name) < 0) {
        return FAIL(ERR_MEMORY);
    }
    *out = joined;
    return OK;
}

void file_keep_only(int fd) {
    if (fd > 3) {
        (void)close_range(3, (unsigned)fd - 1, 0);
    }
    (void)close_range((unsigned)fd + 1, ~0U, 0);
}
