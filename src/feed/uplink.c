#include "feed/uplink.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "ssh/wire.h"

enum { QUESTION_HEAD_BYTES = 4 + 1, ANSWER_HEAD_BYTES = 4 + 4 };

static void json_freep(json_t **json) { json_decref(*json); }

/* --- frames --- */

/* The frame's content; *stream stays where it is. */
static err_t get_frame(span_t stream, size_t min, size_t max, span_t *content) {
    uint32_t len;
    TRY(wire_get_u32(&stream, &len));
    if (len > max) {
        return FAIL(ERR_TOO_LONG);
    }
    if (len < min) {
        return FAIL(ERR_MALFORMED);
    }
    return wire_get_bytes(&stream, len, content);
}

static void skip_frame(span_t *stream, span_t content) {
    size_t taken = (size_t)(content.data - stream->data) + content.len;
    *stream = span_of(stream->data + taken, stream->len - taken);
}

err_t uplink_get_question(span_t *stream, struct uplink_question *out) {
    struct uplink_question question = {0};
    span_t content;
    uint8_t call;
    TRY(get_frame(*stream, QUESTION_HEAD_BYTES, LIMIT_UPLINK_FRAME_BYTES, &content));
    question.body = content;
    TRY(wire_get_u32(&question.body, &question.id));
    TRY(wire_get_u8(&question.body, &call));
    if (call < UPLINK_WINDOW || call > UPLINK_ANEW) {
        return FAIL(ERR_MALFORMED);
    }
    question.call = (enum uplink_call)call;
    skip_frame(stream, content);
    *out = question;
    return OK;
}

err_t uplink_put_question(struct buf *out, uint32_t id, enum uplink_call call, span_t body) {
    if (body.len > LIMIT_UPLINK_FRAME_BYTES - QUESTION_HEAD_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t before = out->len;
    err_t err = wire_put_u32(out, (uint32_t)(QUESTION_HEAD_BYTES + body.len));
    err = failed(err) ? err : wire_put_u32(out, id);
    err = failed(err) ? err : wire_put_u8(out, (uint8_t)call);
    err = failed(err) ? err : buf_add(out, body);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}

err_t uplink_get_answer(span_t *stream, struct uplink_answer *out) {
    struct uplink_answer answer = {0};
    span_t content;
    uint32_t status;
    TRY(get_frame(*stream, ANSWER_HEAD_BYTES, ANSWER_HEAD_BYTES + LIMIT_UPLINK_ANSWER_BYTES,
                  &content));
    answer.body = content;
    TRY(wire_get_u32(&answer.body, &answer.id));
    TRY(wire_get_u32(&answer.body, &status));
    answer.status = status;
    skip_frame(stream, content);
    *out = answer;
    return OK;
}

err_t uplink_put_answer(struct buf *out, uint32_t id, unsigned status, span_t body) {
    if (body.len > LIMIT_UPLINK_ANSWER_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    size_t before = out->len;
    err_t err = wire_put_u32(out, (uint32_t)(ANSWER_HEAD_BYTES + body.len));
    err = failed(err) ? err : wire_put_u32(out, id);
    err = failed(err) ? err : wire_put_u32(out, status);
    err = failed(err) ? err : buf_add(out, body);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}

/* --- bodies: written by hand, as a JSON library would leave copies of the password behind --- */

/* `lead` is what stands before the value. */
static err_t put_text(struct buf *out, const char *lead, span_t text) {
    if (!text_is_utf8(text)) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(buf_add_str(out, lead));
    TRY(buf_add_byte(out, '"'));
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            TRY(buf_add_byte(out, '\\'));
        }
        TRY(buf_add_byte(out, text.data[i]));
    }
    return buf_add_byte(out, '"');
}

static err_t put_source(struct buf *out, const struct inet_address *source) {
    char text[INET_CHARS];
    inet_address_print(source, text);
    return put_text(out, ",\"source\":", span_str(text));
}

err_t uplink_put_window(struct buf *out, span_t username, const secret_t *password,
                        const struct inet_address *source) {
    TRY(put_text(out, "{\"username\":", username));
    TRY(put_text(out, ",\"password\":", secret_span(password)));
    TRY(put_source(out, source));
    return buf_add_byte(out, '}');
}

static err_t put_bearer(struct buf *out, const struct uplink_bearer *bearer) {
    TRY(put_text(out, "{\"username\":", span_str(bearer->username)));
    if (bearer->token != NULL) {
        return put_text(out, ",\"token\":", span_str(bearer->token));
    }
    if (bearer->serial != 0) {
        return buf_add_format(out, ",\"serialNumber\":\"%llu\"",
                              (unsigned long long)bearer->serial);
    }
    INVARIANT(bearer->fingerprint != NULL);
    return put_text(out, ",\"fingerprint\":", span_str(bearer->fingerprint));
}

static span_t trim(span_t line) {
    while (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
        line = span_of(line.data + 1, line.len - 1);
    }
    while (line.len > 0 && strchr(" \t\r", line.data[line.len - 1]) != NULL &&
           line.data[line.len - 1] != '\0') {
        line.len--;
    }
    return line;
}

/* Up to the next line end, without it. */
static span_t take_line(span_t *rest) {
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
    span_t line = span_of(rest->data, len);
    size_t taken = len + (end != NULL);
    *rest = span_of(rest->data + taken, rest->len - taken);
    return line;
}

err_t uplink_put_keys(struct buf *out, const struct uplink_bearer *bearer, span_t lines,
                      const struct inet_address *source, size_t *count) {
    size_t found = 0;
    TRY(put_bearer(out, bearer));
    TRY(put_source(out, source));
    TRY(buf_add_str(out, ",\"publicKeys\":["));
    while (lines.len > 0) {
        span_t line = trim(take_line(&lines));
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        if (found == LIMIT_ENROLMENT_KEYS_COUNT) {
            return FAIL(ERR_RANGE);
        }
        TRY(put_text(out, found++ == 0 ? "" : ",", line));
    }
    TRY(buf_add_str(out, "]}"));
    *count = found;
    return found > 0 ? OK : FAIL(ERR_NOT_FOUND);
}

err_t uplink_put_event(struct buf *out, const struct uplink_event *event) {
    char at[TIME_CHARS];
    time_print_utc(event->at, at);
    TRY(put_text(out, "{\"action\":", span_str(event->action)));
    TRY(put_text(out, ",\"actor\":", span_str(event->actor)));
    TRY(buf_add_format(out, ",\"allowed\":%s", event->allowed ? "true" : "false"));
    TRY(put_text(out, ",\"code\":", span_str(event->code)));
    TRY(put_text(out, ",\"detail\":", span_str(event->detail)));
    TRY(put_source(out, event->source));
    TRY(put_text(out, ",\"time\":", span_str(at)));
    return buf_add_byte(out, '}');
}

static err_t put_destinations(struct buf *out, const struct uplink_session *session) {
    enum { ROOM_BYTES = LIMIT_GATE_SESSION_BYTES / 2 };
    size_t end = out->len + ROOM_BYTES;
    TRY(buf_add_str(out, ",\"destinations\":["));
    for (size_t i = 0; i < session->destination_count; i++) {
        const char *name = session->destinations[i];
        if (out->len + 2 * strlen(name) + 4 > end) {
            break;
        }
        TRY(put_text(out, i == 0 ? "" : ",", span_str(name)));
    }
    return buf_add_byte(out, ']');
}

err_t uplink_put_session(struct buf *out, const struct uplink_session *session) {
    char since[TIME_CHARS];
    time_print_utc(session->since, since);
    TRY(put_text(out, "{\"id\":", span_str(session->id)));
    TRY(put_text(out, ",\"account\":", span_str(session->account)));
    if (session->serial != 0) {
        TRY(buf_add_format(out, ",\"serialNumber\":\"%llu\"", (unsigned long long)session->serial));
    }
    if (session->fingerprint[0] != '\0') {
        TRY(put_text(out, ",\"keyFingerprint\":", span_str(session->fingerprint)));
    }
    TRY(put_source(out, session->source));
    TRY(put_text(out, ",\"sinceTime\":", span_str(since)));
    TRY(put_destinations(out, session));
    return buf_add_format(out, ",\"bytesIn\":%llu,\"bytesOut\":%llu}",
                          (unsigned long long)session->bytes_in,
                          (unsigned long long)session->bytes_out);
}

err_t uplink_put_ended(struct buf *out, const char *id) {
    TRY(put_text(out, "{\"id\":", span_str(id)));
    return buf_add_byte(out, '}');
}

/* --- bodies, read --- */

static err_t load(span_t body, json_t **out) {
    *out = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(*out) ? OK : FAIL(ERR_MALFORMED);
}

err_t uplink_get_session_id(span_t body, char out[UPLINK_SESSION_ID_CHARS + 1]) {
    json_t *root CLEANUP(json_freep) = NULL;
    if (body.len > LIMIT_GATE_SESSION_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(load(body, &root));
    const char *id = json_string_value(json_object_get(root, "id"));
    if (id == NULL || strlen(id) != UPLINK_SESSION_ID_CHARS ||
        strspn(id, "0123456789abcdef") != UPLINK_SESSION_ID_CHARS) {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(out, id, UPLINK_SESSION_ID_CHARS + 1);
    return OK;
}

err_t uplink_get_token(span_t body, secret_t *token) {
    json_t *root CLEANUP(json_freep) = NULL;
    TRY(load(body, &root));
    const char *text = json_string_value(json_object_get(root, "token"));
    return text == NULL || text[0] == '\0'
               ? FAIL(ERR_MALFORMED)
               : secret_copy(span_str(text), LIMIT_UPLINK_EVENT_BYTES, token);
}

static err_t tell_key(const json_t *item,
                      err_t (*each)(void *context, bool registered, const char *text),
                      void *context) {
    const json_t *registered = json_object_get(item, "registered");
    const char *text = json_string_value(json_object_get(item, "message"));
    return !json_is_boolean(registered) || text == NULL
               ? FAIL(ERR_MALFORMED)
               : each(context, json_is_true(registered), text);
}

err_t uplink_get_keys(span_t body, err_t (*each)(void *context, bool registered, const char *text),
                      void *context) {
    json_t *root CLEANUP(json_freep) = NULL;
    TRY(load(body, &root));
    const json_t *keys = json_object_get(root, "keys");
    if (!json_is_array(keys) || json_array_size(keys) == 0) {
        return FAIL(ERR_MALFORMED);
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        TRY(tell_key(json_array_get(keys, i), each, context));
    }
    return OK;
}

void uplink_get_message(span_t body, char *out, size_t size) {
    json_t *root CLEANUP(json_freep) = NULL;
    const char *text =
        failed(load(body, &root)) ? NULL : json_string_value(json_object_get(root, "message"));
    (void)snprintf(out, size, "%s", text != NULL ? text : "");
}
