#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/client/retry.h"

static void the_budget_is_spent_by_failures_and_earned_back(void **state) {
  RetryBudget budget;
  int failures = 0;

  (void)state;
  retry_init(&budget);
  assert_true(retry_has_budget(&budget));
  while (retry_has_budget(&budget)) {
    retry_count(&budget, STATUS_OVERLOADED);
    failures++;
  }
  assert_int_equal(failures, 5);
  for (int i = 0; i < 9; i++)
    retry_count(&budget, STATUS_OVERLOADED);
  assert_int_equal(budget.tokens_x10, 0);
  for (int i = 0; i < 50; i++)
    retry_count(&budget, STATUS_OK);
  assert_false(retry_has_budget(&budget));
  retry_count(&budget, STATUS_OK);
  assert_true(retry_has_budget(&budget));
  for (int i = 0; i < 1000; i++)
    retry_count(&budget, STATUS_OK);
  assert_int_equal(budget.tokens_x10, RETRY_TOKENS_X10);
}

static void the_callers_own_mistakes_cost_nothing(void **state) {
  RetryBudget budget;

  (void)state;
  retry_init(&budget);
  retry_count(&budget, STATUS_INVALID);
  retry_count(&budget, STATUS_NO_METHOD);
  assert_int_equal(budget.tokens_x10, RETRY_TOKENS_X10);
}

static void what_may_be_asked_again(void **state) {
  static const struct {
    Status status;
    bool idempotent;
    bool sent_again;
    bool may;
  } cases[] = {
      {STATUS_NO_SERVICE, false, false, true},   {STATUS_OVERLOADED, false, false, true},
      {STATUS_NO_SERVICE, false, true, false},   {STATUS_NO_SERVICE, true, true, true},
      {STATUS_WORKER_LOST, false, false, false}, {STATUS_WORKER_LOST, true, false, true},
      {STATUS_INVALID, true, false, false},      {STATUS_UNKNOWN, true, false, false},
      {STATUS_GONE, true, false, false},         {STATUS_STREAM_LOST, true, false, false},
      {STATUS_OTHER_BROKER, false, false, true}, {STATUS_CONTRACT_MISMATCH, true, false, false},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(cases); i++)
    assert_int_equal(retry_may(cases[i].status, cases[i].idempotent, cases[i].sent_again), cases[i].may);
}

static void waits_double_up_to_a_second(void **state) {
  (void)state;
  for (uint32_t n = 1; n < 20; n++) {
    uint64_t largest = 0;

    for (uint64_t random = 0; random < 2000000; random += 997)
      largest = max_u64(largest, retry_wait_us(n, 0, random));
    assert_true(largest <= min_u64(RETRY_LONGEST_US, (uint64_t)RETRY_FIRST_US << (n - 1)));
    assert_true(largest >= min_u64(RETRY_LONGEST_US, (uint64_t)RETRY_FIRST_US << (n - 1)) * 9 / 10);
    assert_int_equal(retry_wait_us(n, 5000, 0), 5000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_budget_is_spent_by_failures_and_earned_back),
      cmocka_unit_test(the_callers_own_mistakes_cost_nothing),
      cmocka_unit_test(what_may_be_asked_again),
      cmocka_unit_test(waits_double_up_to_a_second),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
