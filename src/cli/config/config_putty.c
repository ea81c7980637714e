/* postern config --putty: sessions for PuTTY, here and as a file for Windows. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/config/config.h"
#include "cli/config/putty.h"
#include "cli/document.h"

enum { SESSION_BYTES = 64 * 1024, REGISTRY_BYTES = 64 * 1024 * 1024 };

/* --- where PuTTY keeps things --- */

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* $PUTTYDIR, or the XDG folder where it is there, else ~/.putty, as PuTTY looks. */
static err_t putty_folder(char **out) {
    const char *named = getenv("PUTTYDIR");
    const char *config = getenv("XDG_CONFIG_HOME");
    char *base CLEANUP(freep) = NULL;
    char *xdg CLEANUP(freep) = NULL;
    if (named != NULL && named[0] == '/') {
        return path_expand(named, out);
    }
    TRY(path_expand(config != NULL && config[0] == '/' ? config : "~/.config", &base));
    TRY(path_join(base, "putty", &xdg));
    if (is_folder(xdg)) {
        *out = TAKE(xdg);
        return OK;
    }
    return path_expand("~/.putty", out);
}

/* PuTTY drops lines that it does not know when a person saves the session: it is theirs then. */
static bool is_of_site(const char *path, const char *site) {
    struct buf text CLEANUP(buf_done) = BUF(SESSION_BYTES);
    char mark[LIMIT_CLUSTER_NAME_CHARS + sizeof "\n" PUTTY_MARK "=\n"];
    (void)snprintf(mark, sizeof mark, "\n" PUTTY_MARK "=%s\n", site);
    return !failed(file_read(path, &text)) && span_find_str(buf_span(&text), mark) != NULL;
}

static err_t put_file(struct cli *cli, const char *path, span_t text) {
    err_t err = file_put(path, text, 0600, FILE_HIDDEN);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", path) : OK;
}

static err_t make_folder(struct cli *cli, const char *base, const char *name, char **out) {
    TRY(path_join(base, name, out));
    err_t err = file_make_dirs(*out, 0700);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot make the folder %s", *out) : OK;
}

/* --- writing --- */

struct putting {
    struct cli *cli;
    const char *folder;
    const struct putty_options *options;
    json_t *names;
};

static err_t put_session(void *context, const struct putty_session *session) {
    const struct putting *putting = context;
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(SESSION_BYTES);
    TRY(path_join(putting->folder, session->name, &path));
    if (access(path, F_OK) == 0 && !is_of_site(path, putting->options->site)) {
        print_warning("%s is there already and is not of this site: it was left as it is", path);
        return OK;
    }
    TRY(putty_put_session(session, putting->options, &text));
    TRY(put_file(putting->cli, path, buf_span(&text)));
    return json_array_append_new(putting->names, json_string(session->name)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static err_t ca_path(const char *folder, const char *site, size_t index, char **out) {
    char name[LIMIT_CLUSTER_NAME_CHARS + 48];
    (void)snprintf(name, sizeof name, "posterngate-%s-%zu", site, index + 1);
    return path_join(folder, name, out);
}

static err_t put_cas(struct cli *cli, const char *folder, const struct config_call *call,
                     const struct key_list *cas) {
    for (size_t i = 0; i < cas->count; i++) {
        char *path CLEANUP(freep) = NULL;
        struct buf text CLEANUP(buf_done) = BUF(REGISTRY_BYTES);
        TRY(ca_path(folder, call->site->name, i, &path));
        TRY(putty_put_ca(cas->keys[i], call->reach, &text));
        TRY(put_file(cli, path, buf_span(&text)));
    }
    return OK;
}

static err_t put_here(const struct config_call *call, const char *jump, const struct key_list *cas,
                      const struct putty_options *options, json_t *names) {
    struct cli *cli = call->cli;
    char *base CLEANUP(freep) = NULL;
    char *sessions CLEANUP(freep) = NULL;
    char *trusted CLEANUP(freep) = NULL;
    TRY(putty_folder(&base));
    TRY(make_folder(cli, base, "sessions", &sessions));
    TRY(make_folder(cli, base, "sshhostcas", &trusted));
    struct putting putting = {cli, sessions, options, names};
    TRY(putty_each(call->reach, jump, put_session, &putting));
    return put_cas(cli, trusted, call, cas);
}

/* Of a file that is there only one that this wrote is replaced. */
static err_t put_registry(const struct config_call *call, span_t text, char **path) {
    static const char mark[] = "; Written by postern config of Posterngate";
    const char *folder = arguments_value(call->arguments, "output");
    char name[LIMIT_CLUSTER_NAME_CHARS + 24];
    struct buf before CLEANUP(buf_done) = BUF(REGISTRY_BYTES);
    (void)snprintf(name, sizeof name, "posterngate-%s.reg", call->site->name);
    TRY(path_join(folder != NULL ? folder : ".", name, path));
    err_t err = file_read(*path, &before);
    if (err.code != ERR_NOT_FOUND &&
        (failed(err) || span_find_str(buf_span(&before), mark) == NULL)) {
        return trouble_set(&call->cli->trouble, EXIT_CONFLICT,
                           "%s is there already, and was not written by postern config", *path);
    }
    return put_file(call->cli, *path, text);
}

static err_t report(const struct config_call *call, const char *key, const char *file,
                    const json_t *names) {
    if (call->cli->json) {
        json_t *answer CLEANUP(json_freep) =
            json_pack("{s:s, s:s, s:s, s:O}", "site", call->site->name, "file", file, "key", key,
                      "sessions", names);
        return answer == NULL ? FAIL(ERR_MEMORY) : print_json(answer);
    }
    size_t index;
    json_t *name;
    (void)printf("For Windows: %s\nHere:\n", file);
    json_array_foreach(names, index, name) {
        (void)printf("  plink -load %s\n", json_string_value(name));
    }
    if (access(key, R_OK) != 0) {
        (void)printf("The sessions use %s, which is not there yet. Next:\n"
                     "  postern key convert %s --to ppk\n",
                     key, call->setup.key_file);
    }
    return OK;
}

/* PuTTY expands no "~". */
static err_t find_key(const struct config_call *call, char **key, char **cert) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_expand(call->setup.key_file, &path));
    if (asprintf(key, "%s.ppk", path) < 0) {
        *key = NULL;
        return FAIL(ERR_MEMORY);
    }
    if (asprintf(cert, "%s-cert.pub", path) < 0) {
        *cert = NULL;
        return FAIL(ERR_MEMORY);
    }
    return OK;
}

err_t config_putty(struct config_call *call) {
    struct key_list cas CLEANUP(key_list_done) = {0};
    struct buf registry CLEANUP(buf_done) = BUF(REGISTRY_BYTES);
    json_t *names CLEANUP(json_freep) = json_array();
    char *key CLEANUP(freep) = NULL;
    char *cert CLEANUP(freep) = NULL;
    char *file CLEANUP(freep) = NULL;
    const char *jump = ssh_config_jump(call->reach, &call->setup.options);
    TRY(find_key(call, &key, &cert));
    TRY(document_ca_keys(call->site->document, "hostCaKeys", &cas));
    struct putty_options options = {.site = call->site->name,
                                    .username = call->setup.options.username,
                                    .key = arguments_value(call->arguments, "putty-key")};
    TRY(putty_put_registry(call->reach, jump, (const struct key *const *)cas.keys, cas.count,
                           &options, &registry));
    if (arguments_has(call->arguments, "print")) {
        return fwrite(registry.data, 1, registry.len, stdout) == registry.len ? OK : FAIL(ERR_IO);
    }
    options.key = key;
    options.certificate = cert;
    TRY(put_registry(call, buf_span(&registry), &file));
    TRY(put_here(call, jump, &cas, &options, names));
    return report(call, key, file, names);
}

/* --- removing --- */

static void closedirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

static err_t remove_in(const char *base, const char *name, const char *site, bool by_mark,
                       size_t *count) {
    char *folder CLEANUP(freep) = NULL;
    char begin[LIMIT_CLUSTER_NAME_CHARS + 24];
    TRY(path_join(base, name, &folder));
    size_t len = (size_t)snprintf(begin, sizeof begin, "posterngate-%s-", site);
    DIR *dir CLEANUP(closedirp) = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char *path CLEANUP(freep) = NULL;
        TRY(path_join(folder, entry->d_name, &path));
        bool ours =
            by_mark ? is_of_site(path, site)
                    : strncmp(entry->d_name, begin, len) == 0 &&
                          strspn(entry->d_name + len, "0123456789") == strlen(entry->d_name + len);
        *count += ours && unlink(path) == 0 ? 1 : 0;
    }
    return OK;
}

err_t config_putty_remove(struct cli *cli, const char *site) {
    char *base CLEANUP(freep) = NULL;
    size_t sessions = 0;
    size_t cas = 0;
    TRY(putty_folder(&base));
    TRY(remove_in(base, "sessions", site, true, &sessions));
    TRY(remove_in(base, "sshhostcas", site, false, &cas));
    if (cli->json) {
        json_t *answer CLEANUP(json_freep) =
            json_pack("{s:s, s:I}", "site", site, "sessions", (json_int_t)sessions);
        return answer == NULL ? FAIL(ERR_MEMORY) : print_json(answer);
    }
    (void)printf("Removed: %zu sessions of %s\n", sessions, site);
    return OK;
}
