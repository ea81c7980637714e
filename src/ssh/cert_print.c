/* A certificate as `ssh-keygen -L` shows it. What stands in the certificate was written by others:
 * control characters come out as octal escapes, where ssh-keygen lets them through. */
#include <time.h>

#include "base/limits.h"
#include "base/text.h"
#include "ssh/cert_internal.h"
#include "ssh/key_internal.h"
#include "ssh/wire.h"

enum { MOMENT_CHARS = 40 };

static err_t add_escaped(struct buf *out, const char *text) {
    uint8_t before = 0;
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        uint8_t next = (uint8_t)text[1];
        /* U+0080 to U+009F as UTF-8 has them: U+009B starts an escape sequence as ESC [ does. */
        bool c1 = (byte == 0xc2 && next >= 0x80 && next < 0xa0) ||
                  (before == 0xc2 && byte >= 0x80 && byte < 0xa0);
        TRY(byte < ' ' || byte == 0x7f || c1 ? buf_add_format(out, "\\%03o", byte)
                                             : buf_add_byte(out, byte));
        before = byte;
    }
    return OK;
}

static void print_moment(uint64_t moment, char out[MOMENT_CHARS]) {
    struct tm parts;
    time_t when = (time_t)moment;
    if (moment > INT64_MAX || localtime_r(&when, &parts) == NULL ||
        strftime(out, MOMENT_CHARS, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        /* Beyond what a calendar can say. */
        (void)snprintf(out, MOMENT_CHARS, "%llu", (unsigned long long)moment);
    }
}

static err_t add_validity(const struct cert *cert, struct buf *out) {
    char from[MOMENT_CHARS];
    char to[MOMENT_CHARS];
    print_moment(cert->valid_after, from);
    print_moment(cert->valid_before, to);
    if (cert->valid_after == 0 && cert->valid_before == CERT_FOREVER) {
        return buf_add_str(out, "forever");
    }
    if (cert->valid_after == 0) {
        return buf_add_format(out, "before %s", to);
    }
    if (cert->valid_before == CERT_FOREVER) {
        return buf_add_format(out, "after %s", from);
    }
    return buf_add_format(out, "from %s to %s", from, to);
}

static err_t add_principals(const struct cert *cert, struct buf *out) {
    if (cert->principal_count == 0) {
        return buf_add_str(out, "        Principals: (none)\n");
    }
    TRY(buf_add_str(out, "        Principals: \n"));
    for (size_t i = 0; i < cert->principal_count; i++) {
        TRY(buf_add_str(out, "                "));
        TRY(add_escaped(out, cert->principals[i]));
        TRY(buf_add_byte(out, '\n'));
    }
    return OK;
}

static bool is_one_of(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static err_t add_unknown_value(const char *value, struct buf *out) {
    struct buf data CLEANUP(buf_done) = BUF(LIMIT_CERT_BLOB_BYTES);
    TRY(wire_put_text(&data, value));
    TRY(buf_add_str(out, " UNKNOWN OPTION: "));
    TRY(hex_encode(buf_span(&data), out));
    return buf_add_format(out, " (len %zu)", data.len);
}

static err_t add_option(const struct cert_option *option, bool critical, struct buf *out) {
    static const char *const extensions[] = {"permit-X11-forwarding",  "permit-agent-forwarding",
                                             "permit-port-forwarding", "permit-pty",
                                             "permit-user-rc",         "no-touch-required"};
    static const char *const flags[] = {"verify-required"};
    static const char *const valued[] = {"force-command", "source-address"};
    TRY(buf_add_str(out, "                "));
    TRY(add_escaped(out, option->name));
    bool known_flag = critical ? is_one_of(option->name, flags, COUNT_OF(flags))
                               : is_one_of(option->name, extensions, COUNT_OF(extensions));
    if (critical && option->value != NULL && is_one_of(option->name, valued, COUNT_OF(valued))) {
        TRY(buf_add_byte(out, ' '));
        TRY(add_escaped(out, option->value));
    } else if (option->value != NULL) {
        TRY(add_unknown_value(option->value, out));
    } else if (!known_flag) {
        TRY(buf_add_str(out, " UNKNOWN FLAG OPTION"));
    }
    return buf_add_byte(out, '\n');
}

static err_t add_options(const char *title, const struct cert_option *options, size_t count,
                         bool critical, struct buf *out) {
    TRY(buf_add_format(out, "        %s: %s\n", title, count == 0 ? "(none)" : ""));
    for (size_t i = 0; i < count; i++) {
        TRY(add_option(&options[i], critical, out));
    }
    return OK;
}

static err_t add_keys(const struct cert *cert, struct buf *out) {
    char subject[FINGERPRINT_CHARS];
    char ca[FINGERPRINT_CHARS];
    span_t signature = cert_signature(cert);
    span_t algorithm = span_of(NULL, 0);
    /* Nothing to tell of a certificate that is not signed, or not in the form of a signature. */
    ignore_err(wire_get_string(&signature, &algorithm));
    if (!text_is_printable(algorithm)) {
        algorithm = span_of(NULL, 0);
    }
    const struct key_kind *kind = key_kind_of(key_type(cert->key));
    INVARIANT(kind != NULL && cert->ca_key != NULL);
    key_fingerprint(cert->key, subject);
    key_fingerprint(cert->ca_key, ca);
    TRY(buf_add_format(out, "        Type: %s %s certificate\n", kind->cert_name,
                       cert->type == CERT_USER ? "user" : "host"));
    TRY(buf_add_format(out, "        Public key: %s-CERT %s\n", kind->display, subject));
    return buf_add_format(out, "        Signing CA: %s %s (using %.*s)\n",
                          key_type_display(cert->ca_key), ca, (int)algorithm.len,
                          algorithm.len == 0 ? "" : (const char *)algorithm.data);
}

static err_t print_long(const struct cert *cert, struct buf *out) {
    TRY(add_keys(cert, out));
    TRY(buf_add_str(out, "        Key ID: \""));
    TRY(add_escaped(out, cert->key_id == NULL ? "" : cert->key_id));
    TRY(buf_add_format(
        out, "\"\n        Serial: %llu\n        Valid: ", (unsigned long long)cert->serial));
    TRY(add_validity(cert, out));
    TRY(buf_add_byte(out, '\n'));
    TRY(add_principals(cert, out));
    TRY(add_options("Critical Options", cert->critical_options, cert->critical_option_count, true,
                    out));
    return add_options("Extensions", cert->extensions, cert->extension_count, false, out);
}

err_t cert_print_long(const struct cert *cert, struct buf *out) {
    size_t before = out->len;
    err_t err = print_long(cert, out);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}

err_t cert_print_line(const struct cert *cert, const char *comment, struct buf *out) {
    const struct key_kind *kind = key_kind_of(key_type(cert->key));
    INVARIANT(kind != NULL);
    return key_line_print(kind->cert_name, buf_span(&cert->blob), comment, out);
}
