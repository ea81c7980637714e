/* Small makers of rows for the tests of the store, and collectors of listings. */
#ifndef POSTERN_TESTS_UNIT_STORE_FIXTURE_H
#define POSTERN_TESTS_UNIT_STORE_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "store/store.h"

enum { NOW = 1800000000, DAY = 86400 };

#define FINGERPRINT(letter) "SHA256:" letter "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static inline struct account new_account(const char *name) {
    struct account account = {.kind = ACCOUNT_PERSON, .created_at = NOW};
    (void)snprintf(account.name, sizeof account.name, "%s", name);
    return account;
}

static inline entity_id add_account(struct store *store, const char *name) {
    struct account account = new_account(name);
    assert_ok(store_account_add(store, &account));
    return account.id;
}

static inline entity_id add_project(struct store *store, const char *name) {
    struct project project = {.created_at = NOW};
    (void)snprintf(project.name, sizeof project.name, "%s", name);
    assert_ok(store_project_add(store, &project));
    return project.id;
}

/* Whoever reaches it may log in on its nodes, with either credential. */
static inline struct cluster new_cluster(const char *name) {
    struct cluster cluster = {.port = 22,
                              .node_access = NODE_ACCESS_OPEN,
                              .credentials = CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS,
                              .created_at = NOW};
    (void)snprintf(cluster.name, sizeof cluster.name, "%s", name);
    return cluster;
}

static inline entity_id add_cluster(struct store *store, const char *name) {
    struct cluster cluster = new_cluster(name);
    assert_ok(store_cluster_add(store, &cluster));
    return cluster.id;
}

/* A certificate of one day that counts. */
static inline struct issued new_issued(uint64_t serial, entity_id account_id, int64_t at) {
    return (struct issued){.serial = serial,
                           .account_id = account_id,
                           .key_id = "alice@example.org",
                           .fingerprint = FINGERPRINT("k"),
                           .ca_fingerprint = FINGERPRINT("c"),
                           .issued_at = at,
                           .valid_after = at - 60,
                           .valid_before = at + DAY,
                           .counts = true,
                           .source = "192.0.2.1"};
}

static inline void add_issued(struct store *store, uint64_t serial, entity_id account_id,
                              int64_t at) {
    struct issued issued = new_issued(serial, account_id, at);
    assert_ok(store_issued_add(store, &issued));
}

/* What a listing gave: "a b c", and an error to give after so many rows (0: never). */
struct listing {
    char text[512];
    size_t count;
    size_t fail_at;
};

static inline err_t collect(struct listing *listing, const char *word) {
    size_t len = strlen(listing->text);
    (void)snprintf(listing->text + len, sizeof listing->text - len, "%s%s", len == 0 ? "" : " ",
                   word);
    listing->count++;
    return listing->count == listing->fail_at ? FAIL(ERR_CLOSED) : OK;
}

static inline err_t collect_number(struct listing *listing, uint64_t number) {
    char word[24];
    (void)snprintf(word, sizeof word, "%llu", (unsigned long long)number);
    return collect(listing, word);
}

static inline struct subnet_list subnets_of(const char *text) {
    struct subnet_list list;
    assert_ok(subnet_list_parse(span_str(text), &list));
    return list;
}

#endif
