#include "cli/certificates/attempt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/cli.h"

static err_t attempt_path(const char *site, char **out) {
    return site_state_path(site, "refresh.json", out);
}

void attempt_load(const char *site, const char *cert_path, struct attempt *out) {
    char *path CLEANUP(freep) = NULL;
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    *out = (struct attempt){0};
    if (failed(attempt_path(site, &path)) || failed(file_read(path, &bytes))) {
        return;
    }
    json_t *json CLEANUP(json_freep) =
        json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    long long exit = member_number(json, "exit");
    if (exit <= EXIT_DONE || exit >= EXIT_INTERRUPTED ||
        strcmp(member_text(json, "file"), cert_path) != 0) {
        return;
    }
    out->at_ms = member_number(json, "failedAtMs");
    out->trouble.exit = (enum exit_code)exit;
    (void)snprintf(out->trouble.what, sizeof out->trouble.what, "%s", member_text(json, "what"));
    (void)snprintf(out->trouble.next, sizeof out->trouble.next, "%s", member_text(json, "next"));
}

err_t attempt_save(const char *site, const char *cert_path, const struct attempt *attempt) {
    char *path CLEANUP(freep) = NULL;
    TRY(attempt_path(site, &path));
    json_t *json CLEANUP(json_freep) =
        json_pack("{s:s, s:I, s:i, s:s, s:s}", "file", cert_path, "failedAtMs",
                  (json_int_t)attempt->at_ms, "exit", (int)attempt->trouble.exit, "what",
                  attempt->trouble.what, "next", attempt->trouble.next);
    char *text CLEANUP(freep) = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    TRY(text == NULL ? FAIL(ERR_MEMORY) : OK);
    return file_put(path, span_str(text), 0600, 0);
}

void attempt_forget(const char *site) {
    char *path CLEANUP(freep) = NULL;
    if (!failed(attempt_path(site, &path))) {
        (void)unlink(path); /* absent is fine */
    }
}

bool attempt_answers(const struct attempt *attempt, int64_t started_ms, bool valid,
                     int64_t now_ms) {
    if (attempt->at_ms <= 0 || attempt->at_ms > now_ms) {
        return false; /* none, or the clock was set back since */
    }
    return attempt->at_ms >= started_ms ||
           (valid && now_ms - attempt->at_ms < LIMIT_REFRESH_AGAIN_S * 1000LL);
}
