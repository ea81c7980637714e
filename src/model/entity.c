#include "model/entity.h"

#include <arpa/inet.h>
#include <string.h>

err_t subnet_list_parse(span_t text, struct subnet_list *out) {
    struct subnet_list list = {.count = 0};
    for (;;) {
        const uint8_t *comma = text.len == 0 ? NULL : memchr(text.data, ',', text.len);
        span_t item = comma == NULL ? text : span_of(text.data, (size_t)(comma - text.data));
        if (list.count == LIMIT_SUBNETS_COUNT) {
            return FAIL(ERR_TOO_LONG);
        }
        TRY(inet_subnet_parse(item, &list.subnets[list.count]));
        list.count++;
        if (comma == NULL) {
            *out = list;
            return OK;
        }
        text = span_of(comma + 1, text.len - item.len - 1);
    }
}

err_t subnet_list_print(const struct subnet_list *list, struct buf *out) {
    size_t before = out->len;
    for (size_t i = 0; i < list->count; i++) {
        char text[INET_CHARS];
        inet_subnet_print(&list->subnets[i], text);
        err_t err = buf_add_format(out, "%s%s", i == 0 ? "" : ",", text);
        if (failed(err)) {
            out->len = before;
            return err;
        }
    }
    return OK;
}

bool subnet_list_allows(const struct subnet_list *list, const struct inet_address *address) {
    if (list->count == 0) {
        return true;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (inet_subnet_contains(&list->subnets[i], address)) {
            return true;
        }
    }
    return false;
}

err_t subnet_list_add(struct subnet_list *list, const struct inet_subnet *subnet) {
    struct subnet_list kept = {.count = 0};
    for (size_t i = 0; i < list->count; i++) {
        if (inet_subnet_covers(&list->subnets[i], subnet)) {
            return OK;
        }
        if (!inet_subnet_covers(subnet, &list->subnets[i])) {
            kept.subnets[kept.count++] = list->subnets[i];
        }
    }
    if (kept.count == LIMIT_SUBNETS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    kept.subnets[kept.count++] = *subnet;
    *list = kept;
    return OK;
}

/* Two subnets overlap only when one covers the other, so the smaller one is what they share. */
static const struct inet_subnet *subnet_shared(const struct inet_subnet *a,
                                               const struct inet_subnet *b) {
    return inet_subnet_covers(b, a) ? a : inet_subnet_covers(a, b) ? b : NULL;
}

err_t subnet_list_intersect(const struct subnet_list *a, const struct subnet_list *b,
                            struct subnet_list *out) {
    struct subnet_list both = {.count = 0};
    if (a->count == 0 || b->count == 0) {
        both = a->count == 0 ? *b : *a;
        *out = both;
        return OK;
    }
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            const struct inet_subnet *shared = subnet_shared(&a->subnets[i], &b->subnets[j]);
            if (shared != NULL) {
                TRY(subnet_list_add(&both, shared));
            }
        }
    }
    if (both.count == 0) {
        return FAIL(ERR_NOT_FOUND); /* and never the empty list */
    }
    *out = both;
    return OK;
}

err_t cluster_list_add(struct cluster_list *list, span_t name) {
    TRY(cluster_name_check(name, NULL));
    for (size_t i = 0; i < list->count; i++) {
        if (span_equal_str(name, list->names[i])) {
            return FAIL(ERR_EXISTS);
        }
    }
    if (list->count == LIMIT_BOUND_CLUSTERS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    memcpy(list->names[list->count], name.data, name.len);
    list->names[list->count++][name.len] = '\0';
    return OK;
}

err_t cluster_list_parse(span_t text, struct cluster_list *out) {
    struct cluster_list list = {.count = 0};
    while (text.len > 0) {
        const uint8_t *comma = memchr(text.data, ',', text.len);
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.data);
        TRY(cluster_list_add(&list, span_of(text.data, len)));
        if (comma != NULL && len + 1 == text.len) {
            return FAIL(ERR_MALFORMED);
        }
        size_t used = comma == NULL ? len : len + 1;
        text = span_of(text.data + used, text.len - used);
    }
    *out = list;
    return OK;
}

err_t cluster_list_print(const struct cluster_list *list, struct buf *out) {
    size_t before = out->len;
    for (size_t i = 0; i < list->count; i++) {
        err_t err = buf_add_format(out, "%s%s", i == 0 ? "" : ",", list->names[i]);
        if (failed(err)) {
            out->len = before;
            return err;
        }
    }
    return OK;
}

bool cluster_list_has(const struct cluster_list *list, const char *name) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

err_t cluster_list_intersect(const struct cluster_list *a, const struct cluster_list *b,
                             struct cluster_list *out) {
    struct cluster_list both = {.count = 0};
    if (a->count == 0 || b->count == 0) {
        both = a->count == 0 ? *b : *a;
        *out = both;
        return OK;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (cluster_list_has(b, a->names[i])) {
            memcpy(both.names[both.count++], a->names[i], sizeof a->names[i]);
        }
    }
    if (both.count == 0) {
        return FAIL(ERR_NOT_FOUND); /* and never the empty list */
    }
    *out = both;
    return OK;
}

/* Classes of characters in names; not <ctype.h>'s, which follow the locale. */
enum { LOWER = 1, DIGIT = 2, UNDERSCORE = 4, HYPHEN = 8, DOT = 16, UPPER = 32, PLUS = 64 };

static unsigned class_of(uint8_t byte) {
    if (byte >= 'a' && byte <= 'z') {
        return LOWER;
    }
    if (byte >= '0' && byte <= '9') {
        return DIGIT;
    }
    if (byte >= 'A' && byte <= 'Z') {
        return UPPER;
    }
    if (byte == '+') {
        return PLUS;
    }
    return byte == '_' ? UNDERSCORE : byte == '-' ? HYPHEN : byte == '.' ? DOT : 0;
}

struct name_rule {
    const char *field;
    const char *words; /* the rule, for people */
    size_t chars_max;
    unsigned first; /* classes */
    unsigned rest;
};

static err_t name_check(const struct name_rule *rule, span_t name, struct fault *fault) {
    if (name.len > rule->chars_max) {
        return fault_set(fault, ERR_TOO_LONG, rule->field, "longer than %zu characters",
                         rule->chars_max);
    }
    if (name.len == 0) {
        return fault_set(fault, ERR_MALFORMED, rule->field, "empty; %s", rule->words);
    }
    for (size_t i = 0; i < name.len; i++) {
        if ((class_of(name.data[i]) & (i == 0 ? rule->first : rule->rest)) == 0) {
            return fault_set(fault, ERR_MALFORMED, rule->field, "character %zu is not allowed; %s",
                             i + 1, rule->words);
        }
    }
    return OK;
}

err_t account_name_check(span_t name, struct fault *fault) {
    static const struct name_rule rule = {
        .field = "account",
        .words = "an account name has lower-case letters, digits, '_' and '-', and starts with a "
                 "letter or '_'",
        .chars_max = LIMIT_ACCOUNT_NAME_CHARS,
        .first = LOWER | UNDERSCORE,
        .rest = LOWER | DIGIT | UNDERSCORE | HYPHEN,
    };
    TRY(name_check(&rule, name, fault));
    if (span_equal_str(name, "root")) {
        return fault_set(fault, ERR_MALFORMED, rule.field,
                         "root is never a person's or a service's account; choose another name");
    }
    return OK;
}

#define GROUP_WORDS                                                                                \
    "such a name has lower-case letters, digits, '.', '_' and '-', and starts with a letter or "   \
    "digit"

err_t project_name_check(span_t name, struct fault *fault) {
    static const struct name_rule rule = {
        .field = "project",
        .words = GROUP_WORDS,
        .chars_max = LIMIT_PROJECT_NAME_CHARS,
        .first = LOWER | DIGIT,
        .rest = LOWER | DIGIT | DOT | UNDERSCORE | HYPHEN,
    };
    return name_check(&rule, name, fault);
}

err_t cluster_name_check(span_t name, struct fault *fault) {
    static const struct name_rule rule = {
        .field = "cluster",
        .words = GROUP_WORDS,
        .chars_max = LIMIT_CLUSTER_NAME_CHARS,
        .first = LOWER | DIGIT,
        .rest = LOWER | DIGIT | DOT | UNDERSCORE | HYPHEN,
    };
    return name_check(&rule, name, fault);
}

err_t job_name_check(span_t name, struct fault *fault) {
    static const struct name_rule rule = {
        .field = "job",
        .words = "a job's id has letters, digits, '.', '_', '+' and '-', and starts with a letter "
                 "or digit",
        .chars_max = LIMIT_JOB_NAME_CHARS,
        .first = LOWER | UPPER | DIGIT,
        .rest = LOWER | UPPER | DIGIT | DOT | UNDERSCORE | HYPHEN | PLUS,
    };
    return name_check(&rule, name, fault);
}

err_t user_name_check(span_t name, struct fault *fault) {
    static const struct name_rule rule = {
        .field = "user",
        .words = "a user name has letters, digits, '.', '_' and '-', and starts with a letter or "
                 "'_'",
        .chars_max = LIMIT_ACCOUNT_NAME_CHARS,
        .first = LOWER | UPPER | UNDERSCORE,
        .rest = LOWER | UPPER | DIGIT | DOT | UNDERSCORE | HYPHEN,
    };
    TRY(name_check(&rule, name, fault));
    if (span_equal_str(name, "root")) {
        return fault_set(fault, ERR_MALFORMED, rule.field,
                         "root is no job's user; a job of type deploy lets in as root");
    }
    return OK;
}

enum { DNS_LABEL_CHARS = 63 }; /* RFC 1035 2.3.4 */

/* RFC 1123 2.1: letters, digits and hyphens, no hyphen at either end. */
static bool label_is_valid(span_t label) {
    if (label.len == 0 || label.len > DNS_LABEL_CHARS || label.data[0] == '-' ||
        label.data[label.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        if ((class_of(label.data[i]) & (LOWER | DIGIT | HYPHEN)) == 0) {
            return false;
        }
    }
    return true;
}

static bool label_is_number(span_t label) {
    for (size_t i = 0; i < label.len; i++) {
        if (class_of(label.data[i]) != DIGIT) {
            return false;
        }
    }
    return true;
}

/* RFC 1123 2.1: a name whose last label is a number can only be meant as an address. */
static bool is_dns_name(span_t name) {
    for (;;) {
        const uint8_t *dot = name.len == 0 ? NULL : memchr(name.data, '.', name.len);
        span_t label = dot == NULL ? name : span_of(name.data, (size_t)(dot - name.data));
        if (!label_is_valid(label)) {
            return false;
        }
        if (dot == NULL) {
            return !label_is_number(label);
        }
        name = span_of(dot + 1, name.len - label.len - 1);
    }
}

err_t host_name_check(span_t name, const char *field, struct fault *fault) {
    struct inet_address address;
    if (name.len > LIMIT_HOST_NAME_CHARS) {
        return fault_set(fault, ERR_TOO_LONG, field, "longer than %d characters",
                         LIMIT_HOST_NAME_CHARS);
    }
    if (!is_dns_name(name) && failed(inet_address_parse(name, &address))) {
        return fault_set(fault, ERR_MALFORMED, field,
                         "not a host name in lower case (login.example.org) and not an address");
    }
    return OK;
}

static bool is_local_name(const char *name) {
    static const char local[] = "localhost";
    size_t len = strlen(name);
    size_t tail = sizeof local - 1;
    /* RFC 6761 section 6.3: localhost and all below it; the last is of old /etc/hosts files. */
    return (len >= tail && strcmp(name + len - tail, local) == 0 &&
            (len == tail || name[len - tail - 1] == '.')) ||
           strcmp(name, "localhost.localdomain") == 0;
}

const char *host_name_peril(const char *name) {
    static const struct {
        const char *subnet;
        const char *what;
    } perils[] = {
        {"127.0.0.0/8", "a loopback address"},
        {"::1", "a loopback address"},
        {"0.0.0.0/8", "an address for this very machine"},
        {"::", "an address for this very machine"},
        {"169.254.0.0/16", "a link-local address, as metadata services have"},
        {"fe80::/10", "a link-local address"},
    };
    struct inet_address address;
    struct in_addr legacy;
    if (is_local_name(name)) {
        return "a name of this very machine";
    }
    if (failed(inet_address_parse(span_str(name), &address))) {
        if (inet_aton(name, &legacy) == 0) {
            return NULL;
        }
        address = (struct inet_address){.family_bits = 32};
        memcpy(address.bytes, &legacy, sizeof legacy);
    }
    for (size_t i = 0; i < COUNT_OF(perils); i++) {
        struct inet_subnet subnet;
        INVARIANT(!failed(inet_subnet_parse(span_str(perils[i].subnet), &subnet)));
        if (inet_subnet_contains(&subnet, &address)) {
            return perils[i].what;
        }
    }
    return NULL;
}

bool issued_is_for_job(const struct issued *issued) {
    return strstr(issued->key_id, KEY_ID_JOB) != NULL;
}
