/*
 * PuTTY's saved sessions and trusted host CAs, as PuTTY keeps them: files of "Name=value" below
 * ~/.putty on Unix, and a text for Windows' registry editor. Pure.
 *
 * One session for the jump host, each cluster and each login host, by its name; the latter two go
 * through the session of the former (PuTTY 0.77 and newer). The certificate stays a file of its own
 * beside the key, so that a renewed one is taken (PuTTY 0.78 and newer).
 */
#ifndef POSTERN_CLI_PUTTY_H
#define POSTERN_CLI_PUTTY_H

#include "cli/reach.h"
#include "ssh/key.h"

struct putty_session {
    const char *name;
    const char *address;
    uint16_t port;
    const char *via;    /* the session before it; NULL: none */
    bool known_by_name; /* its host key is that of the name, not of the address */
};

struct putty_options {
    const char *site;
    const char *username;    /* NULL: asked for */
    const char *key;         /* of the .ppk file; NULL: whatever Pageant has */
    const char *certificate; /* NULL: the one inside the .ppk file, or Pageant's */
};

/* Calls for each session; stops at the first failure, which it returns. `jump` is the name of the
 * jump host that leads in, or NULL. */
err_t putty_each(const struct reach *reach, const char *jump,
                 err_t (*take)(void *context, const struct putty_session *session), void *context);

/* Appends the file of a session. ERR_MALFORMED for a value with control characters. */
err_t putty_put_session(const struct putty_session *session, const struct putty_options *options,
                        struct buf *out);
/* Appends the file of a host CA, which counts for the site's hosts and no others. */
err_t putty_put_ca(const struct key *key, const struct reach *reach, struct buf *out);
/* Appends the registry's text for all of them; PATHs in the options are Windows'. */
err_t putty_put_registry(const struct reach *reach, const char *jump, const struct key *const *cas,
                         size_t ca_count, const struct putty_options *options, struct buf *out);

/* What the file of a session says last: whose it is. */
#define PUTTY_MARK "Posterngate"

#endif
