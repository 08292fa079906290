/* What a request's JSON asks of a local model, and what of it is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/tiny_llama_service_enhanced/order.h"

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static Order good(const char *json) {
  Order order;
  OrderFault fault = {0};
  int r = order_read(text_of(json), &order, &fault);

  if (r != 0)
    print_error("%s: %s\n", json, fault.message);
  assert_int_equal(r, 0);
  return order;
}

static void refused(const char *json, const char *code, const char *field, const char *words) {
  Order order;
  OrderFault fault = {0};

  if (order_read(text_of(json), &order, &fault) != ORDER_E_REFUSED || !strstr(fault.message, words))
    print_error("%s: %s\n", json, fault.message);
  assert_int_equal(order_read(text_of(json), &order, &fault), ORDER_E_REFUSED);
  assert_string_equal(fault.code, code);
  assert_string_equal(fault.field, field);
  assert_non_null(strstr(fault.message, words));
}

static void test_defaults(void **state) {
  Order order = good("{" HI "}");

  (void)state;
  assert_true(order.max_tokens == 0 && !order.has_seed && !order.include_usage && order.grammar.size == 0);
  assert_true(order.temperature > 0.7 && order.temperature < 0.9 && order.top_k == 40);
  assert_int_equal(order.outlet.stops_count, 0);
  order_done(&order);
}

static void test_everything(void **state) {
  Order order =
      good("{" HI ",\"max_tokens\":7,\"temperature\":0,\"top_p\":0.5,\"top_k\":3,\"seed\":42,\"presence_penalty\":-1,"
           "\"frequency_penalty\":0.5,\"stop\":[\"a\\n\",\"bc\"],\"stream_options\":{\"include_usage\":true},\"n\":1,"
           "\"tools\":[],\"logit_bias\":{},\"logprobs\":false,\"audio\":null,\"user\":\"somebody\"}");

  (void)state;
  assert_true(order.max_tokens == 7 && order.temperature == 0 && order.top_p == 0.5 && order.top_k == 3);
  assert_true(order.has_seed && order.seed == 42 && order.presence == -1 && order.frequency == 0.5 &&
              order.include_usage);
  assert_int_equal(order.outlet.stops_count, 2);
  assert_true(text_is(order.outlet.stops[0], "a\n") && text_is(order.outlet.stops[1], "bc"));
  order_done(&order);
}

static void test_other_spellings(void **state) {
  Order order = good("{" HI ",\"max_tokens\":7,\"max_completion_tokens\":9,\"stop\":\"x\",\"seed\":-1}");

  (void)state;
  assert_true(order.max_tokens == 9 && order.has_seed);
  assert_int_equal(order.seed, 0);
  assert_true(order.outlet.stops_count == 1 && text_is(order.outlet.stops[0], "x"));
  order_done(&order);
  order = good("{" HI ",\"max_tokens\":-1,\"max_completion_tokens\":-1}");
  assert_int_equal(order.max_tokens, 0);
  order_done(&order);
}

static void test_grammars(void **state) {
  Order json = good("{" HI ",\"response_format\":{\"type\":\"json_object\"}}");
  Order own = good("{" HI ",\"grammar\":\"root ::= \\\"a\\\"\",\"response_format\":{\"type\":\"json_object\"}}");
  Order schema = good(
      "{" HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"boolean\"}}}}");
  Order text = good("{" HI ",\"response_format\":{\"type\":\"text\"},\"grammar\":null}");

  (void)state;
  assert_non_null(strstr((const char *)json.grammar.data, "root ::= object"));
  assert_string_equal((const char *)own.grammar.data, "root ::= \"a\"");
  assert_int_equal(text.grammar.size, 0);
  assert_non_null(strstr((const char *)schema.grammar.data, "root ::= \"true\" | \"false\"\n"));
  order_done(&json);
  order_done(&schema);
  order_done(&own);
  order_done(&text);
}

static void test_what_it_has_not(void **state) {
  (void)state;
  refused("{" HI ",\"tools\":[{\"type\":\"function\"}]}", "unsupported_parameter", "tools", "has no tools");
  refused("{" HI ",\"logprobs\":true}", "unsupported_parameter", "logprobs", "has no logprobs");
  refused("{" HI ",\"logit_bias\":{\"5\":1}}", "unsupported_parameter", "logit_bias", "has no logit_bias");
  refused("{" HI ",\"n\":2}", "unsupported_value", "n", "n must be 1");
  refused("{" HI ",\"response_format\":{\"type\":\"regex\"}}", "unsupported_value", "response_format", "json_schema");
  refused("{" HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\"}}}",
          "missing_required_parameter", "response_format", "json_schema.schema is missing");
  refused("{" HI
          ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"array\",\"items\":{"
          "\"type\":\"string\",\"pattern\":\"a\"}}}}}",
          "unsupported_value", "response_format", "json_schema.schema.items: \"pattern\" can't be kept to");
  refused("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", "unsupported_content",
          "messages", "reads text alone");
  refused("{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "unsupported_parameter", "messages", "no tools");
  refused("{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[1]}]}", "unsupported_parameter",
          "messages", "no tools");
}

static void test_what_is_wrong(void **state) {
  (void)state;
  refused("{" HI, "invalid_json", "", "line 1");
  refused("[]", "invalid_json", "", "object");
  refused("{}", "missing_required_parameter", "messages", "at least one");
  refused("{\"messages\":[]}", "missing_required_parameter", "messages", "at least one");
  refused("{\"messages\":[1]}", "invalid_type", "messages", "object");
  refused("{\"messages\":[{\"role\":\"wizard\",\"content\":\"x\"}]}", "invalid_value", "messages", "role");
  refused("{\"messages\":[{\"role\":\"user\",\"content\":1}]}", "invalid_value", "messages", "content");
  refused("{" HI ",\"temperature\":2.5}", "invalid_value", "temperature", "from 0 to 2");
  refused("{" HI ",\"top_p\":\"x\"}", "invalid_value", "top_p", "from 0 to 1");
  refused("{" HI ",\"max_tokens\":0}", "invalid_value", "max_tokens", "from 1 on");
  refused("{" HI ",\"seed\":1.5}", "invalid_value", "seed", "whole number");
  refused("{" HI ",\"stop\":\"\"}", "invalid_value", "stop", "1 to 256");
  refused("{" HI ",\"stop\":[1]}", "invalid_value", "stop", "1 to 256");
  refused("{" HI ",\"stop\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
          "\"a\",\"a\"]}",
          "invalid_value", "stop", "at most 16");
  refused("{" HI ",\"grammar\":7}", "invalid_type", "grammar", "GBNF");
}

static void test_long_grammar(void **state) {
  _cleanup_(buffer_done) Buffer json = {0};

  (void)state;
  buffer_printf(&json, "{" HI ",\"grammar\":\"");
  memset(buffer_reserve(&json, ORDER_GRAMMAR_BYTES + 1), 'a', ORDER_GRAMMAR_BYTES + 1);
  json.size += ORDER_GRAMMAR_BYTES + 1;
  buffer_append(&json, "\"}", 3);
  refused((const char *)json.data, "invalid_value", "grammar", "at most 16384");
}

static void embed_refused(const char *json, const char *field, const char *words) {
  EmbedOrder order = {.count = 77};
  OrderFault fault = {0};

  assert_int_equal(order_read_embed(text_of(json), &order, &fault), ORDER_E_REFUSED);
  assert_string_equal(fault.field, field);
  assert_non_null(strstr(fault.message, words));
  assert_int_equal(order.count, 77);
}

static void test_embeddings(void **state) {
  EmbedOrder order;
  OrderFault fault;

  (void)state;
  assert_int_equal(order_read_embed(TEXT("{\"input\":\"a\"}"), &order, &fault), 0);
  assert_true(order.count == 1 && !order.base64);
  assert_int_equal(order_read_embed(TEXT("{\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\"}"), &order, &fault),
                   0);
  assert_true(order.count == 2 && order.base64);
  embed_refused("{}", "input", "1 to 2048");
  embed_refused("{\"input\":[1,2]}", "input", "token numbers");
  embed_refused("{\"input\":\"a\",\"encoding_format\":\"hex\"}", "encoding_format", "float or base64");
  embed_refused("{\"input\":\"a\",\"dimensions\":8}", "dimensions", "leave it out");
  embed_refused("{\"input\":\"a\",\"stream\":true}", "stream", "leave 'stream' out");
  embed_refused("x", "", "no JSON");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),        cmocka_unit_test(test_everything),
      cmocka_unit_test(test_other_spellings), cmocka_unit_test(test_grammars),
      cmocka_unit_test(test_what_it_has_not), cmocka_unit_test(test_what_is_wrong),
      cmocka_unit_test(test_long_grammar),    cmocka_unit_test(test_embeddings),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
