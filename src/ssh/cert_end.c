#include "ssh/cert.h"
#include "ssh/wire.h"

/* Of each type, how many strings and mpints its key has, which begin alike. */
static const struct {
    const char *name;
    int fields;
} kinds[] = {
    {"ssh-ed25519-cert-v01@openssh.com", 1},
    {"ssh-rsa-cert-v01@openssh.com", 2},
    {"ecdsa-sha2-nistp256-cert-v01@openssh.com", 2},
    {"ecdsa-sha2-nistp384-cert-v01@openssh.com", 2},
    {"ecdsa-sha2-nistp521-cert-v01@openssh.com", 2},
    {"sk-ssh-ed25519-cert-v01@openssh.com", 2},
    {"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", 3},
};

static err_t skip_key(span_t *from, span_t name) {
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (span_equal_str(name, kinds[i].name)) {
            span_t ignored;
            for (int field = 0; field < kinds[i].fields; field++) {
                TRY(wire_get_string(from, &ignored));
            }
            return OK;
        }
    }
    return FAIL(ERR_KEY_TYPE);
}

err_t cert_end(span_t blob, span_t *principals, uint64_t *valid_before) {
    span_t name, found;
    span_t ignored;
    uint64_t number;
    uint32_t type;
    TRY(wire_get_string(&blob, &name));
    TRY(wire_get_string(&blob, &ignored)); /* nonce */
    TRY(skip_key(&blob, name));
    TRY(wire_get_u64(&blob, &number)); /* serial */
    TRY(wire_get_u32(&blob, &type));
    TRY(wire_get_string(&blob, &ignored)); /* key id */
    TRY(wire_get_string(&blob, &found));
    TRY(wire_get_u64(&blob, &number)); /* valid after */
    TRY(wire_get_u64(&blob, valid_before));
    if (principals != NULL) {
        *principals = found;
    }
    return OK;
}
