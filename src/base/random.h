/* Randomness from the kernel. Pure code takes the bytes as a parameter; programs fetch them here.
 */
#ifndef POSTERN_BASE_RANDOM_H
#define POSTERN_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Never fails: a kernel that cannot give random bytes ends the process. */
void random_bytes(void *out, size_t len);
uint64_t random_u64(void);

#endif
