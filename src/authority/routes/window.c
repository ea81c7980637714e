#include "authority/routes/window.h"

#include "authority/authority.h"
#include "authority/routes/account.h"
#include "authority/routes/publish.h"
#include "base/random.h"
#include "identity/password.h"

enum { GROUPS = 4, GROUP_CHARS = 5, PASSWORD_CHARS = GROUPS * (GROUP_CHARS + 1) - 1 };

/* --- the password --- */

err_t window_password_make(struct window_password *password) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t random[PASSWORD_CHARS];
    char text[PASSWORD_CHARS];
    random_bytes(random, sizeof random);
    for (size_t i = 0; i < PASSWORD_CHARS; i++) {
        bool between = i % (GROUP_CHARS + 1) == GROUP_CHARS;
        text[i] = between ? '-' : letters[random[i] % (sizeof letters - 1)];
    }
    err_t err = secret_copy(span_of(text, sizeof text), sizeof text, &password->password);
    secret_wipe(random, sizeof random);
    secret_wipe(text, sizeof text);
    return err;
}

err_t window_password_hash(const struct call *call, struct window_password *password) {
    return password_hash(&password->password, &call->authority->config->password_cost,
                         password->hash);
}

void window_password_done(struct window_password *password) {
    secret_done(&password->password);
    secret_wipe(password->hash, sizeof password->hash);
}

/* --- opening and closing --- */

static bool get_login(struct call *call, const struct account *account, struct login *out) {
    struct login login = {0};
    err_t err = store_login_get(call_store(call), account->id, &login);
    if (err.code != ERR_NOT_FOUND && !call_ok(call, err, "the login")) {
        return false;
    }
    login.account_id = account->id;
    *out = login;
    return true;
}

bool window_judge(struct call *call, const struct account *account) {
    struct login login;
    if (call->authority->policy.enrolment_window_s == 0) {
        call_problem(call, 422, "window_refused", NULL,
                     "this site has no enrolment window; policy.enrolment_window of posternd.yaml "
                     "sets one");
        return false;
    }
    if (account->kind != ACCOUNT_PERSON) {
        call_problem(call, 422, "not_a_person", NULL,
                     "%s is a service account: it signs in with an API key", account->name);
        return false;
    }
    if (account->disabled) {
        call_problem(call, 409, "account_disabled", NULL,
                     "%s is disabled; enable it first: postern admin account enable %s",
                     account->name, account->name);
        return false;
    }
    if (!get_login(call, account, &login)) {
        return false;
    }
    if (login.totp_secret_bytes != 0) {
        call_problem(call, 409, "enrolled", NULL,
                     "%s signs in with a password and one-time codes already, and registers keys "
                     "with: postern key add",
                     account->name);
        return false;
    }
    return true;
}

void window_open(struct call *call, const struct account *account,
                 const struct window_password *password, json_t *answer) {
    struct login login;
    if (!call_ok(call, password->hash[0] != '\0' ? OK : FAIL(ERR_MEMORY), "the password") ||
        !get_login(call, account, &login)) {
        return;
    }
    memcpy(login.password_hash, password->hash, sizeof login.password_hash);
    login.window_until = call->now + call->authority->policy.enrolment_window_s;
    login.failures = 0;
    login.locked_until = 0;
    if (!call_ok(call, store_login_put(call_store(call), &login), "the login")) {
        return;
    }
    int set = json_object_set_new(answer, "windowPassword", json_string(password->password.text));
    set |= json_object_set_new(answer, "windowExpireTime", call_json_time(login.window_until));
    (void)call_ok(call, set == 0 ? OK : FAIL(ERR_MEMORY), "the window");
}

void window_close(struct call *call, const struct account *account) {
    struct login login;
    if (!get_login(call, account, &login) || login.window_until == 0) {
        return;
    }
    login.window_until = 0;
    if (login.totp_secret_bytes == 0) {
        secret_wipe(login.password_hash, sizeof login.password_hash);
    }
    if (call_ok(call, store_login_put(call_store(call), &login), "the login")) {
        publish_account(call, account);
    }
}

/* --- routes --- */

static void release(void *own) { window_password_done(own); }

static void answer_open(struct call *call) {
    const struct window_password *own = call_own(call, sizeof *own, release);
    const char *name = call_path(call, "name");
    struct account account;
    call_audit(call, name, true, "ok", NULL);
    if (!account_find(call, name, &account) || !window_judge(call, &account)) {
        return;
    }
    json_t *body = json_object();
    window_open(call, &account, own, body);
    publish_account(call, &account);
    if (call_refused(call)) {
        json_decref(body);
        return;
    }
    call_answer(call, 200, body);
}

static void hash(struct call *call) {
    struct window_password *own = call_own(call, sizeof *own, release);
    ignore_err(window_password_hash(call, own)); /* window_open() sees that there is none */
}

static void open_run(struct call *call) {
    struct window_password *own = call_own(call, sizeof *own, release);
    const char *name = call_path(call, "name");
    struct account account;
    if (!account_find(call, name, &account) || !window_judge(call, &account)) {
        call_audit(call, name, false, call->problem.code, NULL);
        return;
    }
    if (call_ok(call, window_password_make(own), "the password")) {
        call_defer(call, hash, answer_open);
    }
}

static void close_run(struct call *call) {
    const char *name = call_path(call, "name");
    struct account account;
    call_audit(call, name, true, "ok", NULL);
    if (!account_find(call, name, &account)) {
        return;
    }
    window_close(call, &account);
    if (!call_refused(call)) {
        call_answer(call, 200, json_pack("{s:o}", "account", account_json(call, &account)));
    }
}

const struct route window_routes[] = {
    {HTTP_POST, "/api/v1/accounts/{name}/window", ACCESS_ADMINISTRATOR, "account.window", NULL,
     open_run, NULL},
    {HTTP_DELETE, "/api/v1/accounts/{name}/window", ACCESS_ADMINISTRATOR, "account.close_window",
     NULL, close_run, NULL},
    {0},
};
