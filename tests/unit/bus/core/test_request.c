/* The life of a request: deadlines, cancel, loss of its instance, loss of its client; each ends once, and its counters move. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

static uint64_t counted(Harness *h, Counter counter) {
  return core_counter(h->core, counter);
}

static void test_a_reply_ends_it(void **state) {
  Harness h;
  Header reply = {.kind = KIND_REPLY, .content_type = TEXT("text/plain"), .number = 77};
  RequestId id;
  Heard *end = NULL;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  reply.id = id;
  harness_give(&h, &h.worker, &reply, (Bytes){(const uint8_t *)"hello", 5});
  harness_ended(&h.client, id, STATUS_OK);
  harness_ends(&h.client, id, &end);
  assert_true(text_is(end->header.content_type, "text/plain"));
  assert_memory_equal(end->body.data, "hello", 5);
  assert_int_equal(end->header.number, 0); /* chunks that were passed on, whatever the instance says */
  assert_int_equal(counted(&h, COUNTER_REPLIES), 1);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  assert_int_equal(counted(&h, COUNTER_STRAY), 1);
  harness_stop(&h);
}

static void test_an_error_of_the_instance_is_passed_on(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_say(&h, &h.worker, KIND_ERROR, id, STATUS_INVALID);
  harness_ended(&h.client, id, STATUS_INVALID);
  assert_int_equal(counted(&h, COUNTER_ERRORS), 1);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

static void test_what_the_instance_gets(void **state) {
  Harness h;
  Header ask = {.service = TEXT("echo@worker"), .deadline_us = 700000, .content_type = TEXT("x/y"), .attempt = 0};
  Header got;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_credit(&h, &h.worker, 1);
  ask.trace.bytes[3] = 9;
  id = harness_request(&h, &h.client, ask, BYTES_NONE);
  harness_wait(&h, 1234);
  harness_credit(&h, &h.worker, 2);
  got = harness_work(&h.worker, id)->header;
  assert_int_equal(got.deadline_us, 700000 - 1234); /* what is left of it */
  assert_true(text_is(got.service, "echo"));        /* without the @ */
  assert_true(text_is(got.method, "say"));
  assert_true(text_is(got.content_type, "x/y"));
  assert_int_equal(got.trace.bytes[3], 9);
  assert_int_equal(got.hop, 0);
  harness_stop(&h);
}

/* --- deadlines --- */

static void test_the_deadline_while_it_executes(void **state) {
  Harness h;
  Header pong = {.kind = KIND_PONG};
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_request(&h, &h.client, (Header){.deadline_us = 100000}, BYTES_NONE);
  harness_wait(&h, 60000);
  harness_give(&h, &h.worker, &pong, BYTES_NONE);
  harness_wait(&h, 39999);
  harness_open(&h.client, id);
  harness_wait(&h, 1);
  harness_ended(&h.client, id, STATUS_DEADLINE);
  assert_true(request_id_equal(harness_find(&h.worker, KIND_CANCEL, 0)->header.id, id));
  assert_int_equal(counted(&h, COUNTER_EXPIRED), 1);
  harness_reply(&h, &h.worker, id); /* releases its credit and reaches nobody */
  harness_ended(&h.client, id, STATUS_DEADLINE);
  assert_int_equal(counted(&h, COUNTER_STRAY), 0);
  harness_stop(&h);
}

static void test_the_credit_is_in_use_until_the_instance_answers(void **state) {
  Harness h;
  Header pong = {.kind = KIND_PONG};
  RequestId expired;
  RequestId next;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 1);
  expired = harness_request(&h, &h.client, (Header){.deadline_us = 1000}, BYTES_NONE);
  harness_wait(&h, 1000);
  harness_give(&h, &h.worker, &pong, BYTES_NONE);
  next = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 1);
  harness_say(&h, &h.worker, KIND_ERROR, expired, STATUS_CANCELLED);
  harness_work(&h.worker, next);
  harness_stop(&h);
}

static void test_the_deadline_in_the_queue(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 0);
  id = harness_request(&h, &h.client, (Header){.deadline_us = 5000}, BYTES_NONE);
  harness_wait(&h, 5000);
  harness_ended(&h.client, id, STATUS_DEADLINE);
  harness_credit(&h, &h.worker, 4);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 0);
  harness_stop(&h);
}

static void test_expired_work_is_not_handed_on_even_before_the_tick(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 0);
  id = harness_request(&h, &h.client, (Header){.deadline_us = 5000}, BYTES_NONE);
  h.now_us += 5000; /* the loop is late: CREDIT comes before its own timers */
  harness_credit(&h, &h.worker, 4);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 0);
  harness_ended(&h.client, id, STATUS_DEADLINE);
  harness_stop(&h);
}

/* Keeps everybody alive for a long time. */
static void wait_awake(Harness *h, uint64_t us) {
  Header ping = {.kind = KIND_PING};

  for (uint64_t step; us > 0; us -= step) {
    step = min_u64(us, 4 * US_PER_S);
    harness_wait(h, step);
    harness_give(h, &h->worker, &ping, BYTES_NONE);
    harness_give(h, &h->client, &ping, BYTES_NONE);
  }
}

static void test_once_work_waits_no_longer_than_instances_remember(void **state) {
  Harness h;
  RequestId once;
  RequestId idempotent;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 0);
  once = harness_request(&h, &h.client, (Header){.method = TEXT("once"), .deadline_us = 90 * US_PER_S}, BYTES_NONE);
  idempotent = harness_request(&h, &h.client, (Header){.deadline_us = 90 * US_PER_S}, BYTES_NONE);
  wait_awake(&h, TIME_HORIZON_US - 1);
  harness_open(&h.client, once);
  wait_awake(&h, 1);
  harness_ended(&h.client, once, STATUS_OVERLOADED);
  wait_awake(&h, 30 * US_PER_S);
  harness_ended(&h.client, idempotent, STATUS_DEADLINE);
  harness_stop(&h);
}

/* --- cancel --- */

static void test_cancel_is_handed_on_and_ends_in_silence(void **state) {
  Harness h;
  RequestId running;
  RequestId waiting;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 1);
  running = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  waiting = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_say(&h, &h.client, KIND_CANCEL, waiting, STATUS_OK);
  assert_int_equal(harness_count(&h.worker, KIND_CANCEL), 0);
  harness_say(&h, &h.client, KIND_CANCEL, running, STATUS_OK);
  assert_true(request_id_equal(harness_find(&h.worker, KIND_CANCEL, 0)->header.id, running));
  assert_true(core_is_idle(h.core));
  harness_say(&h, &h.worker, KIND_ERROR, running, STATUS_CANCELLED);
  harness_open(&h.client, running);
  harness_open(&h.client, waiting);
  assert_int_equal(counted(&h, COUNTER_CANCELS), 2);
  harness_stop(&h);
}

static void test_cancel_of_what_is_not_ones_own_is_stray(void **state) {
  TestPeer *other = calloc(1, sizeof *other);
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  harness_client(&h, other, "other", 99);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_say(&h, other, KIND_CANCEL, id, STATUS_OK);
  assert_int_equal(counted(&h, COUNTER_STRAY), 1);
  assert_int_equal(harness_count(&h.worker, KIND_CANCEL), 0);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  harness_forget(other);
  harness_stop(&h);
  free(other);
}

/* --- loss of the instance --- */

static void test_idempotent_work_is_done_by_another_once_work_is_not(void **state) {
  TestPeer *other = calloc(1, sizeof *other);
  Harness h;
  RequestId idempotent;
  RequestId once;
  RequestId flagged;

  (void)state;
  harness_start(&h, NULL);
  idempotent = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  once = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  flagged = harness_request(&h, &h.client, (Header){.method = TEXT("once"), .flags = FLAG_IDEMPOTENT}, BYTES_NONE);
  harness_worker(&h, other, "other", 33, 4);
  harness_cut(&h, &h.worker);
  harness_work(other, idempotent);
  harness_work(other, flagged);
  harness_ended(&h.client, once, STATUS_WORKER_LOST);
  assert_int_equal(harness_count(other, KIND_REQUEST), 2);
  assert_int_equal(counted(&h, COUNTER_REDISPATCHED), 2);
  assert_int_equal(counted(&h, COUNTER_SESSIONS_LOST), 1);
  harness_forget(other);
  harness_stop(&h);
  free(other);
}

static void test_what_its_instance_declares_counts(void **state) {
  static const HelloMethod once[] = {{.method = TEXT("say"), .has_flags = true, .flags = METHOD_ONCE}};
  TestPeer *other = calloc(1, sizeof *other);
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL); /* the worker declares say as idempotent, and offered it first */
  harness_credit(&h, &h.worker, 0);
  harness_instance(&h, other, &(TestInstance){.name = "b", .client = 33, .credit = 1, .methods = once, .n_methods = 1});
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_work(other, id);
  harness_credit(&h, &h.worker, 4);
  harness_cut(&h, other);
  harness_ended(&h.client, id, STATUS_WORKER_LOST);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 0);
  harness_forget(other);
  harness_stop(&h);
  free(other);
}

static void test_nobody_is_left(void **state) {
  Harness h;
  RequestId executing;
  RequestId waiting;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 1);
  executing = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  waiting = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_cut(&h, &h.worker);
  harness_ended(&h.client, executing, STATUS_WORKER_LOST);
  harness_ended(&h.client, waiting, STATUS_NO_SERVICE);
  harness_stop(&h);
}

static void test_a_request_that_kills_who_executes_it_ends(void **state) {
  TestPeer *victims = calloc(LIMIT_LOSSES + 1, sizeof *victims);
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  for (int i = 0; i <= LIMIT_LOSSES; i++)
    harness_worker(&h, &victims[i], "victim", 50 + (uint64_t)i, 1);
  harness_cut(&h, &h.worker);
  for (int lost = 1; lost < LIMIT_LOSSES; lost++) {
    int k = 0;

    harness_open(&h.client, id);
    while (!victims[k].session || !harness_find(&victims[k], KIND_REQUEST, 0))
      k++;
    harness_cut(&h, &victims[k]);
  }
  harness_ended(&h.client, id, STATUS_WORKER_LOST);
  for (int i = 0; i <= LIMIT_LOSSES; i++)
    harness_forget(&victims[i]);
  harness_stop(&h);
  free(victims);
}

static void test_work_for_one_instance_alone_is_lost_with_it(void **state) {
  TestPeer *other = calloc(1, sizeof *other);
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  harness_worker(&h, other, "other", 33, 4);
  id = harness_ask(&h, &h.client, "echo@worker", "say", BYTES_NONE);
  harness_cut(&h, &h.worker);
  harness_ended(&h.client, id, STATUS_WORKER_LOST);
  assert_int_equal(harness_count(other, KIND_REQUEST), 0);
  harness_forget(other);
  harness_stop(&h);
  free(other);
}

/* --- one process that asks itself --- */

static void test_a_call_to_oneself(void **state) {
  Harness h;
  Header bye = {.kind = KIND_BYE};
  RequestId answered;
  RequestId cancelled;

  (void)state;
  harness_start(&h, NULL);
  answered = harness_ask(&h, &h.worker, "echo", "say", BYTES_NONE);
  harness_work(&h.worker, answered);
  harness_reply(&h, &h.worker, answered);
  harness_ended(&h.worker, answered, STATUS_OK);
  cancelled = harness_ask(&h, &h.worker, "echo", "say", BYTES_NONE);
  harness_say(&h, &h.worker, KIND_CANCEL, cancelled, STATUS_OK);
  assert_int_equal(harness_count(&h.worker, KIND_CANCEL), 1);
  harness_ask(&h, &h.worker, "echo", "say", BYTES_NONE);
  harness_give(&h, &h.worker, &bye, BYTES_NONE); /* asker and worker go at once */
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_reply_ends_it),
      cmocka_unit_test(test_an_error_of_the_instance_is_passed_on),
      cmocka_unit_test(test_what_the_instance_gets),
      cmocka_unit_test(test_the_deadline_while_it_executes),
      cmocka_unit_test(test_the_credit_is_in_use_until_the_instance_answers),
      cmocka_unit_test(test_the_deadline_in_the_queue),
      cmocka_unit_test(test_expired_work_is_not_handed_on_even_before_the_tick),
      cmocka_unit_test(test_once_work_waits_no_longer_than_instances_remember),
      cmocka_unit_test(test_cancel_is_handed_on_and_ends_in_silence),
      cmocka_unit_test(test_cancel_of_what_is_not_ones_own_is_stray),
      cmocka_unit_test(test_idempotent_work_is_done_by_another_once_work_is_not),
      cmocka_unit_test(test_what_its_instance_declares_counts),
      cmocka_unit_test(test_nobody_is_left),
      cmocka_unit_test(test_a_request_that_kills_who_executes_it_ends),
      cmocka_unit_test(test_work_for_one_instance_alone_is_lost_with_it),
      cmocka_unit_test(test_a_call_to_oneself),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
