/* The way in, and how far ssh came on it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/doctor/checks.h"

void check_way(const struct facts *facts, struct finding *out) {
    const struct fact_ssh *first = facts->jump.alias[0] != '\0' ? &facts->jump : &facts->target;
    const struct probe *probe = &facts->first_hop;
    const char *host = first->hostname, *port = first->port;
    switch (probe->result) {
    case PROBE_SSH:
        finding_set(out, HEALTH_FINE, "%s port %s answers: %s", host, port, probe->said);
        return;
    case PROBE_NO_NAME:
        finding_set(out, HEALTH_BROKEN,
                    "there is no host %s, or no name server answers; is this machine online?",
                    host);
        mend_tell(out, "getent hosts %s", host);
        return;
    case PROBE_REFUSED:
        finding_set(out, HEALTH_BROKEN,
                    "nothing listens on %s port %s: the host is down for a while, or the port is "
                    "another one",
                    host, port);
        return;
    case PROBE_NO_ANSWER:
    case PROBE_UNREACHABLE:
        finding_set(out, HEALTH_BROKEN,
                    "%s port %s cannot be reached from this network; where a firewall lets only "
                    "the web through, another network or a VPN helps",
                    host, port);
        return;
    case PROBE_SILENT:
        finding_set(out, HEALTH_BROKEN,
                    "%s port %s takes connections and says nothing: something in between holds "
                    "them, or the host is overloaded",
                    host, port);
        return;
    case PROBE_TURNED_AWAY:
        finding_set(out, HEALTH_BROKEN, "%s says: %s", host, probe->said + strlen("posterngate: "));
        return;
    case PROBE_OTHER:
        finding_set(out, HEALTH_BROKEN,
                    "another program than an SSH server answers on %s port %s: "
                    "%s",
                    host, port, probe->said);
        return;
    default:
        finding_set(out, HEALTH_UNKNOWN, "there was nothing to try");
        return;
    }
}

/* --- jobs --- */

static bool has_node(const json_t *job, const char *node) {
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(job, "nodes"), index, item) {
        const char *name = json_string_value(item);
        if (name != NULL && strcmp(name, node) == 0) {
            return true;
        }
    }
    return false;
}

/* By node, or by "job-1234". The last one: ids grow. */
static const json_t *find_job(const json_t *answer, const char *target) {
    const json_t *found = NULL;
    size_t index;
    json_t *job;
    json_array_foreach(json_object_get(answer, "jobs"), index, job) {
        bool named =
            strncmp(target, "job-", 4) == 0 && strcmp(target + 4, member_text(job, "job")) == 0;
        found = named || has_node(job, target) ? job : found;
    }
    return found;
}

static bool is_known_host(const struct facts *facts, const char *name) {
    size_t index;
    json_t *host;
    json_array_foreach(json_object_get(facts->known_hosts, "knownHosts"), index, host) {
        const char *role = member_text(host, "role");
        bool login = role[0] == '\0' || strcmp(role, "login") == 0 || strcmp(role, "jump") == 0;
        if (login && (strcmp(member_text(host, "name"), name) == 0 ||
                      strcmp(member_text(host, "address"), name) == 0)) {
            return true;
        }
    }
    return false;
}

void check_job(const struct facts *facts, struct finding *out) {
    const char *target =
        facts->target.hostname[0] != '\0' ? facts->target.hostname : facts->target.alias;
    if (facts->target_kind != TARGET_INSIDE || is_known_host(facts, target)) {
        finding_set(out, HEALTH_FINE, "none is needed");
        return;
    }
    if (facts->jobs == NULL) {
        finding_set(out, HEALTH_UNKNOWN, "the authority could not be asked");
        return;
    }
    const json_t *job = find_job(facts->jobs, target);
    if (job != NULL) {
        finding_set(out, HEALTH_FINE, "your job %s runs there", member_text(job, "job"));
        return;
    }
    const json_t *ended = find_job(facts->ended_jobs, target);
    int64_t when = 0;
    if (ended != NULL && !failed(time_parse(span_str(member_text(ended, "endedTime")), &when))) {
        char text[DURATION_CHARS];
        duration_print_relative(when, facts->now, text);
        finding_set(out, HEALTH_BROKEN, "your job %s, which %s was of, ended %s",
                    member_text(ended, "job"), target, text);
    } else {
        finding_set(out, HEALTH_BROKEN,
                    "%s is of no running job of yours, and nodes let in only those whose jobs run "
                    "there",
                    target);
    }
    mend_tell(out, "postern jobs");
}

/* --- the login itself --- */

/* The key that the host showed is one that the authority knows as this host's. */
static bool is_its_key(const struct facts *facts) {
    char fingerprint[FINGERPRINT_CHARS];
    size_t index, at;
    json_t *host, *line;
    json_array_foreach(json_object_get(facts->known_hosts, "knownHosts"), index, host) {
        json_array_foreach(json_object_get(host, "publicKeys"), at, line) {
            struct key *key CLEANUP(key_freep) = NULL;
            const char *text = json_string_value(line);
            if (text == NULL || failed(key_parse_line(span_str(text), &key, NULL))) {
                continue;
            }
            key_fingerprint(key, fingerprint);
            if (strcmp(fingerprint, facts->verdict.shown) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool knows_site(const struct facts *facts) {
    char wanted[FACT_NAME_CHARS];
    (void)snprintf(wanted, sizeof wanted, "posterngate/%s/known_hosts", facts->site->name);
    const struct fact_ssh *jump = &facts->jump;
    return strstr(facts->target.known_hosts, wanted) != NULL &&
           (!jump->known || strstr(jump->known_hosts, wanted) != NULL);
}

static void judge_changed(const struct facts *facts, struct finding *out) {
    const struct ssh_verdict *verdict = &facts->verdict;
    char shown[FACT_CHARS];
    facts_short(facts, verdict->file, shown);
    if (!knows_site(facts)) {
        finding_set(out, HEALTH_BROKEN,
                    "line %u of %s has another key of a host than it shows, and ssh is not told "
                    "of the certificates of %s, by which it would know it",
                    verdict->line, shown, facts->site->name);
        mend_config(out, facts);
    } else if (verdict->line > 0 && strcmp(verdict->file, facts->user_known_hosts.path) == 0 &&
               is_its_key(facts)) {
        finding_set(out, HEALTH_BROKEN,
                    "line %u of %s has an old key of a host that was set up anew; the key it shows "
                    "now, %s, is the one that the authority knows",
                    verdict->line, shown, verdict->shown);
        mend_tell(out, "sed -i %ud %s", verdict->line, shown);
        out->mend.kind = MEND_DROP_LINE;
        out->mend.line = verdict->line;
        (void)snprintf(out->mend.path, FACT_CHARS, "%s", verdict->file);
    } else {
        finding_set(out, HEALTH_BROKEN,
                    "a host shows another key than line %u of %s has, and it is none that the "
                    "authority knows: somebody may be in between; ask the support team before "
                    "you go on",
                    verdict->line, shown);
    }
}

static void judge_unknown_host(const struct facts *facts, struct finding *out) {
    if (!knows_site(facts)) {
        finding_set(out, HEALTH_BROKEN,
                    "ssh is not told of the host certificates of %s, and so "
                    "knows none of its hosts",
                    facts->site->name);
        mend_config(out, facts);
    } else if (is_its_key(facts)) {
        finding_set(out, HEALTH_BROKEN,
                    "ssh has not met a host yet and asks whether to trust its key; %s is the one "
                    "that the authority knows: answer yes",
                    facts->verdict.shown);
        mend_tell(out, "ssh %s", facts->target.alias);
    } else {
        finding_set(out, HEALTH_BROKEN, "a host shows no certificate of %s: %s", facts->site->name,
                    facts->verdict.said);
    }
}

static void judge_gate(const struct facts *facts, struct finding *out) {
    const char *said = facts->verdict.said;
    const char *gate = facts->jump.alias[0] != '\0' ? facts->jump.alias : facts->target.alias;
    finding_set(out, HEALTH_BROKEN, "%s says: %s", gate, said);
    if (strstr(said, "name you asked for") != NULL) {
        mend_config(out, facts);
    } else if (strstr(said, "your certificate") != NULL || strstr(said, "postern sign") != NULL) {
        mend_sign(out, facts);
    } else if (strstr(said, "postern access") != NULL) {
        mend_tell(out, "postern access --from everywhere");
    } else if (strstr(said, "postern jobs") != NULL) {
        mend_tell(out, "postern jobs");
    } else if (strstr(said, "postern whoami") != NULL) {
        mend_tell(out, "postern whoami");
    }
}

static void judge_too_many(const struct facts *facts, struct finding *out) {
    finding_set(out, HEALTH_BROKEN,
                "too many authentication failures: ssh offered %u keys, and servers hang up after "
                "a few",
                facts->verdict.offered);
    if (facts->target.identities_only && (!facts->jump.known || facts->jump.identities_only)) {
        mend_tell(out, "ssh-add -D");
    } else {
        mend_config(out, facts);
    }
}

/* ssh would have asked for the passphrase, and nobody could be asked: it went on to the plain key,
 * and what it was told of that is not to the point. */
static bool wants_passphrase(const struct facts *facts) {
    const struct ssh_verdict *verdict = &facts->verdict;
    bool of_key = verdict->outcome == SSH_DENIED ||
                  (verdict->outcome == SSH_GATE_SAID && strncmp(verdict->said, "the key ", 8) == 0);
    return of_key && facts->key.content == KEY_PRIVATE && facts->key.encrypted &&
           !facts_key_in_agent(facts);
}

static void judge_denied(const struct facts *facts, struct finding *out) {
    const char *host = facts->verdict.host[0] != '\0' ? facts->verdict.host : facts->target.alias;
    char *subnets CLEANUP(freep) = NULL;
    if (!failed(member_join(facts->access, "ipSubnets", NULL, &subnets)) && subnets[0] != '\0') {
        finding_set(out, HEALTH_BROKEN,
                    "%s does not let in, and you chose to come in from %s alone: a certificate "
                    "from before does not say that you come over %s",
                    host, subnets, facts->jump.alias);
        mend_sign(out, facts);
        return;
    }
    finding_set(out, HEALTH_BROKEN,
                "%s took none of the %u keys and certificates that were offered, and does not say "
                "why",
                host, facts->verdict.offered);
    mend_tell(out, "postern doctor %s --report report.txt", facts->target.alias);
}

/* Those of which ssh's own line says all. */
static void judge_plain(const struct facts *facts, struct finding *out) {
    const struct ssh_verdict *verdict = &facts->verdict;
    const char *host = verdict->host[0] != '\0' ? verdict->host : facts->target.alias;
    switch (verdict->outcome) {
    case SSH_NO_NAME:
        finding_set(out, HEALTH_BROKEN, "ssh knows no host %s", host);
        break;
    case SSH_CONNECTION_REFUSED:
    case SSH_NO_ANSWER:
    case SSH_NOT_SSH:
        finding_set(out, HEALTH_BROKEN, "%s cannot be reached: %s", host, verdict->said);
        break;
    case SSH_CHANNEL_PROHIBITED:
    case SSH_CHANNEL_FAILED:
        finding_set(out, HEALTH_BROKEN, "%s lets in, but does not lead on to %s: %s",
                    facts->jump.alias, facts->target.alias, verdict->said);
        break;
    case SSH_SIGNING:
        finding_set(out, HEALTH_BROKEN, "the agent has the key and does not sign with it: %s",
                    verdict->said);
        mend_tell(out, "postern agent --list");
        break;
    case SSH_HOST_CERTIFICATE:
        finding_set(out, HEALTH_BROKEN,
                    "a host's certificate is no good: %s; where this machine's clock is right, "
                    "tell the support team",
                    verdict->said);
        break;
    default:
        finding_set(out, HEALTH_BROKEN, "ssh %s fails: %s", facts->target.alias,
                    verdict->said[0] != '\0' ? verdict->said : "it does not say why");
        break;
    }
}

static void judge_verdict(const struct facts *facts, struct finding *out) {
    switch (facts->verdict.outcome) {
    case SSH_KEY_CHANGED:
        judge_changed(facts, out);
        return;
    case SSH_HOST_UNKNOWN:
        judge_unknown_host(facts, out);
        return;
    case SSH_TOO_MANY:
        judge_too_many(facts, out);
        return;
    case SSH_GATE_SAID:
        judge_gate(facts, out);
        return;
    case SSH_DENIED:
        judge_denied(facts, out);
        return;
    default:
        judge_plain(facts, out);
        return;
    }
}

void check_login(const struct facts *facts, struct finding *out) {
    if (!facts->tried) {
        finding_set(out, HEALTH_UNKNOWN, "not tried");
    } else if (facts_ssh_works(facts)) {
        finding_set(out, HEALTH_FINE, "ssh %s gets in", facts->target.alias);
    } else if (facts->timed_out) {
        finding_set(out, HEALTH_BROKEN, "ssh %s was not done within a minute", facts->target.alias);
    } else if (wants_passphrase(facts)) {
        finding_set(out, HEALTH_UNKNOWN,
                    "ssh would ask for the passphrase of the key, which cannot be typed here");
        mend_tell(out, "ssh %s", facts->target.alias);
    } else {
        judge_verdict(facts, out);
    }
}
