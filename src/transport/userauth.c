#include "transport/userauth.h"

#include "ssh/wire.h"
#include "transport/algorithm.h"

/* Of RSA the better one comes first. A certificate's algorithm name tells the signature's hash;
 * the blob's own name stays ssh-rsa-cert-v01@openssh.com. */
static const struct userauth_algorithm algorithms[] = {
    {"ssh-ed25519", "ssh-ed25519", KEY_ED25519, false},
    {"ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", KEY_ED25519, true},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com", KEY_SK_ED25519, false},
    {"sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com", KEY_SK_ED25519, true},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", KEY_ECDSA_256, false},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256", KEY_ECDSA_256, true},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", KEY_ECDSA_384, false},
    {"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384", KEY_ECDSA_384, true},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", KEY_ECDSA_521, false},
    {"ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521", KEY_ECDSA_521, true},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", KEY_SK_ECDSA_256,
     false},
    {"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
     KEY_SK_ECDSA_256, true},
    {"rsa-sha2-512", "rsa-sha2-512", KEY_RSA, false},
    {"rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512", KEY_RSA, true},
    {"rsa-sha2-256", "rsa-sha2-256", KEY_RSA, false},
    {"rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256", KEY_RSA, true},
};

const struct userauth_algorithm *userauth_algorithm_named(span_t name) {
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        if (span_equal_str(name, algorithms[i].name)) {
            return &algorithms[i];
        }
    }
    return NULL;
}

const struct userauth_algorithm *userauth_algorithm_for(enum key_type type, bool certificate,
                                                        const char *sig_algs) {
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        const struct userauth_algorithm *algorithm = &algorithms[i];
        if (algorithm->type == type && algorithm->certificate == certificate &&
            (sig_algs == NULL || algorithm_list_has(span_str(sig_algs), algorithm->signature))) {
            return algorithm;
        }
    }
    return NULL;
}

err_t userauth_get_request(span_t message, struct userauth_request *out) {
    struct userauth_request request;
    uint8_t number;
    TRY(wire_get_u8(&message, &number));
    TRY(wire_get_string(&message, &request.user));
    TRY(wire_get_string(&message, &request.service));
    TRY(wire_get_string(&message, &request.method));
    request.rest = message;
    *out = request;
    return OK;
}

err_t userauth_get_publickey(span_t rest, struct userauth_publickey *out) {
    struct userauth_publickey request = {0};
    TRY(wire_get_bool(&rest, &request.is_signed));
    TRY(wire_get_string(&rest, &request.algorithm));
    TRY(wire_get_string(&rest, &request.blob));
    if (request.is_signed) {
        TRY(wire_get_string(&rest, &request.signature));
    }
    TRY(wire_expect_end(rest));
    *out = request;
    return OK;
}

err_t userauth_get_password(span_t rest, struct userauth_password *out) {
    struct userauth_password request = {0};
    TRY(wire_get_bool(&rest, &request.is_change));
    TRY(wire_get_string(&rest, &request.password));
    if (request.is_change) {
        span_t new_password;
        TRY(wire_get_string(&rest, &new_password));
    }
    TRY(wire_expect_end(rest));
    *out = request;
    return OK;
}

err_t userauth_put_publickey(struct buf *to, span_t user, bool is_signed,
                             const struct userauth_algorithm *algorithm, span_t blob) {
    TRY(wire_put_u8(to, MSG_USERAUTH_REQUEST));
    TRY(wire_put_string(to, user));
    TRY(wire_put_text(to, CONNECTION_SERVICE));
    TRY(wire_put_text(to, "publickey"));
    TRY(wire_put_bool(to, is_signed));
    TRY(wire_put_text(to, algorithm->name));
    return wire_put_string(to, blob);
}

err_t userauth_put_signed_data(struct buf *to, span_t session_id, span_t user,
                               const struct userauth_algorithm *algorithm, span_t blob) {
    TRY(wire_put_string(to, session_id));
    return userauth_put_publickey(to, user, true, algorithm, blob);
}

err_t userauth_check_signature_name(span_t signature, const struct userauth_algorithm *algorithm) {
    span_t name;
    return failed(wire_get_string(&signature, &name)) || !span_equal_str(name, algorithm->signature)
               ? FAIL(ERR_SIGNATURE)
               : OK;
}
