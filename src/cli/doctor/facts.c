#include "cli/doctor/facts.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/document.h"

void facts_init(struct facts *facts, const struct site *site) {
    *facts = (struct facts){.site = site};
    buf_init(&facts->config_text, FACT_TEXT_BYTES);
    buf_init(&facts->site_config_text, FACT_TEXT_BYTES);
    buf_init(&facts->known_hosts_text, FACT_TEXT_BYTES);
    buf_init(&facts->try_text, FACT_TEXT_BYTES);
}

void facts_done(struct facts *facts) {
    json_decref(facts->whoami);
    json_decref(facts->jobs);
    json_decref(facts->ended_jobs);
    json_decref(facts->certificates);
    json_decref(facts->known_hosts);
    json_decref(facts->access);
    buf_done(&facts->config_text);
    buf_done(&facts->site_config_text);
    buf_done(&facts->known_hosts_text);
    buf_done(&facts->try_text);
    key_free(facts->key.public);
    key_free(facts->key_public.public);
    for (size_t i = 0; i < facts->identity_count; i++) {
        key_free(facts->identities[i].public);
    }
    user_key_done(&facts->paths);
    look_done(&facts->look);
    agent_place_done(&facts->agent);
    agent_contents_done(&facts->in_agent);
    *facts = (struct facts){0};
}

void facts_cut(char *out, size_t size, span_t text) {
    size_t len = text.len < size ? text.len : size - 1;
    if (len > 0) {
        memcpy(out, text.data, len);
    }
    out[len] = '\0';
}

void facts_join(char *out, size_t size, span_t a, span_t b) {
    out[0] = '\0';
    if (a.len + b.len < size) {
        facts_cut(out, size, a);
        facts_cut(out + a.len, size - a.len, b);
    }
}

bool facts_key_in_agent(const struct facts *facts) {
    const struct key *key =
        facts->key.public != NULL ? facts->key.public : facts->key_public.public;
    for (size_t i = 0; key != NULL && i < facts->in_agent.count; i++) {
        const struct key *held = facts->in_agent.entries[i].key;
        if (held != NULL && key_equal(held, key)) {
            return true;
        }
    }
    return false;
}

size_t facts_expired_in_agent(const struct facts *facts) {
    size_t count = 0;
    for (size_t i = 0; i < facts->in_agent.count; i++) {
        count += agent_entry_is_expired(&facts->in_agent.entries[i], facts->now) ? 1 : 0;
    }
    return count;
}

const char *facts_short(const struct facts *facts, const char *path, char out[FACT_CHARS]) {
    size_t len = strlen(facts->home);
    bool inside = len > 1 && strncmp(path, facts->home, len) == 0 && path[len] == '/';
    (void)snprintf(out, FACT_CHARS, "%s%s", inside ? "~" : "", inside ? path + len : path);
    return out;
}

/* The certificate as the file says, before anything runs that may renew it. */
static void gather_certificate(struct cli *cli, struct facts *facts) {
    struct cli ask = {.site = cli->site};
    err_t err = certificate_look(&ask, facts->site, &facts->paths, &facts->look);
    if (failed(err)) {
        const char *what = ask.trouble.what[0] != '\0' ? ask.trouble.what : err_text(err);
        facts_cut(facts->look_said, sizeof facts->look_said, span_str(what));
    }
}

err_t facts_gather(struct cli *cli, const char *given, const char *key, struct facts *facts) {
    char *home CLEANUP(freep) = NULL;
    facts->now = clock_now_s();
    facts->site_named = cli->site != NULL;
    facts->default_key = key == NULL;
    TRY(path_expand("~", &home));
    size_t len = strlen(home);
    (void)snprintf(facts->home, sizeof facts->home, "%.*s",
                   (int)(len > 1 && home[len - 1] == '/' ? len - 1 : len), home);
    TRY(user_key_paths(key != NULL ? key : document_key_file(facts->site->document),
                       &facts->paths));
    (void)snprintf(facts->username, sizeof facts->username, "%s",
                   facts->site->username != NULL ? facts->site->username : "");
    facts_gather_files(facts);
    gather_certificate(cli, facts);
    facts_gather_agent(facts);
    facts_gather_authority(cli, facts);
    facts_choose_target(facts, given);
    facts_gather_jobs(cli, facts);
    facts_gather_ssh(facts);
    facts_try_ssh(facts);
    return OK;
}
