/* Whether a certificate may come in. Everything that could be wrong refuses by itself. */
#include "base/inet.h"
#include "base/limits.h"
#include "ssh/cert_internal.h"

static bool is_trusted(const struct key *ca_key, const struct cert_check *check) {
    for (size_t i = 0; i < check->ca_key_count; i++) {
        if (ca_key != NULL && key_equal(ca_key, check->ca_keys[i])) {
            return true;
        }
    }
    return false;
}

/* Exactly: a wildcard in the certificate is no more than the character it is, and cannot be asked
 * for either. */
static bool has_principal(const struct cert *cert, const char *principal) {
    if (principal == NULL || failed(cert_principal_check(span_str(principal)))) {
        return false;
    }
    for (size_t i = 0; i < cert->principal_count; i++) {
        if (strcmp(cert->principals[i], principal) == 0) {
            return true;
        }
    }
    return false;
}

/* A comma-separated list of subnets; one that cannot be read refuses, whatever the others say. */
static bool source_allowed(const char *list, const struct inet_address *source) {
    bool matches = false;
    size_t count = 0;
    for (;;) {
        size_t len = strcspn(list, ",");
        struct inet_subnet subnet;
        if (++count > LIMIT_SUBNETS_COUNT ||
            failed(inet_subnet_parse(span_of(list, len), &subnet))) {
            return false;
        }
        matches |= source != NULL && inet_subnet_contains(&subnet, source);
        if (list[len] == '\0') {
            return matches;
        }
        list += len + 1;
    }
}

static enum cert_refusal judge_option(const struct cert_option *option,
                                      const struct cert_check *check,
                                      struct cert_verdict *verdict) {
    if (strcmp(option->name, "force-command") == 0 && option->value != NULL) {
        verdict->force_command = option->value;
        return CERT_ALLOWED;
    }
    if (strcmp(option->name, "source-address") == 0 && option->value != NULL) {
        return source_allowed(option->value, check->source) ? CERT_ALLOWED : CERT_REFUSED_SOURCE;
    }
    if (strcmp(option->name, "verify-required") == 0 && option->value == NULL) {
        verdict->verify_required = true;
        return CERT_ALLOWED;
    }
    return CERT_REFUSED_OPTION;
}

static enum cert_refusal judge_options(const struct cert *cert, const struct cert_check *check,
                                       struct cert_verdict *verdict) {
    /* No critical option is defined for host certificates. */
    if (cert->type == CERT_HOST && cert->critical_option_count != 0) {
        return CERT_REFUSED_OPTION;
    }
    for (size_t i = 0; i < cert->critical_option_count; i++) {
        enum cert_refusal why = judge_option(&cert->critical_options[i], check, verdict);
        if (why != CERT_ALLOWED) {
            return why;
        }
    }
    return CERT_ALLOWED;
}

static err_t verify_signature(const struct cert *cert, struct cert_memo *memo) {
    return memo != NULL ? cert_memo_verify(memo, cert)
                        : key_verify(cert->ca_key, cert_tbs(cert), cert_signature(cert), NULL);
}

/* Everything but the signature's value. */
static enum cert_refusal judge_content(const struct cert *cert, const struct cert_check *check,
                                       struct cert_verdict *verdict) {
    if (cert->type != check->type || (cert->type != CERT_USER && cert->type != CERT_HOST)) {
        return CERT_REFUSED_TYPE;
    }
    if (!is_trusted(cert->ca_key, check)) {
        return CERT_REFUSED_CA;
    }
    if (check->now < cert->valid_after) {
        return CERT_REFUSED_NOT_YET;
    }
    if (check->now >= cert->valid_before) {
        return CERT_REFUSED_EXPIRED;
    }
    if (cert->principal_count == 0) {
        return CERT_REFUSED_NO_PRINCIPALS;
    }
    if (!has_principal(cert, check->principal)) {
        return CERT_REFUSED_PRINCIPAL;
    }
    return judge_options(cert, check, verdict);
}

static enum cert_refusal judge(const struct cert *cert, const struct cert_check *check,
                               struct cert_verdict *verdict) {
    enum cert_refusal why = judge_content(cert, check, verdict);
    if (why != CERT_ALLOWED) {
        return why;
    }
    if (cert->tbs_len == 0 || cert->tbs_len >= cert->blob.len ||
        failed(verify_signature(cert, check->memo))) {
        return CERT_REFUSED_SIGNATURE;
    }
    return CERT_ALLOWED;
}

struct cert_verdict cert_verify(const struct cert *cert, const struct cert_check *check) {
    struct cert_verdict verdict = {0};
    enum cert_refusal why = judge(cert, check, &verdict);
    if (why != CERT_ALLOWED) {
        return (struct cert_verdict){.why = why};
    }
    verdict.allowed = true;
    verdict.why = CERT_ALLOWED;
    return verdict;
}

bool cert_is_plausible(const struct cert *cert, const struct cert_check *check,
                       enum cert_refusal *why) {
    struct cert_verdict ignored = {0};
    enum cert_refusal found = judge_content(cert, check, &ignored);
    bool plausible = found == CERT_ALLOWED;
    *why = plausible ? CERT_REFUSED_UNCHECKED : found;
    return plausible;
}

const char *cert_refusal_text(enum cert_refusal why) {
    switch (why) {
    case CERT_REFUSED_UNCHECKED:
        return "the certificate was not checked";
    case CERT_REFUSED_TYPE:
        return "the certificate is of the wrong type (user or host)";
    case CERT_REFUSED_CA:
        return "the certificate is signed by a key that is not trusted here";
    case CERT_REFUSED_SIGNATURE:
        return "the signature of the certificate does not verify";
    case CERT_REFUSED_NOT_YET:
        return "the certificate is not valid yet";
    case CERT_REFUSED_EXPIRED:
        return "the certificate has expired";
    case CERT_REFUSED_NO_PRINCIPALS:
        return "the certificate names no principals";
    case CERT_REFUSED_PRINCIPAL:
        return "the name asked for is not among the certificate's principals";
    case CERT_REFUSED_OPTION:
        return "the certificate has a critical option that is not known here";
    case CERT_REFUSED_SOURCE:
        return "the certificate does not allow this source address";
    case CERT_ALLOWED:
        return "allowed";
    }
    return "the certificate was not checked";
}
