/* Paths of both APIs, and what Azure's filters put into a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/azure/azure.h"

static Json checked(const char *text) {
  Json value = {TEXT_NONE};

  assert_int_equal(json_check(text_of(text), &value, NULL), 0);
  return value;
}

static void expect(const char *version, bool is_embedding, const char *path) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  DialectSettings settings = {.base_url = "https://x.openai.azure.com", .api_version = version};
  _cleanup_(dialect_request_done)
      DialectRequest request = {.asked = {.settings = &settings, .model = TEXT("my deployment/4o")}};
  Json ask = checked("{\"model\":\"m\",\"stream\":true,\"messages\":[]}");

  assert_int_equal(is_embedding ? azure_dialect.encode_embed(ask, &request, &fault)
                                : azure_dialect.encode_chat(ask, &request, &fault),
                   0);
  assert_true(text_is((Text){(const char *)request.path.data, request.path.size}, path));
  if (is_embedding)
    return;
  assert_true(request.asked.streams);
  assert_int_equal(request.asked.hides_usage, !version || strcmp(version, "2024-06-01") != 0);
}

static void each_api_has_its_paths(void **state) {
  (void)state;
  expect(NULL, false, "/openai/v1/chat/completions");
  expect(NULL, true, "/openai/v1/embeddings");
  expect("2024-10-21", false, "/openai/deployments/my%20deployment%2F4o/chat/completions?api-version=2024-10-21");
  expect("2025-01-01-preview", true,
         "/openai/deployments/my%20deployment%2F4o/embeddings?api-version=2025-01-01-preview");
  /* One that would refuse a stream that is asked for its usage. */
  expect("2024-06-01", false, "/openai/deployments/my%20deployment%2F4o/chat/completions?api-version=2024-06-01");
}

static void what_filters_think_is_not_passed_on(void **state) {
  static const struct {
    const char *data;
    bool passes;
  } rows[] = {
      {"{\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}", false},
      {"{\"choices\":[{\"index\":0,\"content_filter_offsets\":{},\"finish_reason\":null}]}", false},
      {"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"content_filter_results\":{}}]}", true},
      {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", true},
      {"{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}", true},
  };
  DialectAsked asked = {.streams = true};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    _cleanup_(dialect_stream_done) DialectStream stream = {.done = false};

    dialect_stream_begin(&azure_dialect, &asked, &stream);
    assert_int_equal(azure_dialect.stream_event(&stream, TEXT_NONE, text_of(rows[i].data), &fault), 0);
    if ((stream.events.size > 0) != rows[i].passes)
      fail_msg("%s", rows[i].data);
  }
}

/* An error may come in the middle of a stream whose status was 200. */
static void an_error_in_a_stream(void **state) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  _cleanup_(dialect_stream_done) DialectStream stream = {.done = false};
  DialectAsked asked = {.streams = true};

  (void)state;
  dialect_stream_begin(&azure_dialect, &asked, &stream);
  assert_int_equal(azure_dialect.stream_event(
                       &stream, TEXT_NONE,
                       TEXT("{\"error\":{\"code\":\"content_filter\",\"message\":\"filtered\",\"innererror\":{}}}"),
                       &fault),
                   DIALECT_E_FAULT);
  assert_int_equal(fault.fault.cause, CAUSE_POLICY);
  assert_false(azure_dialect.stream_is_whole(&stream));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_api_has_its_paths),
                                     cmocka_unit_test(what_filters_think_is_not_passed_on),
                                     cmocka_unit_test(an_error_in_a_stream)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
