#include "authority/gate_sessions.h"

#include <stdlib.h>
#include <string.h>

enum { ALL_COUNT = 4 * LIMIT_GATE_SESSIONS_COUNT };

/* One that has begun to tell. */
struct gate {
    entity_id id;
    char name[LIMIT_HOST_NAME_CHARS + 1];
    uint64_t epoch;
    int64_t heard_at;
    size_t count;
};

struct gate_sessions {
    struct gate *gates; /* few, in no order */
    size_t gate_count;
    struct gate_session **items; /* in order */
    size_t count, size;
};

void gate_session_done(struct gate_session *session) {
    free(session->destinations);
    session->destinations = NULL;
}

static void session_free(struct gate_session *session) {
    gate_session_done(session);
    free(session);
}

err_t gate_sessions_new(struct gate_sessions **out) {
    struct gate_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = sessions;
    return OK;
}

void gate_sessions_free(struct gate_sessions *sessions) {
    if (sessions == NULL) {
        return;
    }
    for (size_t i = 0; i < sessions->count; i++) {
        session_free(sessions->items[i]);
    }
    free(sessions->items);
    free(sessions->gates);
    free(sessions);
}

/* --- gates --- */

static struct gate *find_gate(const struct gate_sessions *sessions, entity_id gate_id) {
    for (size_t i = 0; i < sessions->gate_count; i++) {
        if (sessions->gates[i].id == gate_id) {
            return &sessions->gates[i];
        }
    }
    return NULL;
}

static err_t add_gate(struct gate_sessions *sessions, struct gate **out) {
    struct gate *gates =
        reallocarray(sessions->gates, sessions->gate_count + 1, sizeof *sessions->gates);
    if (gates == NULL) {
        return FAIL(ERR_MEMORY);
    }
    sessions->gates = gates;
    *out = &gates[sessions->gate_count++];
    return OK;
}

static void drop_sessions(struct gate_sessions *sessions, entity_id gate_id) {
    size_t kept = 0;
    for (size_t i = 0; i < sessions->count; i++) {
        if (sessions->items[i]->gate_id == gate_id) {
            session_free(sessions->items[i]);
        } else {
            sessions->items[kept++] = sessions->items[i];
        }
    }
    sessions->count = kept;
}

err_t gate_sessions_begin(struct gate_sessions *sessions, entity_id gate_id, const char *name,
                          uint64_t epoch, int64_t now) {
    INVARIANT(epoch != 0);
    struct gate *gate = find_gate(sessions, gate_id);
    if (gate == NULL) {
        TRY(add_gate(sessions, &gate));
    } else if (gate->count > 0) {
        drop_sessions(sessions, gate_id);
    }
    *gate = (struct gate){.id = gate_id, .epoch = epoch, .heard_at = now};
    strncpy(gate->name, name, sizeof gate->name - 1);
    return OK;
}

err_t gate_sessions_heard(struct gate_sessions *sessions, entity_id gate_id, uint64_t epoch,
                          int64_t now) {
    struct gate *gate = find_gate(sessions, gate_id);
    if (gate == NULL || gate->epoch != epoch) {
        return FAIL(ERR_CONFLICT);
    }
    gate->heard_at = now;
    return OK;
}

void gate_sessions_forget(struct gate_sessions *sessions, entity_id gate_id) {
    struct gate *gate = find_gate(sessions, gate_id);
    if (gate != NULL) {
        drop_sessions(sessions, gate_id);
        *gate = sessions->gates[--sessions->gate_count];
    }
}

void gate_sessions_expire(struct gate_sessions *sessions, int64_t now) {
    for (size_t i = sessions->gate_count; i > 0; i--) {
        if (now - sessions->gates[i - 1].heard_at > LIMIT_GATE_SILENT_S) {
            gate_sessions_forget(sessions, sessions->gates[i - 1].id);
        }
    }
}

size_t gate_sessions_count(const struct gate_sessions *sessions, entity_id gate_id) {
    const struct gate *gate = find_gate(sessions, gate_id);
    return gate == NULL ? 0 : gate->count;
}

/* --- sessions --- */

/* The first that does not stand before this one. */
static size_t place_of(const struct gate_sessions *sessions, const char *id, const char *gate,
                       bool *found) {
    size_t low = 0, high = sessions->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct gate_session *item = sessions->items[middle];
        int order = strcmp(item->id, id);
        order = order != 0 ? order : strcmp(item->gate, gate);
        *found = *found || order == 0;
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static err_t make_room(struct gate_sessions *sessions) {
    if (sessions->count < sessions->size) {
        return OK;
    }
    size_t size = sessions->size == 0 ? 256 : 2 * sessions->size;
    void *items = reallocarray(sessions->items, size, sizeof(void *));
    if (items == NULL) {
        return FAIL(ERR_MEMORY);
    }
    sessions->items = items;
    sessions->size = size;
    return OK;
}

static err_t insert(struct gate_sessions *sessions, size_t place) {
    TRY(make_room(sessions));
    struct gate_session *added = calloc(1, sizeof *added);
    if (added == NULL) {
        return FAIL(ERR_MEMORY);
    }
    struct gate_session **items = sessions->items;
    memmove(&items[place + 1], &items[place], (sessions->count - place) * sizeof(void *));
    items[place] = added;
    sessions->count++;
    return OK;
}

err_t gate_sessions_put(struct gate_sessions *sessions, entity_id gate_id,
                        struct gate_session *session) {
    struct gate *gate = find_gate(sessions, gate_id);
    INVARIANT(gate != NULL);
    bool found;
    size_t place = place_of(sessions, session->id, gate->name, &found);
    if (!found) {
        if (gate->count == LIMIT_GATE_SESSIONS_COUNT || sessions->count == ALL_COUNT) {
            return FAIL(ERR_TOO_LONG);
        }
        TRY(insert(sessions, place));
        gate->count++;
    }
    struct gate_session *item = sessions->items[place];
    gate_session_done(item);
    *item = *session;
    session->destinations = NULL;
    memcpy(item->gate, gate->name, sizeof item->gate);
    item->gate_id = gate_id;
    return OK;
}

void gate_sessions_end(struct gate_sessions *sessions, entity_id gate_id, const char *id) {
    struct gate *gate = find_gate(sessions, gate_id);
    bool found = false;
    size_t place = gate == NULL ? 0 : place_of(sessions, id, gate->name, &found);
    if (!found) {
        return;
    }
    struct gate_session **items = sessions->items;
    session_free(items[place]);
    sessions->count--;
    memmove(&items[place], &items[place + 1], (sessions->count - place) * sizeof(void *));
    gate->count--;
}

const struct gate_session *gate_sessions_find(const struct gate_sessions *sessions,
                                              const char *gate, const char *id) {
    bool found;
    size_t place = place_of(sessions, id, gate, &found);
    return found ? sessions->items[place] : NULL;
}

static bool is_asked(const struct gate_session *session, const struct gate_session_filter *filter) {
    return (filter->account == NULL || strcmp(session->account, filter->account) == 0) &&
           (filter->gate == NULL || strcmp(session->gate, filter->gate) == 0);
}

err_t gate_sessions_list(const struct gate_sessions *sessions,
                         const struct gate_session_filter *filter,
                         err_t (*each)(void *context, const struct gate_session *session),
                         void *context) {
    bool found;
    size_t place = filter->before_id == NULL
                       ? sessions->count
                       : place_of(sessions, filter->before_id, filter->before_gate, &found);
    for (size_t left = filter->max; place > 0 && left > 0; place--) {
        const struct gate_session *session = sessions->items[place - 1];
        if (is_asked(session, filter)) {
            left--;
            TRY(each(context, session));
        }
    }
    return OK;
}
