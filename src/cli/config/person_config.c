#include "cli/config/person_config.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/config/config_line.h"
#include "cli/config/ssh_value.h"

static const char block_begins[] = "# begin of " PERSON_CONFIG_PREFIX;
static const char block_ends[] = "# end of " PERSON_CONFIG_PREFIX;

/* --- reading --- */

/* With its newline. */
static span_t next_line(span_t *text) {
    const uint8_t *end = text->len == 0 ? NULL : memchr(text->data, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->data) + 1;
    span_t line = span_of(text->data, len);
    *text = span_of(text->data + len, text->len - len);
    return line;
}

/* A whole line without its newline. */
static span_t bare(span_t line) {
    while (line.len > 0 && strchr("\r\n", line.data[line.len - 1]) != NULL) {
        line.len--;
    }
    return line;
}

/* "# begin of posterngate-SITE"; any site where it is NULL. */
static bool is_mark(span_t line, const char *mark, const char *site) {
    span_t text = bare(line);
    size_t len = strlen(mark);
    if (text.len <= len || memcmp(text.data, mark, len) != 0) {
        return false;
    }
    return site == NULL || span_equal_str(span_of(text.data + len, text.len - len), site);
}

/* As ssh writes it in full. */
static err_t whole_path(const struct person_config *want, span_t word, char **out) {
    char *name CLEANUP(freep) = NULL;
    TRY(span_to_str(word, &name));
    if (name[0] == '/') {
        *out = TAKE(name);
        return OK;
    }
    if (strncmp(name, "~/", 2) != 0) {
        return path_join(want->ssh_folder, name, out);
    }
    char *above CLEANUP(freep) = NULL;
    TRY(path_join(want->ssh_folder, "..", &above));
    return path_join(above, name + 2, out);
}

/* Whether an Include's argument is the file of a site, or a pattern that it fits. */
static bool includes(const struct person_config *want, span_t word, const char *site) {
    static const char home_ssh[] = "~/.ssh/";
    char path[LIMIT_SSH_CONFIG_LINE_CHARS];
    char *pattern CLEANUP(freep) = NULL;
    /* "~/.ssh" is the folder, wherever the home is. */
    bool at_home =
        word.len > sizeof home_ssh - 1 && memcmp(word.data, home_ssh, sizeof home_ssh - 1) == 0;
    span_t name =
        at_home ? span_of(word.data + sizeof home_ssh - 1, word.len - sizeof home_ssh + 1) : word;
    int len = snprintf(path, sizeof path, "%s/" PERSON_CONFIG_FOLDER "/" PERSON_CONFIG_PREFIX "%s",
                       want->ssh_folder, site);
    return len > 0 && (size_t)len < sizeof path && !failed(whole_path(want, name, &pattern)) &&
           fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0;
}

/* Ours: an Include of nothing but files of sites, spelled as we spell it. */
static bool is_ours(span_t line, const struct person_config *want) {
    span_t rest = bare(line);
    span_t keyword = config_line_keyword(&rest);
    char own[LIMIT_SSH_CONFIG_LINE_CHARS];
    (void)snprintf(own, sizeof own, "%s/" PERSON_CONFIG_FOLDER "/" PERSON_CONFIG_PREFIX,
                   want->ssh_folder);
    static const char relative[] = PERSON_CONFIG_FOLDER "/" PERSON_CONFIG_PREFIX;
    size_t count = 0;
    if (!span_equal_str(keyword, "Include")) {
        return false;
    }
    for (span_t word = config_line_word(&rest); word.len > 0; word = config_line_word(&rest)) {
        bool known = (word.len > sizeof relative - 1 &&
                      memcmp(word.data, relative, sizeof relative - 1) == 0) ||
                     (word.len > strlen(own) && memcmp(word.data, own, strlen(own)) == 0);
        if (!known || memchr(word.data, '*', word.len) != NULL) {
            return false;
        }
        count++;
    }
    return count > 0;
}

static bool says_nothing(span_t line) {
    span_t rest = bare(line);
    span_t keyword = config_line_keyword(&rest);
    return keyword.len == 0 || keyword.data[0] == '#';
}

static bool begins_block(span_t line) {
    span_t rest = bare(line);
    span_t keyword = config_line_keyword(&rest);
    return config_line_is(keyword, "Host") || config_line_is(keyword, "Match");
}

/* --- editing --- */

/* Appends the text without what is ours; *first is where our first line stood, if nothing before it
 * said anything. */
static err_t strip(span_t text, const struct person_config *want, struct buf *out, size_t *first) {
    bool inside = false;
    bool said = false;
    for (span_t rest = text; rest.len > 0;) {
        span_t line = next_line(&rest);
        bool ours = inside || is_ours(line, want);
        if (is_mark(line, block_begins, want->site)) {
            inside = ours = true;
        } else if (inside && is_mark(line, block_ends, want->site)) {
            inside = false;
        }
        if (ours) {
            *first = said || *first != 0 ? *first : out->len;
            continue;
        }
        said = said || !says_nothing(line);
        TRY(buf_add(out, line));
    }
    /* Without its end nobody knows what of the rest is the person's. */
    return inside ? FAIL(ERR_TRUNCATED) : OK;
}

/* True when a line for all hosts, of the person's own, includes the site's file. */
static bool has_other_include(span_t text, const struct person_config *want, const char *site) {
    while (text.len > 0) {
        span_t line = next_line(&text);
        if (begins_block(line)) {
            return false;
        }
        span_t rest = bare(line);
        span_t keyword = config_line_keyword(&rest);
        if (!config_line_is(keyword, "Include")) {
            continue;
        }
        for (span_t word = config_line_word(&rest); word.len > 0; word = config_line_word(&rest)) {
            if (includes(want, word, site)) {
                return true;
            }
        }
    }
    return false;
}

static err_t put_include(span_t others, const struct person_config *want, const char *newline,
                         struct buf *out) {
    struct buf words CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    for (size_t i = 0; i < want->site_count; i++) {
        char *path CLEANUP(freep) = NULL;
        if (has_other_include(others, want, want->sites[i])) {
            continue;
        }
        if (asprintf(&path, "%s%s" PERSON_CONFIG_FOLDER "/" PERSON_CONFIG_PREFIX "%s",
                     want->same_home ? "" : want->ssh_folder, want->same_home ? "" : "/",
                     want->sites[i]) < 0) {
            path = NULL;
            return FAIL(ERR_MEMORY);
        }
        /* glob(7) would take these for a pattern. */
        TRY(strpbrk(path, "*?[") != NULL ? FAIL(ERR_MALFORMED) : buf_add_byte(&words, ' '));
        TRY(ssh_value_put(&words, path));
    }
    if (words.len == 0) {
        return OK;
    }
    TRY(buf_add_str(out, "Include"));
    TRY(buf_add(out, buf_span(&words)));
    return buf_add_str(out, newline);
}

static err_t put_block(const struct person_config *want, const char *newline, struct buf *out) {
    if (want->block.len == 0) {
        return OK;
    }
    TRY(buf_add_format(out, "%s%s%s", block_begins, want->site, newline));
    for (span_t rest = want->block; rest.len > 0;) {
        TRY(buf_add(out, bare(next_line(&rest))));
        TRY(buf_add_str(out, newline));
    }
    return buf_add_format(out, "Host *%s%s%s%s", newline, block_ends, want->site, newline);
}

err_t person_config_edit(span_t text, const struct person_config *want, struct buf *out) {
    struct buf others CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    size_t first = 0;
    TRY(strip(text, want, &others, &first));
    span_t probe = text;
    span_t line = next_line(&probe);
    const char *newline =
        line.len >= 2 && memcmp(line.data + line.len - 2, "\r\n", 2) == 0 ? "\r\n" : "\n";
    span_t rest = buf_span(&others);
    TRY(buf_add(out, span_of(rest.data, first)));
    TRY(put_include(rest, want, newline, out));
    TRY(put_block(want, newline, out));
    return buf_add(out, span_of(rest.data + first, rest.len - first));
}

err_t person_config_ignored(span_t text, struct buf *out) {
    size_t begin = out->len;
    bool inside = false;
    while (text.len > 0) {
        span_t line = next_line(&text);
        inside = is_mark(line, block_begins, NULL) || (inside && !is_mark(line, block_ends, NULL));
        span_t rest = bare(line);
        span_t keyword = config_line_keyword(&rest);
        if (inside || !config_line_is(keyword, "IgnoreUnknown")) {
            continue;
        }
        span_t patterns = config_line_word(&rest);
        TRY(out->len > begin ? buf_add_byte(out, ',') : OK);
        TRY(buf_add(out, patterns));
    }
    return OK;
}
