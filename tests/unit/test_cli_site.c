/* Where a site's state lives, what of it is refused, and what an authority may say of itself. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "check.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/site.h"

#define CA_ONE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBFOct1bcD7kjmGThNgq8tO4baYkPWBJ5L5GbROEI60X"
#define CA_TWO "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAyW++eoM7zwPrSzIl1Xb2Es21dmf5Du3JTqUEhigHxD"

static json_t *document(void) {
    json_t *made =
        json_pack("{s:i, s:s, s:s, s:[s], s:[s], s:s, s:{s:b}}", "version", 1, "site", "cscs",
                  "title", "CSCS", "userCaKeys", CA_ONE, "hostCaKeys", CA_TWO, "defaultKeyFile",
                  "~/.ssh/cscs-key", "policy", "encryptedKeysRequired", 1);
    assert_non_null(made);
    return made;
}

static void documents_refused(void **state) {
    (void)state;
    static const struct {
        const char *member;
        const char *value; /* JSON; NULL removes */
    } cases[] = {
        {"version", "2"},
        {"version", NULL},
        {"site", "\"../x\""},
        {"site", "\"\""},
        {"site", "7"},
        {"site", "\"Upper\""},
        {"userCaKeys", NULL},
        {"userCaKeys", "[]"},
        {"userCaKeys", "\"" CA_ONE "\""},
        {"userCaKeys", "[\"ssh-ed25519 AAAA\"]"},
        {"userCaKeys", "[7]"},
        {"hostCaKeys", NULL},
        {"hostCaKeys", "[\"\"]"},
        {"defaultKeyFile", NULL},
        {"defaultKeyFile", "\"/etc/passwd\""},
        {"defaultKeyFile", "\"~/.ssh/\""},
        {"defaultKeyFile", "\"~/.bashrc\""},
        {"defaultKeyFile", "\"~/.ssh/../.bashrc\""},
        {"defaultKeyFile", "\"~/.ssh/rc\""},
        {"defaultKeyFile", "\"~/.ssh/authorized_keys\""},
        {"defaultKeyFile", "\"~/.ssh/config\""},
        {"defaultKeyFile", "\"~/.ssh/-x\""},
        {"defaultKeyFile", "\"~/.ssh/a b\""},
        {"defaultKeyFile", "\"~other/.ssh/key\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *made CLEANUP(json_freep) = document();
        struct fault fault = {0};
        if (cases[i].value == NULL) {
            assert_int_equal(json_object_del(made, cases[i].member), 0);
        } else {
            json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
            assert_int_equal(json_object_set_new(made, cases[i].member, value), 0);
        }
        assert_fails(document_check(made, &fault), ERR_PROTOCOL);
        assert_string_equal(fault.field, cases[i].member);
    }
    assert_fails(document_check(NULL, NULL), ERR_PROTOCOL);
}

static void documents(void **state) {
    (void)state;
    json_t *one CLEANUP(json_freep) = document();
    json_t *two CLEANUP(json_freep) = document();
    assert_ok(document_check(one, NULL));
    assert_true(document_wants_encrypted_keys(one));
    assert_string_equal(document_key_file(one), "~/.ssh/cscs-key");
    assert_true(document_same_ca_keys(one, two));
    json_t *keys = json_object_get(two, "userCaKeys");
    assert_int_equal(json_array_append_new(keys, json_string(CA_TWO)), 0);
    assert_false(document_same_ca_keys(one, two));
    assert_false(document_same_ca_keys(two, one));
    assert_int_equal(json_array_remove(keys, 0), 0);
    assert_false(document_same_ca_keys(one, two));
}

/* A home of its own for each test. */
static int set_up(void **state) {
    char path[] = "/tmp/postern-test-XXXXXX";
    if (mkdtemp(path) == NULL) {
        return -1;
    }
    *state = strdup(path);
    char config[64];
    char data[64];
    (void)snprintf(config, sizeof config, "%s/config", path);
    (void)snprintf(data, sizeof data, "%s/state", path);
    (void)setenv("HOME", path, 1);
    (void)setenv("XDG_CONFIG_HOME", config, 1);
    (void)setenv("XDG_STATE_HOME", data, 1);
    return 0;
}

static int tear_down(void **state) {
    static const char *const inside[] = {"config/posterngate/cscs/site.json",
                                         "config/posterngate/cscs/tls-ca.pem",
                                         "config/posterngate/cscs/known_hosts",
                                         "config/posterngate/other/known_hosts",
                                         "config/posterngate/other/site.json",
                                         "state/posterngate/cscs/token",
                                         "config/posterngate/cscs",
                                         "config/posterngate/other",
                                         "config/posterngate",
                                         "config",
                                         "state/posterngate/cscs",
                                         "state/posterngate",
                                         "state"};
    for (size_t i = 0; i < COUNT_OF(inside); i++) {
        char *path CLEANUP(freep) = NULL;
        assert_ok(path_join(*state, inside[i], &path));
        (void)remove(path);
    }
    int left = rmdir(*state); /* fails when a temporary file stayed behind */
    free(*state);
    return left;
}

static struct site make_site(const char *name, const char *url, const char *ca_pem) {
    struct site site = {.name = strdup(name),
                        .url = strdup(url),
                        .ca_pem = ca_pem != NULL ? strdup(ca_pem) : NULL,
                        .document = document()};
    json_object_set_new(site.document, "site", json_string(name));
    return site;
}

static void drop(struct site *site) {
    free(site->name);
    free(site->url);
    free(site->ca_pem);
    free(site->username);
    json_decref(site->document);
}

static void sites(void **state) {
    struct trouble trouble = {0};
    struct site *opened CLEANUP(site_freep) = NULL;
    assert_fails(site_open(&trouble, NULL, &opened), ERR_REFUSED);
    assert_int_equal(trouble.exit, EXIT_USAGE);
    assert_non_null(strstr(trouble.next, "postern init"));

    struct site cscs CLEANUP(drop) = make_site("cscs", "https://a.example", "PEM\n");
    assert_ok(site_save(&trouble, &cscs));
    assert_ok(site_open(&trouble, NULL, &opened));
    assert_string_equal(opened->url, "https://a.example");
    assert_string_equal(opened->ca_pem, "PEM\n");
    assert_null(opened->username);
    char *hosts_path CLEANUP(freep) = NULL;
    struct buf hosts CLEANUP(buf_done) = BUF(4096);
    assert_ok(path_join(*state, "config/posterngate/cscs/known_hosts", &hosts_path));
    assert_ok(file_read(hosts_path, &hosts));
    assert_true(span_equal_str(buf_span(&hosts), "@cert-authority * " CA_TWO " cscs\n"));
    site_freep(&opened);

    struct site other CLEANUP(drop) = make_site("other", "https://b.example", NULL);
    other.username = strdup("alice");
    assert_ok(site_save(&trouble, &other));
    assert_fails(site_open(&trouble, NULL, &opened), ERR_REFUSED);
    assert_non_null(strstr(trouble.what, "cscs, other"));
    assert_fails(site_open(&trouble, "third", &opened), ERR_REFUSED);
    assert_fails(site_open(&trouble, "../cscs", &opened), ERR_REFUSED);
    assert_int_equal(trouble.exit, EXIT_USAGE);
    assert_ok(site_open(&trouble, "other", &opened));
    assert_string_equal(opened->username, "alice");
    assert_null(opened->ca_pem);
    site_freep(&opened);
    assert_ok(site_open_url(&trouble, "https://b.example", &opened));
    assert_string_equal(opened->name, "other");
    site_freep(&opened);
    assert_fails(site_open_url(&trouble, "https://c.example", &opened), ERR_NOT_FOUND);
}

static void damaged_site(void **state) {
    struct trouble trouble = {0};
    struct site cscs CLEANUP(drop) = make_site("cscs", "https://a.example", NULL);
    assert_ok(site_save(&trouble, &cscs));
    char *path CLEANUP(freep) = NULL;
    assert_ok(path_join(*state, "config/posterngate/cscs/site.json", &path));
    static const char *const texts[] = {"", "{", "[]", "{}", "{\"url\":\"https://a.example\"}"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct site *opened CLEANUP(site_freep) = NULL;
        assert_ok(file_replace(path, span_str(texts[i]), 0644, 0));
        trouble = (struct trouble){0};
        assert_true(failed(site_open(&trouble, NULL, &opened)));
        assert_int_equal(trouble.exit, EXIT_USAGE);
        assert_non_null(strstr(trouble.what, "site.json"));
    }
    /* A pinned CA that is gone must not fall back to the system's. */
    cscs.ca_pem = strdup("PEM\n");
    assert_ok(site_save(&trouble, &cscs));
    free(TAKE(path));
    assert_ok(path_join(*state, "config/posterngate/cscs/tls-ca.pem", &path));
    assert_int_equal(unlink(path), 0);
    struct site *opened CLEANUP(site_freep) = NULL;
    assert_fails(site_open(&trouble, NULL, &opened), ERR_REFUSED);
    assert_non_null(strstr(trouble.what, "tls-ca.pem"));
}

static void tokens(void **state) {
    struct trouble trouble = {0};
    struct site site CLEANUP(drop) = make_site("cscs", "https://a.example", NULL);
    struct token token CLEANUP(token_done) = {.expires_at = clock_now_s() + 3600};
    struct token loaded CLEANUP(token_done) = {0};
    token.username = strdup("alice");
    assert_ok(secret_copy(span_str("pgt_secret"), 64, &token.text));
    assert_fails(token_load(&trouble, &site, NULL, &loaded), ERR_NOT_FOUND);
    assert_ok(token_save(&trouble, &site, NULL, &token));
    assert_ok(token_load(&trouble, &site, NULL, &loaded));
    assert_string_equal(loaded.text.text, "pgt_secret");
    assert_string_equal(loaded.username, "alice");
    token_done(&loaded);
    assert_fails(token_load(&trouble, &site, "pgk_other", &loaded), ERR_NOT_FOUND);

    char *path CLEANUP(freep) = NULL;
    char *dir CLEANUP(freep) = NULL;
    struct stat status;
    assert_ok(path_join(*state, "state/posterngate/cscs/token", &path));
    assert_ok(path_join(*state, "state/posterngate/cscs", &dir));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(dir, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);

    assert_int_equal(chmod(path, 0640), 0);
    assert_fails(token_load(&trouble, &site, NULL, &loaded), ERR_REFUSED);
    assert_int_equal(trouble.exit, EXIT_REFUSED);
    assert_non_null(strstr(trouble.next, "chmod 600 "));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_fails(token_load(&trouble, &site, NULL, &loaded), ERR_REFUSED);
    assert_non_null(strstr(trouble.next, "chmod 700 "));
    assert_fails(token_save(&trouble, &site, NULL, &token), ERR_REFUSED);
    assert_int_equal(chmod(dir, 0700), 0);

    token.expires_at = clock_now_s() + 5; /* within the margin */
    assert_ok(token_save(&trouble, &site, NULL, &token));
    assert_fails(token_load(&trouble, &site, NULL, &loaded), ERR_NOT_FOUND);
    assert_ok(file_replace(path, span_str("{"), 0600, 0));
    assert_fails(token_load(&trouble, &site, NULL, &loaded), ERR_NOT_FOUND);
    assert_ok(token_remove(&trouble, &site, NULL));
    assert_ok(token_remove(&trouble, &site, NULL));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void paths(void **state) {
    static const struct {
        const char *from;
        const char *to; /* "%s" is the home */
    } cases[] = {{"~/x", "%s/x"}, {"~", "%s/"}, {"~x/y", "~x/y"}, {"/a", "/a"}, {"a", "a"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *got CLEANUP(freep) = NULL;
        char expected[128];
        size_t home = strncmp(cases[i].to, "%s", 2) == 0 ? 2 : 0;
        (void)snprintf(expected, sizeof expected, "%s%s", home > 0 ? (const char *)*state : "",
                       cases[i].to + home);
        assert_ok(path_expand(cases[i].from, &got));
        assert_string_equal(got, expected);
    }
    (void)setenv("XDG_STATE_HOME", "relative", 1);
    char *got CLEANUP(freep) = NULL;
    char expected[128];
    (void)snprintf(expected, sizeof expected, "%s/.local/state/posterngate/cscs/token",
                   (const char *)*state);
    assert_ok(site_state_path("cscs", "token", &got));
    assert_string_equal(got, expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_refused),
        cmocka_unit_test(documents),
        cmocka_unit_test_setup_teardown(sites, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_site, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
