#include "host/process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { STAT_BYTES_MAX = 4096, STAT_FIELD_START = 22, STAT_FIELDS_BEFORE = 3 };

/* The next of the blank-separated fields; empty when there are no more. */
static span_t next_field(span_t *rest) {
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, ' ', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
    span_t field = span_of(rest->data, len);
    size_t taken = end == NULL ? len : len + 1;
    *rest = span_of(rest->data + taken, rest->len - taken);
    return field;
}

static err_t next_pid(span_t *rest, pid_t *out) {
    uint64_t number = 0;
    TRY(u64_parse(next_field(rest), &number));
    if (number > INT32_MAX) {
        return FAIL(ERR_RANGE);
    }
    *out = (pid_t)number;
    return OK;
}

/* proc(5): pid (comm) state ppid pgrp session tty_nr …, starttime is the 22nd. */
static err_t parse_fields(span_t rest, struct process *out) {
    pid_t ignored = 0;
    (void)next_field(&rest); /* state */
    TRY(next_pid(&rest, &out->parent));
    TRY(next_pid(&rest, &ignored)); /* process group */
    TRY(next_pid(&rest, &out->session));
    TRY(next_pid(&rest, &out->terminal));
    for (int field = 8; field < STAT_FIELD_START; field++) {
        (void)next_field(&rest);
    }
    return u64_parse(next_field(&rest), &out->start);
}

err_t process_parse(span_t stat, struct process *out) {
    struct process process = {0};
    span_t rest = stat;
    const uint8_t *close = stat.len == 0 ? NULL : memrchr(stat.data, ')', stat.len);
    if (close == NULL || failed(next_pid(&rest, &process.pid)) || rest.len == 0 ||
        rest.data[0] != '(' || close < rest.data) {
        return FAIL(ERR_MALFORMED);
    }
    size_t name = (size_t)(close - rest.data) - 1;
    name = name < sizeof process.name ? name : sizeof process.name - 1;
    memcpy(process.name, rest.data + 1, name);
    size_t taken = (size_t)(close - rest.data) + 2;
    if (rest.len < taken ||
        failed(parse_fields(span_of(rest.data + taken, rest.len - taken), &process))) {
        return FAIL(ERR_MALFORMED);
    }
    *out = process;
    return OK;
}

/* One read, into the stack: this is done for every process there is, and at each login. */
err_t process_read(pid_t pid, struct process *out) {
    char path[32];
    uint8_t text[STAT_BYTES_MAX];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd CLEANUP(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text);
    return len <= 0 ? FAIL(ERR_NOT_FOUND) : process_parse(span_of(text, (size_t)len), out);
}

bool process_is_sshd(const char *name) {
    return strcmp(name, "sshd") == 0 || strcmp(name, "sshd-session") == 0;
}

void process_list_done(struct process_list *list) {
    free(list->items);
    *list = (struct process_list){0};
}

err_t process_list_add(struct process_list *list, const struct process *process) {
    if (list->count == list->size) {
        size_t size = list->size == 0 ? 64 : 2 * list->size;
        struct process *items = reallocarray(list->items, size, sizeof *items);
        if (items == NULL) {
            return FAIL(ERR_MEMORY);
        }
        list->items = items;
        list->size = size;
    }
    list->items[list->count++] = *process;
    return OK;
}

static int by_parent(const void *a, const void *b) {
    const struct process *left = a;
    const struct process *right = b;
    int order = (left->parent > right->parent) - (left->parent < right->parent);
    return order != 0 ? order : (left->pid > right->pid) - (left->pid < right->pid);
}

void process_list_sort(struct process_list *list) {
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof list->items[0], by_parent);
    }
}

static void close_dirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

err_t process_list_read(struct process_list *out) {
    DIR *proc CLEANUP(close_dirp) = opendir("/proc");
    struct process_list list CLEANUP(process_list_done) = {0};
    if (proc == NULL) {
        return FAIL(ERR_IO);
    }
    for (const struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        struct process process;
        uint64_t pid = 0;
        /* One that ends meanwhile is not there. */
        if (!failed(u64_parse(span_str(entry->d_name), &pid)) && pid <= INT32_MAX &&
            !failed(process_read((pid_t)pid, &process))) {
            TRY(process_list_add(&list, &process));
        }
    }
    process_list_sort(&list);
    *out = list;
    list = (struct process_list){0};
    return OK;
}

/* The first of the sorted list with that parent, or where it would be. */
static size_t find_children(const struct process_list *from, pid_t parent) {
    size_t low = 0;
    for (size_t high = from->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (from->items[middle].parent < parent) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

err_t process_list_connection(const struct process_list *from, pid_t monitor,
                              bool (*is_sshd)(void *context, const struct process *process),
                              void *context, struct process_list *out) {
    struct process_list list CLEANUP(process_list_done) = {0};
    for (size_t i = 0; i < from->count && list.count == 0; i++) {
        TRY(from->items[i].pid == monitor ? process_list_add(&list, &from->items[i]) : OK);
    }
    /* Each process has one parent, so none is added twice. */
    for (size_t i = 0; i < list.count; i++) {
        list.items[i].sshd = is_sshd(context, &list.items[i]);
        const struct process parent = list.items[i]; /* the list moves as it grows */
        for (size_t k = find_children(from, parent.pid);
             k < from->count && from->items[k].parent == parent.pid; k++) {
            const struct process *child = &from->items[k];
            TRY(parent.sshd || child->session == parent.session ? process_list_add(&list, child)
                                                                : OK);
        }
    }
    if (list.count == 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = list;
    list = (struct process_list){0};
    return OK;
}
