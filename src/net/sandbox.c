#include "net/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitised.h"

err_t sandbox_harden(void) {
    struct rlimit none = {0, 0};
    bool kept = setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (!SANITISED) { /* LeakSanitizer attaches to the process and reads /proc */
        kept = kept && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
    }
    return kept ? OK : FAIL(ERR_UNSUPPORTED);
}

/* Every right that the running kernel's Landlock knows is taken away but those left, and no rule
 * gives one back. */
void sandbox_files(enum sandbox_files files) {
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    if (SANITISED || version < 1) {
        return;
    }
    struct landlock_ruleset_attr rules = {.handled_access_fs = (1ULL << 13) - 1};
    if (version >= 2) {
        rules.handled_access_fs |= 1ULL << 13; /* LANDLOCK_ACCESS_FS_REFER */
    }
    if (version >= 3) {
        rules.handled_access_fs |= 1ULL << 14; /* LANDLOCK_ACCESS_FS_TRUNCATE */
    }
    if (files == SANDBOX_READS_FILES) {
        rules.handled_access_fs &=
            ~(uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
    }
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0U);
    if (fd >= 0) {
        (void)syscall(SYS_landlock_restrict_self, fd, 0U);
        (void)close(fd);
    }
}

const int sandbox_deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(bpf),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(add_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(request_key),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(io_uring_setup),
    -1,
};

#if SANITISED
err_t sandbox_calls(const struct sandbox_rule *rules, size_t count, const int *deadly,
                    enum sandbox_default otherwise) {
    (void)rules;
    (void)count;
    (void)deadly;
    (void)otherwise;
    return OK;
}
#else
static void filter_free(scmp_filter_ctx *filter) {
    if (*filter != NULL) {
        seccomp_release(*filter);
    }
}

static bool add_rule(scmp_filter_ctx filter, const struct sandbox_rule *rule) {
    struct scmp_arg_cmp comparisons[COUNT_OF(rule->arguments)];
    unsigned count = 0;
    for (unsigned i = 0; i < COUNT_OF(rule->arguments); i++) {
        if (rule->arguments[i].mask != 0) {
            comparisons[count++] =
                SCMP_CMP(i, SCMP_CMP_MASKED_EQ, rule->arguments[i].mask, rule->arguments[i].value);
        }
    }
    return rule->call < 0 ||
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, count, comparisons) == 0;
}

/* Memory yes, but none that can be executed. */
static bool add_memory(scmp_filter_ctx filter) {
    static const int calls[] = {SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
                                SCMP_SYS(brk)};
    struct scmp_arg_cmp not_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    bool good = true;
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) == 0;
    }
    return good &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_exec) == 0 &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_exec) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

err_t sandbox_calls(const struct sandbox_rule *rules, size_t count, const int *deadly,
                    enum sandbox_default otherwise) {
    static const uint32_t actions[] = {
        [SANDBOX_KILLS] = SCMP_ACT_KILL_PROCESS,
        [SANDBOX_REFUSES] = SCMP_ACT_ERRNO(EPERM),
        [SANDBOX_ALLOWS] = SCMP_ACT_ALLOW,
    };
    scmp_filter_ctx filter CLEANUP(filter_free) = seccomp_init(actions[otherwise]);
    bool good = filter != NULL;
    for (size_t i = 0; good && i < count; i++) {
        good = add_rule(filter, &rules[i]);
    }
    for (; good && deadly != NULL && *deadly != -1; deadly++) {
        good = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, *deadly, 0) == 0;
    }
    good = good && (otherwise == SANDBOX_ALLOWS || add_memory(filter)) && seccomp_load(filter) == 0;
    return good ? OK : FAIL(ERR_UNSUPPORTED);
}
#endif
