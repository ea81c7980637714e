/*
 * What signing asks about an account's certificates, remembered in memory.
 *
 * An account is either not remembered, or all that matters of it since `since` and after `now` is.
 * Whoever cannot keep what is remembered true forgets it: it is read again when it is asked for.
 */
#ifndef POSTERN_STORE_ISSUED_FACTS_H
#define POSTERN_STORE_ISSUED_FACTS_H

#include "model/entity.h"

enum {
    ISSUED_FACTS_SLOTS = 65536, /* a power of two; accounts that share one take turns */
    ISSUED_FACTS_ITEMS_MAX = 1 << 20,
};

struct issued_facts;
struct account_facts;

err_t issued_facts_new(struct issued_facts **out);
void issued_facts_free(struct issued_facts *facts);

/* The account's, when they reach back to `since` for counted certificates and to `now` for valid
 * ones; else NULL. */
struct account_facts *issued_facts_find(struct issued_facts *facts, entity_id account_id,
                                        int64_t since, int64_t now);
/* Empty ones to note every certificate of the account in. */
err_t issued_facts_start(struct issued_facts *facts, entity_id account_id, int64_t since,
                         int64_t now, struct account_facts **out);
/* Notes a certificate if its account is remembered. When there is no memory for it the account is
 * forgotten. */
err_t issued_facts_note(struct issued_facts *facts, const struct issued *issued);
void issued_facts_forget(struct issued_facts *facts, entity_id account_id);
void issued_facts_forget_all(struct issued_facts *facts);

uint32_t account_facts_count(struct account_facts *account, int64_t since);
bool account_facts_key_is_valid(struct account_facts *account, const char *fingerprint,
                                int64_t now);
/* Of those that count, issued at or after `since`; ERR_NOT_FOUND. */
err_t account_facts_oldest(const struct account_facts *account, int64_t since, int64_t *issued_at);

#endif
