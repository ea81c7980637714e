#include "cli/connect/service.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"

enum { PROBE_MS = 3000, ASK_MS = 5000, SSH_FAILED = 255 };

/*
 * `ssh -W` through the master: it fails at once where the connection is refused. One that is open
 * ends when the service closes it, or is ended here: nothing is sent, so nothing is disturbed.
 */
static err_t connects(const struct link *link, uint16_t port, int stop_fd, bool *out) {
    const struct process_terms terms = {.timeout_ms = PROBE_MS, .stop_fd = stop_fd, .cut = true};
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf answer CLEANUP(buf_done) = BUF(LIMIT_SSH_SAID_BYTES);
    char where[32];
    int status = 0;
    (void)snprintf(where, sizeof where, "localhost:%u", (unsigned)port);
    TRY(link_command(link, (const char *const[]){"-W", where, NULL}, NULL, &line));
    err_t err = process_ask(&line, &terms, &answer, &status);
    if (failed(err) && err.code != ERR_TIMEOUT) {
        return err;
    }
    *out = failed(err) || status != SSH_FAILED;
    return OK;
}

/* A host that runs no command for us, or is no Linux, tells nothing. */
static err_t ask_host(const struct link *link, uint16_t port, int stop_fd, enum service *out,
                      struct inet_address *address) {
    const struct process_terms terms = {.timeout_ms = ASK_MS, .stop_fd = stop_fd, .cut = true};
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf answer CLEANUP(buf_done) = BUF(LIMIT_LISTENERS_BYTES);
    int status = 0;
    TRY(link_command(link, (const char *const[]){"-T", NULL}, "cat /proc/net/tcp /proc/net/tcp6",
                     &line));
    err_t err = process_ask(&line, &terms, &answer, &status);
    if (err.code == ERR_CLOSED) {
        return err;
    }
    bool elsewhere = listeners_find(buf_span(&answer), port, address) == LISTENER_ELSEWHERE;
    *out = elsewhere ? SERVICE_ELSEWHERE : SERVICE_NONE;
    return OK;
}

err_t service_look(struct link *link, uint16_t port, int stop_fd, enum service *out,
                   struct inet_address *address) {
    bool answers = false;
    link_forget(link);
    TRY(connects(link, port, stop_fd, &answers));
    if (answers) {
        *out = SERVICE_ANSWERS;
        return OK;
    }
    if (access(link->control, F_OK) != 0) {
        *out = SERVICE_UNKNOWN;
        return OK;
    }
    if (span_find_str(link_said(link), "open failed: administratively prohibited") != NULL) {
        *out = SERVICE_FORBIDDEN;
        return OK;
    }
    return ask_host(link, port, stop_fd, out, address);
}
