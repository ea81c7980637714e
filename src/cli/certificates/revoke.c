/* postern revoke, revoke-all: certificates end now, live sessions included. */
#include <stdio.h>

#include "base/text.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/site.h"
#include "cli/terminal.h"

static err_t open_api(struct cli *cli, struct site **site, struct api **api) {
    TRY(site_open(&cli->trouble, cli->site, site));
    return api_open(cli, *site, API_SIGNED_IN, api);
}

static err_t confirm(struct cli *cli, const char *username) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    if (failed(terminal_open(&terminal))) {
        trouble_next(&cli->trouble, "postern revoke-all --yes");
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "there is no terminal to confirm at; say --yes");
    }
    terminal_print(terminal,
                   "Every valid certificate of %s ends now, and the sessions opened with it.\n",
                   username != NULL ? username : "yours");
    bool yes = false;
    TRY(terminal_confirm(terminal, "Revoke all? [y/N] ", &yes));
    return yes ? OK : trouble_set(&cli->trouble, EXIT_REFUSED, "nothing was revoked");
}

static err_t revoke_all(struct cli *cli, const struct arguments *arguments, const char *username) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(open_api(cli, &site, &api));
    TRY(arguments_has(arguments, "yes") ? OK : confirm(cli, username));
    TRY(api_send(api, HTTP_PUT, "/api/v1/ssh-keys/revoke-all",
                 json_pack("{s:s*, s:s*}", "reason", arguments_value(arguments, "reason"),
                           "username", username),
                 &answer));
    if (cli->json) {
        return print_json(answer);
    }
    (void)printf("Revoked: %lld\n", member_number(answer, "revoked"));
    return OK;
}

static err_t revoke_one(struct cli *cli, const struct arguments *arguments, const char *serial) {
    uint64_t number = 0;
    if (failed(u64_parse(span_str(serial), &number)) || number == 0) {
        trouble_next(&cli->trouble, "postern list");
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s is no serial number", serial);
    }
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(open_api(cli, &site, &api));
    TRY(api_send(api, HTTP_PUT, "/api/v1/ssh-keys/revoke",
                 json_pack("{s:s, s:s*}", "serialNumber", serial, "reason",
                           arguments_value(arguments, "reason")),
                 &answer));
    if (cli->json) {
        return print_json(answer);
    }
    (void)printf("Revoked: %s\n", serial);
    return OK;
}

static err_t revoke_run(struct cli *cli, const struct arguments *arguments) {
    const char *serial = arguments_value(arguments, "serial");
    const char *word = arguments->word_count > 0 ? arguments->words[0] : NULL;
    bool all = arguments_has(arguments, "all");
    if ((serial != NULL) + (word != NULL) + (int)all != 1) {
        trouble_next(&cli->trouble, "postern list\npostern revoke SERIAL");
        return trouble_set(&cli->trouble, EXIT_USAGE, "give one serial number, or --all");
    }
    return all ? revoke_all(cli, arguments, NULL)
               : revoke_one(cli, arguments, serial != NULL ? serial : word);
}

static err_t revoke_all_run(struct cli *cli, const struct arguments *arguments) {
    return revoke_all(cli, arguments, arguments_value(arguments, "user"));
}

static const struct option revoke_options[] = {
    {0, "serial", "SERIAL", "the certificate's serial number, as `postern list` shows it"},
    {'a', "all", NULL, "all your valid certificates", .many = true},
    {0, "reason", "TEXT", "kept with the revocation"},
    {'y', "yes", NULL, "do not ask before revoking all", .many = true},
    {.name = NULL},
};

const struct command command_revoke = {
    .name = "revoke",
    .arguments = "SERIAL | --serial SERIAL | --all",
    .summary = "End a certificate now",
    .options = revoke_options,
    .words_max = 1,
    .run = revoke_run,
};

static const struct option revoke_all_options[] = {
    {0, "reason", "TEXT", "kept with the revocation"},
    {'u', "user", "NAME", "those of another account; administrators only"},
    {'y', "yes", NULL, "do not ask", .many = true},
    {.name = NULL},
};

const struct command command_revoke_all = {
    .name = "revoke-all",
    .arguments = "",
    .summary = "End all your certificates now",
    .options = revoke_all_options,
    .run = revoke_all_run,
};
