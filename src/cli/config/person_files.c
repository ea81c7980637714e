#include "cli/config/person_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/site.h"
#include "model/entity.h"

enum { LOCK_MS = 30 * 1000 };

void person_files_done(struct person_files *files) {
    char *const texts[] = {files->ssh_folder,  files->folder, files->site_file,
                           files->known_hosts, files->config, files->config_file};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        free(texts[i]);
    }
    for (size_t i = 0; i < files->site_count; i++) {
        free(files->sites[i]);
    }
    buf_done(&files->config_text);
    buf_done(&files->site_text);
    fd_closep(&files->lock);
}

bool person_files_are_ours(span_t text) {
    size_t len = sizeof PERSON_FILES_FIRST_LINE - 1;
    return text.len >= len && memcmp(text.data, PERSON_FILES_FIRST_LINE, len) == 0;
}

/* --- finding --- */

/* No site's name begins with a dot. */
static err_t lock(struct cli *cli, int *fd) {
    char *path CLEANUP(freep) = NULL;
    char *dir CLEANUP(freep) = NULL;
    TRY(site_state_path(".ssh-config.lock", NULL, &path));
    dir = strndup(path, (size_t)(strrchr(path, '/') - path));
    TRY(dir == NULL ? FAIL(ERR_MEMORY) : file_make_dirs(dir, 0700));
    err_t err = file_lock(path, LOCK_MS, fd);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot lock %s", path) : OK;
}

static err_t make_folder(struct cli *cli, const char *path) {
    err_t err = file_make_dirs(path, 0700);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot make the folder %s", path) : OK;
}

/* *is_there false where there is none, and that is fine. */
static err_t read_file(struct cli *cli, const char *path, struct buf *out, bool *is_there) {
    err_t err = file_read(path, out);
    *is_there = !failed(err);
    return failed(err) && err.code != ERR_NOT_FOUND
               ? trouble_of(&cli->trouble, err, "cannot read %s", path)
               : OK;
}

static err_t find_config(struct cli *cli, struct person_files *files) {
    struct stat status;
    files->mode = 0600;
    files->config_is_link = lstat(files->config, &status) == 0 && S_ISLNK(status.st_mode);
    files->config_file = realpath(files->config, NULL);
    if (files->config_file == NULL && files->config_is_link) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "%s is a symbolic link that leads nowhere: %s", files->config,
                           strerror(errno));
    }
    if (files->config_file == NULL) {
        files->config_file = strdup(files->config);
        return files->config_file == NULL ? FAIL(ERR_MEMORY) : OK;
    }
    if (stat(files->config_file, &status) == 0) {
        files->mode = status.st_mode & 07777;
    }
    return OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void closedirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

static err_t find_sites(struct person_files *files) {
    static const char prefix[] = PERSON_CONFIG_PREFIX;
    DIR *dir CLEANUP(closedirp) = opendir(files->folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL && files->site_count < PERSON_SITES_MAX) {
        const char *site = entry->d_name + sizeof prefix - 1;
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0 ||
            failed(cluster_name_check(span_str(site), NULL))) {
            continue;
        }
        files->sites[files->site_count] = strdup(site);
        if (files->sites[files->site_count++] == NULL) {
            return FAIL(ERR_MEMORY);
        }
    }
    qsort(files->sites, files->site_count, sizeof *files->sites, compare_names);
    return OK;
}

err_t person_files_open(struct cli *cli, const char *site, bool make, struct person_files *out) {
    struct person_files files CLEANUP(person_files_done) = {
        .config_text = BUF(LIMIT_CONFIG_FILE_BYTES),
        .site_text = BUF(LIMIT_SSH_CONFIG_BYTES),
        .lock = -1};
    char *name CLEANUP(freep) = NULL;
    if (asprintf(&name, PERSON_CONFIG_PREFIX "%s", site) < 0) {
        name = NULL;
        return FAIL(ERR_MEMORY);
    }
    TRY(path_expand("~/.ssh", &files.ssh_folder));
    TRY(path_join(files.ssh_folder, PERSON_CONFIG_FOLDER, &files.folder));
    TRY(path_join(files.ssh_folder, "config", &files.config));
    TRY(path_join(files.ssh_folder, "known_hosts", &files.known_hosts));
    TRY(path_join(files.folder, name, &files.site_file));
    TRY(lock(cli, &files.lock));
    TRY(make ? make_folder(cli, files.folder) : OK);
    TRY(find_config(cli, &files));
    TRY(read_file(cli, files.config_file, &files.config_text, &files.has_config));
    TRY(read_file(cli, files.site_file, &files.site_text, &files.has_site_file));
    TRY(find_sites(&files));
    *out = files;
    files = (struct person_files){.lock = -1};
    return OK;
}

/* --- writing --- */

/* Root with another's $HOME would leave files there that ssh refuses to read. */
static err_t demand_own(struct cli *cli, const char *path) {
    struct stat status;
    if (stat(path, &status) == 0 && status.st_uid != geteuid()) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "%s belongs to another user; run postern as that one", path);
    }
    return OK;
}

static void tell_line(struct cli *cli, const struct person_files *files, const char *line) {
    if (line != NULL && line[0] != '\0') {
        trouble_next(&cli->trouble, "write this as the first line of %s yourself:\n%s",
                     files->config, line);
    }
}

static err_t demand_ours(struct cli *cli, const struct person_files *files) {
    if (files->has_site_file && !person_files_are_ours(buf_span(&files->site_text))) {
        trouble_next(&cli->trouble, "mv %s ~/", files->site_file);
        return trouble_set(&cli->trouble, EXIT_CONFLICT,
                           "%s was not written by postern config, and was left as it is",
                           files->site_file);
    }
    return OK;
}

static bool is_same(const struct person_files *files, span_t text) {
    return span_equal(text, buf_span(&files->config_text)) && (files->has_config || text.len == 0);
}

err_t person_files_check(struct cli *cli, const struct person_files *files, span_t text,
                         const char *line) {
    TRY(demand_own(cli, files->ssh_folder));
    TRY(demand_ours(cli, files));
    if (is_same(files, text) || !files->has_config) {
        return OK;
    }
    TRY(demand_own(cli, files->config_file));
    if ((files->mode & S_IWUSR) == 0) {
        tell_line(cli, files, line);
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s is read-only, and was left as it is",
                           files->config);
    }
    return OK;
}

err_t person_files_put_config(struct cli *cli, const struct person_files *files, span_t text,
                              const char *line) {
    TRY(person_files_check(cli, files, text, line));
    if (is_same(files, text)) {
        return OK;
    }
    if (text.len == 0 && !files->config_is_link) {
        return unlink(files->config_file) == 0 ? OK
                                               : trouble_of(&cli->trouble, err_from_errno(errno),
                                                            "cannot remove %s", files->config);
    }
    err_t err = file_put(files->config_file, text, files->mode, FILE_DURABLE | FILE_HIDDEN);
    if (failed(err)) {
        tell_line(cli, files, line);
        return trouble_of(&cli->trouble, err, "cannot write %s, which is as it was", files->config);
    }
    return OK;
}

err_t person_files_put_site(struct cli *cli, const struct person_files *files, span_t text) {
    TRY(demand_ours(cli, files));
    TRY(demand_own(cli, files->folder));
    if (files->has_site_file && span_equal(text, buf_span(&files->site_text))) {
        return OK;
    }
    err_t err = file_put(files->site_file, text, 0600, FILE_DURABLE | FILE_HIDDEN);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", files->site_file) : OK;
}

err_t person_files_remove_site(struct cli *cli, const struct person_files *files) {
    TRY(demand_ours(cli, files));
    if (files->has_site_file && unlink(files->site_file) != 0) {
        return trouble_of(&cli->trouble, err_from_errno(errno), "cannot remove %s",
                          files->site_file);
    }
    (void)rmdir(files->folder); /* fails where there is more in it */
    return OK;
}

err_t person_files_make_known_hosts(struct cli *cli, const struct person_files *files) {
    err_t err = file_put(files->known_hosts, (span_t){0}, 0600, FILE_EXCLUSIVE | FILE_HIDDEN);
    return failed(err) && err.code != ERR_EXISTS
               ? trouble_of(&cli->trouble, err, "cannot write %s", files->known_hosts)
               : OK;
}

void person_files_remove_known_hosts(const struct person_files *files) {
    struct stat status;
    if (lstat(files->known_hosts, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0) {
        (void)unlink(files->known_hosts);
    }
}
