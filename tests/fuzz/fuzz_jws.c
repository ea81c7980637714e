/* Any bytes as a token and as a key set: nothing is accepted that was not signed, whatever is read
 * of a set is bounded, and claims without a right signature are never given. */
#include "fuzz.h"

#include "base/limits.h"
#include "identity/jws.h"

/* RFC 8037 appendix A.2, RFC 7515 appendix A.3: keys whose secrets the search cannot use. */
static const char trusted[] =
    "{\"keys\":[{\"kid\":\"a\",\"kty\":\"OKP\",\"crv\":\"Ed25519\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct jwk_set *ours CLEANUP(jwk_set_freep) = NULL;
    struct jwk_set *theirs CLEANUP(jwk_set_freep) = NULL;
    struct jws_header header = {.key_id = ""};
    json_t *claims = NULL;
    must(jwk_set_parse(span_str(trusted), &ours));
    err_t err = jws_verify(span_of(data, size), ours, JWS_ALL, &header, &claims);
    INVARIANT(failed(err) && claims == NULL);
    if (!failed(jwk_set_parse(span_of(data, size), &theirs))) {
        INVARIANT(jwk_set_count(theirs) <= LIMIT_JWK_SET_KEYS_COUNT);
        const span_t signature = span_of(data, size < 64 ? size : 64);
        for (unsigned i = JWS_RS256; i < JWS_ALGORITHMS_END; i++) {
            INVARIANT(failed(jwk_set_verify(theirs, "", (enum jws_algorithm)i, SPAN_LITERAL("text"),
                                            signature)));
        }
    }
    return 0;
}
