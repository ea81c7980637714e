#include <netdb.h>
#include <sys/socket.h>

#include "gate/names.h"

static void take_addresses(const struct addrinfo *list, struct names_answer *out) {
    for (; list != NULL && out->count < GATE_ADDRESSES_MAX; list = list->ai_next) {
        if (!failed(inet_address_from_sockaddr(list->ai_addr, &out->addresses[out->count]))) {
            out->count++;
        }
    }
}

void names_resolve(const char *name, struct names_answer *out) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    *out = (struct names_answer){.status = GATE_NAMES_TRY_AGAIN};
    switch (getaddrinfo(name, NULL, &hints, &list)) {
    case 0:
        take_addresses(list, out);
        freeaddrinfo(list);
        out->status = out->count > 0 ? GATE_NAMES_FOUND : GATE_NAMES_NOT_FOUND;
        break;
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        out->status = GATE_NAMES_NOT_FOUND;
        break;
    default: /* a server that does not answer, no memory, … */
        break;
    }
}
