/*
 * usage: other_kernel none|volatile COMMAND…: runs it as on a kernel without key rings, as
 * containers have it, or on one without persistent ones.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (argc < 3 || filter == NULL) {
        return 2;
    }
    int failure;
    if (strcmp(argv[1], "none") == 0) {
        failure = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(keyctl), 0);
        failure |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(add_key), 0);
    } else {
        failure = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EOPNOTSUPP), SCMP_SYS(keyctl), 1,
                                   SCMP_A0(SCMP_CMP_EQ, KEYCTL_GET_PERSISTENT));
    }
    if (failure != 0 || seccomp_load(filter) != 0) {
        return 2;
    }
    (void)execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
