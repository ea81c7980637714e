/* `postern-host check`: whether the configuration and the keys that it names will do. */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "host/host.h"
#include "host/sync_host.h"
#include "ssh/key.h"

const char check_usage[] = "usage: postern-host check [--config FILE]\n";

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

int command_check(int argc, char **argv) {
    static const struct option known[] = {{"config", required_argument, NULL, 'c'}, {0}};
    const char *path = NULL;
    for (int option; (option = getopt_long(argc, argv, "c:", known, NULL)) != -1;) {
        if (option != 'c') {
            (void)fputs(check_usage, stderr);
            return HOST_EXIT_USAGE;
        }
        path = optarg;
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
    if (config.settings.path == NULL) {
        return puts(CONFIG_FILE ": not there, so the defaults count") < 0 ? HOST_EXIT_INTERNAL
                                                                          : HOST_EXIT_OK;
    }
    return printf("%s: good\n", config.settings.path) < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
}
