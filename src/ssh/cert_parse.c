/* From bytes to a struct cert, every invariant of cert.h held. */
#include "base/limits.h"
#include "ssh/cert_internal.h"
#include "ssh/key_internal.h"
#include "ssh/wire.h"

static err_t get_subject(span_t *from, struct cert *cert) {
    span_t name;
    span_t nonce;
    TRY(wire_get_string(from, &name));
    if (!key_name_is_cert(name)) {
        return FAIL(ERR_KEY_NOT_CERT);
    }
    const struct key_kind *kind = key_kind_by_cert_name(name);
    if (kind == NULL) {
        return FAIL(span_equal_str(name, "ssh-dss-cert-v01@openssh.com") ? ERR_KEY_DSA
                                                                         : ERR_KEY_TYPE);
    }
    TRY(wire_get_string(from, &nonce));
    if (nonce.len != sizeof cert->nonce) {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(cert->nonce, nonce.data, nonce.len);
    return key_from_fields(kind, from, &cert->key);
}

static err_t get_type_and_id(span_t *from, struct cert *cert) {
    uint32_t type;
    span_t key_id;
    TRY(wire_get_u64(from, &cert->serial));
    TRY(wire_get_u32(from, &type));
    if (type != CERT_USER && type != CERT_HOST) {
        return FAIL(ERR_RANGE);
    }
    cert->type = (enum cert_type)type;
    TRY(wire_get_text(from, &key_id));
    if (key_id.len > LIMIT_KEY_ID_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    return span_to_str(key_id, &cert->key_id);
}

static err_t get_principals(span_t *from, struct cert *cert) {
    span_t list;
    TRY(wire_get_string(from, &list));
    while (list.len != 0) {
        span_t principal;
        TRY(wire_get_string(&list, &principal));
        TRY(cert_principal_check_shown(principal));
        for (size_t i = 0; i < cert->principal_count; i++) {
            if (span_equal_str(principal, cert->principals[i])) {
                return FAIL(ERR_DUPLICATE);
            }
        }
        TRY(cert_add_principal_unchecked(cert, principal));
    }
    return OK;
}

static err_t get_validity(span_t *from, struct cert *cert) {
    TRY(wire_get_u64(from, &cert->valid_after));
    TRY(wire_get_u64(from, &cert->valid_before));
    return cert->valid_after <= cert->valid_before ? OK : FAIL(ERR_RANGE);
}

/* A value is a string inside the string, and nothing behind it. */
static err_t get_option_value(span_t data, span_t *value) {
    span_t text;
    TRY(wire_get_text(&data, &text));
    TRY(wire_expect_end(data));
    *value = text;
    return OK;
}

static err_t get_options(span_t *from, struct cert_option **options, size_t *count) {
    span_t list;
    TRY(wire_get_string(from, &list));
    span_t before = span_of(NULL, 0);
    while (list.len != 0) {
        span_t name;
        span_t data;
        span_t value = span_of(NULL, 0);
        TRY(wire_get_text(&list, &name));
        TRY(wire_get_string(&list, &data));
        bool flag = data.len == 0;
        if (!flag) {
            TRY(get_option_value(data, &value));
        }
        TRY(cert_option_check(name, flag ? NULL : &value));
        /* "Options must be lexically ordered by name if they appear in the sequence. Each named
         * option may only appear once." */
        int order = span_compare(before, name);
        if (order >= 0) {
            return FAIL(order == 0 ? ERR_DUPLICATE : ERR_ORDER);
        }
        TRY(cert_insert_option(options, count, *count, name, flag ? NULL : &value));
        before = name;
    }
    return OK;
}

static err_t get_tbs(span_t *from, struct cert *cert) {
    span_t reserved;
    span_t ca_key;
    TRY(get_subject(from, cert));
    TRY(get_type_and_id(from, cert));
    TRY(get_principals(from, cert));
    TRY(get_validity(from, cert));
    TRY(get_options(from, &cert->critical_options, &cert->critical_option_count));
    TRY(get_options(from, &cert->extensions, &cert->extension_count));
    TRY(wire_get_string(from, &reserved)); /* "currently unused and is ignored" */
    TRY(wire_get_string(from, &ca_key));
    /* Refuses a certificate as CA key: chains are not supported, and parsing them would recurse. */
    TRY(key_parse(ca_key, &cert->ca_key));
    return key_type(cert->ca_key) == KEY_UNKNOWN ? FAIL(ERR_KEY_TYPE) : OK;
}

static err_t parse(span_t bytes, bool is_signed, struct cert **out) {
    if (bytes.len > LIMIT_CERT_BLOB_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    struct cert *cert CLEANUP(cert_freep) = NULL;
    TRY(cert_new_empty(&cert));
    span_t rest = bytes;
    TRY(get_tbs(&rest, cert));
    cert->tbs_len = bytes.len - rest.len;
    if (is_signed) {
        span_t signature;
        TRY(wire_get_string(&rest, &signature));
    }
    TRY(wire_expect_end(rest));
    TRY(buf_add(&cert->blob, bytes));
    *out = TAKE(cert);
    return OK;
}

err_t cert_parse(span_t blob, struct cert **out) { return parse(blob, true, out); }

err_t cert_parse_tbs(span_t tbs, struct cert **out) { return parse(tbs, false, out); }

span_t cert_signature(const struct cert *cert) {
    span_t rest = span_of(cert->blob.data + cert->tbs_len, cert->blob.len - cert->tbs_len);
    span_t signature = span_of(NULL, 0);
    /* An unsigned certificate has none. */
    ignore_err(wire_get_string(&rest, &signature));
    return signature;
}

err_t cert_parse_line(span_t line, struct cert **out, span_t *comment) {
    struct buf blob CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    span_t name;
    span_t text;
    TRY(key_line_split(line, LIMIT_CERT_LINE_CHARS, &name, &blob, &text));
    TRY(cert_parse(buf_span(&blob), out));
    if (comment != NULL) {
        *comment = text;
    }
    return OK;
}

bool cert_is_blob(span_t blob) {
    span_t rest = blob;
    span_t name;
    if (!failed(wire_get_string(&rest, &name))) {
        return key_name_is_cert(name);
    }
    /* A line: its first word. */
    size_t start = 0;
    while (start < blob.len && strchr(" \t\r\n", blob.data[start]) != NULL &&
           blob.data[start] != '\0') {
        start++;
    }
    size_t end = start;
    while (end < blob.len && blob.data[end] > ' ') {
        end++;
    }
    return end > start && key_name_is_cert(span_of(blob.data + start, end - start));
}
