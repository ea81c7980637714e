#include "fixture.h"

#include <limits.h>

#include <openssl/evp.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "ssh/krl.h"
#include "ssh/serial_set.h"
#include "ssh/wire.h"

static char source_folder[PATH_MAX];
static struct key *ca;    /* ca.pub */
static struct key *other; /* other.pub, a CA too */
static struct key *user;  /* user.pub; ca certifies it as user-cert.pub: serial 77, id "alice" */

enum { TEXT_BYTES = 16 * 1024 * 1024 };

#define run_ok(...) assert_int_equal(fixture_run(__VA_ARGS__), 0)

/* A repeatable stream of numbers (splitmix64). */
static uint64_t next_random(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static struct key *read_key(const char *name) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct key *key = NULL;
    fixture_read(name, &line);
    assert_ok(key_parse_line(buf_span(&line), &key, NULL));
    return key;
}

static int set_up(void **state) {
    assert_non_null(getcwd(source_folder, sizeof(source_folder)));
    assert_int_equal(fixture_setup(state), 0);
    run_ok("ssh-keygen -q -t ed25519 -N '' -f ca && ssh-keygen -q -t ecdsa -N '' -f other"
           " && ssh-keygen -q -t ed25519 -N '' -f user"
           " && ssh-keygen -q -s ca -I alice -n alice -z 77 user.pub");
    ca = read_key("ca.pub");
    other = read_key("other.pub");
    user = read_key("user.pub");
    return 0;
}

static int tear_down(void **state) {
    key_freep(&ca);
    key_freep(&other);
    key_freep(&user);
    return fixture_teardown(state);
}

static struct krl *new_krl(void) {
    struct krl *krl = NULL;
    assert_ok(krl_new(&krl));
    return krl;
}

/* --- what the parser refuses --- */

static void put_header(struct buf *file) {
    assert_ok(buf_add(file, SPAN_LITERAL("SSHKRL\n\0")));
    assert_ok(wire_put_u32(file, 1));
    assert_ok(wire_put_u64(file, 3));
    assert_ok(wire_put_u64(file, 0));
    assert_ok(wire_put_u64(file, 0));
    assert_ok(wire_put_text(file, "reserved"));
    assert_ok(wire_put_text(file, ""));
}

/* A certificates section with one subsection of that body, for every CA. */
static void put_cert_section(struct buf *file, uint8_t type, span_t body) {
    size_t mark;
    assert_ok(wire_put_u8(file, 1));
    assert_ok(wire_string_begin(file, &mark));
    assert_ok(wire_put_text(file, ""));
    assert_ok(wire_put_text(file, "reserved"));
    assert_ok(wire_put_u8(file, type));
    assert_ok(wire_put_string(file, body));
    wire_string_end(file, mark);
}

static err_t parse(const struct buf *file) {
    struct krl *krl CLEANUP(krl_freep) = NULL;
    return krl_parse(buf_span(file), &krl);
}

#define EIGHT(last)      "\0\0\0\0\0\0\0" last
#define EIGHT_FULL(last) "\xff\xff\xff\xff\xff\xff\xff" last
#define TEXT_OF_20       "12345678901234567890"

static void test_cert_sections_refused(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        span_t body;
        enum err_code code;
    } cases[] = {
        {0x20, {(const uint8_t *)EIGHT("\0"), 8}, ERR_RANGE}, /* serial 0 */
        {0x20, {(const uint8_t *)EIGHT("\1") "\0", 9}, ERR_TRUNCATED},
        {0x21, {(const uint8_t *)EIGHT("\2") EIGHT("\1"), 16}, ERR_RANGE},
        {0x21, {(const uint8_t *)EIGHT("\0") EIGHT("\1"), 16}, ERR_RANGE},
        {0x21, {(const uint8_t *)EIGHT("\1"), 8}, ERR_TRUNCATED},
        {0x21, {(const uint8_t *)EIGHT("\1") EIGHT("\1") "x", 17}, ERR_TRAILING},
        {0x22, {(const uint8_t *)EIGHT("\0") "\0\0\0\1\1", 13}, ERR_RANGE}, /* serial 0 */
        {0x22, {(const uint8_t *)EIGHT("\1") "\0\0\0\1\x80", 13}, ERR_RANGE},
        {0x22, {(const uint8_t *)EIGHT("\1") "\0\0\0\1\1x", 14}, ERR_TRAILING},
        /* wraps past 2^64 */
        {0x22, {(const uint8_t *)EIGHT_FULL("\xff") "\0\0\0\1\2", 13}, ERR_RANGE},
        {0x22, {(const uint8_t *)EIGHT_FULL("\xff") "\0\0\0\1\1", 13}, ERR_NONE},
        {0x22, {(const uint8_t *)EIGHT("\1") "\0\0\0\0", 12}, ERR_NONE}, /* empty */
        {0x23, {(const uint8_t *)"\0\0\0\2a\0", 6}, ERR_MALFORMED},      /* NUL */
        {0x23, {(const uint8_t *)"\0\0\0\2a", 5}, ERR_TRUNCATED},
        {0x24, {NULL, 0}, ERR_UNSUPPORTED},
        {0x39, {(const uint8_t *)"\0\0\0\1x\1\0\0\0\0", 10}, ERR_OPTION_UNKNOWN},
        {0x39, {(const uint8_t *)"\0\0\0\1x\0\0\0\0\0", 10}, ERR_NONE},
        {0x39, {(const uint8_t *)"\0\0\0\1x\0\0\0\0\0y", 11}, ERR_TRAILING},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf file CLEANUP(buf_done) = BUF(4096);
        put_header(&file);
        put_cert_section(&file, cases[i].type, cases[i].body);
        assert_fails(parse(&file), cases[i].code);
    }
}

static void test_sections_refused(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        span_t body;
        enum err_code code;
    } cases[] = {
        {2, {(const uint8_t *)"\0\0\0\0", 4}, ERR_MALFORMED}, /* an empty key */
        {3, {(const uint8_t *)"\0\0\0\x13" TEXT_OF_20, 23}, ERR_MALFORMED},
        {3, {(const uint8_t *)"\0\0\0\x14" TEXT_OF_20, 24}, ERR_NONE},
        {3, {(const uint8_t *)"\0\0\0\x14" TEXT_OF_20 "x", 25}, ERR_TRUNCATED},
        {5, {(const uint8_t *)"\0\0\0\x14" TEXT_OF_20, 24}, ERR_MALFORMED},
        {4, {(const uint8_t *)"key", 3}, ERR_UNSUPPORTED}, /* a signature */
        {6, {NULL, 0}, ERR_UNSUPPORTED},
        {255, {(const uint8_t *)"\0\0\0\1x\1\0\0\0\0", 10}, ERR_OPTION_UNKNOWN},
        {255, {(const uint8_t *)"\0\0\0\1x\0\0\0\0\0", 10}, ERR_NONE},
        {1, {(const uint8_t *)"\0\0\0\3abc\0\0\0\0", 11}, ERR_TRUNCATED}, /* a CA that is no key */
        {1, {(const uint8_t *)"\0\0\0\0\0\0\0\0", 8}, ERR_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf file CLEANUP(buf_done) = BUF(4096);
        put_header(&file);
        assert_ok(wire_put_u8(&file, cases[i].type));
        assert_ok(wire_put_string(&file, cases[i].body));
        assert_fails(parse(&file), cases[i].code);
    }
}

static void test_header_refused(void **state) {
    (void)state;
    struct buf file CLEANUP(buf_done) = BUF(4096);
    put_header(&file);
    assert_ok(parse(&file));
    file.data[0] = 's';
    assert_fails(parse(&file), ERR_MALFORMED);
    file.data[0] = 'S';
    file.data[11] = 2;
    assert_fails(parse(&file), ERR_UNSUPPORTED);
}

static void test_api_refuses(void **state) {
    (void)state;
    struct krl *krl CLEANUP(krl_freep) = new_krl();
    assert_fails(krl_revoke_serials(krl, NULL, 0, 1), ERR_RANGE);
    assert_fails(krl_revoke_serials(krl, NULL, 2, 1), ERR_RANGE);
    assert_fails(krl_revoke_key_sha256(krl, SPAN_LITERAL("short")), ERR_MALFORMED);
    assert_false(krl_has_serial(krl, NULL, 1));
    assert_false(krl_has_key(krl, user));
}

/* A CA key of a type that OpenSSH does not know would make it refuse the file. */
static void test_unknown_ca_is_refused(void **state) {
    (void)state;
    struct buf file CLEANUP(buf_done) = BUF(4096);
    size_t mark;
    size_t blob;
    put_header(&file);
    assert_ok(wire_put_u8(&file, 1));
    assert_ok(wire_string_begin(&file, &mark));
    assert_ok(wire_string_begin(&file, &blob));
    assert_ok(wire_put_text(&file, "ssh-future"));
    assert_ok(wire_put_text(&file, "key"));
    wire_string_end(&file, blob);
    assert_ok(wire_put_text(&file, ""));
    wire_string_end(&file, mark);
    assert_fails(parse(&file), ERR_KEY_TYPE);
}

/* --- a tiny file may claim much --- */

static bool keep_odd(void *context, uint64_t serial) {
    ++*(uint64_t *)context;
    return serial % 2 == 1;
}

static void test_huge_range_stays_a_range(void **state) {
    (void)state;
    struct krl *krl CLEANUP(krl_freep) = new_krl();
    assert_ok(krl_revoke_serials(krl, ca, 2, UINT64_MAX));
    assert_ok(krl_revoke_serials(krl, ca, 1, UINT64_MAX - 5));
    assert_ok(krl_revoke_serials(krl, NULL, 5, 10));
    struct buf file CLEANUP(buf_done) = BUF(4096);
    assert_ok(krl_write(krl, &file));
    assert_true(file.len < 200);
    struct krl *back CLEANUP(krl_freep) = NULL;
    assert_ok(krl_parse(buf_span(&file), &back));
    assert_true(krl_has_serial(back, ca, 1));
    assert_true(krl_has_serial(back, ca, UINT64_MAX));
    assert_false(krl_has_serial(back, ca, 0));
    assert_false(krl_has_serial(back, other, 4));
    assert_true(krl_has_serial(back, other, 5));
    assert_int_equal(krl_count(back).serials, SIZE_MAX);
    uint64_t asked = 0;
    assert_ok(krl_prune(back, NULL, keep_odd, &asked));
    assert_int_equal(asked, 6);
    assert_true(krl_has_serial(back, ca, 2));
    assert_false(krl_has_serial(back, other, 6));
    assert_true(krl_has_serial(back, other, 7));
}

static void test_prune_asks_up_to_its_limit(void **state) {
    (void)state;
    for (uint64_t beyond = 0; beyond < 2; beyond++) {
        struct krl *krl CLEANUP(krl_freep) = new_krl();
        uint64_t asked = 0, count = LIMIT_KRL_PRUNE_SERIALS_COUNT + beyond;
        assert_ok(krl_revoke_serials(krl, ca, 1, count));
        assert_ok(krl_prune(krl, ca, keep_odd, &asked));
        assert_int_equal(asked, beyond ? 0 : count);
        assert_int_equal(krl_has_serial(krl, ca, 2), beyond);
    }
}

/* --- against a naive set, through every way in and out --- */

enum { DOMAIN = 3000 };

struct naive {
    uint64_t base;
    bool has[DOMAIN];
};

static void naive_add(struct naive *set, uint64_t from, uint64_t len) {
    for (uint64_t i = from; i < from + len && i < DOMAIN; i++) {
        set->has[i] = true;
    }
}

static void check_same(const struct krl *krl, const struct key *ca_key, const struct naive *set) {
    size_t count = 0;
    for (size_t i = 0; i < DOMAIN; i++) {
        assert_int_equal(krl_has_serial(krl, ca_key, set->base + i), set->has[i]);
        count += set->has[i];
    }
    assert_int_equal(krl_count(krl).serials, count);
}

/* Patterns: singles, runs, dense, and all of them; in random order. */
static void random_fill(struct krl *krl, const struct key *ca_key, struct naive *set,
                        uint64_t *seed) {
    unsigned style = (unsigned)(next_random(seed) % 4);
    size_t count = 1 + next_random(seed) % (style == 2 ? 900 : 60);
    for (size_t i = 0; i < count; i++) {
        uint64_t from = next_random(seed) % DOMAIN;
        uint64_t len = 1;
        if (style == 1 || (style == 3 && next_random(seed) % 2 == 0)) {
            len = 1 + next_random(seed) % 40;
        }
        if (len > DOMAIN - from) {
            len = DOMAIN - from;
        }
        assert_ok(krl_revoke_serials(krl, ca_key, set->base + from, set->base + from + len - 1));
        naive_add(set, from, len);
    }
}

static struct krl *round_trip(const struct krl *krl) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    struct buf again CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    struct krl *back = NULL;
    assert_ok(krl_write(krl, &file));
    assert_ok(krl_parse(buf_span(&file), &back));
    assert_ok(krl_write(back, &again));
    assert_true(span_equal(buf_span(&file), buf_span(&again)));
    return back;
}

static bool keep_in(void *context, uint64_t serial) {
    const struct naive *set = context;
    return set->has[serial - set->base];
}

static void test_random_sets(void **state) {
    (void)state;
    static const uint64_t bases[] = {1, 0xfffffff0, UINT64_MAX - DOMAIN + 1};
    uint64_t seed = 20260401;
    for (size_t round = 0; round < 150; round++) {
        struct naive a = {.base = bases[round % COUNT_OF(bases)]};
        struct naive b = {.base = a.base};
        struct krl *krl CLEANUP(krl_freep) = new_krl();
        struct krl *from CLEANUP(krl_freep) = new_krl();
        random_fill(krl, ca, &a, &seed);
        random_fill(from, ca, &b, &seed);
        check_same(krl, ca, &a);
        assert_ok(krl_merge(krl, from));
        for (size_t i = 0; i < DOMAIN; i++) {
            a.has[i] = a.has[i] || b.has[i];
        }
        check_same(krl, ca, &a);
        random_fill(krl, ca, &a, &seed);
        struct krl *back CLEANUP(krl_freep) = round_trip(krl);
        check_same(back, ca, &a);
        assert_ok(krl_prune(krl, other, keep_in, &b)); /* of a CA without a section: nothing */
        check_same(krl, ca, &a);
        assert_ok(krl_prune(krl, ca, keep_in, &b));
        for (size_t i = 0; i < DOMAIN; i++) {
            a.has[i] = a.has[i] && b.has[i];
        }
        check_same(krl, ca, &a);
    }
}

/* --- the fewest bytes --- */

static uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* The least size of the serial sections, by trying every section for every stretch of ranges. */
static uint64_t least_bytes(const struct serial_range *ranges, size_t count) {
    uint64_t best[64] = {0};
    assert_true(count < COUNT_OF(best));
    for (size_t end = 1; end <= count; end++) {
        best[end] = UINT64_MAX;
        uint64_t serials = 0;
        for (size_t start = end; start-- > 0;) {
            uint64_t span = ranges[end - 1].last - ranges[start].first + 1;
            serials += ranges[start].last - ranges[start].first + 1;
            uint64_t cost = 5 + 8 * serials;
            if (start + 1 == end) {
                cost = min_u64(cost, 5 + 16);
            }
            if (span <= LIMIT_KRL_BITMAP_BITS) {
                cost = min_u64(cost, 5 + 8 + 4 + span / 8 + 1);
            }
            best[end] = min_u64(best[end], best[start] + cost);
        }
    }
    return best[count];
}

static void test_layout_is_the_shortest(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (size_t round = 0; round < 3000; round++) {
        struct serial_range ranges[48];
        size_t count = 1 + next_random(&seed) % COUNT_OF(ranges);
        uint64_t spread = UINT64_C(1) << (2 + next_random(&seed) % 9);
        uint64_t at = 1;
        struct krl *krl CLEANUP(krl_freep) = new_krl();
        struct buf empty CLEANUP(buf_done) = BUF(4096);
        struct buf file CLEANUP(buf_done) = BUF(64 * 1024);
        assert_ok(krl_revoke_key_id(krl, NULL, "x"));
        assert_ok(krl_write(krl, &empty));
        for (size_t i = 0; i < count; i++) {
            ranges[i].first = at + next_random(&seed) % spread;
            ranges[i].last = ranges[i].first + next_random(&seed) % (1 + next_random(&seed) % 40);
            at = ranges[i].last + 2;
            assert_ok(krl_revoke_serials(krl, NULL, ranges[i].first, ranges[i].last));
        }
        assert_ok(krl_write(krl, &file));
        assert_int_equal(file.len - empty.len, least_bytes(ranges, count));
    }
}

/* --- the real ssh-keygen --- */

/* The serials of `ssh-keygen -Q -l`, as a KRL. */
static void read_listing(const char *file, struct krl *krl) {
    struct buf output CLEANUP(buf_done) = BUF(TEXT_BYTES);
    run_ok("ssh-keygen -Q -l -f %s >listing", file);
    fixture_read("listing", &output);
    assert_ok(buf_add_byte(&output, 0));
    char *rest = (char *)output.data;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        unsigned long long first;
        unsigned long long last;
        int fields = sscanf(line, "serial: %llu-%llu", &first, &last);
        if (fields > 0) {
            assert_ok(krl_revoke_serials(krl, ca, first, fields == 1 ? first : last));
        }
    }
}

static void check_same_bytes(const struct krl *a, const struct krl *b) {
    struct buf file_a CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    struct buf file_b CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    assert_ok(krl_write(a, &file_a));
    assert_ok(krl_write(b, &file_b));
    assert_true(span_equal(buf_span(&file_a), buf_span(&file_b)));
}

struct pattern {
    const char *name;
    uint64_t base, stride, run, count;
    bool is_random;
};

static const struct pattern patterns[] = {
    {"one", 1, 1, 1, 1, false},
    {"last", UINT64_MAX, 1, 1, 1, false},
    {"list", 1000, 1000000, 1, 50, false},
    {"pairs", 1000, 1000000, 2, 50, false},
    {"triples", 5, 1000, 3, 9, false},
    {"ranges", 10, 100000, 5000, 20, false},
    {"bitmap", 3, 2, 1, 1000, false},
    {"bitmap with runs", 3, 13, 7, 500, false},
    {"full bytes", 8, 64, 8, 200, false},
    {"longer than a bitmap may be", 2, 2, 1, 50000, false},
    {"random, dense", 1, 20000, 1, 9000, true},
    {"random, sparse", 1, UINT64_MAX - 1, 1, 3000, true},
    {"random, middling", 99, 400000, 1, 5000, true},
};

/* Fills the KRL, and a specification for ssh-keygen beside it. */
static void fill_pattern(const struct pattern *pattern, struct krl *krl, struct buf *spec) {
    uint64_t seed = pattern->count;
    for (uint64_t i = 0; i < pattern->count; i++) {
        uint64_t at =
            pattern->is_random ? next_random(&seed) % pattern->stride : i * pattern->stride;
        uint64_t first = pattern->base + at;
        uint64_t last = first + (pattern->run - 1);
        assert_ok(krl_revoke_serials(krl, ca, first, last));
        assert_ok(buf_add_format(spec, "serial: %llu", (unsigned long long)first));
        if (pattern->run > 1) { /* ssh-keygen refuses "1-1" */
            assert_ok(buf_add_format(spec, "-%llu", (unsigned long long)last));
        }
        assert_ok(buf_add_byte(spec, '\n'));
    }
}

static void test_ssh_keygen_reads_ours(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct krl *krl CLEANUP(krl_freep) = new_krl();
        struct krl *listed CLEANUP(krl_freep) = new_krl();
        struct buf spec CLEANUP(buf_done) = BUF(TEXT_BYTES);
        struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
        fill_pattern(&patterns[i], krl, &spec);
        assert_ok(krl_write(krl, &file));
        fixture_write("ours.krl", buf_span(&file));
        read_listing("ours.krl", listed);
        check_same_bytes(krl, listed);
    }
}

static void test_ours_reads_ssh_keygen(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct krl *krl CLEANUP(krl_freep) = new_krl();
        struct krl *theirs CLEANUP(krl_freep) = NULL;
        struct buf spec CLEANUP(buf_done) = BUF(TEXT_BYTES);
        struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
        struct buf ours CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
        fill_pattern(&patterns[i], krl, &spec);
        fixture_write("spec", buf_span(&spec));
        run_ok("ssh-keygen -q -k -f theirs.krl -s ca.pub -z 42 spec");
        fixture_read("theirs.krl", &file);
        assert_ok(krl_parse(buf_span(&file), &theirs));
        assert_int_equal(krl_version(theirs), 42);
        assert_true(krl_generated(theirs) > 1700000000);
        assert_ok(krl_merge(krl, theirs));
        krl_set_header(krl, 42, krl_generated(theirs));
        check_same_bytes(krl, theirs);
        assert_ok(krl_write(krl, &ours));
        bool theirs_is_readable =
            fixture_run("ssh-keygen -Q -l -f theirs.krl >/dev/null 2>&1") == 0;
        /* Theirs may save headers by bitmaps too long for its own reader. */
        assert_true(ours.len <= file.len || !theirs_is_readable);
    }
}

/* Both judge the certificate and the plain key: `revoked` by the KRL in the file. */
static void check_verdicts(const char *file, bool is_cert_revoked, bool is_key_revoked) {
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    struct krl *krl CLEANUP(krl_freep) = NULL;
    char key_id[] = "alice";
    struct cert cert = {.key = user, .ca_key = ca, .serial = 77, .key_id = key_id};
    fixture_read(file, &bytes);
    assert_ok(krl_parse(buf_span(&bytes), &krl));
    assert_int_equal(krl_has_cert(krl, &cert), is_cert_revoked);
    assert_int_equal(krl_has_key(krl, user), is_key_revoked);
    assert_int_equal(fixture_run("ssh-keygen -Q -f %s user-cert.pub >/dev/null", file),
                     is_cert_revoked);
    assert_int_equal(fixture_run("ssh-keygen -Q -f %s user.pub >/dev/null", file), is_key_revoked);
}

static void test_directives(void **state) {
    (void)state;
    static const struct {
        const char *directive;
        const char *for_ca; /* the argument of -s */
        bool cert, key;
    } cases[] = {
        {"serial: 76", "ca.pub", false, false},
        {"serial: 77", "other.pub", false, false},
        {"id: bob", "ca.pub", false, false},
        {"key: $(cat other.pub)", "none", false, false},
        {"serial: 77", "ca.pub", true, false},
        {"serial: 70-80", "ca.pub", true, false},
        {"serial: 77", "none", true, false},
        {"id: alice", "ca.pub", true, false},
        {"id: alice", "none", true, false},
        {"key: $(cat user.pub)", "none", true, true},
        {"sha1: $(cat user.pub)", "none", true, true},
        {"sha256: $(cat user.pub)", "none", true, true},
        {"hash: $(ssh-keygen -lf user.pub | cut -d' ' -f2)", "none", true, true},
        {"key: $(cat ca.pub)", "none", true, false}, /* the CA's key goes for its certificates */
        {"sha256: $(cat ca.pub)", "none", true, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        run_ok("echo \"%s\" >spec && ssh-keygen -q -k -f theirs.krl -s %s spec", cases[i].directive,
               cases[i].for_ca);
        check_verdicts("theirs.krl", cases[i].cert, cases[i].key);
        /* And what we make of it, ssh-keygen reads the same. */
        struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
        struct buf ours CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
        struct krl *krl CLEANUP(krl_freep) = NULL;
        fixture_read("theirs.krl", &file);
        assert_ok(krl_parse(buf_span(&file), &krl));
        assert_ok(krl_write(krl, &ours));
        fixture_write("ours.krl", buf_span(&ours));
        check_verdicts("ours.krl", cases[i].cert, cases[i].key);
    }
}

/* One of everything. */
static struct krl *full_krl(void) {
    struct krl *krl = new_krl();
    uint8_t hash[32];
    unsigned len;
    assert_int_equal(
        EVP_Digest(key_blob(ca).data, key_blob(ca).len, hash, &len, EVP_sha256(), NULL), 1);
    krl_set_header(krl, 9, 1775052920);
    assert_ok(krl_set_comment(krl, "revoked by alice"));
    assert_ok(krl_revoke_serials(krl, NULL, 70, 80));
    assert_ok(krl_revoke_serials(krl, other, 5, 5));
    assert_ok(krl_revoke_serials(krl, other, 1000000, 1000000));
    for (uint64_t i = 0; i < 100; i++) {
        assert_ok(krl_revoke_serials(krl, ca, 200 + 3 * i, 200 + 3 * i));
    }
    assert_ok(krl_revoke_key_id(krl, ca, "bob"));
    assert_ok(krl_revoke_key_id(krl, ca, "bob"));
    assert_ok(krl_revoke_key_id(krl, NULL, "carol"));
    assert_ok(krl_revoke_key(krl, user));
    assert_ok(krl_revoke_key_sha256(krl, span_of(hash, len)));
    return krl;
}

static void test_everything_at_once(void **state) {
    (void)state;
    struct krl *krl CLEANUP(krl_freep) = full_krl();
    struct krl *back CLEANUP(krl_freep) = round_trip(krl);
    struct krl *merged CLEANUP(krl_freep) = new_krl();
    struct krl_counts counts = krl_count(back);
    assert_int_equal(counts.serials, 11 + 2 + 100);
    assert_int_equal(counts.key_ids, 2);
    assert_int_equal(counts.keys, 1);
    assert_int_equal(counts.hashes, 1);
    assert_int_equal(krl_version(back), 9);
    assert_int_equal(krl_generated(back), 1775052920);
    assert_true(krl_has_key_id(back, ca, "bob"));
    assert_false(krl_has_key_id(back, other, "bob"));
    assert_true(krl_has_key_id(back, other, "carol"));
    assert_false(krl_has_key_id(back, NULL, "bob"));
    assert_true(krl_has_key(back, ca));
    assert_false(krl_has_key(back, other));
    assert_ok(krl_merge(merged, back));
    assert_ok(krl_merge(merged, krl));
    krl_set_header(merged, 9, 1775052920);
    assert_ok(krl_set_comment(merged, "revoked by alice"));
    check_same_bytes(merged, krl);

    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    struct buf output CLEANUP(buf_done) = BUF(TEXT_BYTES);
    assert_ok(krl_write(krl, &file));
    fixture_write("full.krl", buf_span(&file));
    run_ok("ssh-keygen -Q -l -f full.krl >listing");
    fixture_read("listing", &output);
    assert_ok(buf_add_byte(&output, 0));
    static const char *const lines[] = {
        "# KRL version 9\n", "# Comment: revoked by alice\n",
        "serial: 70-80\n",   "serial: 497\n",
        "id: bob\n",         "id: carol\n",
        "hash: SHA256:",     "serial: 1000000\n",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_non_null(strstr((const char *)output.data, lines[i]));
    }
}

/* --- golden files --- */

static void read_golden(const char *name, struct buf *out) {
    char path[PATH_MAX + 128];
    (void)snprintf(path, sizeof(path), "%s/tests/vectors/krl/%s", source_folder, name);
    assert_ok(file_read(path, out));
}

/* What parses can be written and read back; a KRL that says less than the file would let in. */
static void check_survives(span_t file) {
    struct krl *krl CLEANUP(krl_freep) = NULL;
    if (!failed(krl_parse(file, &krl))) {
        struct krl *back CLEANUP(krl_freep) = round_trip(krl);
        assert_int_equal(krl_count(back).serials, krl_count(krl).serials);
    } else {
        assert_null(krl);
    }
}

static void test_every_truncation_and_flip(void **state) {
    (void)state;
    static const char *const names[] = {"openssh.krl", "list.krl", "range.krl", "bitmap.krl"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct buf golden CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
        read_golden(names[i], &golden);
        struct krl *krl CLEANUP(krl_freep) = NULL;
        assert_ok(krl_parse(buf_span(&golden), &krl));
        for (size_t len = 0; len < golden.len; len++) {
            check_survives(span_of(golden.data, len));
        }
        for (size_t at = 0; at < golden.len; at++) {
            static const uint8_t flips[] = {0x01, 0x80, 0xff};
            for (size_t k = 0; k < COUNT_OF(flips); k++) {
                golden.data[at] ^= flips[k];
                check_survives(buf_span(&golden));
                golden.data[at] ^= flips[k];
            }
        }
    }
}

/* The golden file was made by ssh-keygen from these lists; its CA is in openssh-ca.pub. */
static void test_golden_contents(void **state) {
    (void)state;
    struct buf golden CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct krl *krl CLEANUP(krl_freep) = NULL;
    struct key *golden_ca CLEANUP(key_freep) = NULL;
    read_golden("openssh.krl", &golden);
    read_golden("openssh-ca.pub", &line);
    assert_ok(key_parse_line(buf_span(&line), &golden_ca, NULL));
    assert_ok(krl_parse(buf_span(&golden), &krl));
    assert_int_equal(krl_version(krl), 17);
    assert_true(krl_has_serial(krl, golden_ca, 1));
    assert_false(krl_has_serial(krl, golden_ca, 2));
    assert_true(krl_has_serial(krl, golden_ca, 1000));
    assert_true(krl_has_serial(krl, golden_ca, 2000));
    assert_false(krl_has_serial(krl, golden_ca, 2001));
    assert_true(krl_has_serial(krl, golden_ca, 50003));
    assert_false(krl_has_serial(krl, golden_ca, 50004));
    assert_false(krl_has_serial(krl, ca, 1000));
    assert_true(krl_has_key_id(krl, golden_ca, "alice"));
    assert_true(krl_has_key(krl, golden_ca));
    struct krl_counts counts = krl_count(krl);
    assert_int_equal(counts.serials, 1 + 1001 + 20);
    assert_int_equal(counts.keys, 1);
    assert_int_equal(counts.hashes, 2);
}

/* --- limits --- */

static void test_entries_limit(void **state) {
    (void)state;
    struct krl *krl CLEANUP(krl_freep) = new_krl();
    assert_ok(krl_revoke_key_id(krl, NULL, "alice"));
    for (uint64_t i = 1; i < LIMIT_KRL_ENTRIES_COUNT; i++) {
        if (failed(krl_revoke_serials(krl, NULL, 2 * i, 2 * i))) {
            fail();
        }
    }
    uint64_t next = 2 * (uint64_t)LIMIT_KRL_ENTRIES_COUNT;
    assert_fails(krl_revoke_serials(krl, NULL, next, next), ERR_TOO_LONG);
    assert_fails(krl_revoke_key(krl, user), ERR_TOO_LONG);
    assert_ok(krl_revoke_serials(krl, NULL, 2, 2));
    assert_ok(krl_revoke_key_id(krl, NULL, "alice"));

    struct krl *more CLEANUP(krl_freep) = new_krl();
    assert_ok(krl_revoke_serials(more, ca, 1, 1));
    assert_fails(krl_merge(krl, more), ERR_TOO_LONG);
    uint64_t asked = 0;
    assert_ok(krl_prune(krl, NULL, keep_odd, &asked));
    assert_int_equal(asked, LIMIT_KRL_ENTRIES_COUNT - 1);
    assert_ok(krl_merge(krl, more));
}

/* A bitmap of alternating bits is the densest way to claim ranges. */
static void test_bitmaps_meet_the_entries_limit(void **state) {
    (void)state;
    enum { BYTES = 200 * 1024 };
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    put_header(&file);
    size_t ranges = 0;
    while (ranges + BYTES * 4 <= LIMIT_KRL_ENTRIES_COUNT) {
        struct buf body CLEANUP(buf_done) = BUF(BYTES + 64);
        uint8_t *bits;
        assert_ok(wire_put_u64(&body, 1 + 2 * ranges));
        assert_ok(wire_put_u32(&body, BYTES));
        assert_ok(buf_extend(&body, BYTES, &bits));
        memset(bits, 0x55, BYTES);
        put_cert_section(&file, 0x22, buf_span(&body));
        ranges += BYTES * 4;
    }
    struct krl *krl CLEANUP(krl_freep) = NULL;
    assert_ok(krl_parse(buf_span(&file), &krl));
    assert_int_equal(krl_count(krl).serials, ranges);
    struct buf twice CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    assert_ok(buf_add(&twice, buf_span(&file)));
    size_t header = 8 + 4 + 3 * 8 + 4 + 8 + 4;
    assert_ok(buf_add(&twice, span_of(file.data + header, file.len - header)));
    assert_fails(parse(&twice), ERR_TOO_LONG);
}

static void put_list_of(struct buf *file, size_t bytes) {
    size_t mark;
    uint8_t *body;
    assert_ok(wire_put_u8(file, 255));
    assert_ok(wire_string_begin(file, &mark));
    assert_ok(wire_put_text(file, "padding"));
    assert_ok(wire_put_bool(file, false));
    assert_ok(wire_put_u32(file, (uint32_t)bytes));
    assert_ok(buf_extend(file, bytes, &body));
    memset(body, 0, bytes);
    wire_string_end(file, mark);
}

static void test_file_limit(void **state) {
    (void)state;
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES + 1);
    put_header(&file);
    put_list_of(&file, LIMIT_KRL_BYTES - file.len - 1 - 4 - 11 - 1 - 4);
    assert_int_equal(file.len, LIMIT_KRL_BYTES);
    assert_ok(parse(&file));
    assert_ok(buf_add_byte(&file, 0));
    assert_fails(parse(&file), ERR_TOO_LONG);
}

static void test_text_limits(void **state) {
    (void)state;
    struct krl *krl CLEANUP(krl_freep) = new_krl();
    char text[LIMIT_KEY_ID_CHARS + 2];
    memset(text, 'x', sizeof(text));
    text[LIMIT_KEY_ID_CHARS + 1] = '\0';
    assert_fails(krl_revoke_key_id(krl, NULL, text), ERR_TOO_LONG);
    text[LIMIT_KEY_ID_CHARS] = '\0';
    assert_ok(krl_revoke_key_id(krl, NULL, text));
    char comment[LIMIT_KRL_COMMENT_CHARS + 2];
    memset(comment, 'x', sizeof(comment));
    comment[LIMIT_KRL_COMMENT_CHARS + 1] = '\0';
    assert_fails(krl_set_comment(krl, comment), ERR_TOO_LONG);
    comment[LIMIT_KRL_COMMENT_CHARS] = '\0';
    assert_ok(krl_set_comment(krl, comment));
    struct krl *back CLEANUP(krl_freep) = round_trip(krl);
    assert_true(krl_has_key_id(back, NULL, text));

    struct buf body CLEANUP(buf_done) = BUF(4096);
    struct buf file CLEANUP(buf_done) = BUF(8192);
    text[LIMIT_KEY_ID_CHARS] = 'x';
    assert_ok(wire_put_text(&body, text));
    put_header(&file);
    put_cert_section(&file, 0x23, buf_span(&body));
    assert_fails(parse(&file), ERR_TOO_LONG);
}

static void test_authorities_limit(void **state) {
    (void)state;
    struct krl *krl CLEANUP(krl_freep) = new_krl();
    for (size_t i = 0; i <= LIMIT_KRL_CAS_COUNT; i++) {
        struct buf blob CLEANUP(buf_done) = BUF(64);
        struct key *key CLEANUP(key_freep) = NULL;
        assert_ok(wire_put_text(&blob, "ssh-future"));
        assert_ok(wire_put_u64(&blob, i * 0x9e3779b97f4a7c15));
        assert_ok(key_parse(buf_span(&blob), &key));
        enum err_code expected = i == LIMIT_KRL_CAS_COUNT ? ERR_TOO_LONG : ERR_NONE;
        assert_fails(krl_revoke_serials(krl, key, 1, 1), expected);
        assert_int_equal(krl_has_serial(krl, key, 1), i < LIMIT_KRL_CAS_COUNT);
    }
}

/* A failed write leaves the buffer alone. */
static void test_write_into_too_small_a_buffer(void **state) {
    (void)state;
    struct krl *krl CLEANUP(krl_freep) = full_krl();
    struct buf whole CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    assert_ok(krl_write(krl, &whole));
    for (size_t max = 1; max < whole.len; max++) {
        struct buf out CLEANUP(buf_done) = BUF(max);
        assert_ok(buf_add_byte(&out, 'x'));
        assert_fails(krl_write(krl, &out), ERR_TOO_LONG);
        assert_int_equal(out.len, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_refused),
        cmocka_unit_test(test_sections_refused),
        cmocka_unit_test(test_cert_sections_refused),
        cmocka_unit_test(test_unknown_ca_is_refused),
        cmocka_unit_test(test_api_refuses),
        cmocka_unit_test(test_huge_range_stays_a_range),
        cmocka_unit_test(test_prune_asks_up_to_its_limit),
        cmocka_unit_test(test_random_sets),
        cmocka_unit_test(test_layout_is_the_shortest),
        cmocka_unit_test(test_ssh_keygen_reads_ours),
        cmocka_unit_test(test_ours_reads_ssh_keygen),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_golden_contents),
        cmocka_unit_test(test_every_truncation_and_flip),
        cmocka_unit_test(test_entries_limit),
        cmocka_unit_test(test_bitmaps_meet_the_entries_limit),
        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_text_limits),
        cmocka_unit_test(test_authorities_limit),
        cmocka_unit_test(test_write_into_too_small_a_buffer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
