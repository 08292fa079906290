/* PONS_ variables over the file: each kind of value, their own errors, and what is no setting. */
#include <stdlib.h>

#include "tests/unit/bus/config/files.h"

static void test_each_kind(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;

  setenv("PONS_SITE", "pc2", 1);
  setenv("PONS_LOG_LEVEL", "error", 1);
  setenv("PONS_BROKER_INSECURE", "true", 1);
  setenv("PONS_BROKER_LIMITS_BYTES_ALL", "8589934592", 1);
  setenv("PONS_BROKER_HEARTBEAT_INTERVAL_MS", "10", 1);
  setenv("PONS_CLIENT_RETRY_RATIO", "0.5", 1);
  setenv("PONS_BROKER_LISTEN", " tcp://0.0.0.0:7199 , ipc://a,", 1);
  setenv("PONS_RUNTIME_DIR", "/run/other", 1);
  config = files_load("site: mainpc\nlog: {level: debug}\nruntime_dir: /run/x\n"
                      "broker: {listen: [\"tcp://127.0.0.1:1\", \"tcp://127.0.0.1:2\", \"tcp://127.0.0.1:3\"]}\n");
  assert_string_equal(config->site, "pc2");
  assert_string_equal(config->broker.name, "pc2");
  assert_string_equal(config->log.level, "error");
  assert_true(config->broker.insecure);
  assert_int_equal(config->broker.limits.bytes_all, 8589934592);
  assert_int_equal(config->broker.heartbeat.interval_ms, 10);
  assert_true(config->client.retry.ratio > 0.49 && config->client.retry.ratio < 0.51);
  assert_int_equal(config->broker.listen_count, 2);
  assert_string_equal(config->broker.listen[0], "tcp://0.0.0.0:7199");
  assert_string_equal(config->broker.listen[1], "ipc:///run/other/a");
  assert_string_equal(config->client.endpoints[0], "ipc:///run/other/a");
}

static void test_wrong_values(void **state _unused_) {
  setenv("PONS_BROKER_LISTEN", "tcp://127.0.0.1:1,nowhere", 1);
  setenv("PONS_BROKER_LIMITS_SESSIONS", "many", 1);
  setenv("PONS_CLIENT_ENDPOINTS", " , ", 1);
  files_refuse(
      "log: {level: x}\n",
      "1:14: log.level: is 'x', must be one of: error warning info debug\n"
      "PONS_BROKER_LISTEN: is 'nowhere', must be tcp://ADDRESS:PORT with a port up to 65535, or ipc://PATH, of at "
      "most 255 bytes and no spaces\n"
      "PONS_BROKER_LIMITS_SESSIONS: is 'many', must be a whole number from 4 to 1000000\n"
      "PONS_CLIENT_ENDPOINTS: is empty; write values with commas between them, or unset it\n");
}

static void test_too_many_values(void **state _unused_) {
  setenv("PONS_CLIENT_ENDPOINTS", "ipc://a,ipc://a,ipc://a,ipc://a,ipc://a,ipc://a,ipc://a,ipc://a,ipc://a", 1);
  files_refuse("", "PONS_CLIENT_ENDPOINTS: has 9 values, at most 8 are allowed\n");
}

/* What several keys get wrong together is said of the variable when it has set the key, and not of the file's line. */
static void test_whole(void **state _unused_) {
  setenv("PONS_BROKER_LISTEN", "tcp://127.0.0.1:7100,tcp://10.0.0.1:7101", 1);
  setenv("PONS_BROKER_HEARTBEAT_TIMEOUT_MS", "20", 1);
  setenv("PONS_PROFILE", "nope", 1);
  files_refuse(
      "profile: full\nbroker:\n  listen: [ipc://a, ipc://b]\n  heartbeat: {timeout_ms: 100}\n",
      "PONS_BROKER_LISTEN: 'tcp://10.0.0.1:7101' listens beyond loopback without keys: everybody who reaches it "
      "could do everything; use 127.0.0.1, make keys with `pons keys init`, or set broker.insecure: true if the "
      "network is yours alone\n"
      "PONS_BROKER_HEARTBEAT_TIMEOUT_MS: is 20, must be above broker.heartbeat.interval_ms, which is 50\n"
      "PONS_PROFILE: there is no profile 'nope'; correct the name, or add it under profiles:\n");
}

static void test_unknown(void **state _unused_) {
  setenv("PONS_BROKER_LISTN", "ipc://a", 1);
  files_refuse("", "PONS_BROKER_LISTN: no such setting; did you mean PONS_BROKER_LISTEN? Else unset it\n");
  unsetenv("PONS_BROKER_LISTN");
  setenv("PONS_AGENTS", "echo", 1);
  files_refuse("", "PONS_AGENTS: no such setting; docs/configuration.md lists those that a variable can set. Set it in "
                   "pons.yaml, or unset it\n");
  unsetenv("PONS_AGENTS");
  setenv("PONS_CLIENT_COLOUR_OF_THE_HAT", "red", 1);
  files_refuse("",
               "PONS_CLIENT_COLOUR_OF_THE_HAT: no such setting; docs/configuration.md lists those that a variable can "
               "set. Set it in pons.yaml, or unset it\n");
}

static void test_no_settings(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};

  setenv("PONS_AGENT_NAME", "echo", 1);
  setenv("PONS_TEST_SEED", "1", 1);
  setenv("PONS_BENCH_QUICK", "1", 1);
  files_write("pons.yaml", "", 0644);
  assert_int_equal(config_load(files_config(), &config, &errors), 0);
  assert_int_equal(errors.size, 0);
  config_destroy(&config);
  setenv("PONS_FAVOURITE_COLOUR", "red", 1);
  assert_int_equal(config_load(files_config(), &config, &errors), 0);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data,
                      "PONS_FAVOURITE_COLOUR: warning: begins with PONS_ and is no setting; it is ignored\n");
  unsetenv("PONS_TEST_SEED");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_each_kind, files_clean),       cmocka_unit_test_setup(test_wrong_values, files_clean),
      cmocka_unit_test_setup(test_too_many_values, files_clean), cmocka_unit_test_setup(test_whole, files_clean),
      cmocka_unit_test_setup(test_unknown, files_clean),         cmocka_unit_test_setup(test_no_settings, files_clean),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
