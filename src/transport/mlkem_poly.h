/*
 * Arithmetic of ML-KEM (FIPS 203 sections 4.2 and 4.3): polynomials of 256 coefficients modulo
 * q = 3329, plain or in the NTT domain. Nothing but mlkem_uniform() and mlkem_is_reduced(), whose
 * input is public, takes time that depends on the numbers.
 *
 * Coefficients are signed and stand for their residue. "Reduced" is below q in magnitude, which is
 * what every function wants of its input and gives back, unless it says otherwise.
 */
#ifndef POSTERN_TRANSPORT_MLKEM_POLY_H
#define POSTERN_TRANSPORT_MLKEM_POLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MLKEM_N = 256,
    MLKEM_Q = 3329,
    MLKEM_K = 3, /* the rank of ML-KEM-768 */
    MLKEM_POLY_BYTES = 384,
    MLKEM_NOISE_BYTES = 128,
};

struct poly {
    int16_t c[MLKEM_N];
};
struct vec {
    struct poly of[MLKEM_K];
};

void mlkem_ntt(struct poly *poly);
/* Undoes mlkem_ntt() after mlkem_dot(), with the factor that this leaves. */
void mlkem_inverse_ntt(struct poly *poly);
/* The sum of the products of both, in the NTT domain, times 2^-16. */
void mlkem_dot(const struct vec *a, const struct vec *b, struct poly *out);
/* Takes away the factor of mlkem_dot(). */
void mlkem_undo_dot(struct poly *poly);
void mlkem_add(struct poly *to, const struct poly *from);
void mlkem_subtract(struct poly *from, const struct poly *what); /* from -= what */

/* ByteEncode and ByteDecode of 12 bits; of the latter, numbers from q on are taken modulo q. */
void mlkem_encode(const struct poly *poly, uint8_t out[MLKEM_POLY_BYTES]);
void mlkem_decode(const uint8_t in[MLKEM_POLY_BYTES], struct poly *out);
/* Whether no number of an encoded polynomial is q or more. */
bool mlkem_is_reduced(const uint8_t in[MLKEM_POLY_BYTES]);

/* ByteEncode after Compress, and Decompress after ByteDecode, of so many bits: 32 bytes for each.
 */
void mlkem_compress_10(const struct poly *poly, uint8_t out[320]);
void mlkem_decompress_10(const uint8_t in[320], struct poly *out);
void mlkem_compress_4(const struct poly *poly, uint8_t out[128]);
void mlkem_decompress_4(const uint8_t in[128], struct poly *out);
void mlkem_compress_1(const struct poly *poly, uint8_t out[32]);
void mlkem_decompress_1(const uint8_t in[32], struct poly *out);

/* SampleNTT: how many of the wanted coefficients the stream is good for, from the start. */
size_t mlkem_uniform(const uint8_t *stream, size_t len, struct poly *out);
/* SamplePolyCBD with eta = 2. */
void mlkem_noise(const uint8_t stream[MLKEM_NOISE_BYTES], struct poly *out);

#endif
