/* A client that is away: its grace, what is held for it, what it finds when it is back. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

/* The client connects again as the same process. */
static void come_back(Harness *h) {
  harness_clear(&h->client);
  harness_client(h, &h->client, "tester", 11);
}

static void test_requests_are_cancelled_after_the_grace(void **state) {
  Harness h;
  Header pong = {.kind = KIND_PONG};
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_request(&h, &h.client, (Header){.deadline_us = 20 * US_PER_S}, BYTES_NONE);
  harness_cut(&h, &h.client);
  for (uint64_t waited = 0; waited < TIME_CLIENT_GRACE_US - 1; waited += 30000) {
    harness_wait(&h, min_u64(30000, TIME_CLIENT_GRACE_US - 1 - waited));
    harness_give(&h, &h.worker, &pong, BYTES_NONE);
  }
  assert_int_equal(harness_count(&h.worker, KIND_CANCEL), 0);
  assert_false(core_is_idle(h.core));
  harness_wait(&h, 1);
  assert_true(request_id_equal(harness_find(&h.worker, KIND_CANCEL, 0)->header.id, id));
  assert_true(core_is_idle(h.core));
  assert_int_equal(core_counter(h.core, COUNTER_CANCELS), 1);
  harness_stop(&h);
}

static void test_bye_cancels_at_once(void **state) {
  Harness h;
  Header bye = {.kind = KIND_BYE};

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_give(&h, &h.client, &bye, BYTES_NONE);
  assert_null(h.client.session); /* hung up on */
  assert_int_equal(harness_count(&h.worker, KIND_CANCEL), 1);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

static void test_who_comes_back_in_time_finds_the_reply(void **state) {
  static const uint8_t annotations[] = {0x81, 0xa1, 'a', 1};
  Header reply = {.kind = KIND_REPLY, .content_type = TEXT("x/y"), .annotations = {annotations, sizeof annotations}};
  Harness h;
  Heard *end = NULL;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = reply.id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_cut(&h, &h.client);
  harness_give(&h, &h.worker, &reply, (Bytes){(const uint8_t *)"held", 4});
  come_back(&h);
  assert_int_equal(h.client.heard[0].header.kind, KIND_WELCOME);
  harness_ended(&h.client, id, STATUS_OK);
  harness_ends(&h.client, id, &end);
  assert_memory_equal(end->body.data, "held", 4);
  assert_true(text_is(end->header.content_type, "x/y"));
  assert_memory_equal(end->header.annotations.data, annotations, sizeof annotations);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

static void test_errors_of_the_broker_are_held_too(void **state) {
  Harness h;
  RequestId running;
  RequestId waiting;
  Heard *end = NULL;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 1);
  running = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  waiting = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_cut(&h, &h.client);
  harness_cut(&h, &h.worker);
  come_back(&h);
  harness_ended(&h.client, running, STATUS_WORKER_LOST);
  harness_ended(&h.client, waiting, STATUS_NO_SERVICE);
  harness_ends(&h.client, waiting, &end);
  assert_true(harness_error_body(end).message.size > 0);
  harness_stop(&h);
}

static void test_what_was_held_goes_with_the_grace(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_cut(&h, &h.client);
  harness_reply(&h, &h.worker, id);
  harness_wait(&h, TIME_CLIENT_GRACE_US);
  assert_true(core_is_idle(h.core));
  come_back(&h);
  harness_open(&h.client, id);
  harness_stop(&h);
}

static void test_an_answer_too_large_to_hold_is_gone(void **state) {
  CoreOptions options = core_options_default();
  Harness h;
  RequestId id;

  (void)state;
  options.limits.client_bytes = 3;
  harness_start(&h, &options);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_cut(&h, &h.client);
  harness_give(&h, &h.worker, &(Header){.kind = KIND_REPLY, .id = id}, (Bytes){(const uint8_t *)"four", 4});
  come_back(&h);
  harness_ended(&h.client, id, STATUS_GONE);
  harness_stop(&h);
}

static void test_a_stream_with_a_hole_is_lost_even_if_its_reply_was_held(void **state) {
  Harness h;
  RequestId open;
  RequestId replied;

  (void)state;
  harness_start(&h, NULL);
  open = harness_request(&h, &h.client, (Header){.method = TEXT("stream"), .flags = FLAG_STREAM}, BYTES_NONE);
  replied = harness_request(&h, &h.client, (Header){.method = TEXT("stream"), .flags = FLAG_STREAM}, BYTES_NONE);
  harness_cut(&h, &h.client);
  harness_chunk(&h, &h.worker, open, 0, 0, BYTES_NONE);
  harness_chunk(&h, &h.worker, replied, 0, 0, BYTES_NONE);
  harness_reply(&h, &h.worker, replied);
  come_back(&h);
  harness_ended(&h.client, open, STATUS_STREAM_LOST);
  harness_ended(&h.client, replied, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(&h.worker, KIND_CANCEL), 1);
  harness_stop(&h);
}

static void test_what_goes_on_goes_on_in_the_new_session(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_cut(&h, &h.client);
  come_back(&h);
  harness_wait(&h, 49999);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_requests_are_cancelled_after_the_grace),
      cmocka_unit_test(test_bye_cancels_at_once),
      cmocka_unit_test(test_who_comes_back_in_time_finds_the_reply),
      cmocka_unit_test(test_errors_of_the_broker_are_held_too),
      cmocka_unit_test(test_what_was_held_goes_with_the_grace),
      cmocka_unit_test(test_an_answer_too_large_to_hold_is_gone),
      cmocka_unit_test(test_a_stream_with_a_hole_is_lost_even_if_its_reply_was_held),
      cmocka_unit_test(test_what_goes_on_goes_on_in_the_new_session),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
