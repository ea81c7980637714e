#include "authority/routes/job_place.h"

#include "authority/authority.h"
#include "feed/view.h"

struct search {
    char place[LIMIT_HOST_NAME_CHARS + 1]; /* in the one spelling of it */
    char taken[LIMIT_HOST_NAME_CHARS + 1]; /* by whom; "" by nobody */
};

/* An address has more spellings than one. */
static void spell(const char *place, char out[LIMIT_HOST_NAME_CHARS + 1]) {
    struct inet_address address;
    if (failed(inet_address_parse(span_str(place), &address))) {
        memcpy(out, place, strlen(place) + 1);
    } else {
        inet_address_print(&address, out);
    }
}

static void look_at(struct search *search, const char *name, const char *address) {
    char spelled[LIMIT_HOST_NAME_CHARS + 1];
    spell(address, spelled);
    if (strcmp(name, search->place) == 0 || strcmp(spelled, search->place) == 0) {
        memcpy(search->taken, name, strlen(name) + 1);
    }
}

/* Machines of jobs may be many behind one address, each at a port of its own. */
static err_t look_at_host(void *context, const struct host *host) {
    if (host->role != HOST_JOB) {
        look_at(context, host->name, host->address);
    }
    return OK;
}

static err_t look_at_cluster(void *context, const struct cluster *cluster) {
    look_at(context, cluster->name, cluster->address);
    return OK;
}

/* A name is judged by gates, when they have resolved it. */
static bool is_forbidden(const char *address) {
    struct inet_address literal;
    const struct view_destination named = {.allowed = true, .address = address};
    return !failed(inet_address_parse(span_str(address), &literal)) &&
           !view_address_allowed(&named, &literal);
}

bool job_place_allowed(struct call *call, const char *address) {
    struct search search = {.taken = ""};
    struct store *store = call_store(call);
    if (call->caller.is_account || address[0] == '\0') {
        return true;
    }
    if (is_forbidden(address)) {
        call_problem(call, 422, "address_refused", "address",
                     "%.80s is no address of a machine that others reach; only an administrator "
                     "can lead there",
                     address);
        return false;
    }
    spell(address, search.place);
    err_t err = store_host_list(store, NULL, SIZE_MAX >> 1, look_at_host, &search);
    err = failed(err) ? err
                      : store_cluster_list(store, NULL, SIZE_MAX >> 1, look_at_cluster, &search);
    if (call_ok(call, err, "the hosts") && search.taken[0] != '\0') {
        call_problem(call, 409, "conflict", "address",
                     "%.80s is where %.80s is, which is no machine of a job", address,
                     search.taken);
    }
    return !call_refused(call);
}
