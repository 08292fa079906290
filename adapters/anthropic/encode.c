/* A request of OpenAI's in Anthropic's words. The members go in the order of Anthropic's reference. */
#include "adapters/anthropic/anthropic-internal.h"
#include "adapters/anthropic/thinking.h"

const AskTable anthropic_table = {
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
                [ASK_metadata] = ASK_DROPPED,
                [ASK_modalities] = ASK_REFUSED,
                [ASK_n] = ASK_REFUSED,
                [ASK_parallel_tool_calls] = ASK_MAPPED,
                [ASK_prediction] = ASK_DROPPED,
                [ASK_presence_penalty] = ASK_REFUSED,
                [ASK_prompt_cache_key] = ASK_DROPPED,
                [ASK_prompt_cache_retention] = ASK_DROPPED,
                [ASK_reasoning_effort] = ASK_MAPPED,
                [ASK_response_format] = ASK_MAPPED,
                [ASK_safety_identifier] = ASK_MAPPED,
                [ASK_seed] = ASK_DROPPED,
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
                [ASK_user] = ASK_MAPPED,
                [ASK_verbosity] = ASK_DROPPED,
                [ASK_web_search_options] = ASK_REFUSED,
                [ASK_fallbacks] = ASK_DROPPED},
    .parts = {[ASK_PART_text] = ASK_MAPPED,
              [ASK_PART_image] = ASK_MAPPED,
              [ASK_PART_audio] = ASK_REFUSED,
              [ASK_PART_file] = ASK_MAPPED,
              [ASK_PART_refusal] = ASK_MAPPED},
    .own = (const char *const[]){"cache_control", "container", "context_management", "inference_geo", "mcp_servers",
                                 "output_config", "speed", "thinking", "top_k", NULL},
};

/* What is decided before anything is written. */
typedef struct Plan {
  ModelTraits traits;
  uint64_t max_tokens;
  Thinking thinking;
} Plan;

/* The API wants to be told the longest answer. Nobody said it: what the model usually makes, and its thoughts. */
static Plan plan(const AskChat *ask, Text model) {
  Plan plan = {.traits = model_traits(model), .max_tokens = ask_max_tokens(ask)};

  plan.thinking = thinking_plan(ask, &plan.traits, plan.max_tokens);
  if (plan.max_tokens == 0)
    plan.max_tokens = plan.traits.max_tokens + plan.thinking.budget_tokens;
  return plan;
}

/* --- thinking --- */

static void put_thinking(const AskChat *ask, const Plan *plan, Buffer *out) {
  bool is_off = ask_effort(ask) == ASK_EFFORT_NONE;

  if (!is_off && !plan->thinking.thinks)
    return;
  json_put_key(out, "thinking");
  if (is_off) {
    buffer_put(out, TEXT("{\"type\":\"disabled\"}"));
  } else if (plan->traits.budgets) {
    buffer_put(out, TEXT("{\"type\":\"enabled\",\"budget_tokens\":"));
    json_put_uint(out, plan->thinking.budget_tokens);
    buffer_put(out, TEXT("}"));
  } else {
    buffer_put(out, TEXT("{\"type\":\"adaptive\",\"display\":\"summarized\"}"));
  }
}

static void put_output_config(const AskChat *ask, const Plan *plan, Buffer *out) {
  const char *effort = plan->traits.budgets ? NULL : thinking_effort(ask, plan->traits.has_xhigh);
  Json schema;
  Json name;
  bool has_schema = ask_format(ask, &schema, &name) == ASK_FORMAT_SCHEMA;

  if (!effort && !has_schema)
    return;
  json_put_key(out, "output_config");
  buffer_put(out, TEXT("{"));
  if (effort)
    buffer_printf(out, "\"effort\":\"%s\"", effort);
  if (has_schema) {
    json_put_key(out, "format");
    buffer_put(out, TEXT("{\"type\":\"json_schema\""));
    json_put_member(out, "schema", schema);
    buffer_put(out, TEXT("}"));
  }
  buffer_put(out, TEXT("}"));
}

/* --- tools --- */

/* The API wants to hear that the input is an object. */
static void put_schema(Json parameters, Buffer *out) {
  json_put_key(out, "input_schema");
  if (json_is_none(parameters))
    buffer_put(out, TEXT("{\"type\":\"object\",\"properties\":{}}"));
  else if (json_is_none(json_find(parameters, "type")))
    json_put_with(out, parameters, "type", TEXT("\"object\""));
  else
    buffer_put(out, parameters.text);
}

static void put_tool(const AskTool *tool, const Plan *plan, Buffer *out) {
  bool strict = false;

  buffer_put(out, TEXT("{"));
  json_put_member(out, "name", tool->name);
  json_put_member(out, "description", tool->description);
  put_schema(tool->parameters, out);
  if (json_get_bool(tool->strict, &strict) == 0 && strict && plan->traits.has_schemas)
    json_put_member(out, "strict", tool->strict);
  json_put_member(out, "cache_control", json_find(tool->whole, "cache_control"));
  buffer_put(out, TEXT("}"));
}

static void put_choice(const AskChat *ask, Buffer *out) {
  static const char *const types[] = {[ASK_CHOICE_NONE_SAID] = "auto",
                                      [ASK_CHOICE_AUTO] = "auto",
                                      [ASK_CHOICE_NONE] = "none",
                                      [ASK_CHOICE_REQUIRED] = "any",
                                      [ASK_CHOICE_NAMED] = "tool"};
  bool parallel = true;
  Json name;
  AskChoice choice = ask_tool_choice(ask, &name);

  json_get_bool(ask->members[ASK_parallel_tool_calls], &parallel);
  if (choice == ASK_CHOICE_NONE_SAID && parallel)
    return;
  json_put_key(out, "tool_choice");
  buffer_printf(out, "{\"type\":\"%s\"", types[choice]);
  if (choice == ASK_CHOICE_NAMED)
    json_put_member(out, "name", name);
  if (!parallel && choice != ASK_CHOICE_NONE)
    buffer_put(out, TEXT(",\"disable_parallel_tool_use\":true"));
  buffer_put(out, TEXT("}"));
}

static void put_tools(const AskChat *ask, const Plan *plan, Buffer *out) {
  JsonWalk walk = json_walk(ask->members[ASK_tools]);
  AskTool tool;

  if (!ask_has_tools(ask))
    return;
  json_put_key(out, "tools");
  buffer_put(out, TEXT("["));
  while (ask_next_tool(&walk, &tool)) {
    json_put_comma(out);
    put_tool(&tool, plan, out);
  }
  buffer_put(out, TEXT("]"));
  put_choice(ask, out);
}

/* --- single values --- */

/* Of the two one alone may be set; who thinks does neither. */
static void put_sampling(const AskChat *ask, const Plan *plan, Buffer *out) {
  Json temperature = ask->members[ASK_temperature];

  if (plan->thinking.thinks || !plan->traits.samples)
    return;
  json_put_member(out, "temperature", temperature);
  if (json_is_none(temperature))
    json_put_member(out, "top_p", ask->members[ASK_top_p]);
}

static void put_user(const AskChat *ask, Buffer *out) {
  Json user = ask->members[ASK_safety_identifier];

  if (json_is_none(user))
    user = ask->members[ASK_user];
  if (json_is_none(user))
    return;
  json_put_key(out, "metadata");
  buffer_put(out, TEXT("{"));
  json_put_member(out, "user_id", user);
  buffer_put(out, TEXT("}"));
}

static int check(const AskChat *ask, const Plan *plan, DialectFault *ret_fault) {
  bool has_effort = !json_is_none(ask->members[ASK_reasoning_effort]);
  double temperature = 0;
  Json schema;
  Json name;
  AskFormat format = ask_format(ask, &schema, &name);

  json_get_real(ask->members[ASK_temperature], &temperature);
  if (temperature > 1)
    return dialect_fault_caller(ret_fault, "temperature", "'temperature' must be at most 1 for %s", ask->about);
  if (format == ASK_FORMAT_JSON)
    return dialect_fault_caller(ret_fault, "response_format", "%s has no json_object: send a json_schema", ask->about);
  if (format == ASK_FORMAT_SCHEMA && !plan->traits.has_schemas)
    return dialect_fault_caller(ret_fault, "response_format", "this model of Anthropic's takes no json_schema");
  if (has_effort && !json_is_none(ask_own(ask, "thinking")))
    return dialect_fault_caller(ret_fault, "thinking", "'thinking' and 'reasoning_effort' exclude each other");
  if ((has_effort || format == ASK_FORMAT_SCHEMA) && !json_is_none(ask_own(ask, "output_config")))
    return dialect_fault_caller(ret_fault, "output_config",
                                "'output_config' excludes 'reasoning_effort' and 'response_format'");
  return 0;
}

/* --- the request --- */

int anthropic_put_request(const AskChat *ask, Text model, Buffer *out, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer system = {0};
  Plan made = plan(ask, model);
  int r = check(ask, &made, ret_fault);

  if (r != 0)
    return r;
  json_put_key(out, "max_tokens");
  json_put_uint(out, made.max_tokens);
  json_put_key(out, "messages");
  if (!anthropic_put_messages(ask, out, &system))
    return dialect_fault_caller(ret_fault, "messages", "'messages' has no message that says something");
  if (system.size > 0) {
    json_put_key(out, "system");
    buffer_put(out, TEXT("["));
    buffer_put(out, buffer_text(&system));
    buffer_put(out, TEXT("]"));
  }
  put_sampling(ask, &made, out);
  ask_put_stop(ask, "stop_sequences", out);
  put_user(ask, out);
  put_thinking(ask, &made, out);
  put_output_config(ask, &made, out);
  put_tools(ask, &made, out);
  ask_put_own(ask, NULL, out);
  return 0;
}

int anthropic_encode(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  AskChat ask;
  int r = dialect_read_chat(request, &anthropic_table, anthropic_dialect.about, ret, &ask, ret_fault);

  if (r != 0)
    return r;
  buffer_put(&ret->path, TEXT("/messages"));
  dialect_put_header(&ret->headers, "anthropic-version", TEXT(ANTHROPIC_VERSION));
  buffer_put(&ret->body, TEXT("{\"model\":"));
  json_put_string(&ret->body, ret->asked.model);
  r = anthropic_put_request(&ask, ret->asked.model, &ret->body, ret_fault);
  buffer_put(&ret->body, ret->asked.streams ? TEXT(",\"stream\":true}") : TEXT("}"));
  return r;
}
