/* Messages and their blocks: which a speaker may say, what they hold, and that each call has its result in the next message. */
#include <stdio.h>

#include "tests/mock-provider/anthropic-internal.h"

enum { CALLS_MAX = 64, MARKS_MAX = 4, PATH_BYTES = 96 };

#define TABLE static const AnthropicField

TABLE MESSAGE[] = {{"role", JSON_STRING, true}, {"content", JSON_NONE, true}, {NULL, JSON_NONE, false}};
TABLE TEXT_BLOCK[] = {{"type", JSON_STRING, true},
                      {"text", JSON_STRING, true},
                      {"cache_control", JSON_OBJECT, false},
                      {"citations", JSON_ARRAY, false},
                      {NULL, JSON_NONE, false}};
TABLE IMAGE[] = {{"type", JSON_STRING, true},
                 {"source", JSON_OBJECT, true},
                 {"cache_control", JSON_OBJECT, false},
                 {NULL, JSON_NONE, false}};
TABLE DOCUMENT[] = {{"type", JSON_STRING, true},       {"source", JSON_OBJECT, true},
                    {"title", JSON_STRING, false},     {"context", JSON_STRING, false},
                    {"citations", JSON_OBJECT, false}, {"cache_control", JSON_OBJECT, false},
                    {NULL, JSON_NONE, false}};
TABLE CALL[] = {{"type", JSON_STRING, true},           {"id", JSON_STRING, true},
                {"name", JSON_STRING, true},           {"input", JSON_OBJECT, true},
                {"cache_control", JSON_OBJECT, false}, {NULL, JSON_NONE, false}};
TABLE RESULT[] = {{"type", JSON_STRING, true},    {"tool_use_id", JSON_STRING, true},    {"content", JSON_NONE, false},
                  {"is_error", JSON_BOOL, false}, {"cache_control", JSON_OBJECT, false}, {NULL, JSON_NONE, false}};
TABLE THINKING[] = {{"type", JSON_STRING, true},
                    {"thinking", JSON_STRING, true},
                    {"signature", JSON_STRING, true},
                    {NULL, JSON_NONE, false}};
TABLE REDACTED[] = {{"type", JSON_STRING, true}, {"data", JSON_STRING, true}, {NULL, JSON_NONE, false}};
TABLE MARK[] = {{"type", JSON_STRING, true}, {"ttl", JSON_STRING, false}, {NULL, JSON_NONE, false}};
TABLE BASE64[] = {{"type", JSON_STRING, true},
                  {"media_type", JSON_STRING, true},
                  {"data", JSON_STRING, true},
                  {NULL, JSON_NONE, false}};
TABLE URL[] = {{"type", JSON_STRING, true}, {"url", JSON_STRING, true}, {NULL, JSON_NONE, false}};

typedef enum Kind {
  KIND_TEXT,
  KIND_IMAGE,
  KIND_DOCUMENT,
  KIND_CALL,
  KIND_RESULT,
  KIND_THINKING,
  KIND_REDACTED,
  KINDS
} Kind;

static const struct {
  const char *type;
  const AnthropicField *fields;
  bool user, assistant;
} BLOCKS[KINDS] = {
    [KIND_TEXT] = {"text", TEXT_BLOCK, true, true},
    [KIND_IMAGE] = {"image", IMAGE, true, false},
    [KIND_DOCUMENT] = {"document", DOCUMENT, true, false},
    [KIND_CALL] = {"tool_use", CALL, false, true},
    [KIND_RESULT] = {"tool_result", RESULT, true, false},
    [KIND_THINKING] = {"thinking", THINKING, false, true},
    [KIND_REDACTED] = {"redacted_thinking", REDACTED, false, true},
};

/* What is remembered from message to message. */
typedef struct Talk {
  const Ask *ask;
  Answer *ret;
  Json calls[CALLS_MAX]; /* ids of the message before */
  unsigned call_count;
  unsigned marks; /* for the cache, of the whole request */
  bool unthought; /* the last turn with the model's words calls tools, and does not begin with what was thought */
} Talk;

/* --- one block --- */

static bool is_base64(Json data) {
  Text text = TEXT_NONE;

  if (json_get_plain(data, &text) || text.size == 0 || text.size % 4)
    return false;
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];

    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
          (c == '=' && i + 2 >= text.size)))
      return false;
  }
  return true;
}

static bool check_source(Talk *talk, const char *path, Kind kind, Json source) {
  bool inside = json_string_is(json_find(source, "type"), "base64");
  char name[PATH_BYTES + 16];
  Text url = TEXT_NONE;

  snprintf(name, sizeof name, "%ssource.", path);
  if (!anthropic_check_word(name, json_find(source, "type"), "base64 url", talk->ret) ||
      !anthropic_check_fields(talk->ask, name, source, inside ? BASE64 : URL, talk->ret))
    return false;
  json_get_plain(json_find(source, "url"), &url);
  if (!inside && (url.size < 9 || memcmp(url.data, "https://", 8) != 0))
    return anthropic_invalid(talk->ret, "%surl: Only HTTPS URLs are supported.", name);
  if (inside && !anthropic_check_word(
                    name, json_find(source, "media_type"),
                    kind == KIND_IMAGE ? "image/jpeg image/png image/gif image/webp" : "application/pdf", talk->ret))
    return false;
  return !inside || is_base64(json_find(source, "data")) ||
         anthropic_invalid(talk->ret, "%sdata: Invalid base64 data", name);
}

static bool check_mark(Talk *talk, const char *path, Json block) {
  Json mark = json_find(block, "cache_control");
  char name[PATH_BYTES + 32];

  if (json_is_none(mark) || json_type(mark) == JSON_NULL)
    return true;
  if (++talk->marks > MARKS_MAX)
    return anthropic_invalid(talk->ret, "A maximum of 4 blocks with cache_control may be provided. Found %u.",
                             talk->marks);
  snprintf(name, sizeof name, "%scache_control.", path);
  return anthropic_check_fields(talk->ask, name, mark, MARK, talk->ret) &&
         anthropic_check_word(name, json_find(mark, "type"), "ephemeral", talk->ret) &&
         (json_is_none(json_find(mark, "ttl")) ||
          anthropic_check_word(name, json_find(mark, "ttl"), "5m 1h", talk->ret));
}

static bool is_said(Json text) {
  return json_type(text) == JSON_STRING && text.text.size > 2;
}

static bool check_signature(Talk *talk, const char *path, Json block) {
  Text signature = TEXT_NONE;

  json_get_plain(json_find(block, "signature"), &signature);
  return (signature.size > 4 && memcmp(signature.data, "mock", 4) == 0) ||
         anthropic_invalid(talk->ret, "%s: Invalid `signature` in `thinking` block", path);
}

static bool check_blocks(Talk *talk, const char *path, Json list, const char *kinds);

static bool check_inside(Talk *talk, const char *path, Kind kind, Json block) {
  Json content = json_find(block, "content");
  char inner[PATH_BYTES + 16];

  switch (kind) {
  case KIND_TEXT:
    return is_said(json_find(block, "text")) ||
           anthropic_invalid(talk->ret, "messages: text content blocks must be non-empty");
  case KIND_IMAGE:
  case KIND_DOCUMENT:
    return check_source(talk, path, kind, json_find(block, "source"));
  case KIND_THINKING:
    return check_signature(talk, path, block);
  case KIND_RESULT:
    snprintf(inner, sizeof inner, "%scontent", path);
    return json_is_none(content) || json_type(content) == JSON_STRING ||
           check_blocks(talk, inner, content, "text image document");
  default:
    return true;
  }
}

static bool check_block(Talk *talk, const char *path, Json block, const char *kinds, Kind *ret_kind) {
  Kind kind = 0;

  if (!anthropic_check_word(path, json_find(block, "type"), kinds, talk->ret))
    return false;
  while (!json_string_is(json_find(block, "type"), BLOCKS[kind].type))
    kind++;
  *ret_kind = kind;
  return anthropic_check_fields(talk->ask, path, block, BLOCKS[kind].fields, talk->ret) &&
         check_mark(talk, path, block) && check_inside(talk, path, kind, block);
}

static bool check_blocks(Talk *talk, const char *path, Json list, const char *kinds) {
  JsonWalk walk = json_walk(list);
  char name[PATH_BYTES + 48];
  Json block;
  Kind kind;

  if (json_type(list) != JSON_ARRAY)
    return anthropic_invalid(talk->ret, "%s: Input should be a valid list", path);
  for (unsigned i = 0; json_next_element(&walk, &block); i++) {
    snprintf(name, sizeof name, "%s.%u.", path, i);
    if (!check_block(talk, name, block, kinds, &kind))
      return false;
  }
  return true;
}

/* --- messages --- */

static bool answers(Talk *talk, const char *path, Json id) {
  for (unsigned i = 0; i < talk->call_count; i++)
    if (text_equal(talk->calls[i].text, id.text)) {
      talk->calls[i] = talk->calls[--talk->call_count];
      return true;
    }
  return anthropic_invalid(
      talk->ret,
      "%s: unexpected `tool_use_id` found in `tool_result` blocks: %.*s. Each `tool_result` block must "
      "have a corresponding `tool_use` block in the previous message.",
      path, TEXT_ARG(id.text));
}

static bool check_call_id(Talk *talk, const char *path, Json id) {
  for (size_t i = 1; i + 1 < id.text.size; i++) {
    char c = id.text.data[i];

    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
      return anthropic_invalid(talk->ret, "%sid: String should match pattern '^[a-zA-Z0-9_-]+$'", path);
  }
  return true;
}

/* A list of blocks; the results come first in it. */
static bool check_list(Talk *talk, unsigned number, bool user, Json content) {
  const char *kinds = user ? "text image document tool_result" : "text tool_use thinking redacted_thinking";
  JsonWalk walk = json_walk(content);
  Talk next = *talk;
  bool others = false, thought = false;
  char path[PATH_BYTES];
  Kind kind = KIND_TEXT;
  unsigned i = 0;
  Json block;

  next.call_count = 0;
  for (; json_next_element(&walk, &block); i++) {
    snprintf(path, sizeof path, "messages.%u.content.%u.", number, i);
    if (!check_block(talk, path, block, kinds, &kind))
      return false;
    if (kind == KIND_RESULT && others)
      return anthropic_invalid(talk->ret, "%s: `tool_result` blocks must come first", path);
    if (kind == KIND_RESULT && !answers(talk, path, json_find(block, "tool_use_id")))
      return false;
    if (kind == KIND_CALL && !check_call_id(talk, path, json_find(block, "id")))
      return false;
    if (kind == KIND_CALL && next.call_count < CALLS_MAX)
      next.calls[next.call_count++] = json_find(block, "id");
    others |= kind != KIND_RESULT;
    thought |= i == 0 && (kind == KIND_THINKING || kind == KIND_REDACTED);
  }
  if (i == 0)
    return anthropic_invalid(talk->ret, "messages.%u: all messages must have non-empty content", number);
  if (talk->call_count)
    return anthropic_invalid(
        talk->ret, "messages.%u: `tool_use` ids were found without `tool_result` blocks immediately after: %.*s.",
        number, TEXT_ARG(talk->calls[0].text));
  next.marks = talk->marks;
  if (!user)
    next.unthought = next.call_count > 0 && !thought;
  *talk = next;
  return true;
}

static bool check_message(Talk *talk, unsigned number, Json message) {
  Json content = json_find(message, "content"), role = json_find(message, "role");
  char path[PATH_BYTES];
  bool user = json_string_is(role, "user");

  snprintf(path, sizeof path, "messages.%u.", number);
  if (!anthropic_check_fields(talk->ask, path, message, MESSAGE, talk->ret))
    return false;
  if (!user && !json_string_is(role, "assistant"))
    return anthropic_invalid(talk->ret, "messages: Unexpected role %.*s. Allowed roles are \"user\" or \"assistant\".",
                             TEXT_ARG(role.text));
  if (number == 0 && !user)
    return anthropic_invalid(talk->ret, "messages: first message must use the \"user\" role");
  if (json_type(content) == JSON_ARRAY)
    return check_list(talk, number, user, content);
  if (json_type(content) != JSON_STRING)
    return anthropic_invalid(talk->ret, "%scontent: Input should be a valid list", path);
  if (!is_said(content))
    return anthropic_invalid(talk->ret, "messages.%u: all messages must have non-empty content", number);
  if (talk->call_count)
    return anthropic_invalid(talk->ret, "messages.%u: `tool_use` ids were found without `tool_result` blocks", number);
  talk->unthought &= user;
  return true;
}

bool anthropic_check_messages(const Ask *ask, const AnthropicAsk *asked, Answer *ret) {
  JsonWalk walk = json_walk(asked->messages);
  Talk talk = {.ask = ask, .ret = ret};
  unsigned number = 0;
  Json message;

  for (; json_next_element(&walk, &message); number++)
    if (!check_message(&talk, number, message))
      return false;
  if (asked->by_budget && talk.unthought)
    return anthropic_invalid(ret, "messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
                                  "`thinking` is enabled, a final `assistant` message must start with a thinking block "
                                  "(preceeding the lastmost set of `tool_use` and `tool_result` blocks).");
  return number > 0 || anthropic_invalid(ret, "messages: at least one message is required");
}

bool anthropic_check_system(const Ask *ask, Json system, Answer *ret) {
  Talk talk = {.ask = ask, .ret = ret};

  return json_is_none(system) || json_type(system) == JSON_STRING || check_blocks(&talk, "system", system, "text");
}
