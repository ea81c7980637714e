/* Problem documents (RFC 9457). */
#ifndef POSTERN_AUTHORITY_PROBLEM_H
#define POSTERN_AUTHORITY_PROBLEM_H

#include "authority/call.h"

/* A 507 or 500 from an error that is nobody's fault but ours; logged. */
void problem_from_err(struct call *call, err_t err);
/* Turns call->problem into status, headers and text of the answer. */
void problem_write(struct call *call);
/* A header of the answer; one that cannot be set is left out, which is logged. */
bool problem_add_header(struct call *call, const char *name, const char *value);
/* "Not Found"; "Error" for a status that is not known. */
const char *problem_title(unsigned status);

#endif
