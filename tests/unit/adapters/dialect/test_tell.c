/* What is told is OpenAI's, whole or piece by piece, and every string comes out as it went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/dialect/tell.h"

#define STRING(text) ((Json){TEXT("\"" text "\"")})

static const ChatUsage usage = {.has_input_tokens = true,
                                .input_tokens = 9,
                                .has_output_tokens = true,
                                .output_tokens = 4,
                                .has_cached_tokens = true,
                                .cached_tokens = 3};

static void assert_text(const Buffer *got, const char *expected) {
  if (!text_is((Text){(const char *)got->data, got->size}, expected))
    fail_msg("wanted\n%s\ngot\n%.*s", expected, (int)got->size, (const char *)got->data);
}

static void tell_all(Tell *tell, bool streams, Buffer *out) {
  assert_false(tell_has_begun(tell));
  tell_begin(tell, streams, TEXT("a\"1"), 1700000000, TEXT("m"));
  assert_true(tell_has_begun(tell));
  tell_reasoning(tell, STRING("hm"), out);
  tell_content(tell, STRING("one \\ud83d"), out);
  tell_content(tell, STRING(""), out);
  tell_content(tell, STRING("\\ude00\\n"), out);
  tell_member(tell, "extra", TEXT("[1]"), out);
  tell_call(tell, STRING("c1"), STRING("f"), out);
  tell_arguments(tell, STRING("{\\\"a\\\":"), out);
  tell_arguments(tell, STRING("1}"), out);
  tell_call_with(tell, STRING("c2"), STRING("g"), "extra", TEXT("{}"), out);
  tell_arguments_object(tell, (Json){TEXT("{\"b\":\"\\n\"}")}, out);
  tell_end(tell, "tool_calls", &usage, out);
}

static void a_whole_answer(void **state) {
  _cleanup_(tell_done) Tell tell = {.streams = false};
  _cleanup_(buffer_done) Buffer out = {0};
  Json value;

  (void)state;
  tell_all(&tell, false, &out);
  assert_text(
      &out,
      "{\"id\":\"a\\\"1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{"
      "\"index\":"
      "0,\"message\":{\"role\":\"assistant\",\"content\":\"one \\ud83d\\ude00\\n\",\"reasoning_content\":\"hm\","
      "\"extra\":[1],\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
      "\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"extra\":{},\"type\":\"function\",\"function\":{\"name\":\"g\","
      "\"arguments\":"
      "\"{\\\"b\\\":\\\"\\\\n\\\"}\"}}],\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],"
      "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13,\"prompt_tokens_details\":"
      "{\"cached_tokens\":3}}}");
  assert_int_equal(json_check((Text){(const char *)out.data, out.size}, &value, NULL), 0);
}

static void a_stream(void **state) {
#define HEAD                                                                                                           \
  "data: {\"id\":\"a\\\"1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":["
#define DELTA(delta) HEAD "{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]}\n\n"
  _cleanup_(tell_done) Tell tell = {.streams = false};
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  tell_all(&tell, true, &out);
  assert_text(&out,
              DELTA("\"role\":\"assistant\",\"reasoning_content\":\"hm\"") DELTA("\"content\":\"one \\ud83d\"")
                  DELTA("\"content\":\"\\ude00\\n\"") DELTA("\"extra\":[1]") DELTA(
                      "\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                      "\"arguments\":\"\"}}]")
                      DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]")
                          DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]")
                              DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"extra\":{},\"type\":\"function\","
                                    "\"function\":{\"name\":"
                                    "\"g\",\"arguments\":\"\"}}]")
                                  DELTA("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":"
                                        "\"{\\\"b\\\":\\\"\\\\n\\\"}\"}}]") HEAD
              "{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n" HEAD
              "],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13,"
              "\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\n");
}

static void an_answer_that_says_nothing(void **state) {
  _cleanup_(tell_done) Tell whole = {.streams = false};
  _cleanup_(tell_done) Tell stream = {.streams = false};
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  tell_begin(&whole, false, TEXT("a"), 0, TEXT("m"));
  tell_end(&whole, "stop", &(ChatUsage){.has_input_tokens = false}, &out);
  assert_text(&out,
              "{\"id\":\"a\",\"object\":\"chat.completion\",\"created\":0,\"model\":\"m\",\"choices\":[{\"index\":0,"
              "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
              "\"finish_reason\":\"stop\"}]}");
  buffer_clear(&out);
  tell_begin(&stream, true, TEXT("a"), 0, TEXT("m"));
  tell_end(&stream, "stop", NULL, &out);
  assert_text(&out,
              "data: {\"id\":\"a\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"m\",\"choices\":"
              "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_whole_answer),
      cmocka_unit_test(a_stream),
      cmocka_unit_test(an_answer_that_says_nothing),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
