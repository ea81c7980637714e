#include "net/http_message.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes in place what ends at its NUL. */
static err_t decode(char *text, bool is_path) {
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        char c = *from;
        if (c == '+' && !is_path) {
            c = ' ';
        } else if (c == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0) {
                return FAIL(ERR_MALFORMED);
            }
            c = (char)(high << 4 | low);
            from += 2;
            if (c == '\0' || (c == '/' && is_path)) {
                return FAIL(ERR_MALFORMED);
            }
        }
        *to++ = c;
    }
    *to = '\0';
    return text_is_utf8(span_str(text)) ? OK : FAIL(ERR_MALFORMED);
}

static err_t parse_query(char *query, struct http_field *params, size_t *param_count) {
    char *rest = query;
    for (char *part; (part = strsep(&rest, "&")) != NULL;) {
        if (*part == '\0') {
            continue;
        }
        if (*param_count == LIMIT_HTTP_QUERY_COUNT) {
            return FAIL(ERR_TOO_LONG);
        }
        char *value = strchr(part, '=');
        if (value == NULL) {
            value = part + strlen(part);
        } else {
            *value++ = '\0';
        }
        TRY(decode(part, false));
        TRY(decode(value, false));
        for (size_t i = 0; i < *param_count; i++) {
            if (strcmp(params[i].name, part) == 0) {
                return FAIL(ERR_DUPLICATE);
            }
        }
        params[(*param_count)++] = (struct http_field){part, value};
    }
    return OK;
}

err_t http_target_parse(char *target, const char **path, struct http_field *params,
                        size_t *param_count) {
    /* RFC 9112 section 3.2.2: "a server MUST accept the absolute-form in requests". */
    if (*target != '/') {
        size_t scheme = strncasecmp(target, "https://", 8) == 0  ? 8
                        : strncasecmp(target, "http://", 7) == 0 ? 7
                                                                 : 0;
        target = scheme == 0 ? NULL : strchr(target + scheme, '/');
        if (target == NULL) {
            return FAIL(ERR_MALFORMED);
        }
    }
    *param_count = 0;
    char *query = strchr(target, '?');
    if (query != NULL) {
        *query++ = '\0';
        TRY(parse_query(query, params, param_count));
    }
    TRY(decode(target, true));
    *path = target;
    return OK;
}
