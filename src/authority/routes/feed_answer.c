#include "authority/routes/feed_answer.h"

#include <inttypes.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/batch.h"
#include "authority/routes/feed_state.h"

enum {
    ANSWERS_KEPT_COUNT = 128, /* most are pages of LIMIT_FEED_PAGE_BYTES */
    EVENTS_KEPT_COUNT = 64,   /* one that tells of a big job takes a megabyte */
    SNAPSHOT_KEPT_S = 60,
};

/* Whom an answer is for, and of what. */
struct answer_name {
    bool snapshot;
    enum host_role role;
    char cluster[LIMIT_CLUSTER_NAME_CHARS + 1];
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1];
    enum snapshot_step
        step; /* of a snapshot: where a page begins, with `since` for what it is after */
    uint64_t since;
    uint64_t revision; /* 0: any, for the first page of a snapshot */
};

struct kept_answer {
    struct answer_name name;
    struct snapshot_page page; /* of a snapshot: how it ends */
    int64_t built_at;
    struct buf text; /* empty: there is none */
};

struct feed_answers {
    struct kept_answer kept[ANSWERS_KEPT_COUNT];
    size_t next_kept;
    struct feed_event *events[EVENTS_KEPT_COUNT]; /* by revision; committed ones alone */
};

err_t feed_answers_new(struct feed_answers **out) {
    struct feed_answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < ANSWERS_KEPT_COUNT; i++) {
        buf_init(&answers->kept[i].text, LIMIT_HTTP_ANSWER_BYTES);
    }
    *out = answers;
    return OK;
}

void feed_answers_free(struct feed_answers *answers) {
    if (answers == NULL) {
        return;
    }
    for (size_t i = 0; i < ANSWERS_KEPT_COUNT; i++) {
        buf_done(&answers->kept[i].text);
    }
    for (size_t i = 0; i < EVENTS_KEPT_COUNT; i++) {
        feed_event_free(answers->events[i]);
    }
    free(answers);
}

/* ---- events, as they are ----------------------------------------------------------------- */

struct reading {
    struct feed_answers *answers;
    bool keep; /* nothing that is not committed: its revision could be given to another */
    size_t count;
    err_t (*each)(void *context, const struct feed_event *event);
    void *context;
};

static err_t read_event(void *context, const struct event *event) {
    struct reading *reading = context;
    struct feed_event *parsed;
    TRY(feed_event_parse(event, &parsed));
    reading->count++;
    err_t err = reading->each(reading->context, parsed);
    if (reading->keep) {
        struct feed_event **slot = &reading->answers->events[parsed->revision % EVENTS_KEPT_COUNT];
        feed_event_free(*slot);
        *slot = parsed;
    } else {
        feed_event_free(parsed);
    }
    return err;
}

static bool are_kept(const struct feed_answers *answers, uint64_t since, uint64_t newest) {
    bool kept = newest - since <= EVENTS_KEPT_COUNT;
    for (uint64_t revision = since + 1; kept && revision <= newest; revision++) {
        const struct feed_event *event = answers->events[revision % EVENTS_KEPT_COUNT];
        kept = event != NULL && event->revision == revision;
    }
    return kept;
}

static err_t each_event(struct authority *authority, struct feed_answers *answers, uint64_t since,
                        uint64_t newest,
                        err_t (*each)(void *context, const struct feed_event *event),
                        void *context) {
    if (are_kept(answers, since, newest)) {
        for (uint64_t revision = since + 1; revision <= newest; revision++) {
            TRY(each(context, answers->events[revision % EVENTS_KEPT_COUNT]));
        }
        return OK;
    }
    struct reading reading = {answers, !batch_published(authority), 0, each, context};
    TRY(store_event_list(authority->store, since, LIMIT_FEED_EVENTS_COUNT, read_event, &reading));
    /* Revisions are without gaps; an answer that skips one would lose a revocation. */
    INVARIANT(reading.count == newest - since);
    return OK;
}

/* ---- answers that are shared ------------------------------------------------------------- */

static struct answer_name name_of(const struct feed_reader *reader, bool snapshot, uint64_t since,
                                  uint64_t revision) {
    struct answer_name name = {
        .snapshot = snapshot,
        .role = reader->role,
        .since = since,
        .revision = revision,
    };
    memcpy(name.cluster, reader->cluster, sizeof name.cluster);
    memcpy(name.account, reader->account, sizeof name.account);
    return name;
}

static const struct kept_answer *find_kept(const struct feed_answers *answers,
                                           const struct answer_name *name, int64_t now) {
    for (size_t i = 0; i < ANSWERS_KEPT_COUNT; i++) {
        const struct kept_answer *kept = &answers->kept[i];
        if (kept->text.len != 0 && kept->name.snapshot == name->snapshot &&
            kept->name.role == name->role && kept->name.since == name->since &&
            kept->name.step == name->step &&
            (name->revision == 0 || kept->name.revision == name->revision) &&
            strcmp(kept->name.cluster, name->cluster) == 0 &&
            strcmp(kept->name.account, name->account) == 0 &&
            (!name->snapshot || now - kept->built_at < SNAPSHOT_KEPT_S)) {
            return kept;
        }
    }
    return NULL;
}

/* A copy that cannot be kept is no failure: it is built again. */
static void keep(struct authority *authority, struct feed_answers *answers,
                 const struct answer_name *name, const struct snapshot_page *page, int64_t now,
                 span_t text) {
    struct kept_answer *kept = &answers->kept[answers->next_kept];
    if (batch_published(authority)) {
        return;
    }
    buf_done(&kept->text);
    kept->name = *name;
    kept->page = page != NULL ? *page : (struct snapshot_page){0};
    kept->built_at = now;
    if (!failed(buf_add(&kept->text, text))) {
        answers->next_kept = (answers->next_kept + 1) % ANSWERS_KEPT_COUNT;
    }
}

/* ---- what changed ------------------------------------------------------------------------ */

struct telling {
    const struct feed_reader *reader;
    struct buf *out;
    bool concerned, alone, anew;
};

/* Whether it says that the reader itself is another than it was. */
static bool is_reader(const struct feed_event *event, struct feed_judgement judgement) {
    return event->kind == CHANGE_HOST && judgement.alone && judgement.verdict == FEED_PASS;
}

static err_t judge_event(void *context, const struct feed_event *event) {
    struct telling *telling = context;
    struct feed_judgement judgement = feed_judge(event, telling->reader);
    telling->concerned |= judgement.verdict != FEED_SKIP;
    telling->alone |= judgement.alone;
    telling->anew |= is_reader(event, judgement);
    return OK;
}

static err_t encode_event(void *context, const struct feed_event *event) {
    const struct telling *telling = context;
    return feed_event_encode(event, telling->reader, feed_judge(event, telling->reader).verdict,
                             telling->out);
}

static err_t build_events(struct authority *authority, struct feed_answers *answers,
                          struct telling *telling, uint64_t since, uint64_t newest) {
    TRY(change_answer_begin(telling->out, newest, false));
    TRY(each_event(authority, answers, since, newest, encode_event, telling));
    return change_answer_end(telling->out);
}

err_t feed_answer_events(struct authority *authority, struct feed_answers *answers,
                         const struct feed_reader *reader, uint64_t since, uint64_t newest,
                         enum feed_outcome *outcome, struct buf *out) {
    struct telling telling = {.reader = reader, .out = out};
    struct answer_name name = name_of(reader, false, since, newest);
    TRY(each_event(authority, answers, since, newest, judge_event, &telling));
    if (!telling.concerned || telling.anew) {
        *outcome = telling.anew ? FEED_ANEW : FEED_NOTHING;
        return OK;
    }
    const struct kept_answer *kept = telling.alone ? NULL : find_kept(answers, &name, 0);
    if (kept != NULL) {
        TRY(buf_add(out, buf_span(&kept->text)));
    } else {
        TRY(build_events(authority, answers, &telling, since, newest));
        if (!telling.alone) {
            keep(authority, answers, &name, NULL, 0, buf_span(out));
        }
    }
    *outcome = FEED_EVENTS;
    return OK;
}

/* ---- pages of a snapshot ------------------------------------------------------------------ */

/* Whether a snapshot may begin at a revision some time ago: what changed since is told at its end,
 * unless that is too much, or that the reader itself is another. */
static err_t can_begin(struct authority *authority, struct feed_answers *answers,
                       const struct feed_reader *reader, uint64_t revision, uint64_t newest,
                       bool *out) {
    struct telling telling = {.reader = reader};
    bool few = newest - revision <= LIMIT_FEED_EVENTS_COUNT;
    TRY(few ? each_event(authority, answers, revision, newest, judge_event, &telling) : OK);
    *out = few && !telling.anew;
    return OK;
}

/* What every host of the role and cluster is told: as it was kept, or made now. */
static err_t add_shared(struct authority *authority, struct feed_answers *answers,
                        const struct feed_reader *reader, uint64_t newest, int64_t now,
                        struct snapshot_page *page, struct buf *out) {
    struct answer_name name = name_of(reader, true, 0, page->cursor.revision);
    name.step = page->cursor.step;
    name.since = page->cursor.after;
    const struct kept_answer *kept = find_kept(answers, &name, now);
    bool fits = kept != NULL;
    if (fits && page->cursor.revision == 0) {
        TRY(can_begin(authority, answers, reader, kept->page.cursor.revision, newest, &fits));
    }
    if (fits) {
        *page = kept->page;
        return buf_add(out, buf_span(&kept->text));
    }
    page->cursor.revision = page->cursor.revision == 0 ? newest : page->cursor.revision;
    TRY(change_page_begin(out));
    TRY(snapshot_add(authority, reader, now, SNAPSHOT_SELF, page, out));
    name.revision = page->cursor.revision;
    keep(authority, answers, &name, page, now, buf_span(out));
    return OK;
}

struct paging {
    const struct feed_reader *reader;
    struct snapshot_page *page;
    struct buf *out;
};

static err_t add_event(void *context, const struct feed_event *event) {
    struct paging *paging = context;
    struct snapshot_page *page = paging->page;
    if (page->full || !snapshot_page_has_room(page, 1, paging->out)) {
        page->full = true;
        return OK;
    }
    struct feed_judgement judgement = feed_judge(event, paging->reader);
    if (is_reader(event, judgement)) {
        return FAIL(ERR_NOT_FOUND); /* the pages before were for what it was */
    }
    page->seen++;
    page->count += judgement.verdict != FEED_SKIP ? 1 : 0;
    page->cursor.after = event->revision;
    return feed_event_encode(event, paging->reader, judgement.verdict, paging->out);
}

/* What changed since the first page, as far as there is room. */
static err_t add_events(struct authority *authority, struct feed_answers *answers,
                        struct paging *paging, uint64_t newest) {
    struct snapshot_cursor *cursor = &paging->page->cursor;
    uint64_t since = cursor->after > cursor->revision ? cursor->after : cursor->revision;
    if (since > newest) {
        return FAIL(ERR_NOT_FOUND); /* as no page told */
    }
    uint64_t until =
        newest - since > LIMIT_FEED_EVENTS_COUNT ? since + LIMIT_FEED_EVENTS_COUNT : newest;
    cursor->after = since;
    TRY(each_event(authority, answers, since, until, add_event, paging));
    paging->page->full |= until < newest;
    return OK;
}

static err_t end_page(const struct snapshot_page *page, bool continues, uint64_t newest,
                      struct buf *out) {
    char next[SNAPSHOT_CURSOR_CHARS];
    snapshot_cursor_print(&page->cursor, next);
    uint64_t told =
        page->cursor.step == SNAPSHOT_EVENTS ? page->cursor.after : page->cursor.revision;
    const struct change_answer end = {.revision = page->full ? told : newest,
                                      .snapshot = true,
                                      .continues = continues,
                                      .more = page->full,
                                      .next = next};
    return change_page_end(out, &end);
}

static void print_next(const struct snapshot_page *page, char out[FEED_NEXT_CHARS]) {
    char after[SNAPSHOT_CURSOR_CHARS];
    snapshot_cursor_print(&page->cursor, after);
    (void)snprintf(out, page->full ? FEED_NEXT_CHARS : 1, "?snapshot=%" PRIu64 "&after=%s",
                   page->cursor.revision, after);
}

err_t feed_answer_page(struct authority *authority, struct feed_answers *answers,
                       const struct feed_reader *reader, const struct snapshot_cursor *cursor,
                       uint64_t newest, int64_t now, char next[FEED_NEXT_CHARS], struct buf *out) {
    struct snapshot_page page = {.full = false};
    struct paging paging = {reader, &page, out};
    if (cursor != NULL) {
        page.cursor = *cursor;
    }
    TRY(page.cursor.step < SNAPSHOT_SELF
            ? add_shared(authority, answers, reader, newest, now, &page, out)
            : change_page_begin(out));
    TRY(page.full ? OK : snapshot_add(authority, reader, now, SNAPSHOT_EVENTS, &page, out));
    TRY(page.full ? OK : add_events(authority, answers, &paging, newest));
    TRY(end_page(&page, cursor != NULL, newest, out));
    print_next(&page, next);
    return OK;
}
