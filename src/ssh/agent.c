#include "ssh/agent.h"

#include "base/limits.h"
#include "ssh/wire.h"

/* RFC 9987 section 3.2.7, and OpenSSH's PROTOCOL.agent */
enum { CONSTRAIN_LIFETIME = 1, CONSTRAIN_CONFIRM = 2 };

/*
 * The private keys of ADD_IDENTITY have no length of their own: one must know the fields of each
 * type. 's' is a string or mpint, 'b' a byte. A certificate's form is the certificate and then the
 * plain form without the first `implied` fields, which the certificate tells.
 */
static const struct key_form {
    const char *name;
    const char *cert_name;
    const char *fields;
    size_t implied;
} key_forms[] = {
    /* public, private */
    {"ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", "ss", 0},
    /* curve, public, private */
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", "sss", 2},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", "sss", 2},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", "sss", 2},
    /* n, e, d, iqmp, p, q */
    {"ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "ssssss", 2},
    /* public, application, flags, handle, reserved */
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", "ssbss", 0},
    /* curve, public, application, flags, handle, reserved */
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sssbss",
     2},
};

static err_t skip_fields(span_t *from, const char *fields) {
    for (; *fields != '\0'; fields++) {
        span_t string;
        uint8_t byte;
        if (*fields == 'b') {
            TRY(wire_get_u8(from, &byte));
        } else {
            TRY(wire_get_string(from, &string));
        }
    }
    return OK;
}

/* Takes a private key's whole form, of a plain key or a certificate. */
static err_t get_private_key(span_t *from, span_t *out) {
    span_t rest = *from;
    span_t name;
    span_t cert;
    TRY(wire_get_string(&rest, &name));
    for (size_t i = 0; i < COUNT_OF(key_forms); i++) {
        const struct key_form *form = &key_forms[i];
        if (span_equal_str(name, form->name)) {
            TRY(skip_fields(&rest, form->fields));
        } else if (span_equal_str(name, form->cert_name)) {
            TRY(wire_get_string(&rest, &cert));
            TRY(skip_fields(&rest, form->fields + form->implied));
        } else {
            continue;
        }
        *out = span_of(from->data, from->len - rest.len);
        *from = rest;
        return OK;
    }
    return FAIL(ERR_KEY_TYPE);
}

/* Framing. */

err_t agent_get_frame(span_t *stream, span_t *message) {
    span_t rest = *stream;
    uint32_t len;
    TRY(wire_get_u32(&rest, &len));
    if (len == 0) {
        return FAIL(ERR_MALFORMED);
    }
    if (len > LIMIT_AGENT_MESSAGE_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(wire_get_bytes(&rest, len, message));
    *stream = rest;
    return OK;
}

/* A message is composed in `out` behind its length; put_end() takes it back where that failed. */
struct frame {
    struct buf *out;
    size_t before;
    size_t mark;
};

static err_t put_begin(struct frame *frame, struct buf *out, enum agent_message type) {
    *frame = (struct frame){.out = out, .before = out->len};
    err_t err = wire_string_begin(out, &frame->mark);
    if (!failed(err)) {
        err = wire_put_u8(out, (uint8_t)type);
    }
    if (failed(err)) {
        out->len = frame->before;
    }
    return err;
}

static err_t put_end(struct frame *frame, err_t body) {
    struct buf *out = frame->out;
    if (!failed(body) && out->len - frame->mark > LIMIT_AGENT_MESSAGE_BYTES) {
        body = FAIL(ERR_TOO_LONG);
    }
    if (failed(body)) {
        out->len = frame->before;
        return body;
    }
    wire_string_end(out, frame->mark);
    return OK;
}

static err_t put_bare(struct buf *out, enum agent_message type) {
    struct frame frame;
    TRY(put_begin(&frame, out, type));
    return put_end(&frame, OK);
}

/* Requests, as the server reads them. */

/* RFC 9987: "If the agent does not recognise or support a requested constraint it MUST refuse the
 * request and return a SSH_AGENT_FAILURE". "restrict-destination-v00@openssh.com" is one of those.
 */
static err_t get_constraints(span_t from, struct agent_request *out) {
    while (from.len > 0) {
        uint8_t type;
        TRY(wire_get_u8(&from, &type));
        if (type == CONSTRAIN_LIFETIME && !out->has_lifetime) {
            TRY(wire_get_u32(&from, &out->lifetime_s));
            out->has_lifetime = true;
        } else if (type == CONSTRAIN_CONFIRM && !out->confirm) {
            out->confirm = true;
        } else {
            bool is_known = type == CONSTRAIN_LIFETIME || type == CONSTRAIN_CONFIRM;
            return FAIL(is_known ? ERR_DUPLICATE : ERR_OPTION_UNKNOWN);
        }
    }
    return OK;
}

static err_t get_add(span_t from, struct agent_request *out) {
    TRY(get_private_key(&from, &out->private_key));
    TRY(wire_get_string(&from, &out->comment));
    return out->type == AGENT_ADD_IDENTITY ? wire_expect_end(from) : get_constraints(from, out);
}

static err_t get_sign(span_t from, struct agent_request *out) {
    TRY(wire_get_string(&from, &out->key_blob));
    TRY(wire_get_string(&from, &out->data));
    TRY(wire_get_u32(&from, &out->flags));
    return wire_expect_end(from);
}

static err_t get_one_string(span_t from, span_t *out) {
    TRY(wire_get_string(&from, out));
    return wire_expect_end(from);
}

static err_t get_extension(span_t from, struct agent_request *out) {
    TRY(wire_get_text(&from, &out->extension_name));
    out->extension_body = from;
    return OK;
}

static err_t get_body(span_t from, struct agent_request *out) {
    switch ((unsigned)out->type) {
    case AGENT_REQUEST_IDENTITIES:
    case AGENT_REMOVE_ALL_IDENTITIES:
        return wire_expect_end(from);
    case AGENT_SIGN_REQUEST:
        return get_sign(from, out);
    case AGENT_ADD_IDENTITY:
    case AGENT_ADD_ID_CONSTRAINED:
        return get_add(from, out);
    case AGENT_REMOVE_IDENTITY:
        return get_one_string(from, &out->key_blob);
    case AGENT_LOCK:
    case AGENT_UNLOCK:
        return get_one_string(from, &out->passphrase);
    case AGENT_EXTENSION:
        return get_extension(from, out);
    default:
        return FAIL(ERR_UNSUPPORTED);
    }
}

err_t agent_get_request(span_t message, struct agent_request *out) {
    struct agent_request request = {0};
    uint8_t type;
    TRY(wire_get_u8(&message, &type));
    request.type = (enum agent_message)type;
    TRY(get_body(message, &request));
    *out = request;
    return OK;
}

/* Answers, as the server writes them. */

err_t agent_put_failure(struct buf *out) { return put_bare(out, AGENT_FAILURE); }
err_t agent_put_success(struct buf *out) { return put_bare(out, AGENT_SUCCESS); }

static err_t put_identities(struct buf *out, const struct agent_identity *identities,
                            size_t count) {
    TRY(wire_put_u32(out, (uint32_t)count));
    for (size_t i = 0; i < count; i++) {
        TRY(wire_put_string(out, identities[i].blob));
        TRY(wire_put_string(out, identities[i].comment));
    }
    return OK;
}

err_t agent_put_identities(struct buf *out, const struct agent_identity *identities, size_t count) {
    struct frame frame;
    if (count > LIMIT_AGENT_KEYS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(put_begin(&frame, out, AGENT_IDENTITIES_ANSWER));
    return put_end(&frame, put_identities(out, identities, count));
}

err_t agent_put_sign_response(struct buf *out, span_t signature) {
    struct frame frame;
    TRY(put_begin(&frame, out, AGENT_SIGN_RESPONSE));
    return put_end(&frame, wire_put_string(out, signature));
}

/* Requests, as the client writes them. */

err_t agent_put_request_identities(struct buf *out) {
    return put_bare(out, AGENT_REQUEST_IDENTITIES);
}

static err_t put_sign(struct buf *out, span_t key_blob, span_t data, uint32_t flags) {
    TRY(wire_put_string(out, key_blob));
    TRY(wire_put_string(out, data));
    return wire_put_u32(out, flags);
}

err_t agent_put_sign_request(struct buf *out, span_t key_blob, span_t data, uint32_t flags) {
    struct frame frame;
    TRY(put_begin(&frame, out, AGENT_SIGN_REQUEST));
    return put_end(&frame, put_sign(out, key_blob, data, flags));
}

err_t agent_put_remove_identity(struct buf *out, span_t blob) {
    struct frame frame;
    TRY(put_begin(&frame, out, AGENT_REMOVE_IDENTITY));
    return put_end(&frame, wire_put_string(out, blob));
}

static err_t put_cert_form(struct buf *out, span_t plain, const struct cert *cert) {
    span_t name;
    TRY(wire_get_string(&plain, &name));
    for (size_t i = 0; i < COUNT_OF(key_forms); i++) {
        const struct key_form *form = &key_forms[i];
        if (span_equal_str(name, form->name)) {
            for (size_t k = 0; k < form->implied; k++) {
                TRY(wire_get_string(&plain, &name));
            }
            TRY(wire_put_text(out, form->cert_name));
            TRY(wire_put_string(out, buf_span(&cert->blob)));
            return buf_add(out, plain);
        }
    }
    return FAIL(ERR_KEY_TYPE);
}

static err_t put_add(struct buf *out, const struct private_key *key, const struct cert *cert,
                     const char *comment, uint32_t lifetime_s) {
    struct buf plain CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    TRY(private_key_put_wire(key, &plain));
    TRY(cert == NULL ? buf_add(out, buf_span(&plain)) : put_cert_form(out, buf_span(&plain), cert));
    TRY(wire_put_text(out, comment));
    if (lifetime_s != 0) {
        TRY(wire_put_u8(out, CONSTRAIN_LIFETIME));
        TRY(wire_put_u32(out, lifetime_s));
    }
    return OK;
}

err_t agent_put_add_identity(struct buf *out, const struct private_key *key,
                             const struct cert *cert, const char *comment, uint32_t lifetime_s) {
    struct frame frame;
    if (cert != NULL && !key_equal(cert->key, private_key_public(key))) {
        return FAIL(ERR_CONFLICT);
    }
    TRY(put_begin(&frame, out, lifetime_s == 0 ? AGENT_ADD_IDENTITY : AGENT_ADD_ID_CONSTRAINED));
    return put_end(&frame, put_add(out, key, cert, comment, lifetime_s));
}

/* Answers, as the client reads them. */

static err_t get_answer(span_t *from, enum agent_message expected) {
    span_t rest = *from;
    uint8_t type;
    TRY(wire_get_u8(&rest, &type));
    if (type == AGENT_FAILURE || type == AGENT_EXTENSION_FAILURE) {
        return FAIL(ERR_REFUSED);
    }
    if (type != expected) {
        return FAIL(ERR_PROTOCOL);
    }
    *from = rest;
    return OK;
}

static err_t ignore_identity(void *context, span_t blob, span_t comment) {
    (void)context;
    (void)blob;
    (void)comment;
    return OK;
}

static err_t each_identity(span_t from, uint32_t count,
                           err_t (*each)(void *context, span_t blob, span_t comment),
                           void *context) {
    for (uint32_t i = 0; i < count; i++) {
        span_t blob;
        span_t comment;
        TRY(wire_get_string(&from, &blob));
        TRY(wire_get_string(&from, &comment));
        TRY(each(context, blob, comment));
    }
    return wire_expect_end(from);
}

err_t agent_get_identities(span_t message,
                           err_t (*each)(void *context, span_t blob, span_t comment),
                           void *context) {
    uint32_t count;
    TRY(get_answer(&message, AGENT_IDENTITIES_ANSWER));
    TRY(wire_get_u32(&message, &count));
    if (count > LIMIT_AGENT_KEYS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(each_identity(message, count, ignore_identity, NULL));
    return each_identity(message, count, each, context);
}

err_t agent_get_sign_response(span_t message, span_t *signature) {
    TRY(get_answer(&message, AGENT_SIGN_RESPONSE));
    return get_one_string(message, signature);
}

err_t agent_get_success(span_t message) {
    TRY(get_answer(&message, AGENT_SUCCESS));
    return wire_expect_end(message);
}
