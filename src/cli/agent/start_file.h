/*
 * What shells need to find the agent, and the lines in their start files that ask for it. Pure.
 *
 * The lines stand between two markers, and all that is outside them is the user's: it stays as it
 * is, byte by byte.
 */
#ifndef POSTERN_CLI_START_FILE_H
#define POSTERN_CLI_START_FILE_H

#include "base/err.h"
#include "base/span.h"

struct shell {
    const char *name;            /* "bash" */
    const char *file;            /* in the home directory, or what its folder variable names */
    const char *folder_variable; /* ZDOTDIR, XDG_CONFIG_HOME; NULL: the home directory */
    const char *folder;          /* when the variable is not set: "~", "~/.config" */
    const char *set_format;      /* what the shell runs to know the socket, of which it is told */
    const char *eval_format;     /* the start file's line, of the program's path */
};

/* NULL when it is none that is known here. A path, as $SHELL has it, will do. */
const struct shell *shell_find(const char *name);

/* Text that sh, fish and csh read as this one word. ERR_UNSUPPORTED for what they disagree about:
 * quotes, backslashes, "!", control characters. */
err_t shell_quote(const char *text, struct buf *out);

/* Appends what the shell has to run: "SSH_AUTH_SOCK='…'; export SSH_AUTH_SOCK;\n". */
err_t shell_set_lines(const struct shell *shell, const char *socket, struct buf *out);

/* Appends the file with the marked lines in it, once: in their place, or at the end. program: its
 * path. ERR_CONFLICT when just one of the markers is there. */
err_t start_file_with(span_t file, const struct shell *shell, const char *program, struct buf *out);
/* Appends the file without them. */
err_t start_file_without(span_t file, struct buf *out);

#endif
