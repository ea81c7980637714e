/*
 * replica_make FILE ACCOUNTS REVOCATIONS [HOST]: fills a replica through the feed's own decoder and
 * the real apply path: one cluster "daint" with the login host HOST ("daint-ln1"), accounts u0, u1,
 * … that reach it, and revoked serials 1000000000, ….
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "feed/replica.h"

static err_t put_accounts(struct buf *json, unsigned long count) {
    static const char *const clusters[] = {"daint", "santis"};
    for (unsigned long i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "u%lu", i);
        struct change change = {.revision = 1, .kind = CHANGE_ACCOUNT, .key = name};
        change.account.enabled = true;
        change.account.clusters = (struct change_list){clusters, 2};
        TRY(change_answer_add_change(json, &change));
    }
    return OK;
}

static err_t put_revocations(struct buf *json, unsigned long count, int64_t now) {
    for (unsigned long i = 0; i < count; i++) {
        char serial[32];
        (void)snprintf(serial, sizeof serial, "%lu", 1000000000 + 3 * i);
        struct change change = {.revision = 1, .kind = CHANGE_REVOCATION, .key = serial};
        change.revocation.account = "u0";
        change.revocation.reason = "";
        change.revocation.expires_at = now + 86400;
        TRY(change_answer_add_change(json, &change));
    }
    return OK;
}

static err_t put_host(struct buf *json, const char *host) {
    struct change cluster = {.revision = 1, .kind = CHANGE_CLUSTER, .key = "daint"};
    cluster.cluster.address = "192.0.2.1";
    cluster.cluster.port = 22;
    cluster.cluster.node_access = NODE_ACCESS_OPEN;
    cluster.cluster.credentials = CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS;
    TRY(change_answer_add_change(json, &cluster));
    struct change self = {.revision = 1, .kind = CHANGE_HOST, .key = host};
    self.host.cluster = "daint";
    self.host.role = HOST_LOGIN;
    self.host.address = "192.0.2.1";
    self.host.port = 22;
    return change_answer_add_change(json, &self);
}

static err_t make(const char *path, unsigned long accounts, unsigned long revocations,
                  const char *host) {
    struct buf json CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    struct replica *replica CLEANUP(replica_closep) = NULL;
    struct replica_self self = {.max_age_s = 86400};
    replica_kinds touched = 0;
    int64_t now = clock_now_s();
    TRY(change_answer_begin(&json, 1, true));
    TRY(put_accounts(&json, accounts));
    TRY(put_revocations(&json, revocations, now));
    TRY(put_host(&json, host));
    TRY(change_answer_end(&json));
    TRY(change_answer_decode(buf_span(&json), &answer, NULL));
    (void)snprintf(self.name, sizeof self.name, "%s", host);
    TRY(replica_open_write(path, (gid_t)-1, &replica));
    TRY(replica_begin(replica));
    TRY(replica_apply(replica, answer, now, &touched));
    TRY(replica_self_put(replica, &self));
    return replica_commit(replica);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        (void)fputs("usage: replica_make FILE ACCOUNTS REVOCATIONS [HOST]\n", stderr);
        return 2;
    }
    err_t err = make(argv[1], strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10),
                     argc > 4 ? argv[4] : "daint-ln1");
    if (failed(err)) {
        (void)fprintf(stderr, "replica_make: %s\n", err_text(err));
        return 1;
    }
    return 0;
}
