/* Calls that are kept and never answered, or too late: the runtime answers at the deadline, and the pointer stays good until
   its keeper has tried. */
#include <assert.h>
#include <errno.h>

#include "tests/unit/bus/agent/stage.h"

enum { CALLS = 3000 };

static Call *_Atomic kept;
static int cancels;
static bool answers_when_cancelled;

static void on_cancelled(void *userdata, Call *call) {
  (void)userdata;
  cancels++;
  if (answers_when_cancelled)
    call_error(call, STATUS_FAILED, "was told in time");
}

static void on_kept(Call *call, const void *request) {
  (void)request;
  call_keep(call);
  call_keep(call); /* once is enough */
  call_on_cancel(call, on_cancelled, NULL);
  kept = call;
}

/* Keeps it when its deadline has passed already. */
static void on_slow(Call *call, const void *request) {
  while (!call_cancelled(call))
    call_wait(call, 1000);
  call_wait(call, 0);
  on_kept(call, request);
}

#define UNTYPED .untyped = true, .flags = METHOD_STREAMING
static const Agent agent = {
    .name = "tested",
    .concurrency = CALLS,
    .services = AGENT_SERVICES({.name = "test",
                                .methods = AGENT_METHODS({"inline", on_kept, .inline_ = true, UNTYPED},
                                                         {"thread", on_kept, UNTYPED}, {"slow", on_slow, UNTYPED})})};

static int set_up(void **state) {
  kept = NULL;
  cancels = 0;
  answers_when_cancelled = false;
  return stage_set_up(state, &agent);
}

static bool has_kept(void *userdata) {
  (void)userdata;
  return kept != NULL;
}

static RequestId ask(Stage *stage, const char *method) {
  Header header = stage_request(stage, method);

  header.deadline_us = 100000;
  header.flags = FLAG_STREAM;
  header.window_bytes = 1000;
  fake_send(&stage->fake, &header, BYTES_NONE);
  fake_until(&stage->fake, has_kept, NULL);
  return header.id;
}

static void ends_at_the_deadline(Stage *stage, const char *method) {
  RequestId id = ask(stage, method);
  Call *call = kept;

  stage_expect_error(stage, id, STATUS_DEADLINE, NULL);
  assert_int_equal(cancels, 1);
  assert_int_equal(stage->runtime->held, 0);
  assert_true(call_cancelled(call));
  assert_int_equal(call_chunk_raw(call, (Bytes){(const uint8_t *)"x", 1}), -ECANCELED);
  assert_int_equal(call_reply_raw(call, BYTES_NONE, NULL, TEXT_NONE), -EALREADY); /* from here on it is gone */
  fake_run(&stage->fake, 10000);
  assert_int_equal(fake_count(&stage->fake, KIND_REPLY), 0);
  assert_int_equal(fake_count(&stage->fake, KIND_CHUNK), 0);
}

static void an_inline_call_ends_at_the_deadline(void **state) {
  ends_at_the_deadline(*state, "inline");
}

static void a_call_of_a_thread_ends_at_the_deadline(void **state) {
  ends_at_the_deadline(*state, "thread");
}

static void a_call_that_is_kept_after_its_deadline(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "slow");

  header.deadline_us = 30000;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_DEADLINE, NULL);
  call_error(kept, STATUS_FAILED, "too late");
}

static void who_answers_when_it_is_told_has_answered(void **state) {
  Stage *stage = *state;
  RequestId id;

  answers_when_cancelled = true;
  id = ask(stage, "inline");
  stage_expect_error(stage, id, STATUS_FAILED, NULL);
  assert_int_equal(stage->runtime->held, 0);
}

/* LeakSanitizer holds the runtime to it. */
static void what_nobody_ever_answers_is_freed_at_the_end(void **state) {
  Stage *stage = *state;
  RequestId id = ask(stage, "inline");

  stage_expect_error(stage, id, STATUS_DEADLINE, NULL);
  kept = NULL;
  ask(stage, "thread");
}

static bool is_leaving(void *userdata) {
  const Stage *stage = userdata;

  return stage->runtime->phase == PHASE_LEAVING;
}

static void the_drain_ends(void **state) {
  Stage *stage = *state;

  ask(stage, "inline");
  runtime_drain(stage->runtime);
  free(fake_take(&stage->fake, KIND_DRAIN));
  fake_send(&stage->fake, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  fake_until(&stage->fake, is_leaving, stage);
}

static bool has_all(void *userdata) {
  const Stage *stage = userdata;

  return stage->runtime->held == CALLS;
}

/* As an adapter has that streams to thousands. */
static void thousands_are_kept_and_threads_stay_bounded(void **state) {
  Stage *stage = *state;

  assert_true(stage->credit >= CALLS);
  assert_int_equal(stage->runtime->pool.threads_max, 1024);
  for (int i = 0; i < CALLS; i++) {
    Header header = stage_request(stage, "inline");

    fake_send(&stage->fake, &header, BYTES_NONE);
    if (i % 100 == 0)
      fake_run(&stage->fake, 1000);
  }
  fake_until(&stage->fake, has_all, stage);
  assert_int_equal(fake_count(&stage->fake, KIND_NACK), 0);
  assert_int_equal(stage->runtime->pool.threads, 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, stage_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(an_inline_call_ends_at_the_deadline),          CASE(a_call_of_a_thread_ends_at_the_deadline),
      CASE(a_call_that_is_kept_after_its_deadline),       CASE(who_answers_when_it_is_told_has_answered),
      CASE(what_nobody_ever_answers_is_freed_at_the_end), CASE(the_drain_ends),
      CASE(thousands_are_kept_and_threads_stay_bounded),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
