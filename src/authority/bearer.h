/*
 * Who stands behind a bearer token. Store thread only, so that what is cached is never older than
 * the last write: every writer of accounts, memberships, sessions and API keys forgets the cache,
 * and so does a batch that is rolled back.
 */
#ifndef POSTERN_AUTHORITY_BEARER_H
#define POSTERN_AUTHORITY_BEARER_H

#include "authority/call.h"

struct bearer_cache;

err_t bearer_cache_new(struct bearer_cache **out);
void bearer_cache_free(struct bearer_cache *cache);
void bearer_cache_forget(struct bearer_cache *cache);

/* ERR_NOT_FOUND for a token that is unknown, expired or not of this use. Fills all of *out. */
err_t bearer_find_account(struct authority *authority, const char *hash, enum session_use use,
                          int64_t now, struct caller *out);
err_t bearer_find_host(struct authority *authority, const char *hash, struct caller *out);

/* When a person showed a second factor for this session; 0: never, or nobody knows. Pure. */
int64_t bearer_signed_in_at(const struct session *session);

/* How many projects it belongs to; for a service account its project counts. */
err_t bearer_count_projects(struct store *store, const struct account *account, size_t *out);

#endif
