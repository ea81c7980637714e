/*
 * A person's own ~/.ssh/config, which nobody else edits without leave: what `postern config` adds
 * to it, and takes away again to the byte.
 *
 * One line, the first that says anything, since what follows a Host line belongs to that host:
 *
 *   Include config.d/posterngate-cscs config.d/posterngate-g5k
 *
 * OpenSSH before 7.3 has no Include. For it the configuration itself stands at the top, between two
 * comments; a `Host *` ends it, so that what follows is for all hosts as it was.
 */
#ifndef POSTERN_CLI_PERSON_CONFIG_H
#define POSTERN_CLI_PERSON_CONFIG_H

#include "base/err.h"
#include "base/span.h"

#define PERSON_CONFIG_FOLDER "config.d"
#define PERSON_CONFIG_PREFIX "posterngate-"

/* What is to be in the file. */
struct person_config {
    const char *ssh_folder;   /* "/home/alice/.ssh": what relative names in it are relative to */
    const char *site;         /* the one that is written or removed now */
    const char *const *sites; /* whose files the Include line names, this one among them or not */
    size_t site_count;
    bool same_home; /* ssh looks into this very folder, so that the names can be relative */
    span_t block;   /* this site's configuration itself, for an ssh without Include; else empty */
};

/*
 * Pure. Appends the edited text; all other lines keep their bytes and their order, and new ones end
 * as the first line does (LF, or CR LF). A line of the person's own that includes a site's file for
 * all hosts is as good as ours. ERR_MALFORMED for a folder that no line can hold, ERR_TRUNCATED for
 * a block of ours whose end is gone.
 */
err_t person_config_edit(span_t text, const struct person_config *want, struct buf *out);

/* Appends the patterns of all IgnoreUnknown lines, joined by commas; nothing when there are none.
 * Those in blocks of ours do not count. */
err_t person_config_ignored(span_t text, struct buf *out);

#endif
