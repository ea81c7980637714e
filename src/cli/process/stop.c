#include "cli/process/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int ends[2] = {-1, -1};

static void take(int signal_number) {
    int before = errno;
    caught = signal_number;
    (void)!write(ends[1], "", 1); /* full: it is readable, which is all that matters */
    errno = before;
}

err_t stop_begin(int *fd) {
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return err_from_errno(errno);
    }
    for (size_t i = 0; i < COUNT_OF(ending); i++) {
        struct sigaction action = {.sa_handler = take, .sa_flags = SA_RESTART};
        struct sigaction before;
        /* What a parent had ignored (nohup) stays so. */
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(ending[i], &action, NULL);
        }
    }
    *fd = ends[0];
    return OK;
}

int stop_signal(void) { return caught; }

void stop_by(int signal_number) {
    if (signal_number != 0) {
        (void)fflush(NULL);
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number);
    }
}
