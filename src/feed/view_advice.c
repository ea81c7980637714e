/* What somebody who was turned away is told: one line, and what to do. */
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "feed/view.h"

enum { ADVICE_CHARS = 256 };

/* A name to log in with, if the certificate has one that can be shown. */
static const char *principal_of(const struct cert *cert) {
    enum { SHOWN_CHARS = 64 };
    const char *name = cert->principal_count > 0 ? cert->principals[0] : "";
    return strlen(name) <= SHOWN_CHARS && text_is_printable(span_str(name)) && name[0] != '\0'
               ? name
               : NULL;
}

static void advise_time(const char *what, uint64_t when, int64_t now, char out[ADVICE_CHARS]) {
    char text[TIME_CHARS];
    char distance[DURATION_CHARS];
    int64_t at = when > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)when; /* room to count in */
    time_print_utc(at, text);
    duration_print_relative(at, now, distance);
    (void)snprintf(out, ADVICE_CHARS, "your certificate %s %s (%s); get a new one: postern sign",
                   what, distance, text);
}

static void advise_certificate(enum cert_refusal why, const struct cert *cert, int64_t now,
                               char out[ADVICE_CHARS]) {
    const char *principal = principal_of(cert);
    switch (why) {
    case CERT_REFUSED_EXPIRED:
        advise_time("expired", cert->valid_before, now, out);
        return;
    case CERT_REFUSED_NOT_YET:
        advise_time("becomes valid only", cert->valid_after, now, out);
        return;
    case CERT_REFUSED_PRINCIPAL:
        if (principal != NULL) {
            (void)snprintf(out, ADVICE_CHARS,
                           "your certificate is for %s and not for the name you asked for; log in "
                           "with: ssh -l %s",
                           principal, principal);
            return;
        }
        break;
    case CERT_REFUSED_SOURCE:
        (void)snprintf(out, ADVICE_CHARS,
                       "your certificate is not good from the address you come from; get one that "
                       "is: postern sign");
        return;
    default:
        break;
    }
    (void)snprintf(out, ADVICE_CHARS, "%s; get one from this site: postern sign",
                   cert_refusal_text(why));
}

static const char *account_advice(enum replica_why why) {
    switch (why) {
    case REPLICA_STALE:
        return "this gate has not heard from its authority for too long and lets nobody in; tell "
               "the site's administrators";
    case REPLICA_NO_ACCOUNT:
        return "there is no account of that name here; see yours with: postern whoami";
    case REPLICA_DISABLED:
        return "your account is disabled; ask the site's administrators";
    case REPLICA_NO_REACH:
        return "none of your projects reaches a cluster; ask the manager of your project, and see "
               "them with: postern whoami";
    case REPLICA_SOURCE:
        return "your account is not good from the address you come from, by your own choice; see "
               "it and change it from where it is: postern access";
    case REPLICA_NO_CREDENTIAL:
        return "none of the clusters you reach takes certificates; log in with a registered key: "
               "postern key add";
    case REPLICA_REVOKED:
        return "your certificate is revoked; get a new one: postern sign";
    case REPLICA_NO_SERIAL:
        return "your certificate has no serial number; get one from this site: postern sign";
    default:
        return replica_why_text(why);
    }
}

void view_cert_advice(const struct view_cert_verdict *verdict, const struct cert *cert, int64_t now,
                      char out[ADVICE_CHARS]) {
    out[0] = '\0';
    if (verdict->allowed || verdict->plausible) {
        return;
    }
    if (verdict->cert_why != CERT_ALLOWED && verdict->cert_why != CERT_REFUSED_UNCHECKED) {
        advise_certificate(verdict->cert_why, cert, now, out);
    } else {
        (void)snprintf(out, ADVICE_CHARS, "%s", account_advice(verdict->replica_why));
    }
}
