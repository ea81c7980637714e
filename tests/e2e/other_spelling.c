/* Preloaded into sshd and host_feed, makes alice known by another spelling too, as directories do
 * that do not tell capital letters from small ones: ALICE is alice. */
#include <dlfcn.h>
#include <pwd.h>
#include <string.h>

static const char *spelling(const char *name) {
    return strcmp(name, "ALICE") == 0 ? "alice" : name;
}

struct passwd *getpwnam(const char *name);
int getpwnam_r(const char *name, struct passwd *entry, char *text, size_t size,
               struct passwd **out);

struct passwd *getpwnam(const char *name) {
    struct passwd *(*real)(const char *) = dlsym(RTLD_NEXT, "getpwnam");
    return real(spelling(name));
}

/* Where there is no alice, too: host_feed does not see the accounts that sshd does. */
int getpwnam_r(const char *name, struct passwd *entry, char *text, size_t size,
               struct passwd **out) {
    static char alice[] = "alice";
    int (*real)(const char *, struct passwd *, char *, size_t, struct passwd **) =
        dlsym(RTLD_NEXT, "getpwnam_r");
    if (strcmp(name, "ALICE") != 0) {
        return real(name, entry, text, size, out);
    }
    *entry = (struct passwd){.pw_name = alice, .pw_uid = 42101};
    *out = entry;
    return 0;
}
