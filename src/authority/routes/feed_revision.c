/*
 * The feed's revisions never go back, although a store may: it is restored from a backup, or an
 * older file is put in its place. A host that was told more would take the events of what happens
 * from then on for those it had not heard of yet, and miss what the store had lost.
 *
 * So the highest revision that was told is noted in a file beside the store. A store that knows
 * less than the note, or has none, goes on at a revision that no host can have: the time in
 * microseconds, which is beyond what an earlier restore chose and all events since. To every host
 * it then looks as if the events that it lacks were pruned, and it gets a snapshot.
 */
#include <inttypes.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/store_file.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

enum { NOTE_BYTES_MAX = 32 };

#define REVISION_MAX ((uint64_t)INT64_MAX / 2) /* of a note that is taken seriously */

static err_t read_note(const struct authority *authority, uint64_t *out) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(NOTE_BYTES_MAX);
    uint64_t revision;
    TRY(store_file_path(authority->config, STORE_FILE_REVISION, &path));
    TRY(file_read(path, &text));
    if (text.len == 0 || text.data[text.len - 1] != '\n') {
        return FAIL(ERR_MALFORMED);
    }
    TRY(u64_parse(span_of(text.data, text.len - 1), &revision));
    if (revision > REVISION_MAX) {
        return FAIL(ERR_RANGE);
    }
    *out = revision;
    return OK;
}

static err_t skip(struct store *store, uint64_t newest, uint64_t noted, err_t read) {
    char had[24], next[24];
    uint64_t highest = noted > newest ? noted : newest, time = (uint64_t)clock_now_ms() * 1000;
    uint64_t to = time > highest ? time : highest + 1;
    TRY(store_event_skip(store, to));
    (void)snprintf(had, sizeof had, "%" PRIu64, newest);
    (void)snprintf(next, sizeof next, "%" PRIu64, to);
    log_event(LOG_LEVEL_WARN, "feed_revisions_skipped", "reason",
              failed(read) ? "no note beside the store says what hosts were told"
                           : "the store is older than what hosts were told",
              "revision", had, "goes_on_at", next, NULL);
    return OK;
}

err_t feed_revision_start(struct authority *authority) {
    uint64_t newest, oldest, noted = 0;
    TRY(store_event_revision(authority->store, &newest, &oldest));
    err_t err = read_note(authority, &noted);
    bool is_new = err.code == ERR_NOT_FOUND && newest == 0;
    return is_new || (!failed(err) && noted <= newest) ? OK
                                                       : skip(authority->store, newest, noted, err);
}

void feed_revision_note(const struct authority *authority, uint64_t revision) {
    char *path CLEANUP(freep) = NULL;
    char text[NOTE_BYTES_MAX];
    (void)snprintf(text, sizeof text, "%" PRIu64 "\n", revision);
    err_t err = store_file_path(authority->config, STORE_FILE_REVISION, &path);
    if (!failed(err)) {
        err = file_replace(path, span_str(text), 0600, 0);
    }
    if (failed(err)) {
        log_error("feed_revision_not_noted", err, "revision", text, NULL);
    }
}
