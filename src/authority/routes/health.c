/* For load balancers and supervisors: alive, and ready to sign. */
#include "authority/authority.h"

static void finish_health(struct call *call) {
    call_answer(call, 200, json_pack("{s:s}", "status", "ok"));
    call_send(call);
}

static void run_ready(struct call *call) {
    uint64_t newest, oldest;
    if (failed(store_event_revision(call_store(call), &newest, &oldest))) {
        call_problem(call, 503, "store_unavailable", NULL, "the store cannot be read");
    }
}

static void finish_ready(struct call *call) {
    if (call->authority->stopping) {
        call_problem(call, 503, "shutting_down", NULL, "the authority is shutting down");
    } else if (!signer_client_count(call->authority->signer).up) {
        call_problem(call, 503, "signer_unavailable", NULL, "the signer is not running");
    } else {
        call_answer(call, 200, json_pack("{s:s}", "status", "ready"));
    }
    call_send(call);
}

const struct route health_routes[] = {
    {HTTP_GET, "/healthz", ACCESS_PUBLIC, "health.live", NULL, NULL, finish_health},
    {HTTP_GET, "/readyz", ACCESS_PUBLIC, "health.ready", NULL, run_ready, finish_ready},
    {.path = NULL},
};
