/*
 * sshd's AuthorizedPrincipalsCommand: `principals USER SERIAL KEYID [CA [KEY [CERTIFICATE]]]`, with
 * the tokens %u %s %i %F %f %k. Prints the principals that may log in as USER here, an account and
 * the job by which it may, or nothing. sshd then wants the certificate to carry one; its CA, its
 * dates and the KRL it has checked by itself. That a revoked serial is refused here as well is a
 * second door.
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
#include "host/login/login.h"
#include "model/scope.h"
#include "ssh/wire.h"

enum { ANSWER_BYTES_MAX = 4 * 1024 * 1024 };

struct question {
    struct replica_login login;
    const char *key_id; /* "alice@site", "alice@site job:1234@nancy" */
    int64_t expires_at; /* 0: never, or not told */
    struct scope scope; /* of the certificate, for the user; zero where it is not told */
};

/* The job that the certificate is for; NULL: it names none. */
static const char *named_job(const char *key_id) {
    const char *found = strstr(key_id, KEY_ID_JOB);
    return found == NULL ? NULL : found + strlen(KEY_ID_JOB);
}

/* Whether the certificate is the account's, by its key id, which the CA has signed. */
static bool is_of(const char *key_id, const char *account) {
    size_t len = strcspn(key_id, "@");
    return strlen(account) == len && strncmp(account, key_id, len) == 0;
}

/* That of whose certificate it is; else of the newest job. */
static const struct login_entry *choose_entry(const struct login_entries *entries,
                                              const char *key_id) {
    for (size_t i = 0; i < entries->count; i++) {
        if (is_of(key_id, entries->items[i].account)) {
            return &entries->items[i];
        }
    }
    return &entries->items[0];
}

/* What cannot be told stays as it is: sshd has judged it, at this moment. */
static void look_at(const char *certificate, struct question *question) {
    struct buf blob CLEANUP(buf_done) = BUF(LIMIT_CERT_BLOB_BYTES);
    uint64_t valid_before = 0;
    span_t principals, principal;
    if (failed(base64_decode(span_str(certificate), BASE64_STANDARD, &blob)) ||
        failed(cert_end(buf_span(&blob), &principals, &valid_before))) {
        return;
    }
    question->expires_at = valid_before > INT64_MAX ? 0 : (int64_t)valid_before;
    while (!failed(wire_get_string(&principals, &principal))) {
        scope_add(&question->scope, question->login.user, principal);
    }
}

static bool leave_record(const char *state_dir, struct replica *replica,
                         const struct question *question, const struct login_entries *entries) {
    const struct login_entry *entry = choose_entry(entries, question->key_id);
    const char *ca = question->login.ca_fingerprint;
    struct login_record record = {.serial = question->login.serial,
                                  .expires_at = question->expires_at,
                                  .at = question->login.now,
                                  .job_why = named_job(question->key_id) != NULL
                                                 ? LOGIN_JOB_NAMED
                                                 : login_entries_why(entries, entry->account)};
    (void)snprintf(record.user, sizeof record.user, "%s", question->login.user);
    (void)snprintf(record.account, sizeof record.account, "%s", entry->account);
    (void)snprintf(record.job, sizeof record.job, "%s", entry->job);
    (void)snprintf(record.fingerprint, sizeof record.fingerprint, "%s", ca == NULL ? "" : ca);
    return login_leave_record(state_dir, replica, &record);
}

/*
 * A certificate that is bound to clusters lets in on a host of one of them, and leads from a jump
 * host to these alone. sshd takes the first line that fits, so each of them leads to all.
 */
static err_t put_bound(struct replica *replica, const struct question *question,
                       const struct login_entry *entry, const struct buf *options,
                       struct buf *out) {
    const struct cluster_list *clusters = &question->scope.clusters;
    char principal[SCOPE_PRINCIPAL_CHARS];
    struct buf within CLEANUP(buf_done) = BUF(sizeof clusters->names + 2);
    struct buf bound CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
    char *text CLEANUP(freep) = NULL;
    if (entry->cluster[0] != '\0') {
        scope_principal(entry->account, entry->cluster, principal);
        return login_put_line(out, options, "", principal);
    }
    if (clusters->count == 0) {
        return OK;
    }
    TRY(buf_add_byte(&within, ','));
    TRY(cluster_list_print(clusters, &within));
    TRY(buf_add_byte(&within, ','));
    TRY(buf_to_str(&within, &text));
    TRY(buf_add(&bound, buf_span(options)));
    TRY(login_put_reach(replica, &question->login, text, &bound));
    for (size_t i = 0; i < clusters->count; i++) {
        scope_principal(entry->account, clusters->names[i], principal);
        TRY(login_put_line(out, &bound, "", principal));
    }
    return OK;
}

/*
 * A certificate that was made on a frontend, for a job alone, says itself from where it is good,
 * which is inside; from where the account may come in was asked at the door. One that its owner
 * asked for from outside is bound to that as any other. A scheduler may use a job's name again, for
 * somebody else, before such a certificate ends: so the job is a principal for its account's
 * certificates alone.
 */
static err_t put_entries(struct replica *replica, const struct question *question,
                         const struct login_entries *entries, struct buf *out) {
    const struct replica_login *login = &question->login;
    bool outside = strstr(question->key_id, KEY_ID_OUTSIDE KEY_ID_JOB) != NULL;
    for (size_t i = 0; i < entries->count; i++) {
        const struct login_entry *entry = &entries->items[i];
        struct buf options CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
        struct buf of_job CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
        struct buf from CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
        char *text CLEANUP(freep) = NULL;
        TRY(login_from_account(replica, entry->subnets, &from));
        TRY(buf_to_str(&from, &text));
        TRY(from.len > 0 ? login_put_option(&options, "from", text) : OK);
        TRY(login_entries_repeat(entries, i) ? OK
                                             : put_bound(replica, question, entry, &options, out));
        TRY(login_put_reach(replica, login, NULL, &options));
        TRY(login_put_reach(replica, login, NULL, &of_job));
        TRY(login_entries_repeat(entries, i) ? OK
                                             : login_put_line(out, &options, "", entry->account));
        bool by_job = entry->job[0] != '\0' && is_of(question->key_id, entry->account);
        TRY(by_job ? login_put_line(out, outside ? &options : &of_job, "job:", entry->job) : OK);
    }
    return OK;
}

static err_t answer(const char *state_dir, const struct question *question,
                    struct replica_verdict *verdict) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct login_entries entries CLEANUP(login_entries_done) = {0};
    struct buf out CLEANUP(buf_done) = BUF(ANSWER_BYTES_MAX);
    TRY(login_open_replica(state_dir, &replica));
    TRY(login_entries_get(replica, &question->login, named_job(question->key_id), verdict,
                          &entries));
    if (!verdict->allowed) {
        return OK;
    }
    TRY(put_entries(replica, question, &entries, &out));
    return leave_record(state_dir, replica, question, &entries) ? login_answer(&out) : OK;
}

const char host_principals_usage[] =
    "usage: postern-host principals [--state DIR] [--uid UID [--min-uid N]]\n"
    "                               USER SERIAL KEYID [CA [KEY [CERTIFICATE]]]\n";

int host_principals(const char *state_dir, int argc, char **argv) {
    struct question question = {.login.by = CREDENTIALS_CERTIFICATES, .login.now = clock_now_s()};
    struct replica_login *login = &question.login;
    if (argc < 3 || argc > 6 || failed(u64_parse(span_str(argv[1]), &login->serial))) {
        (void)fputs(host_principals_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    login->user = argv[0];
    login->ca_fingerprint = argc > 3 ? argv[3] : NULL;
    question.key_id = argv[2];
    if (argc > 5) {
        look_at(argv[5], &question);
    }
    struct replica_verdict verdict = {0};
    err_t err = answer(state_dir, &question, &verdict);
    if (failed(err)) {
        (void)fprintf(stderr, "postern-host: cannot answer from the replica in %s: %s\n", state_dir,
                      replica_error_text(err));
        syslog(LOG_ERR, "cannot answer from the replica in %s: %s", state_dir,
               replica_error_text(err));
        return HOST_EXIT_INTERNAL;
    }
    if (!verdict.allowed) {
        login_log_refusal(login->user, argv[1], replica_why_text(verdict.why));
    } else if (verdict.stale) {
        syslog(LOG_WARNING, "allowed account=%s although the replica is too old", login->user);
    }
    return HOST_EXIT_OK;
}
