/* The edge-triggered loop's flags, and sockets that never block. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "net/poller.h"
#include "net/socket.h"

enum { KIND = 7, WAIT_MS = 10 * 1000 };

static size_t wait_for(struct poller *poller, int timeout_ms, struct poller_source **ready) {
    size_t count = 99;
    assert_ok(poller_wait(poller, timeout_ms, 4, ready, &count));
    return count;
}

static int listen_here(struct inet_address *at, uint16_t *port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &len), 0);
    assert_ok(inet_address_from_sockaddr((struct sockaddr *)&here, at));
    *port = ntohs(here.sin_port);
    return fd;
}

static void test_flags(void **state) {
    (void)state;
    struct poller *poller = NULL;
    struct poller_source *ready[4];
    int pair[2];
    char bytes[8];
    size_t count;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_ok(poller_new(&poller));
    struct poller_source source = {.fd = pair[0], .kind = KIND};
    assert_ok(poller_add(poller, &source));
    assert_int_equal(wait_for(poller, WAIT_MS, ready), 1);
    assert_true(ready[0] == &source && source.kind == KIND);
    assert_true(source.writable && !source.readable && !source.ended);
    /* Told once. */
    assert_int_equal(wait_for(poller, 0, ready), 0);
    assert_int_equal(write(pair[1], "abc", 3), 3);
    assert_int_equal(wait_for(poller, WAIT_MS, ready), 1);
    assert_true(source.readable && !source.ended);
    assert_int_equal(wait_for(poller, 0, ready), 0);
    assert_int_equal(socket_read(pair[0], bytes, 2, &count), SOCKET_DONE);
    assert_int_equal(count, 2);
    assert_int_equal(socket_read(pair[0], bytes, sizeof bytes, &count), SOCKET_DONE);
    assert_int_equal(count, 1);
    assert_int_equal(socket_read(pair[0], bytes, sizeof bytes, &count), SOCKET_BLOCKED);
    assert_int_equal(count, 0);
    source.readable = false;
    (void)close(pair[1]);
    assert_int_equal(wait_for(poller, WAIT_MS, ready), 1);
    assert_true(source.readable && source.ended);
    assert_int_equal(socket_read(pair[0], bytes, sizeof bytes, &count), SOCKET_ENDED);
    struct iovec part = {bytes, 1};
    assert_int_equal(socket_write(pair[0], &part, 1, &count), SOCKET_BROKEN);
    poller_remove(poller, &source);
    (void)close(pair[0]);
    poller_free(poller);
}

/* A new connection is for one of the pollers, and is accepted by the first that comes. */
static void test_shared_listener(void **state) {
    (void)state;
    struct poller *pollers[2];
    struct poller_source sources[2], *ready[4];
    struct inet_address at, from;
    uint16_t port, from_port;
    int listener = listen_here(&at, &port), client, accepted;
    for (int i = 0; i < 2; i++) {
        assert_ok(poller_new(&pollers[i]));
        sources[i] = (struct poller_source){.fd = listener};
        assert_ok(poller_add_shared(pollers[i], &sources[i]));
    }
    assert_fails(socket_accept(listener, &accepted, &from, &from_port), ERR_NOT_FOUND);
    assert_ok(socket_connect(&at, port, &client));
    struct pollfd done = {.fd = client, .events = POLLOUT};
    assert_int_equal(poll(&done, 1, WAIT_MS), 1);
    assert_ok(socket_connected(client));
    assert_true(wait_for(pollers[0], 0, ready) + wait_for(pollers[1], 0, ready) >= 1);
    assert_ok(socket_accept(listener, &accepted, &from, &from_port));
    assert_memory_equal(&from, &at, sizeof at);
    assert_int_not_equal(fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
    assert_fails(socket_accept(listener, &accepted, &from, &from_port), ERR_NOT_FOUND);
    (void)close(accepted);
    (void)close(client);
    (void)close(listener);
    poller_free(pollers[0]);
    poller_free(pollers[1]);
}

static void test_refused(void **state) {
    (void)state;
    struct inet_address at;
    uint16_t port;
    int client, listener = listen_here(&at, &port);
    (void)close(listener);
    err_t err = socket_connect(&at, port, &client);
    if (!failed(err)) {
        struct pollfd done = {.fd = client, .events = POLLOUT};
        assert_int_equal(poll(&done, 1, WAIT_MS), 1);
        err = socket_connected(client);
        (void)close(client);
    }
    assert_int_equal(err.code, ERR_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_shared_listener),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
