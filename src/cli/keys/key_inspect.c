/* postern key inspect: what a key or certificate file is. Never asks for a passphrase. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/keys/key.h"
#include "cli/keys/key_file.h"
#include "cli/sanitise.h"
#include "ssh/cert.h"
#include "ssh/private_key.h"

static err_t describe_key(const struct key *key, json_t *shown) {
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint(key, fingerprint);
    struct buf clean CLEANUP(buf_done) = BUF(4 * LIMIT_KEY_BLOB_BYTES);
    char *type CLEANUP(freep) = NULL;
    TRY(text_sanitise(span_str(key_type_name(key)), false, &clean)); /* the file may name any */
    TRY(buf_to_str(&clean, &type));
    json_t *rest CLEANUP(json_freep) = json_pack("{s:s, s:i, s:s}", "type", type, "bits",
                                                 (int)key_bits(key), "fingerprint", fingerprint);
    return rest != NULL && json_object_update(shown, rest) == 0 ? OK : FAIL(ERR_MEMORY);
}

static err_t inspect_private(const struct private_key_info *info, json_t **out) {
    static const char *const formats[] = {[PRIVATE_KEY_OPENSSH] = "openssh",
                                          [PRIVATE_KEY_PKCS8] = "pkcs8",
                                          [PRIVATE_KEY_PEM] = "pem",
                                          [PRIVATE_KEY_PPK] = "ppk",
                                          [PRIVATE_KEY_PPK_2] = "ppk2"};
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:s, s:b}", "kind", "private", "format", formats[info->format],
                  "encrypted", info->encrypted);
    if (shown != NULL && info->encrypted) {
        json_t *rest CLEANUP(json_freep) =
            json_pack("{s:s, s:s, s:I}", "cipher", info->cipher, "kdf", info->kdf, "kdfRounds",
                      (json_int_t)info->kdf_rounds);
        if (rest == NULL || json_object_update(shown, rest) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    if (shown == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(info->public_key != NULL ? describe_key(info->public_key, shown) : OK);
    *out = TAKE(shown);
    return OK;
}

static err_t inspect_cert(const struct cert *cert, json_t **out) {
    char serial[24];
    (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)cert->serial);
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    struct buf clean CLEANUP(buf_done) = BUF(4 * LIMIT_STATE_FILE_BYTES);
    struct buf clean_id CLEANUP(buf_done) = BUF(4 * LIMIT_KEY_ID_CHARS);
    char *printed CLEANUP(freep) = NULL;
    char *key_id CLEANUP(freep) = NULL;
    TRY(text_sanitise(span_str(cert->key_id), false, &clean_id)); /* may be any bytes */
    TRY(buf_to_str(&clean_id, &key_id));
    TRY(cert_print_long(cert, &text));
    TRY(text_sanitise(buf_span(&text), true, &clean));
    TRY(buf_to_str(&clean, &printed));
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:s, s:s, s:s*, s:s}", "kind", "certificate", "certificateType",
                  cert->type == CERT_USER ? "user" : "host", "serialNumber", serial, "keyId",
                  key_id, "text", printed);
    if (shown == NULL) {
        return FAIL(ERR_MEMORY);
    }
    TRY(describe_key(cert->key, shown));
    *out = TAKE(shown);
    return OK;
}

/* Tries what the file may be, the most telling refusal last. */
static err_t inspect(struct cli *cli, const char *path, span_t text, json_t **out) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    struct key *key CLEANUP(key_freep) = NULL;
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    err_t err = cert_parse_line(text, &cert, NULL);
    if (!failed(err)) {
        return inspect_cert(cert, out);
    }
    err = key_parse_line(text, &key, NULL);
    if (!failed(err)) {
        json_t *shown CLEANUP(json_freep) = json_pack("{s:s}", "kind", "public");
        TRY(shown == NULL ? FAIL(ERR_MEMORY) : describe_key(key, shown));
        *out = TAKE(shown);
        return OK;
    }
    err_t private_err = private_key_inspect(text, &info);
    if (!failed(private_err)) {
        return inspect_private(&info, out);
    }
    /* "This is a private key" is no news here; why it cannot be read is. */
    bool private = err.code == ERR_KEY_PRIVATE || err.code == ERR_MALFORMED;
    return key_file_trouble(cli, private ? private_err : err, path);
}

static err_t show(const json_t *shown) {
    if (strcmp(member_text(shown, "kind"), "certificate") == 0) {
        (void)fputs(member_text(shown, "text"), stdout);
        return OK;
    }
    bool private = strcmp(member_text(shown, "kind"), "private") == 0;
    (void)printf("%s key", private ? "Private" : "Public");
    if (json_object_get(shown, "type") != NULL) {
        (void)printf(", %s, %lld bits\nFingerprint: %s\n", member_text(shown, "type"),
                     (long long)json_integer_value(json_object_get(shown, "bits")),
                     member_text(shown, "fingerprint"));
    } else {
        (void)printf("; being encrypted, it does not show its type\n");
    }
    if (!private) {
        return OK;
    }
    (void)printf("Format:      %s\n", member_text(shown, "format"));
    if (!member_true(shown, "encrypted")) {
        (void)printf("Encrypted:   no\n");
        return OK;
    }
    long long rounds = json_integer_value(json_object_get(shown, "kdfRounds"));
    (void)printf("Encrypted:   %s", member_text(shown, "cipher"));
    if (rounds > 0) {
        (void)printf(", %s, %lld rounds", member_text(shown, "kdf"), rounds);
    }
    (void)printf("\n");
    return OK;
}

static err_t key_inspect_run(struct cli *cli, const struct arguments *arguments) {
    const char *path = arguments->words[0];
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    err_t err = file_read(path, &text);
    if (failed(err)) {
        return key_file_trouble(cli, err, path);
    }
    json_t *shown CLEANUP(json_freep) = NULL;
    TRY(inspect(cli, path, buf_span(&text), &shown));
    return cli->json ? print_json(shown) : show(shown);
}

const struct command command_key_inspect = {
    .name = "inspect",
    .arguments = "FILE",
    .summary = "Say what a key or certificate file is, without its passphrase",
    .words_min = 1,
    .words_max = 1,
    .run = key_inspect_run,
};
