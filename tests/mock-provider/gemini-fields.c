/* Google's servers read JSON into protocol buffers: what a message has no field for is refused with its path, in snake_case,
   whatever the caller wrote. The tables hold the messages that a request for text, images, tools and embeddings is made of. */
#include <ctype.h>
#include <stdio.h>

#include "tests/mock-provider/gemini-internal.h"

enum { PATH_BYTES = 200 };

/* A table has fields of a kind, lists of them, messages and lists of those, maps of names to messages, and words of a set. */
#define FIELD(name, kind)                                                                                              \
  { name, KIND_##kind, false, NULL, NULL }
#define LIST(name, kind)                                                                                               \
  { name, KIND_##kind, true, NULL, NULL }
#define MESSAGE(name, of)                                                                                              \
  { name, KIND_MESSAGE, false, of, NULL }
#define MESSAGES(name, of)                                                                                             \
  { name, KIND_MESSAGE, true, of, NULL }
#define MAP(name, of)                                                                                                  \
  { name, KIND_MAP, false, of, NULL }
#define WORD(name, words)                                                                                              \
  { name, KIND_ENUM, false, NULL, words }
#define WORD_LIST(name, words)                                                                                         \
  { name, KIND_ENUM, true, NULL, words }
#define END                                                                                                            \
  { NULL, KIND_ANY, false, NULL, NULL }

static const GeminiField SCHEMA[23];

static const GeminiField BLOB[] = {FIELD("mimeType", TEXT), FIELD("data", BASE64), FIELD("displayName", TEXT), END};
static const GeminiField FILE_DATA[] = {FIELD("mimeType", TEXT), FIELD("fileUri", TEXT), FIELD("displayName", TEXT),
                                        END};
static const GeminiField FUNCTION_CALL[] = {FIELD("id", TEXT), FIELD("name", TEXT), FIELD("args", STRUCT), END};
static const GeminiField FUNCTION_RESPONSE[] = {FIELD("id", TEXT), FIELD("name", TEXT), FIELD("response", STRUCT),
                                                FIELD("willContinue", BOOL), END};
static const GeminiField PART[] = {
    FIELD("text", TEXT),
    FIELD("thought", BOOL),
    FIELD("thoughtSignature", BASE64),
    MESSAGE("inlineData", BLOB),
    MESSAGE("fileData", FILE_DATA),
    MESSAGE("functionCall", FUNCTION_CALL),
    MESSAGE("functionResponse", FUNCTION_RESPONSE),
    END,
};
static const GeminiField CONTENT[] = {FIELD("role", TEXT), MESSAGES("parts", PART), END};
static const GeminiField SCHEMA[23] = {
    WORD("type", "STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL"),
    FIELD("format", TEXT),
    FIELD("title", TEXT),
    FIELD("description", TEXT),
    FIELD("nullable", BOOL),
    LIST("enum", TEXT),
    FIELD("maxItems", WHOLE),
    FIELD("minItems", WHOLE),
    MAP("properties", SCHEMA),
    LIST("required", TEXT),
    FIELD("minProperties", WHOLE),
    FIELD("maxProperties", WHOLE),
    FIELD("minLength", WHOLE),
    FIELD("maxLength", WHOLE),
    FIELD("pattern", TEXT),
    FIELD("example", ANY),
    MESSAGES("anyOf", SCHEMA),
    LIST("propertyOrdering", TEXT),
    FIELD("default", ANY),
    MESSAGE("items", SCHEMA),
    FIELD("minimum", REAL),
    FIELD("maximum", REAL),
    END,
};
static const GeminiField DECLARATION[] = {
    FIELD("name", TEXT),
    FIELD("description", TEXT),
    MESSAGE("parameters", SCHEMA),
    FIELD("parametersJsonSchema", ANY),
    MESSAGE("response", SCHEMA),
    FIELD("responseJsonSchema", ANY),
    WORD("behavior", "UNSPECIFIED BLOCKING NON_BLOCKING"),
    END,
};
static const GeminiField TOOL[] = {
    MESSAGES("functionDeclarations", DECLARATION),
    FIELD("googleSearch", STRUCT),
    FIELD("codeExecution", STRUCT),
    FIELD("urlContext", STRUCT),
    END,
};
static const GeminiField CALLING[] = {
    WORD("mode", "MODE_UNSPECIFIED AUTO ANY NONE VALIDATED"),
    LIST("allowedFunctionNames", TEXT),
    END,
};
static const GeminiField TOOL_CONFIG[] = {MESSAGE("functionCallingConfig", CALLING), END};
static const GeminiField SAFETY[] = {
    WORD("category", "HARM_CATEGORY_HARASSMENT HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_SEXUALLY_EXPLICIT "
                     "HARM_CATEGORY_DANGEROUS_CONTENT HARM_CATEGORY_CIVIC_INTEGRITY"),
    WORD("threshold", "BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF"),
    END,
};
static const GeminiField THINKING[] = {
    FIELD("includeThoughts", BOOL),
    FIELD("thinkingBudget", WHOLE),
    WORD("thinkingLevel", "MINIMAL LOW MEDIUM HIGH"),
    END,
};
static const GeminiField GENERATION[] = {
    LIST("stopSequences", TEXT),
    FIELD("responseMimeType", TEXT),
    MESSAGE("responseSchema", SCHEMA),
    FIELD("responseJsonSchema", ANY),
    WORD_LIST("responseModalities", "TEXT IMAGE AUDIO"),
    FIELD("candidateCount", WHOLE),
    FIELD("maxOutputTokens", WHOLE),
    FIELD("temperature", REAL),
    FIELD("topP", REAL),
    FIELD("topK", WHOLE),
    FIELD("seed", WHOLE),
    FIELD("presencePenalty", REAL),
    FIELD("frequencyPenalty", REAL),
    FIELD("responseLogprobs", BOOL),
    FIELD("logprobs", WHOLE),
    MESSAGE("thinkingConfig", THINKING),
    END,
};
const GeminiField GEMINI_GENERATE[] = {
    FIELD("model", TEXT),
    MESSAGES("contents", CONTENT),
    MESSAGE("systemInstruction", CONTENT),
    MESSAGE("generationConfig", GENERATION),
    MESSAGES("tools", TOOL),
    MESSAGE("toolConfig", TOOL_CONFIG),
    MESSAGES("safetySettings", SAFETY),
    FIELD("cachedContent", TEXT),
    END,
};
const GeminiField GEMINI_EMBED[] = {
    FIELD("model", TEXT),
    MESSAGE("content", CONTENT),
    WORD("taskType",
         "TASK_TYPE_UNSPECIFIED RETRIEVAL_QUERY RETRIEVAL_DOCUMENT SEMANTIC_SIMILARITY CLASSIFICATION CLUSTERING "
         "QUESTION_ANSWERING FACT_VERIFICATION CODE_RETRIEVAL_QUERY"),
    FIELD("title", TEXT),
    FIELD("outputDimensionality", WHOLE),
    END,
};
const GeminiField GEMINI_BATCH_EMBED[] = {FIELD("model", TEXT), MESSAGES("requests", GEMINI_EMBED), END};

/* --- names --- */

/* Whether key is name, or name with '_' and a small letter for each capital one. */
static bool is_name(Text key, const char *name) {
  const char *at = name;
  size_t i = 0;

  if (text_is(key, name))
    return true;
  for (; i < key.size && *at; i++, at++) {
    if (isupper((unsigned char)*at) && key.data[i] == '_')
      i++;
    if (i >= key.size || key.data[i] != tolower((unsigned char)*at))
      return false;
  }
  return i == key.size && !*at;
}

Json gemini_find(Json object, const char *name) {
  JsonWalk walk = json_walk(object);
  Json key, value, found = {TEXT_NONE};
  Text text;

  while (json_type(object) == JSON_OBJECT && json_next_member(&walk, &key, &value))
    if (json_get_plain(key, &text) == 0 && is_name(text, name))
      found = json_type(value) == JSON_NULL ? (Json){TEXT_NONE} : value;
  return found;
}

/* Appends to a path "a.b" a name in snake_case, and an index if it is not negative. */
static void extend(char *path, const char *name, int index) {
  size_t n = strlen(path);

  for (n += n ? (size_t)snprintf(path + n, PATH_BYTES - n, ".") : 0; *name && n + 3 < PATH_BYTES; name++) {
    if (isupper((unsigned char)*name))
      path[n++] = '_';
    path[n++] = (char)tolower((unsigned char)*name);
  }
  path[n] = 0;
  if (index >= 0)
    snprintf(path + n, PATH_BYTES - n, "[%d]", index);
}

/* --- faults --- */

static bool violation(Answer *ret, const char *path, const char *description) {
  Buffer details = {0};

  buffer_printf(&details, "{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{");
  if (*path) {
    buffer_printf(&details, "\"field\":");
    json_put_string(&details, text_of(path));
    buffer_printf(&details, ",");
  }
  buffer_printf(&details, "\"description\":");
  json_put_string(&details, text_of(description));
  buffer_append(&details, "}]}", 4);
  gemini_fail(ret, 400, "INVALID_ARGUMENT", (const char *)details.data, "%s", description);
  buffer_done(&details);
  return false;
}

static bool unknown_name(Answer *ret, const char *path, Json key) {
  char text[PATH_BYTES + 200];
  int size = key.text.size > 66 ? 66 : (int)key.text.size;

  snprintf(text, sizeof text, "Invalid JSON payload received. Unknown name %.*s%s%s%s: Cannot find field.", size,
           key.text.data, *path ? " at '" : "", path, *path ? "'" : "");
  return violation(ret, path, text);
}

static bool wrong_value(Answer *ret, const char *path, const GeminiField *field, Json value) {
  static const char *const KINDS[] = {
      [KIND_TEXT] = "TYPE_STRING",  [KIND_REAL] = "TYPE_FLOAT",  [KIND_WHOLE] = "TYPE_INT32",
      [KIND_BOOL] = "TYPE_BOOL",    [KIND_ANY] = "TYPE_MESSAGE", [KIND_STRUCT] = "TYPE_MESSAGE",
      [KIND_BASE64] = "TYPE_BYTES", [KIND_ENUM] = "TYPE_ENUM",   [KIND_MESSAGE] = "TYPE_MESSAGE",
      [KIND_MAP] = "TYPE_MESSAGE"};
  char text[PATH_BYTES + 200];

  snprintf(text, sizeof text, "Invalid value at '%s' (%s), %.*s", path, KINDS[field->kind],
           value.text.size > 64 ? 64 : (int)value.text.size, value.text.data);
  return violation(ret, path, text);
}

/* --- values --- */

static bool is_base64(Json value) {
  Text text;
  size_t n;

  if (json_get_plain(value, &text))
    return false;
  for (n = 0; n < text.size && (isalnum((unsigned char)text.data[n]) || strchr("+/-_", text.data[n]));)
    n++;
  while (n < text.size && text.data[n] == '=')
    n++;
  return n == text.size && text.size % 4 != 1;
}

static bool is_word(Json value, const char *words) {
  Text text;

  if (json_get_plain(value, &text) || !text.size)
    return false;
  while (*words) {
    size_t n = strcspn(words, " ");

    if (text_equal((Text){words, n}, text))
      return true;
    words += n + (words[n] ? 1 : 0);
  }
  return false;
}

/* Numbers may come as texts, as protocol buffers' JSON writes 64-bit ones. */
static bool is_number(Json value, bool whole) {
  Text text = value.text;
  size_t i = 0;

  if (json_type(value) == JSON_STRING)
    text = (Text){text.data + 1, text.size - 2};
  else if (json_type(value) != JSON_NUMBER)
    return false;
  for (i = text.size && text.data[0] == '-'; i < text.size; i++)
    if (!isdigit((unsigned char)text.data[i]) && (whole || !strchr(".eE+-", text.data[i])))
      return false;
  return text.size > 0;
}

static bool fits(const GeminiField *field, Json value) {
  switch (field->kind) {
  case KIND_TEXT:
    return json_type(value) == JSON_STRING;
  case KIND_REAL:
  case KIND_WHOLE:
    return is_number(value, field->kind == KIND_WHOLE);
  case KIND_BOOL:
    return json_type(value) == JSON_BOOL;
  case KIND_BASE64:
    return is_base64(value);
  case KIND_ENUM:
    return is_word(value, field->words);
  case KIND_ANY:
    return true;
  default:
    return json_type(value) == JSON_OBJECT;
  }
}

static bool check_object(const Ask *ask, const GeminiField *fields, Json object, const char *path, Answer *ret);

static bool check_map(const Ask *ask, const GeminiField *field, Json map, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(map);
  Json key, value;
  char below[PATH_BYTES];

  while (json_next_member(&walk, &key, &value)) {
    snprintf(below, sizeof below, "%.*s", PATH_BYTES / 2, path);
    extend(below, "value", -1);
    if (json_type(value) != JSON_OBJECT)
      return wrong_value(ret, below, field, value);
    if (!check_object(ask, field->of, value, below, ret))
      return false;
  }
  return true;
}

static bool check_one(const Ask *ask, const GeminiField *field, Json value, const char *path, Answer *ret) {
  if (!fits(field, value))
    return wrong_value(ret, path, field, value);
  if (field->kind == KIND_MAP)
    return check_map(ask, field, value, path, ret);
  return field->kind != KIND_MESSAGE || check_object(ask, field->of, value, path, ret);
}

static bool check_field(const Ask *ask, const GeminiField *field, Json value, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(value);
  char below[PATH_BYTES];
  Json element;

  snprintf(below, sizeof below, "%.*s", PATH_BYTES / 2, path);
  extend(below, field->name, -1);
  if (!field->repeated)
    return check_one(ask, field, value, below, ret);
  if (json_type(value) != JSON_ARRAY) /* one message will do for a list of one */
    return check_one(ask, field, value, below, ret);
  for (int i = 0; json_next_element(&walk, &element); i++) {
    snprintf(below, sizeof below, "%.*s", PATH_BYTES / 2, path);
    extend(below, field->name, i);
    if (!check_one(ask, field, element, below, ret))
      return false;
  }
  return true;
}

static bool check_object(const Ask *ask, const GeminiField *fields, Json object, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(object);
  Json key, value;

  while (json_next_member(&walk, &key, &value)) {
    const GeminiField *field = fields;
    Text name = TEXT_NONE;

    json_get_plain(key, &name);
    while (field->name && !is_name(name, field->name))
      field++;
    if (!field->name && !ask->knobs.lax)
      return unknown_name(ret, path, key);
    if (field->name && json_type(value) != JSON_NULL && !check_field(ask, field, value, path, ret))
      return false;
  }
  return true;
}

bool gemini_check_fields(const Ask *ask, const GeminiField *fields, Json body, Answer *ret) {
  return check_object(ask, fields, body, "", ret);
}
