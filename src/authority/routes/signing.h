/*
 * A certificate for a key of an account, from what policy asks to what is sent: for every route
 * that signs for people and services. The order is what makes "every certificate that exists is on
 * record" true: the decision, the serial and the issued row are one transaction; only after its
 * commit is the signer asked.
 */
#ifndef POSTERN_AUTHORITY_SIGNING_H
#define POSTERN_AUTHORITY_SIGNING_H

#include "authority/call.h"
#include "authority/routes/job_choice.h"

/* Owned by the route, in its call_own(). */
struct signing {
    struct key *key;
    int64_t duration_s; /* 0: the default */
    struct subnet_list subnets;
    const char *force_command; /* borrowed from the body */
    const char *job;           /* the same: one of the account's, for it alone; NULL: for none */
    char principal[JOB_PRINCIPAL_CHARS]; /* the job's, once that was found; "": the account's */
    int64_t expires_at;
    struct cert *cert; /* once it is on record */
};
void signing_done(struct signing *signing);

/* Whose certificate, and by what. */
struct signing_for {
    const struct account *account;
    size_t project_count;
    const struct bounds *bounds;
    entity_id api_key_id, grant_id;
    entity_id by_id; /* a service account, in the place of the account */
    bool uncounted;  /* it does not use up the account's quota */
};
struct signing_for signing_for_caller(const struct call *call);

/* Store thread: what policy asks. The jump hosts are looked up into *jump_hosts, which must stay as
 * long as *out. False with a problem. */
bool signing_facts(struct call *call, const struct signing_for *for_whom, const struct key *key,
                   struct subnet_list *jump_hosts, struct sign_facts *out);
/* Counts a decision; one that refuses becomes the call's problem and audit row. */
bool signing_judged(struct call *call, const struct decision *decision, const struct key *key);
/* Takes a serial, records the certificate, and makes it but for its signature. */
bool signing_record(struct call *call, const struct signing_for *for_whom, struct signing *signing,
                    const struct sign_grant *grant);
/* The three for who asks by a bearer: what is asked for against the site's policy. */
bool signing_decide(struct call *call, const struct signing_for *for_whom, struct signing *signing,
                    struct sign_grant *grant);

/* Loop thread: appends {"sshKey":{"publicKey":…,"expireTime":…,"serialNumber":… without the ends.
 */
err_t signing_print(const struct signing *signing, struct buf *text);
/* Loop thread: {"sshKey":{…}} and no more, with `status`, sent. */
void signing_send(struct call *call, const struct signing *signing, unsigned status);

#endif
