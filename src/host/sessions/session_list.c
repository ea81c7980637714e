/* `postern-host sessions`: what is open here, and by what. For root: who has which sessions is
 * nobody else's. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "host/host.h"
#include "host/sessions/session_record.h"
#include "host/sessions/sessions.h"

static void print_credential(const struct login_record *record, char *out, size_t size) {
    if (record->serial != 0) {
        (void)snprintf(out, size, "certificate %" PRIu64, record->serial);
    } else {
        (void)snprintf(out, size, "key %s", record->fingerprint);
    }
}

static err_t print_line(void *context, const struct login_record *record) {
    char credential[LOGIN_FINGERPRINT_CHARS + 16];
    char when[TIME_CHARS];
    size_t *count = context;
    if ((*count)++ == 0) {
        (void)printf("%-8s  %-16s  %-16s  %-20s  %-26s  %s\n", "PID", "USER", "ACCOUNT", "JOB",
                     "SINCE", "BY");
    }
    time_print_local(record->at, when);
    print_credential(record, credential, sizeof credential);
    (void)printf("%-8d  %-16s  %-16s  %-20s  %-26s  %s\n", (int)record->monitor, record->user,
                 record->account, record->job[0] != '\0' ? record->job : "-", when, credential);
    return OK;
}

static json_t *json_text(const char *text) {
    return text[0] != '\0' ? json_string(text) : json_null();
}

/* null for both of what the other credential has. */
static err_t add_json(void *context, const struct login_record *record) {
    char serial[24] = "";
    char since[TIME_CHARS];
    bool certificate = record->serial != 0;
    if (certificate) {
        (void)snprintf(serial, sizeof serial, "%" PRIu64, record->serial);
    }
    time_print_utc(record->at, since);
    json_t *item =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:s}", "pid", (int)record->monitor, "user",
                  record->user, "account", record->account, "job", json_text(record->job),
                  "serialNumber", json_text(serial), "keyFingerprint",
                  json_text(certificate ? "" : record->fingerprint), "sinceTime", since);
    return item != NULL && json_array_append_new(context, item) == 0 ? OK : FAIL(ERR_MEMORY);
}

err_t sessions_json(const char *state_dir, struct json_t **out) {
    json_t *list = json_array();
    err_t err = list == NULL ? FAIL(ERR_MEMORY) : session_record_list(state_dir, add_json, list);
    if (failed(err)) {
        json_decref(list);
        return err;
    }
    *out = list;
    return OK;
}

static err_t print_all(const char *state_dir, bool json) {
    size_t count = 0;
    if (!json) {
        TRY(session_record_list(state_dir, print_line, &count));
        return count > 0 || puts("no session is open") >= 0 ? OK : FAIL(ERR_IO);
    }
    json_t *list = NULL;
    TRY(sessions_json(state_dir, &list));
    int failure = json_dumpf(list, stdout, JSON_INDENT(2));
    json_decref(list);
    return failure == 0 && puts("") >= 0 ? OK : FAIL(ERR_IO);
}

const char sessions_usage[] =
    "usage: postern-host sessions [--json] [--config FILE] [--state DIR]\n";

int command_sessions(int argc, char **argv) {
    struct command_options options;
    if (!command_read_options(argc, argv, "json", sessions_usage, &options)) {
        return HOST_EXIT_USAGE;
    }
    struct config config CLEANUP(config_done) = {0};
    struct fault fault = {0};
    err_t err = command_config(options.config, options.state, &config, &fault);
    if (!failed(err)) {
        err = print_all(config.state_dir, options.flag);
    }
    if (err.code == ERR_NOT_FOUND) {
        err = fault_set(&fault, err.code, config.state_dir,
                        "no sync has run here yet; run: postern-host sync");
    }
    return failed(err) ? command_failed("list the sessions", err, &fault) : HOST_EXIT_OK;
}
