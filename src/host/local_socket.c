#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "host/sync_host.h"

/* ERR_TOO_LONG for what no socket can be called. */
static err_t address_of(const char *path, struct sockaddr_un *out) {
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->sun_path) {
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(out->sun_path, path, strlen(path));
    return OK;
}

/* By a socket of another type, which is told so by one that lives (unix(7): EPROTOTYPE) and makes
 * no peer of us. */
bool local_socket_is_served(const char *state_dir, const char *name) {
    struct sockaddr_un address;
    char *path CLEANUP(freep) = NULL;
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && !failed(path_join(state_dir, name, &path)) &&
           !failed(address_of(path, &address)) &&
           connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
           errno == EPROTOTYPE;
}

static err_t bind_closed(int fd, const char *path) {
    struct sockaddr_un address;
    TRY(address_of(path, &address));
    (void)unlink(path);
    mode_t before = umask(0177);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    int why = errno;
    (void)umask(before);
    return bound == 0 ? OK : err_from_errno(why);
}

/* Under another name first, so that nobody connects to a socket with the wrong mode. */
err_t local_socket_make(const char *path, mode_t mode, gid_t group, int backlog, int *out) {
    char *made CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(sizeof((struct sockaddr_un *)NULL)->sun_path);
    TRY(buf_add_format(&text, "%s.new", path));
    TRY(buf_to_str(&text, &made));
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    TRY(bind_closed(fd, made));
    /* Only root may give a file away; an unprivileged trial run keeps its own group. */
    if ((geteuid() == 0 && group != (gid_t)-1 && chown(made, (uid_t)-1, group) != 0) ||
        chmod(made, mode) != 0 || listen(fd, backlog) != 0 || rename(made, path) != 0) {
        err_t err = err_from_errno(errno);
        (void)unlink(made);
        return err;
    }
    *out = fd;
    fd = -1;
    return OK;
}
