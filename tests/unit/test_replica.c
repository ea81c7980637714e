#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "replica_fixture.h"

static const char snapshot[] =
    "{\"revision\":\"10\",\"snapshot\":true,\"changes\":["
    "{\"revision\":\"10\",\"kind\":\"ca\",\"key\":\"" CA_FINGERPRINT
    "\",\"state\":{\"type\":\"user\",\"publicKey\":\"" CA_LINE "\"}},"
    "{\"revision\":\"10\",\"kind\":\"account\",\"key\":\"alice\",\"state\":"
    "{\"enabled\":true,\"clusters\":[\"daint\",\"santis\"]}},"
    "{\"revision\":\"10\",\"kind\":\"account\",\"key\":\"bob\",\"state\":"
    "{\"enabled\":false,\"clusters\":[\"daint\"]}},"
    "{\"revision\":\"10\",\"kind\":\"account\",\"key\":\"carol\",\"state\":"
    "{\"enabled\":true,\"clusters\":[\"santis\",\"daint2\",\"adaint\"]}},"
    "{\"revision\":\"10\",\"kind\":\"account\",\"key\":\"dave\",\"state\":"
    "{\"enabled\":true,\"clusters\":[]}},"
    "{\"revision\":\"10\",\"kind\":\"revocation\",\"key\":\"66\",\"state\":"
    "{\"account\":\"alice\",\"expireTime\":\"2027-01-20T00:00:00Z\",\"reason\":\"lost\"}},"
    "{\"revision\":\"10\",\"kind\":\"revocation\",\"key\":\"18446744073709551615\",\"state\":"
    "{\"account\":\"alice\",\"expireTime\":\"2027-01-10T00:00:00Z\",\"reason\":\"lost\"}},"
    "{\"revision\":\"10\",\"kind\":\"cluster\",\"key\":\"daint\",\"state\":"
    "{\"address\":\"192.0.2.1\",\"port\":0}},"
    "{\"revision\":\"10\",\"kind\":\"host\",\"key\":\"daint-ln1\",\"state\":"
    "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"192.0.2.1\",\"port\":2222}},"
    "{\"revision\":\"10\",\"kind\":\"host\",\"key\":\"ela\",\"state\":"
    "{\"cluster\":\"\",\"role\":\"jump\",\"address\":\"192.0.2.9\",\"port\":22}},"
    "{\"revision\":\"10\",\"kind\":\"key\",\"key\":\"1\",\"state\":{\"account\":\"alice\","
    "\"publicKey\":\"" CA_LINE "\",\"ipSubnets\":[\"10.0.0.0/8\",\"2001:db8::/32\"]}},"
    "{\"revision\":\"10\",\"kind\":\"key\",\"key\":\"2\",\"state\":{\"account\":\"alice\","
    "\"publicKey\":\"" CA_LINE "\",\"expireTime\":\"2027-01-01T00:00:00Z\"}}]}";

static struct replica *fresh(struct place *place, const char *self_name, bool best_effort) {
    struct replica *replica = NULL;
    struct replica_self self = {.best_effort = best_effort, .max_age_s = MAX_AGE_S};
    place_make(place);
    (void)snprintf(self.name, sizeof self.name, "%s", self_name);
    assert_ok(replica_open_write(place->path, (gid_t)-1, &replica));
    apply(replica, snapshot);
    assert_ok(replica_self_put(replica, &self));
    return replica;
}

static const struct {
    const char *self, *user;
    uint64_t serial;
    const char *ca;
    int64_t now;
    enum replica_why why;
} logins[] = {
    {"daint-ln1", "nobody", 1, NULL, NOW, REPLICA_NO_ACCOUNT},
    {"daint-ln1", "", 1, NULL, NOW, REPLICA_NO_ACCOUNT},
    {"daint-ln1", "ALICE", 1, NULL, NOW, REPLICA_NO_ACCOUNT},
    {"daint-ln1", "alice' OR '1'='1", 1, NULL, NOW, REPLICA_NO_ACCOUNT},
    {"daint-ln1", "bob", 1, NULL, NOW, REPLICA_DISABLED},
    {"daint-ln1", "carol", 1, NULL, NOW, REPLICA_NO_REACH}, /* daint2 and adaint are not daint */
    {"daint-ln1", "dave", 1, NULL, NOW, REPLICA_NO_REACH},
    {"ela", "dave", 1, NULL, NOW, REPLICA_NO_REACH},
    {"ela", "bob", 1, NULL, NOW, REPLICA_DISABLED},
    {"elsewhere", "alice", 1, NULL, NOW, REPLICA_NO_HOST},
    {"", "alice", 1, NULL, NOW, REPLICA_NO_HOST},
    {"daint-ln1", "alice", 0, NULL, NOW, REPLICA_NO_SERIAL},
    {"daint-ln1", "alice", 66, NULL, NOW, REPLICA_REVOKED},
    {"daint-ln1", "alice", UINT64_MAX, NULL, NOW, REPLICA_REVOKED},
    {"daint-ln1", "alice", 1, "SHA256:other", NOW, REPLICA_UNKNOWN_CA},
    {"daint-ln1", "alice", 1, "", NOW, REPLICA_UNKNOWN_CA},
    {"daint-ln1", "alice", 1, NULL, NOW + MAX_AGE_S + 1, REPLICA_STALE},
    {"daint-ln1", "alice", 1, NULL, NOW - MAX_AGE_S - 1, REPLICA_STALE},
    {"daint-ln1", "alice", 1, NULL, NOW + MAX_AGE_S, REPLICA_ALLOWED},
    {"daint-ln1", "alice", 1, CA_FINGERPRINT, NOW, REPLICA_ALLOWED},
    {"ela", "carol", 1, CA_FINGERPRINT, NOW, REPLICA_NO_CREDENTIAL}, /* santis is not told */
    {"ela", "alice", 1, CA_FINGERPRINT, NOW, REPLICA_ALLOWED},
};

static void test_who_may_log_in(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh(&place, "daint-ln1", false);
    for (size_t i = 0; i < COUNT_OF(logins); i++) {
        struct replica_self self = {.max_age_s = MAX_AGE_S};
        (void)snprintf(self.name, sizeof self.name, "%s", logins[i].self);
        assert_ok(replica_self_put(replica, &self));
        struct replica_login login = {logins[i].user, CREDENTIALS_CERTIFICATES, logins[i].now,
                                      logins[i].serial, logins[i].ca};
        struct replica_verdict verdict = ask(replica, &login);
        if (verdict.why != logins[i].why) {
            print_error("row %zu: %s\n", i, replica_why_text(verdict.why));
        }
        assert_int_equal(verdict.why, logins[i].why);
        assert_int_equal(verdict.allowed, logins[i].why == REPLICA_ALLOWED);
    }
    replica_closep(&replica);
    place_remove(&place);
}

static void test_best_effort_warns_only_about_age(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh(&place, "daint-ln1", true);
    struct replica_login login = {"alice", CREDENTIALS_CERTIFICATES, NOW + 10 * MAX_AGE_S, 1, NULL};
    struct replica_verdict verdict = ask(replica, &login);
    assert_true(verdict.allowed && verdict.stale);
    login.serial = 66;
    assert_false(ask(replica, &login).allowed);
    login.serial = 1;
    login.user = "bob";
    assert_false(ask(replica, &login).allowed);
    replica_closep(&replica);
    place_remove(&place);
}

static void test_refused_files(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    place_make(&place);
    assert_fails(replica_open_read(place.path, &replica), ERR_NOT_FOUND);
    /* An empty file is no replica, and not yet one either. */
    assert_ok(file_replace(place.path, SPAN_LITERAL(""), 0600, 0));
    assert_fails(replica_open_read(place.path, &replica), ERR_MALFORMED);
    uint8_t junk[8192];
    memset(junk, 'x', sizeof junk);
    assert_ok(file_replace(place.path, span_of(junk, sizeof junk), 0600, 0));
    assert_fails(replica_open_read(place.path, &replica), ERR_MALFORMED);
    assert_fails(replica_open_write(place.path, (gid_t)-1, &replica), ERR_MALFORMED);
    assert_null(replica);
    assert_int_equal(unlink(place.path), 0);
    assert_int_equal(symlink("/etc/passwd", place.path), 0);
    assert_true(failed(replica_open_write(place.path, (gid_t)-1, &replica)));
    place_remove(&place);
}

static err_t count_serial(void *context, uint64_t serial) {
    uint64_t *serials = context;
    serials[++serials[0]] = serial;
    return OK;
}

static err_t append_key(void *context, const struct replica_key *key) {
    return buf_add_format(context, "%s|%s\n", key->subnets, key->public_key);
}

static err_t append_host(void *context, const char *name, const char *address) {
    return buf_add_format(context, "%s at %s\n", name, address);
}

static void test_listings(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh(&place, "ela", false);
    uint64_t serials[8] = {0};
    assert_ok(replica_revoked_list(replica, count_serial, serials));
    assert_int_equal(serials[0], 2);
    assert_true(serials[1] == 66 && serials[2] == UINT64_MAX);
    struct buf text CLEANUP(buf_done) = BUF(4096);
    assert_ok(replica_ca_list(replica, CA_USE_USER, append_text, &text));
    assert_true(span_equal_str(buf_span(&text), CA_LINE "\n"));
    buf_clear(&text);
    assert_ok(replica_ca_list(replica, CA_USE_HOST, append_text, &text));
    assert_int_equal(text.len, 0);
    assert_ok(replica_destination_list(replica, NULL, 0, NULL, NOW, append_destination, &text));
    assert_true(
        span_equal_str(buf_span(&text), "192.0.2.1:22 192.0.2.1:2222 daint:22 daint-ln1:2222 "));
    buf_clear(&text);
    assert_ok(replica_destination_list(replica, "carol", CREDENTIALS_KEYS, NULL, NOW,
                                       append_destination, &text));
    assert_ok(replica_destination_list(replica, "nobody", CREDENTIALS_KEYS, NULL, NOW,
                                       append_destination, &text));
    assert_int_equal(text.len, 0); /* daint2 and adaint are not daint */
    assert_ok(replica_destination_list(replica, "alice", CREDENTIALS_KEYS, NULL, NOW,
                                       append_destination, &text));
    assert_true(
        span_equal_str(buf_span(&text), "192.0.2.1:22 192.0.2.1:2222 daint:22 daint-ln1:2222 "));
    buf_clear(&text);
    assert_ok(replica_destination_list(replica, "alice", CREDENTIALS_KEYS, ",aint,daint2,", NOW,
                                       append_destination, &text));
    assert_int_equal(text.len, 0); /* by what is bound to others */
    assert_ok(replica_destination_list(replica, "alice", CREDENTIALS_KEYS, ",santis,daint,", NOW,
                                       append_destination, &text));
    assert_int_not_equal(text.len, 0);
    enum host_role role = HOST_LOGIN;
    assert_ok(replica_role(replica, &role));
    assert_int_equal(role, HOST_JUMP);
    buf_clear(&text);
    assert_ok(replica_jump_list(replica, append_host, &text));
    assert_true(span_equal_str(buf_span(&text), "ela at 192.0.2.9\n"));
    buf_clear(&text);
    assert_ok(replica_cluster_list(replica, "alice", append_text, &text));
    assert_true(span_equal_str(buf_span(&text), "daint\nsantis\n"));
    buf_clear(&text);
    assert_ok(replica_cluster_list(replica, "dave", append_text, &text));
    assert_ok(replica_keys(replica, "bob", NOW, append_key, &text));
    assert_int_equal(text.len, 0);
    assert_ok(replica_keys(replica, "alice", NOW, append_key, &text));
    assert_true(span_equal_str(buf_span(&text), "10.0.0.0/8,2001:db8::/32|" CA_LINE "\n"));
    buf_clear(&text);
    assert_ok(replica_keys(replica, "alice", 1798761599, append_key, &text));
    assert_true(
        span_equal_str(buf_span(&text), "10.0.0.0/8,2001:db8::/32|" CA_LINE "\n|" CA_LINE "\n"));
    struct replica_info info;
    assert_ok(replica_info(replica, &info));
    assert_true(info.revision == 10 && info.synced_at == NOW && info.accounts == 4 &&
                info.revocations == 2 && info.keys == 2 && info.clusters == 1 && info.hosts == 2 &&
                info.jobs == 0);
    replica_closep(&replica);
    place_remove(&place);
}

static void test_changes_and_snapshots(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh(&place, "daint-ln1", false);
    struct replica_login login = {"alice", CREDENTIALS_CERTIFICATES, NOW, 5, NULL};
    apply(replica, "{\"revision\":\"11\",\"snapshot\":false,\"changes\":[{\"revision\":\"11\","
                   "\"kind\":\"revocation\",\"key\":\"5\",\"state\":{\"account\":\"alice\","
                   "\"expireTime\":\"2027-02-01T00:00:00Z\",\"reason\":\"\"}}]}");
    assert_int_equal(ask(replica, &login).why, REPLICA_REVOKED);
    apply(replica, "{\"revision\":\"12\",\"snapshot\":false,\"changes\":[{\"revision\":\"12\","
                   "\"kind\":\"revocation\",\"key\":\"5\",\"state\":null},{\"revision\":\"12\","
                   "\"kind\":\"account\",\"key\":\"alice\",\"state\":null}]}");
    assert_int_equal(ask(replica, &login).why, REPLICA_NO_ACCOUNT);

    struct change_answer older = {.revision = 11};
    replica_kinds touched = 0;
    assert_ok(replica_begin(replica));
    assert_fails(replica_apply(replica, &older, NOW, &touched), ERR_ORDER);
    replica_rollback(replica);

    /* An empty answer is still a sign of life. */
    apply_at(replica, "{\"revision\":\"12\",\"snapshot\":false,\"changes\":[]}", NOW + 50);
    struct replica_info info;
    assert_ok(replica_info(replica, &info));
    assert_true(info.revision == 12 && info.synced_at == NOW + 50);

    /* A snapshot drops what it lacks, also one of an authority that was set back; it keeps what the
     * host says of itself, and every revocation. */
    assert_ok(replica_info(replica, &info));
    size_t revocations = info.revocations;
    assert_true(revocations > 0);
    apply(replica, "{\"revision\":\"3\",\"snapshot\":true,\"changes\":[{\"revision\":\"3\","
                   "\"kind\":\"account\",\"key\":\"erin\",\"state\":{\"enabled\":true,"
                   "\"clusters\":[]}}]}");
    assert_ok(replica_info(replica, &info));
    assert_true(info.revision == 3 && info.accounts == 1 && info.revocations == revocations &&
                info.keys == 0 && info.clusters == 0 && info.hosts == 0);
    bool revoked = false;
    assert_ok(replica_is_revoked(replica, 66, &revoked));
    assert_true(revoked);
    struct replica_self self;
    assert_ok(replica_self_get(replica, &self));
    assert_string_equal(self.name, "daint-ln1");
    replica_closep(&replica);
    place_remove(&place);
}

static void test_prune(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh(&place, "daint-ln1", false);
    const int64_t ends = 1799539200; /* 2027-01-10, of the serial with all bits set */
    size_t pruned = 9;
    assert_ok(replica_begin(replica));
    assert_ok(replica_prune(replica, ends + REPLICA_PRUNE_SLACK_S, &pruned));
    assert_int_equal(pruned, 0);
    assert_ok(replica_prune(replica, ends + REPLICA_PRUNE_SLACK_S + 1, &pruned));
    assert_int_equal(pruned, 1);
    assert_ok(replica_commit(replica));
    bool revoked = false;
    assert_ok(replica_is_revoked(replica, UINT64_MAX, &revoked));
    assert_false(revoked);
    /* A clock that was ahead has let a revocation go that still counts: a snapshot is due, also
     * after further answers and prunings by a clock that is right. */
    bool needs = true;
    assert_ok(replica_needs_snapshot(replica, ends + 1, &needs));
    assert_false(needs);
    assert_ok(replica_needs_snapshot(replica, ends, &needs));
    assert_true(needs);
    assert_ok(replica_begin(replica));
    assert_ok(replica_prune(replica, ends, &pruned));
    assert_ok(replica_commit(replica));
    assert_ok(replica_needs_snapshot(replica, ends, &needs));
    assert_true(needs);
    apply(replica, "{\"revision\":\"99\",\"snapshot\":false,\"changes\":[]}");
    assert_ok(replica_needs_snapshot(replica, ends, &needs));
    assert_true(needs);
    assert_ok(replica_is_revoked(replica, 66, &revoked));
    assert_true(revoked);
    apply(replica, "{\"revision\":\"99\",\"snapshot\":true,\"changes\":[]}");
    assert_ok(replica_needs_snapshot(replica, ends, &needs));
    assert_false(needs);
    replica_closep(&replica);
    place_remove(&place);
}

static void test_another_site(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = fresh(&place, "daint-ln1", true);
    struct replica_login login = {"alice", CREDENTIALS_CERTIFICATES, NOW, 1, NULL};
    bool emptied = true;
    assert_ok(replica_claim(replica, "https://one.example", &emptied));
    assert_false(emptied); /* it was nobody's: as older programs left it */
    assert_ok(replica_claim(replica, "https://one.example", &emptied));
    assert_false(emptied);
    assert_true(ask(replica, &login).allowed);
    assert_ok(replica_claim(replica, "https://two.example", &emptied));
    assert_true(emptied);
    struct replica_info info;
    bool needs = false;
    assert_ok(replica_info(replica, &info));
    assert_true(info.revision == 0 && info.accounts == 0 && info.keys == 0 &&
                info.revocations == 0 && info.jobs == 0);
    assert_ok(replica_needs_snapshot(replica, NOW, &needs));
    assert_true(needs);
    assert_int_equal(ask(replica, &login).why, REPLICA_NO_HOST);
    assert_ok(replica_claim(replica, "https://two.example", &emptied));
    assert_false(emptied);
    replica_closep(&replica);
    place_remove(&place);
}

/* In a child that is another user without write access, when we are root: 0 when alice may log in.
 */
static int read_as_nobody(const struct place *place) {
    pid_t child = fork();
    if (child == 0) {
        struct replica *replica = NULL;
        struct replica_login login = {"alice", CREDENTIALS_CERTIFICATES, NOW, 1, NULL};
        struct replica_verdict verdict = {0};
        size_t count = 0;
        if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
            _exit(2);
        }
        if (failed(replica_open_read(place->path, &replica)) ||
            failed(replica_entry_list(replica, &login, &verdict, count_entry, &count))) {
            _exit(3);
        }
        _exit(verdict.allowed && count == 1 ? 0 : 4);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_reader_of_another_user(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    place_make(&place);
    bool root = geteuid() == 0;
    assert_ok(replica_open_write(place.path, root ? NOBODY : (gid_t)-1, &replica));
    struct replica_self self = {.name = "daint-ln1", .max_age_s = MAX_AGE_S};
    assert_ok(replica_self_put(replica, &self));
    apply(replica, snapshot);
    struct stat status;
    assert_int_equal(stat(place.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(read_as_nobody(&place), 0); /* beside an idle writer */
    assert_ok(replica_begin(replica));
    struct change_answer empty = {.revision = 99, .snapshot = true};
    replica_kinds touched = 0;
    assert_ok(replica_apply(replica, &empty, NOW, &touched));
    assert_int_equal(read_as_nobody(&place), 0); /* inside a transaction that drops everything */
    replica_rollback(replica);
    replica_closep(&replica);
    assert_int_equal(read_as_nobody(&place), 0); /* after the writer ended */
    place_remove(&place);
}

/* Two snapshots that must never mix: n accounts, of which all reach one and the same cluster. */
static struct change_answer *uniform(uint64_t revision, const char *cluster, size_t count) {
    struct buf json CLEANUP(buf_done) = BUF(16 * 1024 * 1024);
    assert_ok(change_answer_begin(&json, revision, true));
    for (size_t i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "u%zu", i);
        struct change change = {.revision = revision, .kind = CHANGE_ACCOUNT, .key = name};
        change.account.enabled = true;
        change.account.clusters = (struct change_list){&cluster, 1};
        assert_ok(change_answer_add_change(&json, &change));
    }
    assert_ok(change_answer_end(&json));
    struct change_answer *answer = NULL;
    assert_ok(change_answer_decode(buf_span(&json), &answer, NULL));
    return answer;
}

enum { UNIFORM_COUNT = 3000, KILLS = 12 };

/* Applies one snapshot after the other and tells each step, until it is killed. */
static _Noreturn void write_until_killed(const struct place *place, int tell) {
    struct change_answer *answers[2] = {uniform(1000, "red", UNIFORM_COUNT),
                                        uniform(2000, "blue", UNIFORM_COUNT)};
    struct replica *replica = NULL;
    if (failed(replica_open_write(place->path, (gid_t)-1, &replica))) {
        _exit(1);
    }
    for (size_t i = 0;; i++) {
        replica_kinds touched = 0;
        if (failed(replica_begin(replica)) || write(tell, "b", 1) != 1 ||
            failed(replica_apply(replica, answers[i % 2], NOW, &touched)) ||
            write(tell, "a", 1) != 1 || failed(replica_commit(replica)) ||
            write(tell, "c", 1) != 1) {
            _exit(1);
        }
    }
}

static void check_uniform(const struct place *place) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    assert_ok(replica_open_read(place->path, &replica));
    struct replica_info info;
    assert_ok(replica_info(replica, &info));
    assert_int_equal(info.accounts, UNIFORM_COUNT);
    const char *cluster = info.revision == 1000 ? "red\n" : "blue\n";
    for (size_t i = 0; i < UNIFORM_COUNT; i++) {
        char name[32];
        struct buf got CLEANUP(buf_done) = BUF(256);
        (void)snprintf(name, sizeof name, "u%zu", i);
        assert_ok(replica_cluster_list(replica, name, append_text, &got));
        assert_true(span_equal_str(buf_span(&got), cluster));
    }
}

static void kill_after(const struct place *place, size_t steps) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        write_until_killed(place, ends[1]);
    }
    (void)close(ends[1]);
    for (size_t i = 0; i < steps; i++) {
        char step;
        assert_int_equal(read(ends[0], &step, 1), 1);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    (void)close(ends[0]);
}

static void test_killed_writer_leaves_last_known_good(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    place_make(&place);
    assert_ok(replica_open_write(place.path, (gid_t)-1, &replica));
    struct change_answer *first CLEANUP(change_answer_freep) = uniform(1000, "red", UNIFORM_COUNT);
    replica_kinds touched = 0;
    assert_ok(replica_begin(replica));
    assert_ok(replica_apply(replica, first, NOW, &touched));
    assert_ok(replica_commit(replica));
    replica_closep(&replica);
    for (size_t i = 1; i <= KILLS; i++) {
        kill_after(&place, i);
        check_uniform(&place); /* read before anybody could have repaired anything */
    }
    place_remove(&place);
}

/* A reader that comes again and again while a writer is at work never sees a mixture. */
static void test_reader_beside_writer(void **state) {
    (void)state;
    struct place place;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    place_make(&place);
    assert_ok(replica_open_write(place.path, (gid_t)-1, &replica));
    struct change_answer *first CLEANUP(change_answer_freep) = uniform(1000, "red", UNIFORM_COUNT);
    replica_kinds touched = 0;
    assert_ok(replica_begin(replica));
    assert_ok(replica_apply(replica, first, NOW, &touched));
    assert_ok(replica_commit(replica));
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        write_until_killed(&place, ends[1]);
    }
    (void)close(ends[1]);
    for (size_t i = 0; i < 20; i++) {
        char step;
        assert_int_equal(read(ends[0], &step, 1), 1);
        struct replica *reader CLEANUP(replica_closep) = NULL;
        assert_ok(replica_open_read(place.path, &reader));
        uint64_t revision = 0;
        assert_ok(replica_revision(reader, &revision));
        assert_true(revision == 1000 || revision == 2000);
        struct buf got CLEANUP(buf_done) = BUF(256);
        assert_ok(replica_cluster_list(reader, "u0", append_text, &got));
        assert_true(span_equal_str(buf_span(&got), "red\n") ||
                    span_equal_str(buf_span(&got), "blue\n"));
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(ends[0]);
    replica_closep(&replica);
    check_uniform(&place);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may_log_in),
        cmocka_unit_test(test_best_effort_warns_only_about_age),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_listings),
        cmocka_unit_test(test_changes_and_snapshots),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_another_site),
        cmocka_unit_test(test_reader_of_another_user),
        cmocka_unit_test(test_killed_writer_leaves_last_known_good),
        cmocka_unit_test(test_reader_beside_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
