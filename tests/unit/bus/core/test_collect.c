/* service@*: one request to every instance, each answer a chunk, then one reply. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

enum { MANY = LIMIT_COLLECT + 6 };

typedef struct Fleet {
  Harness h;
  TestPeer peers[MANY];
} Fleet;

/* The harness with its worker and n instances more. */
static Fleet *start(int n, const CoreOptions *options) {
  Fleet *fleet = calloc(1, sizeof *fleet);

  assert_non_null(fleet);
  harness_start(&fleet->h, options);
  for (int i = 0; i < n; i++)
    harness_worker(&fleet->h, &fleet->peers[i], "more", 100 + (uint64_t)i, 4);
  return fleet;
}

static void stop(Fleet *fleet) {
  for (int i = 0; i < MANY; i++)
    harness_forget(&fleet->peers[i]);
  harness_stop(&fleet->h);
  free(fleet);
}

static RequestId ask_all(Fleet *fleet, const char *method) {
  return harness_ask(&fleet->h, &fleet->h.client, "echo@*", method, (Bytes){(const uint8_t *)"who", 3});
}

static uint64_t number_in(const Heard *reply, const char *key) {
  MsgpackReader reader = msgpack_reader(buffer_bytes(&reply->body));
  uint32_t n;
  uint64_t value = UINT64_MAX;

  assert_int_equal(msgpack_get_map(&reader, &n), 0);
  for (uint32_t i = 0; i < n; i++) {
    uint64_t number;
    Text name;

    assert_int_equal(msgpack_get_text(&reader, &name), 0);
    assert_int_equal(msgpack_get_uint(&reader, &number), 0);
    value = text_is(name, key) ? number : value;
  }
  return value;
}

/* The request has ended with a reply that says so. */
static void collected(Fleet *fleet, RequestId id, uint64_t asked, uint64_t answered) {
  Heard *end = NULL;

  harness_ended(&fleet->h.client, id, STATUS_OK);
  harness_ends(&fleet->h.client, id, &end);
  assert_int_equal(number_in(end, "asked"), asked);
  assert_int_equal(number_in(end, "answered"), answered);
  assert_int_equal(end->header.number, harness_count(&fleet->h.client, KIND_CHUNK));
  assert_true(core_is_idle(fleet->h.core));
}

static Header answer(Fleet *fleet, int n) {
  Heard *chunk = harness_find(&fleet->h.client, KIND_CHUNK, n);

  assert_non_null(chunk);
  assert_int_equal(chunk->header.flags, FLAG_COLLECT);
  assert_int_equal(chunk->header.number, n);
  return chunk->header;
}

static void test_each_answer_is_a_chunk_that_names_its_instance(void **state) {
  Fleet *fleet = start(1, NULL);
  RequestId id = ask_all(fleet, "say");

  (void)state;
  assert_memory_equal(harness_work(&fleet->h.worker, id)->body.data, "who", 3);
  assert_memory_equal(harness_work(&fleet->peers[0], id)->body.data, "who", 3);
  harness_give(&fleet->h, &fleet->peers[0], &(Header){.kind = KIND_REPLY, .id = id}, (Bytes){(const uint8_t *)"me", 2});
  assert_memory_equal(answer(fleet, 0).annotations.data,
                      "\x81\xa8"
                      "instance\xb5more:0000000000000064",
                      answer(fleet, 0).annotations.size);
  harness_open(&fleet->h.client, id);
  harness_say(&fleet->h, &fleet->h.worker, KIND_ERROR, id, STATUS_BUSY);
  assert_int_equal(answer(fleet, 0).status, STATUS_OK);
  assert_int_equal(answer(fleet, 1).status, STATUS_BUSY);
  collected(fleet, id, 2, 1);
  stop(fleet);
}

static void test_at_most_64_are_asked(void **state) {
  Fleet *fleet = start(MANY, NULL);
  RequestId id = ask_all(fleet, "say");

  (void)state;
  harness_reply(&fleet->h, &fleet->h.worker, id);
  for (int i = 0; i < MANY; i++)
    if (harness_find(&fleet->peers[i], KIND_REQUEST, 0))
      harness_reply(&fleet->h, &fleet->peers[i], id);
  collected(fleet, id, LIMIT_COLLECT, LIMIT_COLLECT);
  stop(fleet);
}

static void test_nobody_is_ready(void **state) {
  Fleet *fleet = start(0, NULL);
  Header drain = {.kind = KIND_DRAIN};
  RequestId id;

  (void)state;
  harness_give(&fleet->h, &fleet->h.worker, &drain, BYTES_NONE);
  id = ask_all(fleet, "say");
  collected(fleet, id, 0, 0);
  stop(fleet);
}

static void test_who_lacks_the_method_is_not_asked(void **state) {
  Fleet *fleet = start(0, NULL);
  HelloMethod sing = {.method = TEXT("sing")};
  RequestId id;

  (void)state;
  harness_instance(&fleet->h, &fleet->peers[0],
                   &(TestInstance){.name = "a", .client = 50, .credit = 1, .methods = &sing, .n_methods = 1});
  id = ask_all(fleet, "sing");
  harness_reply(&fleet->h, &fleet->peers[0], id);
  collected(fleet, id, 1, 1);
  stop(fleet);
}

static void test_it_waits_for_credit_of_each(void **state) {
  Fleet *fleet = start(1, NULL);
  RequestId running;
  RequestId id;

  (void)state;
  harness_credit(&fleet->h, &fleet->h.worker, 1);
  running = harness_ask(&fleet->h, &fleet->h.client, "echo@worker", "say", BYTES_NONE);
  id = ask_all(fleet, "say");
  assert_int_equal(harness_count(&fleet->h.worker, KIND_REQUEST), 1);
  harness_reply(&fleet->h, &fleet->peers[0], id);
  harness_reply(&fleet->h, &fleet->h.worker, running);
  harness_reply(&fleet->h, &fleet->h.worker, id);
  harness_clear(&fleet->h.worker);
  harness_ended(&fleet->h.client, id, STATUS_OK);
  stop(fleet);
}

static void test_an_instance_that_is_lost_answers_worker_lost(void **state) {
  Fleet *fleet = start(2, NULL);
  RequestId id = ask_all(fleet, "say");

  (void)state;
  harness_cut(&fleet->h, &fleet->peers[0]);
  assert_int_equal(answer(fleet, 0).status, STATUS_WORKER_LOST);
  assert_int_equal(harness_count(&fleet->h.worker, KIND_REQUEST), 1); /* it is not done by another */
  harness_reply(&fleet->h, &fleet->peers[1], id);
  harness_reply(&fleet->h, &fleet->h.worker, id);
  collected(fleet, id, 3, 2);
  stop(fleet);
}

static void test_a_forward_or_refusal_of_one_is_its_answer(void **state) {
  static const ForwardTarget target = {TEXT("echo"), TEXT("say")};
  Fleet *fleet = start(1, NULL);
  RequestId id = ask_all(fleet, "say");

  (void)state;
  harness_forward(&fleet->h, &fleet->h.worker, id, &target, 1);
  harness_say(&fleet->h, &fleet->peers[0], KIND_NACK, id, STATUS_DENIED);
  assert_int_equal(answer(fleet, 1).status, STATUS_DENIED);
  collected(fleet, id, 2, 0);
  stop(fleet);
}

static void test_cancel_reaches_those_who_execute(void **state) {
  Fleet *fleet = start(2, NULL);
  RequestId id = ask_all(fleet, "say");

  (void)state;
  harness_reply(&fleet->h, &fleet->peers[0], id);
  harness_say(&fleet->h, &fleet->h.client, KIND_CANCEL, id, STATUS_OK);
  assert_int_equal(harness_count(&fleet->peers[0], KIND_CANCEL), 0);
  assert_int_equal(harness_count(&fleet->peers[1], KIND_CANCEL), 1);
  assert_int_equal(harness_count(&fleet->h.worker, KIND_CANCEL), 1);
  assert_true(core_is_idle(fleet->h.core));
  harness_say(&fleet->h, &fleet->peers[1], KIND_ERROR, id, STATUS_CANCELLED);
  harness_cut(&fleet->h, &fleet->h.worker);
  harness_open(&fleet->h.client, id);
  stop(fleet);
}

static void test_the_deadline_ends_it_with_what_came_before(void **state) {
  Fleet *fleet = start(1, NULL);
  Header pong = {.kind = KIND_PONG};
  RequestId id = harness_request(&fleet->h, &fleet->h.client, (Header){.service = TEXT("echo@*"), .deadline_us = 40000},
                                 BYTES_NONE);

  (void)state;
  harness_reply(&fleet->h, &fleet->peers[0], id);
  harness_wait(&fleet->h, 40000);
  harness_give(&fleet->h, &fleet->h.worker, &pong, BYTES_NONE);
  harness_ended(&fleet->h.client, id, STATUS_DEADLINE);
  assert_int_equal(harness_count(&fleet->h.worker, KIND_CANCEL), 1);
  stop(fleet);
}

static void test_an_instance_with_a_full_queue_answers_overloaded(void **state) {
  CoreOptions options = core_options_default();
  Fleet *fleet;
  RequestId id;

  (void)state;
  options.limits.service_queue = 1;
  fleet = start(1, &options);
  harness_credit(&fleet->h, &fleet->h.worker, 0);
  harness_ask(&fleet->h, &fleet->h.client, "echo@worker", "say", BYTES_NONE);
  id = ask_all(fleet, "say");
  assert_int_equal(answer(fleet, 0).status, STATUS_OVERLOADED);
  harness_reply(&fleet->h, &fleet->peers[0], id);
  harness_ended(&fleet->h.client, id, STATUS_OK);
  stop(fleet);
}

static void test_chunks_lost_while_the_client_was_away(void **state) {
  Fleet *fleet = start(1, NULL);
  RequestId id = ask_all(fleet, "say");

  (void)state;
  harness_cut(&fleet->h, &fleet->h.client);
  harness_reply(&fleet->h, &fleet->h.worker, id);
  harness_reply(&fleet->h, &fleet->peers[0], id);
  harness_clear(&fleet->h.client);
  harness_client(&fleet->h, &fleet->h.client, "tester", 11);
  harness_ended(&fleet->h.client, id, STATUS_STREAM_LOST);
  stop(fleet);
}

static void test_oneself_is_asked_too(void **state) {
  Fleet *fleet = start(0, NULL);
  Header bye = {.kind = KIND_BYE};
  RequestId id = harness_ask(&fleet->h, &fleet->h.worker, "echo@*", "say", BYTES_NONE);

  (void)state;
  harness_reply(&fleet->h, &fleet->h.worker, id);
  harness_ended(&fleet->h.worker, id, STATUS_OK);
  harness_ask(&fleet->h, &fleet->h.worker, "echo@*", "say", BYTES_NONE);
  harness_give(&fleet->h, &fleet->h.worker, &bye, BYTES_NONE);
  assert_true(core_is_idle(fleet->h.core));
  stop(fleet);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_answer_is_a_chunk_that_names_its_instance),
      cmocka_unit_test(test_at_most_64_are_asked),
      cmocka_unit_test(test_nobody_is_ready),
      cmocka_unit_test(test_who_lacks_the_method_is_not_asked),
      cmocka_unit_test(test_it_waits_for_credit_of_each),
      cmocka_unit_test(test_an_instance_that_is_lost_answers_worker_lost),
      cmocka_unit_test(test_a_forward_or_refusal_of_one_is_its_answer),
      cmocka_unit_test(test_cancel_reaches_those_who_execute),
      cmocka_unit_test(test_the_deadline_ends_it_with_what_came_before),
      cmocka_unit_test(test_an_instance_with_a_full_queue_answers_overloaded),
      cmocka_unit_test(test_chunks_lost_while_the_client_was_away),
      cmocka_unit_test(test_oneself_is_asked_too),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
