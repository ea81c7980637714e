#include "host/login/login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "feed/reach.h"
#include "host/host.h"

err_t login_open_replica(const char *state_dir, struct replica **out) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, HOST_REPLICA_FILE, &path));
    return replica_open_read(path, out);
}

/* --- by whose right --- */

struct gathering {
    struct login_entries entries;
    const char *job; /* that one alone; NULL: all */
};

void login_entries_done(struct login_entries *entries) {
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->items[i].subnets);
    }
    free(entries->items);
    *entries = (struct login_entries){0};
}

static err_t gather(void *context, const struct replica_entry *entry) {
    struct gathering *gathering = context;
    struct login_entries *entries = &gathering->entries;
    if (gathering->job != NULL && strcmp(gathering->job, entry->job) != 0) {
        return OK;
    }
    struct login_entry *items =
        reallocarray(entries->items, entries->count + 1, sizeof entries->items[0]);
    if (items == NULL) {
        return FAIL(ERR_MEMORY);
    }
    entries->items = items;
    struct login_entry *copy = &items[entries->count];
    *copy = (struct login_entry){.subnets = strdup(entry->subnets)};
    (void)snprintf(copy->account, sizeof copy->account, "%s", entry->account);
    (void)snprintf(copy->job, sizeof copy->job, "%s", entry->job);
    (void)snprintf(copy->cluster, sizeof copy->cluster, "%s", entry->cluster);
    if (copy->subnets == NULL) {
        return FAIL(ERR_MEMORY);
    }
    entries->count++;
    return OK;
}

err_t login_entries_get(struct replica *replica, const struct replica_login *login, const char *job,
                        struct replica_verdict *verdict, struct login_entries *out) {
    struct gathering gathering = {.job = job};
    struct replica_verdict found = {0};
    err_t err = replica_entry_list(replica, login, &found, gather, &gathering);
    if (failed(err)) {
        login_entries_done(&gathering.entries);
        return err;
    }
    if (found.allowed && gathering.entries.count == 0) {
        found = (struct replica_verdict){.why = REPLICA_NO_JOB}; /* not of the job that was named */
    }
    *verdict = found;
    *out = gathering.entries;
    return OK;
}

bool login_entries_repeat(const struct login_entries *entries, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (strcmp(entries->items[i].account, entries->items[at].account) == 0) {
            return true;
        }
    }
    return false;
}

enum login_job_why login_entries_why(const struct login_entries *entries, const char *account) {
    size_t count = 0;
    for (size_t i = 0; i < entries->count; i++) {
        count += strcmp(entries->items[i].account, account) == 0;
    }
    return count > 1 ? LOGIN_JOB_NEWEST : LOGIN_JOB_ONLY;
}

/* --- options --- */

err_t login_put_option(struct buf *options, const char *name, const char *value) {
    return buf_add_format(options, "%s%s=\"%s\"", options->len > 0 ? "," : "", name, value);
}

err_t login_put_line(struct buf *out, const struct buf *options, const char *lead,
                     const char *text) {
    TRY(buf_add(out, buf_span(options)));
    return buf_add_format(out, "%s%s%s\n", options->len > 0 ? " " : "", lead, text);
}

struct destinations {
    struct buf *out;
    size_t count;
};

static err_t put_destination(void *context, const char *name, uint16_t port) {
    struct destinations *put = context;
    /* Of a longer list sshd would take nothing, and refuse everybody. */
    if (put->count++ >= LIMIT_LOGIN_DESTINATIONS_COUNT) {
        return OK;
    }
    /* sshd wants an IPv6 address in brackets. Names passed host_name_check(): no quotes. */
    return strchr(name, ':') != NULL
               ? buf_add_format(put->out, ",permitopen=\"[%s]:%u\"", name, (unsigned)port)
               : buf_add_format(put->out, ",permitopen=\"%s:%u\"", name, (unsigned)port);
}

struct cluster_names {
    struct buf *out;
    const char *within;
    bool any;
};

static err_t put_cluster(void *context, const char *cluster) {
    struct cluster_names *names = context;
    if (names->within != NULL && !reach_has(names->within, cluster)) {
        return OK;
    }
    TRY(buf_add_str(names->out, names->any ? "," : ",environment=\"POSTERN_CLUSTERS="));
    names->any = true;
    return buf_add_str(names->out, cluster);
}

err_t login_put_reach(struct replica *replica, const struct replica_login *login,
                      const char *within, struct buf *options) {
    const char *user = login->user;
    enum host_role role;
    TRY(replica_role(replica, &role));
    if (role != HOST_JUMP) {
        return OK;
    }
    TRY(buf_add_str(options, options->len > 0 ? ",restrict" : "restrict"));
    struct destinations put = {options, 0};
    TRY(replica_destination_list(replica, user, login->by, within, login->now, put_destination,
                                 &put));
    if (put.count > LIMIT_LOGIN_DESTINATIONS_COUNT) {
        syslog(LOG_WARNING, "account=%s reaches %zu destinations, of which sshd takes %d", user,
               put.count, LIMIT_LOGIN_DESTINATIONS_COUNT);
    }
    if (put.count > 0) {
        /* Only now: without a destination, port-forwarding alone would allow every one. */
        TRY(buf_add_str(options, ",port-forwarding"));
    }
    struct cluster_names names = {options, within, false};
    TRY(replica_cluster_list(replica, user, put_cluster, &names));
    return names.any ? buf_add_byte(options, '"') : OK;
}

/* --- what is left behind --- */

bool login_leave_record(const char *state_dir, struct replica *replica,
                        const struct login_record *record) {
    struct replica_self self = {0};
    err_t err = login_record_leave(state_dir, record);
    if (!failed(err)) {
        return true;
    }
    bool goes_on = !failed(replica_self_get(replica, &self)) && self.best_effort;
    syslog(goes_on ? LOG_WARNING : LOG_ERR,
           "%s account=%s: no record of the login can be left in %s/" LOGIN_RECORD_DIR
           " (%s), so that nobody could end its sessions; is postern-host sync running?",
           goes_on ? "allowed" : "refused", record->account, state_dir, err_text(err));
    return goes_on;
}

void login_log_refusal(const char *user, const char *serial, const char *why) {
    bool printable = text_is_printable(span_str(user)) && text_is_printable(span_str(serial));
    syslog(LOG_NOTICE, "refused account=%.64s serial=%.24s: %s", printable ? user : "?",
           printable ? serial : "?", why);
}

err_t login_answer(const struct buf *answer) {
    span_t rest = buf_span(answer);
    while (rest.len > 0) {
        ssize_t put = write(STDOUT_FILENO, rest.data, rest.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return err_from_errno(errno);
        }
        rest = span_of(rest.data + put, rest.len - (size_t)put);
    }
    return OK;
}
