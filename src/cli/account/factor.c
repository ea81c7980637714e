/* postern account: how one signs in – passkeys, one-time codes, recovery codes, the password. */
#include <stdio.h>
#include <string.h>

#include "cli/account/ask.h"
#include "cli/account/left.h"
#include "cli/authority.h"
#include "cli/browser.h"

static err_t open_terminal(struct cli *cli, struct terminal **out) {
    return failed(terminal_open(out))
               ? trouble_set(&cli->trouble, EXIT_USAGE, "there is no terminal to ask at")
               : OK;
}

/* ---- list ---- */

static err_t add_row(struct table *table, const char *name, const char *kind, const char *created,
                     const char *used, const char *state) {
    char when_created[TIME_CHARS] = "", when_used[TIME_CHARS] = "";
    if (created[0] != '\0') {
        print_time_cell(created, when_created);
    }
    if (used[0] != '\0') {
        print_time_cell(used, when_used);
    }
    TRY(table_add(table, name));
    TRY(table_add(table, kind));
    TRY(table_add(table, when_created));
    TRY(table_add(table, when_used));
    return table_add(table, state);
}

static err_t add_passkey(struct table *table, const json_t *passkey) {
    return add_row(table, member_text(passkey, "name"),
                   member_true(passkey, "synced") ? "passkey, synced" : "passkey or security key",
                   member_text(passkey, "createTime"), member_text(passkey, "lastUseTime"),
                   member_true(passkey, "locked") ? "locked: remove it" : "good");
}

static err_t show_list(struct cli *cli, const json_t *answer) {
    static const char *const columns[] = {"Name", "Kind", "Added", "Last used", "State", NULL};
    struct table *table CLEANUP(table_freep) = NULL;
    const json_t *passkeys = NULL;
    char left[32];
    long long codes = member_number(answer, "recoveryCodesLeft");
    TRY(answer_array(cli, answer, "passkeys", &passkeys));
    TRY(table_new(columns, &table));
    TRY(add_row(table, "password", "password", "", "",
                member_true(answer, "password") ? "good" : "none"));
    TRY(add_row(table, "authenticator", "one-time codes", "", "",
                member_true(answer, "totp") ? "good" : "none"));
    (void)snprintf(left, sizeof left, "%lld left", codes);
    TRY(add_row(table, "recovery codes", "recovery codes", "", "", left));
    size_t index;
    json_t *passkey;
    json_array_foreach(passkeys, index, passkey) { TRY(add_passkey(table, passkey)); }
    if (codes == 0) {
        (void)fprintf(stderr, "Without your authenticator you could not sign in; to have codes for "
                              "that day: postern account factor recovery-codes\n");
    }
    return print_table(table);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(authority_call(cli, HTTP_GET, "/api/v1/auth/factors", &answer));
    return cli->json ? print_json(answer) : show_list(cli, answer);
}

/* ---- add-totp ---- */

static err_t confirm_totp(struct cli *cli, struct terminal *terminal) {
    for (int tries = 1;; tries++) {
        char code[ASK_CODE_CHARS];
        json_t *answer CLEANUP(json_freep) = NULL;
        TRY(ask_code(terminal, false, code));
        err_t err = authority_send(cli, HTTP_POST, "/api/v1/auth/totp/confirm",
                                   json_pack("{s:s}", "totp", code), &answer);
        if (!failed(err)) {
            return authority_done(cli, answer,
                                  "Codes of this authenticator count from now on; those of the one "
                                  "before do not.");
        }
        if (tries == ASK_TRIES || cli->trouble.exit != EXIT_LOGIN) {
            return err;
        }
        terminal_print(terminal, "%s\n", cli->trouble.what);
        cli->trouble = (struct trouble){0};
    }
}

static err_t add_totp_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    json_t *offer CLEANUP(json_freep) = NULL;
    const char *secret = NULL, *uri = NULL;
    TRY(open_terminal(cli, &terminal));
    TRY(authority_send(cli, HTTP_POST, "/api/v1/auth/totp", json_object(), &offer));
    TRY(answer_text(cli, offer, "totpSecret", &secret));
    TRY(answer_text(cli, offer, "totpUri", &uri));
    ask_show_totp_secret(terminal, uri, secret);
    return confirm_totp(cli, terminal);
}

/* ---- add-passkey ---- */

static err_t add_passkey_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    struct site *site CLEANUP(site_freep) = NULL;
    struct buf url CLEANUP(buf_done) = BUF(2048);
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(buf_add_format(&url, "%s/passkeys", site->url));
    TRY(buf_add_byte(&url, '\0'));
    json_t *answer CLEANUP(json_freep) = json_pack("{s:s}", "url", (const char *)url.data);
    TRY(answer == NULL ? FAIL(ERR_MEMORY) : OK);
    browser_open((const char *)url.data);
    return authority_done(cli, answer,
                          "Passkeys are added in a browser; if none has opened, go to\n  %s",
                          (const char *)url.data);
}

/* ---- one of them ---- */

/* What the list shows beside passkeys stays, so that nobody is left without a way in. */
static err_t refuse_word(struct cli *cli, const char *word) {
    static const struct {
        const char *name, *replace;
    } kept[] = {
        {"password", "postern account password"},
        {"authenticator", "postern account factor add-totp"},
        {"recovery codes", "postern account factor recovery-codes"},
    };
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        if (strcmp(word, kept[i].name) == 0) {
            trouble_next(&cli->trouble, "%s", kept[i].replace);
            return trouble_set(&cli->trouble, EXIT_USAGE, "%s cannot be removed, only replaced",
                               word);
        }
    }
    trouble_next(&cli->trouble, "postern account factor list");
    return trouble_set(&cli->trouble, EXIT_MISSING, "you have no passkey %s", word);
}

static err_t find_passkey(struct cli *cli, const json_t *passkeys, const char *word,
                          const json_t **out) {
    const json_t *found = NULL;
    size_t index, count = 0;
    json_t *passkey;
    json_array_foreach(passkeys, index, passkey) {
        if (strcmp(member_text(passkey, "id"), word) == 0 ||
            strcmp(member_text(passkey, "name"), word) == 0) {
            found = passkey;
            count++;
        }
    }
    if (count == 0) {
        return refuse_word(cli, word);
    }
    if (count > 1) {
        trouble_next(&cli->trouble, "postern account factor list --json");
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "%s is more than one passkey; say which by its id", word);
    }
    *out = found;
    return OK;
}

/* Its path, and its name as it is listed. */
static err_t look_up(struct cli *cli, const char *word, char **path, json_t **name) {
    json_t *listed CLEANUP(json_freep) = NULL;
    const json_t *passkeys = NULL, *passkey = NULL;
    TRY(authority_call(cli, HTTP_GET, "/api/v1/auth/factors", &listed));
    TRY(answer_array(cli, listed, "passkeys", &passkeys));
    TRY(find_passkey(cli, passkeys, word, &passkey));
    TRY(api_path(cli, path, "/api/v1/auth/webauthn/passkeys/", member_text(passkey, "id"), NULL));
    *name = json_incref(json_object_get(passkey, "name"));
    return OK;
}

static err_t rename_run(struct cli *cli, const struct arguments *arguments) {
    json_t *name CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(look_up(cli, arguments->words[0], &path, &name));
    TRY(authority_send(cli, HTTP_PUT, path, json_pack("{s:s}", "name", arguments->words[1]),
                       &answer));
    return authority_done(cli, answer, "%s is called %s now.", json_string_value(name),
                          arguments->words[1]);
}

static err_t remove_run(struct cli *cli, const struct arguments *arguments) {
    json_t *name CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(look_up(cli, arguments->words[0], &path, &name));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    return authority_done(cli, answer, "%s lets in nobody any more.", json_string_value(name));
}

/* ---- recovery-codes ---- */

static err_t recovery_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *codes = NULL;
    TRY(authority_send(cli, HTTP_POST, "/api/v1/auth/recovery-codes", json_object(), &answer));
    TRY(answer_array(cli, answer, "recoveryCodes", &codes));
    if (cli->json) {
        return print_json(answer);
    }
    (void)fprintf(stderr, "Each of these is good once in place of a code from your authenticator; "
                          "those of before are good no more.\nPrint them, or keep them where your "
                          "passwords are: they are not shown again.\n\n");
    size_t index;
    json_t *code;
    json_array_foreach(codes, index, code) { (void)printf("%s\n", json_string_value(code)); }
    return OK;
}

/* ---- password ---- */

static err_t password_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    secret_t current CLEANUP(secret_done) = {0};
    secret_t wanted CLEANUP(secret_done) = {0};
    json_t *factors CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(open_terminal(cli, &terminal));
    TRY(authority_call(cli, HTTP_GET, "/api/v1/auth/factors", &factors)); /* before anybody types */
    TRY(terminal_ask_secret(terminal, "Present password: ", &current));
    TRY(ask_new_password(terminal, &wanted));
    TRY(authority_send(cli, HTTP_PUT, "/api/v1/auth/password",
                       json_pack("{s:s, s:s}", "currentPassword",
                                 current.len > 0 ? current.text : "", "newPassword", wanted.text),
                       &answer));
    TRY(authority_done(cli, answer,
                       "The password is changed, and every sign-in has ended, this one included; "
                       "next: postern login"));
    if (!cli->json) {
        left_print(json_object_get(answer, "left"), NULL);
    }
    return OK;
}

/* ---- the words ---- */

#define ASKS_FOR_SIGN_IN "Asks for a sign-in of the last 15 minutes: postern login."

static const struct command list = {
    .name = "list",
    .arguments = "",
    .summary = "List what you can sign in with",
    .run = list_run,
};

static const struct command add_totp = {
    .name = "add-totp",
    .arguments = "",
    .summary = "Take another authenticator app, in place of the one before",
    .details = ASKS_FOR_SIGN_IN,
    .run = add_totp_run,
};

static const struct command add_passkey_command = {
    .name = "add-passkey",
    .arguments = "",
    .summary = "Add a passkey or security key, in the browser",
    .run = add_passkey_run,
};

static const struct command rename_command = {
    .name = "rename",
    .arguments = "NAME NEW",
    .summary = "Give a passkey or security key another name",
    .details = "Its id does as well.",
    .words_min = 2,
    .words_max = 2,
    .run = rename_run,
};

static const struct command remove_command = {
    .name = "remove",
    .arguments = "NAME",
    .summary = "Remove a passkey or security key",
    .details = "Its id does as well. " ASKS_FOR_SIGN_IN,
    .words_min = 1,
    .words_max = 1,
    .run = remove_run,
};

static const struct command recovery = {
    .name = "recovery-codes",
    .arguments = "",
    .summary = "Make ten codes for the day you are without your authenticator",
    .details = ASKS_FOR_SIGN_IN,
    .run = recovery_run,
};

static const struct command *const factor_children[] = {
    &list, &add_totp, &add_passkey_command, &rename_command, &remove_command, &recovery, NULL};

static const struct command factor = {
    .name = "factor",
    .arguments = "COMMAND",
    .summary = "Passkeys, one-time codes and recovery codes",
    .children = factor_children,
};

static const struct command password = {
    .name = "password",
    .arguments = "",
    .summary = "Change your password",
    .details = ASKS_FOR_SIGN_IN,
    .run = password_run,
};

static const struct command *const children[] = {&factor, &password, NULL};

const struct command command_account = {
    .name = "account",
    .arguments = "COMMAND",
    .summary = "How you sign in: factors and password",
    .children = children,
};
