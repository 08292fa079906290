#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/agent/agent-internal.h"

static const Agent agent = {.name = "echo"};

static void clear_environment(void) {
  static const char *const names[] = {"PONS_AGENT_ENDPOINT", "PONS_AGENT_NAME", "PONS_AGENT_SITE",
                                      "PONS_AGENT_WEIGHT",   "PONS_AGENT_TIER", "PONS_AGENT_ROLE",
                                      "PONS_AGENT_VERSION",  "PONS_LOG_LEVEL",  "PONS_AGENT_CONCURRENCY"};

  for (size_t i = 0; i < ELEMENTS(names); i++)
    unsetenv(names[i]);
}

static int read_options(AgentOptions *ret, char *first, char *second) {
  char name[] = "pons-agent-echo";
  char *arguments[] = {name, first, second, NULL};

  optind = 0; /* getopt_long starts anew */
  return options_read(first ? 3 : 1, arguments, &agent, ret);
}

static void the_environment_is_read(void **state) {
  AgentOptions options;

  (void)state;
  clear_environment();
  setenv("PONS_AGENT_ENDPOINT", "ipc:///a,ipc:///b", 1);
  setenv("PONS_AGENT_NAME", "echo-2", 1);
  setenv("PONS_AGENT_SITE", "pc2", 1);
  setenv("PONS_AGENT_WEIGHT", "0", 1);
  setenv("PONS_AGENT_TIER", "gpu", 1);
  setenv("PONS_AGENT_ROLE", "standby", 1);
  setenv("PONS_AGENT_CONCURRENCY", "65535", 1);
  setenv("PONS_LOG_LEVEL", "debug", 1);
  assert_int_equal(read_options(&options, NULL, NULL), -1);
  assert_string_equal(options.endpoint, "ipc:///a,ipc:///b");
  assert_string_equal(options.name, "echo-2");
  assert_string_equal(options.site, "pc2");
  assert_string_equal(options.tier, "gpu");
  assert_string_equal(options.role, "standby");
  assert_true(options.has_weight && options.weight == 0);
  assert_int_equal(options.concurrency, 65535);
  assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
}

static void the_command_line_wins(void **state) {
  AgentOptions options;
  char option[] = "--name";
  char value[] = "mine";

  (void)state;
  clear_environment();
  setenv("PONS_AGENT_NAME", "theirs", 1);
  assert_int_equal(read_options(&options, option, value), -1);
  assert_string_equal(options.name, "mine");
}

static void the_default_endpoint_is_the_runtime_folder(void **state) {
  AgentOptions options;

  (void)state;
  clear_environment();
  setenv("PONS_RUNTIME_DIR", "/somewhere", 1);
  assert_int_equal(read_options(&options, NULL, NULL), -1);
  assert_string_equal(options.endpoint, "ipc:///somewhere/broker.sock");
  assert_string_equal(options.name, "echo");
  unsetenv("PONS_RUNTIME_DIR");
}

static void what_is_wrong_ends_with_usage(void **state) {
  static const char *const wrong[][2] = {{"PONS_AGENT_NAME", "a b"},          {"PONS_AGENT_SITE", "/"},
                                         {"PONS_AGENT_WEIGHT", "1001"},       {"PONS_AGENT_WEIGHT", "-1"},
                                         {"PONS_AGENT_WEIGHT", "x"},          {"PONS_AGENT_TIER", "tpu"},
                                         {"PONS_AGENT_ROLE", "spare"},        {"PONS_AGENT_CONCURRENCY", "0"},
                                         {"PONS_AGENT_CONCURRENCY", "65536"}, {"PONS_LOG_LEVEL", "everything"}};
  AgentOptions options;
  char option[] = "--nonsense";
  char value[] = "x";

  (void)state;
  for (size_t i = 0; i < ELEMENTS(wrong); i++) {
    clear_environment();
    setenv(wrong[i][0], wrong[i][1], 1);
    assert_int_equal(read_options(&options, NULL, NULL), 2);
  }
  clear_environment();
  assert_int_equal(read_options(&options, option, value), 2);
  assert_int_equal(read_options(&options, value, option), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_environment_is_read),
      cmocka_unit_test(the_command_line_wins),
      cmocka_unit_test(the_default_endpoint_is_the_runtime_folder),
      cmocka_unit_test(what_is_wrong_ends_with_usage),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
