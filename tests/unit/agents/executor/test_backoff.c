/* Waits by a clock and a chance that the test holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/executor/backoff.h"

static const BackoffAsk first = {.tries = 1, .tries_most = 4, .longest_us = 3000000, .left_us = 60000000};

static BackoffAsk with(uint32_t tries, uint64_t random) {
  BackoffAsk ask = first;

  ask.tries = tries;
  ask.random = random;
  return ask;
}

/* The wait, or -1 where there is to be none. */
static int64_t wait_of(BackoffAsk ask) {
  BackoffBudget budget;
  uint64_t wait_us = 77;

  backoff_init(&budget);
  if (backoff_step(&budget, &ask, &wait_us)) {
    assert_int_equal(budget.tokens_x10, BACKOFF_TOKENS_X10 - BACKOFF_RETRY_X10);
    return (int64_t)wait_us;
  }
  assert_int_equal(wait_us, 77);
  assert_int_equal(budget.tokens_x10, BACKOFF_TOKENS_X10);
  return -1;
}

static void each_wait_may_be_twice_as_long(void **state) {
  (void)state;
  for (uint32_t failures = 0; failures < 100; failures++) {
    uint64_t most = failures < 4 ? UINT64_C(250000) << failures : 3000000;

    assert_int_equal(backoff_jitter_us(250000, 3000000, failures, most), most);
    assert_int_equal(backoff_jitter_us(250000, 3000000, failures, most + 1), 0);
    assert_int_equal(backoff_jitter_us(250000, 3000000, failures, 0), 0);
  }
  assert_int_equal(wait_of(with(1, 250000)), 250000);
  assert_int_equal(wait_of(with(1, 250001)), 0);
  assert_int_equal(wait_of(with(2, 500000)), 500000);
  assert_int_equal(wait_of(with(3, 1000000)), 1000000);
}

static void tries_have_an_end(void **state) {
  BackoffAsk once = with(1, 0);

  (void)state;
  once.tries_most = 1;
  assert_int_equal(wait_of(once), -1);
  assert_int_equal(wait_of(with(4, 0)), -1);
  assert_int_equal(wait_of(with(3, 0)), 0);
}

static void what_the_provider_asks_for_is_kept(void **state) {
  BackoffAsk ask = with(1, 1000);

  (void)state;
  ask.retry_after_us = 2000000;
  assert_int_equal(wait_of(ask), 2001000);
  ask.retry_after_us = 3000000;
  assert_int_equal(wait_of(ask), 3001000);
  ask.retry_after_us = 3000001; /* nobody waits so long unasked */
  assert_int_equal(wait_of(ask), -1);
}

static void the_deadline_comes_first(void **state) {
  BackoffAsk ask = with(1, 200000);

  (void)state;
  ask.left_us = 200001;
  assert_int_equal(wait_of(ask), 200000);
  ask.left_us = 200000;
  assert_int_equal(wait_of(ask), -1);
  ask.left_us = 0;
  assert_int_equal(wait_of(ask), -1);
}

/* A provider in trouble gets ten requests more, and then one for each ten that it answers. */
static void the_budget_is_shared(void **state) {
  BackoffAsk ask = with(1, 0);
  BackoffBudget budget;
  uint64_t wait_us;

  (void)state;
  backoff_init(&budget);
  for (int i = 0; i < 10; i++)
    assert_true(backoff_step(&budget, &ask, &wait_us));
  assert_false(backoff_step(&budget, &ask, &wait_us));
  for (int i = 0; i < 9; i++)
    backoff_earn(&budget);
  assert_false(backoff_step(&budget, &ask, &wait_us));
  backoff_earn(&budget);
  assert_true(backoff_step(&budget, &ask, &wait_us));
  for (int i = 0; i < 1000; i++)
    backoff_earn(&budget);
  assert_int_equal(budget.tokens_x10, BACKOFF_TOKENS_X10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_wait_may_be_twice_as_long), cmocka_unit_test(tries_have_an_end),
      cmocka_unit_test(what_the_provider_asks_for_is_kept), cmocka_unit_test(the_deadline_comes_first),
      cmocka_unit_test(the_budget_is_shared)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
