/* Frames of the feed's socket, and the snapshot that stands in the first of them. */
#include "feed/publish.h"
#include "feed_fixture.h"

static void test_frames(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(1024);
    span_t answer = span_of(NULL, 0);
    int64_t synced_at = -1;
    assert_ok(publish_put(&out, 0, SPAN_LITERAL("{}")));
    assert_ok(publish_put(&out, NOW, SPAN_LITERAL("[1]")));
    assert_int_equal(out.len, 12 + 2 + 12 + 3);
    assert_memory_equal(out.data, "\0\0\0\x0a\0\0\0\0\0\0\0\0{}\0\0\0\x0b\0\0\0\0\x6b\x49\xd2\0[1]",
                        out.len);
    for (size_t len = 0; len < 12 + 2; len++) {
        span_t cut = span_of(out.data, len);
        assert_fails(publish_get(&cut, &synced_at, &answer), ERR_TRUNCATED);
        assert_true(cut.len == len && synced_at == -1 && answer.data == NULL);
    }
    span_t stream = buf_span(&out);
    assert_ok(publish_get(&stream, &synced_at, &answer));
    assert_true(synced_at == 0 && span_equal_str(answer, "{}"));
    assert_ok(publish_get(&stream, &synced_at, &answer));
    assert_true(synced_at == NOW && span_equal_str(answer, "[1]") && stream.len == 0);
    assert_fails(publish_get(&stream, &synced_at, &answer), ERR_TRUNCATED);
}

static void test_frames_refused(void **state) {
    (void)state;
    static const struct {
        span_t bytes;
        enum err_code code;
    } cases[] = {
        {SPAN_LITERAL("\0\0\0\0"), ERR_MALFORMED},
        {SPAN_LITERAL("\0\0\0\x07"), ERR_MALFORMED},
        {SPAN_LITERAL("\0\0\0\x08\0\0\0\0\0\0\0\0"), ERR_MALFORMED}, /* no answer */
        {SPAN_LITERAL("\0\0\0\x09\x80\0\0\0\0\0\0\0x"), ERR_MALFORMED},
        {SPAN_LITERAL("\x04\0\0\x09"), ERR_TOO_LONG}, /* at once, without the rest */
        {SPAN_LITERAL("\xff\xff\xff\xff"), ERR_TOO_LONG},
        {SPAN_LITERAL("\x04\0\0\x08"), ERR_TRUNCATED}, /* the longest */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        span_t stream = cases[i].bytes;
        span_t answer = span_of(NULL, 0);
        int64_t synced_at = -1;
        assert_fails(publish_get(&stream, &synced_at, &answer), cases[i].code);
        assert_true(stream.len == cases[i].bytes.len && synced_at == -1 && answer.data == NULL);
    }
    _Static_assert(LIMIT_HTTP_ANSWER_BYTES == 0x4000000, "as in the cases");
    struct buf out CLEANUP(buf_done) = BUF(1024);
    uint8_t *large = calloc(1, LIMIT_HTTP_ANSWER_BYTES + 1);
    assert_non_null(large);
    assert_fails(publish_put(&out, 0, span_of(large, LIMIT_HTTP_ANSWER_BYTES + 1)), ERR_TOO_LONG);
    assert_fails(publish_put(&out, 0, span_of(large, 2000)), ERR_TOO_LONG);
    assert_int_equal(out.len, 0);
    free(large);
}

static void apply_to(struct replica *replica, const struct change_answer *answer) {
    replica_kinds touched = 0;
    assert_ok(replica_begin(replica));
    assert_ok(replica_apply(replica, answer, NOW, &touched));
    assert_ok(replica_commit(replica));
}

/* Appends what the replica tells, which is one page. */
static err_t tell(struct replica *replica, struct buf *out) {
    struct replica_pages *pages CLEANUP(replica_pages_freep) = NULL;
    bool more = true;
    TRY(replica_pages_begin(replica, &pages));
    TRY(replica_pages_next(pages, out, &more));
    assert_false(more);
    return OK;
}

static struct change_answer *told_by(struct replica *replica, struct buf *text) {
    buf_clear(text);
    assert_ok(tell(replica, text));
    struct change_answer *answer = NULL;
    struct fault fault = {0};
    err_t err = change_answer_decode(buf_span(text), &answer, &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
    assert_true(answer->snapshot);
    return answer;
}

static void test_snapshot_of_nothing(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    assert_ok(replica_open_write("nothing.db", (gid_t)-1, &replica));
    struct change_answer *answer CLEANUP(change_answer_freep) = told_by(replica, &text);
    assert_true(answer->revision == 0 && answer->count == 0);
    /* Without room nothing is left behind, and the replica is free again. */
    struct buf small CLEANUP(buf_done) = BUF(30);
    assert_ok(buf_add_byte(&small, 'x'));
    assert_fails(tell(replica, &small), ERR_TOO_LONG);
    assert_int_equal(small.len, 1);
    assert_ok(replica_begin(replica));
    replica_rollback(replica);
}

/* What a snapshot says is what the authority had said: the replica that gets it tells the same, to
 * the letter, and so does one that got the authority's own. */
static void test_snapshot_is_the_whole(void **state) {
    (void)state;
    struct replica *first CLEANUP(replica_closep) = NULL;
    struct replica *second CLEANUP(replica_closep) = NULL;
    struct buf told CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct buf again CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct buf original CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    assert_ok(replica_open_write("first.db", (gid_t)-1, &first));
    assert_ok(replica_open_write("second.db", (gid_t)-1, &second));
    put_snapshot(&original);
    assert_ok(buf_add_byte(&original, '\0'));
    struct change_answer *answer CLEANUP(change_answer_freep) = decode((const char *)original.data);
    apply_to(first, answer);
    struct change_answer *snapshot CLEANUP(change_answer_freep) = told_by(first, &told);
    assert_true(snapshot->revision == 10 && snapshot->count == answer->count);
    apply_to(second, snapshot);
    struct change_answer *copy CLEANUP(change_answer_freep) = told_by(second, &again);
    assert_int_equal(copy->count, snapshot->count);
    assert_true(span_equal(buf_span(&told), buf_span(&again)));

    struct view *from_authority CLEANUP(view_freep) = fresh();
    struct view *from_replica CLEANUP(view_freep) = NULL;
    bool revoked = false;
    assert_ok(view_new(&from_replica));
    assert_ok(view_apply(from_replica, snapshot, NOW, &revoked));
    struct view_counts a = view_count(from_authority);
    struct view_counts b = view_count(from_replica);
    assert_memory_equal(&a, &b, sizeof a);
    static const char *const users[] = {"alice", "bob", "carol", "dave", "nobody"};
    static const char *const hosts[] = {"daint", "login.daint.example", "192.0.2.7", "six", "ela"};
    struct key *key CLEANUP(key_freep) = key_of("alice");
    struct inet_address source;
    assert_ok(inet_address_parse(SPAN_LITERAL("2001:db8::9"), &source));
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        int64_t ends = 0;
        assert_int_equal(view_account(from_authority, &strict, users[i], CREDENTIALS_KEYS, NOW).why,
                         view_account(from_replica, &strict, users[i], CREDENTIALS_KEYS, NOW).why);
        assert_int_equal(view_key(from_authority, &strict, key, users[i], &source, NOW, &ends).why,
                         view_key(from_replica, &strict, key, users[i], &source, NOW, &ends).why);
        for (size_t j = 0; j < COUNT_OF(hosts); j++) {
            struct view_destination x =
                destination_of(from_authority, users[i], span_str(hosts[j]), 22);
            struct view_destination y =
                destination_of(from_replica, users[i], span_str(hosts[j]), 22);
            assert_int_equal(x.allowed, y.allowed);
            assert_true(!x.allowed || strcmp(x.address, y.address) == 0);
        }
    }
    for (uint64_t serial = UINT64_MAX; serial != 70;
         serial = serial == UINT64_MAX ? 60 : serial + 1) {
        const struct view_session session = {.user = "alice", .serial = serial};
        assert_int_equal(view_session(from_authority, &strict, &session, NOW).why,
                         view_session(from_replica, &strict, &session, NOW).why);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_frames_refused),
        cmocka_unit_test(test_snapshot_of_nothing),
        cmocka_unit_test(test_snapshot_is_the_whole),
    };
    return cmocka_run_group_tests_name("publish", tests, feed_setup, fixture_teardown);
}
