/*
 * SSH public keys: the blob (RFC 4253 6.6, RFC 5656, RFC 8709, OpenSSH PROTOCOL.u2f) and the line
 * of an OpenSSH public key file.
 *
 * A struct key is immutable once made and owns its bytes. Keys of a type not known here are carried
 * as they are (KEY_UNKNOWN): they can be printed and fingerprinted, and no signature of theirs
 * verifies.
 */
#ifndef POSTERN_SSH_KEY_H
#define POSTERN_SSH_KEY_H

#include "base/err.h"
#include "base/span.h"

enum key_type {
    KEY_UNKNOWN, /* zero: nothing is allowed for it */
    KEY_ED25519,
    KEY_ECDSA_256,
    KEY_ECDSA_384,
    KEY_ECDSA_521,
    KEY_RSA,
    KEY_SK_ED25519,
    KEY_SK_ECDSA_256,
};

struct key;

/*
 * From a blob. Refuses: ERR_KEY_DSA, ERR_KEY_IS_CERT, ERR_KEY_INVALID (a point not on the curve, an
 * even modulus, …), ERR_KEY_SIZE (RSA outside LIMIT_RSA_BITS_*), ERR_TRAILING, ERR_TRUNCATED,
 * ERR_TOO_LONG.
 */
err_t key_parse(span_t blob, struct key **out);

/*
 * From one line of a public key file: "ssh-ed25519 AAAA… comment". White space around it, line
 * breaks included, is allowed; options before the type (authorized_keys) are not. Besides
 * key_parse()'s errors: ERR_KEY_PRIVATE when the text is, or contains, a private key of any format;
 * ERR_KEY_RSA1; ERR_KEY_RFC4716; ERR_KEY_PPK; ERR_MALFORMED when the name before the blob differs
 * from the one inside. *comment (may be NULL) borrows from `line`.
 */
err_t key_parse_line(span_t line, struct key **out, span_t *comment);

void key_free(struct key *key); /* takes NULL */
void key_freep(struct key **key);
err_t key_copy(const struct key *key, struct key **out);

enum key_type key_type(const struct key *key);
/* "ssh-ed25519", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com", …; for KEY_UNKNOWN what the
 * blob says. */
const char *key_type_name(const struct key *key);
/* What ssh-keygen -l calls it: "ED25519", "ECDSA", "RSA", "ED25519-SK", "ECDSA-SK". */
const char *key_type_display(const struct key *key);
/* 256 for Ed25519; the curve's size; the modulus' bits for RSA; 0 when unknown. */
unsigned key_bits(const struct key *key);
span_t key_blob(const struct key *key);
bool key_equal(const struct key *a, const struct key *b);
bool key_is_security_key(const struct key *key);
/* The application of an sk key ("ssh:"); empty for others. */
span_t key_application(const struct key *key);

enum { FINGERPRINT_CHARS = 64 };
/* "SHA256:…" as ssh-keygen -l prints it. */
void key_fingerprint(const struct key *key, char out[FINGERPRINT_CHARS]);
/* The same for bytes that are a key blob. */
void key_fingerprint_blob(span_t blob, char out[FINGERPRINT_CHARS]);

/* "type base64[ comment]" without a newline. A comment with a line break is ERR_MALFORMED. */
err_t key_print_line(const struct key *key, const char *comment, struct buf *out);

/*
 * A file in the SSH2 form of RFC 4716. *comment (may be NULL) is the caller's to free, "" when
 * there is none. ERR_TRUNCATED, ERR_TRAILING, ERR_MALFORMED; for the blob as key_parse().
 */
err_t key_parse_ssh2(span_t file, struct key **out, char **comment);
/* True for what starts like one. */
bool key_is_ssh2(span_t file);
/* A comment is longer than RFC 4716 allows from 1023 bytes: ERR_TOO_LONG. */
err_t key_print_ssh2(const struct key *key, const char *comment, struct buf *out);

/* PEM: "PUBLIC KEY" of any kind, or PKCS#1's "RSA PUBLIC KEY". */
enum key_pem { KEY_PEM_SPKI, KEY_PEM_PKCS1 };
/* Either. ERR_KEY_PRIVATE; ERR_KEY_DSA; ERR_UNSUPPORTED for a curve or kind that SSH has not. */
err_t key_parse_pem(span_t file, struct key **out);
/* ERR_UNSUPPORTED for sk- keys, and for PKCS#1 when it is no RSA key. */
err_t key_print_pem(const struct key *key, enum key_pem form, struct buf *out);

/*
 * Verifies an SSH signature blob (string algorithm, string signature; sk types add flags and
 * counter) over `data`. RSA only with rsa-sha2-256 or rsa-sha2-512. ERR_SIGNATURE for every
 * mismatch, including an algorithm of another key type. For sk keys the user-presence flag must be
 * set; *sk_flags (may be NULL) is what the token asserted, 0 for other keys.
 */
err_t key_verify(const struct key *key, span_t data, span_t signature, uint8_t *sk_flags);

#endif
