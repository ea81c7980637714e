/*
 * The replica: the SQLite file in which gates and hosts keep what the feed told them. One process
 * writes it (`postern-host sync`, a gate); short-lived helpers of sshd, under another uid, read it
 * and never wait for the network.
 *
 * Invariants:
 *  1. A reader sees the whole of one answer of the feed, or of all the pages of a snapshot, or
 * nothing of it (one transaction each), and a writer killed at any moment leaves the answer before:
 * the last known good.
 *  2. The revision in the file is that of the last answer applied; since answers are idempotent, to
 *     apply one again after a crash is harmless.
 *  3. A reader needs no write access, neither to the file nor to its directory, with or without a
 *     living writer, and after one was killed.
 *
 * Journal mode. The rollback journals break invariant 3: a killed writer leaves a hot journal,
 * which a reader must play back before it may read, and a reader that cannot write is then refused,
 * which locks everybody out. So it is WAL, whose readers skip what was not committed. WAL in turn
 * needs its two side files to exist for a reader that cannot create them; SQLITE_FCNTL_PERSIST_WAL
 * keeps them when the writer ends. synchronous=NORMAL: a commit does not wait for the disk. After a
 * power loss the file is whole and at worst some answers old; the feed tells them again.
 *
 * Whoever may read the file may lock it (fcntl), and so hold up its writer. It is therefore
 * readable to the group of sshd's command user only, not to all.
 */
#ifndef POSTERN_FEED_REPLICA_H
#define POSTERN_FEED_REPLICA_H

#include <sys/types.h>

#include "feed/change.h"

struct replica;

enum { REPLICA_SCHEMA = 2 };

/*
 * ERR_NOT_FOUND when there is none, ERR_MALFORMED when it is no replica or is damaged,
 * ERR_UNSUPPORTED for another schema, ERR_PERMISSION, ERR_BUSY, ERR_IO.
 */
err_t replica_open_read(const char *path, struct replica **out);
/*
 * Makes the file when absent: mode 0640, of the given group (-1: leave it as the system does). One
 * of an older schema is made anew in one transaction: its CAs and revocations stay, all the rest
 * must come by a snapshot, and until then nobody gets in. ERR_BUSY when another writer is at it.
 */
err_t replica_open_write(const char *path, gid_t group, struct replica **out);
/* Why a replica could not be opened or read, and what to do: for the log and for people. */
const char *replica_error_text(err_t err);
void replica_close(struct replica *replica);
void replica_closep(struct replica **replica);

/* --- writing: begin, change, commit. A failure leaves only rollback. --- */

err_t replica_begin(struct replica *replica);
err_t replica_commit(struct replica *replica);
void replica_rollback(struct replica *replica); /* harmless when nothing was begun */

/* Which kinds of things an answer touched: bit (1u << enum change_kind). */
typedef unsigned replica_kinds;
enum { REPLICA_KINDS_ALL = (1U << CHANGE_KINDS_COUNT) - (1U << CHANGE_CA) };

/*
 * Applies an answer: its changes, its revision, and `now` as the time of the last contact. What a
 * snapshot lacks is dropped, but for revocations: those stay until they are pruned, because an
 * authority that was restored from a backup has forgotten some. ERR_ORDER for changes whose answer
 * is older than the replica (a snapshot may be).
 *
 * The pages of a snapshot are applied one by one in one transaction, of which readers see nothing
 * until the commit: ERR_ORDER for a page that does not follow the one before, for other changes
 * between pages, and by replica_commit() before the last page.
 */
err_t replica_apply(struct replica *replica, const struct change_answer *answer, int64_t now,
                    replica_kinds *touched);
/* Forgets revocations of certificates that ended REPLICA_PRUNE_SLACK_S before now. */
enum { REPLICA_PRUNE_SLACK_S = 300 };
err_t replica_prune(struct replica *replica, int64_t now, size_t *pruned);

/* Forgets every job: for a job's own machine, once the authority knows it no more. *dropped: there
 * were some. */
err_t replica_drop_jobs(struct replica *replica, bool *dropped);

/*
 * Makes it the replica of that site, which is named by the authority's URL. One that held another
 * site's truth is emptied, revocations and all, and *emptied set: their names mean other people.
 */
err_t replica_claim(struct replica *replica, const char *site, bool *emptied);

/*
 * What the writer knows of its own machine, for the readers, which read no configuration. `name` is
 * the host's in the feed.
 */
struct replica_self {
    char name[LIMIT_HOST_NAME_CHARS + 1];
    bool best_effort; /* past max_age_s: false refuses, true goes on and warns */
    int64_t max_age_s;
};
err_t replica_self_put(struct replica *replica, const struct replica_self *self);

/* --- reading --- */

/* ERR_NOT_FOUND when never put. */
err_t replica_self_get(struct replica *replica, struct replica_self *out);

struct replica_info {
    uint64_t revision; /* 0: never synced */
    int64_t synced_at; /* 0: never */
    size_t accounts, revocations, keys, clusters, hosts, jobs;
};
err_t replica_info(struct replica *replica, struct replica_info *out);
/* The revision alone, without counting. */
err_t replica_revision(struct replica *replica, uint64_t *out);
/*
 * Whether changes alone will not do: it was never synced, or it was pruned by a clock that was
 * ahead of `now`. What that dropped has not ended after all, and only a snapshot brings it back.
 */
err_t replica_needs_snapshot(struct replica *replica, int64_t now, bool *out);

/* --- who may log in here --- */

enum replica_why {
    REPLICA_UNDECIDED, /* zero */
    REPLICA_STALE,
    REPLICA_NO_HOST,
    REPLICA_NO_ACCOUNT,
    REPLICA_DISABLED,
    REPLICA_NO_REACH,
    REPLICA_NO_SERIAL,
    REPLICA_REVOKED,
    REPLICA_UNKNOWN_CA,
    REPLICA_NO_KEY,  /* of registered keys and of sessions, which only view.h judges */
    REPLICA_SOURCE,  /* the same */
    REPLICA_EXPIRED, /* the same */
    REPLICA_NO_JOB,
    REPLICA_NO_CREDENTIAL,
    REPLICA_ALLOWED,
};

struct replica_verdict {
    bool allowed;
    enum replica_why why;
    bool stale; /* allowed although the replica is too old: worth a warning */
};

struct replica_login {
    const char *user;    /* the Unix user to be */
    enum credentials by; /* which of the two asks; 0 is refused */
    int64_t now;
    /* Of a certificate. */
    uint64_t serial;
    const char *ca_fingerprint; /* "SHA256:…" of the CA that signed; NULL when not told */
    /* Of a session that was opened: the replica's age is not judged. */
    bool any_age;
};

/* By whose right one may log in as that user. Borrowed until the callback returns. */
struct replica_entry {
    const char *account;
    const char *job; /* "1234@nancy"; "" where no job is asked for */
    int64_t job_started_at;
    int64_t job_ends_at; /* 0: not known */
    const char *subnets; /* where the account may come from, "10.0.0.0/8,…"; "" : from everywhere */
    const char *cluster; /* of this host; "" of a jump host */
};

/*
 * Both of sshd's commands ask this, so that certificates and keys get the same answer. The
 * certificate's serial and CA are judged first. Then, where `login->user` is who one would be:
 *
 *   jump host                             the account of that name, which reaches a cluster
 *   login host, compute host of a
 *   cluster with open nodes               the account of that name, which reaches the cluster
 *   compute host of any other cluster     the account of each job that runs here, under the
 *                                         account's own name; of a deploy job also as "root"
 *   job host                              the account of the job of type cluster whose host it is,
 *                                         as the user that the job told
 *
 * Everywhere the account must be enabled, it must reach the cluster, and the cluster must take such
 * credentials (on a jump host: one cluster that it reaches). A job counts from its start to its
 * end, on hosts of its own cluster alone; one of another type than cluster whose user is not its
 * account counts nowhere. Newest job first. `each` is called inside of one reading transaction: it
 * may list (replica_keys()), but ask nothing here.
 *
 * verdict->allowed: there was an entry; otherwise verdict->why says why nobody may. A failure to
 * read denies as well, and is returned.
 */
err_t replica_entry_list(struct replica *replica, const struct replica_login *login,
                         struct replica_verdict *verdict,
                         err_t (*each)(void *context, const struct replica_entry *entry),
                         void *context);
/* Whether the account is enabled and reaches this host by such credentials, whatever jobs it has
 * and however old the replica is. */
err_t replica_account_judge(struct replica *replica, const char *account, enum credentials by,
                            struct replica_verdict *verdict);
const char *replica_why_text(enum replica_why why);

err_t replica_is_revoked(struct replica *replica, uint64_t serial, bool *out);

struct replica_key {
    const char *public_key;
    int64_t expires_at;  /* 0: never */
    const char *subnets; /* "10.0.0.0/8,…" as from= takes it; "" : from everywhere */
    bool internal;       /* kept in the account's homes: good from the inside networks alone, which
                            `subnets` are */
};
/* The account's registered keys that have not expired, by id; a person's and internal ones. */
err_t replica_keys(struct replica *replica, const char *account, int64_t now,
                   err_t (*each)(void *context, const struct replica_key *key), void *context);

/* Revoked serials in ascending order; public keys of the CAs of one use by fingerprint. */
err_t replica_revoked_list(struct replica *replica, err_t (*each)(void *context, uint64_t serial),
                           void *context);
err_t replica_ca_list(struct replica *replica, enum ca_use use,
                      err_t (*each)(void *context, const char *public_key), void *context);

/*
 * Where a jump host may lead to: login, compute and job hosts, clusters, and addresses that jobs
 * have of their own, by name and by address, each pair of name and port once. For an account: those
 * of the clusters that it reaches and that take such credentials (`within`: of these alone, as
 * feed/reach.h writes them; NULL: of all), and of what only its running jobs
 * open (compute hosts of clusters whose nodes are not open, job hosts, jobs' addresses) what they
 * open at `now`. For NULL all. Compute hosts come last, first their names and then their addresses:
 * who cannot take all, stops.
 */
err_t replica_destination_list(struct replica *replica, const char *account, enum credentials by,
                               const char *within, int64_t now,
                               err_t (*each)(void *context, const char *name, uint16_t port),
                               void *context);

/* The jobs that run at `now`, newest first: an account's, or all for NULL. */
struct replica_job {
    const char *name; /* "1234@nancy" */
    const char *account, *user;
    enum job_type type;
    int64_t started_at, ends_at; /* ends_at 0: not known */
    const char *address;         /* "" where it has none of its own */
    uint16_t port;
    bool here; /* this host is one of its nodes */
};
err_t replica_job_list(struct replica *replica, const char *account, int64_t now,
                       err_t (*each)(void *context, const struct replica_job *job), void *context);
/* The nodes of a job, "1234@nancy", in its order. */
err_t replica_job_node_list(struct replica *replica, const char *job,
                            err_t (*each)(void *context, const char *node), void *context);
/* The jump hosts, by name; the address is "" where none is told. */
err_t replica_jump_list(struct replica *replica,
                        err_t (*each)(void *context, const char *name, const char *address),
                        void *context);
/*
 * On a login host: the accounts that are enabled and reach its cluster, by name, with the lines of
 * their internal keys; one call for each key, and one with "" for an account without. On another
 * host none.
 */
err_t replica_internal_list(struct replica *replica, int64_t now,
                            err_t (*each)(void *context, const char *account,
                                          const char *public_key),
                            void *context);
/* The role of this host; ERR_NOT_FOUND when the authority does not list it. */
err_t replica_role(struct replica *replica, enum host_role *out);
/* The names of the clusters that the account reaches, in the feed's order. */
err_t replica_cluster_list(struct replica *replica, const char *user,
                           err_t (*each)(void *context, const char *cluster), void *context);

#endif
