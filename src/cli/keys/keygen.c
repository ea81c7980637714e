/* postern keygen: a new key pair, made here. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "cli/keys/passphrase.h"
#include "cli/keys/token_key.h"

enum { ROUNDS = 100, RSA_BITS = 4096, ECDSA_BITS = 256, ED25519_BITS = 256, HOST_CHARS = 256 };

struct wish {
    const char *name; /* as given to -t */
    enum key_type type;
    unsigned bits;
    uint32_t rounds;
    char *path;
    char *comment;
    bool on_token;   /* then the token chooses what follows from the type */
    bool is_default; /* the path is where `postern sign` looks by itself */
};

static void wish_done(struct wish *wish) {
    free(wish->path);
    free(wish->comment);
}

static err_t bad_type(struct cli *cli, const char *name) {
    trouble_next(&cli->trouble, "postern keygen -t ed25519");
    return trouble_set(&cli->trouble, EXIT_USAGE, "%s is no type of key; there are %s", name,
                       "ed25519, ecdsa, rsa, ed25519-sk and ecdsa-sk");
}

static err_t choose_token_type(struct cli *cli, const struct arguments *arguments,
                               struct wish *out) {
    if (arguments_has(arguments, "bits")) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "--bits: a security token's keys have 256");
    }
    out->on_token = true;
    return OK;
}

static err_t choose_type(struct cli *cli, const struct arguments *arguments, struct wish *out) {
    const char *given = arguments_value(arguments, "type");
    const char *given_bits = arguments_value(arguments, "bits");
    uint64_t bits = 0;
    out->name = given == NULL ? "ed25519" : given;
    bool rsa = strcmp(out->name, "rsa") == 0;
    bool ecdsa = strcmp(out->name, "ecdsa") == 0;
    if (token_key_is_type(out->name)) {
        return choose_token_type(cli, arguments, out);
    }
    if (arguments_has(arguments, "option")) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "--option is for keys on a security token: -t ed25519-sk");
    }
    if (!rsa && !ecdsa && strcmp(out->name, "ed25519") != 0) {
        return bad_type(cli, out->name);
    }
    out->bits = rsa ? RSA_BITS : ecdsa ? ECDSA_BITS : ED25519_BITS;
    if (given_bits != NULL) {
        bool number = !failed(u64_parse(span_str(given_bits), &bits));
        bool good = rsa     ? bits >= LIMIT_RSA_BITS_MIN && bits <= LIMIT_RSA_BITS_MAX
                    : ecdsa ? bits == 256 || bits == 384 || bits == 521
                            : bits == ED25519_BITS;
        if (!number || !good) {
            return trouble_set(&cli->trouble, EXIT_USAGE, "--bits %s: %s keys have %s", given_bits,
                               out->name,
                               rsa     ? "2048 to 16384"
                               : ecdsa ? "256, 384 or 521"
                                       : "256");
        }
        out->bits = (unsigned)bits;
    }
    out->type = rsa                ? KEY_RSA
                : !ecdsa           ? KEY_ED25519
                : out->bits == 256 ? KEY_ECDSA_256
                : out->bits == 384 ? KEY_ECDSA_384
                                   : KEY_ECDSA_521;
    return OK;
}

err_t key_rounds(struct cli *cli, const struct arguments *arguments, uint32_t *out) {
    const char *given = arguments_value(arguments, "rounds");
    uint64_t rounds = ROUNDS;
    if (given != NULL &&
        (failed(u64_parse(span_str(given), &rounds)) || rounds == 0 || rounds > LIMIT_KDF_ROUNDS)) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "--rounds %s: a number from 1 to %d is needed", given, LIMIT_KDF_ROUNDS);
    }
    *out = (uint32_t)rounds;
    return OK;
}

/* NULL when there is none, or more than one and none is named: a key needs no site. */
static err_t find_site(struct cli *cli, struct site **out) {
    struct trouble unsaid = {0};
    err_t err = site_open(cli->site != NULL ? &cli->trouble : &unsaid, cli->site, out);
    return cli->site != NULL ? err : OK;
}

static err_t choose_path(const struct arguments *arguments, const struct site *site,
                         struct wish *out) {
    struct user_key key CLEANUP(user_key_done) = {0};
    struct user_key usual CLEANUP(user_key_done) = {0};
    char own[64];
    (void)snprintf(own, sizeof own, "~/.ssh/id_%s", out->name);
    for (char *dash = own; (dash = strchr(dash, '-')) != NULL;) {
        *dash = '_'; /* id_ed25519_sk, as ssh-keygen has it */
    }
    const char *otherwise = site == NULL ? own : document_key_file(site->document);
    const char *given = arguments_value(arguments, "file");
    TRY(user_key_paths(otherwise, &usual));
    TRY(user_key_paths(given != NULL ? given : otherwise, &key));
    out->is_default = site != NULL && strcmp(key.path, usual.path) == 0;
    out->path = TAKE(key.path);
    return OK;
}

/* user@host, as ssh-keygen has it. */
static err_t choose_comment(struct cli *cli, const struct arguments *arguments, struct wish *out) {
    char host[HOST_CHARS] = "";
    const char *given = arguments_value(arguments, "comment");
    const struct passwd *me = getpwuid(geteuid());
    char *comment = NULL;
    if (given != NULL &&
        (strlen(given) > LIMIT_KEY_COMMENT_CHARS || !text_is_utf8(span_str(given)))) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "--comment: a line of UTF-8 text of at most %d bytes is needed",
                           LIMIT_KEY_COMMENT_CHARS);
    }
    (void)gethostname(host, sizeof host - 1);
    int made = given != NULL ? asprintf(&comment, "%s", given)
                             : asprintf(&comment, "%s@%s", me == NULL ? "user" : me->pw_name, host);
    if (made < 0) {
        return FAIL(ERR_MEMORY);
    }
    out->comment = comment;
    return OK;
}

static err_t report(struct cli *cli, const struct wish *wish, const struct key *key,
                    const struct site *site, bool encrypted) {
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint(key, fingerprint);
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:s, s:s+, s:s, s:i, s:s, s:s, s:b, s:i}", "keyFile", wish->path,
                      "publicKeyFile", wish->path, ".pub", "type", key_type_name(key), "bits",
                      (int)key_bits(key), "fingerprint", fingerprint, "comment", wish->comment,
                      "encrypted", encrypted, "kdfRounds", encrypted ? (int)wish->rounds : 0);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf("Private key: %s%s\nPublic key:  %s.pub\nFingerprint: %s\n\n", wish->path,
                 encrypted ? "" : " (without a passphrase)", wish->path, fingerprint);
    if (site == NULL) {
        (void)printf("Next:\n  postern init https://AUTHORITY\n");
    } else {
        (void)printf("Next:\n  postern sign%s%s\n", wish->is_default ? "" : " -f ",
                     wish->is_default ? "" : wish->path);
    }
    return OK;
}

static err_t keygen_run(struct cli *cli, const struct arguments *arguments) {
    struct wish wish CLEANUP(wish_done) = {0};
    struct site *site CLEANUP(site_freep) = NULL;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    secret_t passphrase CLEANUP(secret_done) = {0};
    bool force = arguments_has(arguments, "force");
    TRY(choose_type(cli, arguments, &wish));
    TRY(key_rounds(cli, arguments, &wish.rounds));
    TRY(find_site(cli, &site));
    TRY(choose_path(arguments, site, &wish));
    TRY(choose_comment(cli, arguments, &wish));
    TRY(force ? OK : key_pair_check_free(cli, wish.path));
    bool must = site != NULL && document_wants_encrypted_keys(site->document);
    if (arguments_has(arguments, "no-passphrase")) {
        if (must) {
            print_warning("%s demands private keys with a passphrase and will not sign this one",
                          site->name);
        }
    } else {
        TRY(passphrase_ask_new(cli, must ? site->name : NULL, "postern keygen --no-passphrase",
                               &passphrase));
    }
    bool encrypted = passphrase.len != 0;
    TRY(wish.on_token ? token_key_make(cli, arguments, wish.name, &key)
                      : private_key_generate(wish.type, wish.bits, &key));
    TRY(private_key_write(key, wish.comment, encrypted ? &passphrase : NULL, wish.rounds, &file));
    TRY(key_pair_put(cli, wish.path, buf_span(&file), private_key_public(key), wish.comment,
                     force));
    return report(cli, &wish, private_key_public(key), site, encrypted);
}

static const struct option options[] = {
    {'t', "type", "ed25519|ecdsa|rsa|ed25519-sk|ecdsa-sk",
     "ed25519 otherwise; -sk: on a security token"},
    {'b', "bits", "NUMBER", "of rsa, 4096 otherwise; of ecdsa 256, 384 or 521"},
    {'f', "file", "KEY", "where the private key goes; the site's default key otherwise"},
    {'C', "comment", "TEXT", "what tells the key from others; user@host otherwise"},
    {'a', "rounds", "NUMBER", "how slow a passphrase is to try, 100 otherwise"},
    {'O', "option", "NAME",
     "of a security token's key: resident, verify-required; as ssh-keygen -O", .many = true},
    {0, "no-passphrase", NULL, "do not ask for a passphrase", .many = true},
    {0, "force", NULL, "replace a key that is there", .many = true},
    {.name = NULL},
};

const struct command command_keygen = {
    .name = "keygen",
    .arguments = "",
    .summary = "Make a new SSH key pair",
    .details = "The passphrase is asked for twice; one that is easily guessed is refused.\n"
               "A key on a security token (-t ed25519-sk) is made by ssh-keygen; what is written\n"
               "here is the handle by which the token knows it.",
    .options = options,
    .run = keygen_run,
};
