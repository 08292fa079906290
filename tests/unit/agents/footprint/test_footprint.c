/* What a request weighs, member by member; then text by kind of character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/footprint/footprint.h"

static Footprint measure(const char *request) {
  Footprint footprint;
  JsonFault fault;
  int r = footprint_measure(text_of(request), &footprint, &fault);

  if (r != 0)
    fail_msg("%s: %s", request, fault.message);
  return footprint;
}

static uint64_t quarters_of(const char *string, uint64_t *ret_bytes) {
  uint64_t quarters = 0;

  *ret_bytes = 0;
  footprint_weigh((Json){text_of(string)}, &quarters, ret_bytes);
  return quarters;
}

/* As it stands and with escapes, a character weighs the same. */
static void test_weights(void **state _unused_) {
  static const struct {
    const char *string;
    unsigned quarters;
    unsigned bytes;
  } rows[] = {
      {"\"\"", 0, 0},
      {"\"abcd\"", 4, 4},
      {"\"a\\n\\\"\\\\\"", 4, 4},
      {"\"\\u0041\"", 1, 1},
      {"\"\xc3\xa9\"", 2, 2},
      {"\"\\u00e9\"", 2, 2},
      {"\"\xe4\xbd\xa0\xe5\xa5\xbd\"", 8, 6},
      {"\"\\u4f60\\u597D\"", 8, 6},
      {"\"\xf0\x9f\x98\x80\"", 8, 4},
      {"\"\\ud83d\\ude00\"", 8, 4},
      {"12", 0, 0},
      {"", 0, 0},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    uint64_t bytes;

    assert_int_equal(quarters_of(rows[i].string, &bytes), rows[i].quarters);
    assert_int_equal(bytes, rows[i].bytes);
  }
}

static void test_messages(void **state _unused_) {
  Footprint one = measure("{\"messages\":[{\"role\":\"user\",\"content\":\"abcdefgh\"}]}");
  Footprint two =
      measure("{\"messages\":[{\"role\":\"system\",\"content\":\"abcd\"},"
              "{\"role\":\"user\",\"name\":\"efgh\",\"content\":[{\"type\":\"text\",\"text\":\"abcd\"}]}]}");

  assert_int_equal(one.messages, 1);
  assert_int_equal(one.text_bytes, 8);
  assert_int_equal(one.input_tokens, 2 + 4 + 3); /* text, message, priming */
  assert_false(one.is_embedding);
  assert_int_equal(one.choices, 1);
  assert_int_equal(two.messages, 2);
  assert_int_equal(two.text_bytes, 12);
  assert_int_equal(two.input_tokens, 3 + 8 + 3);
}

/* A name may be written with escapes, as any string: it is the same member. */
static void test_names(void **state _unused_) {
  Footprint said =
      measure("{\"mess\\u0061ges\":[{\"n\\u0061me\":\"efgh\",\"content\":\"abcd\"},{\"c\\u006fntent\":\"abcd\"}],"
              "\"str\\u0065am\":true,\"max_tok\\u0065ns\":7,\"x\\n\":1}");
  Footprint embedding = measure("{\"\\u0069nput\":\"abcdefgh\"}");

  assert_int_equal(said.messages, 2);
  assert_int_equal(said.text_bytes, 12);
  assert_int_equal(said.input_tokens, 3 + 8 + 3);
  assert_true(said.is_stream && said.has_limit);
  assert_int_equal(said.limit_tokens, 7);
  assert_true(embedding.is_embedding);
  assert_int_equal(embedding.input_tokens, 2);
}

static void test_parts(void **state _unused_) {
  Footprint image =
      measure("{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:xxxxxxxx\"}},"
              "{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\",\"detail\":\"low\"}}]}]}");
  Footprint sound =
      measure("{\"messages\":[{\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"xxxx\"}},"
              "{\"type\":\"file\"},{\"type\":\"new\"},7]}]}");

  assert_int_equal(image.images, 2);
  assert_int_equal(image.text_bytes, 0);
  assert_int_equal(image.input_tokens, 765 + 85 + 4 + 3);
  assert_int_equal(sound.attachments, 2);
  assert_int_equal(sound.images, 0);
  assert_int_equal(sound.text_bytes, 14); /* what is unknown counts as it stands */
}

static void test_tools(void **state _unused_) {
  Footprint tools = measure("{\"tools\":[{\"a\":1},{\"a\":2}],\"messages\":[{\"role\":\"assistant\",\"content\":null,"
                            "\"tool_calls\":[{\"id\":\"12\"}]}]}");

  assert_int_equal(tools.tools, 2);
  assert_int_equal(tools.text_bytes, 7 + 7 + 13);
  assert_int_equal(tools.input_tokens, 7 + 4 + 3);
}

static void test_settings(void **state _unused_) {
  Footprint all =
      measure("{\"stream\":true,\"n\":3,\"service_tier\":\"flex\",\"response_format\":{\"type\":\"json_object\"},"
              "\"reasoning_effort\":\"low\",\"max_completion_tokens\":7,\"max_tokens\":9}");
  Footprint none =
      measure("{\"stream\":false,\"n\":0,\"service_tier\":\"auto\",\"response_format\":{\"type\":\"text\"},"
              "\"reasoning_effort\":\"none\",\"max_tokens\":null}");

  assert_true(all.is_stream && all.can_wait && all.wants_api && all.wants_reasoning && all.has_limit);
  assert_int_equal(all.choices, 3);
  assert_int_equal(all.limit_tokens, 7);
  assert_false(none.is_stream || none.can_wait || none.wants_api || none.wants_reasoning || none.has_limit);
  assert_int_equal(none.choices, 1);
  assert_true(measure("{\"service_tier\":\"batch\"}").can_wait);
  assert_false(
      measure("{\"response_format\":{\"type\":\"json_schema\"}}").wants_api); /* the local model keeps to one */
  assert_false(measure("{\"response_format\":{\"type\":\"json_object\"}}").wants_api);
  assert_true(measure("{\"logprobs\":true}").wants_api);
  assert_false(measure("{\"logprobs\":false,\"logit_bias\":null,\"n\":1}").wants_api);
  assert_true(measure("{\"logit_bias\":{}}").wants_api);
  assert_true(measure("{\"n\":2}").wants_api);
  assert_false(measure("{\"reasoning_effort\":\"minimal\"}").wants_reasoning);
  assert_int_equal(measure("{\"max_tokens\":9,\"max_completion_tokens\":7}").limit_tokens, 7);
  assert_int_equal(measure("{\"max_tokens\":9}").limit_tokens, 9);
}

/* -1 is "as long as it gets" to llama-server and LM Studio, and Python makes floats of whole numbers. */
static void test_limits_of_other_kinds(void **state _unused_) {
  assert_false(measure("{\"max_tokens\":-1}").has_limit);
  assert_false(measure("{\"max_tokens\":0}").has_limit);
  assert_int_equal(measure("{\"max_tokens\":9.0}").limit_tokens, 9);
  assert_int_equal(measure("{\"max_tokens\":1e3}").limit_tokens, 1000);
  assert_int_equal(measure("{\"max_tokens\":1e999}").limit_tokens, 10000000);
}

/* Other types than the documented ones weigh nothing, and no figure overflows a sum. */
static void test_strange(void **state _unused_) {
  static const char *const strange[] = {
      "{}", "{\"messages\":7,\"tools\":\"x\",\"n\":\"x\",\"stream\":1,\"max_tokens\":\"x\",\"service_tier\":3}",
      "{\"messages\":{\"content\":\"x\"}}", "{\"response_format\":7,\"reasoning_effort\":7}"};

  for (size_t i = 0; i < ELEMENTS(strange); i++) {
    Footprint footprint = measure(strange[i]);

    assert_int_equal(footprint.input_tokens, 3);
    assert_int_equal(footprint.choices, 1);
    assert_false(footprint.has_limit || footprint.is_stream);
  }
  assert_int_equal(measure("{\"max_tokens\":99999999999999999999}").limit_tokens, 10000000);
  assert_int_equal(measure("{\"n\":4000000000}").choices, 128);
}

static void test_embeddings(void **state _unused_) {
  Footprint one = measure("{\"input\":\"abcdefgh\"}");
  Footprint list = measure("{\"input\":[\"abcd\",\"abcdefghi\"]}");
  Footprint tokens = measure("{\"input\":[1,2,3,4,5]}");
  Footprint lists = measure("{\"input\":[[1,2,3],[4]]}");

  assert_true(one.is_embedding && list.is_embedding && tokens.is_embedding && lists.is_embedding);
  assert_int_equal(one.input_tokens, 2);
  assert_int_equal(list.input_tokens, 3);
  assert_int_equal(list.messages, 2);
  assert_int_equal(list.text_bytes, 13);
  assert_int_equal(tokens.input_tokens, 5);
  assert_int_equal(tokens.messages, 1);
  assert_int_equal(lists.input_tokens, 3);
  assert_int_equal(lists.messages, 2);
  assert_int_equal(measure("{\"input\":[]}").input_tokens, 0);
  assert_false(measure("{\"input\":\"x\",\"messages\":[{}]}").is_embedding);
}

static void test_refused(void **state _unused_) {
  Footprint untouched = {.messages = 77};
  JsonFault fault;

  assert_int_equal(footprint_measure(TEXT("{\"a\":"), &untouched, &fault), FOOTPRINT_E_JSON);
  assert_int_equal(fault.column, 6);
  assert_int_equal(footprint_measure(TEXT("[]"), &untouched, &fault), FOOTPRINT_E_OBJECT);
  assert_int_equal(untouched.messages, 77);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_weights),
      cmocka_unit_test(test_messages),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_parts),
      cmocka_unit_test(test_tools),
      cmocka_unit_test(test_settings),
      cmocka_unit_test(test_limits_of_other_kinds),
      cmocka_unit_test(test_strange),
      cmocka_unit_test(test_embeddings),
      cmocka_unit_test(test_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
