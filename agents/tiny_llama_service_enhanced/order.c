#include "agents/tiny_llama_service_enhanced/order.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "agents/tiny_llama_service_enhanced/schema_grammar.h"

/* What the sampling is when the request does not say: a small model left to chance alone wanders. */
#define TEMPERATURE_DEFAULT 0.8
#define TOP_P_DEFAULT 0.95
enum { TOP_K_DEFAULT = 40 };

/* llama.cpp's grammar of JSON objects, without its limit on blanks between them. */
static const char json_grammar[] =
    "root ::= object\n"
    "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
    "object ::= \"{\" ws ( member ( \",\" ws member )* )? \"}\" ws\n"
    "member ::= string \":\" ws value ws\n"
    "array ::= \"[\" ws ( value ws ( \",\" ws value ws )* )? \"]\"\n"
    "string ::= \"\\\"\" ( [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt/] | \"u\" [0-9a-fA-F]{4}) )* \"\\\"\"\n"
    "number ::= \"-\"? ([0-9] | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?\n"
    "ws ::= (\" \" | \"\\n\")?\n";

_printf_(4, 5) static int refuse(OrderFault *fault, const char *code, const char *field, const char *format, ...) {
  va_list arguments;

  fault->code = code;
  snprintf(fault->field, sizeof fault->field, "%s", field);
  va_start(arguments, format);
  vsnprintf(fault->message, sizeof fault->message, format, arguments);
  va_end(arguments);
  return ORDER_E_REFUSED;
}

static bool is_absent(Json value) {
  return json_type(value) == JSON_NONE || json_type(value) == JSON_NULL;
}

/* --- what we have not --- */

/* Whether a member asks for nothing: absent, null, false, or empty. */
static bool asks_nothing(Json value) {
  JsonWalk walk = json_walk(value);
  bool yes = false;
  Json key;

  switch (json_type(value)) {
  case JSON_OBJECT:
    return !json_next_member(&walk, &key, &value);
  case JSON_ARRAY:
    return !json_next_element(&walk, &value);
  case JSON_BOOL:
    return json_get_bool(value, &yes) != 0 || !yes;
  case JSON_NONE:
  case JSON_NULL:
    return true;
  case JSON_NUMBER:
  case JSON_STRING:
  default:
    return false;
  }
}

static int check_unsupported(Json object, OrderFault *fault) {
  static const char *const names[] = {"tools", "functions", "audio", "logprobs", "logit_bias", "web_search_options"};
  Json n = json_find(object, "n");
  uint64_t value = 1;

  for (size_t i = 0; i < ELEMENTS(names); i++)
    if (!asks_nothing(json_find(object, names[i])))
      return refuse(fault, "unsupported_parameter", names[i],
                    "a local model has no %s; leave it out, or name a model of a provider that has it", names[i]);
  if (!is_absent(n) && (json_get_uint(n, &value) != 0 || value != 1))
    return refuse(fault, "unsupported_value", "n", "a local model makes one answer at a time; n must be 1");
  return 0;
}

/* --- numbers --- */

static int read_real(Json object, const char *name, double least, double most, double *ret, OrderFault *fault) {
  Json value = json_find(object, name);
  double real;

  if (is_absent(value))
    return 0;
  if (json_get_real(value, &real) != 0 || !(real >= least && real <= most))
    return refuse(fault, "invalid_value", name, "%s must be a number from %g to %g", name, least, most);
  *ret = real;
  return 0;
}

static int read_count(Json object, const char *name, uint64_t least, uint64_t *ret, OrderFault *fault) {
  Json value = json_find(object, name);
  uint64_t count;

  if (is_absent(value))
    return 0;
  if (json_get_uint(value, &count) != 0 || count < least)
    return refuse(fault, "invalid_value", name, "%s must be a whole number from %u on", name, (unsigned)least);
  *ret = count;
  return 0;
}

static int read_seed(Json object, Order *order, OrderFault *fault) {
  Json value = json_find(object, "seed");
  double real;
  int64_t whole;

  if (is_absent(value))
    return 0;
  if (json_get_real(value, &real) != 0 || !(fabs(real) < 9e18) || real != trunc(real))
    return refuse(fault, "invalid_value", "seed", "seed must be a whole number");
  whole = (int64_t)real;
  order->has_seed = true;
  order->seed = (uint32_t)((uint64_t)whole ^ (uint64_t)whole >> 32) & 0x7fffffff; /* all ones would mean: by chance */
  return 0;
}

/* -1 means without a limit, as it does to llama-server and LM Studio. */
static int read_limit(Json object, const char *name, Order *order, OrderFault *fault) {
  return text_is(json_find(object, name).text, "-1") ? 0 : read_count(object, name, 1, &order->max_tokens, fault);
}

static int read_numbers(Json object, Order *order, OrderFault *fault) {
  int r = read_limit(object, "max_tokens", order, fault);

  if (r == 0)
    r = read_limit(object, "max_completion_tokens", order, fault);
  if (r == 0)
    r = read_real(object, "temperature", 0, 2, &order->temperature, fault);
  if (r == 0)
    r = read_real(object, "top_p", 0, 1, &order->top_p, fault);
  if (r == 0)
    r = read_count(object, "top_k", 0, &order->top_k, fault);
  if (r == 0)
    r = read_real(object, "presence_penalty", -2, 2, &order->presence, fault);
  if (r == 0)
    r = read_real(object, "frequency_penalty", -2, 2, &order->frequency, fault);
  return r == 0 ? read_seed(object, order, fault) : r;
}

/* --- stop strings --- */

static int add_stop(Json value, Order *order, OrderFault *fault) {
  size_t size = json_string_bytes(value);

  if (json_type(value) != JSON_STRING || size == 0 || size > OUTLET_STOP_BYTES)
    return refuse(fault, "invalid_value", "stop", "a stop string must have 1 to %d bytes", OUTLET_STOP_BYTES);
  if (order->outlet.stops_count == OUTLET_STOPS)
    return refuse(fault, "invalid_value", "stop", "there may be at most %d stop strings", OUTLET_STOPS);
  json_get_string(value, &order->stops);
  /* The buffer may still move: only the size for now. */
  order->outlet.stops[order->outlet.stops_count++] = (Text){NULL, size};
  return 0;
}

static int read_stops(Json object, Order *order, OrderFault *fault) {
  Json value = json_find(object, "stop");
  JsonWalk walk = json_walk(value);
  size_t at = 0;
  int r = 0;

  if (json_type(value) == JSON_ARRAY)
    while (r == 0 && json_next_element(&walk, &value))
      r = add_stop(value, order, fault);
  else if (!is_absent(value))
    r = add_stop(value, order, fault);
  for (size_t i = 0; i < order->outlet.stops_count; i++) {
    order->outlet.stops[i].data = (const char *)order->stops.data + at;
    at += order->outlet.stops[i].size;
  }
  return r;
}

/* --- messages --- */

/* The text of a message: a string, or parts that are all text. */
static int check_content(Json content, const char *role, OrderFault *fault) {
  JsonWalk walk = json_walk(content);
  Json part;

  if (json_type(content) == JSON_STRING)
    return 0;
  if (json_type(content) != JSON_ARRAY)
    return refuse(fault, "invalid_value", "messages", "the content of a message of %s must be text", role);
  while (json_next_element(&walk, &part)) {
    if (json_string_is(json_find(part, "type"), "text") && json_type(json_find(part, "text")) == JSON_STRING)
      continue;
    return refuse(fault, "unsupported_content", "messages",
                  "the local model reads text alone; take out images, sound and files, or name a model that sees them");
  }
  return 0;
}

static int check_message(Json message, OrderFault *fault) {
  static const char *const roles[] = {"system", "developer", "user", "assistant"};

  if (json_type(message) != JSON_OBJECT)
    return refuse(fault, "invalid_type", "messages", "each message must be an object");
  if (!asks_nothing(json_find(message, "tool_calls")) || json_string_is(json_find(message, "role"), "tool"))
    return refuse(fault, "unsupported_parameter", "messages",
                  "the local model calls no tools, and reads no answers of them");
  for (size_t i = 0; i < ELEMENTS(roles); i++)
    if (json_string_is(json_find(message, "role"), roles[i]))
      return check_content(json_find(message, "content"), roles[i], fault);
  return refuse(fault, "invalid_value", "messages",
                "the role of a message must be system, developer, user or assistant");
}

static int read_messages(Json object, Order *order, OrderFault *fault) {
  Json messages = json_find(object, "messages");
  JsonWalk walk = json_walk(messages);
  bool any = false;
  int r = 0;
  Json message;

  while (r == 0 && json_type(messages) == JSON_ARRAY && json_next_element(&walk, &message)) {
    r = check_message(message, fault);
    any = true;
  }
  if (r == 0 && !any)
    r = refuse(fault, "missing_required_parameter", "messages", "messages must be a list of at least one message");
  order->messages = messages;
  return r;
}

/* --- grammars --- */

static int read_schema(Json format, Order *order, OrderFault *fault) {
  Json schema = json_find(json_find(format, "json_schema"), "schema");
  SchemaFault wrong;

  if (json_is_none(schema))
    return refuse(fault, "missing_required_parameter", "response_format", "json_schema.schema is missing");
  if (schema_grammar(schema, &order->grammar, &wrong) == 0)
    return 0;
  return refuse(fault, "unsupported_value", "response_format", "json_schema.schema%s%s: %s", *wrong.path ? "." : "",
                wrong.path, wrong.message);
}

static int read_format(Json format, Order *order, OrderFault *fault) {
  Json type = json_find(format, "type");

  if (is_absent(format) || json_string_is(type, "text"))
    return 0;
  if (json_string_is(type, "json_schema"))
    return read_schema(format, order, fault);
  if (!json_string_is(type, "json_object"))
    return refuse(fault, "unsupported_value", "response_format",
                  "the local model has response_format text, json_object and json_schema");
  buffer_append(&order->grammar, json_grammar, sizeof json_grammar - 1);
  return 0;
}

static int read_grammar(Json object, Order *order, OrderFault *fault) {
  Json grammar = json_find(object, "grammar");
  int r = 0;

  if (!is_absent(grammar) && json_get_string(grammar, &order->grammar) != 0)
    return refuse(fault, "invalid_type", "grammar", "grammar must be a text of GBNF");
  if (order->grammar.size > ORDER_GRAMMAR_BYTES)
    return refuse(fault, "invalid_value", "grammar", "grammar must have at most %d bytes", ORDER_GRAMMAR_BYTES);
  if (order->grammar.size == 0)
    r = read_format(json_find(object, "response_format"), order, fault);
  if (order->grammar.size > 0)
    buffer_append(&order->grammar, "", 1);
  return r;
}

/* --- */

static int read_object(Text request, Json *ret, OrderFault *fault) {
  JsonFault wrong;

  if (json_check(request, ret, &wrong) != 0)
    return refuse(fault, "invalid_json", "", "the request is no JSON: line %u, column %u: %s", wrong.line, wrong.column,
                  wrong.message);
  if (json_type(*ret) != JSON_OBJECT)
    return refuse(fault, "invalid_json", "", "the request must be a JSON object");
  return 0;
}

int order_read(Text request, Order *ret, OrderFault *fault) {
  _cleanup_(order_done)
      Order order = {.temperature = TEMPERATURE_DEFAULT, .top_p = TOP_P_DEFAULT, .top_k = TOP_K_DEFAULT};
  Json object;
  int r = read_object(request, &object, fault);

  if (r == 0)
    r = check_unsupported(object, fault);
  if (r == 0)
    r = read_numbers(object, &order, fault);
  if (r == 0)
    r = read_stops(object, &order, fault);
  if (r == 0)
    r = read_messages(object, &order, fault);
  if (r == 0)
    r = read_grammar(object, &order, fault);
  if (r != 0)
    return r;
  (void)json_get_bool(json_find(json_find(object, "stream_options"), "include_usage"), &order.include_usage);
  *ret = order;
  order = (Order){0};
  return 0;
}

void order_done(Order *order) {
  buffer_done(&order->grammar);
  buffer_done(&order->stops);
  outlet_done(&order->outlet);
}

/* --- embeddings --- */

static int check_inputs(Json input, size_t *ret, OrderFault *fault) {
  JsonWalk walk = json_walk(input);
  size_t count = 0;
  Json element;

  if (json_type(input) == JSON_STRING)
    count = 1;
  while (json_type(input) == JSON_ARRAY && json_next_element(&walk, &element)) {
    if (json_type(element) != JSON_STRING)
      return refuse(fault, "invalid_type", "input",
                    "input must be a text or a list of texts; token numbers are not read");
    count++;
  }
  if (count == 0 || count > ORDER_INPUTS)
    return refuse(fault, "invalid_value", "input", "input must be a text or a list of 1 to %d texts", ORDER_INPUTS);
  *ret = count;
  return 0;
}

int order_read_embed(Text request, EmbedOrder *ret, OrderFault *fault) {
  EmbedOrder order = {.count = 0};
  bool streams = false;
  Json object;
  Json format;
  int r = read_object(request, &object, fault);

  if (r != 0)
    return r;
  if (!is_absent(json_find(object, "dimensions")))
    return refuse(fault, "unsupported_parameter", "dimensions",
                  "the local model has one number of dimensions; leave it out");
  if (json_get_bool(json_find(object, "stream"), &streams) == 0 && streams)
    return refuse(fault, "unsupported_value", "stream", "embeddings do not come as a stream; leave 'stream' out");
  order.input = json_find(object, "input");
  r = check_inputs(order.input, &order.count, fault);
  if (r != 0)
    return r;
  format = json_find(object, "encoding_format");
  order.base64 = json_string_is(format, "base64");
  if (!is_absent(format) && !order.base64 && !json_string_is(format, "float"))
    return refuse(fault, "invalid_value", "encoding_format", "encoding_format must be float or base64");
  *ret = order;
  return 0;
}
