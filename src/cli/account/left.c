#include "cli/account/left.h"

#include <stdio.h>

#include "cli/cli.h"

/* One row of each is for oneself, the other for administrators; NULL: theirs is `all` alone. */
static const struct {
    const char *member, *one, *several, *own, *others;
} kinds[] = {
    {"certificates", "certificate", "certificates", "postern revoke-all",
     "postern revoke-all --user"},
    {"registeredKeys", "registered key", "registered keys", "postern key list", NULL},
    {"grants", "automation grant", "automation grants", "postern grant list", NULL},
    {"passkeys", "passkey", "passkeys", "postern account factor list", NULL},
};

void left_print(const json_t *left, const char *name) {
    bool any = false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        long long count = member_number(left, kinds[i].member);
        const char *command = name == NULL ? kinds[i].own : kinds[i].others;
        if (count <= 0) {
            continue;
        }
        (void)printf("%s  %lld %s", any ? "" : "Still good:\n", count,
                     count == 1 ? kinds[i].one : kinds[i].several);
        if (command != NULL) {
            (void)printf(": %s%s%s", command, name == NULL ? "" : " ", name == NULL ? "" : name);
        }
        (void)putchar('\n');
        any = true;
    }
    if (any && name == NULL) {
        (void)printf("If somebody else knew the old password, look at them.\n");
    } else if (any) {
        (void)printf("All of it ends by: postern admin account disable %s\n", name);
    }
}
