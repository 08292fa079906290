/* Reading. Each reader also says what is wrong, for ask-check.c; who walks a request that was checked need not look. */
#include "adapters/dialect/ask-internal.h"

#include <strings.h>

#define FINE ((AskWrong){NULL, NULL})

static AskWrong wrong(const char *path, const char *why) {
  return (AskWrong){path, why};
}

const char *const ask_member_names[ASK_MEMBER_END] = {
#define MEMBER(name, type, sample, neutral) #name,
#include "adapters/dialect/members.def"
#undef MEMBER
};

static const char *const part_types[ASK_PART_END] = {
#define PART(name, type, sample) type,
#include "adapters/dialect/members.def"
#undef PART
};

const char *ask_member_name(AskMember member) {
  return ask_member_names[member];
}

const char *ask_part_type(AskPartKind kind) {
  return part_types[kind];
}

Json ask_member(Json object, const char *name) {
  Json value = json_find(object, name);

  return json_type(value) == JSON_NULL ? (Json){TEXT_NONE} : value;
}

/* The members of an object under these names, in one walk. What is null is none. A request is read several times, and walks
   are most of what that takes. */
static void find_each(Json object, const char *const *names, size_t count, Json *ret) {
  json_find_each(object, names, count, ret);
  for (size_t i = 0; i < count; i++)
    if (json_type(ret[i]) == JSON_NULL)
      ret[i] = (Json){TEXT_NONE};
}

static bool is_text(Json value) {
  return json_type(value) == JSON_STRING && value.text.size > 2;
}

/* Whether two strings say the same, however they are written. */
static bool is_same(Json a, Json b) {
  _cleanup_(buffer_done) Buffer first = {0};
  _cleanup_(buffer_done) Buffer second = {0};
  Text text;

  if (text_equal(a.text, b.text))
    return true;
  if (json_get_plain(a, &text) == 0 && json_get_plain(b, &text) == 0)
    return false;
  json_get_string(a, &first);
  json_get_string(b, &second);
  return text_equal((Text){(const char *)first.data, first.size}, (Text){(const char *)second.data, second.size});
}

/* --- messages --- */

AskMessages ask_messages(const AskChat *ask) {
  return (AskMessages){.walk = json_walk(ask->members[ASK_messages])};
}

static AskWrong read_role(Json role, AskRole *ret) {
  static const struct {
    const char *name;
    AskRole role;
  } roles[] = {{"user", ASK_USER},
               {"assistant", ASK_ASSISTANT},
               {"tool", ASK_TOOL},
               {"system", ASK_SYSTEM},
               {"developer", ASK_SYSTEM}};

  for (size_t i = 0; i < ELEMENTS(roles); i++)
    if (json_string_is(role, roles[i].name)) {
      *ret = roles[i].role;
      return FINE;
    }
  return wrong("role", "must be system, developer, user, assistant or tool");
}

/* Remembers the calls of an answer, for the results that follow. */
static AskWrong read_calls(AskMessages *messages, AskMessage *message) {
  JsonWalk walk = json_walk(message->calls);
  Json one;

  messages->count = 0;
  if (!json_is_none(message->calls) && json_type(message->calls) != JSON_ARRAY)
    return wrong("tool_calls", "must be a list");
  while (json_next_element(&walk, &one)) {
    Json found[2];

    if (messages->count == ASK_CALLS_MAX)
      return wrong("tool_calls", "has more than 128 entries");
    find_each(one, (const char *const[]){"id", "function"}, ELEMENTS(found), found);
    messages->ids[messages->count] = found[0];
    messages->names[messages->count++] = json_find(found[1], "name");
  }
  return FINE;
}

static AskWrong read_result(const AskMessages *messages, AskMessage *message) {
  if (!is_text(message->call_id))
    return wrong("tool_call_id", "must be a string");
  for (uint32_t i = 0; i < messages->count; i++)
    if (is_same(messages->ids[i], message->call_id)) {
      message->call_name = messages->names[i];
      message->call_index = i;
      return FINE;
    }
  return wrong("tool_call_id", "is of no call of the assistant's message before it");
}

AskWrong ask_read_message(AskMessages *messages, Json whole, AskMessage *ret) {
  AskWrong fault;
  JsonType type;
  Json found[4];

  find_each(whole, (const char *const[]){"role", "content", "tool_calls", "tool_call_id"}, ELEMENTS(found), found);
  *ret = (AskMessage){.whole = whole, .content = found[1]};
  if (json_type(whole) != JSON_OBJECT)
    return wrong("", "must be an object");
  fault = read_role(found[0], &ret->role);
  if (fault.why)
    return fault;
  type = json_type(ret->content);
  if (type == JSON_NONE ? ret->role != ASK_ASSISTANT : type != JSON_STRING && type != JSON_ARRAY)
    return wrong("content", "must be a string or a list of parts");
  if (ret->role == ASK_ASSISTANT) {
    ret->calls = found[2];
    return read_calls(messages, ret);
  }
  if (ret->role == ASK_TOOL)
    ret->call_id = found[3];
  return ret->role == ASK_TOOL ? read_result(messages, ret) : FINE;
}

bool ask_next_message(AskMessages *messages, AskMessage *ret) {
  Json whole;

  if (!json_next_element(&messages->walk, &whole))
    return false;
  ask_read_message(messages, whole, ret);
  return true;
}

/* --- parts --- */

static bool begins(Text text, const char *with) {
  size_t size = strlen(with);

  return text.size >= size && strncasecmp(text.data, with, size) == 0;
}

void ask_read_media(Json url, Buffer *room, AskMedia *ret) {
  static const char mark[] = ";base64,";
  const char *comma;
  Text text;
  Text rest;

  if (json_get_plain(url, &text) != 0) {
    buffer_clear(room);
    json_get_string(url, room);
    text = (Text){(const char *)room->data, room->size};
  }
  *ret = (AskMedia){.url = text};
  if (!begins(text, "data:"))
    return;
  rest = (Text){text.data + 5, text.size - 5};
  comma = memmem(rest.data, rest.size, mark, sizeof mark - 1);
  if (!comma)
    return;
  ret->is_inline = true;
  ret->base64 = (Text){comma + sizeof mark - 1, (size_t)(rest.data + rest.size - comma) - (sizeof mark - 1)};
  ret->type = (Text){rest.data, (size_t)(comma - rest.data)};
  comma = memchr(ret->type.data, ';', ret->type.size); /* parameters of the type mean nothing here */
  if (comma)
    ret->type.size = (size_t)(comma - ret->type.data);
}

static AskWrong read_image(AskPart *part) {
  _cleanup_(buffer_done) Buffer room = {0};
  AskMedia media;

  part->url = json_find(json_find(part->whole, "image_url"), "url");
  if (!is_text(part->url))
    return wrong("image_url.url", "must be a string");
  ask_read_media(part->url, &room, &media);
  if (media.is_inline ? media.type.size == 0 || media.base64.size == 0
                      : !begins(media.url, "https://") && !begins(media.url, "http://"))
    return wrong("image_url.url", "must be a URL that begins with https:// or data:TYPE;base64,");
  return FINE;
}

static AskWrong read_file(AskPart *part) {
  _cleanup_(buffer_done) Buffer room = {0};
  Json file = json_find(part->whole, "file");
  AskMedia media = {.is_inline = false};

  part->format = ask_member(file, "filename");
  part->url = ask_member(file, "file_data");
  if (!json_is_none(part->format) && !is_text(part->format))
    return wrong("file.filename", "must be a string");
  if (is_text(part->url))
    ask_read_media(part->url, &room, &media);
  if (!media.is_inline || media.type.size == 0)
    return wrong("file.file_data",
                 "must be a URL that begins with data:TYPE;base64, (a file_id is known to one provider)");
  return FINE;
}

static AskWrong read_audio(AskPart *part) {
  Json audio = json_find(part->whole, "input_audio");

  part->url = json_find(audio, "data");
  part->format = json_find(audio, "format");
  if (!is_text(part->url))
    return wrong("input_audio.data", "must be a string in base64");
  return is_text(part->format) ? FINE : wrong("input_audio.format", "must be a string");
}

AskWrong ask_read_part(Json whole, AskPart *ret) {
  Json type = json_find(whole, "type");
  AskPartKind kind = ASK_PART_END;

  *ret = (AskPart){.whole = whole};
  if (json_type(whole) != JSON_OBJECT)
    return wrong("", "must be an object");
  if (json_type(type) == JSON_STRING)
    kind = (AskPartKind)json_which(type, part_types, ASK_PART_END);
  if (kind == ASK_PART_END)
    return wrong("type", "must be text, image_url, input_audio, file or refusal");
  ret->kind = kind;
  if (kind == ASK_PART_image)
    return read_image(ret);
  if (kind == ASK_PART_file)
    return read_file(ret);
  if (kind == ASK_PART_audio)
    return read_audio(ret);
  ret->text = json_find(whole, ask_part_type(kind));
  return json_type(ret->text) == JSON_STRING ? FINE : wrong(ask_part_type(kind), "must be a string");
}

AskParts ask_parts(Json content) {
  return (AskParts){.walk = json_walk(content), .string = is_text(content) ? content : (Json){TEXT_NONE}};
}

static bool is_empty(Json text) {
  return json_type(text) == JSON_STRING && text.text.size == 2;
}

bool ask_next_part(AskParts *parts, const AskChat *ask, AskPart *ret) {
  Json whole;

  if (!json_is_none(parts->string)) {
    *ret = (AskPart){.kind = ASK_PART_text, .whole = parts->string, .text = parts->string};
    parts->string = (Json){TEXT_NONE};
    return true;
  }
  while (json_next_element(&parts->walk, &whole)) {
    ask_read_part(whole, ret);
    ret->index = parts->next++;
    if (ask->table->parts[ret->kind] == ASK_MAPPED && !is_empty(ret->text))
      return true;
  }
  return false;
}

/* --- tools --- */

AskWrong ask_read_tool(Json whole, AskTool *ret) {
  Json found[2], inside[4];

  find_each(whole, (const char *const[]){"type", "function"}, ELEMENTS(found), found);
  find_each(found[1], (const char *const[]){"name", "description", "parameters", "strict"}, ELEMENTS(inside), inside);
  *ret = (AskTool){
      .whole = whole, .name = inside[0], .description = inside[1], .parameters = inside[2], .strict = inside[3]};
  if (!json_string_is(found[0], "function"))
    return wrong("type", "must be function");
  if (!is_text(ret->name))
    return wrong("function.name", "must be a string");
  if (!json_is_none(ret->description) && json_type(ret->description) != JSON_STRING)
    return wrong("function.description", "must be a string");
  if (!json_is_none(ret->parameters) && json_type(ret->parameters) != JSON_OBJECT)
    return wrong("function.parameters", "must be an object, a JSON Schema");
  if (!json_is_none(ret->strict) && json_type(ret->strict) != JSON_BOOL)
    return wrong("function.strict", "must be true or false");
  return FINE;
}

bool ask_has_tools(const AskChat *ask) {
  JsonWalk walk = json_walk(ask->members[ASK_tools]);
  Json one;

  return json_next_element(&walk, &one);
}

bool ask_next_tool(JsonWalk *walk, AskTool *ret) {
  Json whole;

  if (!json_next_element(walk, &whole))
    return false;
  ask_read_tool(whole, ret);
  return true;
}

void ask_put_arguments(Json arguments, Buffer *out) {
  size_t before = out->size;

  json_get_string(arguments, out);
  if (out->size == before)
    buffer_append(out, "{}", 2);
}

/* Fills *ret; returns the call's type. */
static Json take_call(Json whole, AskCall *ret) {
  Json found[3], inside[2];

  find_each(whole, (const char *const[]){"type", "id", "function"}, ELEMENTS(found), found);
  find_each(found[2], (const char *const[]){"name", "arguments"}, ELEMENTS(inside), inside);
  *ret = (AskCall){.whole = whole, .id = found[1], .name = inside[0], .arguments = inside[1]};
  return found[0];
}

AskWrong ask_read_call(Json whole, AskCall *ret) {
  _cleanup_(buffer_done) Buffer plain = {0};
  Json object = {TEXT_NONE};

  if (!json_string_is(take_call(whole, ret), "function"))
    return wrong("type", "must be function");
  if (!is_text(ret->id))
    return wrong("id", "must be a string");
  if (!is_text(ret->name))
    return wrong("function.name", "must be a string");
  if (json_type(ret->arguments) == JSON_STRING) {
    ask_put_arguments(ret->arguments, &plain);
    json_check((Text){(const char *)plain.data, plain.size}, &object, NULL);
  }
  return json_type(object) == JSON_OBJECT ? FINE
                                          : wrong("function.arguments", "must be a string with a JSON object in it");
}

bool ask_next_call(JsonWalk *walk, AskCall *ret) {
  Json whole;

  if (!json_next_element(walk, &whole))
    return false;
  take_call(whole, ret);
  return true;
}

AskChoice ask_tool_choice(const AskChat *ask, Json *ret_name) {
  Json choice = ask->members[ASK_tool_choice];

  *ret_name = json_find(json_find(choice, "function"), "name");
  if (json_is_none(choice))
    return ASK_CHOICE_NONE_SAID;
  if (json_type(choice) == JSON_OBJECT)
    return ASK_CHOICE_NAMED;
  if (json_string_is(choice, "auto"))
    return ASK_CHOICE_AUTO;
  return json_string_is(choice, "none") ? ASK_CHOICE_NONE : ASK_CHOICE_REQUIRED;
}

bool ask_forces_tool(const AskChat *ask) {
  Json name;
  AskChoice choice = ask_tool_choice(ask, &name);

  return choice == ASK_CHOICE_REQUIRED || choice == ASK_CHOICE_NAMED;
}

/* --- the rest --- */

AskFormat ask_format(const AskChat *ask, Json *ret_schema, Json *ret_name) {
  Json format = ask->members[ASK_response_format];
  Json schema = json_find(format, "json_schema");

  *ret_schema = json_find(schema, "schema");
  *ret_name = json_find(schema, "name");
  if (json_string_is(json_find(format, "type"), "json_schema"))
    return ASK_FORMAT_SCHEMA;
  return json_string_is(json_find(format, "type"), "json_object") ? ASK_FORMAT_JSON : ASK_FORMAT_TEXT;
}

AskEffort ask_effort(const AskChat *ask) {
  static const char *const names[] = {
      [ASK_EFFORT_NONE] = "none",     [ASK_EFFORT_MINIMAL] = "minimal", [ASK_EFFORT_LOW] = "low",
      [ASK_EFFORT_MEDIUM] = "medium", [ASK_EFFORT_HIGH] = "high",       [ASK_EFFORT_XHIGH] = "xhigh"};

  for (AskEffort effort = ASK_EFFORT_NONE; effort <= ASK_EFFORT_XHIGH; effort++)
    if (json_string_is(ask->members[ASK_reasoning_effort], names[effort]))
      return effort;
  return ASK_EFFORT_NONE_SAID;
}

uint64_t ask_max_tokens(const AskChat *ask) {
  uint64_t tokens = 0;

  if (json_get_uint(ask->members[ASK_max_completion_tokens], &tokens) != 0)
    json_get_uint(ask->members[ASK_max_tokens], &tokens);
  return tokens;
}

bool ask_streams(const AskChat *ask) {
  bool streams = false;

  return json_get_bool(ask->members[ASK_stream], &streams) == 0 && streams;
}

bool ask_wants_usage(const AskChat *ask) {
  bool wants = false;

  return json_get_bool(json_find(ask->members[ASK_stream_options], "include_usage"), &wants) == 0 && wants;
}

void ask_put_members(const AskChat *ask, const AskName *names, size_t count, Buffer *out) {
  for (size_t i = 0; i < count; i++)
    json_put_member(out, names[i].name, ask->members[names[i].member]);
}

void ask_put_max_tokens(const AskChat *ask, const char *name, Buffer *out) {
  uint64_t tokens = ask_max_tokens(ask);

  if (tokens == 0)
    return;
  json_put_key(out, name);
  json_put_uint(out, tokens);
}

void ask_put_stop(const AskChat *ask, const char *name, Buffer *out) {
  Json stop = ask->members[ASK_stop];
  bool is_list = json_type(stop) == JSON_ARRAY;

  if (json_is_none(stop))
    return;
  json_put_key(out, name);
  buffer_append(out, "[", is_list ? 0 : 1);
  buffer_put(out, stop.text);
  buffer_append(out, "]", is_list ? 0 : 1);
}

Json ask_own(const AskChat *ask, const char *name) {
  for (size_t i = 0; ask->table->own && ask->table->own[i]; i++)
    if (strcmp(ask->table->own[i], name) == 0)
      return ask->own[i];
  return (Json){TEXT_NONE};
}

void ask_put_own(const AskChat *ask, const char *except, Buffer *out) {
  for (size_t i = 0; ask->table->own && ask->table->own[i]; i++)
    if (!except || strcmp(ask->table->own[i], except) != 0)
      json_put_member(out, ask->table->own[i], ask->own[i]);
}
