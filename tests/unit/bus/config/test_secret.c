/* Secrets by reference: from a file that is not open to everybody, or from the environment; never in what is printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/bus/config/files.h"

static const char *path_of(const char *name) {
  static char path[128];

  snprintf(path, sizeof path, "%s/%s", files_folder(), name);
  return path;
}

static void expect_refused(ConfigSecret secret, const char *why) {
  _cleanup_(buffer_done) Buffer errors = {0};
  char untouched[] = "untouched";
  char *value = untouched;

  assert_int_equal(config_secret_read(&secret, &value, &errors), CONFIG_E_SECRET);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data, why);
  assert_ptr_equal(value, untouched);
}

static void expect_file_refused(const char *name, const char *why) {
  char path[128];
  char expected[256];

  snprintf(path, sizeof path, "%s", path_of(name));
  snprintf(expected, sizeof expected, "secret from file %s: %s\n", path, why);
  expect_refused((ConfigSecret){.file = path}, expected);
}

static void test_read(void **state _unused_) {
  _cleanup_(config_secret_destroy) char *value = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  char path[128];
  char name[] = "A_SECRET_OF_THE_TEST";

  snprintf(path, sizeof path, "%s", path_of("key"));
  files_write("key", " hunter2 \r\n\n", 0640);
  assert_int_equal(config_secret_read(&(ConfigSecret){.file = path}, &value, &errors), 0);
  assert_string_equal(value, " hunter2 ");
  config_secret_destroy(&value);
  assert_null(value);
  setenv(name, "hunter3", 1);
  assert_int_equal(config_secret_read(&(ConfigSecret){.env = name}, &value, &errors), 0);
  assert_string_equal(value, "hunter3");
  unsetenv(name);
  assert_int_equal(errors.size, 0);
}

static void test_refused(void **state _unused_) {
  char name[] = "A_SECRET_OF_THE_TEST";
  char *large = malloc(65538);

  assert_non_null(large);
  memset(large, 'x', 65537);
  large[65537] = '\0';
  files_write("open", "hunter2\n", 0604);
  files_write("shared", "hunter2\n", 0660);
  files_write("empty", "\n", 0600);
  files_write("large", large, 0600);
  free(large);
  assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
  expect_file_refused("open",
                      "is open to everybody on this machine; run `chmod 600` on it and consider the secret known");
  expect_file_refused("shared", "may be written by its group; run `chmod g-w` on it");
  expect_file_refused("empty", "is empty; write the secret into it");
  expect_file_refused("large", "is larger than 64 KiB; name the file that holds the secret and nothing else");
  expect_file_refused("pipe", "is no regular file; name one");
  expect_file_refused("absent", "there is no such file; create it with mode 600, or correct the path");
  expect_refused((ConfigSecret){.env = name},
                 "secret from environment A_SECRET_OF_THE_TEST: is not set; set it before the start\n");
  setenv(name, "", 1);
  expect_refused((ConfigSecret){.env = name}, "secret from environment A_SECRET_OF_THE_TEST: is empty; set it\n");
  unsetenv(name);
  expect_refused((ConfigSecret){.file = NULL}, "secret from nowhere: there is no reference to a secret here\n");
}

/* What systemd or Docker put there: the folder is guarded, the file may be open to all who get that far. */
static void test_credential(void **state _unused_) {
  _cleanup_(config_secret_destroy) char *value = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  char name[] = "openai.key";
  ConfigSecret secret = {.credential = name};
  char path[CONFIG_PATH_SIZE];
  char expected[256];

  files_write(name, "hunter4\n", 0444);
  setenv("CREDENTIALS_DIRECTORY", files_folder(), 1);
  assert_int_equal(config_secret_read(&secret, &value, &errors), 0);
  assert_string_equal(value, "hunter4");
  assert_string_equal(config_secret_path(&secret, path), path_of(name));
  files_write(name, "hunter4\n", 0666);
  snprintf(expected, sizeof expected,
           "secret from file %s: is open to everybody on this machine; run `chmod 600` on it and consider the secret "
           "known\n",
           path_of(name));
  expect_refused(secret, expected);
  unsetenv("CREDENTIALS_DIRECTORY");
  assert_string_equal(config_secret_path(&secret, path), "/run/secrets/openai.key");
}

static void test_names(void **state _unused_) {
  char file[] = "/etc/pons/keys/openai";
  char env[] = "OPENAI_API_KEY";
  char credential[] = "openai";
  char path[CONFIG_PATH_SIZE];

  assert_string_equal(config_secret_name(&(ConfigSecret){.file = file}), "openai");
  assert_string_equal(config_secret_name(&(ConfigSecret){.env = env}), env);
  assert_string_equal(config_secret_name(&(ConfigSecret){.credential = credential}), credential);
  assert_string_equal(config_secret_name(&(ConfigSecret){.file = NULL}), "");
  assert_string_equal(config_secret_path(&(ConfigSecret){.file = file}, path), file);
  assert_null(config_secret_path(&(ConfigSecret){.env = env}, path));
  assert_true(config_secret_is_set(&(ConfigSecret){.credential = credential}));
  assert_false(config_secret_is_set(&(ConfigSecret){.file = NULL}));
}

/* A process that has read one leaves no memory in a core dump. */
static void test_no_core(void **state _unused_) {
  char filter[32] = "";
  FILE *file = fopen("/proc/self/coredump_filter", "re");

  if (!file)
    skip();
  assert_non_null(fgets(filter, sizeof filter, file));
  fclose(file);
  assert_int_equal(strtoul(filter, NULL, 16), 0);
}

static const ConfigCatalog catalog[] = {
    {"door", "door", "gateway"}, {"far", "far", "providers"}, {"near", "near", "local_llm"}, {NULL, NULL, NULL}};

static void test_check_all(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(buffer_done) Buffer text = {0};
  char expected[512];

  files_write("good", "hunter2\n", 0600);
  files_write("open", "hunter2\n", 0644);
  config = files_load("agents:\n"
                      "  - name: a\n"
                      "    program: a\n"
                      "    environment:\n"
                      "      - {name: ONE_KEY, secret: {file: good}}\n"
                      "      - {name: TWO_KEY, secret: {file: open}}\n"
                      "      - {name: THREE, value: plain}\n"
                      "  - name: off\n"
                      "    program: off\n"
                      "    enabled: false\n"
                      "    environment: [{name: FOUR, secret: {file: absent}}]\n");
  assert_int_equal(config_check_secrets(config, catalog, &errors), CONFIG_E_SECRET);
  buffer_append(&errors, "", 1);
  snprintf(expected, sizeof expected,
           "%s: agent a, TWO_KEY: secret from file %s: is open to everybody on this machine; run `chmod 600` on it and "
           "consider the secret known\n",
           files_config(), path_of("open"));
  assert_string_equal((const char *)errors.data, expected);
  config_print(config, &text);
  buffer_append(&text, "", 1);
  assert_null(strstr((const char *)text.data, "hunter2"));
  snprintf(expected, sizeof expected, "secret: {file: \"%s\"} # <secret from file %s>\n", path_of("good"),
           path_of("good"));
  assert_non_null(strstr((const char *)text.data, expected));
  buffer_clear(&errors);
  files_write("open", "hunter2\n", 0600);
  assert_int_equal(config_check_secrets(config, catalog, &errors), 0);
  assert_int_equal(errors.size, 0);
}

#define SECTIONS                                                                                                       \
  "gateway: {keys: [{name: a, secret: {file: good}}, {name: b, secret: {env: NOT_SET_B}}]}\n"                          \
  "providers: [{name: p, base_url: \"https://h\"}, {name: q, base_url: \"https://h\", key: {env: NOT_SET_Q}},\n"       \
  "  {name: r, base_url: \"https://h\", key: {file: good}},\n"                                                         \
  "  {name: s, base_url: \"https://h\", keys: [{file: good}, {credential: c}]}]\n"                                     \
  "local_llm: {key: {env: NOT_SET_L}}\n"

static void expect_section(const Config *config, const char *section, uint32_t index, const char *place) {
  ConfigPlacedSecret placed;

  assert_int_equal(config_section_secret(config, section, index, &placed), place != NULL);
  assert_int_equal(placed.secret != NULL, place != NULL);
  assert_string_equal(placed.place, place ? place : "");
}

static void test_sections(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = files_load(SECTIONS);

  expect_section(config, "gateway", 0, "gateway.keys, a");
  expect_section(config, "gateway", 1, "gateway.keys, b");
  expect_section(config, "gateway", 2, NULL);
  expect_section(config, "providers", 0, "providers, q");
  expect_section(config, "providers", 1, "providers, r");
  expect_section(config, "providers", 2, "providers, s");
  expect_section(config, "providers", 3, "providers, s");
  expect_section(config, "providers", 4, NULL);
  expect_section(config, "local_llm", 0, "local_llm.key");
  expect_section(config, "local_llm", 1, NULL);
  expect_section(config, "", 0, NULL);
}

/* What an agent reads itself is tried when the agent is enabled, and not else. */
static void test_check_sections(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  char expected[1024];

  files_write("good", "hunter2\n", 0600);
  config = files_load(SECTIONS "agents: [{name: door, program: x}, {name: far, program: x},\n"
                               "  {name: near, program: x, enabled: false}]\n");
  assert_int_equal(config_check_secrets(config, catalog, &errors), CONFIG_E_SECRET);
  buffer_append(&errors, "", 1);
  snprintf(
      expected, sizeof expected,
      "%s: agent door, gateway.keys, b: secret from environment NOT_SET_B: is not set; set it before the start\n"
      "%s: agent far, providers, q: secret from environment NOT_SET_Q: is not set; set it before the start\n"
      "%s: agent far, providers, s: secret from file /run/secrets/c: there is no such file; create it with mode 600, "
      "or correct the path\n",
      files_config(), files_config(), files_config());
  assert_string_equal((const char *)errors.data, expected);
  config_destroy(&config);
  buffer_clear(&errors);
  config = files_load(SECTIONS "agents: [{name: door, program: x, enabled: false}]\n");
  assert_int_equal(config_check_secrets(config, catalog, &errors), 0);
  assert_int_equal(errors.size, 0);
}

/* key comes before keys, and what is printed has references alone. */
static void test_keys_of_a_provider(void **state _unused_) {
  _cleanup_(config_destroy) Config *config =
      files_load("providers: [{name: p, base_url: \"https://h\", key: {env: A}, keys: [{env: B}, {file: /c}]}]\n");
  _cleanup_(buffer_done) Buffer text = {0};
  const ConfigProvider *provider = &config->providers[0];

  assert_string_equal(config_provider_secret(provider, 0)->env, "A");
  assert_string_equal(config_provider_secret(provider, 1)->env, "B");
  assert_string_equal(config_provider_secret(provider, 2)->file, "/c");
  assert_null(config_provider_secret(provider, 3));
  config_print(config, &text);
  buffer_append(&text, "", 1);
  assert_non_null(strstr((const char *)text.data, "- {env: \"B\"} # <secret from environment B>\n"));
  assert_non_null(strstr((const char *)text.data, "- {file: \"/c\"} # <secret from file /c>\n"));
}

static void test_destroy_takes_nothing(void **state _unused_) {
  char *secret = NULL;

  config_secret_destroy(&secret);
  assert_null(secret);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read),           cmocka_unit_test(test_refused),
      cmocka_unit_test(test_credential),     cmocka_unit_test(test_names),
      cmocka_unit_test(test_no_core),        cmocka_unit_test(test_keys_of_a_provider),
      cmocka_unit_test(test_check_all),      cmocka_unit_test(test_sections),
      cmocka_unit_test(test_check_sections), cmocka_unit_test(test_destroy_takes_nothing),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
