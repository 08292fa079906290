/* A chat request. What Gemini has no word for is refused by ask; what it has is written in the order of its reference. */
#include "adapters/gemini/contents.h"
#include "adapters/gemini/gemini-internal.h"
#include "adapters/gemini/gemini.h"
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
  buffer_put(out, TEXT("/models/"));
  dialect_put_segment(out, model);
  buffer_put(out, TEXT(":"));
  buffer_put(out, text_of(method));
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
  enum { PROPERTIES, ADDITIONAL, ANY, REF = ANY, ANY_OF, ONE_OF, ALL_OF, PATTERNS, COUNT };
  static const char *const names[] = {[PROPERTIES] = "properties",
                                      [ADDITIONAL] = "additionalProperties",
                                      [REF] = "$ref",
                                      [ANY_OF] = "anyOf",
                                      [ONE_OF] = "oneOf",
                                      [ALL_OF] = "allOf",
                                      [PATTERNS] = "patternProperties"};
  Json found[COUNT];

  json_find_each(parameters, names, COUNT, found);
  for (size_t i = ANY; i < COUNT; i++)
    if (!json_is_none(found[i]))
      return false;
  return is_empty(found[PROPERTIES]) && (json_is_none(found[ADDITIONAL]) || text_is(found[ADDITIONAL].text, "false"));
}

/* A schema under the name for Gemini's own words, or as it is under the name for those of JSON Schema. */
static void put_schema(Json schema, const char *words, const char *as_it_is, Buffer *out) {
  size_t before = out->size;

  json_put_key(out, words);
  if (gemini_put_schema(schema, out))
    return;
  out->size = before;
  json_put_member(out, as_it_is, schema);
}

static void put_tool(const AskTool *tool, Buffer *out) {
  buffer_put(out, TEXT("{"));
  json_put_member(out, "name", tool->name);
  json_put_member(out, "description", tool->description);
  if (!takes_nothing(tool->parameters))
    put_schema(tool->parameters, "parameters", "parametersJsonSchema", out);
  buffer_put(out, TEXT("}"));
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
  json_put_key(out, "toolConfig");
  buffer_printf(out, "{\"functionCallingConfig\":{\"mode\":\"%s\"", modes[choice]);
  if (choice == ASK_CHOICE_NAMED) {
    json_put_key(out, "allowedFunctionNames");
    buffer_put(out, TEXT("["));
    buffer_put(out, name.text);
    buffer_put(out, TEXT("]"));
  }
  buffer_put(out, TEXT("}}"));
}

static void put_tools(const AskChat *ask, Buffer *out) {
  JsonWalk walk = json_walk(ask->members[ASK_tools]);
  AskTool tool;

  if (!ask_has_tools(ask))
    return;
  json_put_key(out, "tools");
  buffer_put(out, TEXT("[{\"functionDeclarations\":["));
  while (ask_next_tool(&walk, &tool)) {
    json_put_comma(out);
    put_tool(&tool, out);
  }
  buffer_put(out, TEXT("]}]"));
  put_choice(ask, out);
}

/* --- generationConfig --- */

/* Its seeds have 31 bits; the same seed stays the same. */
static void put_seed(const AskChat *ask, Buffer *out) {
  uint64_t seed;

  if (json_get_uint(ask->members[ASK_seed], &seed) != 0) {
    json_put_member(out, "seed", ask->members[ASK_seed]);
    return;
  }
  json_put_key(out, "seed");
  json_put_uint(out, seed & INT32_MAX);
}

static void put_format(const AskChat *ask, Buffer *out) {
  Json schema, name;
  AskFormat format = ask_format(ask, &schema, &name);

  if (format == ASK_FORMAT_TEXT)
    return;
  json_put_member(out, "responseMimeType", (Json){TEXT("\"application/json\"")});
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
  json_put_key(out, "thinkingConfig");
  if (major >= 3)
    buffer_printf(out, "{\"thinkingLevel\":\"%s\"", rows[effort].word);
  else
    buffer_printf(out, "{\"thinkingBudget\":%u", rows[effort].tokens);
  buffer_put(out, effort == ASK_EFFORT_NONE ? TEXT("}") : TEXT(",\"includeThoughts\":true}"));
}

static void put_config(const AskChat *ask, int major, Buffer *out) {
  static const AskName names[] = {{ASK_temperature, "temperature"},
                                  {ASK_top_p, "topP"},
                                  {ASK_presence_penalty, "presencePenalty"},
                                  {ASK_frequency_penalty, "frequencyPenalty"}};
  size_t before = out->size, begun;

  json_put_key(out, "generationConfig");
  buffer_put(out, TEXT("{"));
  begun = out->size;
  ask_put_members(ask, names, ELEMENTS(names), out);
  ask_put_max_tokens(ask, "maxOutputTokens", out);
  put_seed(ask, out);
  ask_put_stop(ask, "stopSequences", out);
  put_format(ask, out);
  put_thinking(ask, major, out);
  if (out->size > begun)
    buffer_put(out, TEXT("}"));
  else
    out->size = before;
}

/* --- all of it --- */

static int put_body(const AskChat *ask, int major, Buffer *out, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer system = {0};

  buffer_put(out, TEXT("{\"contents\":"));
  if (!gemini_put_contents(ask, major, out, &system))
    return dialect_fault_caller(ret_fault, "messages", "%s wants a message with contents that is not the system's",
                                ask->about);
  if (system.size > 0) {
    json_put_key(out, "systemInstruction");
    buffer_put(out, TEXT("{\"parts\":["));
    buffer_put(out, buffer_text(&system));
    buffer_put(out, TEXT("]}"));
  }
  put_tools(ask, out);
  put_config(ask, major, out);
  ask_put_own(ask, NULL, out);
  buffer_put(out, TEXT("}"));
  return 0;
}

int gemini_encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  Text model = ret->asked.model;
  AskChat ask;
  int r = dialect_read_chat(request, &gemini_table, gemini_dialect.about, ret, &ask, ret_fault);

  if (r != 0)
    return r;
  gemini_put_path(model, ret->asked.streams ? "streamGenerateContent?alt=sse" : "generateContent", &ret->path);
  return put_body(&ask, gemini_major(model), &ret->body, ret_fault);
}
