/* The doors of an sshd that Posterngate does not keep. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "host/sync_host.h"

/* The rest of the keyword's line; empty: there is none. */
static span_t value_of(span_t settings, const char *keyword) {
    while (settings.len > 0) {
        span_t line = span_until(&settings, '\n');
        if (span_equal_str(span_until(&line, ' '), keyword)) {
            return line;
        }
    }
    return (span_t){NULL, 0};
}

/* Whether every login shows a key, whatever else it shows: "publickey gssapi-with-mic,publickey".
 */
static bool asks_for_key(span_t lists) {
    bool always = lists.len > 0;
    while (lists.len > 0) {
        span_t methods = span_until(&lists, ' ');
        bool key = false;
        while (methods.len > 0) {
            span_t method = span_until(&methods, ',');
            key |= span_equal_str(span_until(&method, ':'), "publickey");
        }
        always &= key;
    }
    return always;
}

static err_t tell(struct buf *out, const char *keyword, span_t value, const char *who) {
    return buf_add_format(out,
                          "%s %.*s: %s people get in whom Posterngate would refuse, and stay when "
                          "their right ends\n",
                          keyword, (int)value.len, (const char *)value.data, who);
}

/* Whether the keyword's command is `postern-host WORD` with this state. */
static bool is_ours(span_t command, const char *word, const char *state_dir) {
    char *words CLEANUP(freep) = NULL;
    if (asprintf(&words, " %s --state %s ", word, state_dir) < 0) {
        words = NULL;
        return false;
    }
    return command.len > 0 && memmem(command.data, command.len, words, strlen(words)) != NULL;
}

/* Without the one, a certificate of the CA lets in by its principal alone; in the place of the
 * other may stand what knows keys that Posterngate does not. */
static err_t tell_commands(span_t settings, const char *state_dir, struct buf *out) {
    span_t principals = value_of(settings, "authorizedprincipalscommand");
    span_t keys = value_of(settings, "authorizedkeyscommand");
    bool no_keys = keys.len == 0 || span_equal_str(keys, "none");
    if (!is_ours(principals, "principals", state_dir)) {
        TRY(tell(out, "AuthorizedPrincipalsCommand", principals, "by a certificate"));
    }
    return no_keys || is_ours(keys, "keys", state_dir)
               ? OK
               : tell(out, "AuthorizedKeysCommand", keys, "by a key that it knows");
}

err_t sshd_doors_tell(span_t settings, const char *state_dir, struct buf *out) {
    static const struct {
        const char *keyword, *name, *who;
    } doors[] = {
        {"gssapiauthentication", "GSSAPIAuthentication", "by a Kerberos ticket"},
        {"hostbasedauthentication", "HostbasedAuthentication", "by the word of another host"},
        {"kbdinteractiveauthentication", "KbdInteractiveAuthentication", "by what PAM asks"},
        {"passwordauthentication", "PasswordAuthentication", "by a password"},
    };
    char *user_ca CLEANUP(freep) = NULL;
    if (asprintf(&user_ca, "%s/" FILE_USER_CA, state_dir) < 0) {
        user_ca = NULL;
        return FAIL(ERR_MEMORY);
    }
    span_t trusted = value_of(settings, "trustedusercakeys");
    if (!span_equal_str(trusted, user_ca)) {
        return buf_add_format(out,
                              "TrustedUserCAKeys %.*s: this is not what `postern-host "
                              "sshd-config` prints, so it asks nobody here\n",
                              (int)trusted.len, (const char *)trusted.data);
    }
    TRY(tell_commands(settings, state_dir, out));
    bool key = asks_for_key(value_of(settings, "authenticationmethods"));
    for (size_t i = 0; i < COUNT_OF(doors) && !key; i++) {
        span_t value = value_of(settings, doors[i].keyword);
        TRY(span_equal_str(value, "yes") ? tell(out, doors[i].name, value, doors[i].who) : OK);
    }
    span_t files = value_of(settings, "authorizedkeysfile");
    return files.len == 0 || span_equal_str(files, "none")
               ? OK
               : tell(out, "AuthorizedKeysFile", files, "by a key in such a file");
}
