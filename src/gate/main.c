/* postern-gate: the jump host. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "gate/gate.h"
#include "gate/host_cert.h"
#include "gate/keys.h"
#include "gate/process.h"

static const char usage[] =
    "usage: postern-gate COMMAND\n"
    "\n"
    "  serve [-c FILE]        run the gate\n"
    "  check [-c FILE]        judge the configuration and the host keys that it names\n"
    "  --version\n"
    "\n"
    "FILE is " GATE_CONFIG_FILE " unless told otherwise. See postern-gate(8).\n";

static void print_complaint(void *context, const struct settings_complaint *complaint) {
    (void)context;
    (void)fprintf(stderr, "%s: %s: %s\n", complaint->where, complaint->field, complaint->reason);
}

static void print_fault(const struct gate_config *config, const struct fault *fault) {
    char where[320];
    settings_where(&config->settings, "host_keys", where, sizeof where);
    (void)fprintf(stderr, "%s: host_keys: %s: %s\n", where, fault->field, fault->reason);
}

/* Each by itself, so that all that is wrong is told. */
static bool check_key(const struct gate_config *config, const char *path) {
    struct host_keys keys CLEANUP(host_keys_done) = {.count = 0};
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct fault fault = {.reason = ""};
    const char *const paths[] = {path};
    err_t err = host_keys_load(paths, 1, &keys, &fault);
    if (!failed(err)) {
        err = host_cert_load(path, private_key_public(keys.keys[0]), clock_now_s(), &cert, &fault);
    }
    if (failed(err)) {
        print_fault(config, &fault);
    }
    return !failed(err);
}

static void show(const struct gate_config *config, const struct host_keys *keys,
                 struct transport_host_key *out, struct cert **certs) {
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = private_key_public(keys->keys[i]);
        struct fault fault;
        /* One that is not to be shown is none, and check_key() has told of it. */
        ignore_err(host_cert_load(config->host_keys[i], key, clock_now_s(), &certs[i], &fault));
        out[i] = (struct transport_host_key){key, certs[i]};
    }
}

/* Whether the algorithms are known, and whether the keys serve one of them. */
static bool check_algorithms(const struct gate_config *config, const struct host_keys *keys) {
    struct transport_host_key shown[GATE_HOST_KEYS_MAX];
    struct cert *certs[GATE_HOST_KEYS_MAX] = {NULL};
    struct fault fault = {.reason = ""};
    char where[320], field[128];
    show(config, keys, shown, certs);
    const struct transport_config transport = {
        .role = TRANSPORT_SERVER,
        .software = "Posterngate",
        .kex = config->kex,
        .ciphers = config->ciphers,
        .macs = config->macs,
        .host_key_algorithms = config->host_key_algorithms,
        .random = randomness_of_kernel,
        .host_keys = shown,
        .host_key_count = keys->count,
    };
    err_t err = transport_config_check(&transport, &fault);
    for (size_t i = 0; i < keys->count; i++) {
        cert_free(certs[i]);
    }
    if (!failed(err)) {
        return true;
    }
    (void)snprintf(field, sizeof field, "ssh.%s", fault.field);
    settings_where(&config->settings, field, where, sizeof where);
    (void)fprintf(stderr, "%s: %s: %s\n", where, field, fault.reason);
    return false;
}

static bool check_keys(const struct gate_config *config) {
    struct host_keys keys CLEANUP(host_keys_done) = {.count = 0};
    struct fault fault = {.reason = ""};
    bool good = true;
    for (size_t i = 0; i < config->host_key_count; i++) {
        good &= check_key(config, config->host_keys[i]);
    }
    if (good && failed(host_keys_load((const char *const *)config->host_keys,
                                      config->host_key_count, &keys, &fault))) {
        print_fault(config, &fault); /* the same one twice */
        good = false;
    }
    return good && check_algorithms(config, &keys);
}

static int check_main(const char *path) {
    struct gate_config config CLEANUP(gate_config_done) = {.listen_count = 0};
    if (failed(gate_config_load(path, print_complaint, NULL, &config)) || !check_keys(&config)) {
        return 2;
    }
    return printf("%s: good\n", path) < 0 ? 1 : 0;
}

/* Of "-c FILE"; NULL after a complaint. */
static const char *config_option(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = GATE_CONFIG_FILE;
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (option == 'h') {
            exit(fputs(usage, stdout) < 0 ? 1 : 0);
        }
        if (option != 'c') {
            (void)fputs(usage, stderr);
            return NULL;
        }
        path = optarg;
    }
    if (optind != argc) {
        (void)fputs(usage, stderr);
        return NULL;
    }
    return path;
}

/* What the master starts; of no use by hand. */
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} roles[] = {{"relay", relay_main}, {"keys", keys_main}, {"names", names_main}};

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        if (strcmp(command, roles[i].name) == 0) {
            return roles[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(command, "serve") == 0 || strcmp(command, "check") == 0) {
        const char *path = config_option(argc - 1, argv + 1);
        if (path == NULL) {
            return 2;
        }
        return command[0] == 's' ? master_main(argv[0], path) : check_main(path);
    }
    if (strcmp(command, "--version") == 0) {
        return puts("postern-gate " POSTERN_VERSION) < 0 ? 1 : 0;
    }
    bool asked = strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
                 strcmp(command, "-h") == 0;
    (void)fputs(usage, asked ? stdout : stderr);
    return asked ? 0 : 2;
}
