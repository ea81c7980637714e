/*
 * Sign-ins by a Kerberos ticket: SPNEGO (RFC 4178) as HTTP carries it (RFC 4559), by GSSAPI. A
 * ticket becomes a session of ours at once (routes/kerberos.c); nothing else here knows of it.
 *
 * Invariants:
 *   1. One token decides: a client that would need a second one is refused.
 *   2. Each call gets a credential of its own from the keytab, for the one service that the
 *      configuration names, Kerberos alone, and with a replay cache beside the store: nothing of it
 *      comes from the environment, and a new keytab counts at once.
 *   3. A principal is an account by a rule that was written down, or nobody.
 */
#ifndef POSTERN_AUTHORITY_KERBEROS_H
#define POSTERN_AUTHORITY_KERBEROS_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

enum { KERBEROS_REALMS_COUNT = 16, KERBEROS_PRINCIPALS_COUNT = 256 };

/* The section "kerberos" of posternd.yaml. */
struct kerberos_config {
    char *keytab;  /* NULL: no tickets are taken */
    char *service; /* "HTTP/authority.example@HPC.EXAMPLE": whose key must be in the keytab */
    char *realms[KERBEROS_REALMS_COUNT]; /* whose users are accounts here by their name */
    size_t realm_count;
    char *principals[KERBEROS_PRINCIPALS_COUNT]; /* "alice/laptop@HPC.EXAMPLE=alice" */
    size_t principal_count;
    bool second_factor;    /* a ticket is enough; else a one-time code goes with it */
    bool binding_required; /* to the TLS connection that it came through */
    bool administrators;   /* whether they may come this way */
    char *replay_cache;    /* where tokens are noted that were used; not a setting */
};

/* For the configuration's tables: whether a text is what it should be. */
err_t kerberos_check_service(const char *text);
err_t kerberos_check_realm(const char *text);
err_t kerberos_check_principal(const char *text);

/* Whom a token proved. */
struct kerberos_proof {
    char principal[LIMIT_PRINCIPAL_CHARS + 1];
    int64_t authenticated_at; /* when its first ticket was obtained: by a password, or what the KDC
                                 asks for */
    int64_t expires_at;       /* of the ticket */
    struct buf answer;        /* proves to the client that the service is genuine */
};
void kerberos_proof_init(struct kerberos_proof *proof);
void kerberos_proof_done(struct kerberos_proof *proof);

/*
 * Any thread but the loop's and the store's: it reads the keytab, and writes the replay cache.
 * `binding` is that of http_request_tls_binding(); empty: none. ERR_REFUSED with a fault when the
 * token is not good, ERR_IO when the keytab or the replay cache is not. *out is initialised.
 */
err_t kerberos_accept(const struct kerberos_config *config, span_t token, span_t binding,
                      int64_t now, struct kerberos_proof *out, struct fault *fault);

/* The account's name that a principal means; ERR_REFUSED with a fault. Pure. */
err_t kerberos_account(const struct kerberos_config *config, const char *principal,
                       char out[LIMIT_ACCOUNT_NAME_CHARS + 1], struct fault *fault);

#endif
