#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "host/host.h"
#include "host/sync_host.h"
#include "net/job_socket.h"

static err_t check_host_key(const char *text) {
    char *ignored CLEANUP(freep) = NULL;
    return certificate_path(text, &ignored);
}

/* Whatever bears the name is written over, in every home. */
static err_t check_internal_key_file(const char *text) {
    static const char *const taken[] = {
        "authorized_keys", "authorized_keys2", "config",     "environment",
        "known_hosts",     "known_hosts2",     "rc",         "id_dsa",
        "id_rsa",          "id_ecdsa",         "id_ed25519", "id_ecdsa_sk",
        "id_ed25519_sk",   "identity",         "id_xmss"};
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(text);
    if (len == 0 || len > LIMIT_HOME_FILE_CHARS || strspn(text, letters) != len) {
        return FAIL(ERR_MALFORMED);
    }
    for (size_t i = 0; i < COUNT_OF(taken); i++) {
        if (strcmp(text, taken[i]) == 0) {
            return FAIL(ERR_MALFORMED);
        }
    }
    return OK;
}

/* One of two words; *out: whether it was the first. */
static err_t take_choice(bool *out, const char *text, const char *yes, const char *no) {
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0 ? OK : FAIL(ERR_MALFORMED);
}

static err_t take_stale(void *target, const char *text) {
    return take_choice(&((struct config *)target)->best_effort, text, "best-effort", "strict");
}

static err_t take_expired(void *target, const char *text) {
    return take_choice(&((struct config *)target)->sessions.cut_expired, text, "cut", "run");
}

static err_t take_job_ended(void *target, const char *text) {
    return take_choice(&((struct config *)target)->sessions.keep_job_ended, text, "run", "cut");
}

#define AT(member)            SETTING_AT(struct config, member)
#define LIST_AT(array, count) SETTING_LIST_AT(struct config, array, count)
static const struct setting table[] = {
    {"state", SETTING_PATH, AT(state_dir)},
    {"command_user", SETTING_TEXT, AT(command_user)},
    {"min_uid", SETTING_NUMBER, AT(min_uid), .min = 1, .max = UINT32_MAX,
     .reason = "is not a user's number, or root's"},
    {"host_keys", SETTING_PATH, LIST_AT(host_keys, host_key_count), .check = check_host_key,
     .reason = "is not a public key: its name must end in .pub"},
    {"max_age", SETTING_DURATION, AT(max_age_s)},
    {"when_stale", SETTING_WORD, AT(best_effort), .take = take_stale,
     .reason = "is neither strict nor best-effort"},
    {"when_expired", SETTING_WORD, AT(sessions.cut_expired), .take = take_expired,
     .reason = "is neither cut nor run"},
    {"when_job_ended", SETTING_WORD, AT(sessions.keep_job_ended), .take = take_job_ended,
     .reason = "is neither cut nor run"},
    {"registered_keys", SETTING_BOOL, AT(registered_keys)},
    {"internal_keys.file", SETTING_TEXT, AT(internal_key_file), .check = check_internal_key_file,
     .reason = "cannot be kept in ~/.ssh: choose a name, without a slash, that neither OpenSSH nor "
               "its users have for something of theirs"},
    {"job_socket", SETTING_PATH, AT(job_socket)},
    {"reload_command", SETTING_TEXT, LIST_AT(reload_command, reload_word_count)},
};
#undef AT
#undef LIST_AT

static char *copy_of(const char *text) {
    char *copy = strdup(text);
    INVARIANT(copy != NULL);
    return copy;
}

static void judge_user(struct settings_reader *reader, struct config *config) {
    const struct passwd *user = getpwnam(config->command_user);
    if (user != NULL) {
        config->command_group = user->pw_gid;
    } else {
        settings_tell(reader, "command_user", "command_user",
                      "there is no user %.64s on this machine", config->command_user);
    }
}

static void add_usual_keys(struct config *config) {
    static const char *const usual[] = {"/etc/ssh/ssh_host_ed25519_key.pub",
                                        "/etc/ssh/ssh_host_ecdsa_key.pub",
                                        "/etc/ssh/ssh_host_rsa_key.pub"};
    for (size_t i = 0; i < COUNT_OF(usual); i++) {
        if (access(usual[i], R_OK) == 0) {
            config->host_keys[config->host_key_count++] = copy_of(usual[i]);
        }
    }
}

static void judge(struct settings_reader *reader, void *target) {
    struct config *config = target;
    judge_user(reader, config);
    if (!settings_is_set(settings_of(reader), "host_keys")) {
        add_usual_keys(config);
    }
    if (config->reload_word_count == 1 && strpbrk(config->reload_command[0], " \t") != NULL) {
        settings_tell(reader, "reload_command", "reload_command",
                      "is one word with blanks in it, and no shell parts it; write a list: "
                      "[systemctl, reload, ssh]");
    }
}

static const struct settings_plan plan = {table, COUNT_OF(table), "examples/postern-host.yaml",
                                          judge};

bool config_is_absent(const char *path) {
    struct stat status;
    return lstat(path, &status) != 0 && errno == ENOENT;
}

err_t config_load(const char *path, const char *state_dir, settings_complain *complain,
                  void *context, struct config *out) {
    struct config config CLEANUP(config_done) = {
        .max_age_s = 24 * 3600, .registered_keys = true, .min_uid = HOST_UID_MIN};
    config.state_dir = copy_of(HOST_STATE_DIR);
    config.command_user = copy_of("nobody");
    config.internal_key_file = copy_of("id_postern");
    config.job_socket = copy_of(JOB_SOCKET);
    if (state_dir != NULL && state_dir[0] != '/') {
        complain(context,
                 &(struct settings_complaint){"--state", state_dir, "is not an absolute path"});
        return FAIL(ERR_MALFORMED);
    }
    if (path != NULL || !config_is_absent(CONFIG_FILE)) {
        TRY(settings_load(&plan, path != NULL ? path : CONFIG_FILE, complain, context,
                          &config.settings, &config));
    } else {
        TRY(settings_parse(&plan, SPAN_LITERAL(""), "(no file)", "/", complain, context,
                           &config.settings, &config));
    }
    if (state_dir != NULL) {
        free(config.state_dir);
        config.state_dir = copy_of(state_dir);
    }
    *out = config;
    config = (struct config){0};
    return OK;
}

void config_done(struct config *config) {
    settings_free_texts(&plan, config);
    settings_done(&config->settings);
    *config = (struct config){0};
}
