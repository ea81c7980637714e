/*
 * postern-gate: the jump host. What its processes share.
 *
 *   master   reads the configuration, opens the listening sockets, starts and restarts the others,
 *            hands sockets over, takes signals. Parses nothing that comes from the network.
 *   keys     holds the private host keys and nothing else; speaks the agent protocol, and signs
 *            only what an SSH server signs (an exchange hash, a hostkeys-prove request).
 *   names    resolves host names (getaddrinfo on threads), and serves /metrics and /healthz.
 *   relay    every byte of every user: workers, each with its own event loop, without a right to a
 *            file or a process. Decides from a view of the feed that it gets by a socket of
 *            `postern-host sync` on the same machine.
 *
 * Each is a process of its own, started by exec of the same program, with its sockets at fixed
 * descriptors and under a sandbox of its own.
 */
#ifndef POSTERN_GATE_GATE_H
#define POSTERN_GATE_GATE_H

#include "config/settings.h"
#include "feed/view.h"
#include "transport/server.h"

/* --- config.c: /etc/posterngate/gate.yaml --- */

#define GATE_CONFIG_FILE "/etc/posterngate/gate.yaml"
enum {
    GATE_LISTEN_MAX = 8,
    GATE_HOST_KEYS_MAX = 4,
    GATE_PROXIES_MAX = 32,
    GATE_WORKERS_MAX = 64,
};

struct gate_config {
    struct settings settings;
    char *listen[GATE_LISTEN_MAX]; /* "0.0.0.0:22", "[::]:22" */
    size_t listen_count;
    char *host_keys[GATE_HOST_KEYS_MAX]; /* private key files; KEY-cert.pub beside each is shown
                                            when it is there */
    size_t host_key_count;
    char *state_dir;  /* postern-host's, where its feed socket is */
    char *user;       /* whom relay, keys and names run as */
    uint32_t workers; /* 0: one for each processor */

    uint32_t sessions_max; /* connections of any state */
    uint32_t sessions_per_account_max;
    uint32_t sessions_per_address_max;
    uint32_t logins_max;         /* connections that are not authenticated yet */
    uint32_t login_failures_max; /* of one address, or one account, in ten minutes; then each
                                    further login is delayed, and refused past twice that */
    uint32_t channels_max;       /* of one session */
    uint32_t session_bytes_max;  /* what clients may have sent that targets have not taken, of one
                                    session; up to 1 MiB more waits for a slow client itself */

    /* In a minute; 0: no limit. */
    uint32_t logins_per_minute_max;      /* of one account, that succeed */
    uint32_t connections_per_minute_max; /* of one address */
    uint32_t channels_per_minute_max;    /* that one session asks for */

    int64_t login_s;        /* to authenticate */
    int64_t idle_s;         /* no channel and no data; 0: no limit */
    int64_t session_s;      /* in total; 0: no limit */
    int64_t keepalive_s;    /* how often a silent peer is asked; 0: never */
    uint32_t keepalive_max; /* questions without an answer until it is cut */
    int64_t connect_s;      /* to resolve and to connect to a destination */
    int64_t drain_s;        /* after SIGTERM; 0: as long as it takes */

    bool enrolment;   /* passwords are taken, for what the enrolment window is for; ssh-copy-id
                         registers keys */
    bool cut_expired; /* sessions whose certificate or key expires: cut, or let run */
    bool best_effort;
    int64_t max_age_s;

    char *proxies[GATE_PROXIES_MAX]; /* subnets whose connections begin with a PROXY v2 header */
    size_t proxy_count;
    struct subnet_list proxy_subnets; /* the same, parsed */

    char *metrics_listen;                             /* "127.0.0.1:9422"; NULL: none */
    char *kex, *ciphers, *macs, *host_key_algorithms; /* NULL: the defaults */
    uint64_t rekey_bytes;
    int64_t rekey_s;
};

/* As config_load() of postern-host: every error is told. */
err_t gate_config_load(const char *path, settings_complain *complain, void *context,
                       struct gate_config *out);
/* The same from a text, for the relay, which reads no file. */
err_t gate_config_parse(span_t text, settings_complain *complain, void *context,
                        struct gate_config *out);
void gate_config_done(struct gate_config *config);

/* --- counters.c: numbers for /metrics, in memory that relay writes and names reads --- */

/* X(name, kind, help): kind is counter or gauge. Every worker has its own; a reader adds them up.
 */
#define GATE_COUNTER_LIST(X)                                                                       \
    X(connections_total, counter, "Connections accepted")                                          \
    X(connections_refused_total, counter, "Connections refused before SSH: limits, PROXY header")  \
    X(sessions, gauge, "Sessions open, authenticated or not")                                      \
    X(sessions_authenticated, gauge, "Sessions authenticated")                                     \
    X(logins_total, counter, "Logins allowed")                                                     \
    X(login_failures_total, counter, "Logins refused")                                             \
    X(handshake_failures_total, counter, "Sessions that ended before authentication")              \
    X(sessions_cut_total, counter, "Sessions ended by policy: revocation, expiry, membership")     \
    X(channels, gauge, "Channels open")                                                            \
    X(channels_total, counter, "Channels opened")                                                  \
    X(channels_refused_total, counter, "Channels refused by policy or limit")                      \
    X(channels_failed_total, counter, "Channels whose destination could not be reached")           \
    X(bytes_from_clients_total, counter, "Bytes read from clients")                                \
    X(bytes_to_clients_total, counter, "Bytes written to clients")                                 \
    X(rekeys_total, counter, "Key exchanges after the first")                                      \
    X(held_bytes, gauge, "Memory held for data that a slow reader has not taken")                  \
    X(events_dropped_total, counter, "Events that the audit log will lack")                        \
    X(loop_lag_us, gauge, "Longest turn of a worker's loop in the last second, microseconds")

struct gate_counters {
#define GATE_COUNTER_FIELD(name, kind, help) _Atomic uint64_t name;
    GATE_COUNTER_LIST(GATE_COUNTER_FIELD)
#undef GATE_COUNTER_FIELD
} __attribute__((aligned(64)));
struct gate_shared {
    struct gate_counters workers[GATE_WORKERS_MAX];
    _Atomic uint64_t feed_revision;
    _Atomic int64_t feed_synced_at;
    _Atomic uint32_t draining; /* 1: no new connections */
};

/* --- the wire between a worker and `names`, one stream socket for each worker --- */

/*
 * Request:  uint32 length · uint32 id · string name.
 * Answer:   uint32 length · uint32 id · byte status (0: found) · then for each address
 *           byte 4 or 6 · 4 or 16 bytes. In any order; at most GATE_ADDRESSES_MAX.
 */
enum { GATE_ADDRESSES_MAX = 8, GATE_NAMES_MESSAGE_BYTES = 512 };
enum gate_names_status { GATE_NAMES_FOUND = 0, GATE_NAMES_NOT_FOUND = 1, GATE_NAMES_TRY_AGAIN = 2 };

/* A worker and `keys` speak the agent protocol (ssh/agent.h), SIGN_REQUEST alone; answers come in
 * the order of the requests. */

/* --- relay.c: the workers --- */

/* What the workers are made of; all of it is handed over. */
struct relay_wiring {
    const int *listeners; /* bound and listening, non-blocking, shared by the workers */
    size_t listener_count;
    unsigned workers;
    const int *keys, *names;    /* a socket for each worker */
    struct gate_shared *shared; /* outlives the relay */
};

/* Host keys and configuration that sessions begun from now on use; those that live keep theirs. */
struct relay_setup;
/* `config` and the keys are handed over, also on failure. */
err_t relay_setup_new(struct gate_config *config, struct key **host_keys, struct cert **host_certs,
                      size_t host_key_count, struct relay_setup **out, struct fault *fault);
void relay_setup_release(struct relay_setup *setup);

struct relay;
err_t relay_new(const struct relay_wiring *wiring, struct relay_setup *setup, struct relay **out);
/* Starts the workers' threads. They inherit what the calling thread may do. relay_apply() is good
 * before it as well: a relay that starts with a feed refuses nobody for the lack of one. */
err_t relay_start(struct relay *relay);
void relay_set_setup(struct relay *relay, struct relay_setup *setup);
/*
 * `keys` or `names` died and was started anew: a socket for each worker, handed over, also on
 * failure. When such a socket ends, nothing else does: what was asked of it fails, and so does what
 * is asked until the new one is here.
 */
err_t relay_set_keys(struct relay *relay, const int *keys);
err_t relay_set_names(struct relay *relay, const int *names);
/* The same for the sockets of feed/uplink.h, of which there may be none: nothing can be asked of
 * the authority then, nor told. */
err_t relay_set_uplinks(struct relay *relay, const int *uplinks);
/* The feed's news, from the thread that reads it: the sessions whose right ended are cut. */
err_t relay_apply(struct relay *relay, const struct change_answer *answer, int64_t synced_at);
/* Accepts nobody any more; sessions go on. */
void relay_drain(struct relay *relay);
size_t relay_sessions(const struct relay *relay);
/* Ends every session with this text, and the threads. */
void relay_stop(struct relay *relay, const char *text);
void relay_free(struct relay *relay);

#endif
