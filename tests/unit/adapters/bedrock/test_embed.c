/* Embeddings in the words of Titan and of Cohere, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/bedrock/bedrock.h"

#define TITAN "amazon.titan-embed-text-v2:0"
#define COHERE "cohere.embed-multilingual-v3"

static const struct {
  const char *model;
  const char *request;
  const char *body;  /* NULL: refused */
  const char *param; /* of the refusal */
} requests[] = {
    {TITAN, "{\"model\":\"m\",\"input\":\"a b\",\"user\":\"u\"}", "{\"inputText\":\"a b\"}", NULL},
    {TITAN, "{\"input\":[\"a\"],\"dimensions\":256,\"normalize\":false}",
     "{\"inputText\":\"a\",\"dimensions\":256,\"normalize\":false}", NULL},
    {COHERE, "{\"input\":\"a\"}", "{\"texts\":[\"a\"],\"input_type\":\"search_document\"}", NULL},
    {COHERE, "{\"input\":[\"a\",\"b\"],\"input_type\":\"search_query\",\"dimensions\":512}",
     "{\"texts\":[\"a\",\"b\"],\"input_type\":\"search_query\",\"output_dimension\":512}", NULL},
    {TITAN, "{\"input\":[\"a\",\"b\"]}", NULL, "input"},
    {TITAN, "{\"input\":[1,2]}", NULL, "input"},
    {TITAN, "{\"input\":[]}", NULL, "input"},
    {COHERE, "{}", NULL, "input"},
    {COHERE, "{\"input\":\"a\",\"dimensions\":0}", NULL, "dimensions"},
    {COHERE, "{\"input\":\"a\",\"encoding_format\":\"hex\"}", NULL, "encoding_format"},
    {COHERE, "{\"input\":\"a\",\"normalize\":true}", NULL, "normalize"},
};

static int encode(const char *model, const char *text, DialectRequest *ret, DialectFault *ret_fault) {
  Json request = {TEXT_NONE};

  assert_int_equal(json_check(text_of(text), &request, NULL), 0);
  *ret = (DialectRequest){.asked = {.model = text_of(model)}};
  return bedrock_dialect.encode_embed(request, ret, ret_fault);
}

static void each_request(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(requests); i++) {
    _cleanup_(dialect_request_done) DialectRequest request;
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    int r = encode(requests[i].model, requests[i].request, &request, &fault);

    if (r == DIALECT_E_FAULT && !requests[i].body)
      assert_true(fault.fault.cause == CAUSE_CALLER && text_is(fault.fault.param, requests[i].param));
    else if (r != 0 || !requests[i].body ||
             !text_is((Text){(const char *)request.body.data, request.body.size}, requests[i].body))
      fail_msg("%s: %.*s", requests[i].request, (int)request.body.size, (const char *)request.body.data);
  }
}

static void the_path_is_that_of_the_model(void **state) {
  _cleanup_(dialect_request_done) DialectRequest request;
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  (void)state;
  assert_int_equal(encode("x.embed", "{\"input\":\"a\"}", &request, &fault), DIALECT_E_FAULT);
  assert_int_equal(fault.fault.cause, CAUSE_UNAVAILABLE);
  assert_int_equal(encode(TITAN, "{\"input\":\"a\",\"encoding_format\":\"base64\"}", &request, &fault), 0);
  assert_true(text_is((Text){(const char *)request.path.data, request.path.size},
                      "/model/amazon.titan-embed-text-v2%3A0/invoke"));
  assert_int_not_equal(request.asked.marks, 0);
}

#define LIST(data, usage) "{\"object\":\"list\",\"data\":[" data "],\"model\":\"m\"" usage "}"
#define VECTOR(index, value) "{\"object\":\"embedding\",\"index\":" index ",\"embedding\":" value "}"

static void each_answer(void **state) {
  static const struct {
    const char *answer;
    uint32_t marks;
    const char *response; /* NULL: it is none */
  } rows[] = {
      {"{\"embedding\":[0.5,-1],\"inputTextTokenCount\":3}", 0,
       LIST(VECTOR("0", "[0.5,-1]"), ",\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}")},
      {"{\"embedding\":[0.5,-1],\"inputTextTokenCount\":3}", 1,
       LIST(VECTOR("0", "\"AAAAPwAAgL8=\""), ",\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}")},
      {"{\"embeddings\":[[1],[2]],\"id\":\"x\"}", 0, LIST(VECTOR("0", "[1]") "," VECTOR("1", "[2]"), "")},
      {"{\"embeddings\":{\"float\":[[1]]}}", 0, LIST(VECTOR("0", "[1]"), "")},
      {"{\"embeddings\":[1]}", 0, NULL},
      {"{\"embeddings\":[]}", 0, NULL},
      {"{}", 0, NULL},
      {"{", 0, NULL},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    DialectAsked asked = {.model = TEXT("m"), .marks = rows[i].marks};
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    _cleanup_(buffer_done) Buffer response = {0};
    ChatUsage usage = {.input_tokens = 0};
    int r = bedrock_dialect.decode_embed(&asked, text_of(rows[i].answer), &response, &usage, &fault);

    if (r == DIALECT_E_FAULT && !rows[i].response)
      assert_true(fault.fault.cause == CAUSE_MALFORMED && response.size == 0);
    else if (r != 0 || !rows[i].response ||
             !text_is((Text){(const char *)response.data, response.size}, rows[i].response))
      fail_msg("%s: %.*s", rows[i].answer, (int)response.size, (const char *)response.data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_request),
      cmocka_unit_test(the_path_is_that_of_the_model),
      cmocka_unit_test(each_answer),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
