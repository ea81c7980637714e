#include "cli/keys/token_key.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/process/process.h"
#include "cli/process/run_folder.h"
#include "cli/process/stop.h"

bool token_key_is_type(const char *name) {
    return strcmp(name, "ed25519-sk") == 0 || strcmp(name, "ecdsa-sk") == 0;
}

/* Without a passphrase: the file is in a folder of its own for a moment, and the one that stays is
 * written anew. */
static err_t make_line(const struct arguments *arguments, const char *type, const char *path,
                       struct command_line *line) {
    const char *const words[] = {"ssh-keygen", "-q", "-t", type, "-N", "",
                                 "-C",         "",   "-f", path, NULL};
    size_t at = 0;
    TRY(command_line_add_words(line, words));
    for (const char *option; (option = arguments_next(arguments, "option", &at)) != NULL;) {
        TRY(command_line_add(line, "-O"));
        TRY(command_line_add(line, option));
    }
    return OK;
}

static err_t run(struct cli *cli, const struct arguments *arguments, const char *type,
                 const char *path, int *by_signal) {
    struct command_line line CLEANUP(command_line_done) = {0};
    TRY(make_line(arguments, type, path, &line));
    (void)fprintf(stderr, "Your security token may wait to be touched.\n");
    TRY(process_run(cli, &line, false, by_signal));
    bool made = cli->exit == EXIT_DONE && *by_signal == 0;
    cli->exit = EXIT_DONE;
    return made ? OK
                : trouble_set(&cli->trouble, EXIT_REFUSED, "ssh-keygen made no %s key: %s", type,
                              "is the security token plugged in, and does it know this type?");
}

err_t token_key_make(struct cli *cli, const struct arguments *arguments, const char *type,
                     struct private_key **out) {
    struct run_folder folder CLEANUP(run_folder_remove) = {0};
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    char *path CLEANUP(freep) = NULL;
    int by_signal = 0;
    TRY(run_folder_make(cli, &folder));
    TRY(run_folder_path(&folder, "key", &path));
    err_t err = run(cli, arguments, type, path, &by_signal);
    if (by_signal != 0) {
        run_folder_remove(&folder);
        stop_by(by_signal);
    }
    TRY(err);
    TRY(file_read(path, &file));
    return private_key_load(buf_span(&file), NULL, out, NULL);
}
