/* The view's insides: the things that the feed tells of, each one block of memory, and where they
 * stand. */
#ifndef POSTERN_FEED_VIEW_THINGS_H
#define POSTERN_FEED_VIEW_THINGS_H

#include <string.h>

#include "feed/job_right.h"
#include "feed/view.h"
#include "feed/view_table.h"

enum { VIEW_SSH_PORT = 22 }; /* where none is told */

/* The first member of each is its link in the table of its kind, by the feed's key. */

struct view_account {
    struct view_link by_name;
    int64_t window_until;
    bool enabled;
    uint8_t name_len;
    char text[]; /* the name, NUL, the clusters (reach.h), NUL, the subnets with commas between */
};

struct view_revocation {
    struct view_link by_serial;
    uint64_t serial;
    int64_t expires_at;
};

struct view_key {
    struct view_link by_id, by_blob;
    int64_t expires_at; /* 0: never */
    bool internal;
    const char *id, *account;
    span_t blob;
    const struct inet_subnet *subnets; /* none: from everywhere */
    size_t subnet_count;
    uint8_t bytes[];
};

/* A cluster or a host: somewhere to go. */
struct view_place {
    struct view_link by_name, by_address;
    enum host_role role;          /* HOST_LOGIN for a cluster */
    uint16_t port;                /* never 0 */
    enum node_access node_access; /* of a cluster, as the next */
    unsigned credentials;
    const char *name, *cluster;
    const char *address; /* "" when not told */
    char text[];
};

struct view_job {
    struct view_link by_name, by_account;
    struct job_right right;
    const char *name; /* "1234@nancy" */
    const char *cluster;
    const char *address; /* "" where it has none of its own */
    uint16_t port;       /* of the address; never 0 */
    uint32_t node_count;
    const char *nodes; /* one after another, each with its NUL */
    const uint32_t *node_hashes;
    const char *text; /* all of the above, for comparing */
    size_t text_len;
    uint8_t bytes[];
};

struct view_ca {
    struct view_link by_fingerprint;
    enum ca_use use;
    struct key *key;
    char fingerprint[FINGERPRINT_CHARS];
};

struct view_things {
    struct view_table by_key[CHANGE_KINDS_COUNT];
    /* Registered keys by blob, clusters and hosts by address, jobs by account. */
    struct view_table by_other[CHANGE_KINDS_COUNT];
};

/* What the change says is there, as a thing of its own; ERR_MEMORY. */
err_t view_thing_make(const struct change *change, struct view_link **out);
void view_thing_free(enum change_kind kind, struct view_link *thing); /* takes NULL */

err_t view_things_reserve(struct view_things *things, enum change_kind kind, size_t more);
void view_things_add(struct view_things *things, enum change_kind kind, struct view_link *thing);
void view_things_drop(struct view_things *things, enum change_kind kind, struct view_link *thing);
void view_things_done(struct view_things *things);
/* What the change is about, if it is there. */
struct view_link *view_things_find(const struct view_things *things, const struct change *change);

/*
 * A host's name or address as it is compared: lower case, no dot at the end, an address in its
 * shortest form. False for what cannot be either: empty, too long, or with any other character than
 * the printable ones of ASCII.
 */
bool view_host_text(span_t host, char out[LIMIT_HOST_NAME_CHARS + 1]);

struct view {
    struct view_things things;
    struct view_things fresh; /* what the pages of a snapshot have brought so far */
    uint64_t fresh_revision;
    bool partial; /* there are such, and the last has not come */
    uint64_t revision;
    int64_t synced_at;
    int64_t pruned_at;
    bool complete; /* a snapshot was applied */
};

/* NULL when there is none. */
const struct view_account *view_find_account(const struct view *view, const char *name);
static inline const char *view_account_reach(const struct view_account *account) {
    return account->text + account->name_len + 1;
}
static inline const char *view_account_subnets(const struct view_account *account) {
    const char *reach = view_account_reach(account);
    return reach + strlen(reach) + 1;
}
/* The account's next job after `job`, which is NULL at first; NULL: no more. Whether it runs is not
 * asked. */
const struct view_job *view_next_job(const struct view *view, const char *account,
                                     const struct view_job *job);
/* The node of that index; there is one. */
const char *view_job_node(const struct view_job *job, size_t index);
bool view_job_has_node(const struct view_job *job, const char *node);
/* The host of that very name. */
const struct view_place *view_find_host(const struct view *view, const char *name);
/* The CA of that fingerprint and use. */
const struct view_ca *view_find_ca(const struct view *view, const char *fingerprint,
                                   enum ca_use use);
/* As the feed spells it. */
const struct view_place *view_find_cluster(const struct view *view, const char *name);
bool view_is_revoked(const struct view *view, uint64_t serial);

#endif
