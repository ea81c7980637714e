/* The relay's walls: sockets that it was given and that it makes to targets, memory, threads. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "gate/relay/relay_process.h"
#include "net/sandbox.h"

#define TYPE_MASK 0xf        /* of a socket's type, beside its flags */
#define ALL       UINT32_MAX /* of an int, and the kernel looks at no more of it */

/* Each as it is used by the workers, libc and libcrypto; fork() is clone() without CLONE_THREAD.
 * The listening sockets and stderr are the master's and the next relay's as well: nothing here
 * makes them blocking, filters what they take, or shuts them. */
static const struct sandbox_rule allowed[] = {
    {SCMP_SYS(read)},
    {SCMP_SYS(readv)},
    {SCMP_SYS(write)},
    {SCMP_SYS(writev)},
    {SCMP_SYS(recvfrom)},
    {SCMP_SYS(recvmsg)},
    {SCMP_SYS(sendto)},
    {SCMP_SYS(sendmsg)},
    {SCMP_SYS(accept4)},
    {SCMP_SYS(socket), {{ALL, AF_INET}, {TYPE_MASK, SOCK_STREAM}, {ALL, 0}}},
    {SCMP_SYS(socket), {{ALL, AF_INET6}, {TYPE_MASK, SOCK_STREAM}, {ALL, 0}}},
    {SCMP_SYS(connect)},
    {SCMP_SYS(shutdown), {{0, 0}, {ALL, SHUT_WR}}},
    {SCMP_SYS(close)},
    {SCMP_SYS(getsockopt)},
    {SCMP_SYS(setsockopt), {{0, 0}, {ALL, IPPROTO_TCP}, {ALL, TCP_NODELAY}}},
    {SCMP_SYS(setsockopt), {{0, 0}, {ALL, IPPROTO_TCP}, {ALL, TCP_QUICKACK}}},
    {SCMP_SYS(setsockopt), {{0, 0}, {ALL, SOL_SOCKET}, {ALL, SO_KEEPALIVE}}},
    {SCMP_SYS(epoll_create1)},
    {SCMP_SYS(epoll_ctl)},
    {SCMP_SYS(epoll_wait)},
    {SCMP_SYS(epoll_pwait)},
    {SCMP_SYS(eventfd2)},
    {SCMP_SYS(poll)},
    {SCMP_SYS(ppoll)},
    {SCMP_SYS(futex)},
    {SCMP_SYS(clone), {{CLONE_THREAD, CLONE_THREAD}}},
    {SCMP_SYS(set_robust_list)},
    {SCMP_SYS(rseq)},
    {SCMP_SYS(prctl), {{ALL, PR_SET_NAME}}},
    {SCMP_SYS(sched_getaffinity)},
    {SCMP_SYS(sched_yield)},
    {SCMP_SYS(clock_gettime)},
    {SCMP_SYS(clock_nanosleep)},
    {SCMP_SYS(gettimeofday)},
    {SCMP_SYS(time)},
    {SCMP_SYS(getrandom)},
    {SCMP_SYS(getpid)},
    {SCMP_SYS(gettid)},
    {SCMP_SYS(rt_sigprocmask)},
    {SCMP_SYS(rt_sigreturn)},
    {SCMP_SYS(restart_syscall)},
    {SCMP_SYS(exit)},
    {SCMP_SYS(exit_group)},
};

/* What libc or a library may try besides fails, and ends no sessions; what only an attacker tries
 * ends them all. */
err_t relay_lock_in(void) {
    tzset(); /* what the log needs of the time zone, while files can still be opened */
    TRY(sandbox_harden());
    sandbox_files(SANDBOX_NO_FILES);
    return sandbox_calls(allowed, COUNT_OF(allowed), sandbox_deadly, SANDBOX_REFUSES);
}
