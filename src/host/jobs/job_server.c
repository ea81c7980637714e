#include "host/jobs/job_server.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "base/rate.h"
#include "host/host.h"

enum {
    PASSWD_BYTES = 16 * 1024,
    ACCEPT_PAUSE_MS = 100,
    BUCKETS_COUNT = 1024,
    PATIENCE_MS = LIMIT_JOB_ASKER_S * 1000,
};

struct asker {
    int fd;
    uid_t uid;
    int64_t until_ms; /* monotonic */
    bool done;        /* to be closed */
    struct buf question;
};

struct job_server {
    struct rate rates[BUCKETS_COUNT]; /* by uid; users who share a bucket share what it holds */
    const struct config *config;
    const struct identity *identity;
    char *known_hosts;
    int listener, wake;
    pthread_t thread;
    bool started;
    bool out_of_files; /* nobody is let in for ACCEPT_PAUSE_MS */
    struct http_client *client;
    unsigned failures; /* in a row */
    int64_t away_ms;   /* until then the authority is not asked */
    struct asker askers[LIMIT_JOB_ASKERS_COUNT];
    size_t count;
};

/* --- answering --- */

/* It fits into the socket, which is empty: who has it full does not want it. */
static void send_answer(int fd, struct buf *answer) {
    if (!failed(buf_add_byte(answer, '\n'))) {
        ssize_t ignored = send(fd, answer->data, answer->len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)ignored;
    }
}

static void refuse(int fd, const char *code, const char *message) {
    struct buf answer CLEANUP(buf_done) = BUF(LIMIT_JOB_ANSWER_BYTES);
    if (!failed(job_answer_error(code, message, &answer))) {
        send_answer(fd, &answer);
    }
}

/* By uid: the name is what the machine calls it, and nothing that the user said. */
static bool find_name(const struct config *config, uid_t uid, char *text, const char **name) {
    struct passwd entry;
    struct passwd *found = NULL;
    if (uid < config->min_uid || uid == 0 || uid == HOST_UID_OVERFLOW ||
        getpwuid_r(uid, &entry, text, PASSWD_BYTES, &found) != 0 || found == NULL ||
        failed(account_name_check(span_str(entry.pw_name), NULL))) {
        return false;
    }
    *name = entry.pw_name;
    return true;
}

static void note_reach(struct job_server *server, bool reached) {
    server->failures = reached ? 0 : server->failures + 1;
    server->away_ms =
        reached ? 0 : clock_monotonic_ms() + sync_backoff_ms(server->failures - 1, random_u64());
}

static void answer(struct job_server *server, struct asker *asker, span_t question) {
    char text[PASSWD_BYTES];
    struct buf out CLEANUP(buf_done) = BUF(LIMIT_JOB_ANSWER_BYTES);
    bool is_away = clock_monotonic_ms() < server->away_ms;
    bool reached = !is_away;
    struct job_asker from = {.state_dir = server->config->state_dir,
                             .known_hosts = server->known_hosts,
                             .client = is_away ? NULL : server->client};
    asker->done = true;
    if (!rate_take(&server->rates[asker->uid % BUCKETS_COUNT], LIMIT_JOB_ASKS_PER_MINUTE_COUNT,
                   clock_monotonic_ms())) {
        refuse(asker->fd, "too_many_requests",
               "you ask too often; try again in a minute, or stay logged in");
        return;
    }
    if (!find_name(server->config, asker->uid, text, &from.username)) {
        refuse(asker->fd, "no_account", "this local user is no account of the authority");
        return;
    }
    err_t err = job_answer(&from, question, &out, &reached);
    if (!is_away) {
        note_reach(server, reached);
    }
    if (failed(err)) {
        log_error("job_question_failed", err, "account", from.username, NULL);
        refuse(asker->fd, "internal",
               "this cannot be answered now; the log of postern-host says why");
        return;
    }
    send_answer(asker->fd, &out);
}

/* --- asking --- */

static void read_question(struct job_server *server, struct asker *asker) {
    uint8_t piece[LIMIT_JOB_QUESTION_BYTES];
    ssize_t len = recv(asker->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    const uint8_t *end = len > 0 ? memchr(piece, '\n', (size_t)len) : NULL;
    if (len <= 0 || (end != NULL && end + 1 != piece + len)) {
        asker->done = true; /* there is no second question */
    } else if (failed(buf_add(&asker->question, span_of(piece, (size_t)len)))) {
        refuse(asker->fd, "too_long", "a question has at most 4096 bytes");
        asker->done = true;
    } else if (end != NULL) {
        answer(server, asker, span_of(asker->question.data, asker->question.len - 1));
    }
}

static size_t count_of(const struct job_server *server, uid_t uid) {
    size_t count = 0;
    for (size_t i = 0; i < server->count; i++) {
        count += server->askers[i].uid == uid;
    }
    return count;
}

static void let_in(struct job_server *server, int fd) {
    struct ucred peer = {.uid = HOST_UID_OVERFLOW};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer) {
        (void)close(fd);
        return;
    }
    if (server->count == COUNT_OF(server->askers) ||
        count_of(server, peer.uid) >= LIMIT_JOB_ASKERS_PER_USER_COUNT) {
        refuse(fd, "busy", "there are too many questions at once; ask again in a moment");
        (void)close(fd);
        return;
    }
    server->askers[server->count++] = (struct asker){.fd = fd,
                                                     .uid = peer.uid,
                                                     .until_ms = clock_monotonic_ms() + PATIENCE_MS,
                                                     .question = BUF(LIMIT_JOB_QUESTION_BYTES)};
}

/* As many as there are places, so that a flood of others does not keep anybody waiting. */
static void accept_some(struct job_server *server) {
    for (size_t i = 0; i < COUNT_OF(server->askers); i++) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            let_in(server, fd);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            server->out_of_files = errno != EAGAIN && errno != EWOULDBLOCK;
            return;
        }
    }
}

/* In their order, for the first are waited for the longest. */
static void drop_done(struct job_server *server) {
    size_t kept = 0;
    for (size_t i = 0; i < server->count; i++) {
        struct asker *asker = &server->askers[i];
        if (asker->done) {
            (void)close(asker->fd);
            buf_done(&asker->question);
        } else {
            server->askers[kept++] = *asker;
        }
    }
    server->count = kept;
}

/* --- the thread --- */

enum { WATCHED_LISTENER, WATCHED_WAKE, WATCHED_COUNT };

static int patience(const struct job_server *server) {
    int64_t now_ms = clock_monotonic_ms();
    int64_t left = server->out_of_files ? ACCEPT_PAUSE_MS : -1;
    for (size_t i = 0; i < server->count; i++) {
        int64_t of_asker = server->askers[i].until_ms - now_ms;
        of_asker = of_asker < 0 ? 0 : of_asker;
        left = left < 0 || of_asker < left ? of_asker : left;
    }
    return (int)left;
}

/* Who is late may have asked while others were answered, and is read a last time. */
static void attend_all(struct job_server *server, const struct pollfd *watched, int ready) {
    int64_t now_ms = clock_monotonic_ms();
    for (size_t i = 0; i < server->count; i++) {
        struct asker *asker = &server->askers[i];
        bool late = now_ms >= asker->until_ms;
        if (ready > 0 && watched[i].revents != 0) {
            read_question(server, asker);
        }
        asker->done |= late;
    }
}

static void *serve(void *context) {
    struct job_server *server = context;
    struct pollfd watched[WATCHED_COUNT + LIMIT_JOB_ASKERS_COUNT];
    for (;;) {
        watched[WATCHED_LISTENER] =
            (struct pollfd){server->out_of_files ? -1 : server->listener, POLLIN, 0};
        watched[WATCHED_WAKE] = (struct pollfd){server->wake, POLLIN, 0};
        for (size_t i = 0; i < server->count; i++) {
            watched[WATCHED_COUNT + i] = (struct pollfd){server->askers[i].fd, POLLIN, 0};
        }
        int ready = poll(watched, WATCHED_COUNT + server->count, patience(server));
        if (ready > 0 && watched[WATCHED_WAKE].revents != 0) {
            return NULL;
        }
        attend_all(server, watched + WATCHED_COUNT, ready);
        drop_done(server);
        bool paused = server->out_of_files;
        server->out_of_files = false;
        if (paused || (ready > 0 && watched[WATCHED_LISTENER].revents != 0)) {
            accept_some(server);
        }
    }
}

/* --- beginning and end --- */

static err_t folder_of(const char *path, char **out) {
    const char *slash = strrchr(path, '/');
    return slash == NULL || slash == path ? FAIL(ERR_MALFORMED)
                                          : span_to_str(span_of(path, (size_t)(slash - path)), out);
}

static err_t known_hosts_path(const struct config *config, char **out) {
    char *folder CLEANUP(freep) = NULL;
    TRY(folder_of(config->job_socket, &folder));
    TRY(file_make_dirs(folder, 0755));
    return path_join(folder, "known_hosts", out);
}

static err_t add_ca(void *context, const char *public_key) {
    return buf_add_format(context, "@cert-authority * %s\n", public_key);
}

err_t job_server_write_known_hosts(const struct config *config, struct replica *replica) {
    char *path CLEANUP(freep) = NULL;
    struct buf lines CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct buf present CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    TRY(known_hosts_path(config, &path));
    TRY(replica_ca_list(replica, CA_USE_HOST, add_ca, &lines));
    if (!failed(file_read(path, &present)) && span_equal(buf_span(&present), buf_span(&lines))) {
        return OK;
    }
    return file_replace(path, buf_span(&lines), 0644, 0);
}

static err_t start(struct job_server *server, struct fault *fault) {
    TRY(known_hosts_path(server->config, &server->known_hosts));
    TRY(identity_client(server->identity, &server->client, fault));
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake < 0) {
        return err_from_errno(errno);
    }
    TRY(local_socket_make(server->config->job_socket, 0666, (gid_t)-1, LIMIT_JOB_ASKERS_COUNT,
                          &server->listener));
    TRY(thread_start(serve, server, &server->thread));
    server->started = true;
    return OK;
}

err_t job_server_start(const struct config *config, const struct identity *identity,
                       struct job_server **out, struct fault *fault) {
    struct job_server *server CLEANUP(job_server_freep) = calloc(1, sizeof *server);
    if (server == NULL) {
        return FAIL(ERR_MEMORY);
    }
    server->config = config;
    server->identity = identity;
    server->listener = server->wake = -1;
    err_t err = start(server, fault);
    if (failed(err)) {
        return fault_set(fault, err.code, config->job_socket, "%s", err_text(err));
    }
    *out = TAKE(server);
    return OK;
}

void job_server_free(struct job_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->started) {
        uint64_t one = 1;
        ssize_t ignored = write(server->wake, &one, sizeof one);
        (void)ignored;
        (void)pthread_join(server->thread, NULL);
    }
    for (size_t i = 0; i < server->count; i++) {
        server->askers[i].done = true;
    }
    drop_done(server);
    http_client_free(server->client);
    fd_closep(&server->listener);
    fd_closep(&server->wake);
    free(server->known_hosts);
    free(server);
}

void job_server_freep(struct job_server **server) {
    job_server_free(*server);
    *server = NULL;
}
