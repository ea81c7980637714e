#include "cli/credentials/record.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"

static err_t record_path(const char *site, char **out) {
    return site_state_path(site, "credentials.json", out);
}

/* One that is not there or damaged is as good as an empty one. */
static json_t *load(const char *site) {
    char *path CLEANUP(freep) = NULL;
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    json_t *json = NULL;
    if (!failed(record_path(site, &path)) && !failed(file_read(path, &bytes))) {
        json = json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        json = json_object();
    }
    return json;
}

/* Sets group.name to the value, whose reference it takes. */
static err_t keep(const char *site, const char *group, const char *name, json_t *value) {
    json_t *owned CLEANUP(json_freep) = value;
    json_t *json CLEANUP(json_freep) = load(site);
    char *path CLEANUP(freep) = NULL;
    char *dir CLEANUP(freep) = NULL;
    TRY(site_state_path(site, NULL, &dir));
    TRY(record_path(site, &path));
    if (!json_is_object(json_object_get(json, group)) &&
        json_object_set_new(json, group, json_object()) != 0) {
        return FAIL(ERR_MEMORY);
    }
    if (json_object_set(json_object_get(json, group), name, owned) != 0) {
        return FAIL(ERR_MEMORY);
    }
    char *text CLEANUP(freep) = json_dumps(json, JSON_COMPACT);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(file_make_dirs(dir, 0700));
    return file_put(path, span_str(text), 0600, 0);
}

bool record_is_refused(const struct keyring_name *name) {
    char description[KEYRING_DESCRIPTION_CHARS];
    json_t *json CLEANUP(json_freep) = load(name->site);
    return !failed(keyring_describe(name, description)) &&
           json_object_get(json_object_get(json, "refused"), description) != NULL;
}

err_t record_refused(const struct keyring_name *name) {
    char description[KEYRING_DESCRIPTION_CHARS];
    char now[TIME_CHARS];
    TRY(keyring_describe(name, description));
    time_print_utc(clock_now_s(), now);
    return keep(name->site, "refused", description, json_string(now));
}

int64_t record_last_step(const char *site, const char *account) {
    json_t *json CLEANUP(json_freep) = load(site);
    return json_integer_value(json_object_get(json_object_get(json, "steps"), account));
}

err_t record_step(const char *site, const char *account, int64_t step) {
    return keep(site, "steps", account, json_integer(step));
}

void record_forget(const char *site) {
    char *path CLEANUP(freep) = NULL;
    if (!failed(record_path(site, &path))) {
        (void)unlink(path); /* absent is fine */
    }
}
