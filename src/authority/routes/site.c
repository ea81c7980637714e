/* GET /.well-known/posterngate: all that a client needs to set itself up. */
#include "authority/routes/site.h"

#include "authority/external_issuer.h"
#include "authority/routes/feed_state.h"
#include "authority/routes/publish.h"
#include "base/clock.h"
#include "feed/change_names.h"

enum { KEPT_S = 60 };

struct site_request {
    uint64_t wakes; /* before the look at the store */
};

static json_t *policy_json(const struct policy *policy) {
    static const char *const types[] = {"ed25519", "ecdsa", "rsa", "sk-ed25519", "sk-ecdsa"};
    char text[DURATION_CHARS], max[DURATION_CHARS];
    json_t *durations = json_array(), *key_types = json_array();
    for (size_t i = 0; i < policy->duration_count; i++) {
        duration_print(policy->durations[i], text);
        (void)json_array_append_new(durations, json_string(text));
    }
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        uint32_t bits = 0;
        if (!failed(policy_key_type_parse(span_str(types[i]), &bits)) &&
            (policy->key_types & bits) != 0) {
            (void)json_array_append_new(key_types, json_string(types[i]));
        }
    }
    duration_print(policy->duration_default_s, text);
    duration_print(policy->duration_max_s, max);
    return json_pack("{s:o,s:s,s:s,s:I,s:o,s:i,s:b}", "durations", durations, "defaultDuration",
                     text, "maxDuration", max, "quotaPerDay", (json_int_t)policy->quota_per_day,
                     "keyTypes", key_types, "rsaBitsMin", (int)policy->rsa_bits_min,
                     "encryptedKeysRequired", policy->encrypted_keys_required);
}

/* A host without an address is dialled by its name. */
static json_t *place_json(const char *name, const char *address, uint16_t port) {
    return json_pack("{s:s,s:s,s:i}", "name", name, "address", address[0] != '\0' ? address : name,
                     "port", (int)port);
}

static err_t add_jump_host(void *context, const struct host *host) {
    return host->role != HOST_JUMP ||
                   json_array_append_new(context,
                                         place_json(host->name, host->address, host->port)) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static err_t add_cluster(void *context, const struct cluster *cluster) {
    json_t *place = place_json(cluster->name, cluster->address, cluster->port);
    call_json_set_text(place, "nodeAccess", change_node_access_names[cluster->node_access]);
    call_json_set_text(place, "credentials", change_credentials_names[cluster->credentials]);
    return json_array_append_new(context, place) == 0 ? OK : FAIL(ERR_MEMORY);
}

/* Those besides this authority itself, by whom people may sign in. */
static json_t *issuers_json(const struct config *config) {
    json_t *list = json_array();
    for (size_t i = 0; i < config->external_count; i++) {
        const struct external_config *issuer = external_issuer_config(config->externals[i]);
        json_t *item = json_pack("{s:s, s:s, s:s}", "issuer", issuer->url, "clientId",
                                 issuer->client_id, "scope", issuer->scope);
        if (issuer->redirect_port != 0) {
            (void)json_object_set_new(item, "redirectPort", json_integer(issuer->redirect_port));
        }
        (void)json_array_append_new(list, item);
    }
    return list;
}

static void build(struct call *call) {
    struct authority *authority = call->authority;
    const struct config *config = authority->config;
    struct store *store = call_store(call);
    json_t *jumps = json_array(), *clusters = json_array();
    err_t err = store_host_list(store, NULL, SIZE_MAX >> 1, add_jump_host, jumps);
    err = failed(err) ? err : store_cluster_list(store, NULL, SIZE_MAX >> 1, add_cluster, clusters);
    if (!call_ok(call, err, "the site document")) {
        json_decref(jumps);
        json_decref(clusters);
        return;
    }
    json_t *json = json_pack(
        "{s:i,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:b,s:o}", "version", 1, "site",
        config->site_name, "title", config->site_title, "issuer", config->public_url, "clientId",
        "posterngate-cli", "userCaKeys", publish_ca_lines(authority, CERT_USER), "hostCaKeys",
        publish_ca_lines(authority, CERT_HOST), "jumpHosts", jumps, "clusters", clusters, "policy",
        policy_json(&authority->policy), "defaultKeyFile", config->default_key_file, "gssapi",
        config->gssapi, "issuers", issuers_json(config));
    char *text CLEANUP(freep) = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    buf_clear(&call->text);
    err = text == NULL ? FAIL(ERR_MEMORY) : buf_add_str(&call->text, text);
    if (call_ok(call, err, "the site document")) {
        call_answer_text(call, 200, "application/json");
    }
}

static void finish(struct call *call) {
    struct site_request *own = call_own(call, sizeof *own, NULL);
    struct feed *feed = call->authority->feed;
    struct site_document *site = feed_site(feed);
    if (call->status != 0) { /* just built */
        buf_clear(&site->text);
        site->ready = !failed(buf_add(&site->text, buf_span(&call->text)));
        site->wakes = own->wakes;
        site->built_at = call->now;
        call_send(call);
        return;
    }
    own->wakes = feed_wakes(feed);
    if (!site->ready || site->wakes != own->wakes || call->now - site->built_at >= KEPT_S) {
        call_again(call, build);
        return;
    }
    if (call_ok(call, buf_add(&call->text, buf_span(&site->text)), "the site document")) {
        call_answer_text(call, 200, "application/json");
    }
    call_send(call);
}

const struct route site_routes[] = {
    {HTTP_GET, "/.well-known/posterngate", ACCESS_PUBLIC, "site.show", NULL, NULL, finish},
    {0},
};
