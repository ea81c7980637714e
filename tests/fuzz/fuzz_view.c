/*
 * Answers of the feed, one a line. Whatever they say: an account that is not there, or not enabled,
 * gets nowhere; one that gets somewhere reaches that cluster; and no name leads to an address that
 * no name may lead to. An answer that is refused changes nothing.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "feed/view.h"

enum { NOW = 1800000000, CHANGES_MAX = 64 };

static const struct view_rules rules = {.max_age_s = 3600};

static struct view_destination destination_of(const struct view *view, const char *user,
                                              span_t host, uint16_t port) {
    const struct view_asked asked = {
        .user = user, .by = CREDENTIALS_CERTIFICATES, .host = host, .port = port, .now = NOW};
    return view_destination(view, &asked);
}

static err_t is_named(void *context, const char *cluster) {
    return strcmp(context, cluster) == 0 ? FAIL(ERR_EXISTS) : OK;
}

static err_t is_any(void *context, const char *job, const char *nodes, size_t node_count) {
    (void)context;
    (void)nodes;
    INVARIANT(job[0] != '\0' && node_count <= LIMIT_JOB_NODES_COUNT);
    return FAIL(ERR_EXISTS);
}

static bool reaches(const struct view *view, const char *user, const char *cluster) {
    void *context = (void *)(uintptr_t)cluster;
    return failed(view_cluster_list(view, user, is_named, context));
}

/* By numbers, where the view goes by prefixes. */
static bool is_bad_v4(const uint8_t *at) {
    uint32_t address =
        (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
    return address >> 24 == 0 || address >> 24 == 127 || address >> 16 == 0xa9fe ||
           address >> 28 == 0xe || address == 0xffffffff || address == 0x646464c8 ||
           address == 0xc00000c0;
}

static bool is_bad_v6(const uint8_t *at) {
    static const uint8_t zero[12] = {0};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    bool carries = memcmp(at, nat64, 12) == 0 || memcmp(at, zero, 12) == 0 ||
                   (memcmp(at, zero, 10) == 0 && at[10] == 0xff && at[11] == 0xff);
    return (carries && is_bad_v4(at + 12)) || (at[0] == 0x20 && at[1] == 2 && is_bad_v4(at + 2)) ||
           at[0] == 0xff || (at[0] == 0xfe && (at[1] & 0xc0) == 0x80);
}

/* Addresses that are never reached by a name, and whatever the input begins with. */
static void check_addresses(const struct view_destination *found, const uint8_t *data,
                            size_t size) {
    static const char *const never[] = {"127.0.0.1", "0.0.0.0", "169.254.169.254",
                                        "::1",       "fe80::1", "fd00:ec2::254"};
    struct inet_address address;
    struct inet_address literal = {0};
    if (found->named_itself) {
        must(inet_address_parse(span_str(found->address), &literal));
    }
    for (size_t i = 0; i < COUNT_OF(never); i++) {
        must(inet_address_parse(span_str(never[i]), &address));
        bool is_meant = memcmp(&address, &literal, sizeof address) == 0;
        INVARIANT(view_address_allowed(found, &address) == is_meant);
    }
    if (size >= 16 && !found->named_itself) {
        address = (struct inet_address){.family_bits = 128};
        memcpy(address.bytes, data, 16);
        INVARIANT(!view_address_allowed(found, &address) || !is_bad_v6(data));
        address = (struct inet_address){.family_bits = 32};
        memcpy(address.bytes, data, 4);
        INVARIANT(view_address_allowed(found, &address) == !is_bad_v4(data));
    }
}

/* What the answer says last about an account. */
static const struct change *last_of(const struct change_answer *answer, const char *user) {
    const struct change *last = NULL;
    for (size_t i = 0; i < answer->count; i++) {
        const struct change *change = &answer->changes[i];
        if (change->kind == CHANGE_ACCOUNT && strcmp(change->key, user) == 0) {
            last = change;
        }
    }
    return last;
}

/* Whose job it is not, it leads nowhere: by its name, or by an address that no entry has. */
static void check_job(const struct view *view, const char *user, const struct change *job,
                      bool enabled) {
    char name[LIMIT_HOST_NAME_CHARS + 16];
    (void)snprintf(name, sizeof name, "job-%s", job->key);
    struct view_destination found = destination_of(view, user, span_str(name), 22);
    INVARIANT(!found.allowed || (enabled && reaches(view, user, found.cluster)));
    INVARIANT(!found.allowed || failed(view_job_list(view, user, NOW, is_any, NULL)));
}

static void check_account(const struct view *view, const struct change_answer *answer,
                          const char *user, const uint8_t *data, size_t size) {
    const struct change *last = last_of(answer, user);
    bool enabled = last != NULL && !last->gone && last->account.enabled;
    struct replica_verdict verdict = view_account(view, &rules, user, CREDENTIALS_KEYS, NOW);
    INVARIANT(!verdict.allowed || (enabled && last->account.clusters.count > 0));
    for (size_t i = 0; i < answer->count; i++) {
        const struct change *place = &answer->changes[i];
        if (place->kind == CHANGE_JOB) {
            check_job(view, user, place, enabled);
        }
        if (place->gone || (place->kind != CHANGE_HOST && place->kind != CHANGE_CLUSTER)) {
            continue;
        }
        uint16_t port = place->kind == CHANGE_HOST ? place->host.port : place->cluster.port;
        struct view_destination found =
            destination_of(view, user, span_str(place->key), port != 0 ? port : 22);
        INVARIANT(!found.allowed || (enabled && reaches(view, user, found.cluster)));
        if (found.allowed) {
            check_addresses(&found, data, size);
        }
    }
}

static void check_applied(const struct view *view, const struct change_answer *answer,
                          const uint8_t *data, size_t size) {
    INVARIANT(view_revision(view) == answer->revision);
    INVARIANT(!view_account(view, &rules, "root", CREDENTIALS_KEYS, NOW)
                   .allowed); /* no account is called so */
    for (size_t i = 0; i < answer->count; i++) {
        const struct change *change = &answer->changes[i];
        if (change->kind == CHANGE_ACCOUNT) {
            check_account(view, answer, change->key, data, size);
        }
    }
    /* What the client wrote is looked up, whatever it is. */
    INVARIANT(!destination_of(view, "", span_of(data, size), 22).allowed);
}

static void apply_line(struct view *view, span_t line, const uint8_t *data, size_t size) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    if (failed(change_answer_decode(line, &answer, NULL)) || answer->count > CHANGES_MAX) {
        return;
    }
    struct view_counts before = view_count(view);
    uint64_t revision = view_revision(view);
    bool revoked = false;
    if (failed(view_apply(view, answer, NOW, &revoked))) {
        struct view_counts after = view_count(view);
        INVARIANT(memcmp(&before, &after, sizeof before) == 0 && view_revision(view) == revision);
        return;
    }
    struct view_counts after = view_count(view);
    if (answer->more) { /* it shows with the last page */
        INVARIANT(memcmp(&before, &after, sizeof before) == 0 && view_revision(view) == revision);
        return;
    }
    check_applied(view, answer, data, size);
    /* Nothing that could be missed was taken away unnoticed. */
    INVARIANT(revoked || answer->snapshot ||
              (after.keys >= before.keys && after.clusters >= before.clusters &&
               after.hosts >= before.hosts && after.cas >= before.cas &&
               after.revocations <= before.revocations));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view *view CLEANUP(view_freep) = NULL;
    must(view_new(&view));
    span_t rest = span_of(data, size);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.data);
        apply_line(view, span_of(rest.data, len), data, size);
        rest = end == NULL ? span_of(NULL, 0) : span_of(end + 1, rest.len - len - 1);
    }
    return 0;
}
