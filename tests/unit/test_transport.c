/* The transport of either side against the other: what is agreed on, rekeying, what is held. */
#include "transport_rig.h"

static void test_every_combination(void **state) {
    (void)state;
    static const char *const kexes[] = {"mlkem768x25519-sha256", "curve25519-sha256",
                                        "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"};
    static const char *const ciphers[] = {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
                                          "chacha20-poly1305@openssh.com", "aes256-ctr"};
    static const struct {
        const char *algorithm, *shown;
    } keys[] = {
        {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519 cert"},
        {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256 cert"},
        {"rsa-sha2-512-cert-v01@openssh.com", "ssh-rsa cert"},
        {"rsa-sha2-256-cert-v01@openssh.com", "ssh-rsa cert"},
        {"ssh-ed25519", "ssh-ed25519"},
        {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
        {"rsa-sha2-512", "ssh-rsa"},
        {"rsa-sha2-256", "ssh-rsa"},
    };
    for (size_t i = 0; i < COUNT_OF(kexes) * COUNT_OF(ciphers) * COUNT_OF(keys); i++) {
        const char *kex = kexes[i % COUNT_OF(kexes)];
        const char *cipher = ciphers[i / COUNT_OF(kexes) % COUNT_OF(ciphers)];
        size_t key = i / COUNT_OF(kexes) / COUNT_OF(ciphers);
        struct rig rig CLEANUP(rig_done);
        rig_init(&rig);
        rig.server.config.kex = NULL;
        rig.client.config.kex = kex;
        rig.client.config.ciphers = cipher;
        rig.client.config.host_key_algorithms = keys[key].algorithm;
        rig_start(&rig);
        rig_run(&rig);
        assert_open(&rig, 1);
        assert_string_equal(rig.client.shown, keys[key].shown);
        assert_ok(rig_send(&rig, &rig.client, 50, 1));
        assert_ok(rig_send(&rig, &rig.server, 51, 1));
        rig_run(&rig);
        assert_int_equal(rig.server.messages, 1);
        assert_int_equal(rig.client.messages, 1);
        for (size_t side = 0; side < 2; side++) {
            struct transport_facts facts;
            transport_facts(side == 0 ? rig.server.transport : rig.client.transport, &facts);
            assert_string_equal(facts.kex, kex);
            assert_string_equal(facts.cipher_in, cipher);
            assert_string_equal(facts.cipher_out, cipher);
            assert_string_equal(facts.host_key_algorithm, keys[key].algorithm);
            assert_true(facts.strict);
            assert_int_equal(facts.exchanges, 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_combination),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
