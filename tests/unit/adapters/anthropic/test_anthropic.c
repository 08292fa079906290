/* What Anthropic's API is told, and what its errors and streams mean, beyond the files of tests/golden/anthropic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/anthropic/anthropic.h"
#include "adapters/anthropic/model.h"

#define USER "{\"role\":\"user\",\"content\":\"x\"}"

static Json checked(Text text) {
  Json value = {TEXT_NONE};

  if (json_check(text, &value, NULL) != 0)
    fail_msg("not JSON: %.*s", TEXT_ARG(text));
  return value;
}

static Text of(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static void assert_text(Text got, const char *expected) {
  if (!text_is(got, expected))
    fail_msg("wanted %s, got %.*s", expected, TEXT_ARG(got));
}

static void models_are_known_by_their_names(void **state) {
  static const struct {
    const char *name;
    bool budgets, samples, has_schemas, has_xhigh;
    uint32_t max_tokens;
  } rows[] = {
      {"claude-3-haiku-20240307", true, true, false, false, 4096},
      {"claude-3-5-sonnet-latest", true, true, false, false, 8192},
      {"claude-3-7-sonnet-20250219", true, true, false, false, 16384},
      {"claude-opus-4-20250514", true, true, false, false, 16384},
      {"anthropic.claude-sonnet-4-5-20250929-v1:0", true, true, true, false, 16384},
      {"claude-opus-4-6", false, true, true, false, 16384},
      {"claude-opus-4-7", false, false, true, true, 16384},
      {"claude-sonnet-5", false, false, true, true, 16384},
      {"claude-sonnet-12-1", false, false, true, true, 16384},
      {"claude-next", false, true, true, true, 16384},
      {"claude-", false, true, true, true, 16384},
      {"my-model", false, true, true, true, 16384},
      {"", false, true, true, true, 16384},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    ModelTraits traits = model_traits(text_of(rows[i].name));

    if (traits.budgets != rows[i].budgets || traits.samples != rows[i].samples ||
        traits.has_schemas != rows[i].has_schemas || traits.has_xhigh != rows[i].has_xhigh ||
        traits.max_tokens != rows[i].max_tokens)
      fail_msg("%s is taken for another", rows[i].name);
  }
}

/* --- requests --- */

static void encode(const char *model, const char *request, DialectRequest *ret) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  ret->asked.model = text_of(model);
  if (anthropic_dialect.encode_chat(checked(text_of(request)), ret, &fault) != 0)
    fail_msg("%s: %.*s", request, TEXT_ARG(fault.fault.message));
  checked(of(&ret->body));
}

/* The members of the body, each as it is said; what is wanted and "-" is not there. */
static void thinking_has_its_rules(void **state) {
#define FORCED ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"required\""
  static const struct {
    const char *model, *members;
    const char *max_tokens, *thinking, *output_config, *temperature, *top_p;
  } rows[] = {
      {"claude-sonnet-4-5", "\"reasoning_effort\":\"low\"", "18432", "{\"type\":\"enabled\",\"budget_tokens\":2048}",
       "", "", ""},
      {"claude-sonnet-4-5", "\"reasoning_effort\":\"high\",\"max_tokens\":4096,\"temperature\":0.5", "4096",
       "{\"type\":\"enabled\",\"budget_tokens\":3072}", "", "", ""},
      {"claude-sonnet-4-5", "\"reasoning_effort\":\"high\",\"max_tokens\":1024,\"temperature\":0.5", "1024", "", "",
       "0.5", ""}, /* no room to think */
      {"claude-sonnet-4-5", "\"reasoning_effort\":\"low\",\"max_tokens\":1400", "1400",
       "{\"type\":\"enabled\",\"budget_tokens\":1050}", "", "", ""},
      {"claude-sonnet-4-5", "\"reasoning_effort\":\"none\"", "16384", "{\"type\":\"disabled\"}", "", "", ""},
      {"claude-sonnet-4-5", "\"reasoning_effort\":\"low\"" FORCED, "16384", "", "", "", ""},
      {"claude-opus-4-6", "\"reasoning_effort\":\"xhigh\",\"top_p\":0.9", "16384",
       "{\"type\":\"adaptive\",\"display\":\"summarized\"}", "{\"effort\":\"high\"}", "", ""},
      {"claude-opus-5", "\"reasoning_effort\":\"xhigh\"", "16384", "{\"type\":\"adaptive\",\"display\":\"summarized\"}",
       "{\"effort\":\"xhigh\"}", "", ""},
      {"claude-opus-5", "\"reasoning_effort\":\"minimal\"" FORCED, "16384", "", "{\"effort\":\"low\"}", "", ""},
      {"claude-opus-5", "\"temperature\":1,\"top_p\":0.5", "16384", "", "", "", ""},
      {"claude-opus-4-1", "\"temperature\":1,\"top_p\":0.5", "16384", "", "", "1", ""},
      {"claude-opus-4-1", "\"top_p\":0.5", "16384", "", "", "", "0.5"},
      {"claude-opus-4-1", "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},\"max_tokens\":2000", "2000",
       "{\"type\":\"enabled\",\"budget_tokens\":1024}", "", "", ""},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    const char *names[] = {"max_tokens", "thinking", "output_config", "temperature", "top_p"};
    const char *values[] = {rows[i].max_tokens, rows[i].thinking, rows[i].output_config, rows[i].temperature,
                            rows[i].top_p};
    _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.now_s = 1}};
    _cleanup_(buffer_done) Buffer text = {0};
    Json body;

    buffer_printf(&text, "{\"messages\":[" USER "],%s}", rows[i].members);
    buffer_append(&text, "", 1);
    encode(rows[i].model, (const char *)text.data, &request);
    body = checked(of(&request.body));
    for (size_t k = 0; k < ELEMENTS(names); k++)
      if (!text_is(json_find(body, names[k]).text, values[k]))
        fail_msg("row %zu: %s is %.*s", i, names[k], TEXT_ARG(json_find(body, names[k]).text));
  }
}

/* Claude does not take a call without the thoughts before it while it thinks. */
static void it_goes_on_thinking_where_it_has_its_thoughts(void **state) {
#define CALLED(thoughts)                                                                                               \
  "{\"role\":\"assistant\"," thoughts                                                                                  \
  "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"         \
  "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"y\"}"
#define THOUGHT "\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"}],"
#define ANSWER "{\"role\":\"assistant\",\"content\":\"z\"}"
  static const struct {
    const char *messages;
    bool thinks;
  } rows[] = {
      {USER, true},
      {USER "," CALLED(THOUGHT), true},
      {USER "," CALLED(""), false},
      {USER "," CALLED(THOUGHT) "," CALLED(""), false},
      {USER "," CALLED("") "," USER, false}, /* a word behind the results belongs to them */
      {USER "," CALLED("") "," ANSWER "," USER, true},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.now_s = 1}};
    _cleanup_(buffer_done) Buffer text = {0};

    buffer_printf(&text, "{\"messages\":[%s],\"reasoning_effort\":\"low\"}%c", rows[i].messages, 0);
    encode("claude-sonnet-4-5", (const char *)text.data, &request);
    if (json_is_none(json_find(checked(of(&request.body)), "thinking")) == rows[i].thinks)
      fail_msg("row %zu: %s", i, rows[i].messages);
  }
}

#define CACHE "\"cache_control\":{\"type\":\"ephemeral\"}"
#define THOUGHTS                                                                                                       \
  "{\"type\":\"thinking\",\"thinking\":\"h\\u00e4\",\"signature\":\"c2ln\"},{\"type\":\"redacted_thinking\",\"data\":" \
  "\"ZQ==\"}"
static const struct {
  const char *messages;
  const char *expected;
  const char *system;
} talks[] = {
    {"{\"role\":\"system\",\"content\":\"s\"," CACHE
     "},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"," CACHE
     "},{\"type\":\"text\",\"text\":\"\"}]}",
     "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"," CACHE "}]}]",
     "[{\"type\":\"text\",\"text\":\"s\"," CACHE "}]"},
    {USER
     ",{\"role\":\"assistant\",\"content\":\"\",\"thinking_blocks\":[" THOUGHTS
     ",{\"type\":\"text\",\"text\":\"smuggled\"},7],\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":"
     "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"\\u00fc\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\","
     "\"content\":\"\"}",
     "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},{\"role\":\"assistant\",\"content\":"
     "[" THOUGHTS ",{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{\"a\":\"\xc3\xbc\"}}]},{\"role\":"
     "\"user\",\"content\":"
     "[{\"type\":\"tool_result\",\"tool_use_id\":\"c\"}]}]",
     ""},
    {USER ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"functions.f:0\",\"type\":\"function\","
          "\"function\":"
          "{\"name\":\"f\",\"arguments\":\"\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"functions.f:0\",\"content\":"
          "\"y\"}",
     "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},{\"role\":\"assistant\",\"content\":[{"
     "\"type\":"
     "\"tool_use\",\"id\":\"functions_f_0\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":"
     "\"tool_result\",\"tool_use_id\":\"functions_f_0\",\"content\":[{\"type\":\"text\",\"text\":\"y\"}]}]}]",
     ""},
    {USER "," USER ",{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
          "{\"role\":\"assistant\",\"content\":\"\"}," USER,
     "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":\"x\"}]},"
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"no\"}]},"
     "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]",
     ""},
    {"{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
     "\"data:application\\/pdf;base64,JVBERi0=\"}}]}",
     "[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":"
     "\"application/pdf\",\"data\":\"JVBERi0=\"},\"title\":\"a.pdf\"}]}]",
     ""},
};

static void messages_take_their_shape(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(talks); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.now_s = 1}};
    _cleanup_(buffer_done) Buffer text = {0};
    Json body;

    buffer_printf(&text, "{\"messages\":[%s]}", talks[i].messages);
    buffer_append(&text, "", 1);
    encode("claude-opus-5", (const char *)text.data, &request);
    body = checked(of(&request.body));
    assert_text(json_find(body, "messages").text, talks[i].expected);
    assert_text(json_find(body, "system").text, talks[i].system);
  }
}

static void what_it_has_not_is_refused(void **state) {
  static const struct {
    const char *model, *request, *param;
  } rows[] = {
      {"claude-opus-4-1", "{\"messages\":[" USER "],\"temperature\":1.5}", "temperature"},
      {"claude-opus-5", "{\"messages\":[" USER "],\"response_format\":{\"type\":\"json_object\"}}", "response_format"},
      {"claude-opus-4-1",
       "{\"messages\":[" USER "],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}}",
       "response_format"},
      {"claude-opus-5", "{\"messages\":[" USER "],\"reasoning_effort\":\"low\",\"thinking\":{\"type\":\"adaptive\"}}",
       "thinking"},
      {"claude-opus-5", "{\"messages\":[" USER "],\"reasoning_effort\":\"low\",\"output_config\":{\"effort\":\"max\"}}",
       "output_config"},
      {"claude-opus-5", "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", "messages"},
      {"claude-opus-5", "{\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}", "messages"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.model = text_of(rows[i].model)}};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    assert_int_equal(anthropic_dialect.encode_chat(checked(text_of(rows[i].request)), &request, &fault),
                     DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_CALLER);
    assert_text(fault.fault.param, rows[i].param);
  }
}

static void old_models_are_not_told_of_strict(void **state) {
  static const char request[] =
      "{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
      "\"strict\":true,\"parameters\":{\"properties\":{}}}}]}";
  _cleanup_(dialect_request_done) DialectRequest old = {.asked = {.now_s = 1}};
  _cleanup_(dialect_request_done) DialectRequest new = {.asked = {.now_s = 1}};

  (void)state;
  encode("claude-opus-4-1", request, &old);
  encode("claude-opus-4-5", request, &new);
  assert_text(json_find(checked(of(&old.body)), "tools").text,
              "[{\"name\":\"f\",\"input_schema\":{\"properties\":{},\"type\":\"object\"}}]");
  assert_text(json_find(checked(of(&new.body)), "tools").text,
              "[{\"name\":\"f\",\"input_schema\":{\"properties\":{},\"type\":\"object\"},\"strict\":true}]");
}

/* --- answers --- */

static void errors_are_classified(void **state) {
#define ERROR(type, message) "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"}}"
  static const struct {
    unsigned status;
    const char *body;
    Cause cause;
  } rows[] = {
      {400, ERROR("invalid_request_error", "max_tokens: Field required"), CAUSE_CALLER},
      {400, ERROR("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"), CAUSE_CONTEXT},
      {400, ERROR("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
       CAUSE_CONTEXT},
      {400, ERROR("invalid_request_error", "Output blocked by content filtering policy"), CAUSE_POLICY},
      {400, ERROR("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), CAUSE_QUOTA},
      {400, ERROR("invalid_request_error", "You have reached your specified API usage limits."), CAUSE_QUOTA},
      {200, ERROR("invalid_request_error", "x"), CAUSE_CALLER},
      {401, ERROR("invalid_request_error", "Incorrect API key provided."), CAUSE_AUTH},
      {429, ERROR("invalid_request_error", "slow down"), CAUSE_RATE_LIMIT},
      {401, ERROR("authentication_error", "invalid x-api-key"), CAUSE_AUTH},
      {402, ERROR("billing_error", "x"), CAUSE_QUOTA},
      {403, ERROR("permission_error", "x"), CAUSE_AUTH},
      {404, ERROR("not_found_error", "model: x"), CAUSE_UNAVAILABLE},
      {409, ERROR("conflict_error", "x"), CAUSE_OVERLOAD},
      {413, ERROR("request_too_large", "x"), CAUSE_CALLER},
      {429, ERROR("rate_limit_error", "x"), CAUSE_RATE_LIMIT},
      {500, ERROR("api_error", "x"), CAUSE_OVERLOAD},
      {504, ERROR("timeout_error", "x"), CAUSE_STALL},
      {529, ERROR("overloaded_error", "Overloaded"), CAUSE_OVERLOAD},
      {529, "<html>", CAUSE_OVERLOAD},
      {429, "", CAUSE_RATE_LIMIT},
      {418, ERROR("teapot_error", "x"), CAUSE_CALLER},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    anthropic_dialect.decode_error(&(DialectHead){.status = rows[i].status, .retry_after = TEXT("3")},
                                   text_of(rows[i].body), &fault);
    if (fault.fault.cause != rows[i].cause)
      fail_msg("%u %s: %s", rows[i].status, rows[i].body, cause_name(fault.fault.cause));
    assert_int_equal(fault.fault.http_status, rows[i].status);
    assert_int_equal(fault.fault.retry_after_us, 3000000);
    assert_true(fault.fault.message.size > 0);
  }
}

static void what_is_no_answer_is_a_fault(void **state) {
  static const struct {
    const char *body;
    Cause cause;
  } rows[] = {{"", CAUSE_MALFORMED},
              {"[]", CAUSE_MALFORMED},
              {"{\"type\":\"message\",\"content\":\"x\"}", CAUSE_MALFORMED},
              {ERROR("overloaded_error", "Overloaded"), CAUSE_OVERLOAD}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer response = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    ChatUsage usage = {0};

    assert_int_equal(
        anthropic_dialect.decode_chat(&(DialectAsked){.now_s = 1}, text_of(rows[i].body), &response, &usage, &fault),
        DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, rows[i].cause);
    assert_int_equal(response.size, 0);
  }
}

static void a_stream_can_go_wrong(void **state) {
#define START "{\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}"
  static const struct {
    const char *events[3];
    Cause cause;
  } rows[] = {
      {{"{\"type\":"}, CAUSE_MALFORMED},
      {{"7"}, CAUSE_MALFORMED},
      {{"{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}"}, CAUSE_MALFORMED},
      {{START, "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"id\":7}}"},
       CAUSE_MALFORMED},
      {{START, "{\"type\":\"message_stop\"}"}, CAUSE_MALFORMED},
      {{START, "{\"type\":\"ping\"}", ERROR("rate_limit_error", "x")}, CAUSE_RATE_LIMIT},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    _cleanup_(dialect_stream_done) DialectStream stream;
    int r = 0;

    dialect_stream_begin(&anthropic_dialect, &(DialectAsked){.streams = true}, &stream);
    for (size_t k = 0; r == 0 && k < ELEMENTS(rows[i].events) && rows[i].events[k]; k++)
      r = anthropic_dialect.stream_event(&stream, TEXT_NONE, text_of(rows[i].events[k]), &fault);
    assert_int_equal(r, DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, rows[i].cause);
    assert_false(anthropic_dialect.stream_is_whole(&stream));
  }
}

static void a_reason_to_stop_is_an_end(void **state) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(dialect_stream_done) DialectStream stream;

  (void)state;
  dialect_stream_begin(&anthropic_dialect, &(DialectAsked){.streams = true, .hides_usage = true}, &stream);
  assert_int_equal(anthropic_dialect.stream_event(&stream, TEXT_NONE, TEXT(START), &fault), 0);
  assert_int_equal(stream.events.size, 0);
  assert_int_equal(anthropic_dialect.stream_event(&stream, TEXT_NONE,
                                                  TEXT("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
                                                       "\"max_tokens\"},\"usage\":{\"output_tokens\":3}}"),
                                                  &fault),
                   0);
  assert_true(anthropic_dialect.stream_is_whole(&stream));
  assert_true(stream.usage.has_output_tokens && !stream.usage.has_input_tokens);
  assert_text(
      of(&stream.events),
      "data: {\"id\":\"m\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"\",\"choices\":[{\"index\":0,"
      "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":\"length\"}]}\n\n");
}

static void usage_never_shrinks(void **state) {
  static const char *const events[] = {
      "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":5,\"cache_creation_input_"
      "tokens\":3,"
      "\"cache_read_input_tokens\":40,\"output_tokens\":1}}}",
      "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":{\"input_tokens\":null,\"output_tokens\":"
      "6}}",
      "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":5,\"output_"
      "tokens\":9}}",
  };
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(dialect_stream_done) DialectStream stream;

  (void)state;
  dialect_stream_begin(&anthropic_dialect, &(DialectAsked){.streams = true}, &stream);
  for (size_t i = 0; i < ELEMENTS(events); i++)
    assert_int_equal(anthropic_dialect.stream_event(&stream, TEXT_NONE, text_of(events[i]), &fault), 0);
  assert_int_equal(stream.usage.input_tokens, 48);
  assert_int_equal(stream.usage.cached_tokens, 40);
  assert_int_equal(stream.usage.output_tokens, 9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(models_are_known_by_their_names),
      cmocka_unit_test(thinking_has_its_rules),
      cmocka_unit_test(it_goes_on_thinking_where_it_has_its_thoughts),
      cmocka_unit_test(messages_take_their_shape),
      cmocka_unit_test(what_it_has_not_is_refused),
      cmocka_unit_test(old_models_are_not_told_of_strict),
      cmocka_unit_test(errors_are_classified),
      cmocka_unit_test(what_is_no_answer_is_a_fault),
      cmocka_unit_test(a_stream_can_go_wrong),
      cmocka_unit_test(a_reason_to_stop_is_an_end),
      cmocka_unit_test(usage_never_shrinks),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
