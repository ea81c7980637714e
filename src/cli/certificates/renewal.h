/* When a certificate is to be renewed. Pure: times are parameters, in seconds since 1970. */
#ifndef POSTERN_CLI_RENEWAL_H
#define POSTERN_CLI_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

enum { RENEWAL_MARGIN_S = 3600 }; /* how much shall be left, where nobody says otherwise */

struct renewal_facts {
    uint64_t valid_after;
    uint64_t valid_before; /* CERT_FOREVER: never due */
    int64_t written_at;    /* when the file was */
    int64_t margin_s;      /* wanted, >= 0 */
};

/*
 * How much is to be left: the margin wanted, but at most half of the certificate's life, since one
 * that lives for less than the margin would be due again the moment it is written, and every login
 * would ask the authority for another. With half of it a certificate of one minute is renewed each
 * half minute, and whoever is told that it is good has the other half minute to log in.
 *
 * Its life begins when it was written: the authority dates valid_after back, for clocks that
 * disagree, by minutes that are longer than the shortest certificates.
 */
int64_t renewal_margin(const struct renewal_facts *facts);

/* True when less than that is left at `now`. */
bool renewal_is_due(const struct renewal_facts *facts, int64_t now);

#endif
