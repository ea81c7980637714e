/* Who may have which certificate: pure decisions over the model. */
#ifndef POSTERN_MODEL_POLICY_H
#define POSTERN_MODEL_POLICY_H

#include "model/decision.h"
#include "model/entity.h"
#include "ssh/cert.h"
#include "ssh/key.h"

enum { POLICY_DURATIONS_COUNT = 16, POLICY_EXTENSIONS_COUNT = 16 };

/* A site's rules, from its configuration. */
struct policy {
    int64_t durations[POLICY_DURATIONS_COUNT]; /* those that may be asked for; none: any up to
                                                  duration_max_s */
    size_t duration_count;
    int64_t duration_default_s;
    int64_t duration_max_s;
    int64_t backdate_s; /* valid_after lies this far before now, for clocks that disagree */
    uint32_t quota_per_day;
    uint32_t key_types; /* bit (1u << enum key_type) for each allowed type */
    unsigned rsa_bits_min;
    char extensions[POLICY_EXTENSIONS_COUNT]
                   [LIMIT_OPTION_NAME_CHARS + 1]; /* put into user certificates */
    size_t extension_count;
    bool force_command_allowed;
    bool encrypted_keys_required; /* checked by the client, told in the site document */
    struct subnet_list subnets; /* certificates are good from these alone; empty: from everywhere */
    /* The inside: internal keys and certificates for jobs are good from these alone. Empty: there
     * are no internal keys. */
    struct subnet_list internal_subnets;
    int64_t host_duration_s;
    int64_t enrolment_window_s;  /* how long a password alone may register keys, at a gate; 0: no
                                    account ever gets such a window */
    bool managers_name_accounts; /* invite people and make service accounts by any free name */
    bool further_keys;           /* whoever is let in at a gate otherwise may register more there */
    bool registered_keys_allowed;
    int64_t registered_key_default_s; /* of a key for which no time was asked; 0: until removed */
    int64_t registered_key_max_s;     /* 0: any */
    bool grants_allowed;              /* people may approve what machines do unattended */
    int64_t grant_max_s;              /* until when, at most */
};

/* The defaults of a fresh installation: 1d and 1min, five a day, every type but RSA below 3072
 * bits, the usual extensions. */
void policy_default(struct policy *policy);

/* What the credential that asks was bound to when it was made. Zero: to nothing. */
struct bounds {
    const char *what; /* "API key", "grant"; for people to read */
    struct cluster_list clusters;
    struct subnet_list subnets;
    int64_t duration_max_s;
    int64_t expires_at; /* of the credential, which none of its certificates outlasts; it has not
                           come yet */
};

struct sign_request {
    const struct key *key;
    int64_t duration_s;                  /* 0: the default */
    const struct subnet_list *subnets;   /* asked for; may be NULL */
    const char *force_command;           /* may be NULL */
    const struct cluster_list *clusters; /* asked for; may be NULL */
    /* A certificate for a job of one's own alone: as any other, but that it ends with the job, may
     * be asked for any time up to duration_max_s (which is its default), and is not counted. `job`
     * is the one of that name that runs, or NULL, and `clusters` its cluster. */
    bool for_job;
    const struct job *job;
};

/* What the store knows about the account at this moment. */
struct sign_facts {
    const struct account *account;
    size_t project_count;        /* it is a member of; for a service account its project counts */
    uint32_t issued_last_day;    /* certificates that count, in the 24 hours before now */
    bool key_has_valid;          /* a certificate of this very key is valid and not revoked */
    const struct bounds *bounds; /* of the credential it signed in with; may be NULL */
    const struct inet_address *source; /* where the request comes from */
    /* Behind a jump host sshd sees that one's address: where the account chose from where it may
     * come in, these are good as well. May be NULL. */
    const struct subnet_list *jump_hosts;
    int64_t now;
};

/* What may be signed; meaningful only when the decision allows. Restrictions are those asked for
 * and those imposed, both. */
struct sign_grant {
    int64_t valid_after;
    int64_t valid_before;
    bool counts;
    struct subnet_list subnets;   /* empty: no source-address */
    struct cluster_list clusters; /* that it is bound to (model/scope.h); empty: to none */
    const char *force_command;    /* borrowed from the request */
};

struct decision policy_sign(const struct policy *policy, const struct sign_request *request,
                            const struct sign_facts *facts, struct sign_grant *grant);

/* Whether a key may be used at all: the part of policy_sign() that needs no account. */
struct decision policy_key(const struct policy *policy, const struct key *key);

/* Whether certificates of this length may be asked for at all. */
struct decision policy_duration(const struct policy *policy, int64_t duration_s);

/*
 * Whether a service account may have certificates of that account: of an enabled person who is a
 * member of its project, and only where it was allowed to. `account` may be zero: there is none.
 */
struct decision policy_impersonate(const struct account *service, const struct account *account,
                                   bool is_member);

/* A key that is to be trusted by itself. At most one of the two times is asked for; both 0: the
 * default. */
struct register_request {
    const struct key *key;
    int64_t expires_at;
    int64_t duration_s;
};
/* *expires_at, 0 for never, is set only when the decision allows. */
struct decision policy_register(const struct policy *policy, const struct register_request *request,
                                int64_t now, int64_t *expires_at);

/* "ed25519", "ecdsa", "rsa", "sk-ed25519", "sk-ecdsa" → bits of policy.key_types; ERR_NOT_FOUND. */
err_t policy_key_type_parse(span_t name, uint32_t *bits);

/*
 * A certificate for a job alone, which no person asks for: while the job runs and for
 * duration_max_s at most, from inside (where the site has none, from
 * where the account chose to come in), and not counted. `job` is the one of that name that runs, or
 * NULL; that there is none and that it is another's look the same.
 */
struct decision policy_sign_job(const struct policy *policy, const struct key *key,
                                const struct account *account, const struct job *job, int64_t now,
                                struct sign_grant *grant);

/*
 * Fills a certificate with its principal, the account's name or a job's, or, where it is bound to
 * clusters, with one for each of them; and with key id, validity and options. The caller sets the
 * serial and nonce. The extensions are those of the policy.
 */
err_t policy_fill_cert(const struct policy *policy, const struct sign_grant *grant,
                       const char *principal, const char *key_id, const struct key *key,
                       struct cert *cert);

/*
 * Serials: unique without coordination between replicas and increasing in time: 41 bits of
 * milliseconds since 2020, 10 bits of replica, 12 bits of counter; never 0. State of one replica;
 * not thread-safe.
 */
struct serial_source {
    uint16_t replica; /* 0–1023 */
    uint64_t last;
};
/* Never repeats and never goes back, also when the clock does. */
uint64_t serial_next(struct serial_source *source, int64_t now_ms);

#endif
