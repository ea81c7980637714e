/* postern init: gets to know an authority, once. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/site.h"
#include "cli/terminal.h"

enum { FETCH_TIMEOUT_MS = 30000, FINGERPRINT_HEX_CHARS = 64, URL_CHARS_MAX = 512 };

/* "authority.example" is https; a trailing slash or the API's own path says nothing more. */
static err_t tidy_url(struct cli *cli, const char *given, char **out) {
    char *url CLEANUP(freep) = NULL;
    if (asprintf(&url, "%s%s", strstr(given, "://") != NULL ? "" : "https://", given) < 0) {
        url = NULL;
        return FAIL(ERR_MEMORY);
    }
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        url[--len] = '\0';
    }
    bool known = strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
    if (!known || len > URL_CHARS_MAX || strpbrk(url, "@?# ") != NULL) {
        trouble_next(&cli->trouble, "postern init https://AUTHORITY");
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s is no address of an authority", given);
    }
    *out = TAKE(url);
    return OK;
}

/* 64 hex digits in lower case; "SHA256:", colons and spaces are decoration. */
static err_t tidy_fingerprint(struct cli *cli, const char *given,
                              char out[FINGERPRINT_HEX_CHARS + 1]) {
    size_t len = 0;
    const char *at = strncasecmp(given, "SHA256:", 7) == 0 ? given + 7 : given;
    for (; *at != '\0'; at++) {
        if (*at == ':' || *at == ' ') {
            continue;
        }
        if (!isxdigit((unsigned char)*at) || len == FINGERPRINT_HEX_CHARS) {
            len = 0;
            break;
        }
        out[len++] = (char)tolower((unsigned char)*at);
    }
    out[len] = '\0';
    if (len != FINGERPRINT_HEX_CHARS) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "--fingerprint takes the 64 hex digits of a SHA-256 hash");
    }
    return OK;
}

/* 64 digits in groups of four, to be compared by eye. */
static void print_grouped(const char *hex, char out[FINGERPRINT_HEX_CHARS + 17]) {
    size_t len = 0;
    for (size_t i = 0; hex[i] != '\0' && i < FINGERPRINT_HEX_CHARS; i++) {
        if (i > 0 && i % 4 == 0) {
            out[len++] = i % 32 == 0 ? '\n' : ' ';
        }
        out[len++] = hex[i];
    }
    out[len] = '\0';
}

static err_t ask_trust(struct cli *cli, const struct site *site, const char *sha256) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    if (failed(terminal_open(&terminal))) {
        trouble_next(&cli->trouble, "postern init %s --fingerprint %s   # if that is its own",
                     site->url, sha256);
        return trouble_set(&cli->trouble, EXIT_NETWORK,
                           "the authority at %s has a TLS CA of its own, and there is no terminal "
                           "to ask whether to trust it",
                           site->url);
    }
    char grouped[FINGERPRINT_HEX_CHARS + 17];
    print_grouped(sha256, grouped);
    terminal_print(terminal,
                   "%s has a TLS certificate of its own CA, whose SHA-256 fingerprint is\n\n%s\n\n"
                   "Compare it with what the site's administrators published.\n",
                   site->url, grouped);
    bool yes = false;
    TRY(terminal_confirm(terminal, "Trust it from now on? [y/N] ", &yes));
    return yes ? OK : trouble_set(&cli->trouble, EXIT_REFUSED, "not trusted; nothing was kept");
}

/* Fetches the CA that the server presents and decides about it. */
static err_t pin_ca(struct cli *cli, const struct arguments *arguments, struct site *site) {
    const char *wanted = arguments_value(arguments, "fingerprint");
    char expected[FINGERPRINT_HEX_CHARS + 1] = "";
    TRY(wanted != NULL ? tidy_fingerprint(cli, wanted, expected) : OK);
    char sha256[65] = "";
    char *pem CLEANUP(freep) = NULL;
    struct fault fault = {0};
    err_t err = http_client_fetch_chain(site->url, FETCH_TIMEOUT_MS, &pem, sha256, &fault);
    if (failed(err)) {
        return network_trouble(cli, site, err, &fault);
    }
    if (wanted != NULL && strcmp(sha256, expected) != 0) {
        return trouble_set(&cli->trouble, EXIT_NETWORK,
                           "the TLS CA of %s has the fingerprint %s, not the one you gave: do not "
                           "trust it",
                           site->url, sha256);
    }
    if (wanted == NULL && !arguments_has(arguments, "yes")) {
        TRY(ask_trust(cli, site, sha256));
    }
    free(site->ca_pem);
    site->ca_pem = TAKE(pem);
    return OK;
}

/* A new site: first as any HTTPS client would, then with the CA that it brings. */
static err_t fetch_first(struct cli *cli, const struct arguments *arguments, struct site *site,
                         json_t **document) {
    bool plain = strncmp(site->url, "http://", 7) == 0;
    if (arguments_value(arguments, "fingerprint") != NULL && !plain) {
        TRY(pin_ca(cli, arguments, site));
        return api_fetch_document(cli, site, document);
    }
    err_t err = api_fetch_document(cli, site, document);
    if (!failed(err) || plain || cli->trouble.exit != EXIT_NETWORK) {
        return err;
    }
    struct trouble first = cli->trouble;
    cli->trouble = (struct trouble){0};
    err = pin_ca(cli, arguments, site);
    if (failed(err)) {
        /* Where not even a chain came, the first failure tells more. */
        cli->trouble = cli->trouble.exit == EXIT_NETWORK && cli->trouble.next[0] == '\0'
                           ? first
                           : cli->trouble;
        return err;
    }
    return api_fetch_document(cli, site, document);
}

static err_t check_name_free(struct cli *cli, const struct site *site) {
    struct site *other CLEANUP(site_freep) = NULL;
    struct trouble ignored = {0};
    if (failed(site_open(&ignored, site->name, &other)) || strcmp(other->url, site->url) == 0) {
        return OK;
    }
    return trouble_set(&cli->trouble, EXIT_CONFLICT,
                       "a site %s is set up already, with the authority at %s", site->name,
                       other->url);
}

static err_t report(struct cli *cli, const struct site *site) {
    if (cli->json) {
        return print_json(site->document);
    }
    const char *title = member_text(site->document, "title");
    bool more = title[0] != '\0' && strcmp(title, site->name) != 0;
    (void)printf("Site %s is set up%s%s.\n", site->name, more ? ": " : "", more ? title : "");
    struct key_list keys CLEANUP(key_list_done) = {0};
    TRY(document_ca_keys(site->document, "userCaKeys", &keys));
    for (size_t i = 0; i < keys.count; i++) {
        char fingerprint[FINGERPRINT_CHARS];
        key_fingerprint(keys.keys[i], fingerprint);
        (void)printf("User CA key: %s (%s)\n", fingerprint, key_type_display(keys.keys[i]));
    }
    (void)printf("Next: postern login\n");
    return OK;
}

static err_t init_again(struct cli *cli, const struct arguments *arguments, struct site *site) {
    if (arguments_value(arguments, "fingerprint") != NULL) {
        TRY(pin_ca(cli, arguments, site));
    }
    json_t *document CLEANUP(json_freep) = NULL;
    TRY(api_fetch_document(cli, site, &document));
    if (strcmp(member_text(document, "site"), site->name) != 0) {
        return trouble_set(
            &cli->trouble, EXIT_CONFLICT,
            "the authority at %s is known here as %s and now calls itself %s; remove "
            "the old one's folder from ~/.config/posterngate first",
            site->url, site->name, member_text(document, "site"));
    }
    /* Typing `init` again is how a person takes over changed keys without a pinned CA. */
    TRY(api_take_document(cli, site, TAKE(document), true));
    return report(cli, site);
}

static err_t init_run(struct cli *cli, const struct arguments *arguments) {
    char *url CLEANUP(freep) = NULL;
    TRY(tidy_url(cli, arguments->words[0], &url));
    struct site *site CLEANUP(site_freep) = NULL;
    err_t err = site_open_url(&cli->trouble, url, &site);
    if (!failed(err)) {
        return init_again(cli, arguments, site);
    }
    if (err.code != ERR_NOT_FOUND) {
        return err;
    }
    site = calloc(1, sizeof *site);
    if (site == NULL) {
        return FAIL(ERR_MEMORY);
    }
    site->url = TAKE(url);
    TRY(fetch_first(cli, arguments, site, &site->document));
    site->name = strdup(member_text(site->document, "site"));
    if (site->name == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(check_name_free(cli, site));
    TRY(site_save(&cli->trouble, site));
    return report(cli, site);
}

static const struct option options[] = {
    {0, "fingerprint", "SHA256", "trust the TLS CA with this fingerprint, and no other"},
    {'y', "yes", NULL, "trust the TLS CA that the authority presents, unseen", .many = true},
    {.name = NULL},
};

const struct command command_init = {
    .name = "init",
    .arguments = "URL",
    .summary = "Set up a site: learn its authority and pin its keys",
    .details =
        "URL is the address of the authority, as your centre tells it: https://authority.example.\n"
        "Where its TLS certificate is of a CA of its own, that CA's fingerprint is shown, to be\n"
        "compared with what the centre publishes.",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = init_run,
};
