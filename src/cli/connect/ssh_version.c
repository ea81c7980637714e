#include "cli/connect/ssh_version.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

err_t ssh_version_parse(const char *text, struct ssh_version *out) {
    static const char *const names[] = {"OpenSSH_for_Windows_", "OpenSSH_"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t len = strlen(names[i]);
        struct ssh_version version;
        if (strncmp(text, names[i], len) == 0 && isdigit((unsigned char)text[len]) &&
            sscanf(text + len, "%3u.%3u", &version.major, &version.minor) == 2) {
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
