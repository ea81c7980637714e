/* postern mount, postern umount: a folder of a host inside, by sshfs, with nothing set up but the
 * site. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/connect/destination.h"
#include "cli/process/process.h"
#include "cli/process/stop.h"

enum { UNMOUNT_MS = 10 * 1000 };

/* --- where it is mounted --- */

/* What a mount leaves behind whose sshfs is gone. */
static bool is_stale(const char *folder) {
    struct stat status;
    return stat(folder, &status) != 0 && (errno == ENOTCONN || errno == EIO);
}

static bool is_mount(const char *folder) {
    char *parent CLEANUP(freep) = NULL;
    struct stat here, above;
    return asprintf(&parent, "%s/..", folder) > 0 && stat(folder, &here) == 0 &&
           stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

/* fusermount3 of FUSE 3, fusermount of FUSE 2, umount where there is neither. */
static err_t unmount(const char *folder, bool lazy, int *status, struct buf *said) {
    static const char script[] = "if command -v fusermount3 >/dev/null; then fuse=fusermount3\n"
                                 "elif command -v fusermount >/dev/null; then fuse=fusermount\n"
                                 "else exec umount -- \"$2\"; fi\n"
                                 "exec $fuse -u $1 -- \"$2\"";
    const char *const words[] = {"sh", "-c", script, "sh", lazy ? "-z" : "-q", folder, NULL};
    const struct process_terms terms = {.timeout_ms = UNMOUNT_MS, .both = true};
    struct command_line line CLEANUP(command_line_done) = {0};
    TRY(command_line_add_words(&line, words));
    return process_ask(&line, &terms, said, status);
}

static err_t check_folder(struct cli *cli, const char *folder) {
    struct buf said CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct stat status;
    int unmounted = 0;
    if (is_stale(folder)) {
        TRY(unmount(folder, true, &unmounted, &said));
        print_warning("a mount was left on %s whose connection was gone; it is away now", folder);
    }
    if (stat(folder, &status) != 0) {
        int why = errno;
        if (why == ENOENT) {
            trouble_next(&cli->trouble, "mkdir %s", folder);
        }
        return trouble_of(&cli->trouble, err_from_errno(why), "cannot mount on %s", folder);
    }
    if (!S_ISDIR(status.st_mode)) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s is no folder", folder);
    }
    if (is_mount(folder)) {
        trouble_next(&cli->trouble, "postern umount %s", folder);
        return trouble_set(&cli->trouble, EXIT_CONFLICT, "something is mounted on %s already",
                           folder);
    }
    return OK;
}

/* --- mounting --- */

struct mount {
    struct ssh_file file;
    struct destination to;
    const char *path;   /* over there; "" is the home */
    const char *folder; /* here */
};

static void mount_done(struct mount *mount) {
    ssh_file_done(&mount->file);
    destination_done(&mount->to);
}

static err_t find(struct cli *cli, const struct arguments *arguments, struct mount *mount) {
    const char *job = arguments_value(arguments, "job");
    mount->folder = arguments->words[arguments->word_count - 1];
    TRY(check_folder(cli, mount->folder));
    TRY(ssh_file_open(cli, arguments_has(arguments, "through-login"), &mount->file));
    if (job != NULL) {
        mount->path = arguments->word_count > 1 ? arguments->words[0] : "";
        return destination_of_job(cli, &mount->file, job, NULL, &mount->to);
    }
    if (arguments->word_count < 2) {
        trouble_next(&cli->trouble, "postern mount HOST:PATH FOLDER");
        return trouble_set(&cli->trouble, EXIT_USAGE, "say what to mount, and on which folder");
    }
    span_t rest = span_str(arguments->words[0]);
    char *host CLEANUP(freep) = NULL;
    TRY(span_to_str(span_until(&rest, ':'), &host));
    mount->path = (const char *)rest.data;
    return destination_of_host(cli, &mount->file, host, &mount->to);
}

static err_t fill_line(const struct mount *mount, const char *config,
                       const struct arguments *arguments, struct command_line *line) {
    char *from CLEANUP(freep) = NULL;
    if (asprintf(&from, "%s:%s", mount->to.host, mount->path) < 0) {
        from = NULL;
        return FAIL(ERR_MEMORY);
    }
    TRY(command_line_add_words(line, (const char *const[]){"sshfs", "-F", config, NULL}));
    TRY(command_line_option(line, "reconnect"));
    TRY(command_line_option(line, "ServerAliveInterval=5"));
    TRY(command_line_option(line, "ServerAliveCountMax=3"));
    TRY(command_line_option(line, "idmap=user"));
    if (arguments_has(arguments, "read-only")) {
        TRY(command_line_option(line, "ro"));
    }
    TRY(command_line_add(line, from));
    return command_line_add(line, mount->folder);
}

static err_t mount_run(struct cli *cli, const struct arguments *arguments) {
    struct mount mount CLEANUP(mount_done) = {0};
    struct command_line line CLEANUP(command_line_done) = {0};
    char *config CLEANUP(freep) = NULL;
    int by_signal = 0;
    TRY(find(cli, arguments, &mount));
    ssh_file_renew(cli, &mount.file);
    TRY(destination_config(cli, &mount.file, &mount.to, &config));
    TRY(fill_line(&mount, config, arguments, &line));
    TRY(process_run(cli, &line, false, &by_signal));
    if (by_signal == 0 && cli->exit != EXIT_DONE) {
        if ((int)cli->exit == PROCESS_NOT_FOUND) {
            return trouble_set(&cli->trouble, EXIT_MISSING, "sshfs is needed for that: install it");
        }
        trouble_next(&cli->trouble, "postern doctor %s", mount.to.host);
        return trouble_set(&cli->trouble, EXIT_NETWORK, "sshfs could not mount %s", mount.to.node);
    }
    stop_by(by_signal);
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) = json_pack("{s:s, s:s, s:s}", "node", mount.to.node,
                                                      "path", mount.path, "folder", mount.folder);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf("%s:%s is on %s, until: postern umount %s\n", mount.to.node, mount.path,
                 mount.folder, mount.folder);
    return OK;
}

static err_t umount_run(struct cli *cli, const struct arguments *arguments) {
    const char *folder = arguments->words[0];
    struct buf said CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    bool lazy = is_stale(folder) || arguments_has(arguments, "lazy");
    int status = 0;
    if (!lazy && !is_mount(folder)) {
        return trouble_set(&cli->trouble, EXIT_MISSING, "nothing is mounted on %s", folder);
    }
    err_t err = unmount(folder, lazy, &status, &said);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot unmount %s", folder);
    }
    if (status != 0) {
        trouble_next(&cli->trouble, "postern umount --lazy %s", folder);
        return trouble_set(&cli->trouble, EXIT_CONFLICT,
                           "%s stays mounted: a program uses it, or it is not yours", folder);
    }
    return OK;
}

static const struct option mount_options[] = {
    {'j', "job", "JOB", "from a node of this job: 4711, or 4711@daint"},
    {0, "through-login", NULL, "to nodes by way of their cluster's login host", .many = true},
    {0, "read-only", NULL, "nothing can be written there", .many = true},
    {.name = NULL},
};

const struct command command_mount = {
    .name = "mount",
    .arguments = "HOST[:PATH] FOLDER | --job JOB [PATH] FOLDER",
    .summary = "Show a folder of a host inside in a folder here (sshfs)",
    .details = "Without PATH, the home. It is mounted again by itself when the network comes back.",
    .options = mount_options,
    .words_min = 1,
    .words_max = 2,
    .run = mount_run,
};

static const struct option umount_options[] = {
    {0, "lazy", NULL, "also when programs still use it", .many = true},
    {.name = NULL},
};

const struct command command_umount = {
    .name = "umount",
    .arguments = "FOLDER",
    .summary = "Unmount what postern mount has mounted",
    .options = umount_options,
    .words_min = 1,
    .words_max = 1,
    .run = umount_run,
};
