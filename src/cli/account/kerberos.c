#include "cli/account/kerberos.h"

#include <dlfcn.h>
#include <gssapi/gssapi.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "cli/sanitise.h"

enum { AUTHORIZATION_CHARS_MAX = 4 * LIMIT_NEGOTIATE_TOKEN_BYTES };

#ifdef __APPLE__
static const char library_file[] = "/System/Library/Frameworks/GSS.framework/GSS";
#else
static const char library_file[] = "libgssapi_krb5.so.2";
#endif

/* RFC 4178 section 1: 1.3.6.1.5.5.2; RFC 2743 section 4.1: 1.2.840.113554.1.2.1.4. */
static uint8_t spnego_bytes[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x02};
static uint8_t service_bytes[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04};
static gss_OID_desc spnego = {sizeof spnego_bytes, spnego_bytes};
static gss_OID_desc host_service = {sizeof service_bytes, service_bytes};

struct kerberos {
    void *library; /* never closed: it has threads' data of its own */
    typeof(gss_import_name) *import_name;
    typeof(gss_release_name) *release_name;
    typeof(gss_init_sec_context) *init_sec_context;
    typeof(gss_delete_sec_context) *delete_sec_context;
    typeof(gss_display_status) *display_status;
    typeof(gss_release_buffer) *release_buffer;
    gss_name_t service;
    gss_ctx_id_t context;
    struct gss_channel_bindings_struct channel;
    struct buf binding;
    struct buf authorization;
    bool complete;
};

const char *kerberos_authorization(const struct kerberos *kerberos) {
    return (const char *)kerberos->authorization.data;
}

void kerberos_freep(struct kerberos **held) {
    struct kerberos *kerberos = TAKE(*held);
    OM_uint32 minor;
    if (kerberos == NULL) {
        return;
    }
    if (kerberos->context != GSS_C_NO_CONTEXT) {
        (void)kerberos->delete_sec_context(&minor, &kerberos->context, GSS_C_NO_BUFFER);
    }
    if (kerberos->service != GSS_C_NO_NAME) {
        (void)kerberos->release_name(&minor, &kerberos->service);
    }
    buf_done(&kerberos->binding);
    buf_done(&kerberos->authorization);
    free(kerberos);
}

static err_t load(struct cli *cli, struct kerberos *kerberos) {
    const struct {
        const char *name;
        void *at;
    } symbols[] = {
        {"gss_import_name", &kerberos->import_name},
        {"gss_release_name", &kerberos->release_name},
        {"gss_init_sec_context", &kerberos->init_sec_context},
        {"gss_delete_sec_context", &kerberos->delete_sec_context},
        {"gss_display_status", &kerberos->display_status},
        {"gss_release_buffer", &kerberos->release_buffer},
    };
    kerberos->library = dlopen(library_file, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < COUNT_OF(symbols); i++) {
        void *symbol = kerberos->library != NULL ? dlsym(kerberos->library, symbols[i].name) : NULL;
        if (symbol == NULL) {
            trouble_next(&cli->trouble, "apt install libgssapi-krb5-2 krb5-user");
            return trouble_set(&cli->trouble, EXIT_LOGIN,
                               "this machine has no Kerberos: %s cannot be loaded", library_file);
        }
        memcpy(symbols[i].at, &symbol, sizeof symbol);
    }
    return OK;
}

/* ---- what went wrong ----------------------------------------------------------------------- */

static void describe(struct kerberos *kerberos, OM_uint32 status, int kind, struct buf *out) {
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor, more = 0;
    if (kerberos->display_status(&minor, status, kind, &spnego, &more, &text) == GSS_S_COMPLETE &&
        text_is_printable(span_of(text.value, text.length))) {
        ignore_err(buf_add(out, span_of(text.value, text.length))); /* then it says less */
    }
    (void)kerberos->release_buffer(&minor, &text);
}

/* By Kerberos's own words: GSSAPI has one code for most of what can be wrong. */
const char *kerberos_remedy(const char *reason) {
    static const struct {
        const char *word, *next;
    } remedies[] = {
        {"lock skew", "set this machine's clock: timedatectl set-ntp true"},
        {"not found in Kerberos database",
         "ask your site's administrators: the realm does not know the authority\npostern login"},
        {"annot contact any KDC", "check the network and /etc/krb5.conf, then run: kinit"},
        {"annot find KDC", "check the realm in /etc/krb5.conf, then run: kinit"},
    };
    for (size_t i = 0; i < COUNT_OF(remedies); i++) {
        if (strstr(reason, remedies[i].word) != NULL) {
            return remedies[i].next;
        }
    }
    return "kinit";
}

static err_t gss_trouble(struct cli *cli, struct kerberos *kerberos, OM_uint32 major,
                         OM_uint32 minor) {
    struct buf text CLEANUP(buf_done) = BUF(1024);
    describe(kerberos, minor, GSS_C_MECH_CODE, &text);
    if (minor == 0 || text.len == 0) {
        buf_clear(&text);
        describe(kerberos, major, GSS_C_GSS_CODE, &text);
    }
    TRY(buf_add_byte(&text, '\0'));
    const char *reason = (const char *)text.data;
    trouble_next(&cli->trouble, "%s", kerberos_remedy(reason));
    return trouble_set(&cli->trouble, EXIT_LOGIN, "Kerberos gives no ticket for the authority: %s",
                       reason);
}

/* ---- the two legs -------------------------------------------------------------------------- */

/* The input is the service's token, or empty for the first leg. */
static OM_uint32 step(struct kerberos *kerberos, gss_buffer_t input, OM_uint32 *minor,
                      OM_uint32 *flags, gss_buffer_t output) {
    gss_channel_bindings_t channel =
        kerberos->binding.len > 0 ? &kerberos->channel : GSS_C_NO_CHANNEL_BINDINGS;
    return kerberos->init_sec_context(minor, GSS_C_NO_CREDENTIAL, &kerberos->context,
                                      kerberos->service, &spnego,
                                      GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_INTEG_FLAG, 0,
                                      channel, input, NULL, output, flags, NULL);
}

static err_t write_authorization(struct kerberos *kerberos, const gss_buffer_desc *token) {
    struct buf *out = &kerberos->authorization;
    if (token->length == 0 || token->length > LIMIT_NEGOTIATE_TOKEN_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(buf_add_str(out, "Negotiate "));
    TRY(base64_encode(span_of(token->value, token->length), BASE64_STANDARD, out));
    return buf_add_byte(out, '\0');
}

static err_t first_leg(struct cli *cli, struct kerberos *kerberos) {
    gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor = 0, ignored;
    OM_uint32 major = step(kerberos, GSS_C_NO_BUFFER, &minor, NULL, &token);
    if (major != GSS_S_CONTINUE_NEEDED && major != GSS_S_COMPLETE) {
        return gss_trouble(cli, kerberos, major, minor);
    }
    kerberos->complete = major == GSS_S_COMPLETE;
    err_t err = write_authorization(kerberos, &token);
    (void)kerberos->release_buffer(&ignored, &token);
    return failed(err) ? trouble_of(&cli->trouble, err, "the Kerberos ticket") : OK;
}

static err_t import_service(struct cli *cli, struct kerberos *kerberos, const char *host) {
    char text[LIMIT_HOST_NAME_CHARS + 8];
    OM_uint32 minor = 0;
    (void)snprintf(text, sizeof text, "HTTP@%s", host);
    gss_buffer_desc name = {strlen(text), text};
    OM_uint32 major = kerberos->import_name(&minor, &name, &host_service, &kerberos->service);
    return major == GSS_S_COMPLETE ? OK : gss_trouble(cli, kerberos, major, minor);
}

err_t kerberos_begin(struct cli *cli, const char *host, span_t binding, struct kerberos **out) {
    struct kerberos *kerberos CLEANUP(kerberos_freep) = calloc(1, sizeof *kerberos);
    if (kerberos == NULL) {
        return FAIL(ERR_MEMORY);
    }
    buf_init(&kerberos->binding, 1024);
    buf_init(&kerberos->authorization, AUTHORIZATION_CHARS_MAX);
    TRY(load(cli, kerberos));
    TRY(buf_add(&kerberos->binding, binding));
    kerberos->channel.application_data =
        (gss_buffer_desc){kerberos->binding.len, kerberos->binding.data};
    TRY(import_service(cli, kerberos, host));
    TRY(first_leg(cli, kerberos));
    *out = TAKE(kerberos);
    return OK;
}

err_t kerberos_finish(struct cli *cli, struct kerberos *kerberos, const char *challenge) {
    static const char scheme[] = "Negotiate ";
    struct buf token CLEANUP(buf_done) = BUF(LIMIT_NEGOTIATE_TOKEN_BYTES);
    gss_buffer_desc output = GSS_C_EMPTY_BUFFER;
    OM_uint32 minor = 0, flags = 0, ignored;
    bool told =
        strncmp(challenge, scheme, sizeof scheme - 1) == 0 &&
        !failed(base64_decode(span_str(challenge + sizeof scheme - 1), BASE64_STANDARD, &token));
    if (told && !kerberos->complete) {
        gss_buffer_desc input = {token.len, token.data};
        OM_uint32 major = step(kerberos, &input, &minor, &flags, &output);
        kerberos->complete = major == GSS_S_COMPLETE;
        (void)kerberos->release_buffer(&ignored, &output);
    }
    if (!kerberos->complete || (flags & GSS_C_MUTUAL_FLAG) == 0) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the authority did not prove that it has the key of its Kerberos "
                           "service; nothing was kept");
    }
    return OK;
}
