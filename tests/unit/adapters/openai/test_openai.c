/* What goes to a provider of OpenAI's dialect, and what its answers, streams and errors mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "adapters/dialect/retry_after.h"
#include "adapters/openai/openai.h"

static const DialectAsked asked;

static Json checked(const char *text) {
  Json value = {TEXT_NONE};

  if (json_check(text_of(text), &value, NULL) != 0)
    fail_msg("not JSON: %s", text);
  return value;
}

static void assert_text(Text got, const char *expected) {
  if (!text_is(got, expected))
    fail_msg("wanted %s, got %.*s", expected, TEXT_ARG(got));
}

static Text of(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static void a_request_keeps_what_nobody_changes(void **state) {
  static const struct {
    const char *request;
    const char *body;
    bool hides_usage;
  } rows[] = {
      {"{\"model\":\"x\",\"messages\":[],\"n\":1e400,\"new_thing\":{\"a\": 1}}",
       "{\"model\":\"up\",\"messages\":[],\"n\":1e400,\"new_thing\":{\"a\": 1}}", false},
      {"{\"messages\":[]}", "{\"messages\":[],\"model\":\"up\"}", false},
      {"{ \"model\" :\"x\", \"fallbacks\" : [], \"a\": [ 1 ]\n}", "{ \"model\" :\"up\",\"a\": [ 1 ]\n}", false},
      {"{\"fallbacks\":[\"y\"],\"model\":\"x\",\"messages\":[]}", "{\"model\":\"up\",\"messages\":[]}", false},
      {"{\"model\":\"x\",\"stream\":true}",
       "{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", true},
      {"{\"model\":\"x\",\"stream\":true,\"stream_options\":{\"include_usage\":false,\"z\":1}}",
       "{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"z\":1}}", true},
      {"{\"model\":\"x\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
       "{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", false},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.model = TEXT("up")}};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    assert_int_equal(openai_dialect.encode_chat(checked(rows[i].request), &request, &fault), 0);
    assert_text(of(&request.path), "/chat/completions");
    assert_text(of(&request.body), rows[i].body);
    assert_int_equal(request.asked.hides_usage, rows[i].hides_usage);
  }
}

static void usage_is_read_and_what_is_absent_stays_so(void **state) {
  _cleanup_(buffer_done) Buffer response = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  ChatUsage usage = {0};

  (void)state;
  assert_int_equal(
      openai_dialect.decode_chat(&asked,
                                 TEXT(" {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
                                      "\"prompt_tokens_details\":{\"cached_tokens\":5}}} "),
                                 &response, &usage, &fault),
      0);
  assert_true(usage.has_input_tokens && usage.has_output_tokens && usage.has_cached_tokens);
  assert_false(usage.has_reasoning_tokens);
  assert_int_equal(usage.input_tokens, 7);
  assert_int_equal(usage.cached_tokens, 5);
  assert_true(response.data[0] == '{' && response.data[response.size - 1] == '}');
}

static void what_is_no_answer_is_a_fault(void **state) {
  static const struct {
    const char *body;
    Cause cause;
  } rows[] = {
      {"", CAUSE_MALFORMED},
      {"<html>", CAUSE_MALFORMED},
      {"{\"choices\":{}}", CAUSE_MALFORMED},
      {"{\"error\":\"no\",\"choices\":[]}", CAUSE_OVERLOAD},
      {"{\"error\":{\"message\":\"later\",\"code\":\"rate_limit_exceeded\"}}", CAUSE_RATE_LIMIT},
      {"{\"error\":{\"message\":\"later\",\"code\":429}}", CAUSE_RATE_LIMIT},
      {"{\"error\":{\"message\":\"who?\",\"code\":\"401\"}}", CAUSE_AUTH},
      {"{\"error\":{\"message\":\"what?\",\"code\":\"42\"}}", CAUSE_OVERLOAD},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer response = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    ChatUsage usage = {0};

    assert_int_equal(openai_dialect.decode_chat(&asked, text_of(rows[i].body), &response, &usage, &fault),
                     DIALECT_E_FAULT);
    assert_string_equal(cause_name(fault.fault.cause), cause_name(rows[i].cause));
    assert_true(fault.fault.message.size > 0);
  }
}

static int feed(DialectStream *stream, const char *data, DialectFault *fault) {
  return openai_dialect.stream_event(stream, TEXT_NONE, text_of(data), fault);
}

static void a_stream_passes_through(void **state) {
  _cleanup_(dialect_stream_done) DialectStream stream = {.asked = {.hides_usage = true}};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  assert_int_equal(feed(&stream, "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}", &fault), 0);
  assert_false(openai_dialect.stream_is_whole(&stream));
  assert_int_equal(feed(&stream, "{\"choices\":\n[{\"delta\":{},\"finish_reason\":\"stop\"}]}", &fault), 0);
  assert_true(openai_dialect.stream_is_whole(&stream));
  assert_int_equal(feed(&stream, "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}", &fault),
                   0);
  assert_int_equal(feed(&stream, "[DONE]", &fault), 0);
  assert_int_equal(feed(&stream, "{\"late\":1}", &fault), 0);
  assert_text(of(&stream.events), "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n"
                                  "data: {\"choices\": [{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
  assert_int_equal(stream.usage.input_tokens, 3);
}

static void the_usage_is_passed_on_to_who_asked(void **state) {
  _cleanup_(dialect_stream_done) DialectStream stream = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  assert_int_equal(feed(&stream, "{\"choices\":[],\"usage\":{\"prompt_tokens\":3}}", &fault), 0);
  assert_text(of(&stream.events), "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\n");
}

static void a_stream_can_go_wrong(void **state) {
  _cleanup_(dialect_stream_done) DialectStream stream = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  assert_int_equal(feed(&stream, "{\"choices\":[", &fault), DIALECT_E_FAULT);
  assert_int_equal(fault.fault.cause, CAUSE_MALFORMED);
  assert_int_equal(feed(&stream, "{\"error\":{\"message\":\"too much\",\"type\":\"server_error\"}}", &fault),
                   DIALECT_E_FAULT);
  assert_int_equal(fault.fault.cause, CAUSE_OVERLOAD);
  assert_text(fault.fault.message, "too much");
  assert_int_equal(feed(&stream, "{\"error\":\"out of memory\"}", &fault), DIALECT_E_FAULT); /* Ollama */
  assert_int_equal(fault.fault.cause, CAUSE_OVERLOAD);
  assert_text(fault.fault.message, "out of memory");
  assert_int_equal(feed(&stream, "{\"error\":null,\"choices\":[]}", &fault), 0);
}

/* Of two answers side by side one has ended when the line breaks. */
static void each_choice_has_to_end(void **state) {
  _cleanup_(dialect_stream_done) DialectStream stream = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  assert_int_equal(feed(&stream, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}", &fault), 0);
  assert_int_equal(feed(&stream, "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}", &fault), 0);
  assert_int_equal(feed(&stream, "{\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}", &fault), 0);
  assert_false(openai_dialect.stream_is_whole(&stream));
  assert_int_equal(feed(&stream, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}", &fault), 0);
  assert_true(openai_dialect.stream_is_whole(&stream));
}

static void errors_are_classified(void **state) {
  static const struct {
    unsigned status;
    const char *body;
    Cause cause;
    const char *message;
  } rows[] = {
      {400, "{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\",\"param\":\"messages\"}}",
       CAUSE_CONTEXT, "m"},
      {400, "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\"}}", CAUSE_CALLER, "m"},
      {400, "{\"error\":{\"message\":\"m\",\"code\":\"content_filter\"}}", CAUSE_POLICY, "m"},
      {401, "{\"error\":{\"message\":\"m\"}}", CAUSE_AUTH, "m"},
      {402, "{}", CAUSE_QUOTA, "it answered with status 402 and no reason"},
      {403, "x", CAUSE_AUTH, "it answered with status 403 and no reason"},
      {404, "{\"error\":\"model 'x' not found\"}", CAUSE_UNAVAILABLE, "model 'x' not found"},
      {408, "", CAUSE_STALL, NULL},
      {413, "", CAUSE_CALLER, NULL},
      {422, "{\"message\":\"no such field\"}", CAUSE_CALLER, "no such field"},
      {429, "{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}", CAUSE_QUOTA, "m"},
      {429, "{\"error\":{\"message\":\"m\",\"code\":\"rate_limit_exceeded\"}}", CAUSE_RATE_LIMIT, "m"},
      {500, "", CAUSE_OVERLOAD, NULL},
      {503, "", CAUSE_OVERLOAD, NULL},
      {529, "", CAUSE_OVERLOAD, NULL},
      {302, "", CAUSE_UNAVAILABLE, NULL},
      {405, "", CAUSE_UNAVAILABLE, NULL},
      {407, "", CAUSE_TRANSPORT, NULL},
      {410, "", CAUSE_UNAVAILABLE, NULL},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    openai_decode_error(&(DialectHead){.status = rows[i].status, .retry_after = TEXT("2")}, text_of(rows[i].body),
                        &fault);
    if (fault.fault.cause != rows[i].cause)
      fail_msg("%u %s: %s", rows[i].status, rows[i].body, cause_name(fault.fault.cause));
    if (rows[i].message)
      assert_text(fault.fault.message, rows[i].message);
    assert_int_equal(fault.fault.http_status, rows[i].status);
    assert_int_equal(fault.fault.retry_after_us, 2000000);
  }
}

static void retry_after_is_understood(void **state) {
  (void)state;
  assert_int_equal(retry_after_us(TEXT("3"), TEXT_NONE, 0), 3000000);
  assert_int_equal(retry_after_us(TEXT("3"), TEXT("1500"), 0), 1500000);
  assert_int_equal(retry_after_us(TEXT("0.5"), TEXT_NONE, 0), 500000);
  assert_int_equal(retry_after_us(TEXT("Sun, 06 Nov 1994 08:49:37 GMT"), TEXT_NONE, 784111770), 7000000);
  assert_int_equal(retry_after_us(TEXT("Sun, 06 Nov 1994 08:49:37 GMT"), TEXT_NONE, 784111778), 0);
  assert_int_equal(retry_after_us(TEXT("soon"), TEXT("-1"), 0), 0);
  assert_int_equal(retry_after_us(TEXT("99999999"), TEXT_NONE, 0), 3600000000);
  assert_int_equal(retry_after_us(TEXT_NONE, TEXT_NONE, 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_keeps_what_nobody_changes),
      cmocka_unit_test(usage_is_read_and_what_is_absent_stays_so),
      cmocka_unit_test(what_is_no_answer_is_a_fault),
      cmocka_unit_test(a_stream_passes_through),
      cmocka_unit_test(the_usage_is_passed_on_to_who_asked),
      cmocka_unit_test(a_stream_can_go_wrong),
      cmocka_unit_test(each_choice_has_to_end),
      cmocka_unit_test(errors_are_classified),
      cmocka_unit_test(retry_after_is_understood),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
