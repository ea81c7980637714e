#include "gate/relay/relay.h"

#include <malloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

enum {
    THREAD_STACK_BYTES = 256 * 1024,
    /* A block from here on is a mapping of its own, and goes back to the kernel when it is freed:
     * what a slow reader made a session hold must not stay with an idle one. */
    OWN_MAPPING_BYTES = 64 * 1024,
    PRUNE_S = 3600, /* how often revocations that ended are forgotten */
};

/* --- setup --- */

static void setup_free(struct relay_setup *setup) {
    for (size_t i = 0; i < setup->host_key_count; i++) {
        key_free(setup->host_keys[i]);
        if (setup->host_certs != NULL) {
            cert_free(setup->host_certs[i]);
        }
    }
    free(setup->host_keys);
    free(setup->host_certs);
    free(setup->shown);
    gate_config_done(&setup->config);
    free(setup);
}

void relay_setup_release(struct relay_setup *setup) {
    if (setup != NULL && atomic_fetch_sub(&setup->references, 1) == 1) {
        setup_free(setup);
    }
}

static void setup_fill(struct relay_setup *setup) {
    const struct gate_config *config = &setup->config;
    for (size_t i = 0; i < setup->host_key_count; i++) {
        setup->shown[i].key = setup->host_keys[i];
        setup->shown[i].cert = setup->host_certs == NULL ? NULL : setup->host_certs[i];
    }
    setup->server = (struct server_config){
        .transport = {.role = TRANSPORT_SERVER,
                      .software = "Posterngate_" POSTERN_VERSION,
                      .kex = config->kex,
                      .ciphers = config->ciphers,
                      .macs = config->macs,
                      .host_key_algorithms = config->host_key_algorithms,
                      .random = randomness_of_kernel,
                      .rekey_bytes = config->rekey_bytes,
                      .rekey_ms = config->rekey_s * 1000,
                      .host_keys = setup->shown,
                      .host_key_count = setup->host_key_count},
        .channels_max = config->channels_max,
        .auth_tries_max = LIMIT_AUTH_TRIES_COUNT,
        .takes_passwords = config->enrolment,
        .takes_commands = config->enrolment,
    };
    setup->rules = (struct view_rules){config->best_effort, config->max_age_s};
    setup->limits = (struct quota_limits){
        .sessions_per_account = config->sessions_per_account_max,
        .sessions_per_address = config->sessions_per_address_max,
        .logins_per_minute = config->logins_per_minute_max,
        .connections_per_minute = config->connections_per_minute_max,
        .failures = config->login_failures_max,
    };
}

err_t relay_setup_new(struct gate_config *config, struct key **host_keys, struct cert **host_certs,
                      size_t host_key_count, struct relay_setup **out, struct fault *fault) {
    struct relay_setup *setup = calloc(1, sizeof *setup);
    INVARIANT(setup != NULL); /* at the start or at a reload, with nothing else to hold on to */
    setup->references = 1;
    setup->config = *config;
    *config = (struct gate_config){0};
    setup->host_keys = host_keys;
    setup->host_certs = host_certs;
    setup->host_key_count = host_key_count;
    setup->shown = calloc(host_key_count + 1, sizeof *setup->shown);
    err_t err = FAIL(ERR_MEMORY);
    if (setup->shown != NULL) {
        setup_fill(setup);
        err = transport_config_check(&setup->server.transport, fault);
    }
    if (failed(err)) {
        setup_free(setup);
        return err;
    }
    *out = setup;
    return OK;
}

struct relay_setup *relay_setup_now(struct relay *relay) {
    (void)pthread_mutex_lock(&relay->setup_mutex);
    struct relay_setup *setup = relay->setup;
    atomic_fetch_add(&setup->references, 1);
    (void)pthread_mutex_unlock(&relay->setup_mutex);
    return setup;
}

void relay_set_setup(struct relay *relay, struct relay_setup *setup) {
    (void)pthread_mutex_lock(&relay->setup_mutex);
    struct relay_setup *old = relay->setup;
    relay->setup = setup;
    (void)pthread_mutex_unlock(&relay->setup_mutex);
    relay_setup_release(old);
}

/* --- the relay --- */

static err_t locks_init(struct relay *relay) {
    pthread_rwlockattr_t kind;
    if (pthread_mutex_init(&relay->setup_mutex, NULL) != 0 || pthread_rwlockattr_init(&kind) != 0) {
        return FAIL(ERR_MEMORY);
    }
    /* A revocation must not wait until no worker happens to read. */
    (void)pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    int failure = pthread_rwlock_init(&relay->policy, &kind);
    (void)pthread_rwlockattr_destroy(&kind);
    return failure == 0 ? OK : FAIL(ERR_MEMORY);
}

static err_t workers_new(struct relay *relay, const struct relay_wiring *wiring) {
    relay->workers = calloc(wiring->workers, sizeof(struct relay_worker *));
    if (relay->workers == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (unsigned i = 0; i < wiring->workers; i++) {
        TRY(relay_worker_new(relay, i, wiring, &relay->workers[i]));
        relay->worker_count++;
        relay->listening++;
    }
    return OK;
}

err_t relay_new(const struct relay_wiring *wiring, struct relay_setup *setup, struct relay **out) {
    INVARIANT(wiring->workers > 0 && wiring->workers <= GATE_WORKERS_MAX);
    INVARIANT(wiring->listener_count <= GATE_LISTEN_MAX);
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        relay_setup_release(setup);
        return FAIL(ERR_MEMORY);
    }
    relay->shared = wiring->shared;
    relay->setup = setup;
    relay->listener_count = wiring->listener_count;
    for (size_t i = 0; i < wiring->listener_count; i++) {
        relay->listeners[i] = wiring->listeners[i];
    }
    uint8_t secret[QUOTA_SECRET_BYTES];
    random_bytes(secret, sizeof secret);
    (void)mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
    (void)mallopt(M_ARENA_MAX, (int)wiring->workers + 1);
    err_t err = locks_init(relay);
    err = failed(err) ? err : view_new(&relay->view);
    err = failed(err) ? err : quota_new(secret, &relay->quota);
    err = failed(err) ? err : certified_new(&relay->certified);
    err = failed(err) ? err : workers_new(relay, wiring);
    if (failed(err)) {
        relay_free(relay);
        return err;
    }
    *out = relay;
    return OK;
}

err_t relay_start(struct relay *relay) {
    pthread_attr_t attributes;
    INVARIANT(pthread_attr_init(&attributes) == 0);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct relay_worker *worker = relay->workers[i];
        if (pthread_create(&worker->thread, &attributes, relay_worker_main, worker) != 0) {
            (void)pthread_attr_destroy(&attributes);
            return FAIL(ERR_MEMORY); /* relay_stop() ends those that run */
        }
        relay->started++;
    }
    (void)pthread_attr_destroy(&attributes);
    return OK;
}

static void wake_all(struct relay *relay) {
    for (unsigned i = 0; i < relay->worker_count; i++) {
        relay_worker_wake(relay->workers[i]);
    }
}

static err_t hand_over(struct relay *relay, const int *sockets, enum asked asked) {
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct relay_worker *worker = relay->workers[i];
        (void)pthread_mutex_lock(&worker->mailbox);
        int *fd = &worker->new_sockets[asked];
        if (*fd >= 0) {
            (void)close(*fd);
        }
        *fd = sockets[i];
        (void)pthread_mutex_unlock(&worker->mailbox);
    }
    wake_all(relay);
    return OK;
}

err_t relay_set_keys(struct relay *relay, const int *keys) {
    return hand_over(relay, keys, ASKED_KEYS);
}

err_t relay_set_names(struct relay *relay, const int *names) {
    return hand_over(relay, names, ASKED_NAMES);
}

err_t relay_set_uplinks(struct relay *relay, const int *uplinks) {
    return hand_over(relay, uplinks, ASKED_UPLINK);
}

/* Which worker has it is not known here. */
static void cut_everywhere(struct relay *relay, const char *id) {
    for (unsigned i = 0; i < relay->worker_count; i++) {
        err_t err = tell_cut(relay->workers[i], id);
        if (failed(err)) {
            log_error("session_not_cut", err, "session", id, NULL);
        }
    }
}

err_t relay_apply(struct relay *relay, const struct change_answer *answer, int64_t synced_at) {
    bool revoked = false;
    (void)pthread_rwlock_wrlock(&relay->policy);
    err_t err = view_apply(relay->view, answer, synced_at, &revoked);
    uint64_t revision = view_revision(relay->view);
    int64_t heard = view_synced_at(relay->view);
    if (heard - relay->pruned_at >= PRUNE_S) {
        relay->pruned_at = heard;
        (void)view_prune(relay->view, heard);
    }
    (void)pthread_rwlock_unlock(&relay->policy);
    atomic_store(&relay->shared->feed_revision, revision);
    atomic_store(&relay->shared->feed_synced_at, heard);
    for (size_t i = 0; i < answer->cut_count; i++) {
        cut_everywhere(relay, answer->cuts[i]);
    }
    /* A failure may have left less than there was. */
    if (revoked || failed(err)) {
        atomic_fetch_add(&relay->judgements, 1);
        wake_all(relay);
    }
    return err;
}

void relay_close_listeners(struct relay *relay) {
    while (relay->listener_count > 0) {
        (void)close(relay->listeners[--relay->listener_count]);
    }
}

void relay_drain(struct relay *relay) {
    atomic_store(&relay->draining, true);
    atomic_store(&relay->shared->draining, 1);
    wake_all(relay);
}

size_t relay_sessions(const struct relay *relay) { return atomic_load(&relay->sessions); }

void relay_stop(struct relay *relay, const char *text) {
    atomic_store(&relay->draining, true);
    atomic_store(&relay->farewell, text);
    wake_all(relay);
    for (unsigned i = 0; i < relay->started; i++) {
        (void)pthread_join(relay->workers[i]->thread, NULL);
    }
    relay->started = 0;
}

void relay_free(struct relay *relay) {
    if (relay == NULL) {
        return;
    }
    INVARIANT(relay->started == 0);
    for (unsigned i = 0; i < relay->worker_count; i++) {
        relay_worker_free(relay->workers[i]);
    }
    free(relay->workers);
    relay_close_listeners(relay);
    relay_setup_release(relay->setup);
    certified_free(relay->certified);
    quota_free(relay->quota);
    view_free(relay->view);
    (void)pthread_mutex_destroy(&relay->setup_mutex);
    (void)pthread_rwlock_destroy(&relay->policy);
    free(relay);
}
