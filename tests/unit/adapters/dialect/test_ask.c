/* A request is read as OpenAI means it, and what can't be told is refused by its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/dialect/ask.h"

static const AskTable table = {
    .members = {[ASK_model] = ASK_MAPPED,
                [ASK_messages] = ASK_MAPPED,
                [ASK_max_tokens] = ASK_MAPPED,
                [ASK_max_completion_tokens] = ASK_MAPPED,
                [ASK_tools] = ASK_MAPPED,
                [ASK_tool_choice] = ASK_MAPPED,
                [ASK_response_format] = ASK_MAPPED,
                [ASK_reasoning_effort] = ASK_MAPPED,
                [ASK_stop] = ASK_MAPPED,
                [ASK_stream] = ASK_MAPPED,
                [ASK_stream_options] = ASK_MAPPED,
                [ASK_temperature] = ASK_MAPPED,
                [ASK_user] = ASK_DROPPED,
                [ASK_n] = ASK_REFUSED,
                [ASK_logprobs] = ASK_REFUSED},
    .parts = {[ASK_PART_text] = ASK_MAPPED,
              [ASK_PART_image] = ASK_MAPPED,
              [ASK_PART_file] = ASK_MAPPED,
              [ASK_PART_audio] = ASK_REFUSED,
              [ASK_PART_refusal] = ASK_DROPPED},
    .own = (const char *const[]){"top_k", NULL},
};

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

static AskChat read(const char *text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  AskChat ask;

  if (ask_read(checked(text), &table, "The API", &ask, &fault) != 0)
    fail_msg("%s: %.*s", text, TEXT_ARG(fault.fault.message));
  return ask;
}

#define USER "{\"role\":\"user\",\"content\":\"x\"}"
#define CALLS(call) "{\"role\":\"assistant\",\"tool_calls\":[" call "]}"
#define CALL "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"
static const struct {
  const char *request;
  const char *param;
} refused[] = {
    {"{}", "messages"},
    {"{\"messages\":{}}", "messages"},
    {"{\"messages\":[]}", "messages"},
    {"{\"messages\":[7]}", "messages[0]"},
    {"{\"messages\":[{\"role\":\"wizard\",\"content\":\"x\"}]}", "messages[0].role"},
    {"{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages[0].content"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[7]}]}", "messages[0].content[0]"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"smell\"}]}]}", "messages[0].content[0].type"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", "messages[0].content[0].text"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"ftp://"
     "x\"}}]}]}",
     "messages[0].content[0].image_url.url"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:\"}]}]}",
     "messages[0].content[0].image_url.url"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}]}]}",
     "messages[0].content[0].file.file_data"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UA==\","
     "\"format\":\"wav\"}}]}]}",
     "messages[0].content[0].type"},
    {"{\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]}",
     "messages[0].content[0].type"},
    {"{\"messages\":[" USER ",{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"x\"}]}",
     "messages[1].tool_call_id"},
    {"{\"messages\":[" CALLS(CALL) ",{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"x\"}]}",
     "messages[1].tool_call_id"},
    {"{\"messages\":[" CALLS(
         CALL) ",{\"role\":\"assistant\",\"content\":\"x\"},{\"role\":\"tool\",\"tool_call_id\":\"c1\","
               "\"content\":\"x\"}]}",
     "messages[2].tool_call_id"}, /* of an answer before the last one */
    {"{\"messages\":[" CALLS("{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}") "]}",
     "messages[0].tool_calls[0].type"},
    {"{\"messages\":[" CALLS("{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}") "]}",
     "messages[0].tool_calls[0].id"},
    {"{\"messages\":[" CALLS("{\"id\":\"c\",\"type\":\"function\",\"function\":{\"arguments\":\"{}\"}}") "]}",
     "messages[0].tool_calls[0].function.name"},
    {"{\"messages\":[" CALLS(
         CALL ","
              "{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"[]\"}}") "]}",
     "messages[0].tool_calls[1].function.arguments"},
    {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":{}}]}", "messages[0].tool_calls"},
    {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"custom\"}]}", "tools[0].type"},
    {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\",\"function\":{}}]}", "tools[0].function.name"},
    {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]}",
     "tools[0].function.parameters"},
    {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":1}}]}",
     "tools[0].function.description"},
    {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":1}}]}",
     "tools[0].function.strict"},
    {"{\"messages\":[" USER "],\"tool_choice\":\"sometimes\"}", "tool_choice"},
    {"{\"messages\":[" USER "],\"response_format\":{\"type\":\"xml\"}}", "response_format"},
    {"{\"messages\":[" USER "],\"response_format\":{\"type\":\"json_schema\"}}", "response_format"},
    {"{\"messages\":[" USER "],\"stop\":[1]}", "stop"},
    {"{\"messages\":[" USER "],\"max_tokens\":0}", "max_tokens"},
    {"{\"messages\":[" USER "],\"max_completion_tokens\":1.5}", "max_completion_tokens"},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"endless\"}", "reasoning_effort"},
    {"{\"messages\":[" USER "],\"temperature\":\"hot\"}", "temperature"},
    {"{\"messages\":[" USER "],\"n\":2}", "n"},
    {"{\"messages\":[" USER "],\"logprobs\":true}", "logprobs"},
    {"{\"messages\":[" USER "],\"seed\":1}", "seed"}, /* forgotten in the table */
    {"{\"messages\":[" USER "],\"bogus\":1}", "bogus"},
};

static void what_is_wrong_is_refused_by_its_path(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(refused); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    AskChat ask;

    if (ask_read(checked(refused[i].request), &table, "The API", &ask, &fault) != DIALECT_E_FAULT)
      fail_msg("taken: %s", refused[i].request);
    assert_int_equal(fault.fault.cause, CAUSE_CALLER);
    assert_int_equal(fault.fault.http_status, 400);
    assert_text(fault.fault.param, refused[i].param);
    assert_true(fault.fault.message.size > 0);
  }
}

static void what_says_nothing_is_not_refused(void **state) {
  AskChat ask =
      read("{\"messages\":[" USER "],\"n\":1.0,\"logprobs\":false,\"user\":\"u\",\"bogus\":null,\"stop\":null,"
           "\"seed\":null,\"top_k\":5}");
  _cleanup_(buffer_done) Buffer own = {0};

  (void)state;
  assert_true(json_is_none(ask.members[ASK_n]));
  assert_true(json_is_none(ask.members[ASK_user]));
  assert_true(json_is_none(ask.members[ASK_stop]));
  ask_put_own(&ask, NULL, &own);
  assert_text(of(&own), "\"top_k\":5");
  ask_put_own(&ask, "top_k", &own);
  assert_text(of(&own), "\"top_k\":5");
  assert_text(ask_own(&ask, "top_k").text, "5");
  assert_true(json_is_none(ask_own(&ask, "seed")));
}

static void messages_and_parts_are_walked(void **state) {
  AskChat ask = read("{\"messages\":[{\"role\":\"developer\",\"content\":\"be brief\"},"
                     "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},{\"type\":\"image_url\","
                     "\"image_url\":{\"url\":\"data:image\\/png;x=y;base64,AA\\/A\"}}]}," CALLS(
                         CALL) ",{\"role\":\"tool\",\"tool_call_id\":\"\\u0063\\u0031\",\"content\":\"\"},"
                               "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"},"
                               "{\"type\":\"text\",\"text\":\"bye\"}]}]}");
  static const AskRole roles[] = {ASK_SYSTEM, ASK_USER, ASK_ASSISTANT, ASK_TOOL, ASK_ASSISTANT};
  static const char *const expected[] = {"be brief|", "look|image/png:AA/A|", "", "", "bye|"};
  AskMessages messages = ask_messages(&ask);
  AskMessage message;
  size_t i = 0;

  (void)state;
  for (; ask_next_message(&messages, &message); i++) {
    _cleanup_(buffer_done) Buffer seen = {0};
    _cleanup_(buffer_done) Buffer room = {0};
    AskParts parts = ask_parts(message.content);
    AskMedia media;
    AskPart part;

    assert_int_equal(message.role, roles[i]);
    while (ask_next_part(&parts, &ask, &part)) {
      if (part.kind == ASK_PART_text) {
        json_get_string(part.text, &seen);
      } else {
        ask_read_media(part.url, &room, &media);
        assert_true(media.is_inline);
        buffer_printf(&seen, "%.*s:%.*s", TEXT_ARG(media.type), TEXT_ARG(media.base64));
      }
      buffer_append(&seen, "|", 1);
    }
    assert_text(of(&seen), expected[i]);
    if (message.role == ASK_TOOL)
      assert_text(message.call_name.text, "\"f\"");
    assert_int_equal(message.call_index, 0);
  }
  assert_int_equal(i, ELEMENTS(roles));
}

static void tools_and_calls_are_walked(void **state) {
  AskChat ask = read("{\"messages\":[" CALLS(
      "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
      "\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"type\":\"function\","
      "\"function\":{\"name\":\"g\",\"arguments\":\"\"}}") "],"
                                                           "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
                                                           "\"f\",\"strict\":true}}],"
                                                           "\"tool_choice\":{\"type\":\"function\",\"function\":{"
                                                           "\"name\":\"f\"}}}");
  AskMessages messages = ask_messages(&ask);
  JsonWalk walk = json_walk(ask.members[ASK_tools]);
  _cleanup_(buffer_done) Buffer seen = {0};
  AskMessage message;
  AskTool tool;
  AskCall call;
  Json name;

  (void)state;
  assert_true(ask_next_tool(&walk, &tool));
  assert_text(tool.name.text, "\"f\"");
  assert_text(tool.strict.text, "true");
  assert_false(ask_next_tool(&walk, &tool));
  assert_int_equal(ask_tool_choice(&ask, &name), ASK_CHOICE_NAMED);
  assert_text(name.text, "\"f\"");
  assert_true(ask_next_message(&messages, &message));
  walk = json_walk(message.calls);
  while (ask_next_call(&walk, &call)) {
    buffer_printf(&seen, "%.*s", TEXT_ARG(call.name.text));
    ask_put_arguments(call.arguments, &seen);
  }
  assert_text(of(&seen), "\"f\"{\"a\":1}\"g\"{}");
}

static void single_values_are_read(void **state) {
  AskChat ask = read("{\"messages\":[" USER "],\"max_tokens\":5,\"max_completion_tokens\":6,\"stop\":\"END\","
                     "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"reasoning_effort\":\"xhigh\","
                     "\"tool_choice\":\"required\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
                     "{\"name\":\"s\",\"schema\":{}}}}");
  AskChat bare = read("{\"messages\":[" USER "],\"max_tokens\":5,\"stop\":[\"a\",\"b\"],\"response_format\":"
                      "{\"type\":\"json_object\"}}");
  _cleanup_(buffer_done) Buffer said = {0};
  Json schema;
  Json name;

  (void)state;
  assert_int_equal(ask_max_tokens(&ask), 6);
  assert_int_equal(ask_max_tokens(&bare), 5);
  assert_true(ask_streams(&ask) && ask_wants_usage(&ask));
  assert_false(ask_streams(&bare) || ask_wants_usage(&bare));
  assert_int_equal(ask_effort(&ask), ASK_EFFORT_XHIGH);
  assert_int_equal(ask_effort(&bare), ASK_EFFORT_NONE_SAID);
  assert_int_equal(ask_tool_choice(&ask, &name), ASK_CHOICE_REQUIRED);
  assert_true(ask_forces_tool(&ask) && !ask_forces_tool(&bare));
  assert_int_equal(ask_tool_choice(&bare, &name), ASK_CHOICE_NONE_SAID);
  assert_int_equal(ask_format(&ask, &schema, &name), ASK_FORMAT_SCHEMA);
  assert_text(schema.text, "{}");
  assert_text(name.text, "\"s\"");
  assert_int_equal(ask_format(&bare, &schema, &name), ASK_FORMAT_JSON);
  ask_put_stop(&ask, "stop", &said);
  ask_put_stop(&bare, "ends", &said);
  ask_put_max_tokens(&bare, "most", &said);
  assert_text(of(&said), "\"stop\":[\"END\"],\"ends\":[\"a\",\"b\"],\"most\":5");
}

static void there_is_a_most_of_calls(void **state) {
  _cleanup_(buffer_done) Buffer request = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  AskChat ask;

  (void)state;
  buffer_printf(&request, "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[");
  for (int i = 0; i <= ASK_CALLS_MAX; i++)
    buffer_printf(&request, "%s%s", i ? "," : "", CALL);
  buffer_printf(&request, "]}]}");
  buffer_append(&request, "", 1);
  assert_int_equal(ask_read(checked((const char *)request.data), &table, "The API", &ask, &fault), DIALECT_E_FAULT);
  assert_text(fault.fault.param, "messages[0].tool_calls");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_wrong_is_refused_by_its_path),
      cmocka_unit_test(what_says_nothing_is_not_refused),
      cmocka_unit_test(messages_and_parts_are_walked),
      cmocka_unit_test(tools_and_calls_are_walked),
      cmocka_unit_test(single_values_are_read),
      cmocka_unit_test(there_is_a_most_of_calls),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
