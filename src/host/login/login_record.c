#include "host/login/login_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "host/process.h"

#define RECORD_VERSION "1"

/* A word of the text; "-" stands for an empty one. */
static bool is_word(const char *text) {
    return text_is_printable(span_str(text)) && strchr(text, ' ') == NULL && strcmp(text, "-") != 0;
}

static const char *word(const char *text) { return text[0] == '\0' ? "-" : text; }

/* What tells two credentials of one connection apart, fit for a file's name. */
static void put_credential(const struct login_record *record, char out[LOGIN_FINGERPRINT_CHARS]) {
    if (record->serial != 0) {
        (void)snprintf(out, LOGIN_FINGERPRINT_CHARS, "%" PRIu64, record->serial);
        return;
    }
    (void)snprintf(out, LOGIN_FINGERPRINT_CHARS, "%s", record->fingerprint);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '/' ? '_' : *c;
    }
}

err_t login_record_print(const struct login_record *record, char name[LOGIN_RECORD_NAME_CHARS],
                         char text[LOGIN_RECORD_TEXT_CHARS]) {
    char credential[LOGIN_FINGERPRINT_CHARS];
    if (!is_word(record->user) || !is_word(record->account) || !is_word(record->job) ||
        !is_word(record->fingerprint)) {
        return FAIL(ERR_MALFORMED);
    }
    put_credential(record, credential);
    (void)snprintf(name, LOGIN_RECORD_NAME_CHARS, "%d-%" PRIu64 "-%s", (int)record->monitor,
                   record->monitor_start, credential);
    (void)snprintf(text, LOGIN_RECORD_TEXT_CHARS,
                   RECORD_VERSION " %s %s %s %d %" PRIu64 " %s %" PRId64 " %" PRId64,
                   word(record->user), word(record->account), word(record->job),
                   (int)record->job_why, record->serial, word(record->fingerprint),
                   record->expires_at, record->at);
    return OK;
}

/* Up to the separator or the end; moves on behind it. */
static err_t take_word(const char **from, char separator, char *out, size_t size) {
    const char *end = strchrnul(*from, separator);
    size_t len = (size_t)(end - *from);
    if (len == 0 || len >= size || !text_is_printable(span_of(*from, len))) {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(out, *from, len);
    out[len] = '\0';
    if (strcmp(out, "-") == 0) {
        out[0] = '\0';
    }
    *from = *end == '\0' ? end : end + 1;
    return OK;
}

static err_t take_number(const char **from, char separator, uint64_t max, uint64_t *out) {
    char text[24];
    uint64_t number = 0;
    TRY(take_word(from, separator, text, sizeof text));
    TRY(u64_parse(span_str(text), &number));
    if (number > max) {
        return FAIL(ERR_MALFORMED);
    }
    *out = number;
    return OK;
}

static err_t parse_name(const char *name, struct login_record *out) {
    uint64_t pid = 0;
    TRY(take_number(&name, '-', INT32_MAX, &pid));
    TRY(take_number(&name, '-', UINT64_MAX, &out->monitor_start));
    out->monitor = (pid_t)pid;
    return pid > 1 && name[0] != '\0' ? OK : FAIL(ERR_MALFORMED);
}

static err_t parse_text(const char *text, struct login_record *out) {
    char version[4];
    uint64_t job_why = 0;
    uint64_t expires_at = 0;
    uint64_t at = 0;
    TRY(take_word(&text, ' ', version, sizeof version));
    TRY(take_word(&text, ' ', out->user, sizeof out->user));
    TRY(take_word(&text, ' ', out->account, sizeof out->account));
    TRY(take_word(&text, ' ', out->job, sizeof out->job));
    TRY(take_number(&text, ' ', LOGIN_JOB_NAMED, &job_why));
    TRY(take_number(&text, ' ', UINT64_MAX, &out->serial));
    TRY(take_word(&text, ' ', out->fingerprint, sizeof out->fingerprint));
    TRY(take_number(&text, ' ', INT64_MAX, &expires_at));
    TRY(take_number(&text, ' ', INT64_MAX, &at));
    out->job_why = (enum login_job_why)job_why;
    out->expires_at = (int64_t)expires_at;
    out->at = (int64_t)at;
    return strcmp(version, RECORD_VERSION) == 0 && text[0] == '\0' && out->user[0] != '\0' &&
                   out->account[0] != '\0' && (out->serial != 0 || out->fingerprint[0] != '\0')
               ? OK
               : FAIL(ERR_MALFORMED);
}

/* A name that is not its credential's would keep the true record from being left. */
static bool is_as_printed(const struct login_record *record, const char *name, const char *text) {
    char printed_name[LOGIN_RECORD_NAME_CHARS];
    char printed_text[LOGIN_RECORD_TEXT_CHARS];
    return !failed(login_record_print(record, printed_name, printed_text)) &&
           strcmp(printed_name, name) == 0 && strcmp(printed_text, text) == 0;
}

err_t login_record_parse(const char *name, const char *text, struct login_record *out) {
    struct login_record record = {0};
    if (failed(parse_name(name, &record)) || failed(parse_text(text, &record)) ||
        !is_as_printed(&record, name, text)) {
        return FAIL(ERR_MALFORMED);
    }
    *out = record;
    return OK;
}

/* With hidepid, the command user does not see root's processes; the pid alone has to do then. */
static bool find_monitor(struct login_record *record) {
    struct process process;
    record->monitor = getppid();
    if (failed(process_read(record->monitor, &process))) {
        return true;
    }
    record->monitor_start = process.start;
    return process_is_sshd(process.name);
}

err_t login_record_leave(const char *state_dir, const struct login_record *record) {
    struct login_record whole = *record;
    char name[LOGIN_RECORD_NAME_CHARS];
    char text[LOGIN_RECORD_TEXT_CHARS];
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    if (!find_monitor(&whole)) {
        return OK;
    }
    TRY(login_record_print(&whole, name, text));
    TRY(path_join(state_dir, LOGIN_RECORD_DIR, &dir));
    TRY(path_join(dir, name, &path));
    if (symlink(text, path) == 0) {
        return OK;
    }
    /* What is there under this name may be of a connection long gone, or forged; or it is ours of a
     * moment ago, and sync takes it over just now. */
    bool gone = errno == EEXIST && (unlink(path) == 0 || errno == ENOENT);
    return gone && symlink(text, path) == 0 ? OK : err_from_errno(errno);
}
