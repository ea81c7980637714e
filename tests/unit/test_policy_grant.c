/* What a person may approve that a machine does unattended, and what the machine then gets: the
 * refused cases first. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "model/policy_grant.h"

static const char line_ed25519[] =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2EU//FmLhxkNDQ5eWmdUzITomXZPoClQY3ggRi5NIW";
static const char line_sk[] = "sk-ssh-ed25519@openssh.com "
                              "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIP2EU//"
                              "FmLhxkNDQ5eWmdUzITomXZPoClQY3ggRi5NIWAAAABHNzaDo=";

enum { NOW = 1800000000, DAY = 86400 };

/* One approval, or renewal, with everything in order, for tests to spoil. */
struct setting {
    struct policy policy;
    struct account account;
    struct key *key;
    struct inet_address source;
    struct subnet_list jumps;
    struct approval_facts approval;
    struct sign_facts facts;
    struct grant grant;
    int64_t proof_ms, now_ms;
};

static void settle(struct setting *s) {
    key_freep(&s->key);
    memset(s, 0, sizeof *s);
    policy_default(&s->policy);
    assert_ok(key_parse_line(span_str(line_ed25519), &s->key, NULL));
    assert_ok(inet_address_parse(span_str("192.0.2.7"), &s->source));
    s->account = (struct account){.id = 1, .name = "alice", .kind = ACCOUNT_PERSON};
    s->approval = (struct approval_facts){.by_person = true, .signed_in_at = NOW - 60};
    s->facts = (struct sign_facts){.account = &s->account,
                                   .project_count = 1,
                                   .issued_last_day = 1000, /* whatever a person used up */
                                   .jump_hosts = &s->jumps,
                                   .source = &s->source,
                                   .now = NOW};
    s->grant = (struct grant){.account_id = 1, .duration_s = 60, .expires_at = NOW + DAY};
    assert_ok(cluster_list_parse(span_str("daint"), &s->grant.clusters));
    assert_ok(subnet_list_parse(span_str("192.0.2.0/24"), &s->grant.subnets));
    s->now_ms = s->proof_ms = NOW * 1000LL;
}

static void spoil_allowed(struct setting *s) { s->policy.grants_allowed = false; }
static void spoil_person(struct setting *s) { s->approval.by_person = false; }
static void spoil_service(struct setting *s) { s->account.kind = ACCOUNT_SERVICE; }
static void spoil_age(struct setting *s) { s->approval.signed_in_at = NOW - LIMIT_SIGN_IN_S - 1; }
static void spoil_age_unknown(struct setting *s) { s->approval.signed_in_at = 0; }
static void spoil_age_future(struct setting *s) { s->approval.signed_in_at = NOW + 1; }
static void spoil_sk(struct setting *s) {
    key_freep(&s->key);
    assert_ok(key_parse_line(span_str(line_sk), &s->key, NULL));
}
static void spoil_type(struct setting *s) { s->policy.key_types = 1U << KEY_RSA; }
static void spoil_past(struct setting *s) { s->grant.expires_at = NOW; }
static void spoil_late(struct setting *s) { s->grant.expires_at = NOW + s->policy.grant_max_s + 1; }
static void spoil_unreached(struct setting *s) { s->approval.unreached = "santis"; }
static void spoil_duration(struct setting *s) { s->grant.duration_s = 3600; }
static void spoil_subnets(struct setting *s) {
    assert_ok(subnet_list_parse(span_str("10.0.0.0/8"), &s->policy.subnets));
}
static void spoil_command(struct setting *s) {
    s->policy.force_command_allowed = false;
    memcpy(s->grant.force_command, "true", sizeof "true");
}
static void spoil_disabled(struct setting *s) { s->account.disabled = true; }
static void spoil_projects(struct setting *s) { s->facts.project_count = 0; }

static struct setting setting;

static void test_approve_refused(void **state) {
    (void)state;
    static const struct {
        void (*spoil)(struct setting *s);
        enum decision_code code;
        const char *says;
    } cases[] = {
        {spoil_allowed, DECISION_grants_refused, "not given here"},
        {spoil_person, DECISION_not_permitted, "no API key"},
        {spoil_service, DECISION_not_permitted, "second factor"},
        {spoil_age, DECISION_sign_in_needed, "last 15min"},
        {spoil_age_unknown, DECISION_sign_in_needed, "postern login"},
        {spoil_age_future, DECISION_sign_in_needed, "postern login"},
        {spoil_sk, DECISION_key_type_refused, "touched"},
        {spoil_type, DECISION_key_type_refused, "ssh-keygen -t rsa"},
        {spoil_past, DECISION_expiry_refused, "future"},
        {spoil_late, DECISION_expiry_refused, "within 90d"},
        {spoil_unreached, DECISION_clusters_refused, "santis"},
        {spoil_duration, DECISION_duration_refused, "1min"},
        {spoil_subnets, DECISION_subnets_refused, "10.0.0.0/8"},
        {spoil_command, DECISION_force_command_refused, "not offered"},
        {spoil_disabled, DECISION_account_disabled, "disabled"},
        {spoil_projects, DECISION_no_project, "no project"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        settle(&setting);
        cases[i].spoil(&setting);
        struct decision decision = policy_approve(&setting.policy, setting.key, &setting.approval,
                                                  &setting.facts, &setting.grant);
        assert_false(decision.allowed);
        assert_string_equal(decision_code_name(decision.code), decision_code_name(cases[i].code));
        assert_non_null(strstr(decision.reason, cases[i].says));
    }
}

static void test_approve(void **state) {
    (void)state;
    settle(&setting);
    setting.approval.signed_in_at = NOW - LIMIT_SIGN_IN_S;
    setting.grant.expires_at = NOW + setting.policy.grant_max_s;
    assert_ok(inet_address_parse(span_str("203.0.113.1"), &setting.source)); /* not the machine's */
    assert_true(policy_approve(&setting.policy, setting.key, &setting.approval, &setting.facts,
                               &setting.grant)
                    .allowed);
    assert_int_equal(setting.grant.duration_s, 60);
    setting.grant.duration_s = 0;
    assert_true(policy_approve(&setting.policy, setting.key, &setting.approval, &setting.facts,
                               &setting.grant)
                    .allowed);
    assert_int_equal(setting.grant.duration_s, DAY); /* the site's default, told */
}

static void spoil_source(struct setting *s) {
    assert_ok(inet_address_parse(span_str("203.0.113.1"), &s->source));
}
static void spoil_revoked(struct setting *s) { s->grant.revoked_at = NOW - 1; }
static void spoil_ended(struct setting *s) { s->grant.expires_at = NOW; }
static void spoil_early(struct setting *s) { s->proof_ms += (LIMIT_GRANT_CLOCK_S + 1) * 1000LL; }
static void spoil_old(struct setting *s) { s->proof_ms -= (LIMIT_GRANT_CLOCK_S + 1) * 1000LL; }
static void spoil_replay(struct setting *s) { s->grant.last_proof_ms = s->proof_ms; }
static void spoil_before(struct setting *s) { s->grant.last_proof_ms = s->proof_ms + 1; }
static void spoil_withdrawn(struct setting *s) {
    s->policy.duration_count = 0, s->policy.duration_max_s = 59;
}

static struct decision renew(struct sign_grant *out) {
    return policy_renew(&setting.policy, &setting.grant, setting.key, setting.proof_ms,
                        setting.now_ms, setting.facts, out);
}

static void test_renew_refused(void **state) {
    (void)state;
    static const struct {
        void (*spoil)(struct setting *s);
        enum decision_code code;
        const char *says;
    } cases[] = {
        {spoil_allowed, DECISION_grant_ended, "ended"},
        {spoil_revoked, DECISION_grant_ended, "revoked"},
        {spoil_ended, DECISION_grant_ended, "ended"},
        {spoil_early, DECISION_proof_refused, "121 seconds ahead of"},
        {spoil_old, DECISION_proof_refused, "121 seconds behind"},
        {spoil_replay, DECISION_proof_refused, "used already"},
        {spoil_before, DECISION_proof_refused, "used already"},
        {spoil_source, DECISION_source_refused, "the grant may not be used from 203.0.113.1"},
        {spoil_type, DECISION_key_type_refused, "ssh-keygen"},
        {spoil_withdrawn, DECISION_duration_refused, "59s"},
        {spoil_disabled, DECISION_account_disabled, "disabled"},
        {spoil_projects, DECISION_no_project, "no project"},
        {spoil_subnets, DECISION_subnets_refused, "grant"},
        {spoil_command, DECISION_force_command_refused, "not offered"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sign_grant out = {.valid_before = 42};
        settle(&setting);
        cases[i].spoil(&setting);
        struct decision decision = renew(&out);
        assert_false(decision.allowed);
        assert_string_equal(decision_code_name(decision.code), decision_code_name(cases[i].code));
        assert_int_equal(out.valid_before, 42);
        if (cases[i].spoil != spoil_subnets) {
            assert_non_null(strstr(decision.reason, cases[i].says));
        }
    }
}

static void test_renew(void **state) {
    (void)state;
    static const int64_t offsets[] = {LIMIT_GRANT_CLOCK_S * 1000, -LIMIT_GRANT_CLOCK_S * 1000};
    struct sign_grant out;
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        settle(&setting);
        setting.proof_ms += offsets[i];
        setting.grant.last_proof_ms = setting.proof_ms - 1;
        assert_true(renew(&out).allowed);
    }
    settle(&setting);
    memcpy(setting.grant.force_command, "sync", sizeof "sync");
    assert_true(renew(&out).allowed);
    assert_false(out.counts);
    assert_int_equal(out.valid_before, NOW + 60);
    assert_string_equal(out.force_command, "sync");
    assert_int_equal(out.clusters.count, 1);
    assert_string_equal(out.clusters.names[0], "daint");
    assert_int_equal(out.subnets.count, 1);
    setting.grant.expires_at = NOW + 59; /* no certificate outlasts it */
    assert_true(renew(&out).allowed);
    assert_int_equal(out.valid_before, NOW + 59);
    /* what the account itself forbids by now holds as well */
    assert_ok(subnet_list_parse(span_str("192.0.2.0/28"), &setting.account.subnets));
    assert_true(renew(&out).allowed);
    assert_int_equal(out.subnets.subnets[0].prefix_bits, 28);
}

static void test_proof(void **state) {
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF(512);
    assert_ok(grant_proof_put("cscs", "alice", 1790000000123, &text));
    assert_true(span_equal_str(buf_span(&text), "posterngate grant renewal\nsite: cscs\naccount: "
                                                "alice\ntime: 1790000000123\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_approve_refused), cmocka_unit_test(test_approve),
        cmocka_unit_test(test_renew_refused),   cmocka_unit_test(test_renew),
        cmocka_unit_test(test_proof),
    };
    int failures = cmocka_run_group_tests_name("policy_grant", tests, NULL, NULL);
    key_freep(&setting.key);
    return failures;
}
