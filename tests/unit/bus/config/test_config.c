/* What config_load makes of good files: defaults, values, variables, and that print and load are each other's inverse.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/bus/config/files.h"

static char *printed(const Config *config) {
  _cleanup_(buffer_done) Buffer text = {0};
  const char *body;

  config_print(config, &text);
  buffer_append(&text, "", 1);
  body = strchr((const char *)text.data, '\n'); /* the first line names the source */
  assert_non_null(body);
  return strdup(body + 1);
}

static void test_defaults(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = files_load("# nothing but this\n");

  assert_string_equal(config->log.level, "info");
  assert_string_equal(config->profile, "full");
  assert_string_equal(config->broker.name, config->site);
  assert_int_equal(config->broker.listen_count, 2);
  assert_string_equal(config->broker.listen[0], "tcp://127.0.0.1:7100");
  assert_true(strncmp(config->broker.listen[1], "ipc:///", 7) == 0);
  assert_int_equal(config->client.endpoints_count, 1);
  assert_string_equal(config->client.endpoints[0], config->broker.listen[1]);
  assert_false(config->broker.insecure);
  assert_int_equal(config->broker.limits.bytes_all, 268435456);
  assert_int_equal(config->broker.heartbeat.timeout_ms, 150);
  assert_true(config->client.retry.ratio > 0.09 && config->client.retry.ratio < 0.11);
  assert_non_null(config_find_group(config, "core"));
  assert_non_null(config_find_profile(config, "full"));
  assert_string_equal(config->source, files_config());
}

static const char everything[] =
    "site: mainpc\n"
    "log: {level: debug}\n"
    "runtime_dir: /run/x\n"
    "state_dir: /var/lib/x\n"
    "profile: small\n"
    "broker:\n"
    "  name: b1\n"
    "  listen: [\"tcp://0.0.0.0:7100\", ipc://b.sock, ipc:///run/y.sock]\n"
    "  insecure: true\n"
    "  limits: {requests_per_client: 1, bytes_per_client: 262144, bytes_all: 4294967296,\n"
    "           queue_per_service: 2, sessions: 5, subscriptions_per_session: 3, last_values: 0}\n"
    "  heartbeat: {interval_ms: 20, timeout_ms: 60, idle_ms: 1000}\n"
    "  routes:\n"
    "    - service: Echo.main\n"
    "      versions: [{version: \"1\", weight: 95}, {version: \"2\", weight: 5}]\n"
    "client:\n"
    "  endpoints: [ipc://b.sock, \"tcp://127.0.0.2:7100\"]\n"
    "  retry: {budget_tokens: 0, ratio: 0.25, attempts: 1}\n"
    "  deadline_ms: 5\n"
    "agents:\n"
    "  - name: one\n"
    "    program: /usr/bin/one\n"
    "    enabled: false\n"
    "  - name: two\n"
    "    program: two\n"
    "    instances: 3\n"
    "    group: slow\n"
    "    arguments: [--fast, \"a \\\"b\\\" c\", \"\"]\n"
    "    environment:\n"
    "      - {name: MODE, value: \"\"}\n"
    "      - {name: OPENAI_API_KEY, secret: {file: keys/openai}}\n"
    "      - {name: HF_TOKEN, secret: {env: MY_TOKEN}}\n"
    "    weight: 7\n"
    "    tier: gpu\n"
    "    role: standby\n"
    "    version: 1.2-rc\n"
    "    restart: {burst: 0, within_ms: 100, delay_ms: 7, delay_max_ms: 7}\n"
    "    start_timeout_ms: 11\n"
    "    stop_timeout_ms: 12\n"
    "    watchdog_ms: 13\n"
    "groups: [{name: slow, burst: 1, within_ms: 200}]\n"
    "profiles: [{name: small, agents: [one, two]}, {name: full, agents: [\"*\"]}]\n";

static void test_everything(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = files_load(everything);
  const ConfigAgent *two = config_find_agent(config, "two");
  char expected[160];

  assert_string_equal(config->broker.listen[1], "ipc:///run/x/b.sock");
  assert_string_equal(config->broker.listen[2], "ipc:///run/y.sock");
  assert_true(config->broker.insecure);
  assert_int_equal(config->broker.limits.bytes_all, 4294967296);
  assert_int_equal(config->broker.limits.last_values, 0);
  assert_string_equal(config->broker.routes[0].service, "Echo.main");
  assert_int_equal(config->broker.routes[0].versions[1].weight, 5);
  assert_string_equal(config->client.endpoints[0], "ipc:///run/x/b.sock");
  assert_int_equal(config->client.retry.budget_tokens, 0);
  assert_non_null(two);
  assert_int_equal(two->instances, 3);
  assert_string_equal(two->arguments[1], "a \"b\" c");
  assert_string_equal(two->arguments[2], "");
  assert_string_equal(two->environment[0].value, "");
  snprintf(expected, sizeof expected, "%s/keys/openai", files_folder());
  assert_string_equal(two->environment[1].secret.file, expected);
  assert_null(two->environment[1].value);
  assert_string_equal(two->environment[2].secret.env, "MY_TOKEN");
  assert_string_equal(two->tier, "gpu");
  assert_int_equal(two->restart.delay_ms, 7);
  assert_int_equal(two->restart.burst, 0);
  assert_null(config_find_agent(config, "one")->tier);
  assert_string_equal(config_find_agent(config, "one")->group, "core");
  assert_int_equal(config_find_agent(config, "one")->start_timeout_ms, 10000);
  assert_false(config_profile_has(config_find_profile(config, "small"), config_find_agent(config, "one")));
  assert_true(config_profile_has(config_find_profile(config, "small"), two));
  assert_true(config_profile_has(config_find_profile(config, "full"), two));
  assert_null(config_find_agent(config, "three"));
  assert_null(config_find_profile(config, "core2"));
  assert_null(config_find_group(config, "fast"));
}

/* The catalog's agents are there with defaults, those of the file keep their place and their values. */
static void test_catalog(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = files_load("agents: [{name: second, instances: 3}]\n");
  const ConfigProfile *core = config_find_profile(config, "core");

  assert_int_equal(config->agents_count, 2);
  assert_string_equal(config->agents[0].name, "second");
  assert_int_equal(config->agents[0].instances, 3);
  assert_string_equal(config->agents[1].name, "echo");
  assert_string_equal(config->agents[1].program, "pons-agent-echo");
  assert_string_equal(config->agents[1].group, "core");
  assert_true(config->agents[1].enabled);
  assert_int_equal(config->agents[1].restart.delay_max_ms, 5000);
  assert_non_null(core);
  assert_true(config_profile_has(core, &config->agents[1]));
  assert_false(config_profile_has(core, &config->agents[0]));
}

/* Who starts no agents knows no catalog and does not judge names of agents. */
static void test_no_catalog(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};

  files_write("pons.yaml", "agents: [{name: stranger}]\nprofiles: [{name: a, agents: [echo]}]\n", 0644);
  assert_int_equal(config_load(files_config(), &config, &errors), 0);
  assert_int_equal(config->agents_count, 1);
  assert_string_equal(config->agents[0].program, "pons-agent-stranger");
  assert_null(config_find_profile(config, "core"));
}

static void test_print_loads_again(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = files_load(everything);
  _cleanup_(config_destroy) Config *again = NULL;
  char *first = printed(config);
  char *second;

  assert_non_null(strstr(first, "/keys/openai\"} # <secret from file /tmp/"));
  assert_non_null(strstr(first, "} # <secret from environment MY_TOKEN>"));
  again = files_load(first);
  second = printed(again);
  assert_string_equal(first, second);
  free(first);
  free(second);
}

/* A file, then $PONS_CONFIG, then ./pons.yaml, then (when there is no /etc/pons/pons.yaml) the built-in defaults. */
static void test_search(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};

  files_write("pons.yaml", "site: here\n", 0644);
  files_write("other.yaml", "site: other\n", 0644);
  files_write("third.yaml", "site: third\n", 0644);
  assert_int_equal(config_load(NULL, &config, &errors), 0);
  assert_string_equal(config->source, "pons.yaml");
  assert_string_equal(config->site, "here");
  config_destroy(&config);
  setenv("PONS_CONFIG", "other.yaml", 1);
  assert_int_equal(config_load(NULL, &config, &errors), 0);
  assert_string_equal(config->site, "other");
  config_destroy(&config);
  assert_int_equal(config_load("third.yaml", &config, &errors), 0);
  assert_string_equal(config->site, "third");
  config_destroy(&config);
  unsetenv("PONS_CONFIG");
  unlink("pons.yaml");
  if (access("/etc/pons/pons.yaml", F_OK) == 0)
    return;
  assert_int_equal(config_load(NULL, &config, &errors), 0);
  assert_string_equal(config->source, "built-in defaults");
  assert_int_equal(errors.size, 0);
}

static void test_no_such_file(void **state _unused_) {
  char untouched;
  Config *config = (Config *)(void *)&untouched;
  _cleanup_(buffer_done) Buffer errors = {0};

  setenv("PONS_CONFIG", "missing.yaml", 1);
  assert_int_equal(config_load(NULL, &config, &errors), -ENOENT);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data, "missing.yaml: can't be read: No such file or directory; correct the "
                                                 "path or its permissions\n");
  assert_ptr_equal(config, &untouched);
  buffer_clear(&errors);
  assert_int_equal(config_load("/tmp", &config, &errors), CONFIG_E_INVALID);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data, "/tmp: is no regular file; name a file\n");
  assert_ptr_equal(config, &untouched);
}

static void test_destroy_takes_nothing(void **state _unused_) {
  Config *config = NULL;

  config_destroy(&config);
  assert_null(config);
}

/* Files that were good once: a byte changed, cut out or doubled. Whatever comes of it must be said, and must not crash;
   what loads must print and load again. xorshift64* (Vigna 2014), so that a failure replays. */
static void test_damaged_files(void **state _unused_) {
  uint64_t seed = 0x9e3779b97f4a7c15;
  unsigned loaded = 0;

  for (unsigned round = 0; round < 3000; round++) {
    static const char bytes[] = "-:[]{}\"'#&*!|>%@`,? \t\n\0\x80\xff"
                                "0aZ";
    _cleanup_(config_destroy) Config *config = NULL;
    _cleanup_(buffer_done) Buffer errors = {0};
    char text[sizeof everything + 8];
    size_t size = sizeof everything - 1;

    memcpy(text, everything, sizeof everything);
    for (unsigned k = 0; k < 1 + round % 3; k++) {
      size_t at;

      seed ^= seed >> 12;
      seed ^= seed << 25;
      seed ^= seed >> 27;
      at = (size_t)(seed >> 8) % size;
      if (seed % 3 == 0)
        text[at] = bytes[(seed >> 40) % (sizeof bytes - 1)];
      else if (seed % 3 == 1)
        memmove(text + at, text + at + 1, size-- - at);
      else
        memmove(text + at + 1, text + at, size++ - at);
    }
    text[size] = '\0';
    files_write("pons.yaml", text, 0644);
    if (config_load(files_config(), &config, &errors) == 0) {
      free(printed(config));
      loaded++;
    } else {
      assert_true(errors.size > 0);
    }
  }
  assert_true(loaded > 100 && loaded < 2900);
}

static void test_price(void **state _unused_) {
  uint64_t nano = 7;

  assert_int_equal(config_price(NULL, &nano), CONFIG_E_UNKNOWN);
  assert_int_equal(nano, 7);
  assert_int_equal(config_price("0.15", &nano), 0);
  assert_int_equal(nano, 150);
  assert_int_equal(config_price("15", &nano), 0);
  assert_int_equal(nano, 15000);
  assert_int_equal(config_price("0.0759", &nano), 0);
  assert_int_equal(nano, 75);
  assert_int_equal(config_price("0", &nano), 0);
  assert_int_equal(nano, 0);
}

/* What config_load_and_tell says on standard error, which is put back. */
static int told(const char *text, Config **ret, Buffer *said) {
  FILE *file = tmpfile();
  int real = dup(STDERR_FILENO), r;

  files_write("pons.yaml", text, 0600);
  setenv("PONS_CONFIG", files_config(), 1);
  assert_non_null(file);
  fflush(stderr);
  dup2(fileno(file), STDERR_FILENO);
  r = config_load_and_tell(ret);
  fflush(stderr);
  dup2(real, STDERR_FILENO);
  close(real);
  rewind(file);
  said->size = fread(buffer_reserve(said, 4096), 1, 4096, file);
  fclose(file);
  unsetenv("PONS_CONFIG");
  buffer_append(said, "", 1);
  return r;
}

static void test_telling(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = NULL;
  _cleanup_(buffer_done) Buffer wrong = {0};
  _cleanup_(buffer_done) Buffer none = {0};
  Config *untouched = NULL;

  assert_int_equal(told("nonsense: 1\n", &untouched, &wrong), -EINVAL);
  assert_null(untouched);
  assert_non_null(strstr((const char *)wrong.data, "pons.yaml:1:1: unknown key 'nonsense'"));
  assert_int_equal(told("site: here\n", &config, &none), 0);
  assert_string_equal((const char *)none.data, "");
  assert_string_equal(config->site, "here");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_defaults, files_clean),
      cmocka_unit_test_setup(test_everything, files_clean),
      cmocka_unit_test_setup(test_catalog, files_clean),
      cmocka_unit_test(test_price),
      cmocka_unit_test_setup(test_telling, files_clean),
      cmocka_unit_test_setup(test_no_catalog, files_clean),
      cmocka_unit_test_setup(test_print_loads_again, files_clean),
      cmocka_unit_test_setup(test_search, files_clean),
      cmocka_unit_test_setup(test_no_such_file, files_clean),
      cmocka_unit_test_setup(test_destroy_takes_nothing, files_clean),
      cmocka_unit_test_setup(test_damaged_files, files_clean),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
