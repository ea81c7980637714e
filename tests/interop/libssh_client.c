/* A client by libssh: a certificate login at the gate, then a login host through a direct-tcpip
 * channel, many times. usage: libssh_client KEY CERTIFICATE GATE HOST PORT TIMES */
#include <libssh/libssh.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(ssh_session session, const char *what) {
    (void)fprintf(stderr, "%s: %s\n", what, ssh_get_error(session));
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        return 2;
    }
    ssh_session session = ssh_new();
    ssh_key key = NULL;
    ssh_key cert = NULL;
    int off = 0;
    (void)ssh_options_set(session, SSH_OPTIONS_HOST, argv[3]);
    (void)ssh_options_set(session, SSH_OPTIONS_USER, "alice");
    (void)ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &off);
    if (ssh_connect(session) != SSH_OK) {
        die(session, "connect");
    }
    if (ssh_pki_import_privkey_file(argv[1], NULL, NULL, NULL, &key) != SSH_OK ||
        ssh_pki_import_cert_file(argv[2], &cert) != SSH_OK ||
        ssh_pki_copy_cert_to_privkey(cert, key) != SSH_OK) {
        die(session, "key");
    }
    if (ssh_userauth_try_publickey(session, NULL, cert) != SSH_AUTH_SUCCESS) {
        die(session, "offer");
    }
    if (ssh_userauth_publickey(session, NULL, key) != SSH_AUTH_SUCCESS) {
        die(session, "login");
    }
    for (int i = 0; i < atoi(argv[6]); i++) {
        char line[64] = "";
        ssh_channel channel = ssh_channel_new(session);
        if (ssh_channel_open_forward(channel, argv[4], atoi(argv[5]), "127.0.0.1", 4000) !=
                SSH_OK ||
            ssh_channel_read_timeout(channel, line, sizeof line - 1, 0, 10000) <= 0 ||
            strncmp(line, "SSH-2.0-OpenSSH", 15) != 0) {
            die(session, "channel");
        }
        (void)ssh_channel_close(channel);
        ssh_channel_free(channel);
    }
    (void)puts("done");
    ssh_disconnect(session);
    return 0;
}
