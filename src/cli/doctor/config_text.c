#include "cli/doctor/config_text.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cli/config/config_line.h"

static bool pattern_matches(span_t pattern, const char *host) {
    char text[CONFIG_VALUE_CHARS];
    if (pattern.len >= sizeof text) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)pattern.len, (const char *)pattern.data);
    return fnmatch(text, host, FNM_CASEFOLD | FNM_NOESCAPE) == 0;
}

/* A negated pattern that matches ends the matter (ssh_config(5), PATTERNS). */
static bool host_matches(span_t patterns, const char *host) {
    bool matches = false;
    for (;;) {
        span_t pattern = config_line_word(&patterns);
        if (pattern.len == 0) {
            return matches;
        }
        bool negated = pattern.data[0] == '!';
        if (negated) {
            pattern = span_of(pattern.data + 1, pattern.len - 1);
        }
        if (pattern_matches(pattern, host)) {
            if (negated) {
                return false;
            }
            matches = true;
        }
    }
}

static bool includes_site(span_t line, const char *site) {
    char path[CONFIG_VALUE_CHARS], name[CONFIG_VALUE_CHARS];
    (void)snprintf(name, sizeof name, "posterngate-%s", site);
    for (span_t word = config_line_word(&line); word.len > 0; word = config_line_word(&line)) {
        (void)snprintf(path, sizeof path, "%.*s", (int)word.len, (const char *)word.data);
        const char *folder = strstr(path, "config.d/");
        if (folder != NULL && pattern_matches(span_str(strrchr(path, '/') + 1), name)) {
            return true;
        }
    }
    return false;
}

void config_look(span_t text, const char *site, struct config_look *out) {
    struct config_look look = {.has_cr = span_find_str(text, "\r\n") != NULL};
    for (unsigned number = 1; text.len > 0; number++) {
        span_t line = span_until(&text, '\n');
        span_t keyword = config_line_keyword(&line);
        if (look.block_line == 0 &&
            (config_line_is(keyword, "Host") || config_line_is(keyword, "Match"))) {
            look.block_line = number;
        }
        if (look.include_line == 0 && config_line_is(keyword, "Include") &&
            includes_site(line, site)) {
            look.include_line = number;
        }
    }
    *out = look;
}

unsigned config_find(span_t text, const char *host, const char *keyword, char *value) {
    bool applies = true;
    for (unsigned number = 1; text.len > 0; number++) {
        span_t line = span_until(&text, '\n');
        span_t word = config_line_keyword(&line);
        if (config_line_is(word, "Host")) {
            applies = host_matches(line, host);
        } else if (config_line_is(word, "Match")) {
            applies = false;
        } else if (applies && config_line_is(word, keyword)) {
            span_t found = config_line_word(&line);
            (void)snprintf(value, CONFIG_VALUE_CHARS, "%.*s", (int)found.len,
                           (const char *)found.data);
            return number;
        }
    }
    return 0;
}

/* Also of several: what is left would be one more line that ends in CR LF. */
static bool is_of_line_end(span_t text, size_t at) {
    while (at < text.len && text.data[at] == '\r') {
        at++;
    }
    return at < text.len && text.data[at] == '\n';
}

err_t text_strip_cr(span_t text, struct buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '\r' || !is_of_line_end(text, i)) {
            TRY(buf_add_byte(out, text.data[i]));
        }
    }
    return OK;
}

/* The line of that number with its newline; what stands before and after it. */
static bool split_at(span_t text, unsigned line, span_t *before, span_t *it, span_t *after) {
    span_t rest = text;
    for (unsigned number = 1; rest.len > 0; number++) {
        const uint8_t *start = rest.data;
        (void)span_until(&rest, '\n');
        const uint8_t *end = text.data + text.len - rest.len;
        if (number == line) {
            *before = span_of(text.data, (size_t)(start - text.data));
            *it = span_of(start, (size_t)(end - start));
            *after = rest;
            return true;
        }
    }
    return false;
}

err_t text_replace_in_line(span_t text, unsigned line, const char *from, const char *to,
                           struct buf *out) {
    span_t before, it, after;
    if (!split_at(text, line, &before, &it, &after)) {
        return FAIL(ERR_NOT_FOUND);
    }
    const uint8_t *at = span_find_str(it, from);
    if (at == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    const uint8_t *end = at + strlen(from);
    TRY(buf_add(out, before));
    TRY(buf_add(out, span_of(it.data, (size_t)(at - it.data))));
    TRY(buf_add_str(out, to));
    TRY(buf_add(out, span_of(end, (size_t)(it.data + it.len - end))));
    return buf_add(out, after);
}

err_t text_drop_line(span_t text, unsigned line, struct buf *out) {
    span_t before, it, after;
    if (!split_at(text, line, &before, &it, &after)) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(buf_add(out, before));
    return buf_add(out, after);
}

/* sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: marker, hostnames, key. */
static bool is_of(span_t rest, const struct key *const *keys, size_t key_count) {
    (void)config_line_word(&rest);
    struct key *key CLEANUP(key_freep) = NULL;
    if (failed(key_parse_line(rest, &key, NULL))) {
        return false;
    }
    for (size_t i = 0; i < key_count; i++) {
        if (key_equal(keys[i], key)) {
            return true;
        }
    }
    return false;
}

unsigned known_hosts_marked(span_t text, const struct key *const *keys, size_t key_count,
                            bool ours) {
    for (unsigned number = 1; text.len > 0; number++) {
        span_t line = span_until(&text, '\n');
        span_t marker = config_line_word(&line);
        if (span_equal_str(marker, "@cert-authority") && is_of(line, keys, key_count) == ours) {
            return number;
        }
    }
    return 0;
}
