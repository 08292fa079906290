/* Turns and waits by a clock that the test holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/remote_api_adapter/key_turns.h"

#define S UINT64_C(1000000)

static void each_takes_its_turn(void **state) {
  KeyTurn turns[3] = {{.is_there = true}, {.is_there = true}, {.is_there = true}};

  (void)state;
  assert_int_equal(key_turns_pick(turns, 3, KEY_NONE, 0, true, 0), 0);
  assert_int_equal(key_turns_pick(turns, 3, 0, 0, true, 0), 1);
  assert_int_equal(key_turns_pick(turns, 3, 2, 0, true, 0), 0);
  assert_int_equal(key_turns_pick(turns, 3, 0, 2, false, 0), 2);
  assert_int_equal(key_turns_pick(turns, 3, 0, 7, false, 0), KEY_NONE);
  assert_int_equal(key_turns_pick(turns, 0, KEY_NONE, 0, true, 0), KEY_NONE);
  turns[1].is_there = false;
  assert_int_equal(key_turns_pick(turns, 3, 0, 0, true, 0), 2);
}

/* Passed over, but for when there is nobody else. */
static void who_failed_is_passed_over(void **state) {
  KeyTurn turns[2] = {{.is_there = true}, {.is_there = true}};

  (void)state;
  key_turns_fail(&turns[0], CAUSE_AUTH, 0, 0);
  assert_int_equal(key_turns_pick(turns, 2, 1, 0, true, 1), 1);
  assert_int_equal(key_turns_pick(turns, 2, 1, 2, false, 1), KEY_NONE);
  assert_int_equal(key_turns_pick(turns, 2, 1, 0, true, 30 * S - 1), 1);
  assert_int_equal(key_turns_pick(turns, 2, 1, 0, true, 30 * S), 0);
  key_turns_fail(&turns[1], CAUSE_RATE_LIMIT, 5 * S, 0);
  assert_int_equal(key_turns_pick(turns, 2, KEY_NONE, 0, true, 1), 1);
  assert_int_equal(key_turns_pick(turns, 2, KEY_NONE, 0, false, 1), KEY_NONE);
  key_turns_heal(&turns[0]);
  assert_int_equal(key_turns_pick(turns, 2, 1, 0, true, 1), 0);
}

static void waits_double_and_end(void **state) {
  static const struct {
    Cause cause;
    uint64_t waits_s[7];
  } rows[] = {{CAUSE_AUTH, {30, 60, 120, 240, 480, 600, 600}},
              {CAUSE_QUOTA, {30, 60, 120, 240, 480, 600, 600}},
              {CAUSE_RATE_LIMIT, {1, 2, 4, 8, 16, 32, 60}}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    KeyTurn turn = {.is_there = true};

    for (size_t n = 0; n < ELEMENTS(rows[i].waits_s); n++) {
      uint64_t now_us = 10000 * S * n;

      key_turns_fail(&turn, rows[i].cause, 0, now_us);
      assert_int_equal(turn.until_us - now_us, rows[i].waits_s[n] * S);
    }
  }
}

/* A second refusal never makes the wait shorter (a gateway that did was hit twelve times in a row). */
static void no_refusal_makes_it_shorter(void **state) {
  KeyTurn turn = {.is_there = true};

  (void)state;
  key_turns_fail(&turn, CAUSE_RATE_LIMIT, 100 * S, 0);
  key_turns_fail(&turn, CAUSE_RATE_LIMIT, 1 * S, 10 * S);
  assert_int_equal(turn.until_us, 100 * S);
  key_turns_fail(&turn, CAUSE_RATE_LIMIT, 200 * S, 10 * S);
  assert_int_equal(turn.until_us, 210 * S);
  turn.failures = UINT32_MAX;
  key_turns_fail(&turn, CAUSE_AUTH, 0, 0);
  assert_int_equal(turn.failures, UINT32_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_takes_its_turn), cmocka_unit_test(who_failed_is_passed_over),
                                     cmocka_unit_test(waits_double_and_end),
                                     cmocka_unit_test(no_refusal_makes_it_shorter)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
