/* An object held against a table, member by member. What OpenAI refuses is refused with its words, as far as they are known, since
   clients look at them. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/mock-provider/openai-internal.h"

static const char INVALID[] = "invalid_request_error";

static void put_or_null(const char *text, Buffer *out) {
  if (text)
    json_put_string(out, text_of(text));
  else
    buffer_printf(out, "null");
}

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
  ret->streams = false;
  buffer_clear(body);
  buffer_printf(body, "{\n  \"error\": {\n    \"message\": ");
  json_put_string(body, text_of(message));
  buffer_printf(body, ",\n    \"type\": ");
  json_put_string(body, text_of(type));
  buffer_printf(body, ",\n    \"param\": ");
  put_or_null(param, body);
  buffer_printf(body, ",\n    \"code\": ");
  put_or_null(code, body);
  buffer_printf(body, "\n  }\n}");
  return false;
}

/* --- one value --- */

static const char *name_of(JsonType type) {
  static const char *const NAMES[] = {"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"};
  return NAMES[type];
}

bool openai_wrong_type(Answer *ret, const char *param, JsonType wanted, Json got) {
  return openai_fail(ret, 400, INVALID, "invalid_type", param,
                     "Invalid type for '%s': expected %s, but got %s instead.", param, name_of(wanted),
                     name_of(json_type(got)));
}

bool openai_missing(Answer *ret, const char *param) {
  return openai_fail(ret, 400, INVALID, "missing_required_parameter", param, "Missing required parameter: '%s'.",
                     param);
}

bool openai_is_one_of(Text text, const char *words) {
  while (*words) {
    size_t n = strcspn(words, " ");

    if (text_equal((Text){words, n}, text))
      return true;
    words += n + (words[n] ? 1 : 0);
  }
  return false;
}

static bool check_word(const char *param, const char *words, Json value, Answer *ret) {
  Text text = TEXT_NONE;

  json_get_plain(value, &text);
  return openai_is_one_of(text, words) ||
         openai_fail(ret, 400, INVALID, "invalid_value", param, "Invalid value: '%.*s'. Supported values are: %s.",
                     (int)min_u64(text.size, 64), text.data ? text.data : "", words);
}

static bool check_number(const char *param, const OpenAiField *field, Json value, Answer *ret) {
  const char *kind = field->kind == OPENAI_WHOLE ? "integer" : "decimal";
  double number = 0;
  char code[40];

  json_get_real(value, &number);
  if (field->kind == OPENAI_WHOLE && number != (double)(int64_t)number)
    return openai_fail(ret, 400, INVALID, "invalid_type", param,
                       "Invalid type for '%s': expected an integer, but got a decimal number instead.", param);
  if (number >= field->least && number <= field->most)
    return true;
  snprintf(code, sizeof code, "%s_%s_value", kind, number < field->least ? "below_min" : "above_max");
  return openai_fail(ret, 400, INVALID, code, param,
                     "Invalid '%s': %s %s value. Expected a value %s %g, but got %g instead.", param, kind,
                     number < field->least ? "below minimum" : "above maximum",
                     number < field->least ? ">=" : "<=", number < field->least ? field->least : field->most, number);
}

static JsonType type_of(OpenAiKind kind) {
  static const JsonType TYPES[] = {
      [OPENAI_ANY] = JSON_NONE,   [OPENAI_TEXT] = JSON_STRING,  [OPENAI_WORD] = JSON_STRING,
      [OPENAI_BOOL] = JSON_BOOL,  [OPENAI_WHOLE] = JSON_NUMBER, [OPENAI_REAL] = JSON_NUMBER,
      [OPENAI_LIST] = JSON_ARRAY, [OPENAI_OBJECT] = JSON_OBJECT};

  return TYPES[kind];
}

static bool check_value(const char *param, const OpenAiField *field, Json value, Answer *ret) {
  JsonType type = type_of(field->kind);

  if (type != JSON_NONE && json_type(value) != type)
    return openai_wrong_type(ret, param, type, value);
  if (field->kind == OPENAI_WORD)
    return check_word(param, field->words, value, ret);
  return type != JSON_NUMBER || check_number(param, field, value, ret);
}

/* --- an object --- */

static const OpenAiField *find_field(const OpenAiField *fields, Json key) {
  Text name;

  if (json_get_plain(key, &name))
    return NULL;
  while (fields->name && !text_is(name, fields->name))
    fields++;
  return fields->name ? fields : NULL;
}

/* Whether nothing more than its type is to be looked at: most are so, and a bench asks a million times. */
static bool is_plain(const OpenAiField *field, Json value) {
  return field->kind == OPENAI_ANY || (json_type(value) == type_of(field->kind) && field->kind != OPENAI_WORD &&
                                       field->kind != OPENAI_WHOLE && field->kind != OPENAI_REAL);
}

static bool check_member(const Ask *ask, const char *path, Json key, const OpenAiField *field, Json value,
                         Answer *ret) {
  char param[160];

  if ((field && (is_plain(field, value) || json_type(value) == JSON_NULL)) || (!field && ask->knobs.lax))
    return true;
  snprintf(param, sizeof param, "%s%.*s", path, (int)min_u64(key.text.size - 2, 64), key.text.data + 1);
  return field ? check_value(param, field, value, ret)
               : openai_fail(ret, 400, INVALID, "unknown_parameter", param, "Unknown parameter: '%s'.", param);
}

/* found: see openai_read_fields. */
static bool walk_fields(const Ask *ask, const char *path, Json object, const OpenAiField *fields, Json *found,
                        Answer *ret) {
  JsonWalk walk = json_walk(object);
  uint64_t seen = 0;
  char param[160];
  Json key, value;

  if (json_type(object) != JSON_OBJECT) {
    snprintf(param, sizeof param, "%.*s", (int)(strlen(path) - 1), path); /* without its point */
    return openai_wrong_type(ret, param, JSON_OBJECT, object);
  }
  while (json_next_member(&walk, &key, &value)) {
    const OpenAiField *field = find_field(fields, key);

    if (!check_member(ask, path, key, field, value, ret))
      return false;
    if (!field)
      continue;
    seen |= UINT64_C(1) << (field - fields);
    if (found)
      found[field - fields] = json_type(value) == JSON_NULL ? (Json){TEXT_NONE} : value;
  }
  for (size_t i = 0; fields[i].name; i++)
    if (fields[i].required && !(seen & UINT64_C(1) << i)) {
      snprintf(param, sizeof param, "%s%s", path, fields[i].name);
      return openai_missing(ret, param);
    }
  return true;
}

bool openai_check_fields(const Ask *ask, const char *path, Json object, const OpenAiField *fields, Answer *ret) {
  return walk_fields(ask, path, object, fields, NULL, ret);
}

bool openai_read_fields(const Ask *ask, Json object, const OpenAiField *fields, Json *ret_found, Answer *ret) {
  return walk_fields(ask, "", object, fields, ret_found, ret);
}

Json openai_find(Json object, const char *name) {
  Json value = json_find(object, name);

  return json_type(value) == JSON_NULL ? (Json){TEXT_NONE} : value;
}

bool openai_is_name(Json value) {
  Text text = TEXT_NONE;

  json_get_plain(value, &text);
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];

    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
      return false;
  }
  return text.size > 0 && text.size <= 64;
}

/* --- a body --- */

static bool is_json(Text type) {
  static const char WANTED[] = "application/json";
  size_t n = sizeof WANTED - 1;

  return type.size >= n && http_same((Text){type.data, n}, text_of(WANTED)) &&
         (type.size == n || type.data[n] == ';' || type.data[n] == ' ');
}

bool openai_check_body(const Ask *ask, Json *ret_body, Answer *ret) {
  Text type = http_header(ask->http, "content-type");
  JsonFault fault;

  if (!is_json(type))
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

bool openai_check_model(const Ask *ask, Json model, Answer *ret) {
  Text name = TEXT_NONE;

  if (json_is_none(model) || (json_get_plain(model, &name) == 0 && !name.size))
    return openai_fail(ret, 400, INVALID, NULL, NULL, "you must provide a model parameter");
  if (name.size > 128 || !openai_has_model(ask, name))
    return openai_fail(ret, 404, INVALID, "model_not_found", NULL,
                       "The model `%.*s` does not exist or you do not have access to it.",
                       name.size > 128 ? 128 : (int)name.size, name.data ? name.data : "");
  return true;
}
