#include "host/login.h"

#include <errno.h>
#include <syslog.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "host/host.h"

err_t login_open_replica(const char *state_dir, struct replica **out) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, HOST_REPLICA_FILE, &path));
    return replica_open_read(path, out);
}

struct destinations {
    struct buf *out;
    size_t count;
};

static err_t put_destination(void *context, const char *name, uint16_t port) {
    struct destinations *put = context;
    /* Of a longer list sshd would take nothing, and refuse everybody. */
    if (put->count++ >= LIMIT_LOGIN_DESTINATIONS_COUNT) {
        return OK;
    }
    /* sshd wants an IPv6 address in brackets. Names passed host_name_check(): no quotes. */
    return strchr(name, ':') != NULL
               ? buf_add_format(put->out, ",permitopen=\"[%s]:%u\"", name, (unsigned)port)
               : buf_add_format(put->out, ",permitopen=\"%s:%u\"", name, (unsigned)port);
}

struct cluster_names {
    struct buf *out;
    bool any;
};

static err_t put_cluster(void *context, const char *cluster) {
    struct cluster_names *names = context;
    TRY(buf_add_str(names->out, names->any ? "," : ",environment=\"POSTERN_CLUSTERS="));
    names->any = true;
    return buf_add_str(names->out, cluster);
}

err_t login_put_options(struct replica *replica, const struct replica_login *login,
                        struct buf *out) {
    const char *user = login->user;
    enum host_role role;
    TRY(replica_role(replica, &role));
    if (role != HOST_JUMP) {
        return OK;
    }
    TRY(buf_add_str(out, "restrict"));
    struct destinations put = {out, 0};
    TRY(replica_destination_list(replica, user, login->by, login->now, put_destination, &put));
    if (put.count > LIMIT_LOGIN_DESTINATIONS_COUNT) {
        syslog(LOG_WARNING, "account=%s reaches %zu destinations, of which sshd takes %d", user,
               put.count, LIMIT_LOGIN_DESTINATIONS_COUNT);
    }
    if (put.count > 0) {
        /* Only now: without a destination, port-forwarding alone would allow every one. */
        TRY(buf_add_str(out, ",port-forwarding"));
    }
    struct cluster_names names = {out, false};
    TRY(replica_cluster_list(replica, user, put_cluster, &names));
    return buf_add_str(out, names.any ? "\" " : " ");
}

void login_log_refusal(const char *user, const char *serial, const char *why) {
    bool printable = text_is_printable(span_str(user)) && text_is_printable(span_str(serial));
    syslog(LOG_NOTICE, "refused account=%.64s serial=%.24s: %s", printable ? user : "?",
           printable ? serial : "?", why);
}

err_t login_answer(const struct buf *answer) {
    span_t rest = buf_span(answer);
    while (rest.len > 0) {
        ssize_t put = write(STDOUT_FILENO, rest.data, rest.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return err_from_errno(errno);
        }
        rest = span_of(rest.data + put, rest.len - (size_t)put);
    }
    return OK;
}
