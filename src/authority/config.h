/*
 * posternd.yaml: read, judged as a whole, and turned into values that the rest of the program uses
 * as they are. Relative paths in the file are relative to the file's folder; here they are
 * complete.
 */
#ifndef POSTERN_AUTHORITY_CONFIG_H
#define POSTERN_AUTHORITY_CONFIG_H

#include "base/err.h"
#include "base/log.h"
#include "model/policy.h"

struct config {
    char *path;             /* of the file itself */
    char *site_name;        /* "cscs": in key ids ("alice@cscs") and the TOTP issuer */
    char *site_title;       /* "Swiss National Supercomputing Centre" */
    char *default_key_file; /* "~/.ssh/cscs-key" */
    char *listen_address;
    uint16_t listen_port;
    char *tls_certificate; /* NULL with tls_key: plain HTTP, allowed on loopback alone */
    char *tls_key;
    char *public_url; /* "https://authority.example:8443", without a slash at its end */
    char *store_path;
    char *signer_directory; /* just one of the two is set */
    char *signer_agent;
    struct policy policy;
    int64_t session_lifetime_s;
    enum log_level log_level;
    uint16_t replica;
};

/* One complaint about the file: `where` is "posternd.yaml:12". */
struct config_complaint {
    const char *where;
    const char *field;
    const char *reason; /* what is wrong, and what to do */
};

/*
 * Reads and judges. Every error is told to complain(), not just the first; ERR_MALFORMED when there
 * was one, and ERR_NOT_FOUND etc. when the file itself cannot be read (told as well).
 */
err_t config_load(const char *path,
                  void (*complain)(void *context, const struct config_complaint *complaint),
                  void *context, struct config **out);
void config_free(struct config *config);
void config_freep(struct config **config);

#endif
