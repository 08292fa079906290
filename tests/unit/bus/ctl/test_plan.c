/* From a pons.yaml to the processes that are to run, with their arguments, budgets and environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/ctl/plan.h"

static const ConfigCatalog catalog[] = {{"one", "/bin/sh", "providers"}, {"many", "/bin/sh", ""}, {NULL, NULL, NULL}};
static char folder[] = "/tmp/pons-test-XXXXXX";

static const char *in_folder(const char *name) {
  static char path[4][96];
  static int next;

  next = (next + 1) % 4;
  snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
  return path[next];
}

static void write_file(const char *name, const char *text, mode_t mode) {
  FILE *file = fopen(in_folder(name), "w");

  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(in_folder(name), mode), 0);
}

static int make_folder(void **state _unused_) {
  assert_non_null(mkdtemp(folder));
  write_file("pons-broker", "#!/bin/sh\n", 0755);
  write_file("key", "k-123\n", 0600);
  assert_int_equal(setenv("PATH", folder, 1), 0);
  assert_int_equal(setenv("OTHER_API_KEY", "sk-of-somebody-else", 1), 0);
  assert_int_equal(setenv("PLAN_TEST_KEY", "sk-of-p", 1), 0);
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(in_folder("pons-broker"));
  unlink(in_folder("key"));
  unlink(in_folder("pons.yaml"));
  return rmdir(folder);
}

static const char *const fleet = "runtime_dir: %s\n"
                                 "state_dir: %s\n"
                                 "providers:\n"
                                 "  - {name: p, base_url: \"https://h\", key: {env: PLAN_TEST_KEY}}\n"
                                 "  - {name: q, base_url: \"https://h\", key: {file: key}}\n"
                                 "gateway: {keys: [{name: a, secret: {env: OTHER_API_KEY}}]}\n"
                                 "profiles:\n"
                                 "  - name: two\n"
                                 "    agents: [one, many]\n"
                                 "  - name: broken\n"
                                 "    agents: [lost, keyless]\n"
                                 "  - name: keyless\n"
                                 "    agents: [keyless]\n"
                                 "profile: two\n"
                                 "groups:\n"
                                 "  - name: workers\n"
                                 "    burst: 7\n"
                                 "    within_ms: 4000\n"
                                 "agents:\n"
                                 "  - name: one\n"
                                 "    program: /bin/sh\n"
                                 "    arguments: [\"-c\", \"exit 0\"]\n"
                                 "    environment:\n"
                                 "      - name: PLAIN\n"
                                 "        value: yes-1\n"
                                 "      - name: MODEL_KEY\n"
                                 "        secret: {file: key}\n"
                                 "    weight: 7\n"
                                 "    tier: gpu\n"
                                 "    singleton: only.one\n"
                                 "    restart: {burst: 2, within_ms: 3000, delay_ms: 50, delay_max_ms: 900}\n"
                                 "    watchdog_ms: 400\n"
                                 "  - name: many\n"
                                 "    program: /bin/sh\n"
                                 "    instances: 3\n"
                                 "    group: workers\n"
                                 "  - name: lost\n"
                                 "    program: no-such-program\n"
                                 "    instances: 2\n"
                                 "  - name: keyless\n"
                                 "    program: /bin/sh\n"
                                 "    environment:\n"
                                 "      - name: A_TOKEN\n"
                                 "        secret: {env: PLAN_TEST_NOT_SET}\n";

static Config *load(void) {
  char text[4096];
  _cleanup_(buffer_done) Buffer errors = {0};
  Config *config = NULL;

  snprintf(text, sizeof text, fleet, folder, folder);
  write_file("pons.yaml", text, 0644);
  if (config_load(in_folder("pons.yaml"), &config, &errors) != 0)
    fail_msg("%.*s", (int)errors.size, (const char *)errors.data);
  return config;
}

static void test_children_of_a_profile(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = load();
  _cleanup_(plan_destroy) Plan *plan = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};

  assert_int_equal(plan_new(&plan, config, catalog, NULL, &errors), 0);
  assert_int_equal(errors.size, 0);
  assert_int_equal(plan->count, 5);
  assert_string_equal(plan->profile->name, "two");
  assert_string_equal(plan->children[0].name, "broker");
  assert_string_equal(plan->children[0].program, in_folder("pons-broker"));
  assert_string_equal(plan->children[0].arguments[1], "--config");
  assert_string_equal(plan->children[0].arguments[2], in_folder("pons.yaml"));
  assert_string_equal(plan->children[0].arguments[3], "--crash-record");
  assert_string_equal(plan->children[0].arguments[4], in_folder("crash-broker"));
  assert_null(plan->children[0].arguments[5]);
  assert_int_equal(plan->children[0].spec.stage, 0);
  assert_string_equal(plan->children[1].name, "one");
  assert_string_equal(plan->children[1].program, "/bin/sh");
  assert_string_equal(plan->children[1].arguments[2], "exit 0");
  assert_null(plan->children[1].arguments[3]);
  assert_string_equal(plan->children[2].name, "many#1");
  assert_string_equal(plan->children[4].name, "many#3");
  assert_int_equal(plan->name_width, 6);
}

static const PlanChild *find_child(const Plan *plan, const char *name) {
  for (uint32_t i = 0; i < plan->count; i++)
    if (strcmp(plan->children[i].name, name) == 0)
      return &plan->children[i];
  fail_msg("there is no child %s", name);
  return NULL;
}

static void test_two_machines_on_one(void **state _unused_) {
  setenv("PONS_OTHER_BROKER_RUN", "true", 1);
  setenv("PONS_AUTHORITY_NODE", "a", 1);
  setenv("PONS_AUTHORITY_PEER", "tcp://127.0.0.2:7102", 1);
  _cleanup_(config_destroy) Config *config = load();
  _cleanup_(plan_destroy) Plan *plan = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(environment_done) Environment one = {0};
  _cleanup_(environment_done) Environment broker = {0};
  const PlanChild *second;

  assert_int_equal(plan_new(&plan, config, catalog, NULL, &errors), 0);
  assert_int_equal(plan->count, 6);
  second = find_child(plan, "broker@pc2");
  assert_ptr_equal(second, &plan->children[1]);
  assert_int_equal(second->spec.stage, 0);
  assert_string_equal(second->arguments[3], "--name");
  assert_string_equal(second->arguments[4], "pc2");
  assert_string_equal(second->arguments[7], "--listen");
  assert_string_equal(second->arguments[8], "tcp://127.0.0.2:7100");
  assert_string_equal(second->arguments[9], "--crash-record");
  assert_string_equal(second->arguments[10], in_folder("crash-broker@pc2"));
  assert_null(second->arguments[11]);
  assert_int_equal(plan_environment(plan, second, "/x/notify", &broker, &errors), 0);
  assert_string_equal(environment_find(&broker, "PONS_AUTHORITY_NODE"), "b");
  assert_string_equal(environment_find(&broker, "PONS_AUTHORITY_LISTEN"), "tcp://127.0.0.2:7102");
  assert_string_equal(environment_find(&broker, "PONS_AUTHORITY_PEER"), "tcp://127.0.0.1:7102");
  assert_string_equal(environment_find(&broker, "PONS_STATE_DIR"), in_folder("pc2"));
  assert_int_equal(plan_environment(plan, find_child(plan, "one"), "/x/notify", &one, &errors), 0);
  assert_non_null(strstr(environment_find(&one, "PONS_AGENT_ENDPOINT"), "/broker.sock;tcp://127.0.0.2:7100"));
  assert_string_equal(environment_find(&one, "PONS_STATE_DIR"), folder);
  unsetenv("PONS_OTHER_BROKER_RUN");
  unsetenv("PONS_AUTHORITY_NODE");
  unsetenv("PONS_AUTHORITY_PEER");
}

static void test_policies(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = load();
  _cleanup_(plan_destroy) Plan *plan = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  const SuperviseSpec *spec;

  assert_int_equal(plan_new(&plan, config, catalog, "two", &errors), 0);
  spec = &plan->children[1].spec;
  assert_int_equal(spec->stage, 1);
  assert_int_equal(spec->policy.budget.intensity, 2);
  assert_int_equal(spec->policy.budget.period_us, 3 * US_PER_S);
  assert_int_equal(spec->policy.backoff_first_us, 50 * US_PER_MS);
  assert_int_equal(spec->policy.backoff_longest_us, 900 * US_PER_MS);
  assert_int_equal(spec->policy.watchdog_us, 400 * US_PER_MS);
  assert_int_equal(spec->policy.retry_us, 60 * US_PER_S);
  spec = &plan->children[2].spec;
  assert_true(spec->group >= 0 && (uint32_t)spec->group < plan->group_count);
  assert_int_equal(plan->groups[spec->group].intensity, 7);
  assert_int_equal(plan->groups[spec->group].period_us, 4 * US_PER_S);
}

static void test_environment_of_an_agent(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = load();
  _cleanup_(plan_destroy) Plan *plan = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(environment_done) Environment one = {0};
  _cleanup_(environment_done) Environment many = {0};

  assert_int_equal(plan_new(&plan, config, catalog, NULL, &errors), 0);
  assert_int_equal(plan_environment(plan, &plan->children[1], "/x/notify", &one, &errors), 0);
  assert_string_equal(environment_find(&one, "PLAIN"), "yes-1");
  assert_string_equal(environment_find(&one, "MODEL_KEY"), "k-123");
  assert_string_equal(environment_find(&one, "NOTIFY_SOCKET"), "/x/notify");
  assert_string_equal(environment_find(&one, "WATCHDOG_USEC"), "400000");
  assert_string_equal(environment_find(&one, "PONS_AGENT_NAME"), "one");
  assert_string_equal(environment_find(&one, "PONS_AGENT_WEIGHT"), "7");
  assert_string_equal(environment_find(&one, "PONS_AGENT_TIER"), "gpu");
  assert_null(environment_find(&one, "PONS_AGENT_ROLE"));
  assert_string_equal(environment_find(&one, "PONS_AGENT_SINGLETON"), "only.one");
  assert_non_null(strstr(environment_find(&one, "PONS_AGENT_ENDPOINT"), "ipc://"));
  assert_null(environment_find(&one, "OTHER_API_KEY"));
  assert_string_equal(environment_find(&one, "PLAN_TEST_KEY"), "sk-of-p"); /* its section names it */
  assert_string_equal(environment_find(&one, "PONS_CONFIG"), in_folder("pons.yaml"));
  assert_int_equal(plan_environment(plan, &plan->children[3], "/x/notify", &many, &errors), 0);
  assert_string_equal(environment_find(&many, "PONS_AGENT_NAME"), "many");
  assert_null(environment_find(&many, "MODEL_KEY"));
  assert_null(environment_find(&many, "PONS_AGENT_SINGLETON"));
  assert_null(environment_find(&many, "PLAN_TEST_KEY"));
  assert_string_equal(environment_find(&many, "PONS_CONFIG"), in_folder("pons.yaml"));
  assert_null(environment_find(&many, "WATCHDOG_USEC"));
}

/* A relative path would mean another file in another folder; a link is not followed, for what the file names is
   relative to where it lies. */
static void test_the_file_in_effect(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = load();
  _cleanup_(plan_destroy) Plan *plan = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(environment_done) Environment one = {0};

  config_destroy(&config);
  assert_int_equal(chdir(folder), 0);
  assert_int_equal(rename("pons.yaml", "real.yaml"), 0);
  assert_int_equal(symlink("real.yaml", "pons.yaml"), 0);
  assert_int_equal(config_load("pons.yaml", &config, &errors), 0);
  assert_int_equal(plan_new(&plan, config, catalog, NULL, &errors), 0);
  assert_string_equal(plan->children[0].arguments[2], in_folder("pons.yaml"));
  assert_int_equal(plan_environment(plan, &plan->children[1], "/x/notify", &one, &errors), 0);
  assert_string_equal(environment_find(&one, "PONS_CONFIG"), in_folder("pons.yaml"));
  unlink("real.yaml");
  unlink("pons.yaml");
}

static void test_no_file(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = load();
  _cleanup_(plan_destroy) Plan *plan = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(environment_done) Environment one = {0};

  unlink(in_folder("pons.yaml"));
  assert_int_equal(plan_new(&plan, config, catalog, NULL, &errors), 0);
  assert_string_equal(plan->children[0].arguments[1], "--crash-record");
  assert_null(plan->children[0].arguments[3]);
  assert_int_equal(plan_environment(plan, &plan->children[1], "/x/notify", &one, &errors), 0);
  assert_null(environment_find(&one, "PONS_CONFIG"));
}

static void assert_refused(const Config *config, const char *profile, int error, const char *expected) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Plan *untouched = (Plan *)&errors;

  assert_int_equal(plan_new(&untouched, config, catalog, profile, &errors), error);
  assert_ptr_equal(untouched, &errors);
  buffer_append(&errors, "", 1);
  if (!strstr((const char *)errors.data, expected))
    fail_msg("%s", (const char *)errors.data);
}

static void test_what_is_missing_is_named(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = load();

  assert_refused(config, "nope", PLAN_E_PROFILE, "there is no profile 'nope'; there is ");
  assert_refused(config, "nope", PLAN_E_PROFILE, "two");
  assert_refused(config, "broken", PLAN_E_PROGRAM, "lost#1: there is no program 'no-such-program'");
  assert_refused(config, "keyless", PLAN_E_SECRET, "keyless: A_TOKEN: secret from environment PLAN_TEST_NOT_SET");
  unsetenv("PLAN_TEST_KEY");
  assert_refused(config, "two", PLAN_E_SECRET,
                 "one: providers, p: secret from environment PLAN_TEST_KEY: is not set; set it before the start\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_children_of_a_profile),
      cmocka_unit_test(test_two_machines_on_one),
      cmocka_unit_test(test_policies),
      cmocka_unit_test(test_environment_of_an_agent),
      cmocka_unit_test(test_the_file_in_effect),
      cmocka_unit_test(test_no_file),
      cmocka_unit_test(test_what_is_missing_is_named),
  };

  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
