/* Tables: a rounded box on a terminal that shows UTF-8, aligned plain columns everywhere else. */
#ifndef POSTERN_CLI_TABLE_H
#define POSTERN_CLI_TABLE_H

#include "base/err.h"
#include "base/span.h"

struct table;

/* columns ends with NULL and must outlive the table. */
err_t table_new(const char *const *columns, struct table **out);
void table_freep(struct table **table);

/* Cells fill the rows from the left. The text is copied. mark (may be NULL) stands before it where
 * the style shows marks: "✅". */
err_t table_add(struct table *table, const char *text);
err_t table_add_marked(struct table *table, const char *mark, const char *text);

struct table_style {
    bool boxed;       /* plain: an empty cell is "-", so that columns can be counted */
    bool marks;       /* marks are shown */
    size_t width_max; /* what is wider loses the ends of its widest cells; 0: nothing is cut */
};

/* Appends the finished table. One that cannot be made to fit is as narrow as it can be. */
err_t table_render(const struct table *table, const struct table_style *style, struct buf *out);

/* Terminal columns that UTF-8 text takes (the locale must be UTF-8 for anything but ASCII). */
size_t text_width(const char *text);

#endif
