/* Answers of Converse in OpenAI's words, whole and as events; what breaks off or is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/bedrock/bedrock-internal.h"

#define BEGIN(object)                                                                                                  \
  "\"id\":\"chatcmpl-bedrock-000000000000002a\",\"object\":\"" object "\",\"created\":1700000000,\"model\":\"m\""
#define WHOLE(message, reason)                                                                                         \
  "{" BEGIN("chat.completion") ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," message               \
                               ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"" reason "\"}]"
#define ANSWER(content, reason)                                                                                        \
  "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[" content "]}},\"stopReason\":\"" reason "\""

static const DialectAsked plain = {.model = {"m", 1}, .now_s = 1700000000, .number = 42};

static const struct {
  const char *answer;
  const char *response;
} answers[] = {
    {ANSWER("{\"text\":\"a \\u00fc\"},{\"text\":\"b\"}",
            "end_turn") ",\"usage\":{\"inputTokens\":5,\"outputTokens\":2,\"totalTokens\":107,"
                        "\"cacheReadInputTokens\":90,\"cacheWriteInputTokens\":10}}",
     WHOLE("\"content\":\"a \\u00fcb\"",
           "stop") ",\"usage\":{\"prompt_tokens\":105,\"completion_tokens\":2,\"total_tokens\":107,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":90,\"cache_write_tokens\":10}}}"},
    {ANSWER("{\"reasoningContent\":{\"reasoningText\":{\"text\":\"hm\",\"signature\":\"s\"}}},{\"reasoningContent\":{"
            "\"redactedContent\":\"AAAA\"}},"
            "{\"toolUse\":{\"toolUseId\":\"t1\",\"name\":\"f\",\"input\":{\"a\":\"b\"}}},{\"toolUse\":{\"toolUseId\":"
            "\"t2\",\"name\":\"g\",\"input\":{}}}",
            "tool_use") "}",
     WHOLE("\"content\":null,\"reasoning_content\":\"hm\",\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":"
           "\"hm\",\"signature\":\"s\"},"
           "{\"type\":\"redacted_thinking\",\"data\":\"AAAA\"}],\"tool_calls\":[{\"id\":\"t1\",\"type\":\"function\","
           "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"b\\\"}\"}},"
           "{\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]",
           "tool_calls") "}"},
    {ANSWER("{\"citationsContent\":{\"content\":[{\"text\":\"x\"},{\"text\":\"y\"}],\"citations\":[]}}",
            "max_tokens") "}",
     WHOLE("\"content\":\"xy\"", "length") "}"},
    {ANSWER("", "guardrail_intervened") "}", WHOLE("\"content\":\"\"", "content_filter") "}"},
    {ANSWER("{\"text\":\"x\"},{\"image\":{}}", "a_new_reason") "}", WHOLE("\"content\":\"x\"", "stop") "}"},
};

static void each_answer_in_our_words(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(answers); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    _cleanup_(buffer_done) Buffer response = {0};
    ChatUsage usage = {.input_tokens = 0};
    Text text;
    Json whole;

    assert_int_equal(bedrock_dialect.decode_chat(&plain, text_of(answers[i].answer), &response, &usage, &fault), 0);
    text = (Text){(const char *)response.data, response.size};
    if (!text_is(text, answers[i].response))
      fail_msg("is %.*s\nnot %s", TEXT_ARG(text), answers[i].response);
    assert_int_equal(json_check(text, &whole, NULL), 0);
  }
}

static void the_whole_input_counts(void **state) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  _cleanup_(buffer_done) Buffer response = {0};
  ChatUsage usage = {.input_tokens = 0};

  (void)state;
  bedrock_dialect.decode_chat(&plain, text_of(answers[0].answer), &response, &usage, &fault);
  assert_true(usage.has_input_tokens && usage.has_output_tokens && usage.has_cached_tokens &&
              !usage.has_reasoning_tokens);
  assert_int_equal(usage.input_tokens, 105);
  assert_int_equal(usage.cached_tokens, 90);
  assert_int_equal(usage.output_tokens, 2);
}

static void what_is_no_answer(void **state) {
  static const char *const none[] = {
      "{",
      "[]",
      "{}",
      "{\"output\":{\"message\":{\"content\":{}}}}",
      ANSWER("", "malformed_tool_use") "}",
      ANSWER("{\"toolUse\":{}}", "tool_use") "}",
      ANSWER("{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\",\"input\":7}}", "tool_use") "}"};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(none); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    _cleanup_(buffer_done) Buffer response = {0};
    ChatUsage usage = {.input_tokens = 0};

    assert_int_equal(bedrock_dialect.decode_chat(&plain, text_of(none[i]), &response, &usage, &fault), DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_MALFORMED);
    assert_int_equal(response.size, 0);
  }
}

/* --- streams --- */

typedef struct Event {
  const char *type;
  const char *data;
} Event;

static int feed(DialectStream *stream, const Event *events, size_t count, DialectFault *ret_fault) {
  int r = 0;

  for (size_t i = 0; i < count && r == 0; i++)
    r = bedrock_dialect.stream_event(stream, text_of(events[i].type), text_of(events[i].data), ret_fault);
  return r;
}

#define DELTA(delta)                                                                                                   \
  "data: {" BEGIN("chat.completion.chunk") ",\"choices\":[{\"index\":0,\"delta\":{" delta                              \
                                           "},\"finish_reason\":null}]}\n\n"
#define FINISH(reason)                                                                                                 \
  "data: {" BEGIN("chat.completion.chunk") ",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason       \
                                           "\"}]}\n\n"

static const Event story[] = {
    {"messageStart", "{\"role\":\"assistant\"}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"h\"}},\"p\":\"ab\"}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"m\"}}}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":\"s\"}}}"},
    {"contentBlockStop", "{\"contentBlockIndex\":0}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":1,\"delta\":{\"text\":\"a\\n\"}}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":1,\"delta\":{\"text\":\"\"}}"},
    {"contentBlockStop", "{\"contentBlockIndex\":1}"},
    {"somethingNew", "{}"},
    {"contentBlockStart", "{\"contentBlockIndex\":2,\"start\":{\"toolUse\":{\"toolUseId\":\"t1\",\"name\":\"f\"}}}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":2,\"delta\":{\"toolUse\":{\"input\":\"\"}}}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":2,\"delta\":{\"toolUse\":{\"input\":\"{\\\"a\\\"\"}}}"},
    {"contentBlockDelta", "{\"contentBlockIndex\":2,\"delta\":{\"toolUse\":{\"input\":\":1}\"}}}"},
    {"contentBlockStop", "{\"contentBlockIndex\":2}"},
    {"contentBlockStart", "{\"contentBlockIndex\":3,\"start\":{\"toolUse\":{\"toolUseId\":\"t2\",\"name\":\"g\"}}}"},
    {"contentBlockStop", "{\"contentBlockIndex\":3}"},
    {"messageStop", "{\"stopReason\":\"tool_use\"}"},
    {"metadata", "{\"usage\":{\"inputTokens\":3,\"outputTokens\":4,\"totalTokens\":7},\"metrics\":{\"latencyMs\":1}}"},
};
static const char told[] =
    DELTA("\"role\":\"assistant\",\"reasoning_content\":\"h\"") DELTA("\"reasoning_content\":\"m\"")
        DELTA("\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"}]")
            DELTA("\"content\":\"a\\n\"") DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\","
                                                "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]")
                DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\"\"}}]")
                    DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]")
                        DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":"
                              "\"g\",\"arguments\":\"\"}}]")
                            DELTA("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]")
                                FINISH("tool_calls") "data: {" BEGIN(
                                    "chat.completion.chunk") ",\"choices\":[],\"usage\":{\"prompt_tokens\":3,"
                                                             "\"completion_tokens\":4,\"total_tokens\":7}}\n\n";

static void a_stream_in_our_words(void **state) {
  (void)state;
  for (int hides = 0; hides <= 1; hides++) {
    DialectAsked asked = plain;
    _cleanup_(dialect_stream_done) DialectStream stream;
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    size_t wanted = sizeof told - 1;

    asked.streams = true;
    asked.hides_usage = hides == 1;
    dialect_stream_begin(&bedrock_dialect, &asked, &stream);
    assert_int_equal(feed(&stream, story, ELEMENTS(story) - 1, &fault), 0);
    assert_true(bedrock_dialect.stream_is_whole(&stream));
    assert_false(stream.done);
    assert_int_equal(feed(&stream, story + ELEMENTS(story) - 1, 1, &fault), 0);
    assert_true(stream.done);
    assert_int_equal(stream.usage.output_tokens, 4);
    if (hides)
      wanted = (size_t)(strstr(told, "data: {" BEGIN("chat.completion.chunk") ",\"choices\":[],") - told);
    if (!text_equal((Text){(const char *)stream.events.data, stream.events.size}, (Text){told, wanted}))
      fail_msg("%.*s", (int)stream.events.size, (const char *)stream.events.data);
  }
}

static void a_stream_that_stops_is_not_whole(void **state) {
  DialectAsked asked = plain;
  _cleanup_(dialect_stream_done) DialectStream stream;
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  (void)state;
  asked.streams = true;
  dialect_stream_begin(&bedrock_dialect, &asked, &stream);
  assert_int_equal(feed(&stream, story, ELEMENTS(story) - 2, &fault), 0);
  assert_false(bedrock_dialect.stream_is_whole(&stream));
}

static void events_that_fail_it(void **state) {
  static const struct {
    Event event;
    Cause cause;
    unsigned status;
    const char *code;
  } rows[] = {
      {{"!throttlingException", "{\"message\":\"slow down\"}"}, CAUSE_RATE_LIMIT, 429, "ThrottlingException"},
      {{"!modelStreamErrorException", "{\"message\":\"x\",\"originalStatusCode\":500}"},
       CAUSE_OVERLOAD,
       424,
       "ModelStreamErrorException"},
      {{"!validationException", "{\"message\":\"Input is too long for requested model.\"}"},
       CAUSE_CONTEXT,
       400,
       "ValidationException"},
      {{"!SomethingElse", "{\"message\":\"\"}"}, CAUSE_OVERLOAD, 0, "SomethingElse"},
      {{"!", ""}, CAUSE_OVERLOAD, 0, ""},
      {{"contentBlockDelta", "{\"delta\":"}, CAUSE_MALFORMED, 200, ""},
      {{"metadata", "[]"}, CAUSE_MALFORMED, 200, ""},
      {{"contentBlockStart", "{\"start\":{\"toolUse\":{\"name\":\"f\"}}}"}, CAUSE_MALFORMED, 200, ""},
      {{"messageStop", "{\"stopReason\":\"malformed_model_output\"}"}, CAUSE_MALFORMED, 200, ""},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    DialectAsked asked = plain;
    _cleanup_(dialect_stream_done) DialectStream stream;
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

    asked.streams = true;
    dialect_stream_begin(&bedrock_dialect, &asked, &stream);
    assert_int_equal(feed(&stream, &rows[i].event, 1, &fault), DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, rows[i].cause);
    assert_int_equal(fault.fault.http_status, rows[i].status);
    assert_true(text_is(fault.fault.code, rows[i].code));
    assert_true(fault.fault.message.size > 0);
    assert_false(bedrock_dialect.stream_is_whole(&stream));
  }
}

/* What was thought is kept to be told as a whole, but not without bound. */
static void a_thought_without_end(void **state) {
  static char text[70000];
  DialectAsked asked = plain;
  _cleanup_(dialect_stream_done) DialectStream stream;
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  _cleanup_(buffer_done) Buffer delta = {0};
  Event events[] = {{"contentBlockDelta", NULL}};

  (void)state;
  asked.streams = true;
  memset(text, 'x', sizeof text - 1);
  buffer_printf(&delta, "{\"delta\":{\"reasoningContent\":{\"text\":\"%s\"}}}%c", text, 0);
  events[0].data = (const char *)delta.data;
  dialect_stream_begin(&bedrock_dialect, &asked, &stream);
  for (int i = 0; i < 40; i++) {
    assert_int_equal(feed(&stream, events, 1, &fault), 0);
    buffer_clear(&stream.events);
    assert_true(((const BedrockStream *)stream.own)->thought.size <= 1 << 20);
  }
  assert_int_equal(feed(&stream, story + 3, 2, &fault), 0);
  assert_int_equal(stream.events.size, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_answer_in_our_words),
      cmocka_unit_test(the_whole_input_counts),
      cmocka_unit_test(what_is_no_answer),
      cmocka_unit_test(a_stream_in_our_words),
      cmocka_unit_test(a_stream_that_stops_is_not_whole),
      cmocka_unit_test(events_that_fail_it),
      cmocka_unit_test(a_thought_without_end),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
