#include "cli/account/ask.h"

#include <string.h>

#include "base/limits.h"

enum { CODE_DIGITS = 6, RECOVERY_CHARS = 20 };

/* Without blanks and hyphens; false when it does not fit. */
static bool tidy(const char *text, char out[ASK_CODE_CHARS]) {
    size_t len = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ' || *text == '-') {
            continue;
        }
        if (len + 1 == ASK_CODE_CHARS) {
            return false;
        }
        out[len++] = *text;
    }
    out[len] = '\0';
    return true;
}

err_t ask_code(struct terminal *terminal, bool recovery, char out[ASK_CODE_CHARS]) {
    for (;;) {
        char *answer CLEANUP(freep) = NULL;
        TRY(terminal_ask(terminal, "Code from your authenticator: ", &answer));
        bool fits = tidy(answer, out);
        size_t chars = fits ? strlen(out) : 0;
        if (chars == CODE_DIGITS && strspn(out, "0123456789") == CODE_DIGITS) {
            return OK;
        }
        if (recovery && chars == RECOVERY_CHARS) {
            return OK;
        }
        terminal_print(terminal, recovery ? "That is no code: it has six digits; a recovery code "
                                            "has twenty letters and digits.\n"
                                          : "That is no code: it has six digits.\n");
    }
}

err_t ask_new_password(struct terminal *terminal, secret_t *out) {
    for (;;) {
        secret_t first CLEANUP(secret_done) = {0};
        secret_t second CLEANUP(secret_done) = {0};
        TRY(terminal_ask_secret(terminal, "New password: ", &first));
        if (first.len < LIMIT_PASSWORD_CHARS_MIN || first.len > LIMIT_PASSWORD_CHARS_MAX) {
            terminal_print(terminal, "It must have %d to %d characters.\n",
                           (int)LIMIT_PASSWORD_CHARS_MIN, (int)LIMIT_PASSWORD_CHARS_MAX);
            continue;
        }
        TRY(terminal_ask_secret(terminal, "The same again: ", &second));
        if (span_equal_secret(secret_span(&first), secret_span(&second))) {
            return secret_copy(secret_span(&first), LIMIT_PASSWORD_CHARS_MAX, out);
        }
        terminal_print(terminal, "The two differ.\n");
    }
}

void ask_show_totp_secret(struct terminal *terminal, const char *uri, const char *secret) {
    terminal_print(terminal, "Scan this with an authenticator app:\n\n");
    terminal_show_qr(terminal, uri);
    terminal_print(terminal, "\nor type this secret into it: %s\n", secret);
}
