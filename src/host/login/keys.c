/*
 * sshd's AuthorizedKeysCommand: `keys USER [FINGERPRINT [KEY]]`, with the tokens %u %f %k. Prints
 * the registered keys by which one may log in as USER here, as lines of an authorized_keys file,
 * bound to their subnets and their end: the one that is offered, or all where none is told.
 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/clock.h"
#include "host/host.h"
#include "host/login/login.h"

enum { ANSWER_BYTES_MAX = 4 * 1024 * 1024 };

struct question {
    struct replica_login login;
    const char *fingerprint, *key; /* of what is offered, base64; NULL: not told */
};

struct answer {
    struct replica *replica;
    const struct question *question;
    const struct login_entry *entry; /* whose keys are put */
    const struct login_entry *found; /* whose the offered one is; NULL: nobody's */
    struct buf *out;
};

/*
 * expiry-time in local time: sshd before 9.1 does not know the form with "Z", and would then refuse
 * the key. Where the clock is set back, an hour is told twice and the earlier is meant; that the
 * key has not expired at this moment, the replica has checked exactly.
 */
static err_t put_expiry(struct buf *options, int64_t expires_at) {
    time_t when = (time_t)expires_at;
    struct tm tm;
    char text[32];
    if (localtime_r(&when, &tm) == NULL || strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm) != 14) {
        return FAIL(ERR_RANGE);
    }
    return login_put_option(options, "expiry-time", text);
}

/* A line's second word. */
static bool is_offered(const char *public_key, const char *offered) {
    const char *blob = strchr(public_key, ' ');
    return blob != NULL && strcmp(blob + 1, offered) == 0;
}

static err_t put_key(void *context, const struct replica_key *key) {
    struct answer *answer = context;
    const struct question *question = answer->question;
    struct buf options CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
    struct buf from CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
    char *text CLEANUP(freep) = NULL;
    bool nowhere = true;
    if (question->key != NULL && !is_offered(key->public_key, question->key)) {
        return OK;
    }
    TRY(login_from_key(answer->replica, answer->entry->subnets, key, &from, &nowhere));
    if (nowhere) {
        return OK;
    }
    TRY(buf_to_str(&from, &text));
    TRY(from.len > 0 ? login_put_option(&options, "from", text) : OK);
    TRY(key->expires_at != 0 ? put_expiry(&options, key->expires_at) : OK);
    TRY(login_put_reach(answer->replica, &question->login, NULL, &options));
    answer->found = answer->found == NULL ? answer->entry : answer->found;
    return login_put_line(answer->out, &options, "", key->public_key);
}

static bool leave_record(const char *state_dir, const struct answer *answer,
                         const struct login_entries *entries) {
    const struct question *question = answer->question;
    const struct login_entry *entry = answer->found;
    struct login_record record = {.at = question->login.now};
    if (question->key == NULL || entry == NULL) {
        return true; /* nothing is offered that this lets in */
    }
    record.job_why = login_entries_why(entries, entry->account);
    (void)snprintf(record.user, sizeof record.user, "%s", question->login.user);
    (void)snprintf(record.account, sizeof record.account, "%s", entry->account);
    (void)snprintf(record.job, sizeof record.job, "%s", entry->job);
    (void)snprintf(record.fingerprint, sizeof record.fingerprint, "%s", question->fingerprint);
    return login_leave_record(state_dir, answer->replica, &record);
}

/* An account's keys once, by the right of its newest job. */
static err_t put_keys(struct answer *answer, const struct login_entries *entries) {
    for (size_t i = 0; i < entries->count; i++) {
        answer->entry = &entries->items[i];
        TRY(login_entries_repeat(entries, i)
                ? OK
                : replica_keys(answer->replica, answer->entry->account, answer->question->login.now,
                               put_key, answer));
    }
    return OK;
}

static err_t answer(const char *state_dir, const struct question *question,
                    struct replica_verdict *verdict) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct login_entries entries CLEANUP(login_entries_done) = {0};
    struct buf out CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
    TRY(login_open_replica(state_dir, &replica));
    TRY(login_entries_get(replica, &question->login, NULL, verdict, &entries));
    if (!verdict->allowed) {
        return OK;
    }
    struct answer answer = {.replica = replica, .question = question, .out = &out};
    TRY(put_keys(&answer, &entries));
    return leave_record(state_dir, &answer, &entries) ? login_answer(&out) : OK;
}

const char host_keys_usage[] =
    "usage: postern-host keys [--state DIR] [--uid UID [--min-uid N]] USER\n"
    "                         [FINGERPRINT [KEY]]\n";

int host_keys(const char *state_dir, int argc, char **argv) {
    if (argc < 1 || argc > 3) {
        (void)fputs(host_keys_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    const struct question question = {
        .login = {.user = argv[0], .by = CREDENTIALS_KEYS, .now = clock_now_s()},
        .fingerprint = argc > 2 ? argv[1] : NULL,
        .key = argc > 2 ? argv[2] : NULL};
    struct replica_verdict verdict = {0};
    err_t err = answer(state_dir, &question, &verdict);
    if (failed(err)) {
        (void)fprintf(stderr, "postern-host: cannot answer from the replica in %s: %s\n", state_dir,
                      replica_error_text(err));
        syslog(LOG_ERR, "cannot answer from the replica in %s: %s", state_dir,
               replica_error_text(err));
        return HOST_EXIT_INTERNAL;
    }
    return HOST_EXIT_OK;
}
