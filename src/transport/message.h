/*
 * The messages of the transport layer: their numbers (RFC 4253 section 12, RFC 8308, OpenSSH
 * PROTOCOL section 1.8) and what they carry after the number.
 *
 *   DISCONNECT     uint32 reason, string text, string language
 *   IGNORE         string data
 *   UNIMPLEMENTED  uint32 sequence number of the packet that is meant
 *   DEBUG          boolean display, string text, string language
 *   EXT_INFO       uint32 count, then so many times: string name, string value
 *   KEXINIT        byte[16] cookie, ten name-lists (enum kexinit_list), boolean
 *                  first_kex_packet_follows, uint32 0
 *   NEWKEYS        nothing
 *   KEX_INIT       string Q_C (C_INIT)
 *   KEX_REPLY      string K_S, string Q_S (S_REPLY), string signature
 *   PING, PONG     string data
 *
 * What an exchange hashes (RFC 5656 section 4, draft-ietf-sshm-mlkem-hybrid-kex section 2.4), each
 * a string: V_C, V_S, I_C, I_S (the KEXINITs with their number), K_S, Q_C, Q_S; then K.
 */
#ifndef POSTERN_TRANSPORT_MESSAGE_H
#define POSTERN_TRANSPORT_MESSAGE_H

enum transport_message {
    MSG_DISCONNECT = 1,
    MSG_IGNORE = 2,
    MSG_UNIMPLEMENTED = 3,
    MSG_DEBUG = 4,
    MSG_EXT_INFO = 7,
    MSG_KEXINIT = 20,
    MSG_NEWKEYS = 21,
    MSG_KEX_INIT = 30, /* first of the numbers that each method uses as it likes */
    MSG_KEX_REPLY = 31,
    MSG_KEX_LAST = 49,
    MSG_PING = 192,
    MSG_PONG = 193,
};

enum kexinit_list {
    LIST_KEX,
    LIST_HOST_KEY,
    LIST_CIPHER_C2S,
    LIST_CIPHER_S2C,
    LIST_MAC_C2S,
    LIST_MAC_S2C,
    LIST_COMPRESSION_C2S,
    LIST_COMPRESSION_S2C,
    LIST_LANGUAGE_C2S,
    LIST_LANGUAGE_S2C,
    KEXINIT_LISTS_COUNT,
};
enum { KEXINIT_COOKIE_BYTES = 16 };

#endif
