/* postern status: what the certificate file itself says. Asks nobody; exit codes for scripts. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/certificates/received.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "cli/sanitise.h"
#include "cli/site.h"
#include "cli/terminal.h"
#include "ssh/cert.h"

/* The worst thing found decides, in this order. */
enum state {
    STATE_VALID,
    STATE_MISSING,
    STATE_MISMATCH,
    STATE_FOREIGN_CA,
    STATE_NOT_YET,
    STATE_EXPIRED
};

static const struct {
    const char *name; /* --json's "status" */
    const char *text;
    enum exit_code exit;
    enum colour colour;
} states[] = {
    [STATE_VALID] = {"valid", "valid", EXIT_DONE, COLOUR_GREEN},
    [STATE_MISSING] = {"missing", "there is no certificate", EXIT_MISSING, COLOUR_RED},
    [STATE_MISMATCH] = {"mismatch", "for another key than the one beside it", EXIT_REFUSED,
                        COLOUR_RED},
    [STATE_FOREIGN_CA] = {"foreign_ca", "signed by a CA that this site does not use", EXIT_REFUSED,
                          COLOUR_RED},
    [STATE_NOT_YET] = {"not_yet_valid", "not valid yet", EXIT_LOGIN, COLOUR_YELLOW},
    [STATE_EXPIRED] = {"expired", "expired", EXIT_LOGIN, COLOUR_RED},
};

struct findings {
    enum state state;
    struct cert *cert; /* NULL when missing */
    const char *key;   /* "match", "mismatch", "missing" */
    bool in_agent;
};

static void findings_done(struct findings *findings) { cert_free(findings->cert); }

static err_t read_line(struct cli *cli, const char *path, struct buf *out) {
    err_t err = file_read(path, out);
    if (failed(err) && err.code != ERR_NOT_FOUND) {
        return key_file_trouble(cli, err, path);
    }
    return err;
}

/* ERR_NOT_FOUND when there is no .pub file. */
static err_t compare_key(struct cli *cli, const struct user_key *key, struct findings *out) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct key *public CLEANUP(key_freep) = NULL;
    if (asprintf(&path, "%s.pub", key->path) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    err_t err = read_line(cli, path, &text);
    if (err.code == ERR_NOT_FOUND) {
        out->key = "missing";
        return OK;
    }
    TRY(err);
    err = key_parse_line(buf_span(&text), &public, NULL);
    if (failed(err)) {
        return key_file_trouble(cli, err, path);
    }
    out->key = key_equal(public, out->cert->key) ? "match" : "mismatch";
    return OK;
}

static err_t judge(struct cli *cli, const struct site *site, const struct user_key *key,
                   struct findings *out) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    err_t err = read_line(cli, key->cert_path, &text);
    if (err.code == ERR_NOT_FOUND) {
        out->state = STATE_MISSING;
        return OK;
    }
    TRY(err);
    err = cert_parse_line(buf_span(&text), &out->cert, NULL);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "%s", key->cert_path);
    }
    TRY(compare_key(cli, key, out));
    out->in_agent = agent_holds(buf_span(&out->cert->blob));
    struct key_list ca_keys CLEANUP(key_list_done) = {0};
    if (site != NULL) {
        TRY(document_ca_keys(site->document, "userCaKeys", &ca_keys));
    }
    uint64_t now = (uint64_t)clock_now_s();
    if (strcmp(out->key, "mismatch") == 0) {
        out->state = STATE_MISMATCH;
    } else if (site != NULL && !key_list_has(&ca_keys, out->cert->ca_key)) {
        out->state = STATE_FOREIGN_CA;
    } else if (now < out->cert->valid_after) {
        out->state = STATE_NOT_YET;
    } else if (now >= out->cert->valid_before) {
        out->state = STATE_EXPIRED;
    }
    return OK;
}

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

static err_t show_json(const struct user_key *key, const struct findings *findings) {
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:s}", "status", states[findings->state].name, "file", key->cert_path);
    const struct cert *cert = findings->cert;
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
                      principals_of(cert), "key", findings->key, "inAgent", findings->in_agent);
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

static err_t show(const struct user_key *key, const struct findings *findings) {
    const struct cert *cert = findings->cert;
    TRY(print_safe("Certificate:  ", key->cert_path));
    (void)printf("Status:       %s%s%s\n", terminal_colour(stdout, states[findings->state].colour),
                 states[findings->state].text, terminal_colour(stdout, COLOUR_NONE));
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
    (void)printf("Key:          %s\n", strcmp(findings->key, "match") == 0 ? "matches the .pub file"
                                       : strcmp(findings->key, "missing") == 0
                                           ? "there is no .pub file to compare with"
                                           : "the .pub file is another key");
    (void)printf("In the agent: %s\n", findings->in_agent ? "yes" : "no");
    if (states[findings->state].exit == EXIT_LOGIN) {
        (void)printf("Next:         postern sign\n");
    }
    return OK;
}

static err_t status_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct user_key key CLEANUP(user_key_done) = {0};
    struct findings findings CLEANUP(findings_done) = {.key = "missing"};
    const char *given = arguments_value(arguments, "file");
    /* With --file a site is not needed, unless one is named to compare the CA with. */
    if (given == NULL || cli->site != NULL) {
        TRY(site_open(&cli->trouble, cli->site, &site));
    }
    TRY(user_key_paths(given != NULL ? given : document_key_file(site->document), &key));
    TRY(judge(cli, site, &key, &findings));
    TRY(cli->json ? show_json(&key, &findings) : show(&key, &findings));
    cli->exit = states[findings.state].exit;
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
