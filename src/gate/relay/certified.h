/*
 * Keys that came in with a certificate after one was refused alone. ssh offers a key before the
 * certificate beside it, unless its configuration names CertificateFile; whoever does have the
 * certificate need not hear each time that the key alone is not enough.
 *
 * It decides on words alone, never on who gets in. LIMIT_CERTIFIED_COUNT places are all it has, and
 * a newcomer takes the one that its digest names from whoever is there. Any thread.
 */
#ifndef POSTERN_GATE_CERTIFIED_H
#define POSTERN_GATE_CERTIFIED_H

#include <stdint.h>

#include "ssh/key.h"

struct certified;

err_t certified_new(struct certified **out);
void certified_free(struct certified *table); /* takes NULL */

/* The key came in with a certificate that is good until `until`. */
void certified_note(struct certified *table, const char *user, const struct key *key,
                    int64_t until);
/* Did it, with one that is still good? */
bool certified_knows(struct certified *table, const char *user, const struct key *key, int64_t now);

#endif
