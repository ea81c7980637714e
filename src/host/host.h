/*
 * postern-host: what its two executables share.
 *
 * `postern-host` is what sshd starts at each login. It answers from the replica and links SQLite
 * and libc alone: to load libssl and libcrypto costs more than the whole answer. Whatever needs the
 * network, cryptography or the configuration it hands to `postern-host-sync`, which lies beside it
 * or in libexec, and is no command of its own.
 */
#ifndef POSTERN_HOST_HOST_H
#define POSTERN_HOST_HOST_H

#include "base/err.h"

#define HOST_STATE_DIR    "/var/lib/postern-host"
#define HOST_REPLICA_FILE "replica.db"

/*
 * An account of the authority is a person's or a service's. Local users below this number are the
 * system's (root by whatever name, daemons), and so is the overflow user: that one of them is
 * called like an account must not hand it over.
 */
enum { HOST_UID_MIN = 1000, HOST_UID_OVERFLOW = 65534 };

/* As the manual lists them. */
enum host_exit {
    HOST_EXIT_OK = 0,
    HOST_EXIT_INTERNAL = 1,
    HOST_EXIT_USAGE = 2,
    HOST_EXIT_REFUSED = 4,
    HOST_EXIT_NETWORK = 6,
    HOST_EXIT_AUTHORITY = 7,
    HOST_EXIT_STALE = 8,
};

/* The commands that sshd runs. argv starts after the command's name. */
int host_principals(const char *state_dir, int argc, char **argv);
int host_keys(const char *state_dir, int argc, char **argv);
extern const char host_principals_usage[], host_keys_usage[];

#endif
