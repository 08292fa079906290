/* Checking: what a provider can't be told is refused here, by the path of the member, before anything is sent. */
#include <stdio.h>

#include "adapters/dialect/ask-internal.h"

enum { PATH_BYTES = 80 };

/* --- members --- */

/* Keeps a member that is one of the provider's own; false when it is none. */
static bool keep_own(AskChat *ask, Json key, Json value) {
  const char *const *own = ask->table->own;
  size_t count = 0, i;

  while (own && own[count] && count < ASK_OWN_MAX)
    count++;
  i = json_which(key, own, count);
  if (i < count)
    ask->own[i] = value;
  return i < count;
}

static bool has_type(AskMember member, Json value) {
  enum { ANY = -1 };
#define STRING JSON_STRING
#define ARRAY JSON_ARRAY
#define OBJECT JSON_OBJECT
#define NUMBER JSON_NUMBER
#define BOOL JSON_BOOL
  static const int types[] = {
#define MEMBER(name, type, sample, neutral) (int)type,
#include "adapters/dialect/members.def"
#undef MEMBER
  };

  return types[member] == ANY || (int)json_type(value) == types[member];
}

static const char *type_name(AskMember member) {
  static const char *const names[] = {
#define MEMBER(name, type, sample, neutral) #type,
#include "adapters/dialect/members.def"
#undef MEMBER
  };

  return names[member];
}

/* Whether value says no more than its absence: numbers by value, the rest but for blanks. */
static bool is_neutral(AskMember member, Json value) {
  static const char *const neutrals[] = {
#define MEMBER(name, type, sample, neutral) neutral,
#include "adapters/dialect/members.def"
#undef MEMBER
  };
  const char *at = neutrals[member];
  double said;
  double meant;

  if (*at && json_get_real(value, &said) == 0)
    return json_get_real((Json){text_of(at)}, &meant) == 0 && !(said < meant) && !(said > meant);
  for (size_t i = 0; i < value.text.size; i++) {
    if (value.text.data[i] == ' ' || value.text.data[i] == '\n')
      continue;
    if (*at == '\0' || *at++ != value.text.data[i])
      return false;
  }
  return *at == '\0';
}

static int read_members(AskChat *ask, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(ask->whole);
  char name[PATH_BYTES];
  Json key;
  Json value;

  while (json_next_member(&walk, &key, &value)) {
    AskMember member = (AskMember)json_which(key, ask_member_names, ASK_MEMBER_END);

    if (json_type(value) == JSON_NULL)
      continue;
    if (member < ASK_MEMBER_END) {
      ask->members[member] = value;
    } else if (!keep_own(ask, key, value)) {
      snprintf(name, sizeof name, "%.*s", (int)min_u64(key.text.size - 2, 64), key.text.data + 1);
      return dialect_fault_caller(ret_fault, name, "%s has no parameter '%s'", ask->about, name);
    }
  }
  return 0;
}

static int check_members(AskChat *ask, DialectFault *ret_fault) {
  for (AskMember member = 0; member < ASK_MEMBER_END; member++) {
    const char *name = ask_member_name(member);
    AskFate fate = ask->table->members[member];
    Json *value = &ask->members[member];

    if (json_is_none(*value))
      continue;
    if (!has_type(member, *value))
      return dialect_fault_caller(ret_fault, name, "'%s' must be of type %s", name, type_name(member));
    if (fate != ASK_MAPPED && !is_neutral(member, *value) && fate != ASK_DROPPED)
      return dialect_fault_caller(ret_fault, name, "%s has nothing for '%s'", ask->about, name);
    if (fate != ASK_MAPPED)
      *value = (Json){TEXT_NONE};
  }
  return 0;
}

/* --- lists --- */

/* list: "messages[2].content" */
static int refuse(const char *list, size_t index, AskWrong wrong, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer path = {0};

  buffer_printf(&path, "%s[%zu]%s%s", list, index, *wrong.path ? "." : "", wrong.path);
  buffer_append(&path, "", 1);
  return dialect_fault_caller(ret_fault, (const char *)path.data, "%s %s", (const char *)path.data, wrong.why);
}

/* Which parts a role may say: a bit per AskPartKind. */
static unsigned parts_of(AskRole role) {
  static const unsigned parts[] = {
      [ASK_SYSTEM] = 1u << ASK_PART_text,
      [ASK_USER] = 1u << ASK_PART_text | 1u << ASK_PART_image | 1u << ASK_PART_audio | 1u << ASK_PART_file,
      [ASK_ASSISTANT] = 1u << ASK_PART_text | 1u << ASK_PART_refusal,
      [ASK_TOOL] = 1u << ASK_PART_text | 1u << ASK_PART_image,
  };

  return parts[role];
}

static int check_parts(const AskChat *ask, const AskMessage *message, size_t index, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(message->content);
  char list[PATH_BYTES];
  AskPart part;
  Json whole;

  if (json_type(message->content) != JSON_ARRAY)
    return 0;
  snprintf(list, sizeof list, "messages[%zu].content", index);
  for (size_t i = 0; json_next_element(&walk, &whole); i++) {
    AskWrong wrong = ask_read_part(whole, &part);

    if (!wrong.why && !(parts_of(message->role) & 1u << part.kind))
      wrong = (AskWrong){"type", "can't stand in a message of this role"};
    if (!wrong.why && ask->table->parts[part.kind] != ASK_MAPPED && ask->table->parts[part.kind] != ASK_DROPPED)
      wrong = (AskWrong){"type", "is of a kind that this model's provider does not take"};
    if (wrong.why)
      return refuse(list, i, wrong, ret_fault);
  }
  return 0;
}

static int check_calls(const AskMessage *message, size_t index, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(message->calls);
  char list[PATH_BYTES];
  AskCall call;
  Json whole;

  snprintf(list, sizeof list, "messages[%zu].tool_calls", index);
  for (size_t i = 0; json_next_element(&walk, &whole); i++) {
    AskWrong wrong = ask_read_call(whole, &call);

    if (wrong.why)
      return refuse(list, i, wrong, ret_fault);
  }
  return 0;
}

static int check_messages(const AskChat *ask, DialectFault *ret_fault) {
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  Json whole;
  size_t i = 0;
  int r = 0;

  for (; r == 0 && json_next_element(&messages.walk, &whole); i++) {
    AskWrong wrong = ask_read_message(&messages, whole, &message);

    if (wrong.why)
      return refuse("messages", i, wrong, ret_fault);
    r = check_parts(ask, &message, i, ret_fault);
    if (r == 0)
      r = check_calls(&message, i, ret_fault);
  }
  if (i == 0)
    return dialect_fault_caller(ret_fault, "messages", "'messages' must be a list with at least one message");
  return r;
}

static int check_tools(const AskChat *ask, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(ask->members[ASK_tools]);
  AskTool tool;
  Json whole;

  for (size_t i = 0; json_next_element(&walk, &whole); i++) {
    AskWrong wrong = ask_read_tool(whole, &tool);

    if (i == ASK_CALLS_MAX)
      return dialect_fault_caller(ret_fault, "tools", "'tools' has more than %d entries", ASK_CALLS_MAX);
    if (wrong.why)
      return refuse("tools", i, wrong, ret_fault);
  }
  return 0;
}

/* --- single values --- */

static bool is_choice(const AskChat *ask) {
  Json choice = ask->members[ASK_tool_choice];

  if (json_type(choice) != JSON_OBJECT)
    return json_is_none(choice) || json_string_is(choice, "auto") || json_string_is(choice, "none") ||
           json_string_is(choice, "required");
  return json_string_is(json_find(choice, "type"), "function") &&
         json_type(json_find(json_find(choice, "function"), "name")) == JSON_STRING;
}

static bool is_format(const AskChat *ask) {
  Json format = ask->members[ASK_response_format];
  Json type = json_find(format, "type");
  Json schema;
  Json name;

  if (ask_format(ask, &schema, &name) == ASK_FORMAT_SCHEMA)
    return json_type(schema) == JSON_OBJECT;
  return json_is_none(format) || json_string_is(type, "text") || json_string_is(type, "json_object");
}

static bool is_stop(const AskChat *ask) {
  Json stop = ask->members[ASK_stop];
  JsonWalk walk = json_walk(stop);
  Json one;

  if (json_type(stop) != JSON_ARRAY)
    return json_is_none(stop) || json_type(stop) == JSON_STRING;
  while (json_next_element(&walk, &one))
    if (json_type(one) != JSON_STRING)
      return false;
  return true;
}

static bool is_count(Json value) {
  uint64_t count;

  return json_is_none(value) || (json_get_uint(value, &count) == 0 && count > 0 && count <= INT32_MAX);
}

static int check_values(const AskChat *ask, DialectFault *ret_fault) {
  bool effort = json_is_none(ask->members[ASK_reasoning_effort]) || ask_effort(ask) != ASK_EFFORT_NONE_SAID;
  const struct {
    AskMember member;
    bool is_right;
    const char *why;
  } rows[] = {
      {ASK_model, true, ""},
      {ASK_tool_choice, is_choice(ask),
       "must be auto, none, required, or {\"type\":\"function\",\"function\":{\"name\":…}}"},
      {ASK_response_format, is_format(ask), "must have the type text, json_object or json_schema, that with a schema"},
      {ASK_stop, is_stop(ask), "must be a string or a list of strings"},
      {ASK_max_tokens, is_count(ask->members[ASK_max_tokens]), "must be a whole number above 0"},
      {ASK_max_completion_tokens, is_count(ask->members[ASK_max_completion_tokens]), "must be a whole number above 0"},
      {ASK_n, is_count(ask->members[ASK_n]), "must be a whole number above 0"},
      {ASK_reasoning_effort, effort, "must be none, minimal, low, medium, high or xhigh"},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (!rows[i].is_right)
      return dialect_fault_caller(ret_fault, ask_member_name(rows[i].member), "'%s' %s",
                                  ask_member_name(rows[i].member), rows[i].why);
  return 0;
}

int ask_read(Json request, const AskTable *table, const char *about, AskChat *ret, DialectFault *ret_fault) {
  int r;

  *ret = (AskChat){.whole = request, .table = table, .about = about};
  r = read_members(ret, ret_fault);
  if (r == 0)
    r = check_members(ret, ret_fault);
  if (r == 0)
    r = check_values(ret, ret_fault);
  if (r == 0)
    r = check_tools(ret, ret_fault);
  return r ? r : check_messages(ret, ret_fault);
}
