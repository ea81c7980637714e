/*
 * ~/.ssh/config and ~/.ssh/known_hosts as text: what in them is in the way, and the same text
 * without it. Pure; `ssh -G` stays the judge of what a configuration means.
 */
#ifndef POSTERN_CLI_CONFIG_TEXT_H
#define POSTERN_CLI_CONFIG_TEXT_H

#include "base/err.h"
#include "base/span.h"
#include "ssh/key.h"

enum { CONFIG_VALUE_CHARS = 512 };

struct config_look {
    bool has_cr;           /* lines end in CR LF */
    unsigned include_line; /* of the Include of config.d/posterngate-SITE, or of all of config.d */
    unsigned block_line;   /* of the first Host or Match; 0: none */
};

void config_look(span_t text, const char *site, struct config_look *out);

/*
 * The first line on which `keyword` is set for `host`, outside of all blocks or in a Host block
 * that matches; 0: none. value has CONFIG_VALUE_CHARS. Match blocks are passed over, and so are
 * included files.
 */
unsigned config_find(span_t text, const char *host, const char *keyword, char *value);

/* Appends the text without the CRs before LFs. */
err_t text_strip_cr(span_t text, struct buf *out);

/* Appends the text with `from` replaced by `to` in the one line (from 1) of that number. */
err_t text_replace_in_line(span_t text, unsigned line, const char *from, const char *to,
                           struct buf *out);

/* Appends the text without the one line (from 1) of that number. */
err_t text_drop_line(span_t text, unsigned line, struct buf *out);

/*
 * The first line of a known_hosts file that is marked @cert-authority: with one of these keys
 * (`ours`), or with another. 0: none.
 */
unsigned known_hosts_marked(span_t text, const struct key *const *keys, size_t key_count,
                            bool ours);

#endif
