/* The parts of tunnels that need no ssh: where a host listens, when to try again, which link is
 * broken, local ports, and the relay between them. */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "check.h"
#include "cli/connect/broken_link.h"
#include "cli/connect/link.h"
#include "cli/connect/listeners.h"
#include "cli/connect/relay.h"

/* --- where a host listens --- */

static enum listener find(const char *text, char address[INET_CHARS]) {
    struct inet_address found = {0};
    enum listener result = listeners_find(span_str(text), 6006, &found);
    address[0] = '\0';
    if (result == LISTENER_ELSEWHERE) {
        inet_address_print(&found, address);
    }
    return result;
}

#define HEAD                 "  sl  local_address rem_address   st tx_queue rx_queue\n"
#define REST                 " 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
#define ROW4(address, state) "   0: " address ":1776 00000000:0000 " state REST
#define ROW6(address, state)                                                                       \
    "   0: " address ":1776 00000000000000000000000000000000:0000 " state REST

static void test_nobody_listens(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        HEAD,
        HEAD ROW4("0100007F", "01"),                  /* a connection */
        "   0: 0100007F:1777 00000000:0000 0A" REST,  /* another port */
        "   0: 0100007F:11776 00000000:0000 0A" REST, /* no port */
        "   0: 01007F:1776 00000000:0000 0A" REST,    /* no address */
        "   0: 0100007F01:1776 00000000:0000 0A" REST,
        "cat: /proc/net/tcp: Permission denied\n",
        "   0: 0100007F:1776",
    };
    char address[INET_CHARS];
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(find(texts[i], address), LISTENER_NONE);
    }
}

static void test_localhost_is_where_forwarding_leads(void **state) {
    (void)state;
    static const char *const rows[] = {
        ROW4("0100007F", "0A"),
        ROW4("00000000", "0A"),
        ROW6("00000000000000000000000001000000", "0A"),
        ROW6("00000000000000000000000000000000", "0A"),
        ROW6("0000000000000000FFFF00000100007F", "0A"), /* ::ffff:127.0.0.1 */
        ROW4("0C00630A", "0A") ROW4("0100007F", "0A"),
    };
    char address[INET_CHARS];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(find(rows[i], address), LISTENER_LOCALHOST);
    }
}

static void test_elsewhere(void **state) {
    (void)state;
    char address[INET_CHARS];
    assert_int_equal(find(HEAD ROW4("0C00630A", "0A"), address), LISTENER_ELSEWHERE);
    assert_string_equal(address, "10.99.0.12");
    /* Debian's own name of a host, which "localhost" is not. */
    assert_int_equal(find(ROW4("0101007F", "0A"), address), LISTENER_ELSEWHERE);
    assert_string_equal(address, "127.0.1.1");
    assert_int_equal(find(ROW6("B80D0120000000000000000001000000", "0A"), address),
                     LISTENER_ELSEWHERE);
    assert_string_equal(address, "2001:db8::1");
    assert_int_equal(
        find(ROW6("B80D0120000000000000000001000000", "0A") ROW4("0C00630A", "0A"), address),
        LISTENER_ELSEWHERE);
    assert_string_equal(address, "10.99.0.12");
}

/* --- when to try again --- */

static void test_pauses_grow_and_end(void **state) {
    (void)state;
    static const int about[] = {1000, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (unsigned tries = 0; tries < COUNT_OF(about); tries++) {
        for (unsigned random = 0; random < 40000; random += 111) {
            int pause = link_pause_ms(tries, random);
            assert_in_range(pause, about[tries] * 3 / 4, about[tries] * 5 / 4);
        }
    }
    assert_in_range(link_pause_ms(UINT32_MAX, UINT32_MAX), 22500, 37500);
}

/* --- which link is broken --- */

static void tell(struct trouble *trouble, unsigned logins, enum ssh_outcome outcome,
                 const char *said) {
    const struct way way = {.hops = {"ela", "daint", "nid001234"}, .count = 3, .user = "alice"};
    struct ssh_verdict verdict = {.outcome = outcome, .logins = logins};
    (void)snprintf(verdict.said, sizeof verdict.said, "%s", said);
    *trouble = (struct trouble){0};
    assert_fails(broken_link_tell(trouble, &way, &verdict), ERR_REFUSED);
}

static void test_each_link_is_named(void **state) {
    (void)state;
    struct trouble trouble;
    tell(&trouble, 0, SSH_NO_ANSWER, "");
    assert_string_equal(trouble.what, "the link from here to ela is broken: it does not answer");
    assert_int_equal(trouble.exit, EXIT_NETWORK);
    assert_non_null(strstr(trouble.next, "postern doctor ela"));
    tell(&trouble, 1, SSH_GATE_SAID, "daint.example:22 refused the connection");
    assert_string_equal(trouble.what, "the link from ela to daint is broken: daint.example:22 "
                                      "refused the connection");
    assert_int_equal(trouble.exit, EXIT_NETWORK);
    tell(&trouble, 2, SSH_DENIED, "");
    assert_string_equal(trouble.what, "the link from daint to nid001234 is broken: it does not let "
                                      "you in as alice");
    assert_int_equal(trouble.exit, EXIT_REFUSED);
    assert_non_null(strstr(trouble.next, "postern sign"));
    tell(&trouble, 7, SSH_CLOSED, ""); /* more than there are: the last */
    assert_non_null(strstr(trouble.what, "from daint to nid001234"));
    tell(&trouble, 1, SSH_GATE_SAID, "no job of yours runs on this node");
    assert_int_equal(trouble.exit, EXIT_REFUSED);
    assert_non_null(strstr(trouble.next, "postern jobs"));
}

static void test_what_is_final(void **state) {
    (void)state;
    struct ssh_verdict verdict = {.outcome = SSH_UNKNOWN};
    assert_false(broken_link_is_final(&verdict));
    verdict.outcome = SSH_NO_NAME;
    assert_false(broken_link_is_final(&verdict));
    verdict.outcome = SSH_DENIED;
    assert_true(broken_link_is_final(&verdict));
    verdict =
        (struct ssh_verdict){.outcome = SSH_GATE_SAID, .said = "your certificate 1 was revoked"};
    assert_true(broken_link_is_final(&verdict));
    verdict = (struct ssh_verdict){.outcome = SSH_GATE_SAID, .said = "nid001234:22 did not answer"};
    assert_false(broken_link_is_final(&verdict));
}

/* --- the local port, and what comes to it --- */

static void test_a_port_is_had_once(void **state) {
    (void)state;
    struct local_port first = LOCAL_PORT_NONE, second = LOCAL_PORT_NONE;
    assert_ok(local_port_open(0, &first));
    assert_true(first.port > 0);
    assert_fails(local_port_open(first.port, &second), ERR_BUSY);
    assert_int_equal(second.fds[0], -1);
    uint16_t port = first.port;
    local_port_close(&first);
    assert_ok(local_port_open(port, &second));
    local_port_close(&second);
}

static void test_numbers_of_ports(void **state) {
    (void)state;
    static const char *const bad[] = {"", "x", "-1", "65536", "6006x", "06006", " 6006"};
    struct trouble trouble = {0};
    uint16_t port = 7;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_fails(local_port_parse(&trouble, "--local", bad[i], &port), ERR_REFUSED);
        assert_int_equal(trouble.exit, EXIT_USAGE);
        assert_int_equal(port, 7);
    }
    assert_ok(local_port_parse(&trouble, "--local", "65535", &port));
    assert_int_equal(port, 65535);
}

struct rig {
    char folder[64], path[96];
    struct local_port port;
    struct relay *relay;
    int target; /* listens, as ssh would */
};

static void rig_begin(struct rig *rig) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/test_tunnel.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof rig->path, "%s/target", rig->folder);
    memcpy(at.sun_path, rig->path, strlen(rig->path) + 1);
    rig->target = socket(AF_UNIX, SOCK_STREAM, 0);
    const void *address = &at;
    assert_int_equal(bind(rig->target, address, sizeof at), 0);
    assert_int_equal(listen(rig->target, 512), 0);
    rig->port = LOCAL_PORT_NONE;
    rig->relay = NULL;
    assert_ok(local_port_open(0, &rig->port));
    assert_ok(relay_new(&rig->port, rig->path, &rig->relay));
}

static void rig_end(struct rig *rig) {
    relay_freep(&rig->relay);
    local_port_close(&rig->port);
    (void)close(rig->target);
    (void)unlink(rig->path);
    (void)rmdir(rig->folder);
}

static void turns(struct rig *rig, int count) {
    struct pollfd fds[RELAY_FDS_MAX];
    for (int i = 0; i < count; i++) {
        size_t used = 0;
        relay_prepare(rig->relay, fds, &used);
        assert_true(used <= RELAY_FDS_MAX);
        (void)poll(fds, (nfds_t)used, 10);
        relay_work(rig->relay, fds, used);
    }
}

static int dial(const struct rig *rig) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(rig->port.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const void *address = &to;
    assert_int_equal(connect(fd, address, sizeof to), 0);
    return fd;
}

static void test_who_comes_early_waits(void **state) {
    (void)state;
    struct rig rig;
    char bytes[8];
    rig_begin(&rig);
    int client = dial(&rig);
    assert_int_equal(send(client, "early", 5, 0), 5);
    turns(&rig, 3);
    assert_int_equal(relay_connections(rig.relay), 1);
    struct pollfd nobody = {.fd = rig.target, .events = POLLIN};
    assert_int_equal(poll(&nobody, 1, 0), 0);
    relay_set_open(rig.relay, true);
    turns(&rig, 3);
    int server = accept(rig.target, NULL, NULL);
    assert_int_equal(recv(server, bytes, sizeof bytes, 0), 5);
    /* One side ends, and the other still has something to say. */
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    turns(&rig, 3);
    assert_int_equal(recv(server, bytes, sizeof bytes, 0), 0);
    assert_int_equal(send(server, "answer", 6, 0), 6);
    assert_int_equal(close(server), 0);
    turns(&rig, 5);
    assert_int_equal(recv(client, bytes, sizeof bytes, 0), 6);
    assert_int_equal(recv(client, bytes, sizeof bytes, 0), 0);
    assert_int_equal(relay_connections(rig.relay), 0);
    (void)close(client);
    rig_end(&rig);
}

/* Writes to the port as another user, and stays, or closes or resets at once. */
static void visit(const struct rig *rig, uid_t user, bool stays, bool resets, pid_t *visitor) {
    int done[2];
    char byte;
    assert_int_equal(pipe(done), 0);
    *visitor = fork();
    if (*visitor == 0) {
        bool changed = user == geteuid() || setuid(user) == 0;
        int fd = dial(rig);
        const struct linger at_once = {.l_onoff = resets, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        (void)!write(fd, "order", 5);
        (void)(stays || close(fd));
        (void)!write(done[1], changed ? "" : "!", 1);
        (void)(stays && pause());
        _exit(0);
    }
    assert_int_equal(read(done[0], &byte, 1), 1);
    assert_int_equal(byte, 0);
    (void)close(done[0]);
    (void)close(done[1]);
}

static void test_other_users_are_turned_away(void **state) {
    (void)state;
    static const struct {
        bool stranger, stays, resets, enters;
    } cases[] = {{true, true, false, false},
                 {true, false, false, false},
                 {true, false, true, false},
                 {false, true, false, true}};
    if (geteuid() != 0) {
        skip(); /* nobody else can become another user */
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig;
        pid_t visitor;
        rig_begin(&rig);
        visit(&rig, cases[i].stranger ? 65534 : geteuid(), cases[i].stays, cases[i].resets,
              &visitor);
        relay_set_open(rig.relay, true);
        turns(&rig, 3);
        struct pollfd target = {.fd = rig.target, .events = POLLIN};
        assert_int_equal(poll(&target, 1, 0), cases[i].enters);
        (void)kill(visitor, SIGKILL);
        (void)waitpid(visitor, NULL, 0);
        rig_end(&rig);
    }
}

static void test_so_many_and_no_more(void **state) {
    (void)state;
    struct rig rig;
    int clients[LIMIT_TUNNEL_CONNECTIONS_COUNT + 1];
    rig_begin(&rig);
    /* The kernel's queue is shorter than that. */
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = dial(&rig);
        turns(&rig, 1);
    }
    turns(&rig, 2);
    assert_int_equal(relay_connections(rig.relay), LIMIT_TUNNEL_CONNECTIONS_COUNT);
    assert_int_equal(close(clients[0]), 0);
    relay_set_open(rig.relay, true);
    turns(&rig, 3);
    int server = accept(rig.target, NULL, NULL);
    for (size_t i = 0; i < LIMIT_TUNNEL_CONNECTIONS_COUNT - 1; i++) {
        (void)close(accept(rig.target, NULL, NULL));
    }
    turns(&rig, 5);
    /* Those are gone, and the one that waited is in. */
    int last = accept(rig.target, NULL, NULL);
    assert_true(last >= 0);
    (void)close(last);
    (void)close(server);
    for (size_t i = 1; i < COUNT_OF(clients); i++) {
        (void)close(clients[i]);
    }
    turns(&rig, 5);
    assert_int_equal(relay_connections(rig.relay), 0);
    rig_end(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_localhost_is_where_forwarding_leads),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_pauses_grow_and_end),
        cmocka_unit_test(test_each_link_is_named),
        cmocka_unit_test(test_what_is_final),
        cmocka_unit_test(test_a_port_is_had_once),
        cmocka_unit_test(test_numbers_of_ports),
        cmocka_unit_test(test_who_comes_early_waits),
        cmocka_unit_test(test_other_users_are_turned_away),
        cmocka_unit_test(test_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
