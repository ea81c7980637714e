#include "cli/config/ssh_value.h"

#include <ctype.h>
#include <string.h>

#include "base/limits.h"

bool ssh_value_has_only(const char *text, const char *others) {
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        bool plain = byte < 0x80 && isalnum(byte);
        if (!plain && strchr(others, *at) == NULL) {
            return false;
        }
    }
    return true;
}

err_t ssh_value_check_hop(const char *hop) {
    const char *at = strrchr(hop, '@');
    const char *host = at == NULL ? hop : at + 1;
    bool good = ssh_value_has_only(hop, "._-@:[]") && hop[0] != '-' && hop[0] != '\0' &&
                hop[0] != '@' && host[0] != '-' && host[0] != '\0' &&
                strlen(hop) <= LIMIT_HOST_NAME_CHARS;
    return good ? OK : FAIL(ERR_MALFORMED);
}

err_t ssh_value_check_suffix(const char *suffix) {
    size_t len = strlen(suffix);
    bool good = suffix[0] == '.' && len > 1 && len <= 64 && suffix[len - 1] != '.' &&
                strstr(suffix, "..") == NULL && strstr(suffix, ".-") == NULL;
    for (size_t i = 0; good && i < len; i++) {
        good = strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", suffix[i]) != NULL;
    }
    return good ? OK : FAIL(ERR_MALFORMED);
}

err_t ssh_value_put(struct buf *out, const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        /* '%' and "${" would be expanded; old and new versions unquote backslashes differently. */
        if (byte < 0x20 || byte == 0x7f || strchr("\"'\\%", *at) != NULL ||
            (at[0] == '$' && at[1] == '{')) {
            return FAIL(ERR_MALFORMED);
        }
    }
    bool plain = text[0] != '\0' && ssh_value_has_only(text, "_./~+@,:-");
    return plain ? buf_add_str(out, text) : buf_add_format(out, "\"%s\"", text);
}

bool ssh_value_can_run(const char *path) {
    return path[0] == '/' && ssh_value_has_only(path, "_./+,@:=-");
}
