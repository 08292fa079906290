/* Lists of models that come in pages: every page is asked for, and no list goes on for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapters/table.h"
#include "agents/remote_api_adapter/errand.h"

static const DialectSettings settings = {.base_url = "https://bedrock-runtime.eu-central-1.amazonaws.com"};

/* Feeds an answer, and holds the path that would be asked next against path; NULL: there is none. */
static void page(const char *dialect_name, void *state, const char *answer, const char *path) {
  const Dialect *dialect = table_find_dialect(dialect_name);
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.settings = &settings}};

  assert_int_equal(errand_models.decode(dialect, NULL, state, text_of(answer), &fault), path ? ERRAND_E_AGAIN : 0);
  if (!path)
    return;
  assert_int_equal(errand_models.encode(dialect, NULL, state, &request, &fault), 0);
  buffer_append(&request.path, "", 1);
  assert_string_equal((const char *)request.path.data, path);
}

static void first(const char *dialect_name, void *state, const char *path, const char *base_url) {
  const Dialect *dialect = table_find_dialect(dialect_name);
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.settings = &settings}};

  assert_int_equal(errand_models.encode(dialect, NULL, state, &request, &fault), 0);
  buffer_append(&request.path, "", 1);
  assert_string_equal((const char *)request.path.data, path);
  if (base_url)
    assert_string_equal((const char *)request.base_url.data, base_url);
  else
    assert_int_equal(request.base_url.size, 0);
}

static void *begin(void) {
  void *state = calloc(1, errand_models.state_bytes);

  assert_non_null(state);
  return state;
}

static void end(void *state) {
  errand_models.done(state);
  free(state);
}

static void each_page_is_asked_for(void **unused _unused_) {
  void *state = begin();

  first("anthropic", state, "/models?limit=1000", NULL);
  page("anthropic", state, "{\"data\":[{\"id\":\"a\"}],\"has_more\":true,\"last_id\":\"a/ b\"}",
       "/models?limit=1000&after_id=a%2F%20b");
  page("anthropic", state, "{\"data\":[{\"id\":\"b\"}],\"has_more\":false,\"last_id\":\"b\"}", NULL);
  end(state);
  state = begin();
  first("gemini", state, "/models?pageSize=1000", NULL);
  page("gemini", state, "{\"models\":[{\"name\":\"models/a\"}],\"nextPageToken\":\"t\"}",
       "/models?pageSize=1000&pageToken=t");
  page("gemini", state, "{\"models\":[{\"name\":\"models/b\"}]}", NULL);
  end(state);
  state = begin();
  first("openai", state, "/models", NULL);
  page("openai", state, "{\"data\":[{\"id\":\"a\"}]}", NULL);
  end(state);
}

/* Models are told by another host than the one that runs them, and profiles behind them. */
static void bedrock_has_two_lists(void **unused _unused_) {
  void *state = begin();

  first("bedrock", state, "/foundation-models", "https://bedrock.eu-central-1.amazonaws.com");
  page("bedrock", state, "{\"modelSummaries\":[{\"modelId\":\"a\"}]}", "/inference-profiles?maxResults=1000");
  page("bedrock", state, "{\"inferenceProfileSummaries\":[{\"inferenceProfileId\":\"eu.a\"}],\"nextToken\":\"t=\"}",
       "/inference-profiles?maxResults=1000&nextToken=t%3D");
  page("bedrock", state, "{\"inferenceProfileSummaries\":[]}", NULL);
  end(state);
}

static void no_list_goes_on_for_ever(void **unused _unused_) {
  void *state = begin();
  char answer[128], path[64];

  page("gemini", state, "{\"models\":[],\"nextPageToken\":\"t\"}", "/models?pageSize=1000&pageToken=t");
  page("gemini", state, "{\"models\":[],\"nextPageToken\":\"t\"}", NULL);
  end(state);
  state = begin();
  for (int i = 1; i < 64; i++) {
    snprintf(answer, sizeof answer, "{\"models\":[],\"nextPageToken\":\"%d\"}", i);
    snprintf(path, sizeof path, "/models?pageSize=1000&pageToken=%d", i);
    page("gemini", state, answer, path);
  }
  page("gemini", state, "{\"models\":[],\"nextPageToken\":\"64\"}", NULL);
  end(state);
}

static void what_is_no_list_is_a_fault(void **unused _unused_) {
  static const char *const names[] = {"openai", "anthropic", "gemini", "bedrock", "azure", "custom"};

  for (size_t i = 0; i < ELEMENTS(names); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    void *state = begin();

    assert_int_equal(errand_models.decode(table_find_dialect(names[i]), NULL, state, TEXT("<html>"), &fault),
                     DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_MALFORMED);
    end(state);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_page_is_asked_for),
      cmocka_unit_test(bedrock_has_two_lists),
      cmocka_unit_test(no_list_goes_on_for_ever),
      cmocka_unit_test(what_is_no_list_is_a_fault),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
