/*
 * Any text as a person's ~/.ssh/config. What is added is added once, whichever form it has, and
 * what stays after it is taken away is what was there but for lines of ours.
 */
#include "fuzz.h"

#include <string.h>

#include "cli/config/person_config.h"

enum { TEXT_BYTES = 4 * 1024 * 1024 };

static err_t edit(span_t text, const struct person_config *want, struct buf *out) {
    buf_clear(out);
    return person_config_edit(text, want, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const sites[] = {"cscs"};
    static const char block[] = "Host ela\n    User alice\n";
    const struct person_config remove = {
        .ssh_folder = "/home/alice/.ssh", .site = "cscs", .same_home = true};
    struct person_config add = remove;
    struct buf bare CLEANUP(buf_done) = BUF(TEXT_BYTES);
    struct buf with CLEANUP(buf_done) = BUF(TEXT_BYTES);
    struct buf again CLEANUP(buf_done) = BUF(TEXT_BYTES);
    span_t text = span_of(data, size);
    err_t err = edit(text, &remove, &bare);
    if (failed(err)) {
        INVARIANT(err.code == ERR_TRUNCATED || err.code == ERR_MALFORMED);
        return 0;
    }
    INVARIANT(bare.len <= size);
    for (int form = 0; form < 2; form++) {
        add.sites = form == 0 ? sites : NULL;
        add.site_count = form == 0 ? 1 : 0;
        add.block = form == 0 ? (span_t){0} : span_of(block, sizeof block - 1);
        must(edit(text, &add, &with));
        INVARIANT(with.len >= bare.len);
        must(edit(buf_span(&with), &add, &again));
        INVARIANT(span_equal(buf_span(&with), buf_span(&again)));
        must(edit(buf_span(&with), &remove, &again));
        INVARIANT(span_equal(buf_span(&bare), buf_span(&again)));
    }
    buf_clear(&again);
    must(person_config_ignored(text, &again));
    INVARIANT(again.len <= size + 1);
    return 0;
}
