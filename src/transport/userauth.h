/*
 * The messages of user authentication (RFC 4252), encoded and decoded side by side for server and
 * client, and the algorithms that the method "publickey" knows.
 */
#ifndef POSTERN_TRANSPORT_USERAUTH_H
#define POSTERN_TRANSPORT_USERAUTH_H

#include "base/err.h"
#include "base/span.h"
#include "ssh/key.h"

enum userauth_message {
    MSG_SERVICE_REQUEST = 5, /* RFC 4253 section 10 */
    MSG_SERVICE_ACCEPT = 6,
    MSG_USERAUTH_REQUEST = 50,
    MSG_USERAUTH_FAILURE = 51,
    MSG_USERAUTH_SUCCESS = 52,
    MSG_USERAUTH_BANNER = 53,
    MSG_USERAUTH_PK_OK = 60,
};

#define USERAUTH_SERVICE   "ssh-userauth"
#define CONNECTION_SERVICE "ssh-connection"

/* A name that a request may give: which keys it fits, and which name the signature must bear. */
struct userauth_algorithm {
    const char *name;
    const char *signature;
    enum key_type type;
    bool certificate;
};
/* NULL when there is none: "ssh-rsa" means SHA-1 here, and is none. */
const struct userauth_algorithm *userauth_algorithm_named(span_t name);
/* The first that fits the key and whose signature the list of RFC 8308's server-sig-algs allows
 * (NULL: the peer told nothing); NULL when there is none. */
const struct userauth_algorithm *userauth_algorithm_for(enum key_type type, bool certificate,
                                                        const char *sig_algs);

/* Spans borrow from the message, in all of these. */
struct userauth_request {
    span_t user, service, method;
    span_t rest; /* the method's own fields */
};
err_t userauth_get_request(span_t message, struct userauth_request *out);

struct userauth_publickey {
    bool is_signed; /* else it is an offer */
    span_t algorithm, blob, signature;
};
err_t userauth_get_publickey(span_t rest, struct userauth_publickey *out);

/* RFC 4252 section 8. */
struct userauth_password {
    bool is_change; /* the form that brings a new password as well */
    span_t password;
};
err_t userauth_get_password(span_t rest, struct userauth_password *out);

/*
 * A "publickey" request up to its signature. With is_signed and behind string session_id, this is
 * also what the signature covers.
 */
err_t userauth_put_publickey(struct buf *to, span_t user, bool is_signed,
                             const struct userauth_algorithm *algorithm, span_t blob);
/* What the signature covers. */
err_t userauth_put_signed_data(struct buf *to, span_t session_id, span_t user,
                               const struct userauth_algorithm *algorithm, span_t blob);
/* ERR_SIGNATURE unless the signature blob bears just the algorithm's signature name. */
err_t userauth_check_signature_name(span_t signature, const struct userauth_algorithm *algorithm);

#endif
