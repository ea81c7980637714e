/*
 * Everything that can fail is done first: the things that an answer brings are made, and room for
 * them is reserved. What follows only moves links, so that an answer takes effect whole or not at
 * all.
 */
#include <string.h>

#include "feed/reach.h"
#include "feed/view_things.h"

/* The things that an answer brings; NULL at the index of a change that takes one away. */
struct arrivals {
    const struct change_answer *answer;
    struct view_link **things;
};

static void arrivals_done(struct arrivals *arrivals) {
    for (size_t i = 0; arrivals->things != NULL && i < arrivals->answer->count; i++) {
        view_thing_free(arrivals->answer->changes[i].kind, arrivals->things[i]);
    }
    free(arrivals->things);
}

static err_t arrivals_make(struct arrivals *arrivals) {
    const struct change_answer *answer = arrivals->answer;
    arrivals->things = calloc(answer->count + 1, sizeof(struct view_link *));
    if (arrivals->things == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < answer->count; i++) {
        if (!answer->changes[i].gone) {
            TRY(view_thing_make(&answer->changes[i], &arrivals->things[i]));
        }
    }
    return OK;
}

static err_t reserve(struct view_things *things, const struct change_answer *answer) {
    size_t more[CHANGE_KINDS_COUNT] = {0};
    for (size_t i = 0; i < answer->count; i++) {
        more[answer->changes[i].kind] += answer->changes[i].gone ? 0 : 1;
    }
    for (size_t kind = 0; kind < CHANGE_KINDS_COUNT; kind++) {
        TRY(more[kind] > 0 ? view_things_reserve(things, (enum change_kind)kind, more[kind]) : OK);
    }
    return OK;
}

static bool is_lesser_account(const struct view_link *before, const struct view_link *after) {
    const struct view_account *had = (const struct view_account *)before;
    const struct view_account *has = (const struct view_account *)after;
    const char *subnets = view_account_subnets(has);
    bool narrower = subnets[0] != '\0' && strcmp(subnets, view_account_subnets(had)) != 0;
    return had->enabled && (!has->enabled || narrower ||
                            !reach_is_within(view_account_reach(had), view_account_reach(has)));
}

static bool is_other_place(const struct view_link *before, const struct view_link *after) {
    const struct view_place *was = (const struct view_place *)before;
    const struct view_place *is = (const struct view_place *)after;
    return was->role != is->role || was->port != is->port ||
           strcmp(was->cluster, is->cluster) != 0 || strcmp(was->address, is->address) != 0 ||
           (was->node_access == NODE_ACCESS_OPEN && is->node_access != NODE_ACCESS_OPEN) ||
           (was->credentials & ~is->credentials) != 0;
}

/* One that goes on for longer is still the same. */
static bool is_other_job(const struct view_link *before, const struct view_link *after) {
    const struct view_job *was = (const struct view_job *)before;
    const struct view_job *is = (const struct view_job *)after;
    bool longer = is->right.ends_at == 0 ||
                  (was->right.ends_at != 0 && is->right.ends_at >= was->right.ends_at);
    return !longer || is->right.started_at > was->right.started_at ||
           was->right.type != is->right.type || was->port != is->port ||
           was->text_len != is->text_len || memcmp(was->text, is->text, is->text_len) != 0;
}

/* Whether somebody may lose a right when `after` (NULL: nothing) stands where `before` stood. */
static bool takes_away(enum change_kind kind, const struct view_link *before,
                       const struct view_link *after) {
    if (kind == CHANGE_REVOCATION) {
        return before == NULL && after != NULL;
    }
    if (before == NULL || after == NULL) {
        return before != NULL;
    }
    if (kind == CHANGE_ACCOUNT) {
        return is_lesser_account(before, after);
    }
    if (kind == CHANGE_CLUSTER || kind == CHANGE_HOST) {
        return is_other_place(before, after);
    }
    if (kind == CHANGE_JOB) {
        return is_other_job(before, after);
    }
    return true; /* CAs and registered keys are not told anew without a cause */
}

static bool settle(struct view_things *things, const struct change *change,
                   struct view_link *arrival) {
    struct view_link *before = view_things_find(things, change);
    bool taken = takes_away(change->kind, before, arrival);
    if (before != NULL) {
        view_things_drop(things, change->kind, before);
    }
    if (arrival != NULL) {
        view_things_add(things, change->kind, arrival);
    }
    return taken;
}

/* As in the replica, a snapshot takes no revocation away; there is room. */
static void keep_revocations(struct view_things *from, struct view_things *to) {
    struct view_table *table = &from->by_key[CHANGE_REVOCATION];
    for (size_t i = 0; i < table->size; i++) {
        for (struct view_link *link = table->slots[i], *next; link != NULL; link = next) {
            struct change change = {.kind = CHANGE_REVOCATION};
            change.revocation.serial = ((struct view_revocation *)link)->serial;
            next = link->next;
            if (view_things_find(to, &change) == NULL) {
                view_table_remove(table, link);
                view_things_add(to, CHANGE_REVOCATION, link);
            }
        }
    }
}

/* Pages come one after the other, and nothing between them. */
static bool is_next(const struct view *view, const struct change_answer *answer) {
    if (!answer->snapshot) {
        return !view->partial && view->complete && answer->revision >= view->revision;
    }
    return !answer->continues || (view->partial && answer->revision >= view->fresh_revision);
}

/* All pages are there: they take the place of what was. */
static void swap(struct view *view) {
    struct view_things before = view->things;
    keep_revocations(&before, &view->fresh);
    view->things = view->fresh;
    view->fresh = before;
    view_things_done(&view->fresh);
    view->complete = true;
    view->pruned_at = 0;
}

static err_t put(struct view_things *things, const struct change_answer *answer, bool *taken) {
    struct arrivals arrivals CLEANUP(arrivals_done) = {.answer = answer};
    TRY(arrivals_make(&arrivals));
    TRY(reserve(things, answer));
    for (size_t i = 0; i < answer->count; i++) {
        *taken |= settle(things, &answer->changes[i], arrivals.things[i]);
        arrivals.things[i] = NULL;
    }
    return OK;
}

static err_t put_page(struct view *view, const struct change_answer *answer) {
    bool ignored = false;  /* what a snapshot lacks is not looked for */
    view->partial = false; /* after a failure no page follows */
    if (!answer->continues) {
        view_things_done(&view->fresh);
    }
    if (!answer->more) {
        TRY(view_things_reserve(&view->fresh, CHANGE_REVOCATION,
                                view->things.by_key[CHANGE_REVOCATION].count + answer->count));
    }
    TRY(put(&view->fresh, answer, &ignored));
    view->partial = answer->more;
    view->fresh_revision = answer->revision;
    return OK;
}

err_t view_apply(struct view *view, const struct change_answer *answer, int64_t synced_at,
                 bool *revoked) {
    bool taken = false;
    if (!is_next(view, answer)) {
        return FAIL(ERR_ORDER);
    }
    TRY(answer->snapshot ? put_page(view, answer) : put(&view->things, answer, &taken));
    if (answer->more) {
        *revoked = false;
        return OK;
    }
    if (answer->snapshot) {
        taken = view->complete;
        swap(view);
    }
    view->revision = answer->revision;
    view->synced_at = synced_at;
    *revoked = taken;
    return OK;
}
