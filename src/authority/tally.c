#include "authority/tally.h"

#include <string.h>

static bool is_one_of(const char *action, const char *const *names) {
    while (*names != NULL && strcmp(*names, action) != 0) {
        names++;
    }
    return *names != NULL;
}

/* As migrations/0010_tallies.sql counts what was there before. */
enum tally_kind tally_kind_of(const struct audit *audit) {
    static const char *const gate_refusals[] = {"gate.login", "gate.channel", NULL};
    static const char *const sign_ins[] = {"session.login", "session.sign-in", "session.kerberos",
                                           "issuer.sign-in", NULL};
    static const char *const signings[] = {"certificate.sign",      "certificate.generate",
                                           "certificate.sign_once", "grant.renew",
                                           "job_certificate.sign",  NULL};
    if (strncmp(audit->action, "gate.", 5) == 0) {
        bool login = strcmp(audit->action, "gate.login") == 0;
        return audit->allowed ? (login ? TALLY_GATE_LOGIN : 0)
                              : (is_one_of(audit->action, gate_refusals) ? TALLY_GATE_REFUSAL : 0);
    }
    if (!audit->allowed) {
        return TALLY_REFUSAL;
    }
    return is_one_of(audit->action, sign_ins)   ? TALLY_SIGN_IN
           : is_one_of(audit->action, signings) ? TALLY_SIGNING
                                                : 0;
}

void tally_count(struct tallies *tallies, const struct audit *audit) {
    enum tally_kind kind = tally_kind_of(audit);
    if (kind != 0) {
        tallies->counts[kind]++;
    }
}

err_t tally_write(const struct tallies *tallies, struct store *store, int64_t now) {
    static const int64_t steps_s[] = {TALLY_SHORT_S, TALLY_LONG_S};
    for (unsigned kind = 1; kind < TALLY_KINDS_COUNT; kind++) {
        for (size_t i = 0; tallies->counts[kind] > 0 && i < COUNT_OF(steps_s); i++) {
            struct tally tally = {.step_s = steps_s[i],
                                  .at = now - now % steps_s[i],
                                  .kind = (enum tally_kind)kind,
                                  .count = tallies->counts[kind]};
            TRY(store_tally_add(store, &tally));
        }
    }
    return OK;
}
