#include "cli/agent/agent_find.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/site.h"

enum { ANSWER_TIMEOUT_MS = 5000, HOST_CHARS = 256 };

void agent_place_done(struct agent_place *place) {
    free(place->socket);
    free(place->dead);
}

/* A folder where nobody else can put a socket in our agent's place. */
static bool is_private_folder(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0;
}

/* The XDG Base Directory Specification: "The directory MUST be owned by the user, and they MUST be
 * the only one having read and write access to it." Without the variable (cron, a daemon) it is
 * where systemd puts it. */
static err_t runtime_dir(char **out) {
    const char *given = getenv("XDG_RUNTIME_DIR");
    char *dir CLEANUP(freep) = NULL;
    if (given != NULL && given[0] == '/') {
        TRY(path_expand(given, &dir));
    } else if (asprintf(&dir, "/run/user/%ld", (long)geteuid()) < 0) {
        dir = NULL;
        return FAIL(ERR_MEMORY);
    }
    if (!is_private_folder(dir)) {
        return FAIL(ERR_NOT_FOUND);
    }
    return path_join(dir, "posterngate", out);
}

static err_t home_dir(char **out) {
    char host[HOST_CHARS] = "";
    char *name CLEANUP(freep) = NULL;
    char *ssh CLEANUP(freep) = NULL;
    (void)gethostname(host, sizeof host - 1);
    TRY(path_expand("~/.ssh", &ssh));
    if (asprintf(&name, "posterngate-%s", strchr(host, '/') == NULL ? host : "") < 0) {
        name = NULL;
        return FAIL(ERR_MEMORY);
    }
    return path_join(ssh, name, out);
}

err_t agent_find_own_path(char **out) {
    char *dir CLEANUP(freep) = NULL;
    err_t err = runtime_dir(&dir);
    if (err.code == ERR_NOT_FOUND) {
        err = home_dir(&dir);
    }
    TRY(err);
    return path_join(dir, "agent.sock", out);
}

err_t agent_find_try(const char *socket) {
    struct agent_client *client CLEANUP(agent_client_closep) = NULL;
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t answer = {0};
    TRY(agent_client_open(socket, &client));
    agent_client_set_timeout(client, ANSWER_TIMEOUT_MS);
    TRY(agent_put_request_identities(&request));
    return agent_client_call(client, &request, &answer);
}

static err_t copy_text(const char *from, char **out) {
    char *copy = strdup(from);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = copy;
    return OK;
}

/* Only in a folder of our own: elsewhere somebody could listen in our agent's place. */
static bool own_lives(const char *socket) {
    char *dir CLEANUP(freep) = strndup(socket, (size_t)(strrchr(socket, '/') - socket));
    return dir != NULL && is_private_folder(dir) && !failed(agent_find_try(socket));
}

err_t agent_find(struct agent_place *out) {
    struct agent_place place CLEANUP(agent_place_done) = {.origin = AGENT_NONE};
    const char *given = getenv("SSH_AUTH_SOCK");
    char *own CLEANUP(freep) = NULL;
    TRY(agent_find_own_path(&own));
    if (given != NULL && given[0] != '\0') {
        err_t err = agent_find_try(given);
        bool lives = !failed(err);
        place.is_foreign = err.code == ERR_PERMISSION;
        TRY(copy_text(given, lives ? &place.socket : &place.dead));
        if (lives) {
            place.origin = strcmp(given, own) == 0 ? AGENT_OF_POSTERN : AGENT_OF_ENVIRONMENT;
        }
    }
    if (place.socket == NULL && own_lives(own)) {
        place.socket = TAKE(own);
        place.origin = AGENT_OF_POSTERN;
    }
    *out = place;
    place = (struct agent_place){0};
    return OK;
}

err_t agent_find_open(struct agent_client **out) {
    struct agent_place place CLEANUP(agent_place_done) = {0};
    TRY(agent_find(&place));
    return place.socket == NULL ? FAIL(ERR_NOT_FOUND) : agent_client_open(place.socket, out);
}
