/*
 * host_feed STATE HOST [AGE_S] <ANSWER.json: what `postern-host sync` does with one answer of the
 * feed, as it would have done AGE_S seconds ago. It stands in for the authority where a scenario is
 * about sshd.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/host.h"
#include "host/sync_host.h"

static err_t read_all(FILE *from, struct buf *out) {
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, from)) > 0;) {
        TRY(buf_add(out, span_of(chunk, got)));
    }
    return ferror(from) ? FAIL(ERR_IO) : OK;
}

static err_t feed(const char *state_dir, const char *host, int64_t now, struct fault *fault) {
    struct config config CLEANUP(config_done) = {0};
    struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct replica_self self = {.max_age_s = 86400};
    char *path CLEANUP(freep) = NULL;
    TRY(command_config(NULL, state_dir, &config, fault));
    TRY(sshd_files_make_dir(&config));
    TRY(path_join(state_dir, HOST_REPLICA_FILE, &path));
    TRY(read_all(stdin, &json));
    TRY(change_answer_decode(buf_span(&json), &answer, fault));
    TRY(replica_open_write(path, config.command_group, &replica));
    (void)snprintf(self.name, sizeof self.name, "%s", host);
    TRY(replica_self_put(replica, &self));
    return sync_apply(state_dir, replica, answer, now);
}

int main(int argc, char **argv) {
    struct fault fault = {0};
    if (argc < 3) {
        (void)fputs("usage: host_feed STATE HOST [AGE_S] <ANSWER.json\n", stderr);
        return 2;
    }
    int64_t age = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    err_t err = feed(argv[1], argv[2], clock_now_s() - age, &fault);
    if (failed(err)) {
        (void)fprintf(stderr, "host_feed: %s %s (%s)\n", fault.field, fault.reason, err_text(err));
        return 1;
    }
    return 0;
}
