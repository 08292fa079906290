/* When a client may return to the broker that it prefers, by a clock that is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/base/clock.h"
#include "bus/client/prefer.h"

static void what_was_never_lost_is_taken_at_once(void **state) {
  Prefer prefer = {0};

  (void)state;
  assert_true(prefer_return_us(&prefer) == TIME_NEVER);
  prefer_lost(&prefer, 5); /* it was not there */
  prefer_up(&prefer, 10);
  assert_int_equal(prefer_return_us(&prefer), 10);
  prefer_up(&prefer, 20); /* still */
  assert_int_equal(prefer_return_us(&prefer), 10);
}

static void each_further_loss_doubles_the_wait(void **state) {
  Prefer prefer = {0};
  uint64_t now_us = 1;
  uint64_t wait_us = TIME_RETURN_FIRST_US;

  (void)state;
  for (int i = 0; i < 12; i++) {
    prefer_up(&prefer, now_us);
    now_us += 1000;
    prefer_lost(&prefer, now_us);
    assert_true(prefer_return_us(&prefer) == TIME_NEVER);
    now_us += 1000;
    prefer_up(&prefer, now_us);
    assert_int_equal(prefer_return_us(&prefer), now_us + min_u64(wait_us, TIME_RETURN_LONGEST_US));
    wait_us *= 2;
  }
}

static void a_long_session_makes_losses_forgotten(void **state) {
  Prefer prefer = {0};

  (void)state;
  prefer_up(&prefer, 1);
  prefer_lost(&prefer, 2);
  prefer_up(&prefer, 3);
  prefer_lost(&prefer, 4);
  assert_int_equal(prefer.losses, 2);
  prefer_up(&prefer, 5);
  prefer_lost(&prefer, 5 + TIME_RETURN_LONGEST_US);
  assert_int_equal(prefer.losses, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_never_lost_is_taken_at_once),
      cmocka_unit_test(each_further_loss_doubles_the_wait),
      cmocka_unit_test(a_long_session_makes_losses_forgotten),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
