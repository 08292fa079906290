/* What a row of the model table takes from the price list, and what it does not. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/bus/config/files.h"

#define LIST                                                                                                           \
  "models:\n"                                                                                                          \
  "  - {host: api.example.com, model: m, also: [m-1], date: 2026-11-27, source: \"https://example.com/p\", "           \
  "context_tokens: 9000, can: [image, tools], input_usd: \"1\", output_usd: \"2\", tiers: [{above_tokens: 10, "        \
  "input_usd: \"3\"}, {above_tokens: 20, output_usd: \"4\"}]}\n"                                                       \
  "  - {host: \"*.example.net\", model: m, date: 2026-11-26, source: \"https://example.net\", input_usd: \"5\"}\n"
#define PROVIDERS                                                                                                      \
  "providers:\n"                                                                                                       \
  "  - {name: a, base_url: \"https://api.example.com/v1\"}\n"                                                          \
  "  - {name: b, base_url: \"https://x.y.example.net:8443/v1\"}\n"                                                     \
  "  - {name: proxy, base_url: \"http://127.0.0.1:1/v1\", listed_as: api.example.com}\n"                               \
  "  - {name: stranger, base_url: \"https://example.net/v1\"}\n"
#define ROW(name, provider, more)                                                                                      \
  "  - {name: " name ", executor: RemoteApiAdapter, provider: " provider ", upstream: m" more "}\n"

static void without_list(void) {
  char path[512];

  snprintf(path, sizeof path, "%s/models.yaml", files_folder());
  unlink(path);
}

static void test_complete(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  const ConfigModel *model;

  files_write("models.yaml", LIST, 0644);
  config = files_load(PROVIDERS "models:\n" ROW("one", "a", "") ROW("two", "b", "") ROW("three", "proxy", "-1")
                          ROW("four", "stranger", "") ROW("five", "a", "-2"));
  model = config_find_model(config, "one");
  assert_string_equal(model->input_usd, "1");
  assert_string_equal(model->output_usd, "2");
  assert_null(model->cached_usd);
  assert_int_equal(model->context_tokens, 9000);
  assert_int_equal(model->can_count, 2);
  assert_string_equal(model->can[1], "tools");
  assert_int_equal(model->tiers_count, 2);
  assert_string_equal(model->tiers[0].input_usd, "3");
  assert_null(model->tiers[0].output_usd);
  assert_int_equal(model->tiers[1].above_tokens, 20);
  assert_string_equal(model->prices_date, "2026-11-27");
  assert_string_equal(model->prices_source, "https://example.com/p");
  assert_string_equal(config_find_model(config, "two")->input_usd, "5");
  assert_string_equal(config_find_model(config, "three")->input_usd, "1");
  for (size_t i = 0; i < 2; i++) {
    model = config_find_model(config, i ? "five" : "four");
    assert_null(model->input_usd);
    assert_null(model->prices_date);
    assert_int_equal(model->context_tokens, 4096);
  }
  without_list();
}

/* One price of its own, and none of the list's; what it says of context and abilities stays. */
static void test_own(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  const ConfigModel *model;

  files_write("models.yaml", LIST, 0644);
  config = files_load(PROVIDERS "models:\n" ROW("one", "a", ", output_usd: \"7\", context_tokens: 4096, can: [audio]"));
  model = config_find_model(config, "one");
  assert_string_equal(model->output_usd, "7");
  assert_null(model->input_usd);
  assert_null(model->prices_date);
  assert_int_equal(model->tiers_count, 0);
  assert_int_equal(model->context_tokens, 4096);
  assert_int_equal(model->can_count, 1);
  assert_string_equal(model->can[0], "audio");
  without_list();
}

/* What is printed is read back to the same, with the list and without it. */
static void test_print(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  _cleanup_(config_destroy) Config *again = NULL;
  _cleanup_(buffer_done) Buffer first = {0};
  _cleanup_(buffer_done) Buffer second = {0};

  files_write("list.yaml", LIST, 0644);
  config = files_load("price_list: list.yaml\n" PROVIDERS "models:\n" ROW("one", "a", ""));
  config_print(config, &first);
  buffer_append(&first, "", 1);
  assert_non_null(strstr((const char *)first.data, "prices_date: \"2026-11-27\""));
  again = files_load((const char *)first.data);
  config_print(again, &second);
  buffer_append(&second, "", 1);
  assert_string_equal((const char *)second.data, (const char *)first.data);
}

static void test_wrong(void **state _unused_) {
  static const struct {
    const char *list;
    const char *finding;
  } files[] = {
      {"models: [{host: h, model: m, source: \"https://h\"}]\n",
       "1:10: models[0]: has no date; add `date: VALUE` (the day on which the source said so)"},
      {"models: [{host: h, model: m, date: 2026-13-01, source: \"https://h\"}]\n",
       "1:36: models[0].date: is '2026-13-01', must be a day as in 2026-11-27"},
      {"models: [{host: \"https://h\", model: m, date: 2026-11-27, source: \"https://h\"}]\n",
       "1:17: models[0].host: is 'https://h', must be the name of a host in lower case, as in api.example.com, or "
       "*.example.com"},
      {"models: [{host: h, model: m, date: 2026-11-27, source: \"https://h\", input_usd: free}]\n",
       "1:80: models[0].input_usd: is 'free', must be an amount such as 0.15, without a currency"},
      {"models: [{host: h, model: m, date: 2026-11-27, source: \"https://h\"}, {host: h, model: n, also: [k], date: "
       "2026-11-27, source: \"https://h\"}, {host: h, model: k, date: 2026-11-27, source: \"https://h\"}]\n",
       "1:141: models[2]: 'k' is there already as models[1]; merge the two"},
      {"models: [{host: h, model: m, date: 2026-11-27, source: \"https://h\", tiers: [{above_tokens: 5}, "
       "{above_tokens: 5}]}]\n",
       "1:10: models[0]: tiers must stand in the order of their above_tokens"},
      {"prices: []\n", "1:1: unknown key 'prices'; the keys here are: models"},
  };

  for (size_t i = 0; i < ELEMENTS(files); i++) {
    _cleanup_(buffer_done) Buffer errors = {0};
    Config *config = NULL;
    char expected[1024];

    files_write("models.yaml", files[i].list, 0644);
    files_write("pons.yaml", "", 0644);
    snprintf(expected, sizeof expected, "%s/models.yaml:%s\n", files_folder(), files[i].finding);
    assert_int_equal(config_load(files_config(), &config, &errors), CONFIG_E_INVALID);
    assert_null(config);
    buffer_append(&errors, "", 1);
    assert_string_equal((const char *)errors.data, expected);
  }
  without_list();
}

static void test_missing(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Config *config = NULL;
  char expected[1024];

  files_write("pons.yaml", "price_list: none.yaml\n", 0644);
  snprintf(expected, sizeof expected,
           "%s/none.yaml: can't be read: No such file or directory; correct the path or its permissions\n",
           files_folder());
  assert_int_equal(config_load(files_config(), &config, &errors), CONFIG_E_INVALID);
  assert_null(config);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data, expected);
}

/* The list that pons brings along: sound, and of each provider something. */
static void test_deployed(void **state _unused_) {
  static const char text[] =
      "price_list: " PONS_SOURCE_DIR "/deploy/models.yaml\n"
      "providers:\n"
      "  - {name: openai, base_url: \"https://api.openai.com/v1\"}\n"
      "  - {name: anthropic, dialect: anthropic, base_url: \"https://api.anthropic.com/v1\"}\n"
      "  - {name: gemini, dialect: gemini, base_url: \"https://generativelanguage.googleapis.com/v1beta\"}\n"
      "  - {name: aws, dialect: bedrock, region: eu-central-1}\n"
      "models:\n"
      "  - {name: gpt-4o-mini, executor: RemoteApiAdapter, provider: openai}\n"
      "  - {name: claude-haiku-4-5, executor: RemoteApiAdapter, provider: anthropic}\n"
      "  - {name: gemini-2.5-pro, executor: RemoteApiAdapter, provider: gemini}\n"
      "  - {name: nova, executor: RemoteApiAdapter, provider: aws, upstream: \"eu.amazon.nova-2-lite-v1:0\"}\n";
  _cleanup_(config_destroy) Config *config = files_load(text);

  for (uint32_t i = 0; i < config->models_count; i++) {
    assert_non_null(config->models[i].input_usd);
    assert_non_null(config->models[i].output_usd);
    assert_non_null(config->models[i].prices_source);
  }
  assert_string_equal(config->models[1].cache_write_usd, "1.25");
  assert_int_equal(config->models[2].tiers[0].above_tokens, 200000);
}

static void test_prices(void **state _unused_) {
  uint64_t price = 7;

  assert_int_equal(config_price(NULL, &price), CONFIG_E_UNKNOWN);
  assert_int_equal(config_price_pico(NULL, &price), CONFIG_E_UNKNOWN);
  assert_int_equal(price, 7);
  assert_int_equal(config_price("0.0825", &price), 0);
  assert_int_equal(price, 82);
  assert_int_equal(config_price_pico("0.0825", &price), 0);
  assert_int_equal(price, 82500);
  assert_int_equal(config_price_pico("3", &price), 0);
  assert_int_equal(price, 3000000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_complete, files_clean),
      cmocka_unit_test_setup(test_own, files_clean),
      cmocka_unit_test_setup(test_print, files_clean),
      cmocka_unit_test_setup(test_wrong, files_clean),
      cmocka_unit_test_setup(test_missing, files_clean),
      cmocka_unit_test_setup(test_deployed, files_clean),
      cmocka_unit_test(test_prices),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
