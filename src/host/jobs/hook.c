#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "host/host.h"
#include "host/jobs/job_client.h"
#include "host/jobs/jobs_host.h"

struct hook {
    bool prolog;
    const char *config, *state;
    const char *job; /* as Slurm says it, not checked; NULL: it does not */
};

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

/*
 * What a node knows of a job that begins: that it runs here. The watcher tells the rest. Without an
 * end of Slurm's the job gets one that is near: should nobody confirm it, it is over then.
 */
static err_t describe(struct scheduler_job *job, struct buf *nodes, struct fault *fault) {
    const char *user = variable("SLURM_JOB_USER");
    const char *node = variable("SLURMD_NODENAME");
    uint64_t end = 0;
    TRY(account_name_check(span_str(user), fault));
    TRY(hostlist_expand(span_str(node), nodes, &job->node_count));
    (void)snprintf(job->user, sizeof job->user, "%s", user);
    job->nodes = (const char *)nodes->data;
    job->hostlist = span_str(node);
    job->started_at = clock_now_s();
    job->ends_at = job->started_at + LIMIT_UNCONFIRMED_JOB_S;
    if (!failed(u64_parse(span_str(variable("SLURM_JOB_END_TIME")), &end)) &&
        end > (uint64_t)job->started_at && end < (uint64_t)job->started_at + LIMIT_DURATION_S) {
        job->ends_at = (int64_t)end;
    }
    return OK;
}

static err_t tell(const struct hook *hook, struct fault *fault) {
    struct config config CLEANUP(config_done) = {0};
    struct identity identity CLEANUP(identity_done) = {0};
    struct job_client client CLEANUP(job_client_done) = {0};
    struct buf nodes CLEANUP(buf_done) = BUF(LIMIT_HOST_NAME_CHARS + 1);
    struct scheduler_job job = {0};
    TRY(job_name_check(span_str(hook->job), fault));
    (void)snprintf(job.name, sizeof job.name, "%s", hook->job);
    TRY(hook->prolog ? describe(&job, &nodes, fault) : OK);
    TRY(command_config(hook->config, hook->state, &config, fault));
    TRY(identity_load(config.state_dir, &identity, fault));
    TRY(job_client_new(&identity, &client, fault));
    return hook->prolog ? job_client_put(&client, &job, fault)
                        : job_client_delete(&client, job.name, fault);
}

static const char *printable(const char *text) {
    return text_is_printable(span_str(text)) ? text : "?";
}

static void complain(const struct hook *hook, const char *field, const char *reason) {
    syslog(LOG_WARNING, "slurm %s: job=%.64s not told: %s%s%s", hook->prolog ? "prolog" : "epilog",
           printable(hook->job), field, field[0] != '\0' ? ": " : "", reason);
}

static _Noreturn void run_child(const struct hook *hook) {
    struct fault fault = {0};
    err_t err = tell(hook, &fault);
    if (failed(err)) {
        complain(hook, fault.field, fault.reason[0] != '\0' ? fault.reason : err_text(err));
    }
    _exit(0);
}

/* Whatever holds the child up, a name server for instance, it is given so long and no longer. */
static void run_bounded(const struct hook *hook) {
    pid_t child = fork();
    if (child == 0) {
        run_child(hook);
    }
    int process CLEANUP(fd_closep) = child > 0 ? pidfd_open(child, 0) : -1;
    struct pollfd watched = {process, POLLIN, 0};
    if (process < 0) {
        complain(hook, "", err_text(err_from_errno(errno)));
        return;
    }
    int ended = poll(&watched, 1, LIMIT_SCHEDULER_HOOK_S * 1000);
    if (ended <= 0) {
        (void)kill(child, SIGKILL);
        complain(hook, "", "the authority took too long");
    }
    (void)waitpid(child, NULL, 0);
}

/* The log itself may hold us up. */
static void on_alarm(int signal) {
    (void)signal;
    _exit(0);
}

static bool take_options(int argc, char **argv, struct hook *hook) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"state", required_argument, NULL, 's'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == '?') {
            return false;
        }
        *(option == 'c' ? &hook->config : &hook->state) = optarg;
    }
    return optind == argc;
}

int hook_run(int argc, char **argv) {
    struct hook hook = {.prolog = strcmp(argv[0], "prolog") == 0, .job = variable("SLURM_JOB_ID")};
    (void)signal(SIGALRM, on_alarm);
    (void)alarm(LIMIT_SCHEDULER_HOOK_S + 1);
    openlog("postern-host", LOG_PID, LOG_DAEMON);
    if (take_options(argc, argv, &hook)) {
        run_bounded(&hook);
    } else {
        complain(&hook, "", "the command line is wrong; see: postern-host slurm --help");
    }
    return HOST_EXIT_OK;
}
