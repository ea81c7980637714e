/*
 * sshd's AuthorizedPrincipalsCommand: `principals USER SERIAL KEYID [CA [KEY]]`, with the tokens
 * %u %s %i %F %f. Prints the principals that may log in as USER here, an account and the job
 * by which it may, or nothing. sshd then wants the certificate to carry it; its CA, its dates and
 * the KRL it has checked by itself. That a revoked serial is refused here as well is a second door.
 *
 * A refusal exits 0 with no output: for sshd, both are "no principal", and it logs another status
 * as a failure of the command.
 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/text.h"
#include "host/host.h"
#include "host/login.h"

enum { ANSWER_BYTES_MAX = 4 * 1024 * 1024 };

struct answer {
    struct replica *replica;
    const struct replica_login *login;
    struct buf *out;
};

static err_t put_principal(struct answer *answer, const char *lead, const char *name) {
    TRY(login_put_options(answer->replica, answer->login, answer->out));
    return buf_add_format(answer->out, "%s%s\n", lead, name);
}

static err_t put_entry(void *context, const struct replica_entry *entry) {
    struct answer *answer = context;
    TRY(put_principal(answer, "", entry->account));
    return entry->job[0] == '\0' ? OK : put_principal(answer, "job:", entry->job);
}

static err_t answer(const char *state_dir, const struct replica_login *login,
                    struct replica_verdict *verdict) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct buf out CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
    TRY(login_open_replica(state_dir, &replica));
    struct answer answer = {replica, login, &out};
    TRY(replica_entry_list(replica, login, verdict, put_entry, &answer));
    return verdict->allowed ? login_answer(&out) : OK;
}

const char host_principals_usage[] =
    "usage: postern-host principals [--state DIR] [--uid UID [--min-uid N]]\n"
    "                               USER SERIAL KEYID [CA [KEY]]\n";

int host_principals(const char *state_dir, int argc, char **argv) {
    struct replica_login login = {.by = CREDENTIALS_CERTIFICATES, .now = clock_now_s()};
    if (argc < 3 || argc > 5 || failed(u64_parse(span_str(argv[1]), &login.serial))) {
        (void)fputs(host_principals_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    login.user = argv[0];
    login.ca_fingerprint = argc > 3 ? argv[3] : NULL;
    struct replica_verdict verdict = {0};
    err_t err = answer(state_dir, &login, &verdict);
    if (failed(err)) {
        (void)fprintf(stderr, "postern-host: cannot answer from the replica in %s: %s\n", state_dir,
                      replica_error_text(err));
        syslog(LOG_ERR, "cannot answer from the replica in %s: %s", state_dir,
               replica_error_text(err));
        return HOST_EXIT_INTERNAL;
    }
    if (!verdict.allowed) {
        login_log_refusal(login.user, argv[1], replica_why_text(verdict.why));
    } else if (verdict.stale) {
        syslog(LOG_WARNING, "allowed account=%s although the replica is too old", login.user);
    }
    return HOST_EXIT_OK;
}
