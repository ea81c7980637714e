/* `postern-host sshd-config`: what a machine's sshd_config needs, printed for review. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/inet.h"
#include "host/host.h"
#include "host/sync_host.h"

enum { CONFIG_TEXT_MAX = 4 * 1024 * 1024 };

static err_t put_trust(const struct sshd_config *from, struct buf *out) {
    const struct config *config = from->config;
    TRY(buf_add_format(out,
                       "# Who may log in: those with a certificate of the authority, not revoked,\n"
                       "# whose account may be on this machine.\n"
                       "TrustedUserCAKeys %s/" FILE_USER_CA "\n"
                       "RevokedKeys %s/" FILE_KRL "\n"
                       "AuthorizedPrincipalsFile none\n"
                       "AuthorizedPrincipalsCommand %s principals --state %s --uid %%U --min-uid %u"
                       " %%u %%s %%i %%F %%f %%k\n"
                       "AuthorizedPrincipalsCommandUser %s\n",
                       config->state_dir, config->state_dir, from->command, config->state_dir,
                       (unsigned)config->min_uid, config->command_user));
    TRY(buf_add_str(out, "AuthorizedKeysFile none\n"));
    if (!config->registered_keys) {
        return buf_add_str(out, "AuthorizedKeysCommand none\n");
    }
    return buf_add_format(
        out,
        "AuthorizedKeysCommand %s keys --state %s --uid %%U --min-uid %u %%u %%f %%k\n"
        "AuthorizedKeysCommandUser %s\n",
        from->command, config->state_dir, (unsigned)config->min_uid, config->command_user);
}

static err_t put_methods(const struct sshd_config *from, struct buf *out) {
    TRY(buf_add_str(out, "\n# Keys are the only way in.\n"
                         "PubkeyAuthentication yes\n"
                         "PasswordAuthentication no\n"
                         "KbdInteractiveAuthentication no\n"
                         "HostbasedAuthentication no\n"
                         "GSSAPIAuthentication no\n"
                         "PermitEmptyPasswords no\n"));
    TRY(buf_add_format(out, "PermitRootLogin %s\n",
                       from->keep_root_keys || from->deploy_jobs ? "prohibit-password" : "no"));
    /* By which the principals command tells the greeting what the account reaches. */
    return buf_add_format(out, "PermitUserEnvironment %s\n",
                          from->jump_host ? "POSTERN_CLUSTERS" : "no");
}

static err_t put_host_keys(const struct config *config, struct buf *out) {
    TRY(buf_add_str(out, "\n# What this machine proves itself with.\n"));
    for (size_t i = 0; i < config->host_key_count; i++) {
        char *certificate CLEANUP(freep) = NULL;
        const char *key = config->host_keys[i];
        TRY(certificate_path(key, &certificate));
        TRY(buf_add_format(out, "HostKey %.*s\nHostCertificate %s\n",
                           (int)(strlen(key) - strlen(".pub")), key, certificate));
    }
    return OK;
}

/* sshd's own 10:30:100 takes the workers of one workflow for a flood: from ten logins at once on it
 * drops some, whoever they are. */
static err_t put_startups(struct buf *out) {
    return buf_add_str(out, "\n# A workflow has many workers, and all come from one address.\n"
                            "MaxStartups 200:30:400\n");
}

/* From OpenSSH 9.8 on, sshd turns away an address from which many logins failed. */
static err_t put_penalties(const struct sshd_config *from, struct buf *out) {
    bool told = from->exempt != NULL && from->exempt[0] != '\0';
    TRY(buf_add_str(out, "\n# Everybody comes by the jump hosts: what one person fails at must not "
                         "shut out the others.\n# These are to be the addresses that their "
                         "connections come from.\n"));
    if (!told) {
        return buf_add_str(out, "# (The authority knows no jump host by its address.)\n"
                                "# PerSourcePenaltyExemptList ADDRESS,ADDRESS\n");
    }
    TRY(from->has_penalties ? OK : buf_add_str(out, "# (This sshd is too old for it.)\n"));
    return buf_add_format(out, "%sPerSourcePenaltyExemptList %s\n", from->has_penalties ? "" : "# ",
                          from->exempt);
}

/*
 * PermitOpen stands in a file that sync keeps, and that sshd reads as if it stood here. It is the
 * outer bound: the principals command further narrows it to what the account itself reaches
 * (permitopen). Of each keyword sshd takes the first value, so without the file nothing is open.
 *
 * sshd runs the forced command by the user's shell, which reads start-up files first. Where homes
 * are shared with the clusters the user writes those, and they would be the shell that a jump host
 * does not give: so the shell is told of another home. Shells that are
 * not interactive may also be sent to a file by BASH_ENV or ENV, which AcceptEnv,
 * PermitUserEnvironment or PAM could let in; SetEnv goes before the first two.
 */
static err_t put_jump(const struct sshd_config *from, struct buf *out) {
    return buf_add_format(out,
                          "\n# A jump host: forwarding to the clusters, and nothing else.\n"
                          "ExposeAuthInfo yes\n"
                          "Match User *,!root\n"
                          "    PermitTTY no\n"
                          "    X11Forwarding no\n"
                          "    AllowAgentForwarding no\n"
                          "    AllowStreamLocalForwarding no\n"
                          "    AllowTcpForwarding local\n"
                          "    GatewayPorts no\n"
                          "    PermitListen none\n"
                          "    PermitTunnel no\n"
                          "    PermitUserRC no\n"
                          "    SetEnv HOME=/nonexistent ZDOTDIR=/nonexistent "
                          "XDG_CONFIG_HOME=/nonexistent BASH_ENV=/dev/null ENV=/dev/null\n"
                          "    ForceCommand %s greet\n"
                          "    Include %s/" FILE_PERMIT_OPEN "\n"
                          "    PermitOpen none\n",
                          from->command, from->config->state_dir);
}

err_t sshd_config_print(const struct sshd_config *from, struct buf *out) {
    TRY(buf_add_str(out, "# Printed by `postern-host sshd-config`. Check with `sshd -t` before a "
                         "reload, and keep a\n# session open while you try it.\n\n"));
    TRY(put_trust(from, out));
    TRY(put_methods(from, out));
    TRY(put_host_keys(from->config, out));
    TRY(put_startups(out)); /* before the first Match */
    TRY(from->jump_host ? OK : put_penalties(from, out));
    if (from->jump_host) {
        TRY(put_jump(from, out));
    }
    if (from->keep_root_keys) {
        TRY(buf_add_str(out, "\n# For emergencies: root's own keys stay valid.\n"
                             "Match User root\n"
                             "    AuthorizedKeysFile .ssh/authorized_keys\n"));
    }
    return OK;
}

/* Whether this machine's sshd knows the keyword: it prints what it would do with it. */
static bool sshd_has_penalties(void) {
    static const char *const words[] = {"/usr/sbin/sshd",
                                        "-G",
                                        "-f",
                                        "/dev/null",
                                        "-o",
                                        "PerSourcePenaltyExemptList=192.0.2.1",
                                        NULL};
    struct fault fault = {0};
    return !failed(reload_run(words, LIMIT_RELOAD_S * 1000, &fault));
}

/* sshd takes addresses here and no names. */
static err_t add_address(struct buf *out, const char *text) {
    struct inet_address address;
    char printed[INET_CHARS];
    if (failed(inet_address_parse(span_str(text), &address))) {
        return OK;
    }
    inet_address_print(&address, printed);
    TRY(out->len > 0 ? buf_add_byte(out, ',') : OK);
    return buf_add_str(out, printed);
}

static err_t add_jump_host(void *context, const char *name, const char *address) {
    TRY(add_address(context, name));
    return strcmp(name, address) == 0 ? OK : add_address(context, address);
}

static const char unprintable[] = " \t\r\n\"'\\%#*?[{~"; /* Include takes patterns */

static err_t print_for(const char *config_path, const char *state, struct sshd_config *from,
                       struct fault *fault) {
    struct config config CLEANUP(config_done) = {0};
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct buf out CLEANUP(buf_done) = BUF(CONFIG_TEXT_MAX);
    char *path CLEANUP(freep) = NULL;
    TRY(command_config(config_path, state, &config, fault));
    TRY(path_join(config.state_dir, HOST_REPLICA_FILE, &path));
    /* Who takes these lines over without being enrolled locks everybody out. */
    err_t err = replica_open_read(path, &replica);
    if (failed(err)) {
        return fault_set(fault, err.code, path, "%s", err_text(err));
    }
    /* What the authority calls a jump host gives no shell, whatever was asked for here. */
    enum host_role role;
    err = replica_role(replica, &role);
    if (failed(err) && err.code != ERR_NOT_FOUND) {
        return err;
    }
    from->jump_host = from->jump_host || (!failed(err) && role == HOST_JUMP);
    from->config = &config;
    if (strpbrk(from->command, unprintable) != NULL ||
        strpbrk(config.state_dir, unprintable) != NULL) {
        return fault_set(fault, ERR_MALFORMED, "state",
                         "sshd_config cannot hold a path with blanks, quotes or percent signs");
    }
    struct buf list CLEANUP(buf_done) = BUF(CONFIG_TEXT_MAX);
    char *exempt CLEANUP(freep) = NULL;
    TRY(replica_jump_list(replica, add_jump_host, &list));
    TRY(buf_to_str(&list, &exempt));
    from->exempt = exempt;
    from->has_penalties = sshd_has_penalties();
    TRY(sshd_config_print(from, &out));
    return fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? OK
                                                                                  : FAIL(ERR_IO);
}

const char sshd_config_usage[] =
    "usage: postern-host sshd-config [--jump-host] [--deploy-jobs] [--keep-root-keys]\n"
    "                                [--config FILE] [--state DIR]\n";

int command_sshd_config(const char *self, int argc, char **argv) {
    static const struct option known[] = {
        {"jump-host", no_argument, NULL, 'j'},      {"deploy-jobs", no_argument, NULL, 'd'},
        {"keep-root-keys", no_argument, NULL, 'r'}, {"config", required_argument, NULL, 'c'},
        {"state", required_argument, NULL, 's'},    {0}};
    struct sshd_config from = {.command = self};
    const char *config = NULL;
    const char *state = NULL;
    bool usable = true;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        config = option == 'c' ? optarg : config;
        state = option == 's' ? optarg : state;
        from.jump_host = from.jump_host || option == 'j';
        from.deploy_jobs = from.deploy_jobs || option == 'd';
        from.keep_root_keys = from.keep_root_keys || option == 'r';
        usable = usable && option != '?';
    }
    if (!usable || optind != argc) {
        (void)fputs(sshd_config_usage, stderr);
        return HOST_EXIT_USAGE;
    }
    struct fault fault = {0};
    err_t err = print_for(config, state, &from, &fault);
    return failed(err) ? command_failed("print sshd's configuration", err, &fault) : HOST_EXIT_OK;
}
