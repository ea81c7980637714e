/* The input is a signature file. One that is good for a message is so for no other message and no
 * other purpose. */
#include "fuzz.h"

#include "ssh/sshsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char purpose[] = "renewal@posterngate";
    span_t file = span_of(data, size);
    struct key *key CLEANUP(key_freep) = NULL;
    struct key *none = NULL;
    if (!failed(sshsig_verify(file, purpose, SPAN_LITERAL("message\n"), &key))) {
        INVARIANT(failed(sshsig_verify(file, purpose, SPAN_LITERAL("message"), &none)));
        INVARIANT(failed(sshsig_verify(file, "file", SPAN_LITERAL("message\n"), &none)));
    }
    return 0;
}
