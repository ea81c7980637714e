/* The executable that sshd starts; see host.h. */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/text.h"
#include "host/host.h"
#include "host/login/login.h"

static const char usage[] =
    "usage: postern-host COMMAND …\n"
    "\n"
    "  enrol --url URL --token TOKEN   make this machine known to the authority\n"
    "  sync [--once]                   follow the authority: replica, revocations, certificates\n"
    "  sshd-config [--jump-host]       print what sshd's configuration needs\n"
    "  status [--json]                 how fresh everything is\n"
    "  check                           judge the configuration\n"
    "  sessions [--json]               the sessions that are open here, and what opened them\n"
    "  internal-keys [--once]          on a frontend: keep internal keys in the homes\n"
    "  ssh-config                      print what ssh's configuration needs on a frontend\n"
    "  principals [--uid UID] USER SERIAL KEYID [CA [KEY [CERTIFICATE]]]\n"
    "                                  for sshd's AuthorizedPrincipalsCommand\n"
    "  keys [--uid UID] USER [FINGERPRINT [KEY]]\n"
    "                                  for sshd's AuthorizedKeysCommand\n"
    "  greet                           for sshd's ForceCommand on a jump host\n"
    "  slurm watch|prolog|epilog       tell the authority which jobs run; from oarstat, or a\n"
    "  oar watch                       table, likewise\n"
    "  jobs watch --file FILE\n"
    "\n"
    "Common options: --config FILE, --state DIR. See postern-host(8).\n";

/* Runs `path` in our place, told by argv[0] where we are, for what it prints into sshd_config. */
static void become(const char *path, const char *self, char **argv) {
    char *const kept = argv[0];
    argv[0] = (char *)(uintptr_t)self;
    (void)execv(path, argv);
    argv[0] = kept;
}

/* slurmd takes its node out of service when one of these fails. */
static bool is_hook(char **argv) {
    return strcmp(argv[1], "slurm") == 0 && argv[2] != NULL &&
           (strcmp(argv[2], "prolog") == 0 || strcmp(argv[2], "epilog") == 0);
}

static int hand_over(char **argv) {
    char self[PATH_MAX];
    char path[PATH_MAX + 32];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len > 0) {
        self[len] = '\0';
        (void)snprintf(path, sizeof path, "%s-sync", self);
        become(path, self, argv);
        become(POSTERN_HOST_LIBEXEC "/postern-host-sync", self, argv);
    }
    (void)fprintf(stderr, "postern-host: cannot run postern-host-sync, which should lie beside "
                          "postern-host or in " POSTERN_HOST_LIBEXEC "\n");
    return is_hook(argv) ? HOST_EXIT_OK : HOST_EXIT_INTERNAL;
}

struct login_options {
    const char *state_dir;
    uint64_t uid; /* of the local user whose name was given */
    uint64_t uid_min;
    bool uid_told;
};

/* Options of the login-time commands stand before their operands, which are names that others
 * chose. False for a number that is none. */
static bool take_options(struct login_options *options, int *argc, char ***argv) {
    for (; *argc >= 2; *argc -= 2, *argv += 2) {
        const char *value = (*argv)[1];
        if (strcmp((*argv)[0], "--state") == 0) {
            options->state_dir = value;
        } else if (strcmp((*argv)[0], "--uid") == 0) {
            options->uid_told = true;
            if (failed(u64_parse(span_str(value), &options->uid))) {
                return false;
            }
        } else if (strcmp((*argv)[0], "--min-uid") == 0) {
            if (failed(u64_parse(span_str(value), &options->uid_min))) {
                return false;
            }
        } else {
            break;
        }
    }
    return true;
}

/* Root by its own name goes on: on the nodes of a deploy job, and only there, the replica has an
 * entry for it. */
static bool is_systems(const struct login_options *options, const char *user) {
    if (!options->uid_told || (options->uid == 0 && strcmp(user, "root") == 0)) {
        return false;
    }
    return options->uid == 0 || options->uid < options->uid_min ||
           options->uid == HOST_UID_OVERFLOW;
}

static int run(int (*command)(const char *state_dir, int argc, char **argv), int argc,
               char **argv) {
    struct login_options options = {.state_dir = HOST_STATE_DIR, .uid_min = HOST_UID_MIN};
    if (!take_options(&options, &argc, &argv) || argc < 1) {
        (void)fputs(usage, stderr);
        return HOST_EXIT_USAGE;
    }
    openlog("postern-host", LOG_PID, LOG_AUTHPRIV);
    if (is_systems(&options, argv[0])) {
        login_log_refusal(argv[0], "-", "the local user is the system's, not a person's");
        return HOST_EXIT_OK;
    }
    return command(options.state_dir, argc, argv);
}

/* Of a login-time command alone: sshd gives them more words, and users choose what stands there. */
static bool asks_for_help(char **argv) {
    return (strcmp(argv[1], "principals") == 0 || strcmp(argv[1], "keys") == 0) &&
           (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        (void)fputs(usage, stderr);
        return HOST_EXIT_USAGE;
    }
    if (argc == 3 && asks_for_help(argv)) {
        return fputs(argv[1][0] == 'p' ? host_principals_usage : host_keys_usage, stdout) < 0
                   ? HOST_EXIT_INTERNAL
                   : HOST_EXIT_OK;
    }
    if (strcmp(argv[1], "principals") == 0) {
        return run(host_principals, argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "keys") == 0) {
        return run(host_keys, argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "help") == 0) {
        return fputs(usage, stdout) < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return puts("postern-host " POSTERN_VERSION) < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
    }
    return hand_over(argv);
}
