/* The part that all pages with a sign-in have in common: name, password and code, or a passkey. */
#ifndef POSTERN_AUTHORITY_SIGN_IN_FORM_H
#define POSTERN_AUTHORITY_SIGN_IN_FORM_H

#include "authority/routes/login.h"

/* Loop thread, from read(): makes the challenge of the next form. form_token is the browser's
 * (browser.h) and must stay. */
void sign_in_form_read(struct call *call, struct login_attempt *attempt, const char *form_token);
/* The fields, and the button for a passkey where browsers take one here; after a right password
 * without a code, that button alone. */
err_t sign_in_form_write(struct call *call, const struct login_attempt *attempt);

#endif
