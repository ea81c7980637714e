/* ssh-keygen is the oracle: what it signs we read and show alike, what we sign it reads. */
#include "base/limits.h"
#include "base/text.h"
#include "fixture.h"
#include "ssh/cert.h"
#include "ssh/private_key.h"
#include "ssh/wire.h"

static const uint64_t now_s = 1800000000;

static const char *const key_kinds[] = {
    "ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa2048", "rsa3072", "rsa4096",
};

static int setup(void **state) {
    static const char *const options[] = {
        "-t ed25519",     "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521",
        "-t rsa -b 2048", "-t rsa -b 3072",  "-t rsa -b 4096",
    };
    if (fixture_setup(state) != 0) {
        return -1;
    }
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (fixture_run("ssh-keygen -q -N '' -C %s %s -f %s", key_kinds[i], options[i],
                        key_kinds[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static struct key *read_key(const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "%s.pub", name);
    struct buf line CLEANUP(buf_done) = BUF(65536);
    struct key *key = NULL;
    fixture_read(path, &line);
    assert_ok(key_parse_line(buf_span(&line), &key, NULL));
    return key;
}

static struct cert *read_cert(const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "%s-cert.pub", name);
    struct buf line CLEANUP(buf_done) = BUF(65536);
    struct buf printed CLEANUP(buf_done) = BUF(65536);
    struct cert *cert = NULL;
    span_t comment;
    fixture_read(path, &line);
    assert_ok(cert_parse_line(buf_span(&line), &cert, &comment));
    assert_true(span_equal_str(comment, name));
    assert_ok(cert_print_line(cert, name, &printed));
    assert_ok(buf_add_byte(&printed, '\n'));
    assert_true(span_equal(buf_span(&printed), buf_span(&line)));
    return cert;
}

/* All lines of `ssh-keygen -L` but the first, which names the file. */
static void assert_shown_alike(const struct cert *cert, const char *path) {
    struct buf told CLEANUP(buf_done) = BUF(65536);
    struct buf ours CLEANUP(buf_done) = BUF(65536);
    assert_int_equal(fixture_run("ssh-keygen -L -f %s > told", path), 0);
    fixture_read("told", &told);
    const uint8_t *second = memchr(told.data, '\n', told.len);
    assert_non_null(second);
    second++;
    assert_ok(cert_print_long(cert, &ours));
    span_t rest = span_of(second, told.len - (size_t)(second - told.data));
    if (!span_equal(rest, buf_span(&ours))) {
        print_error("ssh-keygen:\n%.*s\nours:\n%.*s\n", (int)rest.len, (const char *)rest.data,
                    (int)ours.len, (const char *)ours.data);
    }
    assert_true(span_equal(rest, buf_span(&ours)));
}

static struct cert_verdict judge(const struct cert *cert, const struct key *ca, enum cert_type type,
                                 const char *principal) {
    struct inet_address source;
    assert_ok(inet_address_parse(span_str("10.1.2.3"), &source));
    const struct cert_check check = {.type = type,
                                     .ca_keys = &ca,
                                     .ca_key_count = 1,
                                     .now = now_s,
                                     .principal = principal,
                                     .source = &source};
    struct cert_verdict verdict = cert_verify(cert, &check);
    /* Whatever is judged is plausible as well when nothing but its signature is wrong, and only
     * then; "allowed" is never said. */
    enum cert_refusal why = CERT_ALLOWED;
    bool plausible = cert_is_plausible(cert, &check, &why);
    bool content_fits = verdict.allowed || verdict.why == CERT_REFUSED_SIGNATURE;
    assert_int_equal(plausible, content_fits);
    assert_int_equal(why, plausible ? CERT_REFUSED_UNCHECKED : verdict.why);
    return verdict;
}

/* Signed by ssh-keygen: read, shown and judged. */
static const struct signing {
    const char *options;
    const char *principal;
    enum cert_type type;
    enum cert_refusal why;
} signings[] = {
    {"-n alice", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice,bob -z 18446744073709551615", "bob", CERT_USER, CERT_ALLOWED},
    {"-n alice,bob", "carol", CERT_USER, CERT_REFUSED_PRINCIPAL},
    {"-n alice", "alic", CERT_USER, CERT_REFUSED_PRINCIPAL},
    {"-n alice", "", CERT_USER, CERT_REFUSED_PRINCIPAL},
    {"-n 'a*'", "alice", CERT_USER, CERT_REFUSED_PRINCIPAL},
    {"-n 'a*'", "a*", CERT_USER, CERT_REFUSED_PRINCIPAL},
    {"-n '?lice'", "alice", CERT_USER, CERT_REFUSED_PRINCIPAL},
    {"-n '?lice'", "?lice", CERT_USER, CERT_REFUSED_PRINCIPAL},
    {"", "alice", CERT_USER, CERT_REFUSED_NO_PRINCIPALS},
    {"-n alice -V always:forever", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -V 20200101:forever", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -V always:20990101", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -V 20200101:20990101", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -V 20400101:20990101", "alice", CERT_USER, CERT_REFUSED_NOT_YET},
    {"-n alice -V always:20200101", "alice", CERT_USER, CERT_REFUSED_EXPIRED},
    {"-n alice -O clear", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -O force-command='echo \"a b\"'", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -O source-address=10.0.0.0/8", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -O source-address=192.0.2.1,2001:db8::/32,10.1.2.3", "alice", CERT_USER,
     CERT_ALLOWED},
    {"-n alice -O source-address=192.0.2.0/24", "alice", CERT_USER, CERT_REFUSED_SOURCE},
    {"-n alice -O verify-required", "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -O force-command=/bin/true -O source-address=10.1.2.3 -O verify-required "
     "-O no-touch-required",
     "alice", CERT_USER, CERT_ALLOWED},
    {"-n alice -O critical:zz@example.com=stop", "alice", CERT_USER, CERT_REFUSED_OPTION},
    {"-n alice -O critical:zz@example.com", "alice", CERT_USER, CERT_REFUSED_OPTION},
    {"-n alice -O extension:zz@example.com=more -O extension:zy@example.com", "alice", CERT_USER,
     CERT_ALLOWED},
    {"-n alice -O no-pty -O no-user-rc", "alice", CERT_USER, CERT_ALLOWED},
    {"-h -n node1,node1.example.com", "node1.example.com", CERT_HOST, CERT_ALLOWED},
    {"-h -n node1", "node2", CERT_HOST, CERT_REFUSED_PRINCIPAL},
    {"-h -n '*.example.com'", "node1.example.com", CERT_HOST, CERT_REFUSED_PRINCIPAL},
    {"-h -n node1", "node1", CERT_USER, CERT_REFUSED_TYPE},
    {"-n node1", "node1", CERT_HOST, CERT_REFUSED_TYPE},
};

static void test_reads_what_keygen_signs(void **state) {
    (void)state;
    struct key *ca CLEANUP(key_freep) = read_key("ecdsa256");
    struct key *stranger CLEANUP(key_freep) = read_key("ecdsa384");
    for (size_t i = 0; i < COUNT_OF(signings); i++) {
        const struct signing *signing = &signings[i];
        assert_int_equal(fixture_run("ssh-keygen -q -s ecdsa256 -I 'alice laptop' %s ed25519.pub",
                                     signing->options),
                         0);
        struct cert *cert CLEANUP(cert_freep) = read_cert("ed25519");
        assert_shown_alike(cert, "ed25519-cert.pub");
        struct cert_verdict verdict = judge(cert, ca, signing->type, signing->principal);
        if (verdict.why != signing->why) {
            print_error("%s: %s\n", signing->options, cert_refusal_text(verdict.why));
        }
        assert_int_equal(verdict.why, signing->why);
        assert_int_equal(verdict.allowed, signing->why == CERT_ALLOWED);
        assert_false(judge(cert, stranger, signing->type, signing->principal).allowed);

        struct cert *unsigned_cert CLEANUP(cert_freep) = NULL;
        assert_ok(cert_parse_tbs(cert_tbs(cert), &unsigned_cert));
        assert_true(span_equal(cert_tbs(unsigned_cert), cert_tbs(cert)));
        verdict = judge(unsigned_cert, ca, signing->type, signing->principal);
        assert_false(verdict.allowed);
        assert_int_equal(verdict.why,
                         signing->why == CERT_ALLOWED ? CERT_REFUSED_SIGNATURE : signing->why);
    }
}

static void test_verdict_tells_options(void **state) {
    (void)state;
    struct key *ca CLEANUP(key_freep) = read_key("ed25519");
    assert_int_equal(fixture_run("ssh-keygen -q -s ed25519 -I id -n alice -O verify-required "
                                 "-O force-command=/bin/true -O source-address=10.1.2.3 "
                                 "ecdsa256.pub"),
                     0);
    struct cert *cert CLEANUP(cert_freep) = read_cert("ecdsa256");
    struct cert_verdict verdict = judge(cert, ca, CERT_USER, "alice");
    assert_true(verdict.allowed);
    assert_true(verdict.verify_required);
    assert_string_equal(verdict.force_command, "/bin/true");
    /* Where the source is not known, the option refuses. */
    const struct key *trusted = ca;
    struct cert_check check = {.type = CERT_USER,
                               .ca_keys = &trusted,
                               .ca_key_count = 1,
                               .now = now_s,
                               .principal = "alice"};
    verdict = cert_verify(cert, &check);
    assert_int_equal(verdict.why, CERT_REFUSED_SOURCE);
    assert_null(verdict.force_command);
    check.ca_key_count = 0;
    assert_int_equal(cert_verify(cert, &check).why, CERT_REFUSED_CA);
    assert_false(((struct cert_verdict){0}).allowed);
}

static void test_every_key_and_ca_type(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(key_kinds); i++) {
        struct key *ca CLEANUP(key_freep) = read_key(key_kinds[i]);
        for (size_t j = 0; j < COUNT_OF(key_kinds); j++) {
            assert_int_equal(fixture_run("ssh-keygen -q -s %s -I id -n alice -z 7 %s.pub",
                                         key_kinds[i], key_kinds[j]),
                             0);
            char path[64];
            (void)snprintf(path, sizeof path, "%s-cert.pub", key_kinds[j]);
            struct cert *cert CLEANUP(cert_freep) = read_cert(key_kinds[j]);
            struct key *subject CLEANUP(key_freep) = read_key(key_kinds[j]);
            assert_true(key_equal(cert->key, subject));
            assert_true(key_equal(cert->ca_key, ca));
            assert_shown_alike(cert, path);
            assert_true(judge(cert, ca, CERT_USER, "alice").allowed);
            struct key *none = NULL;
            assert_fails(key_parse(buf_span(&cert->blob), &none), ERR_KEY_IS_CERT);
        }
    }
}

static void test_sha1_is_no_signature(void **state) {
    (void)state;
    struct key *ca CLEANUP(key_freep) = read_key("rsa2048");
    static const struct {
        const char *algorithm;
        bool allowed;
    } cases[] = {{"rsa-sha2-256", true}, {"rsa-sha2-512", true}, {"ssh-rsa", false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(fixture_run("ssh-keygen -q -t %s -s rsa2048 -I id -n alice ed25519.pub",
                                     cases[i].algorithm),
                         0);
        struct cert *cert CLEANUP(cert_freep) = read_cert("ed25519");
        assert_shown_alike(cert, "ed25519-cert.pub");
        assert_int_equal(judge(cert, ca, CERT_USER, "alice").allowed, cases[i].allowed);
    }
}

static void test_every_flip_and_truncation(void **state) {
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        if (i == 2 || i == 3) {
            continue; /* slow curves, no other code */
        }
        struct key *ca CLEANUP(key_freep) = read_key(key_kinds[i]);
        assert_int_equal(
            fixture_run("ssh-keygen -q -s %s -I id -n alice -O source-address=10.1.2.3 "
                        "-O force-command=/bin/true %s.pub",
                        key_kinds[i], key_kinds[i]),
            0);
        struct cert *cert CLEANUP(cert_freep) = read_cert(key_kinds[i]);
        assert_true(judge(cert, ca, CERT_USER, "alice").allowed);
        span_t blob = buf_span(&cert->blob);
        for (size_t len = 0; len < blob.len; len++) {
            struct cert *none = NULL;
            assert_true(failed(cert_parse(span_of(blob.data, len), &none)));
        }
        uint8_t copy[LIMIT_CERT_BLOB_BYTES];
        memcpy(copy, blob.data, blob.len);
        for (size_t at = 0; at < blob.len; at++) {
            static const uint8_t masks[] = {0x01, 0x80, 0xff};
            for (size_t m = 0; m < COUNT_OF(masks); m++) {
                copy[at] ^= masks[m];
                struct cert *forged CLEANUP(cert_freep) = NULL;
                if (!failed(cert_parse(span_of(copy, blob.len), &forged))) {
                    assert_false(judge(forged, ca, CERT_USER, "alice").allowed);
                }
                copy[at] ^= masks[m];
            }
        }
    }
}

static void test_principal_check(void **state) {
    (void)state;
    static const struct {
        const char *principal;
        bool allowed;
    } cases[] = {
        {"", false},
        {"*", false},
        {"a?", false},
        {"a,b", false},
        {",", false},
        {" a", false},
        {"a ", false},
        {"a\n", false},
        {"a\x7f", false},
        {"\xff", false},
        {"a\tb", false},
        {"\xc2\xa0x", false},
        {"x\xc2\xa0", false},
        {"a", true},
        {"a b", true},
        {"J\xc3\xbcrg", true},
        {"alice@example.com", true},
        {"!a", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        err_t err = cert_principal_check(span_str(cases[i].principal));
        if (failed(err) == cases[i].allowed) {
            print_error("principal '%s': %s\n", cases[i].principal, err_name(err));
        }
        assert_int_equal(!failed(err), cases[i].allowed);
    }
    assert_fails(cert_principal_check(SPAN_LITERAL("a\0b")), ERR_PRINCIPAL);
    char longest[LIMIT_PRINCIPAL_CHARS + 1];
    memset(longest, 'p', sizeof longest);
    assert_ok(cert_principal_check(span_of(longest, LIMIT_PRINCIPAL_CHARS)));
    assert_fails(cert_principal_check(span_of(longest, LIMIT_PRINCIPAL_CHARS + 1)), ERR_PRINCIPAL);
}

static void test_setters_refuse(void **state) {
    (void)state;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct key *ca CLEANUP(key_freep) = read_key("ed25519");
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(ca, &cert->key));
    cert->type = CERT_USER;
    cert->serial = 1;
    cert->valid_before = CERT_FOREVER;
    assert_fails(cert_prepare(cert, ca), ERR_PRINCIPAL);
    assert_fails(cert_add_principal(cert, "a,b"), ERR_PRINCIPAL);
    for (unsigned i = 0; i < LIMIT_PRINCIPALS_COUNT; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "p%u", i);
        assert_ok(cert_add_principal(cert, name));
        assert_fails(cert_add_principal(cert, name), ERR_DUPLICATE);
    }
    assert_fails(cert_add_principal(cert, "one-more"), ERR_TOO_LONG);
    assert_ok(cert_add_extension(cert, "permit-pty", NULL));
    assert_fails(cert_add_extension(cert, "permit-pty", NULL), ERR_DUPLICATE);
    assert_fails(cert_add_extension(cert, "", NULL), ERR_MALFORMED);
    assert_fails(cert_add_extension(cert, "a\n", NULL), ERR_MALFORMED);
    assert_ok(cert_add_extension(cert, "permit-X11-forwarding", NULL));
    assert_string_equal(cert->extensions[0].name, "permit-X11-forwarding");
    for (unsigned i = 2; i < LIMIT_CERT_OPTIONS_COUNT; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "x%u", i);
        assert_ok(cert_add_extension(cert, name, "v"));
    }
    assert_fails(cert_add_extension(cert, "y", NULL), ERR_TOO_LONG);
    for (size_t i = 1; i < cert->extension_count; i++) {
        assert_true(strcmp(cert->extensions[i - 1].name, cert->extensions[i].name) < 0);
    }
    char text[LIMIT_FORCE_COMMAND_CHARS + 2];
    memset(text, 'c', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_fails(cert_add_critical_option(cert, "force-command", text), ERR_TOO_LONG);
    assert_fails(cert_set_key_id(cert, text), ERR_TOO_LONG);
    text[LIMIT_FORCE_COMMAND_CHARS] = '\0';
    assert_ok(cert_add_critical_option(cert, "force-command", text));
    text[LIMIT_KEY_ID_CHARS] = '\0';
    assert_ok(cert_set_key_id(cert, text));
    text[LIMIT_OPTION_NAME_CHARS + 1] = '\0';
    assert_fails(cert_add_critical_option(cert, text, NULL), ERR_TOO_LONG);
    text[LIMIT_OPTION_NAME_CHARS] = '\0';
    assert_ok(cert_add_critical_option(cert, text, NULL));

    assert_ok(cert_prepare(cert, ca));
    assert_fails(cert_attach_signature(cert, SPAN_LITERAL("nothing")), ERR_SIGNATURE);
    assert_int_equal(cert->blob.len, cert->tbs_len);
    cert->serial = 0;
    assert_fails(cert_prepare(cert, ca), ERR_RANGE);
    cert->serial = 1;
    cert->valid_after = cert->valid_before;
    assert_fails(cert_prepare(cert, ca), ERR_RANGE);
}

/* A certificate written by hand: what ssh-keygen would never write. */
struct parts {
    const char *name;
    size_t nonce_len;
    uint32_t type;
    const char *principals[2];
    uint64_t after, before;
    const char *options[2];
    span_t data; /* of each option */
    bool chain;  /* the CA key is a certificate */
};

static void write_by_hand(const struct parts *parts, const struct key *key, struct buf *out) {
    static const uint8_t nonce[64] = {1};
    size_t mark;
    span_t fields = key_blob(key);
    span_t name;
    assert_ok(wire_get_string(&fields, &name));
    assert_ok(wire_put_text(out, parts->name));
    assert_ok(wire_put_string(out, span_of(nonce, parts->nonce_len)));
    assert_ok(buf_add(out, fields));
    assert_ok(wire_put_u64(out, 1));
    assert_ok(wire_put_u32(out, parts->type));
    assert_ok(wire_put_text(out, "id"));
    assert_ok(wire_string_begin(out, &mark));
    for (size_t i = 0; i < 2 && parts->principals[i] != NULL; i++) {
        assert_ok(wire_put_text(out, parts->principals[i]));
    }
    wire_string_end(out, mark);
    assert_ok(wire_put_u64(out, parts->after));
    assert_ok(wire_put_u64(out, parts->before));
    assert_ok(wire_string_begin(out, &mark));
    for (size_t i = 0; i < 2 && parts->options[i] != NULL; i++) {
        assert_ok(wire_put_text(out, parts->options[i]));
        assert_ok(wire_put_string(out, parts->data));
    }
    wire_string_end(out, mark);
    assert_ok(wire_put_text(out, ""));
    assert_ok(wire_put_text(out, ""));
    if (parts->chain) {
        struct buf inner CLEANUP(buf_done) = BUF(65536);
        struct parts plain = *parts;
        plain.chain = false;
        write_by_hand(&plain, key, &inner);
        assert_ok(wire_put_string(out, buf_span(&inner)));
    } else {
        assert_ok(wire_put_string(out, key_blob(key)));
    }
    assert_ok(wire_put_text(out, "no signature"));
}

static void test_parse_refuses(void **state) {
    (void)state;
#define NAME  "ssh-ed25519-cert-v01@openssh.com"
#define PLAIN .name = NAME, .nonce_len = 32, .type = 1, .before = 10
    static const struct {
        struct parts parts;
        enum err_code code;
    } cases[] = {
        {{PLAIN, .principals = {"a", "b"}}, ERR_NONE},
        {{PLAIN, .principals = {"a", "a"}}, ERR_DUPLICATE},
        {{PLAIN, .principals = {"a", ""}}, ERR_PRINCIPAL},
        {{PLAIN, .principals = {"a,root"}}, ERR_PRINCIPAL},
        {{PLAIN, .principals = {"a\n"}}, ERR_PRINCIPAL},
        {{PLAIN, .principals = {"*"}}, ERR_NONE},
        {{PLAIN, .after = 10}, ERR_NONE},
        {{PLAIN, .after = 11}, ERR_RANGE},
        {{PLAIN, .options = {"a", "b"}}, ERR_NONE},
        {{PLAIN, .options = {"b", "a"}}, ERR_ORDER},
        {{PLAIN, .options = {"a", "a"}}, ERR_DUPLICATE},
        {{PLAIN, .options = {""}}, ERR_MALFORMED},
        {{PLAIN, .options = {"a\n"}}, ERR_MALFORMED},
        {{PLAIN, .options = {"a"}, .data = SPAN_LITERAL("\0\0\0\1v")}, ERR_NONE},
        {{PLAIN, .options = {"a"}, .data = SPAN_LITERAL("\0\0\0\1vw")}, ERR_TRAILING},
        {{PLAIN, .options = {"a"}, .data = SPAN_LITERAL("v")}, ERR_TRUNCATED},
        {{PLAIN, .options = {"a"}, .data = SPAN_LITERAL("\0\0\0\1\0")}, ERR_MALFORMED},
        {{PLAIN, .chain = true}, ERR_KEY_IS_CERT},
        {{.name = NAME, .nonce_len = 16, .type = 1, .before = 10}, ERR_MALFORMED},
        {{.name = NAME, .nonce_len = 32, .type = 0, .before = 10}, ERR_RANGE},
        {{.name = NAME, .nonce_len = 32, .type = 3, .before = 10}, ERR_RANGE},
        {{.name = "ssh-ed25519", .nonce_len = 32, .type = 1, .before = 10}, ERR_KEY_NOT_CERT},
        {{.name = "ssh-dss-cert-v01@openssh.com", .nonce_len = 32, .type = 1}, ERR_KEY_DSA},
        {{.name = "ssh-new-cert-v01@openssh.com", .nonce_len = 32, .type = 1}, ERR_KEY_TYPE},
    };
#undef PLAIN
#undef NAME
    struct key *key CLEANUP(key_freep) = read_key("ed25519");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf blob CLEANUP(buf_done) = BUF(65536);
        struct cert *cert CLEANUP(cert_freep) = NULL;
        write_by_hand(&cases[i].parts, key, &blob);
        err_t err = cert_parse(buf_span(&blob), &cert);
        if (err.code != cases[i].code) {
            print_error("case %zu: %s\n", i, err_name(err));
        }
        assert_int_equal(err.code, cases[i].code);
        struct cert *none = NULL;
        assert_ok(buf_add_byte(&blob, 0));
        assert_true(failed(cert_parse(buf_span(&blob), &none)));
    }
}

static void test_lines_and_blobs(void **state) {
    (void)state;
    struct cert *none = NULL;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS * 2);
    fixture_read("ed25519.pub", &line);
    assert_fails(cert_parse_line(buf_span(&line), &none, NULL), ERR_KEY_NOT_CERT);
    assert_false(cert_is_blob(buf_span(&line)));
    buf_clear(&line);
    fixture_read("ed25519", &line);
    assert_fails(cert_parse_line(buf_span(&line), &none, NULL), ERR_KEY_PRIVATE);
    assert_int_equal(fixture_run("ssh-keygen -q -s ed25519 -I id -n alice ed25519.pub"), 0);
    struct cert *cert CLEANUP(cert_freep) = read_cert("ed25519");
    struct key *no_key = NULL;
    buf_clear(&line);
    fixture_read("ed25519-cert.pub", &line);
    assert_fails(key_parse_line(buf_span(&line), &no_key, NULL), ERR_KEY_IS_CERT);
    assert_true(cert_is_blob(buf_span(&line)));
    assert_true(cert_is_blob(buf_span(&cert->blob)));
    assert_false(cert_is_blob(key_blob(cert->key)));
    assert_false(cert_is_blob(span_of(NULL, 0)));
    uint8_t *pad;
    size_t len = line.len;
    assert_ok(buf_extend(&line, LIMIT_CERT_LINE_CHARS - len, &pad));
    memset(pad, ' ', LIMIT_CERT_LINE_CHARS - len);
    cert_free(TAKE(cert));
    assert_ok(cert_parse_line(buf_span(&line), &cert, NULL));
    assert_ok(buf_add_byte(&line, ' '));
    assert_fails(cert_parse_line(buf_span(&line), &none, NULL), ERR_TOO_LONG);
    buf_clear(&line);
    assert_ok(buf_extend(&line, LIMIT_CERT_BLOB_BYTES + 1, &pad));
    memset(pad, 0, LIMIT_CERT_BLOB_BYTES + 1);
    assert_fails(cert_parse(buf_span(&line), &none), ERR_TOO_LONG);
}

static struct private_key *read_private_key(const char *path) {
    struct buf file CLEANUP(buf_done) = BUF(65536);
    struct private_key *key = NULL;
    fixture_read(path, &file);
    assert_ok(private_key_load(buf_span(&file), NULL, &key, NULL));
    return key;
}

static struct cert *fill_in(const char *subject, size_t variant) {
    struct cert *cert = NULL;
    assert_ok(cert_new(&cert));
    cert->key = read_key(subject);
    cert->serial = UINT64_MAX - variant;
    cert->type = variant == 3 ? CERT_HOST : CERT_USER;
    cert->valid_before = variant % 2 == 0 ? CERT_FOREVER : now_s + 600;
    cert->valid_after = variant < 2 ? 0 : now_s - 300;
    assert_ok(cert_set_key_id(cert, "alice's laptop"));
    assert_ok(cert_add_principal(cert, "alice"));
    assert_ok(cert_add_principal(cert, "J\xc3\xbcrg"));
    if (variant == 1 || variant == 2) {
        assert_ok(cert_add_critical_option(cert, "verify-required", NULL));
        assert_ok(cert_add_critical_option(cert, "source-address", "10.0.0.0/8,2001:db8::/32"));
        assert_ok(cert_add_critical_option(cert, "force-command", "echo \"a  b\""));
        assert_ok(cert_add_extension(cert, "permit-pty", NULL));
        assert_ok(cert_add_extension(cert, "permit-X11-forwarding", NULL));
        assert_ok(cert_add_extension(cert, "permit-agent-forwarding", NULL));
        assert_ok(cert_add_extension(cert, "login@example.com", "carol"));
    }
    return cert;
}

/* ssh-keygen verifies the CA's signature before it shows a certificate. */
static void test_keygen_reads_what_we_sign(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(key_kinds); i++) {
        struct private_key *ca CLEANUP(private_key_freep) = read_private_key(key_kinds[i]);
        for (size_t j = 0; j < COUNT_OF(key_kinds); j++) {
            struct cert *cert CLEANUP(cert_freep) = fill_in(key_kinds[j], (i + j) % 4);
            struct buf signature CLEANUP(buf_done) = BUF(4096);
            struct buf line CLEANUP(buf_done) = BUF(65536);
            assert_ok(cert_prepare(cert, private_key_public(ca)));
            assert_ok(private_key_sign(ca, cert_tbs(cert), RSA_SHA512, &signature));
            signature.data[signature.len - 1] ^= 1;
            assert_fails(cert_attach_signature(cert, buf_span(&signature)), ERR_SIGNATURE);
            signature.data[signature.len - 1] ^= 1;
            assert_ok(cert_attach_signature(cert, buf_span(&signature)));
            assert_fails(cert_attach_signature(cert, buf_span(&signature)), ERR_EXISTS);
            assert_ok(cert_print_line(cert, "ours", &line));
            fixture_write("ours-cert.pub", buf_span(&line));
            assert_shown_alike(cert, "ours-cert.pub");
            assert_int_equal(fixture_run("ssh-keygen -lf ours-cert.pub > /dev/null"), 0);
            assert_true(judge(cert, private_key_public(ca), cert->type, "alice").allowed);

            struct cert *again CLEANUP(cert_freep) = NULL;
            assert_ok(cert_parse(buf_span(&cert->blob), &again));
            assert_int_equal(again->tbs_len, cert->tbs_len);
            struct buf shown[2] = {BUF(65536), BUF(65536)};
            assert_ok(cert_print_long(cert, &shown[0]));
            assert_ok(cert_print_long(again, &shown[1]));
            assert_true(span_equal(buf_span(&shown[0]), buf_span(&shown[1])));
            buf_done(&shown[0]);
            buf_done(&shown[1]);
        }
    }
}

/* What a terminal would obey: ESC, and CSI in its one-character form (U+009B). */
static void test_shows_no_control_characters(void **state) {
    (void)state;
    struct buf shown CLEANUP(buf_done) = BUF(65536);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    assert_ok(cert_new(&cert));
    cert->key = read_key("ed25519");
    cert->type = CERT_USER;
    assert_ok(key_copy(cert->key, &cert->ca_key));
    assert_ok(cert_set_key_id(cert, "a\x1b[2Jb\xc2\x9b"
                                    "2Jc\xc3\xa9"));
    assert_ok(cert_print_long(cert, &shown));
    static const char expected[] = "Key ID: \"a\\033[2Jb\\302\\2332Jc\xc3\xa9\"\n";
    assert_non_null(memmem(shown.data, shown.len, expected, sizeof expected - 1));
}

static void check_golden(span_t blob, const struct key *ca, enum cert_type type,
                         const char *principal) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(65536);
    assert_ok(cert_parse(blob, &cert));
    assert_true(judge(cert, ca, type, principal).allowed);
    assert_ok(cert_print_line(cert, NULL, &line));
    fixture_write("golden-cert.pub", buf_span(&line));
    assert_shown_alike(cert, "golden-cert.pub");
    uint8_t copy[LIMIT_CERT_BLOB_BYTES];
    memcpy(copy, blob.data, blob.len);
    for (size_t at = 0; at < blob.len; at++) {
        struct cert *none = NULL;
        struct cert *forged CLEANUP(cert_freep) = NULL;
        assert_true(failed(cert_parse(span_of(copy, at), &none)));
        copy[at] ^= 1;
        if (!failed(cert_parse(span_of(copy, blob.len), &forged))) {
            assert_false(judge(forged, ca, type, principal).allowed);
        }
        copy[at] ^= 1;
    }
}

/* The end alone, without the rest of the blob being right. */
static void check_end(span_t blob) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    uint64_t end = 7;
    span_t principals = {NULL, 0}, principal;
    bool whole = false;
    assert_ok(cert_parse(blob, &cert));
    for (size_t len = 0; len <= blob.len; len++) {
        bool got = !failed(cert_end(span_of(blob.data, len), &principals, &end));
        assert_true(got || !whole);
        assert_true(end == (got ? cert->valid_before : 7));
        whole = got;
    }
    assert_true(whole);
    for (size_t i = 0; i < cert->principal_count; i++) {
        assert_ok(wire_get_string(&principals, &principal));
        assert_true(span_equal_str(principal, cert->principals[i]));
    }
    assert_int_equal(principals.len, 0);
    assert_fails(cert_end(key_blob(cert->key), NULL, &end), ERR_KEY_TYPE);
}

static void test_golden_certificates(void **state) {
    (void)state;
    struct buf file CLEANUP(buf_done) = BUF(1024 * 1024);
    fixture_read_vectors("certificates.txt", &file);
    span_t rest = buf_span(&file);
    span_t line;
    size_t count = 0;
    for (; fixture_line(&rest, &line); count++) {
        span_t word[4];
        struct buf blob CLEANUP(buf_done) = BUF(65536);
        struct buf ca_blob CLEANUP(buf_done) = BUF(65536);
        struct key *ca CLEANUP(key_freep) = NULL;
        char *principal CLEANUP(freep) = NULL;
        for (size_t i = 0; i < COUNT_OF(word); i++) {
            assert_true(fixture_word(&line, &word[i]));
        }
        assert_ok(hex_decode(word[0], &blob));
        assert_ok(hex_decode(word[1], &ca_blob));
        assert_ok(key_parse(buf_span(&ca_blob), &ca));
        assert_ok(span_to_str(word[2], &principal));
        check_end(buf_span(&blob));
        check_golden(buf_span(&blob), ca, span_equal_str(word[3], "host") ? CERT_HOST : CERT_USER,
                     principal);
    }
    assert_int_equal(count, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_principal_check),
        cmocka_unit_test(test_setters_refuse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_lines_and_blobs),
        cmocka_unit_test(test_reads_what_keygen_signs),
        cmocka_unit_test(test_verdict_tells_options),
        cmocka_unit_test(test_every_key_and_ca_type),
        cmocka_unit_test(test_sha1_is_no_signature),
        cmocka_unit_test(test_every_flip_and_truncation),
        cmocka_unit_test(test_keygen_reads_what_we_sign),
        cmocka_unit_test(test_golden_certificates),
        cmocka_unit_test(test_shows_no_control_characters),
    };
    return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
