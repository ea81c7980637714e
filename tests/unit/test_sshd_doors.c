/* What `postern-host check` tells of an sshd. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "host/sync_host.h"

#define TRUSTED "trustedusercakeys /state/user_ca.pub\n"
#define OURS                                                                                       \
    TRUSTED                                                                                        \
    "authorizedprincipalscommand /usr/bin/postern-host principals --state /state --uid 1\n"        \
    "authorizedkeyscommand /usr/bin/postern-host keys --state /state --uid 1\n"

static void expect(const char *settings, const char *expected) {
    struct buf out CLEANUP(buf_done) = BUF(4096);
    assert_ok(sshd_doors_tell(span_str(settings), "/state", &out));
    assert_ok(buf_add_byte(&out, '\0'));
    if (expected == NULL) {
        assert_string_equal((const char *)out.data, "");
    } else if (strstr((const char *)out.data, expected) == NULL) {
        print_error("\"%s\" is not in: %s\n", expected, (const char *)out.data);
        fail();
    }
}

static void test_doors(void **state) {
    (void)state;
    expect(OURS "gssapiauthentication yes\n", "GSSAPIAuthentication yes: by a Kerberos ticket");
    expect(OURS "hostbasedauthentication yes\n", "HostbasedAuthentication yes");
    expect(OURS "kbdinteractiveauthentication yes\n", "KbdInteractiveAuthentication yes");
    expect("passwordauthentication yes\n" OURS, "PasswordAuthentication yes");
    expect(OURS "passwordauthentication yes", "PasswordAuthentication yes: by a password");
    expect(OURS "authorizedkeysfile .ssh/authorized_keys .ssh/other\n",
           "AuthorizedKeysFile .ssh/authorized_keys .ssh/other: by a key");
    expect(OURS "passwordauthentication no\ngssapiauthentication no\nauthorizedkeysfile none\n",
           NULL);
}

static void test_methods(void **state) {
    (void)state;
    static const char *const open[] = {"any", "password", "publickey password",
                                       "publickey keyboard-interactive:pam", "publickeys"};
    static const char *const shut[] = {"publickey", "gssapi-with-mic,publickey",
                                       "publickey gssapi-with-mic,publickey", "publickey,publickey",
                                       "password,publickey:x"};
    char settings[1024];
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        (void)snprintf(settings, sizeof settings,
                       OURS "authenticationmethods %s\npasswordauthentication yes\n", open[i]);
        expect(settings, "PasswordAuthentication yes");
    }
    for (size_t i = 0; i < COUNT_OF(shut); i++) {
        (void)snprintf(settings, sizeof settings,
                       OURS "authenticationmethods %s\npasswordauthentication yes\n", shut[i]);
        expect(settings, NULL);
    }
    /* A key of such a file is a key. */
    expect(OURS "authenticationmethods publickey\nauthorizedkeysfile f\n", "AuthorizedKeysFile f");
}

/* Our CA, and other commands that say whom its certificates let in. */
static void test_commands(void **state) {
    (void)state;
    expect(TRUSTED, "AuthorizedPrincipalsCommand : by a certificate");
    expect(TRUSTED "authorizedprincipalscommand none\n", "AuthorizedPrincipalsCommand none");
    expect(TRUSTED "authorizedprincipalscommand /usr/local/bin/principals a\n",
           "AuthorizedPrincipalsCommand /usr/local/bin/principals a: by a");
    expect("authorizedkeyscommand /usr/bin/sss_ssh_authorizedkeys\n" OURS,
           "AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys: by a key that it knows");
    expect(
        "authorizedprincipalscommand /usr/bin/postern-host principals --state /state.old x\n" OURS,
        "AuthorizedPrincipalsCommand /usr/bin/postern-host principals --state /state.old x");
    expect("authorizedkeyscommand none\n" OURS, NULL);
}

static void test_not_ours(void **state) {
    (void)state;
    expect("", "TrustedUserCAKeys ");
    expect("trustedusercakeys none\npasswordauthentication yes\n", "TrustedUserCAKeys none");
    expect("trustedusercakeys /state/user_ca.pub.old\n", "asks nobody here");
}

static void test_limits(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(8);
    assert_fails(sshd_doors_tell(SPAN_LITERAL(OURS "passwordauthentication yes\n"), "/state", &out),
                 ERR_TOO_LONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors),    cmocka_unit_test(test_methods),
        cmocka_unit_test(test_commands), cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
