/* What the tables of messages can't say: ranges, what excludes what, the order of turns. Gemini refuses with the field's path
   and no code of its own, so the words matter. */
#include <ctype.h>
#include <stdio.h>

#include "tests/mock-provider/gemini-internal.h"

/* A signature that the mock gave out, or the word that says that there is none. */
static const char SIGNED[] = "c2ln";
static const char SKIPPED[] = "skip_thought_signature_validator";

static bool is_new(Text model) {
  return model.size >= 8 && memcmp(model.data, "gemini-3", 8) == 0;
}

static bool is_empty(Json value) {
  JsonWalk walk = json_walk(value);
  Json first;

  if (json_type(value) == JSON_STRING)
    return value.text.size == 2;
  return json_is_none(value) ||
         ((json_type(value) == JSON_ARRAY || json_type(value) == JSON_OBJECT) && !json_next_element(&walk, &first));
}

/* --- contents --- */

typedef struct Turn {
  unsigned index;
  unsigned calls, responses, others; /* parts of each kind */
  bool model;
} Turn;

static bool check_signature(Json part, unsigned index, Answer *ret) {
  Json signature = gemini_find(part, "thoughtSignature");
  Text text = TEXT_NONE;

  if (json_is_none(signature))
    return true;
  json_get_plain(signature, &text);
  if (text_is(text, SKIPPED) || (text.size >= 4 && memcmp(text.data, SIGNED, 4) == 0))
    return true;
  return gemini_invalid(ret, "Corrupted thought signature in contents[%u].", index);
}

static bool check_data(Json part, Turn *turn, unsigned number, Answer *ret) {
  static const char *const KINDS[] = {"text", "inlineData", "fileData", "functionCall", "functionResponse"};
  const char *found = NULL;

  for (size_t i = 0; i < ELEMENTS(KINDS); i++) {
    if (json_is_none(gemini_find(part, KINDS[i])))
      continue;
    if (found)
      return gemini_invalid(ret,
                            "Invalid value at 'contents[%u].parts[%u]' (oneof), oneof field 'data' is already set. "
                            "Cannot set '%s'",
                            turn->index, number, KINDS[i]);
    found = KINDS[i];
    turn->calls += i == 3;
    turn->responses += i == 4;
    turn->others += i < 3;
  }
  return found || gemini_invalid(ret,
                                 "* GenerateContentRequest.contents[%u].parts[%u].data: required oneof field 'data' "
                                 "must have one initialized field\n",
                                 turn->index, number);
}

static bool check_inside(Json part, unsigned index, unsigned number, Answer *ret) {
  static const struct {
    const char *of, *field, *path;
  } NEEDED[] = {
      {"inlineData", "mimeType", "inline_data.mime_type"},
      {"inlineData", "data", "inline_data.data"},
      {"fileData", "fileUri", "file_data.file_uri"},
      {"functionCall", "name", "function_call.name"},
      {"functionResponse", "name", "function_response.name"},
      {"functionResponse", "response", "function_response.response"},
  };

  for (size_t i = 0; i < ELEMENTS(NEEDED); i++) {
    Json of = gemini_find(part, NEEDED[i].of), field = gemini_find(of, NEEDED[i].field);

    if (!json_is_none(of) && (json_type(field) == JSON_STRING ? is_empty(field) : json_is_none(field)))
      return gemini_invalid(ret, "* GenerateContentRequest.contents[%u].parts[%u].%s: must not be empty.\n", index,
                            number, NEEDED[i].path);
  }
  return true;
}

static bool check_parts(Json content, Turn *turn, Answer *ret) {
  Json parts = gemini_find(content, "parts"), part;
  JsonWalk walk = json_walk(parts);
  unsigned number = 0;

  if (is_empty(parts))
    return gemini_invalid(ret, "* GenerateContentRequest.contents[%u].parts: contents.parts must not be empty.\n",
                          turn->index);
  while (json_type(parts) == JSON_ARRAY && json_next_element(&walk, &part)) {
    if (!check_data(part, turn, number, ret) || !check_inside(part, turn->index, number, ret) ||
        !check_signature(part, turn->index, ret))
      return false;
    number++;
  }
  return true;
}

static bool check_order(const Turn *before, const Turn *turn, Answer *ret) {
  if (turn->calls && (!turn->model || !turn->index || before->model))
    return gemini_invalid(ret, "Please ensure that function call turn comes immediately after a user turn or after a "
                               "function response turn.");
  if (turn->responses && (turn->model || !turn->index || !before->calls))
    return gemini_invalid(ret,
                          "Please ensure that function response turn comes immediately after a function call turn.");
  if (turn->responses != (turn->index ? before->calls : 0))
    return gemini_invalid(ret, "Please ensure that the number of function response parts is equal to the number of "
                               "function call parts of the function call turn.");
  return true;
}

/* The names of the calls of one turn and of their responses, in order. */
static bool check_names(Json calls, Json responses, Answer *ret) {
  JsonWalk to = json_walk(gemini_find(calls, "parts")), from = json_walk(gemini_find(responses, "parts"));
  Json call, response;

  while (json_next_element(&from, &response)) {
    Json answered = gemini_find(response, "functionResponse"), asked = {TEXT_NONE};

    while (!json_is_none(answered) && json_is_none(asked) && json_next_element(&to, &call))
      asked = gemini_find(call, "functionCall");
    if (!json_is_none(answered) && (!text_equal(gemini_find(asked, "name").text, gemini_find(answered, "name").text) ||
                                    !text_equal(gemini_find(asked, "id").text, gemini_find(answered, "id").text)))
      return gemini_invalid(ret,
                            "Please ensure that function response parts have the names and ids of the function call "
                            "parts of the function call turn.");
  }
  return true;
}

static bool check_content(Json content, Turn *turn, Answer *ret) {
  Json role = gemini_find(content, "role");

  turn->model = json_string_is(role, "model");
  if (!turn->model && !json_is_none(role) && !json_string_is(role, "user"))
    return gemini_invalid(ret, "Please use a valid role: user, model.");
  return check_parts(content, turn, ret);
}

/* Since the last words of the user each turn that calls functions must show a signature, in its first call. */
static bool check_signatures(Json contents, unsigned after, Answer *ret) {
  JsonWalk walk = json_walk(contents);
  Json content, part;

  for (unsigned index = 0; json_next_element(&walk, &content); index++) {
    JsonWalk parts = json_walk(gemini_find(content, "parts"));

    while (index > after && json_next_element(&parts, &part)) {
      Json call = gemini_find(part, "functionCall");

      if (json_is_none(call))
        continue;
      if (json_is_none(gemini_find(part, "thoughtSignature")))
        return gemini_invalid(ret,
                              "Function call is missing a thought_signature in functionCall parts. This is required "
                              "for tools to work correctly, and missing thought_signature may lead to degraded model "
                              "performance. Additional data, function call %.*s, position %u.",
                              TEXT_ARG(gemini_find(call, "name").text), index);
      break;
    }
  }
  return true;
}

static bool check_contents(Json contents, Text model, Answer *ret) {
  JsonWalk walk = json_walk(contents);
  Json content, last = {TEXT_NONE};
  Turn before = {0}, turn = {0};
  unsigned spoken = 0;

  if (is_empty(contents) || json_type(contents) != JSON_ARRAY)
    return gemini_invalid(ret, "* GenerateContentRequest.contents: contents is not specified\n");
  for (unsigned index = 0; json_next_element(&walk, &content); index++) {
    turn = (Turn){.index = index};
    if (!check_content(content, &turn, ret) || !check_order(&before, &turn, ret) ||
        (turn.responses && !check_names(last, content, ret)))
      return false;
    spoken = !turn.model && turn.others ? index : spoken;
    before = turn;
    last = content;
  }
  if (turn.calls)
    return gemini_invalid(ret,
                          "Please ensure that function response turn comes immediately after a function call turn.");
  return !is_new(model) || check_signatures(contents, spoken, ret);
}

/* --- schemas --- */

static bool check_schema(Json schema, const char *path, Answer *ret);

static bool bad_schema(Answer *ret, const char *path, const char *what) {
  return gemini_invalid(ret, "* GenerateContentRequest.%s.%s\n", path, what);
}

static bool check_required(Json schema, const char *path, Answer *ret) {
  JsonWalk walk = json_walk(gemini_find(schema, "required"));
  Json name;

  while (json_next_element(&walk, &name)) {
    JsonWalk properties = json_walk(gemini_find(schema, "properties"));
    Json key = {TEXT_NONE}, value;
    bool found = false;

    while (!found && json_next_member(&properties, &key, &value))
      found = text_equal(key.text, name.text);
    if (!found)
      return bad_schema(ret, path, "required[0]: property is not defined");
  }
  return true;
}

static bool check_below(Json schema, const char *path, Answer *ret) {
  JsonWalk properties = json_walk(gemini_find(schema, "properties")), any = json_walk(gemini_find(schema, "anyOf"));
  Json key, value, items = gemini_find(schema, "items");
  char below[160];

  while (json_next_member(&properties, &key, &value)) {
    snprintf(below, sizeof below, "%.80s.properties[%.*s]", path, key.text.size > 60 ? 60 : (int)key.text.size - 2,
             key.text.data + 1);
    if (!check_schema(value, below, ret))
      return false;
  }
  snprintf(below, sizeof below, "%.80s.any_of[0]", path);
  while (json_next_element(&any, &value))
    if (!check_schema(value, below, ret))
      return false;
  snprintf(below, sizeof below, "%.80s.items", path);
  return json_is_none(items) || check_schema(items, below, ret);
}

static bool check_schema(Json schema, const char *path, Answer *ret) {
  Json type = gemini_find(schema, "type"), format = gemini_find(schema, "format"), words = gemini_find(schema, "enum");
  bool is_text = json_string_is(type, "STRING");

  if (json_is_none(type) && json_is_none(gemini_find(schema, "anyOf")))
    return bad_schema(ret, path, "type: must be specified");
  if (json_string_is(type, "ARRAY") && json_is_none(gemini_find(schema, "items")))
    return bad_schema(ret, path, "items: missing field.");
  if (json_string_is(type, "OBJECT") && is_empty(gemini_find(schema, "properties")))
    return bad_schema(ret, path, "properties: should be non-empty for OBJECT type");
  if (!json_is_none(words) && !is_text)
    return bad_schema(ret, path, "enum: only allowed for STRING type");
  if (is_text && !json_is_none(format) && !json_string_is(format, "enum") && !json_string_is(format, "date-time"))
    return bad_schema(ret, path, "format: only 'enum' and 'date-time' are supported for STRING type");
  return check_required(schema, path, ret) && check_below(schema, path, ret);
}

/* --- tools --- */

static bool is_function_name(Text name) {
  if (!name.size || name.size > 64 || !(isalpha((unsigned char)name.data[0]) || name.data[0] == '_'))
    return false;
  for (size_t i = 0; i < name.size; i++)
    if (!isalnum((unsigned char)name.data[i]) && !strchr("_.:-", name.data[i]))
      return false;
  return true;
}

static bool check_declaration(Json declaration, Answer *ret) {
  static const char PATH[] = "tools[0].function_declarations[0]";
  Json parameters = gemini_find(declaration, "parameters");
  Text name = TEXT_NONE;
  char path[64];

  json_get_plain(gemini_find(declaration, "name"), &name);
  if (!is_function_name(name))
    return gemini_invalid(ret,
                          "* GenerateContentRequest.%s.name: Invalid function name. Must start with a letter or an "
                          "underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or "
                          "dashes (-), with a maximum length of 64.\n",
                          PATH);
  if (json_is_none(parameters))
    return true;
  if (!json_is_none(gemini_find(declaration, "parametersJsonSchema")))
    return bad_schema(ret, PATH, "parameters: can't be set together with parameters_json_schema");
  snprintf(path, sizeof path, "%s.parameters", PATH);
  return check_schema(parameters, path, ret);
}

static bool check_tools(Json tools, Answer *ret) {
  JsonWalk walk = json_walk(tools);
  Json tool, one, other;

  while (json_type(tools) == JSON_ARRAY && json_next_element(&walk, &tool)) {
    JsonWalk first = json_walk(gemini_find(tool, "functionDeclarations")), second;

    while (json_next_element(&first, &one)) {
      if (!check_declaration(one, ret))
        return false;
      second = first;
      while (json_next_element(&second, &other))
        if (text_equal(gemini_find(one, "name").text, gemini_find(other, "name").text))
          return gemini_invalid(ret, "Duplicate function declaration found: %.*s",
                                TEXT_ARG(gemini_find(one, "name").text));
    }
  }
  return true;
}

static bool check_tool_config(Json body, Answer *ret) {
  Json config = gemini_find(gemini_find(body, "toolConfig"), "functionCallingConfig");
  Json mode = gemini_find(config, "mode");

  if (!is_empty(gemini_find(config, "allowedFunctionNames")) && !json_string_is(mode, "ANY") &&
      !json_string_is(mode, "VALIDATED"))
    return gemini_invalid(ret,
                          "Function calling config is set without function_declarations or with a mode that is not "
                          "ANY: allowed_function_names should only be set when the mode is ANY.");
  if (json_string_is(mode, "ANY") && is_empty(gemini_find(body, "tools")))
    return gemini_invalid(ret, "Function calling config is set without function_declarations.");
  return true;
}

/* --- generationConfig --- */

static bool check_ranges(Json config, Answer *ret) {
  static const struct {
    const char *name, *path;
    double least, most;
  } RANGES[] = {
      {"temperature", "temperature", 0, 2},
      {"topP", "top_p", 0, 1},
      {"topK", "top_k", 1, 1e6},
      {"candidateCount", "candidate_count", 1, 8},
      {"maxOutputTokens", "max_output_tokens", 1, 65536},
      {"presencePenalty", "presence_penalty", -2, 1.99999},
      {"frequencyPenalty", "frequency_penalty", -2, 1.99999},
      {"logprobs", "logprobs", 0, 20},
  };
  double number;

  for (size_t i = 0; i < ELEMENTS(RANGES); i++)
    if (json_get_real(gemini_find(config, RANGES[i].name), &number) == 0 &&
        (number < RANGES[i].least || number > RANGES[i].most))
      return gemini_invalid(ret, "* GenerateContentRequest.generation_config.%s: %s must be in the range [%g, %g].\n",
                            RANGES[i].path, RANGES[i].path, RANGES[i].least, RANGES[i].most);
  return true;
}

static bool check_format(Json body, Json config, Text model, Answer *ret) {
  Json type = gemini_find(config, "responseMimeType"), schema = gemini_find(config, "responseSchema");
  bool is_json = json_string_is(type, "application/json");

  if (!json_is_none(type) && !is_json && !json_string_is(type, "text/plain") && !json_string_is(type, "text/x.enum"))
    return gemini_invalid(ret, "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are "
                               "`text/plain`, `application/json`, `application/xml`, `application/yaml` and "
                               "`text/x.enum`.\n");
  if ((!json_is_none(schema) || !json_is_none(gemini_find(config, "responseJsonSchema"))) && !is_json &&
      !json_string_is(type, "text/x.enum"))
    return gemini_invalid(ret, "* GenerateContentRequest.generation_config.response_schema: only allowed when "
                               "response_mime_type is `application/json` or `text/x.enum`.\n");
  if (is_json && !is_empty(gemini_find(body, "tools")) && !is_new(model))
    return gemini_invalid(ret, "Function calling with a response mime type: 'application/json' is unsupported");
  return json_is_none(schema) || check_schema(schema, "generation_config.response_schema", ret);
}

static bool check_thinking(Json config, Text model, Answer *ret) {
  Json thinking = gemini_find(config, "thinkingConfig");
  bool level = !json_is_none(gemini_find(thinking, "thinkingLevel"));

  if (level && !json_is_none(gemini_find(thinking, "thinkingBudget")))
    return gemini_invalid(ret, "You can only set only one of thinking budget and thinking level.");
  if (level && !is_new(model))
    return gemini_invalid(ret, "Thinking level is not supported for this model.");
  return true;
}

static bool check_stops(Json config, Answer *ret) {
  JsonWalk walk = json_walk(gemini_find(config, "stopSequences"));
  unsigned count = 0;
  Json stop;

  while (json_next_element(&walk, &stop)) {
    if (is_empty(stop))
      return gemini_invalid(ret, "* GenerateContentRequest.generation_config.stop_sequences[%u]: must not be empty.\n",
                            count);
    count++;
  }
  return count <= 5 || gemini_invalid(ret, "The number of stop sequences must be in the range [0, 5].");
}

/* --- all of it --- */

bool gemini_check_generate(const Ask *ask, Json body, GeminiAsk *ret_ask, Answer *ret) {
  Json config = gemini_find(body, "generationConfig"), system = gemini_find(body, "systemInstruction");
  Json calling = gemini_find(gemini_find(body, "toolConfig"), "functionCallingConfig");
  Turn turn = {0};

  if (!gemini_check_fields(ask, GEMINI_GENERATE, body, ret))
    return false;
  ret_ask->contents = gemini_find(body, "contents");
  ret_ask->tools = gemini_find(body, "tools");
  ret_ask->no_calls = json_string_is(gemini_find(calling, "mode"), "NONE");
  ret_ask->choices = 1;
  if (!check_contents(ret_ask->contents, ret_ask->model, ret) || !check_ranges(config, ret) ||
      !check_stops(config, ret) || !check_thinking(config, ret_ask->model, ret) || !check_tools(ret_ask->tools, ret) ||
      !check_tool_config(body, ret) || !check_format(body, config, ret_ask->model, ret) ||
      (!json_is_none(system) && !check_parts(system, &turn, ret)))
    return false;
  json_get_uint(gemini_find(config, "candidateCount"), &ret_ask->choices);
  json_get_uint(gemini_find(config, "maxOutputTokens"), &ret_ask->limit_tokens);
  return true;
}

bool gemini_check_embed(Json request, Text model, bool named, Answer *ret) {
  Json name = gemini_find(request, "model"), title = gemini_find(request, "title");
  Turn turn = {0};
  Text text = TEXT_NONE;
  uint64_t size = 1;

  json_get_plain(name, &text);
  if ((named || !json_is_none(name)) && (text.size != model.size + 7 || memcmp(text.data, "models/", 7) != 0 ||
                                         memcmp(text.data + 7, model.data, model.size) != 0))
    return gemini_invalid(ret,
                          "* EmbedContentRequest.model: unexpected model name format, or not the model of the URL\n");
  if (is_empty(gemini_find(gemini_find(request, "content"), "parts")))
    return gemini_invalid(ret, "* EmbedContentRequest.content: contents is not specified\n");
  if (!json_is_none(title) && !json_string_is(gemini_find(request, "taskType"), "RETRIEVAL_DOCUMENT"))
    return gemini_invalid(ret, "The `title` parameter is only supported when the task type is RETRIEVAL_DOCUMENT.");
  json_get_uint(gemini_find(request, "outputDimensionality"), &size);
  if (size < 1 || size > 3072)
    return gemini_invalid(ret, "* EmbedContentRequest.output_dimensionality: must be in the range [1, 3072].\n");
  return check_parts(gemini_find(request, "content"), &turn, ret);
}
