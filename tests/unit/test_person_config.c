/* A person's ~/.ssh/config: what is added, and taken away again to the byte. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "check.h"
#include "cli/config/person_config.h"
#include "cli/config/putty.h"

static const char *const both[] = {"cscs", "north"};
static const char *const one[] = {"cscs"};

static struct person_config adding(void) {
    return (struct person_config){.ssh_folder = "/home/alice/.ssh",
                                  .site = "cscs",
                                  .sites = one,
                                  .site_count = 1,
                                  .same_home = true};
}

static struct person_config removing(void) {
    struct person_config want = adding();
    want.site_count = 0;
    return want;
}

static void expect(const char *text, const struct person_config *want, const char *expected) {
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    assert_ok(person_config_edit(span_str(text), want, &out));
    if (!span_equal_str(buf_span(&out), expected)) {
        print_error("from:\n%s\nwanted:\n%s\ngot:\n%.*s\n", text, expected, (int)out.len,
                    (const char *)out.data);
        fail();
    }
}

static void refused(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(64 * 1024);
    struct person_config want = adding();
    /* What is behind a block without its end could be anybody's. */
    assert_fails(person_config_edit(span_str("# begin of posterngate-cscs\nHost a\n"), &want, &out),
                 ERR_TRUNCATED);
    want.same_home = false;
    static const char *const folders[] = {"/home/a\nb/.ssh", "/home/a\"b/.ssh", "/home/a*/.ssh",
                                          "/home/%h/.ssh"};
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        buf_clear(&out);
        want.ssh_folder = folders[i];
        assert_fails(person_config_edit(span_str(""), &want, &out), ERR_MALFORMED);
    }
}

#define LINE "Include config.d/posterngate-cscs\n"

static void added(void **state) {
    (void)state;
    struct person_config want = adding();
    expect("", &want, LINE);
    expect("Host a\n", &want, LINE "Host a\n");
    expect("Host a", &want, LINE "Host a");
    expect("# mine\n\n" LINE "Host a\n", &want, "# mine\n\n" LINE "Host a\n");
    expect("Host a\r\n", &want, "Include config.d/posterngate-cscs\r\nHost a\r\n");
    /* Not first: it would belong to the host. */
    expect("Host a\n" LINE "User b\n", &want, LINE "Host a\nUser b\n");
    expect("User b\n" LINE, &want, LINE "User b\n");
    expect(LINE LINE, &want, LINE);
    expect("Include config.d/posterngate-north\n", &want, LINE);
    /* By the person's own hand. */
    expect("include ~/.ssh/config.d/posterngate-cscs\nHost a\n", &want,
           "include ~/.ssh/config.d/posterngate-cscs\nHost a\n");
    expect("Include=\"/home/alice/.ssh/config.d/*\"\n", &want,
           "Include=\"/home/alice/.ssh/config.d/*\"\n");
    expect("Include other config.d/*\n", &want, "Include other config.d/*\n");
    expect("Include config.d/*.conf\n", &want, LINE "Include config.d/*.conf\n");
    expect("Include */posterngate-cscs/*\n", &want, LINE "Include */posterngate-cscs/*\n");
    expect("Match all\nInclude ~/.ssh/config.d/*\n", &want,
           LINE "Match all\nInclude ~/.ssh/config.d/*\n");
    expect("#Include ~/.ssh/config.d/*\n", &want, LINE "#Include ~/.ssh/config.d/*\n");

    want.sites = both;
    want.site_count = 2;
    expect(LINE "Host a\n", &want,
           "Include config.d/posterngate-cscs config.d/posterngate-north\nHost a\n");
    want.same_home = false;
    want.ssh_folder = "/tmp/a home/.ssh";
    expect(LINE, &want,
           "Include \"/tmp/a home/.ssh/config.d/posterngate-cscs\" "
           "\"/tmp/a home/.ssh/config.d/posterngate-north\"\n");
}

/* An ssh without Include. */
static void blocks(void **state) {
    (void)state;
    struct person_config want = adding();
    want.site_count = 0;
    want.block = span_str("Host ela\n    User alice\n");
#define BLOCK                                                                                      \
    "# begin of posterngate-cscs\nHost ela\n    User alice\nHost *\n# end of posterngate-cscs\n"
    expect("ServerAliveInterval 9\n", &want, BLOCK "ServerAliveInterval 9\n");
    expect(BLOCK "Host a\n", &want, BLOCK "Host a\n");
    expect(LINE "Host a\n", &want, BLOCK "Host a\n");
    struct person_config plain = adding();
    expect(BLOCK "Host a\n", &plain, LINE "Host a\n");
    /* Another site's stays. */
    plain.site = "north";
    plain.sites = both + 1;
    expect(BLOCK "Host a\n", &plain, "Include config.d/posterngate-north\n" BLOCK "Host a\n");
}

static void taken_away(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "Host a",
        "Host a\n  User b\n\n\n",
        "# x\n#y\n\n  Host a\r\n",
        "Host a\r\n\r\n",
        "User b\nHost *\nInclude ~/.ssh/config.d/x\n",
        "Include ~/.ssh/config.d/*\n",
        "\xef\xbb\xbfHost a\n",
        "Include\nInclude \"\n=\n\"\n",
        "Host a\n# end of posterngate-cscs\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct person_config add = adding();
        struct person_config remove = removing();
        for (int form = 0; form < 2; form++) {
            struct buf with CLEANUP(buf_done) = BUF(64 * 1024);
            struct buf again CLEANUP(buf_done) = BUF(64 * 1024);
            struct buf without CLEANUP(buf_done) = BUF(64 * 1024);
            assert_ok(person_config_edit(span_str(texts[i]), &add, &with));
            assert_ok(person_config_edit(buf_span(&with), &add, &again));
            assert_true(span_equal(buf_span(&with), buf_span(&again)));
            assert_ok(person_config_edit(buf_span(&with), &remove, &without));
            assert_true(span_equal_str(buf_span(&without), texts[i]));
            add.site_count = 0;
            add.block = span_str("Host ela\n");
        }
    }
}

static void ignored(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(1024);
    assert_ok(person_config_ignored(span_str("Host a\nUser b\n"), &out));
    assert_int_equal(out.len, 0);
    assert_ok(person_config_ignored(
        span_str("ignoreunknown=A*,B\n# begin of posterngate-x\nIgnoreUnknown UseKeychain\n"
                 "# end of posterngate-x\nHost a\nIgnoreUnknown \"C\"\n"),
        &out));
    assert_true(span_equal_str(buf_span(&out), "A*,B,C"));
}

static void putty_refuses(void **state) {
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF(4096);
    struct putty_session session = {.name = "ela", .address = "ela.example", .port = 22};
    struct putty_options options = {.site = "cscs", .key = "/home/alice\nProxyMethod=5"};
    assert_fails(putty_put_session(&session, &options, &out), ERR_MALFORMED);
    options.key = "/home/alice/.ssh/key.ppk";
    buf_clear(&out);
    assert_ok(putty_put_session(&session, &options, &out));
    assert_true(span_equal_str(buf_span(&out),
                               "HostName=ela.example\nPortNumber=22\nProtocol=ssh\n"
                               "PublicKeyFile=/home/alice/.ssh/key.ppk\nPosterngate=cscs\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),    cmocka_unit_test(added),   cmocka_unit_test(blocks),
        cmocka_unit_test(taken_away), cmocka_unit_test(ignored), cmocka_unit_test(putty_refuses),
    };
    return cmocka_run_group_tests_name("person_config", tests, NULL, NULL);
}
