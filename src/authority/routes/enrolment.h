/* What the enrolment window is for: gates ask whether a password is right, and bring keys. */
#ifndef POSTERN_AUTHORITY_ENROLMENT_H
#define POSTERN_AUTHORITY_ENROLMENT_H

#include "base/err.h"

/* Tokens of those whom a password let in at a gate; in memory, good for LIMIT_ENROLMENT_S. */
struct enrolments;
err_t enrolments_new(struct enrolments **out);
void enrolments_free(struct enrolments *enrolments);

#endif
