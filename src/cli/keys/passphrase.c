#include "cli/keys/passphrase.h"

#include "base/limits.h"
#include "base/strength.h"
#include "cli/terminal.h"

enum { RUNS_MIN = 5 };

err_t passphrase_judge(const secret_t *passphrase, struct fault *fault) {
    span_t text = secret_span(passphrase);
    const struct strength strength = strength_of(text);
    if (strength.chars < LIMIT_PASSPHRASE_CHARS_MIN) {
        return fault_set(fault, ERR_REFUSED, "passphrase",
                         "it has %zu characters and needs at least %d", strength.chars,
                         LIMIT_PASSPHRASE_CHARS_MIN);
    }
    if (strength.period < LIMIT_PASSPHRASE_CHARS_MIN && strength.period <= text.len / 2) {
        return fault_set(fault, ERR_REFUSED, "passphrase", "it repeats a short text");
    }
    if (strength.runs < RUNS_MIN) {
        return fault_set(fault, ERR_REFUSED, "passphrase",
                         "it is a run of neighbouring characters");
    }
    return strength_is_common(text) ? fault_set(fault, ERR_REFUSED, "passphrase",
                                                "it is among the first that anybody tries")
                                    : OK;
}

/* ERR_BUSY: told why not, and to be asked again. */
static err_t ask_once(struct terminal *terminal, const char *demander, secret_t *out) {
    secret_t first CLEANUP(secret_done) = {0};
    secret_t second CLEANUP(secret_done) = {0};
    struct fault fault = {0};
    TRY(terminal_ask_secret(terminal,
                            demander != NULL ? "Passphrase for the key: "
                                             : "Passphrase for the key (empty for none): ",
                            &first));
    if (first.len == 0) {
        if (demander == NULL) {
            return OK;
        }
        terminal_print(terminal, "%s demands one.\n", demander);
        return FAIL(ERR_BUSY);
    }
    if (failed(passphrase_judge(&first, &fault))) {
        terminal_print(terminal,
                       "Not this one: %s. Four or five unrelated words make a good one.\n",
                       fault.reason);
        return FAIL(ERR_BUSY);
    }
    TRY(terminal_ask_secret(terminal, "The same again: ", &second));
    if (!span_equal_secret(secret_span(&first), secret_span(&second))) {
        terminal_print(terminal, "The two differ.\n");
        return FAIL(ERR_BUSY);
    }
    *out = first;
    first = (secret_t){0};
    return OK;
}

err_t passphrase_ask_new(struct cli *cli, const char *demander, const char *otherwise,
                         secret_t *out) {
    struct terminal *terminal CLEANUP(terminal_closep) = NULL;
    if (failed(terminal_open(&terminal))) {
        if (otherwise != NULL) {
            trouble_next(&cli->trouble, "%s", otherwise);
        }
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "there is no terminal to ask for a passphrase at");
    }
    err_t err;
    do {
        err = ask_once(terminal, demander, out);
    } while (err.code == ERR_BUSY);
    return err;
}
