/*
 * Gates on one side, the courier on the other. Peers are this thread's alone; what the courier says
 * comes through the mailbox, whose lock is never held while anything else is called.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "host/courier.h"

enum {
    ACCEPT_PAUSE_MS = 100,
    READ_BYTES = 16 * 1024,
    INPUT_BYTES = 4 + LIMIT_UPLINK_FRAME_BYTES + READ_BYTES,
    OUTPUT_BYTES = 4 * LIMIT_UPLINK_ANSWER_BYTES, /* beyond that a peer does not read */
};

struct peer {
    uint64_t number; /* what the courier knows it by; never used again */
    int fd;
    bool cut;
    struct buf input, output;
};

struct answer {
    STAILQ_ENTRY(answer) next;
    uint64_t peer;
    struct buf frame;
};

struct uplink_server {
    pthread_t thread;
    bool started;
    int listener, wake;
    struct courier *courier;
    bool out_of_files; /* nobody is let in for ACCEPT_PAUSE_MS */
    uint64_t peers_ever;
    struct peer peers[LIMIT_UPLINK_PEERS_COUNT];
    size_t count;

    pthread_mutex_t mailbox; /* guards the next two */
    STAILQ_HEAD(, answer) answers;
    bool stopping;
};

/* --- the mailbox --- */

static void wake(struct uplink_server *server) {
    uint64_t one = 1;
    /* It can only fail by being woken already. */
    ssize_t ignored = write(server->wake, &one, sizeof one);
    (void)ignored;
}

static void answer_free(struct answer *answer) {
    buf_done(&answer->frame);
    free(answer);
}

static void on_answered(void *context, uint64_t asker, uint32_t id, unsigned status, span_t body) {
    struct uplink_server *server = context;
    struct answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL) {
        return; /* the gate does not wait for ever */
    }
    *answer = (struct answer){.peer = asker, .frame = BUF(LIMIT_UPLINK_ANSWER_BYTES + 64)};
    if (failed(uplink_put_answer(&answer->frame, id, status, body))) {
        answer_free(answer);
        return;
    }
    (void)pthread_mutex_lock(&server->mailbox);
    STAILQ_INSERT_TAIL(&server->answers, answer, next);
    (void)pthread_mutex_unlock(&server->mailbox);
    wake(server);
}

static struct answer *take_answer(struct uplink_server *server) {
    (void)pthread_mutex_lock(&server->mailbox);
    struct answer *answer = STAILQ_FIRST(&server->answers);
    if (answer != NULL) {
        STAILQ_REMOVE_HEAD(&server->answers, next);
    }
    (void)pthread_mutex_unlock(&server->mailbox);
    return answer;
}

static bool is_stopping(struct uplink_server *server) {
    (void)pthread_mutex_lock(&server->mailbox);
    bool stopping = server->stopping;
    (void)pthread_mutex_unlock(&server->mailbox);
    return stopping;
}

/* --- a peer --- */

static void send_on(struct peer *peer) {
    while (!peer->cut && peer->output.len > 0) {
        ssize_t sent =
            send(peer->fd, peer->output.data, peer->output.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            peer->output.len -= (size_t)sent;
            memmove(peer->output.data, peer->output.data + sent, peer->output.len);
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else if (sent == 0 || errno != EINTR) {
            peer->cut = true;
        }
    }
    if (peer->output.len == 0) {
        buf_done(&peer->output); /* which wipes it */
    }
}

/* Who asked may be gone. */
static void deliver_all(struct uplink_server *server) {
    struct answer *answer;
    while ((answer = take_answer(server)) != NULL) {
        for (size_t i = 0; i < server->count; i++) {
            struct peer *peer = &server->peers[i];
            if (peer->number == answer->peer) {
                peer->cut |= failed(buf_add(&peer->output, buf_span(&answer->frame)));
                send_on(peer);
            }
        }
        answer_free(answer);
    }
}

static err_t take_question(struct courier *courier, uint64_t peer,
                           const struct uplink_question *question) {
    switch (question->call) {
    case UPLINK_EVENT:
        return courier_note(courier, question->body);
    case UPLINK_SESSION:
        return courier_note_session(courier, peer, question->body);
    case UPLINK_ENDED:
        return courier_note_ended(courier, peer, question->body);
    case UPLINK_ANEW:
        courier_forget_asker(courier, peer);
        return OK;
    case UPLINK_WINDOW:
    case UPLINK_KEYS:
        break;
    }
    courier_ask(courier, peer, question->id, question->call, question->body);
    return OK;
}

static err_t take_frames(struct uplink_server *server, struct peer *peer) {
    span_t stream = buf_span(&peer->input);
    struct uplink_question question;
    err_t err;
    while (!failed(err = uplink_get_question(&stream, &question))) {
        TRY(take_question(server->courier, peer->number, &question));
    }
    if (err.code != ERR_TRUNCATED) {
        return err;
    }
    if (stream.len == 0) {
        buf_done(&peer->input);
    } else if (stream.len < peer->input.len) {
        memmove(peer->input.data, stream.data, stream.len);
        peer->input.len = stream.len;
    }
    return OK;
}

static err_t read_in(struct uplink_server *server, struct peer *peer) {
    uint8_t *place;
    size_t before = peer->input.len;
    TRY(buf_extend(&peer->input, READ_BYTES, &place));
    ssize_t got = recv(peer->fd, place, READ_BYTES, MSG_DONTWAIT);
    peer->input.len = before + (got > 0 ? (size_t)got : 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return OK;
    }
    return got > 0 ? take_frames(server, peer) : FAIL(ERR_CLOSED);
}

static void attend(struct uplink_server *server, struct peer *peer, short events) {
    if ((events & POLLOUT) != 0) {
        send_on(peer);
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) {
        return;
    }
    err_t err = read_in(server, peer);
    if (failed(err)) {
        peer->cut = true;
        if (err.code != ERR_CLOSED) {
            log_error("uplink_peer_cut", err, NULL);
        }
    }
}

static void drop_cut(struct uplink_server *server) {
    for (size_t i = 0; i < server->count;) {
        struct peer *peer = &server->peers[i];
        if (!peer->cut) {
            i++;
            continue;
        }
        courier_forget_asker(server->courier, peer->number);
        (void)close(peer->fd);
        buf_done(&peer->input);
        buf_done(&peer->output);
        *peer = server->peers[--server->count];
    }
}

static void accept_all(struct uplink_server *server) {
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) {
            continue;
        }
        if (fd < 0) {
            server->out_of_files = errno != EAGAIN && errno != EWOULDBLOCK;
            return;
        }
        if (server->count == COUNT_OF(server->peers)) {
            log_error("uplink_peer_refused", FAIL(ERR_TOO_LONG), NULL);
            (void)close(fd);
            continue;
        }
        server->peers[server->count++] = (struct peer){.number = ++server->peers_ever,
                                                       .fd = fd,
                                                       .input = BUF(INPUT_BYTES),
                                                       .output = BUF(OUTPUT_BYTES)};
    }
}

/* --- the thread --- */

enum { WATCHED_LISTENER, WATCHED_WAKE, WATCHED_COUNT };

static size_t watch(const struct uplink_server *server, struct pollfd *watched) {
    watched[WATCHED_LISTENER] =
        (struct pollfd){server->out_of_files ? -1 : server->listener, POLLIN, 0};
    watched[WATCHED_WAKE] = (struct pollfd){server->wake, POLLIN, 0};
    for (size_t i = 0; i < server->count; i++) {
        const struct peer *peer = &server->peers[i];
        watched[WATCHED_COUNT + i] =
            (struct pollfd){peer->fd, (short)(peer->output.len > 0 ? POLLIN | POLLOUT : POLLIN), 0};
    }
    return WATCHED_COUNT + server->count;
}

static void *serve(void *context) {
    struct uplink_server *server = context;
    struct pollfd watched[WATCHED_COUNT + LIMIT_UPLINK_PEERS_COUNT];
    while (!is_stopping(server)) {
        size_t count = watch(server, watched);
        if (poll(watched, count, server->out_of_files ? ACCEPT_PAUSE_MS : -1) < 0) {
            continue;
        }
        uint64_t wakes;
        ssize_t ignored = read(server->wake, &wakes, sizeof wakes);
        (void)ignored;
        size_t peers = server->count;
        for (size_t i = 0; i < peers; i++) {
            attend(server, &server->peers[i], watched[WATCHED_COUNT + i].revents);
        }
        deliver_all(server);
        drop_cut(server);
        server->out_of_files = false;
        accept_all(server);
    }
    return NULL;
}

/* --- beginning and end --- */

static err_t start(struct uplink_server *server, const struct config *config,
                   const struct identity *identity, struct fault *fault) {
    char *path CLEANUP(freep) = NULL;
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake < 0) {
        return err_from_errno(errno);
    }
    TRY(courier_start(identity, on_answered, server, &server->courier, fault));
    TRY(path_join(config->state_dir, UPLINK_SOCKET, &path));
    TRY(local_socket_make(path, 0600, config->command_group, LIMIT_UPLINK_PEERS_COUNT,
                          &server->listener));
    TRY(thread_start(serve, server, &server->thread));
    server->started = true;
    return OK;
}

err_t uplink_server_start(const struct config *config, const struct identity *identity,
                          struct uplink_server **out, struct fault *fault) {
    struct uplink_server *server CLEANUP(uplink_server_freep) = calloc(1, sizeof *server);
    if (server == NULL) {
        return FAIL(ERR_MEMORY);
    }
    server->mailbox = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    server->listener = server->wake = -1;
    STAILQ_INIT(&server->answers);
    err_t err = start(server, config, identity, fault);
    if (failed(err)) {
        return fault_set(fault, err.code, UPLINK_SOCKET, "%s", err_text(err));
    }
    *out = TAKE(server);
    return OK;
}

void uplink_server_free(struct uplink_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->started) {
        (void)pthread_mutex_lock(&server->mailbox);
        server->stopping = true;
        (void)pthread_mutex_unlock(&server->mailbox);
        wake(server);
        (void)pthread_join(server->thread, NULL);
    }
    for (size_t i = 0; i < server->count; i++) {
        server->peers[i].cut = true;
    }
    drop_cut(server);
    courier_free(server->courier);
    struct answer *answer;
    while ((answer = take_answer(server)) != NULL) {
        answer_free(answer);
    }
    fd_closep(&server->listener);
    fd_closep(&server->wake);
    (void)pthread_mutex_destroy(&server->mailbox);
    free(server);
}

void uplink_server_freep(struct uplink_server **server) {
    uplink_server_free(*server);
    *server = NULL;
}
