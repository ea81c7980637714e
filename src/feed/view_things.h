/* The view's insides: the things that the feed tells of, each one block of memory, and where they
 * stand. */
#ifndef POSTERN_FEED_VIEW_THINGS_H
#define POSTERN_FEED_VIEW_THINGS_H

#include "feed/view.h"
#include "feed/view_table.h"

/* The first member of each is its link in the table of its kind, by the feed's key. */

struct view_account {
    struct view_link by_name;
    bool enabled;
    uint8_t name_len;
    char text[]; /* the name, NUL, the clusters (reach.h) */
};

struct view_revocation {
    struct view_link by_serial;
    uint64_t serial;
    int64_t expires_at;
};

struct view_key {
    struct view_link by_id, by_blob;
    int64_t expires_at; /* 0: never */
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

struct view_ca {
    struct view_link by_fingerprint;
    enum ca_use use;
    struct key *key;
    char fingerprint[FINGERPRINT_CHARS];
};

struct view_things {
    struct view_table by_key[CHANGE_KINDS_COUNT];
    /* Registered keys by blob, clusters and hosts by address. */
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
/* The CA of that fingerprint and use. */
const struct view_ca *view_find_ca(const struct view *view, const char *fingerprint,
                                   enum ca_use use);
/* As the feed spells it. */
const struct view_place *view_find_cluster(const struct view *view, const char *name);
bool view_is_revoked(const struct view *view, uint64_t serial);

#endif
