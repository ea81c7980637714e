/*
 * Judging a password while it is typed: the same rules that decide when it is set, and nothing
 * else. No store, no account and no record is looked at: whoever asks learns nothing.
 */
#include "identity/password.h"
#include "authority/authority.h"
#include "base/secret.h"

struct judgement {
    secret_t password;
    const char *username;
};

static void release(void *own) { secret_done(&((struct judgement *)own)->password); }

static struct judgement *judgement_of(struct call *call) {
    return call_own(call, sizeof(struct judgement), release);
}

static err_t read(struct call *call) {
    struct judgement *own = judgement_of(call);
    const size_t most = 4 * LIMIT_PASSWORD_CHARS_MAX; /* password_judge() explains the limit */
    const char *password = NULL;
    own->username = "";
    TRY(call_read_string(call, "password", CALL_REQUIRED, most, &password));
    TRY(call_read_string(call, "username", CALL_OPTIONAL, LIMIT_DISPLAY_NAME_CHARS,
                         &own->username));
    err_t err = secret_copy(span_str(password), most, &own->password);
    return call_ok(call, err, "the password") ? OK : err;
}

static void finish(struct call *call) {
    const struct judgement *own = judgement_of(call);
    struct fault fault = {.reason = ""};
    bool good = !failed(password_judge(&own->password, own->username, &fault));
    call_answer(call, 200,
                good ? json_pack("{s:b}", "acceptable", true)
                     : json_pack("{s:b,s:s}", "acceptable", false, "reason", fault.reason));
    call_send(call);
}

const struct route password_routes[] = {
    {HTTP_POST, "/api/v1/auth/password/judgement", ACCESS_PUBLIC, "password.judge", read, NULL,
     finish},
    {.path = NULL},
};
