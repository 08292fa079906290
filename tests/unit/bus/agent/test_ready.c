/* What an agent begins when the brokers know it: once, and if that fails it ends. */
#include <assert.h>
#include <errno.h>

#include "tests/unit/bus/agent/stage.h"

static int calls;
static int result;

static void on_nothing(Call *call, const void *request) {
  (void)request;
  call_error(call, STATUS_REFUSED, "nothing");
}

static int ready(Runtime *runtime) {
  assert_true(brokers_any(runtime));
  calls++;
  return result;
}

static const Agent agent = {
    .name = "test",
    .about = "begins something",
    .services =
        AGENT_SERVICES({"test", .methods = AGENT_METHODS({"nothing", on_nothing, .untyped = true, .inline_ = true})}),
    .ready = ready,
};

static bool was_called(void *userdata) {
  (void)userdata;
  return calls > 0;
}

static void test_once(void **state) {
  Stage stage = {.runtime = NULL};

  (void)state;
  calls = result = 0;
  stage_start(&stage, &agent);
  assert_int_equal(loop_run_until(stage.runtime->loop, was_called, NULL, clock_monotonic_us() + 10 * US_PER_S), 0);
  fake_stop(&stage.fake); /* the broker dies and comes back */
  fake_start(&stage.fake);
  free(fake_take(&stage.fake, KIND_CREDIT));
  assert_int_equal(calls, 1);
  stage_stop(&stage);
}

static void test_fails(void **state) {
  Stage stage = {.runtime = NULL};

  (void)state;
  calls = 0;
  result = -EADDRINUSE;
  fake_init(&stage.fake, NULL);
  stage.options = (AgentOptions){.endpoint = stage.fake.endpoint, .name = agent.name};
  assert_int_equal(runtime_new(&agent, &stage.options, &stage.runtime), 0);
  stage.fake.loop = stage.runtime->loop;
  fake_start(&stage.fake);
  assert_int_equal(loop_run(stage.runtime->loop), EXIT_FAILURE);
  assert_int_equal(calls, 1);
  stage_stop(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_once), cmocka_unit_test(test_fails)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
