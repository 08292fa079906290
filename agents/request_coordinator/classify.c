/* Three decisions by first match. Each is a table of rules in the order in which they are asked; the last one always fits. */
#include "agents/request_coordinator/classify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* What the rules look at. */
typedef struct Case {
  const Footprint *footprint;
  const ClassifyRules *rules;
  Priority priority;
  uint64_t output_tokens; /* of one answer */
  uint64_t work_tokens;   /* prompt and all answers */
} Case;

typedef struct Rule {
  const char *outcome;
  bool (*fits)(const Case *one);
  const char *because; /* where the figures of `tokens` say it all, or the figure is the rule's */
} Rule;

/* --- what can be asked --- */

static bool is_embedding(const Case *one) {
  return one->footprint->is_embedding;
}

static bool has_images(const Case *one) {
  return one->footprint->images > 0 || one->footprint->attachments > 0;
}

static bool has_tools(const Case *one) {
  return one->footprint->tools > 0 || one->footprint->wants_api;
}

static bool wants_reasoning(const Case *one) {
  return one->footprint->wants_reasoning;
}

static bool is_long(const Case *one) {
  return one->work_tokens > one->rules->heavy_tokens;
}

static bool can_wait(const Case *one) {
  return one->footprint->can_wait || one->priority == PRIORITY_BATCH;
}

static bool is_watched(const Case *one) {
  return one->footprint->is_stream || one->priority == PRIORITY_INTERACTIVE;
}

static bool always(const Case *one) {
  (void)one;
  return true;
}

/* --- the rules --- */

/* What a model must be able to do, beyond text, nobody knows of light ones. */
static const Rule sizes[] = {
    {"heavy", is_long, "more than coordinator.heavy_tokens"},
    {"heavy", has_images, "images or attachments, which no light model is known to take"},
    {"heavy", wants_reasoning, "reasoning_effort, which no light model is known to have"},
    {"heavy", has_tools, "tools, several choices, logprobs or logit_bias, which no light model is known to have"},
    {"light", always, "not more than coordinator.heavy_tokens, and text is all that is asked for"},
};

static const Rule profiles[] = {
    {"embedding", is_embedding, "texts are to be turned into vectors"},
    {"vision", has_images, "it has images or attachments"},
    {"reasoning", wants_reasoning, "it sets reasoning_effort"},
    {"tools", has_tools, "it brings tools, or asks for several choices, logprobs or logit_bias"},
    {"text", always, "nothing but text is asked for"},
};

static const Rule latencies[] = {
    {"batch", can_wait, "service_tier is flex or batch, or the request's priority is batch"},
    {"interactive", is_watched, "the answer is streamed, or the request's priority is interactive"},
    {"normal", always, "the answer comes whole"},
};

static const Rule *first(const Rule *rules, const Case *one) {
  while (!rules->fits(one))
    rules++;
  return rules;
}

static Case look(const Footprint *footprint, Priority priority, const ClassifyRules *rules) {
  Case one = {.footprint = footprint, .rules = rules, .priority = priority};

  if (footprint->is_embedding)
    one.output_tokens = 0;
  else
    one.output_tokens = footprint->has_limit ? footprint->limit_tokens : rules->output_tokens;
  one.work_tokens = footprint->input_tokens + footprint->choices * one.output_tokens;
  return one;
}

void classify_request(const Footprint *footprint, Priority priority, const ClassifyRules *rules, ChatRoute *ret) {
  const Case one = look(footprint, priority, rules);

  ret->has_size = !footprint->is_embedding;
  ret->size = ret->has_size ? text_of(first(sizes, &one)->outcome) : TEXT_NONE;
  ret->has_profile = true;
  ret->profile = text_of(first(profiles, &one)->outcome);
  ret->has_latency = true;
  ret->latency = text_of(first(latencies, &one)->outcome);
  ret->has_tokens = true;
  ret->tokens = min_u64(footprint->input_tokens + one.output_tokens, UINT32_MAX);
}

/* --- why --- */

static void say(ClassifyWhy *why, size_t row, const char *rule, const char *format, ...) _printf_(4, 5);
static void say(ClassifyWhy *why, size_t row, const char *rule, const char *format, ...) {
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(why->texts[row], CLASSIFY_BECAUSE_SIZE, format, arguments);
  va_end(arguments);
  why->rows[row] = (ChatReason){.rule = text_of(rule), .because = text_of(why->texts[row])};
}

static void say_tokens(ClassifyWhy *why, size_t row, const Case *one) {
  const Footprint *footprint = one->footprint;

  if (footprint->is_embedding)
    say(why, row, "tokens",
        "the largest of %" PRIu32 " inputs has about %" PRIu64 " tokens; all have %" PRIu64 " bytes",
        footprint->messages, footprint->input_tokens, footprint->text_bytes);
  else
    say(why, row, "tokens",
        "the prompt has about %" PRIu64 " (%" PRIu64 " bytes of text, %" PRIu32 " messages, %" PRIu32
        " images), the answer at most %" PRIu64 " (%s), times n = %" PRIu64 ": %" PRIu64 " together",
        footprint->input_tokens, footprint->text_bytes, footprint->messages, footprint->images, one->output_tokens,
        footprint->has_limit ? "as the request says" : "coordinator.output_tokens", footprint->choices,
        one->work_tokens);
}

void classify_explain(const Footprint *footprint, Priority priority, const ClassifyRules *rules, ClassifyWhy *ret) {
  const Case one = look(footprint, priority, rules);
  const Rule *size = first(sizes, &one);
  const Rule *profile = first(profiles, &one);
  const Rule *latency = first(latencies, &one);

  say_tokens(ret, 0, &one);
  if (footprint->is_embedding)
    say(ret, 1, "size", "none: embedding models are taken in the order of the model table");
  else
    say(ret, 1, "size", "%s: %" PRIu64 " tokens, coordinator.heavy_tokens is %" PRIu64 ": %s", size->outcome,
        one.work_tokens, rules->heavy_tokens, size->because);
  say(ret, 2, "profile", "%s: %s", profile->outcome, profile->because);
  say(ret, 3, "latency", "%s: %s", latency->outcome, latency->because);
}
