/*
 * Kerberos tickets for HTTP (SPNEGO, RFC 4559), by the system's GSSAPI. The library is loaded when
 * it is asked for: no other command pays for it.
 */
#ifndef POSTERN_CLI_KERBEROS_H
#define POSTERN_CLI_KERBEROS_H

#include "base/span.h"
#include "cli/cli.h"

struct kerberos;

/*
 * A token for HTTP/HOST, bound to a TLS connection (tls_binding(); empty: to none). Trouble says
 * what to do: install the library, kinit, mend the clock. Only the service can use the token, and
 * nothing is delegated to it.
 */
err_t kerberos_begin(struct cli *cli, const char *host, span_t binding, struct kerberos **out);
/* "Negotiate …", the value of Authorization. */
const char *kerberos_authorization(const struct kerberos *kerberos);
/* Whether the service proved itself in turn by its WWW-Authenticate; trouble when not. */
err_t kerberos_finish(struct cli *cli, struct kerberos *kerberos, const char *challenge);
/* What to do about a reason, in the words of Kerberos. */
const char *kerberos_remedy(const char *reason);
void kerberos_freep(struct kerberos **kerberos);

#endif
