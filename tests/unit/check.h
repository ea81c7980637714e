/* cmocka's prerequisites in one place, and the checks for err_t. */
#ifndef POSTERN_TESTS_UNIT_CHECK_H
#define POSTERN_TESTS_UNIT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

/* The call succeeds; says which error it gave when it does not. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        err_t got_ = (call);                                                                       \
        if (failed(got_)) {                                                                        \
            print_error("%s: %s\n", #call, err_name(got_));                                        \
        }                                                                                          \
        assert_int_equal(got_.code, ERR_NONE);                                                     \
    } while (0)

/* The call is refused with just this code. */
#define assert_fails(call, expected)                                                               \
    do {                                                                                           \
        err_t got_ = (call);                                                                       \
        if (got_.code != (expected)) {                                                             \
            print_error("%s: %s\n", #call, err_name(got_));                                        \
        }                                                                                          \
        assert_int_equal(got_.code, (expected));                                                   \
    } while (0)

#endif
