/*
 * The signer's walls. Landlock and mlock are best effort, as kernels and limits differ; the system
 * call filter is not: a signer that cannot set it ends.
 */
#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "authority/signer.h"
#include "base/log.h"
#include "base/sanitised.h"

/* Every right that the running kernel's Landlock knows, and no rule that gives one back. */
static void deny_files(void) {
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        return;
    }
    struct landlock_ruleset_attr rules = {.handled_access_fs = (1ULL << 13) - 1};
    if (version >= 2) {
        rules.handled_access_fs |= 1ULL << 13; /* LANDLOCK_ACCESS_FS_REFER */
    }
    if (version >= 3) {
        rules.handled_access_fs |= 1ULL << 14; /* LANDLOCK_ACCESS_FS_TRUNCATE */
    }
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0U);
    if (fd >= 0) {
        (void)syscall(SYS_landlock_restrict_self, fd, 0U);
        (void)close(fd);
    }
}

#if SANITISED
/* The sanitisers' own system calls are not ours to list. */
static bool filter_system_calls(void) { return true; }
#else
static void filter_free(scmp_filter_ctx *filter) {
    if (*filter != NULL) {
        seccomp_release(*filter);
    }
}

static bool filter_system_calls(void) {
    static const int allowed[] = {
        SCMP_SYS(read),           SCMP_SYS(write),           SCMP_SYS(exit),
        SCMP_SYS(exit_group),     SCMP_SYS(futex),           SCMP_SYS(munmap),
        SCMP_SYS(mremap),         SCMP_SYS(madvise),         SCMP_SYS(brk),
        SCMP_SYS(getrandom),      SCMP_SYS(clock_gettime),   SCMP_SYS(gettimeofday),
        SCMP_SYS(time),           SCMP_SYS(getpid),          SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
    };
    scmp_filter_ctx filter CLEANUP(filter_free) = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(allowed); i++) {
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) != 0) {
            return false;
        }
    }
    /* Memory yes, but none that can be executed. */
    struct scmp_arg_cmp not_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_exec) == 0 &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_exec) == 0 &&
           seccomp_load(filter) == 0;
}
#endif

void sandbox_enter(void) {
    struct rlimit none = {0, 0};
    bool kept = setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (!SANITISED) { /* LeakSanitizer attaches to the process and reads /proc */
        kept = kept && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
        (void)mlockall(MCL_CURRENT); /* best effort: RLIMIT_MEMLOCK may be small */
        deny_files();
    }
    if (!kept || !filter_system_calls()) {
        log_event(LOG_LEVEL_ERROR, "sandbox_failed", NULL);
        _exit(1);
    }
}
