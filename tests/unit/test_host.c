#include "check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "host/host.h"
#include "host/sync_host.h"
#include "ssh/cert.h"
#include "ssh/krl.h"
#include "ssh/private_key.h"

enum { NOW = 1800000000 };

#define CA_LINE        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
#define CA_FINGERPRINT "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"

/* --- a directory of its own for each test --- */

static char dir[64];

static int set_up(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/postern-host-test.XXXXXX");
    return mkdtemp(dir) != NULL && chmod(dir, 0750) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static const char *in_dir(const char *name) {
    static char paths[4][160];
    static size_t next;
    char *path = paths[next++ % COUNT_OF(paths)];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void write_text(const char *name, const char *text) {
    assert_ok(file_replace(in_dir(name), span_str(text), 0600, 0));
}

/* --- configuration --- */

static const struct {
    const char *yaml;
    enum err_code code;
    const char *said; /* somewhere in the fault */
} refused_configs[] = {
    {"state: [", ERR_MALFORMED, "host.yaml"},
    {"port: 22\n", ERR_MALFORMED, "port"},
    {"state: relative\n", ERR_MALFORMED, "absolute"},
    {"max-age: 5\n", ERR_MALFORMED, "max-age"},
    {"max-age: 0s\n", ERR_RANGE, "max-age"},
    {"when-stale: perhaps\n", ERR_MALFORMED, "when-stale"},
    {"registered-keys: 7up\n", ERR_MALFORMED, "registered-keys"},
    {"min-uid: 0\n", ERR_RANGE, "min-uid"},
    {"min-uid: -1\n", ERR_RANGE, "min-uid"},
    {"min-uid: 4294967296\n", ERR_RANGE, "min-uid"},
    {"command-user: no-such-user\n", ERR_NOT_FOUND, "no-such-user"},
    {"host-keys:\n  - /etc/ssh/ssh_host_ed25519_key\n", ERR_MALFORMED, ".pub"},
    {"host-keys: [a.pub,b.pub,c.pub,d.pub,e.pub,f.pub,g.pub,h.pub,i.pub]\n", ERR_MALFORMED,
     "host-keys"},
};

static void test_config_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused_configs); i++) {
        struct config config = {0};
        struct fault fault = {0};
        char told[sizeof fault.field + sizeof fault.reason + 2];
        write_text("host.yaml", refused_configs[i].yaml);
        assert_fails(config_load(in_dir("host.yaml"), NULL, &config, &fault),
                     refused_configs[i].code);
        (void)snprintf(told, sizeof told, "%s %s", fault.field, fault.reason);
        if (strstr(told, refused_configs[i].said) == NULL) {
            print_error("%s\n  said %s\n", refused_configs[i].yaml, told);
        }
        assert_non_null(strstr(told, refused_configs[i].said));
        assert_null(config.state_dir);
    }
    struct config config = {0};
    assert_fails(config_load(in_dir("none.yaml"), NULL, &config, NULL), ERR_NOT_FOUND);
}

static void test_config(void **state) {
    (void)state;
    struct config config CLEANUP(config_done) = {0};
    struct fault fault = {0};
    write_text("host.yaml", "state: /srv/state\nwhen-stale: best-effort\nmax-age: 12h\n"
                            "registered-keys: false\nhost-keys: [/etc/ssh/a.pub]\n");
    assert_ok(config_load(in_dir("host.yaml"), NULL, &config, &fault));
    assert_string_equal(config.state_dir, "/srv/state");
    assert_string_equal(config.command_user, "nobody");
    assert_true(config.best_effort && config.max_age_s == 43200 && !config.registered_keys);
    assert_int_equal(config.host_key_count, 1);
    config_done(&config);
    write_text("host.yaml", "max-age: 1h\n");
    assert_ok(config_load(in_dir("host.yaml"), "/other", &config, &fault));
    assert_string_equal(config.state_dir, "/other");
    assert_true(!config.best_effort && config.registered_keys && config.min_uid == HOST_UID_MIN);
    config_done(&config);
    write_text("host.yaml", "min-uid: 500\n");
    assert_ok(config_load(in_dir("host.yaml"), NULL, &config, &fault));
    assert_int_equal(config.min_uid, 500);
}

/* --- identity --- */

static void test_identity(void **state) {
    (void)state;
    struct identity identity CLEANUP(identity_done) = {0};
    struct fault fault = {0};
    assert_fails(identity_load(dir, &identity, &fault), ERR_NOT_FOUND);
    assert_non_null(strstr(fault.reason, "enrol"));
    static const char *const refused[] = {"",
                                          "[]",
                                          "{}",
                                          "{\"url\":\"x\",\"name\":\"y\"}",
                                          "{\"hostToken\":\"t\",\"name\":\"y\"}",
                                          "{\"url\":\"x\",\"name\":\"y\",\"hostToken\":7}",
                                          "{\"url\":\"x\",\"name\":\"y\",\"hostToken\":\"t\","
                                          "\"caPem\":[]}"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        write_text("host.json", refused[i]);
        assert_fails(identity_load(dir, &identity, &fault), ERR_MALFORMED);
        assert_null(identity.url);
    }
    struct identity made CLEANUP(identity_done) = {.url = strdup("https://authority.example"),
                                                   .name = strdup("daint-ln1")};
    assert_ok(secret_copy(SPAN_LITERAL("pgh_secret"), 64, &made.token));
    assert_ok(identity_save(dir, &made));
    struct stat status;
    assert_int_equal(stat(in_dir("host.json"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_ok(identity_load(dir, &identity, &fault));
    assert_string_equal(identity.name, "daint-ln1");
    assert_string_equal(identity.token.text, "pgh_secret");
    assert_null(identity.ca_pem);
}

/* --- what an answer does to sshd's files --- */

static struct change_answer *answer_of(const char *json) {
    struct change_answer *answer = NULL;
    struct fault fault = {0};
    assert_ok(change_answer_decode(span_str(json), &answer, &fault));
    return answer;
}

static struct change_answer *first_snapshot(void) {
    return answer_of("{\"revision\":\"5\",\"snapshot\":true,\"changes\":["
                     "{\"revision\":\"5\",\"kind\":\"ca\",\"key\":\"" CA_FINGERPRINT
                     "\",\"state\":{\"type\":\"user\",\"publicKey\":\"" CA_LINE "\"}},"
                     "{\"revision\":\"5\",\"kind\":\"revocation\",\"key\":\"7\",\"state\":"
                     "{\"account\":\"a\",\"expireTime\":\"2027-02-01T00:00:00Z\",\"reason\":\"\"}},"
                     "{\"revision\":\"5\",\"kind\":\"revocation\",\"key\":\"8\",\"state\":"
                     "{\"account\":\"a\",\"expireTime\":\"2027-01-01T00:00:00Z\",\"reason\":\"\"}},"
                     "{\"revision\":\"5\",\"kind\":\"cluster\",\"key\":\"daint\",\"state\":"
                     "{\"address\":\"2001:db8::1\",\"port\":22}}]}");
}

static struct replica *open_replica(void) {
    struct replica *replica = NULL;
    assert_ok(replica_open_write(in_dir(HOST_REPLICA_FILE), (gid_t)-1, &replica));
    return replica;
}

static bool krl_lists(uint64_t serial, uint64_t *version) {
    struct buf bytes CLEANUP(buf_done) = BUF(4096);
    struct krl *krl CLEANUP(krl_freep) = NULL;
    assert_ok(file_read(in_dir(FILE_KRL), &bytes));
    assert_ok(krl_parse(buf_span(&bytes), &krl));
    *version = krl_version(krl);
    return krl_has_serial(krl, NULL, serial);
}

static void test_apply_writes_files(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = open_replica();
    struct change_answer *snapshot CLEANUP(change_answer_freep) = first_snapshot();
    uint64_t version = 0;
    assert_ok(sync_apply(dir, replica, snapshot, NOW));
    assert_true(krl_lists(7, &version) && krl_lists(8, &version) && !krl_lists(9, &version));
    assert_true(version == 5);
    struct buf cas CLEANUP(buf_done) = BUF(4096);
    assert_ok(file_read(in_dir(FILE_USER_CA), &cas));
    assert_true(span_equal_str(buf_span(&cas), CA_LINE "\n"));
    /* The certificate of 8 has ended; after a repair nobody need be told of it. */
    assert_ok(sync_repair(dir, replica, NOW));
    assert_true(krl_lists(7, &version) && !krl_lists(8, &version));
    /* Files that went missing are there again after a start. */
    assert_int_equal(unlink(in_dir(FILE_KRL)), 0);
    assert_int_equal(unlink(in_dir(FILE_USER_CA)), 0);
    assert_ok(sync_repair(dir, replica, NOW));
    assert_true(krl_lists(7, &version));
    assert_int_equal(access(in_dir(FILE_USER_CA), R_OK), 0);
}

/* When a file cannot be written, the replica stays where it was, so that the answer comes again. */
static void test_apply_fails_as_a_whole(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = open_replica();
    struct change_answer *snapshot CLEANUP(change_answer_freep) = first_snapshot();
    uint64_t revision = 99;
    assert_true(failed(sync_apply(in_dir("nowhere"), replica, snapshot, NOW)));
    assert_ok(replica_revision(replica, &revision));
    assert_true(revision == 0);
    assert_ok(sync_apply(dir, replica, snapshot, NOW));
    struct change_answer *no_ca CLEANUP(change_answer_freep) =
        answer_of("{\"revision\":\"6\",\"snapshot\":true,\"changes\":[]}");
    assert_fails(sync_apply(dir, replica, no_ca, NOW), ERR_CONFLICT);
    assert_ok(replica_revision(replica, &revision));
    assert_true(revision == 5);
    struct buf cas CLEANUP(buf_done) = BUF(4096);
    assert_ok(file_read(in_dir(FILE_USER_CA), &cas));
    assert_true(cas.len > 0);
}

static void test_empty_krl_from_the_start(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = open_replica();
    uint64_t version = 9;
    assert_ok(sync_repair(dir, replica, NOW));
    assert_false(krl_lists(7, &version));
    assert_true(version == 0);
}

/* --- host certificates --- */

static void make_key(const char *name, struct private_key **out) {
    struct buf line CLEANUP(buf_done) = BUF(4096);
    assert_ok(private_key_generate(KEY_ED25519, 256, out));
    assert_ok(key_print_line(private_key_public(*out), NULL, &line));
    assert_ok(file_replace(in_dir(name), buf_span(&line), 0644, 0));
}

static char *certify(const struct key *key, enum cert_type type, uint64_t from, uint64_t to) {
    struct private_key *ca CLEANUP(private_key_freep) = NULL;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct buf signature CLEANUP(buf_done) = BUF(4096);
    struct buf line CLEANUP(buf_done) = BUF(16384);
    char *text = NULL;
    assert_ok(private_key_generate(KEY_ED25519, 256, &ca));
    assert_ok(cert_new(&cert));
    assert_ok(key_copy(key, &cert->key));
    cert->type = type;
    cert->serial = 3;
    cert->valid_after = from;
    cert->valid_before = to;
    assert_ok(cert_set_key_id(cert, "host"));
    assert_ok(cert_add_principal(cert, "daint-ln1"));
    assert_ok(cert_prepare(cert, private_key_public(ca)));
    assert_ok(private_key_sign(ca, cert_tbs(cert), RSA_SHA512, &signature));
    assert_ok(cert_attach_signature(cert, buf_span(&signature)));
    assert_ok(cert_print_line(cert, NULL, &line));
    assert_ok(buf_to_str(&line, &text));
    return text;
}

static err_t install(const struct config *config, const char *line) {
    json_t *lines = json_pack("[s]", line);
    struct fault fault = {0};
    err_t err = certificates_install(config, lines, &fault);
    json_decref(lines);
    return err;
}

static void test_host_certificates(void **state) {
    (void)state;
    struct private_key *mine CLEANUP(private_key_freep) = NULL;
    struct private_key *other CLEANUP(private_key_freep) = NULL;
    make_key("mine.pub", &mine);
    make_key("other.pub", &other);
    struct config config CLEANUP(config_done) = {.host_key_count = 1};
    config.host_keys[0] = strdup(in_dir("mine.pub"));
    const struct key *key = private_key_public(mine);
    char *user CLEANUP(freep) = certify(key, CERT_USER, NOW, NOW + 300);
    char *foreign CLEANUP(freep) = certify(private_key_public(other), CERT_HOST, NOW, NOW + 300);
    char *good CLEANUP(freep) = certify(key, CERT_HOST, NOW, NOW + 300);
    char *endless CLEANUP(freep) = certify(key, CERT_HOST, NOW, CERT_FOREVER);
    assert_fails(install(&config, user), ERR_CONFLICT);
    assert_fails(install(&config, foreign), ERR_CONFLICT);
    assert_true(failed(install(&config, "")));
    assert_fails(install(&config, CA_LINE), ERR_KEY_NOT_CERT);
    assert_int_not_equal(access(in_dir("mine-cert.pub"), F_OK), 0);
    int64_t renew_at = 9;
    int64_t ends_at = 9;
    certificates_due(&config, &renew_at, &ends_at);
    assert_true(renew_at == 0 && ends_at == 0); /* missing: at once */
    assert_ok(install(&config, good));
    certificates_due(&config, &renew_at, &ends_at);
    assert_true(renew_at == NOW + 200 && ends_at == NOW + 300);
    assert_ok(install(&config, endless));
    certificates_due(&config, &renew_at, &ends_at);
    assert_true(renew_at == INT64_MAX && ends_at == INT64_MAX);
    char *path = NULL;
    assert_fails(certificate_path("key", &path), ERR_MALFORMED);
    assert_fails(certificate_path(".pub", &path), ERR_MALFORMED);
}

/* --- sshd's configuration --- */

static void test_sshd_config(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = open_replica();
    struct change_answer *snapshot CLEANUP(change_answer_freep) = first_snapshot();
    struct config config CLEANUP(config_done) = {.state_dir = strdup("/var/lib/x"),
                                                 .command_user = strdup("nobody"),
                                                 .host_key_count = 1,
                                                 .registered_keys = false,
                                                 .min_uid = 1000};
    config.host_keys[0] = strdup("/etc/ssh/k.pub");
    struct sshd_config from = {
        .config = &config, .command = "/usr/bin/postern-host", .replica = replica};
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    char *text CLEANUP(freep) = NULL;
    assert_ok(sshd_config_print(&from, &out));
    assert_ok(buf_to_str(&out, &text));
    static const char *const lines[] = {
        "\nTrustedUserCAKeys /var/lib/x/user_ca.pub\n",
        "\nRevokedKeys /var/lib/x/revoked.krl\n",
        ("\nAuthorizedPrincipalsCommand /usr/bin/postern-host principals --state /var/lib/x"
         " --uid %U --min-uid 1000 %u %s %i %F %f\n"),
        "\nGSSAPIAuthentication no\n",
        "\nPermitRootLogin no\n",
        "\nAuthorizedPrincipalsCommandUser nobody\n",
        "\nAuthorizedKeysFile none\n",
        "\nAuthorizedKeysCommand none\n",
        "\nPasswordAuthentication no\n",
        "\nKbdInteractiveAuthentication no\n",
        "\nHostCertificate /etc/ssh/k-cert.pub\n",
        "\nHostKey /etc/ssh/k\n",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_non_null(strstr(text, lines[i]));
    }
    assert_null(strstr(text, "Match"));
    /* A jump host that knows no destination opens none. */
    buf_clear(&out);
    from.jump_host = true;
    assert_ok(sshd_config_print(&from, &out));
    free(text);
    text = NULL;
    assert_ok(buf_to_str(&out, &text));
    assert_non_null(strstr(text, "    PermitOpen none\n"));
    assert_ok(sync_apply(dir, replica, snapshot, NOW));
    buf_clear(&out);
    assert_ok(sshd_config_print(&from, &out));
    free(text);
    text = NULL;
    assert_ok(buf_to_str(&out, &text));
    assert_non_null(strstr(text, "    PermitOpen [2001:db8::1]:22 daint:22\n"));
    assert_non_null(strstr(text, "    PermitTTY no\n"));
    assert_non_null(strstr(text, "    SetEnv HOME=/nonexistent "));
}

/* --- waiting and notifying --- */

static void test_backoff(void **state) {
    (void)state;
    int last_max = 0;
    for (unsigned failures = 0; failures < 100; failures++) {
        int least = sync_backoff_ms(failures, 0);
        int most = 0;
        for (uint64_t random = 0; random < 1000; random++) {
            int delay = sync_backoff_ms(failures, random * 0x9e3779b97f4a7c15U);
            assert_in_range(delay, BACKOFF_MIN_MS / 2, BACKOFF_MAX_MS);
            assert_true(delay >= least && delay <= 2 * least);
            most = delay > most ? delay : most;
        }
        assert_true(most > least && most * 11 / 10 >= last_max);
        last_max = most;
    }
    assert_true(last_max > BACKOFF_MAX_MS * 9 / 10);
    assert_in_range(sync_backoff_ms(UINT32_MAX, UINT64_MAX), BACKOFF_MIN_MS, BACKOFF_MAX_MS);
}

static void test_notify(void **state) {
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", in_dir("notify"));
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    char got[64] = "";
    notify("READY=1"); /* nobody asked */
    assert_int_equal(recv(fd, got, sizeof got, 0), -1);
    assert_int_equal(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    notify("READY=1");
    assert_int_equal(recv(fd, got, sizeof got, 0), 7);
    assert_memory_equal(got, "READY=1", 7);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apply_writes_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apply_fails_as_a_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_krl_from_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_host_certificates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sshd_config, set_up, tear_down),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test_setup_teardown(test_notify, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
