/* posternd: the authority. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "authority/config.h"
#include "authority/init.h"
#include "authority/routes.h"
#include "authority/serve.h"
#include "authority/signer.h"
#include "authority/tls_files.h"
#include "base/clock.h"

#define CONFIG_DEFAULT "/etc/posterngate/posternd.yaml"

static const char usage[] =
    "usage: posternd COMMAND\n"
    "\n"
    "  init DIR [OPTIONS]     make a new authority: configuration, keys, store, administrator\n"
    "  check [-c FILE]        judge the configuration and the files that it names\n"
    "  serve [-c FILE]        run the authority\n"
    "  renew-tls [-c FILE]    renew the TLS certificate that init made\n"
    "  --version\n"
    "\n"
    "FILE is " CONFIG_DEFAULT " unless told otherwise.\n";

static void print_complaint(void *context, const struct settings_complaint *complaint) {
    (void)context;
    fprintf(stderr, "%s: %s: %s\n", complaint->where, complaint->field, complaint->reason);
}

static void warn_of_tls(const struct config *config) {
    int64_t ends_at;
    char where[320], when[TIME_CHARS];
    if (tls_files_end_soon(config, clock_now_s(), &ends_at)) {
        settings_where(&config->settings, "tls.certificate", where, sizeof where);
        time_print_utc(ends_at, when);
        fprintf(stderr,
                "%s: tls.certificate: %s: warning: ends on %s; if init made it, run: posternd "
                "renew-tls\n",
                where, config->tls_certificate, when);
    }
}

static int check_main(const char *path) {
    struct config *config CLEANUP(config_freep) = NULL;
    if (failed(config_load(path, print_complaint, NULL, &config))) {
        return 2;
    }
    if (failed(config_check_files(config, CONFIG_WITH_KEYS, print_complaint, NULL))) {
        return 2;
    }
    warn_of_tls(config);
    printf("%s: good\n", path);
    return 0;
}

static int renew_tls_main(const char *path) {
    struct config *config CLEANUP(config_freep) = NULL;
    return failed(config_load(path, print_complaint, NULL, &config)) ? 2 : tls_files_renew(config);
}

/* Of "-c FILE"; NULL after a complaint. */
static const char *config_option(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = CONFIG_DEFAULT;
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (option != 'c') {
            fputs(usage, stderr);
            return NULL;
        }
        path = optarg;
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return NULL;
    }
    return path;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "signer") == 0 && argc == 3) {
        return signer_main(argv[2]); /* serve starts it; it is of no use by hand */
    }
    if (strcmp(command, "init") == 0) {
        return init_main(argc - 1, argv + 1);
    }
    if (strcmp(command, "serve") == 0 || strcmp(command, "check") == 0 ||
        strcmp(command, "renew-tls") == 0) {
        const char *path = config_option(argc - 1, argv + 1);
        if (path == NULL) {
            return 2;
        }
        return command[0] == 's'   ? serve_main(path)
               : command[0] == 'c' ? check_main(path)
                                   : renew_tls_main(path);
    }
    if (strcmp(command, "routes") == 0 && argc == 2) {
        routes_print(stdout); /* for the test of docs/openapi.yaml */
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        puts("posternd " POSTERN_VERSION);
        return 0;
    }
    bool asked = strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
                 strcmp(command, "-h") == 0;
    fputs(usage, asked ? stdout : stderr);
    return asked ? 0 : 2;
}
