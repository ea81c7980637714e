/* Signing for whoever asks with a bearer: a key of theirs, or one that is made here. */
#include "authority/authority.h"
#include "authority/metrics.h"
#include "authority/rate.h"
#include "authority/routes/impersonation.h"
#include "ssh/private_key.h"

enum {
    GENERATED_RSA_BITS = 4096,
    GENERATED_KDF_ROUNDS = 100, /* as ssh-keygen -a 100 */
    PASSPHRASE_CHARS_MAX = 1024,
};

struct request {
    struct signing signing;
    /* of a pair that is made here */
    enum key_type new_type;
    unsigned new_bits;
    secret_t passphrase;
    struct private_key *private_key;
    struct buf private_text;
    const char *username; /* in whose place a service account asks; NULL: its own */
};
_Static_assert(sizeof(struct request) <= CALL_OWN_BYTES, "fits into call_own()");

static void release(void *own) {
    struct request *request = own;
    signing_done(&request->signing);
    private_key_free(request->private_key);
    secret_done(&request->passphrase);
    buf_done(&request->private_text);
}

/* ---- reading ----------------------------------------------------------------------------- */

static err_t read_sign(struct call *call) {
    struct request *own = call_own(call, sizeof *own, release);
    TRY(call_read_public_key(call, "publicKey", &own->signing.key, NULL));
    TRY(call_read_duration(call, "duration", CALL_OPTIONAL, &own->signing.duration_s));
    TRY(call_read_subnets(call, "ipSubnets", CALL_OPTIONAL, &own->signing.subnets));
    TRY(call_read_string(call, "job", CALL_OPTIONAL, JOB_KEY_CHARS, &own->signing.job));
    return call_read_string(call, "forceCommand", CALL_OPTIONAL, LIMIT_FORCE_COMMAND_CHARS,
                            &own->signing.force_command);
}

static const struct {
    const char *name;
    enum key_type type;
    unsigned bits;
} generated[] = {
    {"ed25519", KEY_ED25519, 256},
    {"rsa", KEY_RSA, GENERATED_RSA_BITS},
    {"ecdsa", KEY_ECDSA_256, 256},
};

static err_t read_key_type(struct call *call, struct request *own) {
    const char *name = generated[0].name;
    TRY(call_read_string(call, "keyType", CALL_OPTIONAL, 32, &name));
    for (size_t i = 0; i < COUNT_OF(generated); i++) {
        if (strcmp(generated[i].name, name) == 0) {
            own->new_type = generated[i].type;
            own->new_bits = generated[i].bits;
            return OK;
        }
    }
    call_problem(call, 422, "key_type_refused", "keyType",
                 "keys are made here of type ed25519, rsa or ecdsa");
    return FAIL(ERR_UNSUPPORTED);
}

static err_t read_generate(struct call *call) {
    struct request *own = call_own(call, sizeof *own, release);
    buf_init(&own->private_text, LIMIT_KEY_FILE_BYTES);
    span_t passphrase = {NULL, 0};
    TRY(read_key_type(call, own));
    TRY(call_read_string(call, "username", CALL_OPTIONAL, LIMIT_ACCOUNT_NAME_CHARS,
                         &own->username));
    TRY(call_read_duration(call, "duration", CALL_OPTIONAL, &own->signing.duration_s));
    TRY(call_read_text(call, "passphrase", CALL_OPTIONAL, PASSPHRASE_CHARS_MAX, &passphrase));
    if (passphrase.len > 0 &&
        failed(secret_copy(passphrase, PASSPHRASE_CHARS_MAX, &own->passphrase))) {
        call_problem(call, 400, "malformed", "passphrase", "this cannot be a passphrase");
        return FAIL(ERR_MALFORMED);
    }
    return OK;
}

/* ---- deciding and recording -------------------------------------------------------------- */

static void run_sign(struct call *call) {
    struct request *own = call_own(call, sizeof *own, release);
    struct signing_for for_whom = signing_for_caller(call);
    struct impersonation other;
    struct sign_grant grant;
    if (own->username != NULL) {
        if (!impersonation_begin(call, own->username, &other)) {
            return;
        }
        for_whom = impersonation_for(&other);
    }
    if (signing_decide(call, &for_whom, &own->signing, &grant) &&
        rate_spend(call, own->username != NULL ? RATE_IMPERSONATIONS : RATE_CERTIFICATES)) {
        (void)signing_record(call, &for_whom, &own->signing, &grant);
    }
}

/* ---- a pair made here -------------------------------------------------------------------- */

/* Hash worker: making an RSA key and hashing a passphrase take their time. */
static void make_pair(struct call *call) {
    struct request *own = call_own(call, sizeof *own, release);
    err_t err = private_key_generate(own->new_type, own->new_bits, &own->private_key);
    if (!failed(err)) {
        err = key_copy(private_key_public(own->private_key), &own->signing.key);
    }
    if (!failed(err)) {
        err = private_key_write(own->private_key,
                                own->username != NULL ? own->username : call->caller.account.name,
                                own->passphrase.len > 0 ? &own->passphrase : NULL,
                                GENERATED_KDF_ROUNDS, &own->private_text);
    }
    (void)call_ok(call, err, NULL);
}

/* Who may not ask for others' certificates keeps no thread busy either. */
static void run_generate(struct call *call) {
    const struct request *own = call_own(call, sizeof *own, release);
    struct impersonation other;
    if (own->username != NULL && !impersonation_begin(call, own->username, &other)) {
        return;
    }
    bool quick = own->username != NULL && own->new_type != KEY_RSA;
    if (quick || rate_spend(call, RATE_KEY_PAIRS)) {
        call_defer(call, make_pair, run_sign);
    }
}

/* ---- answering --------------------------------------------------------------------------- */

static void answer(struct call *call) {
    struct request *own = call_own(call, sizeof *own, release);
    buf_clear(&call->text);
    err_t err = signing_print(&own->signing, &call->text);
    if (!failed(err) && own->private_text.len > 0) {
        json_t *text = json_stringn((const char *)own->private_text.data, own->private_text.len);
        char *quoted = text != NULL ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
        json_decref(text);
        err = quoted == NULL ? FAIL(ERR_MEMORY) : buf_add_str(&call->text, ",\"privateKey\":");
        if (!failed(err)) {
            err = buf_add_str(&call->text, quoted);
        }
        if (quoted != NULL) {
            secret_wipe(quoted, strlen(quoted));
        }
        free(quoted);
    }
    if (!failed(err)) {
        err = buf_add_str(&call->text, "}}");
    }
    if (call_ok(call, err, NULL)) {
        metrics_count_certificate(call->authority->metrics, CERT_USER);
        call_answer_text(call, own->username != NULL ? 201 : 200, "application/json");
    }
    call_send(call);
}

static void finish_sign(struct call *call) {
    struct request *own = call_own(call, sizeof *own, release);
    call_certify(call, &own->signing.cert, 1, answer);
}

const struct route sign_routes[] = {
    {HTTP_POST, "/api/v1/ssh-keys/sign", ACCESS_ACCOUNT, "certificate.sign", read_sign, run_sign,
     finish_sign},
    {HTTP_POST, "/api/v1/ssh-keys", ACCESS_ACCOUNT, "certificate.generate", read_generate,
     run_generate, finish_sign},
    {.path = NULL},
};
