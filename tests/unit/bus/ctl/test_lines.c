/* Lines with a name before each, whatever pieces they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/ctl/lines.h"

static void push(Lines *lines, const char *text, Buffer *ret) {
  lines_push(lines, (Bytes){(const uint8_t *)text, strlen(text)}, ret);
}

static void assert_text(Buffer *got, const char *expected) {
  buffer_append(got, "", 1);
  assert_string_equal((const char *)got->data, expected);
  buffer_clear(got);
}

static void test_pieces_become_lines(void **state _unused_) {
  _cleanup_(lines_done) Lines lines = {.name = "echo", .name_width = 6};
  _cleanup_(buffer_done) Buffer got = {0};

  push(&lines, "on", &got);
  assert_int_equal(got.size, 0);
  push(&lines, "e\ntwo\r\n\nthr", &got);
  assert_text(&got, "echo   | one\necho   | two\necho   | \n");
  push(&lines, "ee", &got);
  lines_flush(&lines, &got);
  lines_flush(&lines, &got);
  assert_text(&got, "echo   | three\n");
  push(&lines, "\n", &got);
  assert_string_equal(lines.last, "three");
}

static size_t count_lines(const Buffer *buffer) {
  size_t count = 0;

  for (size_t i = 0; i < buffer->size; i++)
    count += buffer->data[i] == '\n';
  return count;
}

static void test_a_long_line_is_cut(void **state _unused_) {
  _cleanup_(lines_done) Lines lines = {.name = "x"};
  _cleanup_(buffer_done) Buffer got = {0};
  static uint8_t big[2 * LINE_MAX_BYTES + 5];

  memset(big, 'a', sizeof big);
  lines_push(&lines, (Bytes){big, LINE_MAX_BYTES}, &got);
  assert_int_equal(count_lines(&got), 0);
  push(&lines, "\n", &got);
  assert_int_equal(count_lines(&got), 1);
  assert_int_equal(got.size, LINE_MAX_BYTES + strlen("x | \n"));
  buffer_clear(&got);
  lines_push(&lines, (Bytes){big, sizeof big}, &got);
  assert_int_equal(count_lines(&got), 2);
  lines_flush(&lines, &got);
  assert_int_equal(count_lines(&got), 3);
  assert_int_equal(got.size, sizeof big + 3 * strlen("x | \n"));
  assert_string_equal(lines.last, "aaaaa");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pieces_become_lines),
      cmocka_unit_test(test_a_long_line_is_cut),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
