#include "cli/jobs/job_ssh.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"

enum { WORDS_MAX = 64, OPTION_CHARS = 512, STATUS_NOT_FOUND = 127 };

/* --- the folder --- */

static const char *place(void) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat status;
    bool good = runtime != NULL && runtime[0] == '/' && lstat(runtime, &status) == 0 &&
                S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
                (status.st_mode & (S_IRWXG | S_IRWXO)) == 0 && strlen(runtime) < 80;
    return good ? runtime : "/tmp";
}

static err_t put_file(const struct job_folder *folder, const char *name, span_t bytes) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(folder->path, name, &path));
    return file_replace(path, bytes, 0600, FILE_EXCLUSIVE);
}

static err_t fill(const struct job_folder *folder, const struct private_key *key,
                  const char *certificate) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS + 1);
    TRY(private_key_write(key, "", NULL, 0, &text));
    TRY(buf_add_format(&line, "%s\n", certificate));
    TRY(put_file(folder, "key", buf_span(&text)));
    return put_file(folder, "key-cert.pub", buf_span(&line));
}

err_t job_folder_make(struct cli *cli, const struct private_key *key, const char *certificate,
                      struct job_folder *out) {
    struct job_folder folder;
    (void)snprintf(folder.path, sizeof folder.path, "%s/postern-job.XXXXXX", place());
    if (mkdtemp(folder.path) == NULL) {
        return trouble_of(&cli->trouble, err_from_errno(errno), "cannot make a folder for the key");
    }
    err_t err = fill(&folder, key, certificate);
    if (failed(err)) {
        job_folder_remove(&folder);
        return trouble_of(&cli->trouble, err, "cannot write the key to %s", folder.path);
    }
    *out = folder;
    return OK;
}

void job_folder_remove(struct job_folder *folder) {
    static const char *const names[] = {"key", "key-cert.pub"};
    for (size_t i = 0; folder->path[0] != '\0' && i < COUNT_OF(names); i++) {
        char *path CLEANUP(freep) = NULL;
        if (!failed(path_join(folder->path, names[i], &path))) {
            (void)unlink(path);
        }
    }
    if (folder->path[0] != '\0') {
        (void)rmdir(folder->path);
        folder->path[0] = '\0';
    }
}

/* --- the command line --- */

struct words {
    char options[12][OPTION_CHARS];
    size_t option_count;
    const char **items;
    size_t count, size;
};

static void add(struct words *words, const char *word) {
    INVARIANT(words->count + 1 < words->size);
    words->items[words->count++] = word;
}

__attribute__((format(printf, 2, 3))) static void add_option(struct words *words,
                                                             const char *format, ...) {
    INVARIANT(words->option_count < COUNT_OF(words->options));
    char *option = words->options[words->option_count++];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(option, OPTION_CHARS, format, args);
    va_end(args);
    add(words, "-o");
    add(words, option);
}

/* Whatever the user has set up for ssh does not count: it is this key for this job, or nothing. */
static void fill_words(struct words *words, const struct job_ssh *ssh,
                       const struct job_folder *folder) {
    add(words, "ssh");
    add(words, "-F");
    add(words, "none");
    add_option(words, "IdentityFile=%s/key", folder->path);
    add_option(words, "CertificateFile=%s/key-cert.pub", folder->path);
    add_option(words, "IdentitiesOnly=yes");
    add_option(words, "PreferredAuthentications=publickey");
    add_option(words, "StrictHostKeyChecking=yes");
    add_option(words, "UserKnownHostsFile=none");
    add_option(words, "GlobalKnownHostsFile=%s", ssh->known_hosts);
    add_option(words, "HostKeyAlias=%s", ssh->node);
    add_option(words, "HostName=%s", ssh->address[0] != '\0' ? ssh->address : ssh->node);
    add_option(words, "Port=%lld", ssh->port);
    add_option(words, "User=%s", ssh->user);
    for (size_t i = 0; i < ssh->option_count; i++) {
        add(words, ssh->options[i]);
    }
    add(words, "--");
    add(words, ssh->node);
    for (size_t i = 0; i < ssh->command_count; i++) {
        add(words, ssh->command[i]);
    }
    words->items[words->count] = NULL;
}

/* --- the process --- */

static volatile sig_atomic_t child_process;

/* From the terminal it has them already; those that are sent to us alone are meant for it. */
static void pass_on(int signal_number) {
    if (child_process > 0) {
        (void)kill((pid_t)child_process, signal_number);
    }
}

static const int passed[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

static void set_signals(void (*of_terminal)(int), void (*others)(int)) {
    (void)signal(SIGINT, of_terminal);
    (void)signal(SIGQUIT, of_terminal);
    for (size_t i = 0; i < COUNT_OF(passed); i++) {
        (void)signal(passed[i], others);
    }
}

static _Noreturn void become(const char **items) {
    set_signals(SIG_DFL, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)execvp(items[0], (char *const *)(uintptr_t)items);
    (void)fprintf(stderr, "postern: cannot run ssh: %s\n", strerror(errno));
    _exit(STATUS_NOT_FOUND);
}

err_t job_ssh_run(struct cli *cli, const struct job_ssh *ssh, const struct job_folder *folder,
                  int *by_signal) {
    struct words words = {.size = WORDS_MAX + ssh->option_count + ssh->command_count};
    words.items = calloc(words.size, sizeof *words.items);
    const char **items CLEANUP(freep) = words.items;
    if (items == NULL) {
        return FAIL(ERR_MEMORY);
    }
    fill_words(&words, ssh, folder);
    set_signals(SIG_IGN, pass_on);
    pid_t child = fork();
    if (child < 0) {
        return trouble_of(&cli->trouble, err_from_errno(errno), "cannot run ssh");
    }
    if (child == 0) {
        become(items);
    }
    child_process = child;
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    child_process = 0;
    cli->exit = (enum exit_code)(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_INTERNAL);
    *by_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return OK;
}
