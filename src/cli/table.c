#include "cli/table.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

enum { TABLE_BYTES_MAX = 64 * 1024 * 1024, COLUMNS_MAX = 16, COLUMN_WIDTH_MIN = 4 };

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

/* Moves *text on by one character and adds the columns it takes to *width. */
static void step(const char **text, size_t left, mbstate_t *state, size_t *width) {
    wchar_t wide;
    size_t used = mbrtowc(&wide, *text, left, state);
    if (used == 0 || used > left) { /* not in this locale's encoding: a column a byte */
        *state = (mbstate_t){0};
        *text += 1;
        *width += 1;
        return;
    }
    int columns = wcwidth(wide);
    *text += used;
    *width += columns > 0 ? (size_t)columns : 0;
}

/* How many bytes of the text fit into so many columns. */
static size_t fitting(const char *text, size_t columns) {
    mbstate_t state = {0};
    const char *end = text + strlen(text);
    const char *at = text;
    size_t width = 0;
    while (at < end) {
        const char *before = at;
        step(&at, (size_t)(end - at), &state, &width);
        if (width > columns) {
            return (size_t)(before - text);
        }
    }
    return (size_t)(end - text);
}

size_t text_width(const char *text) {
    mbstate_t state = {0};
    const char *end = text + strlen(text);
    size_t width = 0;
    while (text < end) {
        step(&text, (size_t)(end - text), &state, &width);
    }
    return width;
}

struct layout {
    struct table_style style;
    const char *ellipsis;
    size_t widths[COLUMNS_MAX];
    size_t rows;
};

/* The parts of a cell as the style shows them. */
static const char *cell_mark(const char *cell, const struct table_style *style) {
    return style->marks ? cell : "";
}
static const char *cell_text(const char *cell, const struct table_style *style) {
    const char *text = cell + strlen(cell) + 1;
    return text[0] == '\0' && !style->boxed ? "-" : text;
}
static size_t mark_width(const char *mark) { return mark[0] == '\0' ? 0 : text_width(mark) + 1; }
static size_t cell_width(const char *cell, const struct table_style *style) {
    return mark_width(cell_mark(cell, style)) + text_width(cell_text(cell, style));
}

/* Takes from the widest columns what the table is too wide, while they can be told apart. */
static void narrow(const struct table *table, struct layout *layout) {
    size_t count = table->column_count;
    size_t total = layout->style.boxed ? 3 * count + 1 : 2 * (count - 1);
    for (size_t i = 0; i < count; i++) {
        total += layout->widths[i];
    }
    while (layout->style.width_max != 0 && total > layout->style.width_max) {
        size_t *widest = &layout->widths[0];
        for (size_t i = 1; i < count; i++) {
            widest = layout->widths[i] > *widest ? &layout->widths[i] : widest;
        }
        if (*widest <= COLUMN_WIDTH_MIN) {
            return;
        }
        (*widest)--;
        total--;
    }
}

static struct layout lay_out(const struct table *table, const struct table_style *style) {
    struct layout layout = {.style = *style,
                            .ellipsis = style->boxed ? "…" : "...",
                            .rows = table->cell_count / table->column_count};
    for (size_t i = 0; i < table->column_count; i++) {
        layout.widths[i] = text_width(table->columns[i]);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = cell_width(table->cells[i], style);
        size_t *widest = &layout.widths[i % table->column_count];
        *widest = width > *widest ? width : *widest;
    }
    narrow(table, &layout);
    return layout;
}

static err_t add_repeated(struct buf *out, const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        TRY(buf_add_str(out, text));
    }
    return OK;
}

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

/* The text in so many columns, cut where it is wider; *width is what it takes. */
static err_t add_text(const struct layout *layout, const char *text, size_t columns, size_t *width,
                      struct buf *out) {
    *width = text_width(text);
    if (*width <= columns) {
        return buf_add_str(out, text);
    }
    size_t ellipsis = text_width(layout->ellipsis);
    size_t len = fitting(text, columns > ellipsis ? columns - ellipsis : 0);
    char *begin CLEANUP(freep) = strndup(text, len);
    TRY(begin == NULL ? FAIL(ERR_MEMORY) : OK);
    *width = text_width(begin) + ellipsis;
    TRY(buf_add_str(out, begin));
    return buf_add_str(out, layout->ellipsis);
}

static err_t add_cell(const struct table *table, const struct layout *layout, size_t column,
                      const char *mark, const char *text, struct buf *out) {
    size_t columns = layout->widths[column];
    size_t width = 0;
    bool boxed = layout->style.boxed;
    TRY(boxed ? buf_add_str(out, "│ ") : OK);
    if (mark[0] != '\0' && mark_width(mark) < columns) {
        TRY(buf_add_format(out, "%s ", mark));
        columns -= mark_width(mark);
    }
    TRY(add_text(layout, text, columns, &width, out));
    bool last = column + 1 == table->column_count;
    if (boxed || !last) {
        TRY(add_repeated(out, " ", columns > width ? columns - width : 0));
        TRY(buf_add_str(out, boxed ? " " : "  "));
    }
    if (last) {
        TRY(buf_add_str(out, boxed ? "│\n" : "\n"));
    }
    return OK;
}

err_t table_render(const struct table *table, const struct table_style *style, struct buf *out) {
    bool boxed = style->boxed;
    INVARIANT(table->cell_count % table->column_count == 0);
    struct layout layout = lay_out(table, style);
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
            TRY(add_cell(table, &layout, i, cell_mark(cell, style), cell_text(cell, style), out));
        }
    }
    return boxed ? add_rule(table, &layout, "╰", "─", "┴", "╯", out) : OK;
}
