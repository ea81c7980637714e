#include "host/home/internal_table.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static void kept_done(struct kept *kept) { free(TAKE(kept->registered)); }

void kept_table_done(struct kept_table *table) {
    for (size_t i = 0; i < table->count; i++) {
        kept_done(&table->rows[i]);
    }
    free(table->rows);
    *table = (struct kept_table){0};
}

static err_t append(struct kept_table *table, const char *name, struct kept **out) {
    if (table->count == table->size) {
        size_t size = table->size == 0 ? 64 : 2 * table->size;
        struct kept *rows = reallocarray(table->rows, size, sizeof *rows);
        if (rows == NULL) {
            return FAIL(ERR_MEMORY);
        }
        table->rows = rows;
        table->size = size;
    }
    if (strlen(name) > LIMIT_ACCOUNT_NAME_CHARS) {
        return FAIL(ERR_TOO_LONG);
    }
    struct kept *kept = &table->rows[table->count++];
    *kept = (struct kept){0};
    memcpy(kept->name, name, strlen(name) + 1);
    *out = kept;
    return OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct kept *)a)->name, ((const struct kept *)b)->name);
}

/* Among the first `count`, which are sorted. */
static struct kept *find(const struct kept_table *table, size_t count, const char *name) {
    struct kept key;
    if (count == 0 || strlen(name) > LIMIT_ACCOUNT_NAME_CHARS) {
        return NULL;
    }
    memcpy(key.name, name, strlen(name) + 1);
    return bsearch(&key, table->rows, count, sizeof key, by_name);
}

static void sort(struct kept_table *table) {
    if (table->count > 0) {
        qsort(table->rows, table->count, sizeof table->rows[0], by_name);
    }
}

static void closedirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

err_t kept_table_load(struct kept_table *table, const char *folder) {
    DIR *dir CLEANUP(closedirp) = opendir(folder);
    if (dir == NULL) {
        return err_from_errno(errno);
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct kept *kept = NULL;
        if (failed(account_name_check(span_str(entry->d_name), NULL))) {
            continue; /* ".", "..", what a crash left */
        }
        TRY(append(table, entry->d_name, &kept));
        kept->ours = true;
    }
    sort(table);
    return OK;
}

/* --- the replica's word --- */

struct reading {
    struct kept_table made;
    struct buf lines; /* of the account that is read */
};

static void reading_done(struct reading *reading) {
    kept_table_done(&reading->made);
    buf_done(&reading->lines);
}

static err_t end_account(struct reading *reading) {
    struct kept_table *made = &reading->made;
    return made->count == 0 ? OK
                            : buf_to_str(&reading->lines, &made->rows[made->count - 1].registered);
}

/* Rows of one account follow one another. */
static err_t read_row(void *context, const char *account, const char *public_key) {
    struct reading *reading = context;
    struct kept_table *made = &reading->made;
    if (made->count == 0 || strcmp(made->rows[made->count - 1].name, account) != 0) {
        struct kept *kept = NULL;
        TRY(end_account(reading));
        buf_clear(&reading->lines);
        TRY(append(made, account, &kept));
        kept->entitled = true;
    }
    return public_key[0] == '\0' ? OK : buf_add_format(&reading->lines, "%s\n", public_key);
}

/* What was known of an account goes on; moved, not copied. */
static void take_over(struct kept *made, struct kept *known) {
    char *registered = TAKE(made->registered);
    bool entitled = made->entitled;
    bool news = known->entitled != entitled || known->registered == NULL ||
                strcmp(known->registered, registered) != 0;
    free(known->registered);
    *made = *known;
    *known = (struct kept){0};
    made->registered = registered;
    made->entitled = entitled;
    if (news) {
        made->settled = false;
        made->not_before_ms = 0;
    }
}

/* Those that only the table knew, and that have something to be taken away. */
static err_t keep_leavers(struct kept_table *table, struct kept_table *made) {
    size_t told = made->count;
    for (size_t i = 0; i < table->count; i++) {
        const struct kept *known = &table->rows[i];
        struct kept *leaver = NULL;
        if (!known->ours || find(made, told, known->name) != NULL) {
            continue;
        }
        TRY(append(made, known->name, &leaver));
        leaver->registered = strdup("");
        if (leaver->registered == NULL) {
            return FAIL(ERR_MEMORY);
        }
    }
    sort(made);
    return OK;
}

err_t kept_table_update(struct kept_table *table, struct replica *replica, int64_t now) {
    struct reading reading CLEANUP(reading_done) = {
        .lines = BUF((size_t)LIMIT_INTERNAL_KEYS_COUNT * HOME_PUBLIC_CHARS * 2)};
    TRY(replica_internal_list(replica, now, read_row, &reading));
    TRY(end_account(&reading));
    TRY(keep_leavers(table, &reading.made));
    for (size_t i = 0; i < reading.made.count; i++) {
        struct kept *known = find(table, table->count, reading.made.rows[i].name);
        if (known != NULL) {
            take_over(&reading.made.rows[i], known);
        }
    }
    struct kept_table before = *table;
    *table = reading.made;
    reading.made = before;
    return OK;
}

bool kept_is_registered(const struct kept *kept, const char *line) {
    size_t len = strlen(line);
    for (const char *at = kept->registered; len > 0 && at != NULL && *at != '\0';) {
        size_t chars = strcspn(at, "\n");
        if (chars == len && memcmp(at, line, len) == 0) {
            return true;
        }
        at += chars + (at[chars] == '\n');
    }
    return false;
}
