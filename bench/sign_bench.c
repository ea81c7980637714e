/*
 * How many certificates an authority signs, and what each costs it.
 *
 *   sign_bench prepare STORE ACCOUNTS >TOKENS     accounts with sessions, before posternd starts
 *   sign_bench run PORT CA.pem TOKENS PID [SECONDS [CONNECTIONS]]
 *
 * `run` keeps CONNECTIONS HTTPS connections busy, each asking for one certificate after the other,
 * and reads the CPU time of posternd (PID) and of its signer from /proc around it. In the same run
 * it measures what libcrypto alone needs for an Ed25519 signature. The result is a table on
 * standard error and JSON on standard output.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "identity/token.h"
#include "ssh/private_key.h"
#include "store/store.h"

enum {
    TOKENS_MAX = 4096,
    CONNECTIONS_MAX = 1024,
    LATENCIES_MAX = 1 << 22,
    LONE_REQUESTS = 1000,
    RAW_SECONDS = 1,
    ACCOUNTS_PER_CONNECTION = 16, /* the authority bounds what one account may ask for */
    TBS_BYTES = 420,              /* as large as what a CA signs for one of our certificates */
};

struct bench;

struct connection {
    struct bench *bench;
    struct bufferevent *stream;
    char requests[ACCOUNTS_PER_CONNECTION][1024];
    size_t request_lens[ACCOUNTS_PER_CONNECTION];
    size_t turn; /* which of them is next */
    int64_t sent_ns;
    size_t expected; /* bytes of the body that are still to come; SIZE_MAX: in the head */
};

struct bench {
    struct event_base *base;
    SSL_CTX *tls;
    struct sockaddr_in address;
    char tokens[TOKENS_MAX][TOKEN_CHARS];
    size_t token_count;
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count, open_count;
    bool measuring;
    size_t left; /* requests of a counted run; SIZE_MAX: until the time is over */
    uint64_t done;
    int64_t *latencies_ns;
    size_t latency_count;
};

static void die(const char *what) {
    fprintf(stderr, "sign_bench: %s\n", what);
    exit(1);
}

static void check(err_t err, const char *what) {
    if (failed(err)) {
        fprintf(stderr, "sign_bench: %s: %s\n", what, err_text(err));
        exit(1);
    }
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- accounts ---------------------------------------------------------------------------- */

static void add_account(struct store *store, const struct project *project, unsigned number) {
    int64_t now = clock_now_s();
    uint8_t random[TOKEN_RANDOM_BYTES];
    char token[TOKEN_CHARS];
    struct account account = {.kind = ACCOUNT_PERSON, .created_at = now};
    (void)snprintf(account.name, sizeof account.name, "bench%u", number);
    check(store_account_add(store, &account), "account");
    struct membership membership = {
        .project_id = project->id, .account_id = account.id, .role = MEMBER, .since = now};
    check(store_member_put(store, &membership), "membership");
    struct session session = {.use = SESSION_BEARER,
                              .account_id = account.id,
                              .created_at = now,
                              .expires_at = now + 24 * 3600};
    random_bytes(random, sizeof random);
    check(token_make(TOKEN_SESSION, random, token, session.hash), "token");
    check(store_session_add(store, &session), "session");
    puts(token);
}

static int prepare(const char *path, unsigned count) {
    struct store *store CLEANUP(store_closep) = NULL;
    check(store_open_sqlite(path, &store), path);
    struct project project = {.name = "bench", .created_at = clock_now_s()};
    check(store_begin(store), "begin");
    check(store_project_add(store, &project), "project");
    for (unsigned i = 0; i < count; i++) {
        add_account(store, &project, i);
    }
    check(store_commit(store), "commit");
    return 0;
}

/* ---- requests ---------------------------------------------------------------------------- */

static void send_request(struct connection *connection) {
    struct bench *bench = connection->bench;
    if (bench->left == 0) {
        if (--bench->open_count == 0) {
            (void)event_base_loopbreak(bench->base);
        }
        return;
    }
    if (bench->left != SIZE_MAX) {
        bench->left--;
    }
    connection->expected = SIZE_MAX;
    connection->sent_ns = clock_ns(CLOCK_MONOTONIC);
    size_t turn = connection->turn++ % ACCOUNTS_PER_CONNECTION;
    if (bufferevent_write(connection->stream, connection->requests[turn],
                          connection->request_lens[turn]) != 0) {
        die("cannot write");
    }
}

/* The head's end gives the length; anything but 200 ends the benchmark. */
static bool read_head(struct connection *connection, struct evbuffer *input) {
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    if (end.pos < 0) {
        return false;
    }
    char head[4096];
    size_t head_len = (size_t)end.pos + 4;
    if (head_len >= sizeof head) {
        die("the head of the answer is too long");
    }
    (void)evbuffer_remove(input, head, head_len);
    head[head_len] = '\0';
    const char *length = strcasestr(head, "\ncontent-length:");
    if (strncmp(head, "HTTP/1.1 200 ", 13) != 0 || length == NULL) {
        fprintf(stderr, "%s%s\n", head, (char *)evbuffer_pullup(input, -1));
        die("this answer was not expected");
    }
    connection->expected = strtoul(length + 16, NULL, 10);
    return true;
}

static void on_read(struct bufferevent *stream, void *context) {
    struct connection *connection = context;
    struct bench *bench = connection->bench;
    struct evbuffer *input = bufferevent_get_input(stream);
    if (connection->expected == SIZE_MAX && !read_head(connection, input)) {
        return;
    }
    if (evbuffer_get_length(input) < connection->expected) {
        return;
    }
    (void)evbuffer_drain(input, connection->expected);
    if (bench->measuring) {
        bench->done++;
        if (bench->latency_count < LATENCIES_MAX) {
            bench->latencies_ns[bench->latency_count++] =
                clock_ns(CLOCK_MONOTONIC) - connection->sent_ns;
        }
    }
    send_request(connection);
}

static void on_event(struct bufferevent *stream, short what, void *context) {
    struct connection *connection = context;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        int one = 1;
        (void)setsockopt(bufferevent_getfd(stream), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        send_request(connection);
    } else if ((what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) != 0) {
        die("the authority closed a connection");
    }
}

/* One key, asked for by several accounts in turn. */
static void make_requests(struct connection *connection, size_t number) {
    const struct bench *bench = connection->bench;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(4096);
    check(private_key_generate(KEY_ED25519, 256, &key), "key");
    check(key_print_line(private_key_public(key), NULL, &line), "key");
    char body[512];
    int body_len = snprintf(body, sizeof body, "{\"publicKey\":\"%.*s\",\"duration\":\"1d\"}",
                            (int)line.len, (const char *)line.data);
    for (size_t i = 0; i < ACCOUNTS_PER_CONNECTION; i++) {
        int len =
            snprintf(connection->requests[i], sizeof connection->requests[i],
                     "POST /api/v1/ssh-keys/sign HTTP/1.1\r\nHost: localhost\r\n"
                     "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                     "Content-Length: %d\r\n\r\n%s",
                     bench->tokens[(number * ACCOUNTS_PER_CONNECTION + i) % bench->token_count],
                     body_len, body);
        connection->request_lens[i] = (size_t)len;
    }
}

static void open_connections(struct bench *bench, size_t count) {
    bench->connection_count = bench->open_count = count;
    for (size_t i = 0; i < count; i++) {
        struct connection *connection = &bench->connections[i];
        connection->bench = bench;
        if (connection->request_lens[0] == 0) {
            make_requests(connection, i);
        }
        SSL *ssl = SSL_new(bench->tls);
        connection->stream = bufferevent_openssl_socket_new(
            bench->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_setcb(connection->stream, on_read, NULL, on_event, connection);
        (void)bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
        if (bufferevent_socket_connect(connection->stream, (const struct sockaddr *)&bench->address,
                                       sizeof bench->address) != 0) {
            die("cannot connect");
        }
    }
}

static void close_connections(struct bench *bench) {
    for (size_t i = 0; i < bench->connection_count; i++) {
        bufferevent_free(bench->connections[i].stream);
    }
}

static void run_for(struct bench *bench, int64_t ms) {
    struct timeval time = {ms / 1000, ms % 1000 * 1000};
    (void)event_base_loopexit(bench->base, &time);
    (void)event_base_dispatch(bench->base);
}

/* ---- figures ----------------------------------------------------------------------------- */

/* User and system time of a process in ticks. */
static double cpu_seconds(long pid) {
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        die("no such process");
    }
    size_t len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    const char *rest = strrchr(text, ')');
    unsigned long user = 0, system = 0;
    if (rest == NULL || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               &user, &system) != 2) {
        die("cannot read /proc/PID/stat");
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long child_of(long pid) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", pid, pid);
    FILE *file = fopen(path, "r");
    long child = 0;
    if (file == NULL || fscanf(file, "%ld", &child) != 1) {
        die("posternd has no signer");
    }
    (void)fclose(file);
    return child;
}

/* Signatures in a second of CPU time. */
static double raw_rate(void) {
    uint8_t tbs[TBS_BYTES], signature[64], seed[32];
    random_bytes(tbs, sizeof tbs);
    random_bytes(seed, sizeof seed);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID), now = start;
    uint64_t count = 0;
    if (key == NULL || context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1) {
        die("libcrypto");
    }
    while (now - start < (int64_t)RAW_SECONDS * 1000000000) {
        for (int i = 0; i < 256; i++, count++) {
            size_t len = sizeof signature;
            if (EVP_DigestSign(context, signature, &len, tbs, sizeof tbs) != 1) {
                die("libcrypto");
            }
        }
        now = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return (double)count * 1e9 / (double)(now - start);
}

static int compare(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static double percentile_ms(struct bench *bench, double share) {
    qsort(bench->latencies_ns, bench->latency_count, sizeof *bench->latencies_ns, compare);
    size_t at = (size_t)(share * (double)(bench->latency_count - 1));
    return (double)bench->latencies_ns[at] / 1e6;
}

struct figures {
    double rate, cpu_per_cert_us, authority_us, signer_us, rate_per_cpu_s, raw_rate, ratio, p50_ms,
        p99_ms, lone_p50_ms, lone_p99_ms;
};

static void measure_load(struct bench *bench, long pid, int seconds, size_t connections,
                         struct figures *figures) {
    long signer = child_of(pid);
    bench->left = SIZE_MAX;
    open_connections(bench, connections);
    run_for(bench, 1000); /* handshakes, caches, the first files of the store */
    bench->measuring = true;
    double cpu_authority = cpu_seconds(pid), cpu_signer = cpu_seconds(signer);
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    run_for(bench, (int64_t)seconds * 1000);
    double elapsed = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9;
    cpu_authority = cpu_seconds(pid) - cpu_authority;
    cpu_signer = cpu_seconds(signer) - cpu_signer;
    bench->measuring = false;
    close_connections(bench);
    double done = (double)bench->done;
    figures->rate = done / elapsed;
    figures->authority_us = cpu_authority * 1e6 / done;
    figures->signer_us = cpu_signer * 1e6 / done;
    figures->cpu_per_cert_us = figures->authority_us + figures->signer_us;
    figures->rate_per_cpu_s = 1e6 / figures->cpu_per_cert_us;
    figures->p50_ms = percentile_ms(bench, 0.5);
    figures->p99_ms = percentile_ms(bench, 0.99);
}

static void measure_lone(struct bench *bench, struct figures *figures) {
    bench->latency_count = 0;
    bench->left = 50;
    open_connections(bench, 1);
    (void)event_base_dispatch(bench->base);
    bench->measuring = true;
    bench->left = LONE_REQUESTS;
    bench->open_count = 1;
    send_request(&bench->connections[0]);
    (void)event_base_dispatch(bench->base);
    close_connections(bench);
    figures->lone_p50_ms = percentile_ms(bench, 0.5);
    figures->lone_p99_ms = percentile_ms(bench, 0.99);
}

static void report(const struct figures *figures, size_t connections) {
    fprintf(stderr,
            "signing over HTTPS, %zu connections\n"
            "  certificates/s                  %10.0f\n"
            "  latency p50 / p99               %10.2f / %.2f ms\n"
            "  CPU per certificate             %10.1f us (authority %.1f, signer %.1f)\n"
            "  certificates per CPU-second     %10.0f\n"
            "  raw Ed25519 signatures/CPU-s    %10.0f\n"
            "  ratio to raw                    %10.2f\n"
            "  lone request p50 / p99          %10.2f / %.2f ms\n",
            connections, figures->rate, figures->p50_ms, figures->p99_ms, figures->cpu_per_cert_us,
            figures->authority_us, figures->signer_us, figures->rate_per_cpu_s, figures->raw_rate,
            figures->ratio, figures->lone_p50_ms, figures->lone_p99_ms);
    printf("{\"bench\":\"sign\",\"connections\":%zu,\"certificatesPerSecond\":%.0f,"
           "\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"cpuPerCertificateUs\":%.2f,\"authorityUs\":%.2f,"
           "\"signerUs\":%.2f,\"certificatesPerCpuSecond\":%.0f,\"rawPerCpuSecond\":%.0f,"
           "\"ratioToRaw\":%.3f,\"loneP50Ms\":%.3f,\"loneP99Ms\":%.3f}\n",
           connections, figures->rate, figures->p50_ms, figures->p99_ms, figures->cpu_per_cert_us,
           figures->authority_us, figures->signer_us, figures->rate_per_cpu_s, figures->raw_rate,
           figures->ratio, figures->lone_p50_ms, figures->lone_p99_ms);
}

static void read_tokens(struct bench *bench, const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        die("cannot read the tokens");
    }
    while (bench->token_count < TOKENS_MAX &&
           fscanf(file, "%47s", bench->tokens[bench->token_count]) == 1) {
        bench->token_count++;
    }
    (void)fclose(file);
    if (bench->token_count == 0) {
        die("there are no tokens");
    }
}

static int run(int argc, char **argv) {
    struct bench *bench = calloc(1, sizeof *bench);
    int seconds = argc > 4 ? atoi(argv[4]) : 5;
    size_t connections = argc > 5 ? strtoul(argv[5], NULL, 10) : 64;
    long pid = strtol(argv[3], NULL, 10);
    INVARIANT(bench != NULL);
    if (connections == 0 || connections > CONNECTIONS_MAX || seconds < 1) {
        die("bad arguments");
    }
    bench->latencies_ns = malloc(LATENCIES_MAX * sizeof *bench->latencies_ns);
    bench->base = event_base_new();
    bench->tls = SSL_CTX_new(TLS_client_method());
    if (bench->latencies_ns == NULL || bench->base == NULL || bench->tls == NULL ||
        SSL_CTX_load_verify_file(bench->tls, argv[1]) != 1) {
        die("cannot start");
    }
    SSL_CTX_set_verify(bench->tls, SSL_VERIFY_PEER, NULL);
    bench->address = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t)atoi(argv[0])),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    read_tokens(bench, argv[2]);
    struct figures figures = {0};
    figures.raw_rate = raw_rate();
    measure_load(bench, pid, seconds, connections, &figures);
    measure_lone(bench, &figures);
    figures.raw_rate = (figures.raw_rate + raw_rate()) / 2;
    figures.ratio = figures.rate_per_cpu_s / figures.raw_rate;
    report(&figures, connections);
    SSL_CTX_free(bench->tls);
    event_base_free(bench->base);
    free(bench->latencies_ns);
    free(bench);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "prepare") == 0) {
        return prepare(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    }
    if (argc >= 6 && strcmp(argv[1], "run") == 0) {
        return run(argc - 2, argv + 2);
    }
    die("usage: sign_bench prepare STORE ACCOUNTS | run PORT CA TOKENS PID [SECONDS "
        "[CONNECTIONS]]");
}
