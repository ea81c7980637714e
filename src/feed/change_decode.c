/* Reading answers. */
#include <string.h>

#include "feed/change_names.h"
#include "feed/change_state.h"

static err_t decode_change_key(const struct member_place *at, const json_t *json,
                               struct change *change) {
    TRY(member_text(at, json, "key", LIMIT_HOST_NAME_CHARS, &change->key));
    if (change->key[0] == '\0') {
        return member_refuse(at, ERR_MALFORMED, "key", "is empty");
    }
    if (change->kind == CHANGE_REVOCATION) {
        TRY(member_u64(at, json, "key", &change->revocation.serial));
        if (change->revocation.serial == 0) {
            return member_refuse(at, ERR_RANGE, "key", "is serial 0, which no KRL can list");
        }
    }
    return change_state_check_key(at, change);
}

/* An order; the answer borrows the session's id. */
static err_t decode_cut(const struct member_place *at, const json_t *json, size_t room,
                        struct change_answer *answer) {
    const char *id = NULL;
    TRY(member_text(at, json, "key", LIMIT_CUT_CHARS, &id));
    if (id[0] == '\0') {
        return member_refuse(at, ERR_MALFORMED, "key", "is empty");
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
static err_t decode_change(struct member_place *at, const json_t *json, size_t room,
                           struct change_answer *answer, struct change *change) {
    if (!json_is_object(json)) {
        return member_refuse(at, ERR_MALFORMED, "kind", "is missing: the change is no object");
    }
    const char *kind = NULL;
    TRY(member_u64(at, json, "revision", &change->revision));
    TRY(member_text(at, json, "kind", 64, &kind));
    change->kind = (enum change_kind)member_index(change_kind_names, CHANGE_KINDS_COUNT, kind);
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
        return member_refuse(at, state == NULL ? ERR_NOT_FOUND : ERR_MALFORMED, "state",
                             "is neither an object nor null");
    }
    at->in_state = true;
    return change_state_decode(at, state, change);
}

static err_t decode_changes(const json_t *array, struct change_answer *answer,
                            struct fault *fault) {
    uint64_t last = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct change *change = &answer->changes[answer->count];
        struct member_place at = {(ssize_t)i, false, fault};
        answer->count++; /* counted at once, so that the answer frees what it got */
        TRY(decode_change(&at, json_array_get(array, i), json_array_size(array) - i, answer,
                          change));
        at.in_state = false;
        if (change->revision < last || change->revision > answer->revision) {
            return member_refuse(&at, ERR_ORDER, "revision", "goes back or is beyond the answer's");
        }
        if (answer->snapshot && !answer->continues && change->gone) {
            return member_refuse(&at, ERR_CONFLICT, "state", "is null in a snapshot");
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
static err_t decode_kind(const struct member_place *at, const json_t *root,
                         struct change_answer *answer) {
    const json_t *snapshot = json_object_get(root, "snapshot");
    answer->next = "";
    if (!json_is_string(snapshot)) {
        json_t *whole = NULL;
        TRY(member_get(at, root, "snapshot", JSON_TRUE, &whole));
        answer->snapshot = json_is_true(whole);
        return OK;
    }
    size_t page = 0;
    TRY(member_choice(at, root, "snapshot", change_page_names, CHANGE_PAGES_COUNT, 0, &page));
    answer->snapshot = true;
    answer->continues = page != CHANGE_PAGE_BEGINS;
    answer->more = page != CHANGE_PAGE_ENDS;
    if (!answer->more || json_object_get(root, "next") == NULL) {
        return OK;
    }
    TRY(member_text(at, root, "next", LIMIT_FEED_CURSOR_CHARS, &answer->next));
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    return answer->next[strspn(answer->next, allowed)] == '\0'
               ? OK
               : member_refuse(at, ERR_MALFORMED, "next", "has a character that no cursor has");
}

static err_t decode_answer(const json_t *root, struct change_answer *answer, struct fault *fault) {
    struct member_place at = {-1, false, fault};
    if (!json_is_object(root)) {
        return fault_set(fault, ERR_MALFORMED, "", "the answer is no object");
    }
    json_t *changes = NULL;
    TRY(member_u64(&at, root, "revision", &answer->revision));
    TRY(decode_kind(&at, root, answer));
    TRY(member_get(&at, root, "changes", JSON_ARRAY, &changes));
    size_t count = json_array_size(changes);
    bool is_page = answer->continues || answer->more;
    if (count > (is_page ? (size_t)LIMIT_FEED_PAGE_CHANGES_COUNT : LIMIT_FEED_CHANGES_COUNT)) {
        return member_refuse(&at, ERR_TOO_LONG, "changes", "has too many entries");
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
