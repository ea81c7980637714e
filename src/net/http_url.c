#include "net/http_url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/inet.h"
#include "base/text.h"

static bool host_ok(const char *host, size_t len, bool bracketed) {
    static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-._";
    static const char v6_chars[] = "0123456789abcdefABCDEF:.";
    return len > 0 && len <= LIMIT_HOST_NAME_CHARS &&
           strspn(host, bracketed ? v6_chars : name_chars) >= len;
}

static bool port_ok(span_t text) {
    uint64_t port;
    return !failed(u64_parse(text, &port)) && port > 0 && port <= UINT16_MAX;
}

/* Cuts "host:port" or "[v6]:port" of `len` characters. */
static bool parse_authority(const char *text, size_t len, const char *default_port,
                            struct http_url *url) {
    bool bracketed = len > 0 && *text == '[';
    const char *host = text + (bracketed ? 1 : 0);
    const char *end = text + len;
    const char *host_end = memchr(host, bracketed ? ']' : ':', (size_t)(end - host));
    if (host_end == NULL) {
        host_end = bracketed ? host : end;
    }
    if (!host_ok(host, (size_t)(host_end - host), bracketed)) {
        return false;
    }
    const char *port = host_end + (bracketed ? 1 : 0);
    span_t port_text = span_str(default_port);
    if (port < end) {
        port_text = span_of(port + 1, (size_t)(end - port) - 1);
        if (*port != ':' || !port_ok(port_text)) {
            return false;
        }
    }
    (void)snprintf(url->host, sizeof url->host, "%.*s", (int)(host_end - host), host);
    (void)snprintf(url->port, sizeof url->port, "%.*s", (int)port_text.len,
                   (const char *)port_text.data);
    (void)snprintf(url->authority, sizeof url->authority, bracketed ? "[%s]:%s" : "%s:%s",
                   url->host, url->port);
    return true;
}

static bool is_loopback(const char *host) {
    struct inet_address address;
    struct inet_subnet v4;
    struct inet_subnet v6;
    if (strcasecmp(host, "localhost") == 0) {
        return true;
    }
    return !failed(inet_address_parse(span_str(host), &address)) &&
           !failed(inet_subnet_parse(SPAN_LITERAL("127.0.0.0/8"), &v4)) &&
           !failed(inet_subnet_parse(SPAN_LITERAL("::1"), &v6)) &&
           (inet_subnet_contains(&v4, &address) || inet_subnet_contains(&v6, &address));
}

/* A path that can stand in a request line as it is. */
static bool path_ok(const char *path, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (path[i] <= 0x20 || path[i] >= 0x7f || path[i] == '?' || path[i] == '#') {
            return false;
        }
    }
    return len < HTTP_URL_CHARS;
}

err_t http_url_parse(const char *text, struct http_url *out, struct fault *fault) {
    struct http_url url = {.tls = true};
    const char *rest = text;
    if (strncasecmp(rest, "https://", 8) == 0) {
        rest += 8;
    } else if (strncasecmp(rest, "http://", 7) == 0) {
        rest += 7;
        url.tls = false;
    } else {
        return fault_set(fault, ERR_MALFORMED, "url", "\"%s\" does not begin with https://", text);
    }
    size_t authority_len = strcspn(rest, "/?#");
    const char *path = rest + authority_len;
    size_t path_len = strlen(path);
    while (path_len > 0 && path[path_len - 1] == '/') {
        path_len--;
    }
    if (!parse_authority(rest, authority_len, url.tls ? "443" : "80", &url) ||
        !path_ok(path, path_len)) {
        return fault_set(fault, ERR_MALFORMED, "url", "\"%s\" is not https://HOST[:PORT][/PATH]",
                         text);
    }
    if (!url.tls && !is_loopback(url.host)) {
        return fault_set(fault, ERR_MALFORMED, "url",
                         "http:// would send secrets in clear text; use https://%s", rest);
    }
    (void)snprintf(url.prefix, sizeof url.prefix, "%.*s", (int)path_len, path);
    *out = url;
    return OK;
}

static bool name_covers(span_t name, const char *host) {
    while (name.len > 0 && (name.data[0] == '.' || name.data[0] == '*')) {
        name = span_of(name.data + 1, name.len - 1);
    }
    size_t host_len = strlen(host);
    if (name.len == 0 || host_len < name.len) {
        return false;
    }
    const char *tail = host + host_len - name.len;
    return strncasecmp(tail, (const char *)name.data, name.len) == 0 &&
           (tail == host || tail[-1] == '.');
}

bool http_url_exempt(const char *no_proxy, const char *host) {
    struct inet_address address;
    bool is_address = !failed(inet_address_parse(span_str(host), &address));
    for (const char *at = no_proxy; *at != '\0';) {
        at += strspn(at, ", \t");
        span_t entry = span_of(at, strcspn(at, ", \t"));
        at += entry.len;
        struct inet_subnet subnet;
        if (span_equal_str(entry, "*") ||
            (is_address && !failed(inet_subnet_parse(entry, &subnet)) &&
             inet_subnet_contains(&subnet, &address)) ||
            (!is_address && name_covers(entry, host))) {
            return true;
        }
    }
    return false;
}

static const char *environment(const char *const names[], size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0') {
            return value;
        }
    }
    return NULL;
}

/* Percent-decodes; false for malformed or too long text. */
static bool decode_credentials(span_t text, char *out, size_t size) {
    struct buf decoded CLEANUP(buf_done) = BUF(size - 1);
    for (size_t i = 0; i < text.len; i++) {
        bool encoded = text.data[i] == '%';
        span_t digits = span_of(text.data + i + 1, 2);
        if (encoded && (text.len - i < 3 || failed(hex_decode(digits, &decoded)))) {
            return false;
        }
        if (!encoded && failed(buf_add_byte(&decoded, text.data[i]))) {
            return false;
        }
        i += encoded ? 2 : 0;
    }
    if (decoded.len == 0 || memchr(decoded.data, '\0', decoded.len) != NULL) {
        return decoded.len == 0;
    }
    memcpy(out, decoded.data, decoded.len); /* the rest is zero */
    return true;
}

err_t http_url_proxy(const struct http_url *server, bool *used, struct http_url *out,
                     struct fault *fault) {
    static const char *const proxy_names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                              "ALL_PROXY"};
    static const char *const no_proxy_names[] = {"no_proxy", "NO_PROXY"};
    const char *text = environment(proxy_names, COUNT_OF(proxy_names));
    const char *no_proxy = environment(no_proxy_names, COUNT_OF(no_proxy_names));
    if (text == NULL || !server->tls ||
        (no_proxy != NULL && http_url_exempt(no_proxy, server->host))) {
        *used = false;
        return OK;
    }
    const char *rest = text;
    const char *scheme_end = strstr(text, "://");
    if (scheme_end != NULL) {
        rest = scheme_end + 3;
        if (strncasecmp(text, "http://", 7) != 0) {
            return fault_set(fault, ERR_UNSUPPORTED, "https_proxy",
                             "a proxy with \"%.*s\" is not supported; use http://",
                             (int)(rest - text), text);
        }
    }
    struct http_url url = {0};
    size_t len = strcspn(rest, "/");
    const char *at_sign = memrchr(rest, '@', len);
    if (at_sign != NULL) {
        size_t credentials_len = (size_t)(at_sign - rest);
        if (!decode_credentials(span_of(rest, credentials_len), url.credentials,
                                sizeof url.credentials)) {
            return fault_set(fault, ERR_MALFORMED, "https_proxy", "the credentials are malformed");
        }
        rest = at_sign + 1;
        len -= credentials_len + 1;
    }
    if (!parse_authority(rest, len, "3128", &url)) {
        return fault_set(fault, ERR_MALFORMED, "https_proxy", "\"%.*s\" is not HOST:PORT", (int)len,
                         rest);
    }
    *out = url;
    *used = true;
    return OK;
}
