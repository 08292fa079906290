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

/* The path that would be asked now; the rest is in request. */
static const char *asked(const char *dialect_name, void *state, DialectRequest *request) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  request->asked.settings = &settings;
  assert_int_equal(errand_models.encode(table_find_dialect(dialect_name), NULL, state, request, &fault), 0);
  buffer_append(&request->path, "", 1);
  return (const char *)request->path.data;
}

/* Feeds an answer. Returns ERRAND_E_AGAIN, 0, or DIALECT_E_FAULT with its cause. */
static int feed(const char *dialect_name, void *state, const char *answer, Cause *ret_cause) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  int r = errand_models.decode(table_find_dialect(dialect_name), NULL, state, text_of(answer), &fault);

  *ret_cause = fault.fault.cause;
  return r;
}

/* Feeds an answer behind which path is asked next; NULL: nothing is. */
static void page(const char *dialect_name, void *state, const char *answer, const char *path) {
  _cleanup_(dialect_request_done) DialectRequest request = {.method = NULL};
  Cause cause;

  assert_int_equal(feed(dialect_name, state, answer, &cause), path ? ERRAND_E_AGAIN : 0);
  if (path)
    assert_string_equal(asked(dialect_name, state, &request), path);
}

static void first(const char *dialect_name, void *state, const char *path, const char *base_url) {
  _cleanup_(dialect_request_done) DialectRequest request = {.method = NULL};

  assert_string_equal(asked(dialect_name, state, &request), path);
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
    void *state = begin();
    Cause cause;

    assert_int_equal(feed(names[i], state, "<html>", &cause), DIALECT_E_FAULT);
    assert_int_equal(cause, CAUSE_MALFORMED);
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
