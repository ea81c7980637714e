/*
 * The memory store's inside: memory.c has the tables, transactions and what all operations share;
 * the operations are in memory_people.c, memory_machine.c, memory_credential.c,
 * memory_authorization.c, memory_grant.c, memory_job.c and memory_record.c.
 *
 * Every table is an array in the order of its listing; everything else is found by looking at each
 * row.
 */
#ifndef POSTERN_STORE_MEMORY_H
#define POSTERN_STORE_MEMORY_H

#include <string.h>

#include "store/backend.h"
#include "store/memory_table.h"

struct link {
    entity_id project_id;
    entity_id cluster_id;
};

struct job_node {
    entity_id job_id;
    size_t position; /* among the nodes of its job */
    char name[LIMIT_HOST_NAME_CHARS + 1];
};

struct meta {
    char *name;
    char *value;
};

/* Numbers that a transaction moves on, so that rollback moves them back. */
struct counters {
    entity_id id; /* one sequence for every kind of thing */
    uint64_t revision;
    uint64_t sequence;
};

struct memory_store {
    struct store store; /* first, so that a struct store * is one of these */
    struct table accounts, logins, projects, members, links, clusters, hosts, issued, api_keys,
        sessions, identities, authorizations, registered_keys, grants, passkeys,
        answered_challenges, recovery_codes, tickets, jobs, job_nodes, events, audits, tallies,
        metas;
    struct counters counters;
    struct counters counters_at_begin, counters_at_mark;
    struct change_log log;
    size_t mark;
};

static inline struct memory_store *memory_store_of(struct store *store) {
    return (struct memory_store *)store;
}

#define OPERATION(name, parameters, arguments) err_t memory_op_##name parameters;
READ_LIST(OPERATION)
WRITE_LIST(OPERATION)
CHECKED_LIST(OPERATION)
#undef OPERATION

/* ---- looking at each row ---- */

#define ROW(table, type, index) ((struct type *)table_row(table, index))

/* The index of the first row of which the condition on `row` holds, or NONE. */
#define NONE SIZE_MAX
#define FIND(table, type, condition)                                                               \
    ({                                                                                             \
        size_t found_ = NONE;                                                                      \
        for (size_t i_ = 0; i_ < (table)->count; i_++) {                                           \
            const struct type *row = ROW(table, type, i_);                                         \
            if (condition) {                                                                       \
                found_ = i_;                                                                       \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        found_;                                                                                    \
    })

#define GET(table, type, condition, out)                                                           \
    ({                                                                                             \
        size_t at_ = FIND(table, type, condition);                                                 \
        if (at_ != NONE) {                                                                         \
            *(out) = *ROW(table, type, at_);                                                       \
        }                                                                                          \
        at_ == NONE ? FAIL(ERR_NOT_FOUND) : OK;                                                    \
    })

#define LIST_AFTER_NAME(table, type)                                                               \
    do {                                                                                           \
        size_t left_ = max;                                                                        \
        for (size_t i_ = 0; i_ < (table)->count && left_ > 0; i_++) {                              \
            const struct type *row = ROW(table, type, i_);                                         \
            if (after_name == NULL || strcmp(row->name, after_name) > 0) {                         \
                left_--;                                                                           \
                TRY(each(context, row));                                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#define LIST_ALL(table, type, condition)                                                           \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < (table)->count; i_++) {                                           \
            const struct type *row = ROW(table, type, i_);                                         \
            if (condition) {                                                                       \
                TRY(each(context, row));                                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* ---- what a row may refer to ---- */

bool memory_has_account(const struct memory_store *self, entity_id id);
bool memory_has_project(const struct memory_store *self, entity_id id);
bool memory_has_cluster(const struct memory_store *self, entity_id id);
bool memory_has_job(const struct memory_store *self, entity_id id);

static inline err_t require(bool there) { return there ? OK : FAIL(ERR_NOT_FOUND); }
static inline err_t require_free(bool taken) { return taken ? FAIL(ERR_EXISTS) : OK; }
static inline err_t require_valid(bool valid) { return valid ? OK : FAIL(ERR_RANGE); }

/* Empty hashes are none: they are not unique and nobody is found by one. */
static inline bool same_hash(const char *a, const char *b) {
    return *a != '\0' && strcmp(a, b) == 0;
}

/* ---- changing rows ---- */

/*
 * Puts a row in the place of another; a row whose name changed moves. Only for rows that own
 * nothing. ERR_NOT_FOUND when index is NONE.
 */
err_t memory_replace(struct memory_store *self, struct table *table, size_t index, const void *row);
/* Inserts, or replaces the row that compares equal. */
err_t memory_put(struct memory_store *self, struct table *table, const void *row);
/* ERR_NOT_FOUND when index is NONE. */
err_t memory_remove(struct memory_store *self, struct table *table, size_t index);

/* A copy with an id; the caller's struct gets it when the row is in. */
#define ADD(self, table, type, value)                                                              \
    ({                                                                                             \
        struct type copy_ = *(value);                                                              \
        copy_.id = (self)->counters.id + 1;                                                        \
        err_t err_ = table_insert(table, &(self)->log, &copy_);                                    \
        if (!failed(err_)) {                                                                       \
            (self)->counters.id = copy_.id;                                                        \
            (value)->id = copy_.id;                                                                \
        }                                                                                          \
        err_;                                                                                      \
    })

#endif
