/*
 * The store's transactions: all calls that wait share one, and one commit. Store thread.
 *
 * A batch that cannot be committed is rolled back as a whole: its plain reads run again by
 * themselves, and every other call of it is told that nothing was done.
 */
#ifndef POSTERN_AUTHORITY_BATCH_H
#define POSTERN_AUTHORITY_BATCH_H

#include <stdbool.h>

struct authority;

/* Whether the batch at work, which may yet be rolled back, has published something. */
bool batch_published(const struct authority *authority);

void batch_before(void *authority);
void batch_after(void *authority);

#endif
