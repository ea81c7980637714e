/* Reading answers. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "feed/change.h"
#include "feed/change_names.h"
#include "ssh/key.h"

/* The index of a name in a table whose first entry stands for none; 0 when it is not there. */
static size_t name_index(const char *const *names, size_t count, const char *name) {
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

/* Where in the answer we are, for faults: an index below 0 is the answer itself. */
struct place {
    ssize_t index;
    bool in_state;
    struct fault *fault;
};

static err_t refuse(const struct place *at, enum err_code code, const char *member,
                    const char *reason) {
    char field[96];
    if (at->index < 0) {
        (void)snprintf(field, sizeof field, "%s", member);
    } else {
        (void)snprintf(field, sizeof field, "changes[%zd]%s.%s", at->index,
                       at->in_state ? ".state" : "", member);
    }
    return fault_set(at->fault, code, field, "%s", reason);
}

/* A member that must be there, of the given type. */
static err_t get_member(const struct place *at, const json_t *object, const char *name,
                        json_type type, json_t **out) {
    json_t *member = json_object_get(object, name);
    if (member == NULL) {
        return refuse(at, ERR_NOT_FOUND, name, "is missing");
    }
    bool fits =
        json_typeof(member) == type || (type == JSON_TRUE && json_typeof(member) == JSON_FALSE);
    if (!fits) {
        return refuse(at, ERR_MALFORMED, name, "is of the wrong type");
    }
    *out = member;
    return OK;
}

static err_t get_text(const struct place *at, const json_t *object, const char *name, size_t max,
                      const char **out) {
    json_t *member = NULL;
    TRY(get_member(at, object, name, JSON_STRING, &member));
    span_t text = span_of(json_string_value(member), json_string_length(member));
    if (text.len > max) {
        return refuse(at, ERR_TOO_LONG, name, "is too long");
    }
    if (!text_is_utf8(text)) {
        return refuse(at, ERR_MALFORMED, name, "has a control character");
    }
    *out = json_string_value(member);
    return OK;
}

static err_t get_u64(const struct place *at, const json_t *object, const char *name,
                     uint64_t *out) {
    const char *text = NULL;
    TRY(get_text(at, object, name, 20, &text));
    err_t err = u64_parse(span_str(text), out);
    return failed(err) ? refuse(at, err.code, name, "is not a decimal number in a string") : OK;
}

/* Absent is 0 where `required` is false. */
static err_t get_time(const struct place *at, const json_t *object, const char *name, bool required,
                      int64_t *out) {
    if (!required && json_object_get(object, name) == NULL) {
        *out = 0;
        return OK;
    }
    const char *text = NULL;
    TRY(get_text(at, object, name, TIME_CHARS, &text));
    err_t err = time_parse(span_str(text), out);
    if (!failed(err) && *out <= 0) {
        err = FAIL(ERR_RANGE); /* 0 would read as "never" */
    }
    return failed(err) ? refuse(at, err.code, name, "is not a time in RFC 3339") : OK;
}

/* Absent is 0 where `required` is false. */
static err_t get_port(const struct place *at, const json_t *object, bool required, uint16_t *out) {
    json_t *member = NULL;
    if (!required && json_object_get(object, "port") == NULL) {
        *out = 0;
        return OK;
    }
    TRY(get_member(at, object, "port", JSON_INTEGER, &member));
    json_int_t port = json_integer_value(member);
    if (port < 0 || port > UINT16_MAX) {
        return refuse(at, ERR_RANGE, "port", "is not a port number");
    }
    *out = (uint16_t)port;
    return OK;
}

/* One of the names of a table (change_names.h), as its index; absent is `otherwise`, or an error
 * where that is 0. */
static err_t get_choice(const struct place *at, const json_t *object, const char *name,
                        const char *const *names, size_t count, size_t otherwise, size_t *out) {
    const char *text = NULL;
    if (otherwise != 0 && json_object_get(object, name) == NULL) {
        *out = otherwise;
        return OK;
    }
    TRY(get_text(at, object, name, 16, &text));
    size_t index = name_index(names, count, text);
    if (index == 0) {
        return refuse(at, ERR_UNSUPPORTED, name, "has a value not known here");
    }
    *out = index;
    return OK;
}

/* Names are held to the model's rules; "" is allowed where `optional`. */
static err_t check_name(const struct place *at, const char *member, const char *name, bool optional,
                        err_t (*check)(span_t name, struct fault *fault)) {
    if (optional && name[0] == '\0') {
        return OK;
    }
    struct fault why = {0};
    err_t err = check(span_str(name), &why);
    return failed(err) ? refuse(at, err.code, member, why.reason) : OK;
}

static err_t check_host_name(span_t name, struct fault *fault) {
    return host_name_check(name, "name", fault);
}

/* Absent is "" where `required` is false. */
static err_t get_address(const struct place *at, const json_t *state, bool required,
                         const char **out) {
    if (!required && json_object_get(state, "address") == NULL) {
        *out = "";
        return OK;
    }
    TRY(get_text(at, state, "address", LIMIT_HOST_NAME_CHARS, out));
    return check_name(at, "address", *out, true, check_host_name);
}

/* A line that is exactly type and blob, so that nothing rides along into the files that are made of
 * it. *key may be NULL. */
static err_t get_key_line(const struct place *at, const json_t *state, const char **out,
                          struct key **key) {
    const char *line = NULL;
    TRY(get_text(at, state, "publicKey", LIMIT_KEY_LINE_CHARS, &line));
    struct key *parsed CLEANUP(key_freep) = NULL;
    struct buf again CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    err_t err = key_parse_line(span_str(line), &parsed, NULL);
    if (failed(err)) {
        return refuse(at, err.code, "publicKey", err_text(err));
    }
    TRY(key_print_line(parsed, NULL, &again));
    if (!span_equal_str(buf_span(&again), line)) {
        return refuse(at, ERR_MALFORMED, "publicKey", "is not just a type and a key");
    }
    *out = line;
    if (key != NULL) {
        *key = TAKE(parsed);
    }
    return OK;
}

/* An array of strings; *out->items is the caller's to free. Absent is empty where not required. */
static err_t get_list(const struct place *at, const json_t *state, const char *name, bool required,
                      size_t count_max, err_t (*check)(span_t text, struct fault *fault),
                      struct change_list *out) {
    json_t *array = NULL;
    if (!required && json_object_get(state, name) == NULL) {
        return OK;
    }
    TRY(get_member(at, state, name, JSON_ARRAY, &array));
    size_t count = json_array_size(array);
    if (count > count_max) {
        return refuse(at, ERR_TOO_LONG, name, "has too many entries");
    }
    if (count == 0) {
        return OK;
    }
    const char **items CLEANUP(freep) = calloc(count, sizeof *items);
    if (items == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_string(item)) {
            return refuse(at, ERR_MALFORMED, name, "has an entry that is no string");
        }
        items[i] = json_string_value(item);
        if (strlen(items[i]) != json_string_length(item)) {
            return refuse(at, ERR_MALFORMED, name, "has an entry with a control character");
        }
        TRY(check_name(at, name, items[i], false, check));
    }
    out->items = TAKE(items);
    out->count = count;
    return OK;
}

static err_t check_subnet(span_t text, struct fault *fault) {
    struct inet_subnet subnet;
    err_t err = inet_subnet_parse(text, &subnet);
    return failed(err) ? fault_set(fault, err.code, "", "is not a subnet") : OK;
}

static err_t decode_ca(const struct place *at, const json_t *state, struct change *change) {
    size_t use = 0;
    TRY(get_choice(at, state, "type", change_ca_use_names, CHANGE_CA_USES_COUNT, 0, &use));
    struct key *key CLEANUP(key_freep) = NULL;
    TRY(get_key_line(at, state, &change->ca.public_key, &key));
    char fingerprint[FINGERPRINT_CHARS];
    key_fingerprint(key, fingerprint);
    if (strcmp(fingerprint, change->key) != 0) {
        return refuse(at, ERR_CONFLICT, "publicKey", "is not the key of the fingerprint");
    }
    change->ca.use = (enum ca_use)use;
    return OK;
}

static err_t decode_account(const struct place *at, const json_t *state, struct change *change) {
    json_t *enabled = NULL;
    TRY(get_member(at, state, "enabled", JSON_TRUE, &enabled));
    change->account.enabled = json_is_true(enabled);
    TRY(get_time(at, state, "windowUntil", false, &change->account.window_until));
    TRY(get_list(at, state, "clusters", true, LIMIT_FEED_CLUSTERS_COUNT, cluster_name_check,
                 &change->account.clusters));
    return get_list(at, state, "ipSubnets", false, LIMIT_SUBNETS_COUNT, check_subnet,
                    &change->account.subnets);
}

static err_t decode_revocation(const struct place *at, const json_t *state, struct change *change) {
    TRY(get_text(at, state, "account", LIMIT_HOST_NAME_CHARS, &change->revocation.account));
    TRY(get_time(at, state, "expireTime", true, &change->revocation.expires_at));
    return get_text(at, state, "reason", LIMIT_REASON_CHARS, &change->revocation.reason);
}

static err_t decode_cluster(const struct place *at, const json_t *state, struct change *change) {
    size_t node_access = 0;
    size_t credentials = 0;
    TRY(get_address(at, state, true, &change->cluster.address));
    TRY(get_port(at, state, true, &change->cluster.port));
    TRY(get_choice(at, state, "nodeAccess", change_node_access_names, CHANGE_NODE_ACCESSES_COUNT,
                   NODE_ACCESS_OPEN, &node_access));
    TRY(get_choice(at, state, "credentials", change_credentials_names, CHANGE_CREDENTIALS_COUNT,
                   CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS, &credentials));
    change->cluster.node_access = (enum node_access)node_access;
    change->cluster.credentials = (unsigned)credentials;
    return OK;
}

static err_t decode_host(const struct place *at, const json_t *state, struct change *change) {
    size_t role = 0;
    TRY(get_choice(at, state, "role", change_host_role_names, CHANGE_HOST_ROLES_COUNT, 0, &role));
    change->host.role = (enum host_role)role;
    TRY(get_text(at, state, "cluster", LIMIT_CLUSTER_NAME_CHARS, &change->host.cluster));
    TRY(check_name(at, "cluster", change->host.cluster, change->host.role == HOST_JUMP,
                   cluster_name_check));
    TRY(get_address(at, state, true, &change->host.address));
    return get_port(at, state, true, &change->host.port);
}

static err_t get_account(const struct place *at, const json_t *state, const char **out) {
    TRY(get_text(at, state, "account", LIMIT_ACCOUNT_NAME_CHARS, out));
    return check_name(at, "account", *out, false, account_name_check);
}

static err_t decode_key(const struct place *at, const json_t *state, struct change *change) {
    size_t use = 0;
    TRY(get_account(at, state, &change->key_of.account));
    TRY(get_key_line(at, state, &change->key_of.public_key, NULL));
    TRY(get_time(at, state, "expireTime", false, &change->key_of.expires_at));
    TRY(get_choice(at, state, "use", change_key_use_names, CHANGE_KEY_USES_COUNT, KEY_USE_PERSON,
                   &use));
    change->key_of.use = (enum key_use)use;
    return get_list(at, state, "ipSubnets", false, LIMIT_SUBNETS_COUNT, check_subnet,
                    &change->key_of.subnets);
}

static err_t decode_job(const struct place *at, const json_t *state, struct change *change) {
    size_t type = 0;
    TRY(get_account(at, state, &change->job.account));
    TRY(get_text(at, state, "cluster", LIMIT_CLUSTER_NAME_CHARS, &change->job.cluster));
    if (strcmp(change->job.cluster, strchr(change->key, '@') + 1) != 0) {
        return refuse(at, ERR_CONFLICT, "cluster", "is not the cluster of the key");
    }
    TRY(get_text(at, state, "user", LIMIT_ACCOUNT_NAME_CHARS, &change->job.user));
    TRY(check_name(at, "user", change->job.user, false, user_name_check));
    TRY(get_choice(at, state, "type", change_job_type_names, CHANGE_JOB_TYPES_COUNT, 0, &type));
    change->job.type = (enum job_type)type;
    TRY(get_time(at, state, "startTime", true, &change->job.started_at));
    TRY(get_time(at, state, "endTime", false, &change->job.ends_at));
    TRY(get_address(at, state, false, &change->job.address));
    TRY(get_port(at, state, false, &change->job.port));
    return get_list(at, state, "nodes", true, LIMIT_JOB_NODES_COUNT, check_host_name,
                    &change->job.nodes);
}

/* "1234@daint": neither part has an '@'. */
static err_t check_job_key(span_t key, struct fault *fault) {
    const uint8_t *at = memchr(key.data, '@', key.len);
    if (at == NULL) {
        return fault_set(fault, ERR_MALFORMED, "", "is not JOB@CLUSTER");
    }
    size_t job_len = (size_t)(at - key.data);
    TRY(job_name_check(span_of(key.data, job_len), fault));
    return cluster_name_check(span_of(at + 1, key.len - job_len - 1), fault);
}

/* What a state of each kind may hold, its decoder, and the rule for its key. */
static const struct kind_rule {
    err_t (*decode)(const struct place *at, const json_t *state, struct change *change);
    err_t (*check_key)(span_t key, struct fault *fault); /* NULL: checked elsewhere */
    const char *members[9];
} kind_rules[CHANGE_KINDS_COUNT] = {
    [CHANGE_CA] = {decode_ca, NULL, {"type", "publicKey"}},
    [CHANGE_ACCOUNT] = {decode_account,
                        account_name_check,
                        {"enabled", "clusters", "ipSubnets", "windowUntil"}},
    [CHANGE_REVOCATION] = {decode_revocation, NULL, {"account", "expireTime", "reason"}},
    [CHANGE_CLUSTER] = {decode_cluster,
                        cluster_name_check,
                        {"address", "port", "nodeAccess", "credentials"}},
    [CHANGE_HOST] = {decode_host, check_host_name, {"cluster", "role", "address", "port"}},
    [CHANGE_KEY] = {decode_key, NULL, {"account", "publicKey", "expireTime", "ipSubnets", "use"}},
    [CHANGE_JOB] = {decode_job,
                    check_job_key,
                    {"account", "cluster", "user", "type", "nodes", "startTime", "endTime",
                     "address", "port"}},
};

/* Every name in "critical" must be one that is understood here. */
static err_t check_critical(const struct place *at, const json_t *state,
                            const struct kind_rule *rule) {
    const json_t *critical = json_object_get(state, "critical");
    if (critical == NULL) {
        return OK;
    }
    if (!json_is_array(critical)) {
        return refuse(at, ERR_MALFORMED, "critical", "is of the wrong type");
    }
    for (size_t i = 0; i < json_array_size(critical); i++) {
        const char *name = json_string_value(json_array_get(critical, i));
        bool known = false;
        for (size_t j = 0; name != NULL && j < COUNT_OF(rule->members); j++) {
            known = known || (rule->members[j] != NULL && strcmp(rule->members[j], name) == 0);
        }
        if (!known) {
            return refuse(at, ERR_UNSUPPORTED, "critical", "names a member not known here");
        }
    }
    return OK;
}

static err_t decode_change_key(const struct place *at, const json_t *json, struct change *change) {
    TRY(get_text(at, json, "key", LIMIT_HOST_NAME_CHARS, &change->key));
    if (change->key[0] == '\0') {
        return refuse(at, ERR_MALFORMED, "key", "is empty");
    }
    if (change->kind == CHANGE_REVOCATION) {
        TRY(get_u64(at, json, "key", &change->revocation.serial));
        if (change->revocation.serial == 0) {
            return refuse(at, ERR_RANGE, "key", "is serial 0, which no KRL can list");
        }
    }
    const struct kind_rule *rule = &kind_rules[change->kind];
    return rule->check_key == NULL ? OK
                                   : check_name(at, "key", change->key, false, rule->check_key);
}

/* An order; the answer borrows the session's id. */
static err_t decode_cut(const struct place *at, const json_t *json, size_t room,
                        struct change_answer *answer) {
    const char *id = NULL;
    TRY(get_text(at, json, "key", LIMIT_CUT_CHARS, &id));
    if (id[0] == '\0') {
        return refuse(at, ERR_MALFORMED, "key", "is empty");
    }
    if (answer->cuts == NULL) {
        answer->cuts = calloc(room, sizeof *answer->cuts);
    }
    if (answer->cuts == NULL) {
        return FAIL(ERR_MEMORY);
    }
    answer->cuts[answer->cut_count++] = id;
    return OK;
}

/* Leaves change->kind CHANGE_UNKNOWN for a kind that is skipped. `room`: how many may follow, this
 * one included. */
static err_t decode_change(struct place *at, const json_t *json, size_t room,
                           struct change_answer *answer, struct change *change) {
    if (!json_is_object(json)) {
        return refuse(at, ERR_MALFORMED, "kind", "is missing: the change is no object");
    }
    const char *kind = NULL;
    TRY(get_u64(at, json, "revision", &change->revision));
    TRY(get_text(at, json, "kind", 64, &kind));
    change->kind = (enum change_kind)name_index(change_kind_names, CHANGE_KINDS_COUNT, kind);
    if (change->kind == CHANGE_UNKNOWN) {
        return strcmp(kind, CHANGE_CUT) == 0 ? decode_cut(at, json, room, answer) : OK;
    }
    TRY(decode_change_key(at, json, change));
    const json_t *state = json_object_get(json, "state");
    if (json_is_null(state)) {
        change->gone = true;
        return OK;
    }
    if (!json_is_object(state)) {
        return refuse(at, state == NULL ? ERR_NOT_FOUND : ERR_MALFORMED, "state",
                      "is neither an object nor null");
    }
    at->in_state = true;
    TRY(check_critical(at, state, &kind_rules[change->kind]));
    return kind_rules[change->kind].decode(at, state, change);
}

static err_t decode_changes(const json_t *array, struct change_answer *answer,
                            struct fault *fault) {
    uint64_t last = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct change *change = &answer->changes[answer->count];
        struct place at = {(ssize_t)i, false, fault};
        answer->count++; /* counted at once, so that the answer frees what it got */
        TRY(decode_change(&at, json_array_get(array, i), json_array_size(array) - i, answer,
                          change));
        at.in_state = false;
        if (change->revision < last || change->revision > answer->revision) {
            return refuse(&at, ERR_ORDER, "revision", "goes back or is beyond the answer's");
        }
        if (answer->snapshot && !answer->continues && change->gone) {
            return refuse(&at, ERR_CONFLICT, "state", "is null in a snapshot");
        }
        last = change->revision;
        if (change->kind == CHANGE_UNKNOWN) {
            answer->count--;
            *change = (struct change){0};
        }
    }
    return OK;
}

/* "snapshot": a bool for what is whole, a word for a page; and "next". */
static err_t decode_kind(const struct place *at, const json_t *root, struct change_answer *answer) {
    const json_t *snapshot = json_object_get(root, "snapshot");
    answer->next = "";
    if (!json_is_string(snapshot)) {
        json_t *whole = NULL;
        TRY(get_member(at, root, "snapshot", JSON_TRUE, &whole));
        answer->snapshot = json_is_true(whole);
        return OK;
    }
    size_t page = 0;
    TRY(get_choice(at, root, "snapshot", change_page_names, CHANGE_PAGES_COUNT, 0, &page));
    answer->snapshot = true;
    answer->continues = page != CHANGE_PAGE_BEGINS;
    answer->more = page != CHANGE_PAGE_ENDS;
    if (!answer->more || json_object_get(root, "next") == NULL) {
        return OK;
    }
    TRY(get_text(at, root, "next", LIMIT_FEED_CURSOR_CHARS, &answer->next));
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    return answer->next[strspn(answer->next, allowed)] == '\0'
               ? OK
               : refuse(at, ERR_MALFORMED, "next", "has a character that no cursor has");
}

static err_t decode_answer(const json_t *root, struct change_answer *answer, struct fault *fault) {
    struct place at = {-1, false, fault};
    if (!json_is_object(root)) {
        return fault_set(fault, ERR_MALFORMED, "", "the answer is no object");
    }
    json_t *changes = NULL;
    TRY(get_u64(&at, root, "revision", &answer->revision));
    TRY(decode_kind(&at, root, answer));
    TRY(get_member(&at, root, "changes", JSON_ARRAY, &changes));
    size_t count = json_array_size(changes);
    bool is_page = answer->continues || answer->more;
    if (count > (is_page ? (size_t)LIMIT_FEED_PAGE_CHANGES_COUNT : LIMIT_FEED_CHANGES_COUNT)) {
        return refuse(&at, ERR_TOO_LONG, "changes", "has too many entries");
    }
    answer->changes = calloc(count > 0 ? count : 1, sizeof *answer->changes);
    if (answer->changes == NULL) {
        return FAIL(ERR_MEMORY);
    }
    return decode_changes(changes, answer, fault);
}

err_t change_answer_decode(span_t json, struct change_answer **out, struct fault *fault) {
    if (json.len > LIMIT_HTTP_ANSWER_BYTES) {
        return fault_set(fault, ERR_TOO_LONG, "", "the answer is too long");
    }
    struct change_answer *answer CLEANUP(change_answer_freep) = calloc(1, sizeof *answer);
    if (answer == NULL) {
        return FAIL(ERR_MEMORY);
    }
    json_error_t error;
    json_t *root = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return fault_set(fault, ERR_MALFORMED, "", "the answer is not JSON: %s", error.text);
    }
    answer->owner = root;
    TRY(decode_answer(root, answer, fault));
    *out = TAKE(answer);
    return OK;
}

static void free_list(struct change_list *list) {
    free((void *)(uintptr_t)list->items);
    *list = (struct change_list){0};
}

void change_answer_free(struct change_answer *answer) {
    if (answer == NULL) {
        return;
    }
    for (size_t i = 0; i < answer->count; i++) {
        struct change *change = &answer->changes[i];
        if (change->kind == CHANGE_ACCOUNT) {
            free_list(&change->account.clusters);
            free_list(&change->account.subnets);
        } else if (change->kind == CHANGE_KEY) {
            free_list(&change->key_of.subnets);
        } else if (change->kind == CHANGE_JOB) {
            free_list(&change->job.nodes);
        }
    }
    free(answer->changes);
    free(answer->cuts);
    json_decref(answer->owner);
    free(answer);
}

void change_answer_freep(struct change_answer **answer) {
    change_answer_free(*answer);
    *answer = NULL;
}
