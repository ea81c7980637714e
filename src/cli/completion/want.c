#include "cli/completion/want.h"

#include <string.h>

struct line {
    const struct command *command;
    const struct option *shared;
    const struct option *pending; /* takes the next word as its value */
    size_t words;                 /* of the command itself */
    const char *site;
    bool options_ended;
    bool other_command; /* after "--" of a command that takes one */
    bool lost;          /* a word that the table does not have */
};

static const struct option *find_long(const struct line *line, const char *name, size_t len) {
    const struct option *option = option_by_name(line->command->options, name, len);
    return option != NULL ? option : option_by_name(line->shared, name, len);
}

static const struct option *find_letter(const struct line *line, char letter) {
    const struct option *option = option_by_letter(line->command->options, letter);
    return option != NULL ? option : option_by_letter(line->shared, letter);
}

static void read_long(struct line *line, const char *text) {
    size_t len = strcspn(text, "=");
    const struct option *option = find_long(line, text, len);
    line->lost = option == NULL;
    if (option != NULL && option->value != NULL && text[len] == '\0') {
        line->pending = option;
    } else if (option != NULL && strcmp(option->name, "site") == 0) {
        line->site = text + len + 1;
    }
}

static void read_letters(struct line *line, const char *text) {
    for (; *text != '\0'; text++) {
        const struct option *option = find_letter(line, *text);
        line->lost = option == NULL;
        if (option == NULL || option->value != NULL) {
            line->pending = option != NULL && text[1] == '\0' ? option : NULL;
            return;
        }
    }
}

static void read_word(struct line *line, const char *word) {
    const struct command *const *child = line->command->children;
    if (child == NULL) {
        line->words++;
        return;
    }
    while (*child != NULL && strcmp((*child)->name, word) != 0) {
        child++;
    }
    line->lost = *child == NULL;
    line->command = *child != NULL ? *child : line->command;
}

static void read_any(struct line *line, const char *word) {
    if (line->pending != NULL) {
        line->site = strcmp(line->pending->name, "site") == 0 ? word : line->site;
        line->pending = NULL;
    } else if (!line->options_ended && strcmp(word, "--") == 0) {
        line->options_ended = true;
        line->other_command = line->command->takes_command;
    } else if (!line->options_ended && strncmp(word, "--", 2) == 0) {
        read_long(line, word + 2);
    } else if (!line->options_ended && word[0] == '-' && word[1] != '\0') {
        read_letters(line, word + 1);
    } else if (!line->other_command) {
        read_word(line, word);
    }
}

/* "FILE", or "bash|zsh". */
static bool is_name(span_t word) {
    if (word.len > 1 && memchr(word.data, '|', word.len) != NULL) {
        return true;
    }
    for (size_t i = 0; i < word.len; i++) {
        if ((word.data[i] < 'A' || word.data[i] > 'Z') && word.data[i] != '_') {
            return false;
        }
    }
    return word.len > 0;
}

/* The next word of a usage text, without brackets; an empty one at the end. */
static span_t next_word(const char **text) {
    *text += strspn(*text, " []");
    size_t len = strcspn(*text, " []");
    span_t word = span_of(*text, len);
    *text += len;
    return word;
}

/* The number-th word by "CLUSTER NODE [PORT]"; of the first one "ID | NAME" has more than one. */
static void want_word(const char *usage, size_t number, struct want *out) {
    size_t at = 0;
    bool alternative = false;
    for (;;) {
        span_t word = next_word(&usage);
        bool same = alternative && number == 0;
        if (word.len == 0 || span_equal_str(word, "--")) {
            return;
        }
        if (span_equal_str(word, "|")) {
            alternative = true;
            at = 0;
        } else if (!is_name(word)) {
            /* "--serial NUMBER": that value is the option's. */
            (void)next_word(&usage);
        } else if ((!alternative || same) && at++ == number && out->value_count < WANT_VALUES_MAX) {
            out->values[out->value_count++] = word;
        }
    }
}

static void want_value(const struct option *option, struct want *out) {
    out->kind = WANT_VALUE;
    out->option = option;
    out->values[0] = span_str(option->value);
    out->value_count = 1;
}

struct want want_of(const struct command *root, const struct option *shared, char *const *words,
                    size_t count) {
    struct line line = {.command = root, .shared = shared};
    for (size_t i = 0; i + 1 < count; i++) {
        read_any(&line, words[i]);
        if (line.lost) {
            return (struct want){.command = root};
        }
    }
    const char *last = words[count - 1];
    const char *equals = strchr(last, '=');
    struct want want = {.command = line.command, .site = line.site, .prefix = last};
    if (line.pending != NULL) {
        want_value(line.pending, &want);
    } else if (line.other_command) {
        want.kind = WANT_VALUE;
        want.values[want.value_count++] = span_str("FILE");
    } else if (!line.options_ended && strncmp(last, "--", 2) == 0 && equals != NULL) {
        const struct option *option = find_long(&line, last + 2, (size_t)(equals - last - 2));
        if (option != NULL && option->value != NULL) {
            want_value(option, &want);
            want.before = span_of(last, (size_t)(equals + 1 - last));
            want.prefix = equals + 1;
        }
    } else if (!line.options_ended && last[0] == '-') {
        want.kind = WANT_OPTION;
    } else if (line.command->children != NULL) {
        want.kind = WANT_COMMAND;
    } else {
        want_word(line.command->arguments, line.words, &want);
        want.kind = want.value_count > 0 ? WANT_VALUE : WANT_NOTHING;
    }
    return want;
}
