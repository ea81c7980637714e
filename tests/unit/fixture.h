/* A temporary folder for one test program, the programs that are oracles, and files. */
#ifndef POSTERN_TESTS_UNIT_FIXTURE_H
#define POSTERN_TESTS_UNIT_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/span.h"
#include "check.h"

enum { FIXTURE_FILE_BYTES_MAX = 1024 * 1024 };

static char fixture_folder[64];
static char fixture_source[512]; /* where the test was started: the source tree */

__attribute__((unused)) static int fixture_setup(void **state) {
    (void)state;
    if (getcwd(fixture_source, sizeof fixture_source) == NULL) {
        return -1;
    }
    strcpy(fixture_folder, "/tmp/postern-test-XXXXXX");
    return mkdtemp(fixture_folder) == NULL || chdir(fixture_folder) != 0 ? -1 : 0;
}

__attribute__((unused)) static int fixture_teardown(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", fixture_folder);
    return chdir("/") != 0 || system(command) != 0 ? -1 : 0;
}

/* A shell command in the folder; its exit status. */
__attribute__((unused, format(printf, 1, 2))) static int fixture_run(const char *format, ...) {
    char command[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_in_range(len, 1, sizeof command - 1);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The file's bytes; the caller has initialised the buffer. */
__attribute__((unused)) static void fixture_read(const char *path, struct buf *out) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        print_error("cannot open %s\n", path);
    }
    assert_non_null(file);
    uint8_t block[4096];
    size_t len;
    while ((len = fread(block, 1, sizeof block, file)) > 0) {
        assert_ok(buf_add(out, span_of(block, len)));
    }
    assert_int_equal(fclose(file), 0);
}

/* A file of tests/vectors. */
__attribute__((unused)) static void fixture_read_vectors(const char *name, struct buf *out) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/tests/vectors/%s", fixture_source, name);
    fixture_read(path, out);
}

/* Cuts the next word off a line of vectors; false at the end of the line. "-" is an empty word. */
__attribute__((unused)) static bool fixture_word(span_t *from, span_t *word) {
    *word = span_of(from->data, 0);
    while (word->len < from->len && strchr(" \n", from->data[word->len]) == NULL) {
        word->len++;
    }
    size_t next = word->len < from->len && from->data[word->len] == ' ' ? word->len + 1 : word->len;
    *from = span_of(from->data + next, from->len - next);
    if (word->len == 1 && word->data[0] == '-') {
        word->len = 0;
        return true;
    }
    return word->len != 0;
}

/* Cuts the next line off that is no comment; false at the end of the file. */
__attribute__((unused)) static bool fixture_line(span_t *from, span_t *line) {
    while (from->len != 0) {
        const uint8_t *end = memchr(from->data, '\n', from->len);
        assert_non_null(end);
        *line = span_of(from->data, (size_t)(end - from->data));
        *from = span_of(end + 1, from->len - line->len - 1);
        if (line->len != 0 && line->data[0] != '#') {
            return true;
        }
    }
    return false;
}

/* Written readable for the owner alone, as ssh-keygen demands of private keys. */
__attribute__((unused)) static void fixture_write(const char *path, span_t bytes) {
    (void)unlink(path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fclose(file), 0);
}

#endif
