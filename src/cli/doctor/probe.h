/* Whether an SSH server answers at an address, without logging in. */
#ifndef POSTERN_CLI_PROBE_H
#define POSTERN_CLI_PROBE_H

enum probe_result {
    PROBE_NOT_DONE,
    PROBE_SSH,
    PROBE_NO_NAME,     /* no such host, or no name server */
    PROBE_REFUSED,     /* nothing listens there */
    PROBE_UNREACHABLE, /* no way there */
    PROBE_NO_ANSWER,   /* a firewall swallows it, or the machine is down */
    PROBE_SILENT,      /* connected, and then nothing came */
    PROBE_TURNED_AWAY, /* a gate that says in `said` why it takes nobody from here */
    PROBE_OTHER,       /* something that is not SSH came */
};

enum { PROBE_SAID_CHARS = 256 };

struct probe {
    enum probe_result result;
    char said[PROBE_SAID_CHARS]; /* the first line that came, printable; "" when none did */
};

/* timeout_ms holds for connecting, and once more for the first line. */
void probe_ssh(const char *host, const char *port, int timeout_ms, struct probe *out);

/* Whether an SSH master answers at the socket of a ControlPath. */
enum probe_master { MASTER_NONE, MASTER_DEAD, MASTER_HUNG, MASTER_ALIVE };
enum probe_master probe_control(const char *path, int timeout_ms);

#endif
