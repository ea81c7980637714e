/* A key pair in a home whose user does with it what users do. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "fixture.h"
#include "host/home/home_files.h"
#include "host/home/home_marker.h"
#include "ssh/private_key.h"

enum { OTHER_UID = 42099 };

struct world {
    char dir[128];
    struct home home;
    struct buf private_text;
    char line[HOME_PUBLIC_CHARS];
};

static void make_key(struct buf *text, char line[HOME_PUBLIC_CHARS]) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf out CLEANUP(buf_done) = BUF(HOME_PUBLIC_CHARS - 1);
    assert_ok(private_key_generate(KEY_ED25519, 256, &key));
    assert_ok(private_key_write(key, "alice", NULL, 0, text));
    assert_ok(key_print_line(private_key_public(key), NULL, &out));
    memset(line, 0, HOME_PUBLIC_CHARS);
    memcpy(line, out.data, out.len);
}

static int setup(void **state) {
    static struct world world;
    world = (struct world){.dir = "/tmp/posterngate-home.XXXXXX",
                           .private_text = BUF(LIMIT_KEY_FILE_BYTES)};
    assert_non_null(mkdtemp(world.dir));
    world.home = (struct home){geteuid(), getegid(), world.dir, "id_postern"};
    make_key(&world.private_text, world.line);
    *state = &world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    buf_done(&world->private_text);
    return fixture_run("rm -rf %s", world->dir);
}

/* In the home, by a shell. */
static void sh(const struct world *world, const char *command) {
    assert_int_equal(fixture_run("cd %s && %s", world->dir, command), 0);
}

static void assert_put(const struct world *world) {
    struct fault fault = {0};
    err_t err = home_files_put(&world->home, buf_span(&world->private_text), &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
}

static void assert_there(const struct world *world, const char *line) {
    char found[HOME_PUBLIC_CHARS];
    struct fault fault = {0};
    err_t err = home_files_look(&world->home, found, &fault);
    if (failed(err)) {
        print_error("%s: %s\n", fault.field, fault.reason);
    }
    assert_ok(err);
    assert_string_equal(found, line);
}

/* All three refuse, and the fault says why. */
static void assert_refused(const struct world *world, const struct home *home, enum err_code code,
                           const char *why) {
    char found[HOME_PUBLIC_CHARS] = "untouched";
    struct fault fault = {0};
    assert_int_equal(home_files_look(home, found, &fault).code, code);
    assert_string_equal(found, "untouched");
    assert_non_null(strstr(fault.reason, why));
    fault = (struct fault){0};
    assert_int_equal(home_files_put(home, buf_span(&world->private_text), &fault).code, code);
    assert_non_null(strstr(fault.reason, why));
    assert_int_equal(home_files_remove(home, world->line, &fault).code, code);
}

static void follows_no_link_to_a_folder(void **state) {
    const struct world *world = *state;
    sh(world, "mkdir elsewhere && ln -s elsewhere .ssh");
    assert_refused(world, &world->home, ERR_PERMISSION, "symbolic link");
    sh(world, "test -z \"$(ls elsewhere)\" && rm .ssh && ln -s /nowhere .ssh");
    assert_refused(world, &world->home, ERR_PERMISSION, "symbolic link");
    sh(world, "rm .ssh && touch .ssh");
    assert_refused(world, &world->home, ERR_PERMISSION, "no directory");
    sh(world, "rm .ssh && mkfifo .ssh");
    assert_refused(world, &world->home, ERR_PERMISSION, "no directory");
}

static void leaves_alone_what_is_anothers(void **state) {
    const struct world *world = *state;
    struct home home = world->home;
    home.uid++;
    assert_refused(world, &home, ERR_PERMISSION, "not its user's own");
    home = world->home;
    home.dir = "/tmp/posterngate-home.absent";
    assert_refused(world, &home, ERR_NOT_FOUND, "not found");
    if (geteuid() != 0) {
        return; /* cannot give a folder away */
    }
    sh(world, "mkdir .ssh && chown 42098 .ssh");
    assert_refused(world, &world->home, ERR_PERMISSION, "not its user's own");
}

static void puts_a_pair(void **state) {
    const struct world *world = *state;
    assert_there(world, "");
    sh(world, "test ! -e .ssh");
    assert_put(world);
    assert_there(world, world->line);
    sh(world, "test \"$(stat -c %a .ssh .ssh/id_postern .ssh/id_postern.pub | tr '\\n' ' ')\" = "
              "'700 600 644 ' && test \"$(ls -A .ssh | wc -l)\" = 2");
    sh(world, "ssh-keygen -y -P '' -f .ssh/id_postern | cut -d' ' -f1,2 >said && "
              "cut -d' ' -f1,2 .ssh/id_postern.pub | cmp - said");
}

static void overwrites_nothing_in_place(void **state) {
    const struct world *world = *state;
    sh(world, "mkdir .ssh && echo mine >mine && ln -s ../mine .ssh/id_postern && "
              "ln mine .ssh/id_postern.pub");
    assert_there(world, "");
    assert_put(world);
    assert_there(world, world->line);
    sh(world, "test \"$(cat mine)\" = mine && test ! -L .ssh/id_postern");
    sh(world, "rm .ssh/id_postern && mkfifo .ssh/id_postern");
    assert_there(world, "");
    assert_put(world);
    assert_there(world, world->line);
    sh(world, "rm .ssh/id_postern && ln -s /dev/zero .ssh/id_postern");
    assert_there(world, "");
    sh(world, "rm .ssh/id_postern && mkdir .ssh/id_postern");
    struct fault fault = {0};
    assert_there(world, "");
    assert_int_equal(home_files_put(&world->home, buf_span(&world->private_text), &fault).code,
                     ERR_CONFLICT);
    assert_non_null(strstr(fault.reason, "is a directory"));
    sh(world, "test \"$(ls -A .ssh | wc -l)\" = 2"); /* and no attempt is left behind */
}

static void mends_what_was_touched(void **state) {
    const struct world *world = *state;
    static const char *const touches[] = {
        "chmod 644 .ssh/id_postern",
        "ln .ssh/id_postern copy",
        "rm .ssh/id_postern.pub",
        "echo junk >.ssh/id_postern.pub",
        "chmod 600 .ssh/id_postern.pub",
        "rm .ssh/id_postern.pub && ln -s /etc/passwd .ssh/id_postern.pub",
        "chmod 777 .ssh",
    };
    assert_put(world);
    for (size_t i = 0; i < COUNT_OF(touches); i++) {
        sh(world, touches[i]);
        assert_there(world, world->line);
        sh(world, "test \"$(stat -c %a%h .ssh/id_postern .ssh/id_postern.pub | tr '\\n' ' ')\" = "
                  "'6001 6441 ' && grep -q ^ssh-ed25519 .ssh/id_postern.pub && "
                  "case $(stat -c %a .ssh) in 7[05][05]) ;; *) exit 1 ;; esac");
    }
}

static void takes_only_its_own_kind_for_a_key(void **state) {
    const struct world *world = *state;
    sh(world, "mkdir .ssh && ssh-keygen -q -t rsa -b 2048 -N '' -f .ssh/id_postern");
    assert_there(world, "");
    sh(world, "rm .ssh/* && ssh-keygen -q -t ed25519 -N secret -f .ssh/id_postern");
    assert_there(world, "");
    sh(world, "rm .ssh/* && ssh-keygen -q -t ed25519 -N '' -f .ssh/id_postern && "
              "cut -d' ' -f1,2 .ssh/id_postern.pub | tr -d '\\n' >line");
    struct buf line CLEANUP(buf_done) = BUF(HOME_PUBLIC_CHARS - 1);
    char *text CLEANUP(freep) = NULL;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/line", world->dir);
    assert_ok(file_read(path, &line));
    assert_ok(buf_to_str(&line, &text));
    assert_there(world, text);
    /* What follows the key's end is no part of it, up to the limit; and beyond it nobody looks. */
    sh(world, "truncate -s 4097 .ssh/id_postern");
    assert_there(world, "");
    sh(world, ": >.ssh/id_postern");
    assert_there(world, "");
}

static void reads_up_to_the_limit(void **state) {
    const struct world *world = *state;
    char command[160];
    sh(world, "mkdir .ssh");
    sh(world,
       "ssh-keygen -q -t ed25519 -N '' -C \"$(head -c 700 /dev/zero | tr '\\0' x)\" -f .ssh/id_postern");
    sh(world, "cut -d' ' -f1,2 .ssh/id_postern.pub >line");
    for (int over = 0; over < 2; over++) {
        char found[HOME_PUBLIC_CHARS];
        (void)snprintf(
            command, sizeof command,
            "while [ $(stat -c %%s .ssh/id_postern) -lt %d ]; do echo >>.ssh/id_postern; "
            "done",
            LIMIT_HOME_FILE_BYTES + over);
        sh(world, command);
        assert_ok(home_files_look(&world->home, found, NULL));
        assert_int_equal(found[0] == '\0', over == 1);
        if (over == 0) {
            sh(world, "ssh-keygen -y -P '' -f .ssh/id_postern >/dev/null");
        }
    }
}

static void removes_its_own_alone(void **state) {
    const struct world *world = *state;
    struct buf other CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    char line[HOME_PUBLIC_CHARS];
    make_key(&other, line);
    assert_ok(home_files_remove(&world->home, world->line, NULL));
    assert_put(world);
    assert_ok(home_files_remove(&world->home, line, NULL));
    assert_there(world, world->line);
    assert_ok(home_files_remove(&world->home, world->line, NULL));
    sh(world, "test -z \"$(ls -A .ssh)\"");
}

static void becomes_the_user(void **state) {
    struct world *world = *state;
    if (geteuid() != 0) {
        print_message("# skipped: needs root: a child becomes the user\n");
        skip();
    }
    char found[HOME_PUBLIC_CHARS];
    struct fault fault = {0};
    world->home.uid = world->home.gid = OTHER_UID;
    sh(world, "chown 42099:42099 . && chmod 700 .");
    assert_ok(home_look(&world->home, found, &fault));
    assert_string_equal(found, "");
    assert_ok(home_put(&world->home, buf_span(&world->private_text), &fault));
    assert_ok(home_look(&world->home, found, &fault));
    assert_string_equal(found, world->line);
    sh(world, "test \"$(stat -c %u:%g .ssh .ssh/* | sort -u)\" = 42099:42099");
    /* Root's files are out of reach, wherever a link leads. */
    sh(world,
       "rm -r .ssh && mkdir ../posterngate-home.root.$$ && chmod 700 ../posterngate-home.root.$$ "
       "&& ln -s ../posterngate-home.root.$$ .ssh && rmdir ../posterngate-home.root.$$");
    assert_int_equal(home_put(&world->home, buf_span(&world->private_text), &fault).code,
                     ERR_PERMISSION);
    sh(world, "rm .ssh && mkdir .ssh && chmod 755 .ssh"); /* root's own */
    assert_int_equal(home_put(&world->home, buf_span(&world->private_text), &fault).code,
                     ERR_PERMISSION);
    sh(world, "test -z \"$(ls -A .ssh)\"");
    world->home.uid = 0;
    assert_int_equal(home_look(&world->home, found, &fault).code, ERR_PERMISSION);
    assert_int_equal(geteuid(), 0);
}

/* As it is used: root, and another's home. */
static void become_used(struct world *world) {
    if (geteuid() == 0) {
        world->home.uid = world->home.gid = OTHER_UID;
        sh(world, "chown 42099:42099 . && chmod 700 .");
    }
}

static void marks_every_touch(void **state) {
    struct world *world = *state;
    static const char *const touches[] = {
        "echo x >>.ssh/id_postern",
        "chmod 640 .ssh/id_postern",
        "ln .ssh/id_postern other",
        "cp -p .ssh/id_postern n && mv n .ssh/id_postern",
        "touch -d yesterday .ssh/id_postern.pub",
        "rm .ssh/id_postern.pub",
        "chmod 770 .ssh",
        "mv .ssh away && mkdir .ssh",
        "rmdir .ssh && ln -s away .ssh",
    };
    become_used(world);
    struct home_mark before, after;
    home_mark(&world->home, &before);
    assert_ok(home_put(&world->home, buf_span(&world->private_text), NULL));
    for (size_t i = 0; i < COUNT_OF(touches); i++) {
        home_mark(&world->home, &after);
        assert_memory_not_equal(&before, &after, sizeof before);
        home_mark(&world->home, &before);
        assert_memory_equal(&before, &after, sizeof before);
        sh(world, touches[i]);
    }
    sh(world, "rm .ssh && mkdir .ssh");
    home_mark(&world->home, &before);
    sh(world, "touch .ssh/known_hosts"); /* as ssh does all day long */
    home_mark(&world->home, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(geteuid(), getuid());
}

static void holds_up_nobody(void **state) {
    struct world *world = *state;
    struct home_marker marker CLEANUP(home_marker_done) = HOME_MARKER;
    struct home_mark direct, asked, untouched;
    struct fault fault = {0};
    become_used(world);
    char longest[PATH_MAX + 1];
    memset(&asked, 0x55, sizeof asked);
    memcpy(&untouched, &asked, sizeof asked);
    memset(longest, 'h', sizeof longest);
    longest[0] = '/';
    longest[PATH_MAX] = '\0';
    struct home far = world->home;
    far.dir = longest;
    assert_fails(home_marker_ask(&marker, &far, &asked, &fault), ERR_TOO_LONG);
    assert_int_equal(marker.process, -1);
    longest[PATH_MAX - 1] = '\0'; /* fits, and there is none */
    assert_ok(home_marker_ask(&marker, &far, &asked, &fault));
    home_mark(&far, &direct);
    assert_memory_equal(&asked, &direct, sizeof asked);

    assert_ok(home_put(&world->home, buf_span(&world->private_text), NULL));
    assert_ok(home_marker_ask(&marker, &world->home, &asked, &fault));
    home_mark(&world->home, &direct);
    assert_memory_equal(&asked, &direct, sizeof asked);
    /* As one that waits for a file server; the signal is as good as the call that does not return.
     */
    int stuck = fcntl(marker.process, F_DUPFD_CLOEXEC, 3);
    assert_true(stuck >= 0);
    assert_int_equal(pidfd_send_signal(stuck, SIGSTOP, NULL, 0), 0);
    int64_t began = clock_monotonic_ms();
    memcpy(&asked, &untouched, sizeof asked);
    assert_fails(home_marker_ask(&marker, &world->home, &asked, &fault), ERR_TIMEOUT);
    assert_memory_equal(&asked, &untouched, sizeof asked);
    assert_true(clock_monotonic_ms() - began >= LIMIT_HOME_MARK_MS);
    assert_string_equal(fault.field, world->home.dir);
    /* It is gone, and another is asked. */
    struct pollfd gone = {stuck, POLLIN, 0};
    assert_int_equal(poll(&gone, 1, 10000), 1);
    assert_int_equal(close(stuck), 0);
    assert_ok(home_marker_ask(&marker, &world->home, &asked, &fault));
    assert_memory_equal(&asked, &direct, sizeof asked);
    /* So is one that was ended by somebody else. */
    assert_int_equal(pidfd_send_signal(marker.process, SIGKILL, NULL, 0), 0);
    gone.fd = marker.process;
    assert_int_equal(poll(&gone, 1, 10000), 1);
    assert_fails(home_marker_ask(&marker, &world->home, &asked, &fault), ERR_CLOSED);
    assert_ok(home_marker_ask(&marker, &world->home, &asked, &fault));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(follows_no_link_to_a_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_alone_what_is_anothers, setup, teardown),
        cmocka_unit_test_setup_teardown(holds_up_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(puts_a_pair, setup, teardown),
        cmocka_unit_test_setup_teardown(overwrites_nothing_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(mends_what_was_touched, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_only_its_own_kind_for_a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_up_to_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(removes_its_own_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(becomes_the_user, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_every_touch, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
