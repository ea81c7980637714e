/*
 * OpenSSH certificates (draft-ietf-sshm-cert; formerly PROTOCOL.certkeys).
 *
 * Invariants of a parsed certificate: its key and CA key are valid plain keys (never certificates:
 * no chains); options and extensions are in byte order of their names without duplicates;
 * valid_after <= valid_before; principals passed cert_principal_check(). A struct cert says nothing
 * about trust: cert_verify() does.
 */
#ifndef POSTERN_SSH_CERT_H
#define POSTERN_SSH_CERT_H

#include "base/err.h"
#include "base/inet.h"
#include "base/span.h"
#include "ssh/cert_memo.h"
#include "ssh/key.h"

enum cert_type { CERT_USER = 1, CERT_HOST = 2 };

#define CERT_FOREVER UINT64_MAX

struct cert_option {
    char *name;  /* "force-command", "permit-pty", "verify-required", … */
    char *value; /* NULL for a flag; else the nested string's text */
};

struct cert {
    uint8_t nonce[32];
    struct key *key;
    uint64_t serial; /* we sign non-zero ones only: a KRL cannot list 0 */
    enum cert_type type;
    char *key_id;
    char **principals;
    size_t principal_count;
    uint64_t valid_after;  /* seconds since 1970; valid when valid_after <= now < valid_before */
    uint64_t valid_before; /* CERT_FOREVER: no end */
    struct cert_option *critical_options;
    size_t critical_option_count;
    struct cert_option *extensions;
    size_t extension_count;
    struct key *ca_key; /* NULL until signed or parsed */
    struct buf blob;    /* the whole certificate once signed or parsed */
    size_t tbs_len;     /* how many bytes of it the signature covers */
};

/* An empty certificate to fill in, with a fresh random nonce; the setters copy. `key` is handed
 * over. */
err_t cert_new(struct cert **out);
void cert_free(struct cert *cert);
void cert_freep(struct cert **cert);
err_t cert_set_key_id(struct cert *cert, const char *key_id);
/* ERR_PRINCIPAL (cert_principal_check) or ERR_DUPLICATE; ERR_TOO_LONG past LIMIT_PRINCIPALS_COUNT.
 */
err_t cert_add_principal(struct cert *cert, const char *principal);
/* Kept in byte order whatever the order of the calls; ERR_DUPLICATE. value NULL makes a flag. */
err_t cert_add_critical_option(struct cert *cert, const char *name, const char *value);
err_t cert_add_extension(struct cert *cert, const char *name, const char *value);

/*
 * The rule for principals that we sign: 1 to LIMIT_PRINCIPAL_CHARS bytes of UTF-8 without control
 * characters, comma, '*', '?', or white space at either end. (OpenSSH CVE-2026-35414: a comma in a
 * principal; Vault CVE-2024-7594: empty ones.)
 */
err_t cert_principal_check(span_t principal);

/*
 * Serialises everything up to the signature (what the CA signs) into cert->blob, with the given CA
 * key. ERR_PRINCIPAL when there is none; ERR_RANGE for serial 0 or valid_after >= valid_before;
 * ERR_KEY_TYPE for an unknown subject or CA key. The nonce is taken as it is.
 */
err_t cert_prepare(struct cert *cert, const struct key *ca_key);
static inline span_t cert_tbs(const struct cert *cert) {
    return span_of(cert->blob.data, cert->tbs_len);
}
/* Appends the CA's signature blob after verifying it; ERR_SIGNATURE leaves the certificate as it
 * was, ERR_EXISTS when it has one. */
err_t cert_attach_signature(struct cert *cert, span_t signature);
/* The same without the check of the signature's value, where the signature came from our own signer
 * and the caller trusts it. */
err_t cert_attach_signature_unchecked(struct cert *cert, span_t signature);

/*
 * Parses a blob and holds it to the invariants above; does not verify the signature. Certificates
 * that others made may have no principals (principal_count 0) and are still parsed, so that they
 * can be shown; cert_verify() refuses them. Wildcards in principals are kept for showing too.
 */
err_t cert_parse(span_t blob, struct cert **out);
/* Parses exactly what a CA signs (everything before the signature field); used by the signer to
 * re-check. */
err_t cert_parse_tbs(span_t tbs, struct cert **out);
/* The line of a -cert.pub file: "ssh-ed25519-cert-v01@openssh.com AAAA… comment". ERR_KEY_NOT_CERT
 * for a plain key. */
err_t cert_parse_line(span_t line, struct cert **out, span_t *comment);
err_t cert_print_line(const struct cert *cert, const char *comment, struct buf *out);
/* When a certificate ends that somebody else has judged, and its principals (may be NULL; a string
 * for each, not looked at): the two fields, out of a blob that is not looked at any further. In a
 * file of its own, which needs no libcrypto (host/host.h). */
err_t cert_end(span_t blob, span_t *principals, uint64_t *valid_before);
/* True when the blob or line starts as a certificate of any type. */
bool cert_is_blob(span_t blob);

/*
 * What one wants to know of a certificate before letting it in. Zero denies: `allowed` is true only
 * when everything holds.
 */
struct cert_check {
    enum cert_type type;
    const struct key *const *ca_keys; /* trusted for that type */
    size_t ca_key_count;
    uint64_t now;
    const char *principal;             /* must be one of the certificate's, exactly */
    const struct inet_address *source; /* NULL when there is none; then source-address refuses */
    struct cert_memo *memo;            /* NULL: the CA's signature is verified in any case */
};

enum cert_refusal {
    CERT_REFUSED_UNCHECKED, /* zero */
    CERT_REFUSED_TYPE,
    CERT_REFUSED_CA, /* signed by a key that is not trusted */
    CERT_REFUSED_SIGNATURE,
    CERT_REFUSED_NOT_YET,
    CERT_REFUSED_EXPIRED,
    CERT_REFUSED_NO_PRINCIPALS,
    CERT_REFUSED_PRINCIPAL,
    CERT_REFUSED_OPTION, /* an unknown critical option */
    CERT_REFUSED_SOURCE,
    CERT_ALLOWED,
};

struct cert_verdict {
    bool allowed;
    enum cert_refusal why;
    const char *force_command; /* borrowed from the certificate; NULL when there is none */
    bool verify_required;
};

/* Cheap checks first, the signature last. Never fails: a certificate it cannot judge is refused. */
struct cert_verdict cert_verify(const struct cert *cert, const struct cert_check *check);
const char *cert_refusal_text(enum cert_refusal why);
/*
 * Whether nothing speaks against the certificate but that its signature was not looked at: to see,
 * before the work of verifying, what to expect. Nobody is let in by it, for anybody can write such
 * a certificate; *why is then CERT_REFUSED_UNCHECKED, and never CERT_ALLOWED.
 */
bool cert_is_plausible(const struct cert *cert, const struct cert_check *check,
                       enum cert_refusal *why);

/* As `ssh-keygen -L` prints one (without its file name line), local times included. */
err_t cert_print_long(const struct cert *cert, struct buf *out);

#endif
