/* A body held against tables, member by member, and then what these can't say. The words are Anthropic's as far as they are known. */
#include <stdio.h>

#include "tests/mock-provider/anthropic-internal.h"

#define TABLE static const AnthropicField

TABLE CREATE[] = {{"model", JSON_STRING, true},          {"max_tokens", JSON_NUMBER, true},
                  {"messages", JSON_ARRAY, true},        {"system", JSON_NONE, false},
                  {"metadata", JSON_OBJECT, false},      {"stop_sequences", JSON_ARRAY, false},
                  {"stream", JSON_BOOL, false},          {"temperature", JSON_NUMBER, false},
                  {"top_p", JSON_NUMBER, false},         {"top_k", JSON_NUMBER, false},
                  {"tools", JSON_ARRAY, false},          {"tool_choice", JSON_OBJECT, false},
                  {"thinking", JSON_OBJECT, false},      {"output_config", JSON_OBJECT, false},
                  {"container", JSON_NONE, false},       {"context_management", JSON_OBJECT, false},
                  {"mcp_servers", JSON_ARRAY, false},    {"service_tier", JSON_STRING, false},
                  {"inference_geo", JSON_STRING, false}, {"speed", JSON_STRING, false},
                  {"cache_control", JSON_OBJECT, false}, {NULL, JSON_NONE, false}};
TABLE COUNT[] = {{"model", JSON_STRING, true},          {"messages", JSON_ARRAY, true},
                 {"system", JSON_NONE, false},          {"tools", JSON_ARRAY, false},
                 {"tool_choice", JSON_OBJECT, false},   {"thinking", JSON_OBJECT, false},
                 {"output_config", JSON_OBJECT, false}, {NULL, JSON_NONE, false}};
TABLE TOOL[] = {{"name", JSON_STRING, true},           {"description", JSON_STRING, false},
                {"input_schema", JSON_OBJECT, true},   {"strict", JSON_BOOL, false},
                {"cache_control", JSON_OBJECT, false}, {"type", JSON_STRING, false},
                {"input_examples", JSON_ARRAY, false}, {NULL, JSON_NONE, false}};
TABLE CHOICE[] = {{"type", JSON_STRING, true},
                  {"name", JSON_STRING, false},
                  {"disable_parallel_tool_use", JSON_BOOL, false},
                  {NULL, JSON_NONE, false}};
TABLE METADATA[] = {{"user_id", JSON_STRING, false}, {NULL, JSON_NONE, false}};
TABLE ENABLED[] = {{"type", JSON_STRING, true},
                   {"budget_tokens", JSON_NUMBER, true},
                   {"display", JSON_STRING, false},
                   {NULL, JSON_NONE, false}};
TABLE ADAPTIVE[] = {{"type", JSON_STRING, true}, {"display", JSON_STRING, false}, {NULL, JSON_NONE, false}};
TABLE OUTPUT[] = {{"effort", JSON_STRING, false}, {"format", JSON_OBJECT, false}, {NULL, JSON_NONE, false}};
TABLE FORMAT[] = {{"type", JSON_STRING, true}, {"schema", JSON_OBJECT, true}, {NULL, JSON_NONE, false}};

static const char *type_name(JsonType type) {
  static const char *const NAMES[] = {[JSON_STRING] = "string",
                                      [JSON_ARRAY] = "list",
                                      [JSON_OBJECT] = "dictionary",
                                      [JSON_BOOL] = "boolean",
                                      [JSON_NUMBER] = "number"};

  return NAMES[type];
}

static const AnthropicField *find_field(const AnthropicField *fields, Json key) {
  while (fields->name && !json_string_is(key, fields->name))
    fields++;
  return fields->name ? fields : NULL;
}

bool anthropic_check_fields(const Ask *ask, const char *path, Json object, const AnthropicField *fields, Answer *ret) {
  JsonWalk walk = json_walk(object);
  Json key, value;

  if (json_type(object) != JSON_OBJECT)
    return anthropic_invalid(ret, "%.*s: Input should be a valid dictionary", (int)(*path ? strlen(path) - 1 : 0),
                             path);
  while (json_next_member(&walk, &key, &value)) {
    const AnthropicField *field = find_field(fields, key);

    if (!field && !ask->knobs.lax)
      return anthropic_invalid(ret, "%s%.*s: Extra inputs are not permitted", path, (int)min_u64(key.text.size - 2, 64),
                               key.text.data + 1);
    if (field && field->type != JSON_NONE && json_type(value) != field->type &&
        (field->required || json_type(value) != JSON_NULL))
      return anthropic_invalid(ret, "%s%s: Input should be a valid %s", path, field->name, type_name(field->type));
  }
  for (; fields->name; fields++)
    if (fields->required && json_is_none(json_find(object, fields->name)))
      return anthropic_invalid(ret, "%s%s: Field required", path, fields->name);
  return true;
}

bool anthropic_check_word(const char *path, Json text, const char *words, Answer *ret) {
  char quoted[128];
  Text word = TEXT_NONE;

  json_get_plain(text, &word);
  snprintf(quoted, sizeof quoted, " %s ", words);
  for (const char *at = quoted + 1; *at; at += strcspn(at, " ") + 1)
    if (word.size && strcspn(at, " ") == word.size && memcmp(at, word.data, word.size) == 0)
      return true;
  return anthropic_invalid(ret, "%s: Input should be one of: %s", path, words);
}

/* --- tools --- */

/* Where a schema is kept to, its objects have to say that they have no other members. */
static bool is_closed(Json schema, unsigned depth) {
  static const char *const LISTS[] = {"properties", "anyOf", "$defs"};
  bool closed = true, more = true;
  JsonWalk walk;
  Json key, value;

  if (depth == 32 || json_type(schema) != JSON_OBJECT)
    return true;
  if (json_string_is(json_find(schema, "type"), "object"))
    closed = json_get_bool(json_find(schema, "additionalProperties"), &more) == 0 && !more;
  for (size_t i = 0; closed && i < ELEMENTS(LISTS); i++) {
    Json list = json_find(schema, LISTS[i]);

    walk = json_walk(list);
    while (closed &&
           (json_type(list) == JSON_ARRAY ? json_next_element(&walk, &value) : json_next_member(&walk, &key, &value)))
      closed = is_closed(value, depth + 1);
  }
  return closed && is_closed(json_find(schema, "items"), depth + 1);
}

static bool check_closed(const char *path, Json schema, Answer *ret) {
  return is_closed(schema, 0) ||
         anthropic_invalid(ret, "%s: For 'object' type, 'additionalProperties' must be explicitly set to false", path);
}

static bool check_input_schema(const char *path, Json tool, Answer *ret) {
  Json schema = json_find(tool, "input_schema");
  bool strict = false;
  char name[80];

  if (!json_string_is(json_find(schema, "type"), "object"))
    return anthropic_invalid(ret, "%sinput_schema.type: Field required", path);
  snprintf(name, sizeof name, "%sinput_schema", path);
  json_get_bool(json_find(tool, "strict"), &strict);
  return !strict || check_closed(name, schema, ret);
}

static bool is_name(Json name) {
  Text text = TEXT_NONE;

  json_get_plain(name, &text);
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];

    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
      return false;
  }
  return text.size > 0 && text.size <= 128;
}

static bool is_repeated(Json tools, Json name, unsigned before) {
  JsonWalk walk = json_walk(tools);
  Json tool;

  for (unsigned i = 0; i < before && json_next_element(&walk, &tool); i++)
    if (text_equal(json_find(tool, "name").text, name.text))
      return true;
  return false;
}

static bool check_tools(const Ask *ask, Json tools, Answer *ret) {
  JsonWalk walk = json_walk(tools);
  char path[64];
  Json tool;

  for (unsigned i = 0; json_next_element(&walk, &tool); i++) {
    snprintf(path, sizeof path, "tools.%u.custom.", i);
    if (!anthropic_check_fields(ask, path, tool, TOOL, ret))
      return false;
    if (!is_name(json_find(tool, "name")))
      return anthropic_invalid(ret, "%sname: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", path);
    if (!check_input_schema(path, tool, ret))
      return false;
    if (is_repeated(tools, json_find(tool, "name"), i))
      return anthropic_invalid(ret, "tools: Tool names must be unique.");
  }
  return true;
}

static bool has_tool(Json tools, Json name) {
  JsonWalk walk = json_walk(tools);
  Json tool;

  while (json_next_element(&walk, &tool))
    if (text_equal(json_find(tool, "name").text, name.text))
      return true;
  return false;
}

static bool check_choice(const Ask *ask, AnthropicAsk *asked, Answer *ret) {
  Json choice = json_find(asked->body, "tool_choice");
  Json type = json_find(choice, "type");
  Json name = json_find(choice, "name");
  bool named = json_string_is(type, "tool");

  if (json_is_none(choice))
    return true;
  if (!anthropic_check_fields(ask, "tool_choice.", choice, CHOICE, ret) ||
      !anthropic_check_word("tool_choice.type", type, "auto any tool none", ret))
    return false;
  if (json_is_none(asked->tools))
    return anthropic_invalid(ret, "tool_choice may only be specified while providing tools.");
  if (named != !json_is_none(name))
    return anthropic_invalid(ret, named ? "tool_choice.tool.name: Field required"
                                        : "tool_choice.name: Extra inputs are not permitted");
  if (named && !has_tool(asked->tools, name))
    return anthropic_invalid(ret, "Tool '%.*s' not found in provided tools", (int)name.text.size - 2,
                             name.text.data + 1);
  if (json_string_is(type, "none") && !json_is_none(json_find(choice, "disable_parallel_tool_use")))
    return anthropic_invalid(ret, "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted");
  if (asked->thinks && (named || json_string_is(type, "any")))
    return anthropic_invalid(ret, "Thinking may not be enabled when tool_choice forces tool use.");
  asked->no_calls = json_string_is(type, "none");
  return true;
}

/* --- thinking, sampling, output --- */

static bool mentions(const AnthropicAsk *asked, const char *words) {
  return memmem(asked->model.text.data, asked->model.text.size, words, strlen(words)) != NULL;
}

/* Generations by the names that tests use: those up to 4.5 think by budgets, those from 5 on sample no more. */
static bool is_old(const AnthropicAsk *asked) {
  return mentions(asked, "claude-3") || mentions(asked, "-4-0") || mentions(asked, "-4-1") || mentions(asked, "-4-5");
}

static bool is_new(const AnthropicAsk *asked) {
  return mentions(asked, "opus-5") || mentions(asked, "sonnet-5") || mentions(asked, "-4-7") || mentions(asked, "-4-8");
}

static bool check_thinking(const Ask *ask, AnthropicAsk *asked, Answer *ret) {
  Json thinking = json_find(asked->body, "thinking");
  Json type = json_find(thinking, "type");
  bool enabled = json_string_is(type, "enabled"), adaptive = json_string_is(type, "adaptive");
  uint64_t budget = 0;

  if (json_is_none(thinking))
    return true;
  if (!anthropic_check_fields(ask, "thinking.", thinking, enabled ? ENABLED : ADAPTIVE, ret) ||
      !anthropic_check_word("thinking.type", type, "enabled adaptive disabled", ret))
    return false;
  asked->thinks = enabled || adaptive;
  asked->by_budget = enabled;
  if (enabled && is_new(asked))
    return anthropic_invalid(ret,
                             "\"thinking.type.enabled\" is not supported for this model. Use "
                             "\"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.");
  if (adaptive && is_old(asked))
    return anthropic_invalid(ret, "adaptive thinking is not supported on this model");
  if (enabled && (json_get_uint(json_find(thinking, "budget_tokens"), &budget) || budget < 1024))
    return anthropic_invalid(ret, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
  if (enabled && asked->limit_tokens && asked->limit_tokens <= budget)
    return anthropic_invalid(ret,
                             "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our "
                             "documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking");
  return true;
}

static bool check_sampling(const AnthropicAsk *asked, Answer *ret) {
  Json temperature = json_find(asked->body, "temperature"), top_p = json_find(asked->body, "top_p");
  double value = 1, share = 1, most = 1;

  json_get_real(temperature, &value);
  json_get_real(top_p, &share);
  json_get_real(json_find(asked->body, "top_k"), &most);
  if (value < 0 || value > 1)
    return anthropic_invalid(ret, "temperature: range: 0..1");
  if (share < 0 || share > 1)
    return anthropic_invalid(ret, "top_p: range: 0..1");
  if (most < 0)
    return anthropic_invalid(ret, "top_k: Input should be greater than or equal to 0");
  if (is_new(asked) && (!json_is_none(temperature) || !json_is_none(top_p)))
    return anthropic_invalid(ret, "`temperature` and `top_p` are not supported by this model.");
  if (!json_is_none(temperature) && !json_is_none(top_p))
    return anthropic_invalid(ret,
                             "`temperature` and `top_p` cannot both be specified for this model. Please use only one.");
  if (asked->thinks && value < 1)
    return anthropic_invalid(ret, "`temperature` may only be set to 1 when thinking is enabled.");
  return true;
}

static bool check_output(const Ask *ask, const AnthropicAsk *asked, Answer *ret) {
  Json output = json_find(asked->body, "output_config");
  Json format = json_find(output, "format"), effort = json_find(output, "effort");

  if (json_is_none(output))
    return true;
  if (!anthropic_check_fields(ask, "output_config.", output, OUTPUT, ret))
    return false;
  if (!json_is_none(effort) && !anthropic_check_word("output_config.effort", effort, "low medium high xhigh max", ret))
    return false;
  if (!json_is_none(effort) && is_old(asked) && !mentions(asked, "opus-4-5"))
    return anthropic_invalid(ret, "This model does not support the effort parameter.");
  return json_is_none(format) ||
         (anthropic_check_fields(ask, "output_config.format.", format, FORMAT, ret) &&
          anthropic_check_word("output_config.format.type", json_find(format, "type"), "json_schema", ret) &&
          check_closed("output_config.format.schema", json_find(format, "schema"), ret));
}

static bool check_stops(const AnthropicAsk *asked, Answer *ret) {
  JsonWalk walk = json_walk(json_find(asked->body, "stop_sequences"));
  Json one;

  for (unsigned i = 0; json_next_element(&walk, &one); i++) {
    if (json_type(one) != JSON_STRING)
      return anthropic_invalid(ret, "stop_sequences.%u: Input should be a valid string", i);
    if (story_words((Text){one.text.data + 1, one.text.size - 2}) == 0)
      return anthropic_invalid(ret, "stop_sequences: each stop sequence must contain non-whitespace");
  }
  return true;
}

/* --- the whole --- */

static bool has_model(const Ask *ask, Json model) {
  const char *at = ask->models ? ask->models : "";
  Text name = TEXT_NONE;

  json_get_plain(model, &name);
  for (size_t n; *at; at += n + (at[n] ? 1 : 0)) {
    n = strcspn(at, ",");
    if (name.size == n && memcmp(at, name.data, n) == 0)
      return true;
  }
  return !ask->models && name.size > 0 && name.size <= 128;
}

bool anthropic_check(const Ask *ask, bool counts, AnthropicAsk *ret_ask, Answer *ret) {
  JsonFault fault;
  Json body, metadata, tools;

  if (json_check(ask->http->body, &body, &fault))
    return anthropic_invalid(ret, "The request body is not valid JSON: %s: line %u column %u", fault.message,
                             fault.line, fault.column);
  if (!anthropic_check_fields(ask, "", body, counts ? COUNT : CREATE, ret))
    return false;
  tools = json_find(body, "tools");
  metadata = json_find(body, "metadata");
  *ret_ask = (AnthropicAsk){
      .body = body, .model = json_find(body, "model"), .messages = json_find(body, "messages"), .tools = tools};
  json_get_bool(json_find(body, "stream"), &ret_ask->stream);
  if (!counts && (json_get_uint(json_find(body, "max_tokens"), &ret_ask->limit_tokens) || !ret_ask->limit_tokens))
    return anthropic_invalid(ret, "max_tokens: Input should be greater than or equal to 1");
  if (!has_model(ask, ret_ask->model))
    return anthropic_fail(ret, 404, "not_found_error", "model: %.*s", (int)min_u64(ret_ask->model.text.size - 2, 128),
                          ret_ask->model.text.data + 1);
  if (!json_is_none(json_find(body, "service_tier")) &&
      !anthropic_check_word("service_tier", json_find(body, "service_tier"), "auto standard_only", ret))
    return false;
  return (json_is_none(metadata) || anthropic_check_fields(ask, "metadata.", metadata, METADATA, ret)) &&
         anthropic_check_system(ask, json_find(body, "system"), ret) && check_tools(ask, tools, ret) &&
         check_thinking(ask, ret_ask, ret) && check_choice(ask, ret_ask, ret) && check_sampling(ret_ask, ret) &&
         check_output(ask, ret_ask, ret) && check_stops(ret_ask, ret) && anthropic_check_messages(ask, ret_ask, ret);
}
