#include "adapters/anthropic/thinking.h"

enum { BUDGET_LEAST = 1024 };

/* Claude goes on thinking only where it has its thoughts before each call since the user spoke last; a word of the user's right
   behind results belongs to them. */
static bool lacks_thoughts(const AskChat *ask) {
  AskMessages messages = ask_messages(ask);
  AskRole before = ASK_SYSTEM;
  bool lacks = false;
  AskMessage message;

  for (; ask_next_message(&messages, &message); before = message.role) {
    if (message.role == ASK_USER && before != ASK_TOOL)
      lacks = false;
    if (message.role == ASK_ASSISTANT && messages.count > 0)
      lacks |= json_type(json_find(message.whole, "thinking_blocks")) != JSON_ARRAY;
  }
  return lacks;
}

Thinking thinking_plan(const AskChat *ask, const ModelTraits *traits, uint64_t limit_tokens) {
  static const uint64_t budgets[] = {[ASK_EFFORT_MINIMAL] = BUDGET_LEAST,
                                     [ASK_EFFORT_LOW] = 2048,
                                     [ASK_EFFORT_MEDIUM] = 8192,
                                     [ASK_EFFORT_HIGH] = 16384,
                                     [ASK_EFFORT_XHIGH] = 32768};
  AskEffort effort = ask_effort(ask);
  Thinking plan = {.thinks = effort >= ASK_EFFORT_MINIMAL && !ask_forces_tool(ask) && !lacks_thoughts(ask)};

  if (!plan.thinks || !traits->budgets)
    return plan;
  plan.budget_tokens = budgets[effort];
  if (limit_tokens > 0 && plan.budget_tokens >= limit_tokens)
    plan.budget_tokens = limit_tokens - limit_tokens / 4;
  plan.thinks = plan.budget_tokens >= BUDGET_LEAST && (limit_tokens == 0 || plan.budget_tokens < limit_tokens);
  return plan;
}

const char *thinking_effort(const AskChat *ask, bool has_xhigh) {
  static const char *const words[] = {
      [ASK_EFFORT_NONE_SAID] = NULL, [ASK_EFFORT_NONE] = NULL,       [ASK_EFFORT_MINIMAL] = "low",
      [ASK_EFFORT_LOW] = "low",      [ASK_EFFORT_MEDIUM] = "medium", [ASK_EFFORT_HIGH] = "high",
      [ASK_EFFORT_XHIGH] = "xhigh"};
  AskEffort effort = ask_effort(ask);

  return effort == ASK_EFFORT_XHIGH && !has_xhigh ? "high" : words[effort];
}
