/* A request of OpenAI's in Anthropic's words. The members go in the order of Anthropic's reference. */
#include "adapters/anthropic/anthropic-internal.h"

#define PUT(out, literal) buffer_append(out, literal, sizeof(literal) - 1)

enum { BUDGET_LEAST = 1024 };

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
  bool thinks;
  uint64_t budget; /* of tokens for thinking; 0: adaptive */
} Plan;

static void put_text(Buffer *out, Text text) {
  buffer_append(out, text.data, text.size);
}

/* --- thinking --- */

static bool forces_tool(const AskChat *ask) {
  Json name;
  AskChoice choice = ask_tool_choice(ask, &name);

  return choice == ASK_CHOICE_REQUIRED || choice == ASK_CHOICE_NAMED;
}

/* A budget lies between 1,024 and max_tokens, which counts what is thought too; where there is no room for it nothing is
   thought. A tool can't be forced on who thinks first. */
static Plan plan(const AskChat *ask, Text model) {
  static const uint64_t budgets[] = {[ASK_EFFORT_MINIMAL] = BUDGET_LEAST,
                                     [ASK_EFFORT_LOW] = 2048,
                                     [ASK_EFFORT_MEDIUM] = 8192,
                                     [ASK_EFFORT_HIGH] = 16384,
                                     [ASK_EFFORT_XHIGH] = 32768};
  Plan plan = {.traits = model_traits(model), .max_tokens = ask_max_tokens(ask)};
  AskEffort effort = ask_effort(ask);
  bool wants = effort >= ASK_EFFORT_MINIMAL && !forces_tool(ask);
  bool is_free = plan.max_tokens == 0;

  if (is_free)
    plan.max_tokens = plan.traits.max_tokens;
  plan.thinks = wants;
  if (!wants || !plan.traits.budgets)
    return plan;
  plan.budget = budgets[effort];
  if (is_free)
    plan.max_tokens += plan.budget;
  if (plan.budget >= plan.max_tokens)
    plan.budget = plan.max_tokens - plan.max_tokens / 4;
  if (plan.budget < BUDGET_LEAST || plan.budget >= plan.max_tokens)
    plan.thinks = false;
  return plan;
}

static void put_thinking(const AskChat *ask, const Plan *plan, Buffer *out) {
  if (ask_effort(ask) == ASK_EFFORT_NONE)
    PUT(out, ",\"thinking\":{\"type\":\"disabled\"}");
  else if (plan->thinks && plan->traits.budgets)
    buffer_printf(out, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":%llu}", (unsigned long long)plan->budget);
  else if (plan->thinks)
    PUT(out, ",\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"}");
}

static const char *effort_of(const AskChat *ask, const Plan *plan) {
  static const char *const efforts[] = {[ASK_EFFORT_MINIMAL] = "low",
                                        [ASK_EFFORT_LOW] = "low",
                                        [ASK_EFFORT_MEDIUM] = "medium",
                                        [ASK_EFFORT_HIGH] = "high",
                                        [ASK_EFFORT_XHIGH] = "xhigh"};
  AskEffort effort = ask_effort(ask);

  if (effort < ASK_EFFORT_MINIMAL || plan->traits.budgets)
    return NULL;
  return effort == ASK_EFFORT_XHIGH && !plan->traits.has_xhigh ? "high" : efforts[effort];
}

static void put_output_config(const AskChat *ask, const Plan *plan, Buffer *out) {
  const char *effort = effort_of(ask, plan);
  Json schema;
  Json name;
  bool has_schema = ask_format(ask, &schema, &name) == ASK_FORMAT_SCHEMA;

  if (!effort && !has_schema)
    return;
  PUT(out, ",\"output_config\":{");
  if (effort)
    buffer_printf(out, "\"effort\":\"%s\"%s", effort, has_schema ? "," : "");
  if (has_schema) {
    PUT(out, "\"format\":{\"type\":\"json_schema\",\"schema\":");
    put_text(out, schema.text);
    PUT(out, "}");
  }
  PUT(out, "}");
}

/* --- tools --- */

/* The API wants to hear that the input is an object. */
static void put_schema(Json parameters, Buffer *out) {
  if (json_is_none(parameters))
    PUT(out, "{\"type\":\"object\",\"properties\":{}}");
  else if (json_is_none(json_find(parameters, "type")))
    json_put_with(out, parameters, "type", TEXT("\"object\""));
  else
    put_text(out, parameters.text);
}

static void put_tool(const AskTool *tool, const Plan *plan, Buffer *out) {
  Json cache = json_find(tool->whole, "cache_control");
  bool strict = false;

  PUT(out, "{\"name\":");
  put_text(out, tool->name.text);
  if (!json_is_none(tool->description)) {
    PUT(out, ",\"description\":");
    put_text(out, tool->description.text);
  }
  PUT(out, ",\"input_schema\":");
  put_schema(tool->parameters, out);
  if (json_get_bool(tool->strict, &strict) == 0 && strict && plan->traits.has_schemas)
    PUT(out, ",\"strict\":true");
  if (!json_is_none(cache)) {
    PUT(out, ",\"cache_control\":");
    put_text(out, cache.text);
  }
  PUT(out, "}");
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
  buffer_printf(out, ",\"tool_choice\":{\"type\":\"%s\"", types[choice]);
  if (choice == ASK_CHOICE_NAMED) {
    PUT(out, ",\"name\":");
    put_text(out, name.text);
  }
  if (!parallel && choice != ASK_CHOICE_NONE)
    PUT(out, ",\"disable_parallel_tool_use\":true");
  PUT(out, "}");
}

static void put_tools(const AskChat *ask, const Plan *plan, Buffer *out) {
  JsonWalk walk = json_walk(ask->members[ASK_tools]);
  bool first = true;
  AskTool tool;

  while (ask_next_tool(&walk, &tool)) {
    if (first)
      PUT(out, ",\"tools\":[");
    else
      PUT(out, ",");
    first = false;
    put_tool(&tool, plan, out);
  }
  if (first)
    return;
  PUT(out, "]");
  put_choice(ask, out);
}

/* --- single values --- */

static void put_member(Buffer *out, const char *name, Json value) {
  buffer_printf(out, ",\"%s\":", name);
  put_text(out, value.text);
}

/* Of the two one alone may be set; who thinks does neither. */
static void put_sampling(const AskChat *ask, const Plan *plan, Buffer *out) {
  Json temperature = ask->members[ASK_temperature];
  Json top_p = ask->members[ASK_top_p];

  if (plan->thinks || !plan->traits.samples)
    return;
  if (!json_is_none(temperature))
    put_member(out, "temperature", temperature);
  else if (!json_is_none(top_p))
    put_member(out, "top_p", top_p);
}

static void put_user(const AskChat *ask, Buffer *out) {
  Json user = ask->members[ASK_safety_identifier];

  if (json_is_none(user))
    user = ask->members[ASK_user];
  if (json_is_none(user))
    return;
  PUT(out, ",\"metadata\":{\"user_id\":");
  put_text(out, user.text);
  PUT(out, "}");
}

static int check(const AskChat *ask, const Plan *plan, DialectFault *ret_fault) {
  bool has_effort = !json_is_none(ask->members[ASK_reasoning_effort]);
  double temperature = 0;
  Json schema;
  Json name;
  AskFormat format = ask_format(ask, &schema, &name);

  json_get_real(ask->members[ASK_temperature], &temperature);
  if (temperature > 1)
    return dialect_fault_caller(ret_fault, "temperature", "'temperature' must be at most 1 for Anthropic's API");
  if (format == ASK_FORMAT_JSON)
    return dialect_fault_caller(ret_fault, "response_format", "Anthropic's API has no json_object: send a json_schema");
  if (format == ASK_FORMAT_SCHEMA && !plan->traits.has_schemas)
    return dialect_fault_caller(ret_fault, "response_format", "this model of Anthropic's takes no json_schema");
  if (has_effort && !json_is_none(ask_own(ask, "thinking")))
    return dialect_fault_caller(ret_fault, "thinking", "'thinking' and 'reasoning_effort' exclude each other");
  if ((has_effort || format == ASK_FORMAT_SCHEMA) && !json_is_none(ask_own(ask, "output_config")))
    return dialect_fault_caller(ret_fault, "output_config",
                                "'output_config' excludes 'reasoning_effort' and 'response_format'");
  return 0;
}

int anthropic_encode(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer system = {0};
  Buffer *out = &ret->body;
  AskChat ask;
  Plan made;
  int r = ask_read(request, &anthropic_table, "Anthropic's API", &ask, ret_fault);

  if (r != 0)
    return r;
  made = plan(&ask, ret->asked.model);
  r = check(&ask, &made, ret_fault);
  if (r != 0)
    return r;
  ret->asked.streams = ask_streams(&ask);
  ret->asked.hides_usage = ret->asked.streams && !ask_wants_usage(&ask);
  PUT(&ret->path, "/messages");
  dialect_put_header(&ret->headers, "anthropic-version", TEXT("2023-06-01"));
  PUT(out, "{\"model\":");
  json_put_string(out, ret->asked.model);
  buffer_printf(out, ",\"max_tokens\":%llu,\"messages\":", (unsigned long long)made.max_tokens);
  if (anthropic_put_messages(&ask, out, &system) == 0)
    return dialect_fault_caller(ret_fault, "messages", "'messages' has no message that says something");
  if (system.size > 0)
    buffer_printf(out, ",\"system\":[%.*s]", (int)system.size, (const char *)system.data);
  put_sampling(&ask, &made, out);
  if (!json_is_none(ask.members[ASK_stop])) {
    PUT(out, ",\"stop_sequences\":");
    ask_put_stop(&ask, out);
  }
  put_user(&ask, out);
  put_thinking(&ask, &made, out);
  put_output_config(&ask, &made, out);
  put_tools(&ask, &made, out);
  ask_put_own(&ask, out);
  if (ret->asked.streams)
    PUT(out, ",\"stream\":true");
  PUT(out, "}");
  return 0;
}
