/*
 * sshd reads its configuration and host certificates at its start alone. When they change, a mark
 * is left before the change, and taken away when sshd was made to read them: so a reload that was
 * interrupted, or failed, is made up for.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "host/subprocess.h"
#include "host/sync_host.h"

err_t reload_mark(const char *state_dir) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, FILE_RELOAD_DUE, &path));
    return file_replace(path, span_of(NULL, 0), 0644, FILE_DURABLE);
}

err_t reload_unmark(const char *state_dir) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, FILE_RELOAD_DUE, &path));
    return unlink(path) == 0 || errno == ENOENT ? OK : err_from_errno(errno);
}

int64_t reload_due_ms(const char *state_dir) {
    char *path CLEANUP(freep) = NULL;
    struct stat status;
    if (failed(path_join(state_dir, FILE_RELOAD_DUE, &path)) || stat(path, &status) != 0) {
        return 0;
    }
    return (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
}

err_t reload_run(const char *const *words, int timeout_ms, struct fault *fault) {
    const struct subprocess run = {.words = words, .timeout_ms = timeout_ms};
    return subprocess_run(&run, NULL, fault);
}
