/* What makes a chosen secret easy to guess, whatever its length. Pure; the callers judge. */
#ifndef POSTERN_BASE_STRENGTH_H
#define POSTERN_BASE_STRENGTH_H

#include "base/span.h"

struct strength {
    size_t chars;  /* UTF-8 characters */
    size_t period; /* bytes of the shortest text whose repetition it is: all of them, if of none */
    size_t runs;   /* of equal or neighbouring characters, in the alphabet or on a keyboard: 2 in
                      "abcdefgh1234" */
};

struct strength strength_of(span_t text);

/* Whether its letters are a text of those that everybody tries first: "Pa55word!" is not, but
 * "Password-2026!" is "password". */
bool strength_is_common(span_t text);

#endif
