#include <getopt.h>
#include <stdio.h>

#include "host/host.h"
#include "host/sync_host.h"

bool command_read_options(int argc, char **argv, const char *flag, const char *usage,
                          struct command_options *out) {
    const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                   {"state", required_argument, NULL, 's'},
                                   {flag, no_argument, NULL, 'f'},
                                   {0}};
    struct command_options options = {0};
    bool usable = true;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        options.config = option == 'c' ? optarg : options.config;
        options.state = option == 's' ? optarg : options.state;
        options.flag = options.flag || option == 'f';
        usable = usable && option != '?';
    }
    if (!usable || optind != argc) {
        (void)fputs(usage, stderr);
        return false;
    }
    *out = options;
    return true;
}

void command_complain(void *context, const struct settings_complaint *complaint) {
    (void)context;
    (void)fprintf(stderr, "%s: %s: %s\n", complaint->where, complaint->field, complaint->reason);
}

err_t command_config(const char *path, const char *state_dir, struct config *out,
                     struct fault *fault) {
    err_t err = config_load(path, state_dir, command_complain, NULL, out);
    return failed(err) ? fault_set(fault, err.code, "", "the configuration has errors") : OK;
}

int command_failed(const char *what, err_t err, const struct fault *fault) {
    if (fault->reason[0] == '\0') {
        (void)fprintf(stderr, "postern-host: cannot %s: %s\n", what, err_text(err));
    } else {
        (void)fprintf(stderr, "postern-host: cannot %s: %s%s%s\n", what, fault->field,
                      fault->field[0] != '\0' ? ": " : "", fault->reason);
    }
    switch (err.code) {
    case ERR_CONNECT:
    case ERR_TIMEOUT:
    case ERR_TLS:
        return HOST_EXIT_NETWORK;
    case ERR_CLOSED:
    case ERR_PROTOCOL:
        return HOST_EXIT_AUTHORITY;
    case ERR_REFUSED:
        return HOST_EXIT_REFUSED;
    case ERR_MALFORMED:
    case ERR_RANGE:
    case ERR_NOT_FOUND:
        return HOST_EXIT_USAGE;
    default:
        return HOST_EXIT_INTERNAL;
    }
}
