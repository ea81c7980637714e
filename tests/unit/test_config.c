#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authority/config.h"
#include "base/file.h"

static char folder[] = "/tmp/test_config.XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/posternd.yaml", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

struct told {
    size_t count;
    char text[4096]; /* "where|field|reason\n" of each */
};

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    struct told *told = context;
    size_t len = strlen(told->text);
    told->count++;
    (void)snprintf(told->text + len, sizeof told->text - len, "%s|%s|%s\n", complaint->where,
                   complaint->field, complaint->reason);
}

static err_t load(const char *text, struct told *told, struct config **out) {
    *told = (struct told){.count = 0};
    assert_ok(file_replace(path, span_str(text), 0600, 0));
    return config_load(path, on_complaint, told, out);
}

#define GOOD                                                                                       \
    "site: {name: cscs}\n"                                                                         \
    "public_url: https://a.example\n"                                                              \
    "tls: {certificate: c.pem, key: k.pem}\n"                                                      \
    "store: {path: p.db}\n"                                                                        \
    "signer: {directory: ca}\n"

struct refused {
    const char *text;
    const char *expected; /* must be in what was told */
};

static const struct refused refused[] = {
    {"", "posternd.yaml|site.name|is missing"},
    {"- a\n", "posternd.yaml:1|(file)|must be a mapping"},
    {"a: [\n", "|(file)|is not YAML"},
    {GOOD "colour: red\n", "posternd.yaml:6|colour|is not known"},
    {GOOD "policy: {colour: red}\n", "posternd.yaml:6|policy.colour|is not known"},
    {GOOD "quota_per_day: 5\n", "did you mean policy.quota_per_day?"},
    {GOOD "replica: 1\nreplica: 2\n", "posternd.yaml:7|replica|is set twice, first in line 6"},
    {GOOD "issuers: [a, b, c, d, e, f, g, h, i]\n", /* LIMIT_ISSUERS_COUNT */
     "posternd.yaml:6|issuers|has more than 8 items"},
    {GOOD "replica: 1024\n", "posternd.yaml:6|replica|\"1024\" is not a whole number from 0 to"},
    {GOOD "replica: -1\n", "|replica|"},
    {GOOD "replica: [1]\n", "|replica|must be a single value, not a list"},
    {GOOD "listen: {port: 65536}\n", "|listen.port|"},
    {GOOD "listen: {address: localhost}\n", "|listen.address|\"localhost\" is not an IP address"},
    {GOOD "listen: 7\n", "|listen|must be a mapping"},
    {GOOD "log_level: loud\n", "|log_level|"},
    {GOOD "session_lifetime: 12\n", "|session_lifetime|\"12\" is not a duration"},
    {GOOD "session_lifetime: 0h\n", "|session_lifetime|"},
    {GOOD "policy: {durations: [1d, soon]}\n", "|policy.durations|\"soon\" is not a duration"},
    {GOOD "policy: {durations: [1d, 32d]}\n", "|policy.durations|\"32d\" is more than 31d"},
    {GOOD "policy: {durations: [1h]}\n", "|policy.default_duration|is not one of"},
    {GOOD "policy: {default_duration: 2d}\n", "|policy.default_duration|is not one of"},
    {GOOD "policy: {durations: []}\n", "|policy.durations|allows no duration at all"},
    {GOOD "policy: {durations: [], default_duration: 1h}\n", "|policy.durations|allows no"},
    {GOOD "policy: {quota_per_day: 100001}\n", "|policy.quota_per_day|"},
    {GOOD "policy: {quota_per_day: 0}\n", "|policy.quota_per_day|"},
    {GOOD "policy: {key_types: [dsa]}\n", "|policy.key_types|\"dsa\" is not a key type"},
    {GOOD "policy: {key_types: []}\n", "|policy.key_types|allows no key at all"},
    {GOOD "policy: {rsa_bits_min: 1024}\n", "|policy.rsa_bits_min|"},
    {GOOD "policy: {extensions: [permit-everything]}\n", "|policy.extensions|"},
    {GOOD "policy: {force_command: maybe}\n", "|policy.force_command|"},
    {GOOD "policy: {source_networks: [10.1.2.3/8]}\n", "bits set beyond its prefix"},
    {GOOD "policy: {source_networks: everywhere}\n", "|policy.source_networks|"},
    {GOOD "policy: {internal_networks: inside}\n", "|policy.internal_networks|"},
    {GOOD "policy: {backdate: 2h}\n", "|policy.backdate|\"2h\" is more than 1h"},
    {"site: {name: Not A Name}\n", "|site.name|\"Not A Name\" cannot be"},
    {"site: {name: a}\n", "|public_url|is missing"},
    {"public_url: ftp://a\n", "|public_url|\"ftp://a\" is not a URL"},
    {"site: {name: a}\nlisten: {address: 10.0.0.1}\n", "|tls.certificate|is missing: without TLS"},
    {"tls: {key: k}\n", "|tls.certificate|is missing: the two go together"},
    {GOOD "site: {name: b}\n", "posternd.yaml:6|site|is set twice, first in line 1"},
    {"signer: {directory: ca, agent: s}\n", "|signer|has both"},
    {"store: {path: \"\"}\n", "|store.path|is empty"},
    {"site: {title: \"a\\u0007b\"}\n", "|site.title|has a control character"},
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct told told;
        struct config *config = NULL;
        assert_fails(load(refused[i].text, &told, &config), ERR_MALFORMED);
        assert_null(config);
        if (strstr(told.text, refused[i].expected) == NULL) {
            print_error("%s\nexpected: %s\ntold: %s\n", refused[i].text, refused[i].expected,
                        told.text);
            fail();
        }
    }
}

/* As many as there may be are not too many: the first of them is looked for. */
static void takes_as_many_issuers(void **state) {
    (void)state;
    struct told told;
    struct config *config = NULL;
    struct buf text CLEANUP(buf_done) = BUF(4096);
    assert_ok(buf_add_str(&text, GOOD "issuers: [none"));
    for (int i = 1; i < LIMIT_ISSUERS_COUNT; i++) {
        assert_ok(buf_add_str(&text, ", none"));
    }
    assert_ok(buf_add(&text, span_of("]\n", 3)));
    assert_fails(load((const char *)text.data, &told, &config), ERR_NOT_FOUND);
    assert_null(strstr(told.text, "more than"));
}

static void tells_every_error(void **state) {
    (void)state;
    struct told told;
    struct config *config = NULL;
    assert_fails(load("site: {name: \"?\"}\nreplica: x\nlog_level: y\npublic_url: z\nw: v\n"
                      "policy: {backdate: q, durations: [a, b]}\n",
                      &told, &config),
                 ERR_MALFORMED);
    static const char *const fields[] = {
        ":1|site.name|", ":2|replica|",         ":3|log_level|",        ":4|public_url|",
        ":5|w|",         ":6|policy.backdate|", ":6|policy.durations|", "|store.path|",
        "|signer|",      "|tls.certificate|"};
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strstr(told.text, fields[i]) == NULL) {
            print_error("%s is not in:\n%s", fields[i], told.text);
            fail();
        }
    }
}

static void reads(void **state) {
    (void)state;
    struct told told;
    struct config *config CLEANUP(config_freep) = NULL;
    assert_ok(load(GOOD "policy: {durations: [1d, 90min], default_duration: 90min, key_types: "
                        "ed25519, source_networks: [10.0.0.0/8, \"2001:db8::/32\"], "
                        "internal_networks: 172.16.0.0/12}\n"
                        "listen: {address: \"::1\", port: 0}\nsession_lifetime: 1h\n"
                        "log_level: warn\nreplica: 1023\n",
                   &told, &config));
    char expected[80];
    (void)snprintf(expected, sizeof expected, "%s/c.pem", folder);
    assert_string_equal(config->tls_certificate, expected);
    (void)snprintf(expected, sizeof expected, "%s/ca", folder);
    assert_string_equal(config->signer_directory, expected);
    assert_string_equal(config->site_name, "cscs");
    assert_string_equal(config->site_title, "cscs");
    assert_string_equal(config->listen_address, "::1");
    assert_int_equal(config->listen_port, 0);
    assert_int_equal(config->policy.duration_count, 2);
    assert_int_equal(config->policy.duration_max_s, 86400);
    assert_int_equal(config->policy.duration_default_s, 5400);
    assert_int_equal(config->policy.subnets.count, 2);
    assert_int_equal(config->policy.internal_subnets.count, 1);
    assert_int_equal(config->policy.quota_per_day, 5);
    assert_int_equal(config->session_lifetime_s, 3600);
    assert_int_equal(config->replica, 1023);
    char where[64];
    settings_where(&config->settings, "tls.key", where, sizeof where);
    assert_string_equal(where, "posternd.yaml:3");
}

static void takes_the_largest_quota(void **state) {
    (void)state;
    struct told told;
    struct config *config CLEANUP(config_freep) = NULL;
    assert_ok(load(GOOD "policy: {quota_per_day: 100000}\n", &told, &config));
    assert_int_equal(config->policy.quota_per_day, LIMIT_QUOTA_PER_DAY);
}

static void lets_no_key_outlast_the_longest(void **state) {
    (void)state;
    struct told told = {.count = 0};
    struct config *config CLEANUP(config_freep) = NULL;
    assert_fails(load(GOOD "policy:\n  registered_keys:\n    default_duration: 91d\n"
                           "    max_duration: 90d\n",
                      &told, &config),
                 ERR_MALFORMED);
    assert_non_null(strstr(told.text, "policy.registered_keys.default_duration"));
    assert_ok(load(GOOD "policy:\n  registered_keys:\n    max_duration: 90d\n", &told, &config));
    assert_int_equal(config->policy.registered_key_default_s, 90 * 86400);
    assert_true(config->policy.registered_keys_allowed);
}

static void shows_an_example_that_reads(void **state) {
    (void)state;
    struct told told = {.count = 0};
    struct config *config CLEANUP(config_freep) = NULL;
    err_t err = config_load("examples/posternd.yaml", on_complaint, &told, &config);
    print_message("%s", told.text);
    assert_ok(err);
    /* It sets everything that there is to set, once. */
    size_t set = 0;
    for (size_t i = 0; i < SETTINGS_COUNT_MAX; i++) {
        set += config->settings.lines[i] != 0;
    }
    assert_int_equal(set, 43); /* all but signer.agent, which excludes signer.directory */
}

static void checks_files(void **state) {
    (void)state;
    struct told told;
    struct config *config CLEANUP(config_freep) = NULL;
    assert_ok(load(GOOD, &told, &config));
    assert_fails(config_check_files(config, CONFIG_WITH_KEYS, on_complaint, &told), ERR_REFUSED);
    assert_non_null(strstr(told.text, "posternd.yaml:3|tls.certificate|"));
    assert_non_null(strstr(told.text, "posternd.yaml:3|tls.key|"));
    assert_non_null(strstr(told.text, "posternd.yaml:5|signer.directory|"));
}

static void misses_the_file(void **state) {
    (void)state;
    struct told told = {.count = 0};
    struct config *config = NULL;
    assert_fails(config_load("/nonexistent/posternd.yaml", on_complaint, &told, &config),
                 ERR_NOT_FOUND);
    assert_int_equal(told.count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(takes_as_many_issuers),
        cmocka_unit_test(tells_every_error),
        cmocka_unit_test(reads),
        cmocka_unit_test(lets_no_key_outlast_the_longest),
        cmocka_unit_test(shows_an_example_that_reads),
        cmocka_unit_test(checks_files),
        cmocka_unit_test(misses_the_file),
        cmocka_unit_test(takes_the_largest_quota),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
