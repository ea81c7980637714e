/*
 * YAML for AiiDA: what `verdi computer setup`, `verdi computer configure core.ssh_async` and
 * `verdi computer configure core.ssh` take by --config (AiiDA 2.8). Pure.
 *
 * core.ssh_async goes by ~/.ssh/config, so it gets the host's alias alone, and postern-refresh as
 * the script that it runs before each connection. core.ssh (paramiko) reads neither ProxyJump nor
 * CertificateFile there: it gets all of it; the certificate is found beside the key. A key with a
 * passphrase serves neither paramiko nor asyncssh, whose agents' keys know no certificate beside
 * them; ssh itself, the backend "openssh", takes both.
 */
#ifndef POSTERN_CLI_AIIDA_H
#define POSTERN_CLI_AIIDA_H

#include "base/span.h"

struct aiida_computer {
    const char *label;   /* the alias: "daint" */
    const char *address; /* what it stands for */
    uint16_t port;
    const char *username; /* NULL: not known */
    const char *site;
    const char *key_file;    /* whole paths */
    bool in_agent;           /* the private key is encrypted or not there: the agent signs */
    const char *known_hosts; /* plain host keys */
    const char *refresh;     /* NULL: none */
    const char *proxy_jump;  /* "alice@ela.example:22"; NULL: none */
};

err_t aiida_put_setup(const struct aiida_computer *computer, struct buf *out);
err_t aiida_put_ssh_async(const struct aiida_computer *computer, struct buf *out);
err_t aiida_put_ssh(const struct aiida_computer *computer, struct buf *out);

#endif
