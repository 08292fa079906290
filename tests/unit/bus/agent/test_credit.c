#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/agent/credit.h"

static void fast_handlers_are_given_more_to_hold(void **state) {
  Credit credit;

  (void)state;
  credit_init(&credit, 4, true);
  assert_int_equal(credit_value(&credit), 4 + CREDIT_PREFETCH_MAX);
  assert_false(credit_measure(&credit, 1500));
  assert_int_equal(credit_value(&credit), 4 + CREDIT_PREFETCH_MAX);
}

static void a_few_microseconds_are_given_half_of_it(void **state) {
  Credit credit;

  (void)state;
  credit_init(&credit, 4, true);
  assert_true(credit_measure(&credit, 5000));
  assert_int_equal(credit_value(&credit), 4 + 128);
}

static void one_that_was_held_up_changes_nothing(void **state) {
  Credit credit;

  (void)state;
  credit_init(&credit, 4, true);
  credit_measure(&credit, 1000);
  assert_false(credit_measure(&credit, 4000000));
  assert_int_equal(credit_value(&credit), 4 + CREDIT_PREFETCH_MAX);
}

static void slow_handlers_are_given_what_they_run(void **state) {
  Credit credit;

  (void)state;
  credit_init(&credit, 4, false);
  assert_int_equal(credit_value(&credit), 4);
  assert_false(credit_measure(&credit, 2000000));
  assert_int_equal(credit_value(&credit), 4);
}

static void the_average_follows_and_changes_are_told(void **state) {
  Credit credit;
  int changes = 0;

  (void)state;
  credit_init(&credit, 1, true);
  for (int i = 0; i < 100; i++)
    changes += credit_measure(&credit, 5000000);
  assert_int_equal(credit.prefetch, 0);
  assert_int_equal(changes, 1);
  for (int i = 0; i < 100; i++)
    changes += credit_measure(&credit, 1000);
  assert_int_equal(credit.prefetch, CREDIT_PREFETCH_MAX);
  assert_true(changes > 1 && changes <= 8);
}

static void the_credit_is_what_a_header_can_say(void **state) {
  Credit credit;

  (void)state;
  credit_init(&credit, LIMIT_CREDIT - 1, true);
  assert_int_equal(credit_value(&credit), LIMIT_CREDIT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fast_handlers_are_given_more_to_hold),
      cmocka_unit_test(a_few_microseconds_are_given_half_of_it),
      cmocka_unit_test(one_that_was_held_up_changes_nothing),
      cmocka_unit_test(slow_handlers_are_given_what_they_run),
      cmocka_unit_test(the_credit_is_what_a_header_can_say),
      cmocka_unit_test(the_average_follows_and_changes_are_told),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
