#include "replica_fixture.h"

#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "base/file.h"
#include "base/text.h"
#include "fixture.h"
#include "host/login/login_record.h"
#include "host/sessions/connection.h"
#include "host/sessions/session_judge.h"

enum { SITTER = 42107 }; /* a user who is none */

#define FINGERPRINT "SHA256:uiz2BHCemHGMnI93gdanJhFnXBPonqHrpHqTCwgbAu8"

/* --- login records --- */

static const struct {
    const char *name, *text;
} refused_records[] = {
    {"", "1 alice alice - 0 7 - 0 5"},
    {"100", "1 alice alice - 0 7 - 0 5"},
    {"100-5", "1 alice alice - 0 7 - 0 5"},
    {"100-5-", "1 alice alice - 0 7 - 0 5"},
    {"-100-5-7", "1 alice alice - 0 7 - 0 5"},
    {"0-5-7", "1 alice alice - 0 7 - 0 5"},
    {"1-5-7", "1 alice alice - 0 7 - 0 5"}, /* init */
    {"2147483648-5-7", "1 alice alice - 0 7 - 0 5"},
    {"100-18446744073709551616-7", "1 alice alice - 0 7 - 0 5"},
    {"100-5-7", ""},
    {"100-5-7", "nonsense"},
    {"100-5-7", "2 alice alice - 0 7 - 0 5"},
    {"100-5-7", "1 - alice - 0 7 - 0 5"},
    {"100-5-7", "1 alice - - 0 7 - 0 5"},
    {"100-5-7", "1 alice alice - 3 7 - 0 5"},
    {"100-5-7", "1 alice alice - 0 -7 - 0 5"},
    {"100-5-7", "1 alice alice - 0 0 - 0 5"}, /* neither a certificate nor a key */
    {"100-5-7", "1 alice alice - 0 7 - 9223372036854775808 5"},
    {"100-5-7", "1 alice alice - 0 7 - 0"},
    {"100-5-7", "1 alice alice - 0 7 - 0 5 6"},
    {"100-5-7", "1 alice  alice - 0 7 - 0 5"},
    {"100-5-7", "1 ali\tce alice - 0 7 - 0 5"},
    {"100-5-8", "1 alice alice - 0 7 - 0 5"}, /* its file is called for another certificate */
    {"100-5-_k", "1 alice alice - 0 0 /x 0 5"},
    {"100-05-7", "1 alice alice - 0 7 - 0 5"},
    {"100-5-7", "1 alice alice - 0 07 - 0 5"},
    {"100-5-7", "1 abcdefghijabcdefghijabcdefghijabc alice - 0 7 - 0 5"},
};

static void test_records_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused_records); i++) {
        struct login_record record = {.serial = 99};
        err_t err = login_record_parse(refused_records[i].name, refused_records[i].text, &record);
        if (err.code != ERR_MALFORMED) {
            print_error("%s: %s\n", refused_records[i].name, refused_records[i].text);
        }
        assert_fails(err, ERR_MALFORMED);
        assert_true(record.serial == 99);
    }
    static const char *const words[] = {"two words", "-", "line\n", "\x80"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct login_record record = {.monitor = 100, .serial = 7, .account = "alice"};
        char name[LOGIN_RECORD_NAME_CHARS];
        char text[LOGIN_RECORD_TEXT_CHARS];
        (void)snprintf(record.user, sizeof record.user, "%s", words[i]);
        assert_fails(login_record_print(&record, name, text), ERR_MALFORMED);
    }
}

/* The longest that there can be has room, too. */
static void test_records(void **state) {
    (void)state;
    struct login_record records[] = {
        {.monitor = 100,
         .monitor_start = 5,
         .user = "alice",
         .account = "alice",
         .serial = 7,
         .fingerprint = FINGERPRINT,
         .expires_at = NOW,
         .at = 5},
        {.monitor = 100,
         .user = "root",
         .account = "alice",
         .job = "1@nancy",
         .job_why = LOGIN_JOB_NEWEST,
         .fingerprint = FINGERPRINT,
         .at = 5},
        {.monitor = INT32_MAX,
         .monitor_start = UINT64_MAX,
         .job_why = LOGIN_JOB_NAMED,
         .serial = UINT64_MAX,
         .expires_at = INT64_MAX,
         .at = INT64_MAX},
    };
    struct login_record *longest = &records[2];
    memset(longest->user, 'u', sizeof longest->user - 1);
    memset(longest->account, 'a', sizeof longest->account - 1);
    memset(longest->job, 'j', sizeof longest->job - 1);
    memset(longest->fingerprint, 'f', sizeof longest->fingerprint - 1);
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct login_record got;
        char name[LOGIN_RECORD_NAME_CHARS];
        char text[LOGIN_RECORD_TEXT_CHARS];
        assert_ok(login_record_print(&records[i], name, text));
        assert_null(strchr(name, '/'));
        memset(&got, 0xff, sizeof got);
        assert_ok(login_record_parse(name, text, &got));
        assert_int_equal(got.monitor, records[i].monitor);
        assert_true(got.monitor_start == records[i].monitor_start && got.at == records[i].at);
        assert_true(got.serial == records[i].serial && got.expires_at == records[i].expires_at);
        assert_string_equal(got.user, records[i].user);
        assert_string_equal(got.account, records[i].account);
        assert_string_equal(got.job, records[i].job);
        assert_string_equal(got.fingerprint, records[i].fingerprint);
        assert_int_equal(got.job_why, records[i].job_why);
    }
}

/* Who is not sshd's child tries the command out. */
static void test_no_record_without_sshd(void **state) {
    (void)state;
    struct login_record record = {.user = "alice", .account = "alice", .serial = 7};
    assert_ok(login_record_leave("/nonexistent", &record));
}

/* As sshd's command, in a process whose parent is called sshd: over what another process of the
 * same user left under the record's name. */
static int leave_over(const char *state, const struct login_record *told, bool folder) {
    struct login_record record = *told;
    struct process monitor;
    char name[LOGIN_RECORD_NAME_CHARS];
    char text[LOGIN_RECORD_TEXT_CHARS];
    char path[512];
    char found[LOGIN_RECORD_TEXT_CHARS] = "";
    if (failed(process_read(getppid(), &monitor))) {
        return 1;
    }
    record.monitor = getppid();
    record.monitor_start = monitor.start;
    if (failed(login_record_print(&record, name, text))) {
        return 2;
    }
    (void)snprintf(path, sizeof path, "%s/logins/%s", state, name);
    if ((folder ? mkdir(path, 0700) : symlink("1 alice alice - 0 8 - 0 5", path)) != 0) {
        return 3;
    }
    if (folder) {
        return failed(login_record_leave(state, told)) ? 0 : 4;
    }
    return !failed(login_record_leave(state, told)) &&
                   readlink(path, found, sizeof found - 1) > 0 && strcmp(found, text) == 0
               ? 0
               : 5;
}

static int ended_with(pid_t child) {
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_record_forged_before(void **state) {
    (void)state;
    const struct login_record record = {.user = "alice", .account = "alice", .serial = 7, .at = 5};
    for (int folder = 0; folder < 2; folder++) {
        const char *state_dir = folder ? "forged_folder" : "forged_link";
        assert_int_equal(fixture_run("mkdir -p %s/logins", state_dir), 0);
        pid_t monitor = fork();
        if (monitor == 0) {
            (void)prctl(PR_SET_NAME, "sshd");
            pid_t command = fork();
            _exit(command == 0 ? leave_over(state_dir, &record, folder == 1) : ended_with(command));
        }
        assert_int_equal(ended_with(monitor), 0);
    }
}

/* --- processes --- */

#define FIELDS " S 2006 2658 2659 34816 -1 4194560 632 0 1 0 1 0 0 0 20 0 1 0 1280992 170"

static void test_stat_refused(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",
        "2068",
        "2068 (sshd",
        "2068 sshd" FIELDS,
        "(sshd)" FIELDS,
        "x (sshd)" FIELDS,
        "2068 (sshd) ",
        "2068 (sshd)",
        "2068 (sshd) S",
        "2068 (sshd) S x 1 1 0",
        "2068 (sshd) S 2006 2658 2659 34816 -1 4194560 632 0 1 0 1 0 0 0 20 0 1 0",
        "2068 (sshd) S 2006 2658 99999999999 34816 -1 4194560 632 0 1 0 1 0 0 0 20 0 1 0 1 0",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct process process = {.pid = 99};
        assert_fails(process_parse(span_str(refused[i]), &process), ERR_MALFORMED);
        assert_int_equal(process.pid, 99);
    }
}

static void test_stat(void **state) {
    (void)state;
    static const char *const names[] = {"sshd", "", "a) S 1 1 1 (b", "two words\nand a line",
                                        "((("};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char text[256];
        struct process process;
        (void)snprintf(text, sizeof text, "2068 (%s)" FIELDS, names[i]);
        assert_ok(process_parse(span_str(text), &process));
        assert_int_equal(process.pid, 2068);
        assert_int_equal(process.parent, 2006);
        assert_int_equal(process.session, 2659);
        assert_int_equal(process.terminal, 34816);
        assert_true(process.start == 1280992);
        assert_string_equal(process.name, names[i]);
    }
    struct process self;
    assert_ok(process_read(getpid(), &self));
    assert_int_equal(self.parent, getppid());
    assert_true(process_is_sshd("sshd") && process_is_sshd("sshd-session"));
    assert_false(process_is_sshd("sshd-auth") || process_is_sshd("sh") || process_is_sshd(""));
}

static void test_who_is_no_monitor(void **state) {
    (void)state;
    uint64_t start = 9;
    assert_false(connection_is_of(getpid(), "root", &start));
    assert_false(connection_is_of(1, "root", &start));
    assert_false(connection_is_of(INT32_MAX, "root", &start));
    assert_true(start == 9);
}

/* On the terminal, with another real user than root. */
static _Noreturn void sit_at(int terminal, int ready) {
    bool sits = setsid() > 0 && ioctl(terminal, TIOCSCTTY, 0) == 0 && setresuid(SITTER, 0, 0) == 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)!write(ready, sits ? "y" : "n", 1);
    (void)pause();
    _exit(0);
}

/* By its number, which may be another terminal's by now, or of the user's own mount of devpts. */
static void test_terminal_of_another(void **state) {
    (void)state;
    int master = -1;
    int terminal = -1;
    int ready[2];
    char said[64] = "";
    struct process_list all CLEANUP(process_list_done) = {0};
    if (geteuid() != 0) {
        print_message("# skipped: needs root: a terminal is given to another\n");
        skip();
    }
    assert_int_equal(openpty(&master, &terminal, NULL, NULL, NULL), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        sit_at(terminal, ready[1]);
    }
    assert_int_equal(read(ready[0], said, 1), 1);
    assert_string_equal(said, "y");
    assert_ok(process_list_read(&all));
    assert_int_equal(fchown(terminal, SITTER + 1, 0), 0);
    assert_false(connection_tell(&all, child, "a line"));
    assert_int_equal(fchown(terminal, SITTER, 0), 0);
    assert_true(connection_tell(&all, child, "a line"));
    assert_true(read(master, said, sizeof said - 1) > 0);
    assert_string_equal(said, "\r\r\npostern: a line\r\r\n");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(master);
    (void)close(terminal);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static bool is_sshd(void *context, const struct process *process) {
    (void)context;
    return process_is_sshd(process->name);
}

/* pid, parent, session, name; in no order. */
static const struct process processes[] = {
    {500, 20, 500, .name = "sleep"}, /* setsid: not in the session of its parent */
    {1, 0, 1, .name = "init"},       {2, 1, 2, .name = "sshd"}, /* the listener */
    {10, 2, 10, .name = "sshd"},     {11, 10, 10, .name = "sshd"}, {20, 11, 20, .name = "bash"},
    {21, 20, 20, .name = "vi"},      {22, 21, 20, .name = "sh"},   {501, 500, 500, .name = "sleep"},
    {30, 11, 30, .name = "rsync"}, /* a second session of that connection */
    {40, 2, 40, .name = "sshd"},   /* another connection */
    {41, 40, 40, .name = "sshd"},    {42, 41, 42, .name = "bash"}, {60, 1, 60, .name = "tmux"},
};

static void test_connection(void **state) {
    (void)state;
    static const pid_t expected[] = {10, 11, 20, 30, 21, 22};
    struct process_list all CLEANUP(process_list_done) = {0};
    struct process_list list CLEANUP(process_list_done) = {0};
    assert_fails(process_list_connection(&all, 10, is_sshd, NULL, &list), ERR_NOT_FOUND);
    for (size_t i = 0; i < COUNT_OF(processes); i++) {
        assert_ok(process_list_add(&all, &processes[i]));
    }
    process_list_sort(&all);
    assert_fails(process_list_connection(&all, 99, is_sshd, NULL, &list), ERR_NOT_FOUND);
    assert_ok(process_list_connection(&all, 10, is_sshd, NULL, &list));
    assert_int_equal(list.count, COUNT_OF(expected));
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(list.items[i].pid, expected[i]);
        assert_int_equal(list.items[i].sshd, i < 2);
    }
    process_list_done(&list);
    assert_ok(process_list_read(&list));
    assert_true(list.count > 1);
}

/* --- judging --- */

#define CHANGE(kind, key, state)                                                                   \
    "{\"revision\":\"1\",\"kind\":\"" kind "\",\"key\":\"" key "\",\"state\":" state "}"
#define ACCOUNT(enabled, clusters) "{\"enabled\":" enabled ",\"clusters\":[" clusters "]}"
#define JOB(user, more)                                                                            \
    "{\"account\":\"" user "\",\"cluster\":\"nancy\",\"user\":\"" user                             \
    "\",\"type\":\"shared\",\"nodes\":[\"n1\"],\"startTime\":\"2027-01-01T00:00:00Z\"" more "}"
#define SITE                                                                                                                                                                                                         \
    CHANGE("ca", CA_FINGERPRINT, "{\"type\":\"user\",\"publicKey\":\"" CA_LINE "\"}")                                                                                                                                \
    "," CHANGE("cluster", "nancy", "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\"}") "," CHANGE("host", "n1", "{\"cluster\":\"nancy\",\"role\":\"compute\",\"address\":\"\",\"port\":22}") "," CHANGE(        \
        "account", "alice",                                                                                                                                                                                          \
        ACCOUNT(                                                                                                                                                                                                     \
            "true",                                                                                                                                                                                                  \
            "\"nancy\"")) "," CHANGE("account", "bob",                                                                                                                                                               \
                                     ACCOUNT(                                                                                                                                                                        \
                                         "true",                                                                                                                                                                     \
                                         "\"nancy\"")) "," CHANGE("job", "1@nancy",                                                                                                                                  \
                                                                  JOB("alice",                                                                                                                                       \
                                                                      "")) "," CHANGE("job",                                                                                                                         \
                                                                                      "2@nancy",                                                                                                                     \
                                                                                      JOB("alice",                                                                                                                   \
                                                                                          ",\"endTime\":\"2027-01-15T09:00:00Z\"")) "," CHANGE("job",                                                                \
                                                                                                                                               "3@nancy",                                                            \
                                                                                                                                               JOB("bob",                                                            \
                                                                                                                                                   "")) "," CHANGE("key",                                            \
                                                                                                                                                                   "1",                                              \
                                                                                                                                                                   "{\"account\":\"alice\",\"publicKey\":\"" CA_LINE \
                                                                                                                                                                   "\",\"expireTime\":\"2027-01-15T08:30:00Z\"}")

#define CERTIFICATE(job_name)                                                                      \
    {                                                                                              \
        .user = "alice", .account = "alice", .job = job_name, .serial = 7,                         \
        .fingerprint = CA_FINGERPRINT, .expires_at = NOW + 100                                     \
    }
#define KEY                                                                                        \
    { .user = "alice", .account = "alice", .job = "1@nancy", .fingerprint = CA_FINGERPRINT }

static const struct {
    const char *name;
    struct login_record record;
    struct session_rules rules;
    int64_t after; /* NOW */
    const char *change;
    enum replica_why why;
    int64_t judge_at;
} judgements[] = {
    {"good", CERTIFICATE("1@nancy"), {0}, 0, "", REPLICA_ALLOWED, 0},
    {"good until the job's end", CERTIFICATE("2@nancy"), {0}, 0, "", REPLICA_ALLOWED, NOW + 3600},
    {"its job's end", CERTIFICATE("2@nancy"), {0}, 3600, "", REPLICA_NO_JOB, 0},
    {"its job's end, which the scheduler sees to",
     CERTIFICATE("2@nancy"),
     {.keep_job_ended = true},
     3600,
     "",
     REPLICA_ALLOWED,
     0},
    {"another's job", CERTIFICATE("3@nancy"), {0}, 0, "", REPLICA_NO_JOB, 0},
    {"no job named where one is asked for", CERTIFICATE(""), {0}, 0, "", REPLICA_NO_JOB, 0},
    {"runs on past its end", CERTIFICATE("1@nancy"), {0}, 100, "", REPLICA_ALLOWED, 0},
    {"good until its end",
     CERTIFICATE("1@nancy"),
     {.cut_expired = true},
     0,
     "",
     REPLICA_ALLOWED,
     NOW + 100},
    {"good until whatever ends first",
     CERTIFICATE("2@nancy"),
     {.cut_expired = true},
     0,
     "",
     REPLICA_ALLOWED,
     NOW + 100},
    {"is cut at its end",
     CERTIFICATE("1@nancy"),
     {.cut_expired = true},
     100,
     "",
     REPLICA_EXPIRED,
     NOW + 100},
    {"a replica that is too old ends nothing",
     CERTIFICATE("1@nancy"),
     {0},
     100L * MAX_AGE_S,
     "",
     REPLICA_ALLOWED,
     0},
    {"revoked",
     CERTIFICATE("1@nancy"),
     {.keep_job_ended = true},
     0,
     CHANGE("revocation", "7",
            "{\"account\":\"\",\"expireTime\":\"2027-02-01T00:00:00Z\",\"reason\":\"\"}"),
     REPLICA_REVOKED,
     0},
    {"another is revoked",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("revocation", "8",
            "{\"account\":\"\",\"expireTime\":\"2027-02-01T00:00:00Z\",\"reason\":\"\"}"),
     REPLICA_ALLOWED,
     0},
    {"its CA is gone",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("ca", CA_FINGERPRINT, "null"),
     REPLICA_UNKNOWN_CA,
     0},
    {"disabled",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("account", "alice", ACCOUNT("false", "\"nancy\"")),
     REPLICA_DISABLED,
     0},
    {"disabled when the job is over",
     CERTIFICATE("9@nancy"),
     {.keep_job_ended = true},
     0,
     CHANGE("account", "alice", ACCOUNT("false", "\"nancy\"")),
     REPLICA_DISABLED,
     0},
    {"gone",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("account", "alice", "null"),
     REPLICA_NO_ACCOUNT,
     0},
    {"another is disabled",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("account", "bob", ACCOUNT("false", "\"nancy\"")),
     REPLICA_ALLOWED,
     0},
    {"no member any more",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("account", "alice", ACCOUNT("true", "")),
     REPLICA_NO_REACH,
     0},
    {"a host that is not listed ends nothing",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("host", "n1", "null"),
     REPLICA_NO_HOST,
     0},
    {"keys alone",
     CERTIFICATE("1@nancy"),
     {0},
     0,
     CHANGE("cluster", "nancy",
            "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\",\"credentials\":\"keys\"}"),
     REPLICA_NO_CREDENTIAL,
     0},
    {"a key", KEY, {0}, 0, "", REPLICA_ALLOWED, 0},
    {"a key that ended", KEY, {0}, 1800, "", REPLICA_ALLOWED, 0},
    {"a key that will end", KEY, {.cut_expired = true}, 0, "", REPLICA_ALLOWED, NOW + 1800},
    {"a key that is cut", KEY, {.cut_expired = true}, 1800, "", REPLICA_EXPIRED, NOW + 1800},
    {"a key that was removed", KEY, {0}, 0, CHANGE("key", "1", "null"), REPLICA_NO_KEY, 0},
    {"a key that is another's now",
     KEY,
     {0},
     0,
     CHANGE("key", "1", "{\"account\":\"bob\",\"publicKey\":\"" CA_LINE "\"}"),
     REPLICA_NO_KEY,
     0},
    {"a key that is registered twice",
     KEY,
     {.cut_expired = true},
     1800,
     CHANGE("key", "2", "{\"account\":\"alice\",\"publicKey\":\"" CA_LINE "\"}"),
     REPLICA_ALLOWED,
     0},
};

static void test_judgements(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(judgements); i++) {
        struct place place;
        struct replica *replica CLEANUP(replica_closep) = NULL;
        const struct replica_self self = {.name = "n1", .max_age_s = MAX_AGE_S};
        struct session_verdict verdict = {0};
        place_make(&place);
        assert_ok(replica_open_write(place.path, (gid_t)-1, &replica));
        assert_ok(replica_self_put(replica, &self));
        apply(replica, "{\"revision\":\"1\",\"snapshot\":true,\"changes\":[" SITE "]}");
        char answer[1024];
        (void)snprintf(answer, sizeof answer,
                       "{\"revision\":\"2\",\"snapshot\":false,\"changes\":[%s]}",
                       judgements[i].change);
        apply(replica, answer);
        assert_ok(session_judge(replica, &judgements[i].rules, &judgements[i].record,
                                NOW + judgements[i].after, &verdict));
        if (verdict.why != judgements[i].why) {
            print_error("%s: %s\n", judgements[i].name, replica_why_text(verdict.why));
        }
        assert_int_equal(verdict.why, judgements[i].why);
        assert_true(verdict.judge_at == judgements[i].judge_at);
        assert_int_equal(verdict.goes_on,
                         verdict.why == REPLICA_ALLOWED || verdict.why == REPLICA_NO_HOST);
        replica_closep(&replica);
        place_remove(&place);
    }
    assert_false(((struct session_verdict){0}).goes_on);
}

static void test_explanations_fit_a_terminal(void **state) {
    (void)state;
    struct login_record record = {.serial = UINT64_MAX};
    memset(record.account, 'a', sizeof record.account - 1);
    memset(record.job, 'j', sizeof record.job - 1);
    for (int why = REPLICA_UNDECIDED; why <= REPLICA_ALLOWED; why++) {
        char text[SESSION_REASON_CHARS] = "";
        session_explain(&record, (enum replica_why)why, text);
        assert_true(text[0] != '\0' && strlen(text) < sizeof text - 1);
        assert_true(text_is_printable(span_str(text)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_refused),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_no_record_without_sshd),
        cmocka_unit_test(test_record_forged_before),
        cmocka_unit_test(test_stat_refused),
        cmocka_unit_test(test_stat),
        cmocka_unit_test(test_who_is_no_monitor),
        cmocka_unit_test(test_terminal_of_another),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_judgements),
        cmocka_unit_test(test_explanations_fit_a_terminal),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
