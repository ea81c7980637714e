#include "cli/process/command_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

void command_line_done(struct command_line *line) {
    for (size_t i = 0; i < line->count; i++) {
        free(line->words[i]);
    }
    free(line->words);
    *line = (struct command_line){0};
}

static err_t take(struct command_line *line, char *word) {
    if (word == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (line->count + 2 > line->size) {
        size_t size = 2 * line->size + 32;
        char **words = reallocarray(line->words, size, sizeof *words);
        if (words == NULL) {
            free(word);
            return FAIL(ERR_MEMORY);
        }
        line->words = words;
        line->size = size;
    }
    line->words[line->count++] = word;
    line->words[line->count] = NULL;
    return OK;
}

err_t command_line_add(struct command_line *line, const char *word) {
    return take(line, strdup(word));
}

err_t command_line_add_words(struct command_line *line, const char *const *words) {
    for (; *words != NULL; words++) {
        TRY(command_line_add(line, *words));
    }
    return OK;
}

err_t command_line_option(struct command_line *line, const char *format, ...) {
    char *option = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&option, format, args);
    va_end(args);
    if (len < 0) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = command_line_add(line, "-o");
    if (failed(err)) {
        free(option);
        return err;
    }
    return take(line, option);
}

err_t command_line_add_ssh_options(struct command_line *line, const struct arguments *arguments) {
    static const char letters[] = "tXAvNLRDo";
    for (size_t i = 0; i < arguments->given_count; i++) {
        char letter = arguments->given[i].option->letter;
        if (letter == '\0' || strchr(letters, letter) == NULL) {
            continue;
        }
        TRY(command_line_add(line, (char[]){'-', letter, '\0'}));
        if (arguments->given[i].value != NULL) {
            TRY(command_line_add(line, arguments->given[i].value));
        }
    }
    return OK;
}
