/*
 * A fuzz target: reads any bytes, and breaks an INVARIANT when a property does not hold. It runs
 * under libFuzzer and under replay.c alike. The input is never longer than what it is read from:
 * reading past it is for the sanitizers to see.
 */
#ifndef POSTERN_TESTS_FUZZ_FUZZ_H
#define POSTERN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For what cannot fail but by a bug. */
static inline void must(err_t err) { INVARIANT(!failed(err)); }

#endif
