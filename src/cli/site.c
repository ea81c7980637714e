#include "cli/site.h"

#include <dirent.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/document.h"
#include "model/entity.h"

err_t path_expand(const char *path, char **out) {
    if (path[0] != '~' || (path[1] != '/' && path[1] != '\0')) {
        char *copy = strdup(path);
        if (copy == NULL) {
            return FAIL(ERR_MEMORY);
        }
        *out = copy;
        return OK;
    }
    const char *home = getenv("HOME");
    if (home == NULL || home[0] != '/') {
        const struct passwd *entry = getpwuid(getuid());
        if (entry == NULL) {
            return FAIL(ERR_NOT_FOUND);
        }
        home = entry->pw_dir;
    }
    return path_join(home, path[1] == '\0' ? "" : path + 2, out);
}

err_t home_demand_own(struct trouble *trouble) {
    char *home CLEANUP(freep) = NULL;
    struct stat status;
    TRY(path_expand("~/", &home));
    if (geteuid() == 0 && stat(home, &status) == 0 && status.st_uid != 0) {
        return trouble_set(trouble, EXIT_REFUSED,
                           "%s is another user's, and nothing is changed there by root; run "
                           "postern as that one",
                           home);
    }
    return OK;
}

err_t file_put(const char *path, span_t bytes, mode_t mode, unsigned flags) {
    sigset_t ends;
    sigset_t before;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGHUP);
    (void)sigaddset(&ends, SIGQUIT);
    (void)sigprocmask(SIG_BLOCK, &ends, &before);
    err_t err = file_replace(path, bytes, mode, flags);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return err;
}

/* The XDG Base Directory Specification: "If an implementation encounters a relative path in any of
 * these variables it should consider the path invalid and ignore it." */
static err_t base_dir(const char *variable, const char *otherwise, char **out) {
    const char *value = getenv(variable);
    char *dir CLEANUP(freep) = NULL;
    TRY(path_expand(value != NULL && value[0] == '/' ? value : otherwise, &dir));
    return path_join(dir, "posterngate", out);
}

static err_t site_path(bool state, const char *name, const char *file, char **out) {
    char *base CLEANUP(freep) = NULL;
    TRY(state ? base_dir("XDG_STATE_HOME", "~/.local/state", &base)
              : base_dir("XDG_CONFIG_HOME", "~/.config", &base));
    char *dir CLEANUP(freep) = NULL;
    TRY(path_join(base, name, &dir));
    return file == NULL ? path_join(base, name, out) : path_join(dir, file, out);
}

void site_freep(struct site **site) {
    if (*site != NULL) {
        free((*site)->name);
        free((*site)->url);
        free((*site)->username);
        free((*site)->ca_pem);
        json_decref((*site)->document);
        free(*site);
        *site = NULL;
    }
}

static err_t copy_text(const char *from, char **to) {
    char *copy = from == NULL ? NULL : strdup(from);
    if (from != NULL && copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    free(*to);
    *to = copy;
    return OK;
}

static err_t load_json(const char *path, json_t **out) {
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    TRY(file_read(path, &bytes));
    json_t *json = json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL) {
        return FAIL(ERR_MALFORMED);
    }
    *out = json;
    return OK;
}

static err_t load_ca(struct trouble *trouble, struct site *site) {
    char *path CLEANUP(freep) = NULL;
    TRY(site_path(false, site->name, "tls-ca.pem", &path));
    struct buf pem CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    err_t err = file_read(path, &pem);
    if (failed(err)) {
        /* Also when it is gone: falling back to the system's trust store would unpin it. */
        trouble_next(trouble, "postern init %s --fingerprint SHA256", site->url);
        return trouble_set(trouble, EXIT_USAGE, "cannot read the pinned TLS CA %s: %s", path,
                           err_text(err));
    }
    return buf_to_str(&pem, &site->ca_pem);
}

/* ERR_NOT_FOUND leaves trouble alone. */
static err_t site_load(struct trouble *trouble, const char *name, struct site **out) {
    char *path CLEANUP(freep) = NULL;
    TRY(site_path(false, name, "site.json", &path));
    json_t *json CLEANUP(json_freep) = NULL;
    err_t err = load_json(path, &json);
    if (err.code == ERR_NOT_FOUND) {
        return err;
    }
    struct fault fault = {0};
    const json_t *document = json_object_get(json, "document");
    if (failed(err)) {
        return trouble_of(trouble, err, "cannot read %s", path);
    }
    const char *url = json_string_value(json_object_get(json, "url"));
    if (url == NULL || failed(document_check(document, &fault))) {
        trouble_next(trouble, "postern init %s", url != NULL ? url : "https://AUTHORITY");
        return trouble_set(trouble, EXIT_USAGE, "%s is damaged: %s %s", path, fault.field,
                           fault.reason);
    }
    struct site *site CLEANUP(site_freep) = calloc(1, sizeof *site);
    if (site == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(copy_text(name, &site->name));
    TRY(copy_text(url, &site->url));
    TRY(copy_text(json_string_value(json_object_get(json, "username")), &site->username));
    site->document = json_incref(json_object_get(json, "document"));
    if (json_is_true(json_object_get(json, "tlsPinned"))) {
        TRY(load_ca(trouble, site));
    }
    *out = TAKE(site);
    return OK;
}

void site_names_done(struct site_names *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
}

static void closedirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

err_t site_names_list(struct site_names *out) {
    char *base CLEANUP(freep) = NULL;
    TRY(base_dir("XDG_CONFIG_HOME", "~/.config", &base));
    DIR *dir CLEANUP(closedirp) = opendir(base);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL && out->count < SITES_MAX) {
        if (failed(cluster_name_check(span_str(entry->d_name), NULL))) {
            continue;
        }
        char *path CLEANUP(freep) = NULL;
        TRY(site_path(false, entry->d_name, "site.json", &path));
        if (access(path, F_OK) == 0) {
            TRY(copy_text(entry->d_name, &out->names[out->count]));
            out->count++;
        }
    }
    qsort(out->names, out->count, sizeof *out->names, compare_names);
    return OK;
}

static err_t choose(struct trouble *trouble, const char *wanted, const struct site_names *list) {
    if (list->count == 0) {
        trouble_next(trouble, "postern init https://AUTHORITY");
        return trouble_set(trouble, EXIT_USAGE, "no site is set up yet");
    }
    struct buf names CLEANUP(buf_done) = BUF(SITES_MAX * (LIMIT_CLUSTER_NAME_CHARS + 2));
    for (size_t i = 0; i < list->count; i++) {
        TRY(buf_add_format(&names, "%s%s", i == 0 ? "" : ", ", list->names[i]));
    }
    trouble_next(trouble, "postern --site %s …", list->names[0]);
    if (wanted != NULL) {
        return trouble_set(trouble, EXIT_USAGE, "there is no site %s here; there is: %.*s", wanted,
                           (int)names.len, (const char *)names.data);
    }
    return trouble_set(trouble, EXIT_USAGE, "several sites are set up; say which: %.*s",
                       (int)names.len, (const char *)names.data);
}

err_t site_open(struct trouble *trouble, const char *name, struct site **out) {
    struct site_names list CLEANUP(site_names_done) = {0};
    if (name == NULL) {
        TRY(site_names_list(&list));
        if (list.count != 1) {
            return choose(trouble, NULL, &list);
        }
        name = list.names[0];
    } else if (failed(cluster_name_check(span_str(name), NULL))) {
        return trouble_set(trouble, EXIT_USAGE, "%s is no name of a site", name);
    }
    err_t err = site_load(trouble, name, out);
    if (err.code != ERR_NOT_FOUND) {
        return err;
    }
    TRY(site_names_list(&list));
    return choose(trouble, name, &list);
}

err_t site_open_url(struct trouble *trouble, const char *url, struct site **out) {
    struct site_names list CLEANUP(site_names_done) = {0};
    TRY(site_names_list(&list));
    for (size_t i = 0; i < list.count; i++) {
        struct site *site CLEANUP(site_freep) = NULL;
        err_t err = site_load(trouble, list.names[i], &site);
        if (!failed(err) && strcmp(site->url, url) == 0) {
            *out = TAKE(site);
            return OK;
        }
    }
    *trouble = (struct trouble){0}; /* another site that is damaged is not this one's trouble */
    return FAIL(ERR_NOT_FOUND);
}

/* Lines that trust every host whose certificate the site's host CA signed. They have a file of
 * their own, for UserKnownHostsFile: in ~/.ssh/known_hosts the marker breaks paramiko. */
static err_t known_hosts_put(const struct site *site, const char *path) {
    struct key_list keys CLEANUP(key_list_done) = {0};
    TRY(document_ca_keys(site->document, "hostCaKeys", &keys));
    struct buf lines CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    for (size_t i = 0; i < keys.count; i++) {
        TRY(buf_add_str(&lines, "@cert-authority * "));
        TRY(key_print_line(keys.keys[i], site->name, &lines));
        TRY(buf_add_byte(&lines, '\n'));
    }
    return file_put(path, buf_span(&lines), 0644, 0);
}

err_t site_save(struct trouble *trouble, const struct site *site) {
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    char *ca_path CLEANUP(freep) = NULL;
    char *hosts_path CLEANUP(freep) = NULL;
    TRY(site_path(false, site->name, NULL, &dir));
    TRY(site_path(false, site->name, "known_hosts", &hosts_path));
    TRY(site_path(false, site->name, "site.json", &path));
    TRY(site_path(false, site->name, "tls-ca.pem", &ca_path));
    json_t *json CLEANUP(json_freep) = json_pack("{s:s, s:b, s:O}", "url", site->url, "tlsPinned",
                                                 site->ca_pem != NULL, "document", site->document);
    if (json == NULL || (site->username != NULL &&
                         json_object_set_new(json, "username", json_string(site->username)) != 0)) {
        return FAIL(ERR_MEMORY);
    }
    char *text CLEANUP(freep) = json_dumps(json, JSON_INDENT(2));
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = file_make_dirs(dir, 0700);
    if (!failed(err) && site->ca_pem != NULL) {
        err = file_put(ca_path, span_str(site->ca_pem), 0644, 0);
    }
    if (!failed(err)) {
        err = known_hosts_put(site, hosts_path);
    }
    if (!failed(err)) {
        err = file_put(path, span_str(text), 0644, 0);
    }
    return failed(err) ? trouble_of(trouble, err, "cannot write %s", path) : OK;
}

err_t site_config_path(const char *name, const char *file, char **out) {
    return site_path(false, name, file, out);
}

err_t site_state_path(const char *name, const char *file, char **out) {
    return site_path(true, name, file, out);
}
