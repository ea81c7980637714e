/*
 * What an authority says, as JSON: its document, or {"document": …, "kept": …}. Whatever of it is
 * taken, the configuration that comes of it has the lines that we write and no others, and runs
 * nothing.
 */
#include "fuzz.h"

#include <string.h>

#include "base/limits.h"
#include "cli/config/config_line.h"
#include "cli/config/ssh_config.h"

static void check_line(span_t line, bool old) {
    static const char *const known[] = {
        "Host",        "HostName",     "HostKeyAlias",    "Port",           "ProxyJump",
        "User",        "IdentityFile", "CertificateFile", "IdentitiesOnly", "UserKnownHostsFile",
        "UseKeychain", "IgnoreUnknown"};
    INVARIANT(line.len <= LIMIT_SSH_CONFIG_LINE_CHARS);
    for (size_t i = 0; i < line.len; i++) {
        INVARIANT(line.data[i] >= 0x20 && line.data[i] < 0x7f && line.data[i] != '$' &&
                  line.data[i] != '`' && line.data[i] != ';' && line.data[i] != '|');
    }
    span_t rest = line;
    span_t keyword = config_line_keyword(&rest);
    bool found = keyword.len == 0;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        found |= config_line_is(keyword, known[i]);
    }
    if (old && config_line_is(keyword, "ProxyCommand")) {
        static const char begin[] = "ssh -W '[%h]:%p' ";
        INVARIANT(rest.len > sizeof begin - 1 && memcmp(rest.data, begin, sizeof begin - 1) == 0);
        span_t hop = span_of(rest.data + sizeof begin - 1, rest.len - sizeof begin + 1);
        INVARIANT(memchr(hop.data, ' ', hop.len) == NULL && hop.data[0] != '-');
        found = true;
    }
    INVARIANT(found);
}

static void check_text(const struct reach *reach, bool old) {
    const struct ssh_config_options options = {.ssh = {old ? 7 : 9, 2},
                                               .site = "cscs",
                                               .username = reach->username,
                                               .key_file = "~/.ssh/key",
                                               .known_hosts = "/home/alice/known_hosts",
                                               .suffix = ".g5k",
                                               .through_login = old};
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    struct fault fault = {0};
    must(ssh_config_write(reach, &options, &text, &fault));
    for (span_t rest = buf_span(&text); rest.len > 0;) {
        check_line(span_until(&rest, '\n'), old);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *json CLEANUP(json_freep) =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        return 0;
    }
    const json_t *document = json_object_get(json, "document");
    struct reach *reach CLEANUP(reach_freep) = NULL;
    struct fault fault = {0};
    err_t err = reach_judge(document != NULL ? document : json, json_object_get(json, "kept"),
                            &reach, &fault);
    if (failed(err)) {
        INVARIANT(err.code == ERR_PROTOCOL && fault.field[0] != '\0' && fault.reason[0] != '\0');
        return 0;
    }
    check_text(reach, false);
    check_text(reach, true);
    return 0;
}
