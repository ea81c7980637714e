#include "cli/agent/start_file.h"

#include <string.h>

static const char begin_marker[] = "# >>> posterngate agent >>>\n";
static const char end_marker[] = "# <<< posterngate agent <<<\n";

#define SH_SET  "SSH_AUTH_SOCK=%s; export SSH_AUTH_SOCK;\n"
#define SH_EVAL "eval \"$(%s agent --shell sh 2>/dev/null)\"\n"

static const struct shell shells[] = {
    {"sh", ".profile", NULL, "~", SH_SET, SH_EVAL},
    {"bash", ".bashrc", NULL, "~", SH_SET, SH_EVAL},
    {"zsh", ".zshrc", "ZDOTDIR", "~", SH_SET, SH_EVAL},
    {"fish", "fish/config.fish", "XDG_CONFIG_HOME", "~/.config", "set -gx SSH_AUTH_SOCK %s\n",
     "%s agent --shell fish 2>/dev/null | source\n"},
    {"csh", ".cshrc", NULL, "~", "setenv SSH_AUTH_SOCK %s;\n", "eval `%s agent --shell csh`\n"},
    {"tcsh", ".tcshrc", NULL, "~", "setenv SSH_AUTH_SOCK %s;\n", "eval `%s agent --shell csh`\n"},
};

const struct shell *shell_find(const char *name) {
    const char *slash = strrchr(name, '/');
    name = slash == NULL ? name : slash + 1;
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        if (strcmp(shells[i].name, name) == 0) {
            return &shells[i];
        }
    }
    return NULL;
}

err_t shell_quote(const char *text, struct buf *out) {
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f' || strchr("'\\!", *at) != NULL) {
            return FAIL(ERR_UNSUPPORTED);
        }
    }
    TRY(buf_add_byte(out, '\''));
    TRY(buf_add_str(out, text));
    return buf_add_byte(out, '\'');
}

/* `format` has one %s, for the quoted word. */
static err_t add_quoted(const char *format, const char *word, struct buf *out) {
    const char *hole = strstr(format, "%s");
    TRY(buf_add(out, span_of(format, (size_t)(hole - format))));
    TRY(shell_quote(word, out));
    return buf_add_str(out, hole + strlen("%s"));
}

err_t shell_set_lines(const struct shell *shell, const char *socket, struct buf *out) {
    return add_quoted(shell->set_format, socket, out);
}

static err_t add_rest(span_t file, size_t from, struct buf *out) {
    return from < file.len ? buf_add(out, span_of(file.data + from, file.len - from)) : OK;
}

/* Where a line that is just the marker begins; file.len when there is none. */
static size_t find_line(span_t file, const char *marker) {
    size_t len = strlen(marker);
    for (size_t at = 0; at + len <= file.len; at++) {
        if ((at == 0 || file.data[at - 1] == '\n') && memcmp(file.data + at, marker, len) == 0) {
            return at;
        }
    }
    return file.len;
}

struct block {
    bool found;
    size_t begin, end; /* without the markers' lines the file is [0, begin) and [end, len) */
};

static err_t find_block(span_t file, struct block *out) {
    size_t begin = find_line(file, begin_marker);
    size_t end = find_line(file, end_marker);
    bool has_begin = begin != file.len;
    bool has_end = end != file.len;
    if (has_begin != has_end || (has_begin && end < begin)) {
        return FAIL(ERR_CONFLICT);
    }
    *out = (struct block){has_begin, begin, has_begin ? end + strlen(end_marker) : file.len};
    return OK;
}

err_t start_file_with(span_t file, const struct shell *shell, const char *program,
                      struct buf *out) {
    struct block block = {0};
    TRY(find_block(file, &block));
    TRY(buf_add(out, span_of(file.data, block.begin)));
    if (!block.found && file.len > 0 && file.data[file.len - 1] != '\n') {
        TRY(buf_add_byte(out, '\n'));
    }
    TRY(buf_add_str(out, begin_marker));
    TRY(add_quoted(shell->eval_format, program, out));
    TRY(buf_add_str(out, end_marker));
    return add_rest(file, block.end, out);
}

err_t start_file_without(span_t file, struct buf *out) {
    struct block block = {0};
    TRY(find_block(file, &block));
    TRY(buf_add(out, span_of(file.data, block.begin)));
    return add_rest(file, block.end, out);
}
