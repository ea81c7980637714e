/*
 * The files of ~/.ssh that `postern config` writes: config.d/posterngate-SITE, which is ours, and
 * config, which is the person's. Where that is a symbolic link, what it leads to is edited, and the
 * link stays. Both are replaced whole or not at all; mode and owner stay.
 */
#ifndef POSTERN_CLI_PERSON_FILES_H
#define POSTERN_CLI_PERSON_FILES_H

#include <sys/types.h>

#include "cli/cli.h"
#include "cli/config/person_config.h"

enum { PERSON_SITES_MAX = 64 };

struct person_files {
    char *ssh_folder;  /* $HOME/.ssh */
    char *folder;      /* $HOME/.ssh/config.d */
    char *site_file;   /* $HOME/.ssh/config.d/posterngate-SITE */
    char *known_hosts; /* $HOME/.ssh/known_hosts */
    char *config;      /* $HOME/.ssh/config, as a person calls it */
    char *config_file; /* what that leads to */
    mode_t mode;       /* of config; 0600 where there is none yet */
    bool has_config, has_site_file;
    bool config_is_link;
    struct buf config_text, site_text; /* empty where there is none */
    char *sites[PERSON_SITES_MAX];     /* whose files are in the folder, sorted */
    size_t site_count;
    int lock;
};
void person_files_done(struct person_files *files);

/* Finds and reads them, after waiting for any other `postern config` of this person to end. With
 * `make` the folders are made. Trouble names the file. */
err_t person_files_open(struct cli *cli, const char *site, bool make, struct person_files *out);

/* Refuses what the two below would refuse: a config to be changed that is not this person's or is
 * read-only (trouble then has the line to write by hand, `line`), and a file in the place of ours
 * that was not written by us. */
err_t person_files_check(struct cli *cli, const struct person_files *files, span_t text,
                         const char *line);
/* Replaces config, and removes one that becomes empty, unless it is a link. */
err_t person_files_put_config(struct cli *cli, const struct person_files *files, span_t text,
                              const char *line);
/* An empty ~/.ssh/known_hosts where there is none: asyncssh fails over one that is named and
 * missing. Removing takes away one that is empty. */
err_t person_files_make_known_hosts(struct cli *cli, const struct person_files *files);
void person_files_remove_known_hosts(const struct person_files *files);
/* Replaces our own file. */
err_t person_files_put_site(struct cli *cli, const struct person_files *files, span_t text);
/* Removes our own file, and the folder with it when nothing else is in it. */
err_t person_files_remove_site(struct cli *cli, const struct person_files *files);
/* True for the text of a file that `postern config` wrote: by its first line. */
bool person_files_are_ours(span_t text);
#define PERSON_FILES_FIRST_LINE "# Written by postern config of Posterngate"

#endif
