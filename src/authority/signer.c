#include "authority/signer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "ssh/agent.h"

static err_t put_identities(const struct ca_keys *keys, struct buf *answers) {
    struct agent_identity identities[CA_KEYS_COUNT];
    for (size_t i = 0; i < keys->count; i++) {
        identities[i] = (struct agent_identity){
            .blob = key_blob(private_key_public(keys->keys[i].key)),
            .comment = span_str(keys->keys[i].name),
        };
    }
    return agent_put_identities(answers, identities, keys->count);
}

static const struct ca_key *find(const struct ca_keys *keys, span_t blob) {
    for (size_t i = 0; i < keys->count; i++) {
        if (span_equal(key_blob(private_key_public(keys->keys[i].key)), blob)) {
            return &keys->keys[i];
        }
    }
    return NULL;
}

/* No wildcard: to ssh, a host certificate for "*" is one for every host. */
static bool names_are_plain(const struct cert *cert) {
    for (size_t i = 0; i < cert->principal_count; i++) {
        if (failed(cert_principal_check(span_str(cert->principals[i])))) {
            return false;
        }
    }
    return cert->principal_count > 0;
}

/* A stock of short certificates for the years to come would last as well. */
static bool begins_now(const struct cert *cert) {
    int64_t now = clock_now_s();
    return now > 0 && cert->valid_after <= (uint64_t)now + LIMIT_SIGNER_AHEAD_S;
}

/* Nobody who has taken over the authority gets a certificate out of here that lasts, or that KRLs
 * cannot list. */
static bool is_signable(const struct ca_key *ca, span_t tbs) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    if (failed(cert_parse_tbs(tbs, &cert))) {
        return false;
    }
    uint64_t lifetime_max =
        ca->type == CERT_USER ? (uint64_t)LIMIT_SIGNER_USER_S : (uint64_t)LIMIT_SIGNER_HOST_S;
    return cert->type == ca->type && names_are_plain(cert) && begins_now(cert) &&
           cert->serial != 0 && cert->valid_before != CERT_FOREVER &&
           cert->valid_after < cert->valid_before &&
           cert->valid_before - cert->valid_after <= lifetime_max && cert->ca_key != NULL &&
           key_equal(cert->ca_key, private_key_public(ca->key));
}

static err_t sign(const struct ca_keys *keys, const struct agent_request *request,
                  struct buf *answers) {
    const struct ca_key *ca = find(keys, request->key_blob);
    if (ca == NULL || !is_signable(ca, request->data)) {
        return agent_put_failure(answers);
    }
    struct buf signature CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    TRY(private_key_sign(ca->key, request->data, RSA_SHA512, &signature));
    return agent_put_sign_response(answers, buf_span(&signature));
}

err_t signer_answer(const struct ca_keys *keys, span_t message, struct buf *answers) {
    struct agent_request request;
    TRY(agent_get_request(message, &request));
    switch (request.type) {
    case AGENT_REQUEST_IDENTITIES:
        return put_identities(keys, answers);
    case AGENT_SIGN_REQUEST:
        return sign(keys, &request, answers);
    default:
        return FAIL(ERR_UNSUPPORTED);
    }
}

static err_t write_all(int fd, span_t bytes) {
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.data, bytes.len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return err_from_errno(errno);
        }
        bytes.data += written;
        bytes.len -= (size_t)written;
    }
    return OK;
}

/* What has come in one read is answered in one write. */
static err_t serve(const struct ca_keys *keys, int fd) {
    static uint8_t input[2 * LIMIT_AGENT_MESSAGE_BYTES];
    struct buf answers CLEANUP(buf_done) = BUF(64 * 1024 * 1024);
    size_t len = 0;
    for (;;) {
        ssize_t got = read(fd, input + len, sizeof input - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 && len == 0 ? OK : FAIL(got == 0 ? ERR_TRUNCATED : ERR_IO);
        }
        len += (size_t)got;
        span_t stream = span_of(input, len), message;
        err_t err;
        while (!failed(err = agent_get_frame(&stream, &message))) {
            TRY(signer_answer(keys, message, &answers));
        }
        if (err.code != ERR_TRUNCATED) {
            return err;
        }
        TRY(write_all(fd, buf_span(&answers)));
        buf_clear(&answers);
        len = stream.len;
        memmove(input, stream.data, len);
    }
}

static void on_fault(void *context, const struct fault *fault) {
    (void)context;
    log_event(LOG_LEVEL_ERROR, "ca_key_refused", "file", fault->field, "reason", fault->reason,
              NULL);
}

int signer_main(const char *folder) {
    struct ca_keys keys;
    if (failed(ca_files_load(folder, on_fault, NULL, &keys))) {
        return 1;
    }
    /* Its end is the end of its socket: a signal that a supervisor sends to all processes of the
     * service must not take it away from requests under way. */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    tzset(); /* what the log needs of the time zone, while files can still be opened */
    sandbox_enter();
    err_t err = serve(&keys, SIGNER_FD);
    ca_files_done(&keys);
    if (failed(err)) {
        log_error("signer_ended", err, NULL);
        return 1;
    }
    return 0;
}
