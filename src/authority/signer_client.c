/*
 * 1. `pending` holds, in order, who waits for an answer on the present connection; when that ends,
 *    all of them are told ERR_CLOSED, so nobody waits for ever.
 * 2. fd is -1 exactly while `retry` runs.
 * 3. `patience` runs while anything is pending, and perhaps a while longer.
 */
#include "authority/signer_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "authority/ca_files.h"
#include "authority/signer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "ssh/agent.h"

enum {
    PENDING_COUNT = 16384, /* a power of two */
    OUTPUT_BYTES_MAX = 64 * 1024 * 1024,
    START_MS = 10000,
    RETRY_MS_MIN = 100,
    RETRY_MS_MAX = 10000,
};

struct pending {
    void (*done)(void *context, err_t err, span_t signature);
    void *context;
};

struct signer_client {
    struct loop *loop;
    char *directory;
    char *agent_socket;
    struct key *keys[CERT_HOST + 1][CA_KEYS_COUNT];
    size_t key_counts[CERT_HOST + 1];
    char fingerprints[CERT_HOST + 1][FINGERPRINT_CHARS];
    int fd;
    pid_t pid;
    struct watch *watch;
    bool writing; /* the watch waits for room to write */
    struct timer *retry;
    int retry_ms;
    struct timer *patience;
    int answer_ms;
    int64_t turn_ms; /* when the oldest request came to be the oldest */
    struct buf output;
    size_t output_sent;
    uint8_t *input;
    size_t input_len;
    struct pending pending[PENDING_COUNT];
    size_t pending_first, pending_count;
    struct signer_counts counts;
};

/* ---- the process or the agent ------------------------------------------------------------ */

static err_t spawn(const char *directory, int *fd, pid_t *pid) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return err_from_errno(errno);
    }
    pid_t child = fork();
    if (child < 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return err_from_errno(errno);
    }
    if (child == 0) {
        /* Only async-signal-safe calls: the parent has threads. dup2() onto itself would keep
         * close-on-exec, hence the detour. */
        char *const arguments[] = {(char[]){"posternd"}, (char[]){"signer"},
                                   (char *)(uintptr_t)directory, NULL};
        char *const environment[] = {NULL};
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        int high = fcntl(pair[1], F_DUPFD, SIGNER_FD + 1);
        if (high < 0 || dup2(high, SIGNER_FD) < 0 ||
            close_range((unsigned)SIGNER_FD + 1, ~0U, 0) != 0) {
            _exit(127);
        }
        (void)execve("/proc/self/exe", arguments, environment);
        _exit(127);
    }
    (void)close(pair[1]);
    *fd = pair[0];
    *pid = child;
    return OK;
}

static err_t dial(const char *path, int *fd) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    /* Not blocking: an agent that hangs does not accept, and its backlog fills with our tries. */
    int made CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0 || connect(made, (const struct sockaddr *)&address, sizeof address) != 0) {
        return FAIL(ERR_CONNECT);
    }
    *fd = made;
    made = -1;
    return OK;
}

static err_t open_connection(struct signer_client *client) {
    if (client->directory != NULL) {
        TRY(spawn(client->directory, &client->fd, &client->pid));
    } else {
        TRY(dial(client->agent_socket, &client->fd));
    }
    (void)fcntl(client->fd, F_SETFL, O_NONBLOCK);
    int bytes = 1024 * 1024; /* a batch of requests goes in one write */
    (void)setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return OK;
}

static void close_connection(struct signer_client *client) {
    watch_stop(TAKE(client->watch));
    timer_stop(TAKE(client->patience));
    fd_closep(&client->fd);
    client->counts.up = false;
    client->writing = false;
    client->input_len = client->output_sent = 0;
    buf_clear(&client->output);
    if (client->pid > 0) {
        (void)kill(client->pid, SIGKILL);
        (void)waitpid(client->pid, NULL, 0);
        client->pid = 0;
    }
}

static void fail_pending(struct signer_client *client) {
    size_t count = client->pending_count;
    for (size_t i = 0; i < count; i++) {
        struct pending pending = client->pending[client->pending_first++ % PENDING_COUNT];
        client->pending_count--;
        pending.done(pending.context, FAIL(ERR_CLOSED), span_of(NULL, 0));
    }
}

static void on_retry(void *context);
static void on_ready(void *context, bool readable, bool writable);

static void schedule_retry(struct signer_client *client) {
    client->retry_ms = client->retry_ms == 0                 ? RETRY_MS_MIN
                       : client->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX
                                                             : client->retry_ms * 2;
    if (failed(timer_start(client->loop, client->retry_ms, 0, on_retry, client, &client->retry))) {
        log_event(LOG_LEVEL_ERROR, "signer_not_restarted", NULL);
    }
}

static void lose(struct signer_client *client, err_t err) {
    log_error("signer_lost", err, NULL);
    close_connection(client);
    fail_pending(client);
    schedule_retry(client);
}

/* The time is that of the oldest: a long queue may take longer, as long as it moves. */
static void on_patience(void *context) {
    struct signer_client *client = context;
    timer_stop(TAKE(client->patience));
    if (client->pending_count == 0) {
        return;
    }
    int64_t left = client->turn_ms + client->answer_ms - clock_monotonic_ms();
    if (left <= 0) {
        lose(client, FAIL(ERR_TIMEOUT));
        return;
    }
    err_t err = timer_start(client->loop, (int)left, 0, on_patience, client, &client->patience);
    if (failed(err)) {
        lose(client, err);
    }
}

static err_t begin(struct signer_client *client) {
    TRY(watch_start(client->loop, client->fd, true, false, on_ready, client, &client->watch));
    client->counts.up = true;
    return OK;
}

static void on_retry(void *context) {
    struct signer_client *client = context;
    timer_stop(TAKE(client->retry));
    client->counts.restarts++;
    err_t err = open_connection(client);
    if (!failed(err)) {
        err = begin(client);
    }
    if (failed(err)) {
        log_error("signer_restart_failed", err, NULL);
        close_connection(client);
        schedule_retry(client);
        return;
    }
    log_event(LOG_LEVEL_INFO, "signer_restarted", NULL);
}

/* ---- questions and answers --------------------------------------------------------------- */

static err_t flush(struct signer_client *client) {
    while (client->output_sent < client->output.len) {
        ssize_t sent = send(client->fd, client->output.data + client->output_sent,
                            client->output.len - client->output_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            return OK;
        }
        if (sent < 0) {
            return err_from_errno(errno);
        }
        client->output_sent += (size_t)sent;
    }
    buf_clear(&client->output);
    client->output_sent = 0;
    client->writing = false;
    return watch_change(client->watch, true, false);
}

static void answer_first(struct signer_client *client, span_t message) {
    struct pending pending = client->pending[client->pending_first++ % PENDING_COUNT];
    client->pending_count--;
    client->turn_ms = clock_monotonic_ms();
    span_t signature = span_of(NULL, 0);
    err_t err = agent_get_sign_response(message, &signature);
    if (failed(err)) {
        client->counts.refusals++;
    } else {
        client->counts.signatures++;
        client->retry_ms = 0;
    }
    pending.done(pending.context, err, signature);
}

static err_t receive(struct signer_client *client) {
    ssize_t got = recv(client->fd, client->input + client->input_len,
                       2 * LIMIT_AGENT_MESSAGE_BYTES - client->input_len, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return OK;
    }
    if (got <= 0) {
        return got == 0 ? FAIL(ERR_CLOSED) : err_from_errno(errno);
    }
    client->input_len += (size_t)got;
    span_t stream = span_of(client->input, client->input_len), message;
    err_t err;
    while (!failed(err = agent_get_frame(&stream, &message))) {
        if (client->pending_count == 0) {
            return FAIL(ERR_PROTOCOL);
        }
        answer_first(client, message);
    }
    client->input_len = stream.len;
    memmove(client->input, stream.data, stream.len);
    return err.code == ERR_TRUNCATED ? OK : err;
}

static void on_ready(void *context, bool readable, bool writable) {
    struct signer_client *client = context;
    err_t err = writable ? flush(client) : OK;
    if (!failed(err) && readable) {
        err = receive(client);
    }
    if (failed(err)) {
        lose(client, err);
    }
}

void signer_client_sign(struct signer_client *client, enum cert_type type, span_t tbs,
                        void (*done)(void *context, err_t err, span_t signature), void *context) {
    const struct key *key = client->keys[type][0];
    if (client->fd < 0 || client->pending_count == PENDING_COUNT ||
        failed(agent_put_sign_request(&client->output, key_blob(key), tbs,
                                      key_type(key) == KEY_RSA ? AGENT_RSA_SHA2_512 : 0))) {
        done(context, FAIL(ERR_CLOSED), span_of(NULL, 0));
        return;
    }
    client->pending[(client->pending_first + client->pending_count++) % PENDING_COUNT] =
        (struct pending){done, context};
    if (client->pending_count == 1) {
        client->turn_ms = clock_monotonic_ms();
    }
    err_t err = OK;
    if (client->patience == NULL) {
        err =
            timer_start(client->loop, client->answer_ms, 0, on_patience, client, &client->patience);
    }
    if (!failed(err) && !client->writing) {
        client->writing = true;
        err = watch_change(client->watch, true, true);
    }
    if (failed(err)) {
        lose(client, err);
    }
}

/* ---- the start --------------------------------------------------------------------------- */

/* user_… and host_… are the names of the key files, and by convention the comments in an agent. */
static err_t on_identity(void *context, span_t blob, span_t comment) {
    struct signer_client *client = context;
    enum cert_type type;
    if (comment.len >= 4 && memcmp(comment.data, "user", 4) == 0) {
        type = CERT_USER;
    } else if (comment.len >= 4 && memcmp(comment.data, "host", 4) == 0) {
        type = CERT_HOST;
    } else {
        return OK;
    }
    size_t count = client->key_counts[type];
    if (count == CA_KEYS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(key_parse(blob, &client->keys[type][count]));
    client->key_counts[type]++;
    return OK;
}

/* Blocking, before the loop runs. */
static err_t learn_keys(struct signer_client *client) {
    TRY(agent_put_request_identities(&client->output));
    int64_t deadline = clock_monotonic_ms() + START_MS;
    for (;;) {
        struct pollfd ready = {client->fd, POLLIN, 0};
        if (client->output.len > 0) {
            ssize_t sent = send(client->fd, client->output.data, client->output.len, MSG_NOSIGNAL);
            if (sent != (ssize_t)client->output.len) {
                return FAIL(ERR_CLOSED);
            }
            buf_clear(&client->output);
        }
        int64_t left = deadline - clock_monotonic_ms();
        if (left <= 0 || (poll(&ready, 1, (int)left) < 0 && errno != EINTR)) {
            return FAIL(ERR_TIMEOUT);
        }
        ssize_t got = recv(client->fd, client->input + client->input_len,
                           2 * LIMIT_AGENT_MESSAGE_BYTES - client->input_len, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return FAIL(ERR_CLOSED);
        }
        client->input_len += got > 0 ? (size_t)got : 0;
        span_t stream = span_of(client->input, client->input_len), message;
        err_t err = agent_get_frame(&stream, &message);
        if (err.code == ERR_TRUNCATED) {
            continue;
        }
        TRY(err);
        client->input_len = 0;
        return agent_get_identities(message, on_identity, client);
    }
}

static err_t start(struct signer_client *client, struct fault *fault) {
    const char *where = client->directory != NULL ? client->directory : client->agent_socket;
    err_t err = open_connection(client);
    if (!failed(err)) {
        err = learn_keys(client);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, "signer",
                         "%s: the signer did not start (%s); run: "
                         "posternd check",
                         where, err_text(err));
    }
    for (int type = CERT_USER; type <= CERT_HOST; type++) {
        if (client->key_counts[type] == 0) {
            return fault_set(fault, ERR_NOT_FOUND, "signer",
                             "%s has no CA key for %ss; in an agent its comment must start with "
                             "\"%s\"",
                             where, type == CERT_USER ? "user" : "host",
                             type == CERT_USER ? "user" : "host");
        }
        key_fingerprint(client->keys[type][0], client->fingerprints[type]);
    }
    return begin(client);
}

err_t signer_client_start(struct loop *loop, const struct signer_client_config *config,
                          struct signer_client **out, struct fault *fault) {
    struct signer_client *client CLEANUP(signer_client_freep) = calloc(1, sizeof *client);
    if (client == NULL) {
        return FAIL(ERR_MEMORY);
    }
    client->loop = loop;
    client->fd = -1;
    buf_init(&client->output, OUTPUT_BYTES_MAX);
    client->input = malloc(2 * LIMIT_AGENT_MESSAGE_BYTES);
    client->answer_ms = config->answer_ms > 0 ? config->answer_ms : LIMIT_SIGNER_ANSWER_S * 1000;
    client->directory = config->directory != NULL ? strdup(config->directory) : NULL;
    client->agent_socket = config->agent_socket != NULL ? strdup(config->agent_socket) : NULL;
    if (client->input == NULL || (client->directory == NULL && client->agent_socket == NULL)) {
        return FAIL(ERR_MEMORY);
    }
    TRY(start(client, fault));
    *out = TAKE(client);
    return OK;
}

void signer_client_free(struct signer_client *client) {
    if (client == NULL) {
        return;
    }
    timer_stop(client->retry);
    close_connection(client);
    fail_pending(client);
    for (int type = CERT_USER; type <= CERT_HOST; type++) {
        for (size_t i = 0; i < client->key_counts[type]; i++) {
            key_free(client->keys[type][i]);
        }
    }
    buf_done(&client->output);
    free(client->input);
    free(client->directory);
    free(client->agent_socket);
    free(client);
}

void signer_client_freep(struct signer_client **client) { signer_client_free(*client); }

struct signer_keys signer_client_keys(const struct signer_client *client, enum cert_type type) {
    return (struct signer_keys){(const struct key *const *)client->keys[type],
                                client->key_counts[type]};
}

const char *signer_client_fingerprint(const struct signer_client *client, enum cert_type type) {
    return client->fingerprints[type];
}

struct signer_counts signer_client_count(const struct signer_client *client) {
    struct signer_counts counts = client->counts;
    counts.pending = client->pending_count;
    return counts;
}

int signer_client_pid(const struct signer_client *client) { return (int)client->pid; }
