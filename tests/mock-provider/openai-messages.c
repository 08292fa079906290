/* Messages: who may say what in which parts, and that each call is answered. */
#include <stdio.h>

#include "tests/mock-provider/openai-internal.h"

enum { PATH_BYTES = 96, CALLS_MAX = 128 };

static const char INVALID[] = "invalid_request_error";

#define TABLE static const OpenAiField

TABLE INSTRUCTION[] = {OPENAI_NEEDS("role", ANY), OPENAI_HAS("content", ANY), OPENAI_HAS("name", TEXT), OPENAI_END};
TABLE ASSISTANT[] = {
    OPENAI_NEEDS("role", ANY),           OPENAI_HAS("content", ANY),      OPENAI_HAS("name", TEXT),
    OPENAI_HAS("refusal", TEXT),         OPENAI_HAS("audio", OBJECT),     OPENAI_HAS("tool_calls", LIST),
    OPENAI_HAS("function_call", OBJECT), OPENAI_HAS("annotations", LIST), OPENAI_END};
TABLE RESULT[] = {OPENAI_NEEDS("role", ANY), OPENAI_HAS("content", ANY), OPENAI_NEEDS("tool_call_id", TEXT),
                  OPENAI_END};
TABLE OLD_RESULT[] = {OPENAI_NEEDS("role", ANY), OPENAI_HAS("content", ANY), OPENAI_NEEDS("name", TEXT), OPENAI_END};

static const struct Role {
  const char *name;
  const OpenAiField *fields;
  const char *parts; /* types that its content may have */
} ROLES[] = {
    {"system", INSTRUCTION, "text"},
    {"developer", INSTRUCTION, "text"},
    {"assistant", ASSISTANT, "text refusal"},
    {"user", INSTRUCTION, "text image_url input_audio file"},
    {"tool", RESULT, "text"},
    {"function", OLD_RESULT, "text"},
};

/* --- parts --- */

TABLE TEXT_PART[] = {OPENAI_NEEDS("type", TEXT), OPENAI_NEEDS("text", TEXT), OPENAI_END};
TABLE REFUSAL_PART[] = {OPENAI_NEEDS("type", TEXT), OPENAI_NEEDS("refusal", TEXT), OPENAI_END};
TABLE IMAGE_PART[] = {OPENAI_NEEDS("type", TEXT), OPENAI_NEEDS("image_url", OBJECT), OPENAI_END};
TABLE AUDIO_PART[] = {OPENAI_NEEDS("type", TEXT), OPENAI_NEEDS("input_audio", OBJECT), OPENAI_END};
TABLE FILE_PART[] = {OPENAI_NEEDS("type", TEXT), OPENAI_NEEDS("file", OBJECT), OPENAI_END};
TABLE IMAGE[] = {OPENAI_NEEDS("url", TEXT), OPENAI_IS_MAYBE("detail", "auto low high"), OPENAI_END};
TABLE AUDIO[] = {OPENAI_NEEDS("data", TEXT), OPENAI_IS("format", "wav mp3"), OPENAI_END};
TABLE FILE_DATA[] = {OPENAI_HAS("file_data", TEXT), OPENAI_HAS("filename", TEXT), OPENAI_HAS("file_id", TEXT),
                     OPENAI_END};

static const struct Part_ {
  const char *type;
  const OpenAiField *fields;
  const char *inside; /* the member with an object in it, or NULL */
  const OpenAiField *inner;
} PARTS[] = {
    {"text", TEXT_PART, NULL, NULL},
    {"refusal", REFUSAL_PART, NULL, NULL},
    {"image_url", IMAGE_PART, "image_url", IMAGE},
    {"input_audio", AUDIO_PART, "input_audio", AUDIO},
    {"file", FILE_PART, "file", FILE_DATA},
};

static bool begins(Json text, const char *prefix) {
  Text plain = TEXT_NONE;
  size_t n = strlen(prefix);

  json_get_plain(text, &plain);
  return plain.size > n && memcmp(plain.data, prefix, n) == 0;
}

static bool check_image(const char *path, Json image, Answer *ret) {
  Json url = json_find(image, "url");
  char param[PATH_BYTES + 32];

  if (begins(url, "https://") || begins(url, "http://") || begins(url, "data:image/"))
    return true;
  snprintf(param, sizeof param, "%simage_url.url", path);
  return openai_fail(ret, 400, INVALID, "invalid_value", param,
                     "Invalid '%s'. Expected a valid URL or base64-encoded data URL of an image.", param);
}

static bool check_part(const Ask *ask, const char *path, Json part, const char *types, Answer *ret) {
  Json type = json_find(part, "type");
  Text name = TEXT_NONE;
  char inner[PATH_BYTES + 32];
  size_t i = 0;

  snprintf(inner, sizeof inner, "%stype", path);
  if (json_type(part) == JSON_OBJECT && json_type(type) != JSON_STRING)
    return openai_missing(ret, inner);
  json_get_plain(type, &name);
  if (json_type(part) == JSON_OBJECT && !openai_is_one_of(name, types))
    return openai_fail(ret, 400, INVALID, "invalid_value", inner, "Invalid value: '%.*s'. Supported values are: %s.",
                       (int)min_u64(name.size, 64), name.data, types);
  while (i + 1 < ELEMENTS(PARTS) && !text_is(name, PARTS[i].type))
    i++;
  if (!openai_check_fields(ask, path, part, PARTS[i].fields, ret))
    return false;
  if (!PARTS[i].inside)
    return true;
  snprintf(inner, sizeof inner, "%s%s.", path, PARTS[i].inside);
  return openai_check_fields(ask, inner, json_find(part, PARTS[i].inside), PARTS[i].inner, ret) &&
         (strcmp(PARTS[i].type, "image_url") != 0 || check_image(path, json_find(part, "image_url"), ret));
}

static bool check_parts(const Ask *ask, Json content, unsigned index, const char *types, Answer *ret) {
  JsonWalk walk = json_walk(content);
  char path[PATH_BYTES];
  unsigned number = 0;
  Json part;

  for (; json_next_element(&walk, &part); number++) {
    snprintf(path, sizeof path, "messages[%u].content[%u].", index, number);
    if (!check_part(ask, path, part, types, ret))
      return false;
  }
  snprintf(path, sizeof path, "messages[%u].content", index);
  return number > 0 || openai_fail(ret, 400, INVALID, "empty_array", path,
                                   "Invalid '%s': empty array. Expected an array with minimum length 1.", path);
}

/* --- calls --- */

/* Those of the last assistant message that have no answer yet. */
typedef struct Calls {
  Json open[CALLS_MAX];
  unsigned count;
  bool any; /* the messages before are calls, or answers to them */
} Calls;

TABLE CALL[] = {OPENAI_NEEDS("id", TEXT), OPENAI_IS("type", "function"), OPENAI_NEEDS("function", OBJECT), OPENAI_END};
TABLE CALLED[] = {OPENAI_NEEDS("name", TEXT), OPENAI_NEEDS("arguments", TEXT), OPENAI_END};

static bool check_calls(const Ask *ask, Json list, unsigned index, Calls *calls, Answer *ret) {
  JsonWalk walk = json_walk(list);
  char path[PATH_BYTES];
  unsigned number = 0;
  Json call;

  for (; json_next_element(&walk, &call); number++) {
    snprintf(path, sizeof path, "messages[%u].tool_calls[%u].", index, number);
    if (!openai_check_fields(ask, path, call, CALL, ret))
      return false;
    snprintf(path, sizeof path, "messages[%u].tool_calls[%u].function.", index, number);
    if (!openai_check_fields(ask, path, json_find(call, "function"), CALLED, ret))
      return false;
    if (calls->count < CALLS_MAX)
      calls->open[calls->count++] = json_find(call, "id");
  }
  calls->any = true;
  snprintf(path, sizeof path, "messages[%u].tool_calls", index);
  return number > 0 || openai_fail(ret, 400, INVALID, "empty_array", path,
                                   "Invalid '%s': empty array. Expected an array with minimum length 1.", path);
}

static bool check_answer(Json id, unsigned index, Calls *calls, Answer *ret) {
  char path[PATH_BYTES];

  snprintf(path, sizeof path, "messages[%u].role", index);
  if (!calls->any)
    return openai_fail(ret, 400, INVALID, NULL, path,
                       "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                       "'tool_calls'.");
  for (unsigned i = 0; i < calls->count; i++)
    if (text_equal(calls->open[i].text, id.text)) {
      calls->open[i] = calls->open[--calls->count];
      return true;
    }
  snprintf(path, sizeof path, "messages[%u].tool_call_id", index);
  return openai_fail(ret, 400, INVALID, NULL, path,
                     "Invalid parameter: 'tool_call_id' of '%.*s' not found in 'tool_calls' of previous message.",
                     (int)min_u64(id.text.size - 2, 64), id.text.data + 1);
}

static bool are_answered(const Calls *calls, unsigned index, Answer *ret) {
  char path[PATH_BYTES];

  if (calls->count == 0)
    return true;
  snprintf(path, sizeof path, "messages[%u].role", index);
  return openai_fail(ret, 400, INVALID, NULL, path,
                     "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                     "'tool_call_id'. The following tool_call_ids did not have response messages: %.*s",
                     (int)min_u64(calls->open[0].text.size - 2, 64), calls->open[0].text.data + 1);
}

/* --- messages --- */

static bool check_content(const Ask *ask, Json message, const struct Role *role, unsigned index, Answer *ret) {
  Json content = json_find(message, "content");
  char name[PATH_BYTES];

  if (json_type(content) == JSON_STRING)
    return true;
  snprintf(name, sizeof name, "messages[%u].content", index);
  switch (json_type(content)) {
  case JSON_ARRAY:
    return check_parts(ask, content, index, role->parts, ret);
  case JSON_NONE:
  case JSON_NULL:
    if (role->fields == ASSISTANT &&
        (!json_is_none(openai_find(message, "tool_calls")) || !json_is_none(openai_find(message, "function_call")) ||
         !json_is_none(openai_find(message, "refusal")) || !json_is_none(openai_find(message, "audio"))))
      return true;
    return json_is_none(content) ? openai_missing(ret, name)
                                 : openai_fail(ret, 400, INVALID, NULL, name,
                                               "Invalid value for 'content': expected a string, got null.");
  default:
    return openai_fail(ret, 400, INVALID, "invalid_type", name,
                       "Invalid type for '%s': expected one of a string or array of objects.", name);
  }
}

static const struct Role *find_role(Json role, const char *param, Answer *ret) {
  Text text = TEXT_NONE;

  json_get_plain(role, &text);
  for (size_t i = 0; i < ELEMENTS(ROLES); i++)
    if (text_is(text, ROLES[i].name))
      return &ROLES[i];
  openai_fail(ret, 400, INVALID, "invalid_value", param,
              "Invalid value: '%.*s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
              "'developer'.",
              (int)min_u64(text.size, 64), text.data ? text.data : "");
  return NULL;
}

static bool check_message(const Ask *ask, Json message, unsigned index, Calls *calls, Answer *ret) {
  Json asked = json_find(message, "role"), list = {TEXT_NONE};
  const struct Role *role;
  char path[PATH_BYTES];

  snprintf(path, sizeof path, "messages[%u]%s", index, json_type(message) == JSON_OBJECT ? ".role" : "");
  if (json_type(message) != JSON_OBJECT)
    return openai_wrong_type(ret, path, JSON_OBJECT, message);
  if (json_is_none(asked))
    return openai_missing(ret, path);
  role = find_role(asked, path, ret);
  if (role && role->fields == ASSISTANT)
    list = openai_find(message, "tool_calls");
  snprintf(path, sizeof path, "messages[%u].", index);
  if (!role || !openai_check_fields(ask, path, message, role->fields, ret) ||
      !check_content(ask, message, role, index, ret))
    return false;
  if (role->fields == RESULT)
    return check_answer(json_find(message, "tool_call_id"), index, calls, ret);
  if (!are_answered(calls, index, ret))
    return false;
  calls->any = false;
  return json_is_none(list) || check_calls(ask, list, index, calls, ret);
}

bool openai_check_messages(const Ask *ask, Json messages, Answer *ret) {
  JsonWalk walk = json_walk(messages);
  Calls calls = {.count = 0};
  unsigned index = 0;
  Json message;

  if (json_is_none(messages))
    return openai_missing(ret, "messages");
  while (json_next_element(&walk, &message))
    if (!check_message(ask, message, index++, &calls, ret))
      return false;
  if (!index)
    return openai_fail(ret, 400, INVALID, "empty_array", "messages",
                       "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
                       "array instead.");
  return are_answered(&calls, index - 1, ret);
}
