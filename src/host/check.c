/* `postern-host check`: whether the configuration and the keys that it names will do, and sshd. */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "host/host.h"
#include "host/subprocess.h"
#include "host/sync_host.h"
#include "ssh/key.h"

const char check_usage[] = "usage: postern-host check [--config FILE] [--sshd-config FILE]\n";

enum { SSHD_SETTINGS_BYTES_MAX = 4 * 1024 * 1024 };

static bool check_key(const struct config *config, const char *path) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct key *key CLEANUP(key_freep) = NULL;
    char where[320];
    err_t err = file_read(path, &text);
    if (!failed(err)) {
        err = key_parse_line(buf_span(&text), &key, NULL);
    }
    if (failed(err)) {
        settings_where(&config->settings, "host_keys", where, sizeof where);
        (void)fprintf(stderr, "%s: host_keys: %s: %s\n", where, path, err_text(err));
    }
    return !failed(err);
}

/* sshd_config NULL: where sshd looks for it. Where there is no sshd there is nothing to tell. */
static void check_sshd(const struct config *config, const char *sshd_config) {
    static const char program[] = "/usr/sbin/sshd";
    const char *const words[] = {program, "-T", sshd_config == NULL ? NULL : "-f", sshd_config,
                                 NULL};
    const struct subprocess run = {.words = words, .timeout_ms = LIMIT_RELOAD_S * 1000};
    struct buf settings CLEANUP(buf_done) = BUF(SSHD_SETTINGS_BYTES_MAX);
    struct buf told CLEANUP(buf_done) = BUF(SSHD_SETTINGS_BYTES_MAX);
    struct fault fault = {0};
    if (access(program, X_OK) != 0) {
        return;
    }
    err_t err = subprocess_run(&run, &settings, &fault);
    err = failed(err) ? err : sshd_doors_tell(buf_span(&settings), config->state_dir, &told);
    if (failed(err)) {
        (void)fprintf(stderr, "warning: sshd was not looked at: %s\n",
                      fault.reason[0] != '\0' ? fault.reason : err_text(err));
        return;
    }
    for (span_t rest = buf_span(&told); rest.len > 0;) {
        span_t line = span_until(&rest, '\n');
        (void)fprintf(stderr, "warning: sshd: %.*s\n", (int)line.len, (const char *)line.data);
    }
}

int command_check(int argc, char **argv) {
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"sshd-config", required_argument, NULL, 's'},
                                          {0}};
    const char *path = NULL, *sshd_config = NULL;
    for (int option; (option = getopt_long(argc, argv, "c:", known, NULL)) != -1;) {
        if (option != 'c' && option != 's') {
            (void)fputs(check_usage, stderr);
            return HOST_EXIT_USAGE;
        }
        *(option == 'c' ? &path : &sshd_config) = optarg;
    }
    if (optind != argc) {
        (void)fputs(check_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    struct config config CLEANUP(config_done) = {0};
    if (failed(config_load(path, NULL, command_complain, NULL, &config))) {
        return HOST_EXIT_USAGE;
    }
    bool good = true;
    for (size_t i = 0; i < config.host_key_count; i++) {
        good &= check_key(&config, config.host_keys[i]);
    }
    if (!good) {
        return HOST_EXIT_USAGE;
    }
    check_sshd(&config, sshd_config);
    if (config.settings.path == NULL) {
        return puts(CONFIG_FILE ": not there, so the defaults count") < 0 ? HOST_EXIT_INTERNAL
                                                                          : HOST_EXIT_OK;
    }
    return printf("%s: good\n", config.settings.path) < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
}
