#include "cli/connect/ssh_file.h"

#include "base/file.h"
#include "base/limits.h"
#include "cli/certificates/look.h"
#include "cli/config/ssh_setup.h"
#include "cli/document.h"
#include "cli/process/process.h"

enum { REFRESH_MS = 30 * 1000 };

void ssh_file_done(struct ssh_file *file) {
    reach_freep(&file->reach);
    site_freep(&file->site);
    user_key_done(&file->key);
    freep(&file->config);
    freep(&file->known_hosts);
}

static err_t put_config(struct cli *cli, const struct ssh_file *file, bool through_login) {
    struct ssh_setup setup CLEANUP(ssh_setup_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    struct buf before CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    struct fault fault = {0};
    TRY(ssh_setup_make(file->site, file->reach, NULL, &setup));
    setup.options.own_path = file->config;
    setup.options.through_login = through_login;
    err_t err = ssh_config_write(file->reach, &setup.options, &text, &fault);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot make ssh's configuration: %s", fault.reason);
    }
    if (!failed(file_read(file->config, &before)) &&
        span_equal(buf_span(&before), buf_span(&text))) {
        return OK;
    }
    err = file_put(file->config, buf_span(&text), 0600, 0);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", file->config) : OK;
}

err_t ssh_file_open(struct cli *cli, bool through_login, struct ssh_file *out) {
    struct ssh_file file CLEANUP(ssh_file_done) = {0};
    TRY(site_open(&cli->trouble, cli->site, &file.site));
    TRY(reach_open(cli, file.site, REACH_USUAL_S, &file.reach));
    TRY(user_key_paths(document_key_file(file.site->document), &file.key));
    TRY(site_config_path(file.site->name, "known_hosts", &file.known_hosts));
    TRY(site_state_path(file.site->name, through_login ? "ssh_config.login" : "ssh_config",
                        &file.config));
    TRY(put_config(cli, &file, through_login));
    *out = file;
    file = (struct ssh_file){0};
    return OK;
}

err_t ssh_file_add(const struct ssh_file *file, struct command_line *line) {
    return command_line_add_words(line, (const char *const[]){"ssh", "-F", file->config, NULL});
}

/* ssh renews it as well before it logs in, but not on the way to a job's own cluster. */
static err_t refresh(const struct ssh_file *file, int *status) {
    struct ssh_setup setup CLEANUP(ssh_setup_done) = {0};
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf answer CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    TRY(ssh_setup_make(file->site, file->reach, NULL, &setup));
    if (setup.refresh == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    const char *const words[] = {setup.refresh, "--quiet", "--site", file->site->name, NULL};
    TRY(command_line_add_words(&line, words));
    return process_ask(&line, &(struct process_terms){.timeout_ms = REFRESH_MS}, &answer, status);
}

void ssh_file_renew(struct cli *cli, const struct ssh_file *file) {
    struct look look CLEANUP(look_done) = {0};
    struct cli looking = {.site = cli->site};
    int status = 0;
    if (failed(certificate_look(&looking, file->site, &file->key, &look)) ||
        look.state != LOOK_EXPIRED) {
        return;
    }
    if (failed(refresh(file, &status)) || status != 0) {
        print_warning("your certificate has expired and cannot be renewed without you; type: "
                      "postern sign");
    }
}
