/* The inside of a struct krl, shared by krl.c (what is revoked) and krl_format.c (the file). */
#ifndef POSTERN_SSH_KRL_IMPL_H
#define POSTERN_SSH_KRL_IMPL_H

#include "ssh/krl.h"
#include "ssh/serial_set.h"

enum { KRL_SHA1_BYTES = 20, KRL_SHA256_BYTES = 32 };

/* A sorted set of byte strings (a search.h tree whose items are spans). */
struct blob_set {
    void *root;
    size_t count;
};

struct krl_authority {
    uint8_t *ca_blob;
    size_t ca_blob_len; /* 0: for every CA */
    struct serial_set serials;
    struct blob_set key_ids;
};

struct krl {
    uint64_t version;
    uint64_t generated_s;
    char *comment;
    struct krl_authority **authorities; /* sorted by CA blob */
    size_t authority_count;
    struct blob_set keys;
    struct blob_set sha1s;
    struct blob_set sha256s;
    size_t blob_count;  /* in all blob sets */
    size_t range_count; /* stored in all serial sets */
};

err_t krl_add_blob(struct krl *krl, struct blob_set *set, span_t blob);
/* Calls each() in byte order; stops calling at the first failure and gives it. */
err_t krl_each_blob(const struct blob_set *set, err_t (*each)(void *context, span_t blob),
                    void *context);

/* NULL when there is none for that CA. An empty span is "for every CA". */
struct krl_authority *krl_find_authority(const struct krl *krl, span_t ca_blob);
/* Finds or makes; ERR_TOO_LONG beyond LIMIT_KRL_CAS_COUNT. */
err_t krl_authority(struct krl *krl, span_t ca_blob, struct krl_authority **out);

/* Bulk: appends in any order; krl_settle() must follow, on failure too. */
err_t krl_append_serials(struct krl *krl, struct krl_authority *authority, uint64_t first,
                         uint64_t last);
void krl_settle(struct krl *krl);

#endif
