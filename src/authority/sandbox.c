/*
 * The signer's walls. Landlock and mlock are best effort, as kernels and limits differ; the system
 * call filter is not: a signer that cannot set it ends.
 */
#include "net/sandbox.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "authority/signer.h"
#include "base/log.h"
#include "base/sanitised.h"

static const struct sandbox_rule allowed[] = {
    {SCMP_SYS(read)},
    {SCMP_SYS(write)},
    {SCMP_SYS(exit)},
    {SCMP_SYS(exit_group)},
    {SCMP_SYS(futex)},
    {SCMP_SYS(getrandom)},
    {SCMP_SYS(clock_gettime)},
    {SCMP_SYS(gettimeofday)},
    {SCMP_SYS(time)},
    {SCMP_SYS(getpid)},
    {SCMP_SYS(rt_sigreturn)},
    {SCMP_SYS(rt_sigprocmask)},
    {SCMP_SYS(restart_syscall)},
};

void sandbox_enter(void) {
    err_t err = sandbox_harden();
    if (!SANITISED) {
        (void)mlockall(MCL_CURRENT); /* best effort: RLIMIT_MEMLOCK may be small */
    }
    sandbox_files(SANDBOX_NO_FILES);
    if (!failed(err)) {
        err = sandbox_calls(allowed, COUNT_OF(allowed), NULL, SANDBOX_KILLS);
    }
    if (failed(err)) {
        log_error("sandbox_failed", err, NULL);
        _exit(1);
    }
}
