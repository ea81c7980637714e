/*
 * Walls that a process raises around itself once it has what it needs: no core dump and no
 * debugger, no files (Landlock), few system calls (seccomp). They hold for the threads that the
 * calling one starts afterwards, so it should be the only one.
 */
#ifndef POSTERN_NET_SANDBOX_H
#define POSTERN_NET_SANDBOX_H

#include <stdint.h>

#include "base/err.h"

/* Memory stays in the process: no core dump, no debugger (where no sanitiser is built in, which is
 * one), no new privileges. ERR_UNSUPPORTED. */
err_t sandbox_harden(void);

enum sandbox_files {
    SANDBOX_NO_FILES,
    SANDBOX_READS_FILES /* and neither writes, makes nor runs any */
};
/* Best effort, since kernels differ in how much of Landlock they have. */
void sandbox_files(enum sandbox_files files);

/* A system call, where the masked bits of its arguments have these values; mask 0: whatever they
 * are. Several rules of one call each let it pass. */
struct sandbox_rule {
    int call; /* SCMP_SYS(read); a negative one is not this architecture's and left out */
    struct {
        uint64_t mask, value;
    } arguments[3];
};

enum sandbox_default {
    SANDBOX_KILLS,   /* what no rule names ends the process */
    SANDBOX_REFUSES, /* it fails with EPERM */
    SANDBOX_ALLOWS
};
/*
 * `rules` pass; calls in `deadly` (ended by -1; may be NULL), those that only an attacker makes,
 * end the process. Memory yes, but none that can be executed, unless the default is to allow.
 * clone3() does not exist then, since its flags cannot be looked at: libc takes clone() instead.
 * ERR_UNSUPPORTED when the kernel does not take it. Does nothing where a sanitiser is built in,
 * whose own calls nobody can list.
 */
err_t sandbox_calls(const struct sandbox_rule *rules, size_t count, const int *deadly,
                    enum sandbox_default otherwise);

/* Running programs, looking into processes, changing the kernel: for `deadly`. */
extern const int sandbox_deadly[];

#endif
