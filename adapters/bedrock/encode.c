/* Converse has one shape for all models, with places of their own for what only some can: how long one of them thinks is said in
   the words of whose model it is. */
#include "adapters/anthropic/model.h"
#include "adapters/bedrock/bedrock-internal.h"
#include "adapters/bedrock/sigv4.h"

const char bedrock_about[] = "Bedrock's API";

static const char fields_name[] = "additionalModelRequestFields";
static const char *const own[] = {
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    NULL,
};

const AskTable bedrock_table = {
    .members = {[ASK_model] = ASK_MAPPED,
                [ASK_messages] = ASK_MAPPED,
                [ASK_audio] = ASK_REFUSED,
                [ASK_frequency_penalty] = ASK_REFUSED,
                [ASK_function_call] = ASK_REFUSED,
                [ASK_functions] = ASK_REFUSED,
                [ASK_logit_bias] = ASK_REFUSED,
                [ASK_logprobs] = ASK_REFUSED,
                [ASK_max_completion_tokens] = ASK_MAPPED,
                [ASK_max_tokens] = ASK_MAPPED,
                [ASK_metadata] = ASK_MAPPED,
                [ASK_modalities] = ASK_REFUSED,
                [ASK_n] = ASK_REFUSED,
                [ASK_parallel_tool_calls] = ASK_REFUSED,
                [ASK_prediction] = ASK_DROPPED,
                [ASK_presence_penalty] = ASK_REFUSED,
                [ASK_prompt_cache_key] = ASK_DROPPED,
                [ASK_prompt_cache_retention] = ASK_DROPPED,
                [ASK_reasoning_effort] = ASK_MAPPED,
                [ASK_response_format] = ASK_MAPPED,
                [ASK_safety_identifier] = ASK_DROPPED,
                [ASK_seed] = ASK_DROPPED,
                [ASK_service_tier] = ASK_MAPPED,
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
                [ASK_fallbacks] = ASK_DROPPED},
    .parts = {[ASK_PART_text] = ASK_MAPPED,
              [ASK_PART_image] = ASK_MAPPED,
              [ASK_PART_audio] = ASK_REFUSED,
              [ASK_PART_file] = ASK_MAPPED,
              [ASK_PART_refusal] = ASK_MAPPED},
    .own = own,
};

/* What is worked out once for a request. */
typedef struct Plan {
  const AskChat *ask;
  Text model;
  bool is_claude;
  ModelTraits traits;     /* Claude's */
  bool has_calls;         /* messages call tools or tell of their results */
  bool thinks;            /* Claude does: with a budget, or as much as it finds right */
  uint64_t budget_tokens; /* 0: as much as it finds right */
} Plan;

static void put(Buffer *out, Text text) {
  buffer_append(out, text.data, text.size);
}

static bool contains(Text text, const char *word) {
  return memmem(text.data, text.size, word, strlen(word)) != NULL;
}

/* --- thinking --- */

static uint64_t budget_of(AskEffort effort) {
  static const uint64_t budgets[] = {
      [ASK_EFFORT_MINIMAL] = 1024, [ASK_EFFORT_LOW] = 2048,    [ASK_EFFORT_MEDIUM] = 8192,
      [ASK_EFFORT_HIGH] = 16384,   [ASK_EFFORT_XHIGH] = 32768,
  };

  return budgets[effort];
}

/* Claude goes on thinking only where it has its thoughts before each of its calls. */
static void read_turns(const AskChat *ask, bool *ret_has_calls, bool *ret_lacks_thoughts) {
  AskMessages messages = ask_messages(ask);
  AskMessage message;

  *ret_has_calls = *ret_lacks_thoughts = false;
  while (ask_next_message(&messages, &message)) {
    bool calls = json_type(message.calls) == JSON_ARRAY && messages.count > 0;

    *ret_has_calls |= calls || message.role == ASK_TOOL;
    *ret_lacks_thoughts |= calls && json_type(json_find(message.whole, BEDROCK_THOUGHTS)) != JSON_ARRAY;
  }
}

/* With a tool that must be called Claude can't think. Its budget counts in the longest answer and is at least 1,024. */
static void plan_thinking(Plan *plan, bool lacks_thoughts) {
  enum { LEAST = 1024 };
  uint64_t limit = ask_max_tokens(plan->ask);
  Json name;
  AskChoice choice = ask_tool_choice(plan->ask, &name);
  AskEffort effort = ask_effort(plan->ask);

  plan->traits = model_traits(plan->model);
  plan->thinks =
      effort > ASK_EFFORT_NONE && !lacks_thoughts && choice != ASK_CHOICE_REQUIRED && choice != ASK_CHOICE_NAMED;
  if (!plan->thinks || !plan->traits.budgets)
    return;
  plan->budget_tokens = budget_of(effort);
  if (limit > 0 && plan->budget_tokens >= limit)
    plan->budget_tokens = limit - 1;
  plan->thinks = plan->budget_tokens >= LEAST;
}

static Plan plan_of(const AskChat *ask, Text model) {
  Plan plan = {.ask = ask, .model = model, .is_claude = contains(model, "anthropic.claude")};
  bool lacks_thoughts;

  read_turns(ask, &plan.has_calls, &lacks_thoughts);
  if (plan.is_claude)
    plan_thinking(&plan, lacks_thoughts);
  return plan;
}

static const char *effort_name(const Plan *plan, AskEffort effort) {
  static const char *const names[] = {
      [ASK_EFFORT_MINIMAL] = "low", [ASK_EFFORT_LOW] = "low",     [ASK_EFFORT_MEDIUM] = "medium",
      [ASK_EFFORT_HIGH] = "high",   [ASK_EFFORT_XHIGH] = "xhigh",
  };

  return effort == ASK_EFFORT_XHIGH && plan->is_claude && !plan->traits.has_xhigh ? "high" : names[effort];
}

/* Appends how long the model thinks, as a member of additionalModelRequestFields; nothing when it is said elsewhere. */
static const char *put_thinking(const Plan *plan, Buffer *out) {
  AskEffort effort = ask_effort(plan->ask);

  if (plan->thinks && plan->budget_tokens > 0)
    buffer_printf(out, "{\"type\":\"enabled\",\"budget_tokens\":%llu}", (unsigned long long)plan->budget_tokens);
  else if (plan->thinks)
    buffer_printf(out, "{\"type\":\"adaptive\"}");
  if (plan->thinks)
    return "thinking";
  if (effort <= ASK_EFFORT_NONE || !contains(plan->model, "openai."))
    return NULL;
  buffer_printf(out, "\"%s\"", effort_name(plan, effort));
  return "reasoning_effort";
}

/* The client's own fields, and ours among them where it has not said the same. */
static void put_fields(const Plan *plan, Buffer *out) {
  _cleanup_(buffer_done) Buffer value = {0};
  Json fields = ask_own(plan->ask, fields_name);
  const char *name = put_thinking(plan, &value);
  bool adds = name && json_is_none(json_find(fields, name));

  if (json_type(fields) != JSON_OBJECT)
    fields.text = adds ? TEXT("{}") : TEXT_NONE;
  if (json_is_none(fields))
    return;
  buffer_printf(out, ",\"%s\":", fields_name);
  if (adds)
    json_put_with(out, fields, name, (Text){(const char *)value.data, value.size});
  else
    put(out, fields.text);
}

/* --- how it answers --- */

/* Appends `"name":value` and what separates it from the one before. */
static void put_member(Buffer *out, size_t begun, const char *name, Text value) {
  if (value.size > 0)
    buffer_printf(out, "%s\"%s\":%.*s", out->size > begun ? "," : "", name, TEXT_ARG(value));
}

/* While Claude thinks, and in its newest models, what steers the choice of words has to stay as it is. */
static void put_inference(const Plan *plan, Buffer *out) {
  const AskChat *ask = plan->ask;
  _cleanup_(buffer_done) Buffer members = {0};
  _cleanup_(buffer_done) Buffer stop = {0};
  uint64_t limit = ask_max_tokens(ask);

  if (limit > 0)
    buffer_printf(&members, "\"maxTokens\":%llu", (unsigned long long)limit);
  if (!plan->thinks && !(plan->is_claude && !plan->traits.samples)) {
    put_member(&members, 0, "temperature", ask->members[ASK_temperature].text);
    put_member(&members, 0, "topP", ask->members[ASK_top_p].text);
  }
  if (!json_is_none(ask->members[ASK_stop])) {
    ask_put_stop(ask, &stop);
    put_member(&members, 0, "stopSequences", (Text){(const char *)stop.data, stop.size});
  }
  if (members.size > 0)
    buffer_printf(out, ",\"inferenceConfig\":{%.*s}", (int)members.size, (const char *)members.data);
}

/* The schema goes as a text with JSON in it. */
static void put_format(const AskChat *ask, Json schema, Json name, Buffer *out) {
  Json description = json_find(json_find(ask->members[ASK_response_format], "json_schema"), "description");

  buffer_printf(out, "\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"schema\":");
  json_put_string(out, schema.text);
  if (json_type(name) == JSON_STRING)
    buffer_printf(out, ",\"name\":%.*s", TEXT_ARG(name.text));
  if (json_type(description) == JSON_STRING)
    buffer_printf(out, ",\"description\":%.*s", TEXT_ARG(description.text));
  buffer_append(out, "}}}", 3);
}

static int put_output(const Plan *plan, Buffer *out, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer members = {0};
  AskEffort effort = ask_effort(plan->ask);
  Json schema;
  Json name;
  AskFormat format = ask_format(plan->ask, &schema, &name);

  if (format == ASK_FORMAT_JSON)
    return dialect_fault_caller(ret_fault, "response_format",
                                "%s has JSON by a schema alone: take the type json_schema", bedrock_about);
  if (format == ASK_FORMAT_SCHEMA)
    put_format(plan->ask, schema, name, &members);
  if (effort > ASK_EFFORT_NONE && !(plan->is_claude && plan->traits.budgets) && !contains(plan->model, "openai."))
    buffer_printf(&members, "%s\"effort\":\"%s\"", members.size > 0 ? "," : "", effort_name(plan, effort));
  if (members.size > 0)
    buffer_printf(out, ",\"outputConfig\":{%.*s}", (int)members.size, (const char *)members.data);
  return 0;
}

static int put_tier(const AskChat *ask, Buffer *out, DialectFault *ret_fault) {
  static const char *const tiers[] = {"default", "flex", "priority"};
  Json tier = ask->members[ASK_service_tier];

  if (json_is_none(tier) || json_string_is(tier, "auto"))
    return 0;
  for (size_t i = 0; i < ELEMENTS(tiers); i++)
    if (json_string_is(tier, tiers[i])) {
      buffer_printf(out, ",\"serviceTier\":{\"type\":\"%s\"}", tiers[i]);
      return 0;
    }
  return dialect_fault_caller(ret_fault, "service_tier", "%s has the tiers default, flex and priority", bedrock_about);
}

/* --- tools --- */

static void put_tool(const AskTool *tool, Buffer *out) {
  buffer_printf(out, "{\"toolSpec\":{\"name\":%.*s", TEXT_ARG(tool->name.text));
  if (tool->description.text.size > 2)
    buffer_printf(out, ",\"description\":%.*s", TEXT_ARG(tool->description.text));
  buffer_printf(out, ",\"inputSchema\":{\"json\":");
  put(out, json_is_none(tool->parameters) ? TEXT("{\"type\":\"object\",\"properties\":{}}") : tool->parameters.text);
  buffer_append(out, "}", 1);
  if (!json_is_none(tool->strict))
    buffer_printf(out, ",\"strict\":%.*s", TEXT_ARG(tool->strict.text));
  buffer_append(out, "}}", 2);
}

static void put_choice(AskChoice choice, Json name, Buffer *out) {
  if (choice == ASK_CHOICE_AUTO)
    buffer_printf(out, ",\"toolChoice\":{\"auto\":{}}");
  else if (choice == ASK_CHOICE_REQUIRED)
    buffer_printf(out, ",\"toolChoice\":{\"any\":{}}");
  else if (choice == ASK_CHOICE_NAMED)
    buffer_printf(out, ",\"toolChoice\":{\"tool\":{\"name\":%.*s}}", TEXT_ARG(name.text));
}

/* Without tools there may be no calls in the messages either, and no choice says that none may be made. */
static int put_tools(const Plan *plan, Buffer *out, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(plan->ask->members[ASK_tools]);
  Json name;
  AskChoice choice = ask_tool_choice(plan->ask, &name);
  AskTool tool;
  bool any = false;

  if (choice == ASK_CHOICE_NONE && plan->has_calls)
    return dialect_fault_caller(ret_fault, "tool_choice", "%s can't be told none where messages have calls of tools",
                                bedrock_about);
  for (; choice != ASK_CHOICE_NONE && ask_next_tool(&walk, &tool); any = true) {
    put(out, any ? TEXT(",") : TEXT(",\"toolConfig\":{\"tools\":["));
    put_tool(&tool, out);
  }
  if (!any && plan->has_calls)
    return dialect_fault_caller(ret_fault, "tools", "%s wants the tools declared where messages have calls of them",
                                bedrock_about);
  if (!any)
    return 0;
  put(out, TEXT("]"));
  put_choice(choice, name, out);
  put(out, TEXT("}"));
  return 0;
}

/* --- the request --- */

void bedrock_put_path(Text model, const char *operation, Buffer *out) {
  put(out, TEXT("/model/"));
  sigv4_encode_segment(model, out);
  buffer_printf(out, "/%s", operation);
}

static void put_own(const AskChat *ask, Buffer *out) {
  for (size_t i = 1; own[i]; i++) /* the first of them is put_fields' */
    if (!json_is_none(ask->own[i]))
      buffer_printf(out, ",\"%s\":%.*s", own[i], TEXT_ARG(ask->own[i].text));
}

static int put_body(const Plan *plan, Buffer *out, DialectFault *ret_fault) {
  const AskChat *ask = plan->ask;
  int r;

  put(out, TEXT("{"));
  r = bedrock_put_turns(ask, out, ret_fault);
  if (r == 0)
    r = put_tools(plan, out, ret_fault);
  if (r == 0)
    r = put_output(plan, out, ret_fault);
  if (r == 0)
    r = put_tier(ask, out, ret_fault);
  if (r != 0)
    return r;
  put_inference(plan, out);
  put_fields(plan, out);
  if (!json_is_none(ask->members[ASK_metadata]))
    buffer_printf(out, ",\"requestMetadata\":%.*s", TEXT_ARG(ask->members[ASK_metadata].text));
  put_own(ask, out);
  put(out, TEXT("}"));
  return 0;
}

int bedrock_encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  AskChat ask;
  Plan plan;
  int r = ask_read(request, &bedrock_table, bedrock_about, &ask, ret_fault);

  if (r != 0)
    return r;
  plan = plan_of(&ask, ret->asked.model);
  ret->asked.streams = ask_streams(&ask);
  ret->asked.hides_usage = !ask_wants_usage(&ask);
  bedrock_put_path(ret->asked.model, ret->asked.streams ? "converse-stream" : "converse", &ret->path);
  return put_body(&plan, &ret->body, ret_fault);
}
