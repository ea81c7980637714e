/*
 * Where an account may go. What the client wrote is looked up and never resolved: the feed's entry
 * says what to resolve, so that no spelling of an address leads where no entry leads.
 */
#include <string.h>

#include "feed/reach.h"
#include "feed/view_things.h"

static const struct view_place *place_of(const struct view_link *link, bool by_address) {
    size_t offset = by_address ? offsetof(struct view_place, by_address) : 0;
    return (const void *)((const uint8_t *)link - offset);
}

/* The place of this kind, by name or by address, that the account reaches at that port. */
static const struct view_place *find_place(const struct view *view, enum change_kind kind,
                                           bool by_address, const char *reach, const char *host,
                                           uint16_t port) {
    const struct view_table *table =
        by_address ? &view->things.by_other[kind] : &view->things.by_key[kind];
    for (const struct view_link *link = view_table_first(table, view_hash(span_str(host)));
         link != NULL; link = view_table_next(link)) {
        const struct view_place *place = place_of(link, by_address);
        char text[LIMIT_HOST_NAME_CHARS + 1];
        if (place->role != HOST_JUMP && place->port == port &&
            view_host_text(span_str(by_address ? place->address : place->name), text) &&
            strcmp(text, host) == 0 && reach_has(reach, place->cluster)) {
            return place;
        }
    }
    return NULL;
}

/* By name before by address, a host before a cluster of the same name. */
static const struct view_place *find(const struct view *view, const char *reach, const char *host,
                                     uint16_t port) {
    const struct view_place *place = find_place(view, CHANGE_HOST, false, reach, host, port);
    if (place == NULL) {
        place = find_place(view, CHANGE_CLUSTER, false, reach, host, port);
    }
    if (place == NULL) {
        place = find_place(view, CHANGE_HOST, true, reach, host, port);
    }
    return place != NULL ? place : find_place(view, CHANGE_CLUSTER, true, reach, host, port);
}

struct view_destination view_destination(const struct view *view, const char *user, span_t host,
                                         uint16_t port) {
    char text[LIMIT_HOST_NAME_CHARS + 1];
    struct inet_address literal;
    const struct view_account *account = view_find_account(view, user);
    if (account == NULL || !account->enabled || !view_host_text(host, text)) {
        return (struct view_destination){0};
    }
    const struct view_place *place = find(view, view_account_reach(account), text, port);
    if (place == NULL) {
        return (struct view_destination){0};
    }
    const char *address = place->address[0] != '\0' ? place->address : place->name;
    return (struct view_destination){
        .allowed = true,
        .address = address,
        .port = place->port,
        .cluster = place->cluster,
        .named_itself = !failed(inet_address_parse(span_str(address), &literal)),
    };
}

/* --- the address that was resolved --- */

static bool is_in(const struct inet_address *address, const char *const *subnets, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct inet_subnet subnet;
        INVARIANT(!failed(inet_subnet_parse(span_str(subnets[i]), &subnet)));
        if (inet_subnet_contains(&subnet, address)) {
            return true;
        }
    }
    return false;
}

static bool is_forbidden(const struct inet_address *address) {
    static const char *const subnets[] = {
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16", /* this machine, and the link's */
        "224.0.0.0/4",
        "255.255.255.255", /* many machines */
        "100.100.100.200",
        "192.0.0.192", /* metadata of two clouds */
        "::",
        "::1",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::254", /* metadata of a third */
    };
    return is_in(address, subnets, COUNT_OF(subnets));
}

/* Where the IPv4 address lies in the IPv6 addresses of these prefixes that carry one. */
static const struct {
    const char *prefix;
    size_t at;
} carriers[] = {
    {"::/96", 12},           /* compatible (RFC 4291 2.5.5.1) */
    {"::ffff:0:0:0/96", 12}, /* translated (RFC 2765) */
    {"64:ff9b::/96", 12},    /* NAT64 (RFC 6052) */
    {"64:ff9b:1::/48", 12},  /* the same, of a site's own (RFC 8215) */
    {"2002::/16", 2},        /* 6to4 (RFC 3056) */
};

/* Also of an address whose carrier was not unmapped yet. */
static bool carries_forbidden(const struct inet_address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct inet_address inner = {.family_bits = 32};
    if (address->family_bits != 128) {
        return false;
    }
    if (memcmp(address->bytes, mapped, sizeof mapped) == 0) {
        memcpy(inner.bytes, address->bytes + sizeof mapped, 4);
        return is_forbidden(&inner);
    }
    for (size_t i = 0; i < COUNT_OF(carriers); i++) {
        if (is_in(address, &carriers[i].prefix, 1)) {
            memcpy(inner.bytes, address->bytes + carriers[i].at, 4);
            return is_forbidden(&inner);
        }
    }
    return false;
}

static bool is_same(const struct inet_address *a, const struct inet_address *b) {
    return a->family_bits == b->family_bits && memcmp(a->bytes, b->bytes, a->family_bits / 8U) == 0;
}

bool view_address_allowed(const struct view_destination *destination,
                          const struct inet_address *resolved) {
    struct inet_address literal;
    if (!destination->allowed || (resolved->family_bits != 32 && resolved->family_bits != 128)) {
        return false;
    }
    if (destination->named_itself) {
        return !failed(inet_address_parse(span_str(destination->address), &literal)) &&
               is_same(&literal, resolved);
    }
    return !is_forbidden(resolved) && !carries_forbidden(resolved);
}
