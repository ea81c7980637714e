#include "ssh/cert.h"

#include "base/limits.h"
#include "base/random.h"
#include "base/text.h"
#include "ssh/cert_internal.h"
#include "ssh/key_internal.h"
#include "ssh/wire.h"

/* Lists grow by blocks, so that adding one seldom moves them. */
enum { LIST_BLOCK = 8 };

err_t cert_new_empty(struct cert **out) {
    struct cert *cert = calloc(1, sizeof *cert);
    if (cert == NULL) {
        return FAIL(ERR_MEMORY);
    }
    buf_init(&cert->blob, LIMIT_CERT_BLOB_BYTES);
    *out = cert;
    return OK;
}

err_t cert_new(struct cert **out) {
    TRY(cert_new_empty(out));
    random_bytes((*out)->nonce, sizeof(*out)->nonce);
    return OK;
}

static void free_options(struct cert_option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(options[i].name);
        free(options[i].value);
    }
    free(options);
}

void cert_free(struct cert *cert) {
    if (cert == NULL) {
        return;
    }
    key_free(cert->key);
    key_free(cert->ca_key);
    free(cert->key_id);
    for (size_t i = 0; i < cert->principal_count; i++) {
        free(cert->principals[i]);
    }
    free(cert->principals);
    free_options(cert->critical_options, cert->critical_option_count);
    free_options(cert->extensions, cert->extension_count);
    buf_done(&cert->blob);
    free(cert);
}

void cert_freep(struct cert **cert) { cert_free(*cert); }

err_t cert_set_key_id(struct cert *cert, const char *key_id) {
    if (strlen(key_id) > LIMIT_KEY_ID_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    char *copy;
    TRY(span_to_str(span_str(key_id), &copy));
    free(cert->key_id);
    cert->key_id = copy;
    return OK;
}

err_t cert_principal_check(span_t principal) {
    if (principal.len != 0 && memchr(principal.data, '*', principal.len) != NULL) {
        return FAIL(ERR_PRINCIPAL);
    }
    if (principal.len != 0 && memchr(principal.data, '?', principal.len) != NULL) {
        return FAIL(ERR_PRINCIPAL);
    }
    return cert_principal_check_shown(principal);
}

/* How many bytes of white space `text` starts with. Once control characters are out, the blanks
 * that a terminal shows as one are left: space, no-break space, ideographic space. */
static size_t white_bytes(span_t text) {
    static const char *const blanks[] = {" ", "\xc2\xa0", "\xe3\x80\x80"};
    for (size_t i = 0; i < COUNT_OF(blanks); i++) {
        size_t len = strlen(blanks[i]);
        if (text.len >= len && memcmp(text.data, blanks[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

err_t cert_principal_check_shown(span_t principal) {
    if (principal.len == 0 || principal.len > LIMIT_PRINCIPAL_CHARS ||
        memchr(principal.data, ',', principal.len) != NULL || !text_is_utf8(principal) ||
        white_bytes(principal) != 0) {
        return FAIL(ERR_PRINCIPAL);
    }
    for (size_t len = 1; len <= 3 && len <= principal.len; len++) {
        if (white_bytes(span_of(principal.data + principal.len - len, len)) == len) {
            return FAIL(ERR_PRINCIPAL);
        }
    }
    return OK;
}

static err_t grow(void **list, size_t count, size_t item_bytes) {
    if (count % LIST_BLOCK != 0) {
        return OK;
    }
    void *moved = realloc(*list, (count + LIST_BLOCK) * item_bytes);
    if (moved == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *list = moved;
    return OK;
}

err_t cert_add_principal_unchecked(struct cert *cert, span_t principal) {
    if (cert->principal_count >= LIMIT_PRINCIPALS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    void *list = cert->principals;
    TRY(grow(&list, cert->principal_count, sizeof *cert->principals));
    cert->principals = list;
    TRY(span_to_str(principal, &cert->principals[cert->principal_count]));
    cert->principal_count++;
    return OK;
}

err_t cert_add_principal(struct cert *cert, const char *principal) {
    TRY(cert_principal_check(span_str(principal)));
    for (size_t i = 0; i < cert->principal_count; i++) {
        if (strcmp(cert->principals[i], principal) == 0) {
            return FAIL(ERR_DUPLICATE);
        }
    }
    return cert_add_principal_unchecked(cert, span_str(principal));
}

err_t cert_option_check(span_t name, const span_t *value) {
    if (name.len == 0 || !text_is_printable(name)) {
        return FAIL(ERR_MALFORMED);
    }
    if (name.len > LIMIT_OPTION_NAME_CHARS ||
        (value != NULL && value->len > LIMIT_FORCE_COMMAND_CHARS)) {
        return FAIL(ERR_TOO_LONG);
    }
    return OK;
}

err_t cert_insert_option(struct cert_option **options, size_t *count, size_t at, span_t name,
                         const span_t *value) {
    if (*count >= LIMIT_CERT_OPTIONS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    void *list = *options;
    TRY(grow(&list, *count, sizeof **options));
    *options = list;
    char *own_name CLEANUP(freep) = NULL;
    char *own_value = NULL;
    TRY(span_to_str(name, &own_name));
    if (value != NULL) {
        TRY(span_to_str(*value, &own_value));
    }
    struct cert_option *slot = *options + at;
    memmove(slot + 1, slot, (*count - at) * sizeof *slot);
    *slot = (struct cert_option){TAKE(own_name), own_value};
    ++*count;
    return OK;
}

static err_t add_option(struct cert_option **options, size_t *count, const char *name,
                        const char *value) {
    span_t text = value == NULL ? span_of(NULL, 0) : span_str(value);
    TRY(cert_option_check(span_str(name), value == NULL ? NULL : &text));
    size_t at = 0;
    int order = 1;
    while (at < *count && (order = strcmp((*options)[at].name, name)) < 0) {
        at++;
    }
    if (at < *count && order == 0) {
        return FAIL(ERR_DUPLICATE);
    }
    return cert_insert_option(options, count, at, span_str(name), value == NULL ? NULL : &text);
}

err_t cert_add_critical_option(struct cert *cert, const char *name, const char *value) {
    return add_option(&cert->critical_options, &cert->critical_option_count, name, value);
}

err_t cert_add_extension(struct cert *cert, const char *name, const char *value) {
    return add_option(&cert->extensions, &cert->extension_count, name, value);
}

static err_t put_principals(const struct cert *cert, struct buf *to) {
    size_t mark;
    TRY(wire_string_begin(to, &mark));
    for (size_t i = 0; i < cert->principal_count; i++) {
        TRY(wire_put_text(to, cert->principals[i]));
    }
    wire_string_end(to, mark);
    return OK;
}

static err_t put_options(const struct cert_option *options, size_t count, struct buf *to) {
    size_t mark;
    TRY(wire_string_begin(to, &mark));
    for (size_t i = 0; i < count; i++) {
        TRY(wire_put_text(to, options[i].name));
        size_t data;
        TRY(wire_string_begin(to, &data));
        /* A value is a string inside the string; a flag has nothing inside. */
        if (options[i].value != NULL) {
            TRY(wire_put_text(to, options[i].value));
        }
        wire_string_end(to, data);
    }
    wire_string_end(to, mark);
    return OK;
}

/* Everything up to the signature, in the order of draft-ietf-sshm-cert section 2.1. */
static err_t put_tbs(const struct cert *cert, const struct key_kind *kind, const struct key *ca_key,
                     struct buf *to) {
    TRY(wire_put_text(to, kind->cert_name));
    TRY(wire_put_string(to, span_of(cert->nonce, sizeof cert->nonce)));
    TRY(buf_add(to, key_blob_fields(cert->key)));
    TRY(wire_put_u64(to, cert->serial));
    TRY(wire_put_u32(to, (uint32_t)cert->type));
    TRY(wire_put_text(to, cert->key_id == NULL ? "" : cert->key_id));
    TRY(put_principals(cert, to));
    TRY(wire_put_u64(to, cert->valid_after));
    TRY(wire_put_u64(to, cert->valid_before));
    TRY(put_options(cert->critical_options, cert->critical_option_count, to));
    TRY(put_options(cert->extensions, cert->extension_count, to));
    TRY(wire_put_text(to, "")); /* reserved */
    return wire_put_string(to, key_blob(ca_key));
}

err_t cert_prepare(struct cert *cert, const struct key *ca_key) {
    INVARIANT(cert->key != NULL);
    if (cert->principal_count == 0) {
        return FAIL(ERR_PRINCIPAL);
    }
    if (cert->serial == 0 || cert->valid_after >= cert->valid_before ||
        (cert->type != CERT_USER && cert->type != CERT_HOST)) {
        return FAIL(ERR_RANGE);
    }
    const struct key_kind *kind = key_kind_of(key_type(cert->key));
    if (kind == NULL || key_type(ca_key) == KEY_UNKNOWN) {
        return FAIL(ERR_KEY_TYPE);
    }
    /* One allocation for nearly every certificate, its signature included. */
    enum { ROOM_BYTES = 1536 };
    uint8_t *room;
    buf_clear(&cert->blob);
    cert->tbs_len = 0;
    TRY(buf_extend(&cert->blob, ROOM_BYTES, &room));
    buf_clear(&cert->blob);
    TRY(put_tbs(cert, kind, ca_key, &cert->blob));
    struct key *copy;
    TRY(key_copy(ca_key, &copy));
    key_free(cert->ca_key);
    cert->ca_key = copy;
    cert->tbs_len = cert->blob.len;
    return OK;
}

err_t cert_attach_signature_unchecked(struct cert *cert, span_t signature) {
    INVARIANT(cert->tbs_len != 0);
    if (cert->blob.len != cert->tbs_len) {
        return FAIL(ERR_EXISTS);
    }
    return wire_put_string(&cert->blob, signature);
}

err_t cert_attach_signature(struct cert *cert, span_t signature) {
    INVARIANT(cert->tbs_len != 0 && cert->ca_key != NULL);
    TRY(key_verify(cert->ca_key, cert_tbs(cert), signature, NULL));
    return cert_attach_signature_unchecked(cert, signature);
}
