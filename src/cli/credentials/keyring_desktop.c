/*
 * The desktop's secret service, through secret-tool. Looking up goes by `secret-tool search`, which
 * shows what is unlocked and leaves the rest alone, where `lookup` would open a dialogue for a
 * program that nobody is watching.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/credentials/keyring_place.h"
#include "cli/process/process.h"

enum { OUTPUT_BYTES_MAX = 256 * 1024, AT_ONCE_MS = LIMIT_KEYRING_S * 1000, FOREVER_MS = 0 };

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

/* The words that name an item. */
static err_t add_name(struct command_line *line, const struct keyring_name *name) {
    const char *const pairs[] = {"application", "posterngate", "site",
                                 name->site,    "kind",        keyring_kind_name(name->kind),
                                 "account",     name->account, NULL};
    return command_line_add_words(line, pairs);
}

/* What it writes to its standard output and error stands in *output in the order of writing. */
static err_t run(const struct command_line *line, span_t input, int timeout_ms,
                 struct buf *output) {
    const struct process_terms terms = {
        .timeout_ms = timeout_ms, .input = input, .both = true, .stranger = true};
    int status = 0;
    TRY(process_ask(line, &terms, output, &status));
    if (status == PROCESS_NOT_FOUND) {
        return FAIL(ERR_UNSUPPORTED);
    }
    return status == 0 ? OK : FAIL(ERR_REFUSED);
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
    struct command_line line CLEANUP(command_line_done) = {0};
    if (!has_bus()) {
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(command_line_add_words(&line, (const char *const[]){"secret-tool", "search", NULL}));
    TRY(add_name(&line, name));
    return run(&line, (span_t){0}, AT_ONCE_MS, output);
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
    struct command_line line CLEANUP(command_line_done) = {0};
    char label[2 * KEYRING_DESCRIPTION_CHARS];
    struct buf output CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    if (!has_bus()) {
        return fault_set(fault, ERR_UNSUPPORTED, "desktop", "this session has no desktop keyring");
    }
    (void)snprintf(label, sizeof label, "--label=Posterngate: %s of %s at %s",
                   keyring_kind_name(name->kind), name->account, name->site);
    TRY(command_line_add_words(&line, (const char *const[]){"secret-tool", "store", label, NULL}));
    TRY(add_name(&line, name));
    err_t err = run(&line, secret_span(secret), FOREVER_MS, &output);
    if (failed(err)) {
        say_why(&output, err, fault);
    }
    return err;
}

static err_t desktop_remove(const struct keyring_name *name) {
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf output CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    /* First without a dialogue: `clear` does not tell "none" from "cannot". */
    if (failed(search(name, &output))) {
        return FAIL(ERR_UNSUPPORTED);
    }
    if (output.len == 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(command_line_add_words(&line, (const char *const[]){"secret-tool", "clear", NULL}));
    TRY(add_name(&line, name));
    return run(&line, (span_t){0}, FOREVER_MS, &output);
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
    const char *const words[] = {"secret-tool", "search",      "--all",
                                 "application", "posterngate", site != NULL ? "site" : NULL,
                                 site,          NULL};
    struct command_line search_all CLEANUP(command_line_done) = {0};
    struct buf output CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    if (!has_bus() || failed(command_line_add_words(&search_all, words)) ||
        failed(run(&search_all, (span_t){0}, AT_ONCE_MS, &output))) {
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
