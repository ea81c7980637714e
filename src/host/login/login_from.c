#include <string.h>

#include "host/login/login.h"

enum { FROM_BYTES_MAX = 64 * 1024 };

static err_t put_item(struct buf *out, const char *lead, const char *item) {
    return buf_add_format(out, "%s%s%s", out->len > 0 ? "," : "", lead, item);
}

struct jumps {
    struct buf *out;
    const char *lead; /* "!" excludes them */
};

static err_t put_address(const struct jumps *jumps, const char *text) {
    struct inet_address address;
    char printed[INET_CHARS];
    if (failed(inet_address_parse(span_str(text), &address))) {
        return OK;
    }
    inet_address_print(&address, printed);
    return put_item(jumps->out, jumps->lead, printed);
}

static err_t put_jump(void *context, const char *name, const char *address) {
    const struct jumps *jumps = context;
    TRY(put_address(jumps, name));
    return strcmp(name, address) == 0 ? OK : put_address(jumps, address);
}

/* Who is let in at a jump host itself comes from elsewhere. */
static err_t put_jumps(struct replica *replica, const char *lead, struct buf *out) {
    enum host_role role;
    struct jumps jumps = {out, lead};
    TRY(replica_role(replica, &role));
    return role == HOST_JUMP ? OK : replica_jump_list(replica, put_jump, &jumps);
}

err_t login_from_account(struct replica *replica, const char *subnets, struct buf *out) {
    struct buf from CLEANUP(buf_done) = BUF(FROM_BYTES_MAX);
    if (subnets[0] == '\0') {
        return OK;
    }
    TRY(buf_add_str(&from, subnets));
    TRY(put_jumps(replica, "", &from));
    return buf_add(out, buf_span(&from));
}

/* Nothing, where there is no such place, or where it takes too many words to say. */
static err_t put_common(const char *a, const char *b, struct buf *out) {
    struct subnet_list both;
    struct subnet_list other;
    TRY(subnet_list_parse(span_str(a), &both));
    TRY(subnet_list_parse(span_str(b), &other));
    return failed(subnet_list_intersect(&both, &other, &both)) ? OK : subnet_list_print(&both, out);
}

static err_t put_internal(struct replica *replica, const char *inside, struct buf *out) {
    TRY(put_jumps(replica, "!", out));
    return put_item(out, "", inside);
}

err_t login_from_key(struct replica *replica, const char *account_subnets,
                     const struct replica_key *key, struct buf *out, bool *nowhere) {
    struct buf from CLEANUP(buf_done) = BUF(FROM_BYTES_MAX);
    bool none = key->internal && key->subnets[0] == '\0';
    if (key->internal) {
        TRY(none ? OK : put_internal(replica, key->subnets, &from));
    } else if (account_subnets[0] == '\0' || key->subnets[0] == '\0') {
        const char *either = key->subnets[0] != '\0' ? key->subnets : account_subnets;
        TRY(login_from_account(replica, either, &from));
    } else {
        TRY(put_common(account_subnets, key->subnets, &from));
        none = from.len == 0;
        TRY(none ? OK : put_jumps(replica, "", &from));
    }
    TRY(buf_add(out, buf_span(&from)));
    *nowhere = none;
    return OK;
}
