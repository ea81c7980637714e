#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

enum { TABLE_BYTES_MAX = 64 * 1024 * 1024, COLUMNS_MAX = 16 };

struct table {
    const char *const *columns;
    size_t column_count;
    char **cells; /* "mark\0text\0" in one piece */
    size_t cell_count;
    size_t cell_size;
};

err_t table_new(const char *const *columns, struct table **out) {
    struct table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return FAIL(ERR_MEMORY);
    }
    table->columns = columns;
    while (columns[table->column_count] != NULL) {
        table->column_count++;
    }
    INVARIANT(table->column_count > 0 && table->column_count <= COLUMNS_MAX);
    *out = table;
    return OK;
}

void table_freep(struct table **table) {
    if (*table != NULL) {
        for (size_t i = 0; i < (*table)->cell_count; i++) {
            free((*table)->cells[i]);
        }
        free((*table)->cells);
        free(*table);
        *table = NULL;
    }
}

err_t table_add(struct table *table, const char *text) {
    return table_add_marked(table, NULL, text);
}

err_t table_add_marked(struct table *table, const char *mark, const char *text) {
    if (table->cell_count == table->cell_size) {
        size_t size = table->cell_size == 0 ? 64 : 2 * table->cell_size;
        char **cells = reallocarray(table->cells, size, sizeof *cells);
        if (cells == NULL) {
            return FAIL(ERR_MEMORY);
        }
        table->cells = cells;
        table->cell_size = size;
    }
    size_t mark_len = mark == NULL ? 0 : strlen(mark);
    size_t text_len = strlen(text);
    char *cell = malloc(mark_len + text_len + 2);
    if (cell == NULL) {
        return FAIL(ERR_MEMORY);
    }
    if (mark_len > 0) {
        memcpy(cell, mark, mark_len);
    }
    cell[mark_len] = '\0';
    memcpy(cell + mark_len + 1, text, text_len + 1);
    table->cells[table->cell_count++] = cell;
    return OK;
}

size_t text_width(const char *text) {
    size_t width = 0;
    mbstate_t state = {0};
    size_t left = strlen(text);
    while (left > 0) {
        wchar_t wide;
        size_t used = mbrtowc(&wide, text, left, &state);
        if (used == 0 || used > left) { /* not in this locale's encoding: a column a byte */
            state = (mbstate_t){0};
            used = 1;
            width++;
        } else {
            int columns = wcwidth(wide);
            width += columns > 0 ? (size_t)columns : 0;
        }
        text += used;
        left -= used;
    }
    return width;
}

/* The parts of a cell as the style shows them. */
static const char *cell_mark(const char *cell, bool boxed) { return boxed ? cell : ""; }
static const char *cell_text(const char *cell, bool boxed) {
    const char *text = cell + strlen(cell) + 1;
    return text[0] == '\0' && !boxed ? "-" : text;
}
static size_t cell_width(const char *cell, bool boxed) {
    const char *mark = cell_mark(cell, boxed);
    size_t width = text_width(cell_text(cell, boxed));
    return mark[0] == '\0' ? width : width + text_width(mark) + 1;
}

static err_t add_repeated(struct buf *out, const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        TRY(buf_add_str(out, text));
    }
    return OK;
}

struct layout {
    size_t widths[COLUMNS_MAX];
    size_t rows;
    bool boxed;
};

static err_t add_rule(const struct table *table, const struct layout *layout, const char *left,
                      const char *line, const char *cross, const char *right, struct buf *out) {
    TRY(buf_add_str(out, left));
    for (size_t i = 0; i < table->column_count; i++) {
        TRY(i == 0 ? OK : buf_add_str(out, cross));
        TRY(add_repeated(out, line, layout->widths[i] + 2));
    }
    TRY(buf_add_str(out, right));
    return buf_add_str(out, "\n");
}

static err_t add_cell(const struct table *table, const struct layout *layout, size_t column,
                      const char *mark, const char *text, struct buf *out) {
    size_t width = text_width(text);
    TRY(layout->boxed ? buf_add_str(out, "│ ") : OK);
    if (mark[0] != '\0') {
        TRY(buf_add_format(out, "%s ", mark));
        width += text_width(mark) + 1;
    }
    TRY(buf_add_str(out, text));
    bool last = column + 1 == table->column_count;
    if (layout->boxed || !last) {
        TRY(add_repeated(out, " ", layout->widths[column] - width));
        TRY(buf_add_str(out, layout->boxed ? " " : "  "));
    }
    if (last) {
        TRY(buf_add_str(out, layout->boxed ? "│\n" : "\n"));
    }
    return OK;
}

err_t table_render(const struct table *table, bool boxed, struct buf *out) {
    struct layout layout = {.boxed = boxed, .rows = table->cell_count / table->column_count};
    INVARIANT(layout.rows * table->column_count == table->cell_count);
    for (size_t i = 0; i < table->column_count; i++) {
        layout.widths[i] = text_width(table->columns[i]);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = cell_width(table->cells[i], boxed);
        size_t *widest = &layout.widths[i % table->column_count];
        *widest = width > *widest ? width : *widest;
    }
    TRY(boxed ? add_rule(table, &layout, "╭", "─", "┬", "╮", out) : OK);
    for (size_t i = 0; i < table->column_count; i++) {
        TRY(add_cell(table, &layout, i, "", table->columns[i], out));
    }
    TRY(boxed && layout.rows > 0 ? add_rule(table, &layout, "╞", "═", "╪", "╡", out) : OK);
    for (size_t row = 0; row < layout.rows; row++) {
        if (row > 0 && boxed) {
            TRY(add_rule(table, &layout, "├", "─", "┼", "┤", out));
        }
        for (size_t i = 0; i < table->column_count; i++) {
            const char *cell = table->cells[row * table->column_count + i];
            TRY(add_cell(table, &layout, i, cell_mark(cell, boxed), cell_text(cell, boxed), out));
        }
    }
    return boxed ? add_rule(table, &layout, "╰", "─", "┴", "╯", out) : OK;
}
