/* What the files of the transport share. */
#ifndef POSTERN_TRANSPORT_TRANSPORT_INTERNAL_H
#define POSTERN_TRANSPORT_TRANSPORT_INTERNAL_H

#include "transport/exchange.h"

/* What the peer may do next. That our own KEXINIT is out already changes nothing about it: until
 * its own has come, the peer goes on as before. */
enum transport_state {
    STATE_CLOSED, /* zero */
    STATE_VERSION_DUE,
    STATE_KEXINIT_DUE, /* of the first exchange */
    STATE_GUESS_DUE,   /* a packet that is dropped */
    STATE_INIT_DUE,    /* the client's */
    STATE_REPLY_DUE,   /* the server's */
    STATE_ANSWER_DUE,  /* transport_signed() or transport_trust(); nothing is read meanwhile */
    STATE_NEWKEYS_DUE,
    STATE_OPEN,
    TRANSPORT_STATES_COUNT,
};

struct transport_direction {
    struct cipher *cipher;
    uint32_t sequence; /* of the next packet */
    uint32_t packets;  /* with this cipher, … */
    uint64_t bytes;    /* … as bytes */
    uint64_t bytes_before;
};

struct transport {
    const struct transport_config *config; /* borrowed */
    enum transport_state state;
    bool is_strict;
    bool is_stranger;
    bool is_authenticated; /* client: as far as EXT_INFO goes */
    uint8_t lines;         /* that came before the server's version */
    struct transport_direction in, out;
    size_t packet_len; /* of the packet that is still incomplete; 0: not known yet */
    size_t begun;      /* where transport_send_begin()'s packet begins, … */
    bool has_begun;    /* … if there is one */
    uint8_t session_id_len;
    uint8_t session_id[EVP_MAX_MD_SIZE];
    int64_t keyed_ms; /* when the last exchange was done */
    uint64_t exchanges;
    struct exchange *exchange; /* NULL between exchanges */
    struct buf held;           /* strings */
    char *peer_version;
    char *peer_sig_algs;
    const char *kex_name, *host_key_name, *cipher_in_name, *cipher_out_name;
};

/* A message that came in, and what comes of it. */
struct transport_turn {
    span_t message; /* its number first */
    uint32_t sequence;
    int64_t now_ms;
    struct buf *out;
    struct transport_event *event; /* zeroed */
};
typedef err_t transport_handler(struct transport *transport, struct transport_turn *turn);

/* The next line of the peer's; *taken is false when it is not all there. */
err_t transport_version_send(const struct transport *transport, struct buf *out);
err_t transport_version_take(struct transport *transport, struct transport_input *input,
                             bool *taken);

/* Our KEXINIT goes out. */
err_t transport_kex_start(struct transport *transport, struct buf *out);
bool transport_kex_is_due(const struct transport *transport, int64_t now_ms);
transport_handler transport_kex_on_kexinit;
transport_handler transport_kex_on_guess;
transport_handler transport_kex_on_init;
transport_handler transport_kex_on_reply;
transport_handler transport_kex_on_newkeys;

err_t transport_ext_info_send(struct transport *transport, struct buf *out);
transport_handler transport_ext_info_on_message;

/* Also during an exchange, and before what is held back. */
err_t transport_send_now(struct transport *transport, span_t payload, struct buf *out);
err_t transport_send_held(struct transport *transport, struct buf *out);
/* Ends the transport, and gives the error back. */
err_t transport_fail(struct transport *transport, err_t err, struct buf *out);

#endif
