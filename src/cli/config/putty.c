#include "cli/config/putty.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "cli/config/node_patterns.h"

enum { PROXY_SSH = 6, VALIDITY_BYTES_MAX = 4 * 1024 * 1024 };

static const char registry_root[] = "HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\";

/* --- values --- */

struct writer {
    struct buf *out;
    bool registry;
};

static err_t put_text(const struct writer *writer, const char *name, const char *value) {
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x20 || byte == 0x7f) {
            return FAIL(ERR_MALFORMED);
        }
    }
    if (!writer->registry) {
        return buf_add_format(writer->out, "%s=%s\n", name, value);
    }
    TRY(buf_add_format(writer->out, "\"%s\"=\"", name));
    for (const char *at = value; *at != '\0'; at++) {
        TRY(*at == '"' || *at == '\\' ? buf_add_byte(writer->out, '\\') : OK);
        TRY(buf_add_byte(writer->out, (uint8_t)*at));
    }
    return buf_add_str(writer->out, "\"\r\n");
}

static err_t put_number(const struct writer *writer, const char *name, unsigned value) {
    return writer->registry ? buf_add_format(writer->out, "\"%s\"=dword:%08x\r\n", name, value)
                            : buf_add_format(writer->out, "%s=%u\n", name, value);
}

/* --- sessions --- */

err_t putty_each(const struct reach *reach, const char *jump,
                 err_t (*take)(void *context, const struct putty_session *session), void *context) {
    for (size_t i = 0; i < reach->jump_count; i++) {
        const struct reach_host *host = &reach->jumps[i];
        TRY(take(context,
                 &(struct putty_session){host->name, host->address, host->port, NULL, false}));
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        const struct reach_cluster *cluster = &reach->clusters[i];
        TRY(take(context, &(struct putty_session){cluster->name, cluster->address, cluster->port,
                                                  jump, false}));
    }
    for (size_t i = 0; i < reach->host_count; i++) {
        const struct reach_host *host = &reach->hosts[i];
        if (host->role == HOST_LOGIN && reach_find_cluster(reach, host->name) == NULL) {
            TRY(take(context,
                     &(struct putty_session){host->name, host->address, host->port, jump, true}));
        }
    }
    return OK;
}

static err_t put_settings(const struct writer *writer, const struct putty_session *session,
                          const struct putty_options *options) {
    TRY(put_text(writer, "HostName", session->address));
    TRY(put_number(writer, "PortNumber", session->port));
    TRY(put_text(writer, "Protocol", "ssh"));
    TRY(options->username != NULL ? put_text(writer, "UserName", options->username) : OK);
    TRY(options->key != NULL ? put_text(writer, "PublicKeyFile", options->key) : OK);
    TRY(options->certificate != NULL ? put_text(writer, "DetachedCertificate", options->certificate)
                                     : OK);
    if (session->known_by_name && strcmp(session->name, session->address) != 0) {
        TRY(put_text(writer, "LogHost", session->name));
    }
    if (session->via != NULL) {
        TRY(put_number(writer, "ProxyMethod", PROXY_SSH));
        TRY(put_text(writer, "ProxyHost", session->via));
        TRY(put_number(writer, "ProxyPort", 22));
    }
    return put_text(writer, PUTTY_MARK, options->site);
}

err_t putty_put_session(const struct putty_session *session, const struct putty_options *options,
                        struct buf *out) {
    return put_settings(&(struct writer){out, false}, session, options);
}

/* --- host CAs --- */

static err_t add_name(struct buf *expression, const char *name) {
    return buf_add_format(expression, "%s%s", expression->len > 0 ? " || " : "", name);
}

static err_t add_both(struct buf *expression, const char *name, const char *address) {
    TRY(add_name(expression, name));
    return strcmp(name, address) == 0 ? OK : add_name(expression, address);
}

/* All that the site's hosts are called, and nothing else. */
static err_t make_validity(const struct reach *reach, struct buf *out) {
    struct node_patterns nodes CLEANUP(node_patterns_done) = {0};
    for (size_t i = 0; i < reach->jump_count; i++) {
        TRY(add_both(out, reach->jumps[i].name, reach->jumps[i].address));
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        TRY(add_both(out, reach->clusters[i].name, reach->clusters[i].address));
    }
    for (size_t i = 0; i < reach->host_count; i++) {
        const struct reach_host *host = &reach->hosts[i];
        TRY(host->role == HOST_LOGIN ? add_both(out, host->name, host->address) : OK);
    }
    TRY(node_patterns_make(reach, NULL, false, &nodes));
    for (size_t i = 0; i < nodes.count; i++) {
        TRY(add_name(out, nodes.items[i].text));
    }
    return OK;
}

static err_t put_ca(const struct writer *writer, const struct key *key, const struct reach *reach) {
    struct buf validity CLEANUP(buf_done) = BUF(VALIDITY_BYTES_MAX);
    struct buf base64 CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char *expression CLEANUP(freep) = NULL;
    char *text CLEANUP(freep) = NULL;
    TRY(make_validity(reach, &validity));
    TRY(buf_to_str(&validity, &expression));
    TRY(base64_encode(key_blob(key), BASE64_STANDARD, &base64));
    TRY(buf_to_str(&base64, &text));
    TRY(put_text(writer, "PublicKey", text));
    TRY(put_text(writer, "Validity", expression));
    TRY(put_number(writer, "PermitRSASHA1", 0));
    TRY(put_number(writer, "PermitRSASHA256", 1));
    return put_number(writer, "PermitRSASHA512", 1);
}

err_t putty_put_ca(const struct key *key, const struct reach *reach, struct buf *out) {
    return put_ca(&(struct writer){out, false}, key, reach);
}

/* --- the registry --- */

struct registry {
    struct writer writer;
    const struct putty_options *options;
};

static err_t put_registry_session(void *context, const struct putty_session *session) {
    const struct registry *registry = context;
    TRY(buf_add_format(registry->writer.out, "\r\n[%sSessions\\%s]\r\n", registry_root,
                       session->name));
    return put_settings(&registry->writer, session, registry->options);
}

err_t putty_put_registry(const struct reach *reach, const char *jump, const struct key *const *cas,
                         size_t ca_count, const struct putty_options *options, struct buf *out) {
    struct registry registry = {{out, true}, options};
    TRY(buf_add_format(out,
                       "Windows Registry Editor Version 5.00\r\n\r\n"
                       "; Written by postern config of Posterngate for the site %s.\r\n",
                       options->site));
    TRY(putty_each(reach, jump, put_registry_session, &registry));
    for (size_t i = 0; i < ca_count; i++) {
        TRY(buf_add_format(out, "\r\n[%sSshHostCAs\\posterngate-%s-%zu]\r\n", registry_root,
                           options->site, i + 1));
        TRY(put_ca(&registry.writer, cas[i], reach));
    }
    return OK;
}
