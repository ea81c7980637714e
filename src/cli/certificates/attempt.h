/*
 * The last renewal of a certificate that failed, in $XDG_STATE_HOME/posterngate/SITE/refresh.json:
 * fifty programs that want to renew while the authority is away shall ask it once, and not wait for
 * it fifty times.
 */
#ifndef POSTERN_CLI_ATTEMPT_H
#define POSTERN_CLI_ATTEMPT_H

#include "cli/site.h"

struct attempt {
    int64_t at_ms; /* when it had failed; 0: none did */
    struct trouble trouble;
};

/* cert_path: of the certificate. One of another certificate is none, nor is what cannot be read. */
void attempt_load(const char *site, const char *cert_path, struct attempt *out);
err_t attempt_save(const char *site, const char *cert_path, const struct attempt *attempt);
void attempt_forget(const char *site);

/*
 * Whether its outcome is also that of a program that started at started_ms: it failed since then,
 * or, where a valid certificate leaves time, within LIMIT_REFRESH_AGAIN_S.
 */
bool attempt_answers(const struct attempt *attempt, int64_t started_ms, bool valid, int64_t now_ms);

#endif
