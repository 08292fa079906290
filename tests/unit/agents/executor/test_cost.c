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

/* Each kind of token at its own price; one kind without a price makes all of it unknown. */
static void test_kinds(void **state _unused_) {
  static char write[] = "0.1875", hour[] = "0.30", sound[] = "10", speech[] = "20";
  ConfigModel model = {.kind = chat,
                       .input_usd = cheap,
                       .cached_usd = cached,
                       .cache_write_usd = write,
                       .cache_write_hour_usd = hour,
                       .output_usd = dear,
                       .input_audio_usd = sound,
                       .output_audio_usd = speech};
  ChatUsage some = usage;
  uint64_t cost = 7;

  some.has_cache_write_tokens = some.has_cache_write_hour_tokens = true;
  some.cache_write_tokens = 200;
  some.cache_write_hour_tokens = 50;
  some.has_input_audio_tokens = some.has_output_audio_tokens = true;
  some.input_audio_tokens = 30;
  some.output_audio_tokens = 4;
  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 370 * 150 + 400 * 75 + 150 * 187.5 + 50 * 300 + 30 * 10000 + 6 * 600 + 4 * 20000);
  for (size_t i = 0; i < 4; i++) {
    char **prices[] = {&model.cache_write_usd, &model.cache_write_hour_usd, &model.input_audio_usd,
                       &model.output_audio_usd};
    char *was = *prices[i];

    cost = 7;
    *prices[i] = NULL;
    assert_false(cost_of(&model, &some, &cost));
    assert_int_equal(cost, 7);
    *prices[i] = was;
  }
}

/* A prompt above a tier's bound is charged by it as a whole. */
static void test_tiers(void **state _unused_) {
  static char twice[] = "0.30", thrice[] = "0.45", out[] = "1.20";
  ConfigTier tiers[] = {{.above_tokens = 1000, .input_usd = twice, .output_usd = out},
                        {.above_tokens = 5000, .input_usd = thrice}};
  ConfigModel model = {.kind = chat,
                       .input_usd = cheap,
                       .cached_usd = cached,
                       .output_usd = dear,
                       .tiers = tiers,
                       .tiers_count = ELEMENTS(tiers)};
  ChatUsage some = usage;
  uint64_t cost = 7;

  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 600 * 150 + 400 * 75 + 10 * 600);
  some.input_tokens = 1001;
  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 1001 * 300 + 10 * 1200);
  some.input_tokens = 5001;
  assert_false(cost_of(&model, &some, &cost)); /* that tier says nothing of output */
  some.output_tokens = 0;
  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 5001 * 450);
}

static void test_minutes(void **state _unused_) {
  static char minute[] = "0.006", transcription[] = "transcription";
  ConfigModel model = {.kind = transcription, .minute_usd = minute, .input_usd = cheap, .output_usd = dear};
  ChatUsage some = {.has_audio_ms = true, .audio_ms = 90000};
  uint64_t cost = 7;

  assert_true(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 9000000);
  model.minute_usd = NULL;
  cost = 7;
  assert_false(cost_of(&model, &some, &cost));
  assert_int_equal(cost, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cost),      cmocka_unit_test(test_unknown),
                                     cmocka_unit_test(test_embedding), cmocka_unit_test(test_rubbish),
                                     cmocka_unit_test(test_kinds),     cmocka_unit_test(test_tiers),
                                     cmocka_unit_test(test_minutes)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
