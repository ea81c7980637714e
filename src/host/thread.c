#include <signal.h>

#include "host/sync_host.h"

err_t thread_start(void *(*run)(void *context), void *context, pthread_t *out) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(out, NULL, run, context);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result == 0 ? OK : err_from_errno(result);
}
