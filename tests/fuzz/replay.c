/*
 * Runs a fuzz target, without a fuzzer, on every file of the folders named: whole, cut short
 * everywhere, and with repeatable mutations. So what a fuzzer once found stays found.
 */
#include <dirent.h>
#include <stdio.h>

#include "base/file.h"
#include "fuzz.h"

enum {
    FILE_BYTES_MAX = 4 * 1024 * 1024,
    CUTS_MAX = 512, /* of long files only so many, evenly spread */
    MUTATIONS = 256,
};

/* splitmix64 */
static uint64_t next_random(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* On a copy of just that length, so that the sanitizers see a step too far. */
static void run(span_t input) {
    uint8_t *copy CLEANUP(freep) = malloc(input.len == 0 ? 1 : input.len);
    INVARIANT(copy != NULL);
    if (input.len > 0) {
        memcpy(copy, input.data, input.len);
    }
    (void)LLVMFuzzerTestOneInput(copy, input.len);
}

static void run_cuts(span_t input) {
    size_t step = input.len / CUTS_MAX + 1;
    for (size_t len = 0; len < input.len; len += step) {
        run(span_of(input.data, len));
    }
}

/* One to four small changes: a flipped bit, a telling byte, a telling length, a copied stretch. */
static void mutate(uint8_t *data, size_t len, uint64_t *seed) {
    static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    for (uint64_t changes = 1 + next_random(seed) % 4; changes > 0; changes--) {
        size_t at = next_random(seed) % len;
        uint64_t pick = next_random(seed);
        size_t from = pick % len;
        size_t stretch = 1 + next_random(seed) % 8;
        switch (next_random(seed) % 4) {
        case 0:
            data[at] ^= (uint8_t)(1U << pick % 8);
            break;
        case 1:
            data[at] = bytes[pick % sizeof(bytes)];
            break;
        case 2:
            memset(data + at, bytes[pick % sizeof(bytes)], len - at < 4 ? len - at : 4);
            break;
        default:
            if (stretch <= len - at && stretch <= len - from) {
                memmove(data + at, data + from, stretch);
            }
        }
    }
}

static void run_mutations(span_t input) {
    uint64_t seed = input.len;
    for (size_t i = 0; i < MUTATIONS && input.len > 0; i++) {
        struct buf changed CLEANUP(buf_done) = BUF(FILE_BYTES_MAX);
        must(buf_add(&changed, input));
        mutate(changed.data, changed.len, &seed);
        run(buf_span(&changed));
    }
}

static err_t replay_file(const char *folder, const char *name) {
    char *path CLEANUP(freep) = NULL;
    struct buf file CLEANUP(buf_done) = BUF(FILE_BYTES_MAX);
    TRY(path_join(folder, name, &path));
    TRY(file_read(path, &file));
    run(buf_span(&file));
    run_cuts(buf_span(&file));
    run_mutations(buf_span(&file));
    return OK;
}

/* The number of files; 0 when the folder cannot be read. */
static size_t replay_folder(const char *folder) {
    size_t count = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        err_t err = replay_file(folder, entry->d_name);
        if (failed(err)) {
            (void)fprintf(stderr, "%s/%s: %s\n", folder, entry->d_name, err_text(err));
            exit(1);
        }
        count++;
    }
    (void)closedir(dir);
    return count;
}

int main(int argc, char **argv) {
    run(span_of(NULL, 0));
    for (int i = 1; i < argc; i++) {
        size_t count = replay_folder(argv[i]);
        (void)printf("%s: %zu inputs\n", argv[i], count);
        if (count == 0) {
            (void)fprintf(stderr, "%s: nothing to replay\n", argv[i]);
            return 1;
        }
    }
    return 0;
}
