/* postern key convert: between the forms of key files. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/keys/key.h"
#include "cli/keys/key_file.h"
#include "cli/keys/passphrase.h"
#include "ssh/cert.h"

enum form { FORM_OPENSSH, FORM_SSH2, FORM_PKCS8, FORM_PEM, FORM_PPK, FORM_PPK_2, FORM_COUNT };
static const char *const forms[FORM_COUNT] = {"openssh", "ssh2", "pkcs8", "pem", "ppk", "ppk2"};

/* What was read. */
struct source {
    const char *path;
    struct private_key *private; /* NULL: a public key, or the private half is not asked for */
    struct key *public;
    struct cert *cert; /* NULL: none, or not wanted */
    char *comment;     /* NULL: none */
    secret_t passphrase;
};

static void source_done(struct source *source) {
    private_key_free(source->private);
    key_free(source->public);
    cert_free(source->cert);
    free(source->comment);
    secret_done(&source->passphrase);
}

/* What is to be written. */
struct target {
    enum form form;
    bool public; /* asked for by --public, or by the form */
    bool force;
    uint32_t rounds;
    const char *given; /* -o; NULL: not given */
    char *path;        /* of a private key */
};

static void target_done(struct target *target) { free(target->path); }

static err_t choose_form(struct cli *cli, const struct arguments *arguments, enum form *out) {
    const char *given = arguments_value(arguments, "to");
    for (int i = 0; given != NULL && i < FORM_COUNT; i++) {
        if (strcmp(given, forms[i]) == 0) {
            *out = (enum form)i;
            return OK;
        }
    }
    return trouble_set(&cli->trouble, EXIT_USAGE, "--to %s: %s",
                       given == NULL ? "is missing" : given,
                       "there are openssh, ssh2, pkcs8, pem, ppk and ppk2");
}

/* FILE without its ending, and the ending of the form. */
static err_t name_output(const char *path, enum form form, char **out) {
    static const char *const endings[] = {".ppk", ".pem", ".key"};
    size_t len = strlen(path);
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(path + len - ending, endings[i]) == 0) {
            len -= ending;
            break;
        }
    }
    const char *ending = form == FORM_OPENSSH                     ? ""
                         : form == FORM_PPK || form == FORM_PPK_2 ? ".ppk"
                                                                  : ".pem";
    char *name = NULL;
    if (asprintf(&name, "%.*s%s", (int)len, path, ending) < 0) {
        return FAIL(ERR_MEMORY);
    }
    *out = name;
    return OK;
}

static err_t choose_target(struct cli *cli, const struct arguments *arguments, const char *path,
                           struct target *out) {
    TRY(choose_form(cli, arguments, &out->form));
    TRY(key_rounds(cli, arguments, &out->rounds));
    if (arguments_has(arguments, "new-passphrase") && arguments_has(arguments, "no-passphrase")) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "--new-passphrase and --no-passphrase exclude each other");
    }
    out->public = out->form == FORM_SSH2 || arguments_has(arguments, "public");
    out->force = arguments_has(arguments, "force");
    out->given = arguments_value(arguments, "output");
    return out->given == NULL ? name_output(path, out->form, &out->path)
                              : span_to_str(span_str(out->given), &out->path);
}

static err_t taken(struct cli *cli, const char *path) {
    return trouble_set(&cli->trouble, EXIT_CONFLICT,
                       "%s exists already: give another name with -o, or --force", path);
}

/* FILE-cert.pub, when it is of this key; what is no such file is not looked for. */
static err_t find_cert(struct source *source) {
    struct user_key paths CLEANUP(user_key_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    TRY(user_key_paths(source->path, &paths));
    if (!failed(file_read(paths.cert_path, &text)) &&
        !failed(cert_parse_line(buf_span(&text), &cert, NULL)) &&
        key_equal(cert->key, source->public)) {
        source->cert = TAKE(cert);
    }
    return OK;
}

static err_t read_private(struct cli *cli, span_t file, struct private_key_info *info,
                          const struct target *target, struct source *out) {
    if (!target->public && !target->force && access(target->path, F_OK) == 0) {
        return taken(cli, target->path); /* before a passphrase is asked for */
    }
    if (target->public && info->encrypted && info->public_key != NULL) {
        out->public = TAKE(info->public_key);
        out->comment = TAKE(info->comment);
        return OK;
    }
    TRY(key_file_load(cli, out->path, file, &out->private, &out->comment, &out->passphrase));
    TRY(key_copy(private_key_public(out->private), &out->public));
    out->cert = TAKE(info->cert);
    return OK;
}

/* A line, an SSH2 file or PEM; of several refusals the most telling one. */
static err_t read_public(struct cli *cli, span_t file, struct source *out) {
    span_t comment = {0};
    err_t err = key_is_ssh2(file) ? key_parse_ssh2(file, &out->public, &out->comment)
                                  : key_parse_line(file, &out->public, &comment);
    if (!failed(err)) {
        return out->comment != NULL ? OK : span_to_str(comment, &out->comment);
    }
    err_t pem = key_parse_pem(file, &out->public);
    if (!failed(pem)) {
        return OK;
    }
    return key_file_trouble(cli, err.code == ERR_MALFORMED ? pem : err, out->path);
}

static err_t read_source(struct cli *cli, const struct target *target, struct source *out) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    err_t err = file_read(out->path, &file);
    if (failed(err)) {
        return key_file_trouble(cli, err, out->path);
    }
    span_t bytes = buf_span(&file);
    bool shown = !key_is_ssh2(bytes) && !failed(err = private_key_inspect(bytes, &info));
    if (shown) {
        return read_private(cli, bytes, &info, target, out);
    }
    if (!key_is_ssh2(bytes) && err.code != ERR_MALFORMED) {
        return key_file_trouble(cli, err, out->path);
    }
    return read_public(cli, bytes, out);
}

static err_t print_public(struct cli *cli, const struct source *source, enum form form,
                          struct buf *out) {
    const struct key *key = source->public;
    err_t err = form == FORM_OPENSSH ? key_print_line(key, source->comment, out)
                : form == FORM_SSH2  ? key_print_ssh2(key, source->comment, out)
                : form == FORM_PKCS8 ? key_print_pem(key, KEY_PEM_SPKI, out)
                                     : key_print_pem(key, KEY_PEM_PKCS1, out);
    if (!failed(err) && form == FORM_OPENSSH) {
        err = buf_add_byte(out, '\n');
    }
    if (err.code == ERR_UNSUPPORTED) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "there is no %s form of %s public keys%s",
                           forms[form], key_type_display(key),
                           form == FORM_PEM ? "; --to pkcs8 has one of most" : "");
    }
    return err;
}

static err_t print_private(struct cli *cli, const struct source *source, enum form form,
                           uint32_t rounds, struct buf *out) {
    const secret_t *passphrase = source->passphrase.len == 0 ? NULL : &source->passphrase;
    const struct private_key *key = source->private;
    err_t err = OK;
    if (form == FORM_OPENSSH) {
        err = private_key_write(key, source->comment, passphrase, rounds, out);
    } else if (form == FORM_PPK || form == FORM_PPK_2) {
        err = private_key_write_ppk(key, form == FORM_PPK ? 3 : 2, source->comment, source->cert,
                                    passphrase, out);
    } else {
        err = private_key_write_pem(key, form == FORM_PEM ? PRIVATE_KEY_PEM : PRIVATE_KEY_PKCS8,
                                    passphrase, out);
    }
    if (err.code == ERR_UNSUPPORTED) {
        trouble_next(&cli->trouble, "postern key convert %s --to %s", source->path,
                     form == FORM_PEM ? "pkcs8" : "openssh");
        return trouble_set(&cli->trouble, EXIT_USAGE, "there is no %s form of %s private keys",
                           forms[form], key_type_display(source->public));
    }
    if (!failed(err) && passphrase != NULL && (form == FORM_PEM || form == FORM_PPK_2)) {
        print_warning(
            "the passphrase protects little in this form, where trying one costs nothing; "
            "better: --to %s",
            form == FORM_PEM ? "pkcs8" : "ppk");
    }
    return err;
}

static err_t put(struct cli *cli, const char *path, span_t bytes, mode_t mode, bool force) {
    err_t err = file_put(path, bytes, mode, force ? 0 : FILE_EXCLUSIVE);
    if (err.code == ERR_EXISTS) {
        return taken(cli, path);
    }
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", path) : OK;
}

static err_t report(struct cli *cli, const struct source *source, enum form form, const char *path,
                    bool public) {
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint(source->public, fingerprint);
    bool encrypted = !public && source->passphrase.len != 0;
    bool with_cert = !public && source->cert != NULL;
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) =
            json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "file", path, "kind",
                      public ? "public" : "private", "format", forms[form], "fingerprint",
                      fingerprint, "encrypted", encrypted, "certificate", with_cert);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf("%s key: %s (%s%s%s)\nFingerprint: %s\n", public ? "Public" : "Private", path,
                 forms[form],
                 public      ? ""
                 : encrypted ? ", with a passphrase"
                             : ", without a passphrase",
                 with_cert ? ", with its certificate" : "", fingerprint);
    return OK;
}

static err_t convert_public(struct cli *cli, const struct source *source, enum form form,
                            const char *path, bool force) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    TRY(print_public(cli, source, form, &text));
    if (path != NULL) {
        TRY(put(cli, path, buf_span(&text), 0644, force));
        return report(cli, source, form, path, true);
    }
    if (!cli->json) {
        return fwrite(text.data, 1, text.len, stdout) == text.len ? OK : FAIL(ERR_IO);
    }
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:s#}", "format", forms[form], "publicKey", text.data, text.len);
    return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
}

/* "type base64[ comment]", unless a line of the same is there, whatever its comment. */
static err_t put_line(struct cli *cli, const char *stem, const char *ending, span_t bare,
                      const char *comment, bool force) {
    struct buf there CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    char *path CLEANUP(freep) = NULL;
    if (asprintf(&path, "%s%s", stem, ending) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    if (!failed(file_read(path, &there)) && there.len > bare.len &&
        span_equal(span_of(there.data, bare.len), bare)) {
        return OK;
    }
    bool commented = comment != NULL && comment[0] != '\0';
    TRY(buf_add(&line, bare));
    TRY(buf_add_format(&line, "%s%s\n", commented ? " " : "", commented ? comment : ""));
    return put(cli, path, buf_span(&line), 0644, force);
}

/* OpenSSH has public key and certificate in files of their own. */
static err_t put_lines(struct cli *cli, const struct source *source, const char *path, bool force) {
    struct buf key CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    struct buf cert CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    TRY(key_print_line(source->public, NULL, &key));
    TRY(put_line(cli, path, ".pub", buf_span(&key), source->comment, force));
    if (source->cert == NULL) {
        return OK;
    }
    TRY(cert_print_line(source->cert, NULL, &cert));
    return put_line(cli, path, "-cert.pub", buf_span(&cert), source->comment, force);
}

static err_t choose_passphrase(struct cli *cli, const struct arguments *arguments,
                               struct source *source) {
    if (arguments_has(arguments, "no-passphrase")) {
        secret_done(&source->passphrase);
    } else if (arguments_has(arguments, "new-passphrase")) {
        secret_t passphrase CLEANUP(secret_done) = {0};
        TRY(passphrase_ask_new(cli, NULL, NULL, &passphrase));
        secret_done(&source->passphrase);
        source->passphrase = passphrase;
        passphrase = (secret_t){0};
    }
    return OK;
}

static err_t convert_private(struct cli *cli, const struct arguments *arguments,
                             const struct target *target, struct source *source) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    TRY(choose_passphrase(cli, arguments, source));
    if (arguments_has(arguments, "no-certificate")) {
        cert_free(TAKE(source->cert));
    } else if (source->cert == NULL) {
        TRY(find_cert(source));
    }
    TRY(print_private(cli, source, target->form, target->rounds, &file));
    TRY(target->form == FORM_OPENSSH ? put_lines(cli, source, target->path, target->force) : OK);
    TRY(put(cli, target->path, buf_span(&file), 0600, target->force));
    if (target->form == FORM_PKCS8 || target->form == FORM_PEM) {
        cert_free(TAKE(source->cert)); /* which these cannot hold: not to be told */
    }
    return report(cli, source, target->form, target->path, false);
}

static err_t key_convert_run(struct cli *cli, const struct arguments *arguments) {
    struct source source CLEANUP(source_done) = {.path = arguments->words[0]};
    struct target target CLEANUP(target_done) = {0};
    TRY(choose_target(cli, arguments, source.path, &target));
    TRY(read_source(cli, &target, &source));
    if (source.private != NULL && !target.public) {
        return convert_private(cli, arguments, &target, &source);
    }
    if (target.form == FORM_PPK || target.form == FORM_PPK_2) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "a .ppk is made of a private key%s%s",
                           target.public ? "; leave out --public" : ", and this is a public one: ",
                           target.public ? "" : source.path);
    }
    return convert_public(cli, &source, target.form, target.given, target.force);
}

static const struct option options[] = {
    {0, "to", "openssh|ssh2|pkcs8|pem|ppk|ppk2",
     "ssh2 is RFC 4716, for public keys; ppk and ppk2 are PuTTY's"},
    {0, "public", NULL, "the public half alone", .many = true},
    {'o', "output", "FILE", "where it goes; FILE.ppk, FILE.pem, or standard output if public"},
    {0, "new-passphrase", NULL, "ask for another passphrase, twice", .many = true},
    {0, "no-passphrase", NULL, "write it without a passphrase", .many = true},
    {'a', "rounds", "NUMBER", "of openssh: how slow a passphrase is to try, 100 otherwise"},
    {0, "no-certificate", NULL, "leave FILE's certificate out", .many = true},
    {0, "force", NULL, "replace a file that is there", .many = true},
    {.name = NULL},
};

const struct command command_key_convert = {
    .name = "convert",
    .arguments = "FILE",
    .summary = "Convert a key file between OpenSSH, SSH2, PKCS#8, PEM and PuTTY",
    .details = "What FILE is, is found out. A passphrase is kept unless another is asked for.",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .run = key_convert_run,
};
