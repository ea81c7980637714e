/* postern, alone: where one stands with each site, and what to type next. Asks nobody. */
#include "cli/standing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/certificates/look.h"
#include "cli/certificates/received.h"
#include "cli/document.h"
#include "cli/reach.h"
#include "cli/site.h"
#include "cli/terminal.h"

struct standing {
    struct site *site;
    struct token token;  /* expires_at 0: nobody is signed in */
    bool by_api_key;     /* $POSTERN_API_KEY */
    struct user_key key; /* the paths */
    bool has_key;
    struct look look;
    char *reaches; /* names of clusters; "" when nothing is known */
    char *next;
};

static void standing_done(struct standing *standing) {
    site_freep(&standing->site);
    token_done(&standing->token);
    user_key_done(&standing->key);
    look_done(&standing->look);
    free(standing->reaches);
    free(standing->next);
}

static bool key_is_there(const struct user_key *key) {
    char *public_path CLEANUP(freep) = NULL;
    if (asprintf(&public_path, "%s.pub", key->path) < 0) {
        public_path = NULL;
        return false;
    }
    return access(key->path, F_OK) == 0 || access(public_path, F_OK) == 0;
}

static err_t find_reach(struct cli *cli, struct site *site, char **names, char **first) {
    struct reach *reach CLEANUP(reach_freep) = NULL;
    struct buf joined CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct trouble before = cli->trouble;
    if (failed(reach_open(cli, site, REACH_OFFLINE_S, &reach))) {
        cli->trouble = before; /* `postern config` says it; here it is just not known */
        return span_to_str(span_str(""), names);
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        TRY(buf_add_format(&joined, "%s%s", i == 0 ? "" : ", ", reach->clusters[i].name));
    }
    const char *name = reach->cluster_count > 0 ? reach->clusters[0].name
                       : reach->jump_count > 0  ? reach->jumps[0].name
                                                : "";
    TRY(span_to_str(span_str(name), first));
    return buf_to_str(&joined, names);
}

static bool has_config(const struct site *site) {
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    return !failed(path_expand("~/.ssh/config.d", &dir)) &&
           asprintf(&path, "%s/posterngate-%s", dir, site->name) >= 0 && access(path, F_OK) == 0;
}

static err_t choose_next(struct standing *standing, const char *first_host) {
    bool signed_in = standing->by_api_key || standing->token.expires_at != 0;
    bool valid = standing->look.state == LOOK_VALID;
    const char *command =
        !valid && !signed_in                                                         ? "login"
        : !valid && !standing->has_key                                               ? "keygen"
        : !valid                                                                     ? "sign"
        : !has_config(standing->site) || first_host == NULL || first_host[0] == '\0' ? "config"
                                                                                     : NULL;
    int made = command != NULL ? asprintf(&standing->next, "postern %s", command)
                               : asprintf(&standing->next, "ssh %s", first_host);
    return made < 0 ? FAIL(ERR_MEMORY) : OK;
}

static err_t look(struct cli *cli, const char *name, struct standing *out) {
    char *first_host CLEANUP(freep) = NULL;
    const char *api_key = getenv("POSTERN_API_KEY");
    TRY(site_open(&cli->trouble, name, &out->site));
    err_t err = token_load(&cli->trouble, out->site, NULL, &out->token);
    TRY(err.code == ERR_NOT_FOUND ? OK : err);
    out->by_api_key = api_key != NULL && api_key[0] != '\0';
    TRY(user_key_paths(document_key_file(out->site->document), &out->key));
    out->has_key = key_is_there(&out->key);
    TRY(certificate_look(cli, out->site, &out->key, &out->look));
    TRY(find_reach(cli, out->site, &out->reaches, &first_host));
    return choose_next(out, first_host);
}

static const char *who(const struct standing *standing) {
    const char *name = standing->token.expires_at != 0 && standing->token.username != NULL
                           ? standing->token.username
                           : standing->site->username;
    return name != NULL ? name : "";
}

static err_t add_json(const struct standing *standing, json_t *sites) {
    const struct cert *cert = standing->look.cert;
    char signed_in_until[TIME_CHARS] = "";
    char until[TIME_CHARS] = "";
    if (standing->token.expires_at != 0) {
        time_print_utc(standing->token.expires_at, signed_in_until);
    }
    if (cert != NULL && cert->valid_before <= INT64_MAX) {
        time_print_utc((int64_t)cert->valid_before, until);
    }
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:b, s:s, s:{s:s, s:s, s:s}, s:s}", "site", standing->site->name,
                  "url", standing->site->url, "username", who(standing), "signedIn",
                  (int)(standing->by_api_key || standing->token.expires_at != 0), "signedInUntil",
                  signed_in_until, "certificate", "status", look_name(standing->look.state), "file",
                  standing->key.cert_path, "expireTime", until, "next", standing->next);
    return row == NULL || json_array_append_new(sites, row) != 0 ? FAIL(ERR_MEMORY) : OK;
}

static void show_certificate(const struct standing *standing) {
    const struct look *at = &standing->look;
    enum colour colour = at->state == LOOK_VALID ? COLOUR_GREEN : COLOUR_YELLOW;
    char until[80] = "";
    if (at->cert != NULL) {
        received_until(at->cert, until);
    }
    bool dated = at->state == LOOK_VALID || at->state == LOOK_EXPIRED;
    (void)printf("Certificate:  %s%s%s%s%s\n", terminal_colour(stdout, colour),
                 at->state == LOOK_VALID ? "valid until " : look_text(at->state),
                 at->state == LOOK_EXPIRED ? ": " : "", dated ? until : "",
                 terminal_colour(stdout, COLOUR_NONE));
}

static void show(const struct standing *standing) {
    char until[80] = "";
    (void)printf("%s (%s)\n", standing->site->name, standing->site->url);
    if (standing->token.expires_at != 0) {
        time_and_distance(standing->token.expires_at, until);
        (void)printf("Signed in:    %s, until %s\n", who(standing), until);
    } else {
        (void)printf("Signed in:    %s\n", standing->by_api_key ? "by $POSTERN_API_KEY" : "no");
    }
    show_certificate(standing);
    if (standing->reaches[0] != '\0') {
        (void)printf("Reaches:      %s\n", standing->reaches);
    }
    (void)printf("\nNext:\n  %s\n", standing->next);
}

static err_t show_newcomer(struct cli *cli) {
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:[], s:s}", "sites", "next", "postern init https://AUTHORITY");
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf("No site is set up yet. Your centre tells the address of its authority.\n\n"
                 "Next:\n  postern init https://AUTHORITY\n  postern --help\n");
    return OK;
}

err_t standing_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    struct site_names names CLEANUP(site_names_done) = {0};
    json_t *sites CLEANUP(json_freep) = json_array();
    TRY(cli->site == NULL ? site_names_list(&names) : OK);
    size_t count = cli->site != NULL ? 1 : names.count;
    if (count == 0) {
        return show_newcomer(cli);
    }
    for (size_t i = 0; i < count; i++) {
        struct standing standing CLEANUP(standing_done) = {0};
        TRY(look(cli, cli->site != NULL ? cli->site : names.names[i], &standing));
        if (cli->json) {
            TRY(add_json(&standing, sites));
        } else {
            (void)printf("%s", i == 0 ? "" : "\n");
            show(&standing);
        }
    }
    if (!cli->json) {
        return OK;
    }
    json_t *shown CLEANUP(json_freep) = json_pack("{s:O}", "sites", sites);
    return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
}
