#include "tests/unit/agents/model_manager_suite/tables.h"

static void test_rows(void **state _unused_) {
  ConfigModel rows[] = {TABLES_LIGHT("a", 100), TABLES_HEAVY("b", 200), TABLES_EMBEDDING("c", 300)};
  _cleanup_(model_table_done) ModelTable table = {.rows = NULL};
  const Model *b;

  rows[1].input_usd = (char[]){"0.15"};
  rows[1].output_usd = (char[]){"0"};
  tables_init(&table, rows, ELEMENTS(rows));
  assert_int_equal(table.count, 3);
  b = model_table_find(&table, TEXT("b"));
  assert_ptr_equal(b, &table.rows[1]);
  assert_int_equal(b->index, 1);
  assert_int_equal(b->size, MODEL_HEAVY);
  assert_int_equal(b->context_tokens, 200);
  assert_true(text_is(b->provider, "p"));
  assert_true(b->input.is_known);
  assert_int_equal(b->input.nano_usd, 150);
  assert_false(b->cached.is_known);
  assert_true(b->output.is_known); /* nothing is a price too */
  assert_int_equal(b->output.nano_usd, 0);
  assert_int_equal(table.rows[0].provider.size, 0);
  assert_false(table.rows[0].input.is_known);
  assert_true(table.rows[2].is_embedding);
  assert_null(model_table_find(&table, TEXT("d")));
  assert_null(model_table_find(&table, TEXT_NONE));
}

/* The local model can't hold more than its executor was given. */
static void test_local_context(void **state _unused_) {
  ConfigModel rows[] = {TABLES_LIGHT("a", 4096), TABLES_LIGHT("b", 4096), TABLES_ANY("a2", 4096)};
  Config config = {.models = rows, .models_count = 3, .local_llm = {.model = (char[]){"a"}, .context_tokens = 2048}};
  _cleanup_(model_table_done) ModelTable table = {.rows = NULL};

  model_table_init(&table, &config);
  assert_int_equal(table.rows[0].context_tokens, 2048);
  assert_int_equal(table.rows[1].context_tokens, 4096);
  assert_int_equal(table.rows[2].context_tokens, 4096);
}

static void test_empty(void **state _unused_) {
  _cleanup_(model_table_done) ModelTable table = {.rows = NULL};

  tables_init(&table, NULL, 0);
  assert_null(model_table_find(&table, TEXT("a")));
}

static void test_size_names(void **state _unused_) {
  assert_string_equal(model_size_name(MODEL_LIGHT), "light");
  assert_string_equal(model_size_name(MODEL_ANY), "any");
  assert_string_equal(model_size_name(MODEL_HEAVY), "heavy");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_local_context),
      cmocka_unit_test(test_empty),
      cmocka_unit_test(test_size_names),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
