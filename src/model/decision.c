#include "model/decision.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const code_names[] = {
#define DECISION_NAME(code, status) [DECISION_##code] = #code,
    DECISION_LIST(DECISION_NAME)
#undef DECISION_NAME
};

static const unsigned code_statuses[] = {
#define DECISION_STATUS(code, status) [DECISION_##code] = (status),
    DECISION_LIST(DECISION_STATUS)
#undef DECISION_STATUS
};

const char *decision_code_name(enum decision_code code) {
    INVARIANT((size_t)code < COUNT_OF(code_names));
    return code_names[code];
}

unsigned decision_code_status(enum decision_code code) {
    INVARIANT((size_t)code < COUNT_OF(code_statuses));
    return code_statuses[code];
}

struct decision decision_refuse(enum decision_code code, const char *field, const char *format,
                                ...) {
    struct decision decision = {.allowed = false, .code = code};
    va_list args;
    va_start(args, format);
    (void)snprintf(decision.field, sizeof decision.field, "%s", field);
    (void)vsnprintf(decision.reason, sizeof decision.reason, format, args);
    va_end(args);
    return decision;
}
