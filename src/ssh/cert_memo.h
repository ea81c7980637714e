/*
 * Certificates whose CA signature was verified here before, so that the next login with the same
 * one does without the dearest check of all. It keeps a fact of arithmetic and no verdict: whether
 * the bytes of a certificate carry a good signature by the CA key that is among them. Whether that
 * CA is trusted, and all else that cert_verify() asks, is judged each time; so nothing here gets
 * old when a CA is taken out, a certificate is revoked, or it expires.
 *
 * It knows a certificate by SHA-256 over its whole blob, CA key and signature included: one with
 * any other byte is another one. Only cert_verify() adds to it, after all else has held, so only
 * what a trusted CA has signed gets in. LIMIT_CERT_MEMO_COUNT places are all it has, and a
 * newcomer takes the one that its digest names from whoever is there.
 *
 * Not locked: each thread has its own.
 */
#ifndef POSTERN_SSH_CERT_MEMO_H
#define POSTERN_SSH_CERT_MEMO_H

#include "base/err.h"

struct cert;
struct cert_memo;

err_t cert_memo_new(struct cert_memo **out);
void cert_memo_free(struct cert_memo *memo); /* takes NULL */
void cert_memo_freep(struct cert_memo **memo);
/* Was this signature verified here, and not forgotten since? */
bool cert_memo_knows(const struct cert_memo *memo, const struct cert *cert);

#endif
