/* Chunks of two executions of one request are never mixed: each has a number, which the client hears with the first chunk and says when it
   sends the request again. */
#include "tests/unit/bus/core/moved.h"

enum { ITS_OWN = 7001, ANOTHER = 7002 };

static const Header stream = {
    .method = TEXT("stream"), .flags = FLAG_STREAM, .window_bytes = 1000, .deadline_us = 9000000};

static void chunk(Harness *h, TestPeer *peer, RequestId id, uint64_t number, uint64_t execution) {
  Header header = {.kind = KIND_CHUNK, .id = id, .number = number, .execution = execution};

  harness_give(h, peer, &header, moved_bytes("piece"));
}

/* A stream of which two chunks have been received, of ITS_OWN, is sent again. */
static RequestId ask_for_the_third(Harness *h, uint64_t execution) {
  Header ask = stream;

  ask.number = 2;
  ask.execution = execution;
  return moved_ask(h, ask);
}

static void have(Harness *h, TestPeer *peer, RequestId id, uint64_t execution) {
  moved_have(h, peer, (Header){.id = id, .number = 2, .window_bytes = 10, .execution = execution}, "running");
}

static void test_the_first_chunk_and_the_end_say_whose_they_are(void **state) {
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  id = harness_request(&h, &h.client, stream, BYTES_NONE);
  chunk(&h, &h.worker, id, 0, ITS_OWN);
  assert_int_equal(harness_last(&h.client)->header.execution, ITS_OWN);
  chunk(&h, &h.worker, id, 1, 0);
  assert_int_equal(harness_last(&h.client)->header.execution, 0);
  harness_give(&h, &h.worker, &(Header){.kind = KIND_REPLY, .id = id, .execution = ITS_OWN}, BYTES_NONE);
  harness_ended(&h.client, id, STATUS_OK);
  assert_int_equal(harness_last(&h.client)->header.execution, ITS_OWN);
  id = harness_request(&h, &h.client, (Header){.kind = KIND_REQUEST}, BYTES_NONE);
  harness_reply(&h, &h.worker, id);
  assert_int_equal(harness_last(&h.client)->header.execution, 0); /* nothing went before it */
  harness_stop(&h);
}

/* A full one by its client id, which the other broker knows too; a basic one by its session, since no other can ask it. */
static void test_who_does_not_say_it_counts_as_one(void **state) {
  Header ask = stream;
  TestPeer basic = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  id = harness_request(&h, &h.client, stream, BYTES_NONE);
  chunk(&h, &h.worker, id, 0, 0);
  assert_int_equal(harness_last(&h.client)->header.execution, h.worker.client.value);
  id = ask_for_the_third(&h, h.worker.client.value);
  have(&h, &h.worker, id, 0);
  harness_chunk(&h, &h.worker, id, 2, 0, moved_bytes("third"));
  assert_int_equal(harness_last(&h.client)->header.number, 2);
  harness_instance(&h, &basic, &(TestInstance){.name = "basic", .client = 33, .credit = 4, .service = "plain"});
  ask.service = TEXT("plain");
  id = harness_request(&h, &h.client, ask, BYTES_NONE);
  chunk(&h, &basic, id, 0, 0);
  assert_int_equal(harness_last(&h.client)->header.execution, basic.welcome.value);
  harness_stop(&h);
  harness_forget(&basic);
}

/* Another may have made as many chunks, and others. */
static void test_a_stream_goes_on_with_its_own_execution_alone(void **state) {
  TestPeer other = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  moved_instance(&h, &other, "other", 33, NULL);
  id = ask_for_the_third(&h, ITS_OWN);
  have(&h, &other, id, ANOTHER);
  assert_int_equal(harness_count(&other, KIND_CANCEL), 1);
  harness_open(&h.client, id);
  have(&h, &h.worker, id, ITS_OWN);
  harness_chunk(&h, &h.worker, id, 2, 0, moved_bytes("third"));
  assert_int_equal(harness_last(&h.client)->header.number, 2);
  id = ask_for_the_third(&h, ITS_OWN);
  have(&h, &other, id, ANOTHER);
  moved_pass(&h, &h.worker, id, 0, STATUS_OK);
  harness_ended(&h.client, id, STATUS_STREAM_LOST);
  harness_stop(&h);
  harness_forget(&other);
}

/* A client of before, or one whose first chunk came through a broker of before, says nothing. */
static void test_who_does_not_name_it_is_believed(void **state) {
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  id = ask_for_the_third(&h, 0);
  have(&h, &h.worker, id, ANOTHER);
  harness_chunk(&h, &h.worker, id, 2, 0, moved_bytes("third"));
  assert_int_equal(harness_last(&h.client)->header.number, 2);
  harness_stop(&h);
}

/* It is begun from its first chunk by whoever has it; nobody has taken any. */
static void test_before_the_first_chunk_any_execution_will_do(void **state) {
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  id = moved_ask(&h, stream);
  moved_have(&h, &h.worker, (Header){.id = id, .execution = ANOTHER}, "running");
  chunk(&h, &h.worker, id, 0, ANOTHER);
  assert_int_equal(harness_last(&h.client)->header.execution, ANOTHER);
  harness_stop(&h);
}

/* The client was with the other broker meanwhile, and has as many chunks, of what that one had begun. */
static void come_back_with(Harness *h, RequestId id, const char *service, uint32_t attempt, uint64_t execution) {
  Header ask = stream;

  ask.id = id;
  ask.service = text_of(service);
  ask.attempt = attempt;
  ask.number = 1;
  ask.execution = execution;
  moved_ask(h, ask);
}

static void test_what_is_held_is_of_another(void **state) {
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  id = harness_request(&h, &h.client, stream, BYTES_NONE);
  chunk(&h, &h.worker, id, 0, ITS_OWN);
  harness_cut(&h, &h.client);
  harness_give(&h, &h.worker, &(Header){.kind = KIND_REPLY, .id = id, .execution = ITS_OWN}, BYTES_NONE);
  moved_client(&h, &h.client, FEATURE_CONFIRM);
  harness_ended(&h.client, id, STATUS_OK); /* which a client that has something of another passes over */
  assert_int_equal(harness_last(&h.client)->header.execution, ITS_OWN);
  come_back_with(&h, id, "echo", 2, ANOTHER);
  assert_int_equal(harness_count(&h.worker, KIND_PROBE), 1);
  harness_stop(&h);
}

/* A basic instance can't be asked, so what it executes is not looked for. */
static void test_a_basic_instance_has_another(void **state) {
  Header ask = stream;
  TestPeer basic = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_instance(&h, &basic, &(TestInstance){.name = "basic", .client = 33, .credit = 4, .service = "plain"});
  ask.service = TEXT("plain");
  id = harness_request(&h, &h.client, ask, BYTES_NONE);
  chunk(&h, &basic, id, 0, 0);
  come_back_with(&h, id, "plain", 2, basic.welcome.value);
  harness_open(&h.client, id);
  come_back_with(&h, id, "plain", 4, ANOTHER);
  harness_ended(&h.client, id, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(&basic, KIND_CANCEL), 1);
  harness_stop(&h);
  harness_forget(&basic);
}

/* It comes to the broker that its client is with now, which does not know the request. */
static void test_the_end_of_a_lost_broker_says_whose_it_is(void **state) {
  RequestId id = {{11}, 77};
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_give(&h, &h.worker, &(Header){.kind = KIND_REPLY, .id = id, .number = 2, .execution = ITS_OWN}, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.execution, ITS_OWN);
  harness_give(&h, &h.worker, &(Header){.kind = KIND_REPLY, .id = id, .number = 2}, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.execution, h.worker.client.value);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_first_chunk_and_the_end_say_whose_they_are),
      cmocka_unit_test(test_who_does_not_say_it_counts_as_one),
      cmocka_unit_test(test_a_stream_goes_on_with_its_own_execution_alone),
      cmocka_unit_test(test_who_does_not_name_it_is_believed),
      cmocka_unit_test(test_before_the_first_chunk_any_execution_will_do),
      cmocka_unit_test(test_what_is_held_is_of_another),
      cmocka_unit_test(test_a_basic_instance_has_another),
      cmocka_unit_test(test_the_end_of_a_lost_broker_says_whose_it_is),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
