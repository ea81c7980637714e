/* What the tests of the replica share: a file in a place of its own, answers, and questions. */
#ifndef POSTERN_TESTS_UNIT_REPLICA_FIXTURE_H
#define POSTERN_TESTS_UNIT_REPLICA_FIXTURE_H

#include "check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "feed/replica.h"

enum { NOW = 1800000000, NOBODY = 65534, MAX_AGE_S = 3600 };

#define CA_LINE        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
#define CA_FINGERPRINT "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"

/* A directory that readers of another user may enter and not write. */
struct place {
    char dir[64];
    char path[96];
};

__attribute__((unused)) static void place_make(struct place *place) {
    (void)snprintf(place->dir, sizeof place->dir, "/tmp/postern-replica.XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    assert_int_equal(chmod(place->dir, 0755), 0);
    (void)snprintf(place->path, sizeof place->path, "%s/replica.db", place->dir);
}

__attribute__((unused)) static void place_remove(struct place *place) {
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", place->path, suffixes[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(place->dir), 0);
}

__attribute__((unused)) static void apply_at(struct replica *replica, const char *json,
                                             int64_t now) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    struct fault fault = {0};
    err_t err = change_answer_decode(span_str(json), &answer, &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
    replica_kinds touched = 0;
    assert_ok(replica_begin(replica));
    assert_ok(replica_apply(replica, answer, now, &touched));
    assert_ok(replica_commit(replica));
}

__attribute__((unused)) static void apply(struct replica *replica, const char *json) {
    apply_at(replica, json, NOW);
}

__attribute__((unused)) static err_t count_entry(void *context, const struct replica_entry *entry) {
    (void)entry;
    ++*(size_t *)context;
    return OK;
}

/* What is allowed has entries, and nothing else has. */
__attribute__((unused)) static struct replica_verdict ask(struct replica *replica,
                                                          const struct replica_login *login) {
    struct replica_verdict verdict = {.allowed = true};
    size_t count = 0;
    assert_ok(replica_entry_list(replica, login, &verdict, count_entry, &count));
    assert_int_equal(verdict.allowed, count > 0);
    assert_int_equal(verdict.allowed, verdict.why == REPLICA_ALLOWED);
    return verdict;
}

__attribute__((unused)) static err_t append_text(void *context, const char *text) {
    TRY(buf_add_str(context, text));
    return buf_add_byte(context, '\n');
}

__attribute__((unused)) static err_t append_destination(void *context, const char *name,
                                                        uint16_t port) {
    return buf_add_format(context, "%s:%u ", name, (unsigned)port);
}

#endif
