/*
 * Packet protection of one direction (RFC 4253 section 6, RFC 5647 with the negotiation of
 * draft-miller-sshm-aes-gcm, OpenSSH PROTOCOL.chacha20poly1305, encrypt-then-MAC as in OpenSSH
 * PROTOCOL section 1.5, and encrypt-and-MAC as in RFC 4253 section 6.4).
 *
 * A packet is  uint32 packet_length · byte padding_length · payload · padding · tag.  Everything is
 * done in place, in memory that the caller owns: nothing here allocates after cipher_new() but once
 * for each thread, and an idle direction costs no more than its key schedule.
 *
 * Padding is zero bytes: under these ciphers nobody sees it, and before there is a key there is
 * nothing to hide. The tag of encrypt-and-MAC is over the plaintext, but also over a sequence
 * number that does not come again under its key, so that equal packets have different tags.
 */
#ifndef POSTERN_TRANSPORT_CIPHER_H
#define POSTERN_TRANSPORT_CIPHER_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

enum cipher_id {
    CIPHER_NONE, /* before the first NEWKEYS */
    CIPHER_AES128_GCM,
    CIPHER_AES256_GCM,
    CIPHER_CHACHA20_POLY1305,
    CIPHER_AES256_CTR_ETM,  /* aes256-ctr with hmac-sha2-256-etm@openssh.com */
    CIPHER_AES256_CTR_HMAC, /* aes256-ctr with hmac-sha2-256 */
};
enum { CIPHER_IDS_COUNT = CIPHER_AES256_CTR_HMAC + 1 };

enum {
    CIPHER_HEADER_BYTES = 5,    /* packet_length and padding_length, before the payload */
    CIPHER_OVERHEAD_BYTES = 64, /* what any cipher adds to a payload at most, header included */
    CIPHER_KEY_BYTES_MAX = 64,
    CIPHER_IV_BYTES_MAX = 16,
    CIPHER_MAC_KEY_BYTES_MAX = 32,
};

struct cipher;

/* How many bytes the key exchange must derive; 0 where there is none. */
size_t cipher_key_bytes(enum cipher_id id);
size_t cipher_iv_bytes(enum cipher_id id);
size_t cipher_mac_key_bytes(enum cipher_id id);

/* seal: for the direction that encrypts. The bytes have the lengths above and are copied. */
err_t cipher_new(enum cipher_id id, bool seal, const uint8_t *key, const uint8_t *iv,
                 const uint8_t *mac_key, struct cipher **out);
void cipher_free(struct cipher *cipher); /* wipes; takes NULL */
void cipher_freep(struct cipher **cipher);

/* The whole packet's length for a payload of so many bytes, tag included. */
size_t cipher_sealed_len(const struct cipher *cipher, size_t payload_len);
/* `packet` has room for cipher_sealed_len() bytes, the payload already at CIPHER_HEADER_BYTES. */
err_t cipher_seal(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t payload_len);

/* How many bytes must be there before cipher_packet_len() can tell. */
enum { CIPHER_LENGTH_BYTES = 4 };
/*
 * The whole packet's length, tag included, from its first CIPHER_LENGTH_BYTES, which stay as they
 * are. ERR_TOO_LONG beyond LIMIT_PACKET_BYTES, ERR_MALFORMED for a length that is too small or no
 * multiple of the block: the caller disconnects without telling which.
 */
err_t cipher_packet_len(struct cipher *cipher, uint32_t sequence, const uint8_t *packet,
                        size_t *len);
/* Authenticates and decrypts a whole packet in place; *payload is inside it. ERR_SIGNATURE when the
 * tag is wrong, ERR_MALFORMED when the padding is, or the payload is empty. */
err_t cipher_open(struct cipher *cipher, uint32_t sequence, uint8_t *packet, size_t len,
                  span_t *payload);

#endif
