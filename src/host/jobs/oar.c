#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "host/jobs/scheduler.h"

static const char *const command[] = {"oarstat", "--full", "--json", NULL};

const struct scheduler scheduler_oar = {"oar", command, oar_parse};

static void json_freep(json_t **json) { json_decref(*json); }

static span_t text_of(const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    return json_is_string(value) ? span_of(json_string_value(value), json_string_length(value))
                                 : span_of(NULL, 0);
}

/* Numbers are strings in some releases. */
static int64_t number_of(const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    uint64_t parsed = 0;
    if (json_is_integer(value)) {
        return json_integer_value(value);
    }
    return !failed(u64_parse(text_of(object, member), &parsed)) && parsed <= INT64_MAX
               ? (int64_t)parsed
               : 0;
}

/* While its state is one of these the nodes are the job's. */
static bool runs(span_t state) {
    static const char *const states[] = {"Launching", "Running", "Suspended", "Resuming"};
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (span_equal_str(state, states[i])) {
            return true;
        }
    }
    return false;
}

/* Whether a way through the hierarchy of resources has come to whole hosts here. */
static bool is_host_level(span_t level) {
    static const char *const hosts[] = {"host=", "nodes=", "network_address="};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        size_t len = strlen(hosts[i]);
        if (level.len >= len && memcmp(level.data, hosts[i], len) == 0) {
            return true;
        }
    }
    return false;
}

/* SQL's own words, and what all resources of one host have in common in OAR's schema and in
 * Grid'5000's. */
static bool is_host_property(span_t word) {
    static const char known[] =
        " and or not in is null like between type host network_address cluster site switch chassis "
        "nodemodel deploy besteffort desktop_computing maintenance production exotic virtual "
        "cputype cpuarch cpufreq cpucore memcore memcpu memnode disktype eth_count eth_rate "
        "eth_kavlan_count ib ib_count ib_rate opa_count opa_rate gpu_count core_count cpu_count "
        "thread_count wattmeter ";
    char spaced[32];
    if (word.len + 3 > sizeof spaced) {
        return false;
    }
    (void)snprintf(spaced, sizeof spaced, " %.*s ", (int)word.len, (const char *)word.data);
    return strcasestr(known, spaced) != NULL;
}

static size_t word_len(span_t text) {
    size_t len = 0;
    while (len < text.len && (isalnum(text.data[len]) || text.data[len] == '_')) {
        len++;
    }
    return len;
}

static bool is_number(span_t word) {
    uint64_t number = 0;
    return !failed(u64_parse(word, &number));
}

/*
 * Whether a condition, in the owner's own SQL, takes a host as a whole or not at all. Only what
 * cannot be read in two ways is: no comments, no escapes, and quotes that close.
 */
static bool is_of_hosts(span_t condition) {
    static const char signs[] = " =<>!(),.%";
    bool quoted = false;
    while (condition.len > 0) {
        uint8_t byte = condition.data[0];
        size_t len = quoted ? 0 : word_len(condition);
        span_t word = span_of(condition.data, len);
        if (len > 0 ? !is_number(word) && !is_host_property(word)
                    : byte == '\\' || byte == '\0' ||
                          (!quoted && byte != '\'' && strchr(signs, byte) == NULL)) {
            return false;
        }
        quoted ^= byte == '\'';
        len += len == 0 ? 1 : 0;
        condition = span_of(condition.data + len, condition.len - len);
    }
    return !quoted;
}

/*
 * "-l "{type = 'default'}/host=2/core=1,walltime=1:0:0"": whole when each way ends at hosts. What
 * stands in braces is the owner's own words, which may hold braces in quotes. So only braces that
 * neither nest nor close what is not open are believed: whatever stands in them, a way that OAR
 * went is then outside. And what stands in them may make a host of one core of it.
 */
static bool asks_whole_hosts(span_t wanted) {
    bool braces = false;
    size_t opened = 0;
    size_t ways = 0;
    bool on_way = false;
    bool at_host = false;
    for (size_t i = 0; i < wanted.len; i++) {
        uint8_t byte = wanted.data[i];
        if (byte == '{' || byte == '}') {
            if (braces == (byte == '{')) {
                return false;
            }
            if (braces && !is_of_hosts(span_of(wanted.data + opened, i - opened))) {
                return false;
            }
            opened = i + 1;
            braces = !braces;
        } else if (byte == '/' && !braces) {
            on_way = true;
            ways++;
            at_host = is_host_level(span_of(wanted.data + i + 1, wanted.len - i - 1));
        } else if ((byte == ',' || byte == '+' || byte == '"') && !braces) {
            if (on_way && !at_host) {
                return false;
            }
            on_way = false;
        }
    }
    return ways > 0 && !braces && (!on_way || at_host);
}

static bool is_deploy(const json_t *job) {
    const json_t *types = json_object_get(job, "types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type != NULL && strcmp(type, "deploy") == 0) {
            return true;
        }
    }
    return false;
}

/* root on its nodes is for who has them whole, whatever types the job was given. */
static enum job_type type_of(const json_t *job) {
    /* -p is a condition on the resources of all of its ways. */
    if (!asks_whole_hosts(text_of(job, "wanted_resources")) ||
        !is_of_hosts(text_of(job, "properties"))) {
        return JOB_SHARED;
    }
    return is_deploy(job) ? JOB_DEPLOY : JOB_WHOLE;
}

/* A host stands once for each of its resources that the job has, so one that was named just before
 * is left out. */
static err_t take_nodes(const json_t *job, struct buf *nodes) {
    const json_t *list = json_object_get(job, "assigned_network_address");
    const char *previous = "";
    buf_clear(nodes);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *node = json_string_value(json_array_get(list, i));
        if (node == NULL) {
            return FAIL(ERR_MALFORMED);
        }
        if (strcmp(node, previous) != 0) {
            TRY(nodes->len > 0 ? buf_add_byte(nodes, ',') : OK);
            TRY(buf_add_str(nodes, node));
        }
        previous = node;
    }
    return OK;
}

static err_t take_job(struct scheduler_reading *reading, const char *name, const json_t *job,
                      struct buf *nodes) {
    struct fault fault = {0};
    err_t err = take_nodes(job, nodes);
    if (err.code == ERR_MEMORY) {
        return err;
    }
    if (failed(err)) {
        ignore_err(fault_set(&fault, err.code, "assigned_network_address", "%s", err_text(err)));
        scheduler_skip(reading, span_str(name), &fault);
        return OK;
    }
    int64_t walltime = number_of(job, "walltime");
    struct scheduler_record record = {.name = span_str(name),
                                      .user = text_of(job, "owner"),
                                      .nodes = buf_span(nodes),
                                      .type = type_of(job),
                                      .started_at = number_of(job, "startTime")};
    if (walltime > 0 && walltime <= INT32_MAX && record.started_at > 0) {
        record.ends_at = record.started_at + walltime;
    }
    return scheduler_take(reading, &record);
}

err_t oar_parse(span_t text, const struct scheduler_reader *reader) {
    struct scheduler_reading reading CLEANUP(scheduler_reading_done);
    struct buf nodes CLEANUP(buf_done) = BUF(LIMIT_SCHEDULER_LIST_BYTES);
    json_t *root CLEANUP(json_freep) =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    const char *name = NULL;
    json_t *job = NULL;
    scheduler_reading_begin(&reading, reader);
    if (!json_is_object(root)) {
        return FAIL(ERR_MALFORMED);
    }
    json_object_foreach(root, name, job) {
        if (runs(text_of(job, "state"))) {
            TRY(take_job(&reading, name, job, &nodes));
        }
    }
    return scheduler_reading_end(&reading);
}
