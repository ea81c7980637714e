#include "cli/process/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* sun_path has 104 characters on some systems, and ssh adds 17 to a socket's name for a moment. */
enum { RUNTIME_CHARS_MAX = 48 };

static const char *place(void) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat status;
    bool good = runtime != NULL && runtime[0] == '/' && lstat(runtime, &status) == 0 &&
                S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
                (status.st_mode & (S_IRWXG | S_IRWXO)) == 0 &&
                strlen(runtime) < RUNTIME_CHARS_MAX &&
                strpbrk(runtime, " \t\"%$") == NULL; /* ssh gives those a meaning */
    return good ? runtime : "/tmp";
}

err_t run_folder_make(struct cli *cli, struct run_folder *out) {
    struct run_folder folder;
    (void)snprintf(folder.path, sizeof folder.path, "%s/postern.XXXXXX", place());
    if (mkdtemp(folder.path) == NULL) {
        return trouble_of(&cli->trouble, err_from_errno(errno), "cannot make a folder in %s",
                          place());
    }
    /* Without a lock it serves as well, for as long as most commands run. */
    folder.held = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder.held >= 0) {
        (void)flock(folder.held, LOCK_SH | LOCK_NB);
    }
    *out = folder;
    return OK;
}

err_t run_folder_path(const struct run_folder *folder, const char *name, char **out) {
    return path_join(folder->path, name, out);
}

err_t run_folder_put(const struct run_folder *folder, const char *name, span_t bytes) {
    char *path CLEANUP(freep) = NULL;
    TRY(run_folder_path(folder, name, &path));
    return file_replace(path, bytes, 0600, FILE_EXCLUSIVE);
}

void run_folder_remove(struct run_folder *folder) {
    if (folder->path[0] == '\0') {
        return;
    }
    DIR *dir = opendir(folder->path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0); /* "." and ".." are no files */
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(folder->path);
    fd_closep(&folder->held);
    folder->path[0] = '\0';
}
