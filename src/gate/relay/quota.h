/*
 * Who may have how much, counted over all workers: sessions of an address and of an account, how
 * often either may begin one, and logins that failed. An IPv6 address counts as its /64, which is
 * what one customer gets.
 *
 * Any thread may call. Memory is bounded: counts of sessions by the sessions there are, failures
 * by QUOTA_FAILURES_COUNT places, of which a newcomer takes the one with the fewest failures in its
 * row, and rates by QUOTA_RATES_COUNT places, of which it takes the one that used the least; rows
 * are chosen by a secret of this process. So whoever wants to wash away the count of an address
 * needs as many failures, or connections, from many others.
 *
 * Failures of an account delay the answers to further failures and nothing else: whoever has the
 * right key is let in at once, however many others tried that name.
 */
#ifndef POSTERN_GATE_QUOTA_H
#define POSTERN_GATE_QUOTA_H

#include "base/inet.h"

enum {
    QUOTA_FAILURES_COUNT = 32 * 1024,
    QUOTA_RATES_COUNT = 32 * 1024,
    QUOTA_FAILURES_S = 600, /* how long failures are remembered, from the first of them */
    QUOTA_DELAY_MS_MAX = 8000,
};

struct quota;
/* The secret is random. */
enum { QUOTA_SECRET_BYTES = 16 };
err_t quota_new(const uint8_t secret[QUOTA_SECRET_BYTES], struct quota **out);
void quota_free(struct quota *quota);

enum quota_verdict {
    QUOTA_DENIED, /* zero: no memory */
    QUOTA_SESSIONS,
    QUOTA_RATE,
    QUOTA_FAILURES,
    QUOTA_ALLOWED,
};
struct quota_limits {
    uint32_t sessions_per_account, sessions_per_address;
    uint32_t logins_per_minute;      /* of an account; 0: no limit */
    uint32_t connections_per_minute; /* of an address; 0: no limit */
    uint32_t failures;               /* login_failures_max of gate.h */
};

/* A connection from an address: counted when ALLOWED, and then until quota_leave(). */
enum quota_verdict quota_enter(struct quota *quota, const struct quota_limits *limits,
                               const struct inet_address *from, int64_t now_ms);
void quota_leave(struct quota *quota, const struct inet_address *from);
/* A login that is about to be allowed: counted when ALLOWED, and then until quota_logout(). What is
 * refused, here or above, does not count to the rate: whoever goes on trying gets in in time. */
enum quota_verdict quota_login(struct quota *quota, const struct quota_limits *limits,
                               const char *account, int64_t now_ms);
void quota_logout(struct quota *quota, const char *account);

/* A login failed. Returns how long the answer is to wait. account may be NULL: no name was told. */
int64_t quota_failed(struct quota *quota, const struct quota_limits *limits,
                     const struct inet_address *from, const char *account, int64_t now_ms);

#endif
