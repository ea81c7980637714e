/* Certificates for a call: prepared here, signed by the signer's process. */
#include "authority/authority.h"
#include "authority/plumbing.h"
#include "base/log.h"

static void on_signature(void *context, err_t err, span_t signature) {
    struct call *call = context;
    struct cert *cert = call->certs[call->cert_count - call->cert_pending];
    if (!failed(err) && !failed(call->cert_err)) {
        err = cert_attach_signature_unchecked(cert, signature);
    }
    if (failed(err)) {
        call->cert_err = err;
    }
    if (--call->cert_pending > 0) {
        return;
    }
    if (!failed(call->cert_err)) {
        call->certified(call);
        return;
    }
    log_error("signing_failed", call->cert_err, "request", call->request_id, NULL);
    call_problem(call, 503, "signer_unavailable", NULL,
                 "the signer is not available at the moment; nothing was signed");
    call_retry_after(call, 2);
    call_send(call);
}

/* Answers come in the order of the questions, so that counting them tells whose each one is. */
void call_certify(struct call *call, struct cert **certs, size_t count,
                  void (*then)(struct call *call)) {
    INVARIANT(count > 0);
    struct signer_client *signer = call->authority->signer;
    for (size_t i = 0; i < count; i++) {
        struct signer_keys keys = signer_client_keys(signer, certs[i]->type);
        if (keys.count == 0 || !call_ok(call, cert_prepare(certs[i], keys.keys[0]), NULL)) {
            call_problem(call, 503, "signer_unavailable", NULL, "there is no CA key for this");
            call_send(call);
            return;
        }
    }
    call->certs = certs;
    call->cert_count = call->cert_pending = count;
    call->cert_err = OK;
    call->certified = then;
    for (size_t i = 0; i < count; i++) {
        signer_client_sign(signer, certs[i]->type, cert_tbs(certs[i]), on_signature, call);
    }
}
