/* The input as a request, an answer, a chunked body and a URL. What a parser lets through can hide
 * nothing from the next reader, and how the bytes are cut makes no difference. */
#include "fuzz.h"

#include <string.h>

#include "base/text.h"
#include "net/http_message.h"
#include "net/http_url.h"

enum { BODY_BYTES = 64 * 1024 };

static void check_fields(const struct http_head *head) {
    for (size_t i = 0; i < head->field_count; i++) {
        INVARIANT(http_field_name_ok(head->fields[i].name));
        INVARIANT(http_field_value_ok(head->fields[i].value));
    }
    bool has_length = http_head_field(head, "Content-Length") != NULL;
    bool has_coding = http_head_field(head, "Transfer-Encoding") != NULL;
    INVARIANT(!has_length || !has_coding);
}

static void read_as_request(span_t input) {
    struct http_head head = {0};
    struct http_field params[LIMIT_HTTP_QUERY_COUNT];
    size_t param_count;
    const char *path;
    char *text CLEANUP(freep) = malloc(input.len > 0 ? input.len : 1);
    INVARIANT(text != NULL);
    if (input.len > 0) {
        memcpy(text, input.data, input.len);
    }
    size_t scanned = 0;
    size_t len = http_head_length(text, input.len, &scanned);
    if (len == 0 || failed(http_head_parse_request(text, len, &head))) {
        return;
    }
    check_fields(&head);
    INVARIANT(head.framing != HTTP_BODY_UNTIL_CLOSE);
    INVARIANT(head.minor == 0 || http_head_field(&head, "Host") != NULL);
    if (failed(http_target_parse(head.target, &path, params, &param_count))) {
        return;
    }
    INVARIANT(*path == '/' && text_is_utf8(span_str(path)));
    for (size_t i = 0; i < param_count; i++) {
        INVARIANT(text_is_utf8(span_str(params[i].name)) &&
                  text_is_utf8(span_str(params[i].value)));
        for (size_t j = 0; j < i; j++) {
            INVARIANT(strcmp(params[i].name, params[j].name) != 0);
        }
    }
}

static void read_as_answer(span_t input) {
    struct http_head head;
    char *text CLEANUP(freep) = malloc(input.len > 0 ? input.len : 1);
    INVARIANT(text != NULL);
    if (input.len > 0) {
        memcpy(text, input.data, input.len);
    }
    size_t scanned = 0;
    size_t len = http_head_length(text, input.len, &scanned);
    if (len > 0 && !failed(http_head_parse_answer(text, len, false, &head))) {
        check_fields(&head);
        INVARIANT(head.status >= 100 && head.status <= 999);
    }
}

/* The whole at once, and cut where the first byte says. */
static void read_as_chunks(span_t input) {
    struct http_chunks whole = {0};
    struct http_chunks cut = {0};
    struct buf body CLEANUP(buf_done) = BUF(BODY_BYTES);
    struct buf cut_body CLEANUP(buf_done) = BUF(BODY_BYTES);
    span_t rest = input;
    err_t err = http_chunks_take(&whole, &rest, &body);
    span_t first = span_of(input.data, input.len == 0 ? 0 : input.data[0] % input.len);
    span_t second = span_of(input.data + first.len, input.len - first.len);
    err_t cut_err = http_chunks_take(&cut, &first, &cut_body);
    if (!failed(cut_err) && !cut.finished) {
        INVARIANT(first.len == 0);
        cut_err = http_chunks_take(&cut, &second, &cut_body);
    }
    INVARIANT(err.code == cut_err.code);
    INVARIANT(whole.finished == cut.finished);
    if (!failed(err)) {
        INVARIANT(span_equal(buf_span(&body), buf_span(&cut_body)));
    }
}

static void read_as_url(span_t input) {
    struct http_url url;
    char *text CLEANUP(freep) = NULL;
    if (failed(span_to_str(input, &text)) || failed(http_url_parse(text, &url, NULL))) {
        return;
    }
    INVARIANT(url.host[0] != '\0' && http_field_value_ok(url.authority));
    INVARIANT(url.prefix[0] == '\0' || url.prefix[0] == '/');
    (void)http_url_exempt(text, url.host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span_t input = span_of(data, size);
    read_as_request(input);
    read_as_answer(input);
    read_as_chunks(input);
    read_as_url(input);
    return 0;
}
