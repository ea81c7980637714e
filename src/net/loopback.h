/*
 * Where a browser of this machine brings an answer to a program (RFC 8252 section 7.3): a listener
 * on 127.0.0.1. Blocking. Other users of the machine are turned away (local_peer.h), but not this
 * user's other programs, nor pages in the browser: what comes must be judged by its secret state.
 */
#ifndef POSTERN_NET_LOOPBACK_H
#define POSTERN_NET_LOOPBACK_H

#include "base/err.h"
#include "base/span.h"

struct loopback;

enum { LOOPBACK_URL_CHARS = 48 };

/* port 0: one of the system's choice, and on [::1] where there is no IPv4. */
err_t loopback_open(uint16_t port, struct loopback **out);
void loopback_close(struct loopback *loopback);
void loopback_closep(struct loopback **loopback);
/* "http://127.0.0.1:41234" */
const char *loopback_url(const struct loopback *loopback);

/*
 * From now on, who asks for `path` is led to `url`, as often as it is asked. So the address with
 * the state need not be among the words of the browser's command line, which everybody on the
 * machine sees. Both are borrowed; the URL is printable ASCII.
 */
void loopback_lead(struct loopback *loopback, const char *path, const char *url);

/*
 * Waits for GET of `path` and gives its query; anything else is answered 404 meanwhile. The asker
 * is then answered by loopback_answer(), or by the next wait, which lets it go. ERR_TIMEOUT at the
 * deadline (clock_monotonic_ms()).
 */
err_t loopback_wait(struct loopback *loopback, const char *path, int64_t deadline_ms,
                    struct buf *query);
/* A page for the one who asked; closes the connection. */
void loopback_answer(struct loopback *loopback, unsigned status, const char *html);

#endif
