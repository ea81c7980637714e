/*
 * What the parts of posternd share. One struct, made by serve.c, alive until the loop ends.
 *
 * Threads: what is marked "store" belongs to the store thread, "loop" to the loop's; what is marked
 * "fixed" is never written after the start.
 */
#ifndef POSTERN_AUTHORITY_AUTHORITY_H
#define POSTERN_AUTHORITY_AUTHORITY_H

#include <stdatomic.h>

#include "authority/call.h"
#include "authority/config.h"
#include "authority/signer_client.h"
#include "authority/tally.h"
#include "identity/throttle.h"
#include "identity/webauthn_challenge.h"
#include "store/store.h"

struct bearer_cache;
struct enrolments;
struct feed;
struct gate_sessions;
struct host_reports;
struct issuer;
struct login_guard;
struct metrics;
struct rates;

struct authority {
    struct loop *loop;               /* fixed */
    struct http_server *server;      /* loop */
    struct worker *store_worker;     /* fixed */
    struct worker *hash_worker;      /* fixed */
    struct worker *issuer_worker;    /* fixed; waits for external issuers */
    struct store *store;             /* store */
    struct config *config;           /* fixed, but for policy: see authority_policy() */
    struct policy policy;            /* store: a SIGHUP changes it by a job */
    struct serial_source serials;    /* store */
    struct bearer_cache *bearers;    /* store */
    struct throttle *failed_bearers; /* store: audit rows of anonymous failures, by address */
    struct rates *rates;             /* store */
    struct enrolments *enrolments;   /* store */
    struct issuer *issuer;           /* store */
    uint8_t challenge_secret[WEBAUTHN_CHALLENGE_SECRET_BYTES]; /* fixed */
    struct signer_client *signer;                              /* loop; its keys are fixed */
    struct metrics *metrics;                                   /* loop */
    struct feed *feed;                                         /* feed.c's: feed_new() */
    struct login_guard *login_guard;     /* login.c's: login_guard_new(); throttles of logins */
    err_t batch_err;                     /* store: why the batch cannot be committed */
    struct call *batch_calls;            /* store: the batch at work */
    struct host_reports *host_reports;   /* store */
    struct gate_sessions *gate_sessions; /* store */
    struct tallies tallies;              /* store: of that batch */
    struct call *free_calls;             /* loop */
    size_t open_calls;                   /* loop */
    size_t free_call_count;              /* loop */
    bool stopping;                       /* loop: no new calls */
    _Atomic int64_t job_due_at; /* store writes: when a job's time comes; 0: to be looked up */
    bool job_expiry_runs;       /* loop */
    _Atomic bool late;          /* loop writes: the stop may wait for nothing any more */
    uint64_t next_request;      /* loop */
    char request_prefix[12];    /* fixed: makes request ids unique between starts */
};

/* Those of admin's files that serve.c calls. */
err_t feed_new(struct authority *authority, struct feed **out);
void feed_free(struct feed *feed);
/* Loop thread, after the commit of these events: answers those who wait and are concerned. */
void feed_wake(struct feed *feed, const struct feed_event *events);
/* Loop thread, at the stop: answers all who wait with no changes. */
void feed_stop(struct feed *feed);
size_t feed_waiting(const struct feed *feed); /* for /metrics */
uint64_t feed_woken(const struct feed *feed); /* how often one that waited had to look */
err_t login_guard_new(struct login_guard **out);
void login_guard_free(struct login_guard *guard);

/* Loop thread, often: ends the jobs whose time has come. job_expiry.c. */
void job_expiry_tick(struct authority *authority);

/* Publishes the CA keys as "ca" events where the last published ones differ (store thread or before
 * the threads start, inside a transaction). feed.c. */
err_t feed_publish_cas(struct authority *authority, int64_t now);

/* feed_revision.c. Before the threads start, inside a transaction: goes on at a revision that no
 * host has heard of when the store is older than what hosts were told. */
err_t feed_revision_start(struct authority *authority);
/* Store thread, between the commit that published it and the first answer that tells it. */
void feed_revision_note(const struct authority *authority, uint64_t revision);

/* The route tables, by file; each ends with a row whose path is NULL. */
extern const struct route sign_routes[];            /* sign.c */
extern const struct route list_routes[];            /* list.c */
extern const struct route revoke_routes[];          /* revoke.c */
extern const struct route health_routes[];          /* health.c */
extern const struct route metrics_routes[];         /* metrics.c */
extern const struct route login_routes[];           /* login.c */
extern const struct route password_routes[];        /* password.c */
extern const struct route account_routes[];         /* account_admin.c */
extern const struct route project_routes[];         /* project.c */
extern const struct route cluster_routes[];         /* cluster.c */
extern const struct route host_admin_routes[];      /* host_admin.c */
extern const struct route service_account_routes[]; /* service_account.c */
extern const struct route audit_routes[];           /* audit.c */
extern const struct route statistics_routes[];      /* statistics.c */
extern const struct route host_call_routes[];       /* host_call.c */
extern const struct route window_routes[];          /* window.c */
extern const struct route enrolment_routes[];       /* enrolment.c */
extern const struct route gate_audit_routes[];      /* gate_audit.c */
extern const struct route gate_session_routes[];    /* gate_session.c */
extern const struct route internal_key_routes[];    /* internal_key.c */
extern const struct route job_certificate_routes[]; /* job_certificate.c */
extern const struct route registered_key_routes[];  /* registered_key.c */
extern const struct route job_routes[];             /* job.c */
extern const struct route job_list_routes[];        /* job_list.c */
extern const struct route project_people_routes[];  /* project_people.c */
extern const struct route project_issued_routes[];  /* project_issued.c */
extern const struct route ticket_routes[];          /* ticket.c */
extern const struct route grant_routes[];           /* grant.c */
extern const struct route grant_renewal_routes[];   /* grant_renewal.c */
extern const struct route access_routes[];          /* access.c */
extern const struct route feed_routes[];            /* feed.c */
extern const struct route site_routes[];            /* site.c */
extern const struct route kerberos_routes[];        /* kerberos.c */
extern const struct route known_hosts_routes[];     /* known_hosts.c */
extern const struct route oidc_discovery_routes[];  /* oidc_discovery.c */
extern const struct route oidc_authorize_routes[];  /* oidc_authorize.c */
extern const struct route oidc_device_routes[];     /* oidc_device.c */
extern const struct route oidc_token_routes[];      /* oidc_token.c */
extern const struct route session_list_routes[];    /* session_list.c */
extern const struct route sign_in_routes[];         /* sign_in.c */
extern const struct route sign_in_issuer_routes[];  /* sign_in_issuer.c */
extern const struct route identity_routes[];        /* identity.c */
extern const struct route factor_routes[];          /* factor.c */
extern const struct route passkey_page_routes[];    /* passkey_page.c */
extern const struct route dashboard_routes[];       /* dashboard.c */

#endif
