#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "gate/host_cert.h"
#include "gate/keys.h"
#include "ssh/agent.h"
#include "ssh/wire.h"

static char folder[] = "/tmp/test_gate_keys.XXXXXX";
static struct host_keys keys; /* Ed25519, ECDSA, RSA */
static struct private_key *stranger;

static char *path_of(const char *name) {
    char *path = NULL;
    assert_ok(path_join(folder, name, &path));
    return path;
}

static void write_key(const char *name, const struct private_key *key, const char *passphrase) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    char *path CLEANUP(freep) = path_of(name);
    secret_t secret = {NULL, 0};
    if (passphrase != NULL) {
        assert_ok(secret_copy(span_str(passphrase), 64, &secret));
    }
    assert_ok(private_key_write(key, name, passphrase != NULL ? &secret : NULL, 1, &text));
    secret_done(&secret);
    assert_ok(file_replace(path, buf_span(&text), 0600, 0));
}

static int set_up(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    assert_ok(private_key_generate(KEY_ED25519, 256, &keys.keys[0]));
    assert_ok(private_key_generate(KEY_ECDSA_256, 256, &keys.keys[1]));
    assert_ok(private_key_generate(KEY_RSA, 2048, &keys.keys[2]));
    keys.count = 3;
    assert_ok(private_key_generate(KEY_ED25519, 256, &stranger));
    write_key("a", keys.keys[0], NULL);
    write_key("b", keys.keys[1], NULL);
    write_key("locked", keys.keys[0], "secret");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"a", "b", "locked", "a-cert.pub", "junk"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *path CLEANUP(freep) = path_of(names[i]);
        (void)unlink(path);
    }
    host_keys_done(&keys);
    private_key_free(stranger);
    return rmdir(folder);
}

/* Asks; gives the answer's type, and checks the signature there is. */
static uint8_t ask_with(const struct private_key *with, span_t data, uint32_t flags) {
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    struct buf answers CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    const struct key *key = private_key_public(with);
    span_t message, signature;
    assert_ok(agent_put_sign_request(&request, key_blob(key), data, flags));
    span_t stream = buf_span(&request);
    assert_ok(agent_get_frame(&stream, &message));
    assert_ok(keys_answer(&keys, message, &answers));
    stream = buf_span(&answers);
    assert_ok(agent_get_frame(&stream, &message));
    assert_int_equal(stream.len, 0);
    uint8_t type = message.data[0];
    if (type == AGENT_SIGN_RESPONSE) {
        assert_ok(agent_get_sign_response(message, &signature));
        assert_ok(key_verify(key, data, signature, NULL));
    }
    return type;
}

static uint8_t ask(span_t data) { return ask_with(keys.keys[0], data, 0); }

struct prove {
    const char *name;
    size_t session_id;
    const struct key *key;
    size_t trailing;
};

static void put_prove(const struct prove *prove, struct buf *out) {
    static const uint8_t zero[128];
    assert_ok(wire_put_text(out, prove->name));
    assert_ok(wire_put_string(out, span_of(zero, prove->session_id)));
    assert_ok(wire_put_string(out, key_blob(prove->key)));
    assert_ok(buf_add(out, span_of(zero, prove->trailing)));
}

/* ---- refused ------------------------------------------------------------------------------- */

static void refuses_lengths(void **state) {
    (void)state;
    static const uint8_t zero[4096];
    for (size_t len = 0; len < sizeof zero; len += len < 200 ? 1 : 499) {
        bool hash = len == 32 || len == 48 || len == 64;
        if (ask(span_of(zero, len)) != (hash ? AGENT_SIGN_RESPONSE : AGENT_FAILURE)) {
            fail_msg("%zu bytes were judged otherwise", len);
        }
    }
}

static void refuses_other_proofs(void **state) {
    (void)state;
    const struct key *own = private_key_public(keys.keys[0]);
    const struct prove bad[] = {
        {"hostkeys-prove-01@openssh.com", 32, own, 0},
        {"", 32, own, 0},
        {"hostkeys-prove-00@openssh.com", 0, own, 0},
        {"hostkeys-prove-00@openssh.com", 31, own, 0},
        {"hostkeys-prove-00@openssh.com", 65, own, 0},
        {"hostkeys-prove-00@openssh.com", 32, private_key_public(keys.keys[1]), 0},
        {"hostkeys-prove-00@openssh.com", 32, private_key_public(stranger), 0},
        {"hostkeys-prove-00@openssh.com", 32, own, 1},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf data CLEANUP(buf_done) = BUF(8192);
        put_prove(&bad[i], &data);
        if (ask(buf_span(&data)) != AGENT_FAILURE) {
            fail_msg("proof %zu was signed", i);
        }
    }
}

static void refuses_cut_proofs(void **state) {
    (void)state;
    struct buf data CLEANUP(buf_done) = BUF(8192);
    put_prove(
        &(struct prove){"hostkeys-prove-00@openssh.com", 32, private_key_public(keys.keys[0]), 0},
        &data);
    for (size_t len = 0; len < data.len; len++) {
        bool hash = len == 32 || len == 48 || len == 64;
        assert_int_equal(ask(span_of(data.data, len)), hash ? AGENT_SIGN_RESPONSE : AGENT_FAILURE);
    }
}

/* What a host key would be abused for. */
static void refuses_what_clients_and_cas_sign(void **state) {
    (void)state;
    struct buf login CLEANUP(buf_done) = BUF(8192);
    static const uint8_t session_id[32];
    assert_ok(wire_put_string(&login, span_of(session_id, sizeof session_id)));
    assert_ok(wire_put_u8(&login, 50));
    assert_ok(wire_put_text(&login, "root"));
    assert_ok(wire_put_text(&login, "ssh-connection"));
    assert_ok(wire_put_text(&login, "hostbased"));
    assert_int_equal(ask(buf_span(&login)), AGENT_FAILURE);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(private_key_public(stranger), &cert->key));
    cert->type = CERT_HOST;
    cert->serial = 1;
    cert->valid_before = 100;
    assert_ok(cert_set_key_id(cert, "x"));
    assert_ok(cert_add_principal(cert, "x"));
    assert_ok(cert_prepare(cert, private_key_public(keys.keys[0])));
    assert_int_equal(ask(cert_tbs(cert)), AGENT_FAILURE);
    assert_int_equal(ask(SPAN_LITERAL("SSHSIG\0\0\0\4file")), AGENT_FAILURE);
}

static void refuses_keys_and_flags(void **state) {
    (void)state;
    static const uint8_t hash[32];
    span_t data = span_of(hash, sizeof hash);
    assert_int_equal(ask_with(stranger, data, 0), AGENT_FAILURE);
    assert_int_equal(ask_with(keys.keys[2], data, 1), AGENT_FAILURE);
    assert_int_equal(ask_with(keys.keys[2], data, AGENT_RSA_SHA2_256 | AGENT_RSA_SHA2_512),
                     AGENT_FAILURE);
    assert_int_equal(ask_with(keys.keys[2], data, 1U << 31), AGENT_FAILURE);
}

static void refuses_other_messages(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } other[] = {
        {"", 0},         {"\x0b", 1},         {"\x0d", 1},
        {"\x13", 1},     {"\x06", 1},         {"\xff", 1},
        {"\x0d\0\0", 3}, {"\x1b\0\0\0\0", 5}, {"\x0d\xff\xff\xff\xff", 5},
    };
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        struct buf answers CLEANUP(buf_done) = BUF(1024);
        assert_ok(keys_answer(&keys, span_of(other[i].bytes, other[i].len), &answers));
        assert_int_equal(answers.len, 5);
        assert_int_equal(answers.data[4], AGENT_FAILURE);
    }
}

/* ---- signed -------------------------------------------------------------------------------- */

static void signs(void **state) {
    (void)state;
    static const uint8_t hash[64] = {1, 2, 3};
    for (size_t i = 0; i < keys.count; i++) {
        for (size_t len = 32; len <= 64; len += 16) {
            assert_int_equal(ask_with(keys.keys[i], span_of(hash, len), 0), AGENT_SIGN_RESPONSE);
        }
        struct buf data CLEANUP(buf_done) = BUF(8192);
        put_prove(&(struct prove){"hostkeys-prove-00@openssh.com", 32,
                                  private_key_public(keys.keys[i]), 0},
                  &data);
        assert_int_equal(ask_with(keys.keys[i], buf_span(&data), 0), AGENT_SIGN_RESPONSE);
    }
}

static void rsa_is_sha2_as_asked(void **state) {
    (void)state;
    static const struct {
        uint32_t flags;
        const char *algorithm;
    } cases[] = {{0, "rsa-sha2-512"},
                 {AGENT_RSA_SHA2_256, "rsa-sha2-256"},
                 {AGENT_RSA_SHA2_512, "rsa-sha2-512"}};
    static const uint8_t hash[32];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf request CLEANUP(buf_done) = BUF(8192);
        struct buf answers CLEANUP(buf_done) = BUF(8192);
        span_t signature, algorithm;
        assert_ok(agent_put_sign_request(&request, key_blob(private_key_public(keys.keys[2])),
                                         span_of(hash, sizeof hash), cases[i].flags));
        assert_ok(keys_answer(&keys, span_of(request.data + 4, request.len - 4), &answers));
        assert_ok(agent_get_sign_response(span_of(answers.data + 4, answers.len - 4), &signature));
        assert_ok(wire_get_string(&signature, &algorithm));
        assert_true(span_equal_str(algorithm, cases[i].algorithm));
    }
}

/* ---- files --------------------------------------------------------------------------------- */

static void refuses_files(void **state) {
    (void)state;
    char *a CLEANUP(freep) = path_of("a"), *locked CLEANUP(freep) = path_of("locked");
    char *junk CLEANUP(freep) = path_of("junk");
    const char *const twice[] = {a, a};
    const char *const none[] = {"/nonexistent/key"};
    struct host_keys loaded = {.count = 0};
    struct fault fault = {.reason = ""};
    assert_fails(host_keys_load(none, 1, &loaded, &fault), ERR_NOT_FOUND);
    assert_string_equal(fault.field, none[0]);
    assert_fails(host_keys_load((const char *const *)&locked, 1, &loaded, &fault), ERR_ENCRYPTED);
    assert_fails(host_keys_load(twice, 2, &loaded, &fault), ERR_DUPLICATE);
    assert_ok(file_replace(junk, SPAN_LITERAL("no key"), 0600, 0));
    assert_fails(host_keys_load((const char *const *)&junk, 1, &loaded, &fault), ERR_MALFORMED);
    for (mode_t mode = 0604; mode != 0; mode = mode == 0604 ? 0640 : 0) {
        assert_int_equal(chmod(a, mode), 0);
        assert_fails(host_keys_load(twice, 1, &loaded, &fault), ERR_PERMISSION);
        assert_non_null(strstr(fault.reason, "chmod 600"));
    }
    assert_int_equal(chmod(a, 0600), 0);
    assert_int_equal(loaded.count, 0);
}

static void loads_and_reports(void **state) {
    (void)state;
    char *a CLEANUP(freep) = path_of("a"), *b CLEANUP(freep) = path_of("b");
    const char *const paths[] = {a, b};
    struct host_keys loaded CLEANUP(host_keys_done) = {.count = 0};
    struct buf report CLEANUP(buf_done) = BUF(KEYS_REPORT_BYTES);
    struct key *told[GATE_HOST_KEYS_MAX];
    struct fault fault = {.reason = ""};
    size_t count = 0;
    assert_ok(host_keys_load(paths, 2, &loaded, &fault));
    assert_ok(keys_put_report(&loaded, &report));
    for (size_t len = 0; len < report.len; len++) {
        assert_fails(keys_get_report(span_of(report.data, len), told, &count), ERR_TRUNCATED);
    }
    assert_ok(keys_get_report(buf_span(&report), told, &count));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(key_equal(told[i], private_key_public(keys.keys[i])));
        key_free(told[i]);
    }
}

static void bounds_the_report(void **state) {
    (void)state;
    struct key *told[GATE_HOST_KEYS_MAX];
    size_t count = 0;
    for (unsigned n = 0; n <= GATE_HOST_KEYS_MAX + 1; n++) {
        struct buf report CLEANUP(buf_done) = BUF(2 * KEYS_REPORT_BYTES);
        assert_ok(wire_put_u32(&report, n));
        for (unsigned i = 0; i < n; i++) {
            assert_ok(wire_put_string(&report, key_blob(private_key_public(keys.keys[0]))));
        }
        err_t err = keys_get_report(buf_span(&report), told, &count);
        bool good = n > 0 && n <= GATE_HOST_KEYS_MAX;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_RANGE);
        for (unsigned i = 0; good && i < n; i++) {
            key_free(told[i]);
        }
    }
    struct buf report CLEANUP(buf_done) = BUF(KEYS_REPORT_BYTES);
    assert_ok(keys_put_report(&keys, &report));
    assert_ok(buf_add_byte(&report, 0));
    assert_fails(keys_get_report(buf_span(&report), told, &count), ERR_TRAILING);
}

/* ---- certificates -------------------------------------------------------------------------- */

static struct cert *make_cert(enum cert_type type, const struct private_key *of, uint64_t from,
                              uint64_t to) {
    struct cert *cert = NULL;
    struct buf signature CLEANUP(buf_done) = BUF(8192);
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(private_key_public(of), &cert->key));
    cert->type = type;
    cert->serial = 7;
    cert->valid_after = from;
    cert->valid_before = to;
    assert_ok(cert_set_key_id(cert, "gate"));
    assert_ok(cert_add_principal(cert, "gate.example"));
    assert_ok(cert_prepare(cert, private_key_public(stranger)));
    assert_ok(private_key_sign(stranger, cert_tbs(cert), RSA_SHA512, &signature));
    assert_ok(cert_attach_signature(cert, buf_span(&signature)));
    return cert;
}

static void objects_to_certificates(void **state) {
    (void)state;
    const struct key *key = private_key_public(keys.keys[0]);
    const struct {
        enum cert_type type;
        size_t of;
        uint64_t from, to;
        const char *objection;
    } cases[] = {
        {CERT_USER, 0, 100, 200, "user's"},
        {CERT_HOST, 1, 100, 200, "another key"},
        {CERT_HOST, 0, 151, 200, "not valid yet"},
        {CERT_HOST, 0, 100, 150, "expired"},
        {CERT_HOST, 0, 150, 151, NULL},
        {CERT_HOST, 0, 0, CERT_FOREVER, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cert *cert CLEANUP(cert_freep) =
            make_cert(cases[i].type, keys.keys[cases[i].of], cases[i].from, cases[i].to);
        const char *objection = host_cert_objection(cert, key, 150);
        assert_true(cases[i].objection == NULL
                        ? objection == NULL
                        : objection != NULL && strstr(objection, cases[i].objection) != NULL);
    }
}

static void loads_certificates(void **state) {
    (void)state;
    char *a CLEANUP(freep) = path_of("a"), *path CLEANUP(freep) = path_of("a-cert.pub");
    const struct key *key = private_key_public(keys.keys[0]);
    struct cert *made CLEANUP(cert_freep) = make_cert(CERT_HOST, keys.keys[0], 100, 200);
    struct cert *loaded = made;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    struct fault fault = {.reason = ""};
    assert_ok(host_cert_load(a, key, 150, &loaded, &fault));
    assert_null(loaded); /* there is none */
    assert_ok(file_replace(path, SPAN_LITERAL("junk\n"), 0644, 0));
    assert_true(failed(host_cert_load(a, key, 150, &loaded, &fault)));
    assert_string_equal(fault.field, path);
    assert_ok(cert_print_line(made, NULL, &line));
    assert_ok(file_replace(path, buf_span(&line), 0644, 0));
    assert_fails(host_cert_load(a, key, 200, &loaded, &fault), ERR_CONFLICT);
    assert_null(loaded);
    assert_ok(host_cert_load(a, key, 150, &loaded, &fault));
    assert_int_equal(loaded->serial, 7);
    cert_free(loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_lengths),
        cmocka_unit_test(refuses_other_proofs),
        cmocka_unit_test(refuses_cut_proofs),
        cmocka_unit_test(refuses_what_clients_and_cas_sign),
        cmocka_unit_test(refuses_keys_and_flags),
        cmocka_unit_test(refuses_other_messages),
        cmocka_unit_test(signs),
        cmocka_unit_test(rsa_is_sha2_as_asked),
        cmocka_unit_test(refuses_files),
        cmocka_unit_test(loads_and_reports),
        cmocka_unit_test(bounds_the_report),
        cmocka_unit_test(objects_to_certificates),
        cmocka_unit_test(loads_certificates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
