/* What instances send about their requests: NACK, FORWARD, streams. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

/* A core with a second instance of echo, `other`, and one of a service `far`. */
typedef struct Trio {
  Harness h;
  TestPeer other;
  TestPeer far;
} Trio;

static Trio *start(uint32_t credit, uint32_t other_credit) {
  Trio *trio = calloc(1, sizeof *trio);

  assert_non_null(trio);
  harness_start(&trio->h, NULL);
  harness_credit(&trio->h, &trio->h.worker, credit);
  harness_worker(&trio->h, &trio->other, "other", 33, other_credit);
  harness_instance(&trio->h, &trio->far, &(TestInstance){.name = "far", .client = 44, .credit = 4, .service = "far"});
  return trio;
}

static void stop(Trio *trio) {
  harness_forget(&trio->other);
  harness_forget(&trio->far);
  harness_stop(&trio->h);
  free(trio);
}

static RequestId ask(Trio *trio, const char *method) {
  return harness_ask(&trio->h, &trio->h.client, "echo", method, BYTES_NONE);
}

/* --- NACK --- */

static void test_busy_sets_the_credit_to_0_and_another_gets_it(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "once");

  (void)state;
  harness_credit(&trio->h, &trio->other, 1);
  harness_say(&trio->h, &trio->h.worker, KIND_NACK, id, STATUS_BUSY);
  harness_work(&trio->other, id); /* `once` too: it was not begun */
  assert_int_equal(harness_count(&trio->h.worker, KIND_REQUEST), 1);
  ask(trio, "say");
  assert_int_equal(harness_count(&trio->h.worker, KIND_REQUEST), 1);
  harness_credit(&trio->h, &trio->h.worker, 1);
  assert_int_equal(harness_count(&trio->h.worker, KIND_REQUEST), 2);
  assert_int_equal(core_counter(trio->h.core, COUNTER_REDISPATCHED), 1);
  stop(trio);
}

static void test_draining_ends_new_work(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  harness_say(&trio->h, &trio->h.worker, KIND_NACK, id, STATUS_DRAINING);
  harness_credit(&trio->h, &trio->h.worker, 9);
  assert_int_equal(harness_count(&trio->h.worker, KIND_REQUEST), 1);
  harness_credit(&trio->h, &trio->other, 1);
  harness_work(&trio->other, id);
  stop(trio);
}

static void test_any_other_status_goes_to_the_client(void **state) {
  Trio *trio = start(4, 4);
  RequestId id = harness_ask(&trio->h, &trio->h.client, "far", "say", BYTES_NONE);

  (void)state;
  harness_say(&trio->h, &trio->far, KIND_NACK, id, STATUS_DENIED);
  harness_ended(&trio->h.client, id, STATUS_DENIED);
  stop(trio);
}

static void test_who_takes_credit_and_refuses_over_and_over(void **state) {
  Trio *trio = start(0, 0);
  RequestId id = harness_ask(&trio->h, &trio->h.client, "far", "say", BYTES_NONE);

  (void)state;
  for (int i = 0; i < LIMIT_NACKS; i++) {
    harness_open(&trio->h.client, id);
    harness_say(&trio->h, &trio->far, KIND_NACK, id, STATUS_BUSY);
    harness_credit(&trio->h, &trio->far, 4);
  }
  harness_ended(&trio->h.client, id, STATUS_OVERLOADED);
  assert_int_equal(harness_count(&trio->far, KIND_REQUEST), LIMIT_NACKS);
  stop(trio);
}

static void test_a_nack_for_one_instance_alone_waits_for_it(void **state) {
  Trio *trio = start(4, 4);
  RequestId id = harness_ask(&trio->h, &trio->h.client, "echo@other", "say", BYTES_NONE);

  (void)state;
  harness_say(&trio->h, &trio->other, KIND_NACK, id, STATUS_BUSY);
  assert_int_equal(harness_count(&trio->h.worker, KIND_REQUEST), 0);
  harness_credit(&trio->h, &trio->other, 1);
  assert_int_equal(harness_count(&trio->other, KIND_REQUEST), 2);
  harness_reply(&trio->h, &trio->other, id);
  harness_ended(&trio->h.client, id, STATUS_OK);
  stop(trio);
}

static void test_answers_about_what_is_not_theirs_are_stray(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  harness_reply(&trio->h, &trio->other, id);
  harness_say(&trio->h, &trio->other, KIND_NACK, id, STATUS_BUSY);
  harness_chunk(&trio->h, &trio->other, id, 0, 0, BYTES_NONE);
  harness_reply(&trio->h, &trio->h.worker, (RequestId){id.client, 999});
  assert_int_equal(core_counter(trio->h.core, COUNTER_STRAY), 4);
  harness_open(&trio->h.client, id);
  harness_reply(&trio->h, &trio->h.worker, id);
  harness_ended(&trio->h.client, id, STATUS_OK);
  stop(trio);
}

static void test_an_answer_over_a_limit_ends_its_request(void **state) {
  Trio *trio = start(1, 0);
  Header reply = {.kind = KIND_REPLY, .id = ask(trio, "say")};
  char long_name[LIMIT_CONTENT_TYPE_BYTES + 1];

  (void)state;
  memset(long_name, 'x', sizeof long_name);
  reply.content_type = (Text){long_name, sizeof long_name};
  harness_give(&trio->h, &trio->h.worker, &reply, BYTES_NONE);
  harness_ended(&trio->h.client, reply.id, STATUS_INTERNAL);
  assert_int_equal(harness_last(&trio->h.worker)->header.status, STATUS_TOO_LARGE);
  ask(trio, "say"); /* the credit is free again */
  assert_int_equal(harness_count(&trio->h.worker, KIND_REQUEST), 2);
  stop(trio);
}

/* --- FORWARD --- */

static void forward_to(Trio *trio, RequestId id, const char *first, const char *second) {
  const ForwardTarget targets[] = {{text_of(first), TEXT("say")}, {text_of(second ? second : ""), TEXT("once")}};

  harness_forward(&trio->h, &trio->h.worker, id, targets, second ? 2 : 1);
}

static void test_the_kept_body_goes_to_the_target(void **state) {
  Trio *trio = start(4, 0);
  Bytes body = {(const uint8_t *)"kept", 4};
  RequestId id = harness_ask(&trio->h, &trio->h.client, "echo", "say", body);

  (void)state;
  forward_to(trio, id, "far", NULL);
  assert_int_equal(harness_work(&trio->far, id)->header.hop, 1);
  assert_true(text_is(harness_work(&trio->far, id)->header.service, "far"));
  assert_memory_equal(harness_work(&trio->far, id)->body.data, "kept", 4);
  harness_reply(&trio->h, &trio->far, id);
  harness_ended(&trio->h.client, id, STATUS_OK);
  assert_int_equal(core_counter(trio->h.core, COUNTER_FORWARDS), 1);
  stop(trio);
}

static void test_a_body_in_parts_is_forwarded_whole(void **state) {
  Trio *trio = start(4, 0);
  RequestId id =
      harness_request(&trio->h, &trio->h.client, (Header){.flags = FLAG_MORE}, (Bytes){(const uint8_t *)"one", 3});

  (void)state;
  harness_chunk(&trio->h, &trio->h.client, id, 1, FLAG_MORE, (Bytes){(const uint8_t *)"two", 3});
  harness_chunk(&trio->h, &trio->h.client, id, 2, 0, (Bytes){(const uint8_t *)"end", 3});
  forward_to(trio, id, "far", NULL);
  assert_memory_equal(harness_work(&trio->far, id)->body.data, "one", 3);
  assert_memory_equal(harness_find(&trio->far, KIND_CHUNK, 0)->body.data, "two", 3);
  assert_memory_equal(harness_find(&trio->far, KIND_CHUNK, 1)->body.data, "end", 3);
  assert_int_equal(harness_find(&trio->far, KIND_CHUNK, 1)->header.flags, 0);
  stop(trio);
}

static void test_annotations_of_forward_replace_those_of_the_request(void **state) {
  static const uint8_t asked[] = {0x81, 0xa1, 'a', 1};
  static const uint8_t replaced[] = {0x81, 0xa1, 'b', 2};
  static const ForwardTarget target = {TEXT("far"), TEXT("say")};
  const ForwardBody forward = {.targets = {&target, 1}};
  _cleanup_(buffer_done) Buffer body = {0};
  Trio *trio = start(4, 0);
  Header header = {.kind = KIND_FORWARD, .annotations = {replaced, sizeof replaced}};
  RequestId kept;

  (void)state;
  assert_int_equal(contract_encode(CONTRACT(ForwardBody), &forward, &body, NULL), 0);
  header.id = harness_request(&trio->h, &trio->h.client, (Header){.annotations = {asked, sizeof asked}}, BYTES_NONE);
  harness_give(&trio->h, &trio->h.worker, &header, buffer_bytes(&body));
  assert_memory_equal(harness_work(&trio->far, header.id)->header.annotations.data, replaced, sizeof replaced);
  kept = harness_request(&trio->h, &trio->h.client, (Header){.annotations = {asked, sizeof asked}}, BYTES_NONE);
  forward_to(trio, kept, "far", NULL);
  assert_memory_equal(harness_work(&trio->far, kept)->header.annotations.data, asked, sizeof asked);
  stop(trio);
}

static void test_the_next_target_when_the_first_is_nobody_or_lacks_the_method(void **state) {
  static const ForwardTarget targets[] = {
      {TEXT("nobody"), TEXT("say")}, {TEXT("far"), TEXT("sing")}, {TEXT("far"), TEXT("say")}};
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  harness_forward(&trio->h, &trio->h.worker, id, targets, 3);
  assert_int_equal(harness_work(&trio->far, id)->header.hop, 1);
  stop(trio);
}

static void test_the_next_target_on_nack(void **state) {
  Trio *trio = start(4, 4);
  RequestId id = ask(trio, "say");

  (void)state;
  forward_to(trio, id, "echo@other", "far");
  harness_say(&trio->h, &trio->other, KIND_NACK, id, STATUS_BUSY);
  assert_true(text_is(harness_work(&trio->far, id)->header.method, "once"));
  stop(trio);
}

static void test_the_next_target_on_the_loss_of_an_idempotent_instance(void **state) {
  Trio *trio = start(4, 4);
  RequestId id = ask(trio, "say");

  (void)state;
  forward_to(trio, id, "echo@other", "far");
  harness_cut(&trio->h, &trio->other);
  harness_work(&trio->far, id);
  harness_cut(&trio->h, &trio->far); /* `once` there, and the last */
  harness_ended(&trio->h.client, id, STATUS_WORKER_LOST);
  stop(trio);
}

static void test_no_target_is_left(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  forward_to(trio, id, "nobody", "neither");
  harness_ended(&trio->h.client, id, STATUS_NO_SERVICE);
  stop(trio);
}

static void test_the_broker_itself_is_a_target(void **state) {
  static const ForwardTarget targets[] = {{TEXT("nobody"), TEXT("say")}, {TEXT("pons"), TEXT("ping")}};
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  harness_forward(&trio->h, &trio->h.worker, id, targets, 2);
  harness_ended(&trio->h.client, id, STATUS_OK);
  stop(trio);
}

static void test_a_loop_of_agents_ends_after_8_hops(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  for (int hop = 0; hop < LIMIT_HOPS; hop++) {
    assert_int_equal(harness_work(&trio->h.worker, id)->header.hop, hop);
    harness_clear(&trio->h.worker);
    forward_to(trio, id, "echo", NULL);
  }
  harness_open(&trio->h.client, id);
  forward_to(trio, id, "echo", NULL);
  harness_ended(&trio->h.client, id, STATUS_TOO_MANY_HOPS);
  stop(trio);
}

static void test_a_forward_that_cannot_be_read(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  harness_say(&trio->h, &trio->h.worker, KIND_FORWARD, id, STATUS_OK);
  harness_ended(&trio->h.client, id, STATUS_INTERNAL);
  stop(trio);
}

/* --- streams --- */

static Bytes zeros(size_t size) {
  static const uint8_t bytes[LIMIT_BODY_BYTES];

  return (Bytes){bytes, size};
}

static RequestId ask_stream(Trio *trio, uint64_t window_bytes) {
  return harness_request(&trio->h, &trio->h.client,
                         (Header){.method = TEXT("stream"), .flags = FLAG_STREAM, .window_bytes = window_bytes},
                         BYTES_NONE);
}

static void chunk(Trio *trio, RequestId id, uint64_t number, size_t size) {
  harness_chunk(&trio->h, &trio->h.worker, id, number, 0, zeros(size));
}

static void test_chunks_are_passed_on_and_the_reply_counts_them(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, 1000);
  Heard *end = NULL;

  (void)state;
  assert_int_equal(harness_work(&trio->h.worker, id)->header.window_bytes, 1000);
  assert_int_equal(harness_work(&trio->h.worker, id)->header.flags, FLAG_STREAM);
  chunk(trio, id, 0, 10);
  chunk(trio, id, 1, 20);
  assert_int_equal(harness_count(&trio->h.client, KIND_CHUNK), 2);
  assert_int_equal(harness_find(&trio->h.client, KIND_CHUNK, 1)->body.size, 20);
  harness_reply(&trio->h, &trio->h.worker, id);
  harness_ended(&trio->h.client, id, STATUS_OK);
  harness_ends(&trio->h.client, id, &end);
  assert_int_equal(end->header.number, 2);
  assert_int_equal(core_counter(trio->h.core, COUNTER_CHUNKS), 2);
  stop(trio);
}

static void test_the_kept_body_is_dropped_at_the_first_chunk(void **state) {
  CoreOptions options = core_options_default();
  Harness h;
  RequestId id;

  (void)state;
  options.limits.client_bytes = 100;
  harness_start(&h, &options);
  id = harness_request(&h, &h.client, (Header){.method = TEXT("stream"), .flags = FLAG_STREAM}, zeros(100));
  harness_ended(&h.client, harness_ask(&h, &h.client, "echo", "say", zeros(1)), STATUS_QUOTA);
  harness_chunk(&h, &h.worker, id, 0, 0, zeros(1));
  harness_work(&h.worker, harness_ask(&h, &h.client, "echo", "say", zeros(100)));
  harness_stop(&h);
}

static void test_no_second_execution_after_a_chunk(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, 1000);

  (void)state;
  harness_credit(&trio->h, &trio->other, 4);
  chunk(trio, id, 0, 10);
  harness_cut(&trio->h, &trio->h.worker);
  harness_ended(&trio->h.client, id, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(&trio->other, KIND_REQUEST), 0);
  stop(trio);
}

static void test_before_its_first_chunk_a_stream_is_done_again(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, 1000);

  (void)state;
  harness_credit(&trio->h, &trio->other, 4);
  harness_cut(&trio->h, &trio->h.worker);
  harness_work(&trio->other, id);
  stop(trio);
}

static void test_a_gap_breaks_the_stream(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, 1000);

  (void)state;
  chunk(trio, id, 0, 1);
  chunk(trio, id, 2, 1);
  harness_ended(&trio->h.client, id, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(&trio->h.worker, KIND_CANCEL), 1);
  assert_int_equal(core_counter(trio->h.core, COUNTER_MALFORMED), 1);
  stop(trio);
}

static void test_over_the_window_by_more_than_the_largest_body(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, 1000);

  (void)state;
  chunk(trio, id, 0, 1000);
  chunk(trio, id, 1, LIMIT_BODY_BYTES);
  harness_open(&trio->h.client, id);
  chunk(trio, id, 2, 1);
  harness_ended(&trio->h.client, id, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(&trio->h.worker, KIND_CANCEL), 1);
  stop(trio);
}

static void give_window(Trio *trio, TestPeer *peer, RequestId id, uint64_t bytes) {
  Header window = {.kind = KIND_WINDOW, .id = id, .number = 1, .window_bytes = bytes};

  harness_give(&trio->h, peer, &window, BYTES_NONE);
}

static void test_windows_are_absolute_and_never_fall(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, 1000);

  (void)state;
  give_window(trio, &trio->h.client, id, 500);
  assert_int_equal(harness_count(&trio->h.worker, KIND_WINDOW), 0);
  give_window(trio, &trio->h.client, id, 3000);
  assert_int_equal(harness_find(&trio->h.worker, KIND_WINDOW, 0)->header.window_bytes, 3000);
  assert_int_equal(harness_find(&trio->h.worker, KIND_WINDOW, 0)->header.number, 1);
  give_window(trio, &trio->other, id, 9000); /* not its stream */
  assert_int_equal(harness_count(&trio->h.worker, KIND_WINDOW), 1);
  chunk(trio, id, 0, 3000);
  chunk(trio, id, 1, LIMIT_BODY_BYTES);
  harness_open(&trio->h.client, id);
  stop(trio);
}

static void test_windows_are_at_most_a_mebibyte_ahead(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, UINT64_MAX);

  (void)state;
  assert_int_equal(harness_work(&trio->h.worker, id)->header.window_bytes, LIMIT_STREAM_WINDOW_BYTES);
  chunk(trio, id, 0, 77);
  give_window(trio, &trio->h.client, id, UINT64_MAX);
  assert_int_equal(harness_find(&trio->h.worker, KIND_WINDOW, 0)->header.window_bytes, LIMIT_STREAM_WINDOW_BYTES + 77);
  stop(trio);
}

static void test_chunks_that_nobody_asked_for_are_dropped(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask(trio, "say");

  (void)state;
  chunk(trio, id, 0, 5);
  assert_int_equal(harness_count(&trio->h.client, KIND_CHUNK), 0);
  assert_int_equal(core_counter(trio->h.core, COUNTER_STRAY), 1);
  harness_reply(&trio->h, &trio->h.worker, id);
  harness_ended(&trio->h.client, id, STATUS_OK);
  stop(trio);
}

static void test_a_forward_after_a_chunk(void **state) {
  Trio *trio = start(4, 0);
  RequestId id = ask_stream(trio, 1000);

  (void)state;
  chunk(trio, id, 0, 1);
  forward_to(trio, id, "far", NULL);
  harness_ended(&trio->h.client, id, STATUS_STREAM_LOST);
  assert_int_equal(core_counter(trio->h.core, COUNTER_MALFORMED), 1);
  assert_int_equal(harness_count(&trio->far, KIND_REQUEST), 0);
  stop(trio);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_busy_sets_the_credit_to_0_and_another_gets_it),
      cmocka_unit_test(test_draining_ends_new_work),
      cmocka_unit_test(test_any_other_status_goes_to_the_client),
      cmocka_unit_test(test_who_takes_credit_and_refuses_over_and_over),
      cmocka_unit_test(test_a_nack_for_one_instance_alone_waits_for_it),
      cmocka_unit_test(test_answers_about_what_is_not_theirs_are_stray),
      cmocka_unit_test(test_an_answer_over_a_limit_ends_its_request),
      cmocka_unit_test(test_the_kept_body_goes_to_the_target),
      cmocka_unit_test(test_a_body_in_parts_is_forwarded_whole),
      cmocka_unit_test(test_annotations_of_forward_replace_those_of_the_request),
      cmocka_unit_test(test_the_next_target_when_the_first_is_nobody_or_lacks_the_method),
      cmocka_unit_test(test_the_next_target_on_nack),
      cmocka_unit_test(test_the_next_target_on_the_loss_of_an_idempotent_instance),
      cmocka_unit_test(test_no_target_is_left),
      cmocka_unit_test(test_the_broker_itself_is_a_target),
      cmocka_unit_test(test_a_loop_of_agents_ends_after_8_hops),
      cmocka_unit_test(test_a_forward_that_cannot_be_read),
      cmocka_unit_test(test_chunks_are_passed_on_and_the_reply_counts_them),
      cmocka_unit_test(test_the_kept_body_is_dropped_at_the_first_chunk),
      cmocka_unit_test(test_no_second_execution_after_a_chunk),
      cmocka_unit_test(test_before_its_first_chunk_a_stream_is_done_again),
      cmocka_unit_test(test_a_gap_breaks_the_stream),
      cmocka_unit_test(test_over_the_window_by_more_than_the_largest_body),
      cmocka_unit_test(test_windows_are_absolute_and_never_fall),
      cmocka_unit_test(test_windows_are_at_most_a_mebibyte_ahead),
      cmocka_unit_test(test_chunks_that_nobody_asked_for_are_dropped),
      cmocka_unit_test(test_a_forward_after_a_chunk),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
