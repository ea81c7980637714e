/*
 * One key exchange of either side: what it says, what it hashes, and the keys that come of it.
 * Which message may come when is transport.c's, and so is how it is sent.
 *
 *   server:  exchange_new  _agree                 _take_init   _put_reply
 *   client:  exchange_new  _agree   _put_init     _take_reply
 */
#ifndef POSTERN_TRANSPORT_EXCHANGE_H
#define POSTERN_TRANSPORT_EXCHANGE_H

#include "transport/algorithm.h"

#define EXCHANGE_VERSION_PREFIX "SSH-2.0-"

enum { EXCHANGE_MESSAGE_BYTES_MAX = 2 * LIMIT_CERT_BLOB_BYTES }; /* of those that we send */

struct exchange {
    const struct transport_config *config; /* borrowed */
    bool is_first;
    bool has_agreed;       /* the peer's KEXINIT has come */
    struct buf kexinit;    /* ours */
    struct buf transcript; /* what is hashed, as far as it is known */
    struct agreement agreed;
    bool drops_next;               /* a packet that was sent on a wrong guess */
    bool peer_is_strict;           /* so it says; only the first exchange counts */
    bool peer_takes_ext_info;      /* likewise */
    struct kex_client *kex;        /* client: until the reply */
    struct buf share;              /* Q_C of a client, Q_S of a server */
    uint8_t hash[EVP_MAX_MD_SIZE]; /* H */
    size_t hash_len;
    struct cipher *in, *out; /* what NEWKEYS switches to */
    struct key *key;         /* client: the server's, … */
    struct cert *cert;       /* … or its certificate */
};

/* Makes our KEXINIT, exchange->kexinit. */
err_t exchange_new(const struct transport_config *config, bool is_first, struct exchange **out);
void exchange_free(struct exchange *exchange); /* wipes; takes NULL */
void exchange_freep(struct exchange **exchange);

/* The peer's KEXINIT. ERR_UNSUPPORTED as algorithm_agree(). */
err_t exchange_agree(struct exchange *exchange, span_t message, const char *peer_version,
                     const char **lacking);

/* The client's first message. */
err_t exchange_put_init(struct exchange *exchange, struct buf *message);
/* The server's answer to it in two steps, for between them lies the signature of exchange->hash.
 * session_id is empty in the first exchange. Of the signature nothing is checked but its name:
 * ERR_SIGNATURE. */
err_t exchange_take_init(struct exchange *exchange, span_t message, span_t session_id);
err_t exchange_put_reply(const struct exchange *exchange, span_t signature, struct buf *message);
/* Afterwards the server has proved exchange->key or the key of exchange->cert; whether that is the
 * right one is not asked here. ERR_SIGNATURE. */
err_t exchange_take_reply(struct exchange *exchange, span_t message, span_t session_id);

#endif
