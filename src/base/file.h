/*
 * Files: read whole and bounded, replaced by rename, locked.
 */
#ifndef POSTERN_BASE_FILE_H
#define POSTERN_BASE_FILE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"

/* Closes a descriptor that is >= 0 and sets it to -1; for CLEANUP(). */
void fd_closep(int *fd);

/*
 * Appends the whole of a regular file to *out (whose maximum bounds it). ERR_NOT_FOUND,
 * ERR_PERMISSION, ERR_TOO_LONG, ERR_IO; ERR_UNSUPPORTED when it is not a regular file.
 */
err_t file_read(const char *path, struct buf *out);

enum file_flags {
    FILE_DURABLE = 1,   /* the bytes and the rename are on disk when the call returns */
    FILE_EXCLUSIVE = 2, /* ERR_EXISTS instead of replacing */
    FILE_HIDDEN = 4, /* the new file's name begins with a dot until it is whole: for a folder that
                        somebody reads by a pattern */
};

/*
 * Writes a new file beside `path` and renames it over it, so that a reader sees the old or the new
 * bytes, whole. On failure nothing is left behind. The file gets exactly `mode`.
 */
err_t file_replace(const char *path, span_t bytes, mode_t mode, unsigned flags);

/* mkdir -p; directories that it makes get `mode`. */
err_t file_make_dirs(const char *path, mode_t mode);

/*
 * An advisory lock (flock) on `path`, which is created 0600 when absent. wait_ms 0 means try once;
 * ERR_BUSY when somebody else has it until then. Closing *fd unlocks.
 */
err_t file_lock(const char *path, int wait_ms, int *fd);

/* In a child: closes every descriptor but the standard ones and this one. */
void file_keep_only(int fd);

/* Joins with one slash; the caller frees *out. */
err_t path_join(const char *dir, const char *name, char **out);

#endif
