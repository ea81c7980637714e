#include "net/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 256 };

struct poller {
    int fd;
    struct epoll_event events[EVENTS_MAX];
};

err_t poller_new(struct poller **out) {
    struct poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL) {
        return FAIL(ERR_MEMORY);
    }
    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->fd < 0) {
        free(poller);
        return err_from_errno(errno);
    }
    *out = poller;
    return OK;
}

void poller_free(struct poller *poller) {
    if (poller != NULL) {
        (void)close(poller->fd);
        free(poller);
    }
}

static err_t add(struct poller *poller, struct poller_source *source, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = source};
    source->readable = source->writable = source->ended = false;
    return epoll_ctl(poller->fd, EPOLL_CTL_ADD, source->fd, &event) == 0 ? OK
                                                                         : err_from_errno(errno);
}

err_t poller_add(struct poller *poller, struct poller_source *source) {
    return add(poller, source, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

err_t poller_add_shared(struct poller *poller, struct poller_source *source) {
    return add(poller, source, EPOLLIN | EPOLLEXCLUSIVE);
}

void poller_remove(struct poller *poller, struct poller_source *source) {
    (void)epoll_ctl(poller->fd, EPOLL_CTL_DEL, source->fd, NULL);
}

static void mark(struct poller_source *source, uint32_t events) {
    /* After an error or a hang-up both directions are ready: to tell what happened. */
    uint32_t broken = events & (EPOLLERR | EPOLLHUP);
    source->readable |= (events & (EPOLLIN | EPOLLRDHUP)) != 0 || broken != 0;
    source->writable |= (events & EPOLLOUT) != 0 || broken != 0;
    source->ended |= (events & EPOLLRDHUP) != 0 || broken != 0;
}

err_t poller_wait(struct poller *poller, int timeout_ms, size_t max, struct poller_source **ready,
                  size_t *count) {
    int wanted = (int)(max < EVENTS_MAX ? max : EVENTS_MAX);
    int got = epoll_wait(poller->fd, poller->events, wanted, timeout_ms);
    if (got < 0 && errno != EINTR) {
        return err_from_errno(errno);
    }
    *count = got < 0 ? 0 : (size_t)got;
    for (size_t i = 0; i < *count; i++) {
        ready[i] = poller->events[i].data.ptr;
        mark(ready[i], poller->events[i].events);
    }
    return OK;
}
