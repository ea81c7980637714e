#include "cli/browser.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"

#ifdef __APPLE__
static const char opener[] = "open";
#else
static const char opener[] = "xdg-open";
#endif

enum { STATUS_NOT_FOUND = 127 };

/* It outlives us, is nobody's child, and takes no signals that are meant for us. */
static _Noreturn void become_opener(const char *url) {
    int nothing = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        (void)dup2(nothing, fd);
    }
    (void)setsid();
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGQUIT, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)execlp(opener, opener, url, (char *)NULL);
    _exit(STATUS_NOT_FOUND);
}

static bool is_there(void) {
    const char *path = getenv("PATH");
    char *copy CLEANUP(freep) = strdup(path != NULL ? path : "");
    char *rest = copy;
    for (char *folder; copy != NULL && (folder = strsep(&rest, ":")) != NULL;) {
        char *file CLEANUP(freep) = NULL;
        if (!failed(path_join(folder, opener, &file)) && access(file, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

void browser_open(const char *url) {
    if (!is_there()) {
        print_warning("there is no %s here to open a browser by", opener);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            become_opener(url);
        }
        _exit(0);
    }
    int status = 0;
    if (child > 0) {
        (void)waitpid(child, &status, 0);
    }
}
