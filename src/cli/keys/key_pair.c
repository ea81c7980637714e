/* Writing private key files with their public halves. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/keys/key_file.h"

static err_t public_path_of(const char *path, char **out) {
    char *made = NULL;
    if (asprintf(&made, "%s.pub", path) < 0) {
        return FAIL(ERR_MEMORY);
    }
    *out = made;
    return OK;
}

err_t key_pair_check_free(struct cli *cli, const char *path) {
    char *public_path CLEANUP(freep) = NULL;
    TRY(public_path_of(path, &public_path));
    const char *taken = access(path, F_OK) == 0          ? path
                        : access(public_path, F_OK) == 0 ? public_path
                                                         : NULL;
    if (taken == NULL) {
        return OK;
    }
    trouble_next(&cli->trouble, "postern sign -f %s", path);
    return trouble_set(&cli->trouble, EXIT_CONFLICT,
                       "%s exists already, and --force is not given; it can be signed as it is",
                       taken);
}

static err_t make_folder(struct cli *cli, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return OK;
    }
    char *dir CLEANUP(freep) = strndup(path, (size_t)(slash - path));
    err_t err = dir == NULL ? FAIL(ERR_MEMORY) : file_make_dirs(dir, 0700);
    return failed(err)
               ? trouble_of(&cli->trouble, err, "cannot make %s", dir != NULL ? dir : "a folder")
               : OK;
}

err_t key_pair_put(struct cli *cli, const char *path, span_t file, const struct key *key,
                   const char *comment, bool force) {
    char *public_path CLEANUP(freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    unsigned flags = force ? 0 : FILE_EXCLUSIVE;
    TRY(public_path_of(path, &public_path));
    TRY(make_folder(cli, path));
    TRY(key_print_line(key, comment, &line));
    TRY(buf_add_byte(&line, '\n'));
    err_t err = file_put(path, file, 0600, flags);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot write %s", path);
    }
    err = file_put(public_path, buf_span(&line), 0644, flags);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", public_path) : OK;
}
