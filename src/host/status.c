/* `postern-host status`: for people, for monitoring (--json, exit status), never for the network.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "host/host.h"
#include "host/sessions/sessions.h"
#include "ssh/krl.h"

enum { RELOAD_GRACE_S = 3 * LIMIT_RELOAD_S };

struct status {
    struct replica_info info;
    struct replica_self self;
    int64_t now;
    int64_t renew_at;
    int64_t ends_at; /* of the host certificate that ends first; 0: one is missing */
    bool stale;
    bool certificates_bad;
    bool krl_missing;
    int64_t reload_due; /* since when; 0: sshd has read everything */
    bool reload_by_hand;
    bool feed_served;
    json_t *sessions; /* NULL: only root may see them */
};

/* As a whole, as sshd reads it: of a damaged one it refuses everybody too. */
static bool krl_is_readable(const char *path) {
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    struct krl *krl CLEANUP(krl_freep) = NULL;
    return !failed(file_read(path, &bytes)) && !failed(krl_parse(buf_span(&bytes), &krl));
}

static err_t gather(const struct config *config, struct status *out, struct fault *fault) {
    struct replica *replica CLEANUP(replica_closep) = NULL;
    char *path CLEANUP(freep) = NULL;
    char *krl CLEANUP(freep) = NULL;
    TRY(path_join(config->state_dir, HOST_REPLICA_FILE, &path));
    TRY(path_join(config->state_dir, FILE_KRL, &krl));
    err_t err = replica_open_read(path, &replica);
    if (!failed(err)) {
        err = replica_self_get(replica, &out->self);
    }
    if (!failed(err)) {
        err = replica_info(replica, &out->info);
    }
    if (failed(err)) {
        return fault_set(fault, err.code, path, "%s",
                         err.code == ERR_NOT_FOUND ? "this machine is not enrolled; run: "
                                                     "postern-host enrol"
                                                   : replica_error_text(err));
    }
    out->now = clock_now_s();
    out->stale = out->info.synced_at == 0 || out->now - out->info.synced_at > out->self.max_age_s;
    out->krl_missing = !krl_is_readable(krl);
    out->reload_due = reload_due_ms(config->state_dir) / 1000;
    out->reload_by_hand = config->reload_word_count == 0;
    out->feed_served = publisher_is_served(config->state_dir);
    ignore_err(sessions_json(config->state_dir, &out->sessions)); /* as others than root */
    certificates_due(config, &out->renew_at, &out->ends_at);
    out->certificates_bad = out->ends_at <= out->now;
    return OK;
}

static void print_text(const struct status *status) {
    char when[TIME_CHARS] = "never";
    char ago[DURATION_CHARS] = "never";
    char limit[DURATION_CHARS];
    if (status->info.synced_at != 0) {
        time_print_local(status->info.synced_at, when);
        duration_print_relative(status->info.synced_at, status->now, ago);
    }
    duration_print(status->self.max_age_s, limit);
    (void)printf("host              %s\n", status->self.name);
    (void)printf("last contact      %s (%s)%s\n", when, ago, status->stale ? "  TOO OLD" : "");
    (void)printf("when too old      %s after %s\n",
                 status->self.best_effort ? "goes on and warns" : "refuses everybody", limit);
    (void)printf("revision          %llu\n", (unsigned long long)status->info.revision);
    (void)printf("accounts          %zu\n", status->info.accounts);
    (void)printf("jobs              %zu\n", status->info.jobs);
    (void)printf("revoked           %zu%s\n", status->info.revocations,
                 status->krl_missing ? "  THE KRL CANNOT BE READ: sshd refuses everybody" : "");
    if (status->ends_at == INT64_MAX) {
        (void)printf("host certificates none with an end\n");
    } else if (status->ends_at == 0) {
        (void)printf("host certificates MISSING for a key\n");
    } else {
        time_print_local(status->ends_at, when);
        duration_print_relative(status->ends_at, status->now, ago);
        (void)printf("host certificates until %s (%s)%s\n", when, ago,
                     status->certificates_bad ? "  EXPIRED" : "");
    }
}

static void print_feed(const struct status *status) {
    (void)printf("feed socket       %s\n",
                 status->feed_served ? "is served" : "nobody serves it: is sync running?");
}

static void print_sessions(const struct status *status) {
    if (status->sessions == NULL) {
        (void)puts("sessions          only root may see them");
        return;
    }
    (void)printf("sessions          %zu open%s\n", json_array_size(status->sessions),
                 json_array_size(status->sessions) > 0 ? "; see: postern-host sessions" : "");
}

/* A reload takes a moment; one that is due for longer has failed. */
static bool reload_failed(const struct status *status) {
    return status->reload_due != 0 && !status->reload_by_hand &&
           status->now - status->reload_due > RELOAD_GRACE_S;
}

static void print_reload(const struct status *status) {
    char when[TIME_CHARS];
    if (status->reload_due == 0) {
        (void)puts("sshd              has read everything");
        return;
    }
    time_print_local(status->reload_due, when);
    (void)printf("sshd              %s since %s: %s\n",
                 reload_failed(status) ? "HAS NOT BEEN RELOADED" : "is to be reloaded", when,
                 status->reload_by_hand ? "by hand, as no reload_command is set"
                                        : "sync runs the reload_command, and logs its failures");
}

static json_t *json_time(int64_t when) {
    char text[TIME_CHARS];
    if (when == 0 || when == INT64_MAX) {
        return json_null();
    }
    time_print_utc(when, text);
    return json_string(text);
}

static int print_json(const struct status *status) {
    char revision[24];
    (void)snprintf(revision, sizeof revision, "%llu", (unsigned long long)status->info.revision);
    json_t *root = json_pack(
        "{s:s, s:s, s:o, s:I, s:b, s:b, s:I, s:I, s:I, s:b, s:o, s:o, s:b, s:o, s:b, s:b, s:I,"
        " s:o}",
        "host", status->self.name, "revision", revision, "syncTime",
        json_time(status->info.synced_at), "ageSeconds",
        (json_int_t)(status->info.synced_at == 0 ? -1 : status->now - status->info.synced_at),
        "stale", status->stale, "bestEffort", status->self.best_effort, "accounts",
        (json_int_t)status->info.accounts, "krlEntries", (json_int_t)status->info.revocations,
        "registeredKeys", (json_int_t)status->info.keys, "krlReadable", !status->krl_missing,
        "certificateExpireTime", json_time(status->ends_at), "certificateRenewTime",
        json_time(status->renew_at), "certificatesValid", !status->certificates_bad,
        "reloadDueTime", json_time(status->reload_due), "reloadByHand", status->reload_by_hand,
        "feedServed", status->feed_served, "jobs", (json_int_t)status->info.jobs, "sessions",
        status->sessions != NULL ? json_incref(status->sessions) : json_null());
    int failure = root == NULL ? -1 : json_dumpf(root, stdout, JSON_INDENT(2));
    json_decref(root);
    return failure != 0 || puts("") < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
}

const char status_usage[] = "usage: postern-host status [--json] [--config FILE] [--state DIR]\n";

int command_status(int argc, char **argv) {
    struct command_options options;
    if (!command_read_options(argc, argv, "json", status_usage, &options)) {
        return HOST_EXIT_USAGE;
    }
    struct config config CLEANUP(config_done) = {0};
    struct status status = {0};
    struct fault fault = {0};
    err_t err = command_config(options.config, options.state, &config, &fault);
    if (!failed(err)) {
        err = gather(&config, &status, &fault);
    }
    if (failed(err)) {
        return command_failed("tell the status", err, &fault);
    }
    int result = HOST_EXIT_OK;
    if (options.flag) {
        result = print_json(&status);
    } else {
        print_text(&status);
        print_reload(&status);
        print_feed(&status);
        print_sessions(&status);
    }
    json_decref(status.sessions);
    bool bad =
        status.stale || status.certificates_bad || status.krl_missing || reload_failed(&status);
    return result == HOST_EXIT_OK && bad ? HOST_EXIT_STALE : result;
}
