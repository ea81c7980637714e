#include "check.h"

#include "http_rig.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/text.h"
#include "net/http_client.h"
#include "net/http_url.h"

enum { DAY_S = 24 * 3600 };

static const struct http_server_config defaults = {.port = 0};
static const char *const names[] = {"localhost", "127.0.0.1", "::1"};

/* Made certificates, with `openssl verify` as the judge. */

static int run_openssl(const char *format, const char *dir, const char *argument) {
    char command[1024];
    char rest[512];
    (void)snprintf(rest, sizeof rest, "%s", argument);
    (void)snprintf(command, sizeof command, "openssl verify %s %s/ca %s %s/server >%s/log 2>&1",
                   format, dir, rest, dir, dir);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_made(const char *dir, const struct tls_made *made) {
    char path[96];
    (void)snprintf(path, sizeof path, "%s/ca", dir);
    assert_ok(file_replace(path, buf_span(&made->ca_pem), 0600, 0));
    (void)snprintf(path, sizeof path, "%s/server", dir);
    assert_ok(file_replace(path, buf_span(&made->chain_pem), 0600, 0));
}

static void test_openssl_verifies_what_we_make(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        int status;
    } cases[] = {
        {"-verify_hostname localhost", 0}, {"-verify_hostname other.example", 2},
        {"-verify_ip 127.0.0.1", 0},       {"-verify_ip ::1", 0},
        {"-verify_ip 127.0.0.2", 2},       {"-purpose sslclient", 2},
    };
    char dir[] = "/tmp/posterngate-tls-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct tls_made made CLEANUP(tls_made_done);
    struct tls_made renewed CLEANUP(tls_made_done);
    struct tls_made other CLEANUP(tls_made_done);
    int64_t now = clock_now_s();
    assert_ok(tls_make("Example CA", names, COUNT_OF(names), now, &made));
    assert_ok(tls_renew(buf_span(&made.ca_pem), buf_span(&made.ca_key_pem), names, COUNT_OF(names),
                        now, &renewed));
    assert_ok(tls_make("Example CA", names, COUNT_OF(names), now, &other));
    for (int again = 0; again < 2; again++) {
        write_made(dir, again ? &renewed : &made);
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            char arguments[128];
            (void)snprintf(arguments, sizeof arguments, "-x509_strict %s %s",
                           strstr(cases[i].argument, "purpose") ? "" : "-purpose sslserver",
                           cases[i].argument);
            assert_int_equal(run_openssl("-CAfile", dir, arguments), cases[i].status);
        }
    }
    assert_true(span_equal(buf_span(&made.ca_pem), buf_span(&renewed.ca_pem)));
    assert_false(span_equal(buf_span(&made.key_pem), buf_span(&renewed.key_pem)));
    /* A server's certificate under another CA of the same name does not verify. */
    struct buf chain = other.chain_pem;
    other.chain_pem = made.chain_pem;
    write_made(dir, &other);
    other.chain_pem = chain;
    assert_int_equal(run_openssl("-CAfile", dir, "-purpose sslserver"), 2);
    static const char *const files[] = {"ca", "server", "log"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void test_make_refuses(void **state) {
    (void)state;
    static const char *const bad[] = {"", "a,IP:10.0.0.1", "a b", "a\n", "user@host"};
    struct tls_made made;
    assert_fails(tls_make("CA", names, 0, 1, &made), ERR_MALFORMED);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_fails(tls_make("CA", &bad[i], 1, clock_now_s(), &made), ERR_MALFORMED);
    }
    struct tls_made one CLEANUP(tls_made_done);
    struct tls_made two CLEANUP(tls_made_done);
    assert_ok(tls_make("CA", names, 1, clock_now_s(), &one));
    assert_ok(tls_make("CA", names, 1, clock_now_s(), &two));
    assert_fails(tls_renew(buf_span(&one.ca_pem), buf_span(&two.ca_key_pem), names, 1, 1, &made),
                 ERR_CONFLICT);
    assert_fails(tls_renew(SPAN_LITERAL("x"), buf_span(&two.ca_key_pem), names, 1, 1, &made),
                 ERR_MALFORMED);
    /* A server's certificate is no CA. */
    assert_fails(tls_renew(buf_span(&one.chain_pem), buf_span(&one.key_pem), names, 1, 1, &made),
                 ERR_MALFORMED);
}

static void test_expiry(void **state) {
    (void)state;
    int64_t now = 1775052920;
    int64_t end;
    struct tls_made made CLEANUP(tls_made_done);
    assert_ok(tls_make("CA", names, 1, now, &made));
    assert_ok(tls_chain_expiry(buf_span(&made.chain_pem), &end));
    assert_int_equal(end, now + 365 * DAY_S);
    assert_ok(tls_chain_expiry(buf_span(&made.ca_pem), &end));
    assert_int_equal(end, now + 3650LL * DAY_S);
    assert_fails(tls_chain_expiry(SPAN_LITERAL("-----BEGIN CERTIFICATE-----\n"), &end),
                 ERR_MALFORMED);
}

/* The client. */

static struct http_client *client_new(const struct rig *rig, const char *host, const char *pin) {
    char url[128];
    char *ca = NULL;
    struct http_client *client = NULL;
    bool tls = rig->made.ca_pem.len > 0;
    (void)snprintf(url, sizeof url, "%s://%s:%u/prefix/", tls ? "https" : "http", host, rig->port);
    if (tls) {
        assert_ok(buf_to_str(&rig->made.ca_pem, &ca));
    }
    struct http_client_config config = {.url = url, .ca_pem = ca, .pinned_sha256 = pin};
    assert_ok(http_client_new(&config, &client, NULL));
    free(ca);
    return client;
}

static err_t get(struct http_client *client, const char *path, struct http_response *response,
                 struct fault *fault) {
    return http_client_call(client, HTTP_GET, path, span_of(NULL, 0), 0, response, fault);
}

static void test_calls(void **state) {
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct rig rig;
        rig_start(&rig, defaults, tls != 0);
        struct http_client *client CLEANUP(http_client_freep) = client_new(&rig, "127.0.0.1", NULL);
        struct http_response response CLEANUP(http_response_done);
        http_response_init(&response);
        assert_fails(http_client_set_header(client, "X-Test", "a\r\nb: c"), ERR_MALFORMED);
        assert_fails(http_client_set_header(client, "X Test", "a"), ERR_MALFORMED);
        assert_ok(http_client_set_header(client, "X-Test", "old"));
        assert_ok(http_client_set_header(client, "x-test", "new"));
        assert_ok(get(client, "/a?q=b%20c", &response, NULL));
        assert_int_equal(response.status, 200);
        assert_string_equal(response.content_type, "text/plain");
        assert_true(
            span_equal_str(buf_span(&response.body), "1 /prefix/a q=b c x=new from=127.0.0.1 0:"));
        assert_ok(http_client_set_header(client, "X-Test", NULL));
        assert_ok(http_client_call(client, HTTP_PUT, "/b", SPAN_LITERAL("{}"), 0, &response, NULL));
        assert_true(
            span_equal_str(buf_span(&response.body), "3 /prefix/b q=- x=- from=127.0.0.1 2:{}"));
        assert_fails(get(client, "no-slash", &response, NULL), ERR_MALFORMED);
        assert_fails(get(client, "/a b", &response, NULL), ERR_MALFORMED);
        assert_fails(get(client, "/a\r\nX: y", &response, NULL), ERR_MALFORMED);
        assert_int_equal(rig_counts(&rig).connections_total, 1);
        rig_stop(&rig);
    }
}

static void test_large_body_and_refusal(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct http_client *client CLEANUP(http_client_freep) = client_new(&rig, "localhost", NULL);
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    /* A body that the server refuses while it is still being sent: its answer is seen. */
    assert_ok(http_client_call(client, HTTP_POST, "/x", span_of(rig.big, 1024 * 1024), 0, &response,
                               NULL));
    assert_int_equal(response.status, 413);
    assert_string_equal(response.content_type, "application/problem+json");
    assert_ok(
        http_client_call(client, HTTP_POST, "/x", span_of(rig.big, 60000), 0, &response, NULL));
    assert_int_equal(response.status, 200);
    rig_stop(&rig);
}

static void test_kept_connection_is_replaced(void **state) {
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct rig rig;
        struct http_server_config config = defaults;
        config.idle_ms = 20;
        rig_start(&rig, config, tls != 0);
        struct http_client *client CLEANUP(http_client_freep) = client_new(&rig, "localhost", NULL);
        struct http_response response CLEANUP(http_response_done);
        http_response_init(&response);
        assert_ok(get(client, "/a", &response, NULL));
        while (rig_counts(&rig).connections_open > 0) {
        }
        assert_ok(get(client, "/b", &response, NULL));
        assert_int_equal(response.status, 200);
        assert_int_equal(rig_counts(&rig).connections_total, 2);
        rig_stop(&rig);
    }
}

/* A call that must fail: its code, and the words a person gets to read. */
static void assert_call_fails(struct http_client *client, int timeout_ms, enum err_code code,
                              const char *words) {
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    struct fault fault = {0};
    assert_fails(http_client_call(client, HTTP_GET, "/hold", span_of(NULL, 0), timeout_ms,
                                  &response, &fault),
                 code);
    bool found = strstr(fault.reason, words) != NULL;
    if (!found) {
        print_error("%s\nlacks: %s\n", fault.reason, words);
    }
    assert_true(found);
}

static void test_nobody_listens(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct http_client *client CLEANUP(http_client_freep) = client_new(&rig, "127.0.0.1", NULL);
    struct http_client *v6 CLEANUP(http_client_freep) = client_new(&rig, "[::1]", NULL);
    char words[96];
    (void)snprintf(words, sizeof words, "cannot connect to [::1]:%u: connection refused", rig.port);
    assert_call_fails(v6, 0, ERR_CONNECT, words);
    (void)snprintf(words, sizeof words, "cannot connect to 127.0.0.1:%u: connection refused",
                   rig.port);
    rig_stop(&rig);
    assert_call_fails(client, 0, ERR_CONNECT, words);
}

static void test_certificates_are_verified(void **state) {
    (void)state;
    static const char *const other_names[] = {"other.example", "192.0.2.7"};
    int64_t now = clock_now_s();
    const struct {
        const char *const *names;
        size_t name_count;
        int64_t made;
        const char *host;
        const char *words; /* "": accepted */
    } cases[] = {
        {other_names, 2, now, "localhost", "is for other.example, 192.0.2.7, not for localhost"},
        {other_names, 2, now, "127.0.0.1", "is for other.example, 192.0.2.7, not for 127.0.0.1"},
        {names, 3, now - 366 * DAY_S, "localhost", "has expired ("},
        {names, 3, now + 2 * DAY_S, "localhost", "is this machine's clock right?"},
        {names, 3, now, "localhost", ""},
        {names, 3, now, "127.0.0.1", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig;
        rig_start_as(&rig, defaults, cases[i].names, cases[i].name_count, cases[i].made);
        struct http_client *client CLEANUP(http_client_freep) =
            client_new(&rig, cases[i].host, NULL);
        struct http_response response CLEANUP(http_response_done);
        http_response_init(&response);
        if (cases[i].words[0] == '\0') {
            assert_ok(get(client, "/a", &response, NULL));
        } else {
            assert_call_fails(client, 0, ERR_TLS, cases[i].words);
        }
        assert_int_equal(rig_counts(&rig).requests_total, cases[i].words[0] == '\0' ? 1 : 0);
        rig_stop(&rig);
    }
}

static void test_wrong_ca(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct tls_made served = rig.made;
    assert_ok(tls_make("Test CA", names, 3, clock_now_s(), &rig.made));
    struct http_client *client CLEANUP(http_client_freep) = client_new(&rig, "localhost", NULL);
    assert_call_fails(client, 0, ERR_TLS, "is not from a CA that is trusted here");
    char url[64];
    (void)snprintf(url, sizeof url, "https://localhost:%u", rig.port);
    struct http_client_config config = {.url = url};
    struct http_client *system CLEANUP(http_client_freep) = NULL;
    assert_ok(http_client_new(&config, &system, NULL));
    assert_call_fails(system, 0, ERR_TLS, "is not from a CA that is trusted here");
    struct fault fault = {0};
    config.ca_pem = "rubbish";
    assert_fails(http_client_new(&config, &system, &fault), ERR_MALFORMED);
    assert_non_null(strstr(fault.reason, "not PEM"));
    tls_made_done(&served);
    rig_stop(&rig);
}

static void key_hash(span_t pem, char out[65]) {
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(x509);
    uint8_t *der = NULL;
    uint8_t hash[32];
    struct buf hex CLEANUP(buf_done) = BUF(64);
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
    assert_true(len > 0);
    assert_int_equal(EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL), 1);
    assert_ok(hex_encode(span_of(hash, sizeof hash), &hex));
    memcpy(out, hex.data, 64);
    out[64] = '\0';
    OPENSSL_free(der);
    X509_free(x509);
    (void)BIO_free(bio);
}

static void test_pin(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    char pin[65];
    key_hash(buf_span(&rig.made.chain_pem), pin);
    struct http_client *pinned CLEANUP(http_client_freep) = client_new(&rig, "localhost", pin);
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    assert_ok(get(pinned, "/a", &response, NULL));
    pin[0] = pin[0] == '0' ? '1' : '0';
    struct http_client *other CLEANUP(http_client_freep) = client_new(&rig, "localhost", pin);
    assert_call_fails(other, 0, ERR_TLS, "is not the pinned one");
    pin[63] = '\0';
    struct http_client_config config = {.url = "https://localhost", .pinned_sha256 = pin};
    struct http_client *none CLEANUP(http_client_freep) = NULL;
    struct fault fault = {0};
    assert_fails(http_client_new(&config, &none, &fault), ERR_MALFORMED);
    rig_stop(&rig);
}

static void test_fetch_chain(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    char url[64];
    char *pem CLEANUP(freep) = NULL;
    char sha256[65];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u", rig.port);
    assert_ok(http_client_fetch_chain(url, 0, &pem, sha256, NULL));
    assert_true(span_equal_str(buf_span(&rig.made.ca_pem), pem));
    assert_int_equal(strlen(sha256), 64);
    /* What was fetched is what the client then trusts. */
    struct http_client_config config = {.url = url, .ca_pem = pem};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    assert_ok(http_client_new(&config, &client, NULL));
    assert_ok(get(client, "/a", &response, NULL));
    /* The time is told to whoever does not trust the certificate, too. */
    int64_t when = 0;
    assert_ok(http_client_fetch_date(url, 0, &when, NULL));
    assert_in_range(when, clock_now_s() - 5, clock_now_s() + 5);
    rig_stop(&rig);
    struct fault fault = {0};
    assert_fails(http_client_fetch_chain(url, 0, &pem, sha256, &fault), ERR_CONNECT);
    assert_fails(http_client_fetch_date(url, 0, &when, &fault), ERR_CONNECT);
}

/* A peer that says what the test wants, once per connection, in a thread of its own. */
struct script {
    int fd;
    uint16_t port;
    const char *const *answers; /* one a connection; NULL ends */
    char heard[4096];           /* the last request's head */
    uint16_t relay_port;        /* after answering CONNECT: relay to there */
    bool keep_open;             /* until the client closes */
    bool at_once;               /* answers whatever comes first */
    pthread_t thread;
};

static void relay(int client, uint16_t port) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int server = socket(AF_INET, SOCK_STREAM, 0);
    INVARIANT(connect(server, (struct sockaddr *)&to, sizeof to) == 0);
    struct pollfd fds[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    for (bool open = true; open && poll(fds, 2, -1) > 0;) {
        for (int i = 0; i < 2; i++) {
            char data[4096];
            ssize_t len = fds[i].revents == 0 ? 0 : read(fds[i].fd, data, sizeof data);
            if (fds[i].revents != 0 &&
                (len <= 0 || send(fds[1 - i].fd, data, (size_t)len, MSG_NOSIGNAL) != len)) {
                open = false;
            }
        }
    }
    (void)close(server);
}

static void *script_main(void *context) {
    struct script *script = context;
    for (const char *const *answer = script->answers; *answer != NULL; answer++) {
        int fd = accept(script->fd, NULL, NULL);
        INVARIANT(fd >= 0);
        size_t len = 0;
        for (bool whole = false; !whole && len < sizeof script->heard - 1;) {
            ssize_t got = read(fd, script->heard + len, sizeof script->heard - 1 - len);
            len += got > 0 ? (size_t)got : 0;
            script->heard[len] = '\0';
            whole = got <= 0 || script->at_once || strstr(script->heard, "\r\n\r\n") != NULL;
        }
        (void)send(fd, *answer, strlen(*answer), MSG_NOSIGNAL);
        if (script->relay_port != 0) {
            relay(fd, script->relay_port);
        }
        char waste[64];
        while (script->keep_open && read(fd, waste, sizeof waste) > 0) {
        }
        (void)close(fd);
    }
    return NULL;
}

static void script_start(struct script *script) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    script->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(script->fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(script->fd, 8), 0);
    assert_int_equal(getsockname(script->fd, (struct sockaddr *)&at, &len), 0);
    script->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&script->thread, NULL, script_main, script), 0);
}

static void script_stop(struct script *script) {
    assert_int_equal(pthread_join(script->thread, NULL), 0);
    (void)close(script->fd);
}

static void test_answers_are_judged(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        enum err_code code;
        unsigned status;
        const char *body;
    } cases[] = {
        {"", ERR_CLOSED, 0, NULL},
        {"HTTP/1.1 200", ERR_CLOSED, 0, NULL},
        {"SSH-2.0-OpenSSH\r\n\r\n", ERR_PROTOCOL, 0, NULL},
        {"HTTP/1.1 20 OK\r\n\r\n", ERR_PROTOCOL, 0, NULL},
        {"HTTP/1.1 099 OK\r\n\r\n", ERR_PROTOCOL, 0, NULL},
        {"HTTP/2.0 200 OK\r\n\r\n", ERR_PROTOCOL, 0, NULL},
        {"HTTP/1.1 101 Switching\r\n\r\n", ERR_PROTOCOL, 0, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", ERR_CLOSED, 0, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n", ERR_TOO_LONG, 0, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", ERR_PROTOCOL, 0,
         NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", ERR_CLOSED, 0, NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nq\r\n", ERR_PROTOCOL, 0, NULL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", ERR_NONE, 200, "abc"},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", ERR_NONE, 200, ""},
        {"HTTP/1.1 204 No Content\r\n\r\n", ERR_NONE, 204, ""},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 1\r\n"
         "Retry-After: 7\r\n\r\nx",
         ERR_NONE, 503, "x"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
         ERR_NONE, 200, "abcd"},
        {"HTTP/1.0 200 OK\r\n\r\nto the end", ERR_NONE, 200, "to the end"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcsurplus", ERR_NONE, 200, "abc"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *answers[] = {cases[i].answer, NULL};
        struct script script = {.answers = answers};
        script_start(&script);
        char url[64];
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", script.port);
        struct http_client_config config = {.url = url};
        struct http_client *client CLEANUP(http_client_freep) = NULL;
        struct http_response response CLEANUP(http_response_done);
        http_response_init(&response);
        assert_ok(http_client_new(&config, &client, NULL));
        struct fault fault = {0};
        assert_fails(get(client, "/", &response, &fault), cases[i].code);
        if (cases[i].code == ERR_NONE) {
            assert_int_equal(response.status, cases[i].status);
            assert_true(span_equal_str(buf_span(&response.body), cases[i].body));
            assert_int_equal(response.retry_after_s, cases[i].status == 503 ? 7 : 0);
        } else {
            assert_true(fault.reason[0] != '\0');
        }
        script_stop(&script);
    }
}

static void test_what_is_asked_for_next_is_told(void **state) {
    (void)state;
    char fits[192], exceeds[193]; /* with their NUL, as next_query has room */
    memset(fits, 'a', sizeof fits - 1);
    memset(exceeds, 'a', sizeof exceeds - 1);
    fits[0] = exceeds[0] = '?';
    fits[sizeof fits - 1] = exceeds[sizeof exceeds - 1] = '\0';
    const struct {
        const char *before, *query, *after;
        bool told;
    } cases[] = {
        {"<", "?after=7", ">", false},
        {"<", "?after=7", ">; rel=\"prev\"", false},
        {"<", "?after=7", ">; rel=\"next\", <?b>; rel=\"next\"", false},
        {"<", "?after=7", "", false},
        {"", "?after=7", ">; rel=\"next\"", false},
        {"<", "/elsewhere?after=7", ">; rel=\"next\"", false},
        {"<", "https://other.example/?after=7", ">; rel=\"next\"", false},
        {"<", exceeds, ">; rel=\"next\"", false},
        {"<", fits, ">; rel=\"next\"", true},
        {"<", "?after=7", ">; rel=\"next\"", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char answer[512];
        const char *answers[] = {answer, NULL};
        struct script script = {.answers = answers};
        char url[64];
        (void)snprintf(answer, sizeof answer,
                       "HTTP/1.1 200 OK\r\nLink: %s%s%s\r\nContent-Length: 0\r\n\r\n",
                       cases[i].before, cases[i].query, cases[i].after);
        script_start(&script);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", script.port);
        struct http_client_config config = {.url = url};
        struct http_client *client CLEANUP(http_client_freep) = NULL;
        struct http_response response CLEANUP(http_response_done);
        http_response_init(&response);
        assert_int_equal(sizeof fits, sizeof response.next_query);
        assert_ok(http_client_new(&config, &client, NULL));
        assert_ok(get(client, "/", &response, NULL));
        assert_string_equal(response.next_query, cases[i].told ? cases[i].query : "");
        script_stop(&script);
    }
}

static void test_timeouts(void **state) {
    (void)state;
    static const char *const nothing[] = {"", "", "", NULL};
    struct script script = {.answers = nothing, .keep_open = true};
    script_start(&script);
    char url[64];
    struct http_client *clients[3] = {NULL};
    static const char *const schemes[] = {"http", "https"};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u", schemes[i], script.port);
        struct http_client_config config = {.url = url};
        assert_ok(http_client_new(&config, &clients[i], NULL));
        assert_call_fails(clients[i], 50, ERR_TIMEOUT,
                          i == 0 ? "gave no answer within 0.05 s" : "does not answer in time");
        http_client_free(clients[i]);
    }
    /* The proxy's time counts as well. */
    assert_int_equal(setenv("https_proxy", url + strlen("https://"), 1), 0);
    struct http_client_config config = {.url = "https://localhost:1"};
    assert_ok(http_client_new(&config, &clients[2], NULL));
    assert_call_fails(clients[2], 50, ERR_TIMEOUT, "the proxy 127.0.0.1");
    http_client_free(clients[2]);
    assert_int_equal(unsetenv("https_proxy"), 0);
    script_stop(&script);
}

static void test_not_tls(void **state) {
    (void)state;
    static const char *const answers[] = {"HTTP/1.0 400 Bad\r\n\r\n", NULL};
    struct script script = {.answers = answers, .at_once = true, .keep_open = true};
    script_start(&script);
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u", script.port);
    struct http_client_config config = {.url = url};
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    assert_ok(http_client_new(&config, &client, NULL));
    assert_call_fails(client, 0, ERR_PROTOCOL, "does not speak TLS");
    script_stop(&script);
}

static void test_proxy(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        const char *words;
        enum err_code code;
    } cases[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
         "wants credentials", ERR_CONNECT},
        {"HTTP/1.1 403 Forbidden\r\n\r\n", "does not connect to localhost", ERR_CONNECT},
        {"rubbish\r\n\r\n", "gives no proper answer", ERR_PROTOCOL},
        {"", "gives no proper answer", ERR_PROTOCOL},
        {"HTTP/1.1 200 Connection established\r\n\r\n", "", ERR_NONE},
    };
    struct rig rig;
    rig_start(&rig, defaults, true);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *answers[] = {cases[i].answer, NULL};
        struct script script = {.answers = answers,
                                .relay_port = cases[i].code == ERR_NONE ? rig.port : 0};
        script_start(&script);
        char proxy[64];
        (void)snprintf(proxy, sizeof proxy, "http://user:p%%40ss@127.0.0.1:%u/", script.port);
        assert_int_equal(setenv("HTTPS_PROXY", proxy, 1), 0);
        struct http_client *client = client_new(&rig, "localhost", NULL);
        assert_int_equal(unsetenv("HTTPS_PROXY"), 0);
        struct http_response response CLEANUP(http_response_done);
        http_response_init(&response);
        if (cases[i].code == ERR_NONE) {
            assert_ok(get(client, "/a", &response, NULL));
            assert_ok(get(client, "/b", &response, NULL));
            assert_int_equal(response.status, 200);
        } else {
            assert_call_fails(client, 0, cases[i].code, cases[i].words);
        }
        http_client_free(client);
        script_stop(&script);
        char connect_line[64];
        (void)snprintf(connect_line, sizeof connect_line, "CONNECT localhost:%u HTTP/1.1\r\n",
                       rig.port);
        assert_ptr_equal(strstr(script.heard, connect_line), script.heard);
        assert_non_null(strstr(script.heard, "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n"));
    }
    rig_stop(&rig);
}

static void test_urls(void **state) {
    (void)state;
    static const struct {
        const char *text, *authority, *prefix; /* NULL: refused */
    } cases[] = {
        {"", NULL, NULL},
        {"example.org", NULL, NULL},
        {"ftp://example.org", NULL, NULL},
        {"https://", NULL, NULL},
        {"https:///x", NULL, NULL},
        {"https://user@example.org", NULL, NULL},
        {"https://example.org:0", NULL, NULL},
        {"https://example.org:65536", NULL, NULL},
        {"https://example.org:x", NULL, NULL},
        {"https://example.org:", NULL, NULL},
        {"https://[::1", NULL, NULL},
        {"https://[example]", NULL, NULL},
        {"https://a b", NULL, NULL},
        {"https://example.org/?q", NULL, NULL},
        {"https://example.org/#f", NULL, NULL},
        {"http://example.org", NULL, NULL},
        {"http://10.0.0.1", NULL, NULL},
        {"http://127.0.0.1:80@example.org", NULL, NULL},
        {"http://localhost.example.org", NULL, NULL},
        {"https://example.org", "example.org:443", ""},
        {"HTTPS://example.org:8443/a/b//", "example.org:8443", "/a/b"},
        {"https://[2001:db8::1]/", "[2001:db8::1]:443", ""},
        {"http://127.0.0.1:80", "127.0.0.1:80", ""},
        {"http://[::1]:81", "[::1]:81", ""},
        {"http://localhost/", "localhost:80", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_url url;
        struct fault fault = {0};
        err_t err = http_url_parse(cases[i].text, &url, &fault);
        if (cases[i].authority == NULL) {
            assert_int_equal(err.code, ERR_MALFORMED);
            assert_true(fault.reason[0] != '\0');
        } else {
            assert_ok(err);
            assert_string_equal(url.authority, cases[i].authority);
            assert_string_equal(url.prefix, cases[i].prefix);
        }
    }
}

static void test_no_proxy(void **state) {
    (void)state;
    static const struct {
        const char *no_proxy, *host;
        bool exempt;
    } cases[] = {
        {"", "example.org", false},
        {"example.org", "badexample.org", false},
        {"example.org", "example.org.evil", false},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"0.0.1", "10.0.0.1", false},
        {"*", "example.org", true},
        {"a, example.org", "example.org", true},
        {"example.org", "Login.Example.ORG", true},
        {".example.org", "login.example.org", true},
        {"*.example.org", "login.example.org", true},
        {"127.0.0.1", "127.0.0.1", true},
        {"10.0.0.0/8", "10.1.2.3", true},
        {"::1", "::1", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(http_url_exempt(cases[i].no_proxy, cases[i].host), cases[i].exempt);
    }
    struct http_url server;
    struct http_url proxy;
    bool used;
    assert_ok(http_url_parse("https://example.org", &server, NULL));
    assert_ok(http_url_proxy(&server, &used, &proxy, NULL));
    assert_false(used);
    assert_int_equal(setenv("all_proxy", "socks5://127.0.0.1", 1), 0);
    struct fault fault = {0};
    assert_fails(http_url_proxy(&server, &used, &proxy, &fault), ERR_UNSUPPORTED);
    assert_int_equal(setenv("https_proxy", "proxy.example", 1), 0);
    assert_ok(http_url_proxy(&server, &used, &proxy, NULL));
    assert_true(used);
    assert_string_equal(proxy.authority, "proxy.example:3128");
    assert_int_equal(setenv("NO_PROXY", "example.org", 1), 0);
    assert_ok(http_url_proxy(&server, &used, &proxy, NULL));
    assert_false(used);
    assert_int_equal(unsetenv("all_proxy") + unsetenv("https_proxy") + unsetenv("NO_PROXY"), 0);
}

int main(void) {
    static const char *const variables[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                            "ALL_PROXY",   "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        (void)unsetenv(variables[i]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openssl_verifies_what_we_make),
        cmocka_unit_test(test_make_refuses),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_large_body_and_refusal),
        cmocka_unit_test(test_kept_connection_is_replaced),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_certificates_are_verified),
        cmocka_unit_test(test_wrong_ca),
        cmocka_unit_test(test_pin),
        cmocka_unit_test(test_fetch_chain),
        cmocka_unit_test(test_answers_are_judged),
        cmocka_unit_test(test_what_is_asked_for_next_is_told),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_no_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
