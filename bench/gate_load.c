/*
 * Clients of a jump host, any number of them in one process:
 *
 *   gate_load GATE-PORT TARGET-HOST TARGET-PORT USER KEY CERTIFICATES KEX CIPHERS
 *
 * The gate is on 127.0.0.1. CERTIFICATES has one or more lines of -cert.pub files; the n-th session
 * shows the n-th of them. KEX and CIPHERS are lists as ssh has them. Takes commands on standard
 * input, one line each, and answers each with a line of JSON:
 *
 *   logins N C        N logins, C at a time: a channel is opened and closed, and all ends
 *   open N C          N more sessions with a channel to the target each, which are kept
 *   enter N C         the same without a channel
 *   move WHAT B N C   through the first N: WHAT is S, D or E of gate_target.c, B bytes
 *   ping              a keep-alive to every session, all at once
 *   ended I           waits for the end of the I-th session
 *   close             ends all sessions
 *
 *   {"done":N,"failed":0,"why":"","wall_ms":…,"p50_ms":…,"p99_ms":…,"max_ms":…,"last_us":…}
 *
 * last_us is when the last one was done, on the monotonic clock, for `ended`.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "gate_session.h"

enum {
    SESSIONS_MAX = 20000,
    EVENTS_COUNT = 256,
    CERTS_MAX = 4096,
    SOURCES_COUNT = 50,
    COMMAND_S = 120, /* until what is not done has failed */
};

/* One command under way. */
struct task {
    char verb[16];
    char what;
    uint64_t bytes;
    size_t total, at_once;
    size_t begun, done, failed;
    int64_t *took_us; /* of those done */
    int64_t last_us;
    char why[128];
};

struct clients {
    struct load load;
    struct session *sessions; /* SESSIONS_MAX; they do not move */
    size_t count;             /* kept open by `open`; `logins` uses those behind */
    uint64_t number;          /* of the next session that begins */
};

static _Noreturn void die(const char *what, err_t err) {
    (void)fprintf(stderr, "gate_load: %s: %s\n", what, err_text(err));
    exit(1);
}

static void must(err_t err, const char *what) {
    if (failed(err)) {
        die(what, err);
    }
}

/* Gives the index-th session its part of the task. */
static void begin_one(struct clients *clients, const struct task *task, size_t index) {
    struct session *session = &clients->sessions[index];
    if (strcmp(task->verb, "logins") == 0) {
        session_begin(session, &clients->load, (size_t)clients->number++, GOAL_LOGIN);
    } else if (strcmp(task->verb, "open") == 0) {
        session_begin(session, &clients->load, (size_t)clients->number++, GOAL_OPEN);
    } else if (strcmp(task->verb, "enter") == 0) {
        session_begin(session, &clients->load, (size_t)clients->number++, GOAL_ENTER);
    } else if (strcmp(task->verb, "ended") == 0) {
        session_expect_end(session);
    } else if (!session_lives(session)) {
        session->goal = task->what == 'P' ? GOAL_ANSWER : GOAL_MOVE;
        session->reached = false;
    } else if (task->what == 'P') {
        session_ping(session);
    } else {
        session_move(session, task->what, task->bytes);
    }
}

/* The session's part is done, or never will be. */
static void finish_one(struct task *task, struct session *session) {
    int64_t now_us = session_now_us();
    if (session->reached) {
        task->last_us = session->goal == GOAL_END ? session->ended_us : now_us;
        task->took_us[task->done++] = now_us - session->began_us;
    } else if (task->failed++ == 0) {
        memcpy(task->why, session->why, sizeof task->why);
    }
    if (session->goal == GOAL_LOGIN) {
        session_end(session, "done");
    }
    session->goal = GOAL_NONE;
}

static bool is_finished(const struct session *session) {
    return session->goal != GOAL_NONE && (session->reached || !session_lives(session));
}

/* `begun` sessions of the task are at first + 0…; logins use the same `at_once` again and again. */
static void begin_more(struct clients *clients, struct task *task, size_t first) {
    bool logins = strcmp(task->verb, "logins") == 0;
    for (size_t i = 0; logins && i < task->at_once && task->begun < task->total; i++) {
        struct session *session = &clients->sessions[first + i];
        if (session->goal == GOAL_NONE) {
            begin_one(clients, task, first + i);
            task->begun++;
        }
    }
    while (!logins && task->begun < task->total &&
           task->begun - task->done - task->failed < task->at_once) {
        begin_one(clients, task, first + task->begun);
        struct session *session = &clients->sessions[first + task->begun++];
        if (is_finished(session)) {
            finish_one(task, session);
        }
    }
}

/* Serves what the kernel has for the sessions; false when there is a line on standard input. */
static bool turn(struct clients *clients, struct task *task, int wait_ms) {
    struct epoll_event events[EVENTS_COUNT];
    int count = epoll_wait(clients->load.epoll, events, EVENTS_COUNT, wait_ms);
    bool quiet = true;
    for (int i = 0; i < count; i++) {
        struct session *session = events[i].data.ptr;
        if (session == NULL) {
            quiet = false;
            continue;
        }
        session_serve(session, events[i].events);
        if (task != NULL && is_finished(session)) {
            finish_one(task, session);
        }
    }
    return quiet;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_result(struct task *task, int64_t wall_us) {
    size_t count = task->done;
    qsort(task->took_us, count, sizeof *task->took_us, by_size);
    const int64_t *took = task->took_us;
    for (char *at = task->why; *at != '\0'; at++) {
        *at = *at == '"' || *at == '\\' || (unsigned char)*at < ' ' ? ' ' : *at;
    }
    (void)printf("{\"done\":%zu,\"failed\":%zu,\"why\":\"%s\",\"wall_ms\":%.3f,\"p50_ms\":%.3f,"
                 "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"last_us\":%" PRId64 "}\n",
                 count, task->failed, task->why, (double)wall_us / 1e3,
                 count == 0 ? 0 : (double)took[count / 2] / 1e3,
                 count == 0 ? 0 : (double)took[(count * 99 + 99) / 100 - 1] / 1e3,
                 count == 0 ? 0 : (double)took[count - 1] / 1e3, task->last_us);
    (void)fflush(stdout);
}

static void run(struct clients *clients, struct task *task, size_t first) {
    int64_t began_us = session_now_us();
    int64_t deadline_us = began_us + (int64_t)COMMAND_S * 1000000;
    task->took_us = calloc(task->total + 1, sizeof *task->took_us);
    INVARIANT(task->took_us != NULL);
    begin_more(clients, task, first);
    while (task->done + task->failed < task->total && session_now_us() < deadline_us) {
        (void)turn(clients, task, 1000);
        begin_more(clients, task, first);
    }
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &clients->sessions[i];
        if (session->goal != GOAL_NONE) { /* the time is over */
            if (session->goal != GOAL_END) {
                session_end(session, "no answer in time");
            }
            session->reached = false;
            finish_one(task, session);
        }
    }
    print_result(task, session_now_us() - began_us);
    free(task->took_us);
}

static void close_all(struct clients *clients) {
    for (size_t i = 0; i < clients->count; i++) {
        session_end(&clients->sessions[i], "closed");
    }
    clients->count = 0;
}

static void obey(struct clients *clients, const char *line) {
    struct task task = {0};
    size_t first = 0;
    size_t last = 0;
    (void)sscanf(line, "%15s", task.verb);
    if (sscanf(line, "logins %zu %zu", &task.total, &task.at_once) == 2) {
        first = clients->count;
        last = first + task.at_once;
    } else if (sscanf(line, "open %zu %zu", &task.total, &task.at_once) == 2 ||
               sscanf(line, "enter %zu %zu", &task.total, &task.at_once) == 2) {
        first = clients->count;
        last = first + task.total;
        clients->count = last <= SESSIONS_MAX ? last : first;
    } else if (sscanf(line, "move %c %" SCNu64 " %zu %zu", &task.what, &task.bytes, &task.total,
                      &task.at_once) == 4) {
        last = task.total;
    } else if (strcmp(task.verb, "ping") == 0) {
        task.what = 'P';
        task.total = task.at_once = last = clients->count;
    } else if (sscanf(line, "ended %zu", &first) == 1) {
        task.total = task.at_once = 1;
        last = first + 1;
    } else if (strcmp(task.verb, "close") == 0) {
        close_all(clients);
    } else {
        die(line, FAIL(ERR_UNSUPPORTED));
    }
    bool begins = strcmp(task.verb, "ended") != 0 && strchr("loe", task.verb[0]) != NULL;
    if (last > (begins ? (size_t)SESSIONS_MAX : clients->count)) {
        die(line, FAIL(ERR_RANGE));
    }
    run(clients, &task, first);
}

static void load_key(struct load *load, const char *path) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct private_key *key = NULL;
    must(file_read(path, &file), path);
    must(private_key_load(buf_span(&file), NULL, &key, NULL), path);
    load->client.key = key;
}

static void load_certs(struct load *load, const char *path) {
    struct buf file CLEANUP(buf_done) = BUF(CERTS_MAX * 4096ULL);
    must(file_read(path, &file), path);
    load->certs = calloc(CERTS_MAX, sizeof(struct cert *));
    INVARIANT(load->certs != NULL);
    const uint8_t *at = file.data;
    const uint8_t *end = file.data + file.len;
    while (at < end && load->cert_count < CERTS_MAX) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        const uint8_t *line_end = newline != NULL ? newline : end;
        must(cert_parse_line(span_of(at, (size_t)(line_end - at)), &load->certs[load->cert_count++],
                             NULL),
             path);
        at = line_end + 1;
    }
    INVARIANT(load->cert_count > 0);
}

static void clients_init(struct clients *clients, char **argv) {
    struct load *load = &clients->load;
    load->gate.sin_family = AF_INET;
    load->gate.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    load->gate.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load->sources = SOURCES_COUNT;
    load->target_host = argv[2];
    load->target_port = (uint16_t)strtoul(argv[3], NULL, 10);
    load->client = (struct client_config){
        .transport = {.role = TRANSPORT_CLIENT,
                      .software = "PosternBench",
                      .kex = argv[7],
                      .ciphers = argv[8],
                      .random = randomness_of_kernel},
        .user = argv[4],
        .offer_first = true, /* as ssh does */
    };
    load_key(load, argv[5]);
    load_certs(load, argv[6]);
    buf_init(&load->in, SIZE_MAX);
    buf_init(&load->out, SIZE_MAX);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    clients->sessions = calloc(SESSIONS_MAX, sizeof *clients->sessions);
    INVARIANT(load->epoll >= 0 && clients->sessions != NULL);
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        clients->sessions[i].fd = -1;
    }
}

static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    struct clients clients = {0};
    if (argc != 9) {
        (void)fputs("usage: gate_load GATE-PORT TARGET-HOST TARGET-PORT USER KEY CERTIFICATES KEX "
                    "CIPHERS\n",
                    stderr);
        return 2;
    }
    raise_descriptors();
    clients_init(&clients, argv);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    INVARIANT(epoll_ctl(clients.load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0);
    /* One command at a time: who sends them waits for each answer. */
    for (;;) {
        char line[128];
        while (turn(&clients, NULL, -1)) {
        }
        if (fgets(line, sizeof line, stdin) == NULL) {
            return 0;
        }
        obey(&clients, line);
    }
}
