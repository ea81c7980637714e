/* Writing changes. */
#include "feed/change.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "feed/change_names.h"

const char *const change_kind_names[CHANGE_KINDS_COUNT] = {
    "", "ca", "account", "revocation", "cluster", "host", "key", "job",
};
const char *const change_ca_use_names[CHANGE_CA_USES_COUNT] = {"", "user", "host"};
const char *const change_host_role_names[CHANGE_HOST_ROLES_COUNT] = {"", "jump", "login", "compute",
                                                                     "job"};
const char *const change_node_access_names[CHANGE_NODE_ACCESSES_COUNT] = {"", "job", "open"};
const char *const change_credentials_names[CHANGE_CREDENTIALS_COUNT] = {"", "certificates", "keys",
                                                                        "both"};
const char *const change_key_use_names[CHANGE_KEY_USES_COUNT] = {"", "person", "internal"};
const char *const change_job_type_names[CHANGE_JOB_TYPES_COUNT] = {"", "shared", "whole", "deploy",
                                                                   "cluster"};

const char *const change_page_names[CHANGE_PAGES_COUNT] = {"", "begins", "continues", "ends"};

err_t change_job_key(const char *job, const char *cluster, struct buf *out) {
    return buf_add_format(out, "%s@%s", job, cluster);
}

const char *change_kind_name(enum change_kind kind) { return change_kind_names[kind]; }

static err_t put_string(struct buf *out, const char *text) {
    if (!text_is_utf8(span_str(text))) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(buf_add_byte(out, '"'));
    for (const char *at = text; *at != '\0';) {
        size_t plain = strcspn(at, "\"\\");
        TRY(buf_add(out, span_of(at, plain)));
        at += plain;
        if (*at != '\0') {
            TRY(buf_add_byte(out, '\\'));
            TRY(buf_add_byte(out, (uint8_t)*at++));
        }
    }
    return buf_add_byte(out, '"');
}

/* `lead` is what stands before the value: {"name": or ,"name": */
static err_t put_text(struct buf *out, const char *lead, const char *text) {
    TRY(buf_add_str(out, lead));
    return put_string(out, text);
}

static err_t put_list(struct buf *out, const char *lead, const struct change_list *list) {
    TRY(buf_add_str(out, lead));
    TRY(buf_add_byte(out, '['));
    for (size_t i = 0; i < list->count; i++) {
        TRY(put_text(out, i > 0 ? "," : "", list->items[i]));
    }
    return buf_add_byte(out, ']');
}

static err_t put_time(struct buf *out, const char *lead, int64_t when) {
    char text[TIME_CHARS];
    time_print_utc(when, text);
    return put_text(out, lead, text);
}

static err_t put_account(struct buf *out, const struct change *change) {
    TRY(buf_add_format(out, "{\"enabled\":%s", change->account.enabled ? "true" : "false"));
    TRY(put_list(out, ",\"clusters\":", &change->account.clusters));
    if (change->account.window_until != 0) {
        TRY(put_time(out, ",\"windowUntil\":", change->account.window_until));
    }
    if (change->account.subnets.count == 0) {
        return OK;
    }
    TRY(put_list(out, ",\"ipSubnets\":", &change->account.subnets));
    return buf_add_str(out, ",\"critical\":[\"ipSubnets\"]");
}

/* What does not restrict is what a writer meant that knew nothing of it. */
static err_t put_cluster(struct buf *out, const struct change *change) {
    enum node_access node_access = change->cluster.node_access;
    unsigned credentials = change->cluster.credentials;
    bool by_job = node_access != NODE_ACCESS_OPEN;
    bool not_both = credentials != (CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS);
    if (node_access != NODE_ACCESS_JOB && node_access != NODE_ACCESS_OPEN) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (credentials == 0 || credentials >= CHANGE_CREDENTIALS_COUNT) {
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(put_text(out, "{\"address\":", change->cluster.address));
    TRY(buf_add_format(out, ",\"port\":%u", (unsigned)change->cluster.port));
    if (by_job) {
        TRY(put_text(out, ",\"nodeAccess\":", change_node_access_names[node_access]));
    }
    if (not_both) {
        TRY(put_text(out, ",\"credentials\":", change_credentials_names[credentials]));
    }
    return by_job || not_both
               ? buf_add_format(out, ",\"critical\":[%s%s%s]", by_job ? "\"nodeAccess\"" : "",
                                by_job && not_both ? "," : "", not_both ? "\"credentials\"" : "")
               : OK;
}

static err_t put_host(struct buf *out, const struct change *change) {
    TRY(put_text(out, "{\"cluster\":", change->host.cluster));
    TRY(put_text(out, ",\"role\":", change_host_role_names[change->host.role]));
    TRY(put_text(out, ",\"address\":", change->host.address));
    return buf_add_format(out, ",\"port\":%u", (unsigned)change->host.port);
}

static err_t put_key(struct buf *out, const struct change *change) {
    TRY(put_text(out, "{\"account\":", change->key_of.account));
    TRY(put_text(out, ",\"publicKey\":", change->key_of.public_key));
    if (change->key_of.expires_at != 0) {
        TRY(put_time(out, ",\"expireTime\":", change->key_of.expires_at));
    }
    if (change->key_of.subnets.count > 0) {
        TRY(put_list(out, ",\"ipSubnets\":", &change->key_of.subnets));
    }
    switch (change->key_of.use) {
    case KEY_USE_PERSON:
        return OK;
    case KEY_USE_INTERNAL:
        return buf_add_str(out, ",\"use\":\"internal\",\"critical\":[\"use\"]");
    }
    return FAIL(ERR_UNSUPPORTED);
}

static err_t put_job(struct buf *out, const struct change *change) {
    if (change->job.type < JOB_SHARED || change->job.type > JOB_CLUSTER) {
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(put_text(out, "{\"account\":", change->job.account));
    TRY(put_text(out, ",\"cluster\":", change->job.cluster));
    TRY(put_text(out, ",\"user\":", change->job.user));
    TRY(put_text(out, ",\"type\":", change_job_type_names[change->job.type]));
    TRY(put_list(out, ",\"nodes\":", &change->job.nodes));
    TRY(put_time(out, ",\"startTime\":", change->job.started_at));
    if (change->job.ends_at != 0) {
        TRY(put_time(out, ",\"endTime\":", change->job.ends_at));
    }
    if (change->job.address[0] != '\0') {
        TRY(put_text(out, ",\"address\":", change->job.address));
    }
    return change->job.port == 0 ? OK
                                 : buf_add_format(out, ",\"port\":%u", (unsigned)change->job.port);
}

static err_t put_state(struct buf *out, const struct change *change) {
    switch (change->kind) {
    case CHANGE_CA:
        TRY(put_text(out, "{\"type\":", change_ca_use_names[change->ca.use]));
        return put_text(out, ",\"publicKey\":", change->ca.public_key);
    case CHANGE_ACCOUNT:
        return put_account(out, change);
    case CHANGE_REVOCATION:
        TRY(put_text(out, "{\"account\":", change->revocation.account));
        TRY(put_time(out, ",\"expireTime\":", change->revocation.expires_at));
        return put_text(out, ",\"reason\":", change->revocation.reason);
    case CHANGE_CLUSTER:
        return put_cluster(out, change);
    case CHANGE_HOST:
        return put_host(out, change);
    case CHANGE_KEY:
        return put_key(out, change);
    case CHANGE_JOB:
        return put_job(out, change);
    case CHANGE_UNKNOWN:
        break;
    }
    return FAIL(ERR_UNSUPPORTED);
}

/* Undoes a half-written addition, so that a failure leaves *out as it was. */
static err_t settle(struct buf *out, size_t before, err_t err) {
    if (failed(err)) {
        out->len = before;
    }
    return err;
}

static err_t encode_state(const struct change *change, struct buf *out) {
    TRY(put_state(out, change));
    return buf_add_byte(out, '}');
}

err_t change_encode_state(const struct change *change, struct buf *out) {
    size_t before = out->len;
    return change->gone ? OK : settle(out, before, encode_state(change, out));
}

err_t change_answer_begin(struct buf *out, uint64_t revision, bool snapshot) {
    return buf_add_format(out, "{\"revision\":\"%llu\",\"snapshot\":%s,\"changes\":[",
                          (unsigned long long)revision, snapshot ? "true" : "false");
}

static err_t add_head(struct buf *out, uint64_t revision, const char *kind, const char *key) {
    if (out->len > 0 && out->data[out->len - 1] != '[') {
        TRY(buf_add_byte(out, ','));
    }
    TRY(buf_add_format(out, "{\"revision\":\"%llu\"", (unsigned long long)revision));
    TRY(put_text(out, ",\"kind\":", kind));
    TRY(put_text(out, ",\"key\":", key));
    return buf_add_str(out, ",\"state\":");
}

static err_t add(struct buf *out, uint64_t revision, const char *kind, const char *key,
                 const char *state) {
    TRY(add_head(out, revision, kind, key));
    TRY(buf_add_str(out, state[0] == '\0' ? "null" : state));
    return buf_add_byte(out, '}');
}

err_t change_answer_add(struct buf *out, uint64_t revision, const char *kind, const char *key,
                        const char *state) {
    size_t before = out->len;
    return settle(out, before, add(out, revision, kind, key, state));
}

static err_t add_change(struct buf *out, const struct change *change) {
    TRY(add_head(out, change->revision, change_kind_names[change->kind], change->key));
    TRY(change->gone ? buf_add_str(out, "null") : encode_state(change, out));
    return buf_add_byte(out, '}');
}

err_t change_answer_add_change(struct buf *out, const struct change *change) {
    size_t before = out->len;
    return settle(out, before, add_change(out, change));
}

err_t change_answer_end(struct buf *out) { return buf_add_str(out, "]}"); }

err_t change_page_begin(struct buf *out) { return buf_add_str(out, "{\"changes\":["); }

bool change_page_is_full(const struct buf *page, size_t count) {
    return count >= LIMIT_FEED_PAGE_CHANGES_COUNT || page->len >= LIMIT_FEED_PAGE_BYTES;
}

err_t change_page_end(struct buf *out, const struct change_answer *page) {
    INVARIANT(page->snapshot);
    TRY(buf_add_format(
        out, "],\"revision\":\"%llu\",\"snapshot\":", (unsigned long long)page->revision));
    enum change_page which = !page->continues ? CHANGE_PAGE_BEGINS
                             : page->more     ? CHANGE_PAGE_CONTINUES
                                              : CHANGE_PAGE_ENDS;
    TRY(page->continues || page->more ? put_string(out, change_page_names[which])
                                      : buf_add_str(out, "true"));
    if (page->more && page->next != NULL && page->next[0] != '\0') {
        TRY(put_text(out, ",\"next\":", page->next));
    }
    return buf_add_byte(out, '}');
}
