/* Answers as OpenAI's JSON: events byte for byte, and all of it JSON whatever the text is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/tiny_llama_service_enhanced/say.h"
#include "bus/json/json.h"

static const SayHead head = {.request = {"ab-1", 4}, .model = {"tiny", 4}, .created_s = 17};

static void expect(Buffer *buffer, const char *wanted) {
  buffer_append(buffer, "", 1);
  assert_string_equal((const char *)buffer->data, wanted);
  buffer_clear(buffer);
}

#define OPENING                                                                                                        \
  "{\"id\":\"chatcmpl-ab-1\",\"object\":\"chat.completion.chunk\",\"created\":17,\"model\":\"tiny\",\"choices\":"

static void test_events(void **state) {
  _cleanup_(buffer_done) Buffer out = {0};
  SayHead asked = head;

  (void)state;
  say_role(&out, &head);
  expect(&out, "data: " OPENING
               "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n");
  say_delta(&out, &head, TEXT("a\"\n"));
  expect(&out, "data: " OPENING "[{\"index\":0,\"delta\":{\"content\":\"a\\\"\\n\"},\"finish_reason\":null}]}\n\n");
  say_finish(&out, &head, "stop");
  expect(&out, "data: " OPENING "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
  asked.usage_follows = true;
  say_finish(&out, &asked, "length");
  expect(&out, "data: " OPENING "[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":null}\n\n");
  say_usage(&out, &asked, &(SayUsage){3, 4});
  expect(&out, "data: " OPENING "[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n");
}

static void test_completion(void **state) {
  _cleanup_(buffer_done) Buffer out = {0};
  Json json;

  (void)state;
  say_completion(&out, &head, TEXT("h\xc3\xbc\xff"), "stop", &(SayUsage){3, 4});
  assert_int_equal(json_check((Text){(const char *)out.data, out.size}, &json, NULL), 0);
  expect(&out,
         "{\"id\":\"chatcmpl-ab-1\",\"object\":\"chat.completion\",\"created\":17,\"model\":\"tiny\",\"choices\":[{"
         "\"index\":0,"
         "\"message\":{\"role\":\"assistant\",\"content\":\"h\xc3\xbc\xef\xbf\xbd\"},\"finish_reason\":\"stop\"}],"
         "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}");
}

static void test_embeddings(void **state) {
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  say_embeddings_begin(&out);
  say_embedding(&out, 0, (const float[]){1, -0.5f}, 2, false);
  say_embedding(&out, 1, (const float[]){1, -0.5f}, 2, true);
  say_embeddings_end(&out, TEXT("tiny"), 5);
  expect(&out, "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[1,-0.5]},"
               "{\"object\":\"embedding\",\"index\":1,\"embedding\":\"AACAPwAAAL8=\"}],\"model\":\"tiny\","
               "\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_events),
      cmocka_unit_test(test_completion),
      cmocka_unit_test(test_embeddings),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
