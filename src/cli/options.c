#include "cli/options.h"

#include <string.h>

enum { WORD_CHARS_MAX = 48 };

const struct option *option_by_name(const struct option *table, const char *name, size_t len) {
    for (; table != NULL && table->name != NULL; table++) {
        if (strlen(table->name) == len && strncmp(table->name, name, len) == 0) {
            return table;
        }
    }
    return NULL;
}

const struct option *option_by_letter(const struct option *table, char letter) {
    for (; table != NULL && table->name != NULL; table++) {
        if (table->letter != '\0' && table->letter == letter) {
            return table;
        }
    }
    return NULL;
}

static err_t add(struct arguments *out, const struct option *option, const char *value,
                 struct fault *fault) {
    if (option->value != NULL && !option->many && arguments_has(out, option->name)) {
        return fault_set(fault, ERR_DUPLICATE, option->name, "--%s is given twice", option->name);
    }
    if (out->given_count == ARGUMENTS_GIVEN_MAX) {
        return fault_set(fault, ERR_TOO_LONG, option->name, "more than %d options are given",
                         (int)ARGUMENTS_GIVEN_MAX);
    }
    out->given[out->given_count].option = option;
    out->given[out->given_count].value = value;
    out->given_count++;
    return OK;
}

static err_t unknown_long(const struct arguments *out, const char *name, size_t len,
                          struct fault *fault) {
    const char *names[64];
    size_t count = 0;
    const struct option *tables[] = {out->own, out->shared};
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        for (const struct option *at = tables[i];
             at != NULL && at->name != NULL && count < COUNT_OF(names); at++) {
            names[count++] = at->name;
        }
    }
    char word[WORD_CHARS_MAX + 1] = "";
    if (len <= WORD_CHARS_MAX) {
        memcpy(word, name, len);
    }
    const char *near = nearest_name(word, names, count);
    if (near != NULL) {
        return fault_set(fault, ERR_MALFORMED, "option",
                         "there is no option --%.*s; did you mean --%s?", (int)len, name, near);
    }
    return fault_set(fault, ERR_MALFORMED, "option", "there is no option --%.*s", (int)len, name);
}

static err_t parse_long(struct arguments *out, const char *text, const char *following, int *used,
                        struct fault *fault) {
    size_t len = strcspn(text, "=");
    const struct option *option = option_by_name(out->own, text, len);
    if (option == NULL) {
        option = option_by_name(out->shared, text, len);
    }
    if (option == NULL) {
        return unknown_long(out, text, len, fault);
    }
    const char *value = text[len] == '=' ? text + len + 1 : NULL;
    if (option->value == NULL && value != NULL) {
        return fault_set(fault, ERR_MALFORMED, option->name, "--%s takes no value", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (following == NULL) {
            return fault_set(fault, ERR_MALFORMED, option->name, "--%s needs a value: --%s %s",
                             option->name, option->name, option->value);
        }
        value = following;
        (*used)++;
    }
    return add(out, option, value, fault);
}

static err_t parse_short(struct arguments *out, const char *text, const char *following, int *used,
                         struct fault *fault) {
    for (const char *at = text; *at != '\0'; at++) {
        const struct option *option = option_by_letter(out->own, *at);
        if (option == NULL) {
            option = option_by_letter(out->shared, *at);
        }
        if (option == NULL) {
            return fault_set(fault, ERR_MALFORMED, "option", "there is no option -%c", *at);
        }
        if (option->value == NULL) {
            TRY(add(out, option, NULL, fault));
            continue;
        }
        if (at[1] == '\0' && following == NULL) {
            return fault_set(fault, ERR_MALFORMED, option->name, "-%c needs a value: -%c %s", *at,
                             *at, option->value);
        }
        if (at[1] == '\0') {
            (*used)++;
        }
        return add(out, option, at[1] != '\0' ? at + 1 : following, fault);
    }
    return OK;
}

err_t arguments_parse(struct arguments *out, int argc, char *const *argv, bool stop_at_word,
                      int *used, struct fault *fault) {
    bool options_ended = false;
    int at = 0;
    while (at < argc) {
        const char *text = argv[at];
        const char *following = at + 1 < argc ? argv[at + 1] : NULL;
        if (!options_ended && strcmp(text, "--") == 0 && out->takes_command) {
            out->command = argv + at + 1;
            out->command_count = (size_t)(argc - at - 1);
            at = argc;
            break;
        }
        if (!options_ended && strcmp(text, "--") == 0) {
            options_ended = true;
        } else if (!options_ended && strncmp(text, "--", 2) == 0) {
            TRY(parse_long(out, text + 2, following, &at, fault));
        } else if (!options_ended && text[0] == '-' && text[1] != '\0') {
            TRY(parse_short(out, text + 1, following, &at, fault));
        } else if (stop_at_word) {
            break;
        } else if (out->word_count == ARGUMENTS_WORDS_MAX) {
            return fault_set(fault, ERR_TOO_LONG, "argument", "too many arguments");
        } else {
            out->words[out->word_count++] = text;
        }
        at++;
    }
    *used = at;
    return OK;
}

const char *arguments_next(const struct arguments *arguments, const char *name, size_t *at) {
    INVARIANT(option_by_name(arguments->own, name, strlen(name)) != NULL ||
              option_by_name(arguments->shared, name, strlen(name)) != NULL);
    while (*at < arguments->given_count) {
        size_t i = (*at)++;
        if (strcmp(arguments->given[i].option->name, name) == 0) {
            return arguments->given[i].value != NULL ? arguments->given[i].value : "";
        }
    }
    return NULL;
}

const char *arguments_value(const struct arguments *arguments, const char *name) {
    const char *last = NULL;
    size_t at = 0;
    for (const char *value; (value = arguments_next(arguments, name, &at)) != NULL;) {
        last = value;
    }
    return last;
}

bool arguments_has(const struct arguments *arguments, const char *name) {
    size_t at = 0;
    return arguments_next(arguments, name, &at) != NULL;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t text_distance(const char *a, const char *b) {
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > WORD_CHARS_MAX || b_len > WORD_CHARS_MAX) {
        return a_len > b_len ? a_len : b_len;
    }
    size_t cost[WORD_CHARS_MAX + 1][WORD_CHARS_MAX + 1];
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                cost[i][j] = i + j;
                continue;
            }
            size_t replace = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            cost[i][j] = least(replace, least(cost[i - 1][j], cost[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a_len][b_len];
}

const char *nearest_name(const char *word, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(word, names[i]);
        /* Half of a short word wrong is another word, not a slip. */
        if (distance < best && 2 * distance <= strlen(names[i])) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
