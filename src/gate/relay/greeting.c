#include "gate/relay/relay.h"

#include <inttypes.h>

#include "base/clock.h"

/* A list that is too long ends in an ellipsis. */
enum { MORE_BYTES = 16 };

struct cluster_names {
    struct buf *text;
    const struct cluster_list *within;
};

static err_t add_cluster(void *context, const char *cluster) {
    const struct cluster_names *names = context;
    struct buf *text = names->text;
    if (!view_is_within(names->within, cluster)) {
        return OK;
    }
    if (text->len + strlen(cluster) + MORE_BYTES > text->len_max) {
        TRY(buf_add_str(text, ", ..."));
        return FAIL(ERR_TOO_LONG);
    }
    return buf_add_format(text, "%s%s", text->len == 0 ? "" : ", ", cluster);
}

err_t greeting_clusters(struct relay *relay, const struct identity *who, struct buf *text) {
    struct cluster_names names = {text, who->within};
    (void)pthread_rwlock_rdlock(&relay->policy);
    err_t err = view_cluster_list(relay->view, who->user, add_cluster, &names);
    (void)pthread_rwlock_unlock(&relay->policy);
    if (!failed(err) && text->len == 0) {
        return buf_add_str(text, "none");
    }
    return err.code == ERR_TOO_LONG ? OK : err;
}

enum { JOBS_MAX = 8, JOB_NODES_MAX = 3 };

struct jobs {
    struct buf *text;
    const char *end;
    size_t count;
};

/* "Your job 1234@nancy runs on n1, n2 and 5 more nodes." */
static err_t add_job(void *context, const char *job, const char *nodes, size_t node_count) {
    struct jobs *jobs = context;
    if (jobs->count++ == JOBS_MAX) {
        TRY(buf_add_format(jobs->text, "More of your jobs run: postern jobs%s", jobs->end));
        return FAIL(ERR_TOO_LONG);
    }
    TRY(buf_add_format(jobs->text, "Your job %s runs%s", job, node_count > 0 ? " on" : ""));
    for (size_t i = 0; i < node_count && i < JOB_NODES_MAX; i++) {
        TRY(buf_add_format(jobs->text, "%s %s", i > 0 ? "," : "", nodes));
        nodes += strlen(nodes) + 1;
    }
    if (node_count > JOB_NODES_MAX) {
        TRY(buf_add_format(jobs->text, " and %zu more", node_count - JOB_NODES_MAX));
    }
    return buf_add_format(jobs->text, ".%s", jobs->end);
}

static err_t add_jobs(const struct relay_session *session, const char *end, struct buf *text) {
    struct relay_worker *worker = session->worker;
    struct jobs jobs = {text, end, 0};
    (void)pthread_rwlock_rdlock(&worker->relay->policy);
    err_t err =
        view_job_list(worker->relay->view, session->who->user, worker->now_s, add_job, &jobs);
    (void)pthread_rwlock_unlock(&worker->relay->policy);
    return jobs.count > JOBS_MAX ? OK : err;
}

static err_t add_credential(const struct identity *who, int64_t now, const char *end,
                            struct buf *text) {
    char until[TIME_CHARS], left[DURATION_CHARS];
    if (who->ca_fingerprint[0] != '\0') {
        TRY(buf_add_format(text, "Your certificate %" PRIu64 " of the key %s", who->serial,
                           who->fingerprint));
    } else {
        TRY(buf_add_format(text, "Your key %s is registered here", who->fingerprint));
    }
    if (who->expires_at == 0) {
        return buf_add_format(text, "; it does not expire.%s", end);
    }
    time_print_utc(who->expires_at, until);
    duration_print_relative(who->expires_at, now, left);
    return buf_add_format(text, "; it expires %s (%s).%s", left, until, end);
}

err_t greeting_write(struct relay_session *session, bool terminal, struct buf *text) {
    const char *end = terminal ? "\r\n" : "\n";
    const struct identity *who = session->who;
    char from[INET_CHARS];
    inet_address_print(&session->from, from);
    if (who->by_window) {
        return buf_add_format(text,
                              "You are %s, from %s, and your password registers a key here and "
                              "does nothing else:%sssh-copy-id -i KEY.pub %s@THIS-GATE%s",
                              who->user, from, end, who->user, end);
    }
    struct buf clusters CLEANUP(buf_done) = BUF(LIMIT_SESSION_TEXT_BYTES / 2);
    TRY(greeting_clusters(session->worker->relay, who, &clusters));
    TRY(buf_add_format(text, "You are %s, from %s.%s", who->user, from, end));
    TRY(add_credential(who, session->worker->now_s, end, text));
    TRY(buf_add_format(text, "You reach: %.*s%s", (int)clusters.len, (const char *)clusters.data,
                       end));
    TRY(add_jobs(session, end, text));
    return buf_add_format(text,
                          "This is a gate and has no shell. Go through it with ssh's option "
                          "-J.%s",
                          end);
}
