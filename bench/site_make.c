/*
 * site_make STORE ACCOUNTS KEYS JOBS NODES: fills the store of an authority that does not run with
 * a large site: the cluster "nancy", whose nodes are for those with a job there, accounts u0, u1, …
 * that reach it and have KEYS registered keys in turn, nodes nid000000, … and running jobs 0, 1, …
 * of one to four nodes. Job N is the account's whose number is N modulo ACCOUNTS, and begins at the
 * node whose number is N modulo NODES. The first node is no host yet: it is there to be enrolled.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "ssh/key.h"
#include "ssh/wire.h"
#include "store/store.h"

enum { JOB_NODES_MAX = 4, PUBLIC_KEY_BYTES = 32 };

struct site {
    struct store *store;
    int64_t now;
    size_t accounts, keys, jobs, nodes;
    entity_id cluster_id, project_id, first_account_id;
};

static err_t add_cluster(struct site *site) {
    struct cluster cluster = {.name = "nancy",
                              .address = "192.0.2.1",
                              .port = 22,
                              .node_access = NODE_ACCESS_JOB,
                              .credentials = CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS,
                              .created_at = site->now};
    struct project project = {.name = "bench", .created_at = site->now};
    TRY(store_cluster_add(site->store, &cluster));
    TRY(store_project_add(site->store, &project));
    site->cluster_id = cluster.id;
    site->project_id = project.id;
    return store_project_cluster_put(site->store, project.id, cluster.id);
}

static err_t add_account(struct site *site, size_t number) {
    struct account account = {.kind = ACCOUNT_PERSON, .created_at = site->now};
    (void)snprintf(account.name, sizeof account.name, "u%zu", number);
    TRY(store_account_add(site->store, &account));
    if (number == 0) {
        site->first_account_id = account.id;
    }
    return store_member_put(site->store,
                            &(struct membership){site->project_id, account.id, MEMBER, site->now});
}

/* Ed25519's form, of a key whose private half nobody has. */
static err_t add_key(struct site *site, size_t number) {
    struct buf blob CLEANUP(buf_done) = BUF(128);
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct key *key CLEANUP(key_freep) = NULL;
    uint8_t random[PUBLIC_KEY_BYTES];
    struct registered_key registered = {.account_id =
                                            site->first_account_id + number % site->accounts,
                                        .use = KEY_USE_PERSON,
                                        .created_at = site->now};
    random_bytes(random, sizeof random);
    TRY(wire_put_string(&blob, SPAN_LITERAL("ssh-ed25519")));
    TRY(wire_put_string(&blob, span_of(random, sizeof random)));
    TRY(key_parse(buf_span(&blob), &key));
    TRY(key_print_line(key, NULL, &line));
    memcpy(registered.key_line, line.data, line.len);
    key_fingerprint(key, registered.fingerprint);
    (void)snprintf(registered.name, sizeof registered.name, "key %zu", number);
    return store_registered_key_add(site->store, &registered);
}

static void name_node(const struct site *site, size_t number, char out[16]) {
    (void)snprintf(out, 16, "nid%06u", (unsigned)(number % site->nodes));
}

static err_t add_node(struct site *site, size_t number) {
    struct host host = {.cluster_id = site->cluster_id, .port = 22, .role = HOST_COMPUTE};
    char name[16];
    name_node(site, number, name);
    (void)snprintf(host.name, sizeof host.name, "%s", name);
    (void)snprintf(host.address, sizeof host.address, "%s.nancy.example", name);
    return number == 0 ? OK : store_host_add(site->store, &host);
}

static err_t add_job(struct site *site, size_t number) {
    char names[JOB_NODES_MAX][16];
    const char *nodes[JOB_NODES_MAX];
    size_t count = number % JOB_NODES_MAX + 1;
    struct job job = {.cluster_id = site->cluster_id,
                      .account_id = site->first_account_id + number % site->accounts,
                      .type = JOB_SHARED,
                      .started_at = site->now - 60,
                      .ends_at = site->now + 86400};
    (void)snprintf(job.name, sizeof job.name, "%zu", number);
    (void)snprintf(job.user, sizeof job.user, "u%zu", number % site->accounts);
    for (size_t i = 0; i < count; i++) {
        name_node(site, number + i, names[i]);
        nodes[i] = names[i];
    }
    return store_job_put(site->store, &job, nodes, count);
}

static err_t add_many(struct site *site, size_t count,
                      err_t (*add)(struct site *site, size_t number)) {
    for (size_t i = 0; i < count; i++) {
        TRY(add(site, i));
    }
    return OK;
}

static err_t fill(struct site *site) {
    TRY(store_begin(site->store));
    TRY(add_cluster(site));
    TRY(add_many(site, site->accounts, add_account));
    TRY(add_many(site, site->keys, add_key));
    TRY(add_many(site, site->nodes, add_node));
    TRY(add_many(site, site->jobs, add_job));
    return store_commit(site->store);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        (void)fputs("usage: site_make STORE ACCOUNTS KEYS JOBS NODES\n", stderr);
        return 2;
    }
    struct site site = {.now = clock_now_s(),
                        .accounts = strtoul(argv[2], NULL, 10),
                        .keys = strtoul(argv[3], NULL, 10),
                        .jobs = strtoul(argv[4], NULL, 10),
                        .nodes = strtoul(argv[5], NULL, 10)};
    err_t err = store_open_sqlite(argv[1], &site.store);
    if (!failed(err)) {
        err = fill(&site);
        store_close(site.store);
    }
    if (failed(err)) {
        (void)fprintf(stderr, "site_make: %s\n", err_text(err));
        return 1;
    }
    return 0;
}
