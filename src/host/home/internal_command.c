/* `postern-host internal-keys`: see internal_keys.h. */
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "host/home/internal_keys.h"
#include "host/host.h"
#include "net/notify.h"

enum { LOOKS_PER_S = 100 };

/* In parts, so that what the feed tells of the first is known before the last. */
static err_t keep_once(struct keeper *keeper) {
    do {
        TRY(keeper_run(keeper, LOOKS_PER_S));
    } while (keeper_has_news(keeper));
    return OK;
}

/* Until the replica cannot be read any more; sync may be at it for a moment. */
static err_t keep_on(struct keeper *keeper) {
    static const struct timespec second = {.tv_sec = 1};
    notify_send("READY=1\nSTATUS=keeping internal keys");
    for (;;) {
        err_t err = keeper_run(keeper, LOOKS_PER_S);
        if (failed(err) && err.code != ERR_BUSY) {
            return err;
        }
        (void)nanosleep(&second, NULL);
    }
}

static err_t keep(const struct command_options *options, struct fault *fault) {
    struct config config CLEANUP(config_done) = {0};
    struct identity identity CLEANUP(identity_done) = {0};
    struct keeper *keeper CLEANUP(keeper_freep) = NULL;
    TRY(command_config(options->config, options->state, &config, fault));
    TRY(identity_load(config.state_dir, &identity, fault));
    TRY(keeper_open(&config, &identity, &keeper, fault));
    err_t err = options->flag ? keep_once(keeper) : keep_on(keeper);
    return failed(err) ? fault_set(fault, err.code, config.state_dir,
                                   "the replica cannot be read: %s", err_text(err))
                       : OK;
}

const char internal_keys_usage[] =
    "usage: postern-host internal-keys [--once] [--config FILE] [--state DIR]\n";

int command_internal_keys(int argc, char **argv) {
    struct command_options options;
    struct fault fault = {0};
    if (!command_read_options(argc, argv, "once", internal_keys_usage, &options)) {
        return HOST_EXIT_USAGE;
    }
    err_t err = keep(&options, &fault);
    return failed(err) ? command_failed("keep internal keys", err, &fault) : HOST_EXIT_OK;
}
