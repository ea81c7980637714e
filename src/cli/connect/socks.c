/* postern socks: a SOCKS proxy that leads inside, for a browser that reaches whatever a login host
 * does. */
#include <stdio.h>

#include "cli/connect/forward.h"
#include "cli/process/stop.h"

enum { SOCKS_PORT = 1080 }; /* RFC 1928 section 3 */

static err_t announce(const struct forward *forward) {
    unsigned port = forward->local.port;
    char url[64];
    (void)snprintf(url, sizeof url, "socks5h://localhost:%u", port);
    if (forward->cli->json) {
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:s, s:i, s:s, s:s, s:s}", "url", url, "localPort", (int)port, "cluster",
                      forward->to.cluster, "node", forward->to.node, "user", forward->way.user);
        return shown == NULL ? FAIL(ERR_MEMORY) : forward_tell(shown);
    }
    (void)printf("%s leads wherever %s reaches, until Ctrl-C.\n"
                 "Try it: curl --proxy %s http://NODE:PORT/\n",
                 url, forward->to.node, url);
    return fflush(stdout) == 0 ? OK : FAIL(ERR_IO);
}

static err_t run(struct forward *forward, const struct arguments *arguments) {
    uint16_t wanted = SOCKS_PORT;
    const char *given = arguments->word_count > 1 ? arguments->words[1] : NULL;
    if (given != NULL) {
        TRY(local_port_parse(&forward->cli->trouble, "the local port", given, &wanted));
    }
    TRY(ssh_file_open(forward->cli, false, &forward->file));
    TRY(destination_of_host(forward->cli, &forward->file, arguments->words[0], &forward->to));
    TRY(forward_open(forward, wanted, given != NULL, "-D", ""));
    TRY(forward_connect(forward));
    TRY(forward->over ? OK : announce(forward));
    return forward_keep(forward);
}

static err_t socks_run(struct cli *cli, const struct arguments *arguments) {
    struct forward forward = FORWARD_NONE;
    forward.cli = cli;
    forward.noun = "proxy";
    err_t err = run(&forward, arguments);
    int by_signal = forward.by_signal;
    forward_done(&forward);
    stop_by(by_signal);
    return err;
}

const struct command command_socks = {
    .name = "socks",
    .arguments = "CLUSTER [PORT]",
    .summary = "A SOCKS proxy on this machine that leads inside",
    .details =
        "At the local port PORT; without it at 1080, or another that is free. It connects "
        "again when the network\ncomes back, and ends on Ctrl-C. With --json, a line when it "
        "is ready.",
    .words_min = 1,
    .words_max = 2,
    .run = socks_run,
};
