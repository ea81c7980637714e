/*
 * What the gate's processes read from one another, from a first byte that says which: the master's
 * frames and the setup in them, a worker's question for a name, a request to sign. What is read,
 * written again, is what was there; and nothing is signed that an SSH server does not sign.
 */
#include "fuzz.h"

#include "gate/control.h"
#include "gate/keys.h"
#include "gate/names.h"
#include "ssh/agent.h"
#include "ssh/wire.h"

static void read_frames(span_t stream) {
    struct control_frame frame;
    for (span_t before = stream; !failed(control_get(&stream, 4096, &frame)); before = stream) {
        struct buf again CLEANUP(buf_done) = BUF(8192);
        INVARIANT(frame.fd_count <= CONTROL_FDS_MAX && frame.body.len <= 4096);
        must(control_put(&again, frame.type, frame.fd_count, frame.body));
        INVARIANT(span_equal(buf_span(&again), span_of(before.data, before.len - stream.len)));
    }
}

static void read_setup(span_t body) {
    struct control_setup setup;
    struct buf again CLEANUP(buf_done) = BUF(CONTROL_BODY_BYTES_MAX + LIMIT_WIRE_STRING_BYTES);
    if (failed(control_get_setup(body, &setup))) {
        return;
    }
    INVARIANT(setup.count > 0 && setup.count <= GATE_HOST_KEYS_MAX);
    must(control_put_setup(&again, &setup));
    INVARIANT(span_equal(buf_span(&again), body));
}

static void read_names(span_t stream) {
    struct names_request request;
    while (!failed(names_get_request(&stream, &request))) {
        size_t len = strlen(request.name);
        INVARIANT(len > 0 && len <= LIMIT_HOST_NAME_CHARS);
        for (size_t i = 0; i < len; i++) {
            char byte = request.name[i];
            INVARIANT(byte > ' ' && byte < 0x7f && !(byte >= 'A' && byte <= 'Z'));
        }
    }
}

/* One key for the whole run. */
static struct host_keys *host_keys(void) {
    static struct host_keys keys;
    if (keys.count == 0) {
        must(private_key_generate(KEY_ED25519, 256, &keys.keys[keys.count++]));
    }
    return &keys;
}

static void read_sign_request(span_t message) {
    struct buf answers CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    must(keys_answer(host_keys(), message, &answers));
    span_t stream = buf_span(&answers), answer;
    must(agent_get_frame(&stream, &answer));
    INVARIANT(stream.len == 0);
    INVARIANT(answer.data[0] == AGENT_FAILURE || answer.data[0] == AGENT_SIGN_RESPONSE);
}

/* The same data asked of the key that is there. */
static void read_data_to_sign(span_t data) {
    const struct key *key = private_key_public(host_keys()->keys[0]);
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    struct buf answers CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t stream, message, signature, name;
    if (data.len > KEYS_MESSAGE_BYTES) {
        return;
    }
    must(agent_put_sign_request(&request, key_blob(key), data, 0));
    stream = buf_span(&request);
    must(agent_get_frame(&stream, &message));
    must(keys_answer(host_keys(), message, &answers));
    bool is_signed = !failed(agent_get_sign_response(
        span_of(answers.data + sizeof(uint32_t), answers.len - sizeof(uint32_t)), &signature));
    bool is_hash = data.len == 32 || data.len == 48 || data.len == 64;
    bool is_proof = !failed(wire_get_string(&data, &name)) &&
                    span_equal_str(name, "hostkeys-prove-00@openssh.com");
    INVARIANT(!is_hash || is_signed);
    INVARIANT(!is_signed || is_hash || is_proof);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const readers[])(span_t) = {read_frames, read_setup, read_names,
                                              read_sign_request, read_data_to_sign};
    if (size > 0) {
        readers[data[0] % COUNT_OF(readers)](span_of(data + 1, size - 1));
    }
    return 0;
}
