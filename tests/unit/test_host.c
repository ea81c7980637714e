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
#include "net/notify.h"
#include "ssh/cert.h"
#include "ssh/krl.h"
#include "ssh/private_key.h"

enum { NOW = 1800000000, TOLD_CHARS = 4096 };

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

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    char *told = context;
    size_t len = strlen(told);
    (void)snprintf(told + len, TOLD_CHARS - len, "%s|%s|%s\n", complaint->where, complaint->field,
                   complaint->reason);
}

static const struct {
    const char *yaml;
    const char *said; /* somewhere in the complaints */
} refused_configs[] = {
    {"state: [", "host.yaml:2|(file)|"},
    {"port: 22\n", "host.yaml:1|port|is not known"},
    {"host-keys: [a.pub]\n", "did you mean host_keys?"},
    {"state: ''\n", "|state|is empty"},
    {"max_age: 5\n", "|max_age|"},
    {"max_age: 0s\n", "|max_age|"},
    {"when_stale: perhaps\n", "|when_stale|\"perhaps\" is neither strict nor best-effort"},
    {"when_expired: end\n", "|when_expired|\"end\" is neither cut nor run"},
    {"when_job_ended: end\n", "|when_job_ended|\"end\" is neither cut nor run"},
    {"registered_keys: 7up\n", "|registered_keys|"},
    {"min_uid: 0\n", "|min_uid|\"0\" is not a user's number, or root's"},
    {"min_uid: -1\n", "|min_uid|"},
    {"min_uid: 4294967296\n", "|min_uid|"},
    {"command_user: no-such-user\n", "host.yaml:1|command_user|there is no user no-such-user"},
    {"host_keys:\n  - /etc/ssh/ssh_host_ed25519_key\n", "host.yaml:2|host_keys|"},
    {"host_keys: [a.pub,b.pub,c.pub,d.pub,e.pub,f.pub,g.pub,h.pub,i.pub]\n",
     "|host_keys|has more than 8 items"},
    {"reload_command: systemctl reload ssh\n", "|reload_command|is one word with blanks"},
    {"reload_command: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]\n",
     "|reload_command|has more than 16 items"},
};

static void test_config_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused_configs); i++) {
        struct config config = {0};
        char told[TOLD_CHARS] = "";
        write_text("host.yaml", refused_configs[i].yaml);
        assert_fails(config_load(in_dir("host.yaml"), NULL, on_complaint, told, &config),
                     ERR_MALFORMED);
        if (strstr(told, refused_configs[i].said) == NULL) {
            print_error("%s\n  said %s\n", refused_configs[i].yaml, told);
        }
        assert_non_null(strstr(told, refused_configs[i].said));
        assert_null(config.state_dir);
    }
    struct config config = {0};
    char told[TOLD_CHARS] = "";
    assert_fails(config_load(in_dir("none.yaml"), NULL, on_complaint, told, &config),
                 ERR_NOT_FOUND);
    assert_fails(config_load(NULL, "relative", on_complaint, told, &config), ERR_MALFORMED);
    assert_non_null(strstr(told, "is not an absolute path"));
}

static void test_name_of_internal_keys(void **state) {
    (void)state;
    char text[2 * LIMIT_HOME_FILE_CHARS], name[LIMIT_HOME_FILE_CHARS + 2] = "", told[TOLD_CHARS];
    struct config config CLEANUP(config_done) = {0};
    memset(name, 'k', LIMIT_HOME_FILE_CHARS + 1);
    (void)snprintf(text, sizeof text, "internal_keys: {file: %s}\n", name);
    write_text("host.yaml", text);
    assert_fails(config_load(in_dir("host.yaml"), NULL, on_complaint, told, &config),
                 ERR_MALFORMED);
    assert_non_null(strstr(told, "|internal_keys.file|"));
    name[LIMIT_HOME_FILE_CHARS] = '\0';
    (void)snprintf(text, sizeof text, "internal_keys: {file: %s}\n", name);
    write_text("host.yaml", text);
    assert_ok(config_load(in_dir("host.yaml"), NULL, on_complaint, told, &config));
    assert_string_equal(config.internal_key_file, name);
}

static void test_config_absent(void **state) {
    (void)state;
    write_text("file", "");
    assert_int_equal(symlink("loop", in_dir("loop")), 0);
    assert_int_equal(symlink("nothing", in_dir("dangling")), 0);
    static const struct {
        const char *name;
        bool absent;
    } cases[] = {
        {"file/host.yaml", false}, {"loop", false}, {"loop/host.yaml", false}, {"dangling", false},
        {"file", false},           {"none", true},  {"none/host.yaml", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(config_is_absent(in_dir(cases[i].name)), cases[i].absent);
    }
    if (geteuid() == 0) {
        assert_int_equal(mkdir(in_dir("closed"), 0), 0);
        assert_int_equal(seteuid(65534), 0);
        bool absent = config_is_absent(in_dir("closed/host.yaml"));
        assert_int_equal(seteuid(0), 0);
        assert_false(absent);
    }
}

static void test_config(void **state) {
    (void)state;
    struct config config CLEANUP(config_done) = {0};
    char told[TOLD_CHARS] = "";
    write_text("host.yaml", "state: state\nwhen_stale: best-effort\nmax_age: 12h\n"
                            "registered_keys: false\nhost_keys: [/etc/ssh/a.pub]\n"
                            "reload_command: [systemctl, reload, ssh]\n");
    assert_ok(config_load(in_dir("host.yaml"), NULL, on_complaint, told, &config));
    assert_string_equal(config.state_dir, in_dir("state"));
    assert_string_equal(config.command_user, "nobody");
    assert_true(config.best_effort && config.max_age_s == 43200 && !config.registered_keys);
    assert_int_equal(config.host_key_count, 1);
    assert_int_equal(config.reload_word_count, 3);
    assert_string_equal(config.reload_command[2], "ssh");
    config_done(&config);
    write_text("host.yaml", "max_age: 1h\n");
    assert_ok(config_load(in_dir("host.yaml"), "/other", on_complaint, told, &config));
    assert_string_equal(config.state_dir, "/other");
    assert_true(!config.best_effort && config.registered_keys && config.min_uid == HOST_UID_MIN);
    assert_int_equal(config.reload_word_count, 0);
    config_done(&config);
    write_text("host.yaml", "min_uid: 500\n");
    assert_ok(config_load(in_dir("host.yaml"), NULL, on_complaint, told, &config));
    assert_int_equal(config.min_uid, 500);
    config_done(&config);
    assert_ok(config_load("examples/postern-host.yaml", NULL, on_complaint, told, &config));
    for (size_t i = 0; i < config.settings.plan->count; i++) {
        assert_true(config.settings.lines[i] != 0); /* the example shows each */
    }
    assert_string_equal(told, "");
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
                                          ("{\"url\":\"x\",\"name\":\"y\",\"hostToken\":\"t\","
                                           "\"caPem\":[]}")};
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
    /* White space is no harm, up to a whole mebibyte of a file. */
    for (size_t extra = 0; extra < 2; extra++) {
        char *padded CLEANUP(freep) = calloc(1, LIMIT_STATE_FILE_BYTES + 2);
        assert_non_null(padded);
        memset(padded, ' ', LIMIT_STATE_FILE_BYTES + extra);
        static const char json[] = "{\"url\":\"x\",\"name\":\"y\",\"hostToken\":\"t\"}";
        memcpy(padded, json, sizeof json - 1);
        write_text("host.json", padded);
        struct identity large CLEANUP(identity_done) = {0};
        assert_int_equal(identity_load(dir, &large, &fault).code,
                         extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
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
    struct config config CLEANUP(config_done) = {.state_dir = strdup("/var/lib/x"),
                                                 .command_user = strdup("nobody"),
                                                 .host_key_count = 1,
                                                 .registered_keys = false,
                                                 .min_uid = 1000};
    config.host_keys[0] = strdup("/etc/ssh/k.pub");
    struct sshd_config from = {.config = &config, .command = "/usr/bin/postern-host"};
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    char *text CLEANUP(freep) = NULL;
    assert_ok(sshd_config_print(&from, &out));
    assert_ok(buf_to_str(&out, &text));
    static const char *const lines[] = {
        "\nTrustedUserCAKeys /var/lib/x/user_ca.pub\n",
        "\nRevokedKeys /var/lib/x/revoked.krl\n",
        ("\nAuthorizedPrincipalsCommand /usr/bin/postern-host principals --state /var/lib/x"
         " --uid %U --min-uid 1000 %u %s %i %F %f %k\n"),
        "\nGSSAPIAuthentication no\n",
        "\nPermitRootLogin no\n",
        "\nAuthorizedPrincipalsCommandUser nobody\n",
        "\nAuthorizedKeysFile none\n",
        "\nAuthorizedKeysCommand none\n",
        "\nPasswordAuthentication no\n",
        "\nKbdInteractiveAuthentication no\n",
        "\nMaxStartups 200:30:400\n",
        "\nHostCertificate /etc/ssh/k-cert.pub\n",
        "\nHostKey /etc/ssh/k\n",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_non_null(strstr(text, lines[i]));
    }
    assert_null(strstr(text, "Match"));
    assert_null(strstr(text, "\nPerSource")); /* no address of a jump host is told */
    for (int knows = 0; knows < 2; knows++) {
        char *again CLEANUP(freep) = NULL;
        from.exempt = "192.0.2.10,2001:db8::10";
        from.has_penalties = knows != 0;
        from.keep_root_keys = true;
        buf_clear(&out);
        assert_ok(sshd_config_print(&from, &out));
        assert_ok(buf_to_str(&out, &again));
        const char *line = strstr(again, "\nPerSourcePenaltyExemptList 192.0.2.10,2001:db8::10\n");
        assert_int_equal(line != NULL, knows);
        assert_true(line == NULL || line < strstr(again, "\nMatch"));
        assert_non_null(strstr(again, "PerSourcePenaltyExemptList 192.0.2.10,2001:db8::10\n"));
    }
    from.keep_root_keys = false;
    from.deploy_jobs = true;
    buf_clear(&out);
    free(text);
    assert_ok(sshd_config_print(&from, &out));
    assert_ok(buf_to_str(&out, &text));
    assert_non_null(strstr(text, "\nPermitRootLogin prohibit-password\n"));
    from.deploy_jobs = false;
    /* Without the file, a jump host opens nothing. */
    buf_clear(&out);
    from.jump_host = true;
    assert_ok(sshd_config_print(&from, &out));
    free(text);
    text = NULL;
    assert_ok(buf_to_str(&out, &text));
    assert_non_null(strstr(text, "    Include /var/lib/x/permit_open.conf\n    PermitOpen none\n"));
    assert_non_null(strstr(text, "    PermitTTY no\n"));
    assert_null(strstr(text, "PerSource")); /* its clients come from everywhere */
    assert_non_null(strstr(text, "    SetEnv HOME=/nonexistent "));
    assert_non_null(strstr(text, " BASH_ENV=/dev/null ENV=/dev/null\n"));
}

/* --- what sshd reads at its start alone --- */

static void assert_permit_open(const char *expected) {
    struct buf text CLEANUP(buf_done) = BUF(4096);
    char *whole CLEANUP(freep) = NULL;
    assert_ok(file_read(in_dir(FILE_PERMIT_OPEN), &text));
    assert_ok(buf_to_str(&text, &whole));
    assert_non_null(strstr(whole, expected));
}

static void apply_text(struct replica *replica, const char *text) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    assert_ok(change_answer_decode(span_str(text), &answer, NULL));
    assert_ok(sync_apply(dir, replica, answer, NOW));
}

static void tell_host(struct replica *replica, int revision, const char *name, const char *cluster,
                      const char *role) {
    char whole[512];
    (void)snprintf(whole, sizeof whole,
                   "{\"revision\":\"%d\",\"snapshot\":false,\"changes\":[{\"revision\":\"%d\","
                   "\"kind\":\"host\",\"key\":\"%s\",\"state\":{\"cluster\":\"%s\","
                   "\"role\":\"%s\",\"address\":\"%s\",\"port\":22}}]}",
                   revision, revision, name, cluster, role, name);
    apply_text(replica, whole);
}

static void test_permit_open(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = open_replica();
    struct change_answer *snapshot CLEANUP(change_answer_freep) = first_snapshot();
    struct replica_self self = {.max_age_s = 3600};
    (void)snprintf(self.name, sizeof self.name, "ela");
    assert_ok(replica_self_put(replica, &self));
    assert_ok(sync_apply(dir, replica, snapshot, NOW));
    assert_int_not_equal(access(in_dir(FILE_PERMIT_OPEN), F_OK), 0); /* no jump host, no file */
    assert_int_equal(reload_due_ms(dir), 0);
    tell_host(replica, 1000, "ela", "", "jump");
    assert_permit_open("\nPermitOpen [2001:db8::1]:22 daint:22\n");
    assert_true(reload_due_ms(dir) > 0);
    assert_ok(reload_unmark(dir));
    assert_ok(reload_unmark(dir));
    /* What changes nothing for sshd is no reason for a reload; what does, is. */
    assert_ok(sync_repair(dir, replica, NOW));
    tell_host(replica, 1001, "ela2", "", "jump");
    assert_int_equal(reload_due_ms(dir), 0);
    tell_host(replica, 1002, "santis-ln1", "daint", "login");
    assert_permit_open(" santis-ln1:22");
    assert_true(reload_due_ms(dir) > 0);
    assert_ok(reload_unmark(dir));
    assert_int_equal(unlink(in_dir(FILE_PERMIT_OPEN)), 0);
    assert_ok(sync_repair(dir, replica, NOW));
    assert_permit_open(" santis-ln1:22");
    tell_host(replica, 1003, "ela", "daint", "login");
    assert_permit_open("\nPermitOpen none\n");
}

static void test_reload(void **state) {
    (void)state;
    struct fault fault = {0};
    char touched[200];
    (void)snprintf(touched, sizeof touched, "%s", in_dir("a b;c"));
    const char *const fine[] = {"touch", touched, NULL};
    assert_ok(reload_run(fine, 5000, &fault));
    assert_int_equal(access(touched, F_OK), 0); /* one word, whatever is in it */
    const char *const fails[] = {"sh", "-c", "echo no such unit; exit 3", NULL};
    assert_fails(reload_run(fails, 5000, &fault), ERR_IO);
    assert_string_equal(fault.field, "sh");
    assert_non_null(strstr(fault.reason, "status 3: no such unit"));
    const char *const missing[] = {"/nonexistent/reload", NULL};
    assert_fails(reload_run(missing, 5000, &fault), ERR_IO);
    assert_non_null(strstr(fault.reason, "cannot be started: not found"));
    const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
    assert_fails(reload_run(killed, 5000, &fault), ERR_IO);
    assert_non_null(strstr(fault.reason, "signal 9"));
    const char *const slow[] = {"sh", "-c", "sleep 100 & wait", NULL};
    assert_fails(reload_run(slow, 50, &fault), ERR_TIMEOUT);
    /* What it leaves behind may hold its output open; a flood of words holds nothing up. */
    const char *const leaves[] = {"sh", "-c", "sleep 2 & yes | head -c 1000000", NULL};
    assert_ok(reload_run(leaves, 60000, &fault));
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
    notify_send("READY=1"); /* nobody asked */
    assert_int_equal(recv(fd, got, sizeof got, 0), -1);
    assert_int_equal(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    notify_send("READY=1");
    assert_int_equal(recv(fd, got, sizeof got, 0), 7);
    assert_memory_equal(got, "READY=1", 7);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_name_of_internal_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config_absent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apply_writes_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apply_fails_as_a_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_krl_from_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_host_certificates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sshd_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_permit_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test_setup_teardown(test_notify, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
