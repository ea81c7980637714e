/* The version exchange (RFC 4253 section 4.2). */
#include "base/text.h"
#include "transport/transport_internal.h"

err_t transport_version_send(const struct transport *transport, struct buf *out) {
    TRY(buf_add_str(out, EXCHANGE_VERSION_PREFIX));
    TRY(buf_add_str(out, transport->config->software));
    return buf_add_str(out, "\r\n");
}

static bool starts_with(span_t line, const char *prefix) {
    size_t len = strlen(prefix);
    return line.len >= len && memcmp(line.data, prefix, len) == 0;
}

/* Cuts a line off, without its LF or CR LF. */
static err_t cut_line(struct transport_input *input, span_t *line, bool *taken) {
    size_t len = input->len < LIMIT_VERSION_LINE_BYTES ? input->len : LIMIT_VERSION_LINE_BYTES;
    const uint8_t *end = len == 0 ? NULL : memchr(input->data, '\n', len);
    if (end == NULL) {
        *taken = false;
        return len == LIMIT_VERSION_LINE_BYTES ? FAIL(ERR_TOO_LONG) : OK;
    }
    *line = span_of(input->data, (size_t)(end - input->data));
    input->data += line->len + 1;
    input->len -= line->len + 1;
    if (line->len > 0 && line->data[line->len - 1] == '\r') {
        line->len--;
    }
    *taken = true;
    return OK;
}

err_t transport_version_take(struct transport *transport, struct transport_input *input,
                             bool *taken) {
    bool is_client = transport->config->role == TRANSPORT_CLIENT;
    span_t line;
    TRY(cut_line(input, &line, taken));
    if (!*taken) {
        return OK;
    }
    if (is_client && !starts_with(line, "SSH-")) {
        /* Whatever a server has to say first. */
        transport->lines++;
        return transport->lines <= LIMIT_VERSION_LINES_COUNT ? OK : FAIL(ERR_TOO_LONG);
    }
    if (!starts_with(line, EXCHANGE_VERSION_PREFIX) &&
        !(is_client && starts_with(line, "SSH-1.99-"))) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (!text_is_printable(line)) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(span_to_str(line, &transport->peer_version));
    transport->state = STATE_KEXINIT_DUE;
    return OK;
}
