/* Which HTTP error the end of a request is, its shape, and when to come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/gateway/fault.h"

static void assert_json(const HttpFault *fault, const char *expected) {
  _cleanup_(buffer_done) Buffer json = {0};

  fault_json(fault, &json);
  if (!text_is((Text){(char *)json.data, json.size}, expected))
    fail_msg("wanted %s, got %.*s", expected, (int)json.size, (char *)json.data);
}

static void the_shape_is_that_of_openai(void **state) {
  (void)state;
  assert_json(
      &(HttpFault){
          .http_status = 400, .message = TEXT("a \"quoted\"\nline"), .param = TEXT("messages"), .code = TEXT("bad")},
      "{\"error\":{\"message\":\"a \\\"quoted\\\"\\nline\",\"type\":\"invalid_request_error\","
      "\"param\":\"messages\",\"code\":\"bad\"}}");
  assert_json(&(HttpFault){.http_status = 503, .message = TEXT("m")},
              "{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":null}}");
}

static void types_follow_the_status(void **state) {
  (void)state;
  assert_string_equal(fault_type(401), "authentication_error");
  assert_string_equal(fault_type(403), "permission_error");
  assert_string_equal(fault_type(404), "invalid_request_error");
  assert_string_equal(fault_type(429), "rate_limit_error");
  assert_string_equal(fault_type(500), "server_error");
  assert_string_equal(fault_type(504), "server_error");
}

static void an_answer_becomes_a_fault(void **state) {
  Answer answer = {.status = STATUS_OVERLOADED, .message = TEXT("full"), .retry_after_us = 7};
  HttpFault fault;

  (void)state;
  fault_of_answer(&answer, &fault);
  assert_int_equal(fault.http_status, 429);
  assert_true(text_is(fault.code, "overloaded"));
  assert_true(text_is(fault.message, "full"));
  assert_int_equal(fault.retry_after_us, 7);
  assert_false(fault.is_final);
  answer = (Answer){.status = STATUS_REFUSED, .code = TEXT("context"), .http_status = 422, .path = TEXT("max_tokens")};
  fault_of_answer(&answer, &fault);
  assert_int_equal(fault.http_status, 422);
  assert_true(text_is(fault.code, "context"));
  assert_true(text_is(fault.param, "max_tokens"));
  assert_true(text_is(fault.message, status_about(STATUS_REFUSED)));
}

static void who_may_come_again(void **state) {
  HttpFault fault;

  (void)state;
  fault_of_answer(&(Answer){.status = STATUS_UNKNOWN, .retry_after_us = 5}, &fault);
  assert_int_equal(fault.http_status, 502);
  assert_true(text_is(fault.code, "outcome_unknown"));
  assert_int_equal(fault.retry_after_us, 0);
  assert_true(fault.is_final);
  fault_of_answer(&(Answer){.status = STATUS_WORKER_LOST}, &fault);
  assert_int_equal(fault.http_status, 503);
  assert_int_equal(fault_retry_seconds(fault.retry_after_us), 1);
  fault_of_answer(&(Answer){.status = STATUS_STREAM_LOST}, &fault);
  assert_int_equal(fault.retry_after_us, 0);
}

static void retry_after_is_rounded_up(void **state) {
  (void)state;
  assert_int_equal(fault_retry_seconds(1), 1);
  assert_int_equal(fault_retry_seconds(1000000), 1);
  assert_int_equal(fault_retry_seconds(1000001), 2);
  assert_int_equal(fault_retry_ms(1001), 2);
  assert_int_equal(fault_retry_seconds(UINT64_MAX), 86400);
  assert_int_equal(fault_retry_ms(UINT64_MAX), 86400000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_shape_is_that_of_openai), cmocka_unit_test(types_follow_the_status),
      cmocka_unit_test(an_answer_becomes_a_fault),   cmocka_unit_test(who_may_come_again),
      cmocka_unit_test(retry_after_is_rounded_up),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
