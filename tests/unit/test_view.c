/*
 * The view beside the replica: both get the same answers of the feed and are asked the same. What
 * only the view is asked has tables of its own. ssh-keygen makes the keys and certificates.
 */
#include <malloc.h>

#include "base/clock.h"
#include "base/file.h"
#include "feed_fixture.h"

/* `ca` signs the key of alice; `how` are further options of ssh-keygen. */
static struct cert *certificate(const char *ca, const char *how) {
    assert_int_equal(fixture_run("ssh-keygen -q -s %s -I id %s alice.pub", ca, how), 0);
    struct buf line CLEANUP(buf_done) = BUF(65536);
    struct cert *cert = NULL;
    fixture_read("alice-cert.pub", &line);
    assert_ok(cert_parse_line(buf_span(&line), &cert, NULL));
    return cert;
}

/* --- beside the replica --- */

static const char *const users[] = {
    "alice", "bob", "carol", "dave", "nobody", "", "ALICE", "alice' OR '1'='1", "root"};
static const int64_t nows[] = {NOW, NOW + MAX_AGE_S, NOW + MAX_AGE_S + 1, NOW - MAX_AGE_S - 1};

static const struct {
    const char *ca, *how;
} certificates[] = {
    {"ca", "-n alice,bob,carol,dave,nobody -z 1"},
    {"ca", "-n alice,bob,carol,dave,nobody -z 66"},
    {"ca", "-n alice,bob,carol,dave,nobody -z 67"},
    {"ca", "-n alice,bob,carol,dave,nobody -z 18446744073709551615"},
    {"ca", "-n alice,bob,carol,dave,nobody -z 0"},
    {"ca2", "-n alice,bob,carol,dave,nobody -z 1"},
    {"stranger", "-n alice,bob,carol,dave,nobody -z 66"},
};

static err_t skip_entry(void *context, const struct replica_entry *entry) {
    (void)context;
    (void)entry;
    return OK;
}

static void ask_both(struct replica *replica, const struct view *view,
                     const struct view_rules *rules, const char *user, int64_t now) {
    struct replica_verdict asked = {0};
    const struct replica_login login = {.user = user, .by = CREDENTIALS_KEYS, .now = now};
    assert_ok(replica_entry_list(replica, &login, &asked, skip_entry, NULL));
    struct replica_verdict seen = view_account(view, rules, user, CREDENTIALS_KEYS, now);
    assert_true(asked.allowed == seen.allowed && asked.why == seen.why &&
                asked.stale == seen.stale);
}

static struct cert_memo *memo; /* of all tests: none may find another verdict for it */

static struct view_cert_verdict judge_login(const struct view *view, const struct view_rules *rules,
                                            const struct cert *cert, struct view_login login) {
    login.memo = NULL;
    struct view_cert_verdict verdict = view_cert(view, rules, cert, &login);
    login.memo = memo;
    for (int i = 0; i < 2; i++) {
        struct view_cert_verdict again = view_cert(view, rules, cert, &login);
        assert_true(again.allowed == verdict.allowed && again.plausible == verdict.plausible &&
                    again.stale == verdict.stale && again.cert_why == verdict.cert_why &&
                    again.replica_why == verdict.replica_why &&
                    again.verify_required == verdict.verify_required &&
                    again.force_command == verdict.force_command);
    }
    assert_true(!verdict.allowed || cert_memo_knows(memo, cert));
    return verdict;
}

static struct view_cert_verdict judge(const struct view *view, const struct view_rules *rules,
                                      const struct cert *cert, const char *user, int64_t now,
                                      bool verify_ca) {
    return judge_login(view, rules, cert,
                       (struct view_login){.user = user, .now = now, .verify_ca = verify_ca});
}

static void ask_both_of(struct replica *replica, const struct view *view,
                        const struct view_rules *rules, const char *user, int64_t now,
                        const struct cert *cert) {
    char fingerprint[FINGERPRINT_CHARS];
    struct replica_verdict asked = {0};
    key_fingerprint(cert->ca_key, fingerprint);
    const struct replica_login login = {user, CREDENTIALS_CERTIFICATES, now, cert->serial,
                                        fingerprint};
    assert_ok(replica_entry_list(replica, &login, &asked, skip_entry, NULL));
    struct view_cert_verdict seen = judge(view, rules, cert, user, now, true);
    struct view_cert_verdict guess = judge(view, rules, cert, user, now, false);
    /* sshd has seen to the name itself when it asks the replica. */
    bool named = false;
    for (size_t i = 0; i < cert->principal_count; i++) {
        named = named || strcmp(cert->principals[i], user) == 0;
    }
    assert_int_equal(seen.allowed, asked.allowed && named);
    assert_int_equal(seen.stale, asked.stale);
    assert_true(seen.plausible == seen.allowed && guess.plausible == seen.allowed);
    assert_false(guess.allowed);
    if (seen.cert_why == CERT_ALLOWED) {
        assert_int_equal(seen.replica_why, asked.why);
    }
    if (asked.why == REPLICA_UNKNOWN_CA && named) {
        assert_int_equal(seen.cert_why, CERT_REFUSED_CA);
    }
}

static void compare(struct replica *replica, const struct view *view, struct cert *const *certs) {
    for (int best_effort = 0; best_effort < 2; best_effort++) {
        const struct view_rules *rules = best_effort ? &lax : &strict;
        struct replica_self self = {.best_effort = rules->best_effort, .max_age_s = MAX_AGE_S};
        (void)snprintf(self.name, sizeof self.name, "ela");
        assert_ok(replica_self_put(replica, &self));
        for (size_t u = 0; u < COUNT_OF(users); u++) {
            for (size_t n = 0; n < COUNT_OF(nows); n++) {
                ask_both(replica, view, rules, users[u], nows[n]);
                for (size_t c = 0; c < COUNT_OF(certificates); c++) {
                    ask_both_of(replica, view, rules, users[u], nows[n], certs[c]);
                }
            }
        }
    }
    struct replica_info info;
    struct view_counts counts = view_count(view);
    assert_ok(replica_info(replica, &info));
    assert_true(info.revision == view_revision(view) && info.synced_at == view_synced_at(view));
    assert_true(info.accounts == counts.accounts && info.revocations == counts.revocations &&
                info.keys == counts.keys && info.clusters == counts.clusters &&
                info.hosts == counts.hosts);
}

/* What a client may write to get to each destination that the replica lists. */
struct reachable {
    const struct view *view;
    const char *user;
    size_t count;
};

static err_t is_reachable(void *context, const char *name, uint16_t port) {
    struct reachable *check = context;
    check->count++;
    assert_true(destination_of(check->view, check->user, span_str(name), port).allowed);
    assert_false(destination_of(check->view, check->user, span_str(name), port ^ 1).allowed);
    assert_false(destination_of(check->view, "dave", span_str(name), port).allowed);
    assert_false(destination_of(check->view, "nobody", span_str(name), port).allowed);
    return OK;
}

static err_t append_text(void *context, const char *text) {
    return buf_add_format(context, "%s ", text);
}

static void compare_lists(struct replica *replica, const struct view *view, const char *user) {
    struct buf asked CLEANUP(buf_done) = BUF(4096);
    struct buf seen CLEANUP(buf_done) = BUF(4096);
    struct reachable check = {view, user, 0};
    assert_ok(replica_cluster_list(replica, user, append_text, &asked));
    assert_ok(view_cluster_list(view, user, append_text, &seen));
    assert_true(span_equal(buf_span(&asked), buf_span(&seen)));
    assert_ok(
        replica_destination_list(replica, user, CREDENTIALS_KEYS, NULL, NOW, is_reachable, &check));
}

static void test_same_as_the_replica(void **state) {
    (void)state;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct view *view CLEANUP(view_freep) = NULL;
    struct cert *certs[COUNT_OF(certificates)] = {NULL};
    struct buf snapshot CLEANUP(buf_done) = BUF(65536);
    put_snapshot(&snapshot);
    assert_ok(buf_add_byte(&snapshot, '\0'));
    for (size_t i = 0; i < COUNT_OF(certificates); i++) {
        certs[i] = certificate(certificates[i].ca, certificates[i].how);
    }
    assert_ok(replica_open_write("replica.db", (gid_t)-1, &replica));
    assert_ok(view_new(&view));
    char *ca CLEANUP(freep) = NULL;
    assert_ok(span_to_str(span_str(one("ca", fingerprint_of("ca"), "")), &ca));
    char *steps[] = {
        (char *)snapshot.data,
        strdup(one("account", "bob", "{\"enabled\":true,\"clusters\":[\"daint\"]}")),
        strdup(one("account", "carol", "")),
        strdup(one("account", "carol", "")), /* the same again does no harm */
        strdup(one("account", "alice", "{\"enabled\":true,\"clusters\":[]}")),
        strdup(one("account", "alice", "{\"enabled\":true,\"clusters\":[\"santis\"]}")),
        strdup(one("revocation", "66", "")),
        strdup(one("revocation", "67",
                   "{\"account\":\"\",\"expireTime\":\"2027-01-20T00:00:00Z\",\"reason\":\"\"}")),
        strdup(one("cluster", "santis", "")),
        strdup(one("host", "daint-ln1",
                   "{\"cluster\":\"santis\",\"role\":\"login\",\"address\":\"x\",\"port\":0}")),
        strdup(one("key", "1", "")),
        ca,
        (char *)snapshot.data, /* an authority restored from its backup */
    };
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct change_answer *answer CLEANUP(change_answer_freep) = decode(steps[i]);
        replica_kinds touched = 0;
        bool revoked = false;
        assert_ok(replica_begin(replica));
        assert_ok(replica_apply(replica, answer, NOW, &touched));
        assert_ok(replica_commit(replica));
        assert_ok(view_apply(view, answer, NOW, &revoked));
        compare(replica, view, certs);
        compare_lists(replica, view, "alice");
        compare_lists(replica, view, "carol");
    }
    for (size_t i = 1; i + 2 < COUNT_OF(steps); i++) {
        free(steps[i]);
    }
    for (size_t i = 0; i < COUNT_OF(certs); i++) {
        cert_free(certs[i]);
    }
}

static void test_order(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = NULL;
    assert_ok(view_new(&view));
    bool revoked = true;
    struct change_answer *change CLEANUP(change_answer_freep) =
        decode(one("account", "alice", "{\"enabled\":true,\"clusters\":[\"daint\"]}"));
    assert_fails(view_apply(view, change, NOW, &revoked), ERR_ORDER); /* before a snapshot */
    view_heard(view, NOW);
    assert_int_equal(view_account(view, &strict, "alice", CREDENTIALS_KEYS, NOW).why,
                     REPLICA_NO_ACCOUNT);
    view_freep(&view);
    view = fresh();
    assert_false(apply(view, "{\"revision\":\"20\",\"snapshot\":false,\"changes\":[]}"));
    assert_fails(view_apply(view, change, NOW + 1, &revoked), ERR_ORDER); /* 11 after 20 */
    assert_true(revoked && view_revision(view) == 20 && view_synced_at(view) == NOW);
    assert_int_equal(view_count(view).accounts, 4);
    view_heard(view, NOW + 5);
    assert_int_equal(view_synced_at(view), NOW + 5);
}

/* --- whose sessions end --- */

static void test_what_takes_away(void **state) {
    (void)state;
    static const struct {
        const char *kind, *key, *state;
        bool revoked;
    } cases[] = {
        {"account", "alice", "", true},
        {"account", "alice", "{\"enabled\":false,\"clusters\":[\"daint\",\"santis\"]}", true},
        {"account", "alice", "{\"enabled\":true,\"clusters\":[\"daint\"]}", true},
        {"account", "alice", "{\"enabled\":true,\"clusters\":[\"daint\",\"santis2\"]}", true},
        {"account", "alice", "{\"enabled\":true,\"clusters\":[\"daint\",\"santis\"]}", false},
        {"account", "alice", "{\"enabled\":true,\"clusters\":[\"santis\",\"x\",\"daint\"]}", false},
        {"account", "bob", "{\"enabled\":true,\"clusters\":[]}", false}, /* had no right */
        {"account", "eve", "{\"enabled\":true,\"clusters\":[\"daint\"]}", false},
        {"account", "eve", "", false},
        {"revocation", "5",
         "{\"account\":\"\",\"expireTime\":\"2027-01-20T00:00:00Z\",\"reason\":\"\"}", true},
        {"revocation", "66",
         "{\"account\":\"\",\"expireTime\":\"2027-01-20T00:00:00Z\",\"reason\":\"\"}", false},
        {"revocation", "66", "", false},
        {"cluster", "daint", "", true},
        {"cluster", "daint", "{\"address\":\"login.daint.example\",\"port\":0}", false},
        {"cluster", "daint", "{\"address\":\"login.daint.example\",\"port\":23}", true},
        {"cluster", "new", "{\"address\":\"new.example\",\"port\":0}", false},
        {"host", "daint-ln1", "", true},
        {"host", "daint-ln1",
         "{\"cluster\":\"santis\",\"role\":\"login\",\"address\":\"10.0.0.1\",\"port\":2222}",
         true},
        {"key", "1", "", true},
        {"key", "3", "", false},
        {"ca", NULL, "", true}, /* the user CA's */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct view *view CLEANUP(view_freep) = fresh();
        const char *key = cases[i].key != NULL ? cases[i].key : fingerprint_of("ca");
        bool revoked = apply(view, one(cases[i].kind, key, cases[i].state));
        if (revoked != cases[i].revoked) {
            print_error("case %zu: %s %s\n", i, cases[i].kind, key);
        }
        assert_int_equal(revoked, cases[i].revoked);
    }
    struct view *view CLEANUP(view_freep) = fresh();
    assert_false(apply(view, "{\"revision\":\"12\",\"snapshot\":false,\"changes\":[]}"));
    assert_true(apply(view, "{\"revision\":\"12\",\"snapshot\":true,\"changes\":[]}"));
    struct view_counts counts = view_count(view);
    assert_true(counts.revocations > 0); /* nobody unrevokes a certificate */
    assert_int_equal(counts.accounts + counts.keys + counts.clusters + counts.hosts + counts.cas,
                     0);
}

static void test_prune(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    /* 2027-01-10 and 2027-01-20 are when the two end. */
    enum { JAN_10 = 1799539200, JAN_20 = 1800403200 };
    assert_int_equal(view_prune(view, JAN_10 + REPLICA_PRUNE_SLACK_S), 0);
    assert_int_equal(view_prune(view, NOW), 1);
    assert_int_equal(view_prune(view, NOW), 0);
    assert_int_equal(view_count(view).revocations, 1);
    assert_true(view_account(view, &strict, "alice", CREDENTIALS_KEYS, NOW).allowed);
    /* By a clock that was ahead: what was forgotten counts again, so the view is no good. */
    view_heard(view, JAN_20);
    assert_int_equal(view_prune(view, JAN_20 + REPLICA_PRUNE_SLACK_S + 1), 1);
    view_heard(view, NOW);
    assert_int_equal(view_account(view, &strict, "alice", CREDENTIALS_KEYS, NOW).why,
                     REPLICA_STALE);
    assert_true(view_account(view, &lax, "alice", CREDENTIALS_KEYS, NOW).stale);
    struct buf out CLEANUP(buf_done) = BUF(65536);
    put_snapshot(&out);
    assert_ok(buf_add_byte(&out, '\0'));
    assert_true(apply(view, (const char *)out.data));
    assert_true(view_account(view, &strict, "alice", CREDENTIALS_KEYS, NOW).allowed);
    assert_int_equal(view_count(view).revocations, 2);
}

/* --- certificates --- */

static void test_certificates(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    static const struct {
        const char *how, *user, *source;
        enum cert_refusal cert_why;
        enum replica_why replica_why;
        const char *advice;
    } cases[] = {
        {"-h -n alice -z 1", "alice", NULL, CERT_REFUSED_TYPE, REPLICA_ALLOWED, "postern sign"},
        {"-n bob -z 1", "alice", NULL, CERT_REFUSED_PRINCIPAL, REPLICA_ALLOWED, "ssh -l bob"},
        {"-z 1", "alice", NULL, CERT_REFUSED_NO_PRINCIPALS, REPLICA_ALLOWED, "postern sign"},
        {"-n '*' -z 1", "alice", NULL, CERT_REFUSED_PRINCIPAL, REPLICA_ALLOWED, "ssh -l *"},
        {"-n alice -z 1 -V 20200101:20210101", "alice", NULL, CERT_REFUSED_EXPIRED, REPLICA_ALLOWED,
         "days ago ("},
        {"-n alice -z 1 -V 20400101:forever", "alice", NULL, CERT_REFUSED_NOT_YET, REPLICA_ALLOWED,
         "becomes valid only in "},
        {"-n alice -z 1 -O critical:zz@example.com", "alice", NULL, CERT_REFUSED_OPTION,
         REPLICA_ALLOWED, "postern sign"},
        {"-n alice -z 1 -O source-address=10.0.0.0/8", "alice", NULL, CERT_REFUSED_SOURCE,
         REPLICA_ALLOWED, "address you come from"},
        {"-n alice -z 1 -O source-address=10.0.0.0/8", "alice", "192.0.2.1", CERT_REFUSED_SOURCE,
         REPLICA_ALLOWED, "address you come from"},
        {"-n alice -z 66", "alice", NULL, CERT_ALLOWED, REPLICA_REVOKED, "is revoked"},
        {"-n alice -z 0", "alice", NULL, CERT_ALLOWED, REPLICA_NO_SERIAL, "serial"},
        {"-n bob -z 1", "bob", NULL, CERT_ALLOWED, REPLICA_DISABLED, "administrators"},
        {"-n dave -z 1", "dave", NULL, CERT_ALLOWED, REPLICA_NO_REACH, "postern whoami"},
        {"-n nobody -z 1", "nobody", NULL, CERT_ALLOWED, REPLICA_NO_ACCOUNT, "postern whoami"},
        {"-n alice -z 1 -O source-address=10.0.0.0/8", "alice", "10.1.2.3", CERT_ALLOWED,
         REPLICA_ALLOWED, ""},
        {"-n bob,alice -z 1", "alice", NULL, CERT_ALLOWED, REPLICA_ALLOWED, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cert *cert CLEANUP(cert_freep) = certificate("ca", cases[i].how);
        struct inet_address source = {0};
        char advice[256];
        if (cases[i].source != NULL) {
            assert_ok(inet_address_parse(span_str(cases[i].source), &source));
        }
        struct view_cert_verdict verdict =
            judge_login(view, &strict, cert,
                        (struct view_login){.user = cases[i].user,
                                            .source = cases[i].source != NULL ? &source : NULL,
                                            .now = NOW,
                                            .verify_ca = true});
        view_cert_advice(&verdict, cert, NOW, advice);
        if (verdict.cert_why != cases[i].cert_why || verdict.replica_why != cases[i].replica_why ||
            strstr(advice, cases[i].advice) == NULL) {
            print_error("%s: %s, %s: %s\n", cases[i].how, cert_refusal_text(verdict.cert_why),
                        replica_why_text(verdict.replica_why), advice);
        }
        assert_int_equal(verdict.cert_why, cases[i].cert_why);
        assert_int_equal(verdict.replica_why, cases[i].replica_why);
        assert_int_equal(verdict.allowed, cases[i].advice[0] == '\0');
        assert_non_null(strstr(advice, cases[i].advice));
        assert_int_equal(advice[0] == '\0', cases[i].advice[0] == '\0');
    }
    assert_false(((struct view_cert_verdict){0}).allowed);
}

static void test_verdict_tells_options(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    struct cert *cert CLEANUP(cert_freep) =
        certificate("ca", "-n alice,bob -z 1 -O force-command=/bin/true -O verify-required");
    struct view_cert_verdict verdict = judge(view, &strict, cert, "alice", NOW, true);
    assert_true(verdict.allowed && verdict.verify_required);
    assert_string_equal(verdict.force_command, "/bin/true");
    verdict = judge(view, &strict, cert, "bob", NOW, true);
    assert_true(!verdict.allowed && !verdict.plausible && verdict.force_command == NULL);
    verdict = judge(view, &strict, cert, "alice", NOW + MAX_AGE_S + 1, true);
    assert_true(!verdict.allowed && verdict.stale && verdict.replica_why == REPLICA_STALE);
    verdict = judge(view, &lax, cert, "alice", NOW + MAX_AGE_S + 1, true);
    assert_true(verdict.allowed && verdict.stale);
}

/* Another signature of the same CA: plausible, and never allowed. */
static void test_forged_signature(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    struct cert *real CLEANUP(cert_freep) = certificate("ca", "-n alice -z 7");
    struct cert *forged CLEANUP(cert_freep) = NULL;
    real->blob.data[real->blob.len - 1] ^= 1;
    assert_ok(cert_parse(buf_span(&real->blob), &forged));
    struct view_cert_verdict guess = judge(view, &strict, forged, "alice", NOW, false);
    assert_true(guess.plausible && !guess.allowed);
    assert_int_equal(guess.cert_why, CERT_REFUSED_UNCHECKED);
    struct view_cert_verdict verdict = judge(view, &strict, forged, "alice", NOW, true);
    assert_true(!verdict.plausible && !verdict.allowed);
    assert_int_equal(verdict.cert_why, CERT_REFUSED_SIGNATURE);
    /* A forger is not told about accounts either. */
    verdict = judge(view, &strict, forged, "nobody", NOW, true);
    assert_int_equal(verdict.cert_why, CERT_REFUSED_PRINCIPAL);
    assert_int_equal(verdict.replica_why, REPLICA_ALLOWED);
}

/* --- registered keys and live sessions --- */

static void test_registered_keys(void **state) {
    (void)state;
    enum { ENDS = 1800403200 };
    struct view *view CLEANUP(view_freep) = fresh();
    assert_false(apply(view, one("account", "bob", "{\"enabled\":true,\"clusters\":[\"daint\"]}")));
    static const struct {
        const char *key, *user, *source;
        int64_t now;
        enum replica_why why;
        int64_t ends;
    } cases[] = {
        {"stranger", "alice", "10.0.0.1", NOW, REPLICA_NO_KEY, 0},
        {"alice", "bob", "10.0.0.1", NOW, REPLICA_NO_KEY, 0}, /* another's */
        {"alice", "nobody", "10.0.0.1", NOW, REPLICA_NO_KEY, 0},
        {"alice", "", "10.0.0.1", NOW, REPLICA_NO_KEY, 0},
        {"ca", "alice", "10.0.0.1", NOW, REPLICA_NO_KEY, 0}, /* a CA's own key is no login */
        {"alice", "alice", "192.0.2.1", NOW, REPLICA_SOURCE, 0},
        {"alice", "alice", NULL, NOW, REPLICA_SOURCE, 0},
        {"alice", "alice", "10.0.0.1", NOW + MAX_AGE_S + 1, REPLICA_STALE, 0},
        {"bob", "alice", "192.0.2.1", ENDS, REPLICA_EXPIRED, 0},
        {"bob", "alice", "192.0.2.1", ENDS - 1, REPLICA_ALLOWED, ENDS},
        {"bob", "alice", NULL, NOW, REPLICA_ALLOWED, ENDS},
        {"alice", "alice", "10.0.0.1", NOW, REPLICA_ALLOWED, 0},
        {"alice", "alice", "2001:db8::5", NOW, REPLICA_ALLOWED, 0},
        {"alice", "alice", "::ffff:10.0.0.1", NOW, REPLICA_ALLOWED, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key *key CLEANUP(key_freep) = key_of(cases[i].key);
        struct inet_address source = {0};
        int64_t ends = -1;
        if (cases[i].source != NULL) {
            assert_ok(inet_address_parse(span_str(cases[i].source), &source));
        }
        view_heard(view, cases[i].why == REPLICA_STALE ? NOW : cases[i].now);
        struct replica_verdict verdict =
            view_key(view, &strict, key, cases[i].user, cases[i].source != NULL ? &source : NULL,
                     cases[i].now, &ends);
        if (verdict.why != cases[i].why) {
            print_error("case %zu: %s\n", i, replica_why_text(verdict.why));
        }
        assert_int_equal(verdict.why, cases[i].why);
        assert_int_equal(verdict.allowed, cases[i].why == REPLICA_ALLOWED);
        assert_int_equal(ends, verdict.allowed ? cases[i].ends : -1);
    }
}

/* Registered twice, for different places and times: each is tried. */
static void test_key_registered_twice(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    struct key *key CLEANUP(key_freep) = key_of("alice");
    struct inet_address source;
    int64_t ends = -1;
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"account\":\"alice\",\"publicKey\":\"%s\",\"expireTime\":"
                   "\"2027-01-20T00:00:00Z\"}",
                   line_of("alice"));
    assert_false(apply(view, one("key", "9", json)));
    assert_ok(inet_address_parse(SPAN_LITERAL("192.0.2.1"), &source));
    assert_true(view_key(view, &strict, key, "alice", &source, NOW, &ends).allowed);
    assert_int_equal(ends, 1800403200);
    assert_ok(inet_address_parse(SPAN_LITERAL("10.2.0.1"), &source));
    assert_true(view_key(view, &strict, key, "alice", &source, NOW, &ends).allowed);
    assert_int_equal(ends, 0);
    assert_true(apply(view, one("key", "1", "")));
    assert_true(view_key(view, &strict, key, "alice", &source, NOW, &ends).allowed);
    assert_true(apply(view, one("key", "9", "")));
    assert_int_equal(view_key(view, &strict, key, "alice", &source, NOW, &ends).why,
                     REPLICA_NO_KEY);
    assert_true(apply(view, one("account", "alice", "")));
}

static void test_sessions(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    struct key *alice CLEANUP(key_freep) = key_of("alice");
    struct key *bob CLEANUP(key_freep) = key_of("bob");
    const char *ca = fingerprint_of("ca");
    enum { ENDS = 1800403200 };
    const struct {
        struct view_session session;
        int64_t now;
        enum replica_why why;
    } cases[] = {
        {{.user = "alice"}, NOW, REPLICA_NO_SERIAL}, /* opened by nothing */
        {{.user = "alice", .serial = 66, .ca_fingerprint = ca}, NOW, REPLICA_REVOKED},
        {{.user = "alice", .serial = 1, .ca_fingerprint = "SHA256:"}, NOW, REPLICA_UNKNOWN_CA},
        {{.user = "alice", .serial = 1, .ca_fingerprint = fingerprint_of("ca2")},
         NOW,
         REPLICA_UNKNOWN_CA},
        {{.user = "bob", .serial = 1, .ca_fingerprint = ca}, NOW, REPLICA_DISABLED},
        {{.user = "dave", .serial = 1, .ca_fingerprint = ca}, NOW, REPLICA_NO_REACH},
        {{.user = "nobody", .serial = 1, .ca_fingerprint = ca}, NOW, REPLICA_NO_ACCOUNT},
        {{.user = "alice",
          .serial = 1,
          .ca_fingerprint = ca,
          .expires_at = NOW,
          .cut_expired = true},
         NOW,
         REPLICA_EXPIRED},
        {{.user = "alice", .serial = 1, .ca_fingerprint = ca, .expires_at = NOW},
         NOW,
         REPLICA_ALLOWED},
        {{.user = "alice",
          .serial = 1,
          .ca_fingerprint = ca,
          .expires_at = NOW + 1,
          .cut_expired = true},
         NOW,
         REPLICA_ALLOWED},
        {{.user = "alice", .serial = 1, .ca_fingerprint = ca, .cut_expired = true},
         NOW,
         REPLICA_ALLOWED},
        {{.user = "bob", .key_blob = key_blob(alice)}, NOW, REPLICA_NO_KEY},
        {{.user = "alice", .key_blob = key_blob(alice)}, NOW, REPLICA_ALLOWED},
        {{.user = "alice", .key_blob = key_blob(bob), .cut_expired = true},
         ENDS - 1,
         REPLICA_ALLOWED},
        {{.user = "alice", .key_blob = key_blob(bob), .cut_expired = true}, ENDS, REPLICA_EXPIRED},
        {{.user = "alice", .key_blob = key_blob(bob)}, ENDS, REPLICA_ALLOWED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct replica_verdict verdict =
            view_session(view, &strict, &cases[i].session, cases[i].now);
        if (verdict.why != cases[i].why) {
            print_error("case %zu: %s\n", i, replica_why_text(verdict.why));
        }
        assert_int_equal(verdict.why, cases[i].why);
        assert_int_equal(verdict.allowed, cases[i].why == REPLICA_ALLOWED);
    }
    /* An authority that is away ends no session. */
    const struct view_session session = {.user = "alice", .serial = 1, .ca_fingerprint = ca};
    struct replica_verdict verdict = view_session(view, &strict, &session, NOW + 2 * MAX_AGE_S);
    assert_true(verdict.allowed && verdict.stale);
    assert_true(apply(view, one("ca", ca, "")));
    assert_int_equal(view_session(view, &strict, &session, NOW).why, REPLICA_UNKNOWN_CA);
}

/* --- many --- */

/* 0 where a sanitizer has taken malloc's place. */
static size_t bytes_in_use(void) { return mallinfo2().uordblks; }

static struct change_answer *many_accounts(size_t count) {
    struct buf out CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    assert_ok(change_answer_begin(&out, 10, true));
    add(&out, "cluster", "santis", "{\"address\":\"\",\"port\":22}");
    for (size_t i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "u%06zu", i);
        add(&out, "account", name, "{\"enabled\":true,\"clusters\":[\"daint\",\"santis\"]}");
    }
    assert_ok(change_answer_end(&out));
    assert_ok(buf_add_byte(&out, '\0'));
    return decode((const char *)out.data);
}

static void test_many(void **state) {
    (void)state;
    enum { COUNT = 100000, LOOKUPS = 100000 };
    struct view *view CLEANUP(view_freep) = NULL;
    struct change_answer *answer CLEANUP(change_answer_freep) = many_accounts(COUNT);
    bool revoked = false;
    assert_ok(view_new(&view));
    size_t before = bytes_in_use();
    int64_t start = clock_monotonic_ms();
    assert_ok(view_apply(view, answer, NOW, &revoked));
    int64_t applied = clock_monotonic_ms();
    size_t bytes = bytes_in_use() - before;
    for (size_t i = 0; i < LOOKUPS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "u%06zu", i * 7919 % COUNT);
        assert_true(view_account(view, &strict, name, CREDENTIALS_KEYS, NOW).allowed);
    }
    int64_t looked = clock_monotonic_ms();
    print_message("%d accounts: applied in %lld ms, %zu bytes each; %d lookups in %lld ms\n", COUNT,
                  (long long)(applied - start), bytes / COUNT, LOOKUPS,
                  (long long)(looked - applied));
    assert_int_equal(view_count(view).accounts, COUNT);
    assert_true(bytes / COUNT < 256);
    assert_true(applied - start < 5000 && looked - applied < 5000); /* not quadratic */
    /* Once more over what is there. */
    assert_ok(view_apply(view, answer, NOW, &revoked));
    assert_int_equal(view_count(view).accounts, COUNT);
}

/* One that is bound to clusters leads to these alone, and lets in while one of them is reached. */
static void test_bound_certificates(void **state) {
    (void)state;
    struct view *view CLEANUP(view_freep) = fresh();
    static const struct {
        const char *how;
        enum cert_refusal cert_why;
        enum replica_why replica_why;
    } cases[] = {
        {"-n bob@daint -z 1", CERT_REFUSED_PRINCIPAL, REPLICA_ALLOWED},
        {"-n alice@ -z 1", CERT_REFUSED_PRINCIPAL, REPLICA_ALLOWED},
        {"-n alice@DAINT -z 1", CERT_REFUSED_PRINCIPAL, REPLICA_ALLOWED},
        {"-n alice@daint2 -z 1", CERT_ALLOWED, REPLICA_NO_REACH},
        {"-n alice@nowhere -z 1", CERT_ALLOWED, REPLICA_NO_REACH},
        {"-n alice@daint -z 66", CERT_ALLOWED, REPLICA_REVOKED},
        {"-n alice@daint -z 1", CERT_ALLOWED, REPLICA_ALLOWED},
        {"-n alice@nowhere,alice@daint -z 1", CERT_ALLOWED, REPLICA_ALLOWED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cert *cert CLEANUP(cert_freep) = certificate("ca", cases[i].how);
        struct view_cert_verdict verdict = judge(view, &strict, cert, "alice", NOW, true);
        assert_int_equal(verdict.cert_why, cases[i].cert_why);
        assert_int_equal(verdict.replica_why, cases[i].replica_why);
        assert_int_equal(verdict.allowed, i >= COUNT_OF(cases) - 2);
    }
    struct cluster_list santis, elsewhere, both, none = {0};
    assert_ok(cluster_list_parse(span_str("santis"), &santis));
    assert_ok(cluster_list_parse(span_str("daint2,nowhere"), &elsewhere));
    assert_ok(cluster_list_parse(span_str("daint,santis"), &both));
    const struct {
        const struct cluster_list *within;
        bool daint, santis;
    } ways[] = {{NULL, true, true},
                {&none, true, true},
                {&both, true, true},
                {&santis, false, true},
                {&elsewhere, false, false}};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct view_asked asked = {.user = "alice",
                                   .by = CREDENTIALS_CERTIFICATES,
                                   .host = SPAN_LITERAL("daint-ln1"),
                                   .port = 2222,
                                   .now = NOW,
                                   .within = ways[i].within};
        assert_int_equal(view_destination(view, &asked).allowed, ways[i].daint);
        asked.host = SPAN_LITERAL("six");
        asked.port = 22;
        assert_int_equal(view_destination(view, &asked).allowed, ways[i].santis);
        const struct view_session session = {
            .user = "alice", .serial = 1, .within = ways[i].within};
        assert_int_equal(view_session(view, &strict, &session, NOW).allowed,
                         ways[i].daint || ways[i].santis);
    }
}

static int setup(void **state) { return failed(cert_memo_new(&memo)) ? -1 : feed_setup(state); }

static int teardown(void **state) {
    cert_memo_free(memo);
    return fixture_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_same_as_the_replica),
        cmocka_unit_test(test_what_takes_away),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_bound_certificates),
        cmocka_unit_test(test_verdict_tells_options),
        cmocka_unit_test(test_forged_signature),
        cmocka_unit_test(test_registered_keys),
        cmocka_unit_test(test_key_registered_twice),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests_name("view", tests, setup, teardown);
}
