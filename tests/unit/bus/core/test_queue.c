/* Waiting requests: bands, ageing to the microsecond, and their order. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

/* One worker with credit 1 that is busy, so that everything else waits. */
static RequestId start_busy(Harness *h) {
  harness_start(h, NULL);
  harness_credit(h, &h->worker, 1);
  return harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
}

static RequestId ask_in(Harness *h, Priority priority) {
  return harness_request(h, &h->client, (Header){.priority = (uint8_t)priority, .deadline_us = 20 * US_PER_S},
                         BYTES_NONE);
}

/* Ends what runs and returns the sequence of what was given to the worker for it. */
static uint64_t next(Harness *h, RequestId running) {
  harness_clear(&h->worker);
  harness_reply(h, &h->worker, running);
  return harness_find(&h->worker, KIND_REQUEST, 0) ? harness_find(&h->worker, KIND_REQUEST, 0)->header.id.sequence : 0;
}

/* Keeps the worker's session alive over a long wait. */
static void wait_awake(Harness *h, uint64_t us) {
  Header ping = {.kind = KIND_PING, .number = 1};

  for (uint64_t step = 40000; us > 0; us -= step) {
    step = min_u64(step, us);
    harness_wait(h, step);
    harness_give(h, &h->worker, &ping, BYTES_NONE);
    harness_give(h, &h->client, &ping, BYTES_NONE);
  }
}

static void test_the_first_of_a_band_goes_first(void **state) {
  Harness h;
  RequestId running = start_busy(&h);
  RequestId first = ask_in(&h, PRIORITY_NORMAL);
  RequestId second = ask_in(&h, PRIORITY_NORMAL);

  (void)state;
  assert_int_equal(next(&h, running), first.sequence);
  assert_int_equal(next(&h, first), second.sequence);
  harness_stop(&h);
}

static void test_interactive_goes_before_normal_before_batch(void **state) {
  Harness h;
  RequestId running = start_busy(&h);
  RequestId batch = ask_in(&h, PRIORITY_BATCH);
  RequestId normal = ask_in(&h, PRIORITY_NORMAL);
  RequestId interactive = ask_in(&h, PRIORITY_INTERACTIVE);

  (void)state;
  assert_int_equal(next(&h, running), interactive.sequence);
  assert_int_equal(next(&h, interactive), normal.sequence);
  assert_int_equal(next(&h, normal), batch.sequence);
  harness_stop(&h);
}

static void test_a_wait_of_exactly_one_step_draws_level_and_the_higher_band_wins(void **state) {
  Harness h;
  RequestId running = start_busy(&h);
  RequestId normal = ask_in(&h, PRIORITY_NORMAL);
  RequestId interactive;

  (void)state;
  wait_awake(&h, TIME_AGEING_STEP_US);
  interactive = ask_in(&h, PRIORITY_INTERACTIVE);
  assert_int_equal(next(&h, running), interactive.sequence);
  assert_int_equal(next(&h, interactive), normal.sequence);
  harness_stop(&h);
}

static void test_a_microsecond_more_outweighs_a_band(void **state) {
  Harness h;
  RequestId running = start_busy(&h);
  RequestId normal = ask_in(&h, PRIORITY_NORMAL);
  RequestId interactive;

  (void)state;
  wait_awake(&h, TIME_AGEING_STEP_US + 1);
  interactive = ask_in(&h, PRIORITY_INTERACTIVE);
  assert_int_equal(next(&h, running), normal.sequence);
  assert_int_equal(next(&h, normal), interactive.sequence);
  harness_stop(&h);
}

static void test_batch_overtakes_interactive_after_two_steps(void **state) {
  Harness h;
  RequestId running = start_busy(&h);
  RequestId batch = ask_in(&h, PRIORITY_BATCH);
  RequestId interactive;

  (void)state;
  wait_awake(&h, 2 * TIME_AGEING_STEP_US + 1);
  interactive = ask_in(&h, PRIORITY_INTERACTIVE);
  assert_int_equal(next(&h, running), batch.sequence);
  assert_int_equal(next(&h, batch), interactive.sequence);
  harness_stop(&h);
}

static void test_rank_is_time_of_waiting_plus_a_step_per_band(void **state) {
  Request request = {.waiting_us = 700, .priority = PRIORITY_BATCH};

  (void)state;
  assert_int_equal(queue_rank(&request), 700 + 2 * TIME_AGEING_STEP_US);
  request.priority = PRIORITY_INTERACTIVE;
  assert_int_equal(queue_rank(&request), 700);
}

static void test_what_comes_back_goes_to_the_front(void **state) {
  TestPeer *other = calloc(1, sizeof *other);
  Harness h;
  RequestId running = start_busy(&h);
  RequestId waiting = ask_in(&h, PRIORITY_INTERACTIVE);

  (void)state;
  harness_say(&h, &h.worker, KIND_NACK, running, STATUS_BUSY);
  harness_worker(&h, other, "other", 33, 2);
  assert_int_equal(harness_find(other, KIND_REQUEST, 0)->header.id.sequence, waiting.sequence); /* a band above */
  assert_int_equal(harness_find(other, KIND_REQUEST, 1)->header.id.sequence, running.sequence);
  harness_forget(other);
  harness_stop(&h);
  free(other);
}

static void test_a_request_keeps_its_priority_on_the_way_to_the_instance(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  for (uint8_t priority = 0; priority < PRIORITY_END; priority++) {
    RequestId id = ask_in(&h, priority);

    assert_int_equal(harness_work(&h.worker, id)->header.priority, priority);
    harness_reply(&h, &h.worker, id);
  }
  harness_stop(&h);
}

static void test_a_full_queue_says_overloaded_and_when_to_come_again(void **state) {
  CoreOptions options = core_options_default();
  Harness h;
  RequestId over;
  Heard *end = NULL;

  (void)state;
  options.limits.service_queue = 2;
  harness_start(&h, &options);
  harness_credit(&h, &h.worker, 1);
  for (int i = 0; i < 3; i++)
    ask_in(&h, PRIORITY_NORMAL);
  over = ask_in(&h, PRIORITY_NORMAL);
  harness_ended(&h.client, over, STATUS_OVERLOADED);
  harness_ends(&h.client, over, &end);
  assert_true(harness_error_body(end).retry_after_us >= 10000);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_first_of_a_band_goes_first),
      cmocka_unit_test(test_interactive_goes_before_normal_before_batch),
      cmocka_unit_test(test_a_wait_of_exactly_one_step_draws_level_and_the_higher_band_wins),
      cmocka_unit_test(test_a_microsecond_more_outweighs_a_band),
      cmocka_unit_test(test_batch_overtakes_interactive_after_two_steps),
      cmocka_unit_test(test_rank_is_time_of_waiting_plus_a_step_per_band),
      cmocka_unit_test(test_what_comes_back_goes_to_the_front),
      cmocka_unit_test(test_a_request_keeps_its_priority_on_the_way_to_the_instance),
      cmocka_unit_test(test_a_full_queue_says_overloaded_and_when_to_come_again),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
