#include "base/strength.h"

#include <ctype.h>

#include "base/secret.h"

enum { LETTERS_MAX = 64 };

/* What stands at the head of every list of leaked passwords, without digits and marks. */
static const char *const common[] = {
    "password",      "passwort",
    "motdepasse",    "contrasena",
    "passphrase",    "letmein",
    "iloveyou",      "welcome",
    "administrator", "changeme",
    "secret",        "princess",
    "sunshine",      "football",
    "baseball",      "superman",
    "trustno",       "qwertyuiop",
    "starwars",      "posterngate",
    "mypassword",    "correcthorsebatterystaple",
};

static size_t character_count(span_t text) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += (text.data[i] & 0xc0) != 0x80; /* UTF-8 continuation bytes do not count */
    }
    return count;
}

/* Does b follow a as people type runs: the same, the next or previous letter or digit, or the
 * neighbour on a keyboard row? */
static bool is_step(char a, char b) {
    static const char *const rows[] = {"1234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl",
                                       "zxcvbnm",    "yxcvbnm",    "azertyuiop"};
    if (b == a || b == a + 1 || b == a - 1) {
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *at = a == '\0' ? NULL : strchr(rows[i], a);
        if (at != NULL && b != '\0' && (at[1] == b || (at > rows[i] && at[-1] == b))) {
            return true;
        }
    }
    return false;
}

static size_t run_count(span_t text) {
    size_t runs = text.len != 0;
    for (size_t i = 1; i < text.len; i++) {
        runs += !is_step((char)tolower(text.data[i - 1]), (char)tolower(text.data[i]));
    }
    return runs;
}

/* The length of the shortest text whose repetition this is. */
static size_t period_of(span_t text) {
    size_t period = 1;
    while (period < text.len && memcmp(text.data, text.data + period, text.len - period) != 0) {
        period++;
    }
    return text.len < period ? text.len : period;
}

struct strength strength_of(span_t text) {
    return (struct strength){
        .chars = character_count(text), .period = period_of(text), .runs = run_count(text)};
}

bool strength_is_common(span_t text) {
    char letters[LETTERS_MAX];
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 1 < sizeof letters; i++) {
        if (isalpha(text.data[i])) {
            letters[len++] = (char)tolower(text.data[i]);
        }
    }
    letters[len] = '\0';
    bool found = false;
    for (size_t i = 0; i < COUNT_OF(common); i++) {
        found = found || strcmp(letters, common[i]) == 0;
    }
    secret_wipe(letters, sizeof letters);
    return found;
}
