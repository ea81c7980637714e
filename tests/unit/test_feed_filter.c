/* Who is told what of a change: what must not be told first. */
#include <string.h>

#include "authority/routes/feed_filter.h"
#include "check.h"

enum { REVISION = 7 };

static struct feed_event *event_of(const char *kind, const char *key, const char *state) {
    struct event event = {.revision = REVISION};
    struct feed_event *parsed;
    char text[1024];
    (void)snprintf(event.kind, sizeof event.kind, "%s", kind);
    (void)snprintf(event.key, sizeof event.key, "%s", key);
    (void)snprintf(text, sizeof text, "%s", state);
    event.state = text;
    assert_ok(feed_event_parse(&event, &parsed));
    return parsed;
}

static struct feed_reader reader_of(enum host_role role, const char *cluster, const char *name) {
    struct feed_reader reader = {.role = role};
    (void)snprintf(reader.cluster, sizeof reader.cluster, "%s", cluster);
    (void)snprintf(reader.name, sizeof reader.name, "%s", name);
    return reader;
}

#define JOB                                                                                        \
    "{\"account\":\"alice\",\"cluster\":\"nancy\",\"nodes\":[\"n1\",\"n2\"],\"for\":{\"nodes\":"   \
    "[\"n3\"]}}"
#define KEY       "{\"account\":\"alice\",\"publicKey\":\"x\",\"for\":{\"clusters\":[\"nancy\"]}}"
#define KEY_MOVED "{\"account\":\"alice\",\"for\":{\"clusters\":[\"nancy\"],\"gone\":true}}"
#define INTERNAL  "{\"account\":\"alice\",\"use\":\"internal\",\"for\":{\"clusters\":[\"nancy\"]}}"
#define WINDOW    "{\"enabled\":true,\"clusters\":[\"nancy\"],\"windowUntil\":\"t\"}"

static void judges(void **state) {
    (void)state;
    const struct feed_reader jump = reader_of(HOST_JUMP, "", "gate1");
    const struct feed_reader login = reader_of(HOST_LOGIN, "nancy", "ln1");
    const struct feed_reader n1 = reader_of(HOST_COMPUTE, "nancy", "n1");
    const struct feed_reader n3 = reader_of(HOST_COMPUTE, "nancy", "n3");
    const struct feed_reader n4 = reader_of(HOST_COMPUTE, "nancy", "n4");
    struct feed_reader vm = reader_of(HOST_JOB, "nancy", "n2");
    (void)snprintf(vm.account, sizeof vm.account, "alice");
    const struct feed_reader lyon = reader_of(HOST_COMPUTE, "lyon", "n1");
    const struct {
        const struct feed_reader *reader;
        const char *kind, *key, *state;
        enum feed_verdict verdict;
        bool alone;
    } cases[] = {
        /* jobs: the namesake elsewhere, the node that is none of its own, the one that it left */
        {&lyon, "job", "1@nancy", JOB, FEED_SKIP, false},
        {&n4, "job", "1@nancy", JOB, FEED_SKIP, false},
        {&n3, "job", "1@nancy", JOB, FEED_GONE, true},
        {&n1, "job", "1@nancy", JOB, FEED_PASS, true},
        {&vm, "job", "1@nancy", JOB, FEED_PASS, true},
        {&login, "job", "1@nancy", JOB, FEED_PASS, false},
        {&jump, "job", "1@nancy", JOB, FEED_PASS, false},
        {&n4, "job", "1@nancy", "{\"for\":{\"nodes\":[\"n1\"]}}", FEED_SKIP, false},
        {&n1, "job", "1@nancy", "{\"for\":{\"nodes\":[\"n1\"]}}", FEED_GONE, true},
        {&lyon, "job", "1@nancy", "{\"for\":{\"nodes\":[\"n1\"]}}", FEED_SKIP, false},
        {&login, "job", "1@nancy", "{\"for\":{\"nodes\":[\"n1\"]}}", FEED_GONE, false},
        {&n4, "job", "1@nancy", "", FEED_GONE, true}, /* nobody said whose it was */
        {&n4, "job", "1", JOB, FEED_SKIP, false},
        /* an order is for one host's gates */
        {&login, "cut", "a1", "{\"host\":\"gate1\"}", FEED_SKIP, false},
        {&jump, "cut", "a1", "{\"host\":\"gate2\"}", FEED_SKIP, false},
        {&jump, "cut", "a1", "", FEED_SKIP, false},
        {&jump, "cut", "a1", "{\"host\":\"gate1\"}", FEED_PASS, true},
        /* keys */
        {&lyon, "key", "1", KEY, FEED_SKIP, false},
        {&n1, "key", "1", KEY, FEED_PASS, false},
        {&jump, "key", "1", KEY, FEED_PASS, false},
        {&lyon, "key", "1", KEY_MOVED, FEED_GONE, false},
        {&login, "key", "1", KEY_MOVED, FEED_PASS, false},
        {&jump, "key", "1", INTERNAL, FEED_SKIP, false},
        {&lyon, "key", "1", INTERNAL, FEED_SKIP, false},
        {&login, "key", "1", INTERNAL, FEED_PASS, false},
        {&lyon, "key", "1", "{\"for\":{\"clusters\":[\"nancy\"]}}", FEED_SKIP, false},
        {&n1, "key", "1", "{\"for\":{\"clusters\":[\"nancy\"]}}", FEED_GONE, false},
        {&lyon, "key", "1", "", FEED_GONE, false},
        /* accounts: who does not reach the cluster is gone, for it may have */
        {&lyon, "account", "alice", "{\"enabled\":true,\"clusters\":[\"nancy\"]}", FEED_GONE,
         false},
        {&n1, "account", "alice", "{\"enabled\":true,\"clusters\":[\"nancy\"]}", FEED_PASS, false},
        {&n1, "account", "alice", "{\"enabled\":false,\"clusters\":[]}", FEED_GONE, false},
        {&jump, "account", "alice", "{\"enabled\":false,\"clusters\":[]}", FEED_PASS, false},
        /* a machine that came with a job knows its account alone */
        {&vm, "account", "bob", "{\"enabled\":true,\"clusters\":[\"nancy\"]}", FEED_SKIP, false},
        {&vm, "account", "bob", "{\"enabled\":false,\"clusters\":[]}", FEED_SKIP, false},
        {&vm, "key", "1", "{\"account\":\"bob\",\"publicKey\":\"x\"}", FEED_SKIP, false},
        {&vm, "account", "alice", "{\"enabled\":true,\"clusters\":[\"nancy\"]}", FEED_PASS, false},
        {&vm, "account", "alice", "{\"enabled\":false,\"clusters\":[]}", FEED_GONE, false},
        {&vm, "key", "1", KEY, FEED_PASS, false},
        {&vm, "key", "1", "{\"for\":{\"clusters\":[\"nancy\"]}}", FEED_GONE, false},
        /* clusters, hosts */
        {&lyon, "cluster", "nancy", "{\"port\":22}", FEED_SKIP, false},
        {&n1, "cluster", "nancy", "{\"port\":22}", FEED_PASS, false},
        {&jump, "cluster", "nancy", "{\"port\":22}", FEED_PASS, false},
        {&n1, "host", "n4", "{\"role\":\"compute\"}", FEED_SKIP, false},
        {&n1, "host", "n1", "{\"role\":\"compute\"}", FEED_PASS, true},
        {&n1, "host", "gate1", "{\"role\":\"jump\"}", FEED_PASS, false},
        {&jump, "host", "n4", "{\"role\":\"compute\"}", FEED_PASS, false},
        {&n1, "host", "n4", "{\"for\":{\"jump\":false}}", FEED_SKIP, false},
        {&jump, "host", "n4", "{\"for\":{\"jump\":false}}", FEED_GONE, false},
        {&n1, "host", "gate1", "", FEED_GONE, false},
        /* what all are told, and what only a newer authority knows */
        {&n1, "ca", "SHA256:x", "{\"type\":\"user\"}", FEED_PASS, false},
        {&n1, "revocation", "1", "{\"account\":\"alice\"}", FEED_PASS, false},
        {&n1, "future", "1", "{}", FEED_GONE, false},
        {&n1, "future", "1", "{\"x\":1}", FEED_PASS, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct feed_event *event = event_of(cases[i].kind, cases[i].key, cases[i].state);
        struct feed_judgement judgement = feed_judge(event, cases[i].reader);
        if (judgement.verdict != cases[i].verdict || judgement.alone != cases[i].alone) {
            print_error("case %zu: %s %s\n", i, cases[i].kind, cases[i].state);
        }
        assert_int_equal(judgement.verdict, cases[i].verdict);
        assert_int_equal(judgement.alone, cases[i].alone);
        feed_event_free(event);
    }
}

static void expect(const struct feed_reader *reader, const char *kind, const char *key,
                   const char *state, const char *expected) {
    struct buf out CLEANUP(buf_done) = BUF(4096);
    struct feed_event *event = event_of(kind, key, state);
    assert_ok(feed_event_encode(event, reader, feed_judge(event, reader).verdict, &out));
    if (!span_equal_str(buf_span(&out), expected)) {
        print_error("%.*s\n%s\n", (int)out.len, (const char *)out.data, expected);
    }
    assert_true(span_equal_str(buf_span(&out), expected));
    feed_event_free(event);
}

#define CHANGE(kind, key, state)                                                                   \
    "{\"revision\":\"7\",\"kind\":\"" kind "\",\"key\":\"" key "\",\"state\":" state "}"

static void tells_no_more_than_is_needed(void **state) {
    (void)state;
    const struct feed_reader jump = reader_of(HOST_JUMP, "", "gate1");
    const struct feed_reader n1 = reader_of(HOST_COMPUTE, "nancy", "n1");
    const struct feed_reader n4 = reader_of(HOST_COMPUTE, "nancy", "n4");
    static const char revocation[] =
        "{\"account\":\"alice\",\"expireTime\":\"t\",\"reason\":\"r\"}";
    expect(&n4, "job", "1@nancy", JOB, "");
    expect(&n1, "job", "1@nancy", JOB,
           CHANGE("job", "1@nancy",
                  "{\"account\":\"alice\",\"cluster\":\"nancy\",\"nodes\":[\"n1\"]}"));
    expect(&jump, "job", "1@nancy", JOB,
           CHANGE("job", "1@nancy",
                  "{\"account\":\"alice\",\"cluster\":\"nancy\",\"nodes\":[\"n1\",\"n2\"]}"));
    expect(&n1, "job", "1@nancy", "{\"for\":{\"nodes\":[\"n1\"]}}",
           CHANGE("job", "1@nancy", "null"));
    expect(&n1, "revocation", "9", revocation,
           CHANGE("revocation", "9", "{\"account\":\"\",\"expireTime\":\"t\",\"reason\":\"\"}"));
    expect(
        &jump, "revocation", "9", revocation,
        CHANGE("revocation", "9", "{\"account\":\"alice\",\"expireTime\":\"t\",\"reason\":\"r\"}"));
    /* Windows are for gates: who has one open is nobody else's business. */
    expect(&n1, "account", "bob", WINDOW,
           CHANGE("account", "bob", "{\"clusters\":[\"nancy\"],\"enabled\":true}"));
    expect(&jump, "account", "bob", WINDOW,
           CHANGE("account", "bob",
                  "{\"clusters\":[\"nancy\"],\"enabled\":true,\"windowUntil\":\"t\"}"));
    expect(&n1, "key", "1", KEY, CHANGE("key", "1", "{\"account\":\"alice\",\"publicKey\":\"x\"}"));
}

static void refuses_what_is_no_state(void **state) {
    (void)state;
    struct feed_event *event;
    char array[] = "[]", text[] = "{";
    assert_fails(feed_event_parse(&(struct event){.kind = "key", .state = array}, &event),
                 ERR_MALFORMED);
    assert_fails(feed_event_parse(&(struct event){.kind = "key", .state = text}, &event),
                 ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_state),
        cmocka_unit_test(judges),
        cmocka_unit_test(tells_no_more_than_is_needed),
    };
    return cmocka_run_group_tests_name("feed_filter", tests, NULL, NULL);
}
