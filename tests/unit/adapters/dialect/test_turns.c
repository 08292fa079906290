/* What one speaker says in a row is one turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/dialect/turns.h"

static const char *const openings[] = {[1] = "{\"a\":[", [2] = "{\"b\":["};

static void a_turn_has_what_follows_of_its_kind(void **state) {
  static const unsigned kinds[] = {1, 1, 2, 1, 1};
  _cleanup_(buffer_done) Buffer out = {0};
  Turns turns = {.out = &out, .openings = openings};

  (void)state;
  buffer_put(&out, TEXT("["));
  for (size_t i = 0; i < ELEMENTS(kinds); i++) {
    turns_next(&turns, kinds[i]);
    buffer_printf(&out, "%zu", i);
  }
  assert_true(turns_end(&turns));
  assert_true(text_is(buffer_text(&out), "[{\"a\":[0,1]},{\"b\":[2]},{\"a\":[3,4]}"));
}

static void none_is_none(void **state) {
  _cleanup_(buffer_done) Buffer out = {0};
  Turns turns = {.out = &out, .openings = openings};

  (void)state;
  assert_false(turns_end(&turns));
  assert_int_equal(out.size, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_turn_has_what_follows_of_its_kind),
      cmocka_unit_test(none_is_none),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
