/*
 * The file (PROTOCOL.krl 1.7): how serials are laid out in the fewest bytes, writing, parsing.
 */
#include "base/limits.h"
#include "ssh/krl_impl.h"
#include "ssh/wire.h"

static const uint8_t MAGIC[8] = {'S', 'S', 'H', 'K', 'R', 'L', '\n', 0};

enum {
    FORMAT_VERSION = 1,

    SECTION_CERTIFICATES = 1,
    SECTION_EXPLICIT_KEY = 2,
    SECTION_FINGERPRINT_SHA1 = 3,
    SECTION_SIGNATURE = 4,
    SECTION_FINGERPRINT_SHA256 = 5,
    SECTION_EXTENSION = 255,

    CERT_SERIAL_LIST = 0x20,
    CERT_SERIAL_RANGE = 0x21,
    CERT_SERIAL_BITMAP = 0x22,
    CERT_KEY_ID = 0x23,
    CERT_EXTENSION = 0x39,
};

/*
 * Layout. Going through the ranges in order, `best` is the least number of bytes for all up to
 * here, and each range ends in one of three ways: in a list section (perhaps continued), alone in a
 * range section, or in a bitmap section that started at it or at an earlier one. A bitmap of n bits
 * takes n/8 + 1 bytes: its last bit is set, and a full last byte needs the mpint's leading zero.
 */
enum {
    LIST_BYTES = 1 + 4,
    SERIAL_BYTES = 8,
    RANGE_BYTES = 1 + 4 + 8 + 8,
    BITMAP_BYTES = 1 + 4 + 8 + 4 + 1,
    /* A longer run costs less as a range, even where that ends a list that then starts again. */
    LIST_RUN_MAX = (RANGE_BYTES + LIST_BYTES) / SERIAL_BYTES,
};

struct section {
    uint8_t type;  /* CERT_SERIAL_… */
    uint32_t edge; /* while planning, its first range; then, one past its last */
};

struct candidate {
    bool usable;
    size_t start;
    uint64_t cost; /* of everything before and the section's fixed part; a list's serials too */
};

struct planner {
    const struct serial_range *ranges;
    uint64_t best;
    struct candidate list;
    /* One for each remainder of the first serial by 8: of two that agree in it, the one that is
     * cheaper now stays cheaper. */
    struct candidate bitmaps[8];
};

static bool fits_bitmap(uint64_t first, uint64_t last) {
    return last - first < LIMIT_KRL_BITMAP_BITS;
}

/* Lets a list and a bitmap start at range i where that is no dearer than going on with one. */
static void plan_start(struct planner *plan, size_t i) {
    struct serial_range range = plan->ranges[i];
    struct candidate *list = &plan->list;
    if (!list->usable || plan->best + LIST_BYTES <= list->cost) {
        *list = (struct candidate){true, i, plan->best + LIST_BYTES};
    }
    list->usable = range.last - range.first < LIST_RUN_MAX;
    list->cost += list->usable ? SERIAL_BYTES * (range.last - range.first + 1) : 0;

    struct candidate *bitmap = &plan->bitmaps[range.first % 8];
    uint64_t cost = plan->best + BITMAP_BYTES;
    if (fits_bitmap(range.first, range.last) &&
        (!bitmap->usable ||
         cost <= bitmap->cost + (range.first - plan->ranges[bitmap->start].first) / 8)) {
        *bitmap = (struct candidate){true, i, cost};
    }
}

static struct section plan_next(struct planner *plan, size_t i) {
    struct serial_range range = plan->ranges[i];
    for (size_t k = 0; k < COUNT_OF(plan->bitmaps); k++) {
        struct candidate *bitmap = &plan->bitmaps[k];
        bitmap->usable =
            bitmap->usable && fits_bitmap(plan->ranges[bitmap->start].first, range.last);
    }
    plan_start(plan, i);
    struct section chosen = {CERT_SERIAL_RANGE, (uint32_t)i};
    uint64_t least = plan->best + RANGE_BYTES;
    if (plan->list.usable && plan->list.cost < least) {
        least = plan->list.cost;
        chosen = (struct section){CERT_SERIAL_LIST, (uint32_t)plan->list.start};
    }
    for (size_t k = 0; k < COUNT_OF(plan->bitmaps); k++) {
        const struct candidate *bitmap = &plan->bitmaps[k];
        if (!bitmap->usable) {
            continue;
        }
        uint64_t bits = range.last - plan->ranges[bitmap->start].first + 1;
        if (bitmap->cost + bits / 8 < least) {
            least = bitmap->cost + bits / 8;
            chosen = (struct section){CERT_SERIAL_BITMAP, (uint32_t)bitmap->start};
        }
    }
    plan->best = least;
    return chosen;
}

/* sections[i] becomes the section that starts at range i, for each i where one does. */
static void plan_sections(const struct serial_range *ranges, size_t count,
                          struct section *sections) {
    struct planner plan = {.ranges = ranges};
    for (size_t i = 0; i < count; i++) {
        sections[i] = plan_next(&plan, i);
    }
    for (size_t end = count; end > 0;) {
        struct section last = sections[end - 1];
        sections[last.edge] = (struct section){last.type, (uint32_t)end};
        end = last.edge;
    }
}

/* Writing. */

static err_t put_list(const struct serial_range *ranges, size_t count, struct buf *out) {
    for (size_t i = 0; i < count; i++) {
        for (uint64_t k = 0; k <= ranges[i].last - ranges[i].first; k++) {
            TRY(wire_put_u64(out, ranges[i].first + k));
        }
    }
    return OK;
}

static err_t put_bitmap(const struct serial_range *ranges, size_t count, struct buf *out) {
    uint8_t bits[LIMIT_KRL_BITMAP_BITS / 8] = {0};
    uint64_t offset = ranges[0].first;
    for (size_t i = 0; i < count; i++) {
        for (uint64_t n = ranges[i].first - offset; n <= ranges[i].last - offset; n++) {
            bits[sizeof(bits) - 1 - n / 8] |= (uint8_t)(1U << n % 8);
        }
    }
    TRY(wire_put_u64(out, offset));
    return wire_put_mpint(out, span_of(bits, sizeof(bits)));
}

static err_t put_section(uint8_t type, const struct serial_range *ranges, size_t count,
                         struct buf *out) {
    size_t mark;
    TRY(wire_put_u8(out, type));
    TRY(wire_string_begin(out, &mark));
    if (type == CERT_SERIAL_LIST) {
        TRY(put_list(ranges, count, out));
    } else if (type == CERT_SERIAL_BITMAP) {
        TRY(put_bitmap(ranges, count, out));
    } else {
        TRY(wire_put_u64(out, ranges[0].first));
        TRY(wire_put_u64(out, ranges[0].last));
    }
    wire_string_end(out, mark);
    return OK;
}

static err_t put_serials(const struct serial_set *serials, struct buf *out) {
    size_t stored = serial_set_stored(serials);
    if (stored == 0) {
        return OK;
    }
    struct serial_range *ranges CLEANUP(freep) = calloc(stored, sizeof(*ranges));
    struct section *sections CLEANUP(freep) = calloc(stored, sizeof(*sections));
    if (ranges == NULL || sections == NULL) {
        return FAIL(ERR_MEMORY);
    }
    size_t count = 0;
    struct serial_walk walk = {.set = serials};
    while (count < stored && serial_walk_next(&walk, &ranges[count])) {
        count++;
    }
    plan_sections(ranges, count, sections);
    for (size_t i = 0; i < count; i = sections[i].edge) {
        TRY(put_section(sections[i].type, &ranges[i], sections[i].edge - i, out));
    }
    return OK;
}

static err_t put_blob(void *out, span_t blob) { return wire_put_string(out, blob); }

static err_t put_blobs(uint8_t type, const struct blob_set *set, struct buf *out) {
    size_t mark;
    if (set->count == 0) {
        return OK;
    }
    TRY(wire_put_u8(out, type));
    TRY(wire_string_begin(out, &mark));
    TRY(krl_each_blob(set, put_blob, out));
    wire_string_end(out, mark);
    return OK;
}

static err_t put_authority(const struct krl_authority *authority, struct buf *out) {
    size_t mark;
    if (serial_set_stored(&authority->serials) == 0 && authority->key_ids.count == 0) {
        return OK;
    }
    TRY(wire_put_u8(out, SECTION_CERTIFICATES));
    TRY(wire_string_begin(out, &mark));
    TRY(wire_put_string(out, span_of(authority->ca_blob, authority->ca_blob_len)));
    TRY(wire_put_string(out, span_of(NULL, 0))); /* reserved */
    TRY(put_serials(&authority->serials, out));
    TRY(put_blobs(CERT_KEY_ID, &authority->key_ids, out));
    wire_string_end(out, mark);
    return OK;
}

static err_t put_krl(const struct krl *krl, struct buf *out) {
    TRY(buf_add(out, span_of(MAGIC, sizeof(MAGIC))));
    TRY(wire_put_u32(out, FORMAT_VERSION));
    TRY(wire_put_u64(out, krl->version));
    TRY(wire_put_u64(out, krl->generated_s));
    TRY(wire_put_u64(out, 0));                   /* flags */
    TRY(wire_put_string(out, span_of(NULL, 0))); /* reserved */
    TRY(wire_put_text(out, krl->comment == NULL ? "" : krl->comment));
    for (size_t i = 0; i < krl->authority_count; i++) {
        TRY(put_authority(krl->authorities[i], out));
    }
    TRY(put_blobs(SECTION_EXPLICIT_KEY, &krl->keys, out));
    TRY(put_blobs(SECTION_FINGERPRINT_SHA1, &krl->sha1s, out));
    return put_blobs(SECTION_FINGERPRINT_SHA256, &krl->sha256s, out);
}

err_t krl_write(const struct krl *krl, struct buf *out) {
    size_t before = out->len;
    err_t err = put_krl(krl, out);
    if (failed(err)) {
        out->len = before;
    }
    return err;
}

/* Parsing. */

/* A string that may be as long as the file; wire_get_string() has a tighter bound. */
static err_t get_section(span_t *from, span_t *out) {
    span_t rest = *from;
    uint32_t len;
    TRY(wire_get_u32(&rest, &len));
    TRY(wire_get_bytes(&rest, len, out));
    *from = rest;
    return OK;
}

/* Where the serials of a section go. */
struct target {
    struct krl *krl;
    struct krl_authority *authority;
};

static err_t get_list(const struct target *to, span_t from) {
    while (from.len > 0) {
        uint64_t serial;
        TRY(wire_get_u64(&from, &serial));
        TRY(krl_append_serials(to->krl, to->authority, serial, serial));
    }
    return OK;
}

static err_t get_range(const struct target *to, span_t from) {
    uint64_t first;
    uint64_t last;
    TRY(wire_get_u64(&from, &first));
    TRY(wire_get_u64(&from, &last));
    TRY(wire_expect_end(from));
    return krl_append_serials(to->krl, to->authority, first, last);
}

static bool bit_at(span_t bitmap, uint64_t n) {
    return (bitmap.data[bitmap.len - 1 - n / 8] >> n % 8 & 1) != 0;
}

/* The first n' >= n where the bit is not `value`, or the end. */
static uint64_t skip_bits(span_t bitmap, uint64_t n, bool value) {
    uint64_t end = (uint64_t)bitmap.len * 8;
    while (n < end && bit_at(bitmap, n) == value) {
        bool is_byte_same = n % 8 == 0 && bitmap.data[bitmap.len - 1 - n / 8] == (value ? 0xff : 0);
        n += is_byte_same ? 8 : 1;
    }
    return n;
}

static err_t get_bitmap(const struct target *to, span_t from) {
    uint64_t offset;
    span_t bitmap;
    TRY(wire_get_u64(&from, &offset));
    TRY(wire_get_mpint(&from, &bitmap));
    TRY(wire_expect_end(from));
    uint64_t end = (uint64_t)bitmap.len * 8;
    for (uint64_t n = skip_bits(bitmap, 0, false); n < end; n = skip_bits(bitmap, n, false)) {
        uint64_t first = n;
        n = skip_bits(bitmap, n, true);
        if (offset > UINT64_MAX - (n - 1)) {
            return FAIL(ERR_RANGE);
        }
        TRY(krl_append_serials(to->krl, to->authority, offset + first, offset + n - 1));
    }
    return OK;
}

static err_t get_key_ids(const struct target *to, span_t from) {
    while (from.len > 0) {
        span_t key_id;
        TRY(wire_get_text(&from, &key_id));
        if (key_id.len > LIMIT_KEY_ID_CHARS) {
            return FAIL(ERR_TOO_LONG);
        }
        TRY(krl_add_blob(to->krl, &to->authority->key_ids, key_id));
    }
    return OK;
}

/* Sections 2.5 and 5: "If true, then any unsupported extension encountered should result in KRL
 * parsing failure." None is supported here. */
static err_t get_extension(span_t from) {
    span_t name;
    span_t contents;
    bool is_critical;
    TRY(wire_get_text(&from, &name));
    TRY(wire_get_bool(&from, &is_critical));
    TRY(get_section(&from, &contents));
    TRY(wire_expect_end(from));
    return is_critical ? FAIL(ERR_OPTION_UNKNOWN) : OK;
}

static err_t get_cert_section(const struct target *to, uint8_t type, span_t body) {
    switch (type) {
    case CERT_SERIAL_LIST:
        return get_list(to, body);
    case CERT_SERIAL_RANGE:
        return get_range(to, body);
    case CERT_SERIAL_BITMAP:
        return get_bitmap(to, body);
    case CERT_KEY_ID:
        return get_key_ids(to, body);
    case CERT_EXTENSION:
        return get_extension(body);
    default:
        return FAIL(ERR_UNSUPPORTED);
    }
}

/* OpenSSH refuses a file with a CA key it cannot read, so such a key must not get into ours. */
static err_t check_ca_blob(span_t blob) {
    struct key *key CLEANUP(key_freep) = NULL;
    TRY(key_parse(blob, &key));
    return key_type(key) == KEY_UNKNOWN ? FAIL(ERR_KEY_TYPE) : OK;
}

static err_t get_certificates(struct krl *krl, span_t from) {
    span_t ca_blob;
    span_t reserved;
    TRY(wire_get_string(&from, &ca_blob));
    TRY(get_section(&from, &reserved));
    if (ca_blob.len > 0 && krl_find_authority(krl, ca_blob) == NULL) {
        TRY(check_ca_blob(ca_blob));
    }
    struct target to = {.krl = krl};
    TRY(krl_authority(krl, ca_blob, &to.authority));
    while (from.len > 0) {
        uint8_t type;
        span_t body;
        TRY(wire_get_u8(&from, &type));
        TRY(get_section(&from, &body));
        TRY(get_cert_section(&to, type, body));
    }
    return OK;
}

/* len 0: of any length up to a key's. */
static err_t get_blobs(struct krl *krl, struct blob_set *set, size_t len, span_t from) {
    while (from.len > 0) {
        span_t blob;
        TRY(wire_get_string(&from, &blob));
        if (blob.len > LIMIT_KEY_BLOB_BYTES) {
            return FAIL(ERR_TOO_LONG);
        }
        if (blob.len == 0 || (len != 0 && blob.len != len)) {
            return FAIL(ERR_MALFORMED);
        }
        TRY(krl_add_blob(krl, set, blob));
    }
    return OK;
}

static err_t get_krl_section(struct krl *krl, uint8_t type, span_t body) {
    switch (type) {
    case SECTION_CERTIFICATES:
        return get_certificates(krl, body);
    case SECTION_EXPLICIT_KEY:
        return get_blobs(krl, &krl->keys, 0, body);
    case SECTION_FINGERPRINT_SHA1:
        return get_blobs(krl, &krl->sha1s, KRL_SHA1_BYTES, body);
    case SECTION_FINGERPRINT_SHA256:
        return get_blobs(krl, &krl->sha256s, KRL_SHA256_BYTES, body);
    case SECTION_EXTENSION:
        return get_extension(body);
    case SECTION_SIGNATURE: /* as OpenSSH since 9.4 */
    default:
        return FAIL(ERR_UNSUPPORTED);
    }
}

static err_t get_header(struct krl *krl, span_t *from) {
    span_t magic;
    uint32_t format;
    uint64_t flags;
    span_t reserved;
    span_t comment;
    TRY(wire_get_bytes(from, sizeof(MAGIC), &magic));
    if (!span_equal(magic, span_of(MAGIC, sizeof(MAGIC)))) {
        return FAIL(ERR_MALFORMED);
    }
    TRY(wire_get_u32(from, &format));
    if (format != FORMAT_VERSION) {
        return FAIL(ERR_UNSUPPORTED);
    }
    TRY(wire_get_u64(from, &krl->version));
    TRY(wire_get_u64(from, &krl->generated_s));
    TRY(wire_get_u64(from, &flags));
    TRY(get_section(from, &reserved));
    TRY(wire_get_text(from, &comment));
    if (comment.len > LIMIT_KRL_COMMENT_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    return span_to_str(comment, &krl->comment);
}

static err_t get_sections(struct krl *krl, span_t from) {
    while (from.len > 0) {
        uint8_t type;
        span_t body;
        TRY(wire_get_u8(&from, &type));
        TRY(get_section(&from, &body));
        TRY(get_krl_section(krl, type, body));
    }
    return OK;
}

err_t krl_parse(span_t file, struct krl **out) {
    if (file.len > LIMIT_KRL_BYTES) {
        return FAIL(ERR_TOO_LONG);
    }
    struct krl *krl CLEANUP(krl_freep) = NULL;
    TRY(krl_new(&krl));
    TRY(get_header(krl, &file));
    TRY(get_sections(krl, file));
    krl_settle(krl);
    *out = TAKE(krl);
    return OK;
}
