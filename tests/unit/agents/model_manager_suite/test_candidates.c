/* Who may do it, in which order: by name, size, need, context and health, each alone and together. */
#include <stdio.h>

#include "agents/model_manager_suite/candidates.h"
#include "tests/unit/agents/model_manager_suite/tables.h"

#define NOW (1000 * US_PER_S)

static ConfigModel rows[] = {TABLES_LIGHT("l1", 2048),   TABLES_HEAVY("h1", 8000), TABLES_ANY("a1", 4096),
                             TABLES_HEAVY("h2", 128000), TABLES_LIGHT("l2", 4096), TABLES_EMBEDDING("e1", 512)};
static ModelTable table;
static Health healths[ELEMENTS(rows)];

static int set_up(void **state _unused_) {
  tables_init(&table, rows, ELEMENTS(rows));
  return 0;
}

static int tear_down(void **state _unused_) {
  model_table_done(&table);
  return 0;
}

static int heal(void **state _unused_) {
  memset(healths, 0, sizeof healths);
  return 0;
}

static void fell(const char *name, uint64_t now_us) {
  for (int i = 0; i < HEALTH_FAILURES; i++)
    health_settle(&healths[model_table_find(&table, text_of(name))->index], true, now_us);
}

static ChatRoute route_of(const char *size, const char *profile, uint64_t tokens) {
  return (ChatRoute){.has_size = *size != '\0',
                     .size = text_of(size),
                     .has_profile = *profile != '\0',
                     .profile = text_of(profile),
                     .has_tokens = tokens > 0,
                     .tokens = tokens};
}

/* The names of the candidates, with spaces between; fails the test when there are none. */
static const char *chosen_names(const Wish *wish) {
  static char text[256];
  Candidates chosen;
  size_t size = 0;
  int r = candidates_choose(&table, healths, wish, NOW, &chosen, NULL);

  if (r != 0)
    fail_msg("refused: %d", r);
  for (uint32_t i = 0; i < chosen.count; i++)
    size += (size_t)snprintf(text + size, sizeof text - size, "%s%.*s", i ? " " : "", TEXT_ARG(chosen.models[i]->name));
  return text;
}

static const char *chosen_for(const char *size, const char *profile, uint64_t tokens) {
  ChatRoute route = route_of(size, profile, tokens);

  return chosen_names(&(Wish){.route = &route});
}

static int refused(const Wish *wish, Candidates *ret) {
  int r = candidates_choose(&table, healths, wish, NOW, ret, NULL);

  assert_int_equal(ret->count, 0);
  return r;
}

static void test_by_size(void **state _unused_) {
  ChatRoute route = route_of("light", "text", 10);

  assert_string_equal(chosen_for("light", "text", 10), "l1 l2 a1 h1 h2");
  assert_string_equal(chosen_for("heavy", "text", 10), "h1 h2 a1 l1 l2");
  assert_string_equal(chosen_for("", "", 0), "l1 h1 a1 h2 l2");
  assert_string_equal(chosen_names(&(Wish){.model = TEXT("auto"), .route = &route}), "l1 l2 a1 h1 h2");
}

static void expect_reason(const CandidatesWhy *why, uint32_t row, const char *rule, const char *because) {
  assert_true(row < why->count);
  assert_true(text_is(why->rows[row].rule, rule));
  assert_string_equal(why->texts[row], because);
}

/* Who is known not to be able to do it is left out, whoever is known to can be light, and of nobody's ability more is made. */
static void test_abilities(void **state _unused_) {
  static char tools[] = "tools", image[] = "image";
  static char *can_tools[] = {tools}, *can_image[] = {image};
  ConfigModel able[] = {TABLES_LIGHT("l1", 2048), TABLES_LIGHT("l2", 2048), TABLES_HEAVY("h1", 9000),
                        TABLES_HEAVY("h2", 9000)};
  _cleanup_(model_table_done) ModelTable known = {.rows = NULL};
  ChatRoute route = route_of("heavy", "tools", 10);
  Candidates chosen;
  CandidatesWhy why;

  able[1].can = can_tools;
  able[1].can_count = 1;
  able[2].can = can_image;
  able[2].can_count = 1;
  tables_init(&known, able, ELEMENTS(able));
  assert_int_equal(model_can(&known.rows[1], "tools"), MODEL_CAN);
  assert_int_equal(model_can(&known.rows[2], "tools"), MODEL_CAN_NOT);
  assert_int_equal(model_can(&known.rows[3], "tools"), MODEL_CAN_UNKNOWN);
  assert_int_equal(candidates_choose(&known, healths, &(Wish){.route = &route}, NOW, &chosen, &why), 0);
  assert_int_equal(chosen.count, 2);
  assert_true(text_is(chosen.models[0]->name, "h2"));
  assert_true(text_is(chosen.models[1]->name, "l2"));
  expect_reason(&why, 1, "ability", "left out, for nothing says that they can do tools: h1, l1");
  assert_int_equal(
      candidates_choose(&known, healths, &(Wish){.model = TEXT("h1"), .route = &route}, NOW, &chosen, NULL), 0);
  assert_int_equal(chosen.count, 1);
}

/* What needs more than text goes to light models for want of others alone. */
static void test_needs(void **state _unused_) {
  static const char *const profiles[] = {"vision", "tools", "reasoning"};
  ConfigModel light_only[] = {TABLES_LIGHT("l1", 2048), TABLES_LIGHT("l2", 2048)};
  _cleanup_(model_table_done) ModelTable small = {.rows = NULL};
  Candidates chosen;

  tables_init(&small, light_only, ELEMENTS(light_only));
  for (size_t i = 0; i < ELEMENTS(profiles); i++) {
    ChatRoute route = route_of("heavy", profiles[i], 10);

    assert_string_equal(chosen_for("heavy", profiles[i], 10), "h1 h2 a1");
    assert_int_equal(candidates_choose(&small, healths, &(Wish){.route = &route}, NOW, &chosen, NULL), 0);
    assert_int_equal(chosen.count, 2);
  }
}

static void test_by_name(void **state _unused_) {
  ChatRoute route = route_of("light", "text", 10);

  assert_string_equal(chosen_names(&(Wish){.model = TEXT("h2"), .route = &route}), "h2");
  assert_string_equal(chosen_names(&(Wish){.model = TEXT("h2"),
                                           .fallbacks = {TEXT("l1"), TEXT("h2"), TEXT("a1")},
                                           .fallbacks_count = 3,
                                           .route = &route}),
                      "h2 l1 a1");
  assert_string_equal(chosen_names(&(Wish){.model = TEXT("e1"), .is_embedding = true, .route = &route}), "e1");
}

static void test_unknown(void **state _unused_) {
  ChatRoute route = route_of("light", "text", 10);
  Candidates chosen;

  assert_int_equal(refused(&(Wish){.model = TEXT("gpt-9"), .route = &route}, &chosen), CANDIDATES_E_UNKNOWN);
  assert_true(text_is(chosen.wrong, "gpt-9"));
  assert_int_equal(
      refused(&(Wish){.model = TEXT("h1"), .fallbacks = {TEXT("gpt-9")}, .fallbacks_count = 1, .route = &route},
              &chosen),
      CANDIDATES_E_UNKNOWN);
  assert_true(text_is(chosen.wrong, "gpt-9"));
  assert_int_equal(refused(&(Wish){.model = TEXT("e1"), .route = &route}, &chosen), CANDIDATES_E_KIND);
  assert_int_equal(refused(&(Wish){.model = TEXT("h1"), .is_embedding = true, .route = &route}, &chosen),
                   CANDIDATES_E_KIND);
}

static void test_embeddings(void **state _unused_) {
  ChatRoute route = route_of("", "embedding", 512);
  ChatRoute large = route_of("", "embedding", 513);
  Candidates chosen;

  assert_string_equal(chosen_names(&(Wish){.is_embedding = true, .route = &route}), "e1");
  assert_int_equal(refused(&(Wish){.is_embedding = true, .route = &large}, &chosen), CANDIDATES_E_CONTEXT);
  assert_int_equal(chosen.largest_context, 512);
}

static void test_empty_table(void **state _unused_) {
  _cleanup_(model_table_done) ModelTable empty = {.rows = NULL};
  ChatRoute route = route_of("light", "text", 10);
  Candidates chosen;

  tables_init(&empty, NULL, 0);
  assert_int_equal(candidates_choose(&empty, healths, &(Wish){.route = &route}, NOW, &chosen, NULL), CANDIDATES_E_NONE);
}

/* Exactly as many tokens as a model holds fit. */
static void test_by_context(void **state _unused_) {
  ChatRoute large = route_of("heavy", "text", 128001);
  ChatRoute named = route_of("light", "text", 2049);
  Candidates chosen;

  assert_string_equal(chosen_for("light", "text", 2048), "l1 l2 a1 h1 h2");
  assert_string_equal(chosen_for("light", "text", 2049), "l2 a1 h1 h2");
  assert_string_equal(chosen_for("heavy", "text", 4097), "h1 h2");
  assert_string_equal(chosen_for("heavy", "text", 128000), "h2");
  assert_int_equal(refused(&(Wish){.route = &large}, &chosen), CANDIDATES_E_CONTEXT);
  assert_int_equal(chosen.largest_context, 128000);
  assert_int_equal(refused(&(Wish){.model = TEXT("l1"), .route = &named}, &chosen), CANDIDATES_E_CONTEXT);
  assert_int_equal(chosen.largest_context, 2048);
  assert_string_equal(
      chosen_names(&(Wish){.model = TEXT("l1"), .fallbacks = {TEXT("h1")}, .fallbacks_count = 1, .route = &named}),
      "h1");
}

/* Behind the others, in the old order among themselves, and never out. */
static void test_by_health(void **state _unused_) {
  ChatRoute route = route_of("light", "text", 10);

  fell("l1", NOW);
  assert_string_equal(chosen_for("light", "text", 10), "l2 a1 h1 h2 l1");
  fell("a1", NOW);
  assert_string_equal(chosen_for("light", "text", 10), "l2 h1 h2 l1 a1");
  assert_string_equal(chosen_names(&(Wish){.model = TEXT("a1"), .route = &route}), "a1");
  assert_string_equal(
      chosen_names(&(Wish){.model = TEXT("a1"), .fallbacks = {TEXT("h1")}, .fallbacks_count = 1, .route = &route}),
      "h1 a1");
  for (size_t i = 0; i < ELEMENTS(rows); i++)
    fell(rows[i].name, NOW);
  assert_string_equal(chosen_for("light", "text", 10), "l1 l2 a1 h1 h2");
}

/* When its back-off is over, a model stands where it stood: the next request tries it. */
static void test_trial(void **state _unused_) {
  fell("l1", NOW - HEALTH_BACKOFF_US);
  assert_string_equal(chosen_for("light", "text", 10), "l1 l2 a1 h1 h2");
  health_try(&healths[0], NOW);
  assert_string_equal(chosen_for("light", "text", 10), "l2 a1 h1 h2 l1");
}

static void test_at_most_six(void **state _unused_) {
  ConfigModel many[70];
  char names[70][8];
  _cleanup_(model_table_done) ModelTable large = {.rows = NULL};
  Health fine[70] = {{.failures = 0}};
  ChatRoute route = route_of("light", "text", 10);
  Candidates chosen;

  for (size_t i = 0; i < ELEMENTS(many); i++) {
    snprintf(names[i], sizeof names[i], "m%zu", i);
    many[i] = (ConfigModel){.name = names[i],
                            .kind = tables_chat,
                            .executor = tables_local,
                            .size = (char[]){"light"},
                            .context_tokens = 4096};
  }
  tables_init(&large, many, ELEMENTS(many));
  assert_int_equal(candidates_choose(&large, fine, &(Wish){.route = &route}, NOW, &chosen, NULL), 0);
  assert_int_equal(chosen.count, CANDIDATES_MAX);
  assert_true(text_is(chosen.models[5]->name, "m5"));
}

static void test_services(void **state _unused_) {
  ChatRoute route = route_of("light", "text", 10);
  Text services[4];
  Candidates chosen;

  assert_int_equal(candidates_choose(&table, healths, &(Wish){.route = &route}, NOW, &chosen, NULL), 0);
  assert_int_equal(candidates_services(&chosen, services, 4), 2);
  assert_true(text_is(services[0], "Local"));
  assert_true(text_is(services[1], "RemoteApiAdapter"));
  assert_int_equal(candidates_services(&chosen, services, 1), 1);
}

static void test_why(void **state _unused_) {
  ChatRoute route = route_of("light", "text", 3000);
  Candidates chosen;
  CandidatesWhy why;

  fell("l2", NOW);
  assert_int_equal(candidates_choose(&table, healths, &(Wish){.route = &route}, NOW, &chosen, &why), 0);
  assert_int_equal(why.count, 4);
  expect_reason(&why, 0, "order", "light models, then those for any size, then heavy ones");
  expect_reason(&why, 1, "context", "left out, for they can't hold 3000 tokens: l1 (2048)");
  expect_reason(&why, 2, "health", "behind the others, for their last work failed; tried again in: l2 (5 s)");
  expect_reason(&why, 3, "first", "a1, run by RemoteApiAdapter at p");
  assert_int_equal(
      candidates_choose(&table, healths, &(Wish){.model = TEXT("l2"), .route = &route}, NOW, &chosen, &why), 0);
  expect_reason(&why, 0, "model", "the request names l2, and that alone is meant");
  expect_reason(&why, 2, "first", "l2, run by Local");
  route = route_of("heavy", "tools", 10);
  assert_int_equal(candidates_choose(&table, healths, &(Wish){.route = &route}, NOW, &chosen, &why), 0);
  expect_reason(&why, 0, "order", "heavy models, then those for any size, then light ones");
  expect_reason(&why, 1, "ability", "left out, for nothing says that they can do tools: l1, l2");
}

/* Long names are cut between names, and the reason still fits into its contract. */
static void test_long_reasons(void **state _unused_) {
  ConfigModel many[20];
  char names[20][129];
  _cleanup_(model_table_done) ModelTable large = {.rows = NULL};
  _cleanup_(buffer_done) Buffer buffer = {0};
  Health fine[20] = {{.failures = 0}};
  ChatRoute route = route_of("light", "text", 100);
  Candidates chosen;
  CandidatesWhy why;

  for (size_t i = 0; i < ELEMENTS(many); i++) {
    memset(names[i], 'a' + (int)i, 128);
    names[i][i == 0 ? 128 : 30] = '\0';
    many[i] = (ConfigModel){.name = names[i],
                            .kind = tables_chat,
                            .executor = tables_local,
                            .size = (char[]){"light"},
                            .context_tokens = i == 19 ? 200 : 50};
  }
  tables_init(&large, many, ELEMENTS(many));
  assert_int_equal(candidates_choose(&large, fine, &(Wish){.route = &route}, NOW, &chosen, &why), 0);
  assert_string_equal(why.texts[1] + strlen(why.texts[1]) - 3, "...");
  for (uint32_t i = 0; i < why.count; i++)
    assert_int_equal(contract_encode(CONTRACT(ChatReason), &why.rows[i], &buffer, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_by_size, heal),     cmocka_unit_test_setup(test_needs, heal),
      cmocka_unit_test_setup(test_abilities, heal),   cmocka_unit_test_setup(test_by_name, heal),
      cmocka_unit_test_setup(test_unknown, heal),     cmocka_unit_test_setup(test_embeddings, heal),
      cmocka_unit_test_setup(test_empty_table, heal), cmocka_unit_test_setup(test_by_context, heal),
      cmocka_unit_test_setup(test_by_health, heal),   cmocka_unit_test_setup(test_trial, heal),
      cmocka_unit_test_setup(test_at_most_six, heal), cmocka_unit_test_setup(test_services, heal),
      cmocka_unit_test_setup(test_why, heal),         cmocka_unit_test_setup(test_long_reasons, heal),
  };

  return cmocka_run_group_tests(tests, set_up, tear_down);
}
