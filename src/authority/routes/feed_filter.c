#include "authority/routes/feed_filter.h"

#include <stdio.h>

/* ---- events ------------------------------------------------------------------------------ */

static enum change_kind kind_of(const char *name) {
    for (unsigned kind = CHANGE_UNKNOWN + 1; kind < CHANGE_KINDS_COUNT; kind++) {
        if (strcmp(change_kind_name((enum change_kind)kind), name) == 0) {
            return (enum change_kind)kind;
        }
    }
    return CHANGE_UNKNOWN;
}

/* The texts of an array as names of an object: a job may have ten thousand nodes, and each of them
 * asks whether it is one. NULL for what is no array. */
static err_t make_set(const json_t *array, json_t **out) {
    json_t *set = json_is_array(array) ? json_object() : NULL;
    for (size_t i = 0; set != NULL && i < json_array_size(array); i++) {
        const char *name = json_string_value(json_array_get(array, i));
        if (name != NULL && json_object_set_new(set, name, json_true()) != 0) {
            json_decref(set);
            return FAIL(ERR_MEMORY);
        }
    }
    *out = set;
    return set != NULL || !json_is_array(array) ? OK : FAIL(ERR_MEMORY);
}

static err_t fill(struct feed_event *event, const json_t *state) {
    json_t *audience = json_object_get(state, "for");
    event->audience = json_incref(audience);
    if (json_object_size(state) > (audience != NULL ? 1U : 0U)) {
        event->state = audience == NULL ? json_incref((json_t *)(uintptr_t)state)
                                        : json_copy((json_t *)(uintptr_t)state);
        if (event->state == NULL) {
            return FAIL(ERR_MEMORY);
        }
        if (audience != NULL) {
            (void)json_object_del(event->state, "for");
        }
    }
    if (event->kind == CHANGE_JOB) {
        TRY(make_set(json_object_get(event->state, "nodes"), &event->nodes));
        TRY(make_set(json_object_get(audience, "nodes"), &event->left));
    }
    return OK;
}

err_t feed_event_new(uint64_t revision, const char *kind, const char *key, const json_t *state,
                     struct feed_event **out) {
    struct feed_event *event = calloc(1, sizeof *event);
    if (event == NULL) {
        return FAIL(ERR_MEMORY);
    }
    event->revision = revision;
    event->kind = kind_of(kind);
    (void)snprintf(event->kind_name, sizeof event->kind_name, "%s", kind);
    (void)snprintf(event->key, sizeof event->key, "%s", key);
    err_t err = fill(event, state);
    if (failed(err)) {
        feed_event_free(event);
        return err;
    }
    *out = event;
    return OK;
}

err_t feed_event_parse(const struct event *event, struct feed_event **out) {
    json_t *state = NULL;
    if (event->state[0] != '\0') {
        state = json_loads(event->state, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(state)) {
            json_decref(state);
            return FAIL(ERR_MALFORMED);
        }
    }
    err_t err = feed_event_new(event->revision, event->kind, event->key, state, out);
    json_decref(state);
    return err;
}

void feed_event_free(struct feed_event *event) {
    while (event != NULL) {
        struct feed_event *next = event->next;
        json_decref(event->state);
        json_decref(event->audience);
        json_decref(event->nodes);
        json_decref(event->left);
        free(event);
        event = next;
    }
}

/* ---- who is told ------------------------------------------------------------------------- */

static bool is_listed(const json_t *list, const char *name) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item != NULL && strcmp(item, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_text(const json_t *object, const char *member, const char *text) {
    const char *value = json_string_value(json_object_get(object, member));
    return value != NULL && strcmp(value, text) == 0;
}

static enum feed_verdict pass(const struct feed_event *event) {
    return event->state == NULL ? FEED_GONE : FEED_PASS;
}

static enum feed_verdict judge_key(const struct feed_event *event,
                                   const struct feed_reader *reader) {
    const json_t *clusters = json_object_get(event->audience, "clusters");
    if (clusters == NULL || is_listed(clusters, reader->cluster)) {
        return pass(event);
    }
    return json_is_true(json_object_get(event->audience, "gone")) ? FEED_GONE : FEED_SKIP;
}

static enum feed_verdict judge_host(const struct feed_event *event,
                                    const struct feed_reader *reader) {
    if (strcmp(event->key, reader->name) == 0) {
        return pass(event);
    }
    if (event->state == NULL) {
        return json_is_false(json_object_get(event->audience, "jump")) ? FEED_SKIP : FEED_GONE;
    }
    return is_text(event->state, "role", "jump") ? FEED_PASS : FEED_SKIP;
}

/* "1234@nancy": no cluster's name has an '@'. */
static enum feed_verdict judge_job(const struct feed_event *event,
                                   const struct feed_reader *reader) {
    const char *cluster = strrchr(event->key, '@');
    if (cluster == NULL || strcmp(cluster + 1, reader->cluster) != 0) {
        return FEED_SKIP;
    }
    if (reader->role == HOST_LOGIN || (event->state == NULL && event->left == NULL)) {
        return pass(event);
    }
    if (json_object_get(event->nodes, reader->name) != NULL) {
        return FEED_PASS;
    }
    return json_object_get(event->left, reader->name) != NULL ? FEED_GONE : FEED_SKIP;
}

/* A machine that came with a job is its account's, and tells that one what it is told. */
static bool is_of_another(const struct feed_event *event, const struct feed_reader *reader) {
    if (reader->role != HOST_JOB) {
        return false;
    }
    return event->kind == CHANGE_ACCOUNT ? strcmp(event->key, reader->account) != 0
                                         : event->kind == CHANGE_KEY && event->state != NULL &&
                                               !is_text(event->state, "account", reader->account);
}

static bool is_cut(const struct feed_event *event) {
    return strcmp(event->kind_name, CHANGE_CUT) == 0;
}

static enum feed_verdict judge(const struct feed_event *event, const struct feed_reader *reader) {
    if (is_cut(event)) {
        return is_text(event->state, "host", reader->name) ? FEED_PASS : FEED_SKIP;
    }
    if (reader->role == HOST_JUMP) {
        return is_text(event->state, "use", "internal") ? FEED_SKIP : pass(event);
    }
    if (is_of_another(event, reader)) {
        return FEED_SKIP;
    }
    switch (event->kind) {
    case CHANGE_ACCOUNT:
        return is_listed(json_object_get(event->state, "clusters"), reader->cluster) ? FEED_PASS
                                                                                     : FEED_GONE;
    case CHANGE_CLUSTER:
        return strcmp(event->key, reader->cluster) == 0 ? pass(event) : FEED_SKIP;
    case CHANGE_HOST:
        return judge_host(event, reader);
    case CHANGE_KEY:
        return judge_key(event, reader);
    case CHANGE_JOB:
        return judge_job(event, reader);
    case CHANGE_CA:
    case CHANGE_REVOCATION:
    case CHANGE_UNKNOWN:
        break;
    }
    return pass(event);
}

struct feed_judgement feed_judge(const struct feed_event *event, const struct feed_reader *reader) {
    struct feed_judgement judgement = {.verdict = judge(event, reader)};
    bool on_nodes =
        event->kind == CHANGE_JOB && reader->role != HOST_JUMP && reader->role != HOST_LOGIN;
    bool itself = event->kind == CHANGE_HOST && strcmp(event->key, reader->name) == 0;
    judgement.alone = judgement.verdict != FEED_SKIP && (on_nodes || itself || is_cut(event));
    return judgement;
}

/* ---- what it is told --------------------------------------------------------------------- */

/* What the reader is told of the state; NULL: out of memory. */
static json_t *state_for(const struct feed_event *event, const struct feed_reader *reader) {
    bool is_jump = reader->role == HOST_JUMP;
    bool without_whose = event->kind == CHANGE_REVOCATION && !is_jump;
    bool without_window = event->kind == CHANGE_ACCOUNT && !is_jump &&
                          json_object_get(event->state, "windowUntil") != NULL;
    bool of_itself = event->kind == CHANGE_JOB && !is_jump && reader->role != HOST_LOGIN;
    if (!without_whose && !without_window && !of_itself) {
        return json_incref(event->state);
    }
    json_t *state = json_copy(event->state);
    int failure = 0;
    if (without_whose) {
        failure |= json_object_set_new(state, "account", json_string(""));
        failure |= json_object_set_new(state, "reason", json_string(""));
    } else if (without_window) {
        failure |= json_object_del(state, "windowUntil");
    } else {
        failure |= json_object_set_new(state, "nodes", json_pack("[s]", reader->name));
    }
    if (failure != 0) {
        json_decref(state);
        return NULL;
    }
    return state;
}

err_t feed_event_encode(const struct feed_event *event, const struct feed_reader *reader,
                        enum feed_verdict verdict, struct buf *out) {
    if (verdict == FEED_SKIP) {
        return OK;
    }
    if (verdict == FEED_GONE) {
        return change_answer_add(out, event->revision, event->kind_name, event->key, "");
    }
    json_t *state = state_for(event, reader);
    char *text CLEANUP(freep) =
        state == NULL ? NULL : json_dumps(state, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(state);
    return text == NULL
               ? FAIL(ERR_MEMORY)
               : change_answer_add(out, event->revision, event->kind_name, event->key, text);
}
