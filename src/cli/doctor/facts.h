/*
 * What the doctor looks at, gathered once and judged afterwards (checks.h). Gathering changes
 * nothing, here or elsewhere, and never fails for what it is there to find: a file that cannot be
 * read is a fact.
 */
#ifndef POSTERN_CLI_FACTS_H
#define POSTERN_CLI_FACTS_H

#include <jansson.h>
#include <sys/types.h>

#include "cli/agent/agent_contents.h"
#include "cli/agent/agent_find.h"
#include "cli/certificates/look.h"
#include "cli/cli.h"
#include "cli/doctor/config_text.h"
#include "cli/doctor/probe.h"
#include "cli/doctor/ssh_words.h"
#include "cli/site.h"

enum { FACT_CHARS = 512, FACT_NAME_CHARS = 256, FACT_FILES = 12, FACT_TEXT_BYTES = 1024 * 1024 };

/* --- files --- */

struct fact_file {
    char path[FACT_CHARS];
    bool there;
    bool readable; /* and a regular file, or a folder where one is expected */
    bool ours;     /* of this user, or of root */
    mode_t mode;   /* permission bits */
};

enum key_content {
    KEY_ABSENT,
    KEY_PRIVATE, /* a private key that ssh reads */
    KEY_PUBLIC,
    KEY_CERTIFICATE,
    KEY_PRIVATE_CR, /* lines end in CR LF, which ssh does not take in a private key */
    KEY_PPK,
    KEY_SSH2,
    KEY_OLD_DSA,
    KEY_OLD_RSA1,
    KEY_TOO_SHORT,
    KEY_STRANGE,
};

struct fact_key {
    struct fact_file file;
    enum key_content content;
    bool encrypted;     /* KEY_PRIVATE, KEY_PPK */
    struct key *public; /* owned; NULL where it does not show */
};

/* --- the authority --- */

enum fact_authority { AUTHORITY_UNASKED, AUTHORITY_ANSWERS, AUTHORITY_AWAY, AUTHORITY_UNTRUSTED };
enum fact_session { SESSION_UNASKED, SESSION_NONE, SESSION_REFUSED, SESSION_GOOD };

/* --- ssh's configuration of one host, as `ssh -G` prints it --- */

struct fact_list {
    char items[FACT_FILES][FACT_CHARS];
    size_t count;
};

struct fact_ssh {
    char alias[FACT_NAME_CHARS]; /* what was asked for; "": nothing was */
    bool known;                  /* ssh gave an answer */
    char said[FACT_CHARS];       /* its complaint, when it did not */
    char hostname[FACT_NAME_CHARS], port[16], user[FACT_NAME_CHARS];
    char proxy_jump[FACT_NAME_CHARS], proxy_command[FACT_CHARS];
    char control_path[FACT_CHARS]; /* "" for none */
    char known_hosts[FACT_CHARS];  /* files, separated by blanks */
    bool identities_only;
    struct fact_list identities;   /* "~/" expanded */
    struct fact_list certificates; /* of CertificateFile */
    enum probe_master master;      /* at control_path */
};

/* --- where to --- */

enum target_kind { TARGET_NONE, TARGET_JUMP, TARGET_CLUSTER, TARGET_INSIDE };

struct facts {
    int64_t now;
    const struct site *site; /* borrowed */
    bool site_named;         /* --site was given, and has to be again */
    bool default_key;        /* the key is the site's default one */
    char home[FACT_CHARS];
    char username[FACT_NAME_CHARS]; /* ""; nobody has signed in here yet */

    int ssh_status;       /* of `ssh -V` */
    unsigned ssh_version; /* 902 for OpenSSH 9.2; 0: not known */
    char ssh_text[FACT_NAME_CHARS];

    enum fact_authority authority;
    char authority_said[FACT_CHARS];
    bool has_date;
    int64_t date; /* by the authority's clock */
    enum fact_session session;
    char session_said[FACT_CHARS];
    json_t *whoami, *jobs, *ended_jobs, *certificates, *known_hosts, *access; /* NULL: none */

    struct fact_file folder, config, site_config, user_known_hosts; /* ~/.ssh and below */
    struct buf config_text, site_config_text, known_hosts_text;
    struct config_look config_look;
    unsigned marked_ours, marked_others; /* lines of ~/.ssh/known_hosts, @cert-authority */
    struct fact_key key;                 /* the private key that the site's certificates are for */
    struct fact_key key_public;          /* KEY.pub */
    struct user_key paths;
    struct look look;
    char look_said[FACT_CHARS];             /* why the certificate cannot be read */
    struct fact_key identities[FACT_FILES]; /* the other files of IdentityFile that are there */
    size_t identity_count;

    struct agent_place agent;
    struct agent_contents in_agent;
    bool agent_known;  /* $SSH_AUTH_SOCK names it, so that ssh finds it */
    bool agent_silent; /* it lives and does not say what it holds */

    enum target_kind target_kind;
    char cluster[FACT_NAME_CHARS]; /* of the target, where that is known */
    struct fact_ssh target, jump;  /* jump.alias is "" when the way is direct */
    struct probe first_hop;
    bool tried, timed_out;
    int try_status;      /* unless it timed out */
    struct buf try_text; /* of ssh -vvv */
    struct ssh_verdict verdict;
};

void facts_init(struct facts *facts, const struct site *site);
void facts_done(struct facts *facts);

/* given: HOST, or NULL for the first cluster that the account reaches. key: --file, or NULL. */
err_t facts_gather(struct cli *cli, const char *given, const char *key, struct facts *out);

/* True when ssh got through. */
static inline bool facts_ssh_works(const struct facts *facts) {
    return facts->tried && !facts->timed_out && facts->try_status != 255 &&
           facts->try_status != 127 && facts->try_status < 128;
}

/* By the authority's clock where it told the time: it is the one that certificates are judged by.
 */
static inline int64_t facts_true_now(const struct facts *facts) {
    return facts->has_date ? facts->date : facts->now;
}

/* The parts of facts_gather(), each of one file. */
void facts_gather_files(struct facts *facts);
/* The first look at what a key file is; file->path is set. */
void facts_read_key(struct fact_key *key);
void facts_gather_agent(struct facts *facts);
void facts_gather_authority(struct cli *cli, struct facts *facts);
void facts_gather_jobs(struct cli *cli, struct facts *facts);
void facts_choose_target(struct facts *facts, const char *given);
void facts_gather_ssh(struct facts *facts);
void facts_try_ssh(struct facts *facts);

/* a and b together, or "" where there is no room for them: half a path is another one. */
void facts_join(char *out, size_t size, span_t a, span_t b);
/* The text as far as there is room. */
void facts_cut(char *out, size_t size, span_t text);

/* Whether the agent holds the key, with a certificate or without. */
bool facts_key_in_agent(const struct facts *facts);
/* How many certificates in the agent have expired. */
size_t facts_expired_in_agent(const struct facts *facts);
/* "~/.ssh/config" for "/home/alice/.ssh/config". */
const char *facts_short(const struct facts *facts, const char *path, char out[FACT_CHARS]);

#endif
