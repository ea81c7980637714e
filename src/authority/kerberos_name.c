/* Whom a principal means. */
#include <stdio.h>
#include <string.h>

#include "authority/kerberos.h"
#include "base/text.h"
#include "model/entity.h"

/* "NAME@REALM", both there. GSSAPI writes what is special inside a part behind a backslash; such
 * names are nobody's here. */
static bool split(const char *principal, span_t *name, span_t *realm) {
    *realm = span_str(principal);
    *name = span_until(realm, '@');
    return name->len > 0 && realm->len > 0 && text_is_printable(span_str(principal)) &&
           strpbrk(principal, "\\ ") == NULL && memchr(realm->data, '@', realm->len) == NULL;
}

err_t kerberos_check_realm(const char *text) {
    bool good =
        text[0] != '\0' && text_is_printable(span_str(text)) && strpbrk(text, "\\ @/=") == NULL;
    return good ? OK : FAIL(ERR_MALFORMED);
}

err_t kerberos_check_service(const char *text) {
    span_t name, realm;
    bool good = split(text, &name, &realm) && memchr(name.data, '/', name.len) != NULL;
    return good ? OK : FAIL(ERR_MALFORMED);
}

/* The part before the last "=", which no account's name has. */
static span_t left_of(const char *line) {
    const char *sign = strrchr(line, '=');
    return span_of(line, sign != NULL ? (size_t)(sign - line) : 0);
}

err_t kerberos_check_principal(const char *text) {
    char principal[LIMIT_PRINCIPAL_CHARS + 1];
    span_t left = left_of(text), name, realm;
    struct fault fault = {.reason = ""};
    if (left.len == 0 || left.len > LIMIT_PRINCIPAL_CHARS) {
        return FAIL(ERR_MALFORMED);
    }
    (void)snprintf(principal, sizeof principal, "%.*s", (int)left.len, text);
    if (!split(principal, &name, &realm)) {
        return FAIL(ERR_MALFORMED);
    }
    return account_name_check(span_str(text + left.len + 1), &fault);
}

static bool is_listed(const struct kerberos_config *config, span_t realm) {
    for (size_t i = 0; i < config->realm_count; i++) {
        if (span_equal_str(realm, config->realms[i])) {
            return true;
        }
    }
    return false;
}

static bool find_mapped(const struct kerberos_config *config, const char *principal, span_t *out) {
    for (size_t i = 0; i < config->principal_count; i++) {
        span_t left = left_of(config->principals[i]);
        if (span_equal_str(left, principal)) {
            *out = span_str(config->principals[i] + left.len + 1);
            return true;
        }
    }
    return false;
}

err_t kerberos_account(const struct kerberos_config *config, const char *principal,
                       char out[LIMIT_ACCOUNT_NAME_CHARS + 1], struct fault *fault) {
    span_t name, realm;
    struct fault reason = {.reason = ""};
    if (!split(principal, &name, &realm)) {
        return fault_set(fault, ERR_REFUSED, "principal", "the principal is not NAME@REALM");
    }
    if (!is_listed(config, realm)) {
        return fault_set(fault, ERR_REFUSED, "principal",
                         "tickets of the realm %.*s are not taken here", (int)realm.len,
                         (const char *)realm.data);
    }
    if (!find_mapped(config, principal, &name) && memchr(name.data, '/', name.len) != NULL) {
        return fault_set(fault, ERR_REFUSED, "principal",
                         "%s is nobody's account here; run kinit as yourself", principal);
    }
    if (failed(account_name_check(name, &reason))) {
        return fault_set(fault, ERR_REFUSED, "principal", "%s cannot be an account's name: %s",
                         principal, reason.reason);
    }
    memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    return OK;
}
