/* postern grant create, list, revoke: what a machine may do unattended. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/authority.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "cli/named.h"
#include "cli/subnets.h"

/* ---- create ---- */

static err_t put_clusters(const struct arguments *arguments, json_t *body) {
    json_t *list CLEANUP(json_freep) = json_array();
    size_t at = 0;
    for (const char *name; (name = arguments_next(arguments, "cluster", &at)) != NULL;) {
        if (json_array_append_new(list, json_string(name)) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    return json_array_size(list) == 0 || json_object_set(body, "clusters", list) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static err_t create_body(struct cli *cli, const struct arguments *arguments,
                         const struct user_key *key, json_t **out) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char *text CLEANUP(freep) = NULL;
    const char *name = arguments_value(arguments, "name");
    if (!arguments_has(arguments, "from")) {
        trouble_next(&cli->trouble, "postern grant create --from mine …");
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "say from where the machine may renew: --from mine (this address), "
                           "--from SUBNET, or --from everywhere");
    }
    TRY(key_print_line(key->public, NULL, &line));
    TRY(buf_to_str(&line, &text));
    if (name == NULL && key->comment[0] != '\0') {
        name = key->comment;
    }
    json_t *body CLEANUP(json_freep) =
        json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "publicKey", text, "name", name, "duration",
                  arguments_value(arguments, "duration"), "forceCommand",
                  arguments_value(arguments, "force-command"), "expiresIn",
                  arguments_value(arguments, "lasts"));
    TRY(body == NULL ? FAIL(ERR_MEMORY) : subnets_put_from(cli, arguments, body));
    TRY(put_clusters(arguments, body));
    *out = TAKE(body);
    return OK;
}

static err_t clusters_text(const json_t *grant, char **out) {
    char *text CLEANUP(freep) = NULL;
    TRY(member_join(grant, "clusters", NULL, &text));
    if (text[0] == '\0') {
        free(text);
        text = strdup("all that you reach");
    }
    *out = TAKE(text);
    return *out == NULL ? FAIL(ERR_MEMORY) : OK;
}

static err_t show_created(const json_t *answer) {
    const json_t *grant = json_object_get(answer, "grant");
    char *from CLEANUP(freep) = NULL;
    char *clusters CLEANUP(freep) = NULL;
    char until[TIME_CHARS];
    TRY(subnets_text(grant, &from));
    TRY(clusters_text(grant, &clusters));
    print_time_cell(member_text(grant, "expireTime"), until);
    (void)printf("Grant %s for %s (%s)\n", member_text(grant, "id"), member_text(grant, "name"),
                 member_text(grant, "fingerprint"));
    print_field("Clusters", clusters);
    print_field("From", from);
    print_field("Command", member_text(grant, "forceCommand"));
    print_field("Each lasts", member_text(grant, "duration"));
    print_field("Until", until);
    (void)printf("\nOn the machine that has the key:\n"
                 "  postern refresh -f KEY        or postern-refresh, for programs\n"
                 "To end it:\n"
                 "  postern grant revoke %s\n",
                 member_text(grant, "id"));
    return OK;
}

static err_t create_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct user_key key CLEANUP(user_key_done) = {0};
    json_t *body CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    const char *otherwise = document_key_file(site->document);
    TRY(user_key_find(cli, arguments->word_count > 0 ? arguments->words[0] : otherwise, otherwise,
                      &key));
    TRY(create_body(cli, arguments, &key, &body));
    TRY(authority_send(cli, HTTP_POST, "/api/v1/grants", TAKE(body), &answer));
    return cli->json ? print_json(answer) : show_created(answer);
}

/* ---- list ---- */

static err_t add_row(struct table *table, const json_t *grant) {
    char *from CLEANUP(freep) = NULL;
    char *clusters CLEANUP(freep) = NULL;
    char until[TIME_CHARS] = "", used[TIME_CHARS] = "never";
    TRY(subnets_text(grant, &from));
    TRY(clusters_text(grant, &clusters));
    print_time_cell(member_text(grant, "expireTime"), until);
    if (member_text(grant, "lastUsedTime")[0] != '\0') {
        print_time_cell(member_text(grant, "lastUsedTime"), used);
    }
    TRY(table_add(table, member_text(grant, "id")));
    TRY(table_add(table, member_text(grant, "name")));
    TRY(table_add(table, clusters));
    TRY(table_add(table, from));
    TRY(table_add(table, member_text(grant, "duration")));
    TRY(table_add(table, until));
    TRY(table_add(table, used));
    TRY(table_add(table, member_text(grant, "lastUsedFrom")));
    return table_add(table, member_text(grant, "state"));
}

static err_t list_run(struct cli *cli, const struct arguments *arguments) {
    static const char *const columns[] = {"ID",    "Name",      "Clusters",  "From",  "Each",
                                          "Until", "Last used", "Used from", "State", NULL};
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *grants = NULL;
    const char *path =
        arguments_has(arguments, "all") ? "/api/v1/grants?include_ended=true" : "/api/v1/grants";
    TRY(authority_call(cli, HTTP_GET, path, &answer));
    if (cli->json) {
        return print_json(answer);
    }
    TRY(answer_array(cli, answer, "grants", &grants));
    if (json_array_size(grants) == 0) {
        (void)fprintf(stderr, "No machine renews for you; to let one: postern grant create\n");
    }
    struct table *table CLEANUP(table_freep) = NULL;
    TRY(table_new(columns, &table));
    size_t index;
    json_t *grant;
    json_array_foreach(grants, index, grant) { TRY(add_row(table, grant)); }
    return print_table(table);
}

/* ---- revoke ---- */

static err_t revoke_run(struct cli *cli, const struct arguments *arguments) {
    json_t *listed CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    const json_t *grant = NULL;
    struct named grants = {.kind = "grant", .list = "postern grant list"};
    TRY(authority_call(cli, HTTP_GET, "/api/v1/grants", &listed));
    TRY(answer_array(cli, listed, "grants", &grants.things));
    TRY(named_find(cli, &grants, arguments->words[0], &grant));
    TRY(api_path(cli, &path, "/api/v1/grants/", member_text(grant, "id"), NULL));
    TRY(authority_call(cli, HTTP_DELETE, path, &answer));
    return authority_done(cli, answer, "Grant %s (%s) is revoked, and %lld of its certificates.",
                          member_text(grant, "id"), member_text(grant, "name"),
                          member_number(answer, "certificatesRevoked"));
}

static const struct option create_options[] = {
    {0, "from", "WHERE", "mine (your present address), everywhere, or a subnet; may be given again",
     .many = true},
    {0, "cluster", "NAME", "good for this cluster alone; may be given again", .many = true},
    {'d', "duration", "TIME", "how long each certificate is valid: 1d, 1min"},
    {0, "lasts", "TIME", "until when the machine may renew: 30d"},
    {0, "force-command", "COMMAND", "only good for this command"},
    {0, "name", "NAME", "what to call it; the key's comment when left out"},
    {.name = NULL},
};

static const struct command create = {
    .name = "create",
    .arguments = "[FILE]",
    .summary = "Approve what the holder of a key may do without you",
    .details = "FILE is the machine's key: a private key file, its .pub, or the name of an agent's "
               "key. Only the\npublic half is sent. Asks for a sign-in of the last 15 minutes: "
               "postern login.",
    .options = create_options,
    .words_max = 1,
    .run = create_run,
};

static const struct option list_options[] = {
    {'a', "all", NULL, "also those that have ended", .many = true},
    {.name = NULL},
};

static const struct command list = {
    .name = "list",
    .arguments = "",
    .summary = "List your grants, and when they were used",
    .options = list_options,
    .run = list_run,
};

static const struct command revoke = {
    .name = "revoke",
    .arguments = "ID",
    .summary = "End a grant and the certificates that it gave",
    .details = "Its name or the fingerprint of its key do as well.",
    .words_min = 1,
    .words_max = 1,
    .run = revoke_run,
};

static const struct command *const children[] = {&create, &list, &revoke, NULL};

const struct command command_grant = {
    .name = "grant",
    .arguments = "COMMAND",
    .summary = "Let machines renew certificates without you",
    .children = children,
};
