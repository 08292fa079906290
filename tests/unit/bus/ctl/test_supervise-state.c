/* A supervisor that goes on as another one: it does what the first would have done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>

#include "bus/base/clock.h"
#include "bus/ctl/supervise-state.h"

#define MS UINT64_C(1000)

enum { CHILDREN = 4 };

static Supervisor *make(uint32_t intensity, uint32_t groups) {
  const SupervisePolicy policy = {.budget = {intensity, 10000 * MS},
                                  .backoff_first_us = 100 * MS,
                                  .backoff_longest_us = 350 * MS,
                                  .retry_us = 60000 * MS,
                                  .start_timeout_us = 1000 * MS,
                                  .stop_timeout_us = 500 * MS,
                                  .abort_timeout_us = 200 * MS,
                                  .watchdog_us = 300 * MS};
  const SuperviseBudget budgets[] = {{5, 10000 * MS}, {5, 10000 * MS}};
  SuperviseSpec specs[CHILDREN];
  Supervisor *supervisor = NULL;

  for (uint32_t i = 0; i < CHILDREN; i++)
    specs[i] = (SuperviseSpec){.stage = i > 0, .group = i > 0 ? 0 : SUPERVISE_NO_GROUP, .policy = policy};
  assert_int_equal(supervise_new(&supervisor, specs, CHILDREN, budgets, groups), 0);
  return supervisor;
}

/* Appends what follows from an event. */
static void step(Supervisor *supervisor, SuperviseEventType type, uint32_t child, uint64_t at_ms, char *ret,
                 size_t size_bytes) {
  SuperviseAction action;
  size_t size = 0;

  ret[0] = '\0';
  supervise_step(supervisor, (SuperviseEvent){type, child}, at_ms * MS);
  while (supervise_next_action(supervisor, &action))
    size += (size_t)snprintf(ret + size, size_bytes - size, "%d/%u ", (int)action.type, action.child);
}

static void quiet(Supervisor *supervisor, SuperviseEventType type, uint32_t child, uint64_t at_ms) {
  char text[128];

  step(supervisor, type, child, at_ms, text, sizeof text);
}

/* One with a child of each kind: READY, waiting after a crash, DEGRADED, being stopped. */
static Supervisor *make_busy(void) {
  Supervisor *supervisor = make(1, 1);

  quiet(supervisor, SUPERVISE_START, 0, 0);
  for (uint32_t i = 0; i < CHILDREN; i++)
    quiet(supervisor, SUPERVISE_READY, i, 10 + i);
  quiet(supervisor, SUPERVISE_EXITED, 2, 20);
  quiet(supervisor, SUPERVISE_TIMER, 0, 120);
  quiet(supervisor, SUPERVISE_EXITED, 2, 125); /* its budget of one is spent */
  quiet(supervisor, SUPERVISE_EXITED, 1, 130);
  quiet(supervisor, SUPERVISE_STOPPING, 3, 140);
  assert_int_equal(supervise_child(supervisor, 1)->state, CHILD_BACKOFF);
  assert_int_equal(supervise_child(supervisor, 2)->state, CHILD_DEGRADED);
  assert_int_equal(supervise_child(supervisor, 3)->state, CHILD_STOPPING);
  return supervisor;
}

static Supervisor *copy(const Supervisor *from, Supervisor *to) {
  json_t *all = supervise_save(from);

  assert_int_equal(supervise_load(to, all), 0);
  json_decref(all);
  for (uint32_t i = 0; i < CHILDREN; i++) {
    json_t *child = supervise_save_child(from, i);

    assert_int_equal(supervise_load_child(to, i, child), 0);
    json_decref(child);
    assert_memory_equal(supervise_child(to, i), supervise_child(from, i), sizeof(SuperviseChild));
  }
  assert_int_equal(supervise_due_us(to), supervise_due_us(from));
  return to;
}

static void test_does_what_the_first_would(void **state _unused_) {
  static const struct {
    SuperviseEventType type;
    uint32_t child;
    uint64_t at_ms;
  } history[] = {
      {SUPERVISE_BEAT, 0, 150},     {SUPERVISE_TIMER, 0, 230},   {SUPERVISE_READY, 1, 240},
      {SUPERVISE_EXITED, 3, 250},   {SUPERVISE_EXITED, 1, 260},  {SUPERVISE_TIMER, 0, 460},
      {SUPERVISE_TIMER, 0, 660},    {SUPERVISE_TIMER, 0, 60200}, {SUPERVISE_READY, 2, 60210},
      {SUPERVISE_EXITED, 2, 60220}, {SUPERVISE_STOP, 0, 60300},  {SUPERVISE_EXITED, 0, 60310},
  };
  Supervisor *first = make_busy();
  Supervisor *second = copy(first, make(1, 1));
  size_t told = 0;

  for (size_t i = 0; i < ELEMENTS(history); i++) {
    char expected[128];
    char got[128];

    step(first, history[i].type, history[i].child, history[i].at_ms, expected, sizeof expected);
    step(second, history[i].type, history[i].child, history[i].at_ms, got, sizeof got);
    assert_string_equal(got, expected);
    told += expected[0] != '\0';
    for (uint32_t k = 0; k < CHILDREN; k++)
      assert_memory_equal(supervise_child(second, k), supervise_child(first, k), sizeof(SuperviseChild));
  }
  assert_true(told >= 5); /* the history says something */
  supervise_destroy(&first);
  supervise_destroy(&second);
}

/* Other groups begin anew; of a smaller budget the last restarts count. */
static void test_other_budgets(void **state _unused_) {
  Supervisor *first = make_busy();
  Supervisor *second = make(0, 2);
  json_t *all = supervise_save(first);
  json_t *child = supervise_save_child(first, 1);

  assert_int_equal(supervise_load(second, all), 0);
  assert_int_equal(supervise_load_child(second, 1, child), 0);
  json_decref(child);
  json_decref(all);
  supervise_destroy(&first);
  supervise_destroy(&second);
}

static void test_nonsense(void **state _unused_) {
  static const char *const children[] = {
      "{}",
      "[]",
      "{\"state\": \"asleep\", \"taken_us\": []}",
      "{\"state\": \"ready\"}",
      "{\"state\": \"ready\", \"reason\": 9, \"taken_us\": []}",
      "{\"state\": \"ready\", \"spent\": 3, \"taken_us\": []}",
  };
  static const char *const all[] = {"{}", "{\"stage\": 1}", "{\"stage\": \"one\", \"groups\": []}",
                                    "{\"stage\": 1, \"groups\": [7]}"};
  Supervisor *supervisor = make(1, 1);

  for (size_t i = 0; i < ELEMENTS(children); i++) {
    json_t *json = json_loads(children[i], 0, NULL);

    assert_non_null(json);
    assert_int_equal(supervise_load_child(supervisor, 0, json), -EINVAL);
    json_decref(json);
  }
  for (size_t i = 0; i < ELEMENTS(all); i++) {
    json_t *json = json_loads(all[i], 0, NULL);

    assert_int_equal(supervise_load(supervisor, json), -EINVAL);
    json_decref(json);
  }
  supervise_destroy(&supervisor);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_does_what_the_first_would),
      cmocka_unit_test(test_other_budgets),
      cmocka_unit_test(test_nonsense),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
