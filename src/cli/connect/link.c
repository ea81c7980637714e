#include "cli/connect/link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"

enum { PAUSE_MS = 1000, PAUSE_MAX_MS = 30 * 1000, TELL_MS = 5000 };

int link_pause_ms(unsigned tries, unsigned random) {
    unsigned doublings = tries > 0 ? tries - 1 : 0;
    int pause = doublings < 5 ? PAUSE_MS << doublings : PAUSE_MAX_MS;
    return pause - pause / 4 + (int)(random % (unsigned)(pause / 2 + 1));
}

/* --- setting up --- */

static err_t make_spec(const struct link *link, const char *forward, char **out) {
    char *spec = NULL;
    if (asprintf(&spec, "%s%s", link->target, forward) < 0) {
        return FAIL(ERR_MEMORY);
    }
    *out = spec;
    return OK;
}

/* A dead network is found within 15 seconds. A master of the person's own configuration is not
 * this one's. */
static err_t add_options(struct command_line *line, struct link *link, const char *letter,
                         const char *forward) {
    char *spec CLEANUP(freep) = NULL;
    TRY(make_spec(link, forward, &spec));
    TRY(command_line_add_words(line, (const char *const[]){"-v", "-N", "-T", letter, NULL}));
    link->spec_at = line->count;
    TRY(command_line_add(line, spec));
    TRY(command_line_option(line, "ControlMaster=yes"));
    TRY(command_line_option(line, "ControlPersist=no"));
    TRY(command_line_option(line, "ControlPath=%s", link->control));
    TRY(command_line_option(line, "ServerAliveInterval=5"));
    TRY(command_line_option(line, "ServerAliveCountMax=3"));
    TRY(command_line_option(line, "ExitOnForwardFailure=yes"));
    TRY(command_line_option(line, "StreamLocalBindMask=0177"));
    TRY(command_line_option(line, "ForwardAgent=no"));
    return command_line_option(line, "ForwardX11=no");
}

err_t link_init(struct link *link, struct command_line *ssh, const char *letter,
                const char *forward, const struct run_folder *folder) {
    INVARIANT(ssh->count >= 2);
    struct command_line line CLEANUP(command_line_done) = {0};
    TRY(run_folder_path(folder, "master", &link->control));
    TRY(run_folder_path(folder, "target", &link->target));
    link->own_count = ssh->count - 1;
    for (size_t i = 0; i < link->own_count; i++) {
        TRY(command_line_add(&line, ssh->words[i]));
    }
    TRY(add_options(&line, link, letter, forward));
    TRY(command_line_add(&line, "--"));
    TRY(command_line_add(&line, ssh->words[link->own_count]));
    link->ssh = line;
    line = (struct command_line){0};
    return OK;
}

static void remove_sockets(const struct link *link) {
    (void)unlink(link->control);
    (void)unlink(link->target);
}

void link_done(struct link *link) {
    process_stop(&link->process);
    if (link->control != NULL && link->target != NULL) {
        remove_sockets(link);
    }
    command_line_done(&link->ssh);
    buf_done(&link->said);
    freep(&link->control);
    freep(&link->target);
    link->up = false;
}

/* --- its life --- */

err_t link_start(struct cli *cli, struct link *link, bool ask) {
    INVARIANT(link->process.pid == 0);
    process_stop(&link->process);
    remove_sockets(link); /* of one that was killed */
    buf_clear(&link->said);
    link->up = false;
    link->tries++;
    return process_start(cli, &link->ssh, ask, &link->process);
}

int link_fd(const struct link *link) { return link->process.said; }

/* What is beyond the limit is forgotten: of a login the end, later the beginning. */
static void listen_to(struct link *link) {
    uint8_t bytes[4096];
    ssize_t got = 0;
    while (link->process.said >= 0 &&
           ((got = read(link->process.said, bytes, sizeof bytes)) > 0 || errno == EINTR)) {
        if (got > 0 && failed(buf_add(&link->said, span_of(bytes, (size_t)got))) && link->up) {
            buf_clear(&link->said);
        }
    }
    if (got == 0) {
        fd_closep(&link->process.said);
    }
}

span_t link_said(struct link *link) {
    listen_to(link);
    return buf_span(&link->said);
}

void link_forget(struct link *link) {
    listen_to(link);
    buf_clear(&link->said);
}

/* ssh listens at the master's socket when it is logged in and the forwarding stands. */
static bool answers(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path || access(path, F_OK) != 0) {
        return false;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const void *address = &at;
    return fd >= 0 && connect(fd, address, sizeof at) == 0;
}

static enum link_event ended(struct link *link, int status, int64_t now_ms, unsigned random) {
    bool by_person = WIFSIGNALED(status) && WTERMSIG(status) == SIGINT;
    listen_to(link);
    link->up = false;
    link->due_ms = now_ms + link_pause_ms(link->tries, random);
    return by_person ? LINK_INTERRUPTED : LINK_ENDED;
}

enum link_event link_step(struct link *link, int64_t now_ms, unsigned random) {
    int status = 0;
    listen_to(link);
    if (link->process.pid == 0) {
        return LINK_NOTHING;
    }
    if (process_ended(&link->process, &status)) {
        return ended(link, status, now_ms, random);
    }
    if (link->up || !answers(link->control)) {
        return LINK_NOTHING;
    }
    process_take_terminal(&link->process);
    buf_clear(&link->said); /* of the login; from now on it is about what goes through */
    link->up = link->was_up = true;
    link->tries = 0;
    return LINK_CAME_UP;
}

err_t link_command(const struct link *link, const char *const *options, const char *command,
                   struct command_line *out) {
    struct command_line line CLEANUP(command_line_done) = {0};
    for (size_t i = 0; i < link->own_count; i++) {
        TRY(command_line_add(&line, link->ssh.words[i]));
    }
    TRY(command_line_option(&line, "ControlMaster=no"));
    TRY(command_line_option(&line, "ControlPath=%s", link->control));
    TRY(command_line_option(&line, "ProxyCommand=false"));
    TRY(command_line_option(&line, "BatchMode=yes"));
    TRY(command_line_add_words(&line, options));
    TRY(command_line_add(&line, "--"));
    TRY(command_line_add(&line, link->ssh.words[link->ssh.count - 1]));
    TRY(command != NULL ? command_line_add(&line, command) : OK);
    *out = line;
    line = (struct command_line){0};
    return OK;
}

static err_t tell_master(const struct link *link, const char *what, const char *spec, int stop_fd) {
    const struct process_terms terms = {.timeout_ms = TELL_MS, .stop_fd = stop_fd, .cut = true};
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf answer CLEANUP(buf_done) = BUF(LIMIT_SSH_SAID_BYTES);
    const char *letter = link->ssh.words[link->spec_at - 1];
    int status = 0;
    TRY(link_command(link, (const char *const[]){"-O", what, letter, spec, NULL}, NULL, &line));
    TRY(process_ask(&line, &terms, &answer, &status));
    return status == 0 ? OK : FAIL(ERR_REFUSED);
}

err_t link_redirect(struct link *link, const char *forward, int stop_fd) {
    char *spec CLEANUP(freep) = NULL;
    char **held = &link->ssh.words[link->spec_at];
    TRY(make_spec(link, forward, &spec));
    TRY(tell_master(link, "cancel", *held, stop_fd));
    (void)unlink(link->target);
    TRY(tell_master(link, "forward", spec, stop_fd));
    free(*held);
    *held = TAKE(spec);
    return OK;
}
