/* postern credentials store, list, remove: secrets for programs to sign in with. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/credentials/keyring.h"
#include "cli/credentials/one_time_code.h"
#include "cli/credentials/record.h"
#include "cli/site.h"
#include "cli/terminal.h"
#include "model/entity.h"

static err_t read_kind(struct cli *cli, const struct arguments *arguments, enum keyring_kind *out) {
    if (failed(keyring_kind_parse(span_str(arguments->words[0]), out))) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "there is no credential %s; there are password, totp and api-key",
                           arguments->words[0]);
    }
    return OK;
}

/* An API key is an account's by itself. */
static err_t read_account(struct cli *cli, const struct arguments *arguments,
                          const struct site *site, enum keyring_kind kind, const char **out) {
    const char *given = arguments_value(arguments, "user");
    struct fault fault = {0};
    if (kind == KEYRING_API_KEY) {
        *out = KEYRING_NO_ACCOUNT;
        return given == NULL ? OK
                             : trouble_set(&cli->trouble, EXIT_USAGE,
                                           "an API key knows whose it is; leave --user out");
    }
    if (given == NULL && site->username == NULL) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "whose it is must be said: --user NAME");
    }
    const char *account = given != NULL ? given : site->username;
    if (failed(account_name_check(span_str(account), &fault))) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s: %s", account, fault.reason);
    }
    *out = account;
    return OK;
}

static err_t read_place(struct cli *cli, const struct arguments *arguments,
                        enum keyring_place *out) {
    const char *given = arguments_value(arguments, "keyring");
    enum keyring_place place = KEYRING_ANY;
    while (given != NULL && place < KEYRING_PLACES &&
           strcmp(given, keyring_place_name(place)) != 0) {
        place++;
    }
    if (place == KEYRING_PLACES) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "there is no keyring %s; write desktop or kernel", given);
    }
    *out = place;
    return OK;
}

/* One line, its end left out; read by hand, for a stream's buffer would keep a copy. */
static err_t read_input(struct cli *cli, secret_t *out) {
    char line[LIMIT_KEYRING_SECRET_BYTES + 2];
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < sizeof line) {
        got = read(STDIN_FILENO, line + len, sizeof line - len);
        got = got < 0 && errno == EINTR ? 1 : got;
        len += got > 0 ? (size_t)got : 0;
    }
    span_t text = span_of(line, len);
    span_t first = span_until(&text, '\n');
    err_t err = got < 0 || text.len > 0 ? FAIL(ERR_MALFORMED)
                                        : secret_copy(first, LIMIT_KEYRING_SECRET_BYTES, out);
    secret_wipe(line, sizeof line);
    return failed(err) ? trouble_set(&cli->trouble, EXIT_USAGE,
                                     "standard input must be one line of at most %d bytes",
                                     (int)LIMIT_KEYRING_SECRET_BYTES)
                       : OK;
}

static err_t ask(struct cli *cli, enum keyring_kind kind, secret_t *out) {
    static const char *const prompts[] = {
        [KEYRING_PASSWORD] = "Password: ",
        [KEYRING_TOTP] = "TOTP secret (base32, or the otpauth:// address): ",
        [KEYRING_API_KEY] = "API key: ",
    };
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    if (failed(terminal_open(&terminal))) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "there is no terminal to ask at; --stdin reads standard input");
    }
    err_t err = terminal_ask_secret(terminal, prompts[kind], out);
    return failed(err) ? trouble_set(&cli->trouble, EXIT_USAGE, "nothing was answered") : OK;
}

/* What can be known to be wrong without asking the authority. */
static err_t check(struct cli *cli, enum keyring_kind kind, secret_t *secret) {
    static const char api_key[] = "pgk_";
    struct trouble *trouble = &cli->trouble;
    if (secret->len == 0) {
        return trouble_set(trouble, EXIT_USAGE, "nothing was answered");
    }
    if (kind == KEYRING_API_KEY && strncmp(secret->text, api_key, strlen(api_key)) != 0) {
        return trouble_set(trouble, EXIT_USAGE, "that is no API key: they begin with %s", api_key);
    }
    if (kind == KEYRING_PASSWORD && secret->len > LIMIT_PASSWORD_CHARS_MAX) {
        return trouble_set(trouble, EXIT_USAGE, "no password has more than %d characters",
                           (int)LIMIT_PASSWORD_CHARS_MAX);
    }
    if (kind != KEYRING_TOTP) {
        return OK;
    }
    secret_t clean CLEANUP(secret_done) = {0};
    err_t err = one_time_secret_parse(secret_span(secret), &clean);
    if (failed(err)) {
        return trouble_set(trouble, EXIT_USAGE, "that is no TOTP secret: %s",
                           err.code == ERR_UNSUPPORTED
                               ? "its codes are not those of six digits, each 30 s, by SHA-1"
                           : err.code == ERR_RANGE ? "it is too short or too long"
                                                   : "it has other characters than A-Z and 2-7");
    }
    secret_t given = *secret;
    *secret = clean;
    clean = given;
    return OK;
}

static err_t report(struct cli *cli, const struct keyring_name *name, enum keyring_place place) {
    const char *kind = keyring_kind_name(name->kind);
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:s, s:s, s:s, s:s}", "site", name->site, "kind", kind, "account",
                      name->account, "keyring", keyring_place_name(place));
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf("Stored the %s in the %s keyring.\n", kind, keyring_place_name(place));
    if (place == KEYRING_KERNEL) {
        (void)printf("It is memory alone: it ends when this machine starts anew, and when nothing "
                     "has asked for it in three days.\n");
    }
    if (name->kind == KEYRING_TOTP) {
        (void)printf("Whoever can use this account of the machine now has both of your factors: "
                     "make sure that %s allows that.\n",
                     name->site);
    }
    return OK;
}

static err_t store_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct keyring_name name = {0};
    enum keyring_place place = KEYRING_ANY;
    secret_t secret CLEANUP(secret_done) = {0};
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(read_kind(cli, arguments, &name.kind));
    TRY(read_account(cli, arguments, site, name.kind, &name.account));
    TRY(read_place(cli, arguments, &place));
    TRY(arguments_has(arguments, "stdin") ? read_input(cli, &secret)
                                          : ask(cli, name.kind, &secret));
    TRY(check(cli, name.kind, &secret));
    name.site = site->name;
    TRY(keyring_store(&cli->trouble, &name, &secret, place, &place));
    record_forget(site->name);
    if (name.kind != KEYRING_API_KEY &&
        (site->username == NULL || strcmp(site->username, name.account) != 0)) {
        /* Who signs in here from now on. */
        char *username = strdup(name.account);
        if (username == NULL) {
            return FAIL(ERR_MEMORY);
        }
        free(site->username);
        site->username = username;
        name.account = username;
        TRY(site_save(&cli->trouble, site));
    }
    return report(cli, &name, place);
}

static err_t remove_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct keyring_name name = {0};
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(read_kind(cli, arguments, &name.kind));
    TRY(read_account(cli, arguments, site, name.kind, &name.account));
    name.site = site->name;
    err_t err = keyring_remove(&cli->trouble, &name);
    if (err.code == ERR_NOT_FOUND) {
        trouble_next(&cli->trouble, "postern credentials list");
        return trouble_set(&cli->trouble, EXIT_MISSING, "no %s is stored",
                           keyring_kind_name(name.kind));
    }
    TRY(err);
    record_forget(site->name);
    if (cli->json) {
        json_t *empty CLEANUP(json_freep) = json_object();
        return print_json(empty);
    }
    (void)printf("Removed the %s.\n", keyring_kind_name(name.kind));
    return OK;
}

static bool was_refused(const struct keyring_entry *entry) {
    const struct keyring_name name = {entry->site, entry->kind, entry->account};
    return record_is_refused(&name);
}

static err_t list_json(const struct keyring_list *list) {
    json_t *rows = json_array();
    json_t *shown CLEANUP(json_freep) = json_pack("{s:o}", "credentials", rows);
    if (shown == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct keyring_entry *entry = &list->entries[i];
        json_t *row =
            json_pack("{s:s, s:s, s:s, s:s, s:b}", "site", entry->site, "kind",
                      keyring_kind_name(entry->kind), "account", entry->account, "keyring",
                      keyring_place_name(entry->place), "refused", was_refused(entry));
        if (json_array_append_new(rows, row) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    return print_json(shown);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    static const char *const columns[] = {"Site", "Credential", "Account", "Keyring", "", NULL};
    struct keyring_list *list CLEANUP(freep) = calloc(1, sizeof *list);
    struct table *table CLEANUP(table_freep) = NULL;
    TRY(list == NULL ? FAIL(ERR_MEMORY) : table_new(columns, &table));
    keyring_list(cli->site, list);
    if (cli->json) {
        return list_json(list);
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct keyring_entry *entry = &list->entries[i];
        TRY(table_add(table, entry->site));
        TRY(table_add(table, keyring_kind_name(entry->kind)));
        TRY(table_add(table, entry->account));
        TRY(table_add(table, keyring_place_name(entry->place)));
        TRY(table_add(table, was_refused(entry) ? "refused by the authority" : ""));
    }
    return print_table(table);
}

#define USER_OPTION                                                                                \
    { 'u', "user", "NAME", "whose; who signed in here last otherwise" }

static const struct option store_options[] = {
    USER_OPTION,
    {0, "keyring", "PLACE", "desktop or kernel; the desktop's where there is one otherwise"},
    {0, "stdin", NULL, "read it from standard input, a line", .many = true},
    {.name = NULL},
};

static const struct option remove_options[] = {USER_OPTION, {.name = NULL}};

static const struct command store_command = {
    .name = "store",
    .arguments = "password|totp|api-key",
    .summary = "Keep a secret in the keyring, for postern-refresh to sign in with",
    .details =
        "It is asked for at the terminal. The desktop's keyring is used through secret-tool\n"
        "(package libsecret-tools); the kernel's is memory: it ends with the machine's reboot.",
    .options = store_options,
    .words_min = 1,
    .words_max = 1,
    .run = store_run,
};

static const struct command list_command = {
    .name = "list",
    .arguments = "",
    .summary = "Say what is stored, and where",
    .run = list_run,
};

static const struct command remove_command = {
    .name = "remove",
    .arguments = "password|totp|api-key",
    .summary = "Remove a secret from every keyring",
    .options = remove_options,
    .words_min = 1,
    .words_max = 1,
    .run = remove_run,
};

static const struct command *const children[] = {&store_command, &list_command, &remove_command,
                                                 NULL};

const struct command command_credentials = {
    .name = "credentials",
    .arguments = "COMMAND",
    .summary = "Keep secrets in a keyring, for postern-refresh to sign in with",
    .children = children,
};
