/* What work costs, and when nobody can know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/executor/cost.h"

static char chat[] = "chat";
static char embedding[] = "embedding";
static char cheap[] = "0.15";
static char cached[] = "0.075";
static char dear[] = "0.60";
static char huge[] = "999999999999";

static const ChatUsage usage = {.has_input_tokens = true,
                                .input_tokens = 1000,
                                .has_cached_tokens = true,
                                .cached_tokens = 400,
                                .has_output_tokens = true,
                                .output_tokens = 10};

static void test_cost(void **state _unused_) {
  ConfigModel model = {.kind = chat, .input_usd = cheap, .cached_usd = cached, .output_usd = dear};
  uint64_t cost = 7;

  assert_true(cost_of(&model, &usage, &cost));
  assert_int_equal(cost, 600 * 150 + 400 * 75 + 10 * 600);
  model.cached_usd = NULL;
  assert_true(cost_of(&model, &usage, &cost));
  assert_int_equal(cost, 1000 * 150 + 10 * 600);
}

static void test_unknown(void **state _unused_) {
  ConfigModel model = {.kind = chat, .input_usd = cheap};
  ChatUsage some = usage;
  uint64_t cost = 7;

  assert_false(cost_of(&model, &some, &cost)); /* no price of output */
  some.output_tokens = 0;
  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 150000);
  some.has_output_tokens = false;
  cost = 7;
  assert_false(cost_of(&model, &some, &cost));
  model.kind = embedding;
  some.has_input_tokens = false;
  assert_false(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 7);
}

static void test_embedding(void **state _unused_) {
  ConfigModel model = {.kind = embedding, .input_usd = cheap};
  ChatUsage some = {.has_input_tokens = true, .input_tokens = 2};
  uint64_t cost = 7;

  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 300);
}

/* More cached than there were, and more money than there is. */
static void test_rubbish(void **state _unused_) {
  ConfigModel model = {.kind = chat, .input_usd = huge, .output_usd = huge};
  ChatUsage some = {.has_input_tokens = true,
                    .input_tokens = UINT32_MAX,
                    .has_cached_tokens = true,
                    .cached_tokens = UINT32_MAX,
                    .has_output_tokens = true,
                    .output_tokens = UINT32_MAX};
  uint64_t cost = 7;

  assert_true(cost_of(&model, &some, &cost));
  assert_true(cost == UINT64_MAX);
  some.input_tokens = 1;
  some.output_tokens = 0;
  model.input_usd = cheap;
  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 150);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cost), cmocka_unit_test(test_unknown),
                                     cmocka_unit_test(test_embedding), cmocka_unit_test(test_rubbish)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
