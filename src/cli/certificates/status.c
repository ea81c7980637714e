/* postern status: what the certificate file itself says. Asks nobody; exit codes for scripts. */
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/certificates/look.h"
#include "cli/certificates/received.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "cli/sanitise.h"
#include "cli/site.h"
#include "cli/terminal.h"
#include "ssh/cert.h"

static const struct {
    enum exit_code exit;
    enum colour colour;
} states[] = {
    [LOOK_UNKNOWN] = {EXIT_INTERNAL, COLOUR_RED},   [LOOK_VALID] = {EXIT_DONE, COLOUR_GREEN},
    [LOOK_MISSING] = {EXIT_MISSING, COLOUR_RED},    [LOOK_MISMATCH] = {EXIT_REFUSED, COLOUR_RED},
    [LOOK_FOREIGN_CA] = {EXIT_REFUSED, COLOUR_RED}, [LOOK_NOT_YET] = {EXIT_LOGIN, COLOUR_YELLOW},
    [LOOK_EXPIRED] = {EXIT_LOGIN, COLOUR_RED},
};

static const struct {
    const char *name; /* --json's "key" */
    const char *text;
} keys[] = {
    [LOOK_KEY_MISSING] = {"missing", "there is no .pub file to compare with"},
    [LOOK_KEY_MATCHES] = {"match", "matches the .pub file"},
    [LOOK_KEY_DIFFERS] = {"mismatch", "the .pub file is another key"},
};

static void time_or_forever(uint64_t when, char out[TIME_CHARS]) {
    if (when > INT64_MAX) {
        (void)snprintf(out, TIME_CHARS, "forever");
    } else {
        time_print_utc((int64_t)when, out);
    }
}

static json_t *principals_of(const struct cert *cert) {
    json_t *list = json_array();
    for (size_t i = 0; i < cert->principal_count; i++) {
        (void)json_array_append_new(list, json_string(cert->principals[i]));
    }
    return list;
}

static err_t show_json(const struct user_key *key, const struct look *look, bool in_agent) {
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:s}", "status", look_name(look->state), "file", key->cert_path);
    const struct cert *cert = look->cert;
    if (shown != NULL && cert != NULL) {
        char serial[24];
        char after[TIME_CHARS];
        char before[TIME_CHARS];
        (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)cert->serial);
        time_or_forever(cert->valid_after, after);
        time_or_forever(cert->valid_before, before);
        json_t *rest CLEANUP(json_freep) =
            json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:b}", "serialNumber", serial, "keyId",
                      cert->key_id, "validAfter", after, "expireTime", before, "principals",
                      principals_of(cert), "key", keys[look->key].name, "inAgent", in_agent);
        if (rest == NULL || json_object_update(shown, rest) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
}

static err_t print_safe(const char *label, const char *text) {
    struct buf clean CLEANUP(buf_done) = BUF(4 * LIMIT_WIRE_STRING_BYTES);
    TRY(text_sanitise(span_str(text), false, &clean));
    (void)printf("%s%.*s\n", label, (int)clean.len, (const char *)clean.data);
    return OK;
}

static err_t show(const struct user_key *key, const struct look *look, bool in_agent) {
    const struct cert *cert = look->cert;
    TRY(print_safe("Certificate:  ", key->cert_path));
    (void)printf("Status:       %s%s%s\n", terminal_colour(stdout, states[look->state].colour),
                 look_text(look->state), terminal_colour(stdout, COLOUR_NONE));
    if (cert == NULL) {
        return OK;
    }
    char until[80];
    received_until(cert, until);
    struct buf principals CLEANUP(buf_done) = BUF(LIMIT_WIRE_STRING_BYTES);
    for (size_t i = 0; i < cert->principal_count; i++) {
        TRY(buf_add_format(&principals, "%s%s", i == 0 ? "" : ", ", cert->principals[i]));
    }
    char *joined CLEANUP(freep) = NULL;
    TRY(buf_to_str(&principals, &joined));
    (void)printf("Expires:      %s\nSerial:       %llu\n", until, (unsigned long long)cert->serial);
    TRY(print_safe("Principals:   ", joined));
    (void)printf("Key:          %s\n", keys[look->key].text);
    (void)printf("In the agent: %s\n", in_agent ? "yes" : "no");
    if (states[look->state].exit == EXIT_LOGIN) {
        (void)printf("Next:         postern sign\n");
    }
    return OK;
}

static err_t status_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct user_key key CLEANUP(user_key_done) = {0};
    struct look look CLEANUP(look_done) = {0};
    const char *given = arguments_value(arguments, "file");
    /* With --file a site is not needed, unless one is named to compare the CA with. */
    if (given == NULL || cli->site != NULL) {
        TRY(site_open(&cli->trouble, cli->site, &site));
    }
    TRY(user_key_paths(given != NULL ? given : document_key_file(site->document), &key));
    TRY(certificate_look(cli, site, &key, &look));
    bool in_agent = look.cert != NULL && agent_holds(buf_span(&look.cert->blob));
    TRY(cli->json ? show_json(&key, &look, in_agent) : show(&key, &look, in_agent));
    cli->exit = states[look.state].exit;
    return OK;
}

static const struct option options[] = {
    {'f', "file", "KEY", "the key whose certificate is looked at"},
    {.name = NULL},
};

const struct command command_status = {
    .name = "status",
    .arguments = "",
    .summary = "Say whether your certificate is valid, without asking the authority",
    .details = "Exit code 0: valid; 3: expired or not valid yet; 4: of another key or CA; 8: none.",
    .options = options,
    .run = status_run,
};
