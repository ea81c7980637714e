#include "net/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

void notify_send(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        strlen(path) >= sizeof address.sun_path) {
        return;
    }
    size_t len = strlen(path);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract name */
    }
    int fd CLEANUP(fd_closep) = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        /* Nobody to tell is no reason to stop. */
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    }
}

static void on_watchdog(void *context) {
    (void)context;
    notify_send("WATCHDOG=1");
}

err_t notify_watchdog(struct loop *loop, struct timer **timer) {
    const char *text = getenv("WATCHDOG_USEC");
    uint64_t interval_us;
    *timer = NULL;
    if (text == NULL || failed(u64_parse(span_str(text), &interval_us)) || interval_us < 2000 ||
        interval_us > (uint64_t)INT32_MAX * 1000) {
        return OK;
    }
    int half_ms = (int)(interval_us / 2000);
    return timer_start(loop, half_ms, half_ms, on_watchdog, NULL, timer);
}
