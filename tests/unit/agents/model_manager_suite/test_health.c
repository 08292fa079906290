/* A clock that only this test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/model_manager_suite/health.h"

#define START (1000 * US_PER_S)

static Health down_at(uint64_t now_us) {
  Health health = {.failures = 0};

  for (int i = 0; i < HEALTH_FAILURES; i++)
    health_settle(&health, true, now_us);
  return health;
}

static void test_unmeasured(void **state _unused_) {
  Health health = {.failures = 0};

  assert_int_equal(health_state(&health, START), HEALTH_UNMEASURED);
  assert_false(health_is_behind(&health, START));
  health_settle(&health, false, START);
  assert_int_equal(health_state(&health, START + HEALTH_MEMORY_US), HEALTH_UP);
  assert_int_equal(health_state(&health, START + HEALTH_MEMORY_US + 1), HEALTH_UNMEASURED);
}

/* The third failure in a row, and not two with a success between them. */
static void test_down(void **state _unused_) {
  Health health = {.failures = 0};

  health_settle(&health, true, START);
  health_settle(&health, true, START);
  health_settle(&health, false, START);
  health_settle(&health, true, START);
  health_settle(&health, true, START);
  assert_int_equal(health_state(&health, START), HEALTH_UP);
  assert_false(health_is_behind(&health, START));
  health_settle(&health, true, START);
  assert_int_equal(health_state(&health, START), HEALTH_DOWN);
  assert_true(health_is_behind(&health, START));
}

/* Half open: one request tries it, the others wait for another back-off. */
static void test_trial(void **state _unused_) {
  Health health = down_at(START);
  uint64_t now_us = START + HEALTH_BACKOFF_US;

  assert_true(health_is_behind(&health, now_us - 1));
  assert_false(health_is_behind(&health, now_us));
  assert_int_equal(health_state(&health, now_us), HEALTH_DOWN);
  health_try(&health, now_us);
  assert_true(health_is_behind(&health, now_us));
  assert_false(health_is_behind(&health, now_us + HEALTH_BACKOFF_US)); /* nobody told how the trial ended */
  health_settle(&health, false, now_us + 1);
  assert_int_equal(health_state(&health, now_us + 1), HEALTH_UP);
  assert_false(health_is_behind(&health, now_us + 1));
}

/* 5, 10, 20, 40, 60, 60 seconds. */
static void test_backoff(void **state _unused_) {
  static const uint64_t seconds[] = {5, 10, 20, 40, 60, 60};
  Health health = down_at(START);
  uint64_t now_us = START;

  for (size_t i = 0; i < ELEMENTS(seconds); i++) {
    assert_true(health_is_behind(&health, now_us + seconds[i] * US_PER_S - 1));
    now_us += seconds[i] * US_PER_S;
    assert_false(health_is_behind(&health, now_us));
    health_settle(&health, true, now_us);
  }
}

/* A later failure of older work never brings the next trial nearer. */
static void test_longest_counts(void **state _unused_) {
  Health health = down_at(START);

  health_settle(&health, true, START); /* 10 s */
  health.backoff_us = US_PER_S;
  health_try(&health, START);
  assert_true(health_is_behind(&health, START + 10 * US_PER_S - 1));
}

/* One that is up is tried without a word. */
static void test_try_of_one_that_is_up(void **state _unused_) {
  Health health = {.failures = 0};

  health_try(&health, START);
  assert_false(health_is_behind(&health, START));
  assert_int_equal(health_state(&health, START), HEALTH_UNMEASURED);
}

static void test_names(void **state _unused_) {
  assert_string_equal(health_state_name(HEALTH_UNMEASURED), "unmeasured");
  assert_string_equal(health_state_name(HEALTH_UP), "up");
  assert_string_equal(health_state_name(HEALTH_DOWN), "down");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unmeasured),     cmocka_unit_test(test_down),
      cmocka_unit_test(test_trial),          cmocka_unit_test(test_backoff),
      cmocka_unit_test(test_longest_counts), cmocka_unit_test(test_try_of_one_that_is_up),
      cmocka_unit_test(test_names),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
