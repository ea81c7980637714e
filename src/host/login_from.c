#include <string.h>

#include "base/inet.h"
#include "host/login.h"

enum { FROM_BYTES_MAX = 64 * 1024 };

/* One of "10.0.0.0/8,192.168.0.0/16"; false when there are no more. */
static bool next_item(const char **rest, span_t *out) {
    if (**rest == '\0') {
        return false;
    }
    size_t len = strcspn(*rest, ",");
    *out = span_of(*rest, len);
    *rest += (*rest)[len] == '\0' ? len : len + 1;
    return true;
}

static err_t put_item(struct buf *out, const char *lead, span_t item) {
    TRY(out->len > 0 ? buf_add_byte(out, ',') : OK);
    TRY(buf_add_str(out, lead));
    return buf_add(out, item);
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
    return put_item(jumps->out, jumps->lead, span_str(printed));
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

/* The smaller of two subnets of which one lies in the other; else nothing. */
static err_t put_common(span_t a, span_t b, struct buf *out) {
    struct inet_subnet left;
    struct inet_subnet right;
    TRY(inet_subnet_parse(a, &left));
    TRY(inet_subnet_parse(b, &right));
    if (inet_subnet_covers(&left, &right)) {
        return put_item(out, "", b);
    }
    return inet_subnet_covers(&right, &left) ? put_item(out, "", a) : OK;
}

static err_t put_intersection(const char *a, const char *b, struct buf *out) {
    span_t left;
    span_t right;
    while (next_item(&a, &left)) {
        for (const char *rest = b; next_item(&rest, &right);) {
            TRY(put_common(left, right, out));
        }
    }
    return OK;
}

static err_t put_internal(struct replica *replica, const char *inside, struct buf *out) {
    TRY(put_jumps(replica, "!", out));
    return put_item(out, "", span_str(inside));
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
        TRY(put_intersection(account_subnets, key->subnets, &from));
        none = from.len == 0;
        TRY(none ? OK : put_jumps(replica, "", &from));
    }
    TRY(buf_add(out, buf_span(&from)));
    *nowhere = none;
    return OK;
}
