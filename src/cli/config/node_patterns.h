/* Patterns that stand for a site's compute hosts in an ssh configuration. Pure. */
#ifndef POSTERN_CLI_NODE_PATTERNS_H
#define POSTERN_CLI_NODE_PATTERNS_H

#include "cli/reach.h"

struct node_pattern {
    char *text;                    /* "nid??????", or the name of one host */
    bool exact;                    /* of one host alone, which differs from those like it */
    const char *via;               /* the hop before it; "" when it is dialled as it is */
    const struct reach_host *host; /* one that it stands for */
};

struct node_patterns {
    struct node_pattern *items; /* each once; exact ones first, then by hop, port and text */
    size_t count;
};
void node_patterns_done(struct node_patterns *patterns);

/* The hop before a compute host: its cluster (through_login), else `jump`, else "". */
const char *node_via(const struct reach *reach, const struct reach_host *host, const char *jump,
                     bool through_login);

/*
 * Every digit becomes a '?', unless that left less than three characters: a '?' stands for any
 * character, and the pattern would catch other hosts. Of hosts that a pattern would stand for,
 * those with another port or hop than the first are exact, and so is one that no hop finds by its
 * name.
 */
err_t node_patterns_make(const struct reach *reach, const char *jump, bool through_login,
                         struct node_patterns *out);

#endif
