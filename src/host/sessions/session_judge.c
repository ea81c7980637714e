#include "host/sessions/session_judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ssh/key.h"

struct search {
    const struct login_record *record;
    bool found;
    int64_t ends_at; /* of what was found; 0: never */
};

static err_t find_key(void *context, const struct replica_key *key) {
    struct search *search = context;
    struct key *parsed CLEANUP(key_freep) = NULL;
    char fingerprint[FINGERPRINT_CHARS];
    TRY(key_parse_line(span_str(key->public_key), &parsed, NULL));
    key_fingerprint(parsed, fingerprint);
    if (strcmp(fingerprint, search->record->fingerprint) != 0) {
        return OK;
    }
    /* Registered twice, it is good for as long as either is. */
    bool longer = !search->found || key->expires_at == 0 || key->expires_at > search->ends_at;
    search->ends_at =
        search->found && (search->ends_at == 0 || !longer) ? search->ends_at : key->expires_at;
    search->found = true;
    return OK;
}

static err_t find_entry(void *context, const struct replica_entry *entry) {
    struct search *search = context;
    if (strcmp(entry->account, search->record->account) == 0 &&
        strcmp(entry->job, search->record->job) == 0) {
        search->found = true;
        search->ends_at = entry->job_ends_at;
    }
    return OK;
}

static int64_t sooner(int64_t a, int64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

/* By whose right it came in. Without a job the account alone is asked. */
static err_t judge_entry(struct replica *replica, const struct session_rules *rules,
                         const struct login_record *record, int64_t now,
                         struct session_verdict *verdict) {
    const struct replica_login login = {
        .user = record->user,
        .by = record->serial != 0 ? CREDENTIALS_CERTIFICATES : CREDENTIALS_KEYS,
        .now = now,
        .any_age = true,
        .serial = record->serial,
        .ca_fingerprint = record->fingerprint[0] != '\0' ? record->fingerprint : NULL,
    };
    struct search search = {.record = record};
    struct replica_verdict entries = {0};
    TRY(replica_entry_list(replica, &login, &entries, find_entry, &search));
    if (search.found) {
        verdict->why = REPLICA_ALLOWED;
        verdict->judge_at = sooner(verdict->judge_at, search.ends_at);
        return OK;
    }
    /* Others may log in as that user; this account may not. */
    verdict->why = entries.allowed ? REPLICA_NO_JOB : entries.why;
    if (verdict->why != REPLICA_NO_JOB || record->job[0] == '\0') {
        return OK;
    }
    /* Its job is gone, but that may be because it was disabled, or it does not matter. */
    TRY(replica_account_judge(replica, record->account, login.by, &entries));
    if (!entries.allowed || rules->keep_job_ended) {
        verdict->why = entries.why;
    }
    return OK;
}

static err_t judge_key(struct replica *replica, const struct login_record *record, bool *found,
                       int64_t *ends_at) {
    struct search search = {.record = record};
    /* All, those that expired too: whether that matters is the site's choice. */
    TRY(replica_keys(replica, record->account, 0, find_key, &search));
    *found = search.found;
    *ends_at = search.ends_at;
    return OK;
}

err_t session_judge(struct replica *replica, const struct session_rules *rules,
                    const struct login_record *record, int64_t now, struct session_verdict *out) {
    struct session_verdict verdict = {0};
    int64_t ends_at = record->expires_at;
    bool found = true;
    TRY(judge_entry(replica, rules, record, now, &verdict));
    if (record->serial == 0) {
        TRY(judge_key(replica, record, &found, &ends_at));
    }
    if (verdict.why == REPLICA_ALLOWED && !found) {
        verdict.why = REPLICA_NO_KEY;
    }
    if (verdict.why == REPLICA_ALLOWED && rules->cut_expired && ends_at != 0) {
        verdict.why = now >= ends_at ? REPLICA_EXPIRED : REPLICA_ALLOWED;
        verdict.judge_at = sooner(verdict.judge_at, ends_at);
    }
    verdict.goes_on = verdict.why == REPLICA_ALLOWED || verdict.why == REPLICA_NO_HOST;
    *out = verdict;
    return OK;
}

void session_explain(const struct login_record *record, enum replica_why why,
                     char out[SESSION_REASON_CHARS]) {
    switch (why) {
    case REPLICA_REVOKED:
        (void)snprintf(out, SESSION_REASON_CHARS,
                       "your certificate %" PRIu64 " was revoked. Sign in anew with: postern sign",
                       record->serial);
        return;
    case REPLICA_UNKNOWN_CA:
        (void)snprintf(out, SESSION_REASON_CHARS,
                       "the CA of your certificate is trusted no more. Sign in anew with: "
                       "postern sign");
        return;
    case REPLICA_DISABLED:
    case REPLICA_NO_ACCOUNT:
        (void)snprintf(out, SESSION_REASON_CHARS, "the account %s was disabled", record->account);
        return;
    case REPLICA_NO_REACH:
        (void)snprintf(out, SESSION_REASON_CHARS,
                       "no project of the account %s reaches this machine any more",
                       record->account);
        return;
    case REPLICA_NO_JOB:
        (void)snprintf(out, SESSION_REASON_CHARS, "%s%s%s",
                       record->job[0] != '\0' ? "your job " : "a job is asked for here",
                       record->job, record->job[0] != '\0' ? " has ended" : "");
        return;
    case REPLICA_NO_KEY:
        (void)snprintf(out, SESSION_REASON_CHARS,
                       "your registered key was removed. See: postern key list");
        return;
    case REPLICA_EXPIRED:
        (void)snprintf(out, SESSION_REASON_CHARS, "your %s. See: postern %s",
                       record->serial != 0 ? "certificate has expired"
                                           : "registered key has expired",
                       record->serial != 0 ? "sign" : "key list");
        return;
    default:
        (void)snprintf(out, SESSION_REASON_CHARS, "%s", replica_why_text(why));
        return;
    }
}
