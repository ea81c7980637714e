/* postern ssh: to a host inside, or to the node of a job, with nothing set up but the site. */
#include <string.h>

#include "cli/connect/destination.h"
#include "cli/process/process.h"

static err_t find(struct cli *cli, const struct arguments *arguments, struct ssh_file *file,
                  struct destination *out) {
    const char *job = arguments_value(arguments, "job");
    if (job == NULL && arguments->word_count == 0) {
        trouble_next(&cli->trouble, "postern ssh HOST\npostern ssh --job JOB");
        return trouble_set(&cli->trouble, EXIT_USAGE, "say where to");
    }
    TRY(ssh_file_open(cli, arguments_has(arguments, "through-login"), file));
    return job != NULL ? destination_of_job(cli, file, job, arguments->words[0], out)
                       : destination_of_host(cli, file, arguments->words[0], out);
}

static err_t ssh_run(struct cli *cli, const struct arguments *arguments) {
    struct ssh_file file CLEANUP(ssh_file_done) = {0};
    struct destination to CLEANUP(destination_done) = {0};
    struct command_line line CLEANUP(command_line_done) = {0};
    TRY(find(cli, arguments, &file, &to));
    ssh_file_renew(cli, &file);
    TRY(ssh_file_add(&file, &line));
    TRY(destination_add_options(cli, &file, &to, &line));
    TRY(command_line_add_ssh_options(&line, arguments));
    TRY(command_line_add(&line, "--"));
    TRY(command_line_add(&line, to.host));
    for (size_t i = 0; i < arguments->command_count; i++) {
        TRY(command_line_add(&line, arguments->command[i]));
    }
    return process_become(cli, &line);
}

static const struct option options[] = {
    {'j', "job", "JOB", "to a node of this job: 4711, or 4711@daint"},
    {0, "through-login", NULL, "to nodes by way of their cluster's login host", .many = true},
    SSH_OPTION_ROWS,
    {.name = NULL},
};

const struct command command_ssh = {
    .name = "ssh",
    .arguments = "HOST | --job JOB [NODE] [-- COMMAND…]",
    .summary = "Log in to a cluster, a host inside, or a node of a running job",
    .details = "Works without `postern config`. The exit status is ssh's: that of the command, or "
               "255.",
    .options = options,
    .words_max = 1,
    .takes_command = true,
    .run = ssh_run,
};
