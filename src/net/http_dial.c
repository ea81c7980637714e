#include "net/http_dial.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/inet.h"
#include "base/text.h"
#include "net/http_message.h"

static void x509_freep(X509 **x509) { X509_free(*x509); }

const char *http_dial_errno_text(int errnum, char out[96]) {
    (void)snprintf(out, 96, "%s", strerror(errnum));
    out[0] = (char)tolower((unsigned char)out[0]);
    return out;
}

static err_t wait_fd(int fd, short events, int64_t deadline_ms) {
    for (;;) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0) {
            return FAIL(ERR_TIMEOUT);
        }
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int ready = poll(&poll_fd, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (ready > 0) {
            return OK;
        }
        if (ready < 0 && errno != EINTR) {
            return FAIL(ERR_IO);
        }
    }
}

err_t http_dial_wait(const struct stream *stream, enum stream_result want, int64_t deadline_ms) {
    return wait_fd(stream->fd, want == STREAM_WANT_WRITE ? POLLOUT : POLLIN, deadline_ms);
}

/* One address; *errnum tells why not. */
static bool connect_one(const struct addrinfo *address, int64_t deadline_ms, int *out,
                        int *errnum) {
    static const int on = 1;
    int fd CLEANUP(fd_closep) =
        socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *errnum = errno;
    if (fd < 0) {
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        *errnum = errno;
        if (*errnum != EINPROGRESS) {
            return false;
        }
        if (failed(wait_fd(fd, POLLOUT, deadline_ms))) {
            *errnum = ETIMEDOUT;
            return false;
        }
        socklen_t len = sizeof *errnum;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, errnum, &len) != 0 || *errnum != 0) {
            return false;
        }
    }
    *out = fd;
    fd = -1;
    return true;
}

static err_t connect_any(const struct http_url *to, const char *role, int64_t deadline_ms, int *out,
                         struct fault *fault) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    /* RFC 6761 section 6.3: localhost is the loopback, and no name server is asked about it. */
    const char *host = strcasecmp(to->host, "localhost") == 0 ? NULL : to->host;
    int failure = getaddrinfo(host, to->port, &hints, &addresses);
    if (failure != 0) {
        return fault_set(fault, ERR_CONNECT, to->authority, "cannot find the address of %s%s: %s",
                         role, to->host, gai_strerror(failure));
    }
    int left = 0;
    for (struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
        left++;
    }
    int errnum = 0;
    bool connected = false;
    for (struct addrinfo *at = addresses; at != NULL && !connected; at = at->ai_next, left--) {
        /* The addresses share the time that is left, so that a silent one does not take it all. */
        int64_t now_ms = clock_monotonic_ms();
        int64_t share_ms = now_ms + (deadline_ms - now_ms) / left;
        connected = connect_one(at, share_ms, out, &errnum);
    }
    freeaddrinfo(addresses);
    if (connected) {
        return OK;
    }
    char text[96];
    return fault_set(fault, errnum == ETIMEDOUT ? ERR_TIMEOUT : ERR_CONNECT, to->authority,
                     "cannot connect to %s%s: %s", role, to->authority,
                     http_dial_errno_text(errnum, text));
}

static err_t send_all(struct stream *stream, span_t bytes, int64_t deadline_ms) {
    while (bytes.len > 0) {
        size_t done;
        enum stream_result result = stream_write(stream, bytes.data, bytes.len, &done);
        if (result == STREAM_END || result == STREAM_FAILED) {
            return FAIL(ERR_CLOSED);
        }
        if (result != STREAM_OK) {
            TRY(http_dial_wait(stream, result, deadline_ms));
        }
        bytes = span_of(bytes.data + done, bytes.len - done);
    }
    return OK;
}

/* Byte by byte, since what follows the head is not ours to read. */
static err_t read_connect_answer(struct stream *stream, int64_t deadline_ms, unsigned *status) {
    char text[4096];
    size_t len = 0;
    size_t scanned = 0;
    while (http_head_length(text, len, &scanned) == 0) {
        size_t done;
        if (len == sizeof text) {
            return FAIL(ERR_TOO_LONG);
        }
        enum stream_result result = stream_read(stream, text + len, 1, &done);
        if (result == STREAM_END || result == STREAM_FAILED) {
            return FAIL(ERR_CLOSED);
        }
        if (result != STREAM_OK) {
            TRY(http_dial_wait(stream, result, deadline_ms));
        }
        len += done;
    }
    struct http_head head;
    TRY(http_head_parse_answer(text, len, true, &head));
    *status = head.status;
    return OK;
}

static err_t connect_request(const struct http_dial *dial, struct buf *out) {
    const char *server = dial->server->authority;
    TRY(buf_add_format(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", server, server));
    if (dial->proxy->credentials[0] != '\0') {
        TRY(buf_add_str(out, "Proxy-Authorization: Basic "));
        TRY(base64_encode(span_str(dial->proxy->credentials), BASE64_STANDARD, out));
        TRY(buf_add_str(out, "\r\n"));
    }
    return buf_add_str(out, "\r\n");
}

static err_t pass_proxy(const struct http_dial *dial, struct stream *stream, struct fault *fault) {
    struct buf request CLEANUP(buf_done) = BUF(4096);
    unsigned status = 0;
    TRY(connect_request(dial, &request));
    err_t err = send_all(stream, buf_span(&request), dial->deadline_ms);
    if (!failed(err)) {
        err = read_connect_answer(stream, dial->deadline_ms, &status);
    }
    const char *proxy = dial->proxy->authority;
    if (failed(err)) {
        return fault_set(fault, err.code == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_PROTOCOL, proxy,
                         "the proxy %s gives no proper answer: %s", proxy, err_text(err));
    }
    if (status == 407) {
        return fault_set(fault, ERR_CONNECT, proxy,
                         "the proxy %s wants credentials: https_proxy=http://USER:PASSWORD@%s",
                         proxy, proxy);
    }
    if (status / 100 != 2) {
        return fault_set(fault, ERR_CONNECT, proxy,
                         "the proxy %s does not connect to %s (status %u)", proxy,
                         dial->server->authority, status);
    }
    return OK;
}

/* "localhost, 127.0.0.1": whom a certificate is for. */
static void names_of(const X509 *x509, char *out, size_t size) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && len < size; i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        span_t bytes = span_of(NULL, 0);
        char text[INET_CHARS];
        struct inet_address address = {0};
        if (type == GEN_DNS || type == GEN_IPADD) {
            bytes = span_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        }
        if (type == GEN_IPADD && bytes.len <= sizeof address.bytes) {
            memcpy(address.bytes, bytes.data, bytes.len);
            address.family_bits = (uint8_t)(bytes.len * 8);
            inet_address_print(&address, text);
            bytes = span_str(text);
        }
        if (bytes.len > 0 && text_is_printable(bytes)) {
            len += (size_t)snprintf(out + len, size - len, "%s%.*s", len == 0 ? "" : ", ",
                                    (int)bytes.len, (const char *)bytes.data);
        }
    }
    GENERAL_NAMES_free(names);
    if (out[0] == '\0') {
        (void)snprintf(out, size, "nobody");
    }
}

static void time_of(const ASN1_TIME *time, char out[TIME_CHARS]) {
    struct tm utc = {0};
    (void)ASN1_TIME_to_tm(time, &utc);
    time_print_utc((int64_t)timegm(&utc), out);
}

/* Keeps the certificate that verification stumbled over; the SSL's app data says where. */
static int on_verify(int verified, X509_STORE_CTX *context) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 **refused = SSL_get_app_data(ssl);
    X509 *current = X509_STORE_CTX_get_current_cert(context);
    if (verified == 0 && current != NULL && *refused == NULL && X509_up_ref(current) == 1) {
        *refused = current;
    }
    return verified;
}

static err_t verify_fault(const X509 *x509, long result, const char *host, const char *where,
                          struct fault *fault) {
    char names[200] = "nobody";
    char from[TIME_CHARS] = "-";
    char until[TIME_CHARS] = "-";
    if (x509 != NULL) {
        names_of(x509, names, sizeof names);
        time_of(X509_get0_notBefore(x509), from);
        time_of(X509_get0_notAfter(x509), until);
    }
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return fault_set(fault, ERR_TLS, where, "the certificate of %s has expired (%s)", where,
                         until);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return fault_set(
            fault, ERR_TLS, where,
            "the certificate of %s is valid from %s on; is this machine's clock right?", where,
            from);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return fault_set(fault, ERR_TLS, where, "the certificate of %s is for %s, not for %s",
                         where, names, host);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return fault_set(fault, ERR_TLS, where,
                         "the certificate of %s is not from a CA that is trusted here", where);
    default:
        return fault_set(fault, ERR_TLS, where, "the certificate of %s is refused: %s", where,
                         X509_verify_cert_error_string(result));
    }
}

/* An address is compared with the certificate's addresses, a name with its names. */
static err_t expect_host(SSL *ssl, const char *host) {
    struct inet_address address;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (!failed(inet_address_parse(span_str(host), &address))) {
        char text[INET_CHARS];
        inet_address_print(&address, text);
        return X509_VERIFY_PARAM_set1_ip_asc(param, text) == 1 ? OK : FAIL(ERR_CRYPTO);
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    char name[LIMIT_HOST_NAME_CHARS + 1]; /* OpenSSL's macro takes it without const */
    (void)snprintf(name, sizeof name, "%s", host);
    bool done = SSL_set_tlsext_host_name(ssl, name) == 1 &&
                X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
    return done ? OK : FAIL(ERR_CRYPTO);
}

static err_t check_pin(const struct http_dial *dial, SSL *ssl, struct fault *fault) {
    X509 *x509 CLEANUP(x509_freep) = SSL_get1_peer_certificate(ssl);
    uint8_t *der = NULL;
    uint8_t hash[EVP_MAX_MD_SIZE];
    int len = x509 == NULL ? -1 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
    bool hashed = len > 0 && EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    if (!hashed) {
        return FAIL(ERR_CRYPTO);
    }
    if (memcmp(hash, dial->pin, 32) != 0) {
        const char *where = dial->server->authority;
        return fault_set(fault, ERR_TLS, where,
                         "the key of %s is not the pinned one; somebody may be in between", where);
    }
    return OK;
}

static err_t handshake_fault(const struct http_dial *dial, const struct stream *stream, err_t err,
                             const X509 *refused, struct fault *fault) {
    const char *where = dial->server->authority;
    long verified = SSL_get_verify_result(stream->ssl);
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    if (err.code == ERR_TIMEOUT) {
        return fault_set(fault, ERR_TIMEOUT, where, "%s does not answer in time", where);
    }
    if (verified != X509_V_OK) {
        return verify_fault(refused, verified, dial->server->host, where, fault);
    }
    if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
        return fault_set(fault, ERR_PROTOCOL, where, "%s does not speak TLS", where);
    }
    return fault_set(fault, ERR_CLOSED, where, "the TLS handshake with %s failed: %s", where,
                     reason == NULL ? "the connection was closed" : reason);
}

static err_t start_tls(const struct http_dial *dial, struct stream *stream, struct fault *fault) {
    TRY(stream_attach_tls(stream, dial->tls));
    SSL_set_connect_state(stream->ssl);
    TRY(expect_host(stream->ssl, dial->server->host));
    X509 *refused CLEANUP(x509_freep) = NULL;
    if (SSL_set_app_data(stream->ssl, &refused) != 1) {
        return FAIL(ERR_MEMORY);
    }
    SSL_set_verify(stream->ssl, dial->unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, on_verify);
    for (enum stream_result result; (result = stream_handshake(stream)) != STREAM_OK;) {
        err_t err = FAIL(ERR_TLS);
        if (result == STREAM_WANT_READ || result == STREAM_WANT_WRITE) {
            err = http_dial_wait(stream, result, dial->deadline_ms);
        }
        if (failed(err)) {
            return handshake_fault(dial, stream, err, refused, fault);
        }
    }
    (void)SSL_set_app_data(stream->ssl, NULL); /* verification is over; `refused` ends here */
    return dial->pin == NULL ? OK : check_pin(dial, stream->ssl, fault);
}

static void stream_closep(struct stream *stream) { stream_close(stream); }

err_t http_dial(const struct http_dial *dial, struct stream *out, struct fault *fault) {
    struct stream stream CLEANUP(stream_closep) = {.fd = -1};
    if (dial->proxy != NULL) {
        TRY(connect_any(dial->proxy, "the proxy ", dial->deadline_ms, &stream.fd, fault));
        TRY(pass_proxy(dial, &stream, fault));
    } else {
        TRY(connect_any(dial->server, "", dial->deadline_ms, &stream.fd, fault));
    }
    if (dial->tls != NULL) {
        TRY(start_tls(dial, &stream, fault));
    }
    *out = stream;
    stream = (struct stream){.fd = -1};
    return OK;
}
