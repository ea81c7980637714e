/*
 * What a signed certificate costs in the store: CPU time (user and system) of everything that
 * signing asks of it, in transactions of 64 certificates, on a file that has many already.
 *
 * store_bench DIRECTORY [CERTIFICATES [ACCOUNTS]]: one JSON object per line.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "model/policy.h"
#include "store/store.h"

enum { BATCH_COUNT = 64, PROJECTS_PER_ACCOUNT = 2, START_S = 1800000000 };

struct bench {
    struct store *store;
    size_t accounts;
    struct serial_source serials;
    uint64_t signed_count;
};

/* A benchmark has nobody to report to: what fails ends it. */
static void must(err_t err, const char *what) {
    if (failed(err)) {
        (void)fprintf(stderr, "store_bench: cannot %s: %s\n", what, err_text(err));
        exit(1);
    }
}

static double cpu_s(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void make_accounts(struct bench *bench) {
    struct project projects[PROJECTS_PER_ACCOUNT] = {{.name = "one"}, {.name = "two"}};
    must(store_begin(bench->store), "begin");
    for (size_t i = 0; i < COUNT_OF(projects); i++) {
        must(store_project_add(bench->store, &projects[i]), "add a project");
    }
    for (size_t i = 0; i < bench->accounts; i++) {
        struct account account = {.kind = ACCOUNT_PERSON, .created_at = START_S};
        (void)snprintf(account.name, sizeof account.name, "user%zu", i);
        (void)snprintf(account.display_name, sizeof account.display_name, "User Number %zu", i);
        (void)snprintf(account.email, sizeof account.email, "user%zu@example.org", i);
        must(store_account_add(bench->store, &account), "add an account");
        for (size_t j = 0; j < COUNT_OF(projects); j++) {
            struct membership membership = {projects[j].id, account.id, MEMBER, START_S};
            must(store_member_put(bench->store, &membership), "add a member");
        }
    }
    must(store_commit(bench->store), "commit");
}

static err_t count_membership(void *context, const struct membership *membership) {
    (void)membership;
    *(size_t *)context += 1;
    return OK;
}

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 31) * 0x9e3779b97f4a7c15U;
    return value ^ value >> 29;
}

/* Everything that signing asks of the store, for one certificate. */
static void sign_one(struct bench *bench, bool new_key) {
    struct store *store = bench->store;
    uint64_t n = bench->signed_count++;
    entity_id account_id = mix(n) % bench->accounts + 1;
    uint64_t key = new_key ? mix(n + 1) : account_id;
    int64_t now = START_S + (int64_t)(n / 1000);
    struct account account;
    struct issued issued = {.account_id = account_id,
                            .ca_fingerprint = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                            .issued_at = now,
                            .valid_after = now - 60,
                            .valid_before = now + 86400,
                            .source = "192.0.2.17"};
    struct audit audit = {.at = now,
                          .action = "certificate.sign",
                          .allowed = true,
                          .code = "ok",
                          .source = "192.0.2.17",
                          .request_id = "0123456789abcdef"};
    size_t projects = 0;
    uint32_t count;
    bool key_has_valid;

    issued.serial = serial_next(&bench->serials, now * 1000);
    (void)snprintf(issued.fingerprint, sizeof issued.fingerprint, "SHA256:%016lx%016lx%011lx",
                   (unsigned long)key, (unsigned long)mix(key + 1),
                   (unsigned long)(mix(key + 2) >> 20));
    must(store_mark(store), "mark");
    must(store_account_get(store, account_id, &account), "get an account");
    must(store_member_list(store, 0, account_id, count_membership, &projects), "list members");
    must(store_issued_facts(store, account_id, issued.fingerprint, now - 86400, now, &count,
                            &key_has_valid),
         "get facts");
    issued.counts = !key_has_valid;
    (void)snprintf(issued.key_id, sizeof issued.key_id, "%s@example.org", account.name);
    must(store_issued_add(store, &issued), "add a certificate");
    must(store_keep(store), "keep");
    (void)snprintf(audit.actor, sizeof audit.actor, "%s", account.name);
    (void)snprintf(audit.target, sizeof audit.target, "%lu", (unsigned long)issued.serial);
    (void)snprintf(audit.detail, sizeof audit.detail, "%s", issued.fingerprint);
    must(store_audit_append(store, &audit), "append to the audit log");
}

static void run(struct bench *bench, const char *name, size_t certificates, bool new_key) {
    double cpu = cpu_s();
    int64_t wall = clock_monotonic_ms();
    for (size_t i = 0; i < certificates; i += BATCH_COUNT) {
        must(store_begin(bench->store), "begin");
        for (size_t j = 0; j < BATCH_COUNT; j++) {
            sign_one(bench, new_key);
        }
        must(store_commit(bench->store), "commit");
    }
    cpu = cpu_s() - cpu;
    wall = clock_monotonic_ms() - wall;
    (void)printf("{\"bench\":\"store\",\"case\":\"%s\",\"accounts\":%zu,\"certificates\":%zu,"
                 "\"cpu_us_each\":%.2f,\"wall_us_each\":%.2f}\n",
                 name, bench->accounts, certificates, cpu * 1e6 / (double)certificates,
                 (double)wall * 1e3 / (double)certificates);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        (void)fprintf(stderr, "usage: store_bench DIRECTORY [CERTIFICATES [ACCOUNTS]]\n");
        return 2;
    }
    size_t certificates = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
    struct bench bench = {.accounts = argc > 3 ? strtoul(argv[3], NULL, 10) : 5000};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/store_bench.db", argv[1]);
    (void)unlink(path);
    must(store_open_sqlite(path, &bench.store), "open the store");
    make_accounts(&bench);
    run(&bench, "fill", certificates, true);
    run(&bench, "new_key", certificates, true);
    run(&bench, "same_key", certificates, false);
    store_close(bench.store);
    (void)unlink(path);
    return 0;
}
