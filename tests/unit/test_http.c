#include "check.h"

#include <sys/resource.h>

#include "http_rig.h"

#include "base/limits.h"
#include "net/http_connection.h"
#include "net/http_message.h"

static const struct http_server_config defaults = {.port = 0};

/* The server's own refusals: each is a problem document, and the connection ends. */
static void test_hostile_requests_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *request;
        size_t len; /* 0: the text's */
        unsigned status;
        const char *code;
    } cases[] = {
#define ROW(text, status, code) {text, sizeof(text) - 1, status, code}
        ROW("\r\n\r\n", 400, "malformed_request"),
        ROW("GET\r\n\r\n", 400, "malformed_request"),
        ROW("GET /\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\n\r\n", 400, "malformed_request"), /* no Host */
        ROW("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http_version_unknown"),
        ROW("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400, "malformed_request"),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", 400, "malformed_request"),
        ROW("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /%0a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /?q=%0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed_request"),
        ROW("GET /?q=1&q=2 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "duplicate_field"),
        ROW("GET /?q=1&%71 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "duplicate_field"),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400, "duplicate_field"),
        ROW("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 400,
            "duplicate_field"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400,
            "duplicate_field"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400, "ambiguous_length"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400, "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400,
            "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx", 400, "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400, "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413, "body_too_large"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400,
            "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501,
            "transfer_coding_unknown"),
        ROW("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
            "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400,
            "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
            400, "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
            400, "malformed_request"),
        ROW("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413,
            "body_too_large"),
        ROW("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
        ROW("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
        ROW("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
        ROW("get / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
        ROW("\x16\x03\x01\x02\r\n\r\n", 400, "malformed_request"), /* TLS to a plain port */
#undef ROW
    };
    struct rig rig;
    rig_start(&rig, defaults, false);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct wire wire = wire_open(&rig);
        wire_send(&wire, cases[i].request, cases[i].len);
        char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
        if (cases[i].code[0] == '\0') {
            wire_close(&wire);
            continue;
        }
        char code[64];
        (void)snprintf(code, sizeof code, "\"code\":\"%s\"", cases[i].code);
        if (status_of(answer) != cases[i].status || strstr(answer, code) == NULL) {
            print_error("case %zu %s: %s\n", i, cases[i].request, answer);
        }
        assert_int_equal(status_of(answer), cases[i].status);
        assert_non_null(strstr(answer, code));
        assert_non_null(strstr(answer, "Content-Type: application/problem+json\r\n"));
        assert_non_null(strstr(answer, "Connection: close\r\n"));
        assert_non_null(strstr(answer, "{\"type\":\"about:blank\",\"title\":\""));
        wire_close(&wire);
    }
    assert_true(rig_counts(&rig).requests_malformed >= COUNT_OF(cases) - 1);
    assert_int_equal(rig_counts(&rig).requests_total, COUNT_OF(cases));
    rig_stop(&rig);
}

/* A request with a head of just `bytes`. */
static char *head_of(size_t bytes) {
    static const char start[] = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Pad: ";
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    memset(text, 'p', bytes);
    memcpy(text, start, sizeof start - 1);
    memcpy(text + bytes - 4, "\r\n\r\n", 5);
    return text;
}

static unsigned ask(const struct rig *rig, const char *request, size_t len) {
    struct wire wire = wire_open(rig);
    wire_send(&wire, request, len);
    char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
    wire_close(&wire);
    return status_of(answer);
}

static void test_limits_of_the_head(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    char *fits CLEANUP(freep) = head_of(LIMIT_HTTP_HEADERS_BYTES);
    char *exceeds CLEANUP(freep) = head_of(LIMIT_HTTP_HEADERS_BYTES + 1);
    char *huge CLEANUP(freep) = head_of(1024 * 1024);
    assert_int_equal(ask(&rig, fits, strlen(fits)), 200);
    assert_int_equal(ask(&rig, exceeds, strlen(exceeds)), 431);
    assert_int_equal(ask(&rig, huge, strlen(huge)), 431);
    for (size_t extra = 0; extra < 2; extra++) {
        char text[4096] = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        for (size_t i = 0; i < LIMIT_HTTP_FIELDS_COUNT - 2 + extra; i++) {
            strcat(text, "X: y\r\n");
        }
        strcat(text, "\r\n");
        assert_int_equal(ask(&rig, text, strlen(text)), extra == 0 ? 200 : 431);
        (void)snprintf(text, sizeof text, "GET /x?");
        for (size_t i = 0; i < LIMIT_HTTP_QUERY_COUNT + extra; i++) {
            (void)snprintf(text + strlen(text), 16, "p%zu=1&", i);
        }
        strcat(text, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_int_equal(ask(&rig, text, strlen(text)), extra == 0 ? 200 : 400);
    }
    rig_stop(&rig);
}

static void test_limits_of_the_body(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    enum { BODY = LIMIT_HTTP_BODY_BYTES + 1 };
    char *text CLEANUP(freep) = malloc(BODY + 4096);
    assert_non_null(text);
    /* Up to the limit and a byte further, with both framings, and where the body stops fitting
     * behind its head. */
    static const size_t sizes[] = {0, 1, 3900, 3990, 4000, 4010, 4096, 40000, BODY - 1, BODY};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int chunked = 0; chunked < 2; chunked++) {
            char framing[64];
            (void)snprintf(framing, sizeof framing,
                           chunked ? "Transfer-Encoding: chunked" : "Content-Length: %zu",
                           sizes[i]);
            int head =
                snprintf(text, 1024,
                         "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n\r\n", framing);
            size_t len = (size_t)head;
            if (chunked && sizes[i] > 0) {
                len += (size_t)snprintf(text + len, 64, "%zx;a=b\r\n", sizes[i]);
            }
            memset(text + len, 'c', sizes[i]);
            len += sizes[i];
            if (chunked) {
                memcpy(text + len, sizes[i] > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n",
                       sizes[i] > 0 ? 7 : 5);
                len += sizes[i] > 0 ? 7 : 5;
            }
            struct wire wire = wire_open(&rig);
            wire_send(&wire, text, len);
            char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
            wire_close(&wire);
            assert_int_equal(status_of(answer), sizes[i] == BODY ? 413 : 200);
            if (sizes[i] < BODY) {
                char *at = strstr(answer, "\r\n\r\n2 /x");
                assert_non_null(at);
                at = strchr(at, ':');
                assert_int_equal(strspn(at + 1, "c"), sizes[i]);
                assert_int_equal(strlen(at + 1), sizes[i]);
            }
        }
    }
    rig_stop(&rig);
}

static void test_requests_are_understood(void **state) {
    (void)state;
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"GET /a/b%20c?q=x+y%26&r HTTP/1.1\r\nHost: a\r\nx-test:  v w \t\r\n\r\n",
         "1 /a/b c q=x y& x=v w from=127.0.0.1 0:"},
        {"DELETE /?q HTTP/1.1\r\nHost: a\r\n\r\n", "4 / q= x=- from=127.0.0.1 0:"},
        {"PUT http://a/p?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
         "3 /p q=1 x=- from=127.0.0.1 3:abc"},
        {"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\nTrailer: t\r\n\r\n",
         "2 /p q=- x=- from=127.0.0.1 5:abcde"},
    };
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct wire whole = wire_open_tls(&rig);
    struct wire split = wire_open_tls(&rig);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wire_say(&whole, cases[i].request);
        char *answer CLEANUP(freep) = wire_hear(&whole, cases[i].answer);
        assert_non_null(strstr(answer, cases[i].answer));
        assert_int_equal(status_of(answer), 200);
        assert_non_null(strstr(answer, "\r\nCache-Control: no-store\r\n"));
        assert_non_null(strstr(answer, "\r\nDate: "));
        /* A byte a record. */
        for (const char *at = cases[i].request; *at != '\0'; at++) {
            wire_send(&split, at, 1);
        }
        char *again CLEANUP(freep) = wire_hear(&split, cases[i].answer);
        assert_non_null(strstr(again, cases[i].answer));
    }
    assert_int_equal(rig_counts(&rig).connections_total, 2);
    assert_int_equal(rig_counts(&rig).requests_total, 2 * COUNT_OF(cases));
    wire_close(&whole);
    wire_close(&split);
    rig_stop(&rig);
}

static void test_answers(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    struct wire wire = wire_open(&rig);
    wire_say(&wire, "GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    char *page CLEANUP(freep) = wire_hear(&wire, "<p>");
    assert_non_null(strstr(page, "Cache-Control: max-age=60\r\n"));
    assert_null(strstr(page, "no-store"));
    assert_null(strstr(page, "Set-Cookie"));
    assert_non_null(strstr(page, "X-Content-Type-Options: nosniff\r\n"));
    wire_say(&wire, "GET /problem HTTP/1.1\r\nHost: a\r\n\r\n");
    char *problem CLEANUP(freep) = wire_hear(&wire, "}");
    assert_non_null(strstr(problem, "Cache-Control: no-store\r\n")); /* the next has them again */
    assert_non_null(strstr(problem, "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\","
                                    "\"status\":429,\"code\":\"slow_down\","
                                    "\"message\":\"say \\\"please\\\"\\u000a\"}"));
    wire_say(&wire, "GET /nothing HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    char *nothing CLEANUP(freep) = wire_hear(&wire, "\r\n\r\n");
    assert_int_equal(status_of(nothing), 204);
    assert_null(strstr(nothing, "Content-Length"));
    assert_non_null(strstr(nothing, "Connection: keep-alive\r\n"));
    wire_say(&wire, "GET /nothing HTTP/1.0\r\n\r\n");
    char *last CLEANUP(freep) = wire_hear(&wire, NULL); /* to the end, which comes */
    assert_int_equal(status_of(last), 204);
    wire_close(&wire);
    rig_stop(&rig);
}

static void test_limits_of_an_answer(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    for (size_t extra = 0; extra < 2; extra++) {
        char request[96];
        int len = snprintf(request, sizeof request,
                           "GET /fields?bytes=%zu HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                           LIMIT_HTTP_ANSWER_FIELDS_BYTES + extra);
        assert_int_equal(ask(&rig, request, (size_t)len), extra == 0 ? 200 : 507);
    }
    rig_stop(&rig);
}

static void test_pipelined(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct wire wire = wire_open_tls(&rig);
    for (int i = 0; i < 2000; i++) {
        char text[128];
        int len = snprintf(text, sizeof text, "GET /%d HTTP/1.1\r\nHost: a\r\n%s\r\n", i,
                           i == 1999 ? "Connection: close\r\n" : "");
        wire_send(&wire, text, (size_t)len);
    }
    char *answers CLEANUP(freep) = wire_hear(&wire, NULL);
    const char *at = answers;
    for (int i = 0; i < 2000; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "\r\n\r\n1 /%d q=", i);
        at = strstr(at, text);
        assert_non_null(at);
    }
    wire_close(&wire);
    rig_stop(&rig);
}

static void test_pipelined_behind_a_held_request(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    struct wire wire = wire_open(&rig);
    wire_say(&wire, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_await(&rig, &rig.held_count, 1);
    /* More than the server keeps for later: the rest waits in the socket. */
    for (int i = 0; i < 500; i++) {
        wire_say(&wire, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    wire_say(&wire, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(rig_counts(&rig).requests_total, 1);
    rig_call(&rig, rig_do_answer);
    char *answers CLEANUP(freep) = wire_hear(&wire, NULL);
    assert_non_null(strstr(answers, "\r\n\r\nheld"));
    assert_non_null(strstr(answers, "\r\n\r\n1 /last q="));
    assert_int_equal(rig_counts(&rig).requests_total, 502);
    assert_int_equal(rig.gone_count, 0);
    wire_close(&wire);
    rig_stop(&rig);
}

static struct wire greedy, patient;

/* On the server's thread: both have sent all before it looks. */
static void do_ask(struct rig *rig) {
    (void)rig;
    struct buf many CLEANUP(buf_done) = BUF(64 * 1024);
    for (int i = 0; i < 400; i++) {
        INVARIANT(!failed(buf_add_str(&many, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")));
    }
    wire_send(&greedy, (const char *)many.data, many.len); /* at once: Nagle would cut it up */
    wire_say(&patient, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void test_pipelining_leaves_others_their_turn(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    greedy = wire_open(&rig);
    patient = wire_open(&rig);
    wire_say(&patient, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_await(&rig, &rig.held_count, 1);
    rig_call(&rig, rig_do_answer);
    char *first CLEANUP(freep) = wire_hear(&patient, "held");
    assert_non_null(first);
    wire_say(&greedy, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"); /* the one that epoll saw last */
    char *second CLEANUP(freep) = wire_hear(&greedy, "\r\n\r\n");
    assert_non_null(second);
    assert_int_equal(rig_counts(&rig).requests_total, 2);
    rig_call(&rig, do_ask);
    rig_await(&rig, &rig.held_count, 1);
    assert_true(rig.requests_before_hold < 400);
    wire_say(&greedy, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *answers CLEANUP(freep) = wire_hear(&greedy, NULL); /* and still each one is answered */
    assert_non_null(strstr(answers, "\r\n\r\n1 /last q="));
    assert_int_equal(rig_counts(&rig).requests_total, 404);
    wire_close(&greedy);
    wire_close(&patient);
    rig_stop(&rig);
}

static void test_client_vanishes_while_held(void **state) {
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        for (int reset = 0; reset < 2; reset++) {
            struct rig rig;
            rig_start(&rig, defaults, tls != 0);
            struct wire wire = tls ? wire_open_tls(&rig) : wire_open(&rig);
            wire_say(&wire, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
            rig_await(&rig, &rig.held_count, 1);
            struct linger linger = {.l_onoff = reset};
            assert_int_equal(setsockopt(wire.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
            wire_close(&wire);
            rig_await(&rig, &rig.gone_count, 1);
            rig_call(&rig, rig_do_count);
            assert_int_equal(rig.busy, 1);
            rig_call(&rig, rig_do_answer);
            rig_call(&rig, rig_do_count);
            assert_int_equal(rig.gone_count, 1);
            assert_int_equal(rig.busy, 0);
            rig_stop(&rig);
        }
    }
}

static void test_half_closed_client_gets_its_answer(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    struct wire wire = wire_open(&rig);
    wire_say(&wire, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(shutdown(wire.fd, SHUT_WR), 0);
    rig_await(&rig, &rig.gone_count, 1);
    rig_call(&rig, rig_do_answer);
    char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
    assert_non_null(strstr(answer, "\r\n\r\nheld"));
    wire_close(&wire);
    /* In the middle of a request there is nothing to answer. */
    wire = wire_open(&rig);
    wire_say(&wire, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    assert_int_equal(shutdown(wire.fd, SHUT_WR), 0);
    char *none CLEANUP(freep) = wire_hear(&wire, NULL);
    assert_string_equal(none, "");
    wire_close(&wire);
    rig_stop(&rig);
}

static void test_hundreds_are_held(void **state) {
    (void)state;
    enum { COUNT = 300 };
    struct rig rig;
    rig_start(&rig, defaults, false);
    struct wire wires[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        wires[i] = wire_open(&rig);
        wire_say(&wires[i], "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    rig_await(&rig, &rig.held_count, COUNT);
    rig_call(&rig, rig_do_count);
    assert_int_equal(rig.busy, COUNT);
    rig_call(&rig, rig_do_answer);
    for (size_t i = 0; i < COUNT; i++) {
        char *answer CLEANUP(freep) = wire_hear(&wires[i], "held");
        assert_int_equal(status_of(answer), 200);
        wire_close(&wires[i]);
    }
    rig_stop(&rig);
}

/* Each sends too little and waits for what becomes of it. */
static void test_deadline(void **state) {
    (void)state;
    static const struct {
        const char *sent;
        unsigned status; /* 0: closed without a word */
    } cases[] = {
        {"", 0},
        {"GET / HT", 408},
        {"GET / HTTP/1.1\r\nHost: a\r\n", 408},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", 408},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 408},
        /* The second request's time runs from its first byte. */
        {"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /", 204},
    };
    struct rig rig;
    struct http_server_config config = defaults;
    config.request_deadline_ms = 100;
    rig_start(&rig, config, false);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct wire wire = wire_open(&rig);
        wire_say(&wire, cases[i].sent);
        char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
        assert_int_equal(status_of(answer), cases[i].status);
        if (i == COUNT_OF(cases) - 1) {
            assert_non_null(strstr(answer, "HTTP/1.1 408 "));
        }
        wire_close(&wire);
    }
    assert_int_equal(rig_counts(&rig).deadline_closed, COUNT_OF(cases));
    rig_stop(&rig);
}

/* A byte at a time never lengthens the time of the whole. */
static void test_slow_sender(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.request_deadline_ms = 200;
    rig_start(&rig, config, false);
    struct wire wire = wire_open(&rig);
    int64_t start_ms = clock_monotonic_ms();
    wire_say(&wire, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    for (struct pollfd poll_fd = {.fd = wire.fd, .events = POLLIN}; poll(&poll_fd, 1, 20) == 0;) {
        wire_say(&wire, "s");
    }
    char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
    assert_int_equal(status_of(answer), 408);
    assert_true(clock_monotonic_ms() - start_ms < 5000);
    wire_close(&wire);
    rig_stop(&rig);
}

static void test_handshake_has_the_deadline(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.request_deadline_ms = 100;
    rig_start(&rig, config, true);
    struct wire wire = wire_open(&rig);
    wire_send(&wire, "\x16\x03\x01\x02\x00\x01", 6);
    char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
    assert_string_equal(answer, "");
    wire_close(&wire);
    assert_int_equal(rig_counts(&rig).deadline_closed, 1);
    rig_stop(&rig);
}

static void test_idle_and_held_are_not_slow(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.request_deadline_ms = 60;
    config.idle_ms = 300;
    rig_start(&rig, config, false);
    struct wire held = wire_open(&rig);
    wire_say(&held, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_await(&rig, &rig.held_count, 1);
    struct wire idle = wire_open(&rig);
    int64_t start_ms = clock_monotonic_ms();
    wire_say(&idle, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    char *answer CLEANUP(freep) = wire_hear(&idle, NULL); /* until the idle time is over */
    assert_int_equal(status_of(answer), 204);
    assert_true(clock_monotonic_ms() - start_ms >= 300);
    /* The held one has outlived both. */
    rig_call(&rig, rig_do_answer);
    char *late CLEANUP(freep) = wire_hear(&held, "held");
    assert_int_equal(status_of(late), 200);
    assert_int_equal(rig_counts(&rig).deadline_closed, 0);
    wire_close(&held);
    wire_close(&idle);
    rig_stop(&rig);
}

static void asks(struct wire *wire, const char *text, unsigned expected) {
    wire_say(wire, text);
    char *answer CLEANUP(freep) = wire_hear(wire, "\r\n\r\n");
    assert_int_equal(status_of(answer), expected);
}

static void assert_ended(struct wire *wire) {
    char *nothing CLEANUP(freep) = wire_hear(wire, NULL);
    assert_string_equal(nothing, "");
    wire_close(wire);
}

#define ASK  "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
#define MORE "GET /nothing HTTP/1.1\r\nHo" /* the next request, as far as it came */

static void test_caps(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.connections_per_address_max = 3;
    rig_start(&rig, config, false);
    struct wire wires[3];
    for (size_t i = 0; i < 3; i++) {
        wires[i] = wire_open(&rig);
        asks(&wires[i], ASK, 204);
    }
    struct wire beyond = wire_open(&rig);
    assert_ended(&beyond);
    assert_int_equal(rig_counts(&rig).connections_refused, 1);
    assert_int_equal(rig_counts(&rig).connections_open, 3);
    assert_int_equal(rig_counts(&rig).idle_evicted, 0);
    /* One that ends makes room. */
    wire_say(&wires[0], "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *last CLEANUP(freep) = wire_hear(&wires[0], NULL);
    assert_int_equal(status_of(last), 204);
    wire_close(&wires[0]);
    while (rig_counts(&rig).connections_open > 2) {
    }
    struct wire again = wire_open(&rig);
    asks(&again, ASK, 204);
    wire_close(&again);
    wire_close(&wires[1]);
    wire_close(&wires[2]);
    rig_stop(&rig);
}

/* What the tests of smaller bounds show holds for these, where nobody sets others. */
static void test_usual_bounds(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    const struct http_server_config *config = &rig.server->config;
    assert_int_equal(config->connections_max, LIMIT_HTTP_CONNECTIONS_COUNT);
    assert_int_equal(config->connections_per_address_max, LIMIT_HTTP_CONNECTIONS_PER_ADDRESS_COUNT);
    assert_int_equal(config->request_deadline_ms, LIMIT_HTTP_REQUEST_S * 1000);
    assert_int_equal(config->idle_ms, LIMIT_HTTP_IDLE_S * 1000);
    assert_int_equal(config->linger_ms, LIMIT_HTTP_LINGER_S * 1000);
    rig_stop(&rig);
}

static void test_usual_cap_of_an_address(void **state) {
    (void)state;
    struct rig rig;
    struct rlimit files;
    static struct wire wires[LIMIT_HTTP_CONNECTIONS_PER_ADDRESS_COUNT];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max; /* both ends of each are in this process */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    rig_start(&rig, defaults, false);
    for (size_t i = 0; i < COUNT_OF(wires); i++) {
        wires[i] = wire_open(&rig);
        asks(&wires[i], ASK, 204);
    }
    struct wire beyond = wire_open(&rig);
    assert_ended(&beyond);
    assert_int_equal(rig_counts(&rig).connections_refused, 1);
    assert_int_equal(rig_counts(&rig).connections_open, COUNT_OF(wires));
    for (size_t i = 0; i < COUNT_OF(wires); i++) {
        wire_close(&wires[i]);
    }
    rig_stop(&rig);
}

static void test_requests_under_way_do_not_give_way(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.connections_max = 3;
    rig_start(&rig, config, false);
    struct wire held = wire_open(&rig);
    wire_say(&held, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_await(&rig, &rig.held_count, 1);
    struct wire begun = wire_open(&rig);
    asks(&begun, ASK MORE, 204);
    struct wire idle = wire_open(&rig);
    asks(&idle, ASK, 204);
    /* The one that is idle, although the youngest. */
    struct wire late = wire_open(&rig);
    assert_ended(&idle);
    asks(&late, ASK MORE, 204);
    assert_int_equal(rig_counts(&rig).idle_evicted, 1);
    assert_int_equal(rig_counts(&rig).connections_refused, 0);
    /* Now there is none. */
    struct wire beyond = wire_open(&rig);
    assert_ended(&beyond);
    assert_int_equal(rig_counts(&rig).idle_evicted, 1);
    assert_int_equal(rig_counts(&rig).connections_refused, 1);
    asks(&begun, "st: a\r\n\r\n", 204);
    asks(&late, "st: a\r\n\r\n", 204);
    rig_call(&rig, rig_do_answer);
    char *answer CLEANUP(freep) = wire_hear(&held, "held");
    assert_int_equal(status_of(answer), 200);
    wire_close(&held);
    wire_close(&begun);
    wire_close(&late);
    rig_stop(&rig);
}

static void test_the_longest_idle_gives_way(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.connections_max = 3;
    rig_start(&rig, config, true);
    struct wire wires[3];
    for (size_t i = 0; i < 3; i++) {
        wires[i] = wire_open_tls(&rig);
        asks(&wires[i], ASK, 204);
    }
    asks(&wires[0], ASK, 204);
    for (size_t i = 0; i < 10; i++) {
        size_t longest = (i + 1) % 3;
        struct wire late = wire_open_tls(&rig);
        assert_ended(&wires[longest]);
        asks(&late, ASK, 204);
        wires[longest] = late;
        assert_int_equal(rig_counts(&rig).idle_evicted, i + 1);
    }
    /* Nor does one that says nothing at all stay. */
    struct wire silent[3];
    for (size_t i = 0; i < 3; i++) {
        silent[i] = wire_open(&rig);
        assert_ended(&wires[(i + 2) % 3]);
    }
    struct wire late = wire_open_tls(&rig);
    asks(&late, ASK, 204);
    assert_ended(&silent[0]);
    wire_close(&silent[1]);
    wire_close(&silent[2]);
    wire_close(&late);
    assert_int_equal(rig_counts(&rig).connections_refused, 0);
    rig_stop(&rig);
}

#undef ASK
#undef MORE

static void test_large_answers(void **state) {
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct rig rig;
        rig_start(&rig, defaults, tls != 0);
        struct wire wire = tls ? wire_open_tls(&rig) : wire_open(&rig);
        wire_say(&wire, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
                        "GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        char *answers CLEANUP(freep) = wire_hear(&wire, NULL);
        char *body = strstr(answers, "\r\n\r\n") + 4;
        assert_int_equal(strspn(body, "b"), RIG_BIG_BYTES);
        assert_non_null(strstr(body + RIG_BIG_BYTES, "1 /after"));
        wire_close(&wire);
        rig_stop(&rig);
    }
}

/* It never reads its answer. */
static void test_answers_have_a_deadline(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.answer_ms = 100;
    config.answer_bytes_per_s = 1024 * 1024 * 1024;
    rig_start(&rig, config, false);
    struct wire wire = wire_open(&rig);
    wire_say(&wire, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    while (rig_counts(&rig).deadline_closed == 0) {
    }
    wire_close(&wire);
    rig_stop(&rig);
}

/* The deadline of the one connection, which is sending its answer. */
static void do_look_at_deadline(struct rig *rig) {
    const struct http_request *conn = rig->server->connections;
    bool sending = conn != NULL && conn->state == CONNECTION_ANSWERING;
    rig->deadline_ms = sending ? conn->deadline_ms : 0;
}

/* Whoever reads LIMIT_HTTP_ANSWER_BYTES_PER_S gets the whole answer, head included; who is slower
 * by more than LIMIT_HTTP_ANSWER_S does not. */
static void test_the_deadline_grows_with_the_answer(void **state) {
    (void)state;
    enum { HEAD_BYTES_MAX = 1024 };
    struct rig rig;
    rig_start(&rig, defaults, false);
    struct wire wire = wire_open(&rig);
    int64_t begin_ms = clock_monotonic_ms();
    wire_say(&wire, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    while (rig.deadline_ms == 0) {
        rig_call(&rig, do_look_at_deadline);
    }
    int64_t least_ms =
        LIMIT_HTTP_ANSWER_S * 1000 + (int64_t)RIG_BIG_BYTES * 1000 / LIMIT_HTTP_ANSWER_BYTES_PER_S;
    int64_t head_ms = (int64_t)HEAD_BYTES_MAX * 1000 / LIMIT_HTTP_ANSWER_BYTES_PER_S;
    assert_true(rig.deadline_ms >= begin_ms + least_ms);
    assert_true(rig.deadline_ms <= clock_monotonic_ms() + least_ms + head_ms);
    wire_close(&wire);
    rig_stop(&rig);
}

/* Refused, it neither reads on nor closes. */
static void test_lingering_ends(void **state) {
    (void)state;
    struct rig rig;
    struct http_server_config config = defaults;
    config.linger_ms = 100;
    rig_start(&rig, config, false);
    struct wire wire = wire_open(&rig);
    int64_t begin_ms = clock_monotonic_ms();
    wire_say(&wire, "GARBAGE\r\n\r\n");
    char *answer CLEANUP(freep) = wire_hear(&wire, NULL);
    assert_int_equal(status_of(answer), 400);
    while (rig_counts(&rig).connections_open > 0) {
    }
    assert_true(clock_monotonic_ms() - begin_ms >= config.linger_ms);
    wire_close(&wire);
    rig_stop(&rig);
}

static void test_expect_continue(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct wire wire = wire_open_tls(&rig);
    wire_say(&wire, "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
                    "3\r\n\r\n");
    char *interim CLEANUP(freep) = wire_hear(&wire, "\r\n\r\n");
    assert_string_equal(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    wire_say(&wire, "abc");
    char *answer CLEANUP(freep) = wire_hear(&wire, "3:abc");
    assert_int_equal(status_of(answer), 200);
    wire_close(&wire);
    rig_stop(&rig);
}

static void do_drain(struct rig *rig) { http_server_drain(rig->server); }

static void test_drain(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, false);
    struct wire idle = wire_open(&rig);
    wire_say(&idle, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    char *first CLEANUP(freep) = wire_hear(&idle, "\r\n\r\n");
    assert_int_equal(status_of(first), 204);
    struct wire held = wire_open(&rig);
    wire_say(&held, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_await(&rig, &rig.held_count, 1);
    rig_call(&rig, do_drain);
    char *none CLEANUP(freep) = wire_hear(&idle, NULL);
    assert_string_equal(none, "");
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(rig.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
    (void)close(fd);
    rig_call(&rig, rig_do_count);
    assert_int_equal(rig.busy, 1);
    rig_call(&rig, rig_do_answer);
    char *answer CLEANUP(freep) = wire_hear(&held, NULL);
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nheld"));
    rig_call(&rig, rig_do_count);
    assert_int_equal(rig.busy, 0);
    wire_close(&idle);
    wire_close(&held);
    rig_stop(&rig);
}

static void do_reload(struct rig *rig) { rig->err = http_server_reload_tls(rig->server, NULL); }

static void test_reload(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct wire before = wire_open_tls(&rig);
    /* A broken file changes nothing. */
    assert_ok(file_replace(rig.cert_file, SPAN_LITERAL("rubbish"), 0600, 0));
    rig_call(&rig, do_reload);
    assert_fails(rig.err, ERR_MALFORMED);
    struct wire meanwhile = wire_open_tls(&rig);
    struct tls_made old = rig.made;
    assert_ok(tls_make("Test CA", rig_names, COUNT_OF(rig_names), clock_now_s(), &rig.made));
    rig_write_tls(&rig);
    rig_call(&rig, do_reload);
    assert_ok(rig.err);
    struct wire after = wire_open_tls(&rig); /* trusts the new CA alone */
    struct wire *wires[] = {&before, &meanwhile, &after};
    for (size_t i = 0; i < COUNT_OF(wires); i++) {
        wire_say(wires[i], "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
        char *answer CLEANUP(freep) = wire_hear(wires[i], "\r\n\r\n");
        assert_int_equal(status_of(answer), 204);
        wire_close(wires[i]);
    }
    tls_made_done(&old);
    rig_stop(&rig);
}

static void test_freed_while_held(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, defaults, true);
    struct wire wire = wire_open_tls(&rig);
    wire_say(&wire, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_await(&rig, &rig.held_count, 1);
    rig_stop(&rig); /* frees the server first and answers then */
    assert_int_equal(rig.gone_count, 1);
    wire_close(&wire);
}

static void test_start_refuses(void **state) {
    (void)state;
    static const struct {
        struct http_server_config config;
        enum err_code code;
    } cases[] = {
        {{.address = "nowhere"}, ERR_MALFORMED},
        {{.address = "192.0.2.1"}, ERR_IO},
        {{.address = "127.0.0.1",
          .tls_cert_file = "/nonexistent/c",
          .tls_key_file = "/nonexistent/k"},
         ERR_NOT_FOUND},
        {{.address = "127.0.0.1", .tls_cert_file = "/dev/null", .tls_key_file = "/dev/null"},
         ERR_MALFORMED},
    };
    struct loop *loop CLEANUP(loop_freep) = NULL;
    assert_ok(loop_new(&loop));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_server *server;
        struct fault fault = {0};
        assert_fails(http_server_start(loop, &cases[i].config, rig_handle, NULL, &server, &fault),
                     cases[i].code);
        assert_true(fault.reason[0] != '\0');
    }
}

/* However the bytes are cut, a chunked body comes out the same. */
static void test_chunks_at_every_cut(void **state) {
    (void)state;
    static const char text[] = "3\r\nabc\r\n00a;x\r\n0123456789\r\n0\r\nT: u\r\n\r\nrest";
    size_t len = sizeof text - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        struct http_chunks chunks = {0};
        struct buf body CLEANUP(buf_done) = BUF(13);
        span_t first = span_of(text, cut);
        assert_ok(http_chunks_take(&chunks, &first, &body));
        span_t second = span_of(text + cut - first.len, len - cut + first.len);
        assert_ok(http_chunks_take(&chunks, &second, &body));
        assert_true(chunks.finished);
        assert_true(span_equal_str(second, "rest"));
        assert_true(span_equal_str(buf_span(&body), "abc0123456789"));
    }
    struct http_chunks chunks = {0};
    struct buf small CLEANUP(buf_done) = BUF(12);
    span_t input = span_of(text, len);
    assert_fails(http_chunks_take(&chunks, &input, &small), ERR_TOO_LONG);
    /* The overhead has its bound. */
    char *line CLEANUP(freep) = malloc(LIMIT_HTTP_CHUNK_OVERHEAD_BYTES + 1);
    assert_non_null(line);
    memset(line, 'x', LIMIT_HTTP_CHUNK_OVERHEAD_BYTES + 1);
    memcpy(line, "1;", 2);
    for (size_t extra = 0; extra < 2; extra++) {
        chunks = (struct http_chunks){0};
        input = span_of(line, LIMIT_HTTP_CHUNK_OVERHEAD_BYTES + extra);
        err_t err = http_chunks_take(&chunks, &input, &small);
        assert_int_equal(err.code, extra == 0 ? ERR_NONE : ERR_TOO_LONG);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_requests_are_refused),
        cmocka_unit_test(test_limits_of_the_head),
        cmocka_unit_test(test_limits_of_the_body),
        cmocka_unit_test(test_requests_are_understood),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_limits_of_an_answer),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_pipelined_behind_a_held_request),
        cmocka_unit_test(test_pipelining_leaves_others_their_turn),
        cmocka_unit_test(test_client_vanishes_while_held),
        cmocka_unit_test(test_half_closed_client_gets_its_answer),
        cmocka_unit_test(test_hundreds_are_held),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_slow_sender),
        cmocka_unit_test(test_handshake_has_the_deadline),
        cmocka_unit_test(test_idle_and_held_are_not_slow),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_usual_bounds),
        cmocka_unit_test(test_usual_cap_of_an_address),
        cmocka_unit_test(test_requests_under_way_do_not_give_way),
        cmocka_unit_test(test_the_longest_idle_gives_way),
        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_answers_have_a_deadline),
        cmocka_unit_test(test_the_deadline_grows_with_the_answer),
        cmocka_unit_test(test_lingering_ends),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_freed_while_held),
        cmocka_unit_test(test_start_refuses),
        cmocka_unit_test(test_chunks_at_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
