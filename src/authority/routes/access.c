/*
 * From where an account may come in at all, by its own choice. It holds for every key and
 * certificate of its: gates and hosts learn it by the feed, and certificates that are signed from
 * then on carry it. It does not hold here: whoever can sign in can change it from anywhere.
 */
#include "authority/authority.h"
#include "authority/routes/publish.h"

struct access_request {
    struct subnet_list subnets;
    bool force;
};

static void answer(struct call *call, const struct subnet_list *subnets) {
    call_answer(call, 200, json_pack("{s:o}", "ipSubnets", call_json_subnets(subnets)));
}

static void show_run(struct call *call) { answer(call, &call->caller.account.subnets); }

static err_t choose_read(struct call *call) {
    struct access_request *own = call_own(call, sizeof *own, NULL);
    bool given;
    TRY(call_read_bool(call, "force", CALL_OPTIONAL, &own->force, NULL));
    TRY(call_read_sources(call, &own->subnets, &given));
    if (!given) {
        call_problem(call, 400, "missing_field", "ipSubnets",
                     "say from where you may come in: ipSubnets, or from: \"mine\" or "
                     "\"everywhere\"");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

static err_t print(const struct subnet_list *subnets, char **out) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SUBNETS_COUNT * INET_CHARS);
    TRY(subnets->count == 0 ? buf_add_str(&text, "everywhere") : subnet_list_print(subnets, &text));
    return buf_to_str(&text, out);
}

static void choose_run(struct call *call) {
    const struct access_request *own = call_own(call, sizeof *own, NULL);
    struct account account;
    char *detail CLEANUP(freep) = NULL;
    if (!call_ok(call, print(&own->subnets, &detail), "the subnets")) {
        return;
    }
    call_audit(call, call->caller.account.name, true, "ok", detail);
    if (call->caller.api_key_id != 0) {
        call_problem(call, 403, "not_permitted", NULL,
                     "an API key has networks of its own, and does not choose those of all that "
                     "its account has");
        return;
    }
    if (!own->force && !subnet_list_allows(&own->subnets, call->source)) {
        call_problem(call, 409, "locks_out", "ipSubnets",
                     "your present address, %s, is not within %.300s: your sessions from here "
                     "would end. If that is meant, set \"force\": true (postern access --force)",
                     call->source_text, detail);
        return;
    }
    struct store *store = call_store(call);
    if (!call_ok(call, store_account_get(store, call->caller.account.id, &account),
                 "the account")) {
        return;
    }
    account.subnets = own->subnets;
    if (call_ok(call, store_account_update(store, &account), "the account")) {
        call_forget_bearers(call);
        publish_account(call, &account);
        answer(call, &account.subnets);
    }
}

const struct route access_routes[] = {
    {HTTP_GET, "/api/v1/access", ACCESS_ACCOUNT, "access.show", NULL, show_run, NULL},
    {HTTP_PUT, "/api/v1/access", ACCESS_ACCOUNT, "access.choose", choose_read, choose_run, NULL},
    {.path = NULL},
};
