/* A PROXY header is what its length says and no more: what follows does not matter, and of less
 * nothing is known yet. */
#include "fuzz.h"

#include "base/limits.h"
#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proxy_header header = proxy_protocol_read(span_of(data, size));
    if (header.result == PROXY_REFUSED || header.result == PROXY_MORE) {
        INVARIANT(header.len == 0 && header.source.family_bits == 0);
        INVARIANT(header.result == PROXY_REFUSED || size < LIMIT_PROXY_HEADER_BYTES);
        return 0;
    }
    INVARIANT(header.len >= 16 && header.len <= size && header.len <= LIMIT_PROXY_HEADER_BYTES);
    INVARIANT((header.result == PROXY_CLIENT) == (header.source.family_bits != 0));
    for (size_t len = 0; len < header.len; len++) {
        INVARIANT(proxy_protocol_read(span_of(data, len)).result == PROXY_MORE);
    }
    struct proxy_header exactly = proxy_protocol_read(span_of(data, header.len));
    INVARIANT(exactly.result == header.result && exactly.source_port == header.source_port);
    return 0;
}
