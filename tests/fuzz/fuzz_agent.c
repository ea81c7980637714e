/* One message, read as everything it could be, and the same bytes as a stream of messages. What is
 * read, written again, is what was there. */
#include "fuzz.h"

#include "base/limits.h"
#include "ssh/agent.h"

enum { IDENTITIES_MAX = LIMIT_AGENT_KEYS_COUNT };

struct identities {
    struct agent_identity *of;
    size_t count;
};

static err_t collect(void *context, span_t blob, span_t comment) {
    struct identities *identities = context;
    INVARIANT(identities->count < IDENTITIES_MAX);
    identities->of[identities->count++] = (struct agent_identity){blob, comment};
    return OK;
}

static void check_frame(const struct buf *framed, span_t message) {
    span_t stream = buf_span(framed);
    span_t back;
    must(agent_get_frame(&stream, &back));
    INVARIANT(stream.len == 0 && span_equal(back, message));
}

static void read_as_request(span_t message) {
    struct agent_request request;
    struct buf framed CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES + 64);
    if (failed(agent_get_request(message, &request))) {
        return;
    }
    switch ((unsigned)request.type) {
    case AGENT_SIGN_REQUEST:
        must(agent_put_sign_request(&framed, request.key_blob, request.data, request.flags));
        check_frame(&framed, message);
        break;
    case AGENT_REMOVE_IDENTITY:
        must(agent_put_remove_identity(&framed, request.key_blob));
        check_frame(&framed, message);
        break;
    case AGENT_ADD_IDENTITY:
        /* type, key, comment with its length */
        INVARIANT(1 + request.private_key.len + 4 + request.comment.len == message.len);
        break;
    case AGENT_ADD_ID_CONSTRAINED:
        INVARIANT(1 + request.private_key.len + 4 + request.comment.len <= message.len);
        break;
    default:
        break;
    }
}

static void read_as_answer(span_t message) {
    struct buf framed CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES + 64);
    struct agent_identity *of CLEANUP(freep) = calloc(IDENTITIES_MAX, sizeof(*of));
    struct identities identities = {of, 0};
    span_t signature;
    INVARIANT(of != NULL);
    if (!failed(agent_get_identities(message, collect, &identities))) {
        must(agent_put_identities(&framed, identities.of, identities.count));
        check_frame(&framed, message);
    } else {
        INVARIANT(identities.count == 0);
    }
    buf_clear(&framed);
    if (!failed(agent_get_sign_response(message, &signature))) {
        must(agent_put_sign_response(&framed, signature));
        check_frame(&framed, message);
    }
    INVARIANT(failed(agent_get_success(message)) || message.len == 1);
}

static void read_message(span_t message) {
    if (message.len <= LIMIT_AGENT_MESSAGE_BYTES) {
        read_as_request(message);
        read_as_answer(message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t stream = span_of(data, size);
    span_t message;
    read_message(stream);
    while (!failed(agent_get_frame(&stream, &message))) {
        INVARIANT(message.len > 0);
        read_message(message);
    }
    return 0;
}
