/* What a chat request of OpenAI's becomes in Converse's words, and what can't be said there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/bedrock/bedrock.h"

#define USER "{\"role\":\"user\",\"content\":\"hi\"}"
#define SAID "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}]"
#define CALL(id)                                                                                                       \
  "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"
#define USE(id) "{\"toolUse\":{\"toolUseId\":\"" id "\",\"name\":\"f\",\"input\":{\"a\":1}}}"
#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define SPEC                                                                                                           \
  "{\"tools\":[{\"toolSpec\":{\"name\":\"f\",\"inputSchema\":{\"json\":{\"type\":\"object\",\"properties\":{}}}}}]"

/* For Claude 3.7, unless the row has another model. */
static const struct {
  const char *request;
  const char *body;
  const char *model;
} said[] = {
    {"{\"model\":\"m\",\"messages\":[" USER "]}", "{" SAID "}", NULL},
    {"{\"messages\":[" USER
     "],\"temperature\":0.70,\"top_p\":1,\"max_tokens\":9,\"stop\":[\"a\",\"b\"],\"user\":\"u\",\"seed\":1}",
     "{" SAID ",\"inferenceConfig\":{\"maxTokens\":9,\"temperature\":0.70,\"topP\":1,\"stopSequences\":[\"a\",\"b\"]}}",
     NULL},
    {"{\"messages\":[{\"role\":\"system\",\"content\":\"a\"}," USER
     ",{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]}]}",
     "{" SAID ",\"system\":[{\"text\":\"a\"},{\"text\":\"b\"}]}", NULL},
    /* turns of one role are one; empty texts are none */
    {"{\"messages\":[" USER "," USER ",{\"role\":\"assistant\",\"content\":\"\"}," USER "]}",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"},{\"text\":\"hi\"},{\"text\":\"hi\"}]}]}", NULL},
    /* calls and their results, with what the user says behind them */
    {"{\"messages\":[" USER ",{\"role\":\"assistant\",\"content\":\"ok\",\"tool_calls\":[" CALL("c1") "," CALL(
         "c2") "]},"
               "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"one\"},{\"role\":\"tool\",\"tool_call_id\":"
               "\"c2\",\"content\":\"\"}," USER "]," TOOLS "}",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]},{\"role\":\"assistant\",\"content\":[{"
     "\"text\":\"ok\"}," USE("c1") "," USE("c2") "]},"
                                                 "{\"role\":\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":"
                                                 "\"c1\",\"content\":[{\"text\":\"one\"}]}},"
                                                 "{\"toolResult\":{\"toolUseId\":\"c2\",\"content\":[{\"json\":{}}]}},{"
                                                 "\"text\":\"hi\"}]}],\"toolConfig\":" SPEC "}}",
     NULL},
    {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
     "\"strict\":true,\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":\"required\"}",
     "{" SAID ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"f\",\"description\":\"d\",\"inputSchema\":{"
     "\"json\":{\"type\":\"object\"}},\"strict\":true}}],\"toolChoice\":{\"any\":{}}}}",
     NULL},
    {"{\"messages\":[" USER "]," TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}",
     "{" SAID ",\"toolConfig\":" SPEC ",\"toolChoice\":{\"tool\":{\"name\":\"f\"}}}}", NULL},
    {"{\"messages\":[" USER "]," TOOLS ",\"tool_choice\":\"auto\"}",
     "{" SAID ",\"toolConfig\":" SPEC ",\"toolChoice\":{\"auto\":{}}}}", NULL},
    {"{\"messages\":[" USER "]," TOOLS ",\"tool_choice\":\"none\"}", "{" SAID "}", NULL},
    /* images and documents */
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
     "JPG;base64,AAAA\"}},"
     "{\"type\":\"file\",\"file\":{\"filename\":\"my "
     "report.v2.pdf\",\"file_data\":\"data:application/pdf;base64,BBBB\"}},"
     "{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/csv;base64,CCCC\"}}]}]}",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"image\":{\"format\":\"jpeg\",\"source\":{\"bytes\":\"AAAA\"}}},"
     "{\"document\":{\"name\":\"myreport 1\",\"format\":\"pdf\",\"source\":{\"bytes\":\"BBBB\"}}},"
     "{\"document\":{\"name\":\"document 2\",\"format\":\"csv\",\"source\":{\"bytes\":\"CCCC\"}}}]}]}",
     NULL},
    /* what was thought goes back as it came, before everything else */
    {"{\"messages\":[" USER ",{\"role\":\"assistant\",\"content\":\"so\",\"reasoning_content\":\"t\",\"thinking_"
     "blocks\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"},"
     "{\"type\":\"redacted_thinking\",\"data\":\"AAAA\"},{\"type\":\"thinking\",\"thinking\":\"unsigned\"}]}," USER
     "]}",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]},{\"role\":\"assistant\",\"content\":[{"
     "\"reasoningContent\":{\"reasoningText\":{\"text\":\"t\",\"signature\":\"s\"}}},"
     "{\"reasoningContent\":{\"redactedContent\":\"AAAA\"}},{\"text\":\"so\"}]},{\"role\":\"user\",\"content\":[{"
     "\"text\":\"hi\"}]}]}",
     NULL},
    {"{\"messages\":[" USER "],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
     "\"description\":\"d\",\"schema\":{\"type\":\"object\"}}}}",
     "{" SAID ",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"schema\":"
     "\"{\\\"type\\\":\\\"object\\\"}\",\"name\":\"n\",\"description\":\"d\"}}}}}",
     NULL},
    {"{\"messages\":[" USER "],\"service_tier\":\"flex\",\"metadata\":{\"a\":\"b\"},\"guardrailConfig\":{"
     "\"guardrailIdentifier\":\"g\",\"guardrailVersion\":\"1\"}}",
     "{" SAID ",\"serviceTier\":{\"type\":\"flex\"},\"requestMetadata\":{\"a\":\"b\"},\"guardrailConfig\":{"
     "\"guardrailIdentifier\":\"g\",\"guardrailVersion\":\"1\"}}",
     NULL},
    {"{\"messages\":[" USER "],\"service_tier\":\"auto\",\"n\":1,\"logprobs\":false}", "{" SAID "}", NULL},
    /* how long it thinks: Claude within its limit, and nothing that it could not think with */
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"medium\",\"temperature\":0.1}",
     "{" SAID ",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}}}", NULL},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"high\",\"max_completion_tokens\":2000}",
     "{" SAID ",\"inferenceConfig\":{\"maxTokens\":2000},\"additionalModelRequestFields\":{\"thinking\":{\"type\":"
     "\"enabled\",\"budget_tokens\":1500}}}",
     NULL},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"high\",\"max_completion_tokens\":500,\"temperature\":1}",
     "{" SAID ",\"inferenceConfig\":{\"maxTokens\":500,\"temperature\":1}}", NULL},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"low\"," TOOLS ",\"tool_choice\":\"required\"}",
     "{" SAID ",\"toolConfig\":" SPEC ",\"toolChoice\":{\"any\":{}}}}", NULL},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"low\",\"additionalModelRequestFields\":{\"top_k\":5}}",
     "{" SAID
     ",\"additionalModelRequestFields\":{\"top_k\":5,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}}}",
     NULL},
    {"{\"messages\":[" USER
     "],\"reasoning_effort\":\"low\",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"disabled\"}}}",
     "{" SAID ",\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"disabled\"}}}", NULL},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"xhigh\",\"temperature\":1}",
     "{" SAID
     ",\"outputConfig\":{\"effort\":\"high\"},\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"adaptive\"}}}",
     "global.anthropic.claude-opus-4-6-v1"},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"none\"}", "{" SAID "}", NULL},
    /* what is no base64 stays inside its string */
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
     "png;base64,A\\\"}A\"}}]}]}",
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":\"A\\\"}A\"}}"
     "}"
     "]}]}",
     NULL},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"minimal\"}",
     "{" SAID ",\"additionalModelRequestFields\":{\"reasoning_effort\":\"low\"}}", "openai.gpt-oss-120b-1:0"},
    {"{\"messages\":[" USER "],\"reasoning_effort\":\"xhigh\"}", "{" SAID ",\"outputConfig\":{\"effort\":\"xhigh\"}}",
     "amazon.nova-2-lite-v1:0"},
};

static const struct {
  const char *request;
  const char *param;
} refused[] = {
    {"{\"messages\":[" USER "],\"n\":2}", "n"},
    {"{\"messages\":[" USER "],\"logit_bias\":{\"1\":1}}", "logit_bias"},
    {"{\"messages\":[" USER "],\"parallel_tool_calls\":false}", "parallel_tool_calls"},
    {"{\"messages\":[" USER "],\"response_format\":{\"type\":\"json_object\"}}", "response_format"},
    {"{\"messages\":[" USER "],\"service_tier\":\"scale\"}", "service_tier"},
    {"{\"messages\":[" USER "],\"top_k\":5}", "top_k"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"image_url\","
     "\"image_url\":{\"url\":\"https://h/a.png\"}}]}]}",
     "messages[0].content[1].image_url.url"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
     "bmp;base64,AAAA\"}}]}]}",
     "messages[0].content[0].image_url.url"},
    {"{\"messages\":[" USER
     ",{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_data\":\"data:video/mp4;base64,AAAA\"}}]}]}",
     "messages[1].content[0].file.file_data"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\","
     "\"format\":\"wav\"}}]}]}",
     "messages[0].content[0].type"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"image_url\","
     "\"image_url\":{\"url\":\"https://h/a.png\"}}]}]}",
     "messages[0].content[1].image_url.url"},
    {"{\"messages\":[{\"role\":\"system\",\"content\":\"x\"},{\"role\":\"user\",\"content\":\"\"}]}", "messages"},
    {"{\"messages\":[" USER ",{\"role\":\"assistant\",\"tool_calls\":[" CALL("c") "]}]}", "tools"},
    {"{\"messages\":[" USER ",{\"role\":\"assistant\",\"tool_calls\":[" CALL("c") "]}]," TOOLS
                                                                                  ",\"tool_choice\":\"none\"}",
     "tool_choice"},
};

static int encode(const char *text, const char *model, DialectRequest *ret, DialectFault *ret_fault) {
  Json request = {TEXT_NONE};

  if (json_check(text_of(text), &request, NULL) != 0)
    fail_msg("not JSON: %s", text);
  *ret = (DialectRequest){.asked = {.model = text_of(model ? model : "eu.anthropic.claude-3-7-sonnet:0")}};
  return bedrock_dialect.encode_chat(request, ret, ret_fault);
}

static void each_request_in_their_words(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(said); i++) {
    _cleanup_(dialect_request_done) DialectRequest request;
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    Json body;

    if (encode(said[i].request, said[i].model, &request, &fault) != 0)
      fail_msg("%s: %.*s", said[i].request, TEXT_ARG(fault.fault.message));
    if (!text_is((Text){(const char *)request.body.data, request.body.size}, said[i].body))
      fail_msg("%s\nis %.*s\nnot %s", said[i].request, (int)request.body.size, (const char *)request.body.data,
               said[i].body);
    assert_int_equal(json_check((Text){(const char *)request.body.data, request.body.size}, &body, NULL), 0);
  }
}

static void what_cannot_be_said_is_refused_by_its_path(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(refused); i++) {
    _cleanup_(dialect_request_done) DialectRequest request;
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

    if (encode(refused[i].request, NULL, &request, &fault) != DIALECT_E_FAULT)
      fail_msg("not refused: %s", refused[i].request);
    assert_int_equal(fault.fault.cause, CAUSE_CALLER);
    if (!text_is(fault.fault.param, refused[i].param))
      fail_msg("%s: %.*s", refused[i].request, TEXT_ARG(fault.fault.param));
  }
}

static void the_path_has_model_and_operation(void **state) {
  _cleanup_(dialect_request_done) DialectRequest plain;
  _cleanup_(dialect_request_done) DialectRequest stream;
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  (void)state;
  assert_int_equal(encode("{\"messages\":[" USER "]}", "arn:aws:x/m", &plain, &fault), 0);
  assert_true(text_is((Text){(const char *)plain.path.data, plain.path.size}, "/model/arn%3Aaws%3Ax%2Fm/converse"));
  assert_false(plain.asked.streams);
  assert_int_equal(encode("{\"messages\":[" USER "],\"stream\":true}", NULL, &stream, &fault), 0);
  assert_true(text_is((Text){(const char *)stream.path.data, stream.path.size},
                      "/model/eu.anthropic.claude-3-7-sonnet%3A0/converse-stream"));
  assert_true(stream.asked.streams && stream.asked.hides_usage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_request_in_their_words),
      cmocka_unit_test(what_cannot_be_said_is_refused_by_its_path),
      cmocka_unit_test(the_path_has_model_and_operation),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
