/*
 * host_feed STATE HOST [AGE_S] <ANSWER.json: what `postern-host sync` does with one answer of the
 * feed, as it would have done AGE_S seconds ago. It stands in for the authority where a scenario is
 * about sshd.
 *
 * host_feed --follow CONFIG STATE HOST <ANSWERS: the same with one answer after the other, each a
 * line, and with the sessions that sshd opens, until the input ends.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/host.h"
#include "host/sessions/sessions.h"
#include "host/sync_host.h"

static err_t read_all(FILE *from, struct buf *out) {
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, from)) > 0;) {
        TRY(buf_add(out, span_of(chunk, got)));
    }
    return ferror(from) ? FAIL(ERR_IO) : OK;
}

struct feed {
    struct config config;
    struct replica *replica;
};

static void feed_done(struct feed *feed) {
    replica_close(feed->replica);
    config_done(&feed->config);
}

static err_t feed_open(const char *config, const char *state_dir, const char *host,
                       struct feed *feed, struct fault *fault) {
    struct replica_self self = {.max_age_s = 86400};
    char *path CLEANUP(freep) = NULL;
    TRY(command_config(config, state_dir, &feed->config, fault));
    self.best_effort = feed->config.best_effort;
    TRY(sshd_files_make_dir(&feed->config));
    TRY(path_join(state_dir, HOST_REPLICA_FILE, &path));
    TRY(replica_open_write(path, feed->config.command_group, &feed->replica));
    (void)snprintf(self.name, sizeof self.name, "%s", host);
    return replica_self_put(feed->replica, &self);
}

static err_t feed_apply(struct feed *feed, span_t json, int64_t now, struct fault *fault) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    TRY(change_answer_decode(json, &answer, fault));
    return sync_apply(feed->config.state_dir, feed->replica, answer, now);
}

static err_t feed_once(const char *state_dir, const char *host, int64_t now, struct fault *fault) {
    struct feed feed CLEANUP(feed_done) = {0};
    struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    TRY(feed_open(NULL, state_dir, host, &feed, fault));
    TRY(read_all(stdin, &json));
    return feed_apply(&feed, buf_span(&json), now, fault);
}

static err_t feed_lines(struct feed *feed, struct sessions *sessions, struct fault *fault) {
    char *line CLEANUP(freep) = NULL;
    size_t size = 0;
    for (ssize_t len; (len = getline(&line, &size, stdin)) > 0;) {
        TRY(feed_apply(feed, span_of(line, (size_t)len), clock_now_s(), fault));
        sessions_judge(sessions);
    }
    return OK;
}

static err_t feed_follow(const char *config, const char *state_dir, const char *host,
                         struct fault *fault) {
    struct feed feed CLEANUP(feed_done) = {0};
    struct sessions *sessions CLEANUP(sessions_freep) = NULL;
    TRY(feed_open(config, state_dir, host, &feed, fault));
    TRY(sessions_start(&feed.config, &sessions, fault));
    return feed_lines(&feed, sessions, fault);
}

int main(int argc, char **argv) {
    struct fault fault = {0};
    if (argc < 3) {
        (void)fputs("usage: host_feed STATE HOST [AGE_S] <ANSWER.json\n"
                    "       host_feed --follow CONFIG STATE HOST <ANSWERS\n",
                    stderr);
        return 2;
    }
    bool follows = argc == 5 && strcmp(argv[1], "--follow") == 0;
    int64_t age = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    err_t err = follows ? feed_follow(argv[2], argv[3], argv[4], &fault)
                        : feed_once(argv[1], argv[2], clock_now_s() - age, &fault);
    if (failed(err)) {
        (void)fprintf(stderr, "host_feed: %s %s (%s)\n", fault.field, fault.reason, err_text(err));
        return 1;
    }
    return 0;
}
