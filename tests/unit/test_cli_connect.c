/* What an account reaches, judged, and the ssh configuration for it, which `ssh -G` reads. */
#include <string.h>

#include "cli/config/host_names.h"
#include "cli/config/node_patterns.h"
#include "cli/config/ssh_config.h"
#include "cli/config/ssh_value.h"
#include "cli/reach.h"
#include "fixture.h"

static json_t *json_of(const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    if (json == NULL) {
        print_error("no JSON: %s\n", text);
    }
    assert_non_null(json);
    return json;
}

static const char document[] =
    "{\"jumpHosts\": [{\"name\": \"ela\", \"address\": \"ela.example\", \"port\": 22},"
    "                 {\"name\": \"ela2\", \"address\": \"10.0.0.2\", \"port\": 2222}],"
    " \"clusters\": [{\"name\": \"daint\", \"address\": \"daint.example\", \"port\": 22,"
    "                 \"nodeAccess\": \"job\", \"credentials\": \"both\"},"
    "                {\"name\": \"santis\", \"address\": \"santis.example\", \"port\": 2201,"
    "                 \"nodeAccess\": \"open\", \"credentials\": \"keys\"},"
    "                {\"name\": \"a_b\", \"address\": \"a_b\", \"port\": 22}]}";

static const char kept[] =
    "{\"username\": \"alice\", \"fetchedAt\": 1000, \"clusters\": [\"daint\", \"santis\"],"
    " \"hosts\": [{\"name\": \"daint-ln001\", \"role\": \"login\", \"cluster\": \"daint\","
    "              \"address\": \"10.0.0.11\", \"port\": 22},"
    "             {\"name\": \"nid001234\", \"role\": \"compute\", \"cluster\": \"daint\","
    "              \"port\": 22},"
    "             {\"name\": \"nid001235\", \"role\": \"compute\", \"cluster\": \"daint\","
    "              \"port\": 22},"
    "             {\"name\": \"nid009999\", \"role\": \"compute\", \"cluster\": \"daint\","
    "              \"port\": 2022},"
    "             {\"name\": \"n1\", \"role\": \"compute\", \"cluster\": \"santis\", \"port\": 22},"
    "             {\"name\": \"graphite-3.nancy\", \"role\": \"compute\", \"cluster\": \"santis\","
    "              \"address\": \"10.0.1.3\", \"port\": 22},"
    "             {\"name\": \"new\", \"role\": \"of tomorrow\", \"cluster\": \"santis\"}]}";

/* ---- what is told is judged ---- */

/* One member is set to VALUE (JSON; NULL removes it); which one, as the fault calls it. */
static void refused(void **state) {
    (void)state;
    static const struct {
        bool of_kept;
        const char *list;
        size_t index;
        const char *member;
        const char *value;
    } cases[] = {
        {false, "jumpHosts", 0, "name", NULL},
        {false, "jumpHosts", 0, "name", "\"\""},
        {false, "jumpHosts", 0, "name", "\"-oProxyCommand=x\""},
        {false, "jumpHosts", 0, "name", "\"ela\\n  ProxyCommand touch /tmp/x\""},
        {false, "jumpHosts", 1, "address", "\"ela example\""},
        {false, "jumpHosts", 1, "address", "\"$(id)\""},
        {false, "jumpHosts", 1, "address", "\"*\""},
        {false, "jumpHosts", 1, "port", "0"},
        {false, "jumpHosts", 1, "port", "65536"},
        {false, "jumpHosts", 1, "port", "\"22\""},
        {false, "clusters", 1, "name", "\"*\""},
        {false, "clusters", 1, "name", "\"a b\""},
        {false, "clusters", 1, "name", "7"},
        {false, "clusters", 1, "address", "\"%h\""},
        {false, "clusters", 1, "address", "\"x\\\"y\""},
        {false, "clusters", 1, "port", NULL},
        {true, "hosts", 0, "name", "\"nid'1\""},
        {true, "hosts", 0, "name", "\"nid?\""},
        {true, "hosts", 0, "address", "\"!x\""},
        {true, "hosts", 1, "cluster", "\"..\\n\""},
        {true, "hosts", 1, "cluster", NULL},
        {true, "hosts", 1, "port", "-1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *site CLEANUP(json_freep) = json_of(document);
        json_t *rest CLEANUP(json_freep) = json_of(kept);
        json_t *row = json_array_get(json_object_get(cases[i].of_kept ? rest : site, cases[i].list),
                                     cases[i].index);
        if (cases[i].value == NULL) {
            assert_int_equal(json_object_del(row, cases[i].member), 0);
        } else {
            json_t *value = json_loads(cases[i].value, JSON_DECODE_ANY, NULL);
            assert_int_equal(json_object_set_new(row, cases[i].member, value), 0);
        }
        char field[96];
        (void)snprintf(field, sizeof field, "%s[%zu].%s", cases[i].list, cases[i].index,
                       cases[i].member);
        struct reach *reach CLEANUP(reach_freep) = NULL;
        struct fault fault = {0};
        assert_fails(reach_judge(site, rest, &reach, &fault), ERR_PROTOCOL);
        assert_string_equal(fault.field, field);
        assert_true(fault.reason[0] != '\0');
        assert_null(reach);
    }
}

static void refused_whole(void **state) {
    (void)state;
    static const struct {
        const char *document, *kept, *field;
    } cases[] = {
        {"{\"jumpHosts\": 7}", NULL, "jumpHosts"},
        {"{\"clusters\": {}}", NULL, "clusters"},
        {"{}", "{\"hosts\": null}", "hosts"},
        {"{}", "{\"username\": \"root\", \"hosts\": []}", "username"},
        {"{}", "{\"username\": \"a\\nUser root\", \"hosts\": []}", "username"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *site CLEANUP(json_freep) = json_of(cases[i].document);
        json_t *rest CLEANUP(json_freep) = cases[i].kept != NULL ? json_of(cases[i].kept) : NULL;
        struct reach *reach CLEANUP(reach_freep) = NULL;
        struct fault fault = {0};
        assert_fails(reach_judge(site, rest, &reach, &fault), ERR_PROTOCOL);
        assert_string_equal(fault.field, cases[i].field);
    }
}

/* A list of `count` hosts n-0, n-1, … */
static json_t *many_hosts(size_t count) {
    json_t *hosts = json_array();
    for (size_t i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "node-%zu", i);
        json_t *row = json_pack("{s:s, s:s, s:s, s:i}", "name", name, "role", "compute", "cluster",
                                "daint", "port", 22);
        assert_int_equal(json_array_append_new(hosts, row), 0);
    }
    return json_pack("{s:o, s:[s]}", "hosts", hosts, "clusters", "daint");
}

static void limits(void **state) {
    (void)state;
    json_t *site CLEANUP(json_freep) = json_of(document);
    struct reach *reach CLEANUP(reach_freep) = NULL;
    json_t *most CLEANUP(json_freep) = many_hosts(LIMIT_REACH_HOSTS_COUNT);
    assert_ok(reach_judge(site, most, &reach, NULL));
    assert_int_equal(reach->host_count, LIMIT_REACH_HOSTS_COUNT);
    struct node_patterns patterns CLEANUP(node_patterns_done) = {0};
    assert_ok(node_patterns_make(reach, "ela", false, &patterns));
    assert_int_equal(patterns.count, 5); /* node-? to node-????? */

    json_t *more CLEANUP(json_freep) = many_hosts(LIMIT_REACH_HOSTS_COUNT + 1);
    struct reach *none CLEANUP(reach_freep) = NULL;
    assert_fails(reach_judge(site, more, &none, NULL), ERR_PROTOCOL);
}

static struct reach *judged(const char *of_document, const char *of_kept) {
    json_t *site CLEANUP(json_freep) = json_of(of_document);
    json_t *rest CLEANUP(json_freep) = of_kept != NULL ? json_of(of_kept) : NULL;
    struct reach *reach = NULL;
    struct fault fault = {0};
    err_t err = reach_judge(site, rest, &reach, &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
    return reach;
}

static void reached(void **state) {
    (void)state;
    struct reach *reach CLEANUP(reach_freep) = judged(document, kept);
    assert_string_equal(reach->username, "alice");
    assert_int_equal(reach->jump_count, 2);
    assert_int_equal(reach->cluster_count, 2);
    assert_int_equal(reach->host_count, 6);
    assert_int_equal(reach_find_cluster(reach, "santis")->credentials, CREDENTIALS_KEYS);
    assert_int_equal(reach_find_cluster(reach, "santis")->node_access, NODE_ACCESS_OPEN);
    assert_null(reach_find_cluster(reach, "a_b"));
    assert_string_equal(reach_find_host(reach, "nid001234")->address, "nid001234");
    assert_string_equal(reach_find_host(reach, "10.0.0.11")->name, "daint-ln001");
    assert_int_equal(reach_find_host(reach, "ela2")->role, HOST_JUMP);

    /* Where nothing was told but the document, all of its clusters count. */
    struct reach *bare CLEANUP(reach_freep) = judged(document, NULL);
    assert_null(bare->username);
    assert_int_equal(bare->cluster_count, 3);
    assert_int_equal(bare->host_count, 0);
}

static void patterns(void **state) {
    (void)state;
    struct reach *reach CLEANUP(reach_freep) = judged(document, kept);
    struct node_patterns found CLEANUP(node_patterns_done) = {0};
    assert_ok(node_patterns_make(reach, "ela", false, &found));
    static const struct {
        const char *text;
        bool exact;
    } expected[] = {
        {"nid009999", true}, {"graphite-?.nancy", false}, {"n1", false}, {"nid??????", false}};
    assert_int_equal(found.count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_string_equal(found.items[i].text, expected[i].text);
        assert_int_equal(found.items[i].exact, expected[i].exact);
    }
}

/* ---- words ---- */

static void words(void **state) {
    (void)state;
    static const char *const bad_hops[] = {"",    "-x",   "a@-x", "a b", "a;b",
                                           "a,b", "$(x)", "a@",   "@a"};
    static const char *const good_hops[] = {"gw", "me@gw.example:2222", "[fd00::1]:22"};
    for (size_t i = 0; i < COUNT_OF(bad_hops); i++) {
        assert_fails(ssh_value_check_hop(bad_hops[i]), ERR_MALFORMED);
    }
    for (size_t i = 0; i < COUNT_OF(good_hops); i++) {
        assert_ok(ssh_value_check_hop(good_hops[i]));
    }
    static const char *const bad_suffixes[] = {"", ".", "g5k", ".g5k.", ".*", ".a b", "..a", ".-a"};
    for (size_t i = 0; i < COUNT_OF(bad_suffixes); i++) {
        assert_fails(ssh_value_check_suffix(bad_suffixes[i]), ERR_MALFORMED);
    }
    assert_ok(ssh_value_check_suffix(".g5k"));
    assert_ok(ssh_value_check_suffix(".a-1.b"));

    static const char *const bad_versions[] = {"", "OpenSSH", "OpenSSH_x", "Dropbear v2022.83"};
    struct ssh_version version;
    for (size_t i = 0; i < COUNT_OF(bad_versions); i++) {
        assert_fails(ssh_version_parse(bad_versions[i], &version), ERR_MALFORMED);
    }
    assert_ok(ssh_version_parse("OpenSSH_for_Windows_8.1p1, LibreSSL 3.0.2", &version));
    assert_true(ssh_version_before(version, 8, 2) && !ssh_version_before(version, 8, 1));
    assert_ok(ssh_version_parse("OpenSSH_10.0p2 Debian-7", &version));
    assert_false(ssh_version_before(version, 7, 3));
    assert_false(ssh_version_before((struct ssh_version){0}, 7, 3));
}

static void values(void **state) {
    (void)state;
    static const char *const bad[] = {"a\nb", "a\"b",    "a'b",   "a\\b",
                                      "%h",   "${HOME}", "a\x7f", "\t"};
    struct buf out CLEANUP(buf_done) = BUF(256);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_fails(ssh_value_put(&out, bad[i]), ERR_MALFORMED);
        assert_int_equal(out.len, 0);
    }
    assert_ok(ssh_value_put(&out, "~/.ssh/key"));
    assert_ok(ssh_value_put(&out, "/home/of alice/key#1"));
    assert_true(span_equal_str(buf_span(&out), "~/.ssh/key\"/home/of alice/key#1\""));
}

/* ---- as ssh reads it ---- */

static const struct ssh_config_options usual = {
    .site = "cscs",
    .username = "alice",
    .key_file = "/tmp/of alice/cscs-key",
    .known_hosts = "/tmp/of alice/known_hosts",
    .user_known_hosts = "/tmp/known hosts",
};

static void write_config(const struct reach *reach, const struct ssh_config_options *options) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    struct fault fault = {0};
    err_t err = ssh_config_write(reach, options, &text, &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
    span_t rest = buf_span(&text);
    while (rest.len > 0) {
        assert_true(span_until(&rest, '\n').len <= LIMIT_SSH_CONFIG_LINE_CHARS);
    }
    fixture_write("config", buf_span(&text));
}

/* `ssh -G` says just this for the host. */
static void says(const char *host, const char *line) {
    if (fixture_run("ssh -F config -G '%s' >said 2>&1 && grep -qxF -e '%s' said", host, line) !=
        0) {
        print_error("ssh -G %s does not say: %s\n", host, line);
        (void)fixture_run("grep -iE 'host|proxy|port|user|ident|cert|bad' said");
        fail();
    }
}

static void says_not(const char *host, const char *beginning) {
    assert_int_equal(fixture_run("ssh -F config -G '%s' >said", host), 0);
    assert_int_equal(fixture_run("! grep -q -e '^%s' said", beginning), 0);
}

static void as_ssh_reads_it(void **state) {
    (void)state;
    struct reach *reach CLEANUP(reach_freep) = judged(document, kept);
    write_config(reach, &usual);
    static const char *const hosts[] = {"ela",       "daint",     "daint.example",   "daint-ln001",
                                        "nid001234", "nid555555", "job-4711",        "n1",
                                        "santis",    "nid009999", "graphite-7.nancy"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        says(hosts[i], "user alice");
        says(hosts[i], "identityfile /tmp/of alice/cscs-key");
        says(hosts[i], "certificatefile /tmp/of alice/cscs-key-cert.pub");
        says(hosts[i], "identitiesonly yes");
        says(hosts[i], "userknownhostsfile /tmp/of alice/known_hosts /tmp/known hosts");
        if (i > 0) {
            says(hosts[i], "proxyjump ela");
        }
    }
    says("ela", "hostname ela.example");
    says_not("ela", "hostkeyalias");
    says("ela2", "port 2222");
    says_not("ela", "proxyjump");
    says("daint", "hostname daint.example");
    says("santis", "port 2201");
    says_not("daint", "hostkeyalias");
    says("daint-ln001", "hostname 10.0.0.11");
    says("daint-ln001", "hostkeyalias daint-ln001");
    says("nid001234", "port 22");
    says("nid009999", "port 2022");
    says_not("a_b", "proxyjump");
    says_not("n2", "proxyjump"); /* a pattern n? would have caught it */
    says_not("elsewhere.example", "proxyjump");
    says_not("elsewhere.example", "certificatefile");
    says_not("nid001234", "controlpath");
    says("nid001234", "forwardagent no");
}

static void with_options(void **state) {
    (void)state;
    struct reach *reach CLEANUP(reach_freep) = judged(document, kept);
    static const char *const hops[] = {"me@gw.example:2222", "other", "ela2", "ela"};
    struct ssh_config_options options = usual;
    options.hops = hops;
    options.hop_count = COUNT_OF(hops);
    options.through_login = true;
    options.control_path = "~/.ssh/control-%C";
    options.forward_agent = true;
    options.gssapi = true;
    options.ignore_unknown = "OfTheirs*,Another";
    options.suffix = ".g5k";
    options.postern = "/opt/bin/postern";
    write_config(reach, &options);
    says("job-1", "knownhostscommand /opt/bin/postern --site cscs known-hosts --for %H");
    says_not("nid001234", "knownhostscommand");
    assert_int_equal(fixture_run("printf 'Another 1\\nOfTheirsToo 2\\n' >>config"), 0);
    says("ela2", "proxyjump me@gw.example:2222,other");
    says("ela", "proxyjump ela2");
    says("daint", "proxyjump ela");
    says("nid001234", "proxyjump daint");
    says("graphite-3.nancy", "proxyjump santis");
    says("daint", "controlmaster auto");
    says("daint", "forwardagent yes");
    says("ela", "forwardagent no");
    says("daint", "gssapiauthentication yes");
    says("daint.g5k", "hostname daint.example");
    says("daint.g5k", "proxyjump ela");
    says("daint-ln001.g5k", "hostname 10.0.0.11");
    says("daint-ln001.g5k", "hostkeyalias daint-ln001");
    says("nid001234.g5k", "hostname nid001234");
    says("nid001234.g5k", "proxyjump daint");
    says("nid009999.g5k", "port 2022");
    says("graphite-3.nancy.g5k", "hostname graphite-3.nancy");
    says("later.g5k", "user alice");

    static const char *const wrong[] = {"ela", "elsewhere"};
    options.hops = wrong;
    options.hop_count = COUNT_OF(wrong);
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    struct fault fault = {0};
    assert_fails(ssh_config_write(reach, &options, &text, &fault), ERR_NOT_FOUND);
    assert_string_equal(fault.field, "jump");
    assert_int_equal(text.len, 0);
}

/* What OpenSSH 6.6 and 7.2 have not: ProxyJump, CertificateFile. */
static void for_old_clients(void **state) {
    (void)state;
    struct reach *reach CLEANUP(reach_freep) = judged(document, kept);
    struct ssh_config_options options = usual;
    options.ssh = (struct ssh_version){6, 6};
    options.own_path = "/tmp/a config";
    options.postern = "/opt/bin/postern";
    write_config(reach, &options);
    assert_int_equal(
        fixture_run("! grep -E 'ProxyJump|CertificateFile|Include|HostsCommand ' config"), 0);
    says("daint", "proxycommand ssh -F '\\''/tmp/a config'\\'' -W '\\''[%h]:%p'\\'' ela");
    says("nid001234", "proxycommand ssh -F '\\''/tmp/a config'\\'' -W '\\''[%h]:%p'\\'' ela");
    /* The quote would end the shell's. */
    assert_int_equal(fixture_run("ssh -F config -G \"nid12'x;y\" >said 2>&1; ! grep proxyc said"),
                     0);
    options.ssh = (struct ssh_version){7, 2};
    options.own_path = NULL;
    write_config(reach, &options);
    says("daint", "proxycommand ssh -W '\\''[%h]:%p'\\'' ela");
    says("daint", "certificatefile /tmp/of alice/cscs-key-cert.pub");
}

/* ssh runs the program for these destinations alone, and goes on whatever comes of it. */
static void renewing(void **state) {
    (void)state;
    struct reach *reach CLEANUP(reach_freep) = judged(document, kept);
    struct ssh_config_options options = usual;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/postern-refresh", fixture_folder);
    options.refresh = path;
    options.suffix = ".g5k";
    write_config(reach, &options);
    /* Gone: not a word. */
    says("daint", "proxyjump ela");
    assert_int_equal(
        fixture_run("! ssh -F config -G daint 2>&1 >/dev/null | grep -v ^Pseudo-terminal"), 0);
    assert_int_equal(fixture_run("printf '#!/bin/sh\\necho \"$@\" >>ran\\nexit 3\\n' >%s && "
                                 "chmod 755 %s",
                                 path, path),
                     0);
    says_not("elsewhere.example", "proxyjump");
    assert_int_equal(fixture_run("test ! -e ran"), 0);
    static const char *const hosts[] = {"ela",       "daint", "daint.example", "daint-ln001",
                                        "nid001234", "job-1", "santis.g5k"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        says(hosts[i], "user alice");
        assert_int_equal(fixture_run("test \"$(cat ran)\" = '--from-ssh --site cscs' && rm ran"),
                         0);
    }

    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    options.refresh = "/opt/a;b/postern-refresh";
    assert_fails(ssh_config_write(reach, &options, &text, NULL), ERR_MALFORMED);
}

/* Values that the caller did not get from a reach are checked here. */
static void hostile(void **state) {
    (void)state;
    struct reach *reach CLEANUP(reach_freep) = judged(document, kept);
    static const char line[] = "x\nProxyCommand touch /tmp/x";
    struct ssh_config_options cases[] = {usual, usual, usual, usual, usual, usual, usual};
    cases[0].username = line;
    cases[1].key_file = line;
    cases[2].known_hosts = line;
    cases[3].suffix = line;
    cases[4].ignore_unknown = line;
    cases[5].refresh = "/bin/x\nProxyCommand y";
    cases[6].postern = "/bin/x y";
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
        struct fault fault = {0};
        assert_fails(ssh_config_write(reach, &cases[i], &text, &fault), ERR_MALFORMED);
        assert_true(fault.field[0] != '\0' && text.len == 0);
    }
}

static void lists(const char *text, const char *before, const char *own, const char *outside,
                  const char *shared) {
    struct buf out CLEANUP(buf_done) = BUF(4096);
    assert_ok(host_names_list_outside(span_str(text), span_str(before), "ssh.cscs.ch", &out));
    assert_true(span_equal_str(buf_span(&out), outside));
    buf_clear(&out);
    assert_ok(host_names_list_shared(span_str(text), span_str(own), &out));
    assert_true(span_equal_str(buf_span(&out), shared));
}

/* An authority may call its hosts as it likes, github.com for one; the person is told. */
static void names_of_others(void **state) {
    (void)state;
    static const struct {
        const char *name, *authority;
        bool outside;
    } cases[] = {
        {"github.com", "ssh.cscs.ch", true},       {"evilcscs.ch", "ssh.cscs.ch", true},
        {"cscs.ch.evil.org", "ssh.cscs.ch", true}, {"other.ch", "cscs.ch", true},
        {"daint.cscs.ch", "192.0.2.1", true},      {"a.2.1", "192.0.2.1", true},
        {"daint.cscs.ch", "localhost", true},      {"daint.cscs.ch", "ssh.cscs.ch", false},
        {"cscs.ch", "ssh.cscs.ch", false},         {"daint.CSCS.ch", "ssh.cscs.ch", false},
        {"daint.cscs.ch", "cscs.ch", false},       {"daint", "ssh.cscs.ch", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(host_names_are_outside(span_str(cases[i].name), cases[i].authority),
                         cases[i].outside);
    }
    static const char text[] = "Match originalhost a.b exec \"x\"\nHost daint daint.cscs.ch\n"
                               "    HostName x.y\nHost \"!*'*\" ?it?ub.com github.com *.g5k\n";
    lists(text, "", "", "?it?ub.com, github.com", "");
    lists(text, "Host github.com\n", "", "?it?ub.com", "");
    lists(text, text, "", "", "");
    lists(text, text, "Host *\nhost=mine daint\n HostName github.com\nHost ?it?ub.com", "",
          "daint");
    lists("Host a.b c.d e.f g.h i.j k.l m.n\n", "", "", "a.b, c.d, e.f, g.h, i.j, …", "");
}

/* Thousands of names, and no line becomes too long for an old ssh. */
static void many(void **state) {
    (void)state;
    json_t *site CLEANUP(json_freep) = json_of(document);
    json_t *hosts = json_array();
    for (int i = 0; i < 3000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "login%c%c%c", 'a' + i / 676, 'a' + i / 26 % 26,
                       'a' + i % 26);
        json_t *row = json_pack("{s:s, s:s, s:s, s:i}", "name", name, "role",
                                i % 2 == 0 ? "login" : "compute", "cluster", "daint", "port", 22);
        assert_int_equal(json_array_append_new(hosts, row), 0);
    }
    json_t *rest CLEANUP(json_freep) =
        json_pack("{s:o, s:[s]}", "hosts", hosts, "clusters", "daint");
    struct reach *reach CLEANUP(reach_freep) = NULL;
    assert_ok(reach_judge(site, rest, &reach, NULL));
    struct ssh_config_options options = usual;
    options.refresh = "/bin/postern-refresh";
    write_config(reach, &options);
    says("loginaaa", "proxyjump ela");
    says("loginelj", "proxyjump ela");
    says("loginelj", "user alice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),      cmocka_unit_test(refused_whole),
        cmocka_unit_test(limits),       cmocka_unit_test(reached),
        cmocka_unit_test(patterns),     cmocka_unit_test(words),
        cmocka_unit_test(values),       cmocka_unit_test(as_ssh_reads_it),
        cmocka_unit_test(with_options), cmocka_unit_test(for_old_clients),
        cmocka_unit_test(renewing),     cmocka_unit_test(hostile),
        cmocka_unit_test(many),         cmocka_unit_test(names_of_others),
    };
    return cmocka_run_group_tests_name("cli_connect", tests, fixture_setup, fixture_teardown);
}
