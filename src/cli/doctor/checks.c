#include "cli/doctor/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct check checks[] = {
    {"ssh", "ssh", false, check_client},
    {"clock", "Clock", false, check_clock},
    {"authority", "Authority", false, check_authority},
    {"account", "Account", false, check_account},
    {"folder", "~/.ssh", false, check_folder},
    {"key", "Key", true, check_key},
    {"keyModes", "Key's modes", false, check_key_modes},
    {"publicKey", "Public key", false, check_public},
    {"passphrase", "Passphrase", false, check_passphrase},
    {"certificate", "Certificate", true, check_certificate},
    {"revocation", "Revocation", true, check_revoked},
    {"agent", "Agent", false, check_agent},
    {"agentExpired", "Agent: expired", false, check_agent_expired},
    {"agentCrowd", "Agent: crowd", true, check_agent_crowd},
    {"configFile", "~/.ssh/config", false, check_config_file},
    {"include", "Include", true, check_include},
    {"settings", "Settings", true, check_settings},
    {"identities", "Identity files", true, check_identities},
    {"knownHosts", "Known hosts", false, check_known_hosts},
    {"master", "Shared connection", false, check_master},
    {"way", "Way in", true, check_way},
    {"job", "Job", true, check_job},
    {"login", "Login", false, check_login},
};
const size_t check_count = COUNT_OF(checks);
_Static_assert(COUNT_OF(checks) <= CHECKS_MAX, "findings have room");

void checks_run(const struct facts *facts, struct finding *findings) {
    bool works = facts_ssh_works(facts);
    for (size_t i = 0; i < check_count; i++) {
        findings[i] = (struct finding){0};
        checks[i].look(facts, &findings[i]);
        if (findings[i].health == HEALTH_BROKEN && checks[i].of_ssh && works) {
            findings[i].health = HEALTH_NOTE;
        }
    }
}

bool mend_is_doable(const struct mend *mend) {
    return mend->kind != MEND_NONE && mend->kind != MEND_TELL;
}

void finding_set(struct finding *out, enum health health, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out->words, sizeof out->words, format, args);
    va_end(args);
    out->health = health;
}

void mend_tell(struct finding *out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out->mend.command, sizeof out->mend.command, format, args);
    va_end(args);
    out->mend.kind = MEND_TELL;
}

static bool needs_quotes(const char *word) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,";
    return word[0] == '\0' || word[strspn(word, plain)] != '\0';
}

static void add_word(struct mend *mend, const char *word) {
    size_t len = strlen(mend->command);
    const char *quote = needs_quotes(word) ? "'" : "";
    INVARIANT(mend->word_count < MEND_WORDS);
    (void)snprintf(mend->words[mend->word_count++], FACT_CHARS, "%s", word);
    (void)snprintf(mend->command + len, sizeof mend->command - len, "%s%s%s%s", len > 0 ? " " : "",
                   quote, word, quote);
}

static void add_words(struct finding *out, va_list words) {
    for (const char *word; (word = va_arg(words, const char *)) != NULL;) {
        add_word(&out->mend, word);
    }
    out->mend.kind = MEND_RUN;
}

void mend_run(struct finding *out, ...) {
    va_list words;
    va_start(words, out);
    add_words(out, words);
    va_end(words);
}

void mend_postern(struct finding *out, const struct facts *facts, ...) {
    va_list words;
    add_word(&out->mend, "postern");
    if (facts->site_named) {
        add_word(&out->mend, "--site");
        add_word(&out->mend, facts->site->name);
    }
    va_start(words, facts);
    add_words(out, words);
    va_end(words);
}

void mend_mode(struct finding *out, const struct facts *facts, const char *path, mode_t mode) {
    char shown[FACT_CHARS];
    mend_tell(out, "chmod %o %s", (unsigned)mode, facts_short(facts, path, shown));
    out->mend.kind = MEND_MODE;
    out->mend.mode = mode;
    (void)snprintf(out->mend.path, sizeof out->mend.path, "%s", path);
}

void mend_sign(struct finding *out, const struct facts *facts) {
    if (facts->session == SESSION_NONE) {
        mend_postern(out, facts, "login", NULL);
    } else if (facts->default_key) {
        mend_postern(out, facts, "sign", NULL);
    } else {
        mend_postern(out, facts, "sign", "-f", facts->paths.path, NULL);
    }
}

void mend_config(struct finding *out, const struct facts *facts) {
    mend_postern(out, facts, "config", NULL);
}
