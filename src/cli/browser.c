#include "cli/browser.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

/* It outlives us, is nobody's child, and takes no signals that are meant for us. */
static _Noreturn void become_browser(const char *url) {
    static const char *const usual[] = {"xdg-open", "open", "wslview"};
    const char *chosen = getenv("BROWSER");
    int nothing = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        (void)dup2(nothing, fd);
    }
    (void)setsid();
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGQUIT, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (chosen != NULL && chosen[0] != '\0') {
        (void)execlp(chosen, chosen, url, (char *)NULL);
    }
    for (size_t i = 0; i < COUNT_OF(usual); i++) {
        (void)execlp(usual[i], usual[i], url, (char *)NULL);
    }
    _exit(1);
}

void browser_open(const char *url) {
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            become_browser(url);
        }
        _exit(0);
    }
    if (child > 0) {
        (void)waitpid(child, NULL, 0);
    }
}
