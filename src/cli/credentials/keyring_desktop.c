/*
 * The desktop's secret service, through secret-tool. Looking up goes by `secret-tool search`, which
 * shows what is unlocked and leaves the rest alone, where `lookup` would open a dialogue for a
 * program that nobody is watching.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/credentials/keyring_place.h"

enum { WORDS_MAX = 16, OUTPUT_BYTES_MAX = 256 * 1024, CHUNK_BYTES = 4096, FOREVER = -1 };

/* Without a bus secret-tool would start one of its own, and keep the secret there. */
static bool has_bus(void) {
    const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char *path CLEANUP(freep) = NULL;
    if (address != NULL && address[0] != '\0') {
        return true;
    }
    return runtime != NULL && runtime[0] == '/' && !failed(path_join(runtime, "bus", &path)) &&
           access(path, F_OK) == 0;
}

/* What is in ours for postern alone, an API key first of all, is no other program's business. */
static err_t child_environment(char ***out) {
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **kept = calloc(count + 1, sizeof *kept);
    if (kept == NULL) {
        return FAIL(ERR_MEMORY);
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "POSTERN_", strlen("POSTERN_")) != 0) {
            kept[at++] = environ[i];
        }
    }
    *out = kept;
    return OK;
}

static err_t spawn(char *const *words, int input, int output, pid_t *pid) {
    char **environment CLEANUP(freep) = NULL;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;
    TRY(child_environment(&environment));
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return FAIL(ERR_MEMORY);
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return FAIL(ERR_MEMORY);
    }
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGPIPE);
    (void)posix_spawnattr_setsigdefault(&attributes, &usual);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int failure = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    failure |= posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    failure |= posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    if (failure == 0) {
        failure = posix_spawnp(pid, words[0], &actions, &attributes, words, environment);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failure != 0 ? FAIL(ERR_UNSUPPORTED) : OK;
}

static err_t read_until(int fd, int64_t deadline_ms, struct buf *output) {
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_ms == FOREVER ? FOREVER : deadline_ms - clock_monotonic_ms();
        if (deadline_ms != FOREVER && left <= 0) {
            return FAIL(ERR_TIMEOUT);
        }
        int count = poll(&ready, 1, (int)left);
        if (count < 0 && errno != EINTR) {
            return err_from_errno(errno);
        }
        if (count <= 0) {
            continue;
        }
        uint8_t *to = NULL;
        TRY(buf_extend(output, CHUNK_BYTES, &to));
        ssize_t got = read(fd, to, CHUNK_BYTES);
        output->len -= got < 0 ? CHUNK_BYTES : CHUNK_BYTES - (size_t)got;
        if (got < 0 && errno != EINTR) {
            return err_from_errno(errno);
        }
        if (got == 0) {
            return OK;
        }
    }
}

/* The input is shorter than what a pipe holds, so that writing it first never waits. */
static err_t talk(pid_t pid, int to, int from, span_t input, int timeout_ms, struct buf *output) {
    ssize_t put = input.len == 0 ? 0 : write(to, input.data, input.len);
    (void)close(to);
    int64_t deadline = timeout_ms == FOREVER ? FOREVER : clock_monotonic_ms() + timeout_ms;
    err_t err = put == (ssize_t)input.len ? read_until(from, deadline, output) : FAIL(ERR_IO);
    if (failed(err)) {
        (void)kill(pid, SIGKILL);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    TRY(err);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        return FAIL(ERR_UNSUPPORTED); /* there is no such program */
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? OK : FAIL(ERR_REFUSED);
}

/* What it writes to its standard output and error stands in *output in the order of writing. */
static err_t run(char *const *words, span_t input, int timeout_ms, struct buf *output) {
    int in[2];
    int out[2];
    pid_t pid = -1;
    if (pipe2(in, O_CLOEXEC) != 0) {
        return err_from_errno(errno);
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        err_t err = err_from_errno(errno);
        (void)close(in[0]);
        (void)close(in[1]);
        return err;
    }
    err_t err = spawn(words, in[0], out[1], &pid);
    (void)close(in[0]);
    (void)close(out[1]);
    if (failed(err)) {
        (void)close(in[1]);
    } else {
        err = talk(pid, in[1], out[0], input, timeout_ms, output);
    }
    (void)close(out[0]);
    return err;
}

/* The words that name an item, after those that are there. */
static void add_attributes(const char **words, size_t count, const struct keyring_name *name) {
    const char *const pairs[] = {"application", "posterngate", "site",
                                 name->site,    "kind",        keyring_kind_name(name->kind),
                                 "account",     name->account, NULL};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        INVARIANT(count < WORDS_MAX);
        words[count++] = pairs[i];
    }
}

/* posix_spawn() takes words that it does not change as if it would. */
static char *const *spawn_words(const char *const *words) {
    union {
        const char *const *given;
        char *const *taken;
    } same = {.given = words};
    return same.taken;
}

/* The next line of *text without its end; false when there is none. */
static bool next_line(span_t *text, span_t *line) {
    if (text->len == 0) {
        return false;
    }
    *line = span_until(text, '\n');
    return true;
}

/* The value of "NAME = VALUE". */
static bool value_of(span_t line, const char *start, span_t *value) {
    size_t len = strlen(start);
    if (line.len < len || memcmp(line.data, start, len) != 0) {
        return false;
    }
    *value = span_of(line.data + len, line.len - len);
    return true;
}

static err_t search(const struct keyring_name *name, struct buf *output) {
    const char *words[WORDS_MAX] = {"secret-tool", "search"};
    if (!has_bus()) {
        return FAIL(ERR_UNSUPPORTED);
    }
    add_attributes(words, 2, name);
    return run(spawn_words(words), (span_t){0}, LIMIT_KEYRING_S * 1000, output);
}

static err_t desktop_lookup(const struct keyring_name *name, secret_t *out) {
    struct buf output CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    TRY(search(name, &output));
    span_t text = buf_span(&output);
    span_t line;
    span_t value;
    while (next_line(&text, &line)) {
        if (value_of(line, "secret = ", &value)) {
            return secret_copy(value, LIMIT_KEYRING_SECRET_BYTES, out);
        }
    }
    return FAIL(ERR_NOT_FOUND); /* or locked */
}

static void say_why(const struct buf *output, err_t err, struct fault *fault) {
    span_t text = buf_span(output);
    span_t line = {0};
    span_t last = {0};
    while (next_line(&text, &line)) {
        last = line.len > 0 ? line : last;
    }
    (void)value_of(last, "secret-tool: ", &last);
    ignore_err(last.len > 0
                   ? fault_set(fault, err.code, "desktop", "secret-tool says: %.*s", (int)last.len,
                               (const char *)last.data)
                   : fault_set(fault, err.code, "desktop", "secret-tool: %s",
                               err.code == ERR_UNSUPPORTED ? "not installed" : err_text(err)));
}

static err_t desktop_store(const struct keyring_name *name, const secret_t *secret,
                           struct fault *fault) {
    const char *words[WORDS_MAX] = {"secret-tool", "store"};
    char label[2 * KEYRING_DESCRIPTION_CHARS];
    struct buf output CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    if (!has_bus()) {
        return fault_set(fault, ERR_UNSUPPORTED, "desktop", "this session has no desktop keyring");
    }
    (void)snprintf(label, sizeof label, "--label=Posterngate: %s of %s at %s",
                   keyring_kind_name(name->kind), name->account, name->site);
    words[2] = label;
    add_attributes(words, 3, name);
    err_t err = run(spawn_words(words), secret_span(secret), FOREVER, &output);
    if (failed(err)) {
        say_why(&output, err, fault);
    }
    return err;
}

static err_t desktop_remove(const struct keyring_name *name) {
    const char *words[WORDS_MAX] = {"secret-tool", "clear"};
    struct buf output CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    /* First without a dialogue: `clear` does not tell "none" from "cannot". */
    if (failed(search(name, &output))) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (output.len == 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    add_attributes(words, 2, name);
    return run(spawn_words(words), (span_t){0}, FOREVER, &output);
}

/* The attributes of an item stand together, in any order; once all are there it is complete. */
struct item {
    span_t site;
    span_t kind;
    span_t account;
};

static void take_item(struct item *item, struct keyring_list *out) {
    struct keyring_entry entry = {.place = KEYRING_DESKTOP};
    struct buf description CLEANUP(buf_done) = BUF(4 * KEYRING_DESCRIPTION_CHARS);
    if (item->site.len == 0 || item->kind.len == 0 || item->account.len == 0) {
        return;
    }
    err_t err = buf_add_format(&description, "posterngate:%.*s:%.*s:%.*s", (int)item->site.len,
                               (const char *)item->site.data, (int)item->kind.len,
                               (const char *)item->kind.data, (int)item->account.len,
                               (const char *)item->account.data);
    if (!failed(err) && !failed(keyring_entry_parse(buf_span(&description), &entry)) &&
        out->count < COUNT_OF(out->entries)) {
        out->entries[out->count++] = entry;
    }
    *item = (struct item){0};
}

static void desktop_list(const char *site, struct keyring_list *out) {
    const char *words[WORDS_MAX] = {"secret-tool", "search", "--all", "application", "posterngate"};
    struct buf output CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    if (site != NULL) {
        words[5] = "site";
        words[6] = site;
    }
    if (!has_bus() ||
        failed(run(spawn_words(words), (span_t){0}, LIMIT_KEYRING_S * 1000, &output))) {
        return;
    }
    struct item item = {0};
    span_t text = buf_span(&output);
    span_t line;
    while (next_line(&text, &line)) {
        (void)(value_of(line, "attribute.site = ", &item.site) ||
               value_of(line, "attribute.kind = ", &item.kind) ||
               value_of(line, "attribute.account = ", &item.account));
        take_item(&item, out);
    }
}

const struct keyring_keeper keyring_desktop = {
    .store = desktop_store,
    .lookup = desktop_lookup,
    .remove = desktop_remove,
    .list = desktop_list,
};
