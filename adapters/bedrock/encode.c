/* Converse has one shape for all models, with places of their own for what only some can: how long one of them thinks is said in
   the words of whose model it is. */
#include "adapters/anthropic/thinking.h"
#include "adapters/bedrock/bedrock-internal.h"

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
  ModelTraits traits; /* Claude's */
  Thinking thinking;  /* Claude's */
  bool has_calls;     /* messages call tools or tell of their results */
} Plan;

static bool is_of(const Plan *plan, const char *maker) {
  return memmem(plan->model.data, plan->model.size, maker, strlen(maker)) != NULL;
}

static bool has_calls(const AskChat *ask) {
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  bool any = false;

  while (!any && ask_next_message(&messages, &message))
    any = message.role == ASK_TOOL || (message.role == ASK_ASSISTANT && messages.count > 0);
  return any;
}

static Plan plan_of(const AskChat *ask, Text model) {
  Plan plan = {.ask = ask, .model = model, .has_calls = has_calls(ask)};

  plan.is_claude = is_of(&plan, "anthropic.claude");
  if (!plan.is_claude)
    return plan;
  plan.traits = model_traits(model);
  plan.thinking = thinking_plan(ask, &plan.traits, ask_max_tokens(ask));
  return plan;
}

static const char *effort_of(const Plan *plan) {
  return thinking_effort(plan->ask, !plan->is_claude || plan->traits.has_xhigh);
}

/* --- fields that only some models have --- */

/* Appends how long the model thinks, as a member of additionalModelRequestFields; returns its name, NULL when it is said
   elsewhere. */
static const char *put_thinking(const Plan *plan, Buffer *out) {
  const char *effort = effort_of(plan);

  if (plan->thinking.budget_tokens > 0 && plan->thinking.thinks)
    buffer_printf(out, "{\"type\":\"enabled\",\"budget_tokens\":%llu}",
                  (unsigned long long)plan->thinking.budget_tokens);
  else if (plan->thinking.thinks)
    buffer_put(out, TEXT("{\"type\":\"adaptive\"}"));
  if (plan->thinking.thinks)
    return "thinking";
  if (!effort || !is_of(plan, "openai."))
    return NULL;
  buffer_printf(out, "\"%s\"", effort);
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
  if (!adds) {
    json_put_member(out, fields_name, fields);
    return;
  }
  json_put_key(out, fields_name);
  json_put_with(out, fields, name, buffer_text(&value));
}

/* --- how it answers --- */

/* While Claude thinks, and in its newest models, what steers the choice of words has to stay as it is. */
static void put_inference(const Plan *plan, Buffer *out) {
  static const AskName names[] = {{ASK_temperature, "temperature"}, {ASK_top_p, "topP"}};
  size_t before = out->size, begun;

  json_put_key(out, "inferenceConfig");
  buffer_put(out, TEXT("{"));
  begun = out->size;
  ask_put_max_tokens(plan->ask, "maxTokens", out);
  if (!plan->thinking.thinks && !(plan->is_claude && !plan->traits.samples))
    ask_put_members(plan->ask, names, ELEMENTS(names), out);
  ask_put_stop(plan->ask, "stopSequences", out);
  if (out->size > begun)
    buffer_put(out, TEXT("}"));
  else
    out->size = before;
}

/* The schema goes as a text with JSON in it. */
static void put_format(const AskChat *ask, Json schema, Json name, Buffer *out) {
  Json description = json_find(json_find(ask->members[ASK_response_format], "json_schema"), "description");

  json_put_key(out, "textFormat");
  buffer_put(out, TEXT("{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"schema\":"));
  json_put_string(out, schema.text);
  if (json_type(name) == JSON_STRING)
    json_put_member(out, "name", name);
  if (json_type(description) == JSON_STRING)
    json_put_member(out, "description", description);
  buffer_put(out, TEXT("}}}"));
}

static int put_output(const Plan *plan, Buffer *out, DialectFault *ret_fault) {
  const char *effort = (plan->is_claude && plan->traits.budgets) || is_of(plan, "openai.") ? NULL : effort_of(plan);
  Json schema;
  Json name;
  AskFormat format = ask_format(plan->ask, &schema, &name);

  if (format == ASK_FORMAT_JSON)
    return dialect_fault_caller(ret_fault, "response_format",
                                "%s has JSON by a schema alone: take the type json_schema", bedrock_about);
  if (format == ASK_FORMAT_TEXT && !effort)
    return 0;
  json_put_key(out, "outputConfig");
  buffer_put(out, TEXT("{"));
  if (format == ASK_FORMAT_SCHEMA)
    put_format(plan->ask, schema, name, out);
  if (effort) {
    json_put_key(out, "effort");
    buffer_printf(out, "\"%s\"", effort);
  }
  buffer_put(out, TEXT("}"));
  return 0;
}

static int put_tier(const AskChat *ask, Buffer *out, DialectFault *ret_fault) {
  static const char *const tiers[] = {"default", "flex", "priority"};
  Json tier = ask->members[ASK_service_tier];

  if (json_is_none(tier) || json_string_is(tier, "auto"))
    return 0;
  for (size_t i = 0; i < ELEMENTS(tiers); i++)
    if (json_string_is(tier, tiers[i])) {
      json_put_key(out, "serviceTier");
      buffer_printf(out, "{\"type\":\"%s\"}", tiers[i]);
      return 0;
    }
  return dialect_fault_caller(ret_fault, "service_tier", "%s has the tiers default, flex and priority", bedrock_about);
}

/* --- tools --- */

static void put_tool(const AskTool *tool, Buffer *out) {
  buffer_put(out, TEXT("{\"toolSpec\":{"));
  json_put_member(out, "name", tool->name);
  if (tool->description.text.size > 2)
    json_put_member(out, "description", tool->description);
  json_put_key(out, "inputSchema");
  buffer_put(out, TEXT("{"));
  json_put_member(out, "json",
                  json_is_none(tool->parameters) ? (Json){TEXT("{\"type\":\"object\",\"properties\":{}}")}
                                                 : tool->parameters);
  buffer_put(out, TEXT("}"));
  json_put_member(out, "strict", tool->strict);
  buffer_put(out, TEXT("}}"));
}

static void put_choice(AskChoice choice, Json name, Buffer *out) {
  static const char *const words[] = {[ASK_CHOICE_AUTO] = "{\"auto\":{}}", [ASK_CHOICE_REQUIRED] = "{\"any\":{}}"};

  if (choice == ASK_CHOICE_NONE_SAID)
    return;
  json_put_key(out, "toolChoice");
  if (choice != ASK_CHOICE_NAMED) {
    buffer_put(out, text_of(words[choice]));
    return;
  }
  buffer_put(out, TEXT("{\"tool\":{"));
  json_put_member(out, "name", name);
  buffer_put(out, TEXT("}}"));
}

/* Without tools there may be no calls in the messages either, and no choice says that none may be made. */
static int put_tools(const Plan *plan, Buffer *out, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(plan->ask->members[ASK_tools]);
  Json name;
  AskChoice choice = ask_tool_choice(plan->ask, &name);
  bool any = choice != ASK_CHOICE_NONE && ask_has_tools(plan->ask);
  AskTool tool;

  if (choice == ASK_CHOICE_NONE && plan->has_calls)
    return dialect_fault_caller(ret_fault, "tool_choice", "%s can't be told none where messages have calls of tools",
                                bedrock_about);
  if (!any && plan->has_calls)
    return dialect_fault_caller(ret_fault, "tools", "%s wants the tools declared where messages have calls of them",
                                bedrock_about);
  if (!any)
    return 0;
  json_put_key(out, "toolConfig");
  buffer_put(out, TEXT("{\"tools\":["));
  while (ask_next_tool(&walk, &tool)) {
    json_put_comma(out);
    put_tool(&tool, out);
  }
  buffer_put(out, TEXT("]"));
  put_choice(choice, name, out);
  buffer_put(out, TEXT("}"));
  return 0;
}

/* --- the request --- */

void bedrock_put_path(Text model, const char *operation, Buffer *out) {
  buffer_put(out, TEXT("/model/"));
  dialect_put_segment(out, model);
  buffer_put(out, TEXT("/"));
  buffer_put(out, text_of(operation));
}

static int put_body(const Plan *plan, Buffer *out, DialectFault *ret_fault) {
  static const AskName metadata = {ASK_metadata, "requestMetadata"};
  const AskChat *ask = plan->ask;
  int r;

  buffer_put(out, TEXT("{"));
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
  ask_put_members(ask, &metadata, 1, out);
  ask_put_own(ask, fields_name, out);
  buffer_put(out, TEXT("}"));
  return 0;
}

int bedrock_encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  AskChat ask;
  Plan plan;
  int r = dialect_read_chat(request, &bedrock_table, bedrock_about, ret, &ask, ret_fault);

  if (r != 0)
    return r;
  plan = plan_of(&ask, ret->asked.model);
  bedrock_put_path(ret->asked.model, ret->asked.streams ? "converse-stream" : "converse", &ret->path);
  return put_body(&plan, &ret->body, ret_fault);
}
