/* Events, the audit log and small values, in memory. */
#include <stdio.h>

#include "store/memory.h"

err_t memory_op_event_append(struct store *store, const char *kind, const char *key,
                             const char *state, int64_t at, uint64_t *revision) {
    struct memory_store *self = memory_store_of(store);
    struct event event = {.revision = self->counters.revision + 1, .at = at};
    char *copy CLEANUP(freep) = NULL;
    TRY(span_to_str(span_str(state), &copy));
    event.state = copy;
    (void)snprintf(event.kind, sizeof event.kind, "%s", kind);
    (void)snprintf(event.key, sizeof event.key, "%s", key);
    TRY(table_insert(&self->events, &self->log, &event));
    copy = NULL; /* the table has it */
    self->counters.revision = event.revision;
    *revision = event.revision;
    return OK;
}

err_t memory_op_event_revision(struct store *store, uint64_t *newest, uint64_t *oldest) {
    const struct memory_store *self = memory_store_of(store);
    *newest = self->counters.revision;
    *oldest = self->events.count == 0 ? self->counters.revision + 1
                                      : ROW(&self->events, event, 0)->revision;
    return OK;
}

err_t memory_op_event_list(struct store *store, uint64_t since, size_t max, EACH(event)) {
    const struct table *table = &memory_store_of(store)->events;
    size_t left = max;
    for (size_t i = 0; i < table->count && left > 0; i++) {
        const struct event *row = ROW(table, event, i);
        if (row->revision > since) {
            left--;
            TRY(each(context, row));
        }
    }
    return OK;
}

err_t memory_op_event_prune(struct store *store, uint64_t up_to) {
    struct memory_store *self = memory_store_of(store);
    while (self->events.count > 0 && ROW(&self->events, event, 0)->revision <= up_to) {
        TRY(table_remove(&self->events, &self->log, 0));
    }
    return OK;
}

err_t memory_op_event_skip(struct store *store, uint64_t revision) {
    TRY(memory_op_event_prune(store, UINT64_MAX));
    memory_store_of(store)->counters.revision = revision;
    return OK;
}

err_t memory_op_audit_append(struct store *store, struct audit *audit) {
    struct memory_store *self = memory_store_of(store);
    struct audit copy = *audit;
    copy.sequence = self->counters.sequence + 1;
    TRY(table_insert(&self->audits, &self->log, &copy));
    self->counters.sequence = copy.sequence;
    audit->sequence = copy.sequence;
    return OK;
}

static bool is_action(const char *asked, const char *action) {
    size_t len = strlen(asked);
    bool prefix = len > 0 && asked[len - 1] == '.';
    return prefix ? strncmp(asked, action, len) == 0 : strcmp(asked, action) == 0;
}

err_t memory_op_audit_list(struct store *store, const struct audit_filter *filter, EACH(audit)) {
    const struct table *table = &memory_store_of(store)->audits;
    size_t left = filter->max;
    for (size_t i = table->count; i > 0 && left > 0; i--) {
        const struct audit *row = ROW(table, audit, i - 1);
        if ((filter->actor == NULL || strcmp(filter->actor, row->actor) == 0) &&
            (filter->action == NULL || is_action(filter->action, row->action)) &&
            (filter->since == 0 || row->at >= filter->since) &&
            row->sequence > filter->after_sequence &&
            (filter->before_sequence == 0 || row->sequence < filter->before_sequence)) {
            left--;
            TRY(each(context, row));
        }
    }
    return OK;
}

err_t memory_op_tally_add(struct store *store, const struct tally *tally) {
    struct memory_store *self = memory_store_of(store);
    struct tally sum = *tally;
    bool found;
    size_t index = table_search(&self->tallies, tally, &found);
    sum.count += found ? ROW(&self->tallies, tally, index)->count : 0;
    return memory_put(self, &self->tallies, &sum);
}

err_t memory_op_tally_list(struct store *store, int64_t step_s, int64_t since, EACH(tally)) {
    LIST_ALL(&memory_store_of(store)->tallies, tally, row->step_s == step_s && row->at >= since);
    return OK;
}

err_t memory_op_meta_get(struct store *store, const char *name, char **value) {
    const struct table *table = &memory_store_of(store)->metas;
    size_t index = FIND(table, meta, strcmp(row->name, name) == 0);
    TRY(require(index != NONE));
    return span_to_str(span_str(ROW(table, meta, index)->value), value);
}

err_t memory_op_meta_put(struct store *store, const char *name, const char *value) {
    struct memory_store *self = memory_store_of(store);
    char *name_copy CLEANUP(freep) = NULL;
    char *value_copy CLEANUP(freep) = NULL;
    TRY(span_to_str(span_str(name), &name_copy));
    TRY(span_to_str(span_str(value), &value_copy));
    struct meta meta = {name_copy, value_copy};
    TRY(memory_put(self, &self->metas, &meta));
    name_copy = NULL; /* the table has both */
    value_copy = NULL;
    return OK;
}
