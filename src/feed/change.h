/*
 * What the feed carries: changes of the authority's truth, as gates and hosts need them.
 *
 *   answer   {"revision":"42","snapshot":SNAPSHOT,"changes":[change…],"next":"CURSOR"?}
 *   change   {"revision":"42","kind":"account","key":"alice","state":{…}}      state null: gone
 *
 *   kind        key                     state
 *   ca          SHA256:… of the CA key  {"type":"user"|"host","publicKey":"ssh-ed25519 …"}
 *   account     name                    {"enabled":true,"clusters":["daint"],
 *                                        "ipSubnets":["10.0.0.0/8"]?,"windowUntil":"…Z"?}
 *   revocation  serial                  {"account":"alice","expireTime":"…Z","reason":"…"}
 *   cluster     name                    {"address":"daint.example","port":22,
 *                                        "nodeAccess":"job"|"open"?,
 *                                        "credentials":"certificates"|"keys"|"both"?}
 *   host        name                    {"cluster":"daint","role":"jump"|"login"|"compute"|"job",
 *                                        "address":"…","port":22}
 *   key         id                      {"account":"alice","publicKey":"…","expireTime":"…Z"?,
 *                                        "ipSubnets":["10.0.0.0/8"]?,"use":"person"|"internal"?}
 *   job         1234@daint              {"account":"alice","cluster":"daint","user":"alice",
 *                                        "type":"shared"|"whole"|"deploy"|"cluster",
 *                                        "nodes":["n1"],"startTime":"…Z","endTime":"…Z"?,
 *                                        "address":"…"?,"port":22?}
 *
 * Members with a ? may lack: ipSubnets is then everywhere, windowUntil no window, nodeAccess open,
 * credentials both, use a person's, endTime not known, address none of its own.
 *
 * SNAPSHOT is false for what happened since a revision, and true for everything that is there; who
 * applies that drops what it lacks, but no revocation. A snapshot too long for one answer comes in
 * pages, "begins", "continues"…, "ends": what it lacks is known with the last. All but the last are
 * followed by another, which an authority gives for "next" (opaque, of letters, digits, '-', '_'
 * and '.'). The pages are words and not true, so that a reader that knows no pages refuses them:
 * it would take the first for everything, and miss revocations.
 *
 * Pages are read at different moments, and yet say together what holds at one. The first has the
 * revision R of its moment. The others go through all that is there, in an order that does not
 * change; then comes, in the order of revisions, every change after R up to a revision S, which is
 * the last page's. Take any one thing. If it did not change after R, no page could see another
 * state than the one at R, which is the one at S. If it did, its last change up to S is told after
 * whatever page saw or missed it, and has its whole state, or that it is gone. So who applies all
 * the pages, and shows nothing of them before the last, has the state at S and no other.
 *
 * A change may also be an order, which is no thing: no snapshot tells it for what there is, though
 * its later pages may, as what happened meanwhile.
 *
 *   cut         id of a session         {"host":"ela"}: the gates of that host end it
 *
 * An older reader meets newer writers: changes of an unknown kind and members of an unknown name
 * are skipped. A writer whose new member restricts lists its name in the state's "critical" array;
 * a reader that does not know it refuses the answer, as it would have granted too much. So are an
 * account's ipSubnets, nodeAccess "job", credentials other than "both", and use "internal". The
 * values of "type" and "role" are always critical, and those of the members just named.
 */
#ifndef POSTERN_FEED_CHANGE_H
#define POSTERN_FEED_CHANGE_H

#include "model/entity.h"

enum change_kind {
    CHANGE_UNKNOWN, /* zero; a decoded answer never holds one */
    CHANGE_CA,
    CHANGE_ACCOUNT,
    CHANGE_REVOCATION,
    CHANGE_CLUSTER,
    CHANGE_HOST,
    CHANGE_KEY,
    CHANGE_JOB,
};
enum { CHANGE_KINDS_COUNT = CHANGE_JOB + 1 };
#define CHANGE_CUT "cut"

enum ca_use { CA_USE_USER = 1, CA_USE_HOST = 2 };

struct change_list {
    const char *const *items;
    size_t count;
};

/* All text is borrowed: from the answer where it was decoded, from the caller where it is encoded.
 */
struct change {
    uint64_t revision;
    enum change_kind kind;
    const char *key;
    bool gone; /* then none of the following is set */
    union {
        struct {
            enum ca_use use;
            const char *public_key; /* a line without comment */
        } ca;
        struct {
            bool enabled;
            struct change_list clusters; /* that its projects reach */
            struct change_list subnets;  /* where it may come from; empty: everywhere */
            int64_t window_until;        /* its enrolment window; 0: closed */
        } account;
        struct {
            uint64_t serial; /* decoded from the key; set for gone ones as well; never 0 */
            const char *account;
            int64_t expires_at;
            const char *reason;
        } revocation;
        struct {
            const char *address; /* "" when not told */
            uint16_t port;       /* 0 when not told */
            enum node_access node_access;
            unsigned credentials; /* enum credentials; never 0 */
        } cluster;
        struct {
            const char *cluster; /* "" for a jump host */
            enum host_role role;
            const char *address;
            uint16_t port;
        } host;
        struct {
            const char *account;
            const char *public_key;
            int64_t expires_at; /* 0: never */
            struct change_list subnets;
            enum key_use use;
        } key_of; /* a registered key */
        struct {
            const char *account;
            const char *cluster; /* what follows the '@' of the key */
            const char *user;    /* the Unix user on its nodes; never "root" */
            enum job_type type;
            struct change_list nodes; /* names of hosts, the first first */
            int64_t started_at;
            int64_t ends_at;     /* 0: not known; one that is not after the start never runs */
            const char *address; /* "" where it has none of its own */
            uint16_t port;       /* 0 when not told */
        } job;
    };
};

/* Appends "1234@daint", the key of a job; the same name stands in certificates and logs. */
err_t change_job_key(const char *job, const char *cluster, struct buf *out);

/* "ca", "account", …; CHANGE_UNKNOWN gives "". */
const char *change_kind_name(enum change_kind kind);

struct change_answer {
    uint64_t revision; /* the replica's once all is applied */
    bool snapshot;
    bool continues;         /* of a snapshot: a page that is not its first */
    bool more;              /* of a snapshot: a page that is not its last */
    const char *next;       /* what brings the next page; "" where that is not asked for */
    struct change *changes; /* revisions do not decrease and do not pass the answer's */
    size_t count;
    const char **cuts; /* sessions at this host's gates that are to end now, by id */
    size_t cut_count;
    void *owner; /* what the text is borrowed from */
};

/*
 * Refuses, naming the field ("changes[3].state.publicKey"), whatever is missing, of a wrong type,
 * not a valid name, key, time, subnet or number, doubled or out of order, and an answer beyond
 * LIMIT_HTTP_ANSWER_BYTES or LIMIT_FEED_CHANGES_COUNT, a page beyond LIMIT_FEED_PAGE_CHANGES_COUNT.
 * Things are gone in no snapshot, but for what its later pages tell of the time since its first.
 * *out is all valid or not there at all.
 */
err_t change_answer_decode(span_t json, struct change_answer **out, struct fault *fault);
void change_answer_free(struct change_answer *answer);
void change_answer_freep(struct change_answer **answer);

/* Appends the state's JSON, which is what the store's event keeps; nothing for a gone one. */
err_t change_encode_state(const struct change *change, struct buf *out);

/* An answer is begun, filled and ended. `state` is JSON from change_encode_state(); "" says gone.
 * ERR_MALFORMED for text that is not UTF-8. */
err_t change_answer_begin(struct buf *out, uint64_t revision, bool snapshot);
err_t change_answer_add(struct buf *out, uint64_t revision, const char *kind, const char *key,
                        const char *state);
err_t change_answer_add_change(struct buf *out, const struct change *change);
err_t change_answer_end(struct buf *out);

/*
 * The same for a page of a snapshot, or a whole one: what is only known at its end (all but the
 * changes) is told then, and taken from `page`. It is full when it has either of
 * LIMIT_FEED_PAGE_CHANGES_COUNT and LIMIT_FEED_PAGE_BYTES; only the last change may pass the bytes.
 */
err_t change_page_begin(struct buf *out);
bool change_page_is_full(const struct buf *page, size_t count);
err_t change_page_end(struct buf *out, const struct change_answer *page);

#endif
