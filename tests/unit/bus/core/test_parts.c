/* Replies in parts: what of them the broker passes on, and how they end when they don't end well. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

static uint8_t bytes[LIMIT_BODY_BYTES];

/* Asks with a window and flags; the worker of the harness has it. */
static RequestId ask(Harness *h, const char *method, uint32_t flags, uint64_t window_bytes) {
  Header header = {
      .method = text_of(method), .priority = PRIORITY_NORMAL, .flags = flags, .window_bytes = window_bytes};
  RequestId id = harness_request(h, &h->client, header, (Bytes){bytes, 100});

  assert_int_equal(harness_work(&h->worker, id)->header.window_bytes, window_bytes);
  return id;
}

static void part(Harness *h, RequestId id, uint64_t number, size_t size) {
  harness_chunk(h, &h->worker, id, number, FLAG_PART, (Bytes){bytes, size});
}

static void test_parts_reach_who_wants_no_stream(void **state) {
  Harness *h = calloc(1, sizeof *h);
  RequestId id;
  Heard *end = NULL;

  (void)state;
  harness_start(h, NULL);
  id = ask(h, "say", 0, 1000);
  part(h, id, 0, 600);
  part(h, id, 1, 600);
  harness_reply(h, &h->worker, id);
  assert_int_equal(harness_count(&h->client, KIND_CHUNK), 2);
  assert_int_equal(harness_find(&h->client, KIND_CHUNK, 1)->header.flags, FLAG_PART);
  assert_int_equal(harness_find(&h->client, KIND_CHUNK, 1)->header.number, 1);
  assert_int_equal(harness_find(&h->client, KIND_CHUNK, 1)->body.size, 600);
  assert_int_equal(harness_ends(&h->client, id, &end), 1);
  assert_int_equal(end->header.number, 2);
  harness_stop(h);
  free(h);
}

static void test_parts_come_after_the_stream_and_nothing_after_them(void **state) {
  Harness *h = calloc(1, sizeof *h);
  RequestId id;

  (void)state;
  harness_start(h, NULL);
  id = ask(h, "stream", FLAG_STREAM, 1000);
  harness_chunk(h, &h->worker, id, 0, 0, (Bytes){bytes, 10});
  part(h, id, 1, 10);
  harness_reply(h, &h->worker, id);
  harness_ended(&h->client, id, STATUS_OK);
  assert_int_equal(harness_find(&h->client, KIND_CHUNK, 0)->header.flags, 0);
  assert_int_equal(harness_find(&h->client, KIND_CHUNK, 1)->header.flags, FLAG_PART);
  id = ask(h, "stream", FLAG_STREAM, 1000);
  part(h, id, 0, 10);
  harness_chunk(h, &h->worker, id, 1, 0, (Bytes){bytes, 10});
  harness_ended(&h->client, id, STATUS_STREAM_LOST);
  harness_stop(h);
  free(h);
}

/* What an instance must not do: each ends the request INTERNAL, and the instance is told to stop. */
static void test_rules_that_are_broken(void **state) {
  static const struct {
    uint64_t window_bytes;
    uint64_t numbers[2];
    uint32_t flags[2];
    size_t size;
  } cases[] = {{0, {0, 1}, {FLAG_PART, FLAG_PART}, 10},                  /* no window was granted */
               {100, {0, 2}, {FLAG_PART, FLAG_PART}, 10},                /* a gap */
               {100, {0, 1}, {FLAG_PART, 0}, 10},                        /* a piece of a stream after a part */
               {100, {0, 1}, {FLAG_PART, FLAG_PART}, LIMIT_BODY_BYTES}}; /* over the window */

  (void)state;
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    Harness *h = calloc(1, sizeof *h);
    RequestId id;

    harness_start(h, NULL);
    id = ask(h, "say", 0, cases[i].window_bytes);
    for (int n = 0; n < 2; n++)
      harness_chunk(h, &h->worker, id, cases[i].numbers[n], cases[i].flags[n], (Bytes){bytes, cases[i].size});
    harness_ended(&h->client, id, STATUS_INTERNAL);
    assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 1);
    assert_true(core_counter(h->core, COUNTER_MALFORMED) > 0);
    harness_stop(h);
    free(h);
  }
}

static void test_a_part_over_the_limit_of_a_message(void **state) {
  Harness *h = calloc(1, sizeof *h);
  uint8_t *large = calloc(1, LIMIT_BODY_BYTES + 1);
  RequestId id;

  (void)state;
  harness_start(h, NULL);
  id = ask(h, "say", 0, 1000);
  harness_chunk(h, &h->worker, id, 0, FLAG_PART, (Bytes){large, LIMIT_BODY_BYTES + 1});
  harness_ended(&h->client, id, STATUS_INTERNAL);
  free(large);
  harness_stop(h);
  free(h);
}

static void test_a_lost_worker_after_a_part(void **state) {
  static const struct {
    const char *method;
    uint32_t flags;
    Status status;
  } cases[] = {
      {"say", 0, STATUS_WORKER_LOST}, {"once", 0, STATUS_WORKER_LOST}, {"stream", FLAG_STREAM, STATUS_STREAM_LOST}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    Harness *h = calloc(1, sizeof *h);
    TestPeer *other = calloc(1, sizeof *other);
    RequestId id;

    harness_start(h, NULL);
    id = ask(h, cases[i].method, cases[i].flags, 1000);
    harness_worker(h, other, "other", 33, 4);
    part(h, id, 0, 10);
    harness_cut(h, &h->worker);
    harness_ended(&h->client, id, cases[i].status);
    assert_int_equal(harness_count(other, KIND_REQUEST), 0); /* its body has been dropped */
    harness_forget(other);
    free(other);
    harness_stop(h);
    free(h);
  }
}

static void test_a_nack_after_a_part(void **state) {
  Harness *h = calloc(1, sizeof *h);
  RequestId id;

  (void)state;
  harness_start(h, NULL);
  id = ask(h, "say", 0, 1000);
  part(h, id, 0, 10);
  harness_say(h, &h->worker, KIND_NACK, id, STATUS_BUSY);
  harness_ended(&h->client, id, STATUS_WORKER_LOST);
  harness_stop(h);
  free(h);
}

/* Sends parts until so many bytes are under way, opening the window as they come. */
static void send_up_to(Harness *h, RequestId id, uint64_t total) {
  uint64_t sent = 0;

  for (uint64_t number = 0; sent < total; number++) {
    size_t size = (size_t)min_u64(total - sent, LIMIT_BODY_BYTES);
    Header window = {.kind = KIND_WINDOW, .id = id, .number = number, .window_bytes = sent + size};

    harness_give(h, &h->client, &window, BYTES_NONE);
    part(h, id, number, size);
    sent += size;
  }
}

static void test_sixteen_mebibytes_and_no_more(void **state) {
  static const size_t last[] = {0, 1};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(last); i++) {
    Harness *h = calloc(1, sizeof *h);
    RequestId id;
    Header reply = {.kind = KIND_REPLY};

    harness_start(h, NULL);
    reply.id = id = ask(h, "say", 0, 1000);
    send_up_to(h, id, LIMIT_REPLY_BYTES);
    harness_give(h, &h->worker, &reply, (Bytes){bytes, last[i]});
    harness_ended(&h->client, id, last[i] ? STATUS_TOO_LARGE : STATUS_OK);
    id = ask(h, "say", 0, 1000);
    send_up_to(h, id, LIMIT_REPLY_BYTES + 1);
    harness_ended(&h->client, id, STATUS_TOO_LARGE);
    assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 1);
    harness_stop(h);
    free(h);
  }
}

static void test_a_part_that_came_while_the_client_was_away(void **state) {
  Harness *h = calloc(1, sizeof *h);
  RequestId id;

  (void)state;
  harness_start(h, NULL);
  id = ask(h, "once", 0, 1000);
  part(h, id, 0, 10);
  harness_cut(h, &h->client);
  part(h, id, 1, 10);
  harness_client(h, &h->client, "tester", 11);
  harness_ended(&h->client, id, STATUS_GONE);
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 1);
  harness_stop(h);
  free(h);
}

static void test_one_answer_to_all_comes_whole(void **state) {
  Harness *h = calloc(1, sizeof *h);
  RequestId id;

  (void)state;
  harness_start(h, NULL);
  id = harness_request(h, &h->client, (Header){.service = TEXT("echo@*"), .window_bytes = 1000}, BYTES_NONE);
  assert_int_equal(harness_work(&h->worker, id)->header.window_bytes, 0);
  part(h, id, 0, 10);
  assert_int_equal(harness_count(&h->client, KIND_CHUNK), 0);
  assert_int_equal(core_counter(h->core, COUNTER_STRAY), 1);
  harness_stop(h);
  free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parts_reach_who_wants_no_stream),
      cmocka_unit_test(test_parts_come_after_the_stream_and_nothing_after_them),
      cmocka_unit_test(test_rules_that_are_broken),
      cmocka_unit_test(test_a_part_over_the_limit_of_a_message),
      cmocka_unit_test(test_a_lost_worker_after_a_part),
      cmocka_unit_test(test_a_nack_after_a_part),
      cmocka_unit_test(test_sixteen_mebibytes_and_no_more),
      cmocka_unit_test(test_a_part_that_came_while_the_client_was_away),
      cmocka_unit_test(test_one_answer_to_all_comes_whole),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
