#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "gate/gate.h"
#include "gate/listen.h"

struct told {
    size_t count;
    char text[8192]; /* "where|field|reason\n" of each */
};

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    struct told *told = context;
    size_t len = strlen(told->text);
    told->count++;
    (void)snprintf(told->text + len, sizeof told->text - len, "%s|%s|%s\n", complaint->where,
                   complaint->field, complaint->reason);
}

static err_t parse(const char *text, struct told *told, struct gate_config *out) {
    *told = (struct told){.count = 0};
    return gate_config_parse(span_str(text), on_complaint, told, out);
}

/* ---- refused ------------------------------------------------------------------------------- */

static const struct {
    const char *text, *expected;
} refused[] = {
    {"listen: 10.0.0.1", "gate.yaml:1|listen|\"10.0.0.1\" is not an address and a port"},
    {"listen: '10.0.0.1:0'", "|listen|"},
    {"listen: '10.0.0.1:65536'", "|listen|"},
    {"listen: '10.0.0.1:022'", "|listen|"},
    {"listen: ':22'", "|listen|"},
    {"listen: '::1:22'", "|listen|"},
    {"listen: '[10.0.0.1]:22'", "|listen|"},
    {"listen: '[::1]22'", "|listen|"},
    {"listen: 'gate.example:22'", "|listen|"},
    {"listen: []", "|listen|names no address"},
    {"listen: ['1.1.1.1:1', '1.1.1.1:1']", "|listen|\"1.1.1.1:1\" is there twice"},
    {"listen: ['[::1]:1', '[0:0::1]:1']", "|listen|\"[0:0::1]:1\" is there twice"},
    {"listen: '1.1.1.1:1'\nmetrics_listen: '1.1.1.1:1'",
     "gate.yaml:2|metrics_listen|\"1.1.1.1:1\" is there twice"},
    {"metrics_listen: 9422", "|metrics_listen|"},
    {"proxies: 10.0.0.1/8", "|proxies|\"10.0.0.1/8\" is not a subnet"},
    {"proxies: balancer", "|proxies|"},
    {"workers: 0", "|workers|\"0\" is not a number from 1 to 64"},
    {"workers: 65", "|workers|"},
    {"workers: many", "|workers|"},
    {"limits: {sessions: 0}", "|limits.sessions|"},
    {"limits: {sessions: 1000001}", "|limits.sessions|"},
    {"limits: {sessions_per_account: 0}", "|limits.sessions_per_account|"},
    {"limits: {sessions_per_account: 1000001}", "|limits.sessions_per_account|"},
    {"limits: {sessions_per_address: 0}", "|limits.sessions_per_address|"},
    {"limits: {sessions_per_address: -1}", "|limits.sessions_per_address|"},
    {"limits: {logins: 0}", "|limits.logins|"},
    {"limits: {login_failures: 0}", "|limits.login_failures|"},
    {"limits: {channels: 0}", "|limits.channels|"},
    {"limits: {channels: 1025}", "|limits.channels|\"1025\" is not a whole number from 1 to 1024"},
    {"limits: {logins_per_minute: 0}",
     "|limits.logins_per_minute|\"0\" is not a number from 1 to 1000000, or none"},
    {"limits: {logins_per_minute: 1000001}", "|limits.logins_per_minute|"},
    {"limits: {logins_per_minute: often}", "|limits.logins_per_minute|"},
    {"limits: {connections_per_minute: 0}", "|limits.connections_per_minute|"},
    {"limits: {connections_per_minute: 1000001}", "|limits.connections_per_minute|"},
    {"limits: {channels_per_minute: 0}", "|limits.channels_per_minute|"},
    {"limits: {channels_per_minute: 1000001}", "|limits.channels_per_minute|"},
    {"limits: {session_bytes: 131071}", "|limits.session_bytes|"},
    {"limits: {session_bytes: 67108865}", "|limits.session_bytes|"},
    {"limits: {session_bytes: 1M}", "|limits.session_bytes|"},
    {"times: {login: none}", "|times.login|"},
    {"times: {login: 61min}", "|times.login|"},
    {"times: {idle: 5}", "|times.idle|\"5\" is not a duration"},
    {"times: {idle: 0s}", "|times.idle|"},
    {"times: {session: never}", "|times.session|"},
    {"times: {session: 367d}", "|times.session|"},
    {"times: {keepalive: yes}", "|times.keepalive|"},
    {"times: {keepalive_count: 0}", "|times.keepalive_count|"},
    {"times: {keepalive_count: 1001}", "|times.keepalive_count|"},
    {"times: {connect: none}", "|times.connect|"},
    {"times: {drain: ''}", "|times.drain|"},
    {"when_expired: kill", "|when_expired|\"kill\" is neither cut nor run"},
    {"when_stale: true", "|when_stale|\"true\" is neither strict nor best-effort"},
    {"max_age: 0s", "|max_age|"},
    {"max_age: none", "|max_age|"},
    {"ssh: {kex: 'a,,b'}", "|ssh.kex|"},
    {"ssh: {kex: 'a, b'}", "|ssh.kex|"},
    {"ssh: {ciphers: ',a'}", "|ssh.ciphers|"},
    {"ssh: {ciphers: ''}", "|ssh.ciphers|"},
    {"ssh: {macs: 'a,,b'}", "|ssh.macs|"},
    {"ssh: {macs: ''}", "|ssh.macs|"},
    {"ssh: {host_key_algorithms: 'a,'}", "|ssh.host_key_algorithms|"},
    {"ssh: {rekey_bytes: 65535}", "|ssh.rekey_bytes|"},
    {"ssh: {rekey_bytes: 34359738369}", "|ssh.rekey_bytes|"},
    {"ssh: {rekey_time: 61min}", "|ssh.rekey_time|\"61min\" is more than 1h"},
    {"user: [a, b]", "|user|"},
    {"state:", "|state|"},
    {"host_keys: {}", "|host_keys|"},
    {"port: 22", "gate.yaml:1|port|is not known"},
    {"limits: {session: 5}", "limits.sessions"},
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct gate_config config;
        struct told told;
        err_t err = parse(refused[i].text, &told, &config);
        if (err.code != ERR_MALFORMED || strstr(told.text, refused[i].expected) == NULL) {
            fail_msg("%s: %s, told:\n%s", refused[i].text, err_name(err), told.text);
        }
    }
}

/* A list with its most items is taken, and with one more is not. */
static void bounds_lists(void **state) {
    (void)state;
    static const struct {
        const char *name, *before, *after;
        unsigned most;
    } lists[] = {
        {"listen", "10.0.0.", ":22", GATE_LISTEN_MAX},
        {"host_keys", "/etc/key_", "", GATE_HOST_KEYS_MAX},
        {"proxies", "10.0.0.", "/32", GATE_PROXIES_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (unsigned count = lists[i].most; count <= lists[i].most + 1; count++) {
            struct buf text CLEANUP(buf_done) = BUF(65536);
            char *whole CLEANUP(freep) = NULL;
            struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
            struct told told;
            assert_ok(buf_add_format(&text, "%s:\n", lists[i].name));
            for (unsigned item = 0; item < count; item++) {
                assert_ok(
                    buf_add_format(&text, "- '%s%u%s'\n", lists[i].before, item, lists[i].after));
            }
            assert_ok(buf_to_str(&text, &whole));
            err_t err = parse(whole, &told, &config);
            assert_int_equal(err.code, count == lists[i].most ? ERR_NONE : ERR_MALFORMED);
            assert_true(count == lists[i].most || strstr(told.text, "has more than") != NULL);
        }
    }
}

static void tells_all(void **state) {
    (void)state;
    struct gate_config config;
    struct told told;
    assert_fails(
        parse("listen: x\nworkers: 0\nlimits:\n  channels: 0\nwhen_stale: no\n", &told, &config),
        ERR_MALFORMED);
    assert_int_equal(told.count, 4);
    assert_non_null(strstr(told.text, "gate.yaml:4|limits.channels"));
}

/* ---- taken --------------------------------------------------------------------------------- */

static void has_defaults(void **state) {
    (void)state;
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    struct told told;
    assert_ok(parse("", &told, &config));
    assert_int_equal(config.listen_count, 2);
    assert_string_equal(config.listen[0], "0.0.0.0:22");
    assert_string_equal(config.listen[1], "[::]:22");
    assert_string_equal(config.state_dir, "/var/lib/postern-host");
    assert_string_equal(config.user, "postern-gate");
    assert_int_equal(config.workers, 0);
    assert_null(config.metrics_listen);
    assert_null(config.macs); /* encrypt-then-MAC alone */
    assert_int_equal(config.proxy_subnets.count, 0);
    /* What is undecided is the stricter. */
    assert_false(config.best_effort);
    assert_int_equal(config.max_age_s, 24 * 3600);
    assert_int_equal(config.rekey_bytes, LIMIT_REKEY_BYTES);
}

static void takes_limits(void **state) {
    (void)state;
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    struct told told;
    assert_ok(parse("workers: 64\n"
                    "limits: {sessions: 1000000, sessions_per_account: 1000000, "
                    "sessions_per_address: 1, logins: 1000000, login_failures: 1, channels: 1024, "
                    "session_bytes: 131072, logins_per_minute: 1000000, "
                    "connections_per_minute: 1, channels_per_minute: none}\n"
                    "times: {login: 1h, idle: 366d, session: none, keepalive: none, "
                    "keepalive_count: 1000, connect: 1h, drain: none}\n"
                    "ssh: {rekey_bytes: 65536, rekey_time: 1h}\n"
                    "max_age: 366d\n",
                    &told, &config));
    assert_int_equal(config.workers, 64);
    assert_int_equal(config.sessions_max, 1000000);
    assert_int_equal(config.sessions_per_address_max, 1);
    assert_int_equal(config.channels_max, LIMIT_CHANNELS_COUNT);
    assert_int_equal(config.session_bytes_max, 131072);
    assert_int_equal(config.logins_per_minute_max, 1000000);
    assert_int_equal(config.connections_per_minute_max, 1);
    assert_int_equal(config.channels_per_minute_max, 0);
    assert_int_equal(config.idle_s, LIMIT_DURATION_S);
    assert_int_equal(config.session_s, 0);
    assert_int_equal(config.keepalive_s, 0);
    assert_int_equal(config.drain_s, 0);
    assert_int_equal(config.rekey_bytes, 65536);
    assert_int_equal(config.rekey_s, 3600);
}

static void takes_values(void **state) {
    (void)state;
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    struct told told;
    assert_ok(parse("listen: '[2001:db8::1]:2222'\n"
                    "proxies: [10.1.0.0/16, 2001:db8::/32, 192.0.2.7]\n"
                    "host_keys: [/k1, /k2]\nmetrics_listen: 127.0.0.1:9422\n"
                    "when_expired: cut\nwhen_stale: best-effort\nuser: gate\nstate: /s\n"
                    "ssh: {kex: 'curve25519-sha256,ecdh-sha2-nistp256', macs: hmac-sha2-256}\n",
                    &told, &config));
    assert_int_equal(config.listen_count, 1);
    assert_int_equal(config.host_key_count, 2);
    assert_int_equal(config.proxy_subnets.count, 3);
    assert_int_equal(config.proxy_subnets.subnets[0].prefix_bits, 16);
    assert_int_equal(config.proxy_subnets.subnets[2].prefix_bits, 32);
    assert_true(config.cut_expired);
    assert_true(config.best_effort);
    assert_string_equal(config.kex, "curve25519-sha256,ecdh-sha2-nistp256");
    assert_string_equal(config.macs, "hmac-sha2-256");
}

/* The example says what the defaults are, but for what it must choose. */
static void example_is_good(void **state) {
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    struct gate_config example CLEANUP(gate_config_done) = {.listen_count = 0};
    struct gate_config usual CLEANUP(gate_config_done) = {.listen_count = 0};
    struct told told;
    assert_ok(file_read("examples/postern-gate.yaml", &text));
    err_t err = gate_config_parse(buf_span(&text), on_complaint, &told, &example);
    assert_ok(err);
    assert_ok(parse("", &told, &usual));
    for (size_t i = 0; i < example.settings.plan->count; i++) {
        const char *name = example.settings.plan->table[i].name;
        if (!settings_is_set(&example.settings, name)) {
            fail_msg("examples/postern-gate.yaml does not show %s", name);
        }
    }
    assert_int_equal(example.sessions_max, usual.sessions_max);
    assert_int_equal(example.sessions_per_account_max, usual.sessions_per_account_max);
    assert_int_equal(example.sessions_per_address_max, usual.sessions_per_address_max);
    assert_int_equal(example.logins_max, usual.logins_max);
    assert_int_equal(example.login_failures_max, usual.login_failures_max);
    assert_int_equal(example.channels_max, usual.channels_max);
    assert_int_equal(example.session_bytes_max, usual.session_bytes_max);
    assert_int_equal(example.logins_per_minute_max, usual.logins_per_minute_max);
    assert_int_equal(example.connections_per_minute_max, usual.connections_per_minute_max);
    assert_int_equal(example.channels_per_minute_max, usual.channels_per_minute_max);
    assert_int_equal(example.login_s, usual.login_s);
    assert_int_equal(example.idle_s, usual.idle_s);
    assert_int_equal(example.session_s, usual.session_s);
    assert_int_equal(example.keepalive_s, usual.keepalive_s);
    assert_int_equal(example.keepalive_max, usual.keepalive_max);
    assert_int_equal(example.connect_s, usual.connect_s);
    assert_int_equal(example.drain_s, usual.drain_s);
    assert_int_equal(example.cut_expired, usual.cut_expired);
    assert_int_equal(example.best_effort, usual.best_effort);
    assert_int_equal(example.max_age_s, usual.max_age_s);
    assert_int_equal(example.rekey_bytes, usual.rekey_bytes);
    assert_int_equal(example.rekey_s, usual.rekey_s);
}

/* ---- the file ------------------------------------------------------------------------------ */

static void loads_relative_paths(void **state) {
    (void)state;
    char folder[] = "/tmp/test_gate_config.XXXXXX", path[64], expected[64];
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    struct told told = {.count = 0};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/gate.yaml", folder);
    (void)snprintf(expected, sizeof expected, "%s/keys/a", folder);
    assert_ok(file_replace(path, SPAN_LITERAL("host_keys: keys/a\nuser: nobody\n"), 0600, 0));
    err_t err = gate_config_load(path, on_complaint, &told, &config);
    (void)unlink(path);
    (void)rmdir(folder);
    assert_ok(err);
    assert_string_equal(config.host_keys[0], expected);
}

static void judges_the_user(void **state) {
    (void)state;
    char path[] = "/tmp/test_gate_config.XXXXXX";
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    struct told told = {.count = 0};
    int fd CLEANUP(fd_closep) = mkstemp(path);
    assert_true(fd >= 0);
    assert_ok(file_replace(path, SPAN_LITERAL("host_keys: a\nuser: root\n"), 0600, 0));
    err_t err = gate_config_load(path, on_complaint, &told, &config);
    (void)unlink(path);
    if (geteuid() == 0) {
        assert_int_equal(err.code, ERR_MALFORMED);
        assert_non_null(strstr(told.text, "|user|is root"));
    } else {
        assert_ok(err); /* who is not root stays who they are */
    }
    assert_fails(gate_config_load("/nonexistent/gate.yaml", on_complaint, &told, &config),
                 ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),         cmocka_unit_test(bounds_lists),
        cmocka_unit_test(tells_all),       cmocka_unit_test(has_defaults),
        cmocka_unit_test(takes_limits),    cmocka_unit_test(takes_values),
        cmocka_unit_test(example_is_good), cmocka_unit_test(loads_relative_paths),
        cmocka_unit_test(judges_the_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
