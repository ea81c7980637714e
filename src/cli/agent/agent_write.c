/* postern agent --write and --remove: the lines in the shell's start file. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/agent/agent.h"
#include "cli/site.h"

/* A start file is often a link into a folder of dotfiles: what it leads to is written. */
static err_t file_of(const struct shell *shell, char **out) {
    const char *folder = shell->folder_variable == NULL ? NULL : getenv(shell->folder_variable);
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(path_expand(folder != NULL && folder[0] == '/' ? folder : shell->folder, &dir));
    TRY(path_join(dir, shell->file, &path));
    char *real = realpath(path, NULL);
    *out = real != NULL ? real : TAKE(path);
    return OK;
}

static err_t program_path(char **out) {
    char *path = realpath("/proc/self/exe", NULL);
    if (path == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = path;
    return OK;
}

static err_t make_text(struct cli *cli, const struct shell *shell, bool remove, const char *path,
                       span_t before, struct buf *after) {
    char *program CLEANUP(freep) = NULL;
    TRY(program_path(&program));
    err_t err =
        remove ? start_file_without(before, after) : start_file_with(before, shell, program, after);
    if (err.code == ERR_CONFLICT) {
        return trouble_set(&cli->trouble, EXIT_CONFLICT,
                           "%s has one of the two lines \"posterngate agent\" without the other; "
                           "take out what is left of them",
                           path);
    }
    if (err.code == ERR_UNSUPPORTED) {
        return trouble_set(&cli->trouble, EXIT_REFUSED,
                           "%s has characters that shells read differently", program);
    }
    return err;
}

static err_t put(struct cli *cli, const char *path, span_t text) {
    struct stat status;
    mode_t mode = stat(path, &status) == 0 ? status.st_mode & 07777 : 0644;
    char *dir CLEANUP(freep) = strndup(path, (size_t)(strrchr(path, '/') - path));
    TRY(dir == NULL ? FAIL(ERR_MEMORY) : OK);
    err_t err = file_make_dirs(dir, 0700);
    if (!failed(err)) {
        err = file_put(path, text, mode, 0);
    }
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", path) : OK;
}

err_t agent_write(struct cli *cli, const struct shell *shell, bool remove) {
    char *path CLEANUP(freep) = NULL;
    struct buf before CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct buf after CLEANUP(buf_done) = BUF(2 * LIMIT_STATE_FILE_BYTES);
    TRY(home_demand_own(&cli->trouble));
    TRY(file_of(shell, &path));
    err_t err = file_read(path, &before);
    if (failed(err) && err.code != ERR_NOT_FOUND) {
        return trouble_of(&cli->trouble, err, "cannot read %s", path);
    }
    TRY(make_text(cli, shell, remove, path, buf_span(&before), &after));
    bool changed = !span_equal(buf_span(&before), buf_span(&after));
    TRY(changed ? put(cli, path, buf_span(&after)) : OK);
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) = json_pack("{s:s, s:s, s:b}", "shell", shell->name,
                                                      "file", path, "changed", (int)changed);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf(!changed ? "%s is as it should be.\n"
                 : remove ? "The lines are out of %s.\n"
                          : "New shells find the agent: the lines are in %s.\n",
                 path);
    return OK;
}
