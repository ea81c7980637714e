/* Where the dashboard goes on after a sign-in: the name of one of its pages ("keys"), never an
 * address. */
#ifndef POSTERN_AUTHORITY_SIGN_IN_PLACE_H
#define POSTERN_AUTHORITY_SIGN_IN_PLACE_H

#include "authority/call.h"

enum { SIGN_IN_PLACE_CHARS = 16 + 1 };

bool sign_in_place_is_good(const char *place);
/* From read(): the parameter "place"; "" without. */
err_t sign_in_place_read(struct call *call, char out[SIGN_IN_PLACE_CHARS]);

#endif
