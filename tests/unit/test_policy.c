/* The policy and serial numbers: the refused cases first, then that nothing widens. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "model/policy.h"
#include "model/scope.h"

static const char line_ed25519[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2EU//FmLhxkNDQ5eWmdUzITomXZPoClQY3ggRi5N"
    "IW";
static const char line_ecdsa[] =
    "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBKdOq3"
    "+E3uORUCCx0qPTYCWrw38f5NiOcInKSdk6qKxUDr6LfbnGJoHW+SynAuLjt4YC+OpRRR8Xgvwb+BEX"
    "aIoNChmfeSXvsJkLZu9zxOiRlE03avv8YbcbgZoMTvLrpw==";
static const char line_rsa_2048[] =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDUeqFckw8zQbZPdktvlu9L3iHAj2lOrBWcuIATp/"
    "dSXaHhP+EZRXgBbxnjCDXfMZKs3U5f6GDU5yATQxc5ml5+JEvvDEASI82cva0SHYf7zQRCimuv3vJQ"
    "y7J68AmdQ2mPgtH7+QcHdXKTYbxVUtpKWj3VLdpQ7eYAW75wLZi3J7/JIIxsgPVuEIuN263WErZv8E"
    "uj06yscp40psKv2CfNLil9Z0F8Wjn1GnaA6Pv9V2Hw+f88sXYWv8bmHzi3/GpYmBW8TIldbLpG3VHB"
    "ro0Lq3zM0TmioXEU9iLhgdcupzXHNmMzl4EP3sK/NSKE4oXse8r+4BVhz5d5KFqxxai5";
static const char line_rsa_3072[] =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDVelQ7bB7FNjakUIxEuPirTyBBSL6K0xlMdEVRGv"
    "9ToHoxiyKfGmbG+JopQzAMTeo0zshDVzDfvPkqP5KThKLsocXmvj9BBMD3+kTW/oo+rL1WGQDdUY3s"
    "f72t7QT35ITcVGvbHlL/f/ugYQoQJvCAObZVvG9RssXWPGKeHntiHaqyQSmB9XyIV2bE10NgY4eSzT"
    "gYWd5MFiNYJPKBehtAS1QglArhStEBjjwpZuKjlY4afCuPNzYbfqNHLu+N8lhvv2jiHrZw9IGDZbNg"
    "TB7r6eMll0aHkJWb8ocVV/gUBWAAE+OUJnEYNBhOpfNpMP2nusigA7gnI73Big/f6AJyMTul5SEhz5"
    "9y2r31a7oljR/6HNlcDGhLJEmj42o5yKm4L5+ZTO4Ce9C+OP3q3EfucBokzn9JQhBhkAxCpuZ6KnaQ"
    "c0WWdiOz3WUN3DRigLgtpksc/Oe5GOIbziVfwtoPwkHyq54DufTkDmXOM9SI23Jn09EQUxf5FQRTM+"
    "xPsQ8=";
static const char line_sk_ed25519[] =
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIP2EU//"
    "FmLhxkNDQ5eWmdUzITomXZPoClQY3ggRi5NIWAAAABHNzaDo=";
static const char line_unknown[] = "ssh-future AAAACnNzaC1mdXR1cmUAAAABeA==";

enum { NOW = 1800000000, DAY = 86400 };

static struct key *key_of(const char *line) {
    struct key *key;
    assert_ok(key_parse_line(span_str(line), &key, NULL));
    return key;
}

static struct subnet_list subnets_of(const char *text) {
    struct subnet_list list = {.count = 0};
    if (*text != '\0') {
        assert_ok(subnet_list_parse(span_str(text), &list));
    }
    return list;
}

static struct inet_address address_of(const char *text) {
    struct inet_address address;
    assert_ok(inet_address_parse(span_str(text), &address));
    return address;
}

/* ---- decisions ---- */

static void test_codes(void **state) {
    (void)state;
    struct decision zero = {.allowed = false};
    assert_false(zero.allowed);
    assert_int_equal(zero.code, DECISION_undecided);
    assert_string_equal(decision_code_name(DECISION_quota_exceeded), "quota_exceeded");
    assert_int_equal(decision_code_status(DECISION_quota_exceeded), 429);
    assert_int_equal(decision_code_status(DECISION_undecided), 500);
}

static void test_key_types(void **state) {
    (void)state;
    static const struct {
        const char *line;
        const char *types; /* that the policy takes, one name each */
        enum decision_code code;
        const char *says;
    } cases[] = {
        {line_unknown, NULL, DECISION_key_type_refused, "ssh-future"},
        {line_rsa_2048, NULL, DECISION_key_size_refused, "2048 bits and at least 3072"},
        {line_rsa_3072, "ed25519", DECISION_key_type_refused, "ssh-keygen -t ed25519"},
        {line_ed25519, "rsa", DECISION_key_type_refused, "ssh-keygen -t rsa"},
        {line_ed25519, "sk-ed25519", DECISION_key_type_refused, "ssh-keygen -t ed25519-sk"},
        {line_sk_ed25519, "ed25519", DECISION_key_type_refused, "sk-ssh-ed25519@openssh.com"},
        {line_ed25519, NULL, DECISION_allowed, ""},
        {line_ecdsa, "ecdsa", DECISION_allowed, ""},
        {line_rsa_3072, NULL, DECISION_allowed, ""},
        {line_sk_ed25519, "sk-ed25519", DECISION_allowed, ""},
    };
    uint32_t bits = 5;
    assert_fails(policy_key_type_parse(span_str("dsa"), &bits), ERR_NOT_FOUND);
    assert_fails(policy_key_type_parse(span_str(""), &bits), ERR_NOT_FOUND);
    assert_int_equal(bits, 5);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct policy policy;
        struct key *key CLEANUP(key_freep) = key_of(cases[i].line);
        policy_default(&policy);
        if (cases[i].types != NULL) {
            assert_ok(policy_key_type_parse(span_str(cases[i].types), &policy.key_types));
        }
        struct decision decision = policy_key(&policy, key);
        assert_int_equal(decision.code, cases[i].code);
        assert_int_equal(decision.allowed, cases[i].code == DECISION_allowed);
        assert_non_null(strstr(decision.reason, cases[i].says));
        assert_int_equal(decision.allowed, decision.field[0] == '\0');
    }
    struct policy nothing = {.key_types = 1U << KEY_UNKNOWN}; /* also not by a stray bit */
    struct key *unknown CLEANUP(key_freep) = key_of(line_unknown);
    assert_false(policy_key(&nothing, unknown).allowed);
}

/* One request with everything in order, for tests to spoil. */
struct setting {
    struct policy policy;
    struct account account;
    struct inet_address source;
    struct subnet_list asked;
    struct cluster_list clusters;
    struct bounds bounds;
    char command[LIMIT_FORCE_COMMAND_CHARS + 2];
    struct sign_request request;
    struct sign_facts facts;
};

static void settle(struct setting *setting, const struct key *key) {
    memset(setting, 0, sizeof *setting);
    policy_default(&setting->policy);
    setting->account = (struct account){.id = 1, .name = "alice", .kind = ACCOUNT_PERSON};
    setting->source = address_of("192.0.2.7");
    setting->bounds.what = "API key";
    setting->request = (struct sign_request){
        .key = key, .subnets = &setting->asked, .clusters = &setting->clusters};
    setting->facts = (struct sign_facts){.account = &setting->account,
                                         .project_count = 1,
                                         .bounds = &setting->bounds,
                                         .source = &setting->source,
                                         .now = NOW};
}

static void spoil_no_account(struct setting *s) { s->facts.account = NULL; }
static void spoil_zero_account(struct setting *s) { s->account.id = 0; }
static void spoil_disabled(struct setting *s) { s->account.disabled = true; }
static void spoil_projects(struct setting *s) { s->facts.project_count = 0; }
static void spoil_administrator(struct setting *s) {
    s->account.administrator = true;
    s->facts.project_count = 0;
}
static void spoil_source(struct setting *s) { s->bounds.subnets = subnets_of("198.51.100.0/24"); }
static void spoil_no_source(struct setting *s) {
    s->bounds.subnets = subnets_of("192.0.2.0/24");
    s->facts.source = NULL;
}
static void spoil_key(struct setting *s) { s->request.key = NULL; }
static void spoil_long(struct setting *s) { s->request.duration_s = 30LL * DAY; }
static void spoil_between(struct setting *s) { s->request.duration_s = 3600; }
static void spoil_negative(struct setting *s) { s->request.duration_s = -60; }
static void spoil_huge(struct setting *s) { s->request.duration_s = INT64_MAX; }
static void spoil_listed_past_max(struct setting *s) {
    s->policy.duration_max_s = 60;
    s->request.duration_s = DAY;
}
static void spoil_any_past_max(struct setting *s) {
    s->policy.duration_count = 0;
    s->request.duration_s = DAY + 1;
}
static void spoil_no_default(struct setting *s) { s->policy.duration_default_s = 0; }
static void spoil_zero_policy(struct setting *s) {
    memset(&s->policy, 0, sizeof s->policy);
    s->policy.key_types = UINT32_MAX;
}
static void spoil_disjoint(struct setting *s) {
    s->policy.subnets = subnets_of("10.0.0.0/8");
    s->asked = subnets_of("192.0.2.0/24,2001:db8::/32");
}
static void spoil_disjoint_credential(struct setting *s) {
    s->bounds.subnets = subnets_of("192.0.2.0/24");
    s->asked = subnets_of("10.0.0.0/8");
}
static struct cluster_list clusters_of(const char *text) {
    struct cluster_list list;
    assert_ok(cluster_list_parse(span_str(text), &list));
    return list;
}
static void spoil_bound_duration(struct setting *s) {
    s->bounds.duration_max_s = 60;
    s->request.duration_s = DAY;
}
static void spoil_odd_bound_duration(struct setting *s) { s->bounds.duration_max_s = 61; }
static void spoil_clusters(struct setting *s) {
    s->bounds.clusters = clusters_of("daint");
    s->clusters = clusters_of("santis,eiger");
}
static void spoil_blank_subnet(struct setting *s) { s->asked.count = 2; }
static void spoil_command_off(struct setting *s) {
    s->policy.force_command_allowed = false;
    s->request.force_command = "/bin/true";
}
static void spoil_command_empty(struct setting *s) { s->request.force_command = ""; }
static void spoil_command_newline(struct setting *s) { s->request.force_command = "a\nb"; }
static void spoil_command_utf8(struct setting *s) { s->request.force_command = "a\xff"; }
static void set_command(struct setting *s, size_t chars) {
    memset(s->command, 'x', chars);
    s->command[chars] = '\0';
}
static void spoil_command_long(struct setting *s) {
    set_command(s, LIMIT_FORCE_COMMAND_CHARS + 1);
    s->request.force_command = s->command;
}
static void spoil_quota(struct setting *s) { s->facts.issued_last_day = 5; }
static void spoil_own_quota(struct setting *s) {
    s->account.quota_per_day = 2;
    s->facts.issued_last_day = 2;
}
static const struct job ended_job = {.account_id = 1, .started_at = NOW - 60, .ends_at = NOW};
static void spoil_no_job(struct setting *s) { s->request.for_job = true; }
static void spoil_ended_job(struct setting *s) {
    s->request.for_job = true;
    s->request.job = &ended_job;
}
static const struct job running_job = {
    .account_id = 1, .started_at = NOW - 60, .ends_at = NOW + 7200};
static void ask_for_job(struct setting *s) {
    s->request.for_job = true;
    s->request.job = &running_job;
}
static void spoil_another_job(struct setting *s) {
    ask_for_job(s);
    s->account.id = 2;
}
static void spoil_long_job(struct setting *s) {
    ask_for_job(s);
    s->request.duration_s = s->policy.duration_max_s + 1;
}
static void spoil_bound_job(struct setting *s) {
    static const struct cluster_list nancy = {.names = {"nancy"}, .count = 1};
    static const struct bounds lyon = {.what = "API key",
                                       .clusters = {.names = {"lyon"}, .count = 1}};
    ask_for_job(s);
    s->request.clusters = &nancy;
    s->facts.bounds = &lyon;
}
static void spoil_no_quota(struct setting *s) { s->policy.quota_per_day = 0; }

static void test_sign_refused(void **state) {
    (void)state;
    static const struct {
        void (*spoil)(struct setting *setting);
        enum decision_code code;
        const char *field;
        const char *says;
    } cases[] = {
        {spoil_no_account, DECISION_not_permitted, "", "no such account"},
        {spoil_zero_account, DECISION_not_permitted, "", "no such account"},
        {spoil_disabled, DECISION_account_disabled, "", "alice is disabled"},
        {spoil_projects, DECISION_no_project, "", "no project"},
        {spoil_administrator, DECISION_no_project, "", "no project"},
        {spoil_source, DECISION_source_refused, "", "192.0.2.7"},
        {spoil_no_source, DECISION_source_refused, "", "may not be used from"},
        {spoil_key, DECISION_key_type_refused, "publicKey", "no public key"},
        {spoil_long, DECISION_duration_refused, "duration",
         "30d is not offered here; choose one of: 1min, 1d"},
        {spoil_between, DECISION_duration_refused, "duration", "1h is not offered"},
        {spoil_negative, DECISION_duration_refused, "duration", "choose one of"},
        {spoil_huge, DECISION_duration_refused, "duration", "choose one of"},
        {spoil_listed_past_max, DECISION_duration_refused, "duration", "choose one of: 1min"},
        {spoil_any_past_max, DECISION_duration_refused, "duration", "choose any up to 1d"},
        {spoil_no_default, DECISION_duration_refused, "duration", ""},
        {spoil_zero_policy, DECISION_duration_refused, "duration", ""},
        {spoil_disjoint, DECISION_subnets_refused, "ipSubnets", "choose within: 10.0.0.0/8"},
        {spoil_disjoint_credential, DECISION_subnets_refused, "ipSubnets", "API key"},
        {spoil_bound_duration, DECISION_duration_refused, "duration", "API key last at most 1min"},
        {spoil_odd_bound_duration, DECISION_duration_refused, "duration", "choose one of"},
        {spoil_clusters, DECISION_clusters_refused, "clusters", "API key"},
        {spoil_blank_subnet, DECISION_subnets_refused, "ipSubnets", "entry 1 is not a subnet"},
        {spoil_command_off, DECISION_force_command_refused, "forceCommand", "not offered here"},
        {spoil_command_empty, DECISION_force_command_refused, "forceCommand", "empty"},
        {spoil_command_newline, DECISION_force_command_refused, "forceCommand", "control"},
        {spoil_command_utf8, DECISION_force_command_refused, "forceCommand", "UTF-8"},
        {spoil_command_long, DECISION_force_command_refused, "forceCommand", "4096"},
        {spoil_quota, DECISION_quota_exceeded, "publicKey", "5 certificates in the last 24 hours"},
        {spoil_own_quota, DECISION_quota_exceeded, "publicKey",
         "2 certificates in the last 24 hours, and 2 are allowed"},
        {spoil_no_job, DECISION_no_job, "job", "alice has no such job that runs here"},
        {spoil_ended_job, DECISION_no_job, "job", "no such job"},
        {spoil_another_job, DECISION_no_job, "job", "no such job"},
        {spoil_long_job, DECISION_duration_refused, "duration", "not offered"},
        {spoil_bound_job, DECISION_clusters_refused, "clusters", "none of these clusters"},
        {spoil_no_quota, DECISION_quota_exceeded, "publicKey", "0 are allowed"},
    };
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sign_grant grant = {.valid_before = 42};
        settle(&setting, key);
        cases[i].spoil(&setting);
        struct decision decision =
            policy_sign(&setting.policy, &setting.request, &setting.facts, &grant);
        assert_false(decision.allowed);
        assert_string_equal(decision_code_name(decision.code), decision_code_name(cases[i].code));
        assert_string_equal(decision.field, cases[i].field);
        assert_non_null(strstr(decision.reason, cases[i].says));
        assert_int_equal(grant.valid_before, 42); /* nothing is granted */
    }
}

static struct sign_grant granted(const struct setting *setting) {
    struct sign_grant grant = {.valid_before = 0};
    struct decision decision =
        policy_sign(&setting->policy, &setting->request, &setting->facts, &grant);
    if (!decision.allowed) {
        print_error("%s\n", decision.reason);
    }
    assert_true(decision.allowed);
    assert_int_equal(decision.code, DECISION_allowed);
    return grant;
}

static void test_sign_allowed(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    settle(&setting, key);
    struct sign_grant grant = granted(&setting);
    assert_int_equal(grant.valid_after, NOW - setting.policy.backdate_s);
    assert_int_equal(grant.valid_before, NOW + DAY);
    assert_true(grant.counts);
    assert_int_equal(grant.subnets.count, 0);
    assert_null(grant.force_command);

    setting.request.duration_s = 60;
    set_command(&setting, LIMIT_FORCE_COMMAND_CHARS);
    setting.request.force_command = setting.command;
    setting.request.subnets = NULL;
    setting.facts.bounds = NULL;
    setting.facts.source = NULL;
    setting.facts.issued_last_day = 4;
    grant = granted(&setting);
    assert_int_equal(grant.valid_before, NOW + 60);
    assert_ptr_equal(grant.force_command, setting.command);
    /* The quota is full, but the same key is signed again: free. */
    setting.facts.issued_last_day = 5;
    setting.facts.key_has_valid = true;
    assert_false(granted(&setting).counts);
    setting.facts.key_has_valid = false;
    setting.account.quota_per_day = 6; /* the account's own quota goes before the site's */
    assert_true(granted(&setting).counts);
}

static void test_intersections(void **state) {
    (void)state;
    static const struct {
        const char *asked, *policy, *credential, *expected;
    } cases[] = {
        {"", "10.0.0.0/8", "", "10.0.0.0/8"},
        {"10.1.0.0/16", "10.0.0.0/8", "", "10.1.0.0/16"},
        {"10.0.0.0/8", "10.1.0.0/16", "", "10.1.0.0/16"},
        {"10.0.0.0/8,::/0", "10.1.0.0/16,2001:db8::/32", "", "10.1.0.0/16,2001:db8::/32"},
        {"0.0.0.0/0", "", "192.0.2.0/24", "192.0.2.0/24"},
        {"192.0.2.0/25,10.0.0.0/8", "0.0.0.0/0", "192.0.2.0/24", "192.0.2.0/25"},
        {"192.0.2.0/25,192.0.2.0/24", "192.0.2.0/24", "", "192.0.2.0/24"},
    };
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text CLEANUP(buf_done) = BUF(4096);
        settle(&setting, key);
        setting.asked = subnets_of(cases[i].asked);
        setting.policy.subnets = subnets_of(cases[i].policy);
        setting.bounds.subnets = subnets_of(cases[i].credential);
        struct sign_grant grant = granted(&setting);
        assert_ok(subnet_list_print(&grant.subnets, &text));
        assert_true(span_equal_str(buf_span(&text), cases[i].expected));
    }
}

/* ---- the property: a policy never widens ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15;
static uint32_t random_below(uint32_t bound) {
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(random_state >> 33) % bound;
}

/* Few distinct bits, so that subnets meet often. */
static struct subnet_list random_subnets(void) {
    struct subnet_list list = {.count = random_below(4)};
    for (size_t i = 0; i < list.count; i++) {
        struct inet_subnet *subnet = &list.subnets[i];
        *subnet = (struct inet_subnet){.prefix_bits = (uint8_t)random_below(7)};
        subnet->address.family_bits = random_below(3) == 0 ? 128 : 32;
        uint32_t mask = subnet->prefix_bits == 0 ? 0 : 0xff00U >> subnet->prefix_bits & 0xff;
        subnet->address.bytes[0] = (uint8_t)(random_below(64) << 2 & mask);
    }
    return list;
}

static void expect_shrunk(const struct subnet_list *subnets, const struct subnet_list *by) {
    for (size_t i = 0; by->count != 0 && i < subnets->count; i++) {
        bool covered = false;
        for (size_t j = 0; j < by->count; j++) {
            covered = covered || inet_subnet_covers(&by->subnets[j], &subnets->subnets[i]);
        }
        assert_true(covered);
    }
    assert_true(by->count == 0 || subnets->count != 0);
}

/* What the grant allows is just what all three allow. */
static void expect_exact(const struct setting *setting, const struct subnet_list *subnets) {
    for (unsigned bits = 0; bits < 256; bits += 4) {
        struct inet_address address = {.bytes = {(uint8_t)bits},
                                       .family_bits = bits % 8 == 0 ? 32 : 128};
        bool all = subnet_list_allows(&setting->asked, &address) &&
                   subnet_list_allows(&setting->policy.subnets, &address) &&
                   subnet_list_allows(&setting->bounds.subnets, &address);
        assert_int_equal(subnet_list_allows(subnets, &address), all);
    }
}

static void test_never_widens(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    unsigned allowed = 0;
    for (int i = 0; i < 20000; i++) {
        struct sign_grant grant;
        settle(&setting, key);
        setting.asked = random_subnets();
        setting.policy.subnets = random_subnets();
        setting.bounds.subnets = random_subnets();
        setting.source.bytes[0] = (uint8_t)random_below(256);
        setting.policy.duration_count = random_below(3);
        setting.policy.duration_max_s = random_below(2 * DAY);
        setting.request.duration_s = random_below(2) == 0 ? 60 : random_below(2 * DAY);
        setting.facts.issued_last_day = random_below(7);
        struct decision decision =
            policy_sign(&setting.policy, &setting.request, &setting.facts, &grant);
        assert_int_equal(decision.allowed, decision.code == DECISION_allowed);
        assert_int_equal(decision.allowed, decision.reason[0] == '\0');
        if (!decision.allowed) {
            continue;
        }
        allowed++;
        expect_shrunk(&grant.subnets, &setting.asked);
        expect_shrunk(&grant.subnets, &setting.policy.subnets);
        expect_shrunk(&grant.subnets, &setting.bounds.subnets);
        expect_exact(&setting, &grant.subnets);
        assert_true(grant.valid_before <= NOW + setting.policy.duration_max_s);
        assert_true(grant.valid_before > NOW && grant.valid_after < NOW);
        assert_true(setting.facts.issued_last_day < 5);
    }
    assert_true(allowed > 1000);
}

/* ---- jobs ---- */

/* It is bound as any other, and ends with the job; neither the list of durations nor the quota is
 * asked. */
static void test_sign_for_a_job(void **state) {
    (void)state;
    static const struct cluster_list nancy = {.names = {"nancy"}, .count = 1};
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    settle(&setting, key);
    ask_for_job(&setting);
    setting.request.clusters = &nancy;
    setting.facts.issued_last_day = 5;
    setting.account.subnets = subnets_of("192.0.2.0/24");
    struct sign_grant grant = granted(&setting);
    assert_int_equal(grant.valid_before, running_job.ends_at);
    assert_int_equal(grant.valid_after, NOW - setting.policy.backdate_s);
    assert_int_equal(grant.subnets.count, 1);
    assert_int_equal(grant.clusters.count, 0); /* the principal is the job's, and it names it */
    assert_false(grant.counts);
    setting.request.duration_s = 3600;
    assert_int_equal(granted(&setting).valid_before, NOW + 3600);
    struct job endless = running_job;
    endless.ends_at = 0;
    setting.request.job = &endless;
    setting.request.duration_s = 0;
    assert_int_equal(granted(&setting).valid_before, NOW + setting.policy.duration_max_s);
}

static void test_jobs(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    struct policy policy;
    policy_default(&policy);
    const struct account alice = {.id = 7, .name = "alice"};
    const struct job running = {
        .account_id = 7, .name = "1234", .started_at = NOW - 60, .ends_at = NOW + 600};
    const struct sign_grant untouched = {.valid_before = 1};
    struct sign_grant grant = untouched;
    struct job bad[4] = {running, running, running, running};
    bad[0].account_id = 8;
    bad[1].ended_at = NOW - 1;
    bad[2].started_at = NOW + 1;
    bad[3].ends_at = NOW;
    for (size_t i = 0; i <= COUNT_OF(bad); i++) {
        struct decision decision =
            policy_sign_job(&policy, key, &alice, i < COUNT_OF(bad) ? &bad[i] : NULL, NOW, &grant);
        assert_false(decision.allowed);
        assert_int_equal(decision.code, DECISION_no_job);
        assert_string_equal(decision.reason, "alice has no such job that runs here");
        assert_memory_equal(&grant, &untouched, sizeof grant);
    }
    struct account disabled = alice;
    disabled.disabled = true;
    assert_int_equal(policy_sign_job(&policy, key, &disabled, &running, NOW, &grant).code,
                     DECISION_account_disabled);
    policy.key_types = 0;
    assert_int_equal(policy_sign_job(&policy, key, &alice, &running, NOW, &grant).code,
                     DECISION_key_type_refused);
    assert_memory_equal(&grant, &untouched, sizeof grant);
    policy_default(&policy);
    policy.internal_subnets = subnets_of("10.0.0.0/8");
    assert_true(policy_sign_job(&policy, key, &alice, &running, NOW, &grant).allowed);
    assert_int_equal(grant.valid_before, NOW + 600);
    assert_int_equal(grant.valid_after, NOW - policy.backdate_s);
    assert_int_equal(grant.subnets.count, 1);
    assert_false(grant.counts);
    struct account choosy = alice;
    choosy.subnets = subnets_of("192.0.2.0/24,192.0.3.0/24");
    assert_true(policy_sign_job(&policy, key, &choosy, &running, NOW, &grant).allowed);
    assert_int_equal(grant.subnets.count, 1);
    policy.internal_subnets.count = 0;
    assert_true(policy_sign_job(&policy, key, &choosy, &running, NOW, &grant).allowed);
    assert_int_equal(grant.subnets.count, 2);
    /* A job without an end, and one that outlasts what may be signed. */
    for (int64_t ends_at = 0; ends_at <= NOW + 30 * DAY; ends_at += NOW + 30 * DAY) {
        struct job longer = running;
        longer.ends_at = ends_at;
        assert_true(policy_sign_job(&policy, key, &alice, &longer, NOW, &grant).allowed);
        assert_int_equal(grant.valid_before, NOW + policy.duration_max_s);
    }
}

/* ---- certificates ---- */

static void test_fill_cert(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    static struct setting setting;
    settle(&setting, key);
    setting.asked = subnets_of("192.0.2.0/24");
    setting.request.force_command = "/bin/true";
    struct sign_grant grant = granted(&setting);
    assert_ok(cert_new(&cert));
    assert_ok(policy_fill_cert(&setting.policy, &grant, setting.account.name, "alice@example.org",
                               key, cert));
    assert_int_equal(cert->type, CERT_USER);
    assert_true(key_equal(cert->key, key));
    assert_string_equal(cert->key_id, "alice@example.org");
    assert_int_equal(cert->principal_count, 1);
    assert_string_equal(cert->principals[0], "alice");
    assert_int_equal(cert->valid_before, NOW + DAY);
    assert_int_equal(cert->critical_option_count, 2);
    assert_string_equal(cert->critical_options[0].name, "force-command");
    assert_string_equal(cert->critical_options[0].value, "/bin/true");
    assert_string_equal(cert->critical_options[1].value, "192.0.2.0/24");
    assert_int_equal(cert->extension_count, 5);
    for (size_t i = 1; i < cert->extension_count; i++) {
        assert_true(strcmp(cert->extensions[i - 1].name, cert->extensions[i].name) < 0);
    }

    struct cert *refused CLEANUP(cert_freep) = NULL;
    assert_ok(cert_new(&refused));
    (void)snprintf(setting.account.name, sizeof setting.account.name, "alice,root");
    assert_fails(policy_fill_cert(&setting.policy, &grant, setting.account.name, "x", key, refused),
                 ERR_PRINCIPAL);
}

/* ---- registered keys ---- */

static void test_register(void **state) {
    (void)state;
    enum { MAX_S = 90 * DAY, USUAL_S = 30 * DAY };
    static const struct {
        int64_t expires_at, duration_s, usual_s, max_s;
        int64_t until; /* -1: refused */
    } cases[] = {
        {.expires_at = NOW, .until = -1},
        {.expires_at = NOW - 1, .max_s = MAX_S, .until = -1},
        {.expires_at = NOW + MAX_S + 1, .max_s = MAX_S, .until = -1},
        {.duration_s = MAX_S + 1, .max_s = MAX_S, .until = -1},
        {.max_s = MAX_S, .until = -1}, /* for good; posternd.yaml's reader sets a usual time */
        {.until = 0},
        {.expires_at = NOW + 1, .until = NOW + 1},
        {.duration_s = MAX_S, .max_s = MAX_S, .until = NOW + MAX_S},
        {.usual_s = USUAL_S, .max_s = MAX_S, .until = NOW + USUAL_S},
        {.usual_s = USUAL_S, .duration_s = 60, .until = NOW + 60},
    };
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct policy policy;
        int64_t until = -1;
        policy_default(&policy);
        policy.registered_key_default_s = cases[i].usual_s;
        policy.registered_key_max_s = cases[i].max_s;
        const struct register_request request = {key, cases[i].expires_at, cases[i].duration_s};
        struct decision decision = policy_register(&policy, &request, NOW, &until);
        assert_int_equal(decision.allowed, cases[i].until >= 0);
        assert_int_equal(decision.code,
                         decision.allowed ? DECISION_allowed : DECISION_expiry_refused);
        assert_int_equal(until, cases[i].until);
    }
}

static void test_register_refused(void **state) {
    (void)state;
    struct policy policy;
    int64_t until = -1;
    policy_default(&policy);
    struct key *small CLEANUP(key_freep) = key_of(line_rsa_2048);
    struct register_request request = {.key = small};
    assert_int_equal(policy_register(&policy, &request, NOW, &until).code,
                     DECISION_key_size_refused);
    policy.registered_keys_allowed = false;
    assert_int_equal(policy_register(&policy, &request, NOW, &until).code, DECISION_keys_refused);
    assert_int_equal(until, -1);
}

/* What the account chose holds, wider by the jump hosts that it comes through and by nothing else.
 */
static void test_own_subnets(void **state) {
    (void)state;
    static const struct {
        const char *own, *jumps, *asked, *site;
        const char *granted; /* NULL: refused */
    } cases[] = {
        {"", "192.0.2.1", "", "", ""}, /* no restriction, nothing to widen */
        {"10.0.0.0/8", "", "", "", "10.0.0.0/8"},
        {"10.0.0.0/8", "192.0.2.1", "", "", "10.0.0.0/8,192.0.2.1/32"},
        {"10.0.0.0/8", "192.0.2.1", "10.1.0.0/16", "", "10.1.0.0/16"},
        {"10.0.0.0/8", "192.0.2.1", "", "10.2.0.0/16", "10.2.0.0/16"},
        {"10.0.0.0/8", "192.0.2.1", "11.0.0.0/8", "", NULL},
        {"10.0.0.0/8", "", "", "11.0.0.0/8", NULL},
    };
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text CLEANUP(buf_done) = BUF(LIMIT_SUBNETS_COUNT * INET_CHARS);
        struct sign_grant grant = {.valid_before = 0};
        settle(&setting, key);
        struct subnet_list jumps = subnets_of(cases[i].jumps), asked = subnets_of(cases[i].asked);
        setting.account.subnets = subnets_of(cases[i].own);
        setting.policy.subnets = subnets_of(cases[i].site);
        setting.facts.jump_hosts = &jumps;
        setting.facts.bounds = NULL;
        setting.request.subnets = &asked;
        struct decision decision =
            policy_sign(&setting.policy, &setting.request, &setting.facts, &grant);
        assert_int_equal(decision.allowed, cases[i].granted != NULL);
        if (decision.allowed) {
            assert_ok(subnet_list_print(&grant.subnets, &text));
            assert_true(span_equal_str(buf_span(&text), cases[i].granted));
        } else {
            assert_int_equal(decision.code, DECISION_subnets_refused);
        }
    }
}

static void test_own_subnets_full(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    settle(&setting, key);
    struct subnet_list none = {.count = 0}, jumps = subnets_of("192.0.2.1");
    setting.request.subnets = &none;
    setting.facts.bounds = NULL;
    setting.facts.jump_hosts = &jumps;
    for (unsigned i = 0; i < LIMIT_SUBNETS_COUNT; i++) {
        struct inet_subnet *subnet = &setting.account.subnets.subnets[i];
        *subnet = (struct inet_subnet){.address = address_of("10.0.0.0"), .prefix_bits = 24};
        subnet->address.bytes[2] = (uint8_t)i;
    }
    setting.account.subnets.count = LIMIT_SUBNETS_COUNT - 1;
    assert_int_equal(granted(&setting).subnets.count, LIMIT_SUBNETS_COUNT);
    setting.account.subnets.count = LIMIT_SUBNETS_COUNT;
    struct sign_grant grant;
    struct decision decision =
        policy_sign(&setting.policy, &setting.request, &setting.facts, &grant);
    assert_int_equal(decision.code, DECISION_subnets_refused);
    assert_non_null(strstr(decision.reason, "postern access"));
}

/* ---- serial numbers ---- */

static const int64_t epoch_ms = 1577836800000;

static void test_serials(void **state) {
    (void)state;
    static const int64_t times[] = {0,
                                    -5,
                                    epoch_ms,
                                    epoch_ms + 5,
                                    epoch_ms + 5,
                                    epoch_ms + 2,
                                    INT64_MIN,
                                    epoch_ms + 1000,
                                    1800000000000,
                                    1700000000000};
    struct serial_source source = {.replica = 3};
    uint64_t last = 0;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        uint64_t serial = serial_next(&source, times[i]);
        assert_true(serial > last && serial <= INT64_MAX);
        assert_int_equal(serial >> 12 & 1023, 3);
        last = serial;
    }
    /* Time part, replica, counter. */
    struct serial_source fresh = {.replica = 1023};
    assert_int_equal(serial_next(&fresh, epoch_ms + 7), 7ULL << 22 | 1023ULL << 12);
    assert_int_equal(serial_next(&fresh, epoch_ms + 7), 7ULL << 22 | 1023ULL << 12 | 1);
    assert_int_equal(serial_next(&fresh, epoch_ms + 8), 8ULL << 22 | 1023ULL << 12);
}

/* More in a millisecond than the counter holds: the serials run ahead of the clock. */
static void test_serials_exhausted(void **state) {
    (void)state;
    struct serial_source source = {.replica = 0};
    uint64_t last = 0;
    for (int i = 0; i < 3 * 4096 + 1; i++) {
        uint64_t serial = serial_next(&source, epoch_ms + 100);
        assert_true(serial > last);
        last = serial;
    }
    assert_int_equal(last >> 22, 103);
    assert_true(serial_next(&source, epoch_ms + 101) > last);
    assert_int_equal(serial_next(&source, epoch_ms + 200) >> 22, 200);
}

static void test_serials_of_replicas(void **state) {
    (void)state;
    static uint64_t seen[2][5000];
    struct serial_source sources[] = {{.replica = 1}, {.replica = 2}};
    for (size_t i = 0; i < COUNT_OF(seen[0]); i++) {
        for (size_t j = 0; j < COUNT_OF(sources); j++) {
            seen[j][i] = serial_next(&sources[j], epoch_ms + (int64_t)random_below(50));
        }
    }
    /* Both rows increase, so one walk finds every meeting. */
    for (size_t i = 0, j = 0; i < COUNT_OF(seen[0]) && j < COUNT_OF(seen[1]);) {
        assert_true(seen[0][i] != seen[1][j]);
        if (seen[0][i] < seen[1][j]) {
            i++;
        } else {
            j++;
        }
    }
}

/* What a credential is bound to holds for its certificates. */
static void test_bounds(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    static struct setting setting;
    settle(&setting, key);
    setting.bounds.duration_max_s = 60;
    struct sign_grant grant = granted(&setting);
    assert_int_equal(grant.valid_before, NOW + 60); /* in place of the site's default of a day */
    assert_int_equal(grant.clusters.count, 0);
    setting.bounds.expires_at = NOW + 60;
    grant = granted(&setting);
    assert_int_equal(grant.valid_before, NOW + 60);
    setting.bounds.expires_at = NOW + 59; /* the credential ends before */
    grant = granted(&setting);
    assert_int_equal(grant.valid_before, NOW + 59);
    setting.bounds.expires_at = 0;
    setting.bounds.clusters = clusters_of("daint,santis");
    grant = granted(&setting);
    assert_int_equal(grant.clusters.count, 2);
    setting.clusters = clusters_of("eiger,santis");
    grant = granted(&setting);
    assert_int_equal(grant.clusters.count, 1);
    assert_string_equal(grant.clusters.names[0], "santis");
    setting.bounds.clusters = (struct cluster_list){0};
    grant = granted(&setting);
    assert_int_equal(grant.clusters.count, 2);
    setting.facts.bounds = NULL;
    grant = granted(&setting);
    assert_int_equal(grant.valid_before, NOW + DAY);

    /* one is not shut out from what lies behind the jump hosts */
    const struct subnet_list jumps = subnets_of("198.51.100.1/32");
    settle(&setting, key);
    setting.bounds.subnets = subnets_of("192.0.2.0/24");
    setting.facts.jump_hosts = &jumps;
    grant = granted(&setting);
    struct buf text CLEANUP(buf_done) = BUF(256);
    assert_ok(subnet_list_print(&grant.subnets, &text));
    assert_true(span_equal_str(buf_span(&text), "192.0.2.0/24,198.51.100.1/32"));
}

static void test_impersonate(void **state) {
    (void)state;
    const struct account portal = {
        .id = 7, .name = "portal", .kind = ACCOUNT_SERVICE, .project_id = 3, .impersonates = true};
    const struct account carol = {.id = 8, .name = "carol", .kind = ACCOUNT_PERSON};
    struct account service = portal, account = carol;
    assert_true(policy_impersonate(&service, &account, true).allowed);
    assert_false(policy_impersonate(&service, &account, false).allowed);
    service.impersonates = false;
    assert_false(policy_impersonate(&service, &account, true).allowed);
    service = portal;
    service.kind = ACCOUNT_PERSON;
    assert_false(policy_impersonate(&service, &account, true).allowed);
    service = portal;
    service.disabled = true;
    assert_false(policy_impersonate(&service, &account, true).allowed);
    service = portal;
    service.project_id = 0;
    assert_false(policy_impersonate(&service, &account, true).allowed);
    service = portal;
    account.disabled = true;
    assert_false(policy_impersonate(&service, &account, true).allowed);
    account = carol;
    account.kind = ACCOUNT_SERVICE;
    assert_false(policy_impersonate(&service, &account, true).allowed);
    account = carol;
    account.administrator = true;
    assert_false(policy_impersonate(&service, &account, true).allowed);
    account = (struct account){.id = 0};
    struct decision decision = policy_impersonate(&service, &account, true);
    assert_false(decision.allowed);
    assert_int_equal(decision.code, DECISION_impersonation_refused);

    struct policy policy;
    policy_default(&policy);
    assert_true(policy_duration(&policy, 60).allowed);
    assert_false(policy_duration(&policy, 61).allowed);
}

static void expect_scope(const struct cert *cert, const char *account, bool everywhere,
                         const char *clusters) {
    struct scope scope = scope_of(cert, account);
    struct buf text CLEANUP(buf_done) = BUF(4096);
    assert_ok(cluster_list_print(&scope.clusters, &text));
    assert_true(span_equal_str(buf_span(&text), clusters));
    assert_int_equal(scope.everywhere, everywhere);
    assert_int_equal(scope_is_given(&scope), everywhere || clusters[0] != '\0');
}

static void test_scope(void **state) {
    (void)state;
    struct key *key CLEANUP(key_freep) = key_of(line_ed25519);
    struct cert *bound CLEANUP(cert_freep) = NULL, *free_one CLEANUP(cert_freep) = NULL,
                       *odd CLEANUP(cert_freep) = NULL;
    struct policy policy;
    policy_default(&policy);
    struct sign_grant grant = {.valid_before = 1};
    char principal[SCOPE_PRINCIPAL_CHARS];
    assert_ok(cert_new(&free_one));
    assert_ok(policy_fill_cert(&policy, &grant, "alice", "alice@test", key, free_one));
    assert_int_equal(free_one->principal_count, 1);
    expect_scope(free_one, "alice", true, "");
    expect_scope(free_one, "alic", false, "");
    expect_scope(free_one, "alicea", false, "");
    expect_scope(free_one, "", false, "");
    scope_principal_of(free_one, "alice", principal);
    assert_string_equal(principal, "alice");

    grant.clusters = clusters_of("daint,santis");
    assert_ok(cert_new(&bound));
    assert_ok(policy_fill_cert(&policy, &grant, "alice", "alice@test", key, bound));
    assert_int_equal(bound->principal_count, 2); /* and not the plain one */
    expect_scope(bound, "alice", false, "daint,santis");
    expect_scope(bound, "bob", false, "");
    scope_principal_of(bound, "alice", principal);
    assert_string_equal(principal, "alice@daint");
    scope_principal_of(bound, "bob", principal);
    assert_string_equal(principal, "bob");

    assert_ok(cert_new(&odd));
    assert_ok(cert_add_principal(odd, "alice@"));
    assert_ok(cert_add_principal(odd, "alice@Daint"));
    assert_ok(cert_add_principal(odd, "alice daint"));
    assert_ok(cert_add_principal(odd, "job:1@daint"));
    expect_scope(odd, "alice", false, "");
    assert_ok(cert_add_principal(odd, "alice@daint"));
    assert_ok(cert_add_principal(odd, "alice"));
    assert_ok(cert_add_principal(odd, "alice@santis"));
    expect_scope(odd, "alice", true, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_key_types),
        cmocka_unit_test(test_sign_refused),
        cmocka_unit_test(test_sign_allowed),
        cmocka_unit_test(test_intersections),
        cmocka_unit_test(test_never_widens),
        cmocka_unit_test(test_sign_for_a_job),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_own_subnets),
        cmocka_unit_test(test_own_subnets_full),
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_register_refused),
        cmocka_unit_test(test_fill_cert),
        cmocka_unit_test(test_serials),
        cmocka_unit_test(test_serials_exhausted),
        cmocka_unit_test(test_serials_of_replicas),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_impersonate),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
