/*
 * The names of algorithms, KEXINIT, and what two of them agree on (RFC 4253 section 7.1).
 */
#ifndef POSTERN_TRANSPORT_ALGORITHM_H
#define POSTERN_TRANSPORT_ALGORITHM_H

#include "transport/message.h"
#include "transport/transport.h"

#define ALGORITHM_STRICT_CLIENT   "kex-strict-c-v00@openssh.com"
#define ALGORITHM_STRICT_SERVER   "kex-strict-s-v00@openssh.com"
#define ALGORITHM_EXT_INFO_CLIENT "ext-info-c"

/* Every signature that key_verify() takes, as server-sig-algs tells them. */
extern const char algorithm_signatures[];

struct host_key_algorithm {
    const char *name;
    const char *signature; /* the name that the signature must bear */
    enum key_type type;
    bool certificate;
};

/* Spans borrow from the message. */
struct kexinit {
    span_t lists[KEXINIT_LISTS_COUNT];
    bool first_packet_follows;
};

/*
 * Appends a KEXINIT. What is agreed on once for all, strict key exchange and EXT_INFO, is named in
 * the first one alone. No packet follows it.
 */
err_t algorithm_put_kexinit(const struct transport_config *config, bool is_first, struct buf *to);
/* ERR_TOO_LONG beyond LIMIT_KEXINIT_BYTES; ERR_MALFORMED for names of more than 64 characters, and
 * for those that are not printable. Names may be empty, or there twice. */
err_t algorithm_get_kexinit(span_t message, struct kexinit *out);
bool algorithm_list_has(span_t list, const char *name);

struct agreement {
    enum kex_id kex;
    enum cipher_id cipher_c2s, cipher_s2c;
    const char *kex_name, *cipher_c2s_name, *cipher_s2c_name;
    const struct host_key_algorithm *host_key_algorithm;
    const struct transport_host_key *host_key; /* the server's */
    bool guess_is_right;                       /* about what the client would send first */
};
/* ERR_UNSUPPORTED when there is none; *lacking is the text that says for what. */
err_t algorithm_agree(const struct transport_config *config, const struct kexinit *client,
                      const struct kexinit *server, struct agreement *out, const char **lacking);

#endif
