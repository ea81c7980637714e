#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "store/backend.h"

/* Refusals of one request leave the transaction whole; anything else leaves it in doubt. */
static bool is_refusal(err_t err) {
    switch (err.code) {
    case ERR_NONE:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_CONFLICT:
    case ERR_TOO_LONG:
    case ERR_RANGE:
        return true;
    default:
        return false;
    }
}

static err_t note(struct store *store, err_t err) {
    if (!is_refusal(err) && !failed(store->doubt)) {
        store->doubt = err;
    }
    return err;
}

void store_close(struct store *store) {
    if (store != NULL) {
        store_rollback(store);
        store->operations->close(store);
    }
}

void store_closep(struct store **store) {
    store_close(*store);
    *store = NULL;
}

err_t store_begin(struct store *store) {
    INVARIANT(!store->in_transaction);
    TRY(store->operations->begin(store));
    store->in_transaction = true;
    store->marked = false;
    store->doubt = OK;
    return OK;
}

err_t store_commit(struct store *store) {
    INVARIANT(store->in_transaction && !store->marked && store->listings == 0);
    TRY(store->doubt);
    TRY(note(store, store->operations->commit(store)));
    store->in_transaction = false;
    return OK;
}

void store_rollback(struct store *store) {
    INVARIANT(store->listings == 0);
    if (store->in_transaction) {
        store->operations->rollback(store);
        store->in_transaction = false;
        store->marked = false;
        store->doubt = OK;
    }
}

err_t store_mark(struct store *store) {
    INVARIANT(store->in_transaction && !store->marked);
    TRY(store->doubt);
    TRY(note(store, store->operations->mark(store)));
    store->marked = true;
    return OK;
}

err_t store_undo(struct store *store) {
    INVARIANT(store->marked && store->listings == 0);
    TRY(store->doubt);
    store->marked = false;
    return note(store, store->operations->undo(store));
}

err_t store_keep(struct store *store) {
    INVARIANT(store->marked && store->listings == 0);
    TRY(store->doubt);
    store->marked = false;
    return note(store, store->operations->keep(store));
}

/* A reader may be inside another's each(), but no writer may. */
#define READ_OPERATION(name, parameters, arguments)                                                \
    err_t store_##name parameters {                                                                \
        INVARIANT(store->in_transaction);                                                          \
        TRY(store->doubt);                                                                         \
        store->listings++;                                                                         \
        err_t err = store->operations->name arguments;                                             \
        store->listings--;                                                                         \
        return err;                                                                                \
    }
READ_LIST(READ_OPERATION)
#undef READ_OPERATION

static err_t ready_to_write(const struct store *store) {
    INVARIANT(store->in_transaction && store->listings == 0);
    return store->doubt;
}

#define WRITE_OPERATION(name, parameters, arguments)                                               \
    err_t store_##name parameters {                                                                \
        TRY(ready_to_write(store));                                                                \
        return note(store, store->operations->name arguments);                                     \
    }
WRITE_LIST(WRITE_OPERATION)
#undef WRITE_OPERATION

err_t store_issued_add(struct store *store, const struct issued *issued) {
    TRY(ready_to_write(store));
    INVARIANT(issued->serial != 0 && issued->serial <= INT64_MAX);
    return note(store, store->operations->issued_add(store, issued));
}

err_t store_issued_revoke(struct store *store, uint64_t serial, int64_t at, const char *reason) {
    TRY(ready_to_write(store));
    INVARIANT(at > 0); /* 0 would mean "not revoked" */
    if (strlen(reason) > LIMIT_REASON_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    return note(store, store->operations->issued_revoke(store, serial, at, reason));
}

err_t store_event_skip(struct store *store, uint64_t revision) {
    uint64_t newest, oldest;
    TRY(store_event_revision(store, &newest, &oldest));
    TRY(ready_to_write(store));
    if (revision <= newest || revision > INT64_MAX) {
        return FAIL(ERR_RANGE);
    }
    return note(store, store->operations->event_skip(store, revision));
}

err_t store_event_append(struct store *store, const char *kind, const char *key, const char *state,
                         int64_t at, uint64_t *revision) {
    TRY(ready_to_write(store));
    const struct event *event = NULL;
    if (strlen(kind) >= sizeof event->kind || strlen(key) >= sizeof event->key) {
        return FAIL(ERR_TOO_LONG);
    }
    return note(store, store->operations->event_append(store, kind, key, state, at, revision));
}

/* ---- jobs ---- */

struct node {
    const char *name;
    size_t place;
};

static int by_place(const void *a, const void *b) {
    const struct node *left = a, *right = b;
    return (left->place > right->place) - (left->place < right->place);
}

static int by_name(const void *a, const void *b) {
    const struct node *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : by_place(a, b);
}

/* Of names that are alike only the first stays. *out is the caller's to free, the names are not. */
static err_t unique_names(const char *const *names, size_t *count, const char ***out) {
    struct node *nodes CLEANUP(freep) = calloc(*count + 1, sizeof *nodes);
    const char **unique CLEANUP(freep) = calloc(*count + 1, sizeof *unique);
    size_t kept = 0;
    if (nodes == NULL || unique == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < *count; i++) {
        nodes[i] = (struct node){names[i], i};
    }
    qsort(nodes, *count, sizeof *nodes, by_name);
    for (size_t i = 0; i < *count; i++) {
        if (kept == 0 || strcmp(nodes[i].name, nodes[kept - 1].name) != 0) {
            nodes[kept++] = nodes[i];
        }
    }
    qsort(nodes, kept, sizeof *nodes, by_place);
    for (size_t i = 0; i < kept; i++) {
        unique[i] = nodes[i].name;
    }
    *count = kept;
    *out = TAKE(unique);
    return OK;
}

err_t store_job_put(struct store *store, struct job *job, const char *const *nodes,
                    size_t node_count) {
    TRY(ready_to_write(store));
    if (node_count > LIMIT_JOB_NODES_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    for (size_t i = 0; i < node_count; i++) {
        if (strlen(nodes[i]) > LIMIT_HOST_NAME_CHARS) {
            return FAIL(ERR_TOO_LONG);
        }
    }
    if (job->ended_at != 0) {
        return FAIL(ERR_CONFLICT);
    }
    const char **unique CLEANUP(freep) = NULL;
    TRY(note(store, unique_names(nodes, &node_count, &unique)));
    return note(store, store->operations->job_put(store, job, unique, node_count));
}

err_t store_job_end(struct store *store, entity_id id, int64_t at) {
    TRY(ready_to_write(store));
    INVARIANT(at > 0); /* 0 would mean that it runs */
    return note(store, store->operations->job_end(store, id, at));
}
