/* What:      a table for people: columns as wide as their widest cell, numbers to the right.
 * Owns:      copies of its cells.
 * May use:   base.
 * Threading: one thread.
 * Spec:      docs/pons.1.md */
#ifndef PONS_CTL_GRID_H
#define PONS_CTL_GRID_H

#include "bus/base/buffer.h"

typedef enum GridAlign { GRID_LEFT, GRID_RIGHT } GridAlign;

typedef struct GridColumn {
  const char *title;
  GridAlign align;
} GridColumn;

/* Made with grid_init; cells are row by row. */
typedef struct Grid {
  const GridColumn *columns; /* borrowed */
  uint32_t column_count;
  char **cells;
  uint32_t cell_count;
  uint32_t room;
} Grid;

/* An empty table with these columns, which must outlive it. */
void grid_init(Grid *grid, const GridColumn *columns, uint32_t column_count);
/* Frees the cells. Usable as _cleanup_. */
void grid_done(Grid *grid);
/* Appends the next cell, row by row; an empty text shows as "-". Control characters show as "?", so that a name from
   the bus can't drive a terminal. */
void grid_cell(Grid *grid, const char *format, ...) _printf_(2, 3);
/* Appends a point of time, in microseconds since 1970, as this machine's clock shows it; 0 shows as "-". */
void grid_cell_time(Grid *grid, uint64_t at_us);
/* Appends the title line and a line per row, each without blanks at its end; a row cut short ends early. */
void grid_print(const Grid *grid, Buffer *ret);

/* Appends text with control characters as "?". */
void grid_print_safely(Buffer *ret, Text text);
/* Appends a time span for people: "850us", "12ms", "3.4s", "5m12s", "2h05m", "3d04h". */
void grid_print_span(Buffer *ret, uint64_t span_us);

#endif
