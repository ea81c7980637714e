#include "cli/doctor/ssh_words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The most telling first: "Permission denied" follows nearly everything that goes wrong before. */
static const struct rule {
    enum ssh_outcome outcome;
    const char *text;
} rules[] = {
    {SSH_CONFIG, "Bad configuration option"},
    {SSH_CONFIG, "bad configuration options"},
    {SSH_CONFIG, "Unsupported option"},
    {SSH_MODES, "Bad owner or permissions on "},
    {SSH_KEY_CHANGED, "REMOTE HOST IDENTIFICATION HAS CHANGED"},
    {SSH_KEY_CHANGED, "HOST IDENTIFICATION HAS CHANGED"},
    {SSH_HOST_CERTIFICATE, "Certificate invalid: "},
    {SSH_HOST_UNKNOWN, "host key is known for "},
    {SSH_TOO_MANY, "oo many authentication failures"},
    {SSH_GATE_SAID, "posterngate: your certificate "},
    {SSH_GATE_SAID, "posterngate: your account "},
    {SSH_GATE_SAID, "posterngate: "},
    {SSH_HOST_UNKNOWN, "Host key verification failed"},
    {SSH_NO_NAME, "Could not resolve hostname "},
    {SSH_CHANNEL_PROHIBITED, "open failed: administratively prohibited"},
    {SSH_CHANNEL_FAILED, "open failed: connect failed"},
    {SSH_CONNECTION_REFUSED, "Connection refused"},
    {SSH_NOT_SSH, "banner line contains invalid characters"},
    {SSH_NOT_SSH, "banner exchange: Connection to"},
    {SSH_NOT_SSH, "Bad remote protocol version"},
    {SSH_NOT_SSH, "during banner exchange"},
    {SSH_NO_ANSWER, "onnection timed out"},
    {SSH_NO_ANSWER, "peration timed out"},
    {SSH_NO_ANSWER, "No route to host"},
    {SSH_NO_ANSWER, "Network is unreachable"},
    {SSH_NOTHING_IN_COMMON, "Unable to negotiate with "},
    {SSH_NOTHING_IN_COMMON, "no mutual signature"},
    {SSH_SIGNING, "sign_and_send_pubkey: signing failed"},
    {SSH_SIGNING, "agent refused operation"},
    {SSH_DENIED, "Permission denied ("},
    {SSH_CLOSED, "Not allowed at this time"},
    {SSH_CLOSED, "exchange_identification: "},
    {SSH_CLOSED, "Connection closed by "},
    {SSH_CLOSED, "Connection reset by "},
};

static const char *find(span_t line, const char *text) {
    return (const char *)span_find_str(line, text);
}

static void copy(char *out, size_t size, const char *from, const char *end) {
    size_t len = (size_t)(end - from);
    len = len < size ? len : size - 1;
    memcpy(out, from, len);
    out[len] = '\0';
}

static bool begins(span_t line, const char *with) {
    size_t len = strlen(with);
    return line.len > len && memcmp(line.data, with, len) == 0;
}

/* What ssh tells of what it does is for whoever looks for a mistake in ssh. */
static bool is_debug(span_t line) {
    return line.len > 7 && memcmp(line.data, "debug", 5) == 0 && line.data[6] == ':';
}

/*
 * But for two things. What a server says before the protocol begins is debugging to ssh as well: a
 * gate's part of it counts, and nothing else in it, since there it may be anybody who speaks.
 */
static bool is_telling(span_t line) {
    static const char banner[] =
        "debug1: kex_exchange_identification: banner line 0: posterngate: ";
    static const char invalid[] = "debug1: Certificate invalid: ";
    return !is_debug(line) || begins(line, banner) || begins(line, invalid);
}

static bool is_name(char c) { return isalnum((unsigned char)c) || strchr(".-_:%[]", c) != NULL; }

/* "alice@ela.example: Permission denied", "connect to host ela.example port 22", "hostname ela:" */
static void note_host(span_t line, struct ssh_verdict *out) {
    static const char *const before[] = {"connect to host ", "resolve hostname ",
                                         "key is known for ", "Connection to "};
    const char *end = (const char *)line.data + line.len;
    const char *at = memchr(line.data, '@', line.len);
    const char *denied = find(line, ": Permission denied (");
    if (at != NULL && denied != NULL && at < denied) {
        copy(out->host, sizeof out->host, at + 1, denied);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(before); i++) {
        const char *name = find(line, before[i]);
        if (name != NULL) {
            name += strlen(before[i]);
            const char *stop = name;
            while (stop < end && is_name(*stop)) {
                stop++;
            }
            stop -= stop > name && stop[-1] == ':' ? 1 : 0;
            copy(out->host, sizeof out->host, name, stop);
            return;
        }
    }
}

/* The part of the gate's line that is the gate's; and no debug text around a banner. */
static void note_said(span_t line, const struct rule *rule, struct ssh_verdict *out) {
    const char *end = (const char *)line.data + line.len;
    const char *from = (const char *)line.data;
    if (rule->outcome == SSH_GATE_SAID) {
        from = find(line, "posterngate: ") + strlen("posterngate: ");
    }
    copy(out->said, sizeof out->said, from, end);
    out->host[0] = '\0';
    note_host(line, out);
}

static void note_rank(span_t line, size_t *best, struct ssh_verdict *out) {
    for (size_t i = 0; i < *best; i++) {
        bool may = !is_debug(line) || rules[i].outcome == SSH_GATE_SAID ||
                   rules[i].outcome == SSH_HOST_CERTIFICATE;
        if (may && find(line, rules[i].text) != NULL) {
            *best = i;
            out->outcome = rules[i].outcome;
            note_said(line, &rules[i], out);
            return;
        }
    }
}

/* "Offending ED25519 key in /home/alice/.ssh/known_hosts:3" */
static void note_offending(span_t line, struct ssh_verdict *out) {
    const char *end = (const char *)line.data + line.len;
    const char *in = find(line, " key in ");
    if (!begins(line, "Offending ") || in == NULL) {
        return;
    }
    const char *colon = memrchr(in, ':', (size_t)(end - in));
    if (colon == NULL) {
        return;
    }
    unsigned number = 0;
    for (const char *at = colon + 1; at < end && isdigit((unsigned char)*at); at++) {
        number = number * 10 + (unsigned)(*at - '0');
    }
    copy(out->file, sizeof out->file, in + strlen(" key in "), colon);
    out->line = number;
}

static void note_shown(span_t line, struct ssh_verdict *out) {
    const char *end = (const char *)line.data + line.len;
    const char *hash = find(line, "SHA256:");
    if (!begins(line, "debug1: Server host key: ") || hash == NULL) {
        return;
    }
    const char *stop = hash;
    while (stop < end && !isspace((unsigned char)*stop)) {
        stop++;
    }
    copy(out->shown, sizeof out->shown, hash, stop);
}

static void read_line(span_t line, size_t *best, struct ssh_verdict *out) {
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    out->offered += begins(line, "debug1: Offering public key: ") ? 1 : 0;
    out->logins += begins(line, "Authenticated to ") ? 1 : 0;
    /* Each hop shows one; it is the last that has not been taken. */
    note_shown(line, out);
    note_offending(line, out);
    if (is_telling(line)) {
        note_rank(line, best, out);
    }
}

void ssh_words_read(span_t text, struct ssh_verdict *out) {
    struct ssh_verdict verdict = {0};
    size_t best = COUNT_OF(rules);
    while (text.len > 0) {
        read_line(span_until(&text, '\n'), &best, &verdict);
    }
    *out = verdict;
}
