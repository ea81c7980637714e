#include "host/sessions/session_record.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "host/sessions/connection.h"

bool session_record_read(int dir, const char *name, struct login_record *out) {
    char text[LOGIN_RECORD_TEXT_CHARS];
    ssize_t len = readlinkat(dir, name, text, sizeof text - 1);
    if (len < 0) {
        return false;
    }
    text[len] = '\0';
    return !failed(login_record_parse(name, text, out));
}

bool session_record_is_living(struct login_record *record) {
    uint64_t start = 0;
    if (!connection_is_of(record->monitor, record->user, &start) ||
        (record->monitor_start != 0 && record->monitor_start != start)) {
        return false;
    }
    record->monitor_start = start;
    return true;
}

static void close_dirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

static err_t list_dir(const char *state_dir, const char *name,
                      err_t (*each)(void *context, const struct login_record *record),
                      void *context) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(state_dir, name, &path));
    DIR *dir CLEANUP(close_dirp) = opendir(path);
    if (dir == NULL) {
        return err_from_errno(errno);
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct login_record record;
        if (session_record_read(dirfd(dir), entry->d_name, &record) &&
            session_record_is_living(&record)) {
            TRY(each(context, &record));
        }
    }
    return OK;
}

err_t session_record_list(const char *state_dir,
                          err_t (*each)(void *context, const struct login_record *record),
                          void *context) {
    TRY(list_dir(state_dir, LOGIN_TAKEN_DIR, each, context));
    return list_dir(state_dir, LOGIN_RECORD_DIR, each, context);
}

static err_t make_dir(const struct config *config, const char *name, gid_t group, mode_t mode) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(config->state_dir, name, &path));
    TRY(file_make_dirs(path, 0700));
    /* Only root may give a file away; an unprivileged trial run keeps its own group. */
    if (geteuid() == 0 && chown(path, 0, group) != 0) {
        return err_from_errno(errno);
    }
    return chmod(path, mode) == 0 ? OK : err_from_errno(errno);
}

err_t session_record_make_dirs(const struct config *config) {
    TRY(make_dir(config, LOGIN_RECORD_DIR, config->command_group, 01730));
    return make_dir(config, LOGIN_TAKEN_DIR, 0, 0700);
}
