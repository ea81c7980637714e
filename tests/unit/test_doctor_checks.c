/* The doctor's judgement: facts in, the first thing that is wrong out. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "cli/doctor/checks.h"

enum { NOW = 1775000000 };

static const char document_text[] =
    "{\"site\": \"cscs\", \"policy\": {\"encryptedKeysRequired\": true, \"rsaBitsMin\": 3072},"
    " \"hostCaKeys\": [], \"userCaKeys\": [], \"defaultKeyFile\": \"~/.ssh/cscs-key\","
    " \"jumpHosts\": [{\"name\": \"ela\", \"address\": \"ela.example\", \"port\": 22}],"
    " \"clusters\": [{\"name\": \"daint\", \"address\": \"daint.example\", \"port\": 22}]}";

static char site_name[] = "cscs", site_url[] = "https://authority.example";
static struct site site = {.name = site_name, .url = site_url};
static struct facts facts;
static struct finding findings[CHECKS_MAX];

#define set(field, text) facts_cut((field), sizeof(field), span_str(text))

static void fill_hop(struct fact_ssh *ssh, const char *alias, const char *hostname) {
    ssh->known = true;
    ssh->identities_only = true;
    set(ssh->alias, alias);
    set(ssh->hostname, hostname);
    set(ssh->port, "22");
    set(ssh->user, "alice");
    set(ssh->known_hosts, "/h/.config/posterngate/cscs/known_hosts");
    set(ssh->identities.items[0], "/h/.ssh/cscs-key");
    ssh->identities.count = 1;
}

static void fill_file(struct fact_file *file, const char *path, mode_t mode) {
    set(file->path, path);
    file->there = file->readable = file->ours = true;
    file->mode = mode;
}

static void fill_cert(void) {
    struct cert *cert;
    assert_ok(cert_new(&cert));
    assert_ok(cert_add_principal(cert, "alice"));
    cert->serial = 7;
    cert->valid_after = NOW - 3600;
    cert->valid_before = NOW + 86400;
    facts.look = (struct look){.state = LOOK_VALID, .cert = cert};
}

/* alice at daint, by ela, with all in order. */
static int healthy(void **state) {
    (void)state;
    site.document = json_loads(document_text, 0, NULL);
    facts_init(&facts, &site);
    facts.now = facts.date = NOW;
    facts.has_date = facts.default_key = true;
    set(facts.home, "/h");
    set(facts.username, "alice");
    facts.ssh_version = 902;
    facts.authority = AUTHORITY_ANSWERS;
    facts.session = SESSION_GOOD;
    facts.whoami = json_pack("{s:[s]}", "clusters", "daint");
    facts.certificates = json_pack("{s:[]}", "sshKeys");
    fill_file(&facts.folder, "/h/.ssh", 0700);
    fill_file(&facts.config, "/h/.ssh/config", 0600);
    fill_file(&facts.site_config, "/h/.ssh/config.d/posterngate-cscs", 0600);
    fill_file(&facts.key.file, "/h/.ssh/cscs-key", 0600);
    facts.key.content = KEY_PRIVATE;
    facts.key.encrypted = true;
    facts.paths.path = strdup("/h/.ssh/cscs-key");
    facts.paths.cert_path = strdup("/h/.ssh/cscs-key-cert.pub");
    fill_cert();
    facts.agent.origin = AGENT_OF_ENVIRONMENT;
    facts.agent_known = true;
    facts.config_look = (struct config_look){.include_line = 1};
    facts.target_kind = TARGET_CLUSTER;
    set(facts.cluster, "daint");
    fill_hop(&facts.target, "daint", "daint.example");
    fill_hop(&facts.jump, "ela", "ela.example");
    set(facts.target.proxy_jump, "ela");
    facts.first_hop.result = PROBE_SSH;
    facts.tried = true;
    return 0;
}

static int done(void **state) {
    (void)state;
    facts_done(&facts);
    json_decref(site.document);
    return 0;
}

static const struct finding *finding_of(const char *name) {
    for (size_t i = 0; i < check_count; i++) {
        if (strcmp(checks[i].name, name) == 0) {
            return &findings[i];
        }
    }
    fail_msg("there is no check %s", name);
    return NULL;
}

/* Just this one is broken, with these words and this command; ssh fails as well. */
static void expect_only(const char *name, const char *words, const char *command) {
    facts.try_status = 255;
    facts.verdict.outcome = SSH_UNKNOWN;
    checks_run(&facts, findings);
    for (size_t i = 0; i < check_count; i++) {
        bool expected = strcmp(checks[i].name, name) == 0 || strcmp(checks[i].name, "login") == 0;
        if ((findings[i].health == HEALTH_BROKEN) != expected) {
            fail_msg("%s: %s", checks[i].name, findings[i].words);
        }
    }
    assert_non_null(strstr(finding_of(name)->words, words));
    assert_string_equal(finding_of(name)->mend.command, command);
}

static void all_in_order(void **state) {
    (void)state;
    checks_run(&facts, findings);
    for (size_t i = 0; i < check_count; i++) {
        if (findings[i].health == HEALTH_BROKEN) {
            fail_msg("%s: %s", checks[i].name, findings[i].words);
        }
        assert_true(findings[i].words[0] != '\0');
    }
    assert_int_equal(finding_of("login")->health, HEALTH_FINE);
}

/* What nobody has looked at is not called fine. */
static void nothing_known(void **state) {
    (void)state;
    struct facts empty;
    facts_init(&empty, &site);
    empty.paths.path = strdup("/h/.ssh/k");
    empty.paths.cert_path = strdup("/h/.ssh/k-cert.pub");
    checks_run(&empty, findings);
    static const char *const unknown[] = {"clock",    "authority",  "account",
                                          "keyModes", "passphrase", "revocation",
                                          "settings", "way",        "login"};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_int_equal(finding_of(unknown[i])->health, HEALTH_UNKNOWN);
    }
    facts_done(&empty);
}

static void clocks(void **state) {
    (void)state;
    facts.now = NOW + 7200;
    expect_only("clock", "2h ahead of", "sudo timedatectl set-ntp true");
    assert_false(mend_is_doable(&finding_of("clock")->mend));
    /* By the authority's clock the certificate is good, whatever this one says. */
    facts.now = NOW + 30 * 86400;
    facts.look.state = LOOK_EXPIRED;
    expect_only("clock", "30d ahead of", "sudo timedatectl set-ntp true");
    facts.now = NOW - 60;
    facts.look.state = LOOK_VALID;
    checks_run(&facts, findings);
    assert_int_equal(finding_of("clock")->health, HEALTH_NOTE);
}

static void old_clients(void **state) {
    (void)state;
    facts.ssh_version = 604;
    expect_only("ssh", "6.4, which is too old for Ed25519", "sudo apt install openssh-client");
    facts.ssh_version = 702;
    assert_ok(buf_add_str(&facts.site_config_text, "Host daint\n ProxyJump ela\n"));
    expect_only("ssh", "7.2, which does not know ProxyJump", "postern config");
    struct private_key *rsa CLEANUP(private_key_freep) = NULL;
    assert_ok(private_key_generate(KEY_RSA, 3072, &rsa));
    assert_ok(key_copy(private_key_public(rsa), &facts.key.public));
    assert_ok(key_copy(private_key_public(rsa), &facts.look.cert->key));
    expect_only("ssh", "7.2, which is too old for certificates of RSA keys with SHA-2",
                "postern keygen -t ed25519 -f /h/.ssh/cscs-key-ed25519");
    facts.ssh_status = 127;
    expect_only("ssh", "there is no ssh", "sudo apt install openssh-client");
}

static void accounts(void **state) {
    (void)state;
    set(facts.cluster, "santis");
    expect_only("account", "reaches santis, but: daint", "postern whoami");
    json_decref(facts.whoami);
    facts.whoami = json_pack("{s:[]}", "clusters");
    expect_only("account", "reaches a cluster", "postern whoami");
}

static void modes(void **state) {
    (void)state;
    facts.folder.mode = 0755;
    expect_only("folder", "mode 755", "chmod 700 ~/.ssh");
    facts.folder.mode = 0700;
    facts.key.file.mode = 0640;
    expect_only("keyModes", "mode 640", "chmod 600 ~/.ssh/cscs-key");
    facts.key.file.mode = 0600;
    facts.config.mode = 0620;
    expect_only("configFile", "mode 620", "chmod 600 ~/.ssh/config");
    facts.config.ours = false;
    expect_only("configFile", "somebody else", "sudo chown \"$USER\" ~/.ssh/config");
}

static void keys(void **state) {
    (void)state;
    static const struct {
        enum key_content content;
        const char *words, *command;
    } cases[] = {
        {KEY_ABSENT, "there is no key", "postern keygen -f /h/.ssh/cscs-key"},
        {KEY_PPK, "PuTTY",
         "postern key convert /h/.ssh/cscs-key --to openssh -o /h/.ssh/cscs-key --force"},
        {KEY_PRIVATE_CR, "CR LF", "sed -i 's/\\r$//' ~/.ssh/cscs-key"},
        {KEY_OLD_DSA, "DSA",
         "mv ~/.ssh/cscs-key ~/.ssh/cscs-key.was && postern keygen -f ~/.ssh/cscs-key"},
        {KEY_STRANGE, "no private key", "postern key inspect ~/.ssh/cscs-key"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        facts.key.content = cases[i].content;
        expect_only("key", cases[i].words, cases[i].command);
    }
    facts.key.content = KEY_PRIVATE;
    facts.key.encrypted = false;
    expect_only("passphrase", "demands private keys with a passphrase",
                "ssh-keygen -p -a 100 -f /h/.ssh/cscs-key");
}

static void certificates(void **state) {
    (void)state;
    facts.look.cert->valid_before = NOW - 60;
    expect_only("certificate", "expired a minute ago", "postern sign");
    facts.session = SESSION_NONE;
    expect_only("certificate", "nobody is signed in to get a new one", "postern login");
    facts.session = SESSION_GOOD;
    facts.look.cert->valid_before = NOW + 86400;
    set(facts.username, "bob");
    set(facts.target.user, "bob");
    set(facts.jump.user, "bob");
    expect_only("certificate", "not for bob but for alice", "postern sign");
    facts.look.state = LOOK_MISSING;
    facts.site_named = true;
    facts.default_key = false;
    expect_only("certificate", "there is no certificate",
                "postern --site cscs sign -f /h/.ssh/cscs-key");
}

static void revoked(void **state) {
    (void)state;
    json_t *row =
        json_pack("{s:s, s:s, s:s}", "serialNumber", "7", "status", "revoked", "reason", "lost");
    assert_int_equal(json_array_append_new(json_object_get(facts.certificates, "sshKeys"), row), 0);
    expect_only("revocation", "the certificate 7 was revoked: lost", "postern sign");
    /* Where ssh gets in by something else, it is worth knowing and no more. */
    facts.try_status = 0;
    checks_run(&facts, findings);
    assert_int_equal(finding_of("revocation")->health, HEALTH_NOTE);
}

static void settings(void **state) {
    (void)state;
    assert_ok(buf_add_str(&facts.config_text, "\nHost daint\n  User bob\n"));
    set(facts.target.user, "bob");
    expect_only("settings", "logs in to daint as bob, and your account is alice, as line 3 of",
                "postern config");
    set(facts.target.user, "alice");
    facts.target.proxy_jump[0] = facts.jump.alias[0] = '\0';
    expect_only("settings", "the way leads over ela", "postern config");
}

/* What ssh and the gate said, where everything before looked good. */
static void verdicts(void **state) {
    (void)state;
    static const struct {
        struct ssh_verdict verdict;
        enum health health;
        const char *words, *command;
    } cases[] = {
        {{SSH_GATE_SAID, .said = "your certificate is revoked; get a new one: postern sign"},
         HEALTH_BROKEN,
         "ela says: your certificate is revoked",
         "postern sign"},
        {{SSH_GATE_SAID, .said = "your account is not good from here: postern access"},
         HEALTH_BROKEN,
         "ela says: your account",
         "postern access --from everywhere"},
        {{SSH_GATE_SAID, .said = "no job of yours runs on this node; see: postern jobs"},
         HEALTH_BROKEN,
         "no job of yours",
         "postern jobs"},
        {{SSH_KEY_CHANGED, .file = "/h/.ssh/known_hosts", .line = 3, .shown = "SHA256:x"},
         HEALTH_BROKEN,
         "somebody may be in between",
         ""},
        {{SSH_TOO_MANY, .offered = 9}, HEALTH_BROKEN, "offered 9 keys", "ssh-add -D"},
        /* The key has a passphrase, no agent has it, and nobody could be asked. */
        {{SSH_DENIED, .host = "ela.example"},
         HEALTH_UNKNOWN,
         "would ask for the passphrase",
         "ssh daint"},
        {{SSH_CHANNEL_FAILED, .said = "open failed"},
         HEALTH_BROKEN,
         "does not lead on to daint",
         ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        facts.try_status = 255;
        facts.verdict = cases[i].verdict;
        checks_run(&facts, findings);
        const struct finding *login = finding_of("login");
        assert_int_equal(login->health, cases[i].health);
        assert_non_null(strstr(login->words, cases[i].words));
        assert_string_equal(login->mend.command, cases[i].command);
    }
    facts.key.encrypted = false;
    facts.verdict = (struct ssh_verdict){SSH_DENIED, .host = "daint.example"};
    checks_run(&facts, findings);
    assert_non_null(strstr(finding_of("login")->words, "daint.example took none"));
}

static void jobs(void **state) {
    (void)state;
    facts.target_kind = TARGET_INSIDE;
    facts.cluster[0] = '\0';
    fill_hop(&facts.target, "nid1", "nid1");
    facts.jobs = json_pack("{s:[]}", "jobs");
    facts.ended_jobs = json_pack("{s:[{s:s, s:[s], s:s}]}", "jobs", "job", "47", "nodes", "nid1",
                                 "endedTime", "2026-03-31T23:00:00Z");
    expect_only("job", "your job 47, which nid1 was of, ended", "postern jobs");
    json_decref(facts.jobs);
    facts.jobs = json_pack("{s:[{s:s, s:[s]}]}", "jobs", "job", "48", "nodes", "nid1");
    checks_run(&facts, findings);
    assert_non_null(strstr(finding_of("job")->words, "your job 48 runs there"));
}

/* Two words of a shell stay two words. */
static void commands(void **state) {
    (void)state;
    struct finding finding = {0};
    mend_run(&finding, "rm", "a b", "", NULL);
    assert_string_equal(finding.mend.command, "rm 'a b' ''");
    assert_int_equal(finding.mend.word_count, 3);
}

#define HEALTHY(test) cmocka_unit_test_setup_teardown(test, healthy, done)

int main(void) {
    const struct CMUnitTest tests[] = {
        HEALTHY(all_in_order), HEALTHY(nothing_known), HEALTHY(clocks),   HEALTHY(old_clients),
        HEALTHY(accounts),     HEALTHY(modes),         HEALTHY(keys),     HEALTHY(certificates),
        HEALTHY(revoked),      HEALTHY(settings),      HEALTHY(verdicts), HEALTHY(jobs),
        HEALTHY(commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
