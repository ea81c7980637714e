/*
 * Two threads meet here: the one that follows the authority tells answers, the publisher's own lets
 * subscribers in and sees to the slow ones. Both send, and neither waits for anybody to read. A
 * subscriber is made and ended by the publisher's thread alone, so that what it polls stays what it
 * is; the other only marks whom to cut.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "feed/publish.h"
#include "host/host.h"
#include "host/sync_host.h"

enum { ACCEPT_PAUSE_MS = 100, STALL_MS = LIMIT_FEED_SUBSCRIBER_S * 1000 };

struct subscriber {
    int fd;
    bool cut;
    bool wants_snapshot; /* that is not begun yet */
    struct buf held;     /* what it has not taken yet, from `sent` on */
    size_t sent;
    int64_t moved_at_ms; /* monotonic: when it last took something, or had nothing to take */
    /* A snapshot that is not all in `held` yet, and what was told since its moment. */
    struct replica *replica;
    struct replica_pages *pages;
    struct buf later;
};

struct publisher {
    pthread_mutex_t mutex;
    pthread_t thread;
    int listener;
    int wake; /* written to when the thread must look again */
    bool started, stopping;
    bool out_of_files; /* of memory, …: nobody is let in for ACCEPT_PAUSE_MS */
    char *replica_path;
    struct subscriber subscribers[LIMIT_FEED_SUBSCRIBERS_COUNT];
    size_t count;
};

/* --- sending, by either thread, with the mutex --- */

static bool is_behind(const struct subscriber *subscriber) {
    return subscriber->sent < subscriber->held.len;
}

static void send_on(struct subscriber *subscriber) {
    while (!subscriber->cut && is_behind(subscriber)) {
        ssize_t sent = send(subscriber->fd, subscriber->held.data + subscriber->sent,
                            subscriber->held.len - subscriber->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            subscriber->sent += (size_t)sent;
            subscriber->moved_at_ms = clock_monotonic_ms();
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else if (sent == 0 || errno != EINTR) {
            subscriber->cut = true;
        }
    }
    if (!is_behind(subscriber)) {
        buf_done(&subscriber->held); /* a snapshot may have been large */
        subscriber->sent = 0;
    }
}

static void hold(struct subscriber *subscriber, span_t frame) {
    if (!is_behind(subscriber)) {
        subscriber->moved_at_ms = clock_monotonic_ms();
    }
    /* So far behind, a new snapshot is the better news. */
    subscriber->cut |= failed(buf_add(&subscriber->held, frame));
}

static void tell(struct subscriber *subscriber, span_t frame) {
    if (subscriber->wants_snapshot) {
        return; /* which has it */
    }
    if (subscriber->pages != NULL) {
        subscriber->cut |= failed(buf_add(&subscriber->later, frame));
        return;
    }
    hold(subscriber, frame);
    send_on(subscriber);
}

static void wake(struct publisher *publisher) {
    uint64_t one = 1;
    /* It can only fail by being woken already. */
    ssize_t ignored = write(publisher->wake, &one, sizeof one);
    (void)ignored;
}

static void tell_all(struct publisher *publisher, const struct change_answer *answer, int64_t now) {
    struct buf frame CLEANUP(buf_done) = BUF(LIMIT_FEED_SUBSCRIBER_BYTES);
    err_t err = publish_put_answer(&frame, now, answer);
    if (failed(err)) {
        log_error("feed_not_published", err, NULL);
    }
    for (size_t i = 0; i < publisher->count; i++) {
        /* Who misses one answer must not get the next. */
        publisher->subscribers[i].cut |= failed(err);
        if (!publisher->subscribers[i].cut) {
            tell(&publisher->subscribers[i], buf_span(&frame));
        }
    }
}

void publisher_begin(struct publisher *publisher, const struct change_answer *answer, int64_t now) {
    if (publisher == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&publisher->mutex);
    if (answer->continues) {
        for (size_t i = 0; i < publisher->count; i++) {
            publisher->subscribers[i].wants_snapshot = true;
        }
    } else {
        tell_all(publisher, answer, now);
    }
    if (publisher->count > 0) {
        wake(publisher);
    }
}

void publisher_end(struct publisher *publisher) {
    if (publisher != NULL) {
        (void)pthread_mutex_unlock(&publisher->mutex);
    }
}

/* --- the publisher's thread, with the mutex unless it polls --- */

static void end_snapshot(struct subscriber *subscriber) {
    replica_pages_freep(&subscriber->pages);
    replica_closep(&subscriber->replica);
}

/* By a handle of its own: the other thread's is not for two. Whatever was told until now is
 * committed, and so in it. */
static err_t begin_snapshot(const struct publisher *publisher, struct subscriber *subscriber) {
    end_snapshot(subscriber);
    buf_clear(&subscriber->later);
    subscriber->wants_snapshot = false;
    TRY(replica_open_read(publisher->replica_path, &subscriber->replica));
    return replica_pages_begin(subscriber->replica, &subscriber->pages);
}

static err_t hold_page(struct subscriber *subscriber) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct buf frame CLEANUP(buf_done) = BUF(LIMIT_FEED_SUBSCRIBER_BYTES);
    bool more = false;
    TRY(replica_pages_next(subscriber->pages, &text, &more));
    TRY(publish_put(&frame, replica_pages_synced_at(subscriber->pages), buf_span(&text)));
    hold(subscriber, buf_span(&frame));
    if (!more) {
        end_snapshot(subscriber);
        hold(subscriber, buf_span(&subscriber->later));
        buf_done(&subscriber->later);
    }
    return OK;
}

/* One page whenever the one before was taken, so that what is held stays small. */
static void go_on(const struct publisher *publisher, struct subscriber *subscriber) {
    err_t err = subscriber->wants_snapshot ? begin_snapshot(publisher, subscriber) : OK;
    if (!failed(err) && subscriber->pages != NULL && !is_behind(subscriber)) {
        err = hold_page(subscriber);
    }
    if (failed(err)) {
        log_error("feed_snapshot_not_told", err, NULL);
        subscriber->cut = true;
    }
    send_on(subscriber);
}

static void subscriber_done(struct subscriber *subscriber) {
    (void)close(subscriber->fd);
    end_snapshot(subscriber);
    buf_done(&subscriber->held);
    buf_done(&subscriber->later);
}

static void let_in(struct publisher *publisher, int fd) {
    struct subscriber subscriber = {.fd = fd,
                                    .wants_snapshot = true,
                                    .held = BUF(LIMIT_FEED_SUBSCRIBER_BYTES),
                                    .later = BUF(LIMIT_FEED_SUBSCRIBER_BYTES)};
    if (publisher->count == COUNT_OF(publisher->subscribers)) {
        log_error("feed_subscriber_refused", FAIL(ERR_TOO_LONG), NULL);
        subscriber_done(&subscriber);
        return;
    }
    go_on(publisher, &subscriber);
    if (subscriber.cut) {
        subscriber_done(&subscriber);
        return;
    }
    publisher->subscribers[publisher->count++] = subscriber;
}

static void accept_all(struct publisher *publisher) {
    for (;;) {
        int fd = accept4(publisher->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            let_in(publisher, fd);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            publisher->out_of_files = errno != EAGAIN && errno != EWOULDBLOCK;
            return;
        }
    }
}

/* There is something to send, now or once it is made. */
static bool has_more(const struct subscriber *subscriber) {
    return is_behind(subscriber) || subscriber->wants_snapshot || subscriber->pages != NULL;
}

static void attend(const struct publisher *publisher, struct subscriber *subscriber, short events,
                   int64_t now_ms) {
    if (has_more(subscriber) && !subscriber->cut) {
        go_on(publisher, subscriber);
        subscriber->cut |= is_behind(subscriber) && now_ms - subscriber->moved_at_ms >= STALL_MS;
    }
    /* They have nothing to say: whatever can be read is an end, or no subscriber of ours. */
    subscriber->cut |= (events & (POLLIN | POLLHUP | POLLERR)) != 0;
}

static void drop_cut(struct publisher *publisher) {
    for (size_t i = 0; i < publisher->count;) {
        struct subscriber *subscriber = &publisher->subscribers[i];
        if (!subscriber->cut) {
            i++;
            continue;
        }
        subscriber_done(subscriber);
        *subscriber = publisher->subscribers[--publisher->count];
    }
}

enum { WATCHED_LISTENER, WATCHED_WAKE, WATCHED_COUNT };

/* What to poll for, and how long: until the first of those who are behind must have moved. */
static size_t watch(const struct publisher *publisher, struct pollfd *watched, int *timeout_ms) {
    int64_t now_ms = clock_monotonic_ms();
    *timeout_ms = publisher->out_of_files ? ACCEPT_PAUSE_MS : -1;
    watched[WATCHED_LISTENER] =
        (struct pollfd){publisher->out_of_files ? -1 : publisher->listener, POLLIN, 0};
    watched[WATCHED_WAKE] = (struct pollfd){publisher->wake, POLLIN, 0};
    for (size_t i = 0; i < publisher->count; i++) {
        const struct subscriber *subscriber = &publisher->subscribers[i];
        bool behind = is_behind(subscriber);
        bool more = has_more(subscriber);
        int64_t left = subscriber->moved_at_ms + STALL_MS - now_ms;
        watched[WATCHED_COUNT + i] =
            (struct pollfd){subscriber->fd, (short)(more ? POLLIN | POLLOUT : POLLIN), 0};
        if (behind && (*timeout_ms < 0 || left < *timeout_ms)) {
            *timeout_ms = left > 0 ? (int)left : 0;
        }
    }
    return WATCHED_COUNT + publisher->count;
}

static void *serve(void *context) {
    struct publisher *publisher = context;
    struct pollfd watched[WATCHED_COUNT + LIMIT_FEED_SUBSCRIBERS_COUNT];
    (void)pthread_mutex_lock(&publisher->mutex);
    while (!publisher->stopping) {
        int timeout_ms = -1;
        size_t count = watch(publisher, watched, &timeout_ms);
        (void)pthread_mutex_unlock(&publisher->mutex);
        int ready = poll(watched, count, timeout_ms);
        (void)pthread_mutex_lock(&publisher->mutex);
        uint64_t wakes = 0;
        ssize_t ignored = read(publisher->wake, &wakes, sizeof wakes);
        (void)ignored;
        int64_t now_ms = clock_monotonic_ms();
        for (size_t i = 0; i < publisher->count; i++) {
            attend(publisher, &publisher->subscribers[i],
                   ready > 0 ? watched[WATCHED_COUNT + i].revents : (short)0, now_ms);
        }
        drop_cut(publisher);
        bool paused = publisher->out_of_files;
        publisher->out_of_files = false;
        if (paused || (ready > 0 && watched[WATCHED_LISTENER].revents != 0)) {
            accept_all(publisher);
        }
    }
    (void)pthread_mutex_unlock(&publisher->mutex);
    return NULL;
}

/* --- beginning and end --- */

bool publisher_is_served(const char *state_dir) {
    return local_socket_is_served(state_dir, PUBLISH_SOCKET);
}

err_t publisher_start(const struct config *config, struct publisher **out, struct fault *fault) {
    struct publisher *publisher CLEANUP(publisher_freep) = calloc(1, sizeof *publisher);
    char *path CLEANUP(freep) = NULL;
    if (publisher == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *publisher = (struct publisher){.mutex = PTHREAD_MUTEX_INITIALIZER, .listener = -1, .wake = -1};
    TRY(path_join(config->state_dir, HOST_REPLICA_FILE, &publisher->replica_path));
    TRY(path_join(config->state_dir, PUBLISH_SOCKET, &path));
    publisher->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err_t err = publisher->wake < 0
                    ? err_from_errno(errno)
                    : local_socket_make(path, 0660, config->command_group,
                                        LIMIT_FEED_SUBSCRIBERS_COUNT, &publisher->listener);
    if (!failed(err)) {
        err = thread_start(serve, publisher, &publisher->thread);
        publisher->started = !failed(err);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, path, "%s", err_text(err));
    }
    *out = TAKE(publisher);
    return OK;
}

void publisher_free(struct publisher *publisher) {
    if (publisher == NULL) {
        return;
    }
    if (publisher->started) {
        (void)pthread_mutex_lock(&publisher->mutex);
        publisher->stopping = true;
        (void)pthread_mutex_unlock(&publisher->mutex);
        wake(publisher);
        (void)pthread_join(publisher->thread, NULL);
    }
    for (size_t i = 0; i < publisher->count; i++) {
        publisher->subscribers[i].cut = true;
    }
    drop_cut(publisher);
    fd_closep(&publisher->listener);
    fd_closep(&publisher->wake);
    free(publisher->replica_path);
    free(publisher);
}

void publisher_freep(struct publisher **publisher) {
    publisher_free(*publisher);
    *publisher = NULL;
}
