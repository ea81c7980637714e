/* What the agent holds, what the authority says, and which host it is about. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/doctor/facts.h"

enum { DATE_TIMEOUT_MS = 10 * 1000, QUICK_AGENT_MS = 5 * 1000 };

void facts_gather_agent(struct facts *facts) {
    struct agent_client *agent CLEANUP(agent_client_closep) = NULL;
    if (failed(agent_find(&facts->agent)) || facts->agent.origin == AGENT_NONE) {
        return;
    }
    const char *known = getenv("SSH_AUTH_SOCK");
    facts->agent_known = known != NULL && strcmp(known, facts->agent.socket) == 0;
    err_t err = agent_client_open(facts->agent.socket, &agent);
    if (!failed(err)) {
        agent_client_set_timeout(agent, QUICK_AGENT_MS);
        err = agent_contents_read(agent, &facts->in_agent);
    }
    facts->agent_silent = failed(err);
}

static void gather_date(struct facts *facts) {
    struct fault fault = {0};
    int64_t when;
    if (!failed(http_client_fetch_date(facts->site->url, DATE_TIMEOUT_MS, &when, &fault))) {
        facts->has_date = true;
        facts->date = when;
        facts->now = clock_now_s(); /* of the same moment */
    }
}

/* GET; what went wrong stays in ask->trouble. */
static json_t *get(struct api *api, const char *path) {
    json_t *answer = NULL;
    return failed(api_call(api, HTTP_GET, path, &answer)) ? NULL : answer;
}

static void copy_said(char out[FACT_CHARS], const struct cli *ask) {
    facts_cut(out, FACT_CHARS, span_str(ask->trouble.what));
}

static void ask_anyone(struct facts *facts) {
    struct cli ask = {0};
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *document CLEANUP(json_freep) = NULL;
    err_t err = api_open(&ask, facts->site, API_ANYONE, &api);
    err = failed(err) ? err : api_call(api, HTTP_GET, "/.well-known/posterngate", &document);
    facts->authority = AUTHORITY_ANSWERS;
    if (failed(err)) {
        bool tls = strstr(ask.trouble.what, "cannot trust") != NULL;
        facts->authority = tls ? AUTHORITY_UNTRUSTED : AUTHORITY_AWAY;
        copy_said(facts->authority_said, &ask);
    }
}

void facts_gather_authority(struct cli *cli, struct facts *facts) {
    struct cli ask = {.site = cli->site};
    struct api *api CLEANUP(api_closep) = NULL;
    gather_date(facts);
    ask_anyone(facts);
    if (facts->authority != AUTHORITY_ANSWERS) {
        return;
    }
    err_t err = api_open(&ask, facts->site, API_SIGNED_IN, &api);
    if (!failed(err)) {
        err = api_call(api, HTTP_GET, "/api/v1/auth/whoami", &facts->whoami);
    }
    if (failed(err)) {
        facts->session = ask.trouble.exit == EXIT_LOGIN ? SESSION_NONE : SESSION_REFUSED;
        copy_said(facts->session_said, &ask);
        return;
    }
    facts->session = SESSION_GOOD;
    (void)snprintf(facts->username, sizeof facts->username, "%s",
                   member_text(facts->whoami, "username"));
    facts->known_hosts = get(api, "/api/v1/known-hosts");
    facts->access = get(api, "/api/v1/access");
    facts->certificates = get(api, "/api/v1/ssh-keys?include_revoked=true");
}

void facts_gather_jobs(struct cli *cli, struct facts *facts) {
    struct cli ask = {.site = cli->site};
    struct api *api CLEANUP(api_closep) = NULL;
    if (facts->session != SESSION_GOOD || facts->target_kind != TARGET_INSIDE ||
        failed(api_open(&ask, facts->site, API_SIGNED_IN, &api))) {
        return;
    }
    facts->jobs = get(api, "/api/v1/jobs");
    facts->ended_jobs = get(api, "/api/v1/jobs?include_ended=true&limit=1000");
}

/* --- the target --- */

static const json_t *find_place(const struct facts *facts, const char *member, const char *name) {
    size_t index;
    json_t *place;
    json_array_foreach(json_object_get(facts->site->document, member), index, place) {
        if (strcmp(member_text(place, "name"), name) == 0 ||
            strcmp(member_text(place, "address"), name) == 0) {
            return place;
        }
    }
    return NULL;
}

/* The first cluster that the account reaches; without knowing, the first of the site. */
static const char *first_cluster(const struct facts *facts) {
    const json_t *reached = json_object_get(facts->whoami, "clusters");
    size_t index;
    json_t *item;
    json_array_foreach(reached, index, item) {
        const char *name = json_string_value(item);
        if (name != NULL && find_place(facts, "clusters", name) != NULL) {
            return name;
        }
    }
    const json_t *all = json_object_get(facts->site->document, "clusters");
    return facts->whoami == NULL ? member_text(json_array_get(all, 0), "name") : "";
}

void facts_choose_target(struct facts *facts, const char *given) {
    const json_t *jumps = json_object_get(facts->site->document, "jumpHosts");
    const char *name = given != NULL ? given : first_cluster(facts);
    if (name[0] == '\0') {
        name = member_text(json_array_get(jumps, 0), "name");
    }
    if (name[0] == '\0') {
        return;
    }
    (void)snprintf(facts->target.alias, FACT_NAME_CHARS, "%s", name);
    const json_t *cluster = find_place(facts, "clusters", name);
    if (find_place(facts, "jumpHosts", name) != NULL) {
        facts->target_kind = TARGET_JUMP;
    } else if (cluster != NULL) {
        facts->target_kind = TARGET_CLUSTER;
        (void)snprintf(facts->cluster, FACT_NAME_CHARS, "%s", member_text(cluster, "name"));
    } else {
        facts->target_kind = TARGET_INSIDE;
    }
}
