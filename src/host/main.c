/* The executable that sshd starts; see host.h. */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "host/host.h"

static const char usage[] =
    "usage: postern-host COMMAND …\n"
    "\n"
    "  enrol --url URL --token TOKEN   make this machine known to the authority\n"
    "  sync [--once]                   follow the authority: replica, revocations, certificates\n"
    "  sshd-config [--jump-host]       print what sshd's configuration needs\n"
    "  status [--json]                 how fresh everything is\n"
    "  principals USER SERIAL KEYID [CA [KEY]]\n"
    "                                  for sshd's AuthorizedPrincipalsCommand\n"
    "  keys USER                       for sshd's AuthorizedKeysCommand\n"
    "  greet                           for sshd's ForceCommand on a jump host\n"
    "\n"
    "Common options: --config FILE, --state DIR. See postern-host(8).\n";

/* Runs `path` in our place, told by argv[0] where we are, for what it prints into sshd_config. */
static void become(const char *path, const char *self, char **argv) {
    char *const kept = argv[0];
    argv[0] = (char *)(uintptr_t)self;
    (void)execv(path, argv);
    argv[0] = kept;
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
    return HOST_EXIT_INTERNAL;
}

/* Options of the login-time commands stand before their operands, which are names that others
 * chose. */
static int run(int (*command)(const char *state_dir, int argc, char **argv), int argc,
               char **argv) {
    const char *state_dir = HOST_STATE_DIR;
    if (argc >= 2 && strcmp(argv[0], "--state") == 0) {
        state_dir = argv[1];
        argc -= 2;
        argv += 2;
    }
    openlog("postern-host", LOG_PID, LOG_AUTHPRIV);
    return command(state_dir, argc, argv);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        (void)fputs(usage, stderr);
        return HOST_EXIT_USAGE;
    }
    if (strcmp(argv[1], "principals") == 0) {
        return run(host_principals, argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "keys") == 0) {
        return run(host_keys, argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        return fputs(usage, stdout) < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return puts("postern-host " POSTERN_VERSION) < 0 ? HOST_EXIT_INTERNAL : HOST_EXIT_OK;
    }
    return hand_over(argv);
}
