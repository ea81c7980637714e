#include "feed/view_things.h"

#include <string.h>

#include "feed/reach.h"
#include "ssh/key.h"

bool view_host_text(span_t host, char out[LIMIT_HOST_NAME_CHARS + 1]) {
    char text[LIMIT_HOST_NAME_CHARS + 1];
    struct inet_address address;
    if (host.len > 0 && host.data[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len == 0 || host.len > LIMIT_HOST_NAME_CHARS) {
        return false;
    }
    for (size_t i = 0; i < host.len; i++) {
        uint8_t byte = host.data[i];
        if (byte <= ' ' || byte > '~') {
            return false;
        }
        text[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
    }
    text[host.len] = '\0';
    if (!failed(inet_address_parse(span_str(text), &address))) {
        inet_address_print(&address, text);
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static uint32_t hash_host(const char *host) {
    char text[LIMIT_HOST_NAME_CHARS + 1];
    return view_hash(view_host_text(span_str(host), text) ? span_str(text) : span_of(NULL, 0));
}

static uint32_t hash_serial(uint64_t serial) { return view_hash(span_of(&serial, sizeof serial)); }

static uint32_t hash_key(const struct change *change) {
    switch (change->kind) {
    case CHANGE_REVOCATION:
        return hash_serial(change->revocation.serial);
    case CHANGE_CLUSTER:
    case CHANGE_HOST:
        return hash_host(change->key);
    case CHANGE_CA:
    case CHANGE_ACCOUNT:
    case CHANGE_KEY:
    case CHANGE_JOB:
    case CHANGE_UNKNOWN:
        break;
    }
    return view_hash(span_str(change->key));
}

/* --- making --- */

/* Copies a text with its NUL to *at, and moves *at past it. */
static const char *put_text(char **at, const char *text) {
    size_t size = strlen(text) + 1;
    char *start = memcpy(*at, text, size);
    *at += size;
    return start;
}

/* Joins with commas. */
static err_t put_list(const struct change_list *list, struct buf *out) {
    for (size_t i = 0; i < list->count; i++) {
        TRY(i > 0 ? buf_add_byte(out, ',') : OK);
        TRY(buf_add_str(out, list->items[i]));
    }
    return OK;
}

static err_t make_account(const struct change *change, struct view_link **out) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_HTTP_BODY_BYTES);
    TRY(reach_put(&change->account.clusters, &text));
    TRY(buf_add_byte(&text, '\0'));
    TRY(put_list(&change->account.subnets, &text));
    TRY(buf_add_byte(&text, '\0'));
    size_t name_len = strlen(change->key);
    INVARIANT(name_len <= LIMIT_ACCOUNT_NAME_CHARS);
    /* No byte for padding: there are many of them. */
    struct view_account *account =
        malloc(offsetof(struct view_account, text) + name_len + 1 + text.len);
    if (account == NULL) {
        return FAIL(ERR_MEMORY);
    }
    account->window_until = change->account.window_until;
    account->enabled = change->account.enabled;
    account->name_len = (uint8_t)name_len;
    memcpy(account->text, change->key, name_len + 1);
    memcpy(account->text + name_len + 1, text.data, text.len);
    *out = (struct view_link *)account;
    return OK;
}

static err_t make_revocation(const struct change *change, struct view_link **out) {
    struct view_revocation *revocation = malloc(sizeof *revocation);
    if (revocation == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *revocation = (struct view_revocation){.serial = change->revocation.serial,
                                           .expires_at = change->revocation.expires_at};
    *out = (struct view_link *)revocation;
    return OK;
}

static err_t make_place(const struct change *change, struct view_link **out) {
    bool is_host = change->kind == CHANGE_HOST;
    const char *cluster = is_host ? change->host.cluster : change->key;
    const char *address = is_host ? change->host.address : change->cluster.address;
    uint16_t port = is_host ? change->host.port : change->cluster.port;
    struct view_place *place =
        malloc(sizeof *place + strlen(change->key) + strlen(cluster) + strlen(address) + 3);
    if (place == NULL) {
        return FAIL(ERR_MEMORY);
    }
    char *at = place->text;
    *place = (struct view_place){.role = is_host ? change->host.role : HOST_LOGIN,
                                 .port = port != 0 ? port : VIEW_SSH_PORT};
    if (!is_host) {
        place->node_access = change->cluster.node_access;
        place->credentials = change->cluster.credentials;
    }
    place->name = put_text(&at, change->key);
    place->cluster = put_text(&at, cluster);
    place->address = put_text(&at, address);
    place->by_address.hash = hash_host(address);
    *out = (struct view_link *)place;
    return OK;
}

static err_t make_key(const struct change *change, struct view_link **out) {
    const struct change_list *subnets = &change->key_of.subnets;
    struct key *parsed CLEANUP(key_freep) = NULL;
    TRY(key_parse_line(span_str(change->key_of.public_key), &parsed, NULL));
    span_t blob = key_blob(parsed);
    size_t subnet_bytes = subnets->count * sizeof(struct inet_subnet);
    struct view_key *key = malloc(sizeof *key + subnet_bytes + blob.len + strlen(change->key) +
                                  strlen(change->key_of.account) + 2);
    if (key == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *key = (struct view_key){.expires_at = change->key_of.expires_at,
                             .internal = change->key_of.use != KEY_USE_PERSON,
                             .subnet_count = subnets->count};
    struct inet_subnet *subnet = (void *)key->bytes; /* bytes themselves: aligned anywhere */
    key->subnets = subnet;
    for (size_t i = 0; i < subnets->count; i++) {
        err_t err = inet_subnet_parse(span_str(subnets->items[i]), &subnet[i]);
        INVARIANT(!failed(err)); /* a decoded change's are valid */
    }
    uint8_t *at = key->bytes + subnet_bytes;
    key->blob = span_of(memcpy(at, blob.data, blob.len), blob.len);
    char *text = (char *)at + blob.len;
    key->id = put_text(&text, change->key);
    key->account = put_text(&text, change->key_of.account);
    key->by_blob.hash = view_hash(blob);
    *out = (struct view_link *)key;
    return OK;
}

static size_t job_text_len(const struct change *change) {
    const char *const texts[] = {change->key, change->job.account, change->job.cluster,
                                 change->job.user, change->job.address};
    size_t len = 0;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        len += strlen(texts[i]) + 1;
    }
    for (size_t i = 0; i < change->job.nodes.count; i++) {
        len += strlen(change->job.nodes.items[i]) + 1;
    }
    return len;
}

static err_t make_job(const struct change *change, struct view_link **out) {
    const struct change_list *nodes = &change->job.nodes;
    size_t text_len = job_text_len(change);
    size_t hash_bytes = nodes->count * sizeof(uint32_t);
    struct view_job *job = malloc(sizeof *job + hash_bytes + text_len);
    if (job == NULL) {
        return FAIL(ERR_MEMORY);
    }
    uint32_t *hashes = (void *)job->bytes; /* after pointers: aligned */
    char *at = (char *)job->bytes + hash_bytes;
    *job = (struct view_job){.right = {.type = change->job.type,
                                       .started_at = change->job.started_at,
                                       .ends_at = change->job.ends_at},
                             .port = change->job.port != 0 ? change->job.port : VIEW_SSH_PORT,
                             .node_count = (uint32_t)nodes->count,
                             .node_hashes = hashes,
                             .text = at,
                             .text_len = text_len};
    job->name = put_text(&at, change->key);
    job->right.account = put_text(&at, change->job.account);
    job->cluster = put_text(&at, change->job.cluster);
    job->right.user = put_text(&at, change->job.user);
    job->address = put_text(&at, change->job.address);
    job->nodes = at;
    for (size_t i = 0; i < nodes->count; i++) {
        hashes[i] = view_hash(span_str(put_text(&at, nodes->items[i])));
    }
    job->by_account.hash = view_hash(span_str(change->job.account));
    *out = (struct view_link *)job;
    return OK;
}

static err_t make_ca(const struct change *change, struct view_link **out) {
    struct view_ca *ca = calloc(1, sizeof *ca);
    if (ca == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = key_parse_line(span_str(change->ca.public_key), &ca->key, NULL);
    if (failed(err)) {
        free(ca);
        return err;
    }
    ca->use = change->ca.use;
    key_fingerprint(ca->key, ca->fingerprint);
    *out = (struct view_link *)ca;
    return OK;
}

err_t view_thing_make(const struct change *change, struct view_link **out) {
    static err_t (*const make[CHANGE_KINDS_COUNT])(const struct change *change,
                                                   struct view_link **thing) = {
        [CHANGE_CA] = make_ca,         [CHANGE_ACCOUNT] = make_account,
        [CHANGE_CLUSTER] = make_place, [CHANGE_HOST] = make_place,
        [CHANGE_KEY] = make_key,       [CHANGE_REVOCATION] = make_revocation,
        [CHANGE_JOB] = make_job,
    };
    INVARIANT(change->kind > CHANGE_UNKNOWN && change->kind <= CHANGE_JOB && !change->gone);
    TRY(make[change->kind](change, out));
    (*out)->hash = hash_key(change);
    return OK;
}

void view_thing_free(enum change_kind kind, struct view_link *thing) {
    if (thing != NULL && kind == CHANGE_CA) {
        key_free(((struct view_ca *)thing)->key);
    }
    free(thing);
}

/* --- where they stand --- */

/* The second link of a thing; NULL when its kind has none. */
static struct view_link *other_link(enum change_kind kind, struct view_link *thing) {
    if (kind == CHANGE_KEY) {
        return &((struct view_key *)thing)->by_blob;
    }
    if (kind == CHANGE_JOB) {
        return &((struct view_job *)thing)->by_account;
    }
    return kind == CHANGE_CLUSTER || kind == CHANGE_HOST ? &((struct view_place *)thing)->by_address
                                                         : NULL;
}

err_t view_things_reserve(struct view_things *things, enum change_kind kind, size_t more) {
    TRY(view_table_reserve(&things->by_key[kind], more));
    return kind == CHANGE_KEY || kind == CHANGE_CLUSTER || kind == CHANGE_HOST || kind == CHANGE_JOB
               ? view_table_reserve(&things->by_other[kind], more)
               : OK;
}

void view_things_add(struct view_things *things, enum change_kind kind, struct view_link *thing) {
    struct view_link *other = other_link(kind, thing);
    view_table_add(&things->by_key[kind], thing);
    if (other != NULL) {
        view_table_add(&things->by_other[kind], other);
    }
}

void view_things_drop(struct view_things *things, enum change_kind kind, struct view_link *thing) {
    struct view_link *other = other_link(kind, thing);
    view_table_remove(&things->by_key[kind], thing);
    if (other != NULL) {
        view_table_remove(&things->by_other[kind], other);
    }
    view_thing_free(kind, thing);
}

static void drop_plain(struct view_link *thing) { free(thing); }
static void drop_ca(struct view_link *thing) { view_thing_free(CHANGE_CA, thing); }

void view_things_done(struct view_things *things) {
    for (size_t kind = 0; kind < CHANGE_KINDS_COUNT; kind++) {
        view_table_done(&things->by_other[kind], NULL);
        view_table_done(&things->by_key[kind], kind == CHANGE_CA ? drop_ca : drop_plain);
    }
}

/* The text that a change calls the thing by; revocations have a number instead. */
static const char *key_of(enum change_kind kind, const struct view_link *thing) {
    switch (kind) {
    case CHANGE_CA:
        return ((const struct view_ca *)thing)->fingerprint;
    case CHANGE_ACCOUNT:
        return ((const struct view_account *)thing)->text;
    case CHANGE_CLUSTER:
    case CHANGE_HOST:
        return ((const struct view_place *)thing)->name;
    case CHANGE_KEY:
        return ((const struct view_key *)thing)->id;
    case CHANGE_JOB:
        return ((const struct view_job *)thing)->name;
    case CHANGE_REVOCATION:
    case CHANGE_UNKNOWN:
        break;
    }
    return "";
}

static bool is_meant(const struct change *change, const struct view_link *thing) {
    return change->kind == CHANGE_REVOCATION
               ? ((const struct view_revocation *)thing)->serial == change->revocation.serial
               : strcmp(key_of(change->kind, thing), change->key) == 0;
}

struct view_link *view_things_find(const struct view_things *things, const struct change *change) {
    struct view_link *thing = view_table_first(&things->by_key[change->kind], hash_key(change));
    while (thing != NULL && !is_meant(change, thing)) {
        thing = view_table_next(thing);
    }
    return thing;
}

const struct view_account *view_find_account(const struct view *view, const char *name) {
    const struct change asked = {.kind = CHANGE_ACCOUNT, .key = name};
    return (const struct view_account *)view_things_find(&view->things, &asked);
}

const struct view_place *view_find_host(const struct view *view, const char *name) {
    const struct change asked = {.kind = CHANGE_HOST, .key = name};
    return (const struct view_place *)view_things_find(&view->things, &asked);
}

const struct view_place *view_find_cluster(const struct view *view, const char *name) {
    const struct change asked = {.kind = CHANGE_CLUSTER, .key = name};
    return (const struct view_place *)view_things_find(&view->things, &asked);
}

const struct view_ca *view_find_ca(const struct view *view, const char *fingerprint,
                                   enum ca_use use) {
    const struct change asked = {.kind = CHANGE_CA, .key = fingerprint};
    const struct view_ca *ca = (const struct view_ca *)view_things_find(&view->things, &asked);
    return ca != NULL && ca->use == use ? ca : NULL;
}

bool view_is_revoked(const struct view *view, uint64_t serial) {
    const struct change asked = {.kind = CHANGE_REVOCATION, .revocation.serial = serial};
    return view_things_find(&view->things, &asked) != NULL;
}

const struct view_job *view_next_job(const struct view *view, const char *account,
                                     const struct view_job *job) {
    const struct view_link *link =
        job == NULL
            ? view_table_first(&view->things.by_other[CHANGE_JOB], view_hash(span_str(account)))
            : view_table_next(&job->by_account);
    for (; link != NULL; link = view_table_next(link)) {
        job = (const void *)((const uint8_t *)link - offsetof(struct view_job, by_account));
        if (strcmp(job->right.account, account) == 0) {
            return job;
        }
    }
    return NULL;
}

const char *view_job_node(const struct view_job *job, size_t index) {
    INVARIANT(index < job->node_count);
    const char *node = job->nodes;
    for (size_t i = 0; i < index; i++) {
        node += strlen(node) + 1;
    }
    return node;
}

bool view_job_has_node(const struct view_job *job, const char *node) {
    uint32_t hash = view_hash(span_str(node));
    for (size_t i = 0; i < job->node_count; i++) {
        if (job->node_hashes[i] == hash && strcmp(view_job_node(job, i), node) == 0) {
            return true;
        }
    }
    return false;
}
