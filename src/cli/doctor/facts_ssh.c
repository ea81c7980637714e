/* What ssh makes of its configuration, and how far it gets. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/config/ssh_config.h"
#include "cli/doctor/facts.h"
#include "cli/process/process.h"

enum {
    VERSION_MS = 5 * 1000,
    CONFIG_MS = 20 * 1000, /* a Match exec may renew a certificate */
    PROBE_MS = 5 * 1000,
    MASTER_MS = 2 * 1000,
    TRY_MS = 60 * 1000,
    CONFIG_BYTES = 256 * 1024,
};

/* All that it says, as far as there is room: what does not fit is one more line of debugging. */
static err_t ask(const char *const *words, int timeout_ms, struct buf *out, int *status) {
    const struct process_terms terms = {.timeout_ms = timeout_ms, .both = true, .cut = true};
    struct command_line line CLEANUP(command_line_done) = {0};
    TRY(command_line_add_words(&line, words));
    return process_ask(&line, &terms, out, status);
}

static void gather_version(struct facts *facts) {
    static const char *const words[] = {"ssh", "-V", NULL};
    struct buf out CLEANUP(buf_done) = BUF(FACT_NAME_CHARS);
    if (failed(ask(words, VERSION_MS, &out, &facts->ssh_status))) {
        facts->ssh_status = PROCESS_NOT_FOUND;
    }
    span_t text = buf_span(&out);
    span_t line = span_until(&text, '\n');
    struct ssh_version version = {0};
    facts_cut(facts->ssh_text, sizeof facts->ssh_text, line);
    ignore_err(ssh_version_parse(facts->ssh_text, &version)); /* then it is 0 */
    facts->ssh_version = version.major * 100 + version.minor;
}

static void set(char *out, size_t size, span_t value) {
    bool none = span_equal_str(value, "none");
    facts_join(out, size, none ? (span_t){0} : value, (span_t){0});
}

static void add_path(const struct facts *facts, span_t value, struct fact_list *list) {
    if (list->count == FACT_FILES || value.len == 0 || span_equal_str(value, "none")) {
        return;
    }
    bool tilde = value.len > 1 && value.data[0] == '~' && value.data[1] == '/';
    span_t rest = tilde ? span_of(value.data + 1, value.len - 1) : value;
    facts_join(list->items[list->count++], FACT_CHARS, span_str(tilde ? facts->home : ""), rest);
}

static void read_setting(const struct facts *facts, span_t keyword, span_t value,
                         struct fact_ssh *out) {
    const struct {
        const char *keyword;
        char *field;
        size_t size;
    } fields[] = {
        {"hostname", out->hostname, sizeof out->hostname},
        {"port", out->port, sizeof out->port},
        {"user", out->user, sizeof out->user},
        {"proxyjump", out->proxy_jump, sizeof out->proxy_jump},
        {"proxycommand", out->proxy_command, sizeof out->proxy_command},
        {"controlpath", out->control_path, sizeof out->control_path},
        {"userknownhostsfile", out->known_hosts, sizeof out->known_hosts},
    };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (span_equal_str(keyword, fields[i].keyword)) {
            set(fields[i].field, fields[i].size, value);
        }
    }
    if (span_equal_str(keyword, "identitiesonly")) {
        out->identities_only = span_equal_str(value, "yes");
    } else if (span_equal_str(keyword, "identityfile")) {
        add_path(facts, value, &out->identities);
    } else if (span_equal_str(keyword, "certificatefile")) {
        add_path(facts, value, &out->certificates);
    }
}

static void read_config(const struct facts *facts, span_t text, struct fact_ssh *out) {
    while (text.len > 0) {
        span_t line = span_until(&text, '\n');
        span_t keyword = span_until(&line, ' ');
        read_setting(facts, keyword, line, out);
    }
}

static void gather_config(struct facts *facts, struct fact_ssh *out) {
    const char *const words[] = {"ssh", "-G", "--", out->alias, NULL};
    struct buf text CLEANUP(buf_done) = BUF(CONFIG_BYTES);
    int status = 0;
    if (failed(ask(words, CONFIG_MS, &text, &status)) || status != 0) {
        span_t rest = buf_span(&text);
        span_t line = span_until(&rest, '\n');
        line.len -= line.len > 0 && line.data[line.len - 1] == '\r' ? 1 : 0;
        facts_cut(out->said, sizeof out->said, line);
        return;
    }
    out->known = true;
    read_config(facts, buf_span(&text), out);
    out->master = probe_control(out->control_path, MASTER_MS);
}

/* The last of "a,user@b:22" is the one that leads to the target; its name alone. */
static void name_jump(const char *chain, char out[FACT_NAME_CHARS]) {
    const char *comma = strrchr(chain, ',');
    const char *name = comma != NULL ? comma + 1 : chain;
    const char *at = strrchr(name, '@');
    name = at != NULL ? at + 1 : name;
    (void)snprintf(out, FACT_NAME_CHARS, "%s", name);
    char *colon = strrchr(out, ':');
    if (colon != NULL && strchr(out, ']') == NULL) {
        *colon = '\0';
    }
}

/* "ssh -W %h:%p ela": the last word. */
static void name_proxy(const char *command, char out[FACT_NAME_CHARS]) {
    const char *name = strrchr(command, ' ');
    if (strstr(command, " -W ") != NULL && name != NULL) {
        (void)snprintf(out, FACT_NAME_CHARS, "%s", name + 1);
    }
}

static bool is_key(const struct facts *facts, const char *path) {
    return strcmp(path, facts->paths.path) == 0;
}

static void gather_identities(struct facts *facts) {
    for (size_t i = 0; i < facts->target.identities.count; i++) {
        const char *path = facts->target.identities.items[i];
        struct fact_key *identity = &facts->identities[facts->identity_count];
        if (is_key(facts, path)) {
            continue;
        }
        (void)snprintf(identity->file.path, FACT_CHARS, "%s", path);
        facts_read_key(identity);
        facts->identity_count += identity->file.there ? 1 : 0;
    }
}

void facts_gather_ssh(struct facts *facts) {
    gather_version(facts);
    if (facts->target.alias[0] == '\0' || facts->ssh_status != 0) {
        return;
    }
    gather_config(facts, &facts->target);
    gather_identities(facts);
    if (facts->target.proxy_jump[0] != '\0') {
        name_jump(facts->target.proxy_jump, facts->jump.alias);
    } else {
        name_proxy(facts->target.proxy_command, facts->jump.alias);
    }
    if (facts->jump.alias[0] != '\0') {
        gather_config(facts, &facts->jump);
    }
    const struct fact_ssh *first = facts->jump.alias[0] != '\0' ? &facts->jump : &facts->target;
    if (first->known && first->proxy_command[0] == '\0' && first->proxy_jump[0] == '\0') {
        probe_ssh(first->hostname, first->port, PROBE_MS, &facts->first_hop);
    }
}

/* A master that has long been logged in would tell nothing of how to log in. A gate has no command
 * to run, and says who one is instead. */
void facts_try_ssh(struct facts *facts) {
    const char *words[] = {"ssh",
                           "-vvv",
                           "-T",
                           "-o",
                           "ControlMaster=no",
                           "-o",
                           "ControlPath=none",
                           "-o",
                           "ConnectTimeout=15",
                           "--",
                           facts->target.alias,
                           "true",
                           NULL};
    if (facts->target_kind == TARGET_JUMP) {
        words[COUNT_OF(words) - 2] = NULL;
    }
    if (!facts->target.known) {
        return;
    }
    err_t err = ask(words, TRY_MS, &facts->try_text, &facts->try_status);
    facts->timed_out = err.code == ERR_TIMEOUT;
    facts->tried = !failed(err) || facts->timed_out;
    ssh_words_read(buf_span(&facts->try_text), &facts->verdict);
}
