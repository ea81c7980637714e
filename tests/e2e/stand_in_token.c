/*
 * A stand-in for a security token, as a provider library of OpenSSH (PROTOCOL.u2f, sk-api.h): it
 * has no hardware and asks nobody, and the "handle" of a key is the private key itself. It exists
 * so that tests meet keys of the types that only tokens have. Never use it for anything else.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

struct sk_enroll_response {
    uint8_t flags;
    uint8_t *public_key;
    size_t public_key_len;
    uint8_t *key_handle;
    size_t key_handle_len;
    uint8_t *signature;
    size_t signature_len;
    uint8_t *attestation_cert;
    size_t attestation_cert_len;
    uint8_t *authdata;
    size_t authdata_len;
};

struct sk_sign_response {
    uint8_t flags;
    uint32_t counter;
    uint8_t *sig_r;
    size_t sig_r_len;
    uint8_t *sig_s;
    size_t sig_s_len;
};

enum { SK_ED25519 = 1, SK_GENERAL = -1, SK_UNSUPPORTED = -2, SK_PIN_REQUIRED = -3 };
enum {
    SK_API_VERSION = 0x000a0000,
    SK_USER_VERIFICATION = 4,
    ED25519_BYTES = 32,
    POINT_BYTES = 65
};

uint32_t sk_api_version(void);
int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application,
              uint8_t flags, const char *pin, void **options, struct sk_enroll_response **out);
int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application,
            const uint8_t *key_handle, size_t key_handle_len, uint8_t flags, const char *pin,
            void **options, struct sk_sign_response **out);
int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *count);

uint32_t sk_api_version(void) { return SK_API_VERSION; }

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application,
              uint8_t flags, const char *pin, void **options, struct sk_enroll_response **out) {
    (void)challenge, (void)challenge_len, (void)application, (void)options;
    if ((flags & SK_USER_VERIFICATION) != 0 && (pin == NULL || strcmp(pin, "1234") != 0)) {
        return SK_PIN_REQUIRED;
    }
    EVP_PKEY *key = alg == SK_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                      : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    uint8_t *public_key = calloc(1, POINT_BYTES);
    uint8_t *handle = calloc(1, POINT_BYTES);
    size_t public_len = POINT_BYTES;
    size_t handle_len = POINT_BYTES;
    int good = key != NULL && public_key != NULL && handle != NULL;
    if (good && alg == SK_ED25519) {
        good = EVP_PKEY_get_raw_public_key(key, public_key, &public_len) == 1 &&
               EVP_PKEY_get_raw_private_key(key, handle, &handle_len) == 1;
    } else if (good) {
        good = EVP_PKEY_get_octet_string_param(key, "pub", public_key, POINT_BYTES, &public_len);
        handle_len = 1;
    }
    EVP_PKEY_free(key);
    struct sk_enroll_response *made = good ? calloc(1, sizeof *made) : NULL;
    if (made == NULL) {
        free(public_key);
        free(handle);
        return SK_GENERAL;
    }
    *made = (struct sk_enroll_response){.flags = flags,
                                        .public_key = public_key,
                                        .public_key_len = public_len,
                                        .key_handle = handle,
                                        .key_handle_len = handle_len,
                                        .signature = calloc(1, 1),
                                        .signature_len = 1};
    *out = made;
    return 0;
}

/* PROTOCOL.u2f: over the hash of the application, the flags, the counter, the hash of the data. */
int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application,
            const uint8_t *key_handle, size_t key_handle_len, uint8_t flags, const char *pin,
            void **options, struct sk_sign_response **out) {
    (void)pin, (void)options;
    uint8_t message[2 * SHA256_DIGEST_LENGTH + 5] = {0};
    size_t signature_len = 2 * (size_t)ED25519_BYTES;
    if (alg != SK_ED25519 || key_handle_len != ED25519_BYTES) {
        return SK_UNSUPPORTED;
    }
    SHA256((const uint8_t *)application, strlen(application), message);
    message[SHA256_DIGEST_LENGTH] = flags;
    message[SHA256_DIGEST_LENGTH + 4] = 1; /* the counter, big-endian */
    SHA256(data, data_len, message + SHA256_DIGEST_LENGTH + 5);
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key_handle, key_handle_len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct sk_sign_response *made = calloc(1, sizeof *made);
    uint8_t *signature = calloc(1, signature_len);
    int good = key != NULL && context != NULL && made != NULL && signature != NULL &&
               EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
               EVP_DigestSign(context, signature, &signature_len, message, sizeof message) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (!good) {
        free(made);
        free(signature);
        return SK_GENERAL;
    }
    *made = (struct sk_sign_response){
        .flags = flags, .counter = 1, .sig_r = signature, .sig_r_len = signature_len};
    *out = made;
    return 0;
}

int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *count) {
    (void)pin, (void)options, (void)keys, (void)count;
    return SK_UNSUPPORTED;
}
