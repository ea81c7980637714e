#include "cli/config/ssh_version.h"

#include <ctype.h>
#include <string.h>

/* Up to three digits. */
static bool take_number(const char **text, unsigned *out) {
    size_t digits = 0;
    unsigned value = 0;
    for (; digits < 3 && isdigit((unsigned char)(*text)[digits]); digits++) {
        value = 10 * value + (unsigned)((*text)[digits] - '0');
    }
    *text += digits;
    *out = value;
    return digits > 0;
}

err_t ssh_version_parse(const char *text, struct ssh_version *out) {
    static const char *const names[] = {"OpenSSH_for_Windows_", "OpenSSH_"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t len = strlen(names[i]);
        struct ssh_version version;
        const char *rest = strncmp(text, names[i], len) == 0 ? text + len : "";
        if (take_number(&rest, &version.major) && *rest++ == '.' &&
            take_number(&rest, &version.minor)) {
            *out = version;
            return OK;
        }
    }
    return FAIL(ERR_MALFORMED);
}

bool ssh_version_before(struct ssh_version version, unsigned major, unsigned minor) {
    return version.major != 0 &&
           (version.major < major || (version.major == major && version.minor < minor));
}
