/*
 * What is wrong, in the order in which things are used on the way in: each check judges the facts,
 * says in words what it found, and which command mends it. Pure.
 */
#ifndef POSTERN_CLI_CHECKS_H
#define POSTERN_CLI_CHECKS_H

#include "cli/doctor/facts.h"

enum health {
    HEALTH_UNKNOWN, /* cannot be told: something before it is wrong, or was not asked */
    HEALTH_FINE,
    HEALTH_NOTE, /* worth knowing; nothing fails for it */
    HEALTH_BROKEN,
};

enum mend_kind {
    MEND_NONE,
    MEND_TELL,      /* a command that somebody has to type: it needs root, or a decision */
    MEND_RUN,       /* words */
    MEND_REPLACE,   /* path and its .pub and -cert.pub get names that end in .was; then words */
    MEND_AGENT,     /* words, and the agent that is there afterwards is the one to use */
    MEND_MODE,      /* chmod mode path */
    MEND_FOLDER,    /* mkdir -m mode path */
    MEND_STRIP_CR,  /* of path */
    MEND_DROP_LINE, /* line of path, a known_hosts file */
    MEND_MARKED,    /* the site's own @cert-authority lines of path */
    MEND_PUBLIC,    /* writes path, the public half of the private key `other` */
    MEND_UNLINK,    /* path, a socket */
    MEND_IDENTITY,  /* words, and on `line` of path `other` becomes `instead` */
};

enum { MEND_WORDS = 10, FINDING_CHARS = 768 };

struct mend {
    enum mend_kind kind;
    char command[FINDING_CHARS]; /* as it is typed; "" with MEND_NONE */
    char words[MEND_WORDS][FACT_CHARS];
    size_t word_count;
    char path[FACT_CHARS], other[FACT_CHARS], instead[FACT_CHARS];
    unsigned line;
    mode_t mode;
};

struct finding {
    enum health health;
    char words[FINDING_CHARS];
    struct mend mend;
};

struct check {
    const char *name;  /* in --json: "certificate" */
    const char *title; /* "Certificate" */
    bool of_ssh;       /* only a note where ssh gets in all the same */
    void (*look)(const struct facts *facts, struct finding *out);
};

extern const struct check checks[];
extern const size_t check_count;
enum { CHECKS_MAX = 32 };

/* findings has CHECKS_MAX. */
void checks_run(const struct facts *facts, struct finding *findings);
/* Whether --fix can do it. */
bool mend_is_doable(const struct mend *mend);

/* --- for the checks --- */

void finding_set(struct finding *out, enum health health, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void mend_tell(struct finding *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends with NULL; the command is the words, quoted for a shell where they need it. */
void mend_run(struct finding *out, ...) __attribute__((sentinel));
/* The same with "postern" and, where one was named, the site before the words. */
void mend_postern(struct finding *out, const struct facts *facts, ...) __attribute__((sentinel));
void mend_mode(struct finding *out, const struct facts *facts, const char *path, mode_t mode);
/* postern sign, or postern login where nobody is signed in. */
void mend_sign(struct finding *out, const struct facts *facts);
void mend_config(struct finding *out, const struct facts *facts);

void check_client(const struct facts *facts, struct finding *out);
void check_clock(const struct facts *facts, struct finding *out);
void check_authority(const struct facts *facts, struct finding *out);
void check_account(const struct facts *facts, struct finding *out);
void check_folder(const struct facts *facts, struct finding *out);
void check_key(const struct facts *facts, struct finding *out);
void check_key_modes(const struct facts *facts, struct finding *out);
void check_public(const struct facts *facts, struct finding *out);
void check_passphrase(const struct facts *facts, struct finding *out);
void check_certificate(const struct facts *facts, struct finding *out);
void check_revoked(const struct facts *facts, struct finding *out);
void check_agent(const struct facts *facts, struct finding *out);
void check_agent_expired(const struct facts *facts, struct finding *out);
void check_agent_crowd(const struct facts *facts, struct finding *out);
void check_config_file(const struct facts *facts, struct finding *out);
void check_include(const struct facts *facts, struct finding *out);
void check_settings(const struct facts *facts, struct finding *out);
void check_identities(const struct facts *facts, struct finding *out);
void check_known_hosts(const struct facts *facts, struct finding *out);
void check_master(const struct facts *facts, struct finding *out);
void check_way(const struct facts *facts, struct finding *out);
void check_job(const struct facts *facts, struct finding *out);
void check_login(const struct facts *facts, struct finding *out);

#endif
