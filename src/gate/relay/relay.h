/*
 * The relay's own: what its workers share, what a worker is, a session, a forwarding. Who outside
 * looks for the relay finds it in gate.h.
 *
 * A worker is a thread with an epoll loop, and owns its sessions wholly: no lock guards them, and
 * nobody else touches them. A turn of the loop is: the kernel's flags are set, with nothing done
 * yet; then everything that is ready gets its share of work; then what ended is freed. So a pointer
 * that a turn began with is good until its end.
 *
 *   relay_worker.c   the loop: accepting, waking, the sweep each second
 *   session.c  a client's connection: reading, what the server's events mean, writing, ending
 *   session_sweep.c  what time alone does to it
 *   login.c    authentication
 *   open.c     a channel's way to its target: policy, name, address, connection
 *   forward.c  bytes between client and target
 *   ask.c      questions to `keys` and `names`
 *   ask_uplink.c   questions to the authority, and what it is told
 *   enrol.c    registering keys, as ssh-copy-id wants it
 *   judge.c    policy over sessions that live
 *   record.c   the session log
 *   tell.c     what the authority is told of sessions that live, and its order to end one
 *
 * Buffers are the worker's. A session owns memory only for what it could not send and for a packet
 * that has not come whole; a channel only for what its target has not taken.
 */
#ifndef POSTERN_GATE_RELAY_H
#define POSTERN_GATE_RELAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/rate.h"
#include "feed/uplink.h"
#include "gate/gate.h"
#include "gate/relay/certified.h"
#include "gate/relay/held.h"
#include "gate/relay/quota.h"
#include "gate/relay/window.h"
#include "net/poller.h"
#include "net/proxy_protocol.h"
#include "net/socket.h"

enum {
    RELAY_READ_BYTES = 256 * 1024,   /* from a client at once */
    RELAY_TURN_BYTES = 256 * 1024,   /* to a client in one turn */
    RELAY_UNSENT_BYTES = 512 * 1024, /* beyond that a client is not read from either */
    RELAY_GATHER_COUNT = 64,
    RELAY_SWEEP_MS = 1000,
    RELAY_REFUSALS_COUNT = 20,   /* of a kind, that each worker tells the log of in a second */
    RELAY_EVENTS_COUNT = 2,      /* refusals that each worker tells the audit log of in a second */
    RELAY_SILENT_MS = 10 * 1000, /* of a login, while others wait for its place */
    RELAY_TELL_BYTES_MS =
        60 * 1000,          /* between two tellings of how many bytes a session has moved */
    RELAY_LINGER_MS = 2000, /* for the last words to reach the client, or the target */
    RELAY_PACKET_BYTES = LIMIT_PACKET_DATA_BYTES,
    RELAY_QUICK_COUNT = 32, /* reads of a new session or channel that are acknowledged at once */
};

/* What a poller_source is embedded in; it is the first member of each. */
enum source_kind {
    SOURCE_WAKE,
    SOURCE_LISTENER,
    SOURCE_KEYS,
    SOURCE_NAMES,
    SOURCE_UPLINK,
    SOURCE_CLIENT,
    SOURCE_TARGET,
};

struct relay_setup {
    _Atomic size_t references;
    struct gate_config config;
    struct key **host_keys;
    struct cert **host_certs;
    size_t host_key_count;
    struct transport_host_key *shown;
    struct server_config server;
    struct view_rules rules;
    struct quota_limits limits;
};

struct relay {
    struct gate_shared *shared;
    pthread_rwlock_t policy; /* guards view */
    struct view *view;
    struct quota *quota;
    struct certified *certified;
    pthread_mutex_t setup_mutex; /* guards which setup is the present one */
    struct relay_setup *setup;
    _Atomic size_t sessions;
    _Atomic size_t logins;          /* sessions that are not authenticated yet */
    _Atomic int64_t crowded_ms;     /* when these last were too many to let another in */
    int64_t pruned_at;              /* the feed thread's: when the view was last pruned */
    _Atomic uint64_t judgements;    /* how often all sessions were to be judged */
    _Atomic(const char *) farewell; /* set: every session ends with this text */
    _Atomic bool draining;
    int listeners[GATE_LISTEN_MAX];
    size_t listener_count;
    _Atomic unsigned listening; /* workers that have not looked away from the listeners yet */
    unsigned started;           /* how many threads run */
    unsigned worker_count;
    struct relay_worker **workers;
};

/* When no worker looks at them any more. */
void relay_close_listeners(struct relay *relay);

/* The setup of today, referenced. */
struct relay_setup *relay_setup_now(struct relay *relay);

/* --- questions to other processes (ask.c) --- */

struct relay_session;
struct forward;

enum asked { ASKED_KEYS, ASKED_NAMES, ASKED_UPLINK, ASKED_COUNT };

/* One socket: what is to be written and what came of an answer. */
struct ask {
    struct poller_source source; /* fd -1: the process is away */
    struct held output, input;
    size_t held_bytes;
};

/* A signature that somebody waits for. The answers come in the order of the questions, so one whose
 * session ended keeps its place. */
struct sign_wait {
    STAILQ_ENTRY(sign_wait) next;
    struct relay_session *session; /* NULL: it ended */
};

/* A question to `names`; which slot it is in is its id on the wire. The slot is taken until the
 * answer comes, also when nobody waits for it any more: so no answer reaches another. */
struct name_slot {
    bool asked;
    struct forward *forward; /* NULL: its session ended */
};

/* A question to the authority that somebody waits for. */
struct uplink_wait {
    TAILQ_ENTRY(uplink_wait) next;
    uint32_t id;
    struct relay_session *session; /* whose password it is, or … */
    struct forward *forward;       /* … who brought keys */
};

/* --- a worker --- */

/* Lines of one event that the log hears some of in a second: who tries without end must not drown
 * what else is told. */
struct thinned {
    int64_t began_ms; /* the second */
    uint32_t told;    /* in it */
    uint64_t untold;  /* since the last line, which the next one tells */
};

struct arrival {
    struct arrival *next;
    int fd;
    struct inet_address from;
    uint16_t port;
};

/* Data of one channel, collected in the reading buffer to be written at once. */
struct gather {
    struct forward *forward;
    struct iovec parts[RELAY_GATHER_COUNT];
    size_t count, bytes;
};

struct relay_worker {
    struct relay *relay;
    unsigned index;
    pthread_t thread;
    struct gate_counters *counters;

    struct poller *poller;
    struct poller_source wake;
    struct poller_source listeners[GATE_LISTEN_MAX];
    size_t listener_count;

    struct ask keys, names, uplink;
    TAILQ_HEAD(, uplink_wait) uplink_waits;
    uint32_t uplink_turn; /* the next id */
    STAILQ_HEAD(, sign_wait) signing;
    struct name_slot *slots; /* LIMIT_NAMES_ASKED_COUNT */

    uint8_t *input; /* LIMIT_PACKET_BYTES for what was left over, and room to read */
    size_t input_size;
    struct buf output; /* of whichever session has its turn; empty between */
    struct gather gather;
    struct cert_memo *memo;

    TAILQ_HEAD(, relay_session) sessions;
    TAILQ_HEAD(run_list, relay_session) running; /* have something to do */
    TAILQ_HEAD(, relay_session) dead;            /* freed at the end of the turn */

    int64_t now_ms, now_s; /* of this turn */
    int64_t sweep_ms;      /* when the next is due */
    int64_t accept_ms;     /* not before that */
    uint64_t judged;       /* relay.judgements that were obeyed */
    bool said_farewell;
    int64_t stop_ms; /* when a farewell is over, with or without the clients */
    size_t held_bytes;
    uint64_t turn_us_max;
    bool trim; /* memory was given back since the last one */
    int64_t trim_ms;

    bool tell_anew; /* of all sessions, from the next sweep on */

    struct thinned arrivals_refused, logins_refused, channels_refused, events;

    /* What others may touch. */
    pthread_mutex_t mailbox; /* guards arrivals, cuts and new_sockets */
    struct arrival *arrivals;
    struct cut *cuts;
    int new_sockets[ASKED_COUNT]; /* -1: none */
    _Atomic size_t load;          /* sessions here or on their way here */
};

void relay_worker_wake(struct relay_worker *worker);
err_t relay_worker_new(struct relay *relay, unsigned index, const struct relay_wiring *wiring,
                       struct relay_worker **out);
void relay_worker_free(struct relay_worker *worker);
void *relay_worker_main(void *worker);

/* Each worker is the only writer of its counters, so no bus lock is needed. */
#define COUNT(worker, name, change)                                                                \
    do {                                                                                           \
        _Atomic uint64_t *count_ = &(worker)->counters->name;                                      \
        atomic_store_explicit(count_,                                                              \
                              atomic_load_explicit(count_, memory_order_relaxed) +                 \
                                  (uint64_t)(int64_t)(change),                                     \
                              memory_order_relaxed);                                               \
    } while (0)

/* --- a session --- */

enum session_phase {
    SESSION_PROXY, /* a balancer's header is awaited */
    SESSION_LOGIN,
    SESSION_OPEN,
    SESSION_ENDING, /* its last words are under way */
    SESSION_DEAD,
};

/* Who was let in, by what. */
struct identity {
    char user[LIMIT_ACCOUNT_NAME_CHARS + 1];
    char fingerprint[FINGERPRINT_CHARS];    /* of the key */
    char ca_fingerprint[FINGERPRINT_CHARS]; /* "": a registered key */
    uint64_t serial;
    int64_t expires_at; /* 0: never */
    bool may_forward;
    bool restricted; /* by an option of the certificate: it must not beget what is not */
    bool by_window;  /* by a password, to register keys and for nothing else: */
    secret_t token;  /* what the authority knows that by */
    bool stale;      /* let in while the authority was away */
    char *key_id;    /* of a certificate */
    struct cluster_list *within; /* that it is bound to; NULL: none in particular */
    uint8_t *key_blob;           /* of a registered key */
    size_t key_blob_len;
};

struct relay_session {
    struct poller_source source;
    struct relay_worker *worker;
    TAILQ_ENTRY(relay_session) of_worker, of_running;
    bool runs; /* on the list `running` */
    enum session_phase phase;
    bool waits;     /* for a signature or a delayed answer: its input stays where it is */
    bool input_due; /* there may be whole packets in `input` */
    bool told;      /* the user has read why something was refused */
    bool alone;     /* a key was offered without a certificate, and refused */
    uint16_t quick; /* so many more reads are acknowledged at once, if not by an answer */
    bool ack_due;   /* in this turn */
    bool counted;   /* by the quota of its address */

    struct relay_setup *setup;
    struct server *server;
    struct held input, output;
    struct sign_wait *signing;
    struct uplink_wait *asking; /* about a password */
    int64_t asked_ms;           /* when it came */
    const char *advice;         /* static: to be told with the delayed refusal */

    struct inet_address from;
    uint16_t from_port;
    uint32_t refusals;                        /* of authentication */
    bool failure_counted;                     /* one of them, by the quota */
    struct identity *who;                     /* once authenticated */
    char tried[LIMIT_ACCOUNT_NAME_CHARS + 1]; /* the last user name that was refused */

    struct forward **channels; /* by channel_id */
    size_t channel_slots;
    size_t channel_count;
    struct rate asked;            /* for channels */
    bool asked_too_often;         /* and the log was told */
    TAILQ_HEAD(, forward) active; /* may have bytes to move */
    bool drain_due;               /* one of them may move them without speaking to the client */
    TAILQ_HEAD(, forward) parted; /* closed towards the client, not yet towards the target */
    struct window_budget budget;

    char id[UPLINK_SESSION_ID_CHARS + 1]; /* for the authority; "": none yet */
    bool known;                           /* it has heard of it, through who listens now */
    bool tell_due;                        /* it, or where it leads, is not what was told */
    int64_t told_ms;
    uint64_t told_bytes;

    int64_t began_ms, heard_ms, active_ms;
    int64_t deadline_ms; /* of the login, or of the last words */
    int64_t answer_ms;   /* when a delayed refusal is due; 0: none */
    int64_t pinged_ms;
    uint32_t pings;
    uint64_t bytes_in, bytes_out;
    const char *why; /* it ended; static */
    bool cut;        /* by policy */
};

/* session.c */
err_t session_begin(struct relay_worker *worker, int fd, const struct inet_address *from,
                    uint16_t port);
/* Its share of a turn; it puts itself on the running list again when there is more. */
void session_turn(struct relay_session *session);
void session_schedule(struct relay_session *session);
/*
 * What everything outside of session_turn() that speaks to a session ends with: the error, if there
 * is one, ends it, and what was said is sent.
 */
void session_settle(struct relay_session *session, err_t err);
/* Says why to the client, and to the log in one word. */
void session_end(struct relay_session *session, enum disconnect_reason reason, const char *why,
                 const char *text);
/* Nothing more can be said to it. */
void session_abandon(struct relay_session *session, const char *why);
void session_free(struct relay_session *session); /* a dead one */

/* session_sweep.c: once a second. */
void session_sweep(struct relay_session *session);

/* login.c */
err_t login_event(struct relay_session *session, const struct server_event *event);
/* What the authority says of a password; status as in feed/uplink.h. */
err_t login_answered(struct relay_session *session, unsigned status, span_t body);
/* The delayed refusal is due. */
err_t login_refuse_now(struct relay_session *session);
/* The session ended without an authentication. */
void login_given_up(struct relay_session *session);
void identity_free(struct identity *who);

/* --- a channel that is forwarded, or has no target as yet --- */

enum forward_state {
    FORWARD_RESOLVING,
    FORWARD_CONNECTING,
    FORWARD_OPEN,
    FORWARD_CLOSED, /* CLOSE is sent; the number is not free yet */
    FORWARD_PARTED,
    FORWARD_GREETING, /* a session channel, which has no target */
    FORWARD_KEYS,     /* one on which public keys come, in `held` */
};

/* A channel on its way to its target. */
struct opening {
    uint32_t name_id; /* while RESOLVING */
    int64_t deadline_ms;
    bool forbidden; /* an address was, by policy */
    err_t failure;  /* of the last attempt */
    size_t address_count, next;
    struct inet_address addresses[GATE_ADDRESSES_MAX];
};

/* Keys on their way to the authority. */
struct enrolment {
    struct uplink_wait *asking; /* NULL while they come */
    bool has_pty;
    int64_t deadline_ms;
};

struct forward {
    struct poller_source source; /* the target; fd -1: none */
    struct relay_session *session;
    TAILQ_ENTRY(forward) of_active, of_parted;
    bool is_active;
    channel_id id;
    enum forward_state state;
    bool client_ended; /* the client's EOF came */
    bool target_ended; /* the target's EOF was passed on */
    bool finished;     /* our EOF went to the target, or it takes no more */
    bool deaf;         /* writing failed: what comes for it is dropped */
    struct held held;  /* for the target */
    struct window window;
    uint64_t bytes_in, bytes_out; /* from and to the client */
    int64_t began_ms;
    int64_t deadline_ms; /* of PARTED */
    bool counted;        /* it was open once */
    uint16_t quick;      /* as the session's */
    struct inet_address address;
    struct opening *opening;
    struct enrolment *enrolment; /* while KEYS */
    uint16_t port;
    uint16_t asked_port; /* as the client wrote it, as the next; by a job's name it is another */
    int64_t ends_at;     /* when the job that opens it ends; 0: never */
    char *host;
    char *cluster; /* where policy found it, … */
    char *entry;   /* … and what the entry said to resolve */
};

/* open.c */
err_t open_direct(struct relay_session *session, const struct server_event *event);
err_t open_greeting(struct relay_session *session, const struct server_event *event);
/* The target's socket is ready, while CONNECTING. */
err_t open_step(struct forward *forward);
/* What `names` answered. */
err_t open_resolved(struct forward *forward, enum gate_names_status status,
                    const struct inet_address *addresses, size_t count);
/* Gives up what took too long. */
err_t open_sweep(struct forward *forward);
/* Policy changed meanwhile. */
err_t open_forbid(struct forward *forward);

/* forward.c */
err_t forward_new(struct relay_session *session, channel_id id, struct forward **out);
void forward_activate(struct forward *forward);
err_t forward_event(struct relay_session *session, const struct server_event *event);
/* What the client may be sent goes out: nothing is held for it, and no exchange is going on. */
bool forward_may_speak(const struct relay_session *session);
/* Moves bytes, one packet at a time from each channel in turn, as far as this turn goes. */
err_t forward_run(struct relay_session *session);
/* Writes what was gathered. */
err_t forward_flush(struct relay_worker *worker);
/* Towards the client, by us. `why` is for the log. */
err_t forward_close(struct forward *forward, const char *why);
/* Drops it without a word, as its session has ended. */
void forward_drop(struct forward *forward, const char *why);
void forward_drop_all(struct relay_session *session, const char *why);
err_t forward_sweep(struct relay_session *session);

/* ask.c */
err_t ask_sign(struct relay_session *session, const struct server_event *event);
void ask_sign_forget(struct relay_session *session);
err_t ask_name(struct forward *forward, const char *name);
void ask_name_forget(struct forward *forward);
/* One frame on its way; ERR_CLOSED: the process is away. */
err_t ask_send(struct ask *ask, const struct buf *question);
/* A socket is ready. */
void ask_ready(struct relay_worker *worker, struct ask *ask);
/* The process is away, or a new one is here: whoever waits is told, and the socket is `fd`. */
void ask_replace(struct relay_worker *worker, struct ask *ask, enum source_kind kind, int fd);

/* ask_uplink.c */
/* `body` is sent, and the answer goes to login_answered() or enrol_answered(): just one of session
 * and forward. ERR_CLOSED: nobody is there to ask. */
err_t ask_uplink(struct relay_worker *worker, enum uplink_call call, const struct buf *body,
                 struct relay_session *session, struct forward *forward);
/* Nobody waits for it any more. Takes NULL. */
void ask_uplink_forget(struct relay_worker *worker, struct uplink_wait *wait);
/* For the audit log; dropped, and counted, when nobody takes it. */
void ask_uplink_tell(struct relay_worker *worker, const struct uplink_event *event);
/* What has no answer. ERR_CLOSED: nobody is there; ERR_TOO_LONG: nobody takes it. */
err_t ask_uplink_put(struct relay_worker *worker, enum uplink_call call, const struct buf *body);
/* For ask.c: an answer off the front of the stream; and everybody who waits is told that there is
 * none. */
err_t ask_uplink_take(struct relay_worker *worker, span_t *stream);
void ask_uplink_fail_all(struct relay_worker *worker);

/* enrol.c: the one command that a session may run, and what comes on its channel. */
err_t enrol_exec(struct relay_session *session, const struct server_event *event);
err_t enrol_data(struct forward *forward, span_t data);
/* All keys are here. */
err_t enrol_ask(struct forward *forward);
err_t enrol_answered(struct forward *forward, unsigned status, span_t body);
/* Gives up what took too long. */
err_t enrol_sweep(struct forward *forward);
/* The channel ends. */
void enrol_forget(struct forward *forward);

/* judge.c */
/* All sessions of the worker, after somebody lost a right. */
void judge_all(struct relay_worker *worker);
/* One, as its credential ended. */
void judge_session(struct relay_session *session);
/* Its channels whose job has ended, by time alone: nobody may be there to tell of it. */
err_t judge_ended_channels(struct relay_session *session);
/* The question where this session may go. */
struct view_asked judge_asked(const struct relay_session *session, span_t host, uint16_t port);

/* greeting.c: what `ssh ela` prints. */
err_t greeting_write(struct relay_session *session, bool terminal, struct buf *text);
/* "daint, santis" */
err_t greeting_clusters(struct relay *relay, const struct identity *who, struct buf *text);

/* tell.c */
/* Somebody was let in, or a channel opened or closed: told with the next sweep. */
void tell_later(struct relay_session *session);
/* Once a second: the worker's own, and then each of its open sessions. */
void tell_begin_sweep(struct relay_worker *worker);
void tell_sweep(struct relay_session *session);
void tell_ended(struct relay_session *session);
/* Whoever listens is to forget what was told of the worker's sessions, and hear of all of them. */
void tell_anew(struct relay_worker *worker);
/* Ends those that the authority ordered to. */
struct cut;
void tell_obey(struct relay_worker *worker, const struct cut *cuts);
void tell_cuts_free(struct cut *cuts);
/* For any thread: has the worker end the session of that id, if it is one of its own. */
err_t tell_cut(struct relay_worker *worker, const char *id);

/* record.c: the session log, and nothing else writes of sessions. Refusals are thinned. */
void record_opened(const struct relay_session *session);
void record_closed(const struct relay_session *session);
/* The key is the one that was tried, or NULL. `why` is one word, `detail` may be NULL. */
void record_login_refused(const struct relay_session *session, const char *user,
                          const struct key *key, const struct cert *cert, const char *why);
void record_arrival_refused(struct relay_worker *worker, const struct inet_address *from,
                            const char *why);
void record_channel_opened(const struct forward *forward);
void record_channel_refused(const struct relay_session *session, span_t host, uint16_t port,
                            const char *why);
void record_channel_closed(const struct forward *forward, const char *why);

#endif
