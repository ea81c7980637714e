#include "authority/kerberos.h"

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* RFC 4178 section 1: 1.3.6.1.5.5.2, and RFC 1964 section 1: 1.2.840.113554.1.2.2. */
static uint8_t spnego_bytes[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x02};
static uint8_t krb5_bytes[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02};
static gss_OID_desc spnego = {sizeof spnego_bytes, spnego_bytes};
static gss_OID_desc krb5 = {sizeof krb5_bytes, krb5_bytes};

void kerberos_proof_init(struct kerberos_proof *proof) {
    *proof = (struct kerberos_proof){.answer = BUF(LIMIT_NEGOTIATE_TOKEN_BYTES)};
}

void kerberos_proof_done(struct kerberos_proof *proof) { buf_done(&proof->answer); }

static void release_name(gss_name_t *name) {
    OM_uint32 minor;
    (void)gss_release_name(&minor, name);
}

static void release_cred(gss_cred_id_t *cred) {
    OM_uint32 minor;
    (void)gss_release_cred(&minor, cred);
}

static void release_context(gss_ctx_id_t *context) {
    OM_uint32 minor;
    (void)gss_delete_sec_context(&minor, context, GSS_C_NO_BUFFER);
}

static void release_buffer(gss_buffer_desc *buffer) {
    OM_uint32 minor;
    (void)gss_release_buffer(&minor, buffer);
}

/* The mechanism's own words, which are about the ticket; else GSSAPI's. */
static err_t refuse(enum err_code code, OM_uint32 major, OM_uint32 minor, const char *field,
                    struct fault *fault) {
    OM_uint32 ignored, more = 0;
    gss_buffer_desc text CLEANUP(release_buffer) = GSS_C_EMPTY_BUFFER;
    bool own = minor != 0 && gss_display_status(&ignored, minor, GSS_C_MECH_CODE, &spnego, &more,
                                                &text) == GSS_S_COMPLETE;
    if (!own) {
        more = 0;
        (void)gss_display_status(&ignored, major, GSS_C_GSS_CODE, GSS_C_NO_OID, &more, &text);
    }
    bool good = text.length > 0 && text_is_printable(span_of(text.value, text.length));
    return fault_set(fault, code, field, "%.*s", good ? (int)text.length : 13,
                     good ? (const char *)text.value : "GSSAPI failed");
}

static err_t open_service(const struct kerberos_config *config, gss_cred_id_t *out,
                          struct fault *fault) {
    gss_name_t name CLEANUP(release_name) = GSS_C_NO_NAME;
    gss_cred_id_t cred CLEANUP(release_cred) = GSS_C_NO_CREDENTIAL;
    gss_OID_set_desc negotiated = {1, &spnego}, inside = {1, &krb5};
    gss_buffer_desc text = {strlen(config->service), config->service};
    char cache[4096 + 8];
    (void)snprintf(cache, sizeof cache, "file2:%s", config->replay_cache);
    gss_key_value_element_desc elements[] = {{"keytab", config->keytab}, {"rcache", cache}};
    const gss_key_value_set_desc from = {COUNT_OF(elements), elements};
    OM_uint32 minor, major = gss_import_name(&minor, &text, GSS_KRB5_NT_PRINCIPAL_NAME, &name);
    if (major == GSS_S_COMPLETE) {
        major = gss_acquire_cred_from(&minor, name, GSS_C_INDEFINITE, &negotiated, GSS_C_ACCEPT,
                                      &from, &cred, NULL, NULL);
    }
    if (major == GSS_S_COMPLETE) {
        major = gss_set_neg_mechs(&minor, cred, &inside);
    }
    if (major != GSS_S_COMPLETE) {
        return refuse(ERR_IO, major, minor, "kerberos.keytab", fault);
    }
    *out = TAKE(cred);
    return OK;
}

static err_t take_principal(gss_name_t name, struct kerberos_proof *out, struct fault *fault) {
    gss_buffer_desc text CLEANUP(release_buffer) = GSS_C_EMPTY_BUFFER;
    gss_OID type = GSS_C_NO_OID;
    OM_uint32 minor, major = gss_display_name(&minor, name, &text, &type);
    if (major != GSS_S_COMPLETE || !gss_oid_equal(type, GSS_KRB5_NT_PRINCIPAL_NAME) ||
        text.length > LIMIT_PRINCIPAL_CHARS ||
        !text_is_printable(span_of(text.value, text.length))) {
        return fault_set(fault, ERR_REFUSED, "principal",
                         "the ticket's principal has no name "
                         "that could be an account's");
    }
    (void)snprintf(out->principal, sizeof out->principal, "%.*s", (int)text.length,
                   (const char *)text.value);
    return OK;
}

static err_t judge_flags(const struct kerberos_config *config, OM_uint32 flags, gss_OID mechanism,
                         struct fault *fault) {
    if (!gss_oid_equal(mechanism, &krb5) || (flags & GSS_C_ANON_FLAG) != 0) {
        return fault_set(fault, ERR_REFUSED, "token", "it is not a Kerberos ticket of a person");
    }
    if (config->binding_required && (flags & GSS_C_CHANNEL_BOUND_FLAG) == 0) {
        return fault_set(fault, ERR_REFUSED, "token",
                         "it is not bound to this TLS connection, as this site demands "
                         "(tls-server-end-point)");
    }
    return OK;
}

err_t kerberos_accept(const struct kerberos_config *config, span_t token, span_t binding,
                      int64_t now, struct kerberos_proof *out, struct fault *fault) {
    gss_cred_id_t cred CLEANUP(release_cred) = GSS_C_NO_CREDENTIAL;
    gss_ctx_id_t context CLEANUP(release_context) = GSS_C_NO_CONTEXT;
    gss_name_t name CLEANUP(release_name) = GSS_C_NO_NAME;
    gss_buffer_desc answer CLEANUP(release_buffer) = GSS_C_EMPTY_BUFFER;
    gss_buffer_desc input = {token.len, (void *)(uintptr_t)token.data};
    struct gss_channel_bindings_struct channel = {
        .application_data = {binding.len, (void *)(uintptr_t)binding.data}};
    gss_OID mechanism = GSS_C_NO_OID;
    OM_uint32 minor, flags = 0, left_s = 0;
    krb5_timestamp authenticated_at = 0;
    TRY(open_service(config, &cred, fault));
    OM_uint32 major = gss_accept_sec_context(&minor, &context, cred, &input,
                                             binding.len > 0 ? &channel : GSS_C_NO_CHANNEL_BINDINGS,
                                             &name, &mechanism, &answer, &flags, &left_s, NULL);
    if (major == GSS_S_CONTINUE_NEEDED) {
        return fault_set(fault, ERR_REFUSED, "token", "it would need another one after it");
    }
    if (major != GSS_S_COMPLETE) {
        return refuse(ERR_REFUSED, major, minor, "token", fault);
    }
    TRY(judge_flags(config, flags, mechanism, fault));
    major = gsskrb5_extract_authtime_from_sec_context(&minor, context, &authenticated_at);
    if (major != GSS_S_COMPLETE) {
        return refuse(ERR_REFUSED, major, minor, "token", fault);
    }
    TRY(take_principal(name, out, fault));
    out->authenticated_at = (uint32_t)authenticated_at; /* good until 2106 that way */
    out->expires_at = left_s == GSS_C_INDEFINITE ? INT64_MAX : now + left_s;
    return buf_add(&out->answer, span_of(answer.value, answer.length));
}
