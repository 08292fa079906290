/* The way in: what is not of the protocol, packs, and the way down: drain and stop. */
#include "bus/core/core-internal.h"
#include "bus/wire/pack.h"
#include "tests/unit/bus/core/harness.h"

static void give_raw(Harness *h, TestPeer *peer, int frames, const char *header, size_t size, Bytes body) {
  core_receive(h->core, peer->session, frames, (Bytes){(const uint8_t *)header, size}, body, NULL, h->now_us);
  core_check(h->core, 0);
}

static void test_the_third_malformed_message_ends_the_session(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  give_raw(&h, &h.client, 1, "", 0, BYTES_NONE);
  give_raw(&h, &h.client, 1, "\xc1", 1, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_MALFORMED);
  assert_non_null(h.client.session);
  give_raw(&h, &h.client, 3, "\x91\x04", 2, BYTES_NONE);
  assert_null(h.client.session);
  assert_int_equal(core_counter(h.core, COUNTER_MALFORMED), 3);
  harness_stop(&h);
}

static void test_kinds_of_a_broker_are_malformed_reserved_ones_unsupported(void **state) {
  Harness h;
  Header welcome = {.kind = KIND_WELCOME, .session = {1}};
  Header lease = {.kind = KIND_LEASE, .id = {{11}, 900}};

  (void)state;
  harness_start(&h, NULL);
  harness_give(&h, &h.client, &welcome, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_MALFORMED);
  harness_give(&h, &h.client, &lease, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_UNSUPPORTED);
  assert_true(request_id_equal(harness_last(&h.client)->header.id, lease.id));
  give_raw(&h, &h.client, 1, "\x91\x7f", 2, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_UNSUPPORTED);
  assert_int_equal(core_counter(h.core, COUNTER_UNSUPPORTED), 2);
  assert_non_null(h.client.session);
  harness_stop(&h);
}

static void test_an_unsupported_word_about_a_request_does_not_end_it(void **state) {
  Harness h;
  Header lease = {.kind = KIND_LEASE};

  (void)state;
  harness_start(&h, NULL);
  lease.id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_give(&h, &h.client, &lease, BYTES_NONE);
  harness_open(&h.client, lease.id);
  harness_reply(&h, &h.worker, lease.id);
  harness_ended(&h.client, lease.id, STATUS_OK);
  harness_stop(&h);
}

static void test_what_is_too_large_ends_its_request_and_no_session(void **state) {
  static uint8_t body[LIMIT_BODY_BYTES + 1];
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  for (int i = 0; i < 4; i++) {
    id = harness_ask(&h, &h.client, "echo", "say", (Bytes){body, sizeof body});
    harness_ended(&h.client, id, STATUS_TOO_LARGE);
  }
  assert_non_null(h.client.session);
  id = harness_request(&h, &h.client, (Header){.flags = FLAG_MORE}, (Bytes){body, 10});
  harness_chunk(&h, &h.client, id, 1, 0, (Bytes){body, sizeof body});
  harness_ended(&h.client, id, STATUS_TOO_LARGE); /* once, although a part of it was kept */
  harness_wait(&h, 2 * US_PER_S);
  harness_ended(&h.client, id, STATUS_TOO_LARGE);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
}

/* --- packs --- */

static void put_packed(Pack *pack, const Header *header) {
  pack_add(pack, header, BYTES_NONE);
}

static void test_a_pack_is_taken_in_its_order(void **state) {
  Pack pack = {0};
  Harness h;
  Bytes header;
  Bytes body;

  (void)state;
  harness_start(&h, NULL);
  for (uint64_t i = 1; i <= LIMIT_PACK_MESSAGES; i++)
    put_packed(&pack, &(Header){.kind = KIND_PING, .number = i});
  pack_frames(&pack, &header, &body);
  harness_clear(&h.client);
  core_receive(h.core, h.client.session, 2, header, body, NULL, h.now_us);
  assert_int_equal(h.client.n_heard, LIMIT_PACK_MESSAGES);
  for (int i = 0; i < LIMIT_PACK_MESSAGES; i++)
    assert_int_equal(h.client.heard[i].header.number, i + 1);
  put_packed(&pack, &(Header){.kind = KIND_PING, .number = 257});
  pack_frames(&pack, &header, &body);
  core_receive(h.core, h.client.session, 2, header, body, NULL, h.now_us);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_MALFORMED);
  assert_int_equal(core_counter(h.core, COUNTER_MALFORMED), 1);
  pack_done(&pack);
  harness_stop(&h);
}

static void test_a_pack_in_a_pack_is_malformed(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  give_raw(&h, &h.client, 2, "\x91\x12", 2, (Bytes){(const uint8_t *)"\xc4\x02\x91\x12\xc4\x00", 6});
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_MALFORMED);
  assert_non_null(h.client.session);
  harness_stop(&h);
}

static void test_a_pack_may_be_written_in_any_way(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  give_raw(&h, &h.client, 2, "\x92\xcc\x12\xc0", 4, (Bytes){(const uint8_t *)"\xc4\x02\x91\x04\xc4\x00", 6});
  assert_int_equal(harness_last(&h.client)->header.kind, KIND_PONG);
  harness_stop(&h);
}

static void test_a_pack_ends_with_the_session(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  /* BYE, then PING */
  give_raw(&h, &h.client, 2, "\x91\x12", 2,
           (Bytes){(const uint8_t *)"\xc4\x02\x91\x03\xc4\x00\xc4\x02\x91\x04\xc4\x00", 12});
  assert_null(h.client.session);
  assert_int_equal(harness_count(&h.client, KIND_PONG), 0);
  harness_stop(&h);
}

/* --- the way down --- */

static void test_drain_tells_everybody_and_takes_nothing_new(void **state) {
  TestPeer *late = calloc(1, sizeof *late);
  Harness h;
  RequestId running;
  RequestId refused;

  (void)state;
  harness_start(&h, NULL);
  running = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  core_drain(h.core, h.now_us);
  core_drain(h.core, h.now_us);
  assert_int_equal(harness_count(&h.client, KIND_GOAWAY), 1);
  assert_int_equal(harness_count(&h.worker, KIND_GOAWAY), 1);
  refused = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_ended(&h.client, refused, STATUS_DRAINING);
  harness_ended(&h.client, harness_ask(&h, &h.client, "pons", "ping", BYTES_NONE), STATUS_OK);
  harness_client(&h, late, "late", 99);
  assert_int_equal(late->heard[0].header.kind, KIND_WELCOME);
  assert_int_equal(late->heard[1].header.kind, KIND_GOAWAY);
  assert_false(core_is_idle(h.core));
  harness_reply(&h, &h.worker, running);
  harness_ended(&h.client, running, STATUS_OK);
  assert_true(core_is_idle(h.core));
  harness_forget(late);
  harness_stop(&h);
  free(late);
}

static void test_stop_says_bye_to_all_and_leaves_nothing(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_ask(&h, &h.worker, "echo@*", "say", BYTES_NONE);
  core_stop(h.core, h.now_us);
  assert_int_equal(harness_last(&h.client)->header.kind, KIND_BYE);
  assert_int_equal(harness_last(&h.client)->header.flags, 0); /* not clean: something was unanswered */
  assert_int_equal(harness_last(&h.worker)->header.kind, KIND_BYE);
  assert_null(h.client.session);
  assert_null(h.worker.session);
  assert_true(core_is_idle(h.core));
  core_check(h.core, h.now_us);
  harness_stop(&h);
}

static void test_counters_have_names(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  core_count(h.core, COUNTER_SLOW_PEERS, 3);
  assert_int_equal(core_counter(h.core, COUNTER_SLOW_PEERS), 3);
  assert_string_equal(counter_name(COUNTER_SLOW_PEERS), "SLOW_PEERS");
  harness_stop(&h);
}

static void test_the_next_time_is_that_of_the_nearest_timer(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  assert_int_equal(core_next_us(h.core), h.now_us + 16 * US_PER_S);
  harness_request(&h, &h.client, (Header){.deadline_us = 30000}, BYTES_NONE);
  assert_int_equal(core_next_us(h.core), h.now_us + 30000);
  core_stop(h.core, h.now_us);
  assert_int_equal(core_next_us(h.core), TIME_NEVER);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_third_malformed_message_ends_the_session),
      cmocka_unit_test(test_kinds_of_a_broker_are_malformed_reserved_ones_unsupported),
      cmocka_unit_test(test_an_unsupported_word_about_a_request_does_not_end_it),
      cmocka_unit_test(test_what_is_too_large_ends_its_request_and_no_session),
      cmocka_unit_test(test_a_pack_is_taken_in_its_order),
      cmocka_unit_test(test_a_pack_in_a_pack_is_malformed),
      cmocka_unit_test(test_a_pack_may_be_written_in_any_way),
      cmocka_unit_test(test_a_pack_ends_with_the_session),
      cmocka_unit_test(test_drain_tells_everybody_and_takes_nothing_new),
      cmocka_unit_test(test_stop_says_bye_to_all_and_leaves_nothing),
      cmocka_unit_test(test_counters_have_names),
      cmocka_unit_test(test_the_next_time_is_that_of_the_nearest_timer),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
