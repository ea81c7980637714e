/* Which rows of the audit log are counted, as what, and where their sums go. */
#include "authority/tally.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

static enum tally_kind kind_of(const char *action, bool allowed) {
    struct audit row = {.allowed = allowed};
    (void)snprintf(row.action, sizeof row.action, "%s", action);
    return tally_kind_of(&row);
}

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *action;
        int allowed, refused;
    } rows[] = {
        {"gate.events", 0, 0},
        {"gate.session", 0, 0},
        {"account.create", 0, TALLY_REFUSAL},
        {"gate.login", TALLY_GATE_LOGIN, TALLY_GATE_REFUSAL},
        {"gate.channel", 0, TALLY_GATE_REFUSAL},
        {"session.login", TALLY_SIGN_IN, TALLY_REFUSAL},
        {"session.sign-in", TALLY_SIGN_IN, TALLY_REFUSAL},
        {"session.kerberos", TALLY_SIGN_IN, TALLY_REFUSAL},
        {"issuer.sign-in", TALLY_SIGN_IN, TALLY_REFUSAL},
        {"certificate.sign", TALLY_SIGNING, TALLY_REFUSAL},
        {"grant.renew", TALLY_SIGNING, TALLY_REFUSAL},
        {"job_certificate.sign", TALLY_SIGNING, TALLY_REFUSAL},
        {"certificate.revoke", 0, TALLY_REFUSAL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(kind_of(rows[i].action, true), rows[i].allowed);
        assert_int_equal(kind_of(rows[i].action, false), rows[i].refused);
    }
}

static err_t print(void *context, const struct tally *tally) {
    char *text = context;
    size_t len = strlen(text);
    (void)snprintf(text + len, 256 - len, "%d+%d:%d:%d ", (int)tally->at, (int)tally->step_s,
                   (int)tally->kind, (int)tally->count);
    return OK;
}

static void test_write(void **state) {
    (void)state;
    struct store *store = NULL;
    struct tallies none = {0}, some = {0};
    char text[256] = "";
    struct audit row = {.action = "gate.login", .allowed = true};
    assert_ok(store_open_memory(&store));
    assert_ok(store_begin(store));
    assert_ok(tally_write(&none, store, 7300));
    assert_ok(store_tally_list(store, TALLY_SHORT_S, 0, print, text));
    assert_string_equal(text, "");
    tally_count(&some, &row);
    tally_count(&some, &row);
    row.allowed = false;
    tally_count(&some, &row);
    assert_ok(tally_write(&some, store, 7499));
    assert_ok(tally_write(&some, store, 7500));
    assert_ok(store_tally_list(store, TALLY_SHORT_S, 0, print, text));
    assert_ok(store_tally_list(store, TALLY_LONG_S, 0, print, text));
    assert_string_equal(text, "7200+300:1:2 7200+300:2:1 7500+300:1:2 7500+300:2:1 "
                              "7200+3600:1:4 7200+3600:2:2 ");
    assert_ok(store_commit(store));
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_write)};
    return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
