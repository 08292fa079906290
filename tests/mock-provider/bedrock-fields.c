/* Bedrock's shapes as tables: what a shape has no member for is refused, and what must be there is asked for. The words are those
   of AWS's own checks, with paths as they write them. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/mock-provider/bedrock-internal.h"

enum { PATH_BYTES = 200 };

typedef enum Kind { TEXTS, REAL, WHOLE, SWITCH, DOCUMENT, BLOB, WORD, STRUCT, UNION, MAP } Kind;

/* A member of a shape; a table ends with a row without a name. */
typedef struct Field {
  const char *name;
  Kind kind;
  bool required, repeated;
  const struct Field *of; /* STRUCT, UNION: exactly one of its members */
  const char *words;      /* WORD: "a, b"; TEXTS: the least and the most bytes are in least and most */
  double least, most;
} Field;

#define MUST true, false
#define MAY false, false
#define LIST false, true
#define FULL_LIST true, true
#define TEXT_FIELD(name, rule, least, most)                                                                            \
  { name, TEXTS, rule, NULL, NULL, least, most }
#define NUMBER(name, kind, rule, least, most)                                                                          \
  { name, kind, rule, NULL, NULL, least, most }
#define SHAPE(name, kind, rule, of)                                                                                    \
  { name, kind, rule, of, NULL, 0, 0 }
#define WORDS(name, rule, words)                                                                                       \
  { name, WORD, rule, NULL, words, 0, 0 }
#define ANY(name, kind, rule)                                                                                          \
  { name, kind, rule, NULL, NULL, 0, 0 }
#define END                                                                                                            \
  { NULL, DOCUMENT, MAY, NULL, NULL, 0, 0 }

static const Field CACHE_POINT[] = {WORDS("type", MUST, "default"), WORDS("ttl", MAY, "5m, 1h"), END};
static const Field S3[] = {TEXT_FIELD("uri", MUST, 1, 1024), TEXT_FIELD("bucketOwner", MAY, 12, 12), END};
static const Field SOURCE[] = {ANY("bytes", BLOB, MAY), SHAPE("s3Location", STRUCT, MAY, S3), END};
static const Field DOCUMENT_SOURCE[] = {ANY("bytes", BLOB, MAY), SHAPE("s3Location", STRUCT, MAY, S3),
                                        TEXT_FIELD("text", MAY, 1, 1e9), END};
static const Field IMAGE[] = {WORDS("format", MUST, "png, jpeg, gif, webp"), SHAPE("source", UNION, MUST, SOURCE), END};
static const Field DOCUMENTS[] = {WORDS("format", MAY, "pdf, csv, doc, docx, xls, xlsx, html, txt, md"),
                                  TEXT_FIELD("name", MUST, 1, 200), SHAPE("source", UNION, MUST, DOCUMENT_SOURCE), END};
static const Field TOOL_USE[] = {TEXT_FIELD("toolUseId", MUST, 1, 64), TEXT_FIELD("name", MUST, 1, 64),
                                 ANY("input", DOCUMENT, MUST), END};
static const Field RESULT_CONTENT[] = {ANY("json", DOCUMENT, MAY), TEXT_FIELD("text", MAY, 0, 1e9),
                                       SHAPE("image", STRUCT, MAY, IMAGE), SHAPE("document", STRUCT, MAY, DOCUMENTS),
                                       END};
static const Field TOOL_RESULT[] = {TEXT_FIELD("toolUseId", MUST, 1, 64),
                                    SHAPE("content", UNION, FULL_LIST, RESULT_CONTENT),
                                    WORDS("status", MAY, "success, error"), END};
static const Field REASONING_TEXT[] = {TEXT_FIELD("text", MUST, 0, 1e9), TEXT_FIELD("signature", MAY, 0, 1e9), END};
static const Field REASONING[] = {SHAPE("reasoningText", STRUCT, MAY, REASONING_TEXT),
                                  ANY("redactedContent", BLOB, MAY), END};
static const Field CONTENT[] = {
    TEXT_FIELD("text", MAY, 0, 1e9),
    SHAPE("image", STRUCT, MAY, IMAGE),
    SHAPE("document", STRUCT, MAY, DOCUMENTS),
    SHAPE("toolUse", STRUCT, MAY, TOOL_USE),
    SHAPE("toolResult", STRUCT, MAY, TOOL_RESULT),
    SHAPE("reasoningContent", UNION, MAY, REASONING),
    SHAPE("cachePoint", STRUCT, MAY, CACHE_POINT),
    END,
};
static const Field MESSAGE[] = {WORDS("role", MUST, "user, assistant"), SHAPE("content", UNION, FULL_LIST, CONTENT),
                                END};
static const Field SYSTEM[] = {TEXT_FIELD("text", MAY, 1, 1e9), SHAPE("cachePoint", STRUCT, MAY, CACHE_POINT), END};
static const Field INFERENCE[] = {
    NUMBER("maxTokens", WHOLE, MAY, 1, 1e9),
    NUMBER("temperature", REAL, MAY, 0, 1),
    NUMBER("topP", REAL, MAY, 0, 1),
    TEXT_FIELD("stopSequences", LIST, 1, 2500),
    END,
};
static const Field INPUT_SCHEMA[] = {ANY("json", DOCUMENT, MAY), END};
static const Field TOOL_SPEC[] = {TEXT_FIELD("name", MUST, 1, 64), TEXT_FIELD("description", MAY, 1, 1e9),
                                  SHAPE("inputSchema", UNION, MUST, INPUT_SCHEMA), ANY("strict", SWITCH, MAY), END};
static const Field TOOL[] = {SHAPE("toolSpec", STRUCT, MAY, TOOL_SPEC), SHAPE("cachePoint", STRUCT, MAY, CACHE_POINT),
                             END};
static const Field NOTHING[] = {END};
static const Field NAMED[] = {TEXT_FIELD("name", MUST, 1, 64), END};
static const Field CHOICE[] = {SHAPE("auto", STRUCT, MAY, NOTHING), SHAPE("any", STRUCT, MAY, NOTHING),
                               SHAPE("tool", STRUCT, MAY, NAMED), END};
static const Field TOOL_CONFIG[] = {SHAPE("tools", UNION, FULL_LIST, TOOL), SHAPE("toolChoice", UNION, MAY, CHOICE),
                                    END};
static const Field GUARDRAIL[] = {
    TEXT_FIELD("guardrailIdentifier", MUST, 1, 2048),
    TEXT_FIELD("guardrailVersion", MUST, 1, 8),
    WORDS("trace", MAY, "enabled, disabled, enabled_full"),
    WORDS("streamProcessingMode", MAY, "sync, async"),
    END,
};
static const Field LATENCY[] = {WORDS("latency", MAY, "standard, optimized"), END};
static const Field TIER[] = {WORDS("type", MUST, "priority, default, flex, reserved"), END};
static const Field SCHEMA[] = {TEXT_FIELD("schema", MUST, 2, 1e9), TEXT_FIELD("name", MAY, 1, 64),
                               TEXT_FIELD("description", MAY, 1, 1e9), END};
static const Field STRUCTURE[] = {SHAPE("jsonSchema", STRUCT, MAY, SCHEMA), END};
static const Field FORMAT[] = {WORDS("type", MUST, "json_schema"), SHAPE("structure", UNION, MUST, STRUCTURE), END};
static const Field OUTPUT[] = {SHAPE("textFormat", STRUCT, MAY, FORMAT),
                               WORDS("effort", MAY, "low, medium, high, xhigh, max"), END};
static const Field CONVERSE[] = {
    SHAPE("messages", STRUCT, FULL_LIST, MESSAGE),
    SHAPE("system", UNION, LIST, SYSTEM),
    SHAPE("inferenceConfig", STRUCT, MAY, INFERENCE),
    SHAPE("toolConfig", STRUCT, MAY, TOOL_CONFIG),
    SHAPE("guardrailConfig", STRUCT, MAY, GUARDRAIL),
    ANY("additionalModelRequestFields", DOCUMENT, MAY),
    TEXT_FIELD("additionalModelResponseFieldPaths", LIST, 1, 256),
    SHAPE("requestMetadata", MAP, MAY, NULL),
    SHAPE("performanceConfig", STRUCT, MAY, LATENCY),
    SHAPE("serviceTier", STRUCT, MAY, TIER),
    SHAPE("outputConfig", STRUCT, MAY, OUTPUT),
    END,
};

/* --- faults --- */

static bool broken(Answer *ret, const char *path, Json value, const char *format, ...) _printf_(4, 5);

static bool broken(Answer *ret, const char *path, Json value, const char *format, ...) {
  char rule[300];
  va_list arguments;
  int size = value.text.size > 64 ? 64 : (int)value.text.size;

  va_start(arguments, format);
  vsnprintf(rule, sizeof rule, format, arguments);
  va_end(arguments);
  return bedrock_invalid(ret, "1 validation error detected: Value %.*s at '%s' failed to satisfy constraint: %s",
                         size ? size : 4, size ? value.text.data : "null", path, rule);
}

static bool unknown(Answer *ret, const char *path, Json key) {
  return bedrock_invalid(ret,
                         "Malformed input request: #%s%s: extraneous key [%.*s] is not permitted, please reformat your "
                         "input and try again.",
                         *path ? "/" : "", path, key.text.size > 66 ? 64 : (int)key.text.size - 2, key.text.data + 1);
}

static bool wrong_type(Answer *ret, const char *path) {
  return bedrock_fail(ret, 400, "SerializationException", "Unexpected field type at '%s'", path);
}

/* --- values --- */

static bool is_base64(Json value) {
  Text text;
  size_t n = 0;

  if (json_get_plain(value, &text) != 0 || text.size % 4 != 0 || !text.size)
    return false;
  while (n < text.size && (isalnum((unsigned char)text.data[n]) || text.data[n] == '+' || text.data[n] == '/'))
    n++;
  while (n < text.size && text.data[n] == '=')
    n++;
  return n == text.size;
}

static bool is_word(Json value, const char *words) {
  Text text;

  if (json_get_plain(value, &text) != 0 || !text.size)
    return false;
  while (*words) {
    size_t n = strcspn(words, ",");

    if (text_equal((Text){words, n}, text))
      return true;
    words += n + strspn(words + n, ", ");
  }
  return false;
}

static JsonType type_of(Kind kind) {
  static const JsonType TYPES[] = {
      [TEXTS] = JSON_STRING, [REAL] = JSON_NUMBER,   [WHOLE] = JSON_NUMBER, [SWITCH] = JSON_BOOL, [BLOB] = JSON_STRING,
      [WORD] = JSON_STRING,  [STRUCT] = JSON_OBJECT, [UNION] = JSON_OBJECT, [MAP] = JSON_OBJECT};
  return TYPES[kind];
}

static bool check_object(const Ask *ask, const Field *fields, Json object, const char *path, Answer *ret);

static bool check_number(const Field *field, Json value, const char *path, Answer *ret) {
  double number = 0;
  uint64_t whole;

  json_get_real(value, &number);
  if (field->kind == WHOLE && json_get_uint(value, &whole) != 0)
    return wrong_type(ret, path);
  if (number < field->least)
    return broken(ret, path, value, "Member must have value greater than or equal to %g", field->least);
  return number <= field->most ||
         broken(ret, path, value, "Member must have value less than or equal to %g", field->most);
}

static bool check_text(const Field *field, Json value, const char *path, Answer *ret) {
  size_t size = json_string_bytes(value);

  if ((double)size < field->least)
    return broken(ret, path, value, "Member must have length greater than or equal to %g", field->least);
  return (double)size <= field->most ||
         broken(ret, path, value, "Member must have length less than or equal to %g", field->most);
}

static bool check_map(Json map, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(map);
  Json key, value;

  while (json_next_member(&walk, &key, &value))
    if (json_type(value) != JSON_STRING || json_string_bytes(key) > 256 || json_string_bytes(value) > 256)
      return broken(ret, path, value, "Map value must have length less than or equal to 256");
  return true;
}

static bool check_union(Json object, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(object);
  Json key, value;
  unsigned count = 0;

  while (json_next_member(&walk, &key, &value))
    count += json_type(value) != JSON_NULL;
  if (count == 1)
    return true;
  return bedrock_invalid(ret, "The union at '%s' must have exactly one member set, but it has %u.", path, count);
}

static bool check_one(const Ask *ask, const Field *field, Json value, const char *path, Answer *ret) {
  if (field->kind == DOCUMENT)
    return true;
  if (json_type(value) != type_of(field->kind))
    return wrong_type(ret, path);
  switch (field->kind) {
  case REAL:
  case WHOLE:
    return check_number(field, value, path, ret);
  case TEXTS:
    return check_text(field, value, path, ret);
  case BLOB:
    return is_base64(value) || bedrock_fail(ret, 400, "SerializationException", "Invalid base64 at '%s'", path);
  case WORD:
    return is_word(value, field->words) ||
           broken(ret, path, value, "Member must satisfy enum value set: [%s]", field->words);
  case MAP:
    return check_map(value, path, ret);
  case UNION:
    return check_object(ask, field->of, value, path, ret) && check_union(value, path, ret);
  case STRUCT:
    return check_object(ask, field->of, value, path, ret);
  default:
    return true;
  }
}

/* --- objects --- */

static void extend(char ret[PATH_BYTES], const char *path, const char *name, int index) {
  int n = snprintf(ret, PATH_BYTES, "%.*s%s%s", PATH_BYTES / 2, path, *path ? "." : "", name);

  if (index >= 0 && n > 0 && n < PATH_BYTES)
    snprintf(ret + n, (size_t)(PATH_BYTES - n), ".%d", index);
}

static bool check_field(const Ask *ask, const Field *field, Json value, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(value);
  char below[PATH_BYTES];
  Json element;
  int i = 0;

  extend(below, path, field->name, -1);
  if (!field->repeated)
    return check_one(ask, field, value, below, ret);
  if (json_type(value) != JSON_ARRAY)
    return wrong_type(ret, below);
  for (; json_next_element(&walk, &element); i++) {
    extend(below, path, field->name, i);
    if (!check_one(ask, field, element, below, ret))
      return false;
  }
  extend(below, path, field->name, -1);
  return i || !field->required || broken(ret, below, value, "Member must have length greater than or equal to 1");
}

static bool check_required(const Field *fields, Json object, const char *path, Answer *ret) {
  for (const Field *field = fields; field->name; field++) {
    char below[PATH_BYTES];
    Json value = json_find(object, field->name);

    extend(below, path, field->name, -1);
    if (field->required && (json_is_none(value) || json_type(value) == JSON_NULL))
      return broken(ret, below, (Json){TEXT_NONE}, "Member must not be null");
  }
  return true;
}

static bool check_object(const Ask *ask, const Field *fields, Json object, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(object);
  Json key, value;

  while (json_next_member(&walk, &key, &value)) {
    const Field *field = fields;
    Text name = TEXT_NONE;

    json_get_plain(key, &name);
    while (field->name && !text_is(name, field->name))
      field++;
    if (!field->name && !ask->knobs.lax)
      return unknown(ret, path, key);
    if (field->name && json_type(value) != JSON_NULL && !check_field(ask, field, value, path, ret))
      return false;
  }
  return check_required(fields, object, path, ret);
}

bool bedrock_check_fields(const Ask *ask, Json body, Answer *ret) {
  return check_object(ask, CONVERSE, body, "", ret);
}
