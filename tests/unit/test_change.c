#include "check.h"

#include <stdio.h>

#include "base/limits.h"
#include "feed/change.h"

#define CA_LINE        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
#define CA_FINGERPRINT "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
#define TIME_TEXT      "2026-04-01T14:15:20Z"

#define ANSWER(changes) "{\"revision\":\"42\",\"snapshot\":false,\"changes\":[" changes "]}"
#define CHANGE(kind, key, state)                                                                   \
    "{\"revision\":\"42\",\"kind\":\"" kind "\",\"key\":\"" key "\",\"state\":" state "}"

#define JOB(account, cluster, user, type, nodes)                                                   \
    "{\"account\":\"" account "\",\"cluster\":\"" cluster "\",\"user\":\"" user                    \
    "\",\"type\":\"" type "\",\"nodes\":[" nodes "],\"startTime\":\"" TIME_TEXT "\"}"

#define PAGE(snapshot, changes)                                                                    \
    "{\"revision\":\"42\",\"snapshot\":" snapshot ",\"changes\":[" changes "]}"
#define NEXT(next) "{\"revision\":\"42\",\"snapshot\":\"begins\",\"changes\":[],\"next\":" next "}"

static const struct {
    const char *json;
    enum err_code code;
    const char *field;
} refused[] = {
    {"", ERR_MALFORMED, ""},
    {"[]", ERR_MALFORMED, ""},
    {"{\"revision\":\"1\",\"revision\":\"1\",\"snapshot\":true,\"changes\":[]}", ERR_MALFORMED, ""},
    {"{\"snapshot\":true,\"changes\":[]}", ERR_NOT_FOUND, "revision"},
    {"{\"revision\":1,\"snapshot\":true,\"changes\":[]}", ERR_MALFORMED, "revision"},
    {"{\"revision\":\"-1\",\"snapshot\":true,\"changes\":[]}", ERR_MALFORMED, "revision"},
    {"{\"revision\":\"18446744073709551616\",\"snapshot\":true,\"changes\":[]}", ERR_RANGE,
     "revision"},
    {"{\"revision\":\"1\",\"snapshot\":1,\"changes\":[]}", ERR_MALFORMED, "snapshot"},
    {"{\"revision\":\"1\",\"changes\":[]}", ERR_NOT_FOUND, "snapshot"},
    {"{\"revision\":\"1\",\"snapshot\":true}", ERR_NOT_FOUND, "changes"},
    {"{\"revision\":\"1\",\"snapshot\":true,\"changes\":{}}", ERR_MALFORMED, "changes"},
    {ANSWER("7"), ERR_MALFORMED, "changes[0].kind"},
    {ANSWER("{}"), ERR_NOT_FOUND, "changes[0].revision"},
    {ANSWER("{\"revision\":\"1\"}"), ERR_NOT_FOUND, "changes[0].kind"},
    {ANSWER("{\"revision\":\"1\",\"kind\":\"account\"}"), ERR_NOT_FOUND, "changes[0].key"},
    {ANSWER("{\"revision\":\"1\",\"kind\":\"account\",\"key\":\"bob\"}"), ERR_NOT_FOUND,
     "changes[0].state"},
    {ANSWER(CHANGE("account", "bob", "7")), ERR_MALFORMED, "changes[0].state"},
    {ANSWER("{\"revision\":\"43\",\"kind\":\"account\",\"key\":\"bob\",\"state\":null}"), ERR_ORDER,
     "changes[0].revision"},
    {ANSWER("{\"revision\":\"9\",\"kind\":\"account\",\"key\":\"bob\",\"state\":null},"
            "{\"revision\":\"8\",\"kind\":\"account\",\"key\":\"bob\",\"state\":null}"),
     ERR_ORDER, "changes[1].revision"},
    {"{\"revision\":\"42\",\"snapshot\":true,\"changes\":[" CHANGE("account", "bob", "null") "]}",
     ERR_CONFLICT, "changes[0].state"},
    {PAGE("\"page\"", ""), ERR_UNSUPPORTED, "snapshot"},
    {PAGE("\"\"", ""), ERR_UNSUPPORTED, "snapshot"},
    {PAGE("[\"begins\"]", ""), ERR_MALFORMED, "snapshot"},
    {PAGE("\"begins\"", CHANGE("account", "bob", "null")), ERR_CONFLICT, "changes[0].state"},
    {NEXT("7"), ERR_MALFORMED, "next"},
    {NEXT("\"3.17&since=0\""), ERR_MALFORMED, "next"},
    {NEXT("\"3 17\""), ERR_MALFORMED, "next"},
    {NEXT("\"3\\u000017\""), ERR_MALFORMED, ""},

    {ANSWER(CHANGE("account", "", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("account", "bob,alice", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("account", "root", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("account", "bob\\u0000", "null")), ERR_MALFORMED, ""},
    {ANSWER(CHANGE("account", "bob\\n", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("account", "bob", "{\"clusters\":[]}")), ERR_NOT_FOUND,
     "changes[0].state.enabled"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":\"true\",\"clusters\":[]}")), ERR_MALFORMED,
     "changes[0].state.enabled"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true}")), ERR_NOT_FOUND,
     "changes[0].state.clusters"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true,\"clusters\":[1]}")), ERR_MALFORMED,
     "changes[0].state.clusters"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true,\"clusters\":[\"a,b\"]}")), ERR_MALFORMED,
     "changes[0].state.clusters"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true,\"clusters\":[],\"critical\":7}")),
     ERR_MALFORMED, "changes[0].state.critical"},
    {ANSWER(
         CHANGE("account", "bob",
                "{\"enabled\":true,\"clusters\":[],\"hours\":\"9-17\",\"critical\":[\"hours\"]}")),
     ERR_UNSUPPORTED, "changes[0].state.critical"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true,\"clusters\":[],\"critical\":[7]}")),
     ERR_UNSUPPORTED, "changes[0].state.critical"},

    {ANSWER(CHANGE("ca", CA_FINGERPRINT, "{\"type\":\"other\",\"publicKey\":\"" CA_LINE "\"}")),
     ERR_UNSUPPORTED, "changes[0].state.type"},
    {ANSWER(CHANGE("ca", CA_FINGERPRINT, "{\"type\":\"user\"}")), ERR_NOT_FOUND,
     "changes[0].state.publicKey"},
    {ANSWER(CHANGE("ca", "SHA256:other", "{\"type\":\"user\",\"publicKey\":\"" CA_LINE "\"}")),
     ERR_CONFLICT, "changes[0].state.publicKey"},
    /* A comment, or a second line, would ride along into TrustedUserCAKeys. */
    {ANSWER(
         CHANGE("ca", CA_FINGERPRINT, "{\"type\":\"user\",\"publicKey\":\"" CA_LINE " comment\"}")),
     ERR_MALFORMED, "changes[0].state.publicKey"},
    {ANSWER(CHANGE("ca", CA_FINGERPRINT,
                   "{\"type\":\"user\",\"publicKey\":\"" CA_LINE "\\n" CA_LINE "\"}")),
     ERR_MALFORMED, "changes[0].state.publicKey"},

    {ANSWER(CHANGE("revocation", "0", "null")), ERR_RANGE, "changes[0].key"},
    {ANSWER(CHANGE("revocation", "1x", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("revocation", "7", "{\"account\":\"bob\",\"reason\":\"\"}")), ERR_NOT_FOUND,
     "changes[0].state.expireTime"},
    {ANSWER(CHANGE("revocation", "7",
                   "{\"account\":\"bob\",\"reason\":\"\",\"expireTime\":\"soon\"}")),
     ERR_MALFORMED, "changes[0].state.expireTime"},
    {ANSWER(
         CHANGE("revocation", "7",
                "{\"account\":\"bob\",\"reason\":\"\",\"expireTime\":\"1970-01-01T00:00:00Z\"}")),
     ERR_RANGE, "changes[0].state.expireTime"},

    {ANSWER(CHANGE("cluster", "Daint!", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("cluster", "daint", "{\"address\":\"a b\",\"port\":22}")), ERR_MALFORMED,
     "changes[0].state.address"},
    {ANSWER(CHANGE("cluster", "daint", "{\"address\":\"\",\"port\":65536}")), ERR_RANGE,
     "changes[0].state.port"},
    {ANSWER(CHANGE("cluster", "daint", "{\"address\":\"\",\"port\":\"22\"}")), ERR_MALFORMED,
     "changes[0].state.port"},

    {ANSWER(CHANGE("host", "ln1",
                   "{\"cluster\":\"daint\",\"role\":\"king\",\"address\":\"\",\"port\":22}")),
     ERR_UNSUPPORTED, "changes[0].state.role"},
    {ANSWER(CHANGE("host", "ln1",
                   "{\"cluster\":\"\",\"role\":\"login\",\"address\":\"\",\"port\":22}")),
     ERR_MALFORMED, "changes[0].state.cluster"},

    {ANSWER(CHANGE("key", "k1", "{\"account\":\"\",\"publicKey\":\"" CA_LINE "\"}")), ERR_MALFORMED,
     "changes[0].state.account"},
    {ANSWER(CHANGE("key", "k1", "{\"account\":\"bob\",\"publicKey\":\"ssh-ed25519 AAAA\"}")),
     ERR_TRUNCATED, "changes[0].state.publicKey"},
    {ANSWER(CHANGE("key", "k1",
                   "{\"account\":\"bob\",\"publicKey\":\"" CA_LINE
                   "\",\"ipSubnets\":[\"10.0.0.1/8\"]}")),
     ERR_RANGE, "changes[0].state.ipSubnets"},
    {ANSWER(CHANGE("key", "k1",
                   "{\"account\":\"bob\",\"publicKey\":\"" CA_LINE
                   "\",\"ipSubnets\":[\"10.0.0.0/8\\\",command=\\\"x\"]}")),
     ERR_MALFORMED, "changes[0].state.ipSubnets"},

    /* What restricts is never read as something milder. */
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true,\"clusters\":[],\"ipSubnets\":[\"\"]}")),
     ERR_MALFORMED, "changes[0].state.ipSubnets"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true,\"clusters\":[],\"ipSubnets\":null}")),
     ERR_MALFORMED, "changes[0].state.ipSubnets"},
    {ANSWER(CHANGE("account", "bob", "{\"enabled\":true,\"clusters\":[],\"windowUntil\":7}")),
     ERR_MALFORMED, "changes[0].state.windowUntil"},
    {ANSWER(CHANGE("cluster", "daint", "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"\"}")),
     ERR_UNSUPPORTED, "changes[0].state.nodeAccess"},
    {ANSWER(CHANGE("cluster", "daint", "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"team\"}")),
     ERR_UNSUPPORTED, "changes[0].state.nodeAccess"},
    {ANSWER(CHANGE("cluster", "daint", "{\"address\":\"\",\"port\":22,\"credentials\":\"none\"}")),
     ERR_UNSUPPORTED, "changes[0].state.credentials"},
    {ANSWER(CHANGE("key", "k1",
                   "{\"account\":\"bob\",\"publicKey\":\"" CA_LINE "\",\"use\":\"robot\"}")),
     ERR_UNSUPPORTED, "changes[0].state.use"},

    {ANSWER(CHANGE("job", "1234", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("job", "@nancy", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("job", "1234@", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("job", "1@2@nancy", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("job", "1 2@nancy", "null")), ERR_MALFORMED, "changes[0].key"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("alice", "lille", "alice", "whole", "\"n1\""))),
     ERR_CONFLICT, "changes[0].state.cluster"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("root", "nancy", "alice", "whole", "\"n1\""))),
     ERR_MALFORMED, "changes[0].state.account"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("alice", "nancy", "root", "deploy", "\"n1\""))),
     ERR_MALFORMED, "changes[0].state.user"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("alice", "nancy", "-oProxyCommand", "whole", "\"n1\""))),
     ERR_MALFORMED, "changes[0].state.user"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("alice", "nancy", "../x", "whole", "\"n1\""))),
     ERR_MALFORMED, "changes[0].state.user"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("alice", "nancy", "alice", "half", "\"n1\""))),
     ERR_UNSUPPORTED, "changes[0].state.type"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("alice", "nancy", "alice", "whole", "\"n 1\""))),
     ERR_MALFORMED, "changes[0].state.nodes"},
    {ANSWER(CHANGE("job", "1@nancy", JOB("alice", "nancy", "alice", "whole", "\"../n1\""))),
     ERR_MALFORMED, "changes[0].state.nodes"},
    {ANSWER(CHANGE("job", "1@nancy",
                   "{\"account\":\"alice\",\"cluster\":\"nancy\",\"user\":\"alice\",\"type\":"
                   "\"whole\",\"nodes\":[\"n1\"]}")),
     ERR_NOT_FOUND, "changes[0].state.startTime"},
    {ANSWER(CHANGE("job", "1@nancy",
                   "{\"account\":\"alice\",\"cluster\":\"nancy\",\"user\":\"alice\",\"type\":"
                   "\"whole\",\"startTime\":\"" TIME_TEXT "\"}")),
     ERR_NOT_FOUND, "changes[0].state.nodes"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct change_answer *answer = NULL;
        struct fault fault = {0};
        err_t err = change_answer_decode(span_str(refused[i].json), &answer, &fault);
        if (!failed(err) || (refused[i].code != err.code) ||
            strcmp(fault.field, refused[i].field) != 0) {
            print_error("%s\n  gave %s, field '%s' (%s)\n", refused[i].json, err_name(err),
                        fault.field, fault.reason);
        }
        assert_int_equal(err.code, refused[i].code);
        assert_string_equal(fault.field, refused[i].field);
        assert_true(fault.reason[0] != '\0');
        assert_null(answer);
    }
}

/* clang-format off */
static const char everything[] = ANSWER(
    CHANGE("ca", CA_FINGERPRINT, "{\"type\":\"user\",\"publicKey\":\"" CA_LINE "\"}") ","
    CHANGE("account", "alice", "{\"enabled\":true,\"clusters\":[\"daint\",\"santis\"]}") ","
    CHANGE("account", "bob", "null") ","
    CHANGE("revocation", "18446744073709551615",
           "{\"account\":\"alice\",\"expireTime\":\"" TIME_TEXT "\","
           "\"reason\":\"lost \\\"laptop\\\" \\\\ Zürich\"}") ","
    CHANGE("cluster", "daint", "{\"address\":\"daint.example\",\"port\":22}") ","
    CHANGE("host", "daint-ln1",
           "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"192.0.2.1\",\"port\":2222}") ","
    CHANGE("key", "7",
           "{\"account\":\"alice\",\"publicKey\":\"" CA_LINE "\",\"expireTime\":\"" TIME_TEXT "\","
           "\"ipSubnets\":[\"10.0.0.0/8\",\"2001:db8::/32\"]}") ","
    CHANGE("key", "8", "{\"account\":\"alice\",\"publicKey\":\"" CA_LINE "\"}") ","
    CHANGE("account", "carol",
           "{\"enabled\":true,\"clusters\":[],\"windowUntil\":\"" TIME_TEXT "\","
           "\"ipSubnets\":[\"192.0.2.0/24\"],\"critical\":[\"ipSubnets\"]}") ","
    CHANGE("cluster", "nancy",
           "{\"address\":\"\",\"port\":0,\"nodeAccess\":\"job\",\"critical\":[\"nodeAccess\"]}") ","
    CHANGE("cluster", "lille",
           "{\"address\":\"\",\"port\":0,\"nodeAccess\":\"job\",\"credentials\":\"keys\","
           "\"critical\":[\"nodeAccess\",\"credentials\"]}") ","
    CHANGE("cluster", "lyon",
           "{\"address\":\"\",\"port\":0,\"credentials\":\"certificates\","
           "\"critical\":[\"credentials\"]}") ","
    CHANGE("key", "9", "{\"account\":\"alice\",\"publicKey\":\"" CA_LINE "\",\"use\":\"internal\","
           "\"critical\":[\"use\"]}") ","
    CHANGE("job", "1234_7@nancy", JOB("alice", "nancy", "alice", "deploy", "\"n1\",\"n2.nancy\"")) ","
    CHANGE("job", "9+1@nancy",
           "{\"account\":\"alice\",\"cluster\":\"nancy\",\"user\":\"uprod_00Grm\",\"type\":\"cluster\","
           "\"nodes\":[],\"startTime\":\"" TIME_TEXT "\",\"endTime\":\"" TIME_TEXT "\","
           "\"address\":\"192.0.2.9\",\"port\":2201}") ","
    CHANGE("job", "1235@nancy", "null"));
/* clang-format on */

static void encode(const struct change_answer *answer, struct buf *out) {
    assert_ok(change_answer_begin(out, answer->revision, answer->snapshot));
    for (size_t i = 0; i < answer->count; i++) {
        assert_ok(change_answer_add_change(out, &answer->changes[i]));
    }
    assert_ok(change_answer_end(out));
}

/* What is decoded and written again is the same text: the encoder's form is the only one here. */
static void test_encode_is_the_inverse(void **state) {
    (void)state;
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    struct fault fault = {0};
    assert_ok(change_answer_decode(span_str(everything), &answer, &fault));
    assert_int_equal(answer->count, 16);
    assert_true(answer->changes[3].revocation.serial == UINT64_MAX);
    assert_string_equal(answer->changes[3].revocation.reason, "lost \"laptop\" \\ Zürich");
    assert_int_equal(answer->changes[1].account.clusters.count, 2);
    assert_true(answer->changes[2].gone);
    assert_int_equal(answer->changes[5].host.role, HOST_LOGIN);
    assert_int_equal(answer->changes[7].key_of.expires_at, 0);
    assert_int_equal(answer->changes[7].key_of.use, KEY_USE_PERSON);
    assert_int_equal(answer->changes[12].key_of.use, KEY_USE_INTERNAL);
    assert_int_equal(answer->changes[4].cluster.node_access, NODE_ACCESS_OPEN);
    assert_int_equal(answer->changes[4].cluster.credentials,
                     CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS);
    assert_int_equal(answer->changes[10].cluster.node_access, NODE_ACCESS_JOB);
    assert_int_equal(answer->changes[10].cluster.credentials, CREDENTIALS_KEYS);
    assert_int_equal(answer->changes[8].account.subnets.count, 1);
    assert_true(answer->changes[8].account.window_until > 0);
    assert_int_equal(answer->changes[13].job.nodes.count, 2);
    assert_int_equal(answer->changes[13].job.type, JOB_DEPLOY);
    assert_int_equal(answer->changes[13].job.ends_at, 0);
    assert_string_equal(answer->changes[13].job.address, "");
    assert_int_equal(answer->changes[14].job.port, 2201);
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    encode(answer, &out);
    assert_true(span_equal_str(buf_span(&out), everything));
    /* The same by way of the states that the store keeps. */
    buf_clear(&out);
    assert_ok(change_answer_begin(&out, answer->revision, false));
    for (size_t i = 0; i < answer->count; i++) {
        const struct change *change = &answer->changes[i];
        struct buf kept CLEANUP(buf_done) = BUF(16 * 1024);
        assert_ok(change_encode_state(change, &kept));
        assert_ok(buf_add_byte(&kept, 0));
        assert_ok(change_answer_add(&out, change->revision, change_kind_name(change->kind),
                                    change->key, (const char *)kept.data));
    }
    assert_ok(change_answer_end(&out));
    assert_true(span_equal_str(buf_span(&out), everything));
}

/* Each kind of page is read as it was written, and a snapshot in one page is a whole one. */
static void test_pages(void **state) {
    (void)state;
    static const struct {
        struct change_answer page;
        const char *text;
    } cases[] = {
        {{.revision = 42, .snapshot = true},
         "{\"changes\":[],\"revision\":\"42\",\"snapshot\":true}"},
        {{.revision = 42, .snapshot = true, .more = true, .next = "3.alice_-Z"},
         "{\"changes\":[],\"revision\":\"42\",\"snapshot\":\"begins\",\"next\":\"3.alice_-Z\"}"},
        {{.revision = 42, .snapshot = true, .continues = true, .more = true},
         "{\"changes\":[],\"revision\":\"42\",\"snapshot\":\"continues\"}"},
        {{.revision = 43, .snapshot = true, .continues = true, .next = "not told"},
         "{\"changes\":[],\"revision\":\"43\",\"snapshot\":\"ends\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out CLEANUP(buf_done) = BUF(1024);
        struct change_answer *got CLEANUP(change_answer_freep) = NULL;
        const struct change_answer *page = &cases[i].page;
        assert_ok(change_page_begin(&out));
        assert_ok(change_page_end(&out, page));
        assert_true(span_equal_str(buf_span(&out), cases[i].text));
        assert_ok(change_answer_decode(buf_span(&out), &got, NULL));
        assert_true(got->snapshot && got->revision == page->revision && got->more == page->more &&
                    got->continues == page->continues);
        assert_string_equal(got->next, page->more && page->next != NULL ? page->next : "");
    }
    /* What happened since the first page is told by the last ones, and may be that a thing is gone.
     */
    struct change_answer *ends CLEANUP(change_answer_freep) = NULL;
    assert_ok(change_answer_decode(span_str(PAGE("\"ends\"", CHANGE("account", "bob", "null"))),
                                   &ends, NULL));
    assert_true(ends->count == 1 && ends->changes[0].gone);
}

static void test_limits_of_pages(void **state) {
    (void)state;
    for (size_t extra = 0; extra <= 1; extra++) {
        struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
        struct change_answer *got CLEANUP(change_answer_freep) = NULL;
        assert_ok(change_page_begin(&json));
        for (size_t i = 0; i < LIMIT_FEED_PAGE_CHANGES_COUNT + extra; i++) {
            char serial[24];
            (void)snprintf(serial, sizeof serial, "%zu", i + 1);
            assert_int_equal(change_page_is_full(&json, i), i >= LIMIT_FEED_PAGE_CHANGES_COUNT);
            assert_ok(change_answer_add(&json, 1, "revocation", serial,
                                        "{\"account\":\"\",\"expireTime\":\"" TIME_TEXT
                                        "\",\"reason\":\"\"}"));
        }
        assert_ok(change_page_end(
            &json, &(struct change_answer){.revision = 1, .snapshot = true, .more = true}));
        assert_fails(change_answer_decode(buf_span(&json), &got, NULL),
                     extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
    struct buf page CLEANUP(buf_done) = BUF(2 * LIMIT_FEED_PAGE_BYTES);
    uint8_t *place = NULL;
    assert_ok(buf_extend(&page, LIMIT_FEED_PAGE_BYTES, &place));
    assert_true(change_page_is_full(&page, 1));
    page.len--;
    assert_false(change_page_is_full(&page, 1));
    for (size_t extra = 0; extra <= 1; extra++) {
        char next[LIMIT_FEED_CURSOR_CHARS + 2] = "";
        char json[sizeof next + 128];
        struct change_answer *got CLEANUP(change_answer_freep) = NULL;
        memset(next, '7', LIMIT_FEED_CURSOR_CHARS + extra);
        (void)snprintf(json, sizeof json, NEXT("\"%s\""), next);
        assert_fails(change_answer_decode(span_str(json), &got, NULL),
                     extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
}

static void test_encode_failure_leaves_no_half(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(128);
    assert_ok(change_answer_begin(&out, 1, false));
    size_t before = out.len;
    struct change bad = {.revision = 1, .kind = CHANGE_CLUSTER, .key = "daint"};
    bad.cluster.address = "";
    assert_fails(change_answer_add_change(&out, &bad), ERR_UNSUPPORTED); /* takes nothing */
    assert_int_equal(out.len, before);
    bad.cluster.node_access = NODE_ACCESS_OPEN;
    bad.cluster.credentials = CREDENTIALS_KEYS;
    bad.cluster.address = "\xff";
    assert_fails(change_answer_add_change(&out, &bad), ERR_MALFORMED);
    assert_int_equal(out.len, before);
    assert_fails(change_encode_state(&bad, &out), ERR_MALFORMED);
    assert_int_equal(out.len, before);
    char longer[200];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    bad.cluster.address = longer;
    assert_fails(change_answer_add_change(&out, &bad), ERR_TOO_LONG);
    assert_int_equal(out.len, before);
}

static void test_unknown_is_skipped(void **state) {
    (void)state;
    static const char json[] = ANSWER(CHANGE("quota", "x", "{\"deep\":[[[]]]}") "," CHANGE(
        "account", "bob",
        "{\"enabled\":true,\"clusters\":[],"
        "\"shoe\":43,\"critical\":[\"enabled\"]}") ","
                                                   "{\"revision\":\"42\",\"kind\":\"tariff\"}");
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    assert_ok(change_answer_decode(span_str(json), &answer, NULL));
    assert_int_equal(answer->count, 1);
    assert_string_equal(answer->changes[0].key, "bob");
}

/* Every truncation is refused; every flipped bit is refused or gives something well-formed. */
static void test_truncated_and_flipped(void **state) {
    (void)state;
    size_t len = sizeof everything - 1;
    for (size_t i = 0; i < len; i++) {
        struct change_answer *answer = NULL;
        assert_true(failed(change_answer_decode(span_of(everything, i), &answer, NULL)));
        assert_null(answer);
    }
    char *copy CLEANUP(freep) = malloc(len);
    assert_non_null(copy);
    size_t taken = 0;
    for (size_t i = 0; i < len * 8; i++) {
        memcpy(copy, everything, len);
        copy[i / 8] = (char)(copy[i / 8] ^ (1 << (i % 8)));
        struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
        if (!failed(change_answer_decode(span_of(copy, len), &answer, NULL))) {
            struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
            encode(answer, &out);
            taken++;
        }
    }
    assert_true(taken > 0 && taken < len * 8 / 2);
}

static void test_limits(void **state) {
    (void)state;
    uint8_t byte = ' ';
    struct change_answer *answer = NULL;
    /* Never looked at beyond its length. */
    assert_fails(
        change_answer_decode(span_of(&byte, (size_t)LIMIT_HTTP_ANSWER_BYTES + 1), &answer, NULL),
        ERR_TOO_LONG);
    for (size_t extra = 0; extra <= 1; extra++) {
        struct buf json CLEANUP(buf_done) = BUF(64 * 1024);
        assert_ok(buf_add_str(&json,
                              "{\"revision\":\"1\",\"snapshot\":true,\"changes\":[{\"revision\":"
                              "\"1\",\"kind\":\"account\",\"key\":\"bob\",\"state\":{"
                              "\"enabled\":true,\"clusters\":["));
        for (size_t i = 0; i < LIMIT_FEED_CLUSTERS_COUNT + extra; i++) {
            assert_ok(buf_add_format(&json, "%s\"c%zu\"", i > 0 ? "," : "", i));
        }
        assert_ok(buf_add_str(&json, "]}}]}"));
        struct change_answer *got CLEANUP(change_answer_freep) = NULL;
        assert_fails(change_answer_decode(buf_span(&json), &got, NULL),
                     extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
    for (size_t extra = 0; extra <= 1; extra++) {
        struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
        assert_ok(buf_add_str(
            &json, "{\"revision\":\"42\",\"snapshot\":false,\"changes\":[{\"revision\":"
                   "\"42\",\"kind\":\"job\",\"key\":\"1@nancy\",\"state\":{\"account\":"
                   "\"alice\",\"cluster\":\"nancy\",\"user\":\"alice\",\"type\":\"whole\","
                   "\"startTime\":\"" TIME_TEXT "\",\"nodes\":["));
        for (size_t i = 0; i < LIMIT_JOB_NODES_COUNT + extra; i++) {
            assert_ok(buf_add_format(&json, "%s\"n%zu.nancy\"", i > 0 ? "," : "", i));
        }
        assert_ok(buf_add_str(&json, "]}}]}"));
        struct change_answer *got CLEANUP(change_answer_freep) = NULL;
        assert_fails(change_answer_decode(buf_span(&json), &got, NULL),
                     extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
    for (size_t extra = 0; extra <= 1; extra++) {
        struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
        assert_ok(buf_add_str(&json, "{\"revision\":\"1\",\"snapshot\":true,\"changes\":["));
        for (size_t i = 0; i < LIMIT_FEED_CHANGES_COUNT + extra; i++) {
            assert_ok(buf_add_str(&json, i == 0 ? "0" : ",0"));
        }
        assert_ok(buf_add_str(&json, "]}"));
        struct change_answer *got CLEANUP(change_answer_freep) = NULL;
        assert_fails(change_answer_decode(buf_span(&json), &got, NULL),
                     extra == 0 ? ERR_MALFORMED : ERR_TOO_LONG);
    }
}

/* Orders stand beside the changes, and a reader that tells them on has them all. */
static void test_cuts(void **state) {
    (void)state;
    struct change_answer *got CLEANUP(change_answer_freep) = NULL;
    struct fault fault = {0};
    assert_fails(change_answer_decode(SPAN_LITERAL(ANSWER(CHANGE("cut", "", "{}"))), &got, &fault),
                 ERR_MALFORMED);
    assert_string_equal(fault.field, "changes[0].key");
    for (int extra = 0; extra <= 1; extra++) {
        char json[256];
        (void)snprintf(json, sizeof json, ANSWER(CHANGE("cut", "%0*d", "{}")),
                       LIMIT_CUT_CHARS + extra, 1);
        change_answer_freep(&got);
        assert_fails(change_answer_decode(span_str(json), &got, NULL),
                     extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
    assert_ok(change_answer_decode(
        SPAN_LITERAL(ANSWER(CHANGE("cut", "a1", "{\"host\":\"ela\"}") "," CHANGE(
            "account", "bob", "null") "," CHANGE("cut", "a2", "{}"))),
        &got, NULL));
    assert_int_equal(got->count, 1);
    assert_string_equal(got->changes[0].key, "bob");
    assert_int_equal(got->cut_count, 2);
    assert_string_equal(got->cuts[0], "a1");
    assert_string_equal(got->cuts[1], "a2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_encode_is_the_inverse),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_limits_of_pages),
        cmocka_unit_test(test_encode_failure_leaves_no_half),
        cmocka_unit_test(test_unknown_is_skipped),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_truncated_and_flipped),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
