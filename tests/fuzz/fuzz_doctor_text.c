/* What the doctor reads that others wrote: no secret gets into a report, and edits of files lose
 * just what they are about. */
#include <string.h>

#include "cli/doctor/config_text.h"
#include "cli/doctor/redact.h"
#include "cli/doctor/ssh_words.h"
#include "fuzz.h"

enum { INPUT_BYTES_MAX = 16 * 1024, OUTPUT_BYTES_MAX = 64 * INPUT_BYTES_MAX };

static const char secret[] = "the-secret-of-this-test";

/* Wherever in the text a secret stands, it is not in what comes out. */
static void check_redacted(span_t text, size_t at) {
    static const char *const secrets[] = {secret};
    const struct redaction how = {.home = "/h", .secrets = secrets, .secret_count = 1};
    struct buf in CLEANUP(buf_done) = BUF(INPUT_BYTES_MAX + sizeof secret);
    struct buf out CLEANUP(buf_done) = BUF(OUTPUT_BYTES_MAX);
    INVARIANT(!failed(buf_add(&in, span_of(text.data, at))));
    INVARIANT(!failed(buf_add_str(&in, secret)));
    INVARIANT(!failed(buf_add(&in, span_of(text.data + at, text.len - at))));
    if (!failed(redact(buf_span(&in), &how, &out)) && out.data != NULL) {
        INVARIANT(memmem(out.data, out.len, secret, sizeof secret - 1) == NULL);
        INVARIANT(memchr(out.data, '\x1b', out.len) == NULL);
    }
}

static void check_edits(span_t text) {
    struct buf out CLEANUP(buf_done) = BUF(INPUT_BYTES_MAX);
    struct config_look look;
    INVARIANT(!failed(text_strip_cr(text, &out)));
    config_look(buf_span(&out), "cscs", &look);
    INVARIANT(!look.has_cr && out.len <= text.len);
    char value[CONFIG_VALUE_CHARS];
    unsigned line = config_find(text, "daint", "User", value);
    if (line > 0) {
        INVARIANT(strlen(value) < CONFIG_VALUE_CHARS);
        buf_clear(&out);
        INVARIANT(!failed(text_drop_line(text, line, &out)) && out.len < text.len);
    }
    /* Foreign marked lines go one by one, and then there is none. */
    line = known_hosts_marked(text, NULL, 0, false);
    INVARIANT(known_hosts_marked(text, NULL, 0, true) == 0);
    if (line > 0) {
        buf_clear(&out);
        INVARIANT(!failed(text_drop_line(text, line, &out)) && out.len < text.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ssh_verdict verdict;
    if (size < 2 || size > INPUT_BYTES_MAX) {
        return 0;
    }
    span_t text = span_of(data + 2, size - 2);
    size_t at = (size_t)(data[0] * 256 + data[1]) % (text.len + 1);
    ssh_words_read(text, &verdict);
    INVARIANT(memchr(verdict.said, '\0', sizeof verdict.said) != NULL);
    INVARIANT(memchr(verdict.host, '\0', sizeof verdict.host) != NULL);
    INVARIANT(memchr(verdict.file, '\0', sizeof verdict.file) != NULL);
    check_redacted(text, at);
    check_edits(text);
    return 0;
}
