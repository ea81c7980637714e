/*
 * Where an account may go. What the client wrote is looked up and never resolved: the feed's entry
 * says what to resolve, so that no spelling of an address leads where no entry leads.
 */
#include <string.h>

#include "feed/reach.h"
#include "feed/view_things.h"

struct search {
    const struct view *view;
    const struct view_asked *asked;
    const struct view_account *account;
    char host[LIMIT_HOST_NAME_CHARS + 1]; /* as it is compared */
    bool lacks_job;
    int64_t ends_at; /* of the jobs that open the place that was looked at last; 0: never */
};

static const struct view_place *place_of(const struct view_link *link, bool by_address) {
    size_t offset = by_address ? offsetof(struct view_place, by_address) : 0;
    return (const void *)((const uint8_t *)link - offset);
}

bool view_is_within(const struct cluster_list *within, const char *cluster) {
    return within == NULL || within->count == 0 || cluster_list_has(within, cluster);
}

/* The cluster, if the account reaches it by what asks and it takes that. */
static const struct view_place *open_cluster(const struct search *search, const char *name) {
    bool reached = reach_has(view_account_reach(search->account), name) &&
                   view_is_within(search->asked->within, name);
    const struct view_place *cluster = reached ? view_find_cluster(search->view, name) : NULL;
    return cluster != NULL && (cluster->credentials & search->asked->by) != 0 ? cluster : NULL;
}

/* --- by a job --- */

/* Where a job of its type lets in. */
static enum host_role role_of(const struct view_job *job) {
    return job->right.type == JOB_CLUSTER ? HOST_JOB : HOST_COMPUTE;
}

static bool is_good(const struct search *search, const struct view_job *job) {
    return job_right_runs(&job->right, search->asked->now) &&
           job_right_opens(&job->right, role_of(job)) && open_cluster(search, job->cluster) != NULL;
}

static const struct view_job *next_job(const struct search *search, const struct view_job *job) {
    do {
        job = view_next_job(search->view, search->account->text, job);
    } while (job != NULL && !is_good(search, job));
    return job;
}

static int64_t later_end(int64_t a, int64_t b) { return a == 0 || b == 0 ? 0 : a > b ? a : b; }

/* The end of the last of them is noted. */
static bool has_job_at(struct search *search, const struct view_place *place) {
    bool has = false;
    for (const struct view_job *job = NULL; (job = next_job(search, job)) != NULL;) {
        if (role_of(job) == place->role && strcmp(job->cluster, place->cluster) == 0 &&
            view_job_has_node(job, place->name)) {
            search->ends_at =
                has ? later_end(search->ends_at, job->right.ends_at) : job->right.ends_at;
            has = true;
        }
    }
    return has;
}

/* --- places --- */

static bool is_open(struct search *search, const struct view_place *place) {
    const struct view_place *cluster = open_cluster(search, place->cluster);
    search->ends_at = 0;
    if (cluster == NULL || place->role == HOST_JUMP) {
        return false;
    }
    bool gated = place->role == HOST_JOB ||
                 (place->role == HOST_COMPUTE && cluster->node_access != NODE_ACCESS_OPEN);
    if (!gated || has_job_at(search, place)) {
        return true;
    }
    search->lacks_job |= place->role == HOST_COMPUTE;
    return false;
}

/* The place of this kind, by name or by address, that is open to the account at that port. */
static const struct view_place *find_place(struct search *search, enum change_kind kind,
                                           bool by_address) {
    const struct view_things *things = &search->view->things;
    const struct view_table *table = by_address ? &things->by_other[kind] : &things->by_key[kind];
    for (const struct view_link *link = view_table_first(table, view_hash(span_str(search->host)));
         link != NULL; link = view_table_next(link)) {
        const struct view_place *place = place_of(link, by_address);
        char text[LIMIT_HOST_NAME_CHARS + 1];
        if (place->port == search->asked->port &&
            view_host_text(span_str(by_address ? place->address : place->name), text) &&
            strcmp(text, search->host) == 0 && is_open(search, place)) {
            return place;
        }
    }
    return NULL;
}

static struct view_destination lead_to(const char *address, uint16_t port, const char *cluster) {
    struct inet_address literal;
    return (struct view_destination){
        .allowed = true,
        .address = address,
        .port = port,
        .cluster = cluster,
        .named_itself = !failed(inet_address_parse(span_str(address), &literal)),
    };
}

static struct view_destination lead_to_place(const struct view_place *place) {
    return lead_to(place->address[0] != '\0' ? place->address : place->name, place->port,
                   place->cluster);
}

/* --- jobs by name --- */

static char lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

/* What follows `name` in the text, which is in lower case; NULL when it does not begin so. */
static const char *after(const char *text, const char *name, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || text[i] != lower(name[i])) {
            return NULL;
        }
    }
    return text + len;
}

/* What follows "1234" or "1234@nancy" in the text: "" or ".n1"; NULL when it is of another job. */
static const char *after_job(const char *text, const struct view_job *job) {
    size_t len = strlen(job->name);
    const char *rest = after(text, job->name, len);
    if (rest == NULL || (*rest != '\0' && *rest != '.')) {
        rest = after(text, job->name, len - strlen(job->cluster) - 1);
    }
    return rest != NULL && (*rest == '\0' || *rest == '.') ? rest : NULL;
}

/* The node that the user calls so, by its name or the first labels of it; NULL when none is. */
static const char *find_node(const struct view_job *job, const char *called) {
    size_t len = strlen(called);
    const char *node = job->nodes;
    for (size_t i = 0; len > 0 && i < job->node_count; i++, node += strlen(node) + 1) {
        if (strncmp(node, called, len) == 0 && (node[len] == '\0' || node[len] == '.')) {
            return node;
        }
    }
    return NULL;
}

/* The first node for "", or what follows the dot. */
static const char *node_meant(const struct view_job *job, const char *rest) {
    if (*rest == '.') {
        return find_node(job, rest + 1);
    }
    return job->node_count > 0 ? job->nodes : NULL;
}

/* A node that is no host of the feed leads nowhere: a scheduler's word opens no other names. */
static struct view_destination lead_to_job(const struct search *search, const struct view_job *job,
                                           const char *rest) {
    struct view_destination found = {0};
    if (*rest == '\0' && job->address[0] != '\0') {
        found = lead_to(job->address, job->port, job->cluster);
    } else {
        const char *node = node_meant(job, rest);
        const struct view_place *place = node == NULL ? NULL : view_find_host(search->view, node);
        if (place != NULL && place->role == role_of(job) &&
            strcmp(place->cluster, job->cluster) == 0) {
            found = lead_to_place(place);
        }
    }
    found.ends_at = job->right.ends_at;
    bool at_port = search->asked->port == VIEW_SSH_PORT || search->asked->port == found.port;
    return at_port ? found : (struct view_destination){0};
}

/* Names of jobs may have dots: the longest name that fits is meant, and of those the newest. */
static struct view_destination find_named_job(const struct search *search) {
    static const char prefix[] = "job-";
    const char *text = after(search->host, prefix, sizeof prefix - 1);
    const struct view_job *best = NULL;
    const char *best_rest = NULL;
    if (text == NULL) {
        return (struct view_destination){0};
    }
    for (const struct view_job *job = NULL; (job = next_job(search, job)) != NULL;) {
        const char *rest = after_job(text, job);
        if (rest != NULL &&
            (best == NULL || rest > best_rest ||
             (rest == best_rest && job->right.started_at > best->right.started_at))) {
            best = job;
            best_rest = rest;
        }
    }
    return best == NULL ? (struct view_destination){0} : lead_to_job(search, best, best_rest);
}

static struct view_destination find_job_address(const struct search *search) {
    for (const struct view_job *job = NULL; (job = next_job(search, job)) != NULL;) {
        char text[LIMIT_HOST_NAME_CHARS + 1];
        if (job->port == search->asked->port && view_host_text(span_str(job->address), text) &&
            strcmp(text, search->host) == 0) {
            struct view_destination found = lead_to(job->address, job->port, job->cluster);
            found.ends_at = job->right.ends_at;
            return found;
        }
    }
    return (struct view_destination){0};
}

/* By name before by address, a host before a cluster of the same name, and jobs after both. */
struct view_destination view_destination(const struct view *view, const struct view_asked *asked) {
    struct search search = {
        .view = view, .asked = asked, .account = view_find_account(view, asked->user)};
    if (search.account == NULL || !search.account->enabled ||
        !view_host_text(asked->host, search.host)) {
        return (struct view_destination){0};
    }
    for (int by_address = 0; by_address < 2; by_address++) {
        const struct view_place *place = find_place(&search, CHANGE_HOST, by_address != 0);
        if (place == NULL) {
            place = find_place(&search, CHANGE_CLUSTER, by_address != 0);
        }
        if (place != NULL) {
            struct view_destination found = lead_to_place(place);
            found.ends_at = search.ends_at;
            return found;
        }
    }
    struct view_destination job = find_named_job(&search);
    job = job.allowed ? job : find_job_address(&search);
    job.lacks_job = !job.allowed && search.lacks_job;
    return job;
}

/* --- the address that was resolved --- */

static bool is_in(const struct inet_address *address, const char *const *subnets, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct inet_subnet subnet;
        INVARIANT(!failed(inet_subnet_parse(span_str(subnets[i]), &subnet)));
        if (inet_subnet_contains(&subnet, address)) {
            return true;
        }
    }
    return false;
}

static bool is_forbidden(const struct inet_address *address) {
    static const char *const subnets[] = {
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16", /* this machine, and the link's */
        "224.0.0.0/4",
        "255.255.255.255", /* many machines */
        "100.100.100.200",
        "192.0.0.192", /* metadata of two clouds */
        "::",
        "::1",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::254", /* metadata of a third */
    };
    return is_in(address, subnets, COUNT_OF(subnets));
}

/* Where the IPv4 address lies in the IPv6 addresses of these prefixes that carry one. */
static const struct {
    const char *prefix;
    size_t at;
} carriers[] = {
    {"::/96", 12},           /* compatible (RFC 4291 2.5.5.1) */
    {"::ffff:0:0:0/96", 12}, /* translated (RFC 2765) */
    {"64:ff9b::/96", 12},    /* NAT64 (RFC 6052) */
    {"64:ff9b:1::/48", 12},  /* the same, of a site's own (RFC 8215) */
    {"2002::/16", 2},        /* 6to4 (RFC 3056) */
};

/* Also of an address whose carrier was not unmapped yet. */
static bool carries_forbidden(const struct inet_address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct inet_address inner = {.family_bits = 32};
    if (address->family_bits != 128) {
        return false;
    }
    if (memcmp(address->bytes, mapped, sizeof mapped) == 0) {
        memcpy(inner.bytes, address->bytes + sizeof mapped, 4);
        return is_forbidden(&inner);
    }
    for (size_t i = 0; i < COUNT_OF(carriers); i++) {
        if (is_in(address, &carriers[i].prefix, 1)) {
            memcpy(inner.bytes, address->bytes + carriers[i].at, 4);
            return is_forbidden(&inner);
        }
    }
    return false;
}

static bool is_same(const struct inet_address *a, const struct inet_address *b) {
    return a->family_bits == b->family_bits && memcmp(a->bytes, b->bytes, a->family_bits / 8U) == 0;
}

bool view_address_allowed(const struct view_destination *destination,
                          const struct inet_address *resolved) {
    struct inet_address literal;
    if (!destination->allowed || (resolved->family_bits != 32 && resolved->family_bits != 128)) {
        return false;
    }
    if (destination->named_itself) {
        return !failed(inet_address_parse(span_str(destination->address), &literal)) &&
               is_same(&literal, resolved);
    }
    return !is_forbidden(resolved) && !carries_forbidden(resolved);
}
