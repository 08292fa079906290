/* The body's members are walked once; a table says what each may be. What OpenAI refuses is refused with its words, as far
   as they are known, since clients look at them. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/mock-provider/openai-internal.h"

typedef struct Parameter {
  const char *name;
  JsonType type; /* JSON_NONE: any */
  double least, most;
} Parameter;

#define ANY_NUMBER -1e300, 1e300

static const Parameter CHAT[] = {
    {"model", JSON_STRING, 0, 0},
    {"messages", JSON_ARRAY, 0, 0},
    {"stream", JSON_BOOL, 0, 0},
    {"stream_options", JSON_OBJECT, 0, 0},
    {"temperature", JSON_NUMBER, 0, 2},
    {"top_p", JSON_NUMBER, 0, 1},
    {"n", JSON_NUMBER, 1, 128},
    {"max_tokens", JSON_NUMBER, 1, 1e9},
    {"max_completion_tokens", JSON_NUMBER, 1, 1e9},
    {"stop", JSON_NONE, 0, 0},
    {"presence_penalty", JSON_NUMBER, -2, 2},
    {"frequency_penalty", JSON_NUMBER, -2, 2},
    {"logit_bias", JSON_OBJECT, 0, 0},
    {"logprobs", JSON_BOOL, 0, 0},
    {"top_logprobs", JSON_NUMBER, 0, 20},
    {"user", JSON_STRING, 0, 0},
    {"seed", JSON_NUMBER, ANY_NUMBER},
    {"tools", JSON_ARRAY, 0, 0},
    {"tool_choice", JSON_NONE, 0, 0},
    {"parallel_tool_calls", JSON_BOOL, 0, 0},
    {"response_format", JSON_OBJECT, 0, 0},
    {"functions", JSON_ARRAY, 0, 0},
    {"function_call", JSON_NONE, 0, 0},
    {"service_tier", JSON_STRING, 0, 0},
    {"store", JSON_BOOL, 0, 0},
    {"metadata", JSON_OBJECT, 0, 0},
    {"reasoning_effort", JSON_STRING, 0, 0},
    {"verbosity", JSON_STRING, 0, 0},
    {"modalities", JSON_ARRAY, 0, 0},
    {"audio", JSON_OBJECT, 0, 0},
    {"prediction", JSON_OBJECT, 0, 0},
    {"prompt_cache_key", JSON_STRING, 0, 0},
    {"prompt_cache_retention", JSON_STRING, 0, 0},
    {"safety_identifier", JSON_STRING, 0, 0},
    {"web_search_options", JSON_OBJECT, 0, 0},
};
static const Parameter EMBEDDINGS[] = {
    {"model", JSON_STRING, 0, 0},         {"input", JSON_NONE, 0, 0},  {"encoding_format", JSON_STRING, 0, 0},
    {"dimensions", JSON_NUMBER, 1, 3072}, {"user", JSON_STRING, 0, 0},
};
static const char *const ROLES[] = {"system", "assistant", "user", "function", "tool", "developer"};
static const char INVALID[] = "invalid_request_error";

bool openai_fail(Answer *ret, unsigned status, const char *type, const char *code, const char *param,
                 const char *format, ...) {
  char message[512];
  Buffer *body = &ret->body;
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  ret->status = status;
  ret->type = "application/json";
  buffer_clear(body);
  buffer_printf(body, "{\n  \"error\": {\n    \"message\": ");
  json_put_string(body, text_of(message));
  buffer_printf(body, ",\n    \"type\": ");
  json_put_string(body, text_of(type));
  buffer_printf(body, ",\n    \"param\": ");
  if (param)
    json_put_string(body, text_of(param));
  else
    buffer_printf(body, "null");
  buffer_printf(body, ",\n    \"code\": ");
  if (code)
    json_put_string(body, text_of(code));
  else
    buffer_printf(body, "null");
  buffer_printf(body, "\n  }\n}");
  return false;
}

bool openai_check_key(const Ask *ask, Answer *ret) {
  static const char BEARER[] = "Bearer ";
  Text given = http_header(ask->http, "authorization");

  if (!ask->key)
    return true;
  if (given.size < sizeof BEARER || !http_same((Text){given.data, sizeof BEARER - 1}, text_of(BEARER)))
    return openai_fail(
        ret, 401, INVALID, NULL, NULL,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using "
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
  if (text_is((Text){given.data + sizeof BEARER - 1, given.size - sizeof BEARER + 1}, ask->key))
    return true;
  return openai_fail(ret, 401, INVALID, "invalid_api_key", NULL, "Incorrect API key provided.");
}

static const char *name_of(JsonType type) {
  static const char *const NAMES[] = {"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"};
  return NAMES[type];
}

static const Parameter *find_parameter(const Parameter *rows, size_t count, Json key) {
  Text name;

  if (json_get_plain(key, &name))
    return NULL;
  for (size_t i = 0; i < count; i++)
    if (text_is(name, rows[i].name))
      return &rows[i];
  return NULL;
}

static bool wrong_type(Answer *ret, const char *name, JsonType wanted, Json got) {
  return openai_fail(ret, 400, INVALID, "invalid_type", name, "Invalid type for '%s': expected %s, but got %s instead.",
                     name, name_of(wanted), name_of(json_type(got)));
}

/* null is as good as absent. */
static bool check_parameter(const Parameter *row, Json value, Answer *ret) {
  double number = 0;

  if (json_type(value) == JSON_NULL || row->type == JSON_NONE)
    return true;
  if (json_type(value) != row->type)
    return wrong_type(ret, row->name, row->type, value);
  if (row->type != JSON_NUMBER)
    return true;
  json_get_real(value, &number);
  if (number < row->least)
    return openai_fail(ret, 400, INVALID, "integer_below_min_value", row->name,
                       "Invalid '%s': value below minimum value. Expected a value >= %g, but got %g instead.",
                       row->name, row->least, number);
  if (number > row->most)
    return openai_fail(ret, 400, INVALID, "integer_above_max_value", row->name,
                       "Invalid '%s': value above maximum value. Expected a value <= %g, but got %g instead.",
                       row->name, row->most, number);
  return true;
}

/* Checks each member by the table and leaves its value in found, which has a place per row. */
static bool check_members(const Ask *ask, const Parameter *rows, size_t count, Json body, Json *found, Answer *ret) {
  JsonWalk walk = json_walk(body);
  Json key, value;

  while (json_next_member(&walk, &key, &value)) {
    const Parameter *row = find_parameter(rows, count, key);

    if (row) {
      if (!check_parameter(row, value, ret))
        return false;
      found[row - rows] = json_type(value) == JSON_NULL ? (Json){TEXT_NONE} : value;
    } else if (!ask->knobs.lax) {
      char name[80];

      snprintf(name, sizeof name, "%.*s", (int)(key.text.size > 66 ? 64 : key.text.size - 2), key.text.data + 1);
      return openai_fail(ret, 400, INVALID, "unknown_parameter", name, "Unknown parameter: '%s'.", name);
    }
  }
  return true;
}

static bool check_body(const Ask *ask, Json *ret_body, Answer *ret) {
  Text type = http_header(ask->http, "content-type");
  JsonFault fault;

  if (type.size < 16 || !http_same((Text){type.data, 16}, TEXT("application/json")) ||
      (type.size > 16 && type.data[16] != ';' && type.data[16] != ' '))
    return openai_fail(ret, 400, INVALID, NULL, NULL, "Invalid Content-Type header (%.*s): expected application/json.",
                       TEXT_ARG(type));
  if (json_check(ask->http->body, ret_body, &fault))
    return openai_fail(
        ret, 400, INVALID, NULL, NULL,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
        "HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid "
        "JSON: %s at byte %zu.)",
        fault.message, fault.offset_bytes);
  if (json_type(*ret_body) != JSON_OBJECT)
    return openai_fail(ret, 400, INVALID, NULL, NULL, "Invalid body: expected an object, but got %s instead.",
                       name_of(json_type(*ret_body)));
  return true;
}

bool openai_has_model(const Ask *ask, Text model) {
  const char *at = ask->models;

  while (at && *at) {
    size_t n = strcspn(at, ",");

    if (text_equal((Text){at, n}, model))
      return true;
    at += n + (at[n] ? 1 : 0);
  }
  return !ask->models && model.size;
}

static bool check_model(const Ask *ask, Json model, Answer *ret) {
  Text name = TEXT_NONE;

  if (json_is_none(model) || (json_get_plain(model, &name) == 0 && !name.size))
    return openai_fail(ret, 400, INVALID, NULL, NULL, "you must provide a model parameter");
  if (name.size > 128 || !openai_has_model(ask, name))
    return openai_fail(ret, 404, INVALID, "model_not_found", NULL,
                       "The model `%.*s` does not exist or you do not have access to it.",
                       name.size > 128 ? 128 : (int)name.size, name.data ? name.data : "");
  return true;
}

static bool missing(Answer *ret, const char *name) {
  return openai_fail(ret, 400, INVALID, "missing_required_parameter", name, "Missing required parameter: '%s'.", name);
}

static bool check_parts(Json content, unsigned index, Answer *ret) {
  JsonWalk walk = json_walk(content);
  unsigned number = 0;
  char name[64];
  Json part;

  while (json_next_element(&walk, &part)) {
    snprintf(name, sizeof name, "messages[%u].content[%u]%s", index, number++,
             json_type(part) == JSON_OBJECT ? ".type" : "");
    if (json_type(part) != JSON_OBJECT)
      return wrong_type(ret, name, JSON_OBJECT, part);
    if (json_type(json_find(part, "type")) != JSON_STRING)
      return missing(ret, name);
  }
  return true;
}

static bool check_content(Json message, Json role, unsigned index, Answer *ret) {
  Json content = json_find(message, "content");
  char name[64];

  snprintf(name, sizeof name, "messages[%u].content", index);
  switch (json_type(content)) {
  case JSON_STRING:
    return true;
  case JSON_ARRAY:
    return check_parts(content, index, ret);
  case JSON_NONE:
  case JSON_NULL:
    if (json_string_is(role, "assistant") && (json_type(json_find(message, "tool_calls")) == JSON_ARRAY ||
                                              json_type(json_find(message, "function_call")) == JSON_OBJECT))
      return true;
    return json_is_none(content) ? missing(ret, name)
                                 : openai_fail(ret, 400, INVALID, NULL, name,
                                               "Invalid value for 'content': expected a string, got null.");
  default:
    return openai_fail(ret, 400, INVALID, "invalid_type", name,
                       "Invalid type for '%s': expected one of a string or array of objects, but got %s instead.", name,
                       name_of(json_type(content)));
  }
}

static bool check_message(Json message, unsigned index, Answer *ret) {
  Json role = json_find(message, "role");
  Text text = TEXT_NONE;
  char name[64];
  size_t i = 0;

  snprintf(name, sizeof name, "messages[%u]%s", index, json_type(message) == JSON_OBJECT ? ".role" : "");
  if (json_type(message) != JSON_OBJECT)
    return wrong_type(ret, name, JSON_OBJECT, message);
  if (json_is_none(role))
    return missing(ret, name);
  json_get_plain(role, &text);
  while (i < ELEMENTS(ROLES) && !text_is(text, ROLES[i]))
    i++;
  if (i == ELEMENTS(ROLES))
    return openai_fail(
        ret, 400, INVALID, "invalid_value", name,
        "Invalid value: '%.*s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', "
        "and 'developer'.",
        text.size > 64 ? 64 : (int)text.size, text.data ? text.data : "");
  snprintf(name, sizeof name, "messages[%u].tool_call_id", index);
  if (text_is(text, "tool") && json_type(json_find(message, "tool_call_id")) != JSON_STRING)
    return missing(ret, name);
  return check_content(message, role, index, ret);
}

static bool check_messages(Json messages, Answer *ret) {
  JsonWalk walk = json_walk(messages);
  unsigned index = 0;
  Json message;

  if (json_is_none(messages))
    return missing(ret, "messages");
  while (json_next_element(&walk, &message))
    if (!check_message(message, index++, ret))
      return false;
  return index ||
         openai_fail(ret, 400, INVALID, "empty_array", "messages",
                     "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
                     "array instead.");
}

enum { CHAT_MODEL, CHAT_MESSAGES, CHAT_STREAM, CHAT_STREAM_OPTIONS, CHAT_N = 6, CHAT_MAX_TOKENS, CHAT_MAX_COMPLETION };

static bool check_stream(const Json *found, OpenAiAsk *ret_ask, Answer *ret) {
  json_get_bool(found[CHAT_STREAM], &ret_ask->stream);
  if (!json_is_none(found[CHAT_STREAM_OPTIONS]) && !ret_ask->stream)
    return openai_fail(ret, 400, INVALID, NULL, "stream_options",
                       "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
  json_get_bool(json_find(found[CHAT_STREAM_OPTIONS], "include_usage"), &ret_ask->include_usage);
  return true;
}

bool openai_check_chat(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret) {
  Json body, found[ELEMENTS(CHAT)] = {0};

  *ret_ask = (OpenAiAsk){.choices = 1};
  if (!check_body(ask, &body, ret) || !check_members(ask, CHAT, ELEMENTS(CHAT), body, found, ret) ||
      !check_model(ask, found[CHAT_MODEL], ret) || !check_messages(found[CHAT_MESSAGES], ret) ||
      !check_stream(found, ret_ask, ret))
    return false;
  if (!json_is_none(found[CHAT_MAX_TOKENS]) && !json_is_none(found[CHAT_MAX_COMPLETION]))
    return openai_fail(ret, 400, INVALID, "invalid_parameter_combination", "max_tokens",
                       "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.");
  json_get_uint(found[CHAT_N], &ret_ask->choices);
  json_get_uint(found[CHAT_MAX_TOKENS], &ret_ask->limit_tokens);
  json_get_uint(found[CHAT_MAX_COMPLETION], &ret_ask->limit_tokens);
  ret_ask->model = found[CHAT_MODEL];
  ret_ask->messages = found[CHAT_MESSAGES];
  return true;
}

bool openai_check_embeddings(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret) {
  Json body, found[ELEMENTS(EMBEDDINGS)] = {0};

  *ret_ask = (OpenAiAsk){.dimensions = 8};
  if (!check_body(ask, &body, ret) || !check_members(ask, EMBEDDINGS, ELEMENTS(EMBEDDINGS), body, found, ret) ||
      !check_model(ask, found[0], ret))
    return false;
  if (json_is_none(found[1]))
    return missing(ret, "input");
  if (json_type(found[1]) != JSON_STRING && json_type(found[1]) != JSON_ARRAY)
    return wrong_type(ret, "input", JSON_STRING, found[1]);
  ret_ask->base64 = json_string_is(found[2], "base64");
  if (!json_is_none(found[2]) && !ret_ask->base64 && !json_string_is(found[2], "float"))
    return openai_fail(ret, 400, INVALID, "invalid_value", "encoding_format",
                       "Invalid value for 'encoding_format': supported are 'float' and 'base64'.");
  json_get_uint(found[3], &ret_ask->dimensions);
  ret_ask->model = found[0];
  ret_ask->input = found[1];
  return true;
}
