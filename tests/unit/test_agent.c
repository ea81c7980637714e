#include "fixture.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/limits.h"
#include "ssh/agent.h"
#include "ssh/wire.h"

static char source_folder[PATH_MAX];
static pid_t agent_pid;

#define run_ok(...) assert_int_equal(fixture_run(__VA_ARGS__), 0)

static const char *const key_names[] = {"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa"};

static struct key *read_key(const char *name) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char path[64];
    struct key *key = NULL;
    (void)snprintf(path, sizeof(path), "%s.pub", name);
    fixture_read(path, &line);
    assert_ok(key_parse_line(buf_span(&line), &key, NULL));
    return key;
}

static struct private_key *read_private_key(const char *name) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key *key = NULL;
    fixture_read(name, &file);
    assert_ok(private_key_load(buf_span(&file), NULL, &key, NULL));
    return key;
}

static struct cert *read_cert(const char *name) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char path[64];
    struct cert *cert = NULL;
    (void)snprintf(path, sizeof(path), "%s-cert.pub", name);
    fixture_read(path, &line);
    assert_ok(cert_parse_line(buf_span(&line), &cert, NULL));
    return cert;
}

/* A real ssh-agent at "agent", keys of every type and their certificates at "certs/". */
static int set_up(void **state) {
    assert_non_null(getcwd(source_folder, sizeof(source_folder)));
    assert_int_equal(fixture_setup(state), 0);
    run_ok(
        "ssh-keygen -q -t ed25519 -N '' -C alice -f ed25519 && "
        "ssh-keygen -q -t rsa -b 2048 -N '' -C alice -f rsa && "
        "for b in 256 384 521; do ssh-keygen -q -t ecdsa -b $b -N '' -C alice -f ecdsa$b; done && "
        "ssh-keygen -q -t ed25519 -N '' -f ca && mkdir certs && "
        "for k in ed25519 rsa ecdsa256 ecdsa384 ecdsa521; do"
        " cp $k.pub certs/ && ssh-keygen -q -s ca -I alice -n alice -z 5 certs/$k.pub; done");
    run_ok("ssh-agent -s -a agent >agent.out");
    struct buf output CLEANUP(buf_done) = BUF(4096);
    fixture_read("agent.out", &output);
    assert_ok(buf_add_byte(&output, 0));
    const char *pid = strstr((const char *)output.data, "SSH_AGENT_PID=");
    assert_non_null(pid);
    agent_pid = atoi(pid + strlen("SSH_AGENT_PID="));
    assert_true(agent_pid > 1);
    return 0;
}

static int tear_down(void **state) {
    assert_int_equal(kill(agent_pid, SIGTERM), 0);
    return fixture_teardown(state);
}

/* --- the messages alone --- */

static void test_frames(void **state) {
    (void)state;
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES + 64);
    span_t message;
    for (size_t over = 0; over <= 1; over++) {
        uint8_t *body;
        buf_clear(&bytes);
        assert_ok(wire_put_u32(&bytes, (uint32_t)(LIMIT_AGENT_MESSAGE_BYTES + over)));
        assert_ok(buf_extend(&bytes, LIMIT_AGENT_MESSAGE_BYTES + over, &body));
        memset(body, 0, LIMIT_AGENT_MESSAGE_BYTES + over);
        span_t stream = buf_span(&bytes);
        assert_fails(agent_get_frame(&stream, &message), over == 1 ? ERR_TOO_LONG : ERR_NONE);
        /* Refused at once, not when all of it has arrived. */
        stream = span_of(bytes.data, 4);
        assert_fails(agent_get_frame(&stream, &message), over == 1 ? ERR_TOO_LONG : ERR_TRUNCATED);
        assert_int_equal(stream.len, 4);
    }
    span_t empty = SPAN_LITERAL("\0\0\0\0\0\0\0\1x");
    assert_fails(agent_get_frame(&empty, &message), ERR_MALFORMED);
    span_t two = SPAN_LITERAL("\0\0\0\1\x0b\0\0\0\1\x13\0");
    assert_ok(agent_get_frame(&two, &message));
    assert_true(span_equal(message, SPAN_LITERAL("\x0b")));
    assert_ok(agent_get_frame(&two, &message));
    assert_true(span_equal(message, SPAN_LITERAL("\x13")));
    assert_fails(agent_get_frame(&two, &message), ERR_TRUNCATED);
    assert_int_equal(two.len, 1);
}

#define ED25519_FORM "\0\0\0\x0bssh-ed25519\0\0\0\1p\0\0\0\1s"

static void test_requests_refused(void **state) {
    (void)state;
    static const struct {
        span_t message;
        enum err_code code;
    } cases[] = {
        {{NULL, 0}, ERR_TRUNCATED},
        {SPAN_LITERAL("\0"), ERR_UNSUPPORTED},
        {SPAN_LITERAL("\x01"), ERR_UNSUPPORTED}, /* SSH 1 */
        {SPAN_LITERAL("\x09"), ERR_UNSUPPORTED},
        {SPAN_LITERAL("\x14\0\0\0\0"), ERR_UNSUPPORTED}, /* a smartcard */
        {SPAN_LITERAL("\x1a\0\0\0\0"), ERR_UNSUPPORTED},
        {SPAN_LITERAL("\x06"), ERR_UNSUPPORTED}, /* an answer */
        {SPAN_LITERAL("\x0bx"), ERR_TRAILING},
        {SPAN_LITERAL("\x0d\0\0\0\1k\0\0\0\1d\0\0\0"), ERR_TRUNCATED},
        {SPAN_LITERAL("\x0d\0\0\0\1k\0\0\0\1d\0\0\0\0x"), ERR_TRAILING},
        {SPAN_LITERAL("\x11\0\0\0\7ssh-dss\0\0\0\0"), ERR_KEY_TYPE},
        {SPAN_LITERAL("\x11" ED25519_FORM), ERR_TRUNCATED}, /* no comment */
        {SPAN_LITERAL("\x11" ED25519_FORM "\0\0\0\0"), ERR_NONE},
        {SPAN_LITERAL("\x11" ED25519_FORM "\0\0\0\0\2"), ERR_TRAILING},
        {SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\0\2"), ERR_NONE},
        {SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\0\2\2"), ERR_DUPLICATE},
        {SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\0\1\0\0\0\5"), ERR_NONE},
        {SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\0\1\0\0\0"), ERR_TRUNCATED},
        {SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\0\1\0\0\0\5\1\0\0\0\6"), ERR_DUPLICATE},
        {SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\0\3\0\0\0\5"), ERR_OPTION_UNKNOWN},
        {SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\0\xff\0\0\0\1x"), ERR_OPTION_UNKNOWN},
        {SPAN_LITERAL("\x12\0\0\0\1kx"), ERR_TRAILING},
        {SPAN_LITERAL("\x13x"), ERR_TRAILING},
        {SPAN_LITERAL("\x16\0\0\0\1"), ERR_TRUNCATED},
        {SPAN_LITERAL("\x1b\0\0\0\1\0"), ERR_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct agent_request request = {.flags = 99};
        assert_fails(agent_get_request(cases[i].message, &request), cases[i].code);
        if (cases[i].code != ERR_NONE) {
            assert_int_equal(request.flags, 99);
        }
    }
}

static void test_requests_read(void **state) {
    (void)state;
    struct agent_request request;
    assert_ok(agent_get_request(SPAN_LITERAL("\x0d\0\0\0\1k\0\0\0\2dd\0\0\0\4"), &request));
    assert_int_equal(request.type, AGENT_SIGN_REQUEST);
    assert_true(span_equal_str(request.key_blob, "k"));
    assert_true(span_equal_str(request.data, "dd"));
    assert_int_equal(request.flags, AGENT_RSA_SHA2_512);
    assert_ok(
        agent_get_request(SPAN_LITERAL("\x19" ED25519_FORM "\0\0\0\1c\2\1\0\0\1\0"), &request));
    assert_int_equal(request.type, AGENT_ADD_ID_CONSTRAINED);
    assert_true(span_equal(request.private_key, SPAN_LITERAL(ED25519_FORM)));
    assert_true(span_equal_str(request.comment, "c"));
    assert_true(request.confirm && request.has_lifetime);
    assert_int_equal(request.lifetime_s, 256);
    assert_ok(agent_get_request(SPAN_LITERAL("\x16\0\0\0\2pw"), &request));
    assert_true(span_equal_str(request.passphrase, "pw"));
    /* PROTOCOL.agent section 1: host key, session identifier, signature, is_forwarding */
    assert_ok(agent_get_request(SPAN_LITERAL("\x1b\0\0\0\x18session-bind@openssh.com"
                                             "\0\0\0\1k\0\0\0\1i\0\0\0\1s\0"),
                                &request));
    assert_int_equal(request.type, AGENT_EXTENSION);
    assert_true(span_equal_str(request.extension_name, "session-bind@openssh.com"));
    assert_int_equal(request.extension_body.len, 16);
}

static err_t count_identity(void *context, span_t blob, span_t comment) {
    (void)blob;
    (void)comment;
    ++*(size_t *)context;
    return OK;
}

static void test_answers_refused(void **state) {
    (void)state;
    size_t count = 0;
    span_t signature;
    assert_fails(agent_get_success(SPAN_LITERAL("\x05")), ERR_REFUSED);
    assert_fails(agent_get_success(SPAN_LITERAL("\x1c")), ERR_REFUSED);
    assert_fails(agent_get_success(SPAN_LITERAL("\x0c")), ERR_PROTOCOL);
    assert_fails(agent_get_success(SPAN_LITERAL("\x06x")), ERR_TRAILING);
    assert_ok(agent_get_success(SPAN_LITERAL("\x06")));
    assert_fails(agent_get_sign_response(SPAN_LITERAL("\x05"), &signature), ERR_REFUSED);
    assert_fails(agent_get_sign_response(SPAN_LITERAL("\x06"), &signature), ERR_PROTOCOL);
    assert_fails(agent_get_sign_response(SPAN_LITERAL("\x0e\0\0\0\1sx"), &signature), ERR_TRAILING);
    static const struct {
        span_t message;
        enum err_code code;
    } cases[] = {
        {SPAN_LITERAL("\x05"), ERR_REFUSED},
        {SPAN_LITERAL("\x0c\0\0\0\2\0\0\0\1b\0\0\0\1c"), ERR_TRUNCATED},
        {SPAN_LITERAL("\x0c\0\0\0\1\0\0\0\1b\0\0\0\1cx"), ERR_TRAILING},
        {SPAN_LITERAL("\x0c\xff\xff\xff\xff"), ERR_TOO_LONG},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_fails(agent_get_identities(cases[i].message, count_identity, &count), cases[i].code);
        assert_int_equal(count, 0);
    }
}

static void test_limits(void **state) {
    (void)state;
    static struct agent_identity identities[LIMIT_AGENT_KEYS_COUNT + 1];
    struct buf out CLEANUP(buf_done) = BUF(4 * LIMIT_AGENT_MESSAGE_BYTES);
    static uint8_t data[LIMIT_AGENT_MESSAGE_BYTES];
    size_t count = 0;
    span_t message;
    assert_fails(agent_put_identities(&out, identities, LIMIT_AGENT_KEYS_COUNT + 1), ERR_TOO_LONG);
    assert_int_equal(out.len, 0);
    assert_ok(agent_put_identities(&out, identities, LIMIT_AGENT_KEYS_COUNT));
    span_t stream = buf_span(&out);
    assert_ok(agent_get_frame(&stream, &message));
    assert_ok(agent_get_identities(message, count_identity, &count));
    assert_int_equal(count, LIMIT_AGENT_KEYS_COUNT);
    /* type, string, string, flags */
    size_t most = LIMIT_AGENT_MESSAGE_BYTES - 1 - 4 - 4 - 4;
    buf_clear(&out);
    assert_fails(agent_put_sign_request(&out, span_of(NULL, 0), span_of(data, most + 1), 0),
                 ERR_TOO_LONG);
    assert_int_equal(out.len, 0);
    assert_ok(agent_put_sign_request(&out, span_of(NULL, 0), span_of(data, most), 0));
}

/* --- golden messages --- */

static bool is_inside(span_t inner, span_t outer) {
    return inner.len == 0 ||
           (inner.data >= outer.data && inner.data + inner.len <= outer.data + outer.len);
}

static void check_survives(span_t message) {
    struct agent_request request;
    span_t signature;
    size_t count = 0;
    if (!failed(agent_get_request(message, &request))) {
        assert_true(is_inside(request.key_blob, message));
        assert_true(is_inside(request.data, message));
        assert_true(is_inside(request.private_key, message));
        assert_true(is_inside(request.comment, message));
        struct private_key *key CLEANUP(private_key_freep) = NULL;
        span_t form = request.private_key;
        /* Any answer will do; the sanitizers watch. */
        ignore_err(private_key_get_wire(&form, &key));
    }
    if (!failed(agent_get_sign_response(message, &signature))) {
        assert_true(is_inside(signature, message));
    }
    if (failed(agent_get_identities(message, count_identity, &count))) {
        assert_int_equal(count, 0);
    }
}

static void test_golden_messages(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum err_code code; /* as a request */
    } cases[] = {
        {"request-add-ed25519-lifetime", ERR_NONE},
        {"request-add-ecdsa-confirm", ERR_NONE},
        {"request-add-rsa-cert", ERR_NONE},
        {"request-sign", ERR_NONE},
        {"request-remove", ERR_NONE},
        {"request-add-restrict-destination", ERR_OPTION_UNKNOWN},
        {"answer-identities", ERR_UNSUPPORTED},
        {"answer-sign", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf golden CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
        char path[PATH_MAX + 128];
        (void)snprintf(path, sizeof(path), "%s/tests/vectors/agent/%s.bin", source_folder,
                       cases[i].name);
        fixture_read(path, &golden);
        struct agent_request request;
        assert_fails(agent_get_request(buf_span(&golden), &request), cases[i].code);
        for (size_t len = 0; len < golden.len; len++) {
            /* Short of its constraints, an addition is whole again. */
            assert_true(failed(agent_get_request(span_of(golden.data, len), &request)) ||
                        request.type == AGENT_ADD_ID_CONSTRAINED);
            check_survives(span_of(golden.data, len));
        }
        for (size_t at = 0; at < golden.len; at++) {
            for (unsigned bit = 0; bit < 8; bit += 7) {
                golden.data[at] ^= (uint8_t)(1U << bit);
                check_survives(buf_span(&golden));
                golden.data[at] ^= (uint8_t)(1U << bit);
            }
        }
    }
}

/* --- our client and the real agent --- */

static span_t call(struct agent_client *client, const struct buf *request) {
    span_t message = {NULL, 0};
    assert_ok(agent_client_call(client, request, &message));
    return message;
}

static struct agent_client *open_agent(const char *path) {
    struct agent_client *client = NULL;
    assert_ok(agent_client_open(path, &client));
    return client;
}

static size_t count_identities(struct agent_client *client) {
    struct buf request CLEANUP(buf_done) = BUF(64);
    size_t count = 0;
    assert_ok(agent_put_request_identities(&request));
    assert_ok(agent_get_identities(call(client, &request), count_identity, &count));
    return count;
}

static void check_signs(struct agent_client *client, const struct key *key, span_t blob,
                        uint32_t flags, const char *algorithm) {
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t data = SPAN_LITERAL("to be signed");
    span_t signature;
    span_t name;
    assert_ok(agent_put_sign_request(&request, blob, data, flags));
    assert_ok(agent_get_sign_response(call(client, &request), &signature));
    assert_ok(key_verify(key, data, signature, NULL));
    assert_fails(key_verify(key, SPAN_LITERAL("other"), signature, NULL), ERR_SIGNATURE);
    assert_ok(wire_get_string(&signature, &name));
    assert_true(span_equal_str(name, algorithm));
}

static void check_signs_all(struct agent_client *client, const struct key *key, span_t blob) {
    if (key_type(key) == KEY_RSA) {
        check_signs(client, key, blob, AGENT_RSA_SHA2_256, "rsa-sha2-256");
        check_signs(client, key, blob, AGENT_RSA_SHA2_512, "rsa-sha2-512");
    } else {
        check_signs(client, key, blob, 0, key_type_name(key));
    }
}

static void check_removes(struct agent_client *client, span_t blob) {
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    assert_ok(agent_put_remove_identity(&request, blob));
    assert_ok(agent_get_success(call(client, &request)));
    assert_fails(agent_get_success(call(client, &request)), ERR_REFUSED);
}

static void test_client_uses_keys_of_ssh_add(void **state) {
    (void)state;
    struct agent_client *client CLEANUP(agent_client_closep) = open_agent("agent");
    assert_int_equal(count_identities(client), 0);
    for (size_t i = 0; i < COUNT_OF(key_names); i++) {
        struct key *key CLEANUP(key_freep) = read_key(key_names[i]);
        struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
        span_t signature;
        assert_ok(agent_put_sign_request(&request, key_blob(key), SPAN_LITERAL("x"), 0));
        assert_fails(agent_get_sign_response(call(client, &request), &signature), ERR_REFUSED);
        run_ok("SSH_AUTH_SOCK=agent ssh-add -q %s", key_names[i]);
        assert_int_equal(count_identities(client), 1);
        check_signs_all(client, key, key_blob(key));
        check_removes(client, key_blob(key));
        assert_int_equal(count_identities(client), 0);
    }
}

static void check_add(struct agent_client *client, const char *name, bool with_cert) {
    struct private_key *private CLEANUP(private_key_freep) = read_private_key(name);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    const struct key *key = private_key_public(private);
    char path[64];
    (void)snprintf(path, sizeof(path), "certs/%s", name);
    cert = read_cert(path);
    assert_ok(agent_put_add_identity(&request, private, with_cert ? cert : NULL, "by posterngate",
                                     with_cert ? 3600 : 0));
    span_t stream = buf_span(&request);
    span_t message;
    struct agent_request back;
    assert_ok(agent_get_frame(&stream, &message));
    assert_int_equal(stream.len, 0);
    assert_ok(agent_get_request(message, &back));
    assert_int_equal(back.has_lifetime, with_cert);
    assert_int_equal(back.lifetime_s, with_cert ? 3600 : 0);
    assert_true(span_equal_str(back.comment, "by posterngate"));

    assert_ok(agent_get_success(call(client, &request)));
    run_ok("SSH_AUTH_SOCK=agent ssh-add -l | grep -q 'by posterngate (.*%s'",
           with_cert ? "-CERT" : "[^T])");
    run_ok("SSH_AUTH_SOCK=agent ssh-add -L | grep -qF \"$(cut -d' ' -f1,2 %s%s%s.pub)\"",
           with_cert ? "certs/" : "", name, with_cert ? "-cert" : "");
    span_t blob = with_cert ? buf_span(&cert->blob) : key_blob(key);
    check_signs_all(client, key, blob);
    check_removes(client, blob);
}

static void test_client_adds(void **state) {
    (void)state;
    struct agent_client *client CLEANUP(agent_client_closep) = open_agent("agent");
    for (size_t i = 0; i < COUNT_OF(key_names); i++) {
        check_add(client, key_names[i], false);
        check_add(client, key_names[i], true);
    }
    struct private_key *key CLEANUP(private_key_freep) = read_private_key("rsa");
    struct cert *cert CLEANUP(cert_freep) = read_cert("certs/ed25519");
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    assert_fails(agent_put_add_identity(&request, key, cert, "", 0), ERR_CONFLICT);
    assert_int_equal(request.len, 0);
}

static void test_client_finds_the_agent(void **state) {
    (void)state;
    struct agent_client *client CLEANUP(agent_client_closep) = NULL;
    assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
    assert_fails(agent_client_open(NULL, &client), ERR_NOT_FOUND);
    assert_int_equal(setenv("SSH_AUTH_SOCK", "", 1), 0);
    assert_fails(agent_client_open(NULL, &client), ERR_NOT_FOUND);
    assert_fails(agent_client_open("nobody", &client), ERR_CONNECT);
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_fails(agent_client_open(path, &client), ERR_TOO_LONG);
    assert_null(client);
    assert_int_equal(setenv("SSH_AUTH_SOCK", "agent", 1), 0);
    assert_ok(agent_client_open(NULL, &client));
    assert_int_equal(count_identities(client), 0);
    assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
}

/* --- a server of our own and the real clients --- */

static int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)unlink(path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

enum { HELD_MAX = 8 };

/* What the thread serves; the test looks only between the requests of clients that have ended. */
struct server {
    pthread_t thread;
    int listener;
    pthread_mutex_t lock;
    struct private_key *held[HELD_MAX];
    size_t held_count;
    enum err_code last; /* of the last ADD, or of agent_get_request() */
    bool last_confirm;
    uint32_t last_lifetime_s;
    size_t removed;
};

static err_t answer_identities(const struct server *server, struct buf *out) {
    struct agent_identity identities[HELD_MAX];
    for (size_t i = 0; i < server->held_count; i++) {
        identities[i] = (struct agent_identity){key_blob(private_key_public(server->held[i])),
                                                SPAN_LITERAL("held here")};
    }
    return agent_put_identities(out, identities, server->held_count);
}

static err_t answer_sign(const struct server *server, const struct agent_request *request,
                         struct buf *out) {
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_KEY_BLOB_BYTES);
    for (size_t i = 0; i < server->held_count; i++) {
        if (span_equal(key_blob(private_key_public(server->held[i])), request->key_blob)) {
            bool is_256 = (request->flags & AGENT_RSA_SHA2_256) != 0;
            TRY(private_key_sign(server->held[i], request->data, is_256 ? RSA_SHA256 : RSA_SHA512,
                                 &signature));
            return agent_put_sign_response(out, buf_span(&signature));
        }
    }
    return agent_put_failure(out);
}

static err_t answer_add(struct server *server, const struct agent_request *request,
                        struct buf *out) {
    span_t form = request->private_key;
    if (server->held_count == HELD_MAX) {
        return agent_put_failure(out);
    }
    err_t err = private_key_get_wire(&form, &server->held[server->held_count]);
    server->last = err.code;
    server->last_confirm = request->confirm;
    server->last_lifetime_s = request->has_lifetime ? request->lifetime_s : 0;
    if (failed(err)) {
        return agent_put_failure(out);
    }
    server->held_count++;
    return agent_put_success(out);
}

static err_t answer(struct server *server, span_t message, struct buf *out) {
    struct agent_request request;
    server->last = agent_get_request(message, &request).code;
    if (server->last != ERR_NONE) {
        return agent_put_failure(out);
    }
    switch ((unsigned)request.type) {
    case AGENT_REQUEST_IDENTITIES:
        return answer_identities(server, out);
    case AGENT_SIGN_REQUEST:
        return answer_sign(server, &request, out);
    case AGENT_ADD_IDENTITY:
    case AGENT_ADD_ID_CONSTRAINED:
        return answer_add(server, &request, out);
    case AGENT_REMOVE_ALL_IDENTITIES:
        server->removed += server->held_count;
        return agent_put_success(out);
    default:
        return agent_put_failure(out);
    }
}

static err_t serve_connection(struct server *server, int fd) {
    struct buf in CLEANUP(buf_done) = BUF(2 * LIMIT_AGENT_MESSAGE_BYTES);
    uint8_t chunk[4096];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) > 0) {
        span_t message;
        TRY(buf_add(&in, span_of(chunk, (size_t)got)));
        span_t stream = buf_span(&in);
        err_t err;
        while (!failed(err = agent_get_frame(&stream, &message))) {
            struct buf out CLEANUP(buf_done) = BUF(2 * LIMIT_AGENT_MESSAGE_BYTES);
            (void)pthread_mutex_lock(&server->lock);
            err_t answered = answer(server, message, &out);
            (void)pthread_mutex_unlock(&server->lock);
            TRY(answered);
            if (send(fd, out.data, out.len, MSG_NOSIGNAL) != (ssize_t)out.len) {
                return FAIL(ERR_IO);
            }
        }
        if (err.code != ERR_TRUNCATED) {
            return err;
        }
        memmove(in.data, stream.data, stream.len);
        in.len = stream.len;
    }
    return OK;
}

static void *serve(void *context) {
    struct server *server = context;
    for (;;) {
        int fd CLEANUP(fd_closep) = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            return NULL;
        }
        /* A client that breaks the protocol loses its connection, no more. */
        ignore_err(serve_connection(server, fd));
    }
}

static void server_start(struct server *server, const char *path) {
    *server = (struct server){.listener = listen_at(path), .lock = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server) {
    assert_int_equal(shutdown(server->listener, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    fd_closep(&server->listener);
    for (size_t i = 0; i < server->held_count; i++) {
        private_key_freep(&server->held[i]);
    }
}

static void check_last(struct server *server, enum err_code last, size_t held) {
    (void)pthread_mutex_lock(&server->lock);
    enum err_code got = server->last;
    size_t count = server->held_count;
    (void)pthread_mutex_unlock(&server->lock);
    assert_int_equal(got, last);
    assert_int_equal(count, held);
}

static void test_server_serves_ssh_add(void **state) {
    (void)state;
    struct server server;
    server_start(&server, "server");
    assert_int_equal(setenv("SSH_AUTH_SOCK", "server", 1), 0);
    assert_int_equal(fixture_run("ssh-add -l >/dev/null"), 1); /* "The agent has no identities." */
    for (size_t i = 0; i < COUNT_OF(key_names); i++) {
        run_ok("ssh-add -q %s", key_names[i]);
        check_last(&server, ERR_NONE, i + 1);
        run_ok("ssh-add -L | grep -qF \"$(cut -d' ' -f1,2 %s.pub) held here\"", key_names[i]);
        run_ok("ssh-add -T %s.pub", key_names[i]); /* signs and verifies */
    }
    size_t held = COUNT_OF(key_names);
    assert_int_equal(fixture_run("ssh-add -q -t 3600 -c ca 2>/dev/null"), 0);
    check_last(&server, ERR_NONE, ++held);
    assert_true(server.last_confirm);
    assert_int_equal(server.last_lifetime_s, 3600);
    /* A destination constraint that we could not keep must not be taken. */
    run_ok("echo \"host.example.org $(cut -d' ' -f1,2 ca.pub)\" >known_hosts");
    assert_int_not_equal(
        fixture_run("ssh-add -q -H known_hosts -h host.example.org ed25519 2>/dev/null"), 0);
    check_last(&server, ERR_OPTION_UNKNOWN, held);
    assert_int_not_equal(fixture_run("ssh-add -q -d rsa.pub 2>/dev/null"), 0);
    run_ok("ssh-add -q -D");
    assert_int_equal(server.removed, held);
    assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
    server_stop(&server);
}

static void test_server_signs_for_ssh_keygen(void **state) {
    (void)state;
    struct server server;
    server_start(&server, "server");
    assert_int_equal(setenv("SSH_AUTH_SOCK", "server", 1), 0);
    run_ok("echo text >text && mkdir -p elsewhere");
    for (size_t i = 0; i < COUNT_OF(key_names); i++) {
        const char *name = key_names[i];
        /* Away from the private key, so that the agent is what signs. */
        run_ok("ssh-add -q %s && cp %s.pub elsewhere/", name, name);
        run_ok("ssh-keygen -q -Y sign -f elsewhere/%s.pub -n file text 2>/dev/null", name);
        run_ok(
            "echo \"alice $(cat %s.pub)\" >signers && ssh-keygen -q -Y verify -f signers -I alice"
            " -n file -s text.sig <text >/dev/null && rm text.sig",
            name);
        run_ok("ssh-keygen -q -U -s elsewhere/%s.pub -I bob -n bob -z 9 elsewhere/ed25519.pub",
               name);
        struct cert *cert CLEANUP(cert_freep) = read_cert("elsewhere/ed25519");
        struct key *signer CLEANUP(key_freep) = read_key(name);
        assert_true(key_equal(cert->ca_key, signer));
        struct cert_verdict verdict =
            cert_verify(cert, &(struct cert_check){.type = CERT_USER,
                                                   .ca_keys = (const struct key *const[]){signer},
                                                   .ca_key_count = 1,
                                                   .now = 1900000000,
                                                   .principal = "bob"});
        assert_true(verdict.allowed);
    }
    assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
    server_stop(&server);
}

static void test_server_refuses_extensions(void **state) {
    (void)state;
    struct server server;
    server_start(&server, "server");
    struct agent_client *client CLEANUP(agent_client_closep) = open_agent("server");
    struct buf request CLEANUP(buf_done) = BUF(256);
    size_t mark;
    assert_ok(wire_string_begin(&request, &mark));
    assert_ok(wire_put_u8(&request, AGENT_EXTENSION));
    assert_ok(wire_put_text(&request, "session-bind@openssh.com"));
    wire_string_end(&request, mark);
    assert_fails(agent_get_success(call(client, &request)), ERR_REFUSED);
    check_last(&server, ERR_NONE, 0);
    assert_int_equal(count_identities(client), 0); /* the connection goes on */
    agent_client_closep(&client);
    server_stop(&server);
}

/* --- agents that misbehave --- */

struct misbehaviour {
    int listener;
    span_t answer;
    bool stays; /* keeps the connection open until the client goes */
};

static void *misbehave(void *context) {
    const struct misbehaviour *how = context;
    int fd CLEANUP(fd_closep) = accept4(how->listener, NULL, NULL, SOCK_CLOEXEC);
    uint8_t request[16];
    if (fd < 0 || read(fd, request, 5) != 5 ||
        send(fd, how->answer.data, how->answer.len, MSG_NOSIGNAL) != (ssize_t)how->answer.len) {
        return NULL;
    }
    while (how->stays && read(fd, request, sizeof(request)) > 0) {
    }
    return NULL;
}

static void test_client_survives_bad_agents(void **state) {
    (void)state;
    static const struct {
        span_t answer;
        bool stays;
        enum err_code code;
    } cases[] = {
        {SPAN_LITERAL(""), false, ERR_CLOSED},
        {SPAN_LITERAL("\0\0"), false, ERR_CLOSED},
        {SPAN_LITERAL("\0\0\0\5\x0c\0"), false, ERR_CLOSED},
        {SPAN_LITERAL("\0\0\0\0"), true, ERR_MALFORMED},
        {SPAN_LITERAL("\0\4\0\1"), true, ERR_TOO_LONG}, /* one more than the limit */
        {SPAN_LITERAL("\xff\xff\xff\xff"), true, ERR_TOO_LONG},
        {SPAN_LITERAL(""), true, ERR_TIMEOUT},
        {SPAN_LITERAL("\0\0\0\5\x0c\0\0"), true, ERR_TIMEOUT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct misbehaviour how = {listen_at("bad"), cases[i].answer, cases[i].stays};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, misbehave, &how), 0);
        struct agent_client *client CLEANUP(agent_client_closep) = open_agent("bad");
        struct buf request CLEANUP(buf_done) = BUF(64);
        span_t message;
        agent_client_set_timeout(client, cases[i].code == ERR_TIMEOUT ? 50 : AGENT_TIMEOUT_MS);
        assert_ok(agent_put_request_identities(&request));
        assert_fails(agent_client_call(client, &request, &message), cases[i].code);
        assert_fails(agent_client_call(client, &request, &message), ERR_CLOSED);
        assert_int_equal(pthread_join(thread, NULL), 0);
        fd_closep(&how.listener);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_requests_refused),
        cmocka_unit_test(test_requests_read),
        cmocka_unit_test(test_answers_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_golden_messages),
        cmocka_unit_test(test_client_uses_keys_of_ssh_add),
        cmocka_unit_test(test_client_adds),
        cmocka_unit_test(test_client_finds_the_agent),
        cmocka_unit_test(test_server_serves_ssh_add),
        cmocka_unit_test(test_server_signs_for_ssh_keygen),
        cmocka_unit_test(test_server_refuses_extensions),
        cmocka_unit_test(test_client_survives_bad_agents),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
