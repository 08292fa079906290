/* The supervisor's brain, step by step: what it asks for after each event, and 2,000 random histories against what must
   always hold: one process per child, no loop beyond the budget, an orderly end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>

#include "bus/base/buffer.h"
#include "bus/base/clock.h"
#include "bus/ctl/supervise.h"

#define MS UINT64_C(1000)

static const SupervisePolicy policy = {
    .budget = {3, 10000 * MS},
    .backoff_first_us = 100 * MS,
    .backoff_longest_us = 350 * MS,
    .retry_us = 60000 * MS,
    .start_timeout_us = 1000 * MS,
    .stop_timeout_us = 500 * MS,
    .abort_timeout_us = 200 * MS,
};

static const char *const act_names[] = {"start", "stop", "abort", "kill", "degraded", "ended"};

/* A broker and so many agents, no groups. */
static Supervisor *make(uint32_t agents) {
  SuperviseSpec specs[8] = {{.stage = 0, .group = SUPERVISE_NO_GROUP, .policy = policy}};
  Supervisor *supervisor = NULL;

  for (uint32_t i = 1; i <= agents; i++)
    specs[i] = (SuperviseSpec){.stage = 1, .group = SUPERVISE_NO_GROUP, .policy = policy};
  assert_int_equal(supervise_new(&supervisor, specs, 1 + agents, NULL, 0), 0);
  return supervisor;
}

static Supervisor *make_one(SupervisePolicy one) {
  SuperviseSpec spec = {.group = SUPERVISE_NO_GROUP, .policy = one};
  Supervisor *supervisor = NULL;

  assert_int_equal(supervise_new(&supervisor, &spec, 1, NULL, 0), 0);
  return supervisor;
}

/* Takes one event at a time in ms and compares all that follows with e.g. "start 0, start 1". */
static void step(Supervisor *supervisor, SuperviseEventType type, uint32_t child, uint64_t at_ms,
                 const char *expected) {
  Buffer got = {0};
  SuperviseAction action;

  supervise_step(supervisor, (SuperviseEvent){type, child}, at_ms * MS);
  while (supervise_next_action(supervisor, &action))
    buffer_printf(&got, action.type == SUPERVISE_ACT_ENDED ? "%s%s" : "%s%s %u", got.size ? ", " : "",
                  act_names[action.type], action.child);
  buffer_append(&got, "", 1);
  assert_string_equal((const char *)got.data, expected);
  buffer_done(&got);
}

static void assert_state(const Supervisor *supervisor, uint32_t child, ChildState state) {
  assert_string_equal(child_state_name(supervise_child(supervisor, child)->state), child_state_name(state));
}

static void test_starts_agents_when_the_broker_is_ready(void **state _unused_) {
  Supervisor *supervisor = make(2);

  assert_false(supervise_is_settled(supervisor));
  assert_int_equal(supervise_due_us(supervisor), TIME_NEVER);
  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_START, 0, 0, "");
  assert_state(supervisor, 0, CHILD_STARTING);
  assert_state(supervisor, 1, CHILD_STOPPED);
  step(supervisor, SUPERVISE_READY, 0, 5, "start 1, start 2");
  step(supervisor, SUPERVISE_READY, 2, 6, "");
  assert_false(supervise_is_settled(supervisor));
  step(supervisor, SUPERVISE_READY, 1, 7, "");
  assert_true(supervise_is_settled(supervisor));
  assert_int_equal(supervise_count(supervisor).in[CHILD_READY], 3);
  assert_int_equal(supervise_child(supervisor, 1)->since_us, 7 * MS);
  assert_int_equal(supervise_due_us(supervisor), TIME_NEVER);
  supervise_destroy(&supervisor);
  assert_null(supervisor);
  supervise_destroy(&supervisor);
}

static void test_stops_in_reverse(void **state _unused_) {
  Supervisor *supervisor = make(2);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "start 1, start 2");
  step(supervisor, SUPERVISE_READY, 1, 2, "");
  step(supervisor, SUPERVISE_STOP, 0, 3, "stop 1, stop 2");
  step(supervisor, SUPERVISE_STOP, 0, 3, "");
  step(supervisor, SUPERVISE_EXITED, 1, 4, "");
  assert_state(supervisor, 0, CHILD_READY);
  step(supervisor, SUPERVISE_EXITED, 2, 5, "stop 0");
  step(supervisor, SUPERVISE_EXITED, 0, 6, "ended");
  assert_int_equal(supervise_child(supervisor, 0)->reason, CHILD_REASON_NONE);
  assert_int_equal(supervise_due_us(supervisor), TIME_NEVER);
  step(supervisor, SUPERVISE_START, 0, 7, "");
  supervise_destroy(&supervisor);
}

static void test_agents_stay_when_the_broker_dies(void **state _unused_) {
  Supervisor *supervisor = make(1);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "start 1");
  step(supervisor, SUPERVISE_READY, 1, 2, "");
  step(supervisor, SUPERVISE_EXITED, 0, 10, "");
  assert_state(supervisor, 0, CHILD_BACKOFF);
  assert_state(supervisor, 1, CHILD_READY);
  step(supervisor, SUPERVISE_TIMER, 0, 110, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 111, "");
  assert_int_equal(supervise_child(supervisor, 0)->restarts, 1);
  supervise_destroy(&supervisor);
}

static void test_backs_off_and_spends_its_budget(void **state _unused_) {
  Supervisor *supervisor = make_one(policy);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 0, "");
  assert_int_equal(supervise_due_us(supervisor), 100 * MS);
  step(supervisor, SUPERVISE_TIMER, 0, 99, "");
  step(supervisor, SUPERVISE_TIMER, 0, 100, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 100, "");
  assert_int_equal(supervise_due_us(supervisor), 300 * MS);
  step(supervisor, SUPERVISE_TIMER, 0, 300, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 300, "");
  assert_int_equal(supervise_due_us(supervisor), 650 * MS);
  assert_false(supervise_is_settled(supervisor));
  step(supervisor, SUPERVISE_TIMER, 0, 650, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 650, "degraded 0");
  assert_state(supervisor, 0, CHILD_DEGRADED);
  assert_int_equal(supervise_child(supervisor, 0)->spent, CHILD_BUDGET_OWN);
  assert_int_equal(supervise_child(supervisor, 0)->reason, CHILD_REASON_EXITED);
  assert_int_equal(supervise_child(supervisor, 0)->restarts, 3);
  assert_true(supervise_is_settled(supervisor));
  supervise_destroy(&supervisor);
}

static void test_tries_slowly_once_degraded(void **state _unused_) {
  SupervisePolicy never = policy;
  Supervisor *supervisor;

  never.budget.intensity = 0;
  supervisor = make_one(never);
  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 0, "degraded 0");
  step(supervisor, SUPERVISE_TIMER, 0, 59999, "");
  step(supervisor, SUPERVISE_TIMER, 0, 60000, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 60001, "degraded 0");
  assert_int_equal(supervise_due_us(supervisor), 120001 * MS);
  step(supervisor, SUPERVISE_TIMER, 0, 120001, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 120002, "");
  assert_state(supervisor, 0, CHILD_READY);
  assert_int_equal(supervise_child(supervisor, 0)->spent, CHILD_BUDGET_NONE);
  supervise_destroy(&supervisor);
}

static void test_slow_try_that_fails_takes_no_budget(void **state _unused_) {
  SupervisePolicy quick = policy;
  Supervisor *supervisor;

  quick.retry_us = 20000 * MS; /* over the period: the budget is whole again */
  quick.budget.intensity = 1;
  supervisor = make_one(quick);
  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 0, "");
  step(supervisor, SUPERVISE_TIMER, 0, 100, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 100, "degraded 0");
  step(supervisor, SUPERVISE_TIMER, 0, 20100, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 20100, "degraded 0");
  step(supervisor, SUPERVISE_TIMER, 0, 40100, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 40101, "");
  step(supervisor, SUPERVISE_EXITED, 0, 40102, "");
  assert_state(supervisor, 0, CHILD_BACKOFF);
  supervise_destroy(&supervisor);
}

static void test_budget_comes_back_with_time(void **state _unused_) {
  Supervisor *supervisor = make_one(policy);
  uint64_t at_ms = 0;

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  for (int i = 0; i < 20; i++) {
    step(supervisor, SUPERVISE_READY, 0, at_ms, "");
    at_ms += 3400; /* three restarts per period: always within the budget */
    step(supervisor, SUPERVISE_EXITED, 0, at_ms, "");
    assert_state(supervisor, 0, CHILD_BACKOFF);
    at_ms = supervise_due_us(supervisor) / MS;
    step(supervisor, SUPERVISE_TIMER, 0, at_ms, "start 0");
  }
  supervise_destroy(&supervisor);
}

static void test_long_ready_forgets_failures(void **state _unused_) {
  Supervisor *supervisor = make_one(policy);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 0, "");
  step(supervisor, SUPERVISE_TIMER, 0, 100, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 100, "");
  step(supervisor, SUPERVISE_TIMER, 0, 300, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 400, "");
  step(supervisor, SUPERVISE_EXITED, 0, 10400, "");
  assert_int_equal(supervise_child(supervisor, 0)->failures, 1);
  assert_int_equal(supervise_due_us(supervisor), 10500 * MS);
  supervise_destroy(&supervisor);
}

static void test_group_budget(void **state _unused_) {
  SuperviseBudget group = {2, 10000 * MS};
  SuperviseSpec specs[3];
  Supervisor *supervisor = NULL;

  for (int i = 0; i < 3; i++)
    specs[i] = (SuperviseSpec){.stage = 0, .group = i < 2 ? 0 : SUPERVISE_NO_GROUP, .policy = policy};
  assert_int_equal(supervise_new(&supervisor, specs, 3, &group, 1), 0);
  step(supervisor, SUPERVISE_START, 0, 0, "start 0, start 1, start 2");
  step(supervisor, SUPERVISE_EXITED, 0, 0, "");
  step(supervisor, SUPERVISE_EXITED, 1, 0, "");
  step(supervisor, SUPERVISE_TIMER, 0, 100, "start 0, start 1");
  step(supervisor, SUPERVISE_READY, 0, 110, "");
  step(supervisor, SUPERVISE_EXITED, 1, 120, "degraded 1");
  assert_int_equal(supervise_child(supervisor, 1)->spent, CHILD_BUDGET_GROUP);
  assert_state(supervisor, 0, CHILD_READY);
  step(supervisor, SUPERVISE_EXITED, 2, 130, "");
  assert_state(supervisor, 2, CHILD_BACKOFF);
  supervise_destroy(&supervisor);
}

static void test_group_that_is_not_there(void **state _unused_) {
  SuperviseBudget group = {2, 10000 * MS};
  SuperviseSpec spec = {.group = 1, .policy = policy};
  Supervisor *supervisor = (Supervisor *)&group;

  assert_int_equal(supervise_new(&supervisor, &spec, 1, &group, 1), -EINVAL);
  spec.group = -2;
  assert_int_equal(supervise_new(&supervisor, &spec, 1, &group, 1), -EINVAL);
  assert_ptr_equal(supervisor, (Supervisor *)&group);
}

static void test_start_timeout(void **state _unused_) {
  Supervisor *supervisor = make_one(policy);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_TIMER, 0, 1000, "abort 0");
  assert_state(supervisor, 0, CHILD_STOPPING);
  step(supervisor, SUPERVISE_READY, 0, 1100, "");
  step(supervisor, SUPERVISE_TIMER, 0, 1200, "kill 0");
  step(supervisor, SUPERVISE_TIMER, 0, 5000, "");
  step(supervisor, SUPERVISE_EXITED, 0, 5001, "");
  assert_state(supervisor, 0, CHILD_BACKOFF);
  assert_int_equal(supervise_child(supervisor, 0)->reason, CHILD_REASON_START_TIMEOUT);
  supervise_destroy(&supervisor);
}

static void test_watchdog(void **state _unused_) {
  SupervisePolicy watched = policy;
  Supervisor *supervisor;

  watched.watchdog_us = 300 * MS;
  supervisor = make_one(watched);
  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_BEAT, 0, 1, "");
  assert_state(supervisor, 0, CHILD_STARTING);
  step(supervisor, SUPERVISE_READY, 0, 10, "");
  step(supervisor, SUPERVISE_BEAT, 0, 300, "");
  assert_int_equal(supervise_child(supervisor, 0)->since_us, 10 * MS);
  step(supervisor, SUPERVISE_TIMER, 0, 599, "");
  step(supervisor, SUPERVISE_TIMER, 0, 600, "abort 0");
  step(supervisor, SUPERVISE_BEAT, 0, 601, "");
  step(supervisor, SUPERVISE_EXITED, 0, 602, "");
  assert_int_equal(supervise_child(supervisor, 0)->reason, CHILD_REASON_WATCHDOG);
  assert_state(supervisor, 0, CHILD_BACKOFF);
  supervise_destroy(&supervisor);
}

static void test_child_that_says_it_hangs(void **state _unused_) {
  Supervisor *supervisor = make_one(policy);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "");
  step(supervisor, SUPERVISE_HUNG, 0, 2, "abort 0");
  step(supervisor, SUPERVISE_HUNG, 0, 3, "");
  step(supervisor, SUPERVISE_EXITED, 0, 4, "");
  assert_int_equal(supervise_child(supervisor, 0)->reason, CHILD_REASON_WATCHDOG);
  supervise_destroy(&supervisor);
}

static void test_child_that_stops_by_itself(void **state _unused_) {
  Supervisor *supervisor = make_one(policy);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "");
  step(supervisor, SUPERVISE_STOPPING, 0, 10, "");
  assert_state(supervisor, 0, CHILD_STOPPING);
  step(supervisor, SUPERVISE_TIMER, 0, 510, "kill 0");
  assert_int_equal(supervise_child(supervisor, 0)->reason, CHILD_REASON_STOP_TIMEOUT);
  step(supervisor, SUPERVISE_EXITED, 0, 511, "");
  assert_state(supervisor, 0, CHILD_BACKOFF);
  supervise_destroy(&supervisor);
}

static void test_stop_timeout_kills(void **state _unused_) {
  Supervisor *supervisor = make(1);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "start 1");
  step(supervisor, SUPERVISE_STOP, 0, 2, "stop 1");
  step(supervisor, SUPERVISE_TIMER, 0, 502, "kill 1");
  step(supervisor, SUPERVISE_EXITED, 1, 503, "stop 0");
  step(supervisor, SUPERVISE_TIMER, 0, 1003, "kill 0");
  step(supervisor, SUPERVISE_EXITED, 0, 1004, "ended");
  supervise_destroy(&supervisor);
}

static void test_second_signal_kills(void **state _unused_) {
  Supervisor *supervisor = make(2);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "start 1, start 2");
  step(supervisor, SUPERVISE_STOP, 0, 2, "stop 1, stop 2");
  step(supervisor, SUPERVISE_EXITED, 1, 3, "");
  step(supervisor, SUPERVISE_KILL, 0, 4, "kill 0, kill 2");
  step(supervisor, SUPERVISE_KILL, 0, 5, "");
  step(supervisor, SUPERVISE_EXITED, 0, 6, "");
  step(supervisor, SUPERVISE_EXITED, 2, 7, "ended");
  supervise_destroy(&supervisor);
}

static void test_stop_ends_backoff_and_degraded(void **state _unused_) {
  Supervisor *supervisor = make(2);
  uint64_t at_ms = 10;

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "start 1, start 2");
  for (int i = 0; i < 3; i++) {
    step(supervisor, SUPERVISE_EXITED, 1, at_ms, "");
    at_ms = supervise_due_us(supervisor) / MS;
    step(supervisor, SUPERVISE_TIMER, 0, at_ms, "start 1");
  }
  step(supervisor, SUPERVISE_EXITED, 1, at_ms, "degraded 1");
  step(supervisor, SUPERVISE_EXITED, 2, at_ms, "");
  step(supervisor, SUPERVISE_STOP, 0, at_ms, "stop 0");
  assert_state(supervisor, 1, CHILD_STOPPED);
  assert_state(supervisor, 2, CHILD_STOPPED);
  step(supervisor, SUPERVISE_EXITED, 0, at_ms, "ended");
  supervise_destroy(&supervisor);
}

static void test_stop_before_start(void **state _unused_) {
  Supervisor *supervisor = make(1);

  step(supervisor, SUPERVISE_STOP, 0, 0, "ended");
  supervise_destroy(&supervisor);
}

static void test_agents_wait_for_a_degraded_broker(void **state _unused_) {
  SupervisePolicy never = policy;
  SuperviseSpec specs[2];
  Supervisor *supervisor = NULL;

  never.budget.intensity = 0;
  specs[0] = (SuperviseSpec){.stage = 0, .group = SUPERVISE_NO_GROUP, .policy = never};
  specs[1] = (SuperviseSpec){.stage = 3, .group = SUPERVISE_NO_GROUP, .policy = never};
  assert_int_equal(supervise_new(&supervisor, specs, 2, NULL, 0), 0);
  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_EXITED, 0, 1, "degraded 0");
  assert_true(supervise_is_settled(supervisor));
  step(supervisor, SUPERVISE_TIMER, 0, 60001, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 60002, "start 1");
  supervise_destroy(&supervisor);
}

static void test_what_does_not_fit_is_ignored(void **state _unused_) {
  Supervisor *supervisor = make(1);

  step(supervisor, SUPERVISE_READY, 0, 0, "");
  step(supervisor, SUPERVISE_EXITED, 0, 0, "");
  step(supervisor, SUPERVISE_STOPPING, 1, 0, "");
  step(supervisor, SUPERVISE_EXITED, 99, 0, "");
  step(supervisor, SUPERVISE_TIMER, 0, 0, "");
  assert_state(supervisor, 0, CHILD_STOPPED);
  assert_string_equal(child_state_name(CHILD_STATE_END), "?");
  supervise_destroy(&supervisor);
}

/* xorshift64* (Vigna 2014), so that a failure replays. */
static uint64_t next_random(uint64_t *seed) {
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

enum { RANDOM_CHILDREN = 5, RANDOM_STEPS = 400 };

typedef struct History {
  Supervisor *supervisor;
  bool alive[RANDOM_CHILDREN];
  uint32_t starts[RANDOM_CHILDREN];
  uint32_t ended;
  uint64_t now_us;
  uint64_t replaced[RANDOM_CHILDREN];
  bool stopping;
} History;

/* What must hold of each action, whatever came before. */
static void obey(History *history) {
  SuperviseAction action;

  while (supervise_next_action(history->supervisor, &action)) {
    if (action.type == SUPERVISE_ACT_ENDED) {
      history->ended++;
      for (uint32_t i = 0; i < RANDOM_CHILDREN; i++)
        assert_false(history->alive[i]);
    } else if (action.type == SUPERVISE_ACT_START) {
      assert_false(history->alive[action.child]);
      history->alive[action.child] = true;
      history->starts[action.child]++;
    } else {
      assert_int_equal(history->alive[action.child], action.type != SUPERVISE_ACT_DEGRADED);
    }
  }
  for (uint32_t i = 0; i < RANDOM_CHILDREN; i++) {
    ChildState state = supervise_child(history->supervisor, i)->state;
    bool has = state == CHILD_STARTING || state == CHILD_READY || state == CHILD_STOPPING;

    assert_int_equal(has, history->alive[i]);
  }
}

static void random_step(History *history, uint64_t *seed) {
  static const SuperviseEventType types[] = {SUPERVISE_READY, SUPERVISE_READY,    SUPERVISE_EXITED,
                                             SUPERVISE_BEAT,  SUPERVISE_STOPPING, SUPERVISE_TIMER,
                                             SUPERVISE_HUNG,  SUPERVISE_REPLACE,  SUPERVISE_ADOPT};
  SuperviseEvent event = {types[next_random(seed) % ELEMENTS(types)], (uint32_t)(next_random(seed) % RANDOM_CHILDREN)};

  history->now_us += next_random(seed) % (400 * MS);
  if (event.type == SUPERVISE_EXITED) {
    if (!history->alive[event.child])
      return;
    history->alive[event.child] = false;
  }
  if (event.type == SUPERVISE_ADOPT && !history->stopping &&
      supervise_child(history->supervisor, event.child)->state != CHILD_STOPPED)
    history->alive[event.child] = true;
  if (event.type == SUPERVISE_REPLACE || event.type == SUPERVISE_ADOPT)
    history->replaced[event.child]++;
  supervise_step(history->supervisor, event, history->now_us);
  obey(history);
}

static void random_history(uint64_t seed) {
  SuperviseSpec specs[RANDOM_CHILDREN];
  SuperviseBudget group = {6, 10000 * MS};
  History history = {.now_us = 1};
  uint64_t last_us;

  for (uint32_t i = 0; i < RANDOM_CHILDREN; i++) {
    specs[i] =
        (SuperviseSpec){.stage = i == 0 ? 0 : 1 + i / 4, .group = i % 2 ? 0 : SUPERVISE_NO_GROUP, .policy = policy};
    specs[i].policy.watchdog_us = i % 3 ? 0 : 900 * MS;
  }
  assert_int_equal(supervise_new(&history.supervisor, specs, RANDOM_CHILDREN, &group, 1), 0);
  supervise_step(history.supervisor, (SuperviseEvent){SUPERVISE_START, 0}, history.now_us);
  obey(&history);
  for (int i = 0; i < RANDOM_STEPS; i++)
    random_step(&history, &seed);
  last_us = history.now_us;
  /* Three restarts in any ten seconds, one slow try per minute, the first start. */
  for (uint32_t i = 0; i < RANDOM_CHILDREN; i++)
    assert_true(history.starts[i] <=
                1 + 3 * (last_us / (10000 * MS) + 1) + last_us / (60000 * MS) + 1 + history.replaced[i]);
  history.stopping = true;
  supervise_step(history.supervisor, (SuperviseEvent){SUPERVISE_STOP, 0}, history.now_us);
  obey(&history);
  for (int i = 0; i < 1000 && !history.ended; i++)
    random_step(&history, &seed);
  assert_int_equal(history.ended, 1);
  supervise_destroy(&history.supervisor);
}

static void test_replaced_in_place(void **state _unused_) {
  Supervisor *supervisor = make(1);

  step(supervisor, SUPERVISE_REPLACE, 0, 0, "");
  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 5, "start 1");
  step(supervisor, SUPERVISE_READY, 1, 6, "");
  step(supervisor, SUPERVISE_REPLACE, 0, 10, "stop 0");
  step(supervisor, SUPERVISE_REPLACE, 0, 11, "");
  assert_state(supervisor, 0, CHILD_STOPPING);
  step(supervisor, SUPERVISE_STOPPING, 0, 12, "");
  step(supervisor, SUPERVISE_EXITED, 0, 20, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 21, "");
  assert_int_equal(supervise_child(supervisor, 0)->restarts, 0);
  /* One that does not stop is killed, and started again all the same. */
  step(supervisor, SUPERVISE_REPLACE, 1, 30, "stop 1");
  step(supervisor, SUPERVISE_TIMER, 0, 530, "kill 1");
  step(supervisor, SUPERVISE_EXITED, 1, 531, "start 1");
  /* The new one is no good: as any that ends. */
  step(supervisor, SUPERVISE_EXITED, 1, 540, "");
  assert_state(supervisor, 1, CHILD_BACKOFF);
  step(supervisor, SUPERVISE_REPLACE, 1, 550, "start 1");
  supervise_destroy(&supervisor);
}

static void test_replaced_while_it_stops_for_good(void **state _unused_) {
  Supervisor *supervisor = make_one(policy);

  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "");
  step(supervisor, SUPERVISE_REPLACE, 0, 2, "stop 0");
  step(supervisor, SUPERVISE_STOP, 0, 3, "");
  step(supervisor, SUPERVISE_REPLACE, 0, 4, "");
  step(supervisor, SUPERVISE_ADOPT, 0, 4, "");
  step(supervisor, SUPERVISE_EXITED, 0, 5, "ended");
  supervise_destroy(&supervisor);
}

static void test_adopts(void **state _unused_) {
  SupervisePolicy watched = policy;
  Supervisor *supervisor;

  watched.watchdog_us = 900 * MS;
  supervisor = make_one(watched);
  step(supervisor, SUPERVISE_ADOPT, 0, 0, "");
  step(supervisor, SUPERVISE_START, 0, 0, "start 0");
  step(supervisor, SUPERVISE_READY, 0, 1, "");
  step(supervisor, SUPERVISE_HUNG, 0, 100, "abort 0");
  step(supervisor, SUPERVISE_ADOPT, 0, 101, "");
  assert_state(supervisor, 0, CHILD_READY);
  step(supervisor, SUPERVISE_TIMER, 0, 301, ""); /* the one that was aborted is no longer its concern */
  step(supervisor, SUPERVISE_TIMER, 0, 1001, "abort 0");
  step(supervisor, SUPERVISE_EXITED, 0, 1002, "");
  step(supervisor, SUPERVISE_ADOPT, 0, 1003, "");
  assert_state(supervisor, 0, CHILD_READY);
  assert_int_equal(supervise_child(supervisor, 0)->restarts, 0);
  supervise_destroy(&supervisor);
}

static void test_random_histories(void **state _unused_) {
  for (uint64_t seed = 1; seed <= 2000; seed++)
    random_history(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_starts_agents_when_the_broker_is_ready),
      cmocka_unit_test(test_stops_in_reverse),
      cmocka_unit_test(test_agents_stay_when_the_broker_dies),
      cmocka_unit_test(test_backs_off_and_spends_its_budget),
      cmocka_unit_test(test_tries_slowly_once_degraded),
      cmocka_unit_test(test_slow_try_that_fails_takes_no_budget),
      cmocka_unit_test(test_budget_comes_back_with_time),
      cmocka_unit_test(test_long_ready_forgets_failures),
      cmocka_unit_test(test_group_budget),
      cmocka_unit_test(test_group_that_is_not_there),
      cmocka_unit_test(test_start_timeout),
      cmocka_unit_test(test_watchdog),
      cmocka_unit_test(test_child_that_says_it_hangs),
      cmocka_unit_test(test_child_that_stops_by_itself),
      cmocka_unit_test(test_stop_timeout_kills),
      cmocka_unit_test(test_second_signal_kills),
      cmocka_unit_test(test_stop_ends_backoff_and_degraded),
      cmocka_unit_test(test_stop_before_start),
      cmocka_unit_test(test_agents_wait_for_a_degraded_broker),
      cmocka_unit_test(test_what_does_not_fit_is_ignored),
      cmocka_unit_test(test_replaced_in_place),
      cmocka_unit_test(test_replaced_while_it_stops_for_good),
      cmocka_unit_test(test_adopts),
      cmocka_unit_test(test_random_histories),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
