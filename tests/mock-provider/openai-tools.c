/* Tools, which of them is to be called, and the shape that an answer is to have. */
#include <stdio.h>

#include "tests/mock-provider/openai-internal.h"

enum { PATH_BYTES = 96, TOOLS_MAX = 128, DEPTH_MAX = 32 };

static const char INVALID[] = "invalid_request_error";

#define TABLE static const OpenAiField

TABLE TOOL[] = {OPENAI_IS("type", "function"), OPENAI_NEEDS("function", OBJECT), OPENAI_END};
TABLE FUNCTION[] = {OPENAI_NEEDS("name", TEXT), OPENAI_HAS("description", TEXT), OPENAI_HAS("parameters", OBJECT),
                    OPENAI_HAS("strict", BOOL), OPENAI_END};
TABLE CHOICE[] = {OPENAI_IS("type", "function"), OPENAI_NEEDS("function", OBJECT), OPENAI_END};
TABLE CHOSEN[] = {OPENAI_NEEDS("name", TEXT), OPENAI_END};
TABLE FORMAT[] = {OPENAI_IS("type", "text json_object json_schema"), OPENAI_HAS("json_schema", OBJECT), OPENAI_END};
TABLE SCHEMA[] = {OPENAI_NEEDS("name", TEXT), OPENAI_HAS("description", TEXT), OPENAI_HAS("schema", OBJECT),
                  OPENAI_HAS("strict", BOOL), OPENAI_END};

/* --- strict schemas --- */

static bool is_required(Json schema, Json name) {
  JsonWalk walk = json_walk(json_find(schema, "required"));
  Json one;

  while (json_next_element(&walk, &one))
    if (text_equal(one.text, name.text))
      return true;
  return false;
}

/* What a strict schema lacks, or NULL: each object says that it has no other members, and requires those it has. */
static const char *lacks(Json schema, unsigned depth) {
  static const char *const LISTS[] = {"anyOf", "properties", "$defs"};
  bool more = true;
  const char *wrong = NULL;
  JsonWalk walk = json_walk(json_find(schema, "properties"));
  Json key, value;

  if (depth == DEPTH_MAX || json_type(schema) != JSON_OBJECT)
    return NULL;
  if (json_string_is(json_find(schema, "type"), "object")) {
    if (json_get_bool(json_find(schema, "additionalProperties"), &more) != 0 || more)
      return "'additionalProperties' is required to be supplied and to be false";
    while (json_next_member(&walk, &key, &value))
      if (!is_required(schema, key))
        return "'required' is required to be supplied and to be an array including every key in properties";
  }
  for (size_t i = 0; !wrong && i < ELEMENTS(LISTS); i++) {
    Json list = json_find(schema, LISTS[i]);

    walk = json_walk(list);
    while (!wrong &&
           (json_type(list) == JSON_ARRAY ? json_next_element(&walk, &value) : json_next_member(&walk, &key, &value)))
      wrong = lacks(value, depth + 1);
  }
  return wrong ? wrong : lacks(json_find(schema, "items"), depth + 1);
}

static bool is_strict(Json object) {
  bool strict = false;

  return json_get_bool(json_find(object, "strict"), &strict) == 0 && strict;
}

static bool check_schema(const char *param, const char *of, Json name, Json schema, bool strict, Answer *ret) {
  const char *wrong = NULL;

  if (!json_is_none(schema) && !json_string_is(json_find(schema, "type"), "object"))
    wrong = "schema must be a JSON Schema of 'type: \"object\"'";
  else if (strict)
    wrong = json_is_none(schema) ? "a strict one must have parameters" : lacks(schema, 0);
  return !wrong || openai_fail(ret, 400, INVALID, strict ? "invalid_json_schema" : "invalid_function_parameters", param,
                               "Invalid schema for %s '%.*s': In context=(), %s.", of,
                               (int)min_u64(name.text.size - 2, 64), name.text.data + 1, wrong);
}

/* --- tools --- */

static bool check_function(const Ask *ask, unsigned number, Json function, Answer *ret) {
  Json name = json_find(function, "name");
  char path[PATH_BYTES];

  snprintf(path, sizeof path, "tools[%u].function.", number);
  if (!openai_check_fields(ask, path, function, FUNCTION, ret))
    return false;
  snprintf(path, sizeof path, "tools[%u].function.name", number);
  if (!openai_is_name(name))
    return openai_fail(ret, 400, INVALID, "invalid_value", path,
                       "Invalid '%s': string does not match pattern. Expected a string that matches the pattern "
                       "'^[a-zA-Z0-9_-]+$'.",
                       path);
  snprintf(path, sizeof path, "tools[%u].function.parameters", number);
  return check_schema(path, "function", name, openai_find(function, "parameters"), is_strict(function), ret);
}

static bool check_tools(const Ask *ask, Json tools, Answer *ret) {
  JsonWalk walk = json_walk(tools);
  char path[PATH_BYTES];
  unsigned number = 0;
  Json tool;

  if (json_is_none(tools))
    return true;
  for (; json_next_element(&walk, &tool); number++) {
    snprintf(path, sizeof path, "tools[%u].", number);
    if (!openai_check_fields(ask, path, tool, TOOL, ret) ||
        !check_function(ask, number, json_find(tool, "function"), ret))
      return false;
  }
  if (number > TOOLS_MAX)
    return openai_fail(ret, 400, INVALID, "array_above_max_length", "tools",
                       "Invalid 'tools': array too long. Expected an array with maximum length 128.");
  return number > 0 ||
         openai_fail(ret, 400, INVALID, "empty_array", "tools",
                     "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array "
                     "instead.");
}

static bool has_tool(Json tools, Json name) {
  JsonWalk walk = json_walk(tools);
  Json tool;

  while (json_next_element(&walk, &tool))
    if (text_equal(json_find(json_find(tool, "function"), "name").text, name.text))
      return true;
  return false;
}

static bool check_choice(const Ask *ask, Json tools, Json choice, Answer *ret) {
  Json name = json_find(json_find(choice, "function"), "name");
  Text word = TEXT_NONE;

  if (json_is_none(choice))
    return true;
  if (json_type(choice) == JSON_STRING) {
    json_get_plain(choice, &word);
    if (!openai_is_one_of(word, "none auto required"))
      return openai_fail(ret, 400, INVALID, "invalid_value", "tool_choice",
                         "Invalid value: '%.*s'. Supported values are: 'none', 'auto', and 'required'.",
                         (int)min_u64(word.size, 64), word.data);
  } else if (!openai_check_fields(ask, "tool_choice.", choice, CHOICE, ret) ||
             !openai_check_fields(ask, "tool_choice.function.", json_find(choice, "function"), CHOSEN, ret)) {
    return false;
  }
  if (json_is_none(tools) && !text_is(word, "none"))
    return openai_fail(ret, 400, INVALID, NULL, "tool_choice",
                       "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.");
  return json_type(choice) == JSON_STRING || has_tool(tools, name) ||
         openai_fail(ret, 400, INVALID, NULL, "tool_choice", "Tool choice 'function' not found in 'tools' parameter.");
}

/* --- the answer's shape --- */

/* JSON mode wants the word in a message, since without it models never end. */
static bool check_format(const Ask *ask, Json format, Json messages, Answer *ret) {
  Json type = json_find(format, "type"), schema = json_find(format, "json_schema");
  bool has_schema = json_string_is(type, "json_schema");

  if (json_is_none(format))
    return true;
  if (!openai_check_fields(ask, "response_format.", format, FORMAT, ret))
    return false;
  if (json_string_is(type, "json_object") && !memmem(messages.text.data, messages.text.size, "json", 4) &&
      !memmem(messages.text.data, messages.text.size, "JSON", 4))
    return openai_fail(ret, 400, INVALID, NULL, "messages",
                       "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                       "'json_object'.");
  if (has_schema == json_is_none(schema))
    return has_schema ? openai_missing(ret, "response_format.json_schema")
                      : openai_fail(ret, 400, INVALID, "unknown_parameter", "response_format.json_schema",
                                    "Unknown parameter: 'response_format.json_schema'.");
  if (!has_schema)
    return true;
  if (!openai_check_fields(ask, "response_format.json_schema.", schema, SCHEMA, ret))
    return false;
  if (!openai_is_name(json_find(schema, "name")))
    return openai_fail(ret, 400, INVALID, "invalid_value", "response_format.json_schema.name",
                       "Invalid 'response_format.json_schema.name': string does not match pattern "
                       "'^[a-zA-Z0-9_-]+$'.");
  return check_schema("response_format", "response_format", json_find(schema, "name"), openai_find(schema, "schema"),
                      is_strict(schema), ret);
}

bool openai_check_tools(const Ask *ask, const OpenAiTools *asked, Answer *ret) {
  if (!check_tools(ask, asked->tools, ret) || !check_choice(ask, asked->tools, asked->choice, ret))
    return false;
  if (json_is_none(asked->tools) && !json_is_none(asked->parallel))
    return openai_fail(ret, 400, INVALID, NULL, "parallel_tool_calls",
                       "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' "
                       "are specified.");
  return check_format(ask, asked->format, asked->messages, ret);
}
