#include "net/local_peer.h"

#ifdef __linux__

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

union end {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static void put_end(const union end *end, __be32 address[4], __be16 *port) {
    if (end->any.sa_family == AF_INET) {
        memcpy(address, &end->v4.sin_addr, sizeof end->v4.sin_addr);
        *port = end->v4.sin_port;
    } else {
        memcpy(address, &end->v6.sin6_addr, sizeof end->v6.sin6_addr);
        *port = end->v6.sin6_port;
    }
}

/* The socket of this machine that is at one end and connected to the other; else the one that
 * listens there. */
static bool find(const union end *here, const union end *there, struct inet_diag_msg *out) {
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } question = {.head = {.nlmsg_len = sizeof question,
                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                           .nlmsg_flags = NLM_F_REQUEST},
                  .body = {.sdiag_family = (__u8)here->any.sa_family,
                           .sdiag_protocol = IPPROTO_TCP,
                           .idiag_states = ~0U,
                           .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};
    union {
        struct nlmsghdr head;
        char bytes[4096];
    } answer;
    int fd CLEANUP(fd_closep) = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    put_end(here, question.body.id.idiag_src, &question.body.id.idiag_sport);
    put_end(there, question.body.id.idiag_dst, &question.body.id.idiag_dport);
    if (fd < 0 || send(fd, &question, sizeof question, 0) != (ssize_t)sizeof question) {
        return false;
    }
    ssize_t got = recv(fd, &answer, sizeof answer, 0);
    if (got < (ssize_t)NLMSG_LENGTH(sizeof *out) || answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return false;
    }
    memcpy(out, NLMSG_DATA(&answer.head), sizeof *out);
    return true;
}

bool local_peer_may_enter(int fd) {
    union end ours, theirs;
    socklen_t our_len = sizeof ours, their_len = sizeof theirs;
    struct inet_diag_msg found;
    if (getsockname(fd, &ours.any, &our_len) != 0 ||
        getpeername(fd, &theirs.any, &their_len) != 0) {
        return false; /* it was reset */
    }
    if (!find(&ours, &theirs, &found)) {
        return true; /* of our own end we would be told */
    }
    /* What somebody wrote and closed at once is nobody's any more, and counts as root's. */
    return find(&theirs, &ours, &found) && found.idiag_state != TCP_LISTEN &&
           (found.idiag_uid == geteuid() ||
            (found.idiag_uid == 0 && found.idiag_state == TCP_ESTABLISHED));
}

#else

bool local_peer_may_enter(int fd) {
    (void)fd;
    return true;
}

#endif
