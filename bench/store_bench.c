/*
 * What certificates and jobs cost in the store: CPU time (user and system) of everything that
 * signing asks of it, in transactions of 64 certificates, on a file that has many already; and of
 * what a scheduler's jobs ask of it, in transactions of 64, while as many run and as many are on
 * record.
 *
 * store_bench DIRECTORY [CERTIFICATES [ACCOUNTS [JOBS]]]: one JSON object per line.
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

/* ---- jobs ---- */

enum { CLUSTER_NODES_COUNT = LIMIT_JOB_NODES_COUNT, QUESTIONS_COUNT = 1000, PRUNED_COUNT = 1000 };

struct job_bench {
    struct bench *bench;
    size_t jobs;
    entity_id cluster_id;
    entity_id first_id; /* ids follow one another */
    char (*names)[16];  /* of nodes */
    const char **nodes;
};

static void put_job(const struct job_bench *self, size_t n, size_t node_count) {
    struct job job = {.cluster_id = self->cluster_id,
                      .account_id = mix(n) % self->bench->accounts + 1,
                      .type = JOB_SHARED,
                      .started_at = START_S};
    size_t first = mix(n + 1) % (CLUSTER_NODES_COUNT - node_count + 1);
    (void)snprintf(job.name, sizeof job.name, "%zu", n);
    (void)snprintf(job.user, sizeof job.user, "user%zu", n);
    must(store_job_put(self->bench->store, &job, self->nodes + first, node_count), "put a job");
}

/* One to four nodes. */
static void start_job(const struct job_bench *self, size_t n) { put_job(self, n, n % 4 + 1); }

static void end_job(const struct job_bench *self, size_t n) {
    must(store_job_end(self->bench->store, self->first_id + n, START_S + 1), "end a job");
}

static void put_wide_job(const struct job_bench *self, size_t n) {
    put_job(self, self->jobs * 3 + n, CLUSTER_NODES_COUNT);
}

static err_t count_job(void *context, const struct job *job) {
    (void)context;
    (void)job;
    return OK;
}

static void list_jobs(const struct job_bench *self, const struct job_filter *filter) {
    must(store_job_list(self->bench->store, filter, count_job, NULL), "list jobs");
}

static void list_node(const struct job_bench *self, size_t n) {
    const char *node = self->nodes[mix(n) % CLUSTER_NODES_COUNT];
    list_jobs(self, &(struct job_filter){.node = node, .max = SIZE_MAX});
}

static void list_account(const struct job_bench *self, size_t n) {
    entity_id account_id = mix(n) % self->bench->accounts + 1;
    list_jobs(self, &(struct job_filter){.account_id = account_id, .max = SIZE_MAX});
}

static void list_all(const struct job_bench *self, size_t n) {
    (void)n;
    list_jobs(self, &(struct job_filter){.max = SIZE_MAX});
}

static void prune(const struct job_bench *self, size_t n) {
    (void)n;
    must(store_job_prune(self->bench->store, START_S + 2, PRUNED_COUNT), "prune");
}

/* The step for `first` and what follows it, `count` times. */
static void run_jobs(const struct job_bench *self, const char *name,
                     void (*step)(const struct job_bench *self, size_t n), size_t first,
                     size_t count) {
    double cpu = cpu_s();
    int64_t wall = clock_monotonic_ms();
    for (size_t i = 0; i < count; i += BATCH_COUNT) {
        must(store_begin(self->bench->store), "begin");
        for (size_t j = i; j < count && j < i + BATCH_COUNT; j++) {
            step(self, first + j);
        }
        must(store_commit(self->bench->store), "commit");
    }
    cpu = cpu_s() - cpu;
    wall = clock_monotonic_ms() - wall;
    (void)printf("{\"bench\":\"store\",\"case\":\"%s\",\"jobs\":%zu,\"nodes\":%d,"
                 "\"times\":%zu,\"cpu_us_each\":%.2f,\"wall_us_each\":%.2f}\n",
                 name, self->jobs, CLUSTER_NODES_COUNT, count, cpu * 1e6 / (double)count,
                 (double)wall * 1e3 / (double)count);
}

static void make_nodes(struct job_bench *self) {
    self->names = calloc(CLUSTER_NODES_COUNT, sizeof *self->names);
    self->nodes = calloc(CLUSTER_NODES_COUNT, sizeof *self->nodes);
    must(self->names == NULL || self->nodes == NULL ? FAIL(ERR_MEMORY) : OK, "name nodes");
    for (size_t i = 0; i < CLUSTER_NODES_COUNT; i++) {
        (void)snprintf(self->names[i], sizeof *self->names, "nid%06zu", i);
        self->nodes[i] = self->names[i];
    }
}

static void bench_jobs(struct bench *bench, size_t jobs) {
    struct cluster cluster = {
        .name = "daint", .node_access = NODE_ACCESS_JOB, .credentials = CREDENTIALS_CERTIFICATES};
    struct job_bench self = {.bench = bench, .jobs = jobs, .first_id = 1};
    make_nodes(&self);
    must(store_begin(bench->store), "begin");
    must(store_cluster_add(bench->store, &cluster), "add a cluster");
    must(store_commit(bench->store), "commit");
    self.cluster_id = cluster.id;
    run_jobs(&self, "job_start", start_job, 0, jobs);
    run_jobs(&self, "job_end", end_job, 0, jobs);
    run_jobs(&self, "job_start_among_ended", start_job, jobs, jobs);
    run_jobs(&self, "job_list_node", list_node, 0, QUESTIONS_COUNT);
    run_jobs(&self, "job_list_account", list_account, 0, QUESTIONS_COUNT);
    run_jobs(&self, "job_list_all", list_all, 0, 1);
    run_jobs(&self, "job_of_all_nodes", put_wide_job, 0, 1);
    run_jobs(&self, "job_prune_1000", prune, 0, 10);
    free(self.names);
    free(self.nodes);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        (void)fprintf(stderr, "usage: store_bench DIRECTORY [CERTIFICATES [ACCOUNTS [JOBS]]]\n");
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
    bench_jobs(&bench, argc > 4 ? strtoul(argv[4], NULL, 10) : LIMIT_JOBS_COUNT);
    store_close(bench.store);
    (void)unlink(path);
    return 0;
}
