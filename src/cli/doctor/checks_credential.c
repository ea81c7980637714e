/* The certificate, and the agent. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/doctor/checks.h"

enum {
    AUTH_TRIES = 6,   /* of a gate, and of sshd's MaxAuthTries */
    SOON_S = 10 * 60, /* a certificate that ends while one still reads this */
};

static bool has_principal(const struct cert *cert, const char *name) {
    for (size_t i = 0; i < cert->principal_count; i++) {
        if (strcmp(cert->principals[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void say_when(uint64_t when, int64_t now, char out[DURATION_CHARS]) {
    duration_print_relative(when > INT64_MAX ? INT64_MAX : (int64_t)when, now, out);
}

/* Which of the site's clusters take certificates at all is not asked: where ssh gets in by a
 * registered key, this is but a note. */
static void judge_valid(const struct facts *facts, const char *shown, struct finding *out) {
    const struct cert *cert = facts->look.cert;
    char when[DURATION_CHARS];
    say_when(cert->valid_before, facts_true_now(facts), when);
    if (facts->username[0] != '\0' && !has_principal(cert, facts->username)) {
        finding_set(out, HEALTH_BROKEN, "%s is not for %s but for %s", shown, facts->username,
                    cert->principal_count > 0 ? cert->principals[0] : "nobody");
        mend_sign(out, facts);
    } else if (facts->key.public != NULL && !key_equal(facts->key.public, cert->key)) {
        finding_set(out, HEALTH_BROKEN, "%s is of another key than the private key beside it",
                    shown);
        mend_sign(out, facts);
    } else if (cert->valid_before < (uint64_t)facts_true_now(facts) + SOON_S) {
        finding_set(out, HEALTH_NOTE, "%s expires %s", shown, when);
        mend_sign(out, facts);
    } else {
        finding_set(out, HEALTH_FINE, "valid, expires %s", when);
    }
}

/* The look at the file went by this machine's clock, which may be what is wrong. */
static enum look_state true_state(const struct facts *facts) {
    const struct look *look = &facts->look;
    uint64_t now = (uint64_t)facts_true_now(facts);
    if (look->state != LOOK_VALID && look->state != LOOK_EXPIRED && look->state != LOOK_NOT_YET) {
        return look->state;
    }
    return now < look->cert->valid_after     ? LOOK_NOT_YET
           : now >= look->cert->valid_before ? LOOK_EXPIRED
                                             : LOOK_VALID;
}

void check_certificate(const struct facts *facts, struct finding *out) {
    const struct look *look = &facts->look;
    char shown[FACT_CHARS], when[DURATION_CHARS];
    facts_short(facts, facts->paths.cert_path, shown);
    switch (true_state(facts)) {
    case LOOK_VALID:
        judge_valid(facts, shown, out);
        return;
    case LOOK_MISSING:
        finding_set(out, HEALTH_BROKEN, "there is no certificate %s", shown);
        break;
    case LOOK_EXPIRED:
        say_when(look->cert->valid_before, facts_true_now(facts), when);
        finding_set(out, HEALTH_BROKEN, "%s expired %s%s", shown, when,
                    facts->session == SESSION_NONE ? ", and nobody is signed in to get a new one"
                                                   : "");
        break;
    case LOOK_NOT_YET:
        say_when(look->cert->valid_after, facts_true_now(facts), when);
        finding_set(out, HEALTH_BROKEN, "%s becomes valid only %s", shown, when);
        break;
    case LOOK_MISMATCH:
    case LOOK_FOREIGN_CA:
        finding_set(out, HEALTH_BROKEN, "%s is %s", shown, look_text(look->state));
        break;
    default:
        finding_set(out, HEALTH_BROKEN, "%s",
                    facts->look_said[0] != '\0' ? facts->look_said : "it cannot be read");
        break;
    }
    mend_sign(out, facts);
}

static const json_t *find_issued(const struct facts *facts, uint64_t serial) {
    char text[24];
    size_t index;
    json_t *issued;
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)serial);
    json_array_foreach(json_object_get(facts->certificates, "sshKeys"), index, issued) {
        if (strcmp(member_text(issued, "serialNumber"), text) == 0) {
            return issued;
        }
    }
    return NULL;
}

void check_revoked(const struct facts *facts, struct finding *out) {
    const struct cert *cert = facts->look.cert;
    if (cert == NULL || facts->certificates == NULL) {
        finding_set(out, HEALTH_UNKNOWN, "%s",
                    cert == NULL ? "there is no certificate" : "the authority could not be asked");
        return;
    }
    const json_t *issued = find_issued(facts, cert->serial);
    if (strcmp(member_text(issued, "status"), "revoked") != 0) {
        finding_set(out, HEALTH_FINE, "the certificate is not revoked");
        return;
    }
    const char *reason = member_text(issued, "reason");
    finding_set(out, HEALTH_BROKEN, "the certificate %llu was revoked%s%s",
                (unsigned long long)cert->serial, reason[0] != '\0' ? ": " : "", reason);
    mend_sign(out, facts);
}

/* --- the agent --- */

static void mend_agent(struct finding *out, bool load) {
    if (load) {
        mend_run(out, "postern", "agent", "--load", NULL);
    } else {
        mend_run(out, "postern", "agent", NULL);
    }
    (void)snprintf(out->mend.command, sizeof out->mend.command, "eval \"$(postern agent%s)\"",
                   load ? " --load" : "");
    out->mend.kind = MEND_AGENT;
}

void check_agent(const struct facts *facts, struct finding *out) {
    bool wanted = facts->key.encrypted && facts->key.content == KEY_PRIVATE;
    char shown[FACT_CHARS];
    if (facts->agent.is_foreign) {
        finding_set(out, HEALTH_BROKEN,
                    "the agent at %s, which $SSH_AUTH_SOCK names, is another user's: it would get "
                    "the keys that you add",
                    facts_short(facts, facts->agent.dead, shown));
        mend_agent(out, wanted);
    } else if (facts->agent.dead != NULL) {
        finding_set(out, HEALTH_BROKEN,
                    "$SSH_AUTH_SOCK names %s, where no agent answers; this is what \"could not "
                    "open a connection to your authentication agent\" means",
                    facts_short(facts, facts->agent.dead, shown));
        mend_agent(out, wanted);
    } else if (!facts->agent_known) {
        finding_set(out, wanted ? HEALTH_BROKEN : HEALTH_NOTE,
                    "this shell knows of no agent ($SSH_AUTH_SOCK is not set)%s",
                    wanted ? ", and the key has a passphrase: ssh asks for it at every hop, and "
                             "programs cannot be asked"
                           : "; ssh gets along without one, as the key has no passphrase");
        mend_agent(out, wanted);
    } else if (facts->agent_silent) {
        finding_set(out, HEALTH_BROKEN,
                    "the agent answers, but does not say what it holds; it may "
                    "be locked");
        mend_tell(out, "ssh-add -X");
    } else if (wanted && !facts_key_in_agent(facts)) {
        finding_set(out, HEALTH_NOTE,
                    "the agent does not hold the key, so ssh asks for its "
                    "passphrase at every hop");
        mend_agent(out, true);
    } else {
        finding_set(out, HEALTH_FINE, "it holds %zu key%s", facts->in_agent.count,
                    facts->in_agent.count == 1 ? "" : "s");
    }
}

void check_agent_expired(const struct facts *facts, struct finding *out) {
    size_t expired = facts_expired_in_agent(facts);
    if (expired == 0) {
        finding_set(out, HEALTH_FINE, "no expired certificates");
        return;
    }
    finding_set(out, HEALTH_BROKEN,
                "the agent holds %zu expired certificate%s, and servers count each as a failed "
                "attempt: this is what \"too many authentication failures\" comes from",
                expired, expired == 1 ? "" : "s");
    mend_agent(out, false);
}

void check_agent_crowd(const struct facts *facts, struct finding *out) {
    const struct fact_ssh *first = facts->jump.known ? &facts->jump : &facts->target;
    if (!first->known) {
        finding_set(out, HEALTH_UNKNOWN, "ssh's configuration is not known");
    } else if (!first->identities_only && facts->in_agent.count + 1 >= AUTH_TRIES) {
        finding_set(out, HEALTH_BROKEN,
                    "ssh offers the %zu keys of the agent before yours, and servers hang up after "
                    "%d: \"too many authentication failures\"; IdentitiesOnly keeps it to yours",
                    facts->in_agent.count, AUTH_TRIES);
        mend_config(out, facts);
    } else {
        finding_set(out, HEALTH_FINE, "%s",
                    first->identities_only ? "ssh offers the configured key alone"
                                           : "few enough to be tried one after the other");
    }
}
