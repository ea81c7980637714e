/* A folder of this person's alone, for what lives no longer than a command: keys, sockets. */
#ifndef POSTERN_CLI_RUN_FOLDER_H
#define POSTERN_CLI_RUN_FOLDER_H

#include "base/span.h"
#include "cli/cli.h"

struct run_folder {
    char path[128]; /* "": not made. Short enough for sockets in it. */
    int held;       /* a lock of the folder, once it is made */
};

/* 0700, in $XDG_RUNTIME_DIR where that is good, else in /tmp: there systemd-tmpfiles takes away
 * what was not touched for days, but not from a folder with a lock (tmpfiles.d(5), "Age"). */
err_t run_folder_make(struct cli *cli, struct run_folder *out);
/* A file in it, 0600, that is not there yet. */
err_t run_folder_put(const struct run_folder *folder, const char *name, span_t bytes);
/* The path of something in it. */
err_t run_folder_path(const struct run_folder *folder, const char *name, char **out);
/* With the files that are in it; harmless when it was not made. For CLEANUP(). */
void run_folder_remove(struct run_folder *folder);

#endif
