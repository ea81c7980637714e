/*
 * Key revocation lists (OpenSSH PROTOCOL.krl, format version 1.7 in its unsigned form).
 *
 * A struct krl holds, per CA key (or for all CAs), revoked serials and key ids, and revoked keys by
 * blob, SHA-1 or SHA-256. It never writes signature sections: OpenSSH >= 9.4 refuses files that
 * carry them. Serial 0 cannot be listed.
 */
#ifndef POSTERN_SSH_KRL_H
#define POSTERN_SSH_KRL_H

#include "base/err.h"
#include "base/span.h"
#include "ssh/cert.h"
#include "ssh/key.h"

struct krl;

err_t krl_new(struct krl **out);
void krl_free(struct krl *krl);
void krl_freep(struct krl **krl);

void krl_set_header(struct krl *krl, uint64_t version, uint64_t generated_s);
err_t krl_set_comment(struct krl *krl, const char *comment);
uint64_t krl_version(const struct krl *krl);
uint64_t krl_generated(const struct krl *krl);

/* ca_key NULL: for every CA. Ranges are inclusive; overlapping ones are merged. ERR_RANGE for
 * serial 0 or first > last. */
err_t krl_revoke_serials(struct krl *krl, const struct key *ca_key, uint64_t first, uint64_t last);
err_t krl_revoke_key_id(struct krl *krl, const struct key *ca_key, const char *key_id);
err_t krl_revoke_key(struct krl *krl, const struct key *key);
err_t krl_revoke_key_sha256(struct krl *krl, span_t hash);

/* Appends the file's bytes: sections sorted, serials in whichever of list, range and bitmap is
 * shortest. No bitmap is longer than LIMIT_KRL_BITMAP_BITS, the most that sshd reads. */
err_t krl_write(const struct krl *krl, struct buf *out);
/*
 * Bounded by LIMIT_KRL_BYTES, LIMIT_KRL_ENTRIES_COUNT (ranges of serials, key ids, keys and hashes
 * together) and LIMIT_KRL_CAS_COUNT. A critical extension is ERR_OPTION_UNKNOWN; a signature
 * section, an unknown section or format version ERR_UNSUPPORTED; a CA key that OpenSSH would not
 * read is key_parse()'s error or ERR_KEY_TYPE.
 */
err_t krl_parse(span_t file, struct krl **out);

/* Listed for that CA or for every CA. */
bool krl_has_serial(const struct krl *krl, const struct key *ca_key, uint64_t serial);
bool krl_has_key_id(const struct krl *krl, const struct key *ca_key, const char *key_id);
/* By its blob or either hash. */
bool krl_has_key(const struct krl *krl, const struct key *key);
/* Any of the above, for the certificate, its key and its CA key. */
bool krl_has_cert(const struct krl *krl, const struct cert *cert);

/* Adds everything of `from`, except its header. After a failure some of it may have been added. */
err_t krl_merge(struct krl *krl, const struct krl *from);
/* Drops the serials of ca_key (NULL: of every section) for which keep() is false; ranges are walked
 * entry by entry, save that one longer than LIMIT_KRL_PRUNE_SERIALS_COUNT is kept whole. A section
 * whose pruning fails is as it was. */
err_t krl_prune(struct krl *krl, const struct key *ca_key,
                bool (*keep)(void *context, uint64_t serial), void *context);

/* A range counts as its serials; past SIZE_MAX the number stays there. */
struct krl_counts {
    size_t serials, key_ids, keys, hashes;
};
struct krl_counts krl_count(const struct krl *krl);

#endif
