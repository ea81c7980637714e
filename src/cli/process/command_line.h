/* A command line in the making, for ssh and its like. */
#ifndef POSTERN_CLI_COMMAND_LINE_H
#define POSTERN_CLI_COMMAND_LINE_H

#include "cli/options.h"

/* Copies of its words, with a NULL after the last. */
struct command_line {
    char **words;
    size_t count, size;
};
void command_line_done(struct command_line *line);
err_t command_line_add(struct command_line *line, const char *word);
/* Several, with a NULL after the last. */
err_t command_line_add_words(struct command_line *line, const char *const *words);
/* "-o" and the option, as ssh takes it: "User=alice". */
err_t command_line_option(struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * ssh's options that our commands take under the same letters: the rows for a command's table, and
 * what was given of them, for ssh's command line.
 */
#define SSH_OPTION_ROWS                                                                            \
    {'t', "tty", NULL, "with a terminal, for a command too", .many = true},                        \
        {'X', "x11", NULL, "with X11 forwarding", .many = true},                                   \
        {'A', "agent", NULL, "with agent forwarding", .many = true},                               \
        {'v', "verbose", NULL, "ssh says what it does", .many = true},                             \
        {'N', "no-command", NULL, "nothing but the forwardings", .many = true},                    \
        {'L', "local", "SPEC", "a local forwarding, as of ssh -L", .many = true},                  \
        {'R', "remote", "SPEC", "a remote forwarding, as of ssh -R", .many = true},                \
        {'D', "dynamic", "SPEC", "a SOCKS proxy, as of ssh -D", .many = true}, {                   \
        'o', "option", "OPTION", "any other option of ssh, as of ssh -o", .many = true             \
    }
err_t command_line_add_ssh_options(struct command_line *line, const struct arguments *arguments);

#endif
