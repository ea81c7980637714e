/* Who may come in, and stay. */
#include <string.h>

#include "feed/reach.h"
#include "feed/view_things.h"
#include "model/scope.h"

/* A view from the future is as little to be trusted as an old one, and one that dropped revocations
 * by a clock that was ahead may lack some that are good again. */
static bool is_fresh(const struct view *view, const struct view_rules *rules, int64_t now) {
    return view->synced_at != 0 && now - view->synced_at <= rules->max_age_s &&
           view->synced_at - now <= rules->max_age_s &&
           view->pruned_at <= now + REPLICA_PRUNE_SLACK_S;
}

static enum replica_why judge_age(const struct view *view, const struct view_rules *rules,
                                  int64_t now, bool *stale) {
    *stale = !is_fresh(view, rules, now);
    return *stale && !rules->best_effort ? REPLICA_STALE : REPLICA_ALLOWED;
}

struct taking {
    const struct view *view;
    enum credentials by;
    const struct cluster_list *within;
    bool reaches; /* one of those */
};

/* ERR_EXISTS: it does, and no other need be asked. */
static err_t takes_it(void *context, const char *cluster) {
    struct taking *taking = context;
    if (!view_is_within(taking->within, cluster)) {
        return OK;
    }
    taking->reaches = true;
    const struct view_place *place = view_find_cluster(taking->view, cluster);
    return place != NULL && (place->credentials & taking->by) != 0 ? FAIL(ERR_EXISTS) : OK;
}

/* Whether the account reaches a cluster that takes what asks. */
static enum replica_why judge_reach(const struct view *view, const char *reach, enum credentials by,
                                    const struct cluster_list *within) {
    struct taking taking = {view, by, within, false};
    if (reach_each(reach, takes_it, &taking).code == ERR_EXISTS) {
        return REPLICA_ALLOWED;
    }
    return taking.reaches ? REPLICA_NO_CREDENTIAL : REPLICA_NO_REACH;
}

static enum replica_why judge_account(const struct view *view, const char *user,
                                      enum credentials by, const struct cluster_list *within) {
    const struct view_account *account = view_find_account(view, user);
    if (account == NULL) {
        return REPLICA_NO_ACCOUNT;
    }
    if (!account->enabled) {
        return REPLICA_DISABLED;
    }
    return judge_reach(view, view_account_reach(account), by, within);
}

/* Where the account may come from, by its own choice; not knowing where it does is no excuse. */
static enum replica_why judge_source(const struct view *view, const char *user,
                                     const struct inet_address *source) {
    const struct view_account *account = view_find_account(view, user);
    const char *text = account == NULL ? "" : view_account_subnets(account);
    struct subnet_list subnets;
    if (text[0] == '\0') {
        return REPLICA_ALLOWED;
    }
    return source != NULL && !failed(subnet_list_parse(span_str(text), &subnets)) &&
                   subnet_list_allows(&subnets, source)
               ? REPLICA_ALLOWED
               : REPLICA_SOURCE;
}

/* The account itself, and where it comes from. */
static enum replica_why judge_comer(const struct view *view, const char *user, enum credentials by,
                                    const struct cluster_list *within,
                                    const struct inet_address *source) {
    enum replica_why why = judge_account(view, user, by, within);
    return why == REPLICA_ALLOWED ? judge_source(view, user, source) : why;
}

static enum replica_why judge_serial(const struct view *view, uint64_t serial) {
    /* The authority signs none with serial 0, since a KRL could not list it. */
    if (serial == 0) {
        return REPLICA_NO_SERIAL;
    }
    return view_is_revoked(view, serial) ? REPLICA_REVOKED : REPLICA_ALLOWED;
}

static struct replica_verdict verdict_of(enum replica_why why, bool stale) {
    return (struct replica_verdict){.allowed = why == REPLICA_ALLOWED, .why = why, .stale = stale};
}

struct replica_verdict view_account(const struct view *view, const struct view_rules *rules,
                                    const char *user, enum credentials by, int64_t now) {
    bool stale = true;
    enum replica_why why = judge_age(view, rules, now, &stale);
    return verdict_of(why == REPLICA_ALLOWED ? judge_account(view, user, by, NULL) : why, stale);
}

bool view_window(const struct view *view, const char *user, const struct inet_address *source,
                 int64_t now) {
    const struct view_account *account = view_find_account(view, user);
    return account != NULL && account->enabled && now < account->window_until &&
           judge_source(view, user, source) == REPLICA_ALLOWED;
}

/* --- certificates --- */

static void judge_certificate(const struct view *view, const struct cert *cert,
                              const struct view_login *login, struct view_cert_verdict *verdict) {
    char fingerprint[FINGERPRINT_CHARS] = "";
    if (cert->ca_key != NULL) {
        key_fingerprint(cert->ca_key, fingerprint);
    }
    char principal[SCOPE_PRINCIPAL_CHARS];
    scope_principal_of(cert, login->user, principal);
    const struct view_ca *ca = view_find_ca(view, fingerprint, CA_USE_USER);
    const struct key *ca_key = ca != NULL ? ca->key : NULL;
    const struct cert_check check = {.type = CERT_USER,
                                     .ca_keys = &ca_key,
                                     .ca_key_count = ca_key != NULL ? 1 : 0,
                                     .now = (uint64_t)login->now,
                                     .principal = principal,
                                     .source = login->source,
                                     .memo = login->memo};
    if (!login->verify_ca) {
        verdict->plausible = cert_is_plausible(cert, &check, &verdict->cert_why);
        return;
    }
    struct cert_verdict found = cert_verify(cert, &check);
    verdict->cert_why = found.why;
    verdict->plausible = verdict->allowed = found.allowed;
    verdict->force_command = found.force_command;
    verdict->verify_required = found.verify_required;
}

/* Nothing but the reasons is left of a verdict that refuses. */
static struct view_cert_verdict refusal(const struct view_cert_verdict *verdict) {
    return (struct view_cert_verdict){.stale = verdict->stale,
                                      .cert_why = verdict->cert_why,
                                      .replica_why = verdict->replica_why};
}

struct view_cert_verdict view_cert(const struct view *view, const struct view_rules *rules,
                                   const struct cert *cert, const struct view_login *login) {
    struct view_cert_verdict verdict = {.cert_why = CERT_ALLOWED};
    verdict.replica_why = judge_age(view, rules, login->now, &verdict.stale);
    if (verdict.replica_why != REPLICA_ALLOWED) {
        return refusal(&verdict);
    }
    judge_certificate(view, cert, login, &verdict);
    if (!verdict.plausible) {
        return refusal(&verdict);
    }
    verdict.replica_why = judge_serial(view, cert->serial);
    if (verdict.replica_why == REPLICA_ALLOWED) {
        const struct scope scope = scope_of(cert, login->user);
        verdict.replica_why = judge_comer(view, login->user, CREDENTIALS_CERTIFICATES,
                                          &scope.clusters, login->source);
    }
    return verdict.replica_why == REPLICA_ALLOWED ? verdict : refusal(&verdict);
}

/* --- registered keys --- */

static enum replica_why judge_key(const struct view_key *key, const struct inet_address *source,
                                  int64_t now) {
    if (key->expires_at != 0 && now >= key->expires_at) {
        return REPLICA_EXPIRED;
    }
    for (size_t i = 0; i < key->subnet_count; i++) {
        if (source != NULL && inet_subnet_contains(&key->subnets[i], source)) {
            return REPLICA_ALLOWED;
        }
    }
    return key->subnet_count == 0 ? REPLICA_ALLOWED : REPLICA_SOURCE;
}

/* The account's next key of this blob after `key`, which is NULL at first. Internal ones are good
 * at hosts alone. */
static const struct view_key *next_key(const struct view *view, const char *user, span_t blob,
                                       const struct view_key *key) {
    const struct view_link *link =
        key == NULL ? view_table_first(&view->things.by_other[CHANGE_KEY], view_hash(blob))
                    : view_table_next(&key->by_blob);
    for (; link != NULL; link = view_table_next(link)) {
        key = (const void *)((const uint8_t *)link - offsetof(struct view_key, by_blob));
        if (!key->internal && span_equal(key->blob, blob) && strcmp(key->account, user) == 0) {
            return key;
        }
    }
    return NULL;
}

/* The same key may be registered more than once: of those that fit, the one that lasts longest. */
static enum replica_why find_key(const struct view *view, const char *user, span_t blob,
                                 const struct inet_address *source, int64_t now,
                                 int64_t *expires_at) {
    enum replica_why best = REPLICA_NO_KEY;
    int64_t longest = INT64_MIN;
    for (const struct view_key *key = NULL; (key = next_key(view, user, blob, key)) != NULL;) {
        enum replica_why why = judge_key(key, source, now);
        int64_t ends_at = key->expires_at == 0 ? INT64_MAX : key->expires_at;
        if (why == REPLICA_ALLOWED && ends_at > longest) {
            longest = ends_at;
        }
        best = best == REPLICA_ALLOWED ? best : why;
    }
    if (best == REPLICA_ALLOWED) {
        *expires_at = longest == INT64_MAX ? 0 : longest;
    }
    return best;
}

struct replica_verdict view_key(const struct view *view, const struct view_rules *rules,
                                const struct key *key, const char *user,
                                const struct inet_address *source, int64_t now,
                                int64_t *expires_at) {
    bool stale = true;
    int64_t ends_at = 0;
    enum replica_why why = judge_age(view, rules, now, &stale);
    if (why == REPLICA_ALLOWED) {
        why = find_key(view, user, key_blob(key), source, now, &ends_at);
    }
    if (why == REPLICA_ALLOWED) {
        why = judge_comer(view, user, CREDENTIALS_KEYS, NULL, source);
    }
    if (why == REPLICA_ALLOWED) {
        *expires_at = ends_at;
    }
    return verdict_of(why, stale);
}

/* --- live sessions --- */

/* Where the key is good from was judged when the session began. */
static enum replica_why judge_session_key(const struct view *view,
                                          const struct view_session *session, int64_t now) {
    enum replica_why best = REPLICA_NO_KEY;
    for (const struct view_key *key = NULL;
         (key = next_key(view, session->user, session->key_blob, key)) != NULL;) {
        if (!session->cut_expired || key->expires_at == 0 || now < key->expires_at) {
            return REPLICA_ALLOWED;
        }
        best = REPLICA_EXPIRED;
    }
    return best;
}

static enum replica_why judge_session(const struct view *view, const struct view_session *session,
                                      int64_t now) {
    enum replica_why why = REPLICA_ALLOWED;
    enum credentials by = session->key_blob.len > 0 ? CREDENTIALS_KEYS : CREDENTIALS_CERTIFICATES;
    if (by == CREDENTIALS_KEYS) {
        why = judge_session_key(view, session, now);
    } else {
        why = judge_serial(view, session->serial);
        if (why == REPLICA_ALLOWED && session->ca_fingerprint != NULL &&
            view_find_ca(view, session->ca_fingerprint, CA_USE_USER) == NULL) {
            why = REPLICA_UNKNOWN_CA;
        }
    }
    if (why == REPLICA_ALLOWED && session->cut_expired && session->expires_at != 0 &&
        now >= session->expires_at) {
        why = REPLICA_EXPIRED;
    }
    return why == REPLICA_ALLOWED
               ? judge_comer(view, session->user, by, session->within, session->source)
               : why;
}

struct replica_verdict view_session(const struct view *view, const struct view_rules *rules,
                                    const struct view_session *session, int64_t now) {
    return verdict_of(judge_session(view, session, now), !is_fresh(view, rules, now));
}
