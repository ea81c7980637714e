/*
 * postern tunnel: from the browser to a service on a compute node. Each link of the way is tried,
 * and the one that is broken is named.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/browser.h"
#include "cli/connect/forward.h"
#include "cli/connect/service.h"
#include "cli/process/stop.h"

enum { LOOK_EVERY_MS = 2000, PORT_PRIVILEGED = 1024, ADDRESS_CHARS = INET_CHARS };

struct tunnel {
    struct forward forward;
    uint16_t port;               /* of the service */
    char address[ADDRESS_CHARS]; /* as the node knows it */
    char url[64];
};

/* --- the service --- */

static void show_waiting(const struct tunnel *tunnel, int64_t since_ms) {
    const char *node = tunnel->forward.to.node;
    long long waited = (long long)(clock_monotonic_ms() - since_ms) / 1000;
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\rNothing listens on %s port %u yet; waiting: %lld s ", node,
                      (unsigned)tunnel->port, waited);
    } else if (waited % 60 < LOOK_EVERY_MS / 1000) {
        (void)fprintf(stderr, "Nothing listens on %s port %u yet; waiting…\n", node,
                      (unsigned)tunnel->port);
    }
    (void)fflush(stderr);
}

static err_t go_elsewhere(struct tunnel *tunnel, const struct inet_address *address) {
    struct forward *forward = &tunnel->forward;
    char spec[ADDRESS_CHARS + 16];
    inet_address_print(address, tunnel->address);
    (void)snprintf(spec, sizeof spec, ":[%s]:%u", tunnel->address, (unsigned)tunnel->port);
    err_t err = link_redirect(&forward->link, spec, forward->stop_fd);
    if (failed(err)) {
        return err.code == ERR_CLOSED
                   ? OK
                   : trouble_set(&forward->cli->trouble, EXIT_NETWORK,
                                 "the service listens on %s of %s alone, and ssh cannot lead there",
                                 tunnel->address, forward->to.node);
    }
    print_warning("the service listens on %s of %s alone, not on its loopback, so the tunnel leads "
                  "there; others inside reach it as well: start it with the address 127.0.0.1 "
                  "if they should not",
                  tunnel->address, forward->to.node);
    return OK;
}

static err_t pause_between(struct forward *forward) {
    int64_t until = clock_monotonic_ms() + LOOK_EVERY_MS;
    for (int64_t left; !forward->over && (left = until - clock_monotonic_ms()) > 0;) {
        TRY(forward_turn(forward, (int)left));
    }
    return forward_connect(forward); /* it may have been lost meanwhile */
}

/* One look; *found when there is no need for another. */
static err_t look(struct tunnel *tunnel, bool *found) {
    struct forward *forward = &tunnel->forward;
    enum service service = SERVICE_UNKNOWN;
    struct inet_address address;
    err_t err = service_look(&forward->link, tunnel->port, forward->stop_fd, &service, &address);
    if (err.code == ERR_CLOSED) {
        return forward_turn(forward, 0);
    }
    if (failed(err)) {
        return trouble_of(&forward->cli->trouble, err, "cannot look for the service");
    }
    if (service == SERVICE_FORBIDDEN) {
        return trouble_set(&forward->cli->trouble, EXIT_REFUSED,
                           "the link from %s to the service is broken: sshd there does not let you "
                           "forward to port %u",
                           forward->to.node, (unsigned)tunnel->port);
    }
    if (service == SERVICE_ELSEWHERE) {
        TRY(go_elsewhere(tunnel, &address));
    }
    *found = service == SERVICE_ANSWERS || service == SERVICE_ELSEWHERE;
    return OK;
}

static err_t wait_for_service(struct tunnel *tunnel) {
    int64_t since = clock_monotonic_ms();
    bool found = false, waited = false;
    for (;;) {
        TRY(look(tunnel, &found));
        if (found || tunnel->forward.over) {
            break;
        }
        if (tunnel->forward.link.up) {
            waited = true;
            show_waiting(tunnel, since);
        }
        TRY(pause_between(&tunnel->forward));
    }
    if (waited && isatty(STDERR_FILENO)) {
        (void)fputc('\n', stderr);
    }
    return OK;
}

/* --- telling --- */

static void show(const struct tunnel *tunnel) {
    const struct destination *to = &tunnel->forward.to;
    const char *end = member_text(to->job, "endTime");
    (void)printf("%s leads to port %u of %s (%s).\n", tunnel->url, (unsigned)tunnel->port, to->node,
                 to->cluster);
    int64_t ends = 0;
    char until[80];
    if (!failed(time_parse(span_str(end), &ends))) {
        time_and_distance(ends, until);
        (void)printf("Until job %s ends, at the latest %s, or Ctrl-C.\n",
                     member_text(to->job, "job"), until);
    } else if (to->job != NULL) {
        (void)printf("Until job %s ends, or Ctrl-C.\n", member_text(to->job, "job"));
    } else {
        (void)printf("Until Ctrl-C.\n");
    }
}

static err_t announce(struct tunnel *tunnel) {
    const struct forward *forward = &tunnel->forward;
    const struct destination *to = &forward->to;
    if (!forward->cli->json) {
        show(tunnel);
        return fflush(stdout) == 0 ? OK : FAIL(ERR_IO); /* it is waited for */
    }
    const char *job = member_text(to->job, "job");
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:i, s:s, s:s, s:i, s:s, s:s*, s:s*}", "url", tunnel->url, "localPort",
                  (int)forward->local.port, "cluster", to->cluster, "node", to->node, "port",
                  (int)tunnel->port, "address", tunnel->address, "user", forward->way.user, "job",
                  job[0] != '\0' ? job : NULL);
    return shown == NULL ? FAIL(ERR_MEMORY) : forward_tell(shown);
}

/* --- the command --- */

static err_t find(struct tunnel *tunnel, const struct arguments *arguments) {
    struct forward *forward = &tunnel->forward;
    struct cli *cli = forward->cli;
    const char *job = arguments_value(arguments, "job");
    if (job == NULL && arguments->word_count != 3) {
        trouble_next(&cli->trouble,
                     "postern tunnel CLUSTER NODE PORT\npostern tunnel --job JOB PORT");
        return trouble_set(&cli->trouble, EXIT_USAGE, "say where to, and which port");
    }
    if (job != NULL && arguments->word_count > 2) {
        trouble_next(&cli->trouble, "postern tunnel --job %s [NODE] PORT", job);
        return trouble_set(&cli->trouble, EXIT_USAGE, "a job has its cluster already");
    }
    TRY(local_port_parse(&cli->trouble, "the port of the service",
                         arguments->words[arguments->word_count - 1], &tunnel->port));
    if (tunnel->port == 0) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "no service listens on port 0");
    }
    forward->through_login = arguments_has(arguments, "through-login");
    TRY(ssh_file_open(cli, forward->through_login, &forward->file));
    return job != NULL ? destination_of_job(cli, &forward->file, job,
                                            arguments->word_count == 2 ? arguments->words[0] : NULL,
                                            &forward->to)
                       : destination_of_node(cli, &forward->file, arguments->words[0],
                                             arguments->words[1], &forward->to);
}

/* The service's own number, where that is free and ours to take. */
static err_t open_forward(struct tunnel *tunnel, const struct arguments *arguments) {
    const char *local = arguments_value(arguments, "local");
    uint16_t wanted = tunnel->port >= PORT_PRIVILEGED ? tunnel->port : 0;
    char spec[32];
    if (local != NULL) {
        TRY(local_port_parse(&tunnel->forward.cli->trouble, "--local", local, &wanted));
    }
    (void)snprintf(spec, sizeof spec, ":localhost:%u", (unsigned)tunnel->port);
    return forward_open(&tunnel->forward, wanted, local != NULL, "-L", spec);
}

static err_t run(struct tunnel *tunnel, const struct arguments *arguments) {
    struct forward *forward = &tunnel->forward;
    TRY(find(tunnel, arguments));
    TRY(open_forward(tunnel, arguments));
    (void)snprintf(tunnel->url, sizeof tunnel->url, "http://localhost:%u/",
                   (unsigned)forward->local.port);
    TRY(forward_connect(forward));
    if (!forward->over) {
        TRY(wait_for_service(tunnel));
    }
    if (!forward->over) {
        TRY(announce(tunnel));
        if (arguments_has(arguments, "open")) {
            browser_open(tunnel->url);
        }
    }
    return forward_keep(forward);
}

static err_t tunnel_run(struct cli *cli, const struct arguments *arguments) {
    struct tunnel tunnel = {.forward = FORWARD_NONE, .address = "localhost"};
    tunnel.forward.cli = cli;
    tunnel.forward.noun = "tunnel";
    err_t err = run(&tunnel, arguments);
    int by_signal = tunnel.forward.by_signal;
    forward_done(&tunnel.forward);
    stop_by(by_signal); /* nothing of it is left by now */
    return err;
}

static const struct option options[] = {
    {'j', "job", "JOB", "to a node of this job: 4711, or 4711@daint"},
    {0, "local", "PORT", "listen here, on this machine's loopback; else a port that is free"},
    {0, "through-login", NULL, "by way of the cluster's login host", .many = true},
    {0, "open", NULL, "open it in the browser", .many = true},
    {.name = NULL},
};

const struct command command_tunnel = {
    .name = "tunnel",
    .arguments = "CLUSTER NODE PORT | --job JOB [NODE] PORT",
    .summary = "Lead a local port to a service on a compute node",
    .details = "Says which link of the way is broken, waits until the service listens, connects "
               "again when the\nnetwork comes back, and ends with the job or on Ctrl-C. With "
               "--json, a line when it is ready.",
    .options = options,
    .words_min = 1,
    .words_max = 3,
    .run = tunnel_run,
};
