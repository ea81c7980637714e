/*
 * What keys, private keys and certificates share: the table of key types and the fields of their
 * blobs. Not for other rooms.
 *
 * A plain key's blob is `string name, fields`; a certificate has `string certificate name, string
 * nonce` and then the same fields.
 */
#ifndef POSTERN_SSH_KEY_INTERNAL_H
#define POSTERN_SSH_KEY_INTERNAL_H

#include <openssl/evp.h>
#include <stdatomic.h>

#include "ssh/key.h"

struct key_kind {
    enum key_type type;
    unsigned bits;         /* 0: the key itself tells (RSA) */
    const char *name;      /* in blobs and lines */
    const char *cert_name; /* of its certificates */
    const char *display;   /* as ssh-keygen -l has it */
    const char *curve;     /* RFC 5656's identifier; NULL when it has none */
    const char *group;     /* OpenSSL's name of the curve */
};

/* NULL when not known. */
const struct key_kind *key_kind_by_name(span_t name);
const struct key_kind *key_kind_by_cert_name(span_t name);
const struct key_kind *key_kind_of(enum key_type type);
bool key_kind_is_security_key(const struct key_kind *kind);

/* True for the name of any certificate type, known or not. */
bool key_name_is_cert(span_t name);

/* The numbers of a key, borrowed from where they were read. */
struct key_fields {
    span_t point; /* Ed25519's 32 bytes or an uncompressed EC point */
    span_t rsa_e; /* magnitudes */
    span_t rsa_n;
    span_t application; /* of sk keys */
};

/* Everything is fixed when it is made, but for the two caches at the end of the head. */
struct key {
    const struct key_kind *kind; /* NULL: unknown */
    unsigned bits;
    struct key_fields fields; /* borrow from the blob */
    size_t blob_len;
    size_t name_len;
    atomic_uint holders;
    _Atomic(EVP_PKEY *) pkey;      /* made at the first verification; none of Ed25519 */
    _Atomic(EVP_MD_CTX *) context; /* taken out while in use, so that two threads never share it */
    uint8_t blob[];                /* and then the type's name, ended by NUL */
};

/* Reads and checks the fields of a kind; `from` is untouched on failure. */
err_t key_fields_get(const struct key_kind *kind, span_t *from, struct key_fields *out);
/* Reads the fields from the front of `from` and makes the plain key of them. */
err_t key_from_fields(const struct key_kind *kind, span_t *from, struct key **out);
/* The fields' bytes as they stand in the blob, without the name. */
span_t key_blob_fields(const struct key *key);

/*
 * "name base64 comment" cut and decoded, with all refusals of key_parse_line() that are about the
 * text. *blob must be initialised; name and comment borrow from the line.
 */
err_t key_line_split(span_t line, size_t line_chars_max, span_t *name, struct buf *blob,
                     span_t *comment);
/* Appends "name base64[ comment]". */
err_t key_line_print(const char *name, span_t blob, const char *comment, struct buf *out);
/* ERR_KEY_PRIVATE, ERR_KEY_PPK, ERR_KEY_RFC4716 or ERR_KEY_RSA1 for text that is such a thing. */
err_t key_text_check(span_t text);

/* Terminals and logs see comments: ERR_MALFORMED for control characters, ERR_TOO_LONG. */
err_t key_comment_check(span_t comment);

/* libcrypto's form of a known key, which becomes the caller's. */
err_t key_pkey_new(const struct key *key, EVP_PKEY **out);

/* The DER form of an SSH ECDSA signature (mpint r, mpint s), and back. */
enum { KEY_ECDSA_DER_BYTES = 160 };
err_t key_ecdsa_to_der(span_t signature, uint8_t out[KEY_ECDSA_DER_BYTES], size_t *len);
err_t key_ecdsa_from_der(span_t der, struct buf *out);

#endif
