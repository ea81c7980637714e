#include "cli/reach.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/api.h"

static const char file_name[] = "reach.json";

void reach_freep(struct reach **reach) {
    if (*reach != NULL) {
        free((*reach)->jumps);
        free((*reach)->clusters);
        free((*reach)->hosts);
        json_decref((*reach)->document);
        json_decref((*reach)->kept);
        free(*reach);
        *reach = NULL;
    }
}

/* --- judging --- */

/* Where a value stands, for the fault: "clusters[2].address". */
struct place {
    const char *list;
    size_t index;
    struct fault *fault;
};

__attribute__((format(printf, 3, 4))) static err_t
refuse(const struct place *place, const char *member, const char *format, ...) {
    char field[96];
    char reason[256];
    (void)snprintf(field, sizeof field, "%s[%zu].%s", place->list, place->index, member);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return fault_set(place->fault, ERR_PROTOCOL, field, "%s", reason);
}

static err_t get_checked(const struct place *place, const json_t *row, const char *member,
                         err_t (*check)(span_t, const char *, struct fault *), const char **out) {
    const char *text = json_string_value(json_object_get(row, member));
    struct fault why = {0};
    if (text == NULL) {
        return refuse(place, member, "it is missing");
    }
    if (failed(check(span_str(text), member, &why))) {
        return refuse(place, member, "%s", why.reason);
    }
    *out = text;
    return OK;
}

static err_t check_cluster(span_t name, const char *field, struct fault *fault) {
    (void)field;
    return cluster_name_check(name, fault);
}

static err_t get_port(const struct place *place, const json_t *row, uint16_t *out) {
    json_int_t port = json_integer_value(json_object_get(row, "port"));
    if (port < 1 || port > UINT16_MAX) {
        return refuse(place, "port", "it is no port");
    }
    *out = (uint16_t)port;
    return OK;
}

/* Name, address and port; an address that is not told is the name. */
static err_t get_host(const struct place *place, const json_t *row, struct reach_host *host) {
    TRY(get_checked(place, row, "name", host_name_check, &host->name));
    host->address = host->name;
    if (json_object_get(row, "address") != NULL) {
        TRY(get_checked(place, row, "address", host_name_check, &host->address));
    }
    return get_port(place, row, &host->port);
}

static err_t get_cluster(const struct place *place, const json_t *row,
                         struct reach_cluster *cluster) {
    static const struct {
        const char *name;
        unsigned bits;
    } credentials[] = {{"certificates", CREDENTIALS_CERTIFICATES},
                       {"keys", CREDENTIALS_KEYS},
                       {"both", CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS}};
    TRY(get_checked(place, row, "name", check_cluster, &cluster->name));
    /* One without an address has its name for it, where underscores may be. */
    cluster->address = cluster->name;
    if (strcmp(member_text(row, "address"), cluster->name) != 0) {
        TRY(get_checked(place, row, "address", host_name_check, &cluster->address));
    }
    TRY(get_port(place, row, &cluster->port));
    cluster->node_access =
        strcmp(member_text(row, "nodeAccess"), "open") == 0 ? NODE_ACCESS_OPEN : NODE_ACCESS_JOB;
    for (size_t i = 0; i < COUNT_OF(credentials); i++) {
        if (strcmp(member_text(row, "credentials"), credentials[i].name) == 0) {
            cluster->credentials = credentials[i].bits;
        }
    }
    return OK;
}

/* What is kept lists the names of the clusters; without it all of them count. */
static bool is_reached(const json_t *kept, const char *name) {
    const json_t *names = json_object_get(kept, "clusters");
    size_t index;
    json_t *item;
    json_array_foreach(names, index, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0) {
            return true;
        }
    }
    return kept == NULL;
}

static err_t check_size(const json_t *list, const char *name, struct fault *fault) {
    if (!json_is_array(list) || json_array_size(list) > LIMIT_REACH_HOSTS_COUNT) {
        return fault_set(fault, ERR_PROTOCOL, name, "it is no list of up to %d",
                         (int)LIMIT_REACH_HOSTS_COUNT);
    }
    return OK;
}

static err_t add_jumps(struct reach *reach, struct fault *fault) {
    const json_t *list = json_object_get(reach->document, "jumpHosts");
    size_t index;
    json_t *row;
    if (list == NULL) {
        return OK;
    }
    TRY(check_size(list, "jumpHosts", fault));
    reach->jumps = calloc(json_array_size(list) + 1, sizeof *reach->jumps);
    if (reach->jumps == NULL) {
        return FAIL(ERR_MEMORY);
    }
    json_array_foreach(list, index, row) {
        struct reach_host *jump = &reach->jumps[reach->jump_count++];
        *jump = (struct reach_host){.role = HOST_JUMP, .cluster = ""};
        TRY(get_host(&(struct place){"jumpHosts", index, fault}, row, jump));
    }
    return OK;
}

static err_t add_clusters(struct reach *reach, struct fault *fault) {
    const json_t *list = json_object_get(reach->document, "clusters");
    size_t index;
    json_t *row;
    if (list == NULL) {
        return OK;
    }
    TRY(check_size(list, "clusters", fault));
    reach->clusters = calloc(json_array_size(list) + 1, sizeof *reach->clusters);
    if (reach->clusters == NULL) {
        return FAIL(ERR_MEMORY);
    }
    json_array_foreach(list, index, row) {
        struct reach_cluster cluster = {0};
        TRY(get_cluster(&(struct place){"clusters", index, fault}, row, &cluster));
        if (is_reached(reach->kept, cluster.name)) {
            reach->clusters[reach->cluster_count++] = cluster;
        }
    }
    return OK;
}

static err_t add_hosts(struct reach *reach, struct fault *fault) {
    const json_t *list = json_object_get(reach->kept, "hosts");
    size_t index;
    json_t *row;
    if (reach->kept == NULL) {
        return OK;
    }
    TRY(check_size(list, "hosts", fault));
    reach->hosts = calloc(json_array_size(list) + 1, sizeof *reach->hosts);
    if (reach->hosts == NULL) {
        return FAIL(ERR_MEMORY);
    }
    json_array_foreach(list, index, row) {
        struct place place = {"hosts", index, fault};
        bool login = strcmp(member_text(row, "role"), "login") == 0;
        if (!login && strcmp(member_text(row, "role"), "compute") != 0) {
            continue; /* jump hosts are the document's, and what is not known here does not count */
        }
        struct reach_host *host = &reach->hosts[reach->host_count++];
        *host = (struct reach_host){.role = login ? HOST_LOGIN : HOST_COMPUTE};
        TRY(get_host(&place, row, host));
        TRY(get_checked(&place, row, "cluster", check_cluster, &host->cluster));
    }
    return OK;
}

err_t reach_judge(const json_t *document, const json_t *kept, struct reach **out,
                  struct fault *fault) {
    struct reach *reach CLEANUP(reach_freep) = calloc(1, sizeof *reach);
    if (reach == NULL) {
        return FAIL(ERR_MEMORY);
    }
    reach->document = json_incref((json_t *)(uintptr_t)document);
    reach->kept = json_incref((json_t *)(uintptr_t)kept);
    const json_t *username = json_object_get(kept, "username");
    if (username != NULL) {
        struct fault why = {0};
        const char *name = json_string_value(username);
        if (name == NULL || failed(account_name_check(span_str(name), &why))) {
            return fault_set(fault, ERR_PROTOCOL, "username", "it is no name of an account");
        }
        reach->username = name;
    }
    reach->fetched_at = json_integer_value(json_object_get(kept, "fetchedAt"));
    TRY(add_jumps(reach, fault));
    TRY(add_clusters(reach, fault));
    TRY(add_hosts(reach, fault));
    *out = TAKE(reach);
    return OK;
}

const struct reach_cluster *reach_find_cluster(const struct reach *reach, const char *name) {
    for (size_t i = 0; i < reach->cluster_count; i++) {
        if (strcmp(reach->clusters[i].name, name) == 0 ||
            strcmp(reach->clusters[i].address, name) == 0) {
            return &reach->clusters[i];
        }
    }
    return NULL;
}

static const struct reach_host *find_in(const struct reach_host *hosts, size_t count,
                                        const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(hosts[i].name, name) == 0 || strcmp(hosts[i].address, name) == 0) {
            return &hosts[i];
        }
    }
    return NULL;
}

const struct reach_host *reach_find_jump(const struct reach *reach, const char *name) {
    return find_in(reach->jumps, reach->jump_count, name);
}

const struct reach_host *reach_find_host(const struct reach *reach, const char *name) {
    const struct reach_host *host = reach_find_jump(reach, name);
    return host != NULL ? host : find_in(reach->hosts, reach->host_count, name);
}

/* --- fetching and keeping --- */

static err_t load(const struct site *site, json_t **out) {
    char *path CLEANUP(freep) = NULL;
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_REACH_BYTES);
    TRY(site_state_path(site->name, file_name, &path));
    TRY(file_read(path, &bytes));
    json_t *json CLEANUP(json_freep) =
        json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        return FAIL(ERR_MALFORMED);
    }
    /* Another person signs in from this account now. */
    if (site->username != NULL && strcmp(site->username, member_text(json, "username")) != 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = TAKE(json);
    return OK;
}

static err_t save(const struct site *site, const json_t *kept) {
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    char *text CLEANUP(freep) = json_dumps(kept, JSON_COMPACT);
    TRY(site_state_path(site->name, NULL, &dir));
    TRY(site_state_path(site->name, file_name, &path));
    TRY(text == NULL ? FAIL(ERR_MEMORY) : file_make_dirs(dir, 0700));
    return file_put(path, span_str(text), 0600, 0);
}

/* Host keys are not kept: they have files of their own. */
static err_t add_row(json_t *rows, const json_t *host) {
    json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:s*}", "name", member_text(host, "name"), "role",
                            member_text(host, "role"), "cluster", member_text(host, "cluster"),
                            "port", (json_int_t)member_number(host, "port"), "address",
                            json_string_value(json_object_get(host, "address")));
    return row != NULL && json_array_append_new(rows, row) == 0 ? OK : FAIL(ERR_MEMORY);
}

static err_t fetch(struct cli *cli, struct site *site, json_t **out) {
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *who CLEANUP(json_freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    json_t *rows CLEANUP(json_freep) = json_array();
    const json_t *hosts = NULL;
    const json_t *clusters = NULL;
    const char *username = NULL;
    TRY(api_refresh_document(cli, site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_call(api, HTTP_GET, "/api/v1/auth/whoami", &who));
    TRY(answer_text(cli, who, "username", &username));
    TRY(answer_array(cli, who, "clusters", &clusters));
    TRY(api_call(api, HTTP_GET, "/api/v1/known-hosts?include_compute=true", &answer));
    TRY(answer_array(cli, answer, "knownHosts", &hosts));
    size_t index;
    json_t *host;
    json_array_foreach(hosts, index, host) {
        if (strcmp(member_text(host, "role"), "jump") != 0) {
            TRY(add_row(rows, host));
        }
    }
    json_t *kept = json_pack("{s:I, s:s, s:O, s:O}", "fetchedAt", (json_int_t)clock_now_s(),
                             "username", username, "clusters", clusters, "hosts", rows);
    if (kept == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = kept;
    return OK;
}

static err_t judge(struct cli *cli, const struct site *site, const json_t *kept,
                   struct reach **out) {
    struct fault fault = {0};
    err_t err = reach_judge(site->document, kept, out, &fault);
    return err.code == ERR_PROTOCOL
               ? trouble_set(&cli->trouble, EXIT_AUTHORITY,
                             "what the authority of %s says makes no sense: %s: %s", site->name,
                             fault.field, fault.reason)
               : err;
}

/* Where nobody is signed in, and where nobody answers, what is known already has to do. */
static bool can_do_without(const struct cli *cli) {
    return cli->trouble.exit == EXIT_LOGIN || cli->trouble.exit == EXIT_NETWORK;
}

static void tell_why(struct cli *cli, const struct site *site, bool kept) {
    bool login = cli->trouble.exit == EXIT_LOGIN;
    if (login && !kept) {
        print_warning("nobody is signed in at %s: all of its clusters count, and no host is known "
                      "(postern login)",
                      site->name);
    } else {
        print_warning("%s: going by what %s", cli->trouble.what,
                      kept ? "the authority said last" : "the site's document says");
    }
    cli->trouble = (struct trouble){0};
}

err_t reach_open(struct cli *cli, struct site *site, int64_t age_max_s, struct reach **out) {
    json_t *kept CLEANUP(json_freep) = NULL;
    json_t *fresh CLEANUP(json_freep) = NULL;
    /* What cannot be read is fetched anew. */
    bool known = !failed(load(site, &kept));
    int64_t age = clock_now_s() - json_integer_value(json_object_get(kept, "fetchedAt"));
    bool offline = age_max_s == REACH_OFFLINE_S;
    if (offline || (known && age >= 0 && age < age_max_s)) {
        return judge(cli, site, kept, out);
    }
    err_t err = fetch(cli, site, &fresh);
    if (failed(err) && can_do_without(cli)) {
        tell_why(cli, site, known);
        return judge(cli, site, kept, out);
    }
    TRY(err);
    TRY(judge(cli, site, fresh, out));
    /* Only what makes sense is kept; one that cannot be kept is asked for again. */
    ignore_err(save(site, fresh));
    return OK;
}
