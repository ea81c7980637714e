#include "gate/keys.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/sanitised.h"
#include "gate/process.h"
#include "net/sandbox.h"
#include "ssh/agent.h"
#include "ssh/wire.h"

/* ---- files ----------------------------------------------------------------------------------- */

static err_t check_mode(const char *path, struct fault *fault) {
    struct stat status;
    if (stat(path, &status) != 0) {
        err_t err = err_from_errno(errno);
        return fault_set(fault, err.code, path, "%s", err_text(err));
    }
    if ((status.st_mode & 077) != 0) {
        return fault_set(fault, ERR_PERMISSION, path,
                         "is open to others than its owner; run: chmod 600 %s", path);
    }
    return OK;
}

static err_t load_one(const char *path, struct private_key **out, struct fault *fault) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    TRY(check_mode(path, fault));
    err_t err = file_read(path, &text);
    if (!failed(err)) {
        err = private_key_load(buf_span(&text), NULL, &key, NULL);
    }
    if (!failed(err) && key_is_security_key(private_key_public(key))) {
        err = FAIL(ERR_UNSUPPORTED);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, path, "cannot be a host key: %s", err_text(err));
    }
    *out = TAKE(key);
    return OK;
}

static const struct private_key *find(const struct host_keys *keys, span_t blob) {
    for (size_t i = 0; i < keys->count; i++) {
        if (span_equal(key_blob(private_key_public(keys->keys[i])), blob)) {
            return keys->keys[i];
        }
    }
    return NULL;
}

err_t host_keys_load(const char *const *paths, size_t count, struct host_keys *out,
                     struct fault *fault) {
    struct host_keys keys CLEANUP(host_keys_done) = {.count = 0};
    INVARIANT(count <= GATE_HOST_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        TRY(load_one(paths[i], &key, fault));
        if (find(&keys, key_blob(private_key_public(key))) != NULL) {
            return fault_set(fault, ERR_DUPLICATE, paths[i], "is the same key as another");
        }
        keys.keys[keys.count++] = TAKE(key);
    }
    *out = keys;
    keys.count = 0;
    return OK;
}

void host_keys_done(struct host_keys *keys) {
    while (keys->count > 0) {
        private_key_freep(&keys->keys[--keys->count]);
    }
}

/* ---- what is signed -------------------------------------------------------------------------- */

static bool is_hash_length(size_t len) { return len == 32 || len == 48 || len == 64; }

static err_t get_prove(span_t data, span_t *session_id, span_t *blob) {
    span_t name;
    TRY(wire_get_string(&data, &name));
    TRY(wire_get_string(&data, session_id));
    TRY(wire_get_string(&data, blob));
    TRY(wire_expect_end(data));
    return span_equal_str(name, "hostkeys-prove-00@openssh.com") ? OK : FAIL(ERR_MALFORMED);
}

bool keys_may_sign(const struct key *key, span_t data) {
    span_t session_id, blob;
    return is_hash_length(data.len) ||
           (!failed(get_prove(data, &session_id, &blob)) && is_hash_length(session_id.len) &&
            span_equal(blob, key_blob(key)));
}

static bool get_rsa_hash(uint32_t flags, enum rsa_hash *out) {
    *out = flags == AGENT_RSA_SHA2_256 ? RSA_SHA256 : RSA_SHA512;
    return flags == 0 || flags == AGENT_RSA_SHA2_256 || flags == AGENT_RSA_SHA2_512;
}

err_t keys_answer(const struct host_keys *keys, span_t message, struct buf *answers) {
    struct agent_request request;
    enum rsa_hash rsa_hash;
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    if (failed(agent_get_request(message, &request)) || request.type != AGENT_SIGN_REQUEST ||
        !get_rsa_hash(request.flags, &rsa_hash)) {
        return agent_put_failure(answers);
    }
    const struct private_key *key = find(keys, request.key_blob);
    if (key == NULL || !keys_may_sign(private_key_public(key), request.data) ||
        failed(private_key_sign(key, request.data, rsa_hash, &signature))) {
        return agent_put_failure(answers);
    }
    return agent_put_sign_response(answers, buf_span(&signature));
}

/* ---- report ---------------------------------------------------------------------------------- */

err_t keys_put_report(const struct host_keys *keys, struct buf *out) {
    TRY(wire_put_u32(out, (uint32_t)keys->count));
    for (size_t i = 0; i < keys->count; i++) {
        TRY(wire_put_string(out, key_blob(private_key_public(keys->keys[i]))));
    }
    return OK;
}

err_t keys_get_report(span_t report, struct key *keys[GATE_HOST_KEYS_MAX], size_t *count) {
    struct key *found[GATE_HOST_KEYS_MAX] = {NULL};
    uint32_t announced;
    span_t blob;
    TRY(wire_get_u32(&report, &announced));
    if (announced == 0 || announced > GATE_HOST_KEYS_MAX) {
        return FAIL(ERR_RANGE);
    }
    err_t err = OK;
    for (size_t i = 0; i < announced && !failed(err); i++) {
        err = wire_get_string(&report, &blob);
        if (!failed(err)) {
            err = key_parse(blob, &found[i]);
        }
    }
    if (!failed(err)) {
        err = wire_expect_end(report);
    }
    for (size_t i = 0; i < announced; i++) {
        if (failed(err)) {
            key_free(found[i]);
        } else {
            keys[i] = found[i];
        }
    }
    TRY(err);
    *count = announced;
    return OK;
}

/* ---- the process ----------------------------------------------------------------------------- */

struct keys_connection {
    size_t len;
    uint8_t input[KEYS_MESSAGE_BYTES + 4];
};

struct keys_service {
    struct host_keys keys;
    size_t count, open;
    struct pollfd fds[GATE_WORKERS_MAX];
    struct keys_connection connections[GATE_WORKERS_MAX];
    struct buf answers;
};

/* The worker reads whenever it is its turn, so this waits for nobody but it. */
static err_t write_all(int fd, span_t bytes) {
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.data, bytes.len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return err_from_errno(errno);
        }
        bytes.data += written;
        bytes.len -= (size_t)written;
    }
    return OK;
}

/* What has come in one read is answered in one write. */
static err_t serve_one(struct keys_service *service, size_t index) {
    struct keys_connection *connection = &service->connections[index];
    int fd = service->fds[index].fd;
    ssize_t got =
        read(fd, connection->input + connection->len, sizeof connection->input - connection->len);
    if (got < 0 && errno == EINTR) {
        return OK;
    }
    if (got <= 0) {
        return FAIL(ERR_CLOSED);
    }
    connection->len += (size_t)got;
    span_t stream = span_of(connection->input, connection->len), message;
    err_t err;
    buf_clear(&service->answers);
    while (!failed(err = agent_get_frame(&stream, &message))) {
        TRY(keys_answer(&service->keys, message, &service->answers));
    }
    connection->len = stream.len;
    memmove(connection->input, stream.data, stream.len);
    if (err.code != ERR_TRUNCATED || connection->len == sizeof connection->input) {
        return FAIL(ERR_PROTOCOL);
    }
    return write_all(fd, buf_span(&service->answers));
}

static err_t serve(struct keys_service *service) {
    while (service->open > 0) {
        if (poll(service->fds, service->count, -1) < 0 && errno != EINTR) {
            return err_from_errno(errno);
        }
        for (size_t i = 0; i < service->count; i++) {
            if (service->fds[i].fd >= 0 && service->fds[i].revents != 0 &&
                failed(serve_one(service, i))) {
                fd_closep(&service->fds[i].fd);
                service->open--;
            }
        }
    }
    return OK;
}

static const struct sandbox_rule allowed[] = {
    {SCMP_SYS(read)},         {SCMP_SYS(write)},
    {SCMP_SYS(poll)},         {SCMP_SYS(ppoll)},
    {SCMP_SYS(close)},        {SCMP_SYS(exit)},
    {SCMP_SYS(exit_group)},   {SCMP_SYS(futex)},
    {SCMP_SYS(getrandom)},    {SCMP_SYS(clock_gettime)},
    {SCMP_SYS(gettimeofday)}, {SCMP_SYS(time)},
    {SCMP_SYS(getpid)},       {SCMP_SYS(rt_sigprocmask)},
    {SCMP_SYS(rt_sigreturn)}, {SCMP_SYS(restart_syscall)},
};

static err_t lock_in(char **argv) {
    TRY(process_become(argv[1], argv[2]));
    TRY(sandbox_harden());
    if (!SANITISED) {
        (void)mlockall(MCL_CURRENT); /* best effort: RLIMIT_MEMLOCK may be small */
    }
    sandbox_files(SANDBOX_NO_FILES);
    return sandbox_calls(allowed, COUNT_OF(allowed), NULL, SANDBOX_KILLS);
}

/* Tells the master, who then knows that all is well. */
static err_t report(const struct host_keys *keys) {
    struct buf text CLEANUP(buf_done) = BUF(KEYS_REPORT_BYTES);
    int fd CLEANUP(fd_closep) = KEYS_REPORT_FD;
    TRY(keys_put_report(keys, &text));
    return write_all(fd, buf_span(&text));
}

static err_t start(struct keys_service *service, int argc, char **argv, struct fault *fault) {
    TRY(process_count(argv[3], GATE_WORKERS_MAX, &service->count));
    TRY(host_keys_load((const char *const *)argv + 4, (size_t)argc - 4, &service->keys, fault));
    buf_init(&service->answers, 1024 * 1024);
    for (size_t i = 0; i < service->count; i++) {
        service->fds[i] = (struct pollfd){.fd = KEYS_SOCKET_FD + (int)i, .events = POLLIN};
    }
    service->open = service->count;
    tzset(); /* what the log needs of the time zone, while files can still be opened */
    TRY(lock_in(argv));
    return report(&service->keys);
}

int keys_main(int argc, char **argv) {
    struct fault fault = {.reason = ""};
    if (argc < 5 || argc > 4 + GATE_HOST_KEYS_MAX) {
        return 2;
    }
    struct keys_service *service = calloc(1, sizeof *service);
    INVARIANT(service != NULL);
    /* Its end is the end of its sockets: a signal that a supervisor sends to all processes of the
     * service must not take it away from the sessions that still run. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    err_t err = start(service, argc, argv, &fault);
    if (!failed(err)) {
        err = serve(service);
    }
    if (failed(err)) {
        log_error("keys_ended", err, "file", fault.field[0] != '\0' ? fault.field : NULL, "reason",
                  fault.reason[0] != '\0' ? fault.reason : NULL, NULL);
    }
    host_keys_done(&service->keys);
    buf_done(&service->answers);
    free(service);
    return failed(err) ? 1 : 0;
}
