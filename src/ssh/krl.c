#include "ssh/krl.h"

#include <search.h>

#include <openssl/evp.h>

#include "base/limits.h"
#include "ssh/krl_impl.h"

static int compare_blobs(const void *a, const void *b) {
    return span_compare(*(const span_t *)a, *(const span_t *)b);
}

static bool has_blob(const struct blob_set *set, span_t blob) {
    return tfind(&blob, &set->root, compare_blobs) != NULL;
}

static void blob_set_done(struct blob_set *set) {
    tdestroy(set->root, free);
    *set = (struct blob_set){0};
}

/* A walk of <search.h> cannot be stopped; after a failure the rest passes by. */
struct blob_walk {
    err_t (*each)(void *context, span_t blob);
    void *context;
    err_t err;
};

static void visit(const void *node, VISIT order, void *context) {
    struct blob_walk *walk = context;
    if ((order == postorder || order == leaf) && !failed(walk->err)) {
        walk->err = walk->each(walk->context, **(const span_t *const *)node);
    }
}

err_t krl_each_blob(const struct blob_set *set, err_t (*each)(void *context, span_t blob),
                    void *context) {
    struct blob_walk walk = {each, context, OK};
    twalk_r(set->root, visit, &walk);
    return walk.err;
}

static bool is_full(const struct krl *krl) {
    return krl->blob_count + krl->range_count >= LIMIT_KRL_ENTRIES_COUNT;
}

err_t krl_add_blob(struct krl *krl, struct blob_set *set, span_t blob) {
    if (has_blob(set, blob)) {
        return OK;
    }
    if (is_full(krl)) {
        return FAIL(ERR_TOO_LONG);
    }
    span_t *item CLEANUP(freep) = malloc(sizeof(*item) + blob.len);
    if (item == NULL) {
        return FAIL(ERR_MEMORY);
    }
    uint8_t *bytes = (uint8_t *)(item + 1);
    if (blob.len > 0) {
        memcpy(bytes, blob.data, blob.len);
    }
    *item = span_of(bytes, blob.len);
    if (tsearch(item, &set->root, compare_blobs) == NULL) {
        return FAIL(ERR_MEMORY);
    }
    item = NULL; /* the tree's */
    set->count++;
    krl->blob_count++;
    return OK;
}

err_t krl_new(struct krl **out) {
    struct krl *krl = calloc(1, sizeof(*krl));
    if (krl == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = krl;
    return OK;
}

static void authority_free(struct krl_authority *authority) {
    serial_set_done(&authority->serials);
    blob_set_done(&authority->key_ids);
    free(authority->ca_blob);
    free(authority);
}

void krl_free(struct krl *krl) {
    if (krl == NULL) {
        return;
    }
    for (size_t i = 0; i < krl->authority_count; i++) {
        authority_free(krl->authorities[i]);
    }
    free(krl->authorities);
    free(krl->comment);
    blob_set_done(&krl->keys);
    blob_set_done(&krl->sha1s);
    blob_set_done(&krl->sha256s);
    free(krl);
}

void krl_freep(struct krl **krl) {
    krl_free(*krl);
    *krl = NULL;
}

void krl_set_header(struct krl *krl, uint64_t version, uint64_t generated_s) {
    krl->version = version;
    krl->generated_s = generated_s;
}

err_t krl_set_comment(struct krl *krl, const char *comment) {
    if (strlen(comment) > LIMIT_KRL_COMMENT_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    char *copy = strdup(comment);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    free(krl->comment);
    krl->comment = copy;
    return OK;
}

uint64_t krl_version(const struct krl *krl) { return krl->version; }
uint64_t krl_generated(const struct krl *krl) { return krl->generated_s; }

/* The index of the first authority that does not sort before the blob. */
static size_t authority_index(const struct krl *krl, span_t ca_blob, bool *found) {
    size_t low = 0;
    size_t high = krl->authority_count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct krl_authority *authority = krl->authorities[middle];
        int order = span_compare(span_of(authority->ca_blob, authority->ca_blob_len), ca_blob);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct krl_authority *krl_find_authority(const struct krl *krl, span_t ca_blob) {
    bool found;
    size_t at = authority_index(krl, ca_blob, &found);
    return found ? krl->authorities[at] : NULL;
}

static err_t authority_new(span_t ca_blob, struct krl_authority **out) {
    struct krl_authority *authority = calloc(1, sizeof(*authority));
    if (authority == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (ca_blob.len > 0) {
        authority->ca_blob = malloc(ca_blob.len);
        if (authority->ca_blob == NULL) {
            free(authority);
            return FAIL(ERR_MEMORY);
        }
        memcpy(authority->ca_blob, ca_blob.data, ca_blob.len);
        authority->ca_blob_len = ca_blob.len;
    }
    *out = authority;
    return OK;
}

err_t krl_authority(struct krl *krl, span_t ca_blob, struct krl_authority **out) {
    bool found;
    size_t at = authority_index(krl, ca_blob, &found);
    if (found) {
        *out = krl->authorities[at];
        return OK;
    }
    if (krl->authority_count >= LIMIT_KRL_CAS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    struct krl_authority **grown =
        reallocarray(krl->authorities, krl->authority_count + 1, sizeof(struct krl_authority *));
    if (grown == NULL) {
        return FAIL(ERR_MEMORY);
    }
    krl->authorities = grown;
    struct krl_authority *authority;
    TRY(authority_new(ca_blob, &authority));
    memmove(&grown[at + 1], &grown[at],
            (krl->authority_count - at) * sizeof(struct krl_authority *));
    grown[at] = authority;
    krl->authority_count++;
    *out = authority;
    return OK;
}

static span_t ca_span(const struct key *ca_key) {
    return ca_key == NULL ? span_of(NULL, 0) : key_blob(ca_key);
}

err_t krl_revoke_serials(struct krl *krl, const struct key *ca_key, uint64_t first, uint64_t last) {
    if (first == 0 || first > last) {
        return FAIL(ERR_RANGE);
    }
    struct krl_authority *authority;
    TRY(krl_authority(krl, ca_span(ca_key), &authority));
    struct serial_set *serials = &authority->serials;
    if (is_full(krl) && !serial_set_covers(serials, first, last)) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t before = serial_set_stored(serials);
    err_t err = serial_set_add(serials, first, last);
    krl->range_count = krl->range_count - before + serial_set_stored(serials);
    return err;
}

err_t krl_append_serials(struct krl *krl, struct krl_authority *authority, uint64_t first,
                         uint64_t last) {
    /* PROTOCOL.krl has no words for it, but OpenSSH refuses a file that lists serial 0. */
    if (first == 0 || first > last) {
        return FAIL(ERR_RANGE);
    }
    if (is_full(krl)) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t before = serial_set_stored(&authority->serials);
    TRY(serial_set_append(&authority->serials, first, last));
    krl->range_count += serial_set_stored(&authority->serials) - before;
    return OK;
}

void krl_settle(struct krl *krl) {
    krl->range_count = 0;
    for (size_t i = 0; i < krl->authority_count; i++) {
        serial_set_settle(&krl->authorities[i]->serials);
        krl->range_count += serial_set_stored(&krl->authorities[i]->serials);
    }
}

err_t krl_revoke_key_id(struct krl *krl, const struct key *ca_key, const char *key_id) {
    if (strlen(key_id) > LIMIT_KEY_ID_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    struct krl_authority *authority;
    TRY(krl_authority(krl, ca_span(ca_key), &authority));
    return krl_add_blob(krl, &authority->key_ids, span_str(key_id));
}

err_t krl_revoke_key(struct krl *krl, const struct key *key) {
    return krl_add_blob(krl, &krl->keys, key_blob(key));
}

err_t krl_revoke_key_sha256(struct krl *krl, span_t hash) {
    return hash.len == KRL_SHA256_BYTES ? krl_add_blob(krl, &krl->sha256s, hash)
                                        : FAIL(ERR_MALFORMED);
}

/* What is listed for the CA, and what is listed for every CA. */
struct authorities {
    const struct krl_authority *of[2];
};

static struct authorities authorities_for(const struct krl *krl, const struct key *ca_key) {
    return (struct authorities){{
        krl_find_authority(krl, span_of(NULL, 0)),
        ca_key == NULL ? NULL : krl_find_authority(krl, key_blob(ca_key)),
    }};
}

bool krl_has_serial(const struct krl *krl, const struct key *ca_key, uint64_t serial) {
    struct authorities listed = authorities_for(krl, ca_key);
    for (size_t i = 0; i < COUNT_OF(listed.of); i++) {
        if (listed.of[i] != NULL && serial_set_has(&listed.of[i]->serials, serial)) {
            return true;
        }
    }
    return false;
}

bool krl_has_key_id(const struct krl *krl, const struct key *ca_key, const char *key_id) {
    struct authorities listed = authorities_for(krl, ca_key);
    for (size_t i = 0; i < COUNT_OF(listed.of); i++) {
        if (listed.of[i] != NULL && has_blob(&listed.of[i]->key_ids, span_str(key_id))) {
            return true;
        }
    }
    return false;
}

/* Fails closed: a hash that cannot be computed counts as listed. */
static bool has_hash(const struct blob_set *set, const EVP_MD *algorithm, span_t blob) {
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len;
    if (set->count == 0) {
        return false;
    }
    return EVP_Digest(blob.data, blob.len, hash, &len, algorithm, NULL) != 1 ||
           has_blob(set, span_of(hash, len));
}

bool krl_has_key(const struct krl *krl, const struct key *key) {
    span_t blob = key_blob(key);
    return has_blob(&krl->keys, blob) || has_hash(&krl->sha256s, EVP_sha256(), blob) ||
           has_hash(&krl->sha1s, EVP_sha1(), blob);
}

bool krl_has_cert(const struct krl *krl, const struct cert *cert) {
    return krl_has_key(krl, cert->key) ||
           (cert->ca_key != NULL && krl_has_key(krl, cert->ca_key)) ||
           krl_has_serial(krl, cert->ca_key, cert->serial) ||
           (cert->key_id != NULL && krl_has_key_id(krl, cert->ca_key, cert->key_id));
}

struct blob_target {
    struct krl *krl;
    struct blob_set *set;
};

static err_t add_blob_to(void *context, span_t blob) {
    struct blob_target *target = context;
    return krl_add_blob(target->krl, target->set, blob);
}

static err_t merge_blobs(struct krl *krl, struct blob_set *set, const struct blob_set *from) {
    return krl_each_blob(from, add_blob_to, &(struct blob_target){krl, set});
}

static err_t merge_authority(struct krl *krl, const struct krl_authority *from) {
    struct krl_authority *to;
    TRY(krl_authority(krl, span_of(from->ca_blob, from->ca_blob_len), &to));
    TRY(merge_blobs(krl, &to->key_ids, &from->key_ids));
    struct serial_walk walk = {.set = &from->serials};
    struct serial_range range;
    while (serial_walk_next(&walk, &range)) {
        /* May miss some in a set that is not settled: it saves room, no more. */
        if (!serial_set_covers(&to->serials, range.first, range.last)) {
            TRY(krl_append_serials(krl, to, range.first, range.last));
        }
    }
    return OK;
}

static err_t merge_unsettled(struct krl *krl, const struct krl *from) {
    for (size_t i = 0; i < from->authority_count; i++) {
        TRY(merge_authority(krl, from->authorities[i]));
    }
    TRY(merge_blobs(krl, &krl->keys, &from->keys));
    TRY(merge_blobs(krl, &krl->sha1s, &from->sha1s));
    return merge_blobs(krl, &krl->sha256s, &from->sha256s);
}

err_t krl_merge(struct krl *krl, const struct krl *from) {
    if (krl == from) {
        return OK;
    }
    err_t err = merge_unsettled(krl, from);
    krl_settle(krl);
    return err;
}

typedef bool keep_serial(void *context, uint64_t serial);

static err_t prune_range(struct serial_range range, keep_serial *keep, void *context,
                         struct serial_set *kept) {
    if (range.last - range.first >= LIMIT_KRL_PRUNE_SERIALS_COUNT) {
        return serial_set_append(kept, range.first, range.last);
    }
    for (uint64_t i = 0; i <= range.last - range.first; i++) {
        if (keep(context, range.first + i)) {
            TRY(serial_set_append(kept, range.first + i, range.first + i));
        }
    }
    return OK;
}

static err_t prune_serials(struct krl *krl, struct serial_set *serials, keep_serial *keep,
                           void *context) {
    struct serial_set kept CLEANUP(serial_set_done) = {0};
    struct serial_walk walk = {.set = serials};
    struct serial_range range;
    size_t others = krl->range_count - serial_set_stored(serials);
    while (serial_walk_next(&walk, &range)) {
        TRY(prune_range(range, keep, context, &kept));
        if (krl->blob_count + others + serial_set_stored(&kept) > LIMIT_KRL_ENTRIES_COUNT) {
            return FAIL(ERR_TOO_LONG);
        }
    }
    serial_set_done(serials);
    *serials = kept;
    kept = (struct serial_set){0};
    krl->range_count = others + serial_set_stored(serials);
    return OK;
}

err_t krl_prune(struct krl *krl, const struct key *ca_key, keep_serial *keep, void *context) {
    const struct krl_authority *only =
        ca_key == NULL ? NULL : krl_find_authority(krl, key_blob(ca_key));
    for (size_t i = 0; i < krl->authority_count; i++) {
        if (ca_key == NULL || krl->authorities[i] == only) {
            TRY(prune_serials(krl, &krl->authorities[i]->serials, keep, context));
        }
    }
    return OK;
}

static size_t add_saturating(size_t a, uint64_t b) { return b > SIZE_MAX - a ? SIZE_MAX : a + b; }

struct krl_counts krl_count(const struct krl *krl) {
    struct krl_counts counts = {.keys = krl->keys.count,
                                .hashes = krl->sha1s.count + krl->sha256s.count};
    for (size_t i = 0; i < krl->authority_count; i++) {
        struct serial_walk walk = {.set = &krl->authorities[i]->serials};
        struct serial_range range;
        while (serial_walk_next(&walk, &range)) {
            /* Serial 0 is never listed, so last - first + 1 does not overflow. */
            counts.serials = add_saturating(counts.serials, range.last - range.first + 1);
        }
        counts.key_ids += krl->authorities[i]->key_ids.count;
    }
    return counts;
}
