/* What the tables can't say: turns that alternate, tools and their results, names, what thinking wants. */
#include <ctype.h>
#include <stdio.h>

#include "tests/mock-provider/bedrock-internal.h"

enum { CALLS_MAX = 64, THINKING_LEAST = 1024 };

/* A signature that the mock gave out begins so. */
static const char SIGNED[] = "c2ln";

/* What one turn has: the calls that it makes or answers. */
typedef struct Turn {
  unsigned index;
  bool assistant;
  unsigned calls, results, documents, texts;
  Json ids[CALLS_MAX]; /* of the calls, or of the results */
} Turn;

static bool is_blank(Json text) {
  for (size_t i = 1; i + 1 < text.text.size; i++)
    if (text.text.data[i] != ' ' && text.text.data[i] != '\t')
      return false;
  return true;
}

static bool is_name(Json value) {
  Text name;

  if (json_get_plain(value, &name) != 0)
    return false;
  for (size_t i = 0; i < name.size; i++)
    if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_' && name.data[i] != '-')
      return false;
  return true;
}

static bool check_name(Json value, const char *where, Answer *ret) {
  return is_name(value) ||
         bedrock_invalid(ret,
                         "1 validation error detected: Value %.*s at '%s' failed to satisfy constraint: "
                         "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
                         value.text.size > 70 ? 70 : (int)value.text.size, value.text.data, where);
}

/* --- blocks --- */

static bool check_reasoning(Json reasoning, unsigned turn, unsigned block, Answer *ret) {
  Json signature = json_find(json_find(reasoning, "reasoningText"), "signature");
  Text text = TEXT_NONE;

  json_get_plain(signature, &text);
  if (json_is_none(signature) || (text.size >= 4 && memcmp(text.data, SIGNED, 4) == 0))
    return true;
  return bedrock_invalid(ret,
                         "The model returned the following errors: messages.%u.content.%u: Invalid `signature` in "
                         "`thinking` block",
                         turn, block);
}

static bool check_document(Json document, Answer *ret) {
  Text name = TEXT_NONE;

  json_get_plain(json_find(document, "name"), &name);
  for (size_t i = 0; i < name.size; i++)
    if (!isalnum((unsigned char)name.data[i]) && !strchr("-()[] ", name.data[i]))
      return bedrock_invalid(ret,
                             "The file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                             "parentheses, and square brackets.");
  return true;
}

static bool note_id(Turn *turn, unsigned number, Json id, Answer *ret) {
  if (number < CALLS_MAX)
    turn->ids[number] = id;
  return number < CALLS_MAX || bedrock_invalid(ret, "There are too many tools in one turn.");
}

static bool check_block(Json block, Turn *turn, unsigned number, Answer *ret) {
  Json text = json_find(block, "text"), use = json_find(block, "toolUse"), result = json_find(block, "toolResult");
  Json reasoning = json_find(block, "reasoningContent"), document = json_find(block, "document");

  turn->texts += !json_is_none(text);
  turn->documents += !json_is_none(document);
  if (!json_is_none(text) && is_blank(text))
    return bedrock_invalid(ret,
                           "The text field in the ContentBlock object at messages.%u.content.%u is blank. Add text to "
                           "the text field, and try again.",
                           turn->index, number);
  if (!json_is_none(turn->assistant ? json_find(block, "image") : use) || (turn->assistant && !json_is_none(document)))
    return bedrock_invalid(ret, "A block at messages.%u.content.%u is not allowed for the role of its message.",
                           turn->index, number);
  if (!json_is_none(use))
    return note_id(turn, turn->calls++, json_find(use, "toolUseId"), ret) &&
           check_name(json_find(use, "toolUseId"), "toolUse.toolUseId", ret) &&
           check_name(json_find(use, "name"), "toolUse.name", ret) &&
           (json_type(json_find(use, "input")) == JSON_OBJECT ||
            bedrock_invalid(ret,
                            "The format of the value at messages.%u.content.%u.toolUse.input is invalid. Provide a "
                            "json object for the field and try again.",
                            turn->index, number));
  if (!json_is_none(result))
    return note_id(turn, turn->results++, json_find(result, "toolUseId"), ret);
  return check_reasoning(reasoning, turn->index, number, ret) && check_document(document, ret);
}

/* --- turns --- */

static bool has_id(const Turn *turn, unsigned count, Json id) {
  for (unsigned i = 0; i < count; i++)
    if (text_equal(turn->ids[i].text, id.text))
      return true;
  return false;
}

static bool check_results(const Turn *before, const Turn *turn, Answer *ret) {
  unsigned asked = turn->index ? before->calls : 0;

  if (turn->results > asked)
    return bedrock_invalid(
        ret,
        "The number of toolResult blocks at messages.%u.content exceeds the number of toolUse blocks "
        "of previous turn.",
        turn->index);
  for (unsigned i = 0; i < asked; i++)
    if (!has_id(turn, turn->results, before->ids[i]))
      return bedrock_invalid(ret, "Expected toolResult blocks at messages.%u.content for the following Ids: %.*s",
                             turn->index, (int)before->ids[i].text.size - 2, before->ids[i].text.data + 1);
  return true;
}

static bool check_turn(Json message, const Turn *before, Turn *turn, Answer *ret) {
  JsonWalk walk = json_walk(json_find(message, "content"));
  unsigned number = 0;
  Json block;

  turn->assistant = json_string_is(json_find(message, "role"), "assistant");
  if (!turn->index && turn->assistant)
    return bedrock_invalid(ret,
                           "A conversation must start with a user message. Try again with a conversation that starts "
                           "with a user message.");
  if (turn->index && turn->assistant == before->assistant)
    return bedrock_invalid(ret,
                           "A conversation must alternate between user and assistant roles. Make sure the conversation "
                           "alternates between user and assistant roles and try again.");
  while (json_next_element(&walk, &block))
    if (!check_block(block, turn, number++, ret))
      return false;
  if (turn->documents && !turn->texts)
    return bedrock_invalid(ret, "A message with a document must have a text block too.");
  return check_results(before, turn, ret);
}

static bool check_turns(Json messages, bool has_tools, Answer *ret) {
  JsonWalk walk = json_walk(messages);
  Turn turns[2] = {{.index = 0}};
  unsigned index = 0;
  Json message;

  for (; json_next_element(&walk, &message); index++) {
    Turn *turn = &turns[index % 2];

    *turn = (Turn){.index = index};
    if (!check_turn(message, &turns[1 - index % 2], turn, ret))
      return false;
    if ((turn->calls || turn->results) && !has_tools)
      return bedrock_invalid(ret,
                             "The toolConfig field must be defined when using toolUse and toolResult content blocks.");
  }
  return true;
}

/* --- the rest --- */

static bool check_tools(Json config, Answer *ret) {
  JsonWalk walk = json_walk(json_find(config, "tools"));
  Json chosen = json_find(json_find(json_find(config, "toolChoice"), "tool"), "name"), tool;
  bool found = json_is_none(chosen);

  while (json_next_element(&walk, &tool)) {
    Json spec = json_find(tool, "toolSpec"), name = json_find(spec, "name");
    Json schema = json_find(json_find(spec, "inputSchema"), "json");

    if (json_is_none(spec))
      continue;
    if (!check_name(name, "toolConfig.tools.member.toolSpec.name", ret))
      return false;
    if (!json_string_is(json_find(schema, "type"), "object"))
      return bedrock_invalid(ret, "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the "
                                  "following: object.");
    found |= text_equal(name.text, chosen.text);
  }
  return found || bedrock_invalid(ret, "The tool that toolChoice names is not in toolConfig.tools.");
}

/* Claude's thinking comes in the fields that Bedrock hands on. */
static bool check_thinking(Json fields, Json inference, Json choice, BedrockAsk *ret_ask, Answer *ret) {
  Json thinking = json_find(fields, "thinking");
  uint64_t budget = 0;

  ret_ask->thinks = json_string_is(json_find(thinking, "type"), "enabled");
  if (!ret_ask->thinks)
    return true;
  if (json_get_uint(json_find(thinking, "budget_tokens"), &budget) != 0 || budget < THINKING_LEAST)
    return bedrock_invalid(ret,
                           "The model returned the following errors: thinking.enabled.budget_tokens: Input should be "
                           "greater than or equal to 1024");
  if (ret_ask->limit_tokens && budget >= ret_ask->limit_tokens)
    return bedrock_invalid(ret, "The model returned the following errors: `max_tokens` must be greater than "
                                "`thinking.budget_tokens`.");
  if (!json_is_none(json_find(inference, "temperature")))
    return bedrock_invalid(
        ret, "The model returned the following errors: `temperature` may only be set to 1 when thinking is "
             "enabled.");
  return json_is_none(choice) || !json_is_none(json_find(choice, "auto")) ||
         bedrock_invalid(ret,
                         "The model returned the following errors: Thinking may not be enabled when tool_choice forces "
                         "tool use.");
}

bool bedrock_check_converse(Json body, BedrockAsk *ret_ask, Answer *ret) {
  Json config = json_find(body, "toolConfig"), inference = json_find(body, "inferenceConfig");
  Json fields = json_find(body, "additionalModelRequestFields");

  *ret_ask = (BedrockAsk){.messages = json_find(body, "messages"),
                          .system = json_find(body, "system"),
                          .tools = json_find(config, "tools")};
  json_get_uint(json_find(inference, "maxTokens"), &ret_ask->limit_tokens);
  return check_turns(ret_ask->messages, !json_is_none(config), ret) &&
         (json_is_none(config) || check_tools(config, ret)) &&
         check_thinking(fields, inference, json_find(config, "toolChoice"), ret_ask, ret);
}
