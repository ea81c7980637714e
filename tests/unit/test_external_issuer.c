/* What the file of another issuer may say, and what claims then mean. */
#include "check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "authority/external_code.h"
#include "authority/external_issuer.h"
#include "base/limits.h"

struct told {
    char text[2048];
};

static void on_complaint(void *context, const struct settings_complaint *complaint) {
    struct told *told = context;
    size_t at = strlen(told->text);
    (void)snprintf(told->text + at, sizeof told->text - at, "%s|%s|%s\n", complaint->where,
                   complaint->field, complaint->reason);
}

static err_t load(const char *text, struct told *told, struct external_issuer **out) {
    char path[] = "/tmp/posterngate-issuer-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    *told = (struct told){.text = ""};
    err_t err = external_issuer_new(path, on_complaint, told, out);
    assert_int_equal(unlink(path), 0);
    return err;
}

#define GOOD "url: https://op.example\nclient_id: postern\n"

static void test_refused_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"client_id: postern\n", "|url|is missing"},
        {"url: https://op.example\n", "|client_id|is missing"},
        {"url: http://op.example\nclient_id: a\n", "|url|"},
        {"url: https://op.example?x\nclient_id: a\n", "|url|"},
        {GOOD "algorithms: [none]\n", "\"none\" is not taken"},
        {GOOD "algorithms: [HS256]\n", "\"HS256\" is not taken"},
        {GOOD "clock_skew: 11min\n", "|clock_skew|"},
        {GOOD "max_age: 2h\n", "|max_age|"},
        {GOOD "redirect_port: 1023\n", "|redirect_port|"},
        {GOOD "redirect_port: 65536\n", "|redirect_port|"},
        {GOOD "one_time_tokens:\n  audience: postern\n", "is a client by which people sign in"},
        {GOOD "dashboard:\n  client_id: web\none_time_tokens:\n  audience: web\n",
         "is a client by which people sign in"},
        {GOOD "one_time_tokens:\n  max_age: 11min\n", "|one_time_tokens.max_age|"},
        {GOOD "ca_file: /nonexistent/ca.pem\n", "|ca_file|"},
        {GOOD "colour: red\n", "|colour|is not known"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct told told;
        struct external_issuer *issuer = NULL;
        assert_fails(load(cases[i].text, &told, &issuer), ERR_MALFORMED);
        if (strstr(told.text, cases[i].told) == NULL) {
            print_error("%s: %s\n", cases[i].text, told.text);
        }
        assert_non_null(strstr(told.text, cases[i].told));
    }
}

static void test_url_is_bounded(void **state) {
    (void)state;
    for (int chars = LIMIT_ISSUER_CHARS; chars <= LIMIT_ISSUER_CHARS + 1; chars++) {
        char text[LIMIT_ISSUER_CHARS + 64];
        struct told told;
        struct external_issuer *issuer = NULL;
        const char *host = "https://op.example/";
        (void)snprintf(text, sizeof text, "url: %s%0*d\nclient_id: a\n", host,
                       chars - (int)strlen(host), 7);
        assert_fails(load(text, &told, &issuer),
                     chars == LIMIT_ISSUER_CHARS ? ERR_NONE : ERR_MALFORMED);
        if (chars > LIMIT_ISSUER_CHARS) {
            assert_non_null(strstr(told.text, "|url|"));
        }
        external_issuer_free(issuer);
    }
}

static void test_usual(void **state) {
    (void)state;
    struct told told;
    struct external_issuer *issuer = NULL;
    assert_ok(load(GOOD, &told, &issuer));
    const struct external_config *config = external_issuer_config(issuer);
    assert_int_equal(config->algorithms, JWS_ALL);
    assert_int_equal(config->skew_s, 60);
    assert_int_equal(config->redirect_port, 0);
    assert_string_equal(config->title, "op.example");
    assert_string_equal(config->dashboard_client, "postern");
    assert_null(config->one_time_audience);
    assert_null(config->dashboard_secret_file);
    assert_false(config->account_create);
    assert_false(config->account_administrator);
    assert_false(config->project_follow);
    external_issuer_free(issuer);
    told = (struct told){.text = ""};
    assert_ok(external_issuer_new("examples/issuer.yaml", on_complaint, &told, &issuer));
    external_issuer_free(issuer);
}

#define VERIFIED "{\"email_verified\":true,"
static void test_account(void **state) {
    (void)state;
    struct told told;
    struct external_issuer *issuer = NULL;
    assert_ok(load(GOOD "account: {claim: email, suffix: \"@hpc.example\"}\n", &told, &issuer));
    static const struct {
        const char *claims, *name; /* NULL: refused */
    } cases[] = {
        {VERIFIED "\"email\":\"alice@hpc.example\"}", "alice"},
        {VERIFIED "\"email\":\"alice@evil.example\"}", NULL},
        {VERIFIED "\"email\":\"alice@hpc.example.evil.example\"}", NULL},
        {VERIFIED "\"email\":\"alice\"}", NULL},
        {VERIFIED "\"email\":\"@hpc.example\"}", NULL},
        {VERIFIED "\"email\":\"a,b@hpc.example\"}", NULL},
        {VERIFIED "\"email\":\"../a@hpc.example\"}", NULL},
        {VERIFIED "\"email\":\"alice@evil.example@hpc.example\"}", NULL},
        {VERIFIED "\"email\":[\"alice@hpc.example\"]}", NULL},
        {"{\"email\":\"alice@hpc.example\"}", NULL},
        {"{\"email_verified\":false,\"email\":\"alice@hpc.example\"}", NULL},
        {"{\"email_verified\":\"true\",\"email\":\"alice@hpc.example\"}", NULL},
        {"{\"sub\":\"alice@hpc.example\"}", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char name[LIMIT_ACCOUNT_NAME_CHARS + 1] = "";
        struct fault fault = {.reason = ""};
        json_t *claims = json_loads(cases[i].claims, 0, NULL);
        assert_non_null(claims);
        err_t err = external_config_account(external_issuer_config(issuer),
                                            external_issuer_config(issuer)->account_claim, claims,
                                            name, &fault);
        assert_int_equal(err.code, cases[i].name != NULL ? ERR_NONE : ERR_REFUSED);
        assert_string_equal(name, cases[i].name != NULL ? cases[i].name : "");
        assert_true(failed(err) == (fault.reason[0] != '\0'));
        json_decref(claims);
    }
    external_issuer_free(issuer);
}

static void test_project(void **state) {
    (void)state;
    struct told told;
    struct external_issuer *issuer = NULL;
    const char *project = NULL;
    assert_ok(load(GOOD "projects: {claim: groups, prefix: hpc-}\n", &told, &issuer));
    const struct external_config *config = external_issuer_config(issuer);
    assert_false(external_config_project(config, "csstaff", &project));
    assert_false(external_config_project(config, "hpc-", &project));
    assert_false(external_config_project(config, "", &project));
    assert_true(external_config_project(config, "hpc-csstaff", &project));
    assert_string_equal(project, "csstaff");
    external_issuer_free(issuer);
}

/* What a browser's secret becomes: another thing for each purpose and each issuer. */
static void test_code(void **state) {
    (void)state;
    static const char secret[] = "jeYPFK_RbnysslgUx9lxsEo27Oj0tnzdDVJNKhavsR4";
    struct external_code one, same, other_issuer, other_secret;
    external_code_derive("hpc", span_str(secret), &one);
    external_code_derive("hpc", span_str(secret), &same);
    external_code_derive("hpd", span_str(secret), &other_issuer);
    external_code_derive("hpc", span_str("keYPFK_RbnysslgUx9lxsEo27Oj0tnzdDVJNKhavsR4"),
                         &other_secret);
    const char *all[] = {one.state,
                         one.nonce,
                         one.verifier,
                         other_issuer.state,
                         other_issuer.nonce,
                         other_issuer.verifier,
                         other_secret.state,
                         other_secret.nonce,
                         other_secret.verifier,
                         secret};
    assert_string_equal(one.state, same.state);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_equal(strlen(all[i]), EXTERNAL_CODE_CHARS - 1);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(all[i], all[j]);
        }
    }
}

/* The file's name stands in addresses. */
static void test_refused_names(void **state) {
    (void)state;
    static const char *const names[] = {
        "a b", "a?b", ".yaml", "a%2f",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct told told = {.text = ""};
        struct external_issuer *issuer = NULL;
        char path[128];
        (void)snprintf(path, sizeof path, "/nonexistent/%s", names[i]);
        assert_fails(external_issuer_new(path, on_complaint, &told, &issuer), ERR_MALFORMED);
        assert_non_null(strstr(told.text, "stands in addresses"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_files), cmocka_unit_test(test_url_is_bounded),
        cmocka_unit_test(test_usual),         cmocka_unit_test(test_code),
        cmocka_unit_test(test_refused_names), cmocka_unit_test(test_account),
        cmocka_unit_test(test_project),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
