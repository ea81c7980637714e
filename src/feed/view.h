/*
 * The feed's truth in memory, for a program that decides many times a second: a gate. The same
 * answers as replica.h gives, from the same changes; what a gate asks besides: where an account may
 * go, and whose sessions end.
 *
 * Not locked: the owner lets any number read or one write.
 */
#ifndef POSTERN_FEED_VIEW_H
#define POSTERN_FEED_VIEW_H

#include "feed/change.h"
#include "feed/replica.h"
#include "ssh/cert.h"

struct view;

/* Empty: nobody is let in until the first snapshot has been applied; changes before it are
 * ERR_ORDER. */
err_t view_new(struct view **out);
void view_free(struct view *view);
void view_freep(struct view **view);

/*
 * Applies an answer as replica_apply() does: all of it or, with an error, nothing. The pages of a
 * snapshot show with the last; one that begins anew may come in place of any, and after a failure
 * must. ERR_ORDER for a page that does not follow the one before, and for changes between pages.
 * `synced_at`: when the authority was last heard. A change that ends somebody's right
 * (revocation, account disabled or gone, a cluster lost, where it may come from changed, a
 * registered key gone, a CA gone, a host gone, a job ended or moved, a cluster that takes a
 * credential no more or asks for jobs) makes *revoked true: sessions and their channels must be
 * judged again.
 */
err_t view_apply(struct view *view, const struct change_answer *answer, int64_t synced_at,
                 bool *revoked);
/* The authority was heard and had nothing new. */
void view_heard(struct view *view, int64_t synced_at);
uint64_t view_revision(const struct view *view);
int64_t view_synced_at(const struct view *view); /* 0: never */
/* Forgets revocations that ended, as replica_prune() does. */
size_t view_prune(struct view *view, int64_t now);

/* What the site chose for an authority that is away (replica.h: struct replica_self). */
struct view_rules {
    bool best_effort;
    int64_t max_age_s;
};

/* The account, with the same verdicts as replica_entry_list() gives on a jump host, but that the
 * host's own entry and a certificate are not asked for. */
struct replica_verdict view_account(const struct view *view, const struct view_rules *rules,
                                    const char *user, enum credentials by, int64_t now);

/*
 * Whether the enrolment window of the account is open, to somebody who comes from there: a password
 * alone may then register keys, and is good for nothing else. The password is the authority's to
 * check, so the view's age is not asked for here.
 */
bool view_window(const struct view *view, const char *user, const struct inet_address *source,
                 int64_t now);

/* Who wants to come in with a certificate. */
struct view_login {
    const char *user;
    const struct inet_address *source; /* NULL: not known, which an account that may come from some
                                          places only refuses */
    int64_t now;
    bool verify_ca;
    struct cert_memo *memo; /* of the caller's thread; NULL: none */
};

/*
 * A certificate, which may be bound to clusters (model/scope.h): the view's age, then cert_verify()
 * against the user CAs that the feed told, then serial, and the account's verdict. Zero denies.
 * verify_ca false skips the CA's signature alone and never says `allowed`: `plausible` is then what
 * it would have been. To tell a stranger so much tells him who has an account here, as anybody can
 * write a plausible certificate.
 */
struct view_cert_verdict {
    bool allowed;
    bool plausible;
    bool stale;
    enum cert_refusal cert_why;   /* CERT_ALLOWED when it was not the certificate;
                                     CERT_REFUSED_UNCHECKED when its signature alone is open */
    enum replica_why replica_why; /* REPLICA_ALLOWED when it was not the account or serial */
    const char *force_command;    /* borrowed from the certificate */
    bool verify_required;
};
struct view_cert_verdict view_cert(const struct view *view, const struct view_rules *rules,
                                   const struct cert *cert, const struct view_login *login);
/* A line for the user: what is wrong and the next command to type; "" when nothing is. Printable
 * ASCII, whatever the certificate says. */
void view_cert_advice(const struct view_cert_verdict *verdict, const struct cert *cert, int64_t now,
                      char out[256]);

/* A registered key of the account that is a person's, not expired, and good from `source`, as the
 * account is (NULL: not known, which one that is good from some places only refuses). *expires_at
 * (0: never) is set when it is allowed. */
struct replica_verdict view_key(const struct view *view, const struct view_rules *rules,
                                const struct key *key, const char *user,
                                const struct inet_address *source, int64_t now,
                                int64_t *expires_at);

/*
 * May a session that was opened go on? By what opened it: a registered key's blob, or a serial.
 * An authority that is away ends nobody's session: `stale` tells, and is no reason.
 */
struct view_session {
    const char *user;
    const struct inet_address *source; /* as of the login */
    uint64_t serial;
    const char *ca_fingerprint;        /* of the certificate; NULL for a registered key */
    span_t key_blob;                   /* of a registered key */
    int64_t expires_at;                /* of the credential; 0: never */
    bool cut_expired;                  /* the site's choice */
    const struct cluster_list *within; /* those that a certificate is bound to; NULL or none: it is
                                          not */
};
struct replica_verdict view_session(const struct view *view, const struct view_rules *rules,
                                    const struct view_session *session, int64_t now);

/*
 * Where the account may go. `host` is what the client wrote, in any case of letters and with or
 * without a trailing dot, and port must be the entry's:
 *
 *   the name or address of a cluster or login host that it reaches; of a compute host, where the
 *   cluster's nodes are open or a running job of the account is there; of a job host, where its
 *   job is the account's
 *   the address of a running job of the account
 *   "job-1234", "job-1234@nancy": a running job of the account, the newest of that name; leads to
 *   its address, or to its first node, at port 22 or at the port that it leads to
 *   "job-1234.n1", "job-1234@nancy.n1": that node of it, by its name or the name's first labels
 *
 * Nowhere but to clusters that take such credentials. Zero denies.
 */
struct view_asked {
    const char *user;
    enum credentials by;
    span_t host;
    uint16_t port;
    int64_t now;
    const struct cluster_list *within; /* as of struct view_session */
};
struct view_destination {
    bool allowed;
    const char *address; /* what to resolve: the entry's address, or its name without one; borrowed
                            from the view */
    uint16_t port;
    const char *cluster; /* borrowed */
    bool named_itself;   /* the entry's address is a literal address: exactly that one is meant, be
                            it loopback, link-local or whatever */
    bool lacks_job;      /* not allowed, but for want of a running job on that very node */
    int64_t ends_at; /* when the last job that opens it ends, if nobody tells otherwise; 0: never,
                        or it needs none */
};
struct view_destination view_destination(const struct view *view, const struct view_asked *asked);
/*
 * The second judgement, on the address that was resolved: false for loopback, unspecified,
 * link-local (fe80::/10, 169.254.0.0/16 and so the metadata service), multicast and broadcast, the
 * well-known metadata addresses beside them (fd00:ec2::254, 100.100.100.200, 192.0.0.192), IPv4 in
 * IPv6 forms of any of them (mapped, compatible, NAT64 64:ff9b::/96, 6to4 2002::/16), unless the
 * destination named that very address itself.
 */
bool view_address_allowed(const struct view_destination *destination,
                          const struct inet_address *resolved);

/* Whether a credential that is bound to these clusters (NULL or none: to no particular ones) is
 * good for this one. */
bool view_is_within(const struct cluster_list *within, const char *cluster);

/* The clusters that the account reaches, in the feed's order. */
err_t view_cluster_list(const struct view *view, const char *user,
                        err_t (*each)(void *context, const char *cluster), void *context);

/* The account's running jobs, newest first, each with its nodes one after another, NUL after each.
 * To ask for all is slow where there are many: who has enough, ends it by an error. */
err_t view_job_list(const struct view *view, const char *user, int64_t now,
                    err_t (*each)(void *context, const char *job, const char *nodes,
                                  size_t node_count),
                    void *context);

struct view_counts {
    size_t accounts, revocations, keys, clusters, hosts, cas, jobs;
};
struct view_counts view_count(const struct view *view);

#endif
