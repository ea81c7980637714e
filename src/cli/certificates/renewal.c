#include "cli/certificates/renewal.h"

/* Of one that ends beyond what a signed number holds nobody sees the end. */
static bool has_end(const struct renewal_facts *facts) { return facts->valid_before <= INT64_MAX; }

int64_t renewal_margin(const struct renewal_facts *facts) {
    if (!has_end(facts)) {
        return 0;
    }
    int64_t end = (int64_t)facts->valid_before;
    int64_t begin = facts->valid_after > INT64_MAX ? end : (int64_t)facts->valid_after;
    /* A file that was copied is younger than its certificate; one from the future (a clock that
     * was set back) or from before the certificate says nothing. */
    if (facts->written_at > begin && facts->written_at < end) {
        begin = facts->written_at;
    }
    int64_t half = begin < end ? (end - begin) / 2 : 0;
    return facts->margin_s < half ? facts->margin_s : half;
}

bool renewal_is_due(const struct renewal_facts *facts, int64_t now) {
    return has_end(facts) && (int64_t)facts->valid_before - renewal_margin(facts) <= now;
}
