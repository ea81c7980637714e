/* An answer of the feed that decodes can be written, and that decodes to the same. Nothing that
 * decodes holds what sshd's files must not hold: a line break, a quote, an unknown kind. */
#include "fuzz.h"

#include <string.h>

#include "base/limits.h"
#include "feed/change.h"

static void encode(const struct change_answer *answer, struct buf *out) {
    must(answer->snapshot ? change_page_begin(out)
                          : change_answer_begin(out, answer->revision, false));
    for (size_t i = 0; i < answer->count; i++) {
        must(change_answer_add_change(out, &answer->changes[i]));
    }
    must(answer->snapshot ? change_page_end(out, answer) : change_answer_end(out));
}

static void check_plain(const char *text) { INVARIANT(strpbrk(text, "\n\r\"\\ ,") == NULL); }

static void check_all_plain(const struct change_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        check_plain(list->items[i]);
    }
}

static void check_change(const struct change *change) {
    INVARIANT(change->kind > CHANGE_UNKNOWN && change->kind <= CHANGE_JOB);
    INVARIANT(change->key[0] != '\0');
    INVARIANT(change->kind != CHANGE_REVOCATION || change->revocation.serial != 0);
    if (change->gone) {
        return;
    }
    if (change->kind == CHANGE_ACCOUNT) {
        check_plain(change->key);
        check_all_plain(&change->account.clusters);
        check_all_plain(&change->account.subnets);
    } else if (change->kind == CHANGE_CA) {
        INVARIANT(strpbrk(change->ca.public_key, "\n\r\"") == NULL);
    } else if (change->kind == CHANGE_KEY) {
        INVARIANT(strpbrk(change->key_of.public_key, "\n\r\"") == NULL);
        check_all_plain(&change->key_of.subnets);
    } else if (change->kind == CHANGE_CLUSTER) {
        INVARIANT(change->cluster.node_access != 0 && change->cluster.credentials != 0);
    } else if (change->kind == CHANGE_JOB) {
        check_plain(change->key);
        check_plain(change->job.user);
        check_all_plain(&change->job.nodes);
        INVARIANT(strcmp(change->job.user, "root") != 0 && change->job.type != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct change_answer *answer CLEANUP(change_answer_freep) = NULL;
    struct change_answer *back CLEANUP(change_answer_freep) = NULL;
    struct fault fault = {0};
    struct buf first CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    struct buf second CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    err_t err = change_answer_decode(span_of(data, size), &answer, &fault);
    if (failed(err)) {
        INVARIANT(answer == NULL && (err.code == ERR_MEMORY || fault.reason[0] != '\0'));
        return 0;
    }
    for (size_t i = 0; i < answer->count; i++) {
        check_change(&answer->changes[i]);
    }
    INVARIANT(answer->snapshot || (!answer->continues && !answer->more));
    INVARIANT(strpbrk(answer->next, "&?#%/ \"\\") == NULL); /* it goes into a path as it is */
    encode(answer, &first);
    must(change_answer_decode(buf_span(&first), &back, &fault));
    encode(back, &second);
    INVARIANT(span_equal(buf_span(&first), buf_span(&second)));
    return 0;
}
