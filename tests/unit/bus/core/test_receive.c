/* Requests as they come in: what is refused at once and by which name, bodies in parts, quotas, the same request again. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

static Bytes text(const char *string) {
  return (Bytes){(const uint8_t *)string, strlen(string)};
}

/* Bytes of some size, all the same. */
static Bytes many(size_t size) {
  static uint8_t bytes[LIMIT_BODY_BYTES + 1];

  return (Bytes){bytes, size};
}

/* Refused at once: one ERROR of this status, counted, nothing kept. */
static void refused(Harness *h, RequestId id, Status status) {
  harness_ended(&h->client, id, status);
  assert_int_equal(core_counter(h->core, COUNTER_REFUSED), 1);
  assert_true(core_is_idle(h->core));
}

static void test_no_deadline(void **state) {
  Harness h;
  Header header = {.kind = KIND_REQUEST, .service = TEXT("echo"), .method = TEXT("say")};

  (void)state;
  harness_start(&h, NULL);
  header.id = (RequestId){h.client.client, 1};
  harness_give(&h, &h.client, &header, BYTES_NONE);
  refused(&h, header.id, STATUS_NO_DEADLINE);
  harness_stop(&h);
}

static void test_over_the_longest_deadline(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_request(&h, &h.client, (Header){.deadline_us = LIMIT_DEADLINE_US + UINT64_C(1)}, BYTES_NONE);
  harness_ended(&h.client, id, STATUS_TOO_LARGE);
  id = harness_request(&h, &h.client, (Header){.deadline_us = LIMIT_DEADLINE_US}, BYTES_NONE);
  harness_work(&h.worker, id);
  harness_stop(&h);
}

static void test_foreign_id(void **state) {
  Harness h;
  RequestId id = {{12345}, 1};

  (void)state;
  harness_start(&h, NULL);
  harness_request(&h, &h.client, (Header){.id = id}, BYTES_NONE);
  refused(&h, id, STATUS_FOREIGN_ID);
  harness_stop(&h);
}

static void test_no_service_and_no_method(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "nobody", "say", BYTES_NONE);
  harness_ended(&h.client, id, STATUS_NO_SERVICE);
  id = harness_ask(&h, &h.client, "echo", "sing", BYTES_NONE);
  harness_ended(&h.client, id, STATUS_NO_METHOD);
  assert_int_equal(core_counter(h.core, COUNTER_ERRORS), 2);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

static void test_duplicate(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_request(&h, &h.client, (Header){.id = id}, BYTES_NONE);
  harness_ended(&h.client, id, STATUS_DUPLICATE);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 1);
  harness_stop(&h);
}

static void test_a_higher_attempt_attaches_and_executes_nothing_again(void **state) {
  Harness h;
  RequestId id;
  Heard *end = NULL;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_request(&h, &h.client, (Header){.id = id, .method = TEXT("once"), .attempt = 1}, BYTES_NONE);
  harness_open(&h.client, id);
  harness_request(&h, &h.client, (Header){.id = id, .method = TEXT("once"), .attempt = 3}, BYTES_NONE);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 1);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  harness_ends(&h.client, id, &end);
  assert_int_equal(end->header.attempt, 3);
  harness_stop(&h);
}

static void test_an_attempt_of_which_nothing_is_known(void **state) {
  Harness h;
  RequestId once;
  RequestId idempotent;
  RequestId flagged;

  (void)state;
  harness_start(&h, NULL);
  once = harness_request(&h, &h.client, (Header){.attempt = 1, .method = TEXT("once"), .deadline_us = 10000000},
                         BYTES_NONE);
  idempotent = harness_request(&h, &h.client, (Header){.attempt = 1}, BYTES_NONE);
  harness_work(&h.worker, idempotent);
  flagged = harness_request(&h, &h.client, (Header){.attempt = 1, .method = TEXT("once"), .flags = FLAG_IDEMPOTENT},
                            BYTES_NONE);
  harness_work(&h.worker, flagged);
  harness_reply(&h, &h.worker, idempotent);
  harness_reply(&h, &h.worker, flagged);
  harness_open(&h.client, once); /* the broker has just started: who has it may be on its way */
  harness_wait(&h, TIME_WARMING_US);
  harness_ended(&h.client, once, STATUS_UNKNOWN);
  harness_stop(&h);
}

static void test_an_attempt_whose_first_was_cancelled_at_the_instance(void **state) {
  Harness h;
  RequestId once;
  RequestId idempotent;

  (void)state;
  harness_start(&h, NULL);
  once = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  idempotent = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_say(&h, &h.client, KIND_CANCEL, once, STATUS_OK);
  harness_say(&h, &h.client, KIND_CANCEL, idempotent, STATUS_OK);
  harness_request(&h, &h.client, (Header){.id = once, .attempt = 1, .method = TEXT("once")}, BYTES_NONE);
  harness_ended(&h.client, once, STATUS_UNKNOWN);
  harness_request(&h, &h.client, (Header){.id = idempotent, .attempt = 1}, BYTES_NONE);
  harness_ended(&h.client, idempotent, STATUS_WORKER_LOST);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 2);
  harness_stop(&h);
}

static void test_quota_of_requests(void **state) {
  CoreOptions options = core_options_default();
  Harness h;
  RequestId first;
  RequestId over;
  Heard *end = NULL;

  (void)state;
  options.limits.client_requests = 2;
  harness_start(&h, &options);
  first = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  over = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_ended(&h.client, over, STATUS_QUOTA);
  harness_ends(&h.client, over, &end);
  assert_int_equal(harness_error_body(end).retry_after_us, 10000);
  harness_reply(&h, &h.worker, first);
  harness_work(&h.worker, harness_ask(&h, &h.client, "echo", "say", BYTES_NONE));
  harness_stop(&h);
}

static void test_quota_of_bytes_to_the_byte(void **state) {
  CoreOptions options = core_options_default();
  Harness h;
  RequestId first;

  (void)state;
  options.limits.client_bytes = 1000;
  harness_start(&h, &options);
  first = harness_ask(&h, &h.client, "echo", "say", many(600));
  harness_work(&h.worker, harness_ask(&h, &h.client, "echo", "say", many(400)));
  harness_ended(&h.client, harness_ask(&h, &h.client, "echo", "say", many(1)), STATUS_QUOTA);
  harness_reply(&h, &h.worker, first);
  harness_work(&h.worker, harness_ask(&h, &h.client, "echo", "say", many(600)));
  harness_stop(&h);
}

static void test_bytes_of_all_clients(void **state) {
  CoreOptions options = core_options_default();
  TestPeer *other = calloc(1, sizeof *other);
  Harness h;

  (void)state;
  options.limits.all_bytes = 1000;
  harness_start(&h, &options);
  harness_client(&h, other, "other", 99);
  harness_ask(&h, other, "echo", "say", many(1000));
  harness_ended(&h.client, harness_ask(&h, &h.client, "echo", "say", many(1)), STATUS_OVERLOADED);
  harness_forget(other);
  harness_stop(&h);
  free(other);
}

/* --- bodies in parts --- */

static RequestId ask_more(Harness *h, const char *method, const char *body, uint32_t attempt, RequestId id) {
  return harness_request(
      h, &h->client, (Header){.id = id, .attempt = attempt, .method = text_of(method), .flags = FLAG_MORE}, text(body));
}

static const RequestId fresh = {{0}, 0};

static void test_a_body_in_parts_is_routed_when_it_is_whole(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = ask_more(&h, "say", "one", 0, fresh);
  harness_chunk(&h, &h.client, id, 1, FLAG_MORE, text("two"));
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 0);
  harness_chunk(&h, &h.client, id, 2, 0, text("three"));
  assert_int_equal(harness_work(&h.worker, id)->header.flags, FLAG_MORE);
  assert_memory_equal(harness_work(&h.worker, id)->body.data, "one", 3);
  assert_int_equal(harness_find(&h.worker, KIND_CHUNK, 0)->header.number, 1);
  assert_int_equal(harness_find(&h.worker, KIND_CHUNK, 0)->header.flags, FLAG_MORE);
  assert_memory_equal(harness_find(&h.worker, KIND_CHUNK, 1)->body.data, "three", 5);
  assert_int_equal(harness_find(&h.worker, KIND_CHUNK, 1)->header.flags, 0);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  harness_stop(&h);
}

static void test_a_part_is_missing(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = ask_more(&h, "say", "one", 0, fresh);
  harness_chunk(&h, &h.client, id, 2, 0, text("three"));
  harness_ended(&h.client, id, STATUS_MALFORMED);
  assert_int_equal(core_counter(h.core, COUNTER_MALFORMED), 1);
  harness_chunk(&h, &h.client, id, 3, 0, text("four"));
  assert_int_equal(core_counter(h.core, COUNTER_STRAY), 1);
  harness_stop(&h);
}

static void test_too_many_parts(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = ask_more(&h, "say", "x", 0, fresh);
  for (uint64_t i = 1; i < LIMIT_REQUEST_PARTS; i++)
    harness_chunk(&h, &h.client, id, i, FLAG_MORE, text("x"));
  harness_open(&h.client, id);
  harness_chunk(&h, &h.client, id, LIMIT_REQUEST_PARTS, 0, text("x"));
  harness_ended(&h.client, id, STATUS_TOO_LARGE);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

static void test_a_body_over_16_mib(void **state) {
  Harness h;
  RequestId id;
  uint64_t sent = LIMIT_BODY_BYTES;
  uint64_t number = 1;

  (void)state;
  harness_start(&h, NULL);
  id = harness_request(&h, &h.client, (Header){.flags = FLAG_MORE}, many(LIMIT_BODY_BYTES));
  for (; sent + LIMIT_BODY_BYTES <= LIMIT_REQUEST_BYTES; sent += LIMIT_BODY_BYTES)
    harness_chunk(&h, &h.client, id, number++, FLAG_MORE, many(LIMIT_BODY_BYTES));
  harness_chunk(&h, &h.client, id, number++, FLAG_MORE, many(LIMIT_REQUEST_BYTES - sent));
  harness_open(&h.client, id);
  harness_chunk(&h, &h.client, id, number, 0, many(1));
  harness_ended(&h.client, id, STATUS_TOO_LARGE);
  harness_stop(&h);
}

static void test_parts_count_in_the_quota(void **state) {
  CoreOptions options = core_options_default();
  Harness h;
  RequestId id;

  (void)state;
  options.limits.client_bytes = 1000;
  harness_start(&h, &options);
  id = harness_request(&h, &h.client, (Header){.flags = FLAG_MORE}, many(600));
  harness_chunk(&h, &h.client, id, 1, FLAG_MORE, many(400));
  harness_open(&h.client, id);
  harness_chunk(&h, &h.client, id, 2, 0, many(1));
  harness_ended(&h.client, id, STATUS_QUOTA);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

static void test_a_body_that_was_cut_off_begins_anew_with_the_next_attempt(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = ask_more(&h, "once", "one", 0, fresh);
  harness_chunk(&h, &h.client, id, 1, FLAG_MORE, text("two"));
  ask_more(&h, "once", "one", 1, id); /* `once` all the same: this broker knows that it was never handed on */
  harness_chunk(&h, &h.client, id, 1, 0, text("TWO"));
  assert_memory_equal(harness_work(&h.worker, id)->body.data, "one", 3);
  assert_int_equal(harness_count(&h.worker, KIND_CHUNK), 1);
  assert_memory_equal(harness_find(&h.worker, KIND_CHUNK, 0)->body.data, "TWO", 3);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  harness_stop(&h);
}

static void test_a_body_that_never_becomes_whole_ends_at_its_deadline(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = ask_more(&h, "say", "one", 0, fresh);
  harness_wait(&h, 999999);
  harness_open(&h.client, id);
  harness_wait(&h, 1);
  harness_ended(&h.client, id, STATUS_DEADLINE);
  assert_int_equal(core_counter(h.core, COUNTER_EXPIRED), 1);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_deadline),
      cmocka_unit_test(test_over_the_longest_deadline),
      cmocka_unit_test(test_foreign_id),
      cmocka_unit_test(test_no_service_and_no_method),
      cmocka_unit_test(test_duplicate),
      cmocka_unit_test(test_a_higher_attempt_attaches_and_executes_nothing_again),
      cmocka_unit_test(test_an_attempt_of_which_nothing_is_known),
      cmocka_unit_test(test_an_attempt_whose_first_was_cancelled_at_the_instance),
      cmocka_unit_test(test_quota_of_requests),
      cmocka_unit_test(test_quota_of_bytes_to_the_byte),
      cmocka_unit_test(test_bytes_of_all_clients),
      cmocka_unit_test(test_a_body_in_parts_is_routed_when_it_is_whole),
      cmocka_unit_test(test_a_part_is_missing),
      cmocka_unit_test(test_too_many_parts),
      cmocka_unit_test(test_a_body_over_16_mib),
      cmocka_unit_test(test_parts_count_in_the_quota),
      cmocka_unit_test(test_a_body_that_was_cut_off_begins_anew_with_the_next_attempt),
      cmocka_unit_test(test_a_body_that_never_becomes_whole_ends_at_its_deadline),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
