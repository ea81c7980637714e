#include "cli/keys/key_file.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/agent/agent_find.h"
#include "cli/document.h"
#include "cli/terminal.h"

enum { PASSPHRASE_TRIES = 3 };

void user_key_done(struct user_key *key) {
    free(key->path);
    free(key->cert_path);
    free(key->comment);
    key_free(key->public);
    *key = (struct user_key){0};
}

static bool cut_suffix(char *text, const char *suffix) {
    size_t len = strlen(text);
    size_t suffix_len = strlen(suffix);
    if (len <= suffix_len || strcmp(text + len - suffix_len, suffix) != 0) {
        return false;
    }
    text[len - suffix_len] = '\0';
    return true;
}

err_t user_key_paths(const char *given, struct user_key *out) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_expand(given, &path));
    (void)(cut_suffix(path, "-cert.pub") || cut_suffix(path, ".pub"));
    char *cert_path = NULL;
    if (asprintf(&cert_path, "%s-cert.pub", path) < 0) {
        return FAIL(ERR_MEMORY);
    }
    free(out->path);
    free(out->cert_path);
    out->path = TAKE(path);
    out->cert_path = cert_path;
    return OK;
}

err_t key_file_trouble(struct cli *cli, err_t err, const char *path) {
    struct trouble *trouble = &cli->trouble;
    switch (err.code) {
    case ERR_KEY_PRIVATE:
        trouble_next(trouble, "ssh-keygen -y -f PRIVATE_KEY > %s", path);
        return trouble_set(trouble, EXIT_USAGE,
                           "%s holds a PRIVATE key where its public half is expected; nothing was "
                           "sent",
                           path);
    case ERR_KEY_RFC4716:
        trouble_next(trouble, "postern key convert %s --to openssh", path);
        break;
    case ERR_KEY_DSA:
    case ERR_KEY_RSA1:
        trouble_next(trouble, "postern keygen");
        break;
    case ERR_KEY_KDF:
        trouble_next(trouble, "puttygen %s --reencrypt -o NEW.ppk", path);
        break;
    case ERR_KEY_IS_CERT:
        return trouble_set(trouble, EXIT_USAGE, "%s is a certificate; give the key it belongs to",
                           path);
    case ERR_UNSUPPORTED:
        return trouble_set(trouble, EXIT_USAGE, "%s is not a regular file", path);
    case ERR_MALFORMED:
    case ERR_TRUNCATED:
        return trouble_set(trouble, EXIT_USAGE, "%s is no SSH key in a form known here", path);
    default:
        break;
    }
    return trouble_of(trouble, err, "%s", path);
}

/* The first line that is neither empty nor a comment, as ssh-keygen reads a .pub file. */
static span_t first_line(span_t text) {
    while (text.len > 0) {
        const uint8_t *stop = memchr(text.data, '\n', text.len);
        size_t len = stop == NULL ? text.len : (size_t)(stop - text.data);
        if (len > 0 && text.data[0] != '#' && text.data[0] != '\r') {
            return span_of(text.data, len);
        }
        size_t used = stop == NULL ? text.len : len + 1;
        text = span_of(text.data + used, text.len - used);
    }
    return text;
}

static err_t take_public(span_t text, struct user_key *out) {
    span_t comment = {0};
    struct key *key CLEANUP(key_freep) = NULL;
    span_t line = first_line(text);
    err_t err = key_parse_line(line, &key, &comment);
    if (failed(err)) {
        /* Judged whole: the marks of private and SSH2 keys may be on other lines. */
        err_t whole = key_parse_line(text, &key, NULL);
        return failed(whole) && whole.code != ERR_MALFORMED ? whole : err;
    }
    TRY(span_to_str(comment, &out->comment));
    out->public = TAKE(key);
    return OK;
}

static err_t read_public(struct cli *cli, const char *path, struct user_key *out) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    err_t err = file_read(path, &text);
    if (err.code == ERR_NOT_FOUND) {
        return err;
    }
    if (!failed(err)) {
        err = take_public(buf_span(&text), out);
    }
    return failed(err) ? key_file_trouble(cli, err, path) : OK;
}

static err_t missing_public(struct cli *cli, const struct user_key *key) {
    trouble_next(&cli->trouble, "ssh-keygen -y -f %s > %s.pub", key->path, key->path);
    return trouble_set(&cli->trouble, EXIT_MISSING,
                       "%s.pub is missing and the encrypted private key does not show its public "
                       "half",
                       key->path);
}

/* Without a .pub file: the private key file tells its public half, or is a public key itself. */
static err_t read_from_private(struct cli *cli, struct user_key *out) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    err_t err = file_read(out->path, &file);
    if (failed(err)) {
        return err.code == ERR_NOT_FOUND ? err : key_file_trouble(cli, err, out->path);
    }
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    err = private_key_inspect(buf_span(&file), &info);
    if (err.code == ERR_MALFORMED) {
        err = take_public(buf_span(&file), out);
        return failed(err) ? key_file_trouble(cli, err, out->path) : OK;
    }
    if (failed(err)) {
        return key_file_trouble(cli, err, out->path);
    }
    if (info.public_key == NULL) {
        return missing_public(cli, out);
    }
    out->has_private = true;
    TRY(key_copy(info.public_key, &out->public));
    return span_to_str((span_t){0}, &out->comment);
}

struct agent_search {
    const char *names[3]; /* comment to find: as given, expanded, last part */
    span_t blob;          /* or the blob */
    struct user_key *out; /* NULL for a search by blob */
    bool found;
};

static err_t on_identity(void *context, span_t blob, span_t comment) {
    struct agent_search *search = context;
    if (search->out == NULL) {
        search->found = search->found || span_equal(search->blob, blob);
        return OK;
    }
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint_blob(blob, fingerprint);
    bool match = strcmp(fingerprint, search->names[0]) == 0;
    for (size_t i = 0; i < COUNT_OF(search->names); i++) {
        match = match || span_equal_str(comment, search->names[i]);
    }
    struct key *key CLEANUP(key_freep) = NULL;
    /* A key of a kind not known here, or a certificate: another may match. */
    if (!match || search->found || failed(key_parse(blob, &key))) {
        return OK;
    }
    TRY(span_to_str(comment, &search->out->comment));
    search->out->public = TAKE(key);
    search->found = true;
    return OK;
}

static err_t search_agent(struct agent_search *search) {
    struct agent_client *agent CLEANUP(agent_client_closep) = NULL;
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t answer = {0};
    TRY(agent_find_open(&agent));
    TRY(agent_put_request_identities(&request));
    TRY(agent_client_call(agent, &request, &answer));
    return agent_get_identities(answer, on_identity, search);
}

bool agent_holds(span_t blob) {
    struct agent_search search = {.blob = blob};
    return !failed(search_agent(&search)) && search.found;
}

/* A key that was not given as a path: its files stand beside the default key, whose own they must
 * not replace. */
static err_t name_agent_key(const char *otherwise, struct user_key *out) {
    char fingerprint[FINGERPRINT_CHARS];
    char name[FINGERPRINT_CHARS] = "";
    size_t len = 0;
    key_fingerprint(out->public, fingerprint);
    for (const char *at = fingerprint + strlen("SHA256:"); *at != '\0' && len < 16; at++) {
        if (isalnum((unsigned char)*at)) {
            name[len++] = *at;
        }
    }
    const char *slash = strrchr(otherwise, '/');
    char *path CLEANUP(freep) = NULL;
    if (asprintf(&path, "%.*s/agent-%s", slash == NULL ? 1 : (int)(slash - otherwise),
                 slash == NULL ? "." : otherwise, name) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    return user_key_paths(path, out);
}

static err_t find_in_agent(struct cli *cli, const char *given, const char *otherwise,
                           struct user_key *out) {
    const char *slash = strrchr(out->path, '/');
    struct agent_search search = {
        .names = {given, out->path, slash == NULL ? out->path : slash + 1}, .out = out};
    err_t err = search_agent(&search);
    if (failed(err) || !search.found) {
        trouble_next(&cli->trouble, "postern keygen -f %s", out->path);
        return trouble_set(&cli->trouble, EXIT_MISSING, "there is no key %s, nor one in the agent",
                           out->path);
    }
    out->in_agent = true;
    bool is_path = strncmp(given, "SHA256:", strlen("SHA256:")) != 0 && strchr(given, '/') != NULL;
    return is_path ? OK : name_agent_key(otherwise, out);
}

err_t user_key_find(struct cli *cli, const char *given, const char *otherwise,
                    struct user_key *out) {
    struct user_key key CLEANUP(user_key_done) = {0};
    TRY(user_key_paths(given, &key));
    size_t given_len = strlen(given);
    if (given_len > 9 && strcmp(given + given_len - 9, "-cert.pub") == 0) {
        return key_file_trouble(cli, FAIL(ERR_KEY_IS_CERT), given);
    }
    char *public_path CLEANUP(freep) = NULL;
    if (asprintf(&public_path, "%s.pub", key.path) < 0) {
        public_path = NULL;
        return FAIL(ERR_MEMORY);
    }
    err_t err = read_public(cli, public_path, &key);
    if (err.code == ERR_NOT_FOUND) {
        err = read_from_private(cli, &key);
    } else if (!failed(err)) {
        key.has_private = access(key.path, F_OK) == 0;
    }
    if (err.code == ERR_NOT_FOUND) {
        err = find_in_agent(cli, given, otherwise, &key);
    }
    TRY(err);
    *out = key;
    key = (struct user_key){0};
    return OK;
}

static err_t read_private(struct cli *cli, const struct user_key *key, struct buf *file) {
    err_t err = file_read(key->path, file);
    return failed(err) ? key_file_trouble(cli, err, key->path) : OK;
}

err_t user_key_inspect(struct cli *cli, const struct user_key *key, struct private_key_info *out) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    TRY(read_private(cli, key, &file));
    err_t err = private_key_inspect(buf_span(&file), out);
    return failed(err) ? key_file_trouble(cli, err, key->path) : OK;
}

static err_t load_asking(struct cli *cli, const char *path, span_t file, struct private_key **out,
                         char **comment, secret_t *used) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    if (failed(terminal_open(&terminal))) {
        return trouble_set(&cli->trouble, EXIT_REFUSED,
                           "%s needs its passphrase, and there is no terminal to ask at", path);
    }
    err_t err = FAIL(ERR_PASSPHRASE);
    for (int i = 0; i < PASSPHRASE_TRIES && err.code == ERR_PASSPHRASE; i++) {
        secret_t passphrase CLEANUP(secret_done) = {0};
        terminal_print(terminal, "%s%s\n", i == 0 ? "Key " : "Wrong passphrase for ", path);
        TRY(terminal_ask_secret(terminal, "Passphrase: ", &passphrase));
        err = private_key_load(file, &passphrase, out, comment);
        if (!failed(err) && used != NULL) {
            *used = passphrase;
            passphrase = (secret_t){0};
        }
    }
    return err;
}

err_t key_file_load(struct cli *cli, const char *path, span_t file, struct private_key **out,
                    char **comment, secret_t *passphrase) {
    err_t err = private_key_load(file, NULL, out, comment);
    if (err.code == ERR_ENCRYPTED) {
        err = load_asking(cli, path, file, out, comment, passphrase);
    }
    return failed(err) && cli->trouble.what[0] == '\0' ? key_file_trouble(cli, err, path) : err;
}

err_t user_key_load(struct cli *cli, const struct user_key *key, struct private_key **out) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key *private CLEANUP(private_key_freep) = NULL;
    TRY(read_private(cli, key, &file));
    TRY(key_file_load(cli, key->path, buf_span(&file), &private, NULL, NULL));
    if (!key_equal(private_key_public(private), key->public)) {
        trouble_next(&cli->trouble, "ssh-keygen -y -f %s > %s.pub", key->path, key->path);
        return trouble_set(&cli->trouble, EXIT_CONFLICT, "%s and %s.pub are not the same key",
                           key->path, key->path);
    }
    *out = TAKE(private);
    return OK;
}

err_t user_key_demand_passphrase(struct cli *cli, const struct site *site,
                                 const struct user_key *key) {
    if (!document_wants_encrypted_keys(site->document) || !key->has_private ||
        key_is_security_key(key->public)) {
        return OK;
    }
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    TRY(user_key_inspect(cli, key, &info));
    if (info.encrypted) {
        return OK;
    }
    trouble_next(&cli->trouble, "ssh-keygen -p -a 100 -f %s", key->path);
    return trouble_set(&cli->trouble, EXIT_REFUSED,
                       "%s demands private keys with a passphrase, and %s has none", site->name,
                       key->path);
}
