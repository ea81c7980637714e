#include "gate/names.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "gate/process.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/sandbox.h"
#include "ssh/wire.h"

/* ---- the wire -------------------------------------------------------------------------------- */

static err_t take_name(span_t name, char out[LIMIT_HOST_NAME_CHARS + 1]) {
    if (name.len > 0 && name.data[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > LIMIT_HOST_NAME_CHARS || !text_is_printable(name) ||
        memchr(name.data, ' ', name.len) != NULL) {
        return FAIL(ERR_MALFORMED);
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];
        out[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
    }
    out[name.len] = '\0';
    return OK;
}

err_t names_get_request(span_t *stream, struct names_request *out) {
    span_t rest = *stream, message, name;
    uint32_t len;
    struct names_request request;
    TRY(wire_get_u32(&rest, &len));
    if (len > GATE_NAMES_MESSAGE_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(wire_get_bytes(&rest, len, &message));
    if (failed(wire_get_u32(&message, &request.id)) || failed(wire_get_string(&message, &name)) ||
        message.len > 0) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(take_name(name, request.name));
    *out = request;
    *stream = rest;
    return OK;
}

err_t names_put_answer(struct buf *out, uint32_t id, const struct names_answer *answer) {
    struct buf body CLEANUP(buf_done) = BUF(GATE_NAMES_MESSAGE_BYTES);
    TRY(wire_put_u32(&body, id));
    TRY(wire_put_u8(&body, (uint8_t)answer->status));
    for (size_t i = 0; i < answer->count; i++) {
        const struct inet_address *address = &answer->addresses[i];
        TRY(wire_put_u8(&body, address->family_bits == 32 ? 4 : 6));
        TRY(buf_add(&body, span_of(address->bytes, address->family_bits / 8)));
    }
    return wire_put_string(out, buf_span(&body));
}

/* ---- questions under way --------------------------------------------------------------------- */

enum { INPUT_BYTES = 16 * 1024, OUTPUT_BYTES_MAX = 1024 * 1024 };

struct connection {
    struct service *service;
    int fd; /* -1: closed */
    struct watch *watch;
    size_t len;
    uint8_t input[INPUT_BYTES];
    struct buf output;
};

struct waiter {
    struct connection *connection;
    uint32_t id;
    struct waiter *next;
};

struct lookup {
    struct work work; /* first: a item's callbacks get it */
    struct service *service;
    char name[LIMIT_HOST_NAME_CHARS + 1];
    struct names_answer answer;
    struct waiter *waiters;
    struct lookup *next;
};

struct service {
    struct loop *loop;
    struct worker *worker;
    struct names_cache *cache;
    struct http_server *metrics;
    struct gate_shared *shared;
    struct connection *connections;
    size_t count, open;
    struct lookup *lookups;
    size_t lookup_count, waiting;
};

static void close_connection(struct connection *connection) {
    if (connection->fd < 0) {
        return;
    }
    watch_stop(TAKE(connection->watch));
    fd_closep(&connection->fd);
    buf_done(&connection->output);
    if (--connection->service->open == 0) {
        loop_stop(connection->service->loop);
    }
}

/* A worker that reads no answers is not given a memory without end. */
static void flush(struct connection *connection) {
    struct buf *output = &connection->output;
    size_t done = 0;
    while (connection->fd >= 0 && done < output->len) {
        ssize_t written = write(connection->fd, output->data + done, output->len - done);
        if (written > 0) {
            done += (size_t)written;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            close_connection(connection);
            return;
        }
    }
    memmove(output->data, output->data + done, output->len - done);
    output->len -= done;
    if (failed(watch_change(connection->watch, true, output->len > 0))) {
        close_connection(connection);
    }
}

static void answer(struct connection *connection, uint32_t id, const struct names_answer *what) {
    if (connection->fd < 0) {
        return;
    }
    if (failed(names_put_answer(&connection->output, id, what))) {
        close_connection(connection);
        return;
    }
    flush(connection);
}

static void run_lookup(struct work *work) {
    struct lookup *lookup = (struct lookup *)work;
    names_resolve(lookup->name, &lookup->answer);
}

static void forget(struct lookup *lookup) {
    struct lookup **place = &lookup->service->lookups;
    while (*place != lookup) {
        place = &(*place)->next;
    }
    *place = lookup->next;
    lookup->service->lookup_count--;
    free(lookup);
}

static void finish_lookup(struct work *work) {
    struct lookup *lookup = (struct lookup *)work;
    struct service *service = lookup->service;
    names_cache_put(service->cache, lookup->name, &lookup->answer, clock_monotonic_ms());
    while (lookup->waiters != NULL) {
        struct waiter *waiter = lookup->waiters;
        lookup->waiters = waiter->next;
        service->waiting--;
        answer(waiter->connection, waiter->id, &lookup->answer);
        free(waiter);
    }
    forget(lookup);
}

static struct lookup *find_lookup(struct service *service, const char *name) {
    for (struct lookup *lookup = service->lookups; lookup != NULL; lookup = lookup->next) {
        if (strcmp(lookup->name, name) == 0) {
            return lookup;
        }
    }
    return NULL;
}

static err_t begin_lookup(struct service *service, const char *name, struct lookup **out) {
    if (service->lookup_count >= NAMES_LOOKUPS_MAX) {
        return FAIL(ERR_BUSY);
    }
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return FAIL(ERR_MEMORY);
    }
    lookup->work = (struct work){.run = run_lookup, .done = finish_lookup};
    lookup->service = service;
    memcpy(lookup->name, name, strlen(name) + 1);
    lookup->next = service->lookups;
    service->lookups = lookup;
    service->lookup_count++;
    err_t err = worker_submit(service->worker, &lookup->work);
    if (failed(err)) {
        forget(lookup);
        return err;
    }
    *out = lookup;
    return OK;
}

/* Waits for the name's lookup, which is begun where it is not under way. */
static err_t wait_for(struct connection *connection, const struct names_request *request) {
    struct service *service = connection->service;
    struct lookup *lookup = find_lookup(service, request->name);
    if (service->waiting >= NAMES_WAITING_MAX) {
        return FAIL(ERR_BUSY);
    }
    if (lookup == NULL) {
        TRY(begin_lookup(service, request->name, &lookup));
    }
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *waiter = (struct waiter){connection, request->id, lookup->waiters};
    lookup->waiters = waiter;
    service->waiting++;
    return OK;
}

static void ask(struct connection *connection, const struct names_request *request) {
    static const struct names_answer try_again = {.status = GATE_NAMES_TRY_AGAIN};
    const struct names_answer *known =
        names_cache_get(connection->service->cache, request->name, clock_monotonic_ms());
    if (known != NULL) {
        answer(connection, request->id, known);
    } else if (failed(wait_for(connection, request))) {
        answer(connection, request->id, &try_again);
    }
}

static void on_connection(void *context, bool readable, bool writable) {
    struct connection *connection = context;
    if (writable) {
        flush(connection);
    }
    if (!readable || connection->fd < 0) {
        return;
    }
    ssize_t got = read(connection->fd, connection->input + connection->len,
                       sizeof connection->input - connection->len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    connection->len += got > 0 ? (size_t)got : 0;
    span_t stream = span_of(connection->input, connection->len);
    struct names_request request;
    err_t err = got > 0 ? OK : FAIL(ERR_CLOSED);
    while (!failed(err) && !failed(err = names_get_request(&stream, &request))) {
        ask(connection, &request);
    }
    if (err.code != ERR_TRUNCATED) {
        close_connection(connection);
        return;
    }
    memmove(connection->input, stream.data, stream.len);
    connection->len = stream.len;
}

/* ---- the process ----------------------------------------------------------------------------- */

static err_t connect_workers(struct service *service) {
    service->connections = calloc(service->count, sizeof service->connections[0]);
    if (service->connections == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < service->count; i++) {
        struct connection *connection = &service->connections[i];
        connection->service = service;
        connection->fd = NAMES_SOCKET_FD + (int)i;
        buf_init(&connection->output, OUTPUT_BYTES_MAX);
        if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0) {
            return err_from_errno(errno);
        }
        TRY(watch_start(service->loop, connection->fd, true, false, on_connection, connection,
                        &connection->watch));
        service->open++;
    }
    return OK;
}

static err_t serve_metrics(struct service *service) {
    const struct http_server_config config = {.address = "", .listener = NAMES_METRICS_FD};
    struct stat status;
    struct fault fault;
    if (fstat(NAMES_METRICS_FD, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        (void)close(NAMES_METRICS_FD);
        return OK;
    }
    return http_server_start(service->loop, &config, gate_metrics_serve, service->shared,
                             &service->metrics, &fault);
}

static void on_metrics_gone(void *context) {
    struct service *service = context;
    http_server_free(TAKE(service->metrics));
}

static err_t lock_in(char **argv) {
    TRY(process_become(argv[1], argv[2]));
    TRY(sandbox_harden());
    sandbox_files(SANDBOX_READS_FILES);
    /* What libc's resolver modules call depends on the machine's nsswitch.conf, so this is a list
     * of what they surely do not. */
    return sandbox_calls(NULL, 0, sandbox_deadly, SANDBOX_ALLOWS);
}

static err_t start(struct service *service, char **argv) {
    TRY(process_count(argv[3], GATE_WORKERS_MAX, &service->count));
    TRY(process_map(NAMES_SHARED_FD, false, &service->shared));
    (void)close(NAMES_SHARED_FD);
    TRY(lock_in(argv));
    TRY(loop_new(&service->loop));
    TRY(names_cache_new(&service->cache));
    TRY(worker_new(service->loop, NAMES_THREADS, NAMES_LOOKUPS_MAX, &service->worker));
    TRY(loop_on_signal(service->loop, SIGUSR1, on_metrics_gone, service));
    TRY(connect_workers(service));
    return serve_metrics(service);
}

static void stop(struct service *service) {
    http_server_free(service->metrics);
    worker_free(service->worker); /* answers whoever still waits */
    for (size_t i = 0; service->connections != NULL && i < service->count; i++) {
        close_connection(&service->connections[i]);
    }
    free(service->connections);
    names_cache_free(service->cache);
    loop_free(service->loop);
}

int names_main(int argc, char **argv) {
    struct service service = {.count = 0};
    if (argc != 4) {
        return 2;
    }
    /* As with the keys: its end is the end of its sockets. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    err_t err = start(&service, argv);
    if (!failed(err)) {
        err = loop_run(service.loop);
    }
    if (failed(err)) {
        log_error("names_ended", err, NULL);
        _exit(1);
    }
    /* A question under way may wait for seconds; nobody is there for its answer. */
    if (service.lookup_count > 0) {
        _exit(0);
    }
    stop(&service);
    return 0;
}
