/*
 * sshd's AuthorizedKeysCommand: `keys USER [KEY]`. Prints the account's registered keys as lines of
 * an authorized_keys file, bound to their subnets and their end, when the account may log in here.
 */
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "base/clock.h"
#include "host/host.h"
#include "host/login.h"

enum { ANSWER_BYTES_MAX = 4 * 1024 * 1024 };

struct lines {
    struct buf *out;
    const struct buf *options; /* of a jump host, each followed by a space, or empty */
};

/*
 * expiry-time in local time: sshd before 9.1 does not know the form with "Z", and would then refuse
 * the key. Where the clock is set back, an hour is told twice and the earlier is meant; that the
 * key has not expired at this moment, the replica has checked exactly.
 */
static err_t put_expiry(struct buf *out, int64_t expires_at) {
    time_t when = (time_t)expires_at;
    struct tm tm;
    char text[32];
    if (localtime_r(&when, &tm) == NULL || strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm) != 14) {
        return FAIL(ERR_RANGE);
    }
    return buf_add_format(out, "expiry-time=\"%s\"", text);
}

static err_t put_line(void *context, const struct replica_key *key) {
    struct lines *lines = context;
    const char *lead = "";
    if (lines->options->len > 0) {
        TRY(buf_add(lines->out, span_of(lines->options->data, lines->options->len - 1)));
        lead = ",";
    }
    if (key->subnets[0] != '\0') {
        TRY(buf_add_format(lines->out, "%sfrom=\"%s\"", lead, key->subnets));
        lead = ",";
    }
    if (key->expires_at != 0) {
        TRY(buf_add_str(lines->out, lead));
        TRY(put_expiry(lines->out, key->expires_at));
        lead = ",";
    }
    return buf_add_format(lines->out, "%s%s\n", lead[0] != '\0' ? " " : "", key->public_key);
}

struct answer {
    struct replica *replica;
    const struct replica_login *login;
    struct buf *out;
};

static err_t put_entry(void *context, const struct replica_entry *entry) {
    struct answer *answer = context;
    struct buf options CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
    TRY(login_put_options(answer->replica, answer->login, &options));
    struct lines lines = {answer->out, &options};
    return replica_keys(answer->replica, entry->account, answer->login->now, put_line, &lines);
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

const char host_keys_usage[] =
    "usage: postern-host keys [--state DIR] [--uid UID [--min-uid N]] USER [KEY]\n";

int host_keys(const char *state_dir, int argc, char **argv) {
    if (argc < 1 || argc > 2) {
        (void)fputs(host_keys_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    const struct replica_login login = {
        .user = argv[0], .by = CREDENTIALS_KEYS, .now = clock_now_s()};
    struct replica_verdict verdict = {0};
    err_t err = answer(state_dir, &login, &verdict);
    if (failed(err)) {
        (void)fprintf(stderr, "postern-host: cannot answer from the replica in %s: %s\n", state_dir,
                      replica_error_text(err));
        syslog(LOG_ERR, "cannot answer from the replica in %s: %s", state_dir,
               replica_error_text(err));
        return HOST_EXIT_INTERNAL;
    }
    return HOST_EXIT_OK;
}
