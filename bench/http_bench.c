/*
 * What a small HTTPS request costs the server: answers every POST with as many bytes as a signing
 * answer has, until SIGTERM, and then prints the CPU time a request took as JSON. Load it with
 * bench/bench-http.sh.
 *
 *   http_bench tls|plain DIRECTORY
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "net/http_server.h"
#include "net/tls.h"

enum { ANSWER_BYTES = 900 };

static void handle(void *context, struct http_request *request) {
    const char *token = http_request_header(request, "Authorization");
    if (token == NULL || http_request_body(request).len == 0) {
        http_answer_problem(request, 401, "token_missing", "Log in first.");
        return;
    }
    http_answer(request, 200, "application/json", span_of(context, ANSWER_BYTES));
}

static void stop(void *context) { loop_stop(context); }

static int64_t cpu_us(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static err_t write_tls(const char *dir, char **cert_file, char **key_file) {
    static const char *const names[] = {"localhost", "127.0.0.1"};
    struct tls_made made CLEANUP(tls_made_done);
    TRY(tls_make("Bench CA", names, COUNT_OF(names), clock_now_s(), &made));
    TRY(path_join(dir, "cert", cert_file));
    TRY(path_join(dir, "key", key_file));
    TRY(file_replace(*cert_file, buf_span(&made.chain_pem), 0600, 0));
    return file_replace(*key_file, buf_span(&made.key_pem), 0600, 0);
}

static err_t serve(bool tls, const char *dir) {
    struct loop *loop CLEANUP(loop_freep) = NULL;
    char *cert_file CLEANUP(freep) = NULL;
    char *key_file CLEANUP(freep) = NULL;
    char answer[ANSWER_BYTES];
    struct http_server *server;
    memset(answer, 'a', sizeof answer);
    TRY(loop_new(&loop));
    TRY(loop_on_signal(loop, SIGTERM, stop, loop));
    if (tls) {
        TRY(write_tls(dir, &cert_file, &key_file));
    }
    struct http_server_config config = {
        .address = "127.0.0.1", .tls_cert_file = cert_file, .tls_key_file = key_file};
    TRY(http_server_start(loop, &config, handle, answer, &server, NULL));
    (void)printf("%u\n", http_server_port(server));
    (void)fflush(stdout);
    int64_t before_us = cpu_us();
    err_t err = loop_run(loop);
    int64_t spent_us = cpu_us() - before_us;
    struct http_server_counts counts = http_server_count(server);
    http_server_free(server);
    (void)printf("{\"bench\":\"http\",\"tls\":%s,\"connections\":%llu,\"requests\":%llu,"
                 "\"cpu_us_per_request\":%.2f}\n",
                 tls ? "true" : "false", (unsigned long long)counts.connections_total,
                 (unsigned long long)counts.requests_total,
                 (double)spent_us / (double)(counts.requests_total + (counts.requests_total == 0)));
    return err;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        (void)fprintf(stderr, "usage: http_bench tls|plain DIRECTORY\n");
        return 2;
    }
    err_t err = serve(strcmp(argv[1], "tls") == 0, argv[2]);
    if (failed(err)) {
        (void)fprintf(stderr, "http_bench: %s\n", err_text(err));
        return 1;
    }
    return 0;
}
