/* What the command line keeps, writes and hears has bounds: what meets them is taken whole. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "check.h"
#include "cli/config/ssh_config.h"
#include "cli/connect/service.h"

static char work[] = "/tmp/posterngate-cli-limits.XXXXXX";

static int set_up(void **state) {
    (void)state;
    return mkdtemp(work) == NULL || setenv("XDG_STATE_HOME", work, 1) != 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", work);
    return system(command);
}

/* ---- LIMIT_REACH_BYTES ---- */

static size_t hosts_of_kept(const char *padding) {
    char name[] = "cscs";
    char *folder CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    struct cli cli = {0};
    struct reach *reach CLEANUP(reach_freep) = NULL;
    struct site site = {.name = name,
                        .document = json_pack("{s:[], s:[]}", "jumpHosts", "clusters")};
    assert_ok(site_state_path(name, NULL, &folder));
    assert_ok(file_make_dirs(folder, 0700));
    assert_ok(site_state_path(name, "reach.json", &path));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    static const char json[] =
        "{\"username\": \"alice\", \"fetchedAt\": 1, \"clusters\": [], \"hosts\": "
        "[{\"name\": \"n1\", \"role\": \"compute\", \"cluster\": \"daint\", \"port\": 22}]}";
    (void)fprintf(file, "%s%*s%s", json, (int)(LIMIT_REACH_BYTES - sizeof json + 1), "", padding);
    assert_int_equal(fclose(file), 0);
    assert_ok(reach_open(&cli, &site, REACH_OFFLINE_S, &reach));
    json_decref(site.document);
    return reach->host_count;
}

/* What is longer counts as nothing, and is fetched anew. */
static void what_is_kept(void **state) {
    (void)state;
    assert_int_equal(hosts_of_kept(" "), 0);
    assert_int_equal(hosts_of_kept(""), 1);
}

/* ---- LIMIT_SSH_CONFIG_BYTES ---- */

static struct reach_host many[64 * 1024];

static err_t write_hosts(size_t count, const char *more, struct buf *out) {
    const struct ssh_config_options options = {.site = "cscs",
                                               .key_file = "/key",
                                               .known_hosts = "/known",
                                               .ignore_unknown = more,
                                               .suffix = ".cscs"};
    const struct reach reach = {.hosts = many, .host_count = count};
    struct fault fault = {0};
    return ssh_config_write(&reach, &options, out, &fault);
}

static size_t size_of(size_t count) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    assert_ok(write_hosts(count, NULL, &text));
    return text.len;
}

static void what_is_written_for_ssh(void **state) {
    (void)state;
    static char name[LIMIT_HOST_NAME_CHARS + 1], address[LIMIT_HOST_NAME_CHARS + 1], more[8192];
    memset(name, 'n', sizeof name - 1);
    memset(address, 'a', sizeof address - 1);
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = (struct reach_host){.name = name, .address = address, .port = 22, .cluster = ""};
        many[i].role = HOST_LOGIN;
    }
    size_t each = size_of(2) - size_of(1);
    size_t rest = LIMIT_SSH_CONFIG_BYTES - size_of(1);
    size_t count = rest / each; /* and one less than there would be room for */
    size_t length = rest - (count - 1) * each;
    assert_true(count <= COUNT_OF(many) && length + 1 < sizeof more);
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    memset(more, 'x', length); /* behind a comma */
    assert_fails(write_hosts(count, more, &text), ERR_TOO_LONG);
    assert_int_equal(text.len, 0);
    more[length - 1] = '\0';
    assert_ok(write_hosts(count, more, &text));
    assert_int_equal(text.len, LIMIT_SSH_CONFIG_BYTES);
}

/* ---- LIMIT_SSH_SAID_BYTES, LIMIT_LISTENERS_BYTES ---- */

/* A shell that runs the script in the place of ssh; its words are $@. */
static void make_link(const char *script, const struct run_folder *folder, struct link *link) {
    struct command_line line CLEANUP(command_line_done) = {0};
    assert_ok(command_line_add_words(
        &line, (const char *const[]){"sh", "-c", script, "ssh", "host", NULL}));
    assert_ok(link_init(link, &line, "-L", ":localhost:6006", folder));
}

/* As systemd-tmpfiles asks whether it may clear a folder out. */
static bool may_be_cleared(const char *path) {
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void a_folder_in_use_is_held(void **state) {
    (void)state;
    struct cli cli = {0};
    char path[sizeof((struct run_folder *)NULL)->path];
    struct run_folder folder = {0};
    run_folder_remove(&folder); /* harmless */
    assert_ok(run_folder_make(&cli, &folder));
    (void)snprintf(path, sizeof path, "%s", folder.path);
    assert_false(may_be_cleared(path));
    pid_t child = fork(); /* as with a child that is another program by then */
    if (child == 0) {
        (void)execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(may_be_cleared(path));
    run_folder_remove(&folder);
    assert_int_equal(access(path, F_OK), -1);
}

static size_t said_of(const char *script) {
    struct run_folder folder CLEANUP(run_folder_remove) = {0};
    struct cli cli = {0};
    struct link link CLEANUP(link_done) = LINK_NONE;
    assert_ok(run_folder_make(&cli, &folder));
    make_link(script, &folder, &link);
    assert_ok(link_start(&cli, &link, false));
    int64_t begin = clock_monotonic_ms();
    while (link_step(&link, clock_monotonic_ms(), 0) == LINK_NOTHING) {
        struct pollfd wait = {.fd = link_fd(&link), .events = POLLIN};
        assert_true(clock_monotonic_ms() - begin < 60 * 1000);
        (void)poll(&wait, 1, 10);
    }
    span_t said = link_said(&link);
    assert_true(said.len == 0 || (said.data[0] == '1' && said.data[1] == '\n'));
    return said.len;
}

/* Of a login that says more the end is lost. */
static void what_ssh_says(void **state) {
    (void)state;
    char script[64];
    static const char format[] = "seq 100000 | head -c %d >&2";
    (void)snprintf(script, sizeof script, format, (int)LIMIT_SSH_SAID_BYTES);
    assert_int_equal(said_of(script), LIMIT_SSH_SAID_BYTES);
    (void)snprintf(script, sizeof script, format, 2 * (int)LIMIT_SSH_SAID_BYTES);
    assert_int_equal(said_of(script), LIMIT_SSH_SAID_BYTES);
}

/* The service listens at another address, by a row that ends there; nothing is at localhost. */
static enum service look(size_t end) {
    static const char row[] = "\n   0: 0100000A:1776 00000000:0000 0A";
    char script[512];
    struct run_folder folder CLEANUP(run_folder_remove) = {0};
    struct cli cli = {0};
    struct link link CLEANUP(link_done) = LINK_NONE;
    enum service found = SERVICE_UNKNOWN;
    struct inet_address address = {0};
    (void)snprintf(script, sizeof script,
                   "case \" $* \" in *' -W '*) exit 255 ;; esac\n"
                   "head -c %zu /dev/zero | tr '\\0' x; printf '%s'",
                   end - strlen(row), row);
    assert_ok(run_folder_make(&cli, &folder));
    assert_ok(run_folder_put(&folder, "master", span_str(""))); /* a master that lives */
    make_link(script, &folder, &link);
    assert_ok(service_look(&link, 6006, -1, &found, &address));
    return found;
}

static void where_a_node_listens(void **state) {
    (void)state;
    assert_int_equal(look(LIMIT_LISTENERS_BYTES + 1), SERVICE_NONE);
    assert_int_equal(look(LIMIT_LISTENERS_BYTES), SERVICE_ELSEWHERE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(what_is_written_for_ssh),
        cmocka_unit_test(a_folder_in_use_is_held),
        cmocka_unit_test(what_ssh_says),
        cmocka_unit_test(where_a_node_listens),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
