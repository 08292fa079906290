/* A chat request. What Gemini has no word for is refused by ask; what it has is written in the order of its reference. */
#include "adapters/gemini/contents.h"
#include "adapters/gemini/gemini-internal.h"
#include "adapters/gemini/schema.h"

static const char *const own[] = {"safetySettings", "cachedContent", NULL};

const AskTable gemini_table = {
    .members =
        {
            [ASK_model] = ASK_MAPPED,
            [ASK_messages] = ASK_MAPPED,
            [ASK_audio] = ASK_REFUSED,
            [ASK_frequency_penalty] = ASK_MAPPED,
            [ASK_function_call] = ASK_REFUSED,
            [ASK_functions] = ASK_REFUSED,
            [ASK_logit_bias] = ASK_REFUSED,
            [ASK_logprobs] = ASK_REFUSED,
            [ASK_max_completion_tokens] = ASK_MAPPED,
            [ASK_max_tokens] = ASK_MAPPED,
            [ASK_metadata] = ASK_DROPPED,
            [ASK_modalities] = ASK_REFUSED,
            [ASK_n] = ASK_REFUSED,
            [ASK_parallel_tool_calls] = ASK_REFUSED,
            [ASK_prediction] = ASK_DROPPED,
            [ASK_presence_penalty] = ASK_MAPPED,
            [ASK_prompt_cache_key] = ASK_DROPPED,
            [ASK_prompt_cache_retention] = ASK_DROPPED,
            [ASK_reasoning_effort] = ASK_MAPPED,
            [ASK_response_format] = ASK_MAPPED,
            [ASK_safety_identifier] = ASK_DROPPED,
            [ASK_seed] = ASK_MAPPED,
            [ASK_service_tier] = ASK_DROPPED,
            [ASK_stop] = ASK_MAPPED,
            [ASK_store] = ASK_DROPPED,
            [ASK_stream] = ASK_MAPPED,
            [ASK_stream_options] = ASK_MAPPED,
            [ASK_temperature] = ASK_MAPPED,
            [ASK_tool_choice] = ASK_MAPPED,
            [ASK_tools] = ASK_MAPPED,
            [ASK_top_logprobs] = ASK_REFUSED,
            [ASK_top_p] = ASK_MAPPED,
            [ASK_user] = ASK_DROPPED,
            [ASK_verbosity] = ASK_DROPPED,
            [ASK_web_search_options] = ASK_REFUSED,
            [ASK_fallbacks] = ASK_DROPPED,
        },
    .parts =
        {
            [ASK_PART_text] = ASK_MAPPED,
            [ASK_PART_image] = ASK_MAPPED,
            [ASK_PART_audio] = ASK_MAPPED,
            [ASK_PART_file] = ASK_MAPPED,
            [ASK_PART_refusal] = ASK_MAPPED,
        },
    .own = own,
};

/* --- the path --- */

void gemini_put_path(Text model, const char *method, Buffer *out) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

  buffer_printf(out, "/models/");
  for (size_t i = 0; i < model.size; i++) {
    char c = model.data[i];

    if (c != '\0' && strchr(plain, c))
      buffer_append(out, &c, 1);
    else
      buffer_printf(out, "%%%02X", (unsigned)(unsigned char)c);
  }
  buffer_printf(out, ":%s", method);
}

int gemini_major(Text model) {
  static const char begin[] = "gemini-";
  int major = 0;

  if (model.size < sizeof begin || memcmp(model.data, begin, sizeof begin - 1) != 0)
    return 0;
  for (size_t i = sizeof begin - 1; i < model.size && model.data[i] >= '0' && model.data[i] <= '9' && major < 100; i++)
    major = major * 10 + (model.data[i] - '0');
  return major;
}

/* --- tools --- */

static bool is_empty(Json object) {
  JsonWalk walk = json_walk(object);
  Json key, value;

  return json_is_none(object) || (json_type(object) == JSON_OBJECT && !json_next_member(&walk, &key, &value));
}

/* Whether a function takes nothing: Gemini wants no schema then. */
static bool takes_nothing(Json parameters) {
  static const char *const more[] = {"$ref", "anyOf", "oneOf", "allOf", "patternProperties"};
  Json additional = json_find(parameters, "additionalProperties");

  for (size_t i = 0; i < ELEMENTS(more); i++)
    if (!json_is_none(json_find(parameters, more[i])))
      return false;
  return is_empty(json_find(parameters, "properties")) &&
         (json_is_none(additional) || text_is(additional.text, "false"));
}

/* A schema under the name for Gemini's own words, or as it is under the name for those of JSON Schema. */
static void put_schema(Json schema, const char *words, const char *as_it_is, Buffer *out) {
  size_t before = out->size;

  buffer_printf(out, ",\"%s\":", words);
  if (gemini_put_schema(schema, out))
    return;
  out->size = before;
  buffer_printf(out, ",\"%s\":", as_it_is);
  buffer_append(out, schema.text.data, schema.text.size);
}

static void put_tool(const AskTool *tool, Buffer *out) {
  buffer_printf(out, "{\"name\":");
  buffer_append(out, tool->name.text.data, tool->name.text.size);
  if (!json_is_none(tool->description)) {
    buffer_printf(out, ",\"description\":");
    buffer_append(out, tool->description.text.data, tool->description.text.size);
  }
  if (!takes_nothing(tool->parameters))
    put_schema(tool->parameters, "parameters", "parametersJsonSchema", out);
  buffer_append(out, "}", 1);
}

static bool put_tools(const AskChat *ask, Buffer *out) {
  JsonWalk walk = json_walk(ask->members[ASK_tools]);
  bool any = false;
  AskTool tool;

  for (; ask_next_tool(&walk, &tool); any = true) {
    buffer_printf(out, any ? "," : ",\"tools\":[{\"functionDeclarations\":[");
    put_tool(&tool, out);
  }
  buffer_printf(out, any ? "]}]" : "");
  return any;
}

static void put_choice(const AskChat *ask, Buffer *out) {
  static const char *const modes[] = {[ASK_CHOICE_AUTO] = "AUTO",
                                      [ASK_CHOICE_NONE] = "NONE",
                                      [ASK_CHOICE_REQUIRED] = "ANY",
                                      [ASK_CHOICE_NAMED] = "ANY"};
  Json name;
  AskChoice choice = ask_tool_choice(ask, &name);

  if (choice == ASK_CHOICE_NONE_SAID)
    return;
  buffer_printf(out, ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"%s\"", modes[choice]);
  if (choice == ASK_CHOICE_NAMED)
    buffer_printf(out, ",\"allowedFunctionNames\":[%.*s]", TEXT_ARG(name.text));
  buffer_printf(out, "}}");
}

/* --- generationConfig --- */

/* ",name":value; the first comma is taken off at the end. */
static void put_member(const char *name, Text value, Buffer *out) {
  buffer_printf(out, ",\"%s\":", name);
  buffer_append(out, value.data, value.size);
}

static void put_numbers(const AskChat *ask, Buffer *out) {
  static const struct {
    AskMember member;
    const char *name;
  } rows[] = {{ASK_temperature, "temperature"},
              {ASK_top_p, "topP"},
              {ASK_presence_penalty, "presencePenalty"},
              {ASK_frequency_penalty, "frequencyPenalty"}};
  uint64_t tokens = ask_max_tokens(ask), seed = 0;

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (!json_is_none(ask->members[rows[i].member]))
      put_member(rows[i].name, ask->members[rows[i].member].text, out);
  if (tokens > 0)
    buffer_printf(out, ",\"maxOutputTokens\":%llu", (unsigned long long)tokens);
  /* Its seeds have 31 bits; the same seed stays the same. */
  if (json_get_uint(ask->members[ASK_seed], &seed) == 0)
    buffer_printf(out, ",\"seed\":%llu", (unsigned long long)(seed & INT32_MAX));
  else if (!json_is_none(ask->members[ASK_seed]))
    put_member("seed", ask->members[ASK_seed].text, out);
}

static void put_format(const AskChat *ask, Buffer *out) {
  Json schema, name;
  AskFormat format = ask_format(ask, &schema, &name);

  if (format == ASK_FORMAT_TEXT)
    return;
  buffer_printf(out, ",\"responseMimeType\":\"application/json\"");
  if (format == ASK_FORMAT_SCHEMA)
    put_schema(schema, "responseSchema", "responseJsonSchema", out);
}

/* Generations before the third count the tokens of a thought, later ones have words. Whoever asks for thinking is shown what was
   thought. */
static void put_thinking(const AskChat *ask, int major, Buffer *out) {
  static const struct {
    unsigned tokens;
    const char *word;
  } rows[] = {[ASK_EFFORT_NONE] = {0, "MINIMAL"},  [ASK_EFFORT_MINIMAL] = {1024, "MINIMAL"},
              [ASK_EFFORT_LOW] = {1024, "LOW"},    [ASK_EFFORT_MEDIUM] = {8192, "MEDIUM"},
              [ASK_EFFORT_HIGH] = {24576, "HIGH"}, [ASK_EFFORT_XHIGH] = {24576, "HIGH"}};
  AskEffort effort = ask_effort(ask);

  if (effort == ASK_EFFORT_NONE_SAID)
    return;
  if (major >= 3)
    buffer_printf(out, ",\"thinkingConfig\":{\"thinkingLevel\":\"%s\"", rows[effort].word);
  else
    buffer_printf(out, ",\"thinkingConfig\":{\"thinkingBudget\":%u", rows[effort].tokens);
  buffer_printf(out, effort == ASK_EFFORT_NONE ? "}" : ",\"includeThoughts\":true}");
}

static void put_config(const AskChat *ask, int major, Buffer *out) {
  _cleanup_(buffer_done) Buffer config = {0};

  put_numbers(ask, &config);
  if (!json_is_none(ask->members[ASK_stop])) {
    buffer_printf(&config, ",\"stopSequences\":");
    ask_put_stop(ask, &config);
  }
  put_format(ask, &config);
  put_thinking(ask, major, &config);
  if (config.size == 0)
    return;
  config.data[0] = '{';
  buffer_append(&config, "}", 1);
  put_member("generationConfig", (Text){(const char *)config.data, config.size}, out);
}

/* --- all of it --- */

static int put_body(const AskChat *ask, int major, Buffer *out, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer system = {0};

  buffer_printf(out, "{\"contents\":");
  if (!gemini_put_contents(ask, major, out, &system))
    return dialect_fault_caller(ret_fault, "messages", "%s wants a message with contents that is not the system's",
                                ask->about);
  if (system.size > 0)
    put_member("systemInstruction", (Text){(const char *)system.data, system.size}, out);
  if (put_tools(ask, out))
    put_choice(ask, out);
  put_config(ask, major, out);
  ask_put_own(ask, out);
  buffer_append(out, "}", 1);
  return 0;
}

int gemini_encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  Text model = ret->asked.model;
  AskChat ask;
  int r = ask_read(request, &gemini_table, "Gemini's API", &ask, ret_fault);

  if (r != 0)
    return r;
  ret->asked.streams = ask_streams(&ask);
  ret->asked.hides_usage = !ask_wants_usage(&ask);
  gemini_put_path(model, ret->asked.streams ? "streamGenerateContent?alt=sse" : "generateContent", &ret->path);
  return put_body(&ask, gemini_major(model), &ret->body, ret_fault);
}
