/*
 * Tries, behind the relay's walls, what a relay in wrong hands would try: gate_walls ATTEMPT. Ends
 * with 0 when it was refused; an attempt that is deadly is ended by SIGSYS. "work" tries what the
 * relay must be able to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gate/relay/relay_process.h"

static int listener; /* as the master has it, too, and the relay that comes next */

static long try_open(void) { return open("/etc/passwd", O_RDONLY); }
static long try_write(void) { return open("/tmp/gate_walls", O_WRONLY | O_CREAT, 0600); }
static long try_unix(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static long try_udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static long try_raw(void) { return socket(AF_INET, SOCK_RAW, 1); }
static long try_netlink(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static long try_mptcp(void) { return socket(AF_INET, SOCK_STREAM, 262); }
static long try_listen(void) { return listen(listener, 1); }
static long try_shut(void) { return shutdown(listener, SHUT_RD); }
static long try_block(void) { return fcntl(listener, F_SETFL, 0); }
static long try_starve(void) {
    const int least = 0;
    return setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
}
static long try_kill(void) { return kill(getppid(), 0); }
static long try_code(void) {
    void *memory =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? -1 : 0;
}
static long try_fork(void) {
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid;
}
static long try_exec(void) { return execl("/bin/true", "true", NULL); }
static long try_uring(void) { return syscall(SYS_io_uring_setup, 0, NULL); }
static long try_ptrace(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL); }

static void *in_thread(void *context) {
    *(bool *)context = true;
    return NULL;
}

/* Refused is a failure here. */
static long do_work(void) {
    pthread_t thread;
    bool ran = false;
    bool good = pthread_create(&thread, NULL, in_thread, &ran) == 0 &&
                pthread_join(thread, NULL) == 0 && ran;
    good = good && socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0 &&
           socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0;
    const int on = 1;
    good = good && setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
           setsockopt(listener, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on) == 0 &&
           setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0 &&
           shutdown(listener, SHUT_WR) == 0;
    return good ? -1 : 0;
}

static const struct {
    const char *name;
    long (*run)(void);
} attempts[] = {
    {"open", try_open},   {"write", try_write},     {"unix", try_unix},     {"udp", try_udp},
    {"raw", try_raw},     {"netlink", try_netlink}, {"listen", try_listen}, {"kill", try_kill},
    {"code", try_code},   {"fork", try_fork},       {"exec", try_exec},     {"ptrace", try_ptrace},
    {"mptcp", try_mptcp}, {"shut", try_shut},       {"block", try_block},   {"starve", try_starve},
    {"uring", try_uring}, {"work", do_work},
};

int main(int argc, char **argv) {
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || listen(listener, 1) != 0) {
        return 3;
    }
    for (size_t i = 0; argc == 2 && i < COUNT_OF(attempts); i++) {
        if (strcmp(argv[1], attempts[i].name) != 0) {
            continue;
        }
        if (failed(relay_lock_in())) {
            return 3;
        }
        return attempts[i].run() < 0 ? 0 : 1;
    }
    return 2;
}
