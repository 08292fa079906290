/* Clocks of two machines: the quickest answer counts, and times go back by what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/ctl/shift.h"

static void test_nothing_is_known(void **state _unused_) {
  Shift shift = {0};

  assert_int_equal(shift_back(&shift, 1234), 1234);
}

static void test_ahead_and_behind(void **state _unused_) {
  Shift ahead = {0};
  Shift behind = {0};

  shift_note(&ahead, 1000, 6100, 1200); /* it was asked in the middle of the trip */
  assert_int_equal(ahead.ahead_us, 5000);
  assert_int_equal(shift_back(&ahead, 6100), 1100);
  assert_int_equal(shift_back(&ahead, 10), 0);
  shift_note(&behind, 9000, 4100, 9200);
  assert_int_equal(behind.ahead_us, -5000);
  assert_int_equal(shift_back(&behind, 4100), 9100);
}

static void test_the_quickest_answer_counts(void **state _unused_) {
  Shift shift = {0};

  shift_note(&shift, 1000, 2500, 3000);
  assert_int_equal(shift.ahead_us, 500);
  shift_note(&shift, 4000, 4050, 4100);
  assert_int_equal(shift.ahead_us, 0);
  shift_note(&shift, 5000, 9999, 5100); /* no quicker */
  shift_note(&shift, 7000, 9999, 6000); /* the clock was set back in between */
  assert_int_equal(shift.ahead_us, 0);
  assert_int_equal(shift.trip_us, 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_is_known),
      cmocka_unit_test(test_ahead_and_behind),
      cmocka_unit_test(test_the_quickest_answer_counts),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
