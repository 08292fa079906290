/* The boundary, every rule of every table, and the example prompts of the documentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/request_coordinator/classify.h"

static const ClassifyRules rules = {.heavy_tokens = 3000, .output_tokens = 512};

static ChatRoute decide(Footprint footprint, Priority priority) {
  ChatRoute route = {.has_sticky = true, .sticky = TEXT("kept")};

  footprint.choices = footprint.choices ? footprint.choices : 1;
  classify_request(&footprint, priority, &rules, &route);
  assert_true(text_is(route.sticky, "kept"));
  return route;
}

static void expect(Footprint footprint, Priority priority, const char *size, const char *profile, const char *latency) {
  ChatRoute route = decide(footprint, priority);

  assert_int_equal(route.size.size, strlen(size));
  assert_memory_equal(route.size.data ? route.size.data : "", size, strlen(size));
  assert_int_equal(route.profile.size, strlen(profile));
  assert_memory_equal(route.profile.data, profile, strlen(profile));
  assert_int_equal(route.latency.size, strlen(latency));
  assert_memory_equal(route.latency.data, latency, strlen(latency));
}

/* One rule for the boundary: so many tokens are light, one more is heavy. */
static void test_boundary(void **state _unused_) {
  static const struct {
    uint64_t input, limit, choices;
    const char *size;
  } rows[] = {
      {2999, 1, 1, "light"},    {3000, 0, 1, "light"},
      {3001, 0, 1, "heavy"},    {0, 3000, 1, "light"},
      {0, 3001, 1, "heavy"},    {1000, 1000, 2, "light"},
      {1000, 1000, 3, "heavy"}, {1, 2999, 1, "light"},
      {2, 2999, 1, "heavy"},    {10000000, 10000000, 128, "heavy"},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    ChatRoute route = decide((Footprint){.input_tokens = rows[i].input,
                                         .has_limit = true,
                                         .limit_tokens = rows[i].limit,
                                         .choices = rows[i].choices},
                             PRIORITY_NORMAL);

    assert_true(text_is(route.size, rows[i].size));
    assert_int_equal(route.tokens, rows[i].input + rows[i].limit);
  }
}

static void test_without_a_limit(void **state _unused_) {
  assert_true(text_is(decide((Footprint){.input_tokens = 3000 - 512}, PRIORITY_NORMAL).size, "light"));
  assert_true(text_is(decide((Footprint){.input_tokens = 3000 - 511}, PRIORITY_NORMAL).size, "heavy"));
  assert_int_equal(decide((Footprint){.input_tokens = 10}, PRIORITY_NORMAL).tokens, 522);
  assert_int_equal(decide((Footprint){.input_tokens = UINT64_C(1) << 40}, PRIORITY_NORMAL).tokens, UINT32_MAX);
}

static void test_needs(void **state _unused_) {
  expect((Footprint){.images = 1}, PRIORITY_NORMAL, "heavy", "vision", "normal");
  expect((Footprint){.attachments = 1}, PRIORITY_NORMAL, "heavy", "vision", "normal");
  expect((Footprint){.wants_reasoning = true}, PRIORITY_NORMAL, "heavy", "reasoning", "normal");
  expect((Footprint){.tools = 1}, PRIORITY_NORMAL, "heavy", "tools", "normal");
  expect((Footprint){.wants_api = true}, PRIORITY_NORMAL, "heavy", "tools", "normal");
  expect((Footprint){.images = 1, .wants_reasoning = true, .tools = 1}, PRIORITY_NORMAL, "heavy", "vision", "normal");
  expect((Footprint){.wants_reasoning = true, .tools = 1}, PRIORITY_NORMAL, "heavy", "reasoning", "normal");
  expect((Footprint){.is_embedding = true, .input_tokens = 9999}, PRIORITY_NORMAL, "", "embedding", "normal");
}

static void test_latency(void **state _unused_) {
  static const struct {
    bool is_stream, can_wait;
    Priority priority;
    const char *latency;
  } rows[] = {
      {false, false, PRIORITY_NORMAL, "normal"}, {false, false, PRIORITY_INTERACTIVE, "interactive"},
      {false, false, PRIORITY_BATCH, "batch"},   {true, false, PRIORITY_NORMAL, "interactive"},
      {true, false, PRIORITY_BATCH, "batch"},    {true, true, PRIORITY_INTERACTIVE, "batch"},
      {false, true, PRIORITY_NORMAL, "batch"},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    expect((Footprint){.is_stream = rows[i].is_stream, .can_wait = rows[i].can_wait}, rows[i].priority, "light", "text",
           rows[i].latency);
}

/* The requests that docs/routing.md shows, with what it says of them. */
static void test_documented(void **state _unused_) {
  static const struct {
    const char *request;
    const char *size;
    const char *profile;
  } rows[] = {
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"What is Python?\"}]}", "light", "text"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"Write a Python function to implement a binary search tree with "
       "insertion, deletion and balancing\"}]}",
       "light", "text"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"Write a Python function to implement a binary search tree with "
       "insertion, deletion and balancing\"}],\"max_tokens\":4000}",
       "heavy", "text"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"Is 1027 prime?\"}],\"reasoning_effort\":\"high\"}", "heavy",
       "reasoning"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is this?\"},"
       "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.com/cat.png\"}}]}]}",
       "heavy", "vision"},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Footprint footprint;

    assert_int_equal(footprint_measure(text_of(rows[i].request), &footprint, NULL), 0);
    expect(footprint, PRIORITY_NORMAL, rows[i].size, rows[i].profile, "normal");
  }
}

static void expect_reason(const ClassifyWhy *why, size_t row, const char *rule, const char *because) {
  assert_true(text_is(why->rows[row].rule, rule));
  assert_string_equal(why->texts[row], because);
  assert_ptr_equal(why->rows[row].because.data, why->texts[row]);
}

static void test_why(void **state _unused_) {
  Footprint footprint = {.messages = 1, .text_bytes = 40, .input_tokens = 17, .choices = 2, .is_stream = true};
  ClassifyWhy why;

  classify_explain(&footprint, PRIORITY_NORMAL, &rules, &why);
  expect_reason(&why, 0, "tokens",
                "the prompt has about 17 (40 bytes of text, 1 messages, 0 images), the answer at most 512 "
                "(coordinator.output_tokens), times n = 2: 1041 together");
  expect_reason(
      &why, 1, "size",
      "light: 1041 tokens, coordinator.heavy_tokens is 3000: not more than coordinator.heavy_tokens, and text "
      "is all that is asked for");
  expect_reason(&why, 2, "profile", "text: nothing but text is asked for");
  expect_reason(&why, 3, "latency", "interactive: the answer is streamed, or the request's priority is interactive");
  footprint = (Footprint){.is_embedding = true, .messages = 2, .input_tokens = 9, .text_bytes = 50, .choices = 1};
  classify_explain(&footprint, PRIORITY_NORMAL, &rules, &why);
  expect_reason(&why, 0, "tokens", "the largest of 2 inputs has about 9 tokens; all have 50 bytes");
  expect_reason(&why, 1, "size", "none: embedding models are taken in the order of the model table");
}

/* The longest reasons fit into the contract, with every figure at its most. */
static void test_reasons_fit(void **state _unused_) {
  const Footprint most = {.messages = UINT32_MAX,
                          .text_bytes = UINT64_MAX,
                          .input_tokens = UINT64_MAX / 4,
                          .images = UINT32_MAX,
                          .choices = 128,
                          .wants_api = true};
  _cleanup_(buffer_done) Buffer buffer = {0};
  ClassifyWhy why;
  ChatRoute route = {.has_reasons = true};

  classify_explain(&most, PRIORITY_BATCH, &rules, &why);
  route.reasons.items = why.rows;
  route.reasons.count = CLASSIFY_REASONS;
  assert_int_equal(contract_encode(CONTRACT(ChatRoute), &route, &buffer, NULL), 0);
  assert_true(buffer.size < 1400); /* annotations take 2,048 */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_boundary),    cmocka_unit_test(test_without_a_limit), cmocka_unit_test(test_needs),
      cmocka_unit_test(test_latency),     cmocka_unit_test(test_documented),      cmocka_unit_test(test_why),
      cmocka_unit_test(test_reasons_fit),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
