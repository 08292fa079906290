/* Each settlement counts once, whoever repeats it, and only what the model did counts for its health. */
#include <stdio.h>

#include "agents/model_manager_suite/ledger.h"
#include "tests/unit/agents/model_manager_suite/tables.h"

#define NOW (1000 * US_PER_S)

static ConfigModel rows[] = {TABLES_LIGHT("a", 100), TABLES_LIGHT("b", 100)};

typedef struct Scene {
  ModelTable table;
  Ledger ledger;
} Scene;

static void scene_done(Scene *scene) {
  ledger_done(&scene->ledger);
  model_table_done(&scene->table);
}

static void scene_init(Scene *scene) {
  memset(scene, 0, sizeof *scene);
  tables_init(&scene->table, rows, ELEMENTS(rows));
  ledger_init(&scene->ledger, &scene->table);
}

static Settlement done_by(const char *request, uint64_t hop, const char *model) {
  return (Settlement){
      .request = text_of(request),
      .hop = hop,
      .model = text_of(model),
      .outcome = TEXT("done"),
      .usage = {.has_input_tokens = true, .input_tokens = 10, .has_output_tokens = true, .output_tokens = 3},
      .has_cost_nano_usd = true,
      .cost_nano_usd = 7};
}

static bool settle(Scene *scene, Settlement settlement) {
  return ledger_settle(&scene->ledger, &settlement, NOW);
}

static void test_once(void **state _unused_) {
  _cleanup_(scene_done) Scene scene;
  const LedgerSums *a;

  scene_init(&scene);
  a = &scene.ledger.sums[0];
  assert_true(settle(&scene, done_by("00000000000000aa-1", 2, "a")));
  assert_false(settle(&scene, done_by("00000000000000aa-1", 2, "a")));
  assert_int_equal(a->requests, 1);
  assert_int_equal(a->input_tokens, 10);
  assert_int_equal(a->output_tokens, 3);
  assert_int_equal(a->cost_nano_usd, 7);
  assert_true(settle(&scene, done_by("00000000000000aa-1", 3, "a")));
  assert_true(settle(&scene, done_by("00000000000000aa-1", 2, "b"))); /* two candidates of one visit */
  assert_true(settle(&scene, done_by("00000000000000aa-2", 2, "a")));
  assert_true(settle(&scene, done_by("00000000000000ab-1", 2, "a")));
  assert_int_equal(a->requests, 4);
  assert_int_equal(scene.ledger.sums[1].requests, 1);
  for (uint64_t hop = 66; hop <= 98; hop += 32) /* in the bucket of hop 2 */
    assert_true(settle(&scene, done_by("00000000000000aa-1", hop, "a")));
}

static void test_outcomes(void **state _unused_) {
  static const struct {
    const char *outcome;
    unsigned failures;
    HealthState state;
  } outcomes[] = {{"cancelled", 0, HEALTH_UNMEASURED},
                  {"refused", 0, HEALTH_UNMEASURED},
                  {"done", 0, HEALTH_UP},
                  {"failed", 1, HEALTH_UP}};
  _cleanup_(scene_done) Scene scene;

  scene_init(&scene);
  for (size_t i = 0; i < ELEMENTS(outcomes); i++) {
    Settlement settlement = done_by("00000000000000aa-1", i, "a");

    settlement.outcome = text_of(outcomes[i].outcome);
    assert_true(settle(&scene, settlement));
    assert_int_equal(scene.ledger.sums[0].requests, i + 1);
    assert_int_equal(scene.ledger.sums[0].failures, outcomes[i].failures);
    assert_int_equal(health_state(&scene.ledger.healths[0], NOW), outcomes[i].state);
  }
  for (uint64_t hop = 10; hop < 12; hop++) {
    Settlement settlement = done_by("00000000000000aa-1", hop, "a");

    settlement.outcome = TEXT("failed");
    settle(&scene, settlement);
  }
  assert_int_equal(health_state(&scene.ledger.healths[0], NOW), HEALTH_DOWN);
}

/* What is unknown is not 0 and not counted; what would overflow stays at the most. */
static void test_unknown_and_most(void **state _unused_) {
  _cleanup_(scene_done) Scene scene;
  Settlement settlement = {.request = TEXT("00000000000000aa-1"),
                           .model = TEXT("a"),
                           .outcome = TEXT("done"),
                           .usage = {.input_tokens = 9, .output_tokens = 9},
                           .cost_nano_usd = 9};

  scene_init(&scene);
  assert_true(settle(&scene, settlement));
  assert_int_equal(scene.ledger.sums[0].input_tokens, 0);
  assert_int_equal(scene.ledger.sums[0].output_tokens, 0);
  assert_int_equal(scene.ledger.sums[0].cost_nano_usd, 0);
  settlement.has_cost_nano_usd = true;
  settlement.cost_nano_usd = UINT64_MAX;
  for (settlement.hop = 1; settlement.hop < 3; settlement.hop++)
    assert_true(settle(&scene, settlement));
  assert_int_equal(scene.ledger.sums[0].cost_nano_usd, UINT64_MAX);
}

/* An executor must not repeat for ever what nobody can count. */
static void test_of_nobody(void **state _unused_) {
  _cleanup_(scene_done) Scene scene;

  scene_init(&scene);
  assert_true(settle(&scene, done_by("no id", 0, "a")));
  assert_true(settle(&scene, done_by("00000000000000aa-1", 0, "gone")));
  assert_false(settle(&scene, done_by("00000000000000aa-1", 0, "gone")));
  assert_int_equal(scene.ledger.sums[0].requests, 0);
  assert_int_equal(scene.ledger.sums[1].requests, 0);
}

/* The ring forgets the oldest, and nothing else. */
static void test_ring(void **state _unused_) {
  _cleanup_(scene_done) Scene scene;
  char id[40];

  scene_init(&scene);
  for (unsigned i = 1; i <= LEDGER_KEYS + 1; i++) {
    snprintf(id, sizeof id, "00000000000000aa-%x", i);
    assert_true(settle(&scene, done_by(id, 0, "a")));
  }
  assert_int_equal(scene.ledger.by_key.size, LEDGER_KEYS);
  assert_false(settle(&scene, done_by("00000000000000aa-2", 0, "a")));
  assert_true(settle(&scene, done_by("00000000000000aa-1", 0, "a"))); /* forgotten */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_once),      cmocka_unit_test(test_outcomes), cmocka_unit_test(test_unknown_and_most),
      cmocka_unit_test(test_of_nobody), cmocka_unit_test(test_ring),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
