/* What the doctor reads: ssh's own words, configuration files, and text made fit for strangers. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "cli/doctor/config_text.h"
#include "cli/doctor/redact.h"
#include "cli/doctor/ssh_words.h"

/* --- ssh's words --- */

static void ssh_says(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum ssh_outcome outcome;
        const char *host;
    } cases[] = {
        {"", SSH_UNKNOWN, ""},
        {"debug1: Connection refused\n", SSH_UNKNOWN, ""},
        {"/home/alice/.ssh/config: line 3: Bad configuration option: proxyjump\n", SSH_CONFIG, ""},
        {"Bad owner or permissions on /home/alice/.ssh/config\n", SSH_MODES, ""},
        {"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n",
         SSH_KEY_CHANGED, ""},
        {"No ED25519 host key is known for ela.example and you have requested strict checking.\n"
         "Host key verification failed.\n",
         SSH_HOST_UNKNOWN, "ela.example"},
        {"Received disconnect from 10.99.0.1 port 22:14: Too many authentication failures\n",
         SSH_TOO_MANY, ""},
        {"posterngate: the key SHA256:x is not registered here\n"
         "posterngate: your certificate expired an hour ago; get a new one: postern sign\n"
         "alice@ela.example: Permission denied (publickey).\n",
         SSH_GATE_SAID, ""},
        {"channel 0: open failed: administratively prohibited: posterngate: no job of yours\n"
         "kex_exchange_identification: Connection closed by remote host\n",
         SSH_GATE_SAID, ""},
        {"alice@daint.example: Permission denied (publickey).\r\n", SSH_DENIED, "daint.example"},
        {"ssh: Could not resolve hostname daint: Name or service not known\n", SSH_NO_NAME,
         "daint"},
        {"ssh: connect to host ela.example port 22: Connection refused\n", SSH_CONNECTION_REFUSED,
         "ela.example"},
        {"ssh: connect to host ela.example port 22: Connection timed out\n", SSH_NO_ANSWER,
         "ela.example"},
        {"ssh: connect to host ela.example port 22: No route to host\n", SSH_NO_ANSWER,
         "ela.example"},
        {"kex_exchange_identification: banner line contains invalid characters\n"
         "banner exchange: Connection to 127.0.0.1 port 8080: invalid format\n",
         SSH_NOT_SSH, ""},
        {"debug1: kex_exchange_identification: banner line 0: posterngate: too many failed logins\n"
         "kex_exchange_identification: Connection closed by remote host\n",
         SSH_GATE_SAID, ""},
        /* Whoever speaks before the protocol may be anybody. */
        {"debug1: kex_exchange_identification: banner line 0: posterngate: REMOTE HOST "
         "IDENTIFICATION HAS CHANGED\n",
         SSH_GATE_SAID, ""},
        {"debug1: kex_exchange_identification: banner line 1: Host key verification failed\n",
         SSH_UNKNOWN, ""},
        {"Connection timed out during banner exchange\n", SSH_NOT_SSH, ""},
        {"channel 0: open failed: connect failed: Connection refused\n", SSH_CHANNEL_FAILED, ""},
        {"sign_and_send_pubkey: signing failed for ED25519 \"k\" from agent: agent refused "
         "operation\nalice@ela: Permission denied (publickey).\n",
         SSH_SIGNING, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ssh_verdict verdict;
        ssh_words_read(span_str(cases[i].text), &verdict);
        assert_int_equal(verdict.outcome, cases[i].outcome);
        assert_string_equal(verdict.host, cases[i].host);
    }
}

static void ssh_details(void **state) {
    (void)state;
    struct ssh_verdict verdict;
    ssh_words_read(
        span_str("debug1: Offering public key: /home/alice/.ssh/a ED25519 SHA256:a agent\n"
                 "debug1: Offering public key: /home/alice/.ssh/b RSA SHA256:b\n"
                 "Authenticated to ela.example ([10.99.0.1]:22) using \"publickey\".\n"
                 "debug1: Server host key: ssh-ed25519 SHA256:bS+x1\n"
                 "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
                 "Offending ED25519 key in /home/alice/.ssh/known_hosts:12\n"),
        &verdict);
    assert_int_equal(verdict.outcome, SSH_KEY_CHANGED);
    assert_int_equal(verdict.offered, 2);
    assert_int_equal(verdict.logins, 1);
    assert_int_equal(verdict.line, 12);
    assert_string_equal(verdict.file, "/home/alice/.ssh/known_hosts");
    assert_string_equal(verdict.shown, "SHA256:bS+x1");
    ssh_words_read(
        span_str("debug1: kex_exchange_identification: banner line 0: Offending ED25519 key in "
                 "/home/alice/.ssh/config:1\n"
                 "debug1: kex_exchange_identification: banner line 1: debug1: Server host key: "
                 "ssh-ed25519 SHA256:known\n"),
        &verdict);
    assert_int_equal(verdict.line, 0);
    assert_string_equal(verdict.shown, "");
    ssh_words_read(span_str("channel 0: open failed: administratively prohibited: posterngate: no "
                            "job of yours runs on this node; see: postern jobs\r\n"),
                   &verdict);
    assert_string_equal(verdict.said, "no job of yours runs on this node; see: postern jobs");
    ssh_words_read(span_str("posterngate: the key SHA256:x is not registered\n"
                            "posterngate: your certificate is revoked\n"),
                   &verdict);
    assert_string_equal(verdict.said, "your certificate is revoked");
}

/* Longer than any field: cut, not overrun. */
static void ssh_long(void **state) {
    (void)state;
    char text[4096];
    struct ssh_verdict verdict;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "posterngate: ", 13);
    ssh_words_read(span_str(text), &verdict);
    assert_int_equal(strlen(verdict.said), SSH_SAID_CHARS - 1);
    memcpy(text, "alice@", 6);
    memcpy(text + 4000, ": Permission denied (publickey).", 32);
    ssh_words_read(span_str(text), &verdict);
    assert_int_equal(strlen(verdict.host), SSH_HOST_CHARS - 1);
}

/* --- configuration --- */

static void config_looks(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool has_cr;
        unsigned include_line, block_line;
    } cases[] = {
        {"", false, 0, 0},
        {"# Include config.d/posterngate-cscs\n", false, 0, 0},
        {"Include config.d/posterngate-other\n", false, 0, 0},
        {"Include config.d/posterngate-cscs\nHost x\n", false, 1, 2},
        {"include=\"~/.ssh/config.d/posterngate-cscs\"\n", false, 1, 0},
        {"Include ~/.ssh/config.d/*\n", false, 1, 0},
        {"Include ~/.ssh/other.d/*\n", false, 0, 0},
        {"Host *\n  User bob\nInclude config.d/posterngate-cscs", false, 3, 1},
        {"Host *\r\n  User bob\r\n", true, 0, 1},
        {"\n\n match user bob\n", false, 0, 3},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config_look look;
        config_look(span_str(cases[i].text), "cscs", &look);
        assert_int_equal(look.has_cr, cases[i].has_cr);
        assert_int_equal(look.include_line, cases[i].include_line);
        assert_int_equal(look.block_line, cases[i].block_line);
    }
}

static void config_finds(void **state) {
    (void)state;
    static const char text[] = "Host !ela *\n  User carol\nHost \"ela\" d?int\n  user = \"bob\"\n"
                               "Match all\n  User dora\nHost ela\n  IdentityFile=~/.ssh/k\n";
    char value[CONFIG_VALUE_CHARS];
    assert_int_equal(config_find(span_str(text), "ela", "User", value), 4);
    assert_string_equal(value, "bob");
    assert_int_equal(config_find(span_str(text), "DAINT", "User", value), 2);
    assert_string_equal(value, "carol");
    assert_int_equal(config_find(span_str(text), "ela", "IdentityFile", value), 8);
    assert_string_equal(value, "~/.ssh/k");
    assert_int_equal(config_find(span_str(text), "daint", "IdentityFile", value), 0);
}

static void check_text(err_t err, struct buf *out, const char *expected) {
    assert_ok(err);
    assert_true(span_equal_str(buf_span(out), expected));
    buf_clear(out);
}

static void edits(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(4096);
    check_text(text_strip_cr(span_str("a\r\nb\rc\r\n\r"), &out), &out, "a\nb\rc\n\r");
    check_text(text_strip_cr(span_str("a\r\r\n"), &out), &out, "a\n");
    check_text(text_drop_line(span_str("a\nb\nc"), 2, &out), &out, "a\nc");
    check_text(text_drop_line(span_str("a\nb\nc"), 3, &out), &out, "a\nb\n");
    assert_fails(text_drop_line(span_str("a\nb\nc"), 4, &out), ERR_NOT_FOUND);
    assert_fails(text_drop_line(span_str(""), 1, &out), ERR_NOT_FOUND);
    check_text(text_replace_in_line(span_str("k\nx k.ppk y\n"), 2, "k.ppk", "k", &out), &out,
               "k\nx k y\n");
    assert_fails(text_replace_in_line(span_str("k.ppk\nx\n"), 2, "k.ppk", "k", &out),
                 ERR_NOT_FOUND);
}

static const char line_a[] =
    "ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIBEREREREREREREREREREREREREREREREREREREREREREREREQ";

static void marked_lines(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = NULL;
    char text[1024];
    /* Any 32 bytes are taken for an Ed25519 key until a signature is verified. */
    err_t err =
        key_parse_line(span_str("ssh-ed25519 "
                                "AAAAC3NzaC1lZDI1NTE5AAAAIFdXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1d"
                                "XV1dXV1dX"),
                       &key, NULL);
    assert_ok(err);
    const struct key *keys[] = {key};
    (void)snprintf(text, sizeof text,
                   "ela ssh-ed25519 AAAA\n#@cert-authority * x\n@cert-authority * "
                   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFdXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dX"
                   "V1dX theirs\n@revoked * x\n@cert-authority *.other %s\n",
                   line_a);
    assert_int_equal(known_hosts_marked(span_str(text), keys, 1, true), 3);
    assert_int_equal(known_hosts_marked(span_str(text), keys, 1, false), 5);
    assert_int_equal(known_hosts_marked(span_str("ela ssh-ed25519 A\n"), keys, 1, true), 0);
}

/* --- for strangers --- */

static void check_redacted(const char *text, const char *expected) {
    static const char *const secrets[] = {"the own secret", "short", "own-secret-8"};
    const struct redaction how = {
        .home = "/home/alice", .secrets = secrets, .secret_count = COUNT_OF(secrets)};
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    char *got CLEANUP(freep) = NULL;
    assert_ok(redact(span_str(text), &how, &out));
    assert_ok(buf_to_str(&out, &got));
    assert_string_equal(got, expected);
}

static void secrets_go(void **state) {
    (void)state;
    check_redacted("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\nQQ==\n"
                   "-----END OPENSSH PRIVATE KEY-----\nafter\n",
                   "[private key removed]\nafter\n");
    check_redacted("x -----BEGIN RSA PRIVATE KEY-----\nMII", "[private key removed]\n");
    check_redacted("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2\n"
                   "---- END SSH2 ENCRYPTED PRIVATE KEY ----\nx\n",
                   "[private key removed]\nx\n");
    check_redacted("PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAAIHx\n"
                   "Private-MAC: 00\n",
                   "PuTTY-User-Key-File-3: ssh-ed25519\n[private key removed]\n");
    check_redacted("a pgs_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG b\n",
                   "a [token removed] b\n");
    check_redacted("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln\n", "[token removed]\n");
    check_redacted("Authorization: Bearer x y\n", "Authorization: [removed]\n");
    check_redacted("curl -H \"bearer abc\"\n", "curl -H \"bearer [removed]\n");
    check_redacted("# my password is not told, password: hunter2 really\n",
                   "# my password is not told, password: [removed]\n");
    check_redacted("export POSTERN_API_KEY=abc\n", "export POSTERN_API_KEY=[removed]\n");
    check_redacted("hpc_password = 'a b'\n", "hpc_password = [removed]\n");
    check_redacted("{\"access_token\": \"x\"}\n", "{\"access_token\": [removed]\n");
    check_redacted("ProxyCommand sshpass -p geheim ssh -W %h:%p ela\n",
                   "ProxyCommand sshpass [removed]\n");
    check_redacted("  SetEnv FOO=bar\nsetenv FOO=bar\n", "SetEnv [removed]\nSetEnv [removed]\n");
    check_redacted("https://alice:pw@proxy:8080/\n", "https://[removed]@proxy:8080/\n");
    check_redacted("tokenown-secret-8x: y\n", "token[secret removed]x: [removed]\n");
    check_redacted("it is the own secret, short\n", "it is [secret removed], short\n");
    check_redacted("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP\n", "[32 characters removed]\n");
    check_redacted("/home/alice/b64/kJ3hGf5sD8aQ1zX2cV4bN6mM7lK9pO0iUyTrE\n",
                   "~/b64/[37 characters removed]\n");
    check_redacted("x\x1b[31m\r\n", "x?[31m\n");
    check_redacted("the key AAAAC3NzaC1lZDI1NTE5AAAAIFdXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dX\n",
                   "the key [SHA256:P6pbTpts0iTL84lSwGk5tgLqmjC+VAl4EAaVX2aAssQ]\n");
}

static void the_rest_stays(void **state) {
    (void)state;
    static const char *const kept[] = {
        ("debug1: Offering public key: x ED25519 "
         "SHA256:P6pbTpts0iTL84lSwGk5tgLqmjC+VAl4EAaVX2aAssQ agent\n"),
        "debug2: host key algorithms: ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256\n",
        "debug1: Authentications that can continue: publickey,password\n",
        "passwordauthentication yes\nnumberofpasswordprompts 3\n",
        "debug1: Local version string SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\n",
        "/usr/lib/x86_64-linux-gnu/openssh/Sftp-Server-Number1\n",
        "https://authority.example.org:8443/api/v1\n",
        "posterngate: your certificate 202800351141013664 expired\n",
        "/home/alicette/x\n",
    };
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        check_redacted(kept[i], kept[i]);
    }
    check_redacted("/home/alice/.ssh/config line 3, /home/alice\n", "~/.ssh/config line 3, ~\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ssh_says),       cmocka_unit_test(ssh_details),
        cmocka_unit_test(ssh_long),       cmocka_unit_test(config_looks),
        cmocka_unit_test(config_finds),   cmocka_unit_test(edits),
        cmocka_unit_test(marked_lines),   cmocka_unit_test(secrets_go),
        cmocka_unit_test(the_rest_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
