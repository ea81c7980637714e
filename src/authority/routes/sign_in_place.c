#include "authority/routes/sign_in_place.h"

#include <stdio.h>

#include "authority/routes/oidc.h"

bool sign_in_place_is_good(const char *place) {
    return place[strspn(place, "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

err_t sign_in_place_read(struct call *call, char out[SIGN_IN_PLACE_CHARS]) {
    const char *place = "";
    TRY(oidc_read(call, "place", SIGN_IN_PLACE_CHARS - 1, &place));
    if (!sign_in_place_is_good(place)) {
        call_problem(call, 400, "malformed", "place", "place must be a page of the dashboard");
        return FAIL(ERR_MALFORMED);
    }
    (void)snprintf(out, SIGN_IN_PLACE_CHARS, "%s", place);
    return OK;
}
