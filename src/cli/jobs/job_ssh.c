#include "cli/jobs/job_ssh.h"

#include "base/limits.h"
#include "cli/process/process.h"

static err_t put_files(const struct private_key *key, const char *certificate,
                       const struct run_folder *folder) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS + 1);
    TRY(private_key_write(key, "", NULL, 0, &text));
    TRY(buf_add_format(&line, "%s\n", certificate));
    TRY(run_folder_put(folder, "key", buf_span(&text)));
    return run_folder_put(folder, "key-cert.pub", buf_span(&line));
}

err_t job_key_put(struct cli *cli, const struct private_key *key, const char *certificate,
                  const struct run_folder *folder) {
    err_t err = put_files(key, certificate, folder);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write the key to %s", folder->path)
                       : OK;
}

/* Whatever the user has set up for ssh does not count: it is this key for this job, or nothing. */
static err_t add_options(struct command_line *line, const struct job_ssh *ssh,
                         const struct run_folder *folder) {
    TRY(command_line_add_words(line, (const char *const[]){"ssh", "-F", "none", NULL}));
    TRY(command_line_option(line, "IdentityFile=%s/key", folder->path));
    TRY(command_line_option(line, "CertificateFile=%s/key-cert.pub", folder->path));
    TRY(command_line_option(line, "IdentitiesOnly=yes"));
    TRY(command_line_option(line, "PreferredAuthentications=publickey"));
    TRY(command_line_option(line, "StrictHostKeyChecking=yes"));
    TRY(command_line_option(line, "UserKnownHostsFile=none"));
    TRY(command_line_option(line, "GlobalKnownHostsFile=%s", ssh->known_hosts));
    TRY(command_line_option(line, "HostKeyAlias=%s", ssh->node));
    TRY(command_line_option(line, "HostName=%s",
                            ssh->address[0] != '\0' ? ssh->address : ssh->node));
    TRY(command_line_option(line, "Port=%lld", ssh->port));
    TRY(command_line_option(line, "User=%s", ssh->user));
    return command_line_add_ssh_options(line, ssh->arguments);
}

err_t job_ssh_run(struct cli *cli, const struct job_ssh *ssh, const struct run_folder *folder,
                  int *by_signal) {
    struct command_line line CLEANUP(command_line_done) = {0};
    TRY(add_options(&line, ssh, folder));
    TRY(command_line_add(&line, "--"));
    TRY(command_line_add(&line, ssh->node));
    for (size_t i = 0; i < ssh->arguments->command_count; i++) {
        TRY(command_line_add(&line, ssh->arguments->command[i]));
    }
    return process_run(cli, &line, false, by_signal);
}
