/* This machine's ssh and clock, the authority, and what it says of the account. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/doctor/checks.h"

enum {
    CLOCK_NOTE_S = 20,   /* codes of a second factor last 30 s */
    CLOCK_WRONG_S = 120, /* certificates are backdated by little more */
    /* OpenSSH's versions: Ed25519; SHA-2 signatures of RSA certificates; security keys */
    VERSION_ED25519 = 605,
    VERSION_PROXY_JUMP = 703,
    VERSION_RSA_SHA2 = 708,
    VERSION_SECURITY_KEY = 802,
};

/* What the client would have to be able to do for this key; NULL: it is. */
static const char *lacks(const struct facts *facts, unsigned *needed) {
    const struct key *key =
        facts->key.public != NULL ? facts->key.public : facts->key_public.public;
    if (key != NULL && key_is_security_key(key)) {
        *needed = VERSION_SECURITY_KEY;
        return "keys on security tokens";
    }
    if (key != NULL && key_type(key) == KEY_RSA && facts->look.cert != NULL) {
        *needed = VERSION_RSA_SHA2;
        return "certificates of RSA keys with SHA-2";
    }
    *needed = VERSION_ED25519;
    return "Ed25519 keys and certificates";
}

void check_client(const struct facts *facts, struct finding *out) {
    if (facts->ssh_status == 127) {
        finding_set(out, HEALTH_BROKEN, "there is no ssh on this machine, or not in $PATH");
        mend_tell(out, "sudo apt install openssh-client");
        return;
    }
    if (facts->ssh_version == 0) {
        finding_set(out, HEALTH_NOTE, "this ssh is none of OpenSSH's that is known here: %s",
                    facts->ssh_text);
        return;
    }
    unsigned needed;
    const char *what = lacks(facts, &needed);
    unsigned version = facts->ssh_version;
    if (version < needed) {
        finding_set(out, HEALTH_BROKEN,
                    "ssh is OpenSSH %u.%u, which is too old for %s: those need %u.%u",
                    version / 100, version % 100, what, needed / 100, needed % 100);
        if (needed == VERSION_ED25519) {
            mend_tell(out, "sudo apt install openssh-client");
        } else {
            mend_tell(out, "postern keygen -t ed25519 -f %s-ed25519", facts->paths.path);
        }
        return;
    }
    if (version < VERSION_PROXY_JUMP &&
        span_find_str(buf_span(&facts->site_config_text), "ProxyJump") != NULL) {
        finding_set(out, HEALTH_BROKEN,
                    "ssh is OpenSSH %u.%u, which does not know ProxyJump, and the configuration "
                    "was written for a newer one",
                    version / 100, version % 100);
        mend_config(out, facts);
        return;
    }
    finding_set(out, HEALTH_FINE, "OpenSSH %u.%u", version / 100, version % 100);
}

static int64_t seconds_off(const struct facts *facts) {
    int64_t ahead = facts->has_date ? facts->now - facts->date : 0;
    return ahead < 0 ? -ahead : ahead;
}

void check_clock(const struct facts *facts, struct finding *out) {
    if (!facts->has_date) {
        finding_set(out, HEALTH_UNKNOWN, "the authority does not say what time it is");
        return;
    }
    bool ahead = facts->now > facts->date;
    int64_t off = seconds_off(facts);
    if (off <= CLOCK_NOTE_S) {
        finding_set(out, HEALTH_FINE, "as the authority's");
        return;
    }
    char by[DURATION_CHARS], here[TIME_CHARS], there[TIME_CHARS];
    duration_print(off, by);
    time_print_local(facts->now, here);
    time_print_local(facts->date, there);
    finding_set(out, off > CLOCK_WRONG_S ? HEALTH_BROKEN : HEALTH_NOTE,
                "this machine's clock is %s %s the authority's: here it is %s, there %s", by,
                ahead ? "ahead of" : "behind", here, there);
    mend_tell(out, "sudo timedatectl set-ntp true");
}

void check_authority(const struct facts *facts, struct finding *out) {
    switch (facts->authority) {
    case AUTHORITY_ANSWERS:
        finding_set(out, HEALTH_FINE, "%s answers", facts->site->url);
        return;
    case AUTHORITY_AWAY:
        finding_set(out, HEALTH_BROKEN,
                    "%s; certificates that are valid still work, new ones have to wait",
                    facts->authority_said);
        mend_tell(out, "curl -v %s/healthz", facts->site->url);
        return;
    case AUTHORITY_UNTRUSTED:
        finding_set(out, HEALTH_BROKEN, "%s", facts->authority_said);
        if (seconds_off(facts) > CLOCK_WRONG_S) {
            return; /* which is why */
        }
        mend_tell(out, "postern init %s --fingerprint SHA256", facts->site->url);
        return;
    default:
        return;
    }
}

static bool reaches(const struct facts *facts, const char *cluster) {
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(facts->whoami, "clusters"), index, item) {
        const char *name = json_string_value(item);
        if (name != NULL && strcmp(name, cluster) == 0) {
            return true;
        }
    }
    return false;
}

static void judge_reach(const struct facts *facts, struct finding *out) {
    char *clusters CLEANUP(freep) = NULL;
    if (failed(member_join(facts->whoami, "clusters", NULL, &clusters))) {
        return;
    }
    if (clusters[0] == '\0') {
        finding_set(out, HEALTH_BROKEN,
                    "none of the projects of %s reaches a cluster; the manager of your project "
                    "can add you to one, or its clusters to it",
                    facts->username);
        mend_tell(out, "postern whoami");
    } else if (facts->cluster[0] != '\0' && !reaches(facts, facts->cluster)) {
        finding_set(out, HEALTH_BROKEN,
                    "none of the projects of %s reaches %s, but: %s; ask the manager of your "
                    "project",
                    facts->username, facts->cluster, clusters);
        mend_tell(out, "postern whoami");
    } else {
        finding_set(out, HEALTH_FINE, "%s reaches %s", facts->username, clusters);
    }
}

void check_account(const struct facts *facts, struct finding *out) {
    switch (facts->session) {
    case SESSION_GOOD:
        judge_reach(facts, out);
        return;
    case SESSION_REFUSED:
        finding_set(out, HEALTH_BROKEN, "%s", facts->session_said);
        return;
    case SESSION_NONE:
        finding_set(out, HEALTH_NOTE, "nobody is signed in%s",
                    facts->look.state == LOOK_VALID ? "; the certificate goes on working" : "");
        mend_postern(out, facts, "login", NULL);
        return;
    default:
        finding_set(out, HEALTH_UNKNOWN, "the authority could not be asked");
        return;
    }
}
