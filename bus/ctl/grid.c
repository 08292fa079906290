#include "bus/ctl/grid.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bus/base/clock.h"

enum { GAP = 2 };

void grid_init(Grid *grid, const GridColumn *columns, uint32_t column_count) {
  *grid = (Grid){.columns = columns, .column_count = column_count};
}

void grid_done(Grid *grid) {
  for (uint32_t i = 0; i < grid->cell_count; i++)
    free(grid->cells[i]);
  free(grid->cells);
  grid_init(grid, grid->columns, grid->column_count);
}

static bool is_control(char c) {
  return (unsigned char)c < 0x20 || c == 0x7f;
}

void grid_print_safely(Buffer *ret, Text text) {
  for (size_t i = 0; i < text.size; i++)
    buffer_append(ret, is_control(text.data[i]) ? "?" : &text.data[i], 1);
}

void grid_cell(Grid *grid, const char *format, ...) {
  va_list arguments;
  char *cell = NULL;

  va_start(arguments, format);
  if (vasprintf(&cell, format, arguments) < 0)
    abort(); /* memory is out */
  va_end(arguments);
  if (grid->cell_count == grid->room) {
    grid->room = grid->room ? 2 * grid->room : 64;
    grid->cells = realloc(grid->cells, grid->room * sizeof *grid->cells);
    if (!grid->cells)
      abort();
  }
  for (char *c = cell; *c; c++)
    if (is_control(*c))
      *c = '?';
  grid->cells[grid->cell_count++] = cell;
}

/* Characters, not bytes: UTF-8 continuation bytes take no column. */
static uint32_t width(const char *text) {
  uint32_t count = 0;

  for (; *text; text++)
    count += ((unsigned char)*text & 0xc0) != 0x80;
  return count;
}

static const char *shown(const char *cell) {
  return *cell ? cell : "-";
}

static uint32_t column_width(const Grid *grid, uint32_t column) {
  uint32_t widest = width(grid->columns[column].title);

  for (uint32_t i = column; i < grid->cell_count; i += grid->column_count)
    widest = (uint32_t)max_u64(widest, width(shown(grid->cells[i])));
  return widest;
}

static void print_blanks(Buffer *ret, uint32_t count) {
  if (count == 0)
    return;
  memset(buffer_reserve(ret, count), ' ', count);
  ret->size += count;
}

static void print_cell(const Grid *grid, uint32_t column, const char *text, uint32_t column_width_chars, Buffer *ret) {
  uint32_t missing = column_width_chars - width(text);

  if (grid->columns[column].align == GRID_RIGHT)
    print_blanks(ret, missing);
  buffer_append(ret, text, strlen(text));
  if (grid->columns[column].align == GRID_LEFT)
    print_blanks(ret, missing);
}

static void end_line(Buffer *ret) {
  while (ret->size && ret->data[ret->size - 1] == ' ')
    ret->size--;
  buffer_append(ret, "\n", 1);
}

void grid_cell_time(Grid *grid, uint64_t at_us) {
  time_t at_s = (time_t)(at_us / US_PER_S);
  struct tm parts;
  char text[32] = "";

  if (at_us > 0 && localtime_r(&at_s, &parts))
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  grid_cell(grid, "%s", text);
}

void grid_print(const Grid *grid, Buffer *ret) {
  uint32_t widths[32] = {0};

  for (uint32_t i = 0; i < grid->column_count && i < ELEMENTS(widths); i++) {
    widths[i] = column_width(grid, i);
    if (i)
      print_blanks(ret, GAP);
    print_cell(grid, i, grid->columns[i].title, widths[i], ret);
  }
  end_line(ret);
  for (uint32_t i = 0; grid->column_count && i < grid->cell_count; i++) {
    uint32_t column = i % grid->column_count;

    if (column)
      print_blanks(ret, GAP);
    print_cell(grid, column, shown(grid->cells[i]), widths[column], ret);
    if (column + 1 == grid->column_count || i + 1 == grid->cell_count)
      end_line(ret);
  }
}

void grid_print_span(Buffer *ret, uint64_t span_us) {
  uint64_t s = span_us / US_PER_S;

  if (span_us < US_PER_MS)
    buffer_printf(ret, "%" PRIu64 "us", span_us);
  else if (s == 0)
    buffer_printf(ret, "%" PRIu64 "ms", span_us / US_PER_MS);
  else if (s < 60)
    buffer_printf(ret, "%" PRIu64 ".%" PRIu64 "s", s, span_us % US_PER_S / (100 * US_PER_MS));
  else if (s < 3600)
    buffer_printf(ret, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
  else if (s < 86400)
    buffer_printf(ret, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s % 3600 / 60);
  else
    buffer_printf(ret, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s % 86400 / 3600);
}
