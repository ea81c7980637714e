/*
 * replica_make FILE ACCOUNTS REVOCATIONS [HOST [KEYS [JOBS NODES]]]: fills a replica through the
 * feed's own decoder and the real apply path: a cluster "daint" with the host HOST ("daint-ln1"),
 * accounts u0, u1, … that reach it, revoked serials 1000000000, …, and KEYS registered keys that
 * the accounts share out. HOST is a login host; with JOBS it is the compute node n0 of NODES nodes,
 * to which only jobs lead: job i is of the account u<i> and has the node n<i modulo NODES>.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "feed/replica.h"

#define KEY_LINE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

enum { ANSWER_CHANGES_MAX = 50000 };

struct sizes {
    unsigned long accounts, revocations, keys, jobs, nodes;
    const char *host;
};

/* Changes are applied in answers of a bounded length, the first of them a snapshot. */
struct maker {
    struct replica *replica;
    struct buf json;
    size_t count;
    int64_t now;
};

static void maker_done(struct maker *maker) {
    replica_close(maker->replica);
    buf_done(&maker->json);
}

static err_t flush(struct maker *maker) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    replica_kinds touched = 0;
    TRY(change_answer_end(&maker->json));
    TRY(change_answer_decode(buf_span(&maker->json), &answer, NULL));
    TRY(replica_begin(maker->replica));
    TRY(replica_apply(maker->replica, answer, maker->now, &touched));
    TRY(replica_commit(maker->replica));
    buf_clear(&maker->json);
    maker->count = 0;
    return change_answer_begin(&maker->json, 1, false);
}

static err_t put(struct maker *maker, struct change *change) {
    change->revision = 1;
    TRY(change_answer_add_change(&maker->json, change));
    return ++maker->count == ANSWER_CHANGES_MAX ? flush(maker) : OK;
}

static err_t put_accounts(struct maker *maker, unsigned long count) {
    static const char *const clusters[] = {"daint", "santis"};
    for (unsigned long i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "u%lu", i);
        struct change change = {.kind = CHANGE_ACCOUNT, .key = name};
        change.account.enabled = true;
        change.account.clusters = (struct change_list){clusters, 2};
        TRY(put(maker, &change));
    }
    return OK;
}

static err_t put_revocations(struct maker *maker, unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        char serial[32];
        (void)snprintf(serial, sizeof serial, "%lu", 1000000000 + 3 * i);
        struct change change = {.kind = CHANGE_REVOCATION, .key = serial};
        change.revocation.account = "u0";
        change.revocation.reason = "";
        change.revocation.expires_at = maker->now + 86400;
        TRY(put(maker, &change));
    }
    return OK;
}

static err_t put_keys(struct maker *maker, const struct sizes *sizes) {
    for (unsigned long i = 0; i < sizes->keys; i++) {
        char id[32], account[32];
        (void)snprintf(id, sizeof id, "%lu", i + 1);
        (void)snprintf(account, sizeof account, "u%lu", i % sizes->accounts);
        struct change change = {.kind = CHANGE_KEY, .key = id};
        change.key_of.account = account;
        change.key_of.public_key = KEY_LINE;
        change.key_of.use = KEY_USE_PERSON;
        TRY(put(maker, &change));
    }
    return OK;
}

static err_t put_host(struct maker *maker, const char *name, enum host_role role) {
    struct change host = {.kind = CHANGE_HOST, .key = name};
    host.host.cluster = "daint";
    host.host.role = role;
    host.host.address = role == HOST_LOGIN ? "192.0.2.1" : "";
    host.host.port = 22;
    return put(maker, &host);
}

static err_t put_cluster(struct maker *maker, const struct sizes *sizes) {
    struct change cluster = {.kind = CHANGE_CLUSTER, .key = "daint"};
    cluster.cluster.address = "192.0.2.1";
    cluster.cluster.port = 22;
    cluster.cluster.node_access = sizes->jobs > 0 ? NODE_ACCESS_JOB : NODE_ACCESS_OPEN;
    cluster.cluster.credentials = CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS;
    TRY(put(maker, &cluster));
    if (sizes->jobs == 0) {
        return put_host(maker, sizes->host, HOST_LOGIN);
    }
    for (unsigned long i = 0; i < sizes->nodes; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "n%lu", i);
        TRY(put_host(maker, name, HOST_COMPUTE));
    }
    return OK;
}

static err_t put_jobs(struct maker *maker, const struct sizes *sizes) {
    for (unsigned long i = 0; i < sizes->jobs; i++) {
        char name[32], account[32], node[32];
        const char *nodes = node;
        (void)snprintf(name, sizeof name, "%lu@daint", i);
        (void)snprintf(account, sizeof account, "u%lu", i % sizes->accounts);
        (void)snprintf(node, sizeof node, "n%lu", i % sizes->nodes);
        struct change change = {.kind = CHANGE_JOB, .key = name};
        change.job.account = change.job.user = account;
        change.job.cluster = "daint";
        change.job.type = JOB_SHARED;
        change.job.nodes = (struct change_list){&nodes, 1};
        change.job.started_at = maker->now - 60;
        change.job.address = "";
        TRY(put(maker, &change));
    }
    return OK;
}

static err_t make(const char *path, const struct sizes *sizes) {
    struct maker maker CLEANUP(maker_done) = {.json = BUF(LIMIT_HTTP_ANSWER_BYTES),
                                              .now = clock_now_s()};
    struct replica_self self = {.max_age_s = 86400};
    (void)snprintf(self.name, sizeof self.name, "%s", sizes->jobs > 0 ? "n0" : sizes->host);
    TRY(replica_open_write(path, (gid_t)-1, &maker.replica));
    TRY(change_answer_begin(&maker.json, 1, true));
    TRY(put_accounts(&maker, sizes->accounts));
    TRY(put_revocations(&maker, sizes->revocations));
    TRY(put_keys(&maker, sizes));
    TRY(put_cluster(&maker, sizes));
    TRY(put_jobs(&maker, sizes));
    TRY(flush(&maker));
    return replica_self_put(maker.replica, &self);
}

static unsigned long number(int argc, char **argv, int index) {
    return argc > index ? strtoul(argv[index], NULL, 10) : 0;
}

int main(int argc, char **argv) {
    const struct sizes sizes = {.accounts = number(argc, argv, 2),
                                .revocations = number(argc, argv, 3),
                                .host = argc > 4 ? argv[4] : "daint-ln1",
                                .keys = number(argc, argv, 5),
                                .jobs = number(argc, argv, 6),
                                .nodes = number(argc, argv, 7)};
    if (argc < 4 || (sizes.keys > 0 && sizes.accounts == 0) ||
        (sizes.jobs > 0 && (sizes.nodes == 0 || sizes.accounts == 0))) {
        (void)fputs("usage: replica_make FILE ACCOUNTS REVOCATIONS [HOST [KEYS [JOBS NODES]]]\n",
                    stderr);
        return 2;
    }
    err_t err = make(argv[1], &sizes);
    if (failed(err)) {
        (void)fprintf(stderr, "replica_make: %s\n", err_text(err));
        return 1;
    }
    return 0;
}
