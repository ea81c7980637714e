/*
 * The SSH transport layer (RFC 4253) of either side as a state machine without I/O: bytes and `now`
 * in, events and bytes out. Above it stand server.h and client.h.
 *
 * It does: version exchange; key exchange and rekeying from either side, by bytes and by time;
 * strict key exchange (draft-miller-sshm-strict-kex): sequence numbers are reset at every NEWKEYS,
 * and during the first exchange any message that is not part of it is fatal; EXT_INFO (RFC 8308);
 * SSH_MSG_IGNORE, DEBUG, UNIMPLEMENTED, DISCONNECT; ping@openssh.com. No compression.
 *
 * Messages for the layers above are handed up in the order they came. During an exchange what the
 * layers above send is held back (bounded by LIMIT_TRANSPORT_HELD_BYTES) and goes out after
 * NEWKEYS.
 *
 * Memory: between exchanges a transport holds its ciphers, the session id and this struct; all that
 * an exchange needs is freed at its end. It never holds input or output: both are the caller's,
 * typically a thread's.
 */
#ifndef POSTERN_TRANSPORT_TRANSPORT_H
#define POSTERN_TRANSPORT_TRANSPORT_H

#include "base/err.h"
#include "base/span.h"
#include "ssh/cert.h"
#include "ssh/key.h"
#include "transport/cipher.h"
#include "transport/kex.h"

enum transport_role { TRANSPORT_SERVER, TRANSPORT_CLIENT };

/* A host key as the server shows it. Its private half is somewhere else (TRANSPORT_SIGN). */
struct transport_host_key {
    const struct key *key;
    const struct cert *cert; /* a host certificate of this key, or NULL */
};

/* Shared by any number of transports, immutable while one of them lives. */
struct transport_config {
    enum transport_role role;
    const char *software; /* after "SSH-2.0-": "Posterngate_0.1" */
    /* Comma-separated names in order of preference; NULL: transport_default_*. */
    const char *kex, *ciphers, *macs, *host_key_algorithms;
    struct randomness random;
    uint64_t rekey_bytes; /* of one direction; 0: LIMIT_REKEY_BYTES */
    int64_t rekey_ms;     /* 0: LIMIT_REKEY_MS */
    /* The server's. Of two that serve the same algorithm the first is shown; those whose algorithms
     * host_key_algorithms does not name are not offered. The client's order decides between
     * algorithms. */
    const struct transport_host_key *host_keys;
    size_t host_key_count;
};

extern const char transport_default_kex[];     /* mlkem768x25519-sha256,curve25519-sha256,… */
extern const char transport_default_ciphers[]; /* aes128-gcm@openssh.com,aes256-gcm@…,… */
extern const char transport_default_macs[];    /* hmac-sha2-256-etm@openssh.com; hmac-sha2-256,
                                                  encrypt-and-MAC, is known as well */
/* ERR_UNSUPPORTED: the fault names the list and the first name that is not known or that no host
 * key can serve. For configuration checks; transport_new() wants a valid one. */
err_t transport_config_check(const struct transport_config *config, struct fault *fault);

struct transport;
/* Appends our version line and KEXINIT to *out. now_ms is monotonic, as everywhere here. */
err_t transport_new(const struct transport_config *config, int64_t now_ms, struct buf *out,
                    struct transport **transport);
void transport_free(struct transport *transport);
void transport_freep(struct transport **transport);

/* Input: consumed from the front. The bytes are decrypted in place, so what was consumed is gone,
 * and what was not must be given again, unchanged, with more behind it. */
struct transport_input {
    uint8_t *data;
    size_t len;
};

enum transport_event_type {
    TRANSPORT_NEEDS_INPUT, /* zero: everything complete has been consumed */
    TRANSPORT_SIGN,        /* server: sign `data` and call transport_signed(); nothing is consumed
                              meanwhile */
    TRANSPORT_HOST_KEY, /* client: the server proved `key` (and showed `cert`, or NULL); judge and
                           call transport_trust(); nothing is consumed meanwhile */
    TRANSPORT_NEWKEYS,  /* an exchange is done */
    TRANSPORT_MESSAGE,  /* `data` is a message for the layers above, its number first */
    TRANSPORT_DISCONNECTED /* the peer said so: `reason`, and `data` is its text (any bytes) */
};
struct transport_event {
    enum transport_event_type type;
    span_t data; /* inside the input, valid until the next call; TRANSPORT_SIGN: the transport's */
    const struct transport_host_key *host_key; /* SIGN: by which key, … */
    const char *algorithm; /* … and how: "ssh-ed25519", "rsa-sha2-512", … (never a -cert- name) */
    const struct key *key; /* HOST_KEY; the transport's until transport_trust() */
    const struct cert *cert;
    uint32_t reason;
};

/*
 * Takes the next step. An error (whatever the peer broke, ERR_PROTOCOL, ERR_SIGNATURE, …) ends the
 * transport: a DISCONNECT has been appended to *out where that still makes sense, every later call
 * is ERR_CLOSED. The texts of disconnects tell a peer nothing that helps an attacker.
 */
err_t transport_next(struct transport *transport, struct transport_input *input, int64_t now_ms,
                     struct buf *out, struct transport_event *event);
/* An SSH signature blob, as the agent protocol gives it. */
err_t transport_signed(struct transport *transport, span_t signature, struct buf *out);
err_t transport_trust(struct transport *transport, bool trusted, struct buf *out);

/* A message of the layers above, copied. ERR_TOO_LONG when more is held back than may be. */
err_t transport_send(struct transport *transport, span_t payload, int64_t now_ms, struct buf *out);
/*
 * The same without a copy, for bulk data and only while transport_is_open(): *payload has room for
 * len_max bytes inside *out; _end seals the first `len` of them (0: nothing is sent). Nothing else
 * may touch *out in between.
 */
err_t transport_send_begin(struct transport *transport, size_t len_max, struct buf *out,
                           uint8_t **payload);
err_t transport_send_end(struct transport *transport, size_t len, int64_t now_ms, struct buf *out);
/* No exchange is going on and the first one is done. */
bool transport_is_open(const struct transport *transport);

/* Of a peer that nobody knows yet a server takes less: packets of LIMIT_STRANGER_PACKET_BYTES and
 * LIMIT_STRANGER_EXCHANGES_COUNT exchanges. A new transport is not bounded so. */
void transport_set_stranger(struct transport *transport, bool is_stranger);

/* Starts an exchange now, unless one is going on. */
err_t transport_rekey(struct transport *transport, int64_t now_ms, struct buf *out);

/* Reason codes of RFC 4253 section 11.1. */
enum disconnect_reason {
    DISCONNECT_PROTOCOL_ERROR = 2,
    DISCONNECT_KEY_EXCHANGE_FAILED = 3,
    DISCONNECT_MAC_ERROR = 5,
    DISCONNECT_SERVICE_NOT_AVAILABLE = 7,
    DISCONNECT_VERSION_NOT_SUPPORTED = 8,
    DISCONNECT_HOST_KEY_NOT_VERIFIABLE = 9,
    DISCONNECT_CONNECTION_LOST = 10,
    DISCONNECT_BY_APPLICATION = 11,
    DISCONNECT_TOO_MANY_CONNECTIONS = 12,
    DISCONNECT_AUTH_CANCELLED = 13,
    DISCONNECT_NO_MORE_AUTH_METHODS = 14,
};
/* Says goodbye; every later call is ERR_CLOSED. Text is UTF-8, cut at 255 bytes. During an exchange
 * the message goes out in the clear or under the old keys, as the state has it. */
void transport_disconnect(struct transport *transport, enum disconnect_reason reason,
                          const char *text, struct buf *out);

/* What was agreed; valid after the first TRANSPORT_NEWKEYS. */
span_t transport_session_id(const struct transport *transport);
struct transport_facts {
    const char *kex, *host_key_algorithm, *cipher_in, *cipher_out; /* static names */
    bool strict;
    const char *peer_version; /* the peer's line without CR LF; the transport's */
    uint64_t exchanges, bytes_in, bytes_out;
};
void transport_facts(const struct transport *transport, struct transport_facts *out);

/*
 * Extensions that the peer told in EXT_INFO: server-sig-algs to a client, for instance. NULL when
 * not told. Ours: the server tells server-sig-algs (every algorithm that key_verify() takes) and
 * ping@openssh.com, the client tells ext-info-in-auth@openssh.com where it has any use for it.
 */
const char *transport_peer_sig_algs(const struct transport *transport);

#endif
