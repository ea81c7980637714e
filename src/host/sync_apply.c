/*
 * Invariant: what the committed replica knows, sshd's files know.
 *
 * So the files are replaced before the commit. Killed between the two, the files are ahead: the KRL
 * refuses more than the replica tells, the revision is the old one, and the feed tells the same
 * answer again. The other order could leave a revision that says "revoked, done" beside a KRL that
 * still lets in. It also makes a revocation effective one commit earlier.
 */
#include <signal.h>

#include "base/file.h"
#include "host/sync_host.h"

enum {
    KRL_KINDS = 1U << CHANGE_REVOCATION,
    CA_KINDS = 1U << CHANGE_CA,
    HOST_KINDS = 1U << CHANGE_CLUSTER | 1U << CHANGE_HOST | 1U << CHANGE_JOB
};

static err_t apply(const char *state_dir, struct replica *replica,
                   const struct change_answer *answer, int64_t now) {
    replica_kinds touched = 0;
    TRY(answer->continues ? OK : replica_begin(replica));
    TRY(replica_apply(replica, answer, now, &touched));
    if (answer->more) {
        return OK; /* the last page writes the files, once */
    }
    if ((touched & KRL_KINDS) != 0) {
        TRY(sshd_files_write_krl(state_dir, replica, answer->revision, now));
    }
    if ((touched & CA_KINDS) != 0) {
        TRY(sshd_files_write_cas(state_dir, replica));
    }
    if ((touched & HOST_KINDS) != 0) {
        TRY(sshd_files_write_permit_open(state_dir, replica));
    }
    return replica_commit(replica);
}

/* A signal that ends us waits until the answer is applied: nothing would break, but a commit that
 * is nearly done need not be done again. */
static void hold_signals(int how) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(how, &set, NULL);
}

err_t sync_apply(const char *state_dir, struct replica *replica, const struct change_answer *answer,
                 int64_t now) {
    hold_signals(SIG_BLOCK);
    err_t err = apply(state_dir, replica, answer, now);
    if (failed(err)) {
        replica_rollback(replica);
    }
    hold_signals(SIG_UNBLOCK);
    return err;
}

static err_t prune_and_write(const char *state_dir, struct replica *replica, int64_t now) {
    uint64_t revision = 0;
    size_t pruned = 0;
    TRY(replica_begin(replica));
    TRY(replica_prune(replica, now, &pruned));
    TRY(replica_revision(replica, &revision));
    TRY(sshd_files_write_krl(state_dir, replica, revision, now));
    /* A replica that was never synced has no CA; enrolment wrote the files then. */
    if (revision > 0) {
        TRY(sshd_files_write_cas(state_dir, replica));
        TRY(sshd_files_write_permit_open(state_dir, replica));
    }
    return replica_commit(replica);
}

err_t sync_repair(const char *state_dir, struct replica *replica, int64_t now) {
    hold_signals(SIG_BLOCK);
    err_t err = prune_and_write(state_dir, replica, now);
    if (failed(err)) {
        replica_rollback(replica);
    }
    hold_signals(SIG_UNBLOCK);
    return err;
}

int sync_backoff_ms(unsigned failures, uint64_t random) {
    int64_t ceiling = BACKOFF_MIN_MS;
    for (unsigned i = 0; i < failures && ceiling < BACKOFF_MAX_MS; i++) {
        ceiling *= 2;
    }
    ceiling = ceiling < BACKOFF_MAX_MS ? ceiling : BACKOFF_MAX_MS;
    return (int)(ceiling / 2 + (int64_t)(random % (uint64_t)(ceiling / 2 + 1)));
}
