/* Tables as people see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/ctl/grid.h"

static const GridColumn columns[] = {{"NAME", GRID_LEFT}, {"PID", GRID_RIGHT}, {"STATE", GRID_LEFT}};

static void assert_printed(const Grid *grid, const char *expected) {
  _cleanup_(buffer_done) Buffer got = {0};

  grid_print(grid, &got);
  buffer_append(&got, "", 1);
  assert_string_equal((const char *)got.data, expected);
}

static void test_columns_are_as_wide_as_needed(void **state _unused_) {
  _cleanup_(grid_done) Grid grid;

  grid_init(&grid, columns, ELEMENTS(columns));
  assert_printed(&grid, "NAME  PID  STATE\n");
  grid_cell(&grid, "broker");
  grid_cell(&grid, "%d", 7);
  grid_cell(&grid, "ready");
  grid_cell(&grid, "x");
  grid_cell(&grid, "%d", 12345);
  grid_cell(&grid, "%s", "");
  assert_printed(&grid, "NAME      PID  STATE\n"
                        "broker      7  ready\n"
                        "x       12345  -\n");
}

static void test_a_short_row_ends_early(void **state _unused_) {
  _cleanup_(grid_done) Grid grid;

  grid_init(&grid, columns, ELEMENTS(columns));
  grid_cell(&grid, "alone");
  assert_printed(&grid, "NAME   PID  STATE\nalone\n");
}

static void test_utf8_counts_characters(void **state _unused_) {
  _cleanup_(grid_done) Grid grid;

  grid_init(&grid, columns, ELEMENTS(columns));
  grid_cell(&grid, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4");
  grid_cell(&grid, "1");
  grid_cell(&grid, "ok");
  assert_printed(&grid, "NAME   PID  STATE\n\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4    1  ok\n");
}

static void test_control_characters_do_not_reach_the_terminal(void **state _unused_) {
  _cleanup_(grid_done) Grid grid;
  _cleanup_(buffer_done) Buffer safe = {0};

  grid_init(&grid, columns, ELEMENTS(columns));
  grid_cell(&grid, "\x1b[2J\n");
  grid_cell(&grid, "1");
  grid_cell(&grid, "\x7f");
  assert_printed(&grid, "NAME   PID  STATE\n?[2J?    1  ?\n");
  grid_print_safely(&safe, TEXT("a\tb\x1b"));
  buffer_append(&safe, "", 1);
  assert_string_equal((const char *)safe.data, "a?b?");
}

static void assert_span(uint64_t span_us, const char *expected) {
  _cleanup_(buffer_done) Buffer got = {0};

  grid_print_span(&got, span_us);
  buffer_append(&got, "", 1);
  assert_string_equal((const char *)got.data, expected);
}

static void test_spans(void **state _unused_) {
  assert_span(0, "0us");
  assert_span(850, "850us");
  assert_span(12999, "12ms");
  assert_span(3450000, "3.4s");
  assert_span(312000000, "5m12s");
  assert_span(7500000000, "2h05m");
  assert_span(UINT64_C(273600000000), "3d04h");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_columns_are_as_wide_as_needed),
      cmocka_unit_test(test_a_short_row_ends_early),
      cmocka_unit_test(test_utf8_counts_characters),
      cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
      cmocka_unit_test(test_spans),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
