/*
 * posternd.yaml: read, judged as a whole, and turned into values that the rest of the program uses
 * as they are. Relative paths in the file are relative to the file's folder; here they are
 * complete.
 */
#ifndef POSTERN_AUTHORITY_CONFIG_H
#define POSTERN_AUTHORITY_CONFIG_H

#include "authority/kerberos.h"
#include "base/err.h"
#include "base/log.h"
#include "config/settings.h"
#include "identity/password.h"
#include "model/policy.h"

struct external_issuer;

struct config {
    struct settings settings; /* where each stands; settings.path is the file itself */
    char *site_name;          /* "cscs": in key ids ("alice@cscs") and the TOTP issuer */
    char *site_title;         /* "Swiss National Supercomputing Centre" */
    char *default_key_file;   /* "~/.ssh/cscs-key" */
    bool gssapi;              /* its hosts take Kerberos tickets too */
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
    struct kerberos_config kerberos;
    struct password_cost password_cost;
    char *issuer_clients[16]; /* besides our own command line */
    size_t issuer_client_count;
    char *issuer_files[LIMIT_ISSUERS_COUNT]; /* of externals */
    size_t issuer_file_count;
    struct external_issuer *externals[LIMIT_ISSUERS_COUNT]; /* whose sign-ins are taken as well */
    size_t external_count;
    enum log_level log_level;
    uint16_t replica;
};

/*
 * Reads and judges. Every error is told to complain(), not just the first; ERR_MALFORMED when there
 * was one, and ERR_NOT_FOUND etc. when the file itself cannot be read (told as well).
 */
err_t config_load(const char *path, settings_complain *complain, void *context,
                  struct config **out);
/* Whether a session that began by this issuer goes on: by one that is configured, or by none ("").
 */
bool config_takes_issuer(const struct config *config, const char *url);
void config_free(struct config *config);
void config_freep(struct config **config);

/*
 * Looks at the files that the configuration names: whether they are there, can be read, are what
 * they should be, and are kept from other users. ERR_REFUSED when there was a complaint.
 */
enum config_keys {
    CONFIG_WITHOUT_KEYS, /* the CA keys are the signer's to judge: posternd never reads them */
    CONFIG_WITH_KEYS,
};
err_t config_check_files(const struct config *config, enum config_keys keys,
                         settings_complain *complain, void *context);

#endif
