/* ~/.ssh, the key in it, and its public half. */
#include <stdio.h>

#include "cli/doctor/checks.h"
#include "cli/document.h"

enum { MODE_OTHERS = 077, MODE_FOLDER = 0700, MODE_FILE = 0600 };

void check_folder(const struct facts *facts, struct finding *out) {
    const struct fact_file *folder = &facts->folder;
    char shown[FACT_CHARS];
    facts_short(facts, folder->path, shown);
    if (!folder->there) {
        finding_set(out, HEALTH_BROKEN, "there is no %s", shown);
        mend_tell(out, "mkdir -m 700 %s", shown);
        out->mend.kind = MEND_FOLDER;
        out->mend.mode = MODE_FOLDER;
        (void)snprintf(out->mend.path, sizeof out->mend.path, "%s", folder->path);
    } else if (!folder->ours) {
        finding_set(out, HEALTH_BROKEN, "%s belongs to somebody else", shown);
        mend_tell(out, "sudo chown -R \"$USER\" %s", shown);
    } else if ((folder->mode & MODE_OTHERS) != 0 || (folder->mode & MODE_FOLDER) != MODE_FOLDER) {
        finding_set(out, HEALTH_BROKEN, "%s has mode %o; only you should get into it (0700)", shown,
                    (unsigned)folder->mode);
        mend_mode(out, facts, folder->path, MODE_FOLDER);
    } else {
        finding_set(out, HEALTH_FINE, "only you get into it");
    }
}

/* What is there keeps another name: it may be somebody's only copy of something. */
static void mend_replace(const struct facts *facts, struct finding *out) {
    const char *path = facts->key.file.path;
    char shown[FACT_CHARS];
    facts_short(facts, path, shown);
    mend_postern(out, facts, "keygen", "-f", path, NULL);
    mend_tell(out, "mv %s %s.was && postern keygen -f %s", shown, shown, shown);
    out->mend.kind = MEND_REPLACE;
    (void)snprintf(out->mend.path, sizeof out->mend.path, "%s", path);
}

/* Not DSA and the like, but too little for this site. */
static bool is_too_short_here(const struct facts *facts) {
    const json_t *policy = json_object_get(facts->site->document, "policy");
    const struct key *key = facts->key.public;
    return key != NULL && key_type(key) == KEY_RSA &&
           (long long)key_bits(key) < member_number(policy, "rsaBitsMin");
}

/* A key file that ssh cannot read, and what makes one of it that it can. */
static void judge_content(const struct facts *facts, const char *shown, struct finding *out) {
    const char *path = facts->key.file.path;
    switch (facts->key.content) {
    case KEY_PPK:
        finding_set(out, HEALTH_BROKEN, "%s is a key file of PuTTY, which ssh does not read",
                    shown);
        mend_run(out, "postern", "key", "convert", path, "--to", "openssh", "-o", path, "--force",
                 NULL);
        break;
    case KEY_PRIVATE_CR:
        finding_set(out, HEALTH_BROKEN,
                    "the lines of %s end in CR LF, as Windows writes them, and ssh does not take "
                    "that in a private key",
                    shown);
        mend_tell(out, "sed -i 's/\\r$//' %s", shown);
        out->mend.kind = MEND_STRIP_CR;
        (void)snprintf(out->mend.path, sizeof out->mend.path, "%s", path);
        out->mend.mode = MODE_FILE;
        break;
    case KEY_PUBLIC:
    case KEY_SSH2:
    case KEY_CERTIFICATE:
        finding_set(out, HEALTH_BROKEN, "%s is a %s where the private key should be", shown,
                    facts->key.content == KEY_CERTIFICATE ? "certificate" : "public key");
        mend_replace(facts, out);
        break;
    case KEY_OLD_DSA:
    case KEY_OLD_RSA1:
    case KEY_TOO_SHORT:
        finding_set(out, HEALTH_BROKEN, "%s is a key that no server takes any more: %s", shown,
                    facts->key.content == KEY_OLD_DSA    ? "DSA"
                    : facts->key.content == KEY_OLD_RSA1 ? "RSA of SSH protocol 1"
                                                         : "RSA of too few bits");
        mend_replace(facts, out);
        break;
    default:
        finding_set(out, HEALTH_BROKEN, "%s is no private key, or cannot be read", shown);
        mend_tell(out, "postern key inspect %s", shown);
        break;
    }
}

void check_key(const struct facts *facts, struct finding *out) {
    char shown[FACT_CHARS];
    facts_short(facts, facts->key.file.path, shown);
    if (facts->key.content == KEY_PRIVATE && is_too_short_here(facts)) {
        finding_set(out, HEALTH_BROKEN, "%s has %u bits, which are too few for %s", shown,
                    key_bits(facts->key.public), facts->site->name);
        mend_replace(facts, out);
    } else if (facts->key.content == KEY_PRIVATE) {
        const struct key *key = facts->key.public;
        finding_set(out, HEALTH_FINE, "%s%s%s", shown, key != NULL ? ", " : "",
                    key != NULL ? key_type_display(key) : "");
    } else if (facts->key.content == KEY_ABSENT && facts_key_in_agent(facts)) {
        finding_set(out, HEALTH_FINE, "in the agent alone");
    } else if (facts->key.content == KEY_ABSENT) {
        finding_set(out, HEALTH_BROKEN, "there is no key %s", shown);
        mend_postern(out, facts, "keygen", "-f", facts->paths.path, NULL);
    } else {
        judge_content(facts, shown, out);
    }
}

void check_key_modes(const struct facts *facts, struct finding *out) {
    const struct fact_file *file = &facts->key.file;
    char shown[FACT_CHARS];
    facts_short(facts, file->path, shown);
    if (!file->there) {
        finding_set(out, HEALTH_UNKNOWN, "there is no file");
    } else if (!file->ours) {
        finding_set(out, HEALTH_BROKEN, "%s belongs to somebody else", shown);
        mend_tell(out, "sudo chown \"$USER\" %s", shown);
    } else if ((file->mode & MODE_OTHERS) != 0) {
        finding_set(out, HEALTH_BROKEN,
                    "%s has mode %o: others can read it, and ssh ignores a key like that", shown,
                    (unsigned)file->mode);
        mend_mode(out, facts, file->path, MODE_FILE);
    } else {
        finding_set(out, HEALTH_FINE, "only you can read it");
    }
}

void check_public(const struct facts *facts, struct finding *out) {
    const char *path = facts->key_public.file.path;
    const struct key *key = facts->key_public.public;
    char shown[FACT_CHARS];
    facts_short(facts, path, shown);
    if (facts->key_public.content == KEY_ABSENT) {
        finding_set(out, HEALTH_FINE, "there is no %s, which is no trouble", shown);
    } else if (facts->key_public.content == KEY_SSH2) {
        finding_set(out, HEALTH_BROKEN,
                    "%s is in the form SSH2 (RFC 4716), which neither ssh nor the authority reads",
                    shown);
        mend_run(out, "postern", "key", "convert", path, "--to", "openssh", "-o", path, "--force",
                 NULL);
    } else if (facts->key_public.content != KEY_PUBLIC ||
               (facts->key.public != NULL && !key_equal(key, facts->key.public))) {
        finding_set(out, HEALTH_BROKEN, "%s is not the public half of the key beside it", shown);
        if (facts->key.public != NULL) {
            mend_tell(out, "ssh-keygen -y -f %s > %s",
                      facts_short(facts, facts->key.file.path, (char[FACT_CHARS]){0}), shown);
            out->mend.kind = MEND_PUBLIC;
            (void)snprintf(out->mend.path, sizeof out->mend.path, "%s", path);
            (void)snprintf(out->mend.other, sizeof out->mend.other, "%s", facts->key.file.path);
        }
    } else {
        finding_set(out, HEALTH_FINE, "it belongs to the key");
    }
}

void check_passphrase(const struct facts *facts, struct finding *out) {
    if (facts->key.content != KEY_PRIVATE) {
        finding_set(out, HEALTH_UNKNOWN, "there is no key to look at");
    } else if (facts->key.encrypted) {
        finding_set(out, HEALTH_FINE, "the key has one");
    } else if (document_wants_encrypted_keys(facts->site->document) &&
               !(facts->key.public != NULL && key_is_security_key(facts->key.public))) {
        char shown[FACT_CHARS];
        finding_set(out, HEALTH_BROKEN,
                    "%s demands private keys with a passphrase, and %s has none", facts->site->name,
                    facts_short(facts, facts->key.file.path, shown));
        mend_run(out, "ssh-keygen", "-p", "-a", "100", "-f", facts->key.file.path, NULL);
    } else {
        finding_set(out, HEALTH_FINE, "the key has none, and %s does not ask for one",
                    facts->site->name);
    }
}
