/* postern key add, list, remove: keys that open the door by themselves, without a certificate. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/authority.h"
#include "cli/document.h"
#include "cli/keys/key.h"
#include "cli/keys/key_file.h"
#include "cli/named.h"
#include "cli/subnets.h"

static err_t show_added(const json_t *answer) {
    const json_t *key = json_object_get(answer, "key");
    char *from CLEANUP(freep) = NULL;
    char until[TIME_CHARS] = "never";
    TRY(subnets_text(key, &from));
    if (member_text(key, "expireTime")[0] != '\0') {
        print_time_cell(member_text(key, "expireTime"), until);
    }
    (void)printf("Registered %s as %s\nGood from:   %s\nExpires:     %s\n",
                 member_text(key, "fingerprint"), member_text(key, "name"), from, until);
    return OK;
}

static err_t add_body(struct cli *cli, const struct arguments *arguments,
                      const struct user_key *key, json_t **out) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char *text CLEANUP(freep) = NULL;
    const char *name = arguments_value(arguments, "name");
    TRY(key_print_line(key->public, NULL, &line));
    TRY(buf_to_str(&line, &text));
    if (name == NULL && key->comment[0] != '\0') {
        name = key->comment; /* what tells keys apart in an authorized_keys file as well */
    }
    json_t *body CLEANUP(json_freep) =
        json_pack("{s:s, s:s*, s:s*}", "publicKey", text, "name", name, "duration",
                  arguments_value(arguments, "duration"));
    TRY(body == NULL ? FAIL(ERR_MEMORY) : subnets_put_from(cli, arguments, body));
    *out = TAKE(body);
    return OK;
}

static err_t add_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct user_key key CLEANUP(user_key_done) = {0};
    json_t *body CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    const char *otherwise = document_key_file(site->document);
    TRY(user_key_find(cli, arguments->word_count > 0 ? arguments->words[0] : otherwise, otherwise,
                      &key));
    TRY(user_key_demand_passphrase(cli, site, &key));
    TRY(add_body(cli, arguments, &key, &body));
    TRY(authority_send(cli, HTTP_POST, "/api/v1/keys", TAKE(body), &answer));
    return cli->json ? print_json(answer) : show_added(answer);
}

static err_t add_row(struct table *table, const json_t *key) {
    char *from CLEANUP(freep) = NULL;
    char until[TIME_CHARS] = "";
    TRY(subnets_text(key, &from));
    if (member_text(key, "expireTime")[0] != '\0') {
        print_time_cell(member_text(key, "expireTime"), until);
    }
    TRY(table_add(table, member_text(key, "id")));
    TRY(table_add(table, member_text(key, "name")));
    TRY(table_add(table, member_text(key, "fingerprint")));
    TRY(table_add(table, from));
    return table_add(table, until);
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    static const char *const columns[] = {"ID", "Name", "Fingerprint", "From", "Expires", NULL};
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *keys = NULL;
    TRY(authority_call(cli, HTTP_GET, "/api/v1/keys", &answer));
    if (cli->json) {
        return print_json(answer);
    }
    TRY(answer_array(cli, answer, "keys", &keys));
    if (json_array_size(keys) == 0) {
        (void)fprintf(stderr, "No keys are registered; postern key add registers one.\n");
    }
    struct table *table CLEANUP(table_freep) = NULL;
    TRY(table_new(columns, &table));
    size_t index;
    json_t *key;
    json_array_foreach(keys, index, key) { TRY(add_row(table, key)); }
    return print_table(table);
}

/* What a person calls the key: its id, its name, its fingerprint, or the file it is in. */
static err_t find_key(struct cli *cli, const json_t *keys, const char *word, const json_t **out) {
    char fingerprint[FINGERPRINT_CHARS];
    struct user_key file CLEANUP(user_key_done) = {0};
    struct named named = {.things = keys, .kind = "key", .list = "postern key list"};
    if (strchr(word, '/') != NULL) {
        TRY(user_key_find(cli, word, word, &file));
        key_fingerprint(file.public, fingerprint);
        named.fingerprint = fingerprint;
    }
    return named_find(cli, &named, word, out);
}

static err_t remove_run(struct cli *cli, const struct arguments *arguments) {
    json_t *listed CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    const json_t *keys = NULL;
    const json_t *key = NULL;
    TRY(authority_call(cli, HTTP_GET, "/api/v1/keys", &listed));
    TRY(answer_array(cli, listed, "keys", &keys));
    TRY(find_key(cli, keys, arguments->words[0], &key));
    TRY(api_path(cli, &path, "/api/v1/keys/", member_text(key, "id"), NULL));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    return authority_done(cli, answer, "Key %s (%s) is removed; what it opened ends now.",
                          member_text(key, "name"), member_text(key, "fingerprint"));
}

static const struct option add_options[] = {
    {0, "name", "NAME", "what to call it; the key's comment when left out"},
    {0, "from", "WHERE", "mine (your present address), everywhere, or a subnet; may be given again",
     .many = true},
    {'d', "duration", "TIME", "how long it stays registered: 30d"},
    {.name = NULL},
};

const struct command command_key_add = {
    .name = "add",
    .arguments = "[FILE]",
    .summary = "Register a key: it lets you in without a certificate",
    .details = "FILE is a private key file, its .pub, or the name of an agent's key. Only the "
               "public half is sent.",
    .options = add_options,
    .words_max = 1,
    .run = add_run,
};

const struct command command_key_list = {
    .name = "list",
    .arguments = "",
    .summary = "List your registered keys",
    .run = list_run,
};

const struct command command_key_remove = {
    .name = "remove",
    .arguments = "ID | NAME | FINGERPRINT | FILE",
    .summary = "Remove a registered key; sessions that it opened end",
    .words_min = 1,
    .words_max = 1,
    .run = remove_run,
};
