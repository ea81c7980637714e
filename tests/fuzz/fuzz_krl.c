/* A KRL that parses can be written; that parses to the same, and takes no more room than serials
 * listed one by one. Merging it into an empty one loses nothing; neither does pruning nothing. */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/krl.h"

static bool keep_all(void *context, uint64_t serial) {
    (void)context;
    INVARIANT(serial != 0);
    return true;
}

static bool keep_none(void *context, uint64_t serial) {
    (void)context;
    (void)serial;
    return false;
}

static void check_writes_as(const struct krl *krl, span_t expected) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    must(krl_write(krl, &file));
    INVARIANT(span_equal(buf_span(&file), expected));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct krl *krl CLEANUP(krl_freep) = NULL;
    struct krl *back CLEANUP(krl_freep) = NULL;
    struct krl *merged CLEANUP(krl_freep) = NULL;
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KRL_BYTES);
    if (failed(krl_parse(span_of(data, size), &krl))) {
        INVARIANT(krl == NULL);
        return 0;
    }
    must(krl_write(krl, &file));
    must(krl_parse(buf_span(&file), &back));
    check_writes_as(back, buf_span(&file));
    struct krl_counts counts = krl_count(krl);
    struct krl_counts again = krl_count(back);
    INVARIANT(counts.serials == again.serials && counts.key_ids == again.key_ids);
    INVARIANT(counts.keys == again.keys && counts.hashes == again.hashes);
    INVARIANT(!krl_has_serial(krl, NULL, 0));

    must(krl_new(&merged));
    must(krl_merge(merged, krl));
    must(krl_merge(merged, back));
    again = krl_count(merged);
    INVARIANT(counts.serials == again.serials && counts.key_ids == again.key_ids);
    INVARIANT(counts.keys == again.keys && counts.hashes == again.hashes);
    if (counts.serials < 64 * 1024) {
        must(krl_prune(krl, NULL, keep_all, NULL));
        check_writes_as(krl, buf_span(&file));
        must(krl_prune(krl, NULL, keep_none, NULL));
        INVARIANT(krl_count(krl).serials == 0);
    }
    return 0;
}
