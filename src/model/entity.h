/*
 * What the system talks about. Plain values with bounded text, so that a store copies them and
 * nobody owns parts of them.
 *
 * Names are the identity that people and sshd use; ids are the store's and never leave the
 * authority. Times are seconds since 1970, UTC; 0 means "never" or "not set".
 */
#ifndef POSTERN_MODEL_ENTITY_H
#define POSTERN_MODEL_ENTITY_H

#include <stdint.h>

#include "base/err.h"
#include "base/inet.h"
#include "base/limits.h"
#include "base/span.h"

typedef uint64_t entity_id; /* 0: none */

enum { HASH_BYTES = 32, HASH_CHARS = 2 * HASH_BYTES + 1 };

struct subnet_list {
    struct inet_subnet subnets[LIMIT_SUBNETS_COUNT];
    size_t count;
};

/* Clusters by name, each once: those that a credential is bound to. Empty: all that its account
 * reaches. */
struct cluster_list {
    char names[LIMIT_BOUND_CLUSTERS_COUNT][LIMIT_CLUSTER_NAME_CHARS + 1];
    size_t count;
};

enum account_kind { ACCOUNT_PERSON = 1, ACCOUNT_SERVICE = 2 };

struct account {
    entity_id id;
    char name[LIMIT_ACCOUNT_NAME_CHARS + 1]; /* also the Unix user name and the principal */
    enum account_kind kind;
    char display_name[LIMIT_DISPLAY_NAME_CHARS + 1];
    char email[LIMIT_DISPLAY_NAME_CHARS + 1];
    bool administrator;
    bool disabled;
    entity_id project_id;       /* of a service account: the project that owns it */
    uint32_t quota_per_day;     /* 0: the site's */
    struct subnet_list subnets; /* where it may come from, by its own choice; empty: everywhere */
    int64_t created_at;
    /* Of a service account: it may ask for certificates of the people of its project. */
    bool impersonates;
};

/* How an account proves who it is to the embedded issuer. */
struct login {
    entity_id account_id;
    char password_hash[128]; /* libsodium's encoded argon2id; "" until set */
    uint8_t totp_secret[32];
    uint8_t totp_secret_bytes; /* 0: not enrolled */
    int64_t totp_last_step;    /* a step is never accepted twice */
    char invitation_hash[HASH_CHARS];
    int64_t invitation_expires_at;
    /* What was prepared with the invitation, and becomes the login when a code confirms it. */
    char pending_password_hash[128];
    char pending_totp_hex[2 * 32 + 1];
    uint32_t failures; /* in a row */
    int64_t locked_until;
    /* The enrolment window: until then the password alone lets in at a gate, to register keys and
     * for nothing else. 0: closed. */
    int64_t window_until;
};

/* base64url of n bytes, ended by NUL. */
#define BASE64URL_CHARS(n) (((n)*4 + 2) / 3 + 1)

/* A passkey or a security key (identity/webauthn.h). */
struct passkey {
    entity_id id;
    entity_id account_id;
    char credential[BASE64URL_CHARS(LIMIT_PASSKEY_ID_BYTES)];  /* its own id, base64url */
    char public_key[BASE64URL_CHARS(LIMIT_PASSKEY_KEY_BYTES)]; /* COSE_Key, base64url */
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];                   /* the person's */
    uint32_t counter;   /* of signatures; it may never go back */
    bool may_be_copied; /* a service keeps it for all of a person's devices */
    int64_t created_at;
    int64_t last_used_at;
    int64_t locked_at; /* its counter went back: there may be two of it */
};

/* A code in place of the second factor; it is there until it is used. */
struct recovery_code {
    entity_id account_id;
    char hash[HASH_CHARS];
};

struct project {
    entity_id id;
    char name[LIMIT_PROJECT_NAME_CHARS + 1];
    char display_name[LIMIT_DISPLAY_NAME_CHARS + 1];
    int64_t created_at;
};

enum member_role { MEMBER = 1, MEMBER_MANAGER = 2 };

struct membership {
    entity_id project_id;
    entity_id account_id;
    enum member_role role;
    int64_t since;
};

/* Who may log in on a cluster's compute nodes. */
enum node_access {
    NODE_ACCESS_JOB = 1,  /* accounts with a running job on the node */
    NODE_ACCESS_OPEN = 2, /* whoever reaches the cluster */
};

/* Which credentials a cluster takes; bits. */
enum credentials { CREDENTIALS_CERTIFICATES = 1, CREDENTIALS_KEYS = 2 };

struct cluster {
    entity_id id;
    char name[LIMIT_CLUSTER_NAME_CHARS + 1]; /* "daint" */
    char address[LIMIT_HOST_NAME_CHARS +
                 1]; /* of its login host, as clients dial it; "" when there is none */
    uint16_t port;
    enum node_access node_access;
    unsigned credentials; /* enum credentials */
    int64_t created_at;
};

enum host_role {
    HOST_JUMP = 1,
    HOST_LOGIN = 2,
    HOST_COMPUTE = 3,
    HOST_JOB = 4, /* of one job alone: it comes and goes with it */
};

struct host {
    entity_id id;
    entity_id cluster_id; /* 0 for a jump host */
    char name[LIMIT_HOST_NAME_CHARS + 1];
    char address[LIMIT_HOST_NAME_CHARS + 1]; /* as clients dial it; "" when not told */
    uint16_t port;
    enum host_role role;
    bool scheduler;              /* it may say which jobs run on its cluster */
    entity_id job_id;            /* of HOST_JOB */
    char enrol_hash[HASH_CHARS]; /* of the one-time token; "" once used */
    int64_t enrol_expires_at;
    char token_hash[HASH_CHARS];         /* of the host's bearer */
    char key_line[LIMIT_KEY_BLOB_BYTES]; /* its host key as a public key line; "" until enrolled */
    int64_t enrolled_at;
    int64_t seen_at;
};

/* An issued certificate. */
struct issued {
    uint64_t serial;
    entity_id account_id; /* 0 for a host certificate */
    entity_id host_id;    /* 0 for a user certificate */
    /* "alice@site", "alice@site job:1234@daint", "alice@site outside job:1234@daint" */
    char key_id[LIMIT_ACCOUNT_NAME_CHARS + 96 + LIMIT_JOB_NAME_CHARS + LIMIT_CLUSTER_NAME_CHARS];
    char fingerprint[64]; /* of the certified key */
    char ca_fingerprint[64];
    int64_t issued_at;
    int64_t valid_after;
    int64_t valid_before;
    bool counts; /* against the quota: re-signing a still valid key does not */
    char source[INET_CHARS];
    int64_t revoked_at; /* 0: not revoked */
    char revoked_reason[LIMIT_REASON_CHARS + 1];
    entity_id api_key_id; /* that it was asked for with; 0: none */
    entity_id grant_id;   /* the same */
    entity_id by_id; /* the service account that asked for it in the account's place; 0: itself */
};

/* What in a key id says that the certificate is good for a job alone, before the job's name. */
#define KEY_ID_JOB " job:"
/* The same, before that: it was not asked for on a frontend, and so comes in from outside. */
#define KEY_ID_OUTSIDE " outside"
/* Such a certificate is not counted, so a key that has one is not one that was paid for. */
bool issued_is_for_job(const struct issued *issued);

struct api_key {
    entity_id id;
    entity_id account_id;
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];
    char hash[HASH_CHARS];
    char hint[16];              /* its first characters, so that people can tell keys apart */
    struct subnet_list subnets; /* empty: from everywhere */
    int64_t created_at;
    int64_t expires_at;
    int64_t last_used_at;
    int64_t revoked_at;
    struct cluster_list clusters; /* its certificates are good for these alone */
    int64_t duration_max_s;       /* of its certificates; 0: the site's */
};

/* What a person approved that a machine may do unattended: have certificates of this key. */
struct grant {
    entity_id id;
    entity_id account_id;
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];
    char key_line[LIMIT_KEY_BLOB_BYTES];
    char fingerprint[64];
    struct cluster_list clusters;                      /* empty: all that the account reaches */
    struct subnet_list subnets;                        /* empty: from everywhere */
    char force_command[LIMIT_GRANT_COMMAND_CHARS + 1]; /* "": none */
    int64_t duration_s;                                /* of each certificate */
    int64_t created_at;
    int64_t expires_at;
    int64_t last_used_at;
    char last_source[INET_CHARS]; /* "" before the first use */
    int64_t last_proof_ms;        /* a proof is never accepted twice: its time only grows */
    int64_t revoked_at;
};

/* A one-time token for one certificate of an account, which a service account got. */
struct ticket {
    char hash[HASH_CHARS];
    entity_id account_id; /* whose certificate */
    entity_id api_key_id; /* of the service account */
    int64_t expires_at;
};

/* Of a token of a session: what it is good for, and for nothing else. */
enum session_use {
    SESSION_BEARER = 1,  /* calls of the API */
    SESSION_REFRESH = 2, /* new tokens, once */
    SESSION_BROWSER = 3, /* the pages of the authority itself */
    SESSION_SPENT = 4,   /* nothing: a token of another issuer that was traded already */
};

enum { SESSION_FAMILY_CHARS = 2 * 16 + 1, SESSION_METHODS_CHARS = 48, CLIENT_CHARS = 64 };

/* A token of the embedded issuer. */
struct session {
    char hash[HASH_CHARS];
    entity_id account_id;
    entity_id api_key_id;       /* 0 for people */
    struct subnet_list subnets; /* the API key's */
    int64_t created_at;
    int64_t expires_at;
    enum session_use use;
    char family[SESSION_FAMILY_CHARS]; /* that came of one sign-in, and ends together; "" alone */
    char client[CLIENT_CHARS];         /* that asked for it; "" for /api/v1/auth/login */
    int64_t
        authenticated_at; /* when the person proved who they are; 0: an API key, or nobody said */
    char methods[SESSION_METHODS_CHARS]; /* how (RFC 8176), with blanks between: "pwd otp mfa" */
    int64_t used_at;                     /* of a refresh token: 0 until then */
    char issuer[LIMIT_ISSUER_CHARS + 1]; /* an external one that said who it is; "" for none */
};

/* Who an account is at an external issuer: "iss" and "sub" of its tokens. */
struct external_identity {
    entity_id account_id;
    char issuer[LIMIT_ISSUER_CHARS + 1];
    char subject[LIMIT_SUBJECT_CHARS + 1];
    int64_t since;
};

enum authorization_kind {
    AUTHORIZATION_CODE = 1,   /* RFC 6749 section 4.1 */
    AUTHORIZATION_DEVICE = 2, /* RFC 8628 */
};
enum authorization_state {
    AUTHORIZATION_WAITING = 1, /* for somebody to approve it */
    AUTHORIZATION_APPROVED = 2,
    AUTHORIZATION_DENIED = 3,
    AUTHORIZATION_USED = 4, /* it became tokens */
};
enum {
    AUTHORIZATION_TEXT_CHARS = LIMIT_OAUTH_TEXT_CHARS + 1,
    AUTHORIZATION_CHALLENGE_CHARS = 43 + 1,
};

/* What a client asks for. */
struct authorization_request {
    char client[CLIENT_CHARS];
    char redirect_uri[AUTHORIZATION_TEXT_CHARS]; /* "" for devices, as the challenge */
    char challenge[AUTHORIZATION_CHALLENGE_CHARS];
    char nonce[AUTHORIZATION_TEXT_CHARS]; /* "" without */
    bool offline;                         /* a refresh token as well */
    char source[INET_CHARS];              /* of a device: the address that asked */
};

/* Who approved it, and how they had proved who they are. */
struct authorization_approval {
    entity_id account_id; /* 0: nobody did */
    int64_t authenticated_at;
    char methods[SESSION_METHODS_CHARS];
    char issuer[LIMIT_ISSUER_CHARS + 1]; /* as in a session */
};

/* A sign-in that a client has asked for and not yet got, or got a while ago (authorization.h). */
struct authorization {
    char hash[HASH_CHARS]; /* of the code that its client holds */
    enum authorization_kind kind;
    enum authorization_state state;
    char user_code_hash[HASH_CHARS]; /* of what a person types for a device; "" for codes */
    struct authorization_request request;
    struct authorization_approval approval;
    char family[SESSION_FAMILY_CHARS]; /* of the tokens that come of it */
    int64_t created_at;
    int64_t expires_at;
    int64_t interval_s; /* between two polls of a device */
    int64_t polled_at;  /* 0: not yet */
};

/* A challenge for a passkey that was answered, and is not to be answered again. */
struct answered_challenge {
    char challenge[HASH_CHARS]; /* in hexadecimal */
    int64_t expires_at;
};

enum key_use {
    KEY_USE_PERSON = 1,   /* a person registered it: good at gates and hosts */
    KEY_USE_INTERNAL = 2, /* postern-host keeps it in a home: good at hosts, from inside */
};

/* A registered key: trusted by itself, without a certificate. */
struct registered_key {
    entity_id id;
    entity_id account_id;
    enum key_use use;
    entity_id cluster_id; /* of an internal key: whose frontends keep it */
    char name[LIMIT_DISPLAY_NAME_CHARS + 1];
    char key_line[LIMIT_KEY_BLOB_BYTES];
    char fingerprint[64];
    struct subnet_list subnets;
    int64_t created_at;
    int64_t expires_at;
};

enum job_type {
    JOB_SHARED = 1,  /* a part of each of its nodes */
    JOB_WHOLE = 2,   /* its nodes, whole */
    JOB_DEPLOY = 3,  /* the same, and root on them */
    JOB_CLUSTER = 4, /* machines of its own, which come and go with it */
};

/* Where an account may log in while its job runs. The nodes are the store's, by job. */
struct job {
    entity_id id;
    entity_id cluster_id;
    /* The scheduler's id: "1234", "1234_7"; unique in its cluster among those that have not ended.
     */
    char name[LIMIT_JOB_NAME_CHARS + 1];
    entity_id account_id;
    char user[LIMIT_ACCOUNT_NAME_CHARS + 1]; /* the Unix user on its nodes */
    enum job_type type;
    uint32_t node_count;
    /* As clients dial it, where the job has an address of its own; "" otherwise. */
    char address[LIMIT_HOST_NAME_CHARS + 1];
    uint16_t port;
    char host_key_line[LIMIT_KEY_BLOB_BYTES]; /* "" when none is told */
    int64_t started_at;
    int64_t ends_at;  /* its limit of time; 0: none is known */
    int64_t ended_at; /* 0: it runs */
};

/* A change that gates and hosts follow. `state` is JSON, "" when the thing is gone. */
struct event {
    uint64_t revision;
    char kind[16]; /* as in feed/change.h */
    char key[LIMIT_HOST_NAME_CHARS + 1];
    char *state; /* owned by whoever holds the event */
    int64_t at;
};

struct audit {
    uint64_t sequence;
    int64_t at;
    char actor[LIMIT_ACCOUNT_NAME_CHARS + 16]; /* "alice", "host:daint-ln1", "system" */
    char action[48];                           /* "certificate.sign" */
    char target[LIMIT_HOST_NAME_CHARS + 1];
    bool allowed;
    char code[48]; /* the decision's code; "ok" when allowed */
    char detail[512];
    char source[INET_CHARS];
    char request_id[24];
};

/* What is counted over time; the values are those of the store. */
enum tally_kind {
    TALLY_GATE_LOGIN = 1,
    TALLY_GATE_REFUSAL = 2, /* logins and channels */
    TALLY_SIGN_IN = 3,
    TALLY_SIGNING = 4,
    TALLY_REFUSAL = 5, /* calls of the authority */
};
enum {
    TALLY_KINDS_COUNT = TALLY_REFUSAL + 1,
    TALLY_SHORT_S = 300, /* it is counted twice: in short stretches, and … */
    TALLY_LONG_S = 3600, /* … in long ones, for charts of months */
};

/* How often something happened in one stretch of time. */
struct tally {
    int64_t step_s; /* how long it is */
    int64_t at;     /* when it began, a multiple of step_s */
    enum tally_kind kind;
    uint64_t count;
};

/* "10.0.0.0/8,192.168.0.0/16", the form of source-address; ERR_TOO_LONG past LIMIT_SUBNETS_COUNT,
 * and inet_subnet_parse's: no text is ERR_MALFORMED, for an empty list would mean "everywhere". */
err_t subnet_list_parse(span_t text, struct subnet_list *out);
err_t subnet_list_print(const struct subnet_list *list, struct buf *out);
/* An empty list contains every address. */
bool subnet_list_allows(const struct subnet_list *list, const struct inet_address *address);
/* Adds a subnet and keeps the list without entries that others cover; ERR_TOO_LONG when it is full.
 */
err_t subnet_list_add(struct subnet_list *list, const struct inet_subnet *subnet);
/*
 * The addresses that both lists allow, where an empty list stands for every address, on both sides
 * and in the result. So two lists that share nothing have no result: that is ERR_NOT_FOUND, and
 * whoever asked must refuse. ERR_TOO_LONG past LIMIT_SUBNETS_COUNT. `out` may be `a` or `b`.
 */
err_t subnet_list_intersect(const struct subnet_list *a, const struct subnet_list *b,
                            struct subnet_list *out);

/* "daint,santis"; ERR_MALFORMED for what is no cluster's name, ERR_EXISTS for one that is there
 * twice, ERR_TOO_LONG past LIMIT_BOUND_CLUSTERS_COUNT. No text is the empty list. */
err_t cluster_list_parse(span_t text, struct cluster_list *out);
err_t cluster_list_print(const struct cluster_list *list, struct buf *out);
err_t cluster_list_add(struct cluster_list *list, span_t name);
/* Of the names themselves: an empty list has none. */
bool cluster_list_has(const struct cluster_list *list, const char *name);
/* As subnet_list_intersect(): empty stands for every cluster, and ERR_NOT_FOUND is for lists that
 * share none. */
err_t cluster_list_intersect(const struct cluster_list *a, const struct cluster_list *b,
                             struct cluster_list *out);

/*
 * Names. Account: a POSIX user name, [a-z_][a-z0-9_-]*. Project, cluster: [a-z0-9][a-z0-9._-]*.
 * Host: a DNS name, or an address. ERR_MALFORMED or ERR_TOO_LONG, and the fault says the field and
 * the rule. "root" is not an account name.
 */
err_t account_name_check(span_t name, struct fault *fault);
err_t project_name_check(span_t name, struct fault *fault);
err_t cluster_name_check(span_t name, struct fault *fault);
/* A scheduler's id of a job: [A-Za-z0-9][A-Za-z0-9._+-]*, "1234_7" and "1234+1" for instance. */
err_t job_name_check(span_t name, struct fault *fault);
/* The Unix user that a job runs as, where it is not the account's name: "uprod_00Grm". Not "root".
 */
err_t user_name_check(span_t name, struct fault *fault);
err_t host_name_check(span_t name, const char *field, struct fault *fault);

/*
 * What a host's name or address is, when a jump host that leads there would lead to itself or to
 * the machine it runs on: "a loopback address", for instance. NULL for any other. Knows also the
 * short and numeric forms that resolvers take for addresses ("127.1", "2130706433").
 */
const char *host_name_peril(const char *name);

#endif
