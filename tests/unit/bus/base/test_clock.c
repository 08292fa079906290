/* Whether the machine was suspended, told from two clocks that can't be read at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/base/clock.h"
#include "tests/unit/suspend.h"

static void a_suspension_is_told_once(void **state) {
  ClockSleep sleep = {0};
  uint64_t slept_us;

  (void)state;
  suspend_for(7 * US_PER_S); /* before anybody looked */
  assert_int_equal(clock_slept_us(&sleep), 0);
  assert_int_equal(clock_slept_us(&sleep), 0);
  for (uint64_t i = 1; i < 4; i++) {
    suspend_for(i * US_PER_S);
    slept_us = clock_slept_us(&sleep);
    assert_true(slept_us <= i * US_PER_S && slept_us > i * US_PER_S - US_PER_S / 2);
    assert_int_equal(clock_slept_us(&sleep), 0);
  }
}

static void who_is_merely_held_up_was_not_suspended(void **state) {
  ClockSleep sleep = {0};

  (void)state;
  for (int i = 0; i < 20; i++) {
    stall_us = i % 2 ? 3000 : 0;
    assert_int_equal(clock_slept_us(&sleep), 0);
  }
  suspend_for(US_PER_S);
  assert_true(clock_slept_us(&sleep) > 0); /* what was seen while it was held up hides nothing */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_suspension_is_told_once),
      cmocka_unit_test(who_is_merely_held_up_was_not_suspended),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
