/* A choice is a list that goes through steps, each of which takes out or moves back: by name or by size, by what it can hold,
   by health. Strategies, budgets and breakers are further steps of this kind; they come before by_health, which only moves. */
#include "agents/model_manager_suite/candidates.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { LIST_MAX = 64 }; /* models that one choice looks at; CANDIDATES_MAX of them are kept */

/* A choice on its way. */
typedef struct Choice {
  const ModelTable *table;
  const Health *healths;
  const Wish *wish;
  uint64_t now_us;
  CandidatesWhy *why; /* NULL: nobody asks */
  const Model *list[LIST_MAX];
  uint32_t count;
} Choice;

/* --- why --- */

static void say(Choice *choice, const char *rule, const char *format, ...) _printf_(3, 4);
static void say(Choice *choice, const char *rule, const char *format, ...) {
  CandidatesWhy *why = choice->why;
  va_list arguments;

  if (!why || why->count == CANDIDATES_REASONS)
    return;
  va_start(arguments, format);
  vsnprintf(why->texts[why->count], CANDIDATES_BECAUSE_SIZE, format, arguments);
  va_end(arguments);
  why->rows[why->count] = (ChatReason){.rule = text_of(rule), .because = text_of(why->texts[why->count])};
  why->count++;
}

/* Names and what is said of each, as many as fit into a reason. */
typedef struct Names {
  char text[160];
  size_t size;
  uint32_t count;
} Names;

static void name(Names *names, const Model *model, const char *unit, uint64_t figure) {
  char one[200];
  int size = snprintf(one, sizeof one, "%s%.*s", names->count ? ", " : "", TEXT_ARG(model->name));

  if (unit)
    size += snprintf(one + size, sizeof one - (size_t)size, " (%" PRIu64 "%s)", figure, unit);
  names->count++;
  if (names->size + (size_t)size + 4 < sizeof names->text)
    memcpy(names->text + names->size, one, (size_t)size + 1);
  else if (names->size > 0 && names->text[names->size - 1] != '.')
    size = snprintf(names->text + names->size, 4, "...");
  else
    size = 0;
  names->size += (size_t)size;
}

/* --- by name --- */

static bool is_kind(const Choice *choice, const Model *model) {
  return strcmp(model->kind, choice->wish->is_embedding ? "embedding" : "chat") == 0;
}

static bool is_in(const Choice *choice, const Model *model) {
  for (uint32_t i = 0; i < choice->count; i++)
    if (choice->list[i] == model)
      return true;
  return false;
}

static int add_named(Choice *choice, Text model_name, Candidates *ret) {
  const Model *model = model_table_find(choice->table, model_name);

  ret->wrong = model_name;
  if (!model)
    return CANDIDATES_E_UNKNOWN;
  if (!is_kind(choice, model))
    return CANDIDATES_E_KIND;
  if (!is_in(choice, model))
    choice->list[choice->count++] = model;
  return 0;
}

static int by_name(Choice *choice, Candidates *ret) {
  const Wish *wish = choice->wish;
  int r = add_named(choice, wish->model, ret);

  for (uint32_t i = 0; r == 0 && i < wish->fallbacks_count; i++)
    r = add_named(choice, wish->fallbacks[i], ret);
  if (wish->fallbacks_count == 0)
    say(choice, "model", "the request names %.*s, and that alone is meant", TEXT_ARG(wish->model));
  else
    say(choice, "model", "the request names %.*s, and %u fallbacks after it", TEXT_ARG(wish->model),
        wish->fallbacks_count);
  return r;
}

/* --- by size --- */

/* Appends the models of that size, in the table's order. */
static void add_size(Choice *choice, ModelSize size) {
  for (uint32_t i = 0; i < choice->table->count && choice->count < LIST_MAX; i++) {
    const Model *model = &choice->table->rows[i];

    if (model->size == size && is_kind(choice, model))
      choice->list[choice->count++] = model;
  }
}

static void add_all(Choice *choice) {
  for (uint32_t i = 0; i < choice->table->count && choice->count < LIST_MAX; i++)
    if (is_kind(choice, &choice->table->rows[i]))
      choice->list[choice->count++] = &choice->table->rows[i];
}

/* What a model must be able to do for the profile, as the model table has it; NULL: nothing beyond text. */
static const char *needed(const Choice *choice) {
  static const char *const rows[][2] = {{"vision", "image"}, {"tools", "tools"}, {"reasoning", "reasoning"}};
  const ChatRoute *route = choice->wish->route;

  for (size_t i = 0; route->has_profile && i < ELEMENTS(rows); i++)
    if (text_is(route->profile, rows[i][0]))
      return rows[i][1];
  return NULL;
}

/* Leaves out what is known not to be able to do it, and light models of which nobody knows it, unless nobody is left. */
static void by_ability(Choice *choice, bool is_heavy) {
  const char *ability = needed(choice);
  const Model *kept[LIST_MAX];
  Names left = {.count = 0};
  uint32_t count = 0;

  for (uint32_t i = 0; ability && i < choice->count; i++) {
    const Model *model = choice->list[i];
    ModelAbility can = model_can(model, ability);

    if (can == MODEL_CAN || (can == MODEL_CAN_UNKNOWN && !(is_heavy && model->size == MODEL_LIGHT)))
      kept[count++] = model;
    else if (choice->why)
      name(&left, model, NULL, 0);
  }
  if (count == 0 || count == choice->count)
    return;
  memcpy(choice->list, kept, count * sizeof(const Model *));
  choice->count = count;
  say(choice, "ability", "left out, for nothing says that they can do %s: %s", ability, left.text);
}

static int by_size(Choice *choice) {
  const ChatRoute *route = choice->wish->route;
  bool is_heavy = text_is(route->size, "heavy");

  if (!route->has_size) {
    add_all(choice);
    say(choice, "order", "no size is decided: as the model table has them");
  } else {
    add_size(choice, is_heavy ? MODEL_HEAVY : MODEL_LIGHT);
    add_size(choice, MODEL_ANY);
    add_size(choice, is_heavy ? MODEL_LIGHT : MODEL_HEAVY);
    say(choice, "order", "%s models, then those for any size, then %s ones", is_heavy ? "heavy" : "light",
        is_heavy ? "light" : "heavy");
  }
  by_ability(choice, is_heavy);
  return choice->count > 0 ? 0 : CANDIDATES_E_NONE;
}

/* --- by what they can hold --- */

static int by_context(Choice *choice, Candidates *ret) {
  const ChatRoute *route = choice->wish->route;
  uint64_t tokens = route->has_tokens ? route->tokens : 0;
  Names left = {.count = 0};
  uint32_t kept = 0;

  for (uint32_t i = 0; i < choice->count; i++) {
    const Model *model = choice->list[i];

    if (model->context_tokens >= tokens) {
      choice->list[kept++] = model;
      continue;
    }
    ret->largest_context = max_u64(ret->largest_context, model->context_tokens);
    if (choice->why)
      name(&left, model, "", model->context_tokens);
  }
  choice->count = kept;
  if (left.count > 0)
    say(choice, "context", "left out, for they can't hold %" PRIu64 " tokens: %s", tokens, left.text);
  return kept > 0 ? 0 : CANDIDATES_E_CONTEXT;
}

/* --- by health --- */

static void by_health(Choice *choice) {
  const Model *behind[LIST_MAX];
  Names named = {.count = 0};
  uint32_t behind_count = 0;
  uint32_t kept = 0;

  for (uint32_t i = 0; i < choice->count; i++) {
    const Model *model = choice->list[i];
    const Health *health = &choice->healths[model->index];

    if (!health_is_behind(health, choice->now_us)) {
      choice->list[kept++] = model;
      continue;
    }
    behind[behind_count++] = model;
    if (choice->why)
      name(&named, model, " s", (health->retry_us - choice->now_us + US_PER_S - 1) / US_PER_S);
  }
  memcpy(&choice->list[kept], behind, behind_count * sizeof *behind);
  if (behind_count > 0)
    say(choice, "health", "behind the others, for their last work failed; tried again in: %s", named.text);
}

/* --- the choice --- */

static bool names_one(Text model) {
  return model.size > 0 && !text_is(model, "auto");
}

static int refuse(int r, Candidates *ret) {
  ret->count = 0;
  return r;
}

int candidates_choose(const ModelTable *table, const Health *healths, const Wish *wish, uint64_t now_us,
                      Candidates *ret, CandidatesWhy *why) {
  Choice choice = {.table = table, .healths = healths, .wish = wish, .now_us = now_us, .why = why};
  int r;

  ret->count = 0;
  ret->wrong = TEXT_NONE;
  ret->largest_context = 0;
  if (why)
    why->count = 0;
  r = names_one(wish->model) ? by_name(&choice, ret) : by_size(&choice);
  if (r == 0)
    r = by_context(&choice, ret);
  if (r != 0)
    return refuse(r, ret);
  by_health(&choice);
  ret->count = (uint32_t)min_u64(choice.count, CANDIDATES_MAX);
  memcpy(ret->models, choice.list, ret->count * sizeof(const Model *));
  say(&choice, "first", "%.*s, run by %.*s%.*s%.*s", TEXT_ARG(ret->models[0]->name), TEXT_ARG(ret->models[0]->executor),
      ret->models[0]->provider.size ? 4 : 0, " at ", TEXT_ARG(ret->models[0]->provider));
  return 0;
}

size_t candidates_services(const Candidates *candidates, Text *ret, size_t room) {
  size_t count = 0;

  for (uint32_t i = 0; i < candidates->count; i++) {
    Text service = candidates->models[i]->executor;
    size_t k = 0;

    while (k < count && !text_equal(ret[k], service))
      k++;
    if (k == count && count < room)
      ret[count++] = service;
  }
  return count;
}
