/* The socket on which sync tells gates what the feed says, with subscribers of every kind. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "feed/publish.h"
#include "feed_fixture.h"
#include "host/host.h"
#include "host/sync_host.h"

enum { PATIENCE_MS = 20000 };

/* A state directory with a replica in it, served. */
struct served {
    struct config config;
    struct replica *replica;
    struct publisher *publisher;
};

static void served_done(struct served *served) {
    publisher_free(served->publisher);
    replica_close(served->replica);
    assert_int_equal(fixture_run("rm -rf state"), 0);
}

static void start(struct served *served) {
    struct fault fault = {0};
    err_t err = publisher_start(&served->config, &served->publisher, &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
}

static void apply_to(struct replica *replica, const struct change_answer *answer) {
    replica_kinds touched = 0;
    assert_ok(replica_begin(replica));
    assert_ok(replica_apply(replica, answer, NOW, &touched));
    assert_ok(replica_commit(replica));
}

static void serve(struct served *served) {
    struct buf snapshot CLEANUP(buf_done) = BUF(65536);
    *served = (struct served){
        .config = {.state_dir = (char *)(uintptr_t) "state", .command_group = getegid()}};
    assert_int_equal(mkdir("state", 0750), 0);
    assert_ok(replica_open_write("state/" HOST_REPLICA_FILE, (gid_t)-1, &served->replica));
    put_snapshot(&snapshot);
    assert_ok(buf_add_byte(&snapshot, '\0'));
    struct change_answer *answer CLEANUP(change_answer_freep) = decode((const char *)snapshot.data);
    apply_to(served->replica, answer);
    start(served);
}

/* As sync does: told, and then applied. */
static void tell(struct served *served, const char *json, int64_t now) {
    struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
    publisher_begin(served->publisher, answer, now);
    apply_to(served->replica, answer);
    publisher_end(served->publisher);
}

/* --- a subscriber --- */

struct reader {
    int fd;
    struct buf bytes;
    size_t taken;
};

static void reader_done(struct reader *reader) {
    (void)close(reader->fd);
    buf_done(&reader->bytes);
}

static struct reader subscribe(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "state/" PUBLISH_SOCKET};
    struct reader reader = {.fd = socket(AF_UNIX, SOCK_STREAM, 0),
                            .bytes = BUF(LIMIT_FEED_SUBSCRIBER_BYTES + 1024)};
    assert_true(reader.fd >= 0);
    assert_int_equal(connect(reader.fd, (const struct sockaddr *)&address, sizeof address), 0);
    return reader;
}

/* False at the end of the stream. */
static bool read_more(struct reader *reader) {
    uint8_t piece[65536];
    struct pollfd watched = {reader->fd, POLLIN, 0};
    assert_int_equal(poll(&watched, 1, PATIENCE_MS), 1);
    ssize_t len = recv(reader->fd, piece, sizeof piece, 0);
    assert_true(len >= 0 || errno == ECONNRESET);
    if (len > 0) {
        assert_ok(buf_add(&reader->bytes, span_of(piece, (size_t)len)));
    }
    return len > 0;
}

/* The next frame; NULL at the end. */
static struct change_answer *next(struct reader *reader, int64_t *synced_at) {
    for (;;) {
        span_t rest =
            span_of(reader->bytes.data + reader->taken, reader->bytes.len - reader->taken);
        span_t text = span_of(NULL, 0);
        err_t err = publish_get(&rest, synced_at, &text);
        if (!failed(err)) {
            struct change_answer *answer = NULL;
            reader->taken = reader->bytes.len - rest.len;
            assert_ok(change_answer_decode(text, &answer, NULL));
            return answer;
        }
        assert_int_equal(err.code, ERR_TRUNCATED);
        if (!read_more(reader)) {
            return NULL;
        }
    }
}

static void assert_next(struct reader *reader, uint64_t revision, bool snapshot, size_t count,
                        int64_t synced_at) {
    int64_t when = 0;
    struct change_answer *answer CLEANUP(change_answer_freep) = next(reader, &when);
    assert_non_null(answer);
    assert_int_equal(answer->revision, revision);
    assert_int_equal(answer->snapshot, snapshot);
    assert_int_equal(answer->count, count);
    assert_int_equal(when, synced_at);
}

static void assert_end(struct reader *reader) {
    int64_t when = 0;
    assert_null(next(reader, &when));
}

/* What put_snapshot() puts. */
enum { SNAPSHOT_COUNT = 19 };

/* --- tests --- */

static void test_snapshot_then_answers(void **state) {
    (void)state;
    struct served served CLEANUP(served_done);
    serve(&served);
    struct stat status;
    assert_int_equal(stat("state/" PUBLISH_SOCKET, &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | 0660);
    assert_int_equal(status.st_gid, getegid());
    assert_int_equal(access("state/" PUBLISH_SOCKET ".new", F_OK), -1);
    struct reader first CLEANUP(reader_done) = subscribe();
    assert_next(&first, 10, true, SNAPSHOT_COUNT, NOW);
    tell(&served,
         one("revocation", "7",
             "{\"account\":\"alice\",\"expireTime\":\"2027-01-20T00:00:00Z\",\"reason\":\"lost\"}"),
         NOW + 1);
    int64_t when = 0;
    struct change_answer *answer CLEANUP(change_answer_freep) = next(&first, &when);
    assert_non_null(answer);
    assert_true(answer->count == 1 && !answer->snapshot && when == NOW + 1);
    assert_int_equal(answer->changes[0].revocation.serial, 7);
    assert_string_equal(answer->changes[0].revocation.account, ""); /* not theirs to know */
    assert_string_equal(answer->changes[0].revocation.reason, "");
    /* Who comes later has it in the snapshot. That the authority is alive is told to both. */
    struct reader second CLEANUP(reader_done) = subscribe();
    assert_next(&second, 11, true, SNAPSHOT_COUNT + 1, NOW);
    tell(&served, "{\"revision\":\"11\",\"snapshot\":false,\"changes\":[]}", NOW + 2);
    assert_next(&first, 11, false, 0, NOW + 2);
    assert_next(&second, 11, false, 0, NOW + 2);
}

/* Whoever connects while an answer is told and applied gets it one way or the other. */
static void test_nothing_is_lost_between(void **state) {
    (void)state;
    struct served served CLEANUP(served_done);
    serve(&served);
    uint64_t revision = 10;
    for (int i = 0; i < 100; i++) {
        char json[128];
        (void)snprintf(json, sizeof json,
                       "{\"revision\":\"%llu\",\"snapshot\":false,\"changes\":[]}",
                       (unsigned long long)++revision);
        struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
        struct reader early CLEANUP(reader_done) = subscribe();
        publisher_begin(served.publisher, answer, NOW);
        struct reader late CLEANUP(reader_done) = subscribe();
        apply_to(served.replica, answer);
        publisher_end(served.publisher);
        int64_t when = 0;
        struct change_answer *seen CLEANUP(change_answer_freep) = next(&early, &when);
        assert_true(seen->snapshot);
        if (seen->revision != revision) {
            assert_next(&early, revision, false, 0, NOW);
        }
        assert_next(&late, revision, true, SNAPSHOT_COUNT, NOW);
    }
}

static void test_how_many(void **state) {
    (void)state;
    struct served served CLEANUP(served_done);
    struct reader readers[LIMIT_FEED_SUBSCRIBERS_COUNT];
    serve(&served);
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        readers[i] = subscribe();
        assert_next(&readers[i], 10, true, SNAPSHOT_COUNT, NOW);
    }
    struct reader beyond = subscribe();
    assert_end(&beyond);
    assert_int_equal(beyond.bytes.len, 0);
    reader_done(&beyond);
    tell(&served, "{\"revision\":\"12\",\"snapshot\":false,\"changes\":[]}", NOW);
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        assert_next(&readers[i], 12, false, 0, NOW);
    }
    /* One that talks is none of ours; its place is free once it has seen its end. */
    assert_int_equal(send(readers[3].fd, "GET / HTTP/1.1\r\n", 16, MSG_NOSIGNAL), 16);
    assert_end(&readers[3]);
    reader_done(&readers[3]);
    readers[3] = subscribe();
    assert_next(&readers[3], 12, true, SNAPSHOT_COUNT, NOW);
    /* One that leaves makes room as well, once that was seen. */
    struct change_answer *answer = NULL;
    int64_t when = 0;
    while (answer == NULL) {
        reader_done(&readers[0]);
        readers[0] = subscribe();
        answer = next(&readers[0], &when);
    }
    change_answer_free(answer);
    for (size_t i = 0; i < COUNT_OF(readers); i++) {
        reader_done(&readers[i]);
    }
}

/* An answer of some megabytes. */
static char *large_answer(size_t accounts) {
    struct buf out CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    char *text = NULL;
    assert_ok(change_answer_begin(&out, 11, false));
    for (size_t i = 0; i < accounts; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "u%06zu", i);
        assert_ok(change_answer_add(&out, 11, "account", name,
                                    "{\"enabled\":true,\"clusters\":[\"daint\",\"santis\"]}"));
    }
    assert_ok(change_answer_end(&out));
    assert_ok(buf_to_str(&out, &text));
    return text;
}

/* A subscriber of more than a page gets pages, and after them what was told meanwhile. */
static size_t read_pages(struct reader *reader, uint64_t revision) {
    size_t count = 0;
    int64_t when = 0;
    for (bool more = true; more;) {
        struct change_answer *page CLEANUP(change_answer_freep) = next(reader, &when);
        assert_non_null(page);
        assert_true(page->snapshot && page->revision == revision && when == NOW);
        assert_int_equal(page->continues, count > 0);
        assert_true(page->count <= LIMIT_FEED_PAGE_CHANGES_COUNT);
        count += page->count;
        more = page->more;
        reader->taken = reader->taken == reader->bytes.len ? reader->bytes.len = 0 : reader->taken;
    }
    return count;
}

static void test_pages(void **state) {
    (void)state;
    enum { ACCOUNTS = 20000 };
    struct served served CLEANUP(served_done);
    serve(&served);
    char *json CLEANUP(freep) = large_answer(ACCOUNTS);
    tell(&served, json, NOW);
    struct reader slow CLEANUP(reader_done) = subscribe();
    struct reader quick CLEANUP(reader_done) = subscribe();
    assert_int_equal(read_pages(&quick, 11), SNAPSHOT_COUNT + ACCOUNTS);
    tell(&served, "{\"revision\":\"12\",\"snapshot\":false,\"changes\":[]}", NOW + 1);
    assert_next(&quick, 12, false, 0, NOW + 1);
    /* Its pages are those of the moment at which it came, unless its turn came later. */
    int64_t when = 0;
    struct change_answer *first CLEANUP(change_answer_freep) = next(&slow, &when);
    uint64_t revision = first->revision;
    assert_true(!first->continues && first->more && (revision == 11 || revision == 12));
    for (bool more = true; more;) {
        struct change_answer *page CLEANUP(change_answer_freep) = next(&slow, &when);
        assert_true(page->continues && page->revision == revision);
        more = page->more;
    }
    if (revision == 11) {
        assert_next(&slow, 12, false, 0, NOW + 1);
    }
    tell(&served, "{\"revision\":\"13\",\"snapshot\":false,\"changes\":[]}", NOW + 2);
    assert_next(&quick, 13, false, 0, NOW + 2);
    assert_next(&slow, 13, false, 0, NOW + 2);
}

/* When the authority's snapshot came in pages, everybody gets the replica's own, at once and also
 * in place of one that is on its way. */
static void test_snapshot_anew(void **state) {
    (void)state;
    struct served served CLEANUP(served_done);
    serve(&served);
    char *json CLEANUP(freep) = large_answer(20000);
    struct reader idle CLEANUP(reader_done) = subscribe();
    assert_next(&idle, 10, true, SNAPSHOT_COUNT, NOW);
    tell(&served, json, NOW);
    assert_next(&idle, 11, false, 20000, NOW);
    struct reader busy CLEANUP(reader_done) = subscribe(); /* reads nothing of its pages yet */
    struct change_answer *begins CLEANUP(change_answer_freep) =
        decode("{\"revision\":\"20\",\"snapshot\":\"begins\",\"changes\":[]}");
    struct change_answer *ends CLEANUP(change_answer_freep) =
        decode("{\"revision\":\"21\",\"snapshot\":\"ends\",\"changes\":[]}");
    replica_kinds touched = 0;
    assert_ok(replica_begin(served.replica));
    assert_ok(replica_apply(served.replica, begins, NOW, &touched));
    publisher_begin(served.publisher, ends, NOW);
    assert_ok(replica_apply(served.replica, ends, NOW, &touched));
    assert_ok(replica_commit(served.replica));
    publisher_end(served.publisher);
    /* Two revocations stay. */
    assert_next(&idle, 21, true, 2, NOW);
    int64_t when = 0;
    for (uint64_t revision = 0; revision != 21;) {
        struct change_answer *page CLEANUP(change_answer_freep) = next(&busy, &when);
        assert_non_null(page);
        assert_true(page->revision == 21 ? page->count == 2 && !page->continues && !page->more
                                         : page->revision == 11);
        revision = page->revision;
    }
    tell(&served, "{\"revision\":\"22\",\"snapshot\":false,\"changes\":[]}", NOW + 1);
    assert_next(&idle, 22, false, 0, NOW + 1);
    assert_next(&busy, 22, false, 0, NOW + 1);
}

/* Nobody waits for one that reads nothing: not the other subscribers, not sync. */
static void test_too_much_held(void **state) {
    (void)state;
    enum { ACCOUNTS = 60000 };
    struct served served CLEANUP(served_done);
    serve(&served);
    struct reader slow CLEANUP(reader_done) = subscribe();
    struct reader quick CLEANUP(reader_done) = subscribe();
    assert_next(&quick, 10, true, SNAPSHOT_COUNT, NOW);
    char *json CLEANUP(freep) = large_answer(ACCOUNTS);
    struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
    size_t rounds = LIMIT_FEED_SUBSCRIBER_BYTES / strlen(json) + 2;
    for (size_t i = 0; i < rounds; i++) {
        int64_t begun = clock_monotonic_ms();
        publisher_begin(served.publisher, answer, NOW);
        publisher_end(served.publisher);
        assert_true(clock_monotonic_ms() - begun < LIMIT_FEED_SUBSCRIBER_S * 1000 / 2);
        assert_next(&quick, 11, false, ACCOUNTS, NOW);
        quick.taken = quick.bytes.len = 0;
    }
    assert_next(&slow, 10, true, SNAPSHOT_COUNT, NOW);
    int64_t when = 0;
    for (struct change_answer *seen = NULL; (seen = next(&slow, &when)) != NULL;) {
        change_answer_free(seen);
    }
    assert_true(slow.bytes.len < LIMIT_FEED_SUBSCRIBER_BYTES);
}

static void test_too_slow(void **state) {
    (void)state;
    struct served served CLEANUP(served_done);
    serve(&served);
    struct reader slow CLEANUP(reader_done) = subscribe();
    struct reader idle CLEANUP(reader_done) = subscribe(); /* has nothing to take: stays */
    char *json CLEANUP(freep) = large_answer(5000);
    assert_next(&idle, 10, true, SNAPSHOT_COUNT, NOW);
    struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
    int64_t begun = clock_monotonic_ms();
    publisher_begin(served.publisher, answer, NOW);
    publisher_end(served.publisher);
    assert_next(&idle, 11, false, 5000, NOW);
    struct pollfd hung_up = {slow.fd, POLLRDHUP, 0};
    assert_int_equal(poll(&hung_up, 1, PATIENCE_MS), 1);
    assert_in_range(clock_monotonic_ms() - begun, LIMIT_FEED_SUBSCRIBER_S * 1000 - 100,
                    PATIENCE_MS);
    tell(&served, "{\"revision\":\"12\",\"snapshot\":false,\"changes\":[]}", NOW);
    assert_next(&idle, 12, false, 0, NOW);
}

static void test_beginning_and_end(void **state) {
    (void)state;
    struct served served CLEANUP(served_done);
    serve(&served);
    struct reader reader CLEANUP(reader_done) = subscribe();
    assert_next(&reader, 10, true, SNAPSHOT_COUNT, NOW);
    assert_true(publisher_is_served("state"));
    publisher_freep(&served.publisher);
    assert_end(&reader);
    assert_false(publisher_is_served("state"));
    assert_false(publisher_is_served("nowhere"));
    /* The socket is still there, served by nobody; so is one of a start that was cut short. */
    assert_int_equal(access("state/" PUBLISH_SOCKET, F_OK), 0);
    assert_int_equal(fixture_run("touch state/" PUBLISH_SOCKET ".new"), 0);
    start(&served);
    struct reader again CLEANUP(reader_done) = subscribe();
    assert_next(&again, 10, true, SNAPSHOT_COUNT, NOW);
    /* Without a replica nobody gets in, and without a publisher nothing happens. */
    replica_closep(&served.replica);
    assert_int_equal(fixture_run("rm state/" HOST_REPLICA_FILE), 0);
    struct reader none CLEANUP(reader_done) = subscribe();
    assert_end(&none);
    publisher_begin(NULL, NULL, NOW);
    publisher_end(NULL);
    publisher_free(NULL);
}

static void test_refused_places(void **state) {
    (void)state;
    char name[120];
    struct publisher *publisher = NULL;
    struct fault fault = {0};
    struct config config = {.state_dir = name, .command_group = getegid()};
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_fails(publisher_start(&config, &publisher, &fault), ERR_TOO_LONG);
    name[10] = '\0';
    assert_fails(publisher_start(&config, &publisher, &fault), ERR_NOT_FOUND);
    assert_true(strstr(fault.field, PUBLISH_SOCKET) != NULL && publisher == NULL);
    assert_int_equal(fixture_run("mkdir -p %s/" PUBLISH_SOCKET "/x", name), 0);
    assert_true(failed(publisher_start(&config, &publisher, &fault)));
    assert_int_equal(fixture_run("[ ! -e %s/" PUBLISH_SOCKET ".new ]", name), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_places),
        cmocka_unit_test(test_snapshot_then_answers),
        cmocka_unit_test(test_nothing_is_lost_between),
        cmocka_unit_test(test_how_many),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_snapshot_anew),
        cmocka_unit_test(test_too_much_held),
        cmocka_unit_test(test_too_slow),
        cmocka_unit_test(test_beginning_and_end),
    };
    return cmocka_run_group_tests_name("publisher", tests, feed_setup, fixture_teardown);
}
