#include "cli/config/ssh_setup.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/config/ssh_value.h"
#include "cli/document.h"
#include "cli/process/process.h"

enum { ANSWER_BYTES = 4096, ANSWER_MS = 5000, PATH_BYTES = 4096 };

void ssh_setup_done(struct ssh_setup *setup) {
    free(setup->username);
    free(setup->key_file);
    free(setup->known_hosts);
    free(setup->refresh);
    free(setup->postern);
    *setup = (struct ssh_setup){0};
}

/* --- ssh -V --- */

static err_t ask_version(struct ssh_version *out) {
    const struct process_terms terms = {.timeout_ms = ANSWER_MS, .both = true};
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf answer CLEANUP(buf_done) = BUF(ANSWER_BYTES);
    char *text CLEANUP(freep) = NULL;
    int status = 0;
    TRY(command_line_add_words(&line, (const char *const[]){"ssh", "-V", NULL}));
    TRY(process_ask(&line, &terms, &answer, &status));
    TRY(buf_to_str(&answer, &text));
    return ssh_version_parse(text, out);
}

/* --- paths --- */

bool ssh_setup_same_home(void) {
    const struct passwd *entry = getpwuid(getuid());
    char *home CLEANUP(freep) = NULL;
    return entry != NULL && !failed(path_expand("~", &home)) &&
           strncmp(home, entry->pw_dir, strlen(entry->pw_dir)) == 0 &&
           strspn(home + strlen(entry->pw_dir), "/") == strlen(home) - strlen(entry->pw_dir);
}

err_t ssh_setup_path(bool same_home, const char *path, char **out) {
    char *home CLEANUP(freep) = NULL;
    char *whole CLEANUP(freep) = NULL;
    TRY(path_expand("~/", &home));
    TRY(path_expand(path, &whole));
    if (!same_home || strncmp(whole, home, strlen(home)) != 0) {
        *out = TAKE(whole);
        return OK;
    }
    return path_join("~", whole + strlen(home), out);
}

/* The file beside this program. */
static err_t beside(const char *name, char **out) {
    char path[PATH_BYTES];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    return path_join(path, name, out);
}

/* The first of $PATH; ERR_NOT_FOUND. */
static err_t in_path(const char *name, char **out) {
    const char *path = getenv("PATH");
    span_t rest = span_str(path != NULL ? path : "");
    while (rest.len > 0) {
        span_t folder = span_until(&rest, ':');
        char *dir CLEANUP(freep) = NULL;
        char *file CLEANUP(freep) = NULL;
        TRY(span_to_str(folder, &dir));
        TRY(path_join(dir, name, &file));
        if (dir[0] == '/' && access(file, X_OK) == 0) {
            *out = TAKE(file);
            return OK;
        }
    }
    return FAIL(ERR_NOT_FOUND);
}

static bool is_one_file(const char *a, const char *b) {
    char *one CLEANUP(freep) = realpath(a, NULL);
    char *two CLEANUP(freep) = realpath(b, NULL);
    return one != NULL && two != NULL && strcmp(one, two) == 0;
}

/* What $PATH calls it stays when a package brings the next version; NULL where there is neither. */
static err_t find_program(const char *name, char **out) {
    char *own CLEANUP(freep) = NULL;
    char *known CLEANUP(freep) = NULL;
    err_t err = beside(name, &own);
    err_t other = in_path(name, &known);
    if (err.code == ERR_MEMORY || other.code == ERR_MEMORY) {
        return FAIL(ERR_MEMORY);
    }
    *out = !failed(other) && (failed(err) || is_one_file(own, known)) ? TAKE(known) : TAKE(own);
    return OK;
}

/* --- all of it --- */

/* What ssh runs before a login stands in a shell's quotes. */
static void drop_refresh(struct ssh_setup *setup, const char *path) {
    print_warning("plain ssh will not renew certificates: its configuration cannot hold the path "
                  "%s",
                  path);
    free(TAKE(setup->refresh));
}

/* A name alone is in this folder. */
static err_t find_key(const struct site *site, const char *key, struct ssh_setup *setup) {
    char *whole CLEANUP(freep) = NULL;
    if (key == NULL) {
        return ssh_setup_path(setup->same_home, document_key_file(site->document),
                              &setup->key_file);
    }
    if (key[0] != '/' && strncmp(key, "~/", 2) != 0) {
        char *folder CLEANUP(freep) = getcwd(NULL, 0);
        TRY(folder == NULL ? FAIL(ERR_NOT_FOUND) : path_join(folder, key, &whole));
    }
    TRY(ssh_setup_path(setup->same_home, whole != NULL ? whole : key, &setup->key_file));
    setup->options.refresh_key = setup->key_file;
    return OK;
}

static err_t find_files(const struct site *site, const char *key, struct ssh_setup *setup) {
    char *known_hosts CLEANUP(freep) = NULL;
    TRY(site_config_path(site->name, "known_hosts", &known_hosts));
    TRY(ssh_setup_path(setup->same_home, known_hosts, &setup->known_hosts));
    TRY(find_key(site, key, setup));
    TRY(find_program("postern-refresh", &setup->refresh));
    TRY(find_program("postern", &setup->postern));
    if (setup->refresh != NULL && !ssh_value_can_run(setup->refresh)) {
        drop_refresh(setup, setup->refresh);
    }
    if (setup->refresh != NULL && key != NULL &&
        !ssh_value_has_only(setup->key_file, "_./+,@:=-~")) {
        drop_refresh(setup, setup->key_file);
    }
    if (setup->postern != NULL && !ssh_value_can_run(setup->postern)) {
        free(TAKE(setup->postern)); /* beside the other, which was warned of */
    }
    return OK;
}

err_t ssh_setup_make(const struct site *site, const struct reach *reach, const char *key,
                     struct ssh_setup *out) {
    struct ssh_setup setup CLEANUP(ssh_setup_done) = {.same_home = ssh_setup_same_home()};
    const char *username = reach->username != NULL ? reach->username : site->username;
    TRY(find_files(site, key, &setup));
    if (failed(ask_version(&setup.options.ssh))) {
        print_warning("ssh -V does not say which OpenSSH this is: taken for one of today");
    }
    if (username != NULL && !failed(account_name_check(span_str(username), NULL))) {
        setup.username = strdup(username);
        TRY(setup.username == NULL ? FAIL(ERR_MEMORY) : OK);
    }
    setup.options.site = site->name;
    setup.options.username = setup.username;
    setup.options.key_file = setup.key_file;
    setup.options.known_hosts = setup.known_hosts;
    setup.options.user_known_hosts = "~/.ssh/known_hosts";
    setup.options.refresh = setup.refresh;
    setup.options.postern = setup.postern;
    setup.options.gssapi = member_true(site->document, "gssapi");
    *out = setup;
    setup = (struct ssh_setup){0};
    return OK;
}
