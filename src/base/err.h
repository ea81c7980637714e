/*
 * Errors: one regime for the whole tree.
 *
 * A function that can fail returns err_t and hands its result through a last pointer parameter,
 * which is untouched on failure. The compiler warns when an err_t is ignored; TRY() passes a
 * failure up and is safe because every owning local carries a CLEANUP attribute.
 *
 * A *decision* (may this account do that?) is not an error: see src/model.
 */
#ifndef POSTERN_BASE_ERR_H
#define POSTERN_BASE_ERR_H

#include <stdbool.h>
#include <stdlib.h>

/* X(code, text): the text completes "cannot …: ", so it is lower case and without a full stop. */
#define ERR_LIST(X)                                                                                \
    X(ERR_NONE, "no error")                                                                        \
    X(ERR_MEMORY, "out of memory")                                                                 \
    X(ERR_TRUNCATED, "the data ends too early")                                                    \
    X(ERR_TRAILING, "there is data after the end")                                                 \
    X(ERR_TOO_LONG, "longer than the limit allows")                                                \
    X(ERR_MALFORMED, "not in the expected format")                                                 \
    X(ERR_RANGE, "out of range")                                                                   \
    X(ERR_DUPLICATE, "present twice")                                                              \
    X(ERR_ORDER, "not in the required order")                                                      \
    X(ERR_NOT_FOUND, "not found")                                                                  \
    X(ERR_EXISTS, "exists already")                                                                \
    X(ERR_CONFLICT, "in conflict with what is there")                                              \
    X(ERR_UNSUPPORTED, "not supported")                                                            \
    X(ERR_KEY_DSA, "DSA keys are obsolete and refused by current OpenSSH; make a new key: "        \
                   "ssh-keygen -t ed25519")                                                        \
    X(ERR_KEY_RSA1, "SSH protocol 1 RSA keys are obsolete; make a new key: "                       \
                    "ssh-keygen -t ed25519")                                                       \
    X(ERR_KEY_PRIVATE, "this is a PRIVATE key; it must never leave your machine")                  \
    X(ERR_KEY_RFC4716, "this is an SSH2 (RFC 4716) public key; convert it: "                       \
                       "ssh-keygen -i -f FILE")                                                    \
    X(ERR_KEY_PPK, "this is a PuTTY key file; convert it: "                                        \
                   "postern key convert FILE --to openssh")                                        \
    X(ERR_KEY_KDF, "its passphrase goes through a key derivation not supported here (Argon2d, or " \
                   "Argon2 in more than one lane); save it anew with PuTTYgen's defaults")         \
    X(ERR_KEY_TYPE, "the key is of a type not known here")                                         \
    X(ERR_KEY_SIZE, "the key is too small or too large")                                           \
    X(ERR_KEY_INVALID, "the key's numbers are not valid for its type")                             \
    X(ERR_KEY_IS_CERT, "this is a certificate; give the plain public key")                         \
    X(ERR_KEY_NOT_CERT, "this is a plain key, not a certificate")                                  \
    X(ERR_ENCRYPTED, "the private key is encrypted; its passphrase is needed")                     \
    X(ERR_PASSPHRASE, "the passphrase is wrong")                                                   \
    X(ERR_SIGNATURE, "the signature does not verify")                                              \
    X(ERR_PRINCIPAL, "a principal is empty, too long, or has a comma, wildcard or control "        \
                     "character")                                                                  \
    X(ERR_OPTION_UNKNOWN, "a critical option is not known here")                                   \
    X(ERR_EXPIRED, "expired")                                                                      \
    X(ERR_CRYPTO, "the cryptographic library refused")                                             \
    X(ERR_IO, "input or output failed")                                                            \
    X(ERR_DISK_FULL, "the disk is full")                                                           \
    X(ERR_PERMISSION, "permission denied")                                                         \
    X(ERR_BUSY, "in use by another process")                                                       \
    X(ERR_TIMEOUT, "took too long")                                                                \
    X(ERR_CONNECT, "cannot connect")                                                               \
    X(ERR_TLS, "the TLS certificate is not the expected one")                                      \
    X(ERR_PROTOCOL, "the peer broke the protocol")                                                 \
    X(ERR_REFUSED, "refused")                                                                      \
    X(ERR_CLOSED, "closed")

enum err_code {
#define ERR_ENUM(code, text) code,
    ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

/* The two compilers spell "a value of this type must be used" differently. */
#ifdef __clang__
#define MUST_USE_TYPE __attribute__((warn_unused_result))
#else
#define MUST_USE_TYPE [[nodiscard]]
#endif

typedef struct MUST_USE_TYPE err {
    enum err_code code;
} err_t;

#define OK             ((err_t){ERR_NONE})
#define FAIL(err_code) ((err_t){(err_code)})

#define TRY(call)                                                                                  \
    do {                                                                                           \
        err_t try_err_ = (call);                                                                   \
        if (try_err_.code != ERR_NONE) {                                                           \
            return try_err_;                                                                       \
        }                                                                                          \
    } while (0)

static inline bool failed(err_t err) { return err.code != ERR_NONE; }

/* Says on purpose that a failure changes nothing here; the caller's comment says why. */
static inline void ignore_err(err_t err) { (void)err; }

/* The text of a code: never NULL, static. */
const char *err_text(err_t err);
/* The stable lower-case name ("key_dsa") that logs and problem documents carry. */
const char *err_name(err_t err);
/* The code for an errno value: ENOENT → ERR_NOT_FOUND, ENOSPC and EDQUOT → ERR_DISK_FULL, … */
err_t err_from_errno(int errnum);

/*
 * A refusal of input that a person can act on: which field, and why. Parsers of what people write
 * (configuration, requests, options) fill it beside the err_t they return. Zero-initialised means
 * "nothing said".
 */
struct fault {
    char field[96];
    char reason[416];
};

/* Fills *fault (which may be NULL) and returns FAIL(code): `return fault_set(f, ERR_RANGE,
 * "duration", "…", …);` */
err_t fault_set(struct fault *fault, enum err_code code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A broken invariant ends the process, in release builds too. */
#define INVARIANT(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            invariant_broken(#condition, __FILE__, __LINE__);                                      \
        }                                                                                          \
    } while (0)

_Noreturn void invariant_broken(const char *condition, const char *file, int line);

/* Ownership: a local marked CLEANUP(f) is handed to f(&local) when its scope ends; TAKE() moves it
 * out. */
#define CLEANUP(function) __attribute__((cleanup(function)))

#define TAKE(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) take_ = (pointer);                                                     \
        (pointer) = NULL;                                                                          \
        take_;                                                                                     \
    })

static inline void freep(void *pointer) { free(*(void **)pointer); }

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
