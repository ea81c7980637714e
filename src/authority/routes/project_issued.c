/* Who of a project has which certificates, for its managers. */
#include "authority/authority.h"
#include "authority/routes/project.h"

/* A page goes through the accounts in the order of their ids, and through each one's certificates
 * from the newest on. A certificate says whose it is, so its serial is all that a cursor needs. */
struct listing {
    size_t left;
    uint64_t before; /* the last serial of the page before; 0: from the first account */
    entity_id project_id;
    entity_id *accounts;
    size_t account_count, account_room;
    struct call *call;
    const char *username; /* whose are listed now */
    json_t *rows;         /* the answer's, once call_answer() took it */
};

static void release(void *own) { free(((struct listing *)own)->accounts); }

static struct listing *listing_of(struct call *call) {
    return call_own(call, sizeof(struct listing), release);
}

static err_t read_list(struct call *call) {
    struct listing *listing = listing_of(call);
    TRY(call_query_u64(call, "before", UINT64_MAX, &listing->before));
    return call_query_limit(call, &listing->left);
}

/* ---- whose ------------------------------------------------------------------------------- */

static err_t add_account(struct listing *listing, entity_id id) {
    if (listing->account_count == listing->account_room) {
        size_t room = listing->account_room == 0 ? 64 : 2 * listing->account_room;
        entity_id *more = reallocarray(listing->accounts, room, sizeof *more);
        if (more == NULL) {
            return FAIL(ERR_MEMORY);
        }
        listing->accounts = more;
        listing->account_room = room;
    }
    listing->accounts[listing->account_count++] = id;
    return OK;
}

static err_t add_member(void *context, const struct membership *membership) {
    return add_account(context, membership->account_id);
}

static err_t add_service(void *context, const struct account *account) {
    struct listing *listing = context;
    return account->kind == ACCOUNT_SERVICE && account->project_id == listing->project_id
               ? add_account(listing, account->id)
               : OK;
}

static int by_id(const void *a, const void *b) {
    entity_id left = *(const entity_id *)a, right = *(const entity_id *)b;
    return (left > right) - (left < right);
}

static err_t find_accounts(struct store *store, struct listing *listing) {
    TRY(store_member_list(store, listing->project_id, 0, add_member, listing));
    TRY(store_account_list(store, NULL, SIZE_MAX >> 1, add_service, listing));
    if (listing->account_count > 0) {
        qsort(listing->accounts, listing->account_count, sizeof *listing->accounts, by_id);
    }
    return OK;
}

/* ---- which ------------------------------------------------------------------------------- */

static err_t add_row(void *context, const struct issued *issued) {
    struct listing *listing = context;
    const char *by = issued->by_id != 0        ? "portal"
                     : issued->grant_id != 0   ? "grant"
                     : issued->api_key_id != 0 ? "api-key"
                                               : "session";
    json_t *row = json_pack("{s:s,s:o,s:s,s:o,s:o,s:s}", "username", listing->username,
                            "serialNumber", call_json_u64(issued->serial), "fingerprint",
                            issued->fingerprint, "createTime", call_json_time(issued->issued_at),
                            "expireTime", call_json_time(issued->valid_before), "obtainedBy", by);
    listing->left--;
    return json_array_append_new(listing->rows, row) == 0 ? OK : FAIL(ERR_MEMORY);
}

/* Those of an account before a serial; 0: all. */
static err_t add_rows(struct listing *listing, entity_id id, uint64_t before) {
    struct store *store = call_store(listing->call);
    struct account account;
    const struct issued_filter filter = {
        .account_id = id, .now = listing->call->now, .before_serial = before, .max = listing->left};
    TRY(store_account_get(store, id, &account));
    listing->username = account.name;
    return store_issued_list(store, &filter, add_row, listing);
}

/* The account at which a page begins: that of the certificate at which the one before ended. */
static bool find_start(struct call *call, const struct listing *listing, entity_id *out) {
    struct issued issued;
    if (listing->before == 0) {
        *out = 0;
        return true;
    }
    if (!call_ok(call, store_issued_get(call_store(call), listing->before, &issued),
                 "the certificate of the parameter before")) {
        return false;
    }
    *out = issued.account_id;
    return true;
}

static void run_list(struct call *call) {
    struct listing *listing = listing_of(call);
    struct project project;
    entity_id start;
    if (!project_find_managed(call, call_path(call, "name"), &project) ||
        !find_start(call, listing, &start)) {
        return;
    }
    listing->call = call;
    listing->project_id = project.id;
    listing->rows = json_array();
    err_t err = find_accounts(call_store(call), listing);
    for (size_t i = 0; i < listing->account_count && listing->left > 0 && !failed(err); i++) {
        entity_id id = listing->accounts[i];
        if (id >= start) {
            err = add_rows(listing, id, id == start ? listing->before : 0);
        }
    }
    if (call_ok(call, err, "the certificates")) {
        call_answer(
            call, 200,
            json_pack("{s:O,s:b}", "certificates", listing->rows, "complete", listing->left > 0));
    }
    json_decref(listing->rows);
}

const struct route project_issued_routes[] = {
    {HTTP_GET, "/api/v1/projects/{name}/certificates", ACCESS_ACCOUNT, "project.certificates",
     read_list, run_list, NULL},
    {.path = NULL},
};
