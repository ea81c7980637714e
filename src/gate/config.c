#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rate.h"
#include "base/text.h"
#include "gate/gate.h"
#include "gate/listen.h"

/* The fewest bytes that a session can relay with: a window and a packet each way. */
enum { SESSION_BYTES_MIN = 4 * LIMIT_PACKET_DATA_BYTES, SESSION_BYTES_MAX = 64 * 1024 * 1024 };
enum { SESSIONS_MAX = 1000 * 1000, REKEY_BYTES_MIN = 64 * 1024 };

static err_t check_listen(const char *text) {
    struct listen_address address;
    return listen_parse(text, &address);
}

static err_t check_subnet(const char *text) {
    struct inet_subnet subnet;
    return inet_subnet_parse(span_str(text), &subnet);
}

/* A name-list of RFC 4251: whether the names are known is the transport's to say. */
static err_t check_algorithms(const char *text) {
    bool good = text_is_printable(span_str(text)) && strpbrk(text, " \"'") == NULL &&
                strstr(text, ",,") == NULL && text[0] != ',' && text[strlen(text) - 1] != ',';
    return good ? OK : FAIL(ERR_MALFORMED);
}

/* A duration, or none. */
static err_t take_time(int64_t *out, const char *text) {
    if (strcmp(text, "none") == 0) {
        *out = 0;
        return OK;
    }
    return duration_parse(span_str(text), out);
}

static err_t take_idle(void *target, const char *text) {
    return take_time(&((struct gate_config *)target)->idle_s, text);
}

static err_t take_session(void *target, const char *text) {
    return take_time(&((struct gate_config *)target)->session_s, text);
}

static err_t take_keepalive(void *target, const char *text) {
    return take_time(&((struct gate_config *)target)->keepalive_s, text);
}

static err_t take_drain(void *target, const char *text) {
    return take_time(&((struct gate_config *)target)->drain_s, text);
}

static err_t take_workers(void *target, const char *text) {
    uint64_t number = 0;
    if (strcmp(text, "auto") != 0) {
        TRY(u64_parse(span_str(text), &number));
        if (number == 0 || number > GATE_WORKERS_MAX) {
            return FAIL(ERR_RANGE);
        }
    }
    ((struct gate_config *)target)->workers = (uint32_t)number;
    return OK;
}

/* How often in a minute, or none. */
static err_t take_rate(uint32_t *out, const char *text) {
    uint64_t number = 0;
    if (strcmp(text, "none") != 0) {
        TRY(u64_parse(span_str(text), &number));
        if (number == 0 || number > RATE_PER_MINUTE_MAX) {
            return FAIL(ERR_RANGE);
        }
    }
    *out = (uint32_t)number;
    return OK;
}

static err_t take_logins_rate(void *target, const char *text) {
    return take_rate(&((struct gate_config *)target)->logins_per_minute_max, text);
}

static err_t take_connections_rate(void *target, const char *text) {
    return take_rate(&((struct gate_config *)target)->connections_per_minute_max, text);
}

static err_t take_channels_rate(void *target, const char *text) {
    return take_rate(&((struct gate_config *)target)->channels_per_minute_max, text);
}

static err_t take_choice(bool *out, const char *text, const char *yes, const char *no) {
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0 ? OK : FAIL(ERR_MALFORMED);
}

static err_t take_expired(void *target, const char *text) {
    return take_choice(&((struct gate_config *)target)->cut_expired, text, "cut", "run");
}

static err_t take_stale(void *target, const char *text) {
    return take_choice(&((struct gate_config *)target)->best_effort, text, "best-effort", "strict");
}

static const char not_a_time[] = "is not a duration; write a number and a unit: 1d, 12h, 30min, "
                                 "90s, at most a year; or none for no limit";
static const char not_a_rate[] = "is not a number from 1 to 1000000, or none for no limit";
static const char not_listenable[] = "is not an address and a port; write 192.0.2.1:22, or "
                                     "\"[2001:db8::1]:22\", 0.0.0.0 or [::] for all of this "
                                     "machine's";
static const char not_a_list[] = "is not a list of algorithms; write their names with commas and "
                                 "without blanks between them";

#define AT(member)            SETTING_AT(struct gate_config, member)
#define LIST_AT(array, count) SETTING_LIST_AT(struct gate_config, array, count)
#define COUNT(member, most)   SETTING_NUMBER, AT(member), .min = 1, .max = (most)
#define TIME(member, taker)   SETTING_WORD, AT(member), .take = (taker), .reason = not_a_time
#define RATE(member, taker)   SETTING_WORD, AT(member), .take = (taker), .reason = not_a_rate
static const struct setting table[] = {
    {"listen", SETTING_TEXT, LIST_AT(listen, listen_count), .check = check_listen,
     .reason = not_listenable},
    {"proxies", SETTING_TEXT, LIST_AT(proxies, proxy_count), .check = check_subnet,
     .reason = "is not a subnet; write 192.0.2.0/24, 2001:db8::/32 or a lone address"},
    {"host_keys", SETTING_PATH, LIST_AT(host_keys, host_key_count)},
    {"state", SETTING_PATH, AT(state_dir)},
    {"user", SETTING_TEXT, AT(user)},
    {"workers", SETTING_WORD, AT(workers), .take = take_workers,
     .reason = "is not a number from 1 to 64, or auto for one for each processor"},
    {"metrics_listen", SETTING_TEXT, AT(metrics_listen), .check = check_listen,
     .reason = not_listenable},

    {"limits.sessions", COUNT(sessions_max, SESSIONS_MAX)},
    {"limits.sessions_per_account", COUNT(sessions_per_account_max, SESSIONS_MAX)},
    {"limits.sessions_per_address", COUNT(sessions_per_address_max, SESSIONS_MAX)},
    {"limits.logins", COUNT(logins_max, SESSIONS_MAX)},
    {"limits.login_failures", COUNT(login_failures_max, SESSIONS_MAX)},
    {"limits.channels", COUNT(channels_max, LIMIT_CHANNELS_COUNT)},
    {"limits.logins_per_minute", RATE(logins_per_minute_max, take_logins_rate)},
    {"limits.connections_per_minute", RATE(connections_per_minute_max, take_connections_rate)},
    {"limits.channels_per_minute", RATE(channels_per_minute_max, take_channels_rate)},
    {"limits.session_bytes", SETTING_NUMBER, AT(session_bytes_max), .min = SESSION_BYTES_MIN,
     .max = SESSION_BYTES_MAX},

    {"times.login", SETTING_DURATION, AT(login_s), .max = 3600},
    {"times.idle", TIME(idle_s, take_idle)},
    {"times.session", TIME(session_s, take_session)},
    {"times.keepalive", TIME(keepalive_s, take_keepalive)},
    {"times.keepalive_count", COUNT(keepalive_max, 1000)},
    {"times.connect", SETTING_DURATION, AT(connect_s), .max = 3600},
    {"times.drain", TIME(drain_s, take_drain)},

    {"enrolment", SETTING_BOOL, AT(enrolment)},
    {"when_expired", SETTING_WORD, AT(cut_expired), .take = take_expired,
     .reason = "is neither cut nor run"},
    {"when_stale", SETTING_WORD, AT(best_effort), .take = take_stale,
     .reason = "is neither strict nor best-effort"},
    {"max_age", SETTING_DURATION, AT(max_age_s)},

    {"ssh.kex", SETTING_TEXT, AT(kex), .check = check_algorithms, .reason = not_a_list},
    {"ssh.ciphers", SETTING_TEXT, AT(ciphers), .check = check_algorithms, .reason = not_a_list},
    {"ssh.macs", SETTING_TEXT, AT(macs), .check = check_algorithms, .reason = not_a_list},
    {"ssh.host_key_algorithms", SETTING_TEXT, AT(host_key_algorithms), .check = check_algorithms,
     .reason = not_a_list},
    {"ssh.rekey_bytes", SETTING_NUMBER, AT(rekey_bytes), .min = REKEY_BYTES_MIN,
     .max = (int64_t)LIMIT_REKEY_BYTES},
    {"ssh.rekey_time", SETTING_DURATION, AT(rekey_s), .max = LIMIT_REKEY_MS / 1000,
     .range_reason = "is more than 1h, which is as long as one key is used"},
};
#undef AT
#undef LIST_AT
#undef COUNT
#undef TIME
#undef RATE
_Static_assert(COUNT_OF(table) <= SETTINGS_COUNT_MAX, "settings.lines[] has one for each");
_Static_assert((int)GATE_PROXIES_MAX <= (int)LIMIT_SUBNETS_COUNT, "each proxy has its subnet");

static char *copy_of(const char *text) {
    char *copy = strdup(text);
    INVARIANT(copy != NULL);
    return copy;
}

static void judge_listen(struct settings_reader *reader, const struct gate_config *config) {
    struct listen_address addresses[GATE_LISTEN_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i <= config->listen_count; i++) {
        bool last = i == config->listen_count;
        const char *text = last ? config->metrics_listen : config->listen[i];
        if (text == NULL || failed(listen_parse(text, &addresses[count]))) {
            continue; /* told already */
        }
        for (size_t k = 0; k < count; k++) {
            if (listen_equal(&addresses[k], &addresses[count])) {
                const char *field = last ? "metrics_listen" : "listen";
                settings_tell(reader, field, field, "\"%.60s\" is there twice", text);
            }
        }
        count++;
    }
}

static void judge(struct settings_reader *reader, void *target) {
    struct gate_config *config = target;
    judge_listen(reader, config);
    if (config->listen_count == 0 && !settings_is_bad(reader, "listen")) {
        settings_tell(reader, "listen", "listen", "names no address to listen on");
    }
    config->proxy_subnets.count = 0;
    for (size_t i = 0; i < config->proxy_count; i++) {
        struct inet_subnet *place = &config->proxy_subnets.subnets[config->proxy_subnets.count];
        if (!failed(inet_subnet_parse(span_str(config->proxies[i]), place))) {
            config->proxy_subnets.count++;
        }
    }
}

static const struct settings_plan plan = {table, COUNT_OF(table), "examples/postern-gate.yaml",
                                          judge};

static void set_usual(struct gate_config *config) {
    *config = (struct gate_config){
        .sessions_max = 8000,
        .sessions_per_account_max = 200,
        .sessions_per_address_max = 4000,
        .logins_max = 4000,
        .login_failures_max = 20,
        .channels_max = 256,
        .logins_per_minute_max = 600,
        .connections_per_minute_max = 6000,
        .channels_per_minute_max = 6000,
        .session_bytes_max = 8 * 1024 * 1024,
        .login_s = 60,
        .keepalive_s = 60,
        .keepalive_max = 3,
        .connect_s = 10,
        .drain_s = 60,
        .max_age_s = 24 * 3600,
        .rekey_bytes = LIMIT_REKEY_BYTES,
        .rekey_s = LIMIT_REKEY_MS / 1000,
    };
    config->listen[0] = copy_of("0.0.0.0:22");
    config->listen[1] = copy_of("[::]:22");
    config->listen_count = 2;
    config->state_dir = copy_of("/var/lib/postern-host");
    config->user = copy_of("postern-gate");
}

/* ---- what the machine must have, which the relay cannot look at ------------------------------ */

struct machine_check {
    settings_complain *complain;
    void *context;
    const struct gate_config *config;
    bool good;
};

static void tell(struct machine_check *check, const char *field, const char *reason) {
    char where[320];
    settings_where(&check->config->settings, field, where, sizeof where);
    check->complain(check->context, &(struct settings_complaint){where, field, reason});
    check->good = false;
}

static void check_user(struct machine_check *check) {
    const struct passwd *user = getpwnam(check->config->user);
    char reason[256];
    if (geteuid() != 0) {
        return; /* it stays who it is */
    }
    if (user == NULL) {
        (void)snprintf(reason, sizeof reason,
                       "there is no user %.64s on this machine; make it: useradd --system %.64s",
                       check->config->user, check->config->user);
        tell(check, "user", reason);
    } else if (user->pw_uid == 0) {
        tell(check, "user", "is root, whose rights the gate gives up on purpose; name another");
    }
}

static const char *const usual_keys[] = {
    "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_rsa_key"};

static bool has_usual_key(void) {
    bool found = false;
    for (size_t i = 0; i < COUNT_OF(usual_keys); i++) {
        found |= access(usual_keys[i], F_OK) == 0;
    }
    return found;
}

static void add_usual_keys(struct gate_config *config) {
    for (size_t i = 0; i < COUNT_OF(usual_keys); i++) {
        if (access(usual_keys[i], F_OK) == 0) {
            config->host_keys[config->host_key_count++] = copy_of(usual_keys[i]);
        }
    }
}

static err_t check_machine(const struct gate_config *config, settings_complain *complain,
                           void *context) {
    struct machine_check check = {complain, context, config, true};
    check_user(&check);
    bool chosen = settings_is_set(&config->settings, "host_keys");
    if (chosen ? config->host_key_count == 0 : !has_usual_key()) {
        tell(&check, "host_keys", "there is none; make one: ssh-keygen -A");
    }
    return check.good ? OK : FAIL(ERR_MALFORMED);
}

err_t gate_config_load(const char *path, settings_complain *complain, void *context,
                       struct gate_config *out) {
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    set_usual(&config);
    TRY(settings_load(&plan, path, complain, context, &config.settings, &config));
    TRY(check_machine(&config, complain, context));
    *out = config;
    config = (struct gate_config){.listen_count = 0};
    if (out->host_key_count == 0) {
        add_usual_keys(out);
    }
    return OK;
}

err_t gate_config_parse(span_t text, settings_complain *complain, void *context,
                        struct gate_config *out) {
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    set_usual(&config);
    TRY(settings_parse(&plan, text, "gate.yaml", "/", complain, context, &config.settings,
                       &config));
    *out = config;
    config = (struct gate_config){.listen_count = 0};
    return OK;
}

void gate_config_done(struct gate_config *config) {
    settings_free_texts(&plan, config);
    settings_done(&config->settings);
    *config = (struct gate_config){.listen_count = 0};
}
