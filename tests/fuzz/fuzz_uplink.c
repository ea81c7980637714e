/* Frames between a gate and postern-host: what is taken off the front is put back to the same
 * bytes, what is refused is left alone, and one that is cut short is waited for. Lines of keys
 * become JSON that reads, or nothing. */
#include "fuzz.h"

#include <jansson.h>

#include "feed/uplink.h"

static bool is_known(err_t err) {
    return err.code == ERR_TRUNCATED || err.code == ERR_TOO_LONG || err.code == ERR_MALFORMED;
}

static void check_questions(span_t stream) {
    for (;;) {
        span_t before = stream;
        struct uplink_question question = {.id = 77};
        err_t err = uplink_get_question(&stream, &question);
        if (failed(err)) {
            INVARIANT(is_known(err) && question.id == 77 && stream.data == before.data &&
                      stream.len == before.len);
            return;
        }
        struct buf again CLEANUP(buf_done) = BUF(before.len + 64);
        must(uplink_put_question(&again, question.id, question.call, question.body));
        INVARIANT(span_equal(buf_span(&again), span_of(before.data, before.len - stream.len)));
        span_t cut = span_of(before.data, before.len - stream.len - 1);
        INVARIANT(uplink_get_question(&cut, &question).code == ERR_TRUNCATED);
    }
}

static void check_answers(span_t stream) {
    for (;;) {
        span_t before = stream;
        struct uplink_answer answer = {.id = 77};
        err_t err = uplink_get_answer(&stream, &answer);
        if (failed(err)) {
            INVARIANT(is_known(err) && answer.id == 77 && stream.len == before.len);
            return;
        }
        struct buf again CLEANUP(buf_done) = BUF(before.len + 64);
        must(uplink_put_answer(&again, answer.id, answer.status, answer.body));
        INVARIANT(span_equal(buf_span(&again), span_of(before.data, before.len - stream.len)));
    }
}

static void check_keys(span_t lines) {
    static const struct inet_address source = {.family_bits = 32};
    struct uplink_bearer bearer = {.username = "alice", .serial = 1};
    struct buf body CLEANUP(buf_done) = BUF(LIMIT_UPLINK_FRAME_BYTES);
    size_t count = 0;
    if (!failed(uplink_put_keys(&body, &bearer, lines, &source, &count))) {
        json_t *root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
        INVARIANT(root != NULL && json_array_size(json_object_get(root, "publicKeys")) == count &&
                  count > 0);
        json_decref(root);
    }
}

static err_t take_key(void *context, bool registered, const char *text) {
    (void)registered;
    *(size_t *)context += strlen(text);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t input = span_of(data, size);
    char message[64];
    size_t chars = 0;
    secret_t token = {0};
    check_questions(input);
    check_answers(input);
    check_keys(input);
    ignore_err(uplink_get_keys(input, take_key, &chars));
    if (!failed(uplink_get_token(input, &token))) {
        INVARIANT(token.len > 0);
    }
    secret_done(&token);
    uplink_get_message(input, message, sizeof message);
    return 0;
}
