/*
 * The person at the terminal: questions go to /dev/tty, never through standard input or output, so
 * that both can be redirected and no secret stands in a pipe, an argument or the environment.
 *
 * A signal during a question without echo first restores the terminal, then acts as it always does.
 */
#ifndef POSTERN_CLI_TERMINAL_H
#define POSTERN_CLI_TERMINAL_H

#include <stdio.h>

#include "base/err.h"
#include "base/secret.h"

struct terminal;

/* ERR_NOT_FOUND when the process has none. */
err_t terminal_open(struct terminal **out);
void terminal_closep(struct terminal **terminal);

void terminal_print(struct terminal *terminal, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line without its newline, freed by the caller; ERR_CLOSED at the end of input. */
err_t terminal_ask(struct terminal *terminal, const char *prompt, char **answer);
err_t terminal_ask_secret(struct terminal *terminal, const char *prompt, secret_t *answer);
/* True for "y" and "yes" alone. */
err_t terminal_confirm(struct terminal *terminal, const char *question, bool *yes);
/* As half-block characters; nothing when the terminal cannot show them or the text does not fit. */
void terminal_show_qr(struct terminal *terminal, const char *text);

/* A terminal that shows UTF-8. */
bool terminal_is_rich(FILE *stream);
/* A rich one with a font for them, which the kernel's console has not. */
bool terminal_shows_emoji(FILE *stream);
/* Its columns: $COLUMNS where that is a number, else what the terminal says; 0 when the stream is
 * no terminal, or nothing is known. */
size_t terminal_width(FILE *stream);

enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };
/* The escape sequence, or "" where the stream is no terminal, is dumb, or NO_COLOR is set. */
const char *terminal_colour(FILE *stream, enum colour colour);

/* The rows of a QR code, two modules a character, with its quiet zone; NULL-safe for tests: appends
 * UTF-8 to *out. ERR_TOO_LONG when the text does not fit. */
err_t qr_render(const char *text, bool colours, struct buf *out);

#endif
