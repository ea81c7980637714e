/*
 * A key pair in a user's home: ~/.ssh/NAME and ~/.ssh/NAME.pub.
 *
 * A home is its user's, who links, renames and mounts in it what they like, and on NFS root may not
 * even look. So nothing is done there with root's rights: a child becomes the user for good, does
 * what is to do, and tells how it went. Root believes that child no more than the user: it takes
 * from it a public key, and never what stands in a file. Within the home no symbolic link is
 * followed, nothing is written in place, and what is not the user's own is left alone.
 */
#ifndef POSTERN_HOST_HOME_H
#define POSTERN_HOST_HOME_H

#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"

struct home {
    uid_t uid;
    gid_t gid;
    const char *dir;  /* as the password database has it */
    const char *file; /* in ~/.ssh, without a slash */
};

enum { HOME_PUBLIC_CHARS = 128 }; /* of the line of an Ed25519 key, without a comment */

/*
 * Which key is there: the public half of the private key in the file, as a line without comment; ""
 * when the file is absent or holds no Ed25519 key without passphrase. Beside a key that is, wrong
 * modes, further links and a wrong NAME.pub are put right.
 *
 * All three: ERR_TIMEOUT when the child took longer than LIMIT_HOME_S and was killed, ERR_NOT_FOUND
 * when there is no home, else what stood in the way, and the fault names it: "~/.ssh", "is a
 * symbolic link".
 */
err_t home_look(const struct home *home, char out[HOME_PUBLIC_CHARS], struct fault *fault);
/* Puts a pair there, whole, whatever was there but for a directory. */
err_t home_put(const struct home *home, span_t private_text, struct fault *fault);
/* Takes the pair away when its public half is this one. OK when it is not. */
err_t home_remove(const struct home *home, const char *public_line, struct fault *fault);

/*
 * What tells whether anything was touched since the last look, for a few system calls and without a
 * child. Taken with the user's effective ids and root's real ones, so that nobody can signal or
 * hold up this process meanwhile: it only asks the file system for attributes. Equal bytes: nothing
 * was touched. What cannot be seen is all zero.
 */
struct home_mark {
    struct home_mark_of {
        dev_t device;
        ino_t inode;
        int64_t changed_s, changed_ns; /* ctime, which no user sets; 0 for the folders */
        nlink_t links;                 /* the same */
        uid_t owner;
        mode_t mode;
    } home, ssh, file, public_file;
};
void home_mark(const struct home *home, struct home_mark *out);

#endif
