/* postern config --aiida HOST: the three files that verdi takes by --config. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/config/aiida.h"
#include "cli/config/config.h"
#include "ssh/private_key.h"

enum { FILE_BYTES = 64 * 1024 };

static const struct form {
    const char *name; /* of the file: HOST-NAME.yaml */
    const char *verdi;
    err_t (*put)(const struct aiida_computer *computer, struct buf *out);
} forms[] = {
    {"setup", "verdi computer setup --non-interactive --config", aiida_put_setup},
    {"ssh_async", "verdi computer configure core.ssh_async %s --non-interactive --config",
     aiida_put_ssh_async},
    {"ssh", "verdi computer configure core.ssh %s --non-interactive --config", aiida_put_ssh},
};

/* --- what it is about --- */

struct texts {
    char *key_file, *known_hosts, *proxy_jump;
};

static void texts_done(struct texts *texts) {
    free(texts->key_file);
    free(texts->known_hosts);
    free(texts->proxy_jump);
}

/* paramiko reads no configuration: each hop in full, the person's own as they were given. */
static err_t make_proxy_jump(const struct config_call *call, char **out) {
    const struct ssh_config_options *options = &call->setup.options;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_LINE_CHARS);
    const char *last = ssh_config_jump(call->reach, options);
    const char *const *hops = options->hop_count > 0 ? options->hops : &last;
    size_t count = options->hop_count > 0 ? options->hop_count : last != NULL ? 1 : 0;
    bool has_own = false;
    for (size_t i = 0; i < count + 1; i++) {
        const char *name = i < count ? hops[i] : has_own ? NULL : last;
        const struct reach_host *jump = name == NULL ? NULL : reach_find_host(call->reach, name);
        bool own = jump != NULL && jump->role == HOST_JUMP;
        if (name == NULL || (i == count && !own)) {
            continue;
        }
        has_own = has_own || own;
        TRY(text.len > 0 ? buf_add_byte(&text, ',') : OK);
        if (!own) {
            TRY(buf_add_str(&text, name));
            continue;
        }
        bool bare = strchr(jump->address, ':') == NULL;
        TRY(options->username != NULL ? buf_add_format(&text, "%s@", options->username) : OK);
        TRY(buf_add_format(&text, bare ? "%s:%u" : "[%s]:%u", jump->address, (unsigned)jump->port));
    }
    return text.len > 0 ? buf_to_str(&text, out) : OK;
}

/* A file that cannot be read is no private key that AiiDA could use, and no fault here. */
static bool is_for_agent(const char *key_file) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    return failed(file_read(key_file, &file)) ||
           failed(private_key_inspect(buf_span(&file), &info)) || info.encrypted;
}

static err_t fill(const struct config_call *call, const char *host, struct texts *texts,
                  struct aiida_computer *out) {
    struct cli *cli = call->cli;
    const struct reach_cluster *cluster = reach_find_cluster(call->reach, host);
    const struct reach_host *login = cluster != NULL ? NULL : reach_find_host(call->reach, host);
    if (cluster == NULL && (login == NULL || login->role == HOST_JUMP)) {
        trouble_next(&cli->trouble, "postern whoami");
        return trouble_set(&cli->trouble, EXIT_MISSING,
                           "%s is no cluster and no host that you reach", host);
    }
    TRY(path_expand(call->setup.key_file, &texts->key_file));
    TRY(site_config_path(call->site->name, "known_hosts.plain", &texts->known_hosts));
    TRY(make_proxy_jump(call, &texts->proxy_jump));
    *out = (struct aiida_computer){
        .label = cluster != NULL ? cluster->name : login->name,
        .address = cluster != NULL ? cluster->address : login->address,
        .port = cluster != NULL ? cluster->port : login->port,
        .username = call->setup.options.username,
        .site = call->site->name,
        .key_file = texts->key_file,
        .in_agent = is_for_agent(texts->key_file),
        .known_hosts = texts->known_hosts,
        .refresh = call->setup.options.refresh,
        .proxy_jump = texts->proxy_jump,
    };
    return OK;
}

/* --- writing --- */

static err_t print_all(const struct aiida_computer *computer) {
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct buf text CLEANUP(buf_done) = BUF(FILE_BYTES);
        TRY(forms[i].put(computer, &text));
        TRY(fwrite(text.data, 1, text.len, stdout) == text.len ? OK : FAIL(ERR_IO));
    }
    return OK;
}

/* People write into these files: one that is there is theirs. */
static err_t put_form(const struct config_call *call, const struct aiida_computer *computer,
                      const struct form *form, char **path) {
    const char *folder = arguments_value(call->arguments, "output");
    char *name CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(FILE_BYTES);
    if (asprintf(&name, "%s-%s.yaml", computer->label, form->name) < 0) {
        name = NULL;
        return FAIL(ERR_MEMORY);
    }
    TRY(path_join(folder != NULL ? folder : ".", name, path));
    TRY(form->put(computer, &text));
    err_t err = file_put(*path, buf_span(&text), 0644, FILE_EXCLUSIVE);
    if (err.code == ERR_EXISTS) {
        trouble_next(&call->cli->trouble, "postern config --aiida %s --output FOLDER",
                     computer->label);
        return trouble_set(&call->cli->trouble, EXIT_CONFLICT, "%s is there already", *path);
    }
    return failed(err) ? trouble_of(&call->cli->trouble, err, "cannot write %s", *path) : OK;
}

static err_t put_all(const struct config_call *call, const struct aiida_computer *computer) {
    json_t *answer CLEANUP(json_freep) = json_pack("{s:s}", "label", computer->label);
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        char *path CLEANUP(freep) = NULL;
        TRY(put_form(call, computer, &forms[i], &path));
        if (json_object_set_new(answer, forms[i].name, json_string(path)) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    if (call->cli->json) {
        return print_json(answer);
    }
    (void)printf("Look at the cluster's own settings in the first, then one of the others:\n");
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        const char *path = member_text(answer, forms[i].name);
        const char *blank = strstr(forms[i].verdi, "%s");
        if (blank == NULL) {
            (void)printf("  %s %s\n", forms[i].verdi, path);
        } else {
            (void)printf("  %.*s%s%s %s\n", (int)(blank - forms[i].verdi), forms[i].verdi,
                         computer->label, blank + 2, path);
        }
    }
    return OK;
}

err_t config_aiida(struct config_call *call, const char *host) {
    struct texts texts CLEANUP(texts_done) = {0};
    struct aiida_computer computer;
    TRY(fill(call, host, &texts, &computer));
    if (computer.refresh == NULL || access(computer.refresh, X_OK) != 0) {
        print_warning("postern-refresh is not installed beside postern, and AiiDA takes no "
                      "authentication_script that is not there: it is left out");
        computer.refresh = NULL;
    }
    return arguments_has(call->arguments, "print") ? print_all(&computer)
                                                   : put_all(call, &computer);
}
