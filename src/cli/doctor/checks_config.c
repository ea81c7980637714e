/* ssh's configuration, as the files have it and as ssh understands it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/doctor/checks.h"

enum { MODE_WRITABLE = 022, MODE_CONFIG = 0600 };

void check_config_file(const struct facts *facts, struct finding *out) {
    const struct fact_file *file = &facts->config;
    if (!file->there) {
        finding_set(out, HEALTH_FINE, "there is none");
    } else if (!file->ours) {
        finding_set(out, HEALTH_BROKEN,
                    "~/.ssh/config belongs to somebody else, and ssh refuses "
                    "to read it");
        mend_tell(out, "sudo chown \"$USER\" ~/.ssh/config");
    } else if ((file->mode & MODE_WRITABLE) != 0 || !file->readable) {
        finding_set(out, HEALTH_BROKEN,
                    "~/.ssh/config has mode %o, and ssh does not read one that others can write",
                    (unsigned)file->mode);
        mend_mode(out, facts, file->path, MODE_CONFIG);
    } else if (facts->config_look.has_cr) {
        finding_set(out, HEALTH_BROKEN,
                    "the lines of ~/.ssh/config end in CR LF, as editors of Windows write them; "
                    "not every program that reads it takes that");
        mend_tell(out, "sed -i 's/\\r$//' ~/.ssh/config");
        out->mend.kind = MEND_STRIP_CR;
        out->mend.mode = file->mode;
        (void)snprintf(out->mend.path, sizeof out->mend.path, "%s", file->path);
    } else {
        finding_set(out, HEALTH_FINE, "ssh may read it");
    }
}

/* ", as line 7 of ~/.ssh/config says" */
static const char *says_line(const struct facts *facts, const char *alias, const char *keyword,
                             char out[FACT_NAME_CHARS]) {
    char value[CONFIG_VALUE_CHARS];
    unsigned line = config_find(buf_span(&facts->config_text), alias, keyword, value);
    out[0] = '\0';
    if (line > 0) {
        (void)snprintf(out, FACT_NAME_CHARS, ", as line %u of ~/.ssh/config says", line);
    }
    return out;
}

static bool lists(const struct fact_list *list, const char *path) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], path) == 0) {
            return true;
        }
    }
    return false;
}

static const char *place_address(const struct facts *facts, const struct fact_ssh *ssh) {
    static const char *const members[] = {"jumpHosts", "clusters"};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        size_t index;
        json_t *place;
        json_array_foreach(json_object_get(facts->site->document, members[i]), index, place) {
            if (strcmp(member_text(place, "name"), ssh->alias) == 0 &&
                member_text(place, "address")[0] != '\0') {
                return member_text(place, "address");
            }
        }
    }
    return NULL;
}

/* What ssh would do with this hop that leads nowhere; false: nothing. */
static bool judge_hop(const struct facts *facts, const struct fact_ssh *ssh, struct finding *out) {
    char line[FACT_NAME_CHARS], shown[FACT_CHARS];
    const char *address = place_address(facts, ssh);
    const char *alias = ssh->alias;
    if (!ssh->known) {
        finding_set(out, HEALTH_BROKEN, "ssh does not accept its configuration: %s", ssh->said);
    } else if (address != NULL && strcasecmp(ssh->hostname, address) != 0) {
        finding_set(out, HEALTH_BROKEN, "%s leads ssh to %s, and not to %s%s", alias, ssh->hostname,
                    address, says_line(facts, alias, "HostName", line));
    } else if (facts->username[0] != '\0' && strcmp(ssh->user, facts->username) != 0) {
        finding_set(out, HEALTH_BROKEN, "ssh logs in to %s as %s, and your account is %s%s", alias,
                    ssh->user, facts->username, says_line(facts, alias, "User", line));
    } else if (!lists(&ssh->identities, facts->paths.path)) {
        finding_set(out, HEALTH_BROKEN, "ssh does not use the key %s for %s%s",
                    facts_short(facts, facts->paths.path, shown), alias,
                    says_line(facts, alias, "IdentityFile", line));
    } else {
        return false;
    }
    mend_config(out, facts);
    return true;
}

void check_settings(const struct facts *facts, struct finding *out) {
    const struct fact_ssh *target = &facts->target;
    if (target->alias[0] == '\0') {
        finding_set(out, HEALTH_UNKNOWN, "%s says neither of jump hosts nor of clusters",
                    facts->site->name);
        return;
    }
    if (judge_hop(facts, target, out) ||
        (facts->jump.alias[0] != '\0' && judge_hop(facts, &facts->jump, out))) {
        return;
    }
    bool has_jump = json_array_size(json_object_get(facts->site->document, "jumpHosts")) > 0;
    if (facts->target_kind != TARGET_JUMP && has_jump && target->proxy_jump[0] == '\0' &&
        target->proxy_command[0] == '\0') {
        finding_set(
            out, HEALTH_BROKEN, "ssh goes to %s directly, and the way leads over %s", target->alias,
            member_text(json_array_get(json_object_get(facts->site->document, "jumpHosts"), 0),
                        "name"));
        mend_config(out, facts);
        return;
    }
    finding_set(out, HEALTH_FINE, "%s is %s@%s port %s%s%s", target->alias, target->user,
                target->hostname, target->port, facts->jump.alias[0] != '\0' ? ", over " : "",
                facts->jump.alias);
}

/* What somebody wrote by hand does as well, as long as it leads there. */
void check_include(const struct facts *facts, struct finding *out) {
    struct finding settings = {0};
    check_settings(facts, &settings);
    enum health bad = settings.health == HEALTH_BROKEN ? HEALTH_BROKEN : HEALTH_NOTE;
    const struct config_look *look = &facts->config_look;
    if (!facts->site_config.there) {
        finding_set(out, bad, "postern has not configured ssh for %s yet", facts->site->name);
        mend_config(out, facts);
    } else if (look->include_line == 0) {
        finding_set(out, bad, "~/.ssh/config does not include ~/.ssh/config.d/posterngate-%s",
                    facts->site->name);
        mend_config(out, facts);
    } else if (look->block_line != 0 && look->block_line < look->include_line) {
        finding_set(out, bad,
                    "the Include on line %u of ~/.ssh/config stands behind the block that begins "
                    "on line %u, and so counts for that block alone; it has to come first",
                    look->include_line, look->block_line);
        mend_config(out, facts);
    } else {
        finding_set(out, HEALTH_FINE, "~/.ssh/config.d/posterngate-%s, on line %u",
                    facts->site->name, look->include_line);
    }
}

static void judge_identity(const struct facts *facts, const struct fact_key *key,
                           struct finding *out) {
    const char *path = key->file.path;
    char shown[FACT_CHARS], value[CONFIG_VALUE_CHARS];
    facts_short(facts, path, shown);
    if (key->content == KEY_PPK) {
        finding_set(out, HEALTH_BROKEN,
                    "IdentityFile %s is a key file of PuTTY, which ssh does not read", shown);
        char *plain = out->mend.instead;
        (void)snprintf(plain, FACT_CHARS, "%s", path);
        size_t len = strlen(plain);
        bool named = len > 4 && strcmp(plain + len - 4, ".ppk") == 0;
        (void)snprintf(plain + len - (named ? 4 : 0), FACT_CHARS - len, "%s",
                       named ? "" : ".openssh");
        mend_run(out, "postern", "key", "convert", path, "--to", "openssh", "-o", plain, NULL);
        out->mend.line =
            config_find(buf_span(&facts->config_text), facts->target.alias, "IdentityFile", value);
        (void)snprintf(out->mend.path, FACT_CHARS, "%s", facts->config.path);
        (void)snprintf(out->mend.other, FACT_CHARS, "%s", value);
        out->mend.kind = out->mend.line > 0 ? MEND_IDENTITY : MEND_RUN;
    } else if (key->content == KEY_PUBLIC || key->content == KEY_CERTIFICATE) {
        return; /* names a key that the agent holds */
    } else if (key->content != KEY_PRIVATE) {
        finding_set(out, HEALTH_BROKEN, "IdentityFile %s is no private key that ssh reads", shown);
        mend_tell(out, "postern key inspect %s", shown);
    } else if ((key->file.mode & 077) != 0) {
        finding_set(out, HEALTH_BROKEN,
                    "IdentityFile %s has mode %o: others can read it, and ssh ignores it", shown,
                    (unsigned)key->file.mode);
        mend_mode(out, facts, path, MODE_CONFIG);
    }
}

/* Files that somebody set besides the site's key; ssh's own defaults are tried as well, and none of
 * them has to be good for anything here. */
void check_identities(const struct facts *facts, struct finding *out) {
    finding_set(out, HEALTH_FINE, "nothing else is in the way");
    for (size_t i = 0; i < facts->identity_count && out->health != HEALTH_BROKEN; i++) {
        judge_identity(facts, &facts->identities[i], out);
    }
}

void check_known_hosts(const struct facts *facts, struct finding *out) {
    if (facts->marked_ours > 0) {
        finding_set(out, HEALTH_BROKEN,
                    "line %u of ~/.ssh/known_hosts is a @cert-authority line of %s, which stops "
                    "every program that uses paramiko (AiiDA, for one); ssh has it in a file of "
                    "its own",
                    facts->marked_ours, facts->site->name);
        mend_tell(out, "sed -i %ud ~/.ssh/known_hosts", facts->marked_ours);
        out->mend.kind = MEND_MARKED;
        (void)snprintf(out->mend.path, FACT_CHARS, "%s", facts->user_known_hosts.path);
    } else if (facts->marked_others > 0) {
        finding_set(out, HEALTH_NOTE,
                    "line %u of ~/.ssh/known_hosts is a @cert-authority line of another site; it "
                    "stops every program that uses paramiko (AiiDA, for one)",
                    facts->marked_others);
    } else {
        finding_set(out, HEALTH_FINE, "~/.ssh/known_hosts has no lines that others stumble over");
    }
}

void check_master(const struct facts *facts, struct finding *out) {
    const struct fact_ssh *hops[] = {&facts->jump, &facts->target};
    char shown[FACT_CHARS];
    finding_set(out, HEALTH_FINE, "none is in the way");
    for (size_t i = 0; i < COUNT_OF(hops); i++) {
        enum probe_master master = hops[i]->master;
        if (master != MASTER_HUNG && master != MASTER_DEAD) {
            continue;
        }
        facts_short(facts, hops[i]->control_path, shown);
        finding_set(
            out, HEALTH_BROKEN,
            master == MASTER_HUNG
                ? "the shared connection at %s is there, but does not answer: ssh waits for "
                  "it"
                : "nobody has the shared connection at %s any more",
            shown);
        mend_tell(out, "rm '%s'", shown);
        out->mend.kind = MEND_UNLINK;
        (void)snprintf(out->mend.path, FACT_CHARS, "%s", hops[i]->control_path);
        return;
    }
}
